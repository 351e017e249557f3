//! Every method, with every combination of rights to the things it names: allowed or refused, and
//! with what words. What is expected comes from the table below, which knows nothing of how the
//! broker decides.

use std::collections::BTreeSet;

use leveret_wire::FieldTable;
use leveret_wire::method::{basic, exchange, tx};

use super::super::rig::{
    Client, Node, bind, cancel, confirm_select, consume, declare, declare_exchange, delete, get,
    qos, routed, to,
};
use super::{exchange_delete, passive, passive_exchange, purge, unbind, with_argument, with_cc};
use crate::{Permission, TopicPermission};

/// The three rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Configure,
    Write,
    Read,
}
use Verb::{Configure, Read, Write};

const VERBS: [(Verb, &str); 3] = [(Configure, "configure"), (Write, "write"), (Read, "read")];

/// What a method needs, in the order in which it is asked.
#[derive(Clone, Copy)]
enum Need {
    Queue(Verb, &'static str),
    Exchange(Verb, &'static str),
    /// Some right, whichever.
    SomeQueue(&'static str),
    SomeExchange(&'static str),
    /// The right to a routing key of the exchange `t`, if its keys are bounded at all.
    Key(Verb, &'static str),
}

impl Need {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Queue(_, name)
            | Self::Exchange(_, name)
            | Self::SomeQueue(name)
            | Self::SomeExchange(name) => Some(name),
            Self::Key(..) => None,
        }
    }
}

/// Stands for whatever name the server makes up.
const GENERATED: &str = "amq.gen-*";

struct Operation {
    what: &'static str,
    needs: &'static [Need],
    run: fn(&mut Client),
    /// What the client hears first if it has all it needs.
    then: &'static str,
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

/// The queues `q` and `dead` (which dead-letters to `x`), the exchanges `x`, `y` (direct) and `t`
/// (topic) exist; `new` and `nope` do not.
fn operations() -> Vec<Operation> {
    let mut all = queue_operations();
    all.extend(exchange_operations());
    all.extend(binding_operations());
    all.extend(message_operations());
    all
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
            |client| {
                client.call(
                    1,
                    with_argument(declare("new"), "x-dead-letter-exchange", "x"),
                )
            },
            "1 declare-ok new",
        ),
        op(
            "queue.declare of a new one that dead-letters to the default exchange",
            &[
                Need::Queue(Configure, "new"),
                Need::Queue(Read, "new"),
                Need::Exchange(Write, "amq.default"),
            ],
            |client| {
                client.call(
                    1,
                    with_argument(declare("new"), "x-dead-letter-exchange", ""),
                )
            },
            "1 declare-ok new",
        ),
        op(
            "queue.declare of one that is there with its dead-letter exchange",
            &[Need::Queue(Configure, "dead")],
            |client| {
                client.call(
                    1,
                    with_argument(declare("dead"), "x-dead-letter-exchange", "x"),
                )
            },
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

/// Which names each right is given to.
type Given = BTreeSet<(Verb, &'static str)>;

/// Which keys of the exchange `t` a user may use.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Keys {
    /// Its keys are not bounded.
    Unbounded,
    /// `c.d` and `a.b`.
    Both,
    /// `c.d` alone.
    Other,
    None,
}

impl Keys {
    fn pattern(self) -> Option<&'static str> {
        match self {
            Self::Unbounded => None,
            Self::Both => Some("^(a\\.b|c\\.d)$"),
            Self::Other => Some("^c\\.d$"),
            Self::None => Some("^never$"),
        }
    }

    fn allows(self, key: &str) -> bool {
        match self {
            Self::Unbounded | Self::Both => true,
            Self::Other => key == "c.d",
            Self::None => false,
        }
    }
}

/// The words of the refusal that the table foresees, if there is to be one.
fn refusal(needs: &[Need], given: &Given, (written, read): (Keys, Keys)) -> Option<String> {
    let lacks = |verb, name| !given.contains(&(verb, name));
    let word = |verb| VERBS.iter().find(|(known, _)| *known == verb).unwrap().1;
    let refused = |verb, kind: &str, name: &str| {
        let word = word(verb);
        Some(format!(
            "{word} access to {kind} '{name}' in vhost '/' refused for user 'bob'"
        ))
    };
    let lacks_all = |name| VERBS.iter().all(|(verb, _)| lacks(*verb, name));
    needs.iter().find_map(|need| match *need {
        Need::Queue(verb, name) if lacks(verb, name) => refused(verb, "queue", name),
        Need::Exchange(verb, name) if lacks(verb, name) => refused(verb, "exchange", name),
        Need::SomeQueue(name) if lacks_all(name) => refused(Configure, "queue", name),
        Need::SomeExchange(name) if lacks_all(name) => refused(Configure, "exchange", name),
        Need::Key(verb, key) => {
            let keys = if verb == Write { written } else { read };
            (!keys.allows(key)).then(|| {
                format!(
                    "access to topic '{key}' in exchange 't' in vhost '/' refused for user 'bob'"
                )
            })
        }
        _ => None,
    })
}

/// A pattern that matches the names given for one right, and no others.
fn pattern(given: &Given, verb: Verb) -> String {
    let names = given.iter().filter(|(right, _)| *right == verb);
    let names: Vec<String> = names
        .map(|(_, name)| match *name {
            GENERATED => "amq\\.gen-.{22}".to_owned(),
            name => name.replace('.', "\\."),
        })
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("^({})$", names.join("|"))
    }
}

/// Every combination of rights to the names, and to none of them.
fn combinations(names: &[&'static str]) -> Vec<Given> {
    let all: Vec<_> = names
        .iter()
        .flat_map(|name| VERBS.iter().map(|(verb, _)| (*verb, *name)))
        .collect();
    (0_u32..1 << all.len())
        .map(|chosen| {
            let all = all.iter().enumerate();
            let chosen = all.filter(|(at, _)| chosen & (1 << at) != 0);
            chosen.map(|(_, right)| *right).collect()
        })
        .collect()
}

/// What an operation may have changed is as it was.
fn restore(admin: &mut Client) {
    for queue in ["new", "q"] {
        admin.call(1, delete(queue));
    }
    for exchange in ["new", "x", "y", "t"] {
        admin.call(1, exchange_delete(exchange));
    }
    admin.call(1, declare("q"));
    admin.call(
        1,
        with_argument(declare("dead"), "x-dead-letter-exchange", "x"),
    );
    for (name, kind) in [("x", "direct"), ("y", "direct"), ("t", "topic")] {
        admin.call(1, declare_exchange(name, kind));
    }
    admin.skip();
}

/// The name that the server has made up is not foreseen.
fn without_generated(line: &str) -> String {
    match line.find("amq.gen-") {
        Some(at) => {
            let (before, from) = line.split_at(at);
            format!("{before}{GENERATED}{}", &from["amq.gen-".len() + 22..])
        }
        None => line.to_owned(),
    }
}

#[test]
fn every_method_asks_for_its_rights_and_no_others() {
    let node = Node::new();
    node.broker.add_user("bob", "guest", vec![]).unwrap();
    let mut admin = node.client();
    let mut cases = 0;
    let (mut allowed, mut refused) = (0, 0);
    for Operation {
        what,
        needs,
        run,
        then,
    } in operations()
    {
        let names: BTreeSet<_> = needs.iter().filter_map(|need| need.name()).collect();
        let names: Vec<_> = names.into_iter().collect();
        let has_keys = needs.iter().any(|need| matches!(need, Need::Key(..)));
        let keys: &[Keys] = if has_keys {
            &[Keys::Unbounded, Keys::Both, Keys::Other, Keys::None]
        } else {
            &[Keys::Unbounded]
        };
        for given in combinations(&names) {
            let permission = Permission {
                configure: pattern(&given, Configure),
                write: pattern(&given, Write),
                read: pattern(&given, Read),
            };
            node.broker.set_permission("bob", "/", permission).unwrap();
            for keys in keys {
                // What is said of the keys to bind with counts for no publish, and the reverse.
                for (written, read) in [(*keys, Keys::None), (Keys::None, *keys), (*keys, *keys)] {
                    let both = (written, read);
                    bound_keys(&node, both);
                    restore(&mut admin);
                    node.sync();
                    let mut bob = node.connect_as("bob", true);
                    bob.open(1);
                    run(&mut bob);
                    node.sync();
                    let heard = bob.heard().first().cloned().unwrap_or_default();
                    let heard = without_generated(&heard);
                    match refusal(needs, &given, both) {
                        Some(text) => {
                            let start = format!("1 close 403 ACCESS_REFUSED - {text} ");
                            assert!(
                                heard.starts_with(&start),
                                "{what}, {given:?}, {both:?}: {heard}"
                            );
                            refused += 1;
                        }
                        None => {
                            let is_foreseen =
                                heard.starts_with(then) && !(then.is_empty() && !heard.is_empty());
                            assert!(is_foreseen, "{what}, {given:?}, {both:?}: {heard}");
                            allowed += 1;
                        }
                    }
                    bob.close();
                    cases += 1;
                    if !has_keys {
                        break;
                    }
                }
            }
        }
    }
    assert!(
        allowed > 300 && refused > 1_000,
        "{allowed} allowed, {refused} refused"
    );
    assert_eq!(cases, allowed + refused);
}

fn bound_keys(node: &Node, (written, read): (Keys, Keys)) {
    let broker = &node.broker;
    if written == Keys::Unbounded && read == Keys::Unbounded {
        broker.clear_topic_permissions("bob", "/", None).unwrap();
        return;
    }
    let pattern = |keys: Keys| keys.pattern().unwrap_or(".*").to_owned();
    let permission = TopicPermission {
        write: pattern(written),
        read: pattern(read),
    };
    broker
        .set_topic_permission("bob", "/", "t", permission)
        .unwrap();
}

#[test]
fn the_table_names_every_method_that_a_client_sends_on_a_channel() {
    let covered: BTreeSet<_> = operations()
        .iter()
        .map(|operation| {
            let end = operation.what.find([' ', ',']);
            &operation.what[..end.unwrap_or(operation.what.len())]
        })
        .collect();
    let of_channels = [
        "exchange.declare",
        "exchange.delete",
        "exchange.bind",
        "exchange.unbind",
        "queue.declare",
        "queue.bind",
        "queue.unbind",
        "queue.purge",
        "queue.delete",
        "basic.qos",
        "basic.consume",
        "basic.cancel",
        "basic.publish",
        "basic.get",
        "basic.recover",
        "confirm.select",
        "tx.select",
    ];
    assert_eq!(covered, of_channels.into_iter().collect());
}
