//! The table: what each method needs, and what it is answered with if it has that.

use leveret_wire::FieldTable;
use leveret_wire::method::queue::Declare;
use leveret_wire::method::{basic, exchange, tx};

use super::Verb::{Configure, Read, Write};
use super::{GENERATED, Need};
use crate::session::tests::permissions::{
    exchange_delete, passive, passive_exchange, purge, unbind, with_argument, with_cc,
};
use crate::session::tests::rig::{
    Client, bind, cancel, confirm_select, consume, declare, declare_exchange, delete, get, qos,
    routed, to,
};

/// Something that a client asks for.
pub(super) struct Operation {
    pub(super) what: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) run: fn(&mut Client),
    /// What the client hears first if it has all it needs.
    pub(super) then: &'static str,
}

const fn op(
    what: &'static str,
    needs: &'static [Need],
    run: fn(&mut Client),
    then: &'static str,
) -> Operation {
    Operation {
        what,
        needs,
        run,
        then,
    }
}

/// Every method that a client sends on a channel, in each of its forms. The queues `q` and `dead` (which dead-letters to `x`), the exchanges `x`, `y` (direct) and `t`
/// (topic) exist; `new` and `nope` do not.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = queue_operations();
    all.extend(exchange_operations());
    all.extend(binding_operations());
    all.extend(message_operations());
    all
}

fn dead_lettering(queue: &str, exchange: &str) -> Declare {
    with_argument(declare(queue), "x-dead-letter-exchange", exchange)
}

fn queue_operations() -> Vec<Operation> {
    vec![
        op(
            "queue.declare of a queue that is there",
            &[Need::Queue(Configure, "q")],
            |client| client.call(1, declare("q")),
            "1 declare-ok q",
        ),
        op(
            "queue.declare of a new one",
            &[Need::Queue(Configure, "new")],
            |client| client.call(1, declare("new")),
            "1 declare-ok new",
        ),
        op(
            "queue.declare of a new one with a dead-letter exchange",
            &[
                Need::Queue(Configure, "new"),
                Need::Queue(Read, "new"),
                Need::Exchange(Write, "x"),
            ],
            |client| client.call(1, dead_lettering("new", "x")),
            "1 declare-ok new",
        ),
        op(
            "queue.declare of a new one that dead-letters to the default exchange",
            &[
                Need::Queue(Configure, "new"),
                Need::Queue(Read, "new"),
                Need::Exchange(Write, "amq.default"),
            ],
            |client| client.call(1, dead_lettering("new", "")),
            "1 declare-ok new",
        ),
        op(
            "queue.declare of one that is there with its dead-letter exchange",
            &[Need::Queue(Configure, "dead")],
            |client| client.call(1, dead_lettering("dead", "x")),
            "1 declare-ok dead",
        ),
        op(
            "queue.declare without a name",
            &[Need::Queue(Configure, GENERATED)],
            |client| client.call(1, declare("")),
            "1 declare-ok amq.gen-*",
        ),
        op(
            "queue.declare, passive",
            &[Need::SomeQueue("q")],
            |client| client.call(1, passive("q")),
            "1 declare-ok q",
        ),
        op(
            "queue.declare, passive, of none",
            &[Need::SomeQueue("nope")],
            |client| client.call(1, passive("nope")),
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 50 10",
        ),
        op(
            "queue.declare of a reserved name",
            &[],
            |client| client.call(1, declare("amq.q")),
            "1 close 403 ACCESS_REFUSED - queue name 'amq.q' contains reserved prefix 'amq.*' 50 10",
        ),
        op(
            "queue.delete",
            &[Need::Queue(Configure, "q")],
            |client| client.call(1, delete("q")),
            "1 delete-ok 0",
        ),
        op(
            "queue.delete of none",
            &[Need::Queue(Configure, "nope")],
            |client| client.call(1, delete("nope")),
            "1 delete-ok 0",
        ),
        op(
            "queue.purge",
            &[Need::Queue(Read, "q")],
            |client| client.call(1, purge("q")),
            "1 purge-ok 0",
        ),
        op(
            "queue.purge of none",
            &[Need::Queue(Read, "nope")],
            |client| client.call(1, purge("nope")),
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 50 30",
        ),
    ]
}

fn exchange_operations() -> Vec<Operation> {
    vec![
        op(
            "exchange.declare of an exchange that is there",
            &[Need::Exchange(Configure, "x")],
            |client| client.call(1, declare_exchange("x", "direct")),
            "1 exchange.declare-ok",
        ),
        op(
            "exchange.declare of a new one",
            &[Need::Exchange(Configure, "new")],
            |client| client.call(1, declare_exchange("new", "fanout")),
            "1 exchange.declare-ok",
        ),
        op(
            "exchange.declare of a new one with an alternate exchange",
            &[
                Need::Exchange(Configure, "new"),
                Need::Exchange(Read, "new"),
                Need::Exchange(Write, "nope"),
            ],
            |client| {
                let declare = declare_exchange("new", "fanout");
                client.call(1, with_argument(declare, "alternate-exchange", "nope"));
            },
            "1 exchange.declare-ok",
        ),
        op(
            "exchange.declare, passive",
            &[Need::SomeExchange("x")],
            |client| client.call(1, passive_exchange("x")),
            "1 exchange.declare-ok",
        ),
        op(
            "exchange.declare, passive, of none",
            &[Need::SomeExchange("nope")],
            |client| client.call(1, passive_exchange("nope")),
            "1 close 404 NOT_FOUND - no exchange 'nope' in vhost '/' 40 10",
        ),
        op(
            "exchange.declare of the default exchange",
            &[],
            |client| client.call(1, declare_exchange("", "direct")),
            "1 close 403 ACCESS_REFUSED - operation not permitted on the default exchange 40 10",
        ),
        op(
            "exchange.declare of a reserved name",
            &[Need::Exchange(Configure, "amq.x")],
            |client| client.call(1, declare_exchange("amq.x", "direct")),
            "1 close 403 ACCESS_REFUSED - exchange name 'amq.x' contains reserved prefix 'amq.*' 40 10",
        ),
        op(
            "exchange.delete",
            &[Need::Exchange(Configure, "x")],
            |client| client.call(1, exchange_delete("x")),
            "1 exchange.delete-ok",
        ),
        op(
            "exchange.delete of none",
            &[Need::Exchange(Configure, "nope")],
            |client| client.call(1, exchange_delete("nope")),
            "1 exchange.delete-ok",
        ),
        op(
            "exchange.delete of the default exchange",
            &[],
            |client| client.call(1, exchange_delete("")),
            "1 close 403 ACCESS_REFUSED - operation not permitted on the default exchange 40 20",
        ),
        op(
            "exchange.delete of a predeclared one",
            &[],
            |client| client.call(1, exchange_delete("amq.direct")),
            "1 close 403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed 40 20",
        ),
    ]
}

fn exchange_bind(destination: &str, source: &str, key: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    }
}

fn exchange_unbind(destination: &str, source: &str, key: &str) -> exchange::Unbind {
    exchange::Unbind {
        destination: destination.into(),
        source: source.into(),
        routing_key: key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    }
}

fn binding_operations() -> Vec<Operation> {
    vec![
        op(
            "queue.bind",
            &[Need::Queue(Write, "q"), Need::Exchange(Read, "x")],
            |client| client.call(1, bind("q", "x", "k")),
            "1 bind-ok",
        ),
        op(
            "queue.bind of no queue",
            &[Need::Queue(Write, "nope"), Need::Exchange(Read, "x")],
            |client| client.call(1, bind("nope", "x", "k")),
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 50 20",
        ),
        op(
            "queue.bind to no exchange",
            &[Need::Queue(Write, "q"), Need::Exchange(Read, "nope")],
            |client| client.call(1, bind("q", "nope", "k")),
            "1 close 404 NOT_FOUND - no exchange 'nope' in vhost '/' 50 20",
        ),
        op(
            "queue.bind to a topic exchange",
            &[
                Need::Queue(Write, "q"),
                Need::Exchange(Read, "t"),
                Need::Key(Read, "a.b"),
            ],
            |client| client.call(1, bind("q", "t", "a.b")),
            "1 bind-ok",
        ),
        op(
            "queue.bind to the default exchange",
            &[Need::Queue(Write, "q")],
            |client| client.call(1, bind("q", "", "k")),
            "1 close 403 ACCESS_REFUSED - operation not permitted on the default exchange 50 20",
        ),
        op(
            "queue.unbind",
            &[Need::Queue(Write, "q"), Need::Exchange(Read, "y")],
            |client| client.call(1, unbind("q", "y", "k")),
            "1 unbind-ok",
        ),
        op(
            "queue.unbind of nothing",
            &[Need::Queue(Write, "nope"), Need::Exchange(Read, "nope")],
            |client| client.call(1, unbind("nope", "nope", "k")),
            "1 unbind-ok",
        ),
        op(
            "queue.unbind from a topic exchange",
            &[
                Need::Queue(Write, "q"),
                Need::Exchange(Read, "t"),
                Need::Key(Read, "a.b"),
            ],
            |client| client.call(1, unbind("q", "t", "a.b")),
            "1 unbind-ok",
        ),
        op(
            "exchange.bind",
            &[Need::Exchange(Write, "y"), Need::Exchange(Read, "x")],
            |client| client.call(1, exchange_bind("y", "x", "k")),
            "1 exchange.bind-ok",
        ),
        op(
            "exchange.bind from a topic exchange",
            &[
                Need::Exchange(Write, "y"),
                Need::Exchange(Read, "t"),
                Need::Key(Read, "a.b"),
            ],
            |client| client.call(1, exchange_bind("y", "t", "a.b")),
            "1 exchange.bind-ok",
        ),
        op(
            "exchange.bind to the default exchange",
            &[Need::Exchange(Write, "amq.default")],
            |client| client.call(1, exchange_bind("", "x", "k")),
            "1 close 403 ACCESS_REFUSED - operation not permitted on the default exchange 40 30",
        ),
        op(
            "exchange.unbind",
            &[Need::Exchange(Write, "y"), Need::Exchange(Read, "x")],
            |client| client.call(1, exchange_unbind("y", "x", "k")),
            "1 exchange.unbind-ok",
        ),
        op(
            "exchange.unbind from a topic exchange",
            &[
                Need::Exchange(Write, "y"),
                Need::Exchange(Read, "t"),
                Need::Key(Read, "a.b"),
            ],
            |client| client.call(1, exchange_unbind("y", "t", "a.b")),
            "1 exchange.unbind-ok",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn message_operations() -> Vec<Operation> {
    vec![
        op(
            "basic.publish",
            &[Need::Exchange(Write, "x")],
            |client| client.publish(1, routed("x", "k", "m")),
            "",
        ),
        op(
            "basic.publish to the default exchange",
            &[Need::Exchange(Write, "amq.default")],
            |client| client.publish(1, to("nope", "m")),
            "",
        ),
        op(
            "basic.publish to none",
            &[Need::Exchange(Write, "nope")],
            |client| client.publish(1, routed("nope", "k", "m")),
            "1 close 404 NOT_FOUND - no exchange 'nope' in vhost '/' 60 40",
        ),
        op(
            "basic.publish to an internal exchange",
            &[Need::Exchange(Write, "amq.rabbitmq.trace")],
            |client| client.publish(1, routed("amq.rabbitmq.trace", "k", "m")),
            "1 close 403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/' 60 40",
        ),
        op(
            "basic.publish to a topic exchange",
            &[Need::Exchange(Write, "t"), Need::Key(Write, "a.b")],
            |client| client.publish(1, routed("t", "a.b", "m")),
            "",
        ),
        op(
            "basic.publish to a topic exchange with a CC header",
            &[
                Need::Exchange(Write, "t"),
                Need::Key(Write, "c.d"),
                Need::Key(Write, "a.b"),
            ],
            |client| client.publish(1, with_cc("t", "c.d", "CC", "a.b")),
            "",
        ),
        op(
            "basic.publish to a topic exchange with a BCC header",
            &[
                Need::Exchange(Write, "t"),
                Need::Key(Write, "c.d"),
                Need::Key(Write, "a.b"),
            ],
            |client| client.publish(1, with_cc("t", "c.d", "BCC", "a.b")),
            "",
        ),
        op(
            "basic.publish in a transaction",
            &[Need::Exchange(Write, "t"), Need::Key(Write, "a.b")],
            |client| {
                client.call(1, tx::Select {});
                client.lines();
                client.publish(1, routed("t", "a.b", "m"));
            },
            "",
        ),
        op(
            "basic.get",
            &[Need::Queue(Read, "q")],
            |client| client.call(1, get("q")),
            "1 get-empty",
        ),
        op(
            "basic.get of none",
            &[Need::Queue(Read, "nope")],
            |client| client.call(1, get("nope")),
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 60 70",
        ),
        op(
            "basic.consume",
            &[Need::Queue(Read, "q")],
            |client| client.call(1, consume("q", "c")),
            "1 consume-ok c",
        ),
        op(
            "basic.consume of none",
            &[Need::Queue(Read, "nope")],
            |client| client.call(1, consume("nope", "c")),
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 60 20",
        ),
        op(
            "basic.cancel",
            &[],
            |client| client.call(1, cancel("c")),
            "1 cancel-ok c",
        ),
        op(
            "basic.qos",
            &[],
            |client| client.call(1, qos(1)),
            "1 qos-ok",
        ),
        op(
            "basic.recover",
            &[],
            |client| client.call(1, basic::Recover { requeue: true }),
            "1 recover-ok",
        ),
        op(
            "confirm.select",
            &[],
            |client| client.call(1, confirm_select()),
            "1 confirm.select-ok",
        ),
        op(
            "tx.select",
            &[],
            |client| client.call(1, tx::Select {}),
            "1 tx.select-ok",
        ),
    ]
}
