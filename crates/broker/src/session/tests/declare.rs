//! Queues and exchanges: declaring, deleting, purging, and whose they are.

use leveret_wire::AMQPValue;
use leveret_wire::method::{exchange, queue};

use super::rig::{
    Client, Node, bind, consume, declare, declare_durable, declare_exchange, delete, get, routed,
    to,
};
use crate::Limits;

fn passive(queue: &str) -> queue::Declare {
    queue::Declare {
        passive: true,
        ..declare(queue)
    }
}

fn exclusive(queue: &str) -> queue::Declare {
    queue::Declare {
        exclusive: true,
        ..declare(queue)
    }
}

/// The one thing that the client is told: why its channel 1 was closed. The channel is opened again.
fn refused(client: &mut Client) -> String {
    let mut heard = client.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    client.open(1);
    let line = heard.remove(0);
    let (text, _ids) = line
        .rsplit_once(' ')
        .and_then(|(text, _)| text.rsplit_once(' '))
        .unwrap();
    text.strip_prefix("1 close ").unwrap().to_owned()
}

fn locked(name: &str) -> String {
    format!(
        "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'. It could be \
         originally declared on another connection or the exclusive property value does not match that of the \
         original declaration."
    )
}

#[test]
fn declare_ok_counts_what_is_ready_and_all_consumers() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in ["a", "b", "c"] {
        client.publish(1, to("q", body));
    }
    client.call(1, get("q"));
    client.call(1, super::rig::qos(1));
    client.call(1, consume("q", "t"));
    client.skip();
    client.call(1, declare("q"));
    client.call(2, passive("q"));
    assert_eq!(client.heard(), ["1 declare-ok q 1 1", "2 declare-ok q 1 1"]);
}

#[test]
fn an_empty_name_means_a_new_queue_and_then_the_last_one() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare(""));
    client.call(1, declare(""));
    let heard = client.heard();
    let names: Vec<String> = heard
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("amq.gen-") && name.len() == "amq.gen-".len() + 22)
    );
    assert_ne!(names[0], names[1]);
    client.call(1, bind("", "amq.direct", ""));
    client.publish(1, routed("amq.direct", &names[1], "a"));
    client.call(1, get(""));
    client.publish(1, to(&names[1], "b"));
    client.call(1, queue::Purge::default());
    client.call(1, consume("", "t"));
    client.call(1, delete(""));
    assert_eq!(
        client.heard(),
        [
            "1 bind-ok",
            "1 get-ok 1 left 0 a",
            "1 purge-ok 1",
            "1 consume-ok t",
            "1 delete-ok 0",
            "1 cancel t"
        ]
    );
    client.call(2, get(""));
    assert_eq!(
        client.heard(),
        ["2 close 404 NOT_FOUND - no previously declared queue 60 70"]
    );
}

#[test]
fn passive_declares_only_look() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, passive("nope"));
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no queue 'nope' in vhost '/'"
    );
    client.call(1, declare("q"));
    client.skip();
    client.call(1, passive(""));
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no queue '' in vhost '/'",
        "not the last one's shortcut"
    );
    client.call(
        1,
        exchange::Declare {
            passive: true,
            ..declare_exchange("nope", "direct")
        },
    );
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no exchange 'nope' in vhost '/'"
    );
    client.call(
        1,
        exchange::Declare {
            passive: true,
            ..declare_exchange("amq.topic", "whatever")
        },
    );
    assert_eq!(client.heard(), ["1 exchange.declare-ok"]);
}

#[test]
fn reserved_names_are_refused() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("amq.foo"));
    assert_eq!(
        refused(&mut client),
        "403 ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'"
    );
    client.call(1, declare_exchange("amq.foo", "direct"));
    assert_eq!(
        refused(&mut client),
        "403 ACCESS_REFUSED - exchange name 'amq.foo' contains reserved prefix 'amq.*'"
    );
    let error = client
        .try_call(1, declare_exchange("x", "nonsense"))
        .unwrap_err();
    assert_eq!(
        error.text,
        "COMMAND_INVALID - unknown exchange type 'nonsense'"
    );
}

#[test]
fn a_queue_is_declared_again_only_as_it_is() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.skip();
    client.call(1, declare("d"));
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'd' in vhost '/': received 'false' but \
         current is 'true'"
    );
    client.call(
        1,
        queue::Declare {
            auto_delete: true,
            ..declare_durable("d")
        },
    );
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'd' in vhost '/': received 'true' but \
         current is 'false'"
    );
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare_durable("d")
        },
    );
    assert_eq!(refused(&mut client), locked("d"));
    let mut expires = declare_durable("d");
    expires
        .arguments
        .insert("x-expires".into(), AMQPValue::LongInt(60_000));
    client.call(1, expires);
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'd' in vhost '/': received the value \
         '60000' of type 'signedint' but current is none"
    );
}

#[test]
fn an_exclusive_queue_is_its_connections_alone() {
    let node = Node::new();
    let mut owner = node.client();
    owner.call(1, exclusive("mine"));
    owner.call(
        1,
        queue::Declare {
            durable: true,
            ..exclusive("mine")
        },
    );
    assert_eq!(
        owner.heard(),
        ["1 declare-ok mine 0 0", "1 declare-ok mine 0 0"],
        "any durable flag matches"
    );
    let mut other = node.client();
    other.call(1, declare("mine"));
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(1, exclusive("mine"));
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(1, passive("mine"));
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(1, get("mine"));
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(
        1,
        queue::Purge {
            queue: "mine".into(),
            nowait: false,
        },
    );
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(1, bind("mine", "amq.direct", "k"));
    assert_eq!(refused(&mut other), locked("mine"));
    other.call(1, delete("mine"));
    assert_eq!(refused(&mut other), locked("mine"));
    owner.call(1, declare("mine"));
    assert_eq!(
        refused(&mut owner),
        locked("mine"),
        "not even its owner may share it"
    );
    other.publish(1, to("mine", "a"));
    other.flush();
    owner.call(1, get("mine"));
    assert_eq!(
        owner.heard(),
        ["1 get-ok 1 left 0 a"],
        "anybody may publish to it"
    );
}

#[test]
fn a_queue_is_deleted_on_conditions() {
    let node = Node::new();
    let mut client = node.client();
    client.call(2, declare("q"));
    client.publish(2, to("q", "a"));
    client.publish(2, to("q", "b"));
    client.call(2, super::rig::qos(1));
    client.call(2, consume("q", "t"));
    client.skip();
    client.call(
        1,
        queue::Delete {
            if_unused: true,
            if_empty: true,
            ..delete("q")
        },
    );
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - queue 'q' in vhost '/' not empty"
    );
    client.call(
        1,
        queue::Delete {
            if_unused: true,
            ..delete("q")
        },
    );
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - queue 'q' in vhost '/' in use"
    );
    client.call(2, super::rig::cancel("t"));
    client.skip();
    client.call(
        1,
        queue::Delete {
            if_unused: true,
            ..delete("q")
        },
    );
    client.call(1, delete("q"));
    assert_eq!(
        client.heard(),
        ["1 delete-ok 1", "1 delete-ok 0"],
        "only ready ones are counted; then it is gone"
    );
}

#[test]
fn a_purge_takes_what_is_ready() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in ["a", "b", "c"] {
        client.publish(1, to("q", body));
    }
    client.call(1, get("q"));
    client.call(
        1,
        queue::Purge {
            queue: "q".into(),
            nowait: false,
        },
    );
    client.nack(1, 1, false, true);
    client.call(1, get("q"));
    client.call(1, get("q"));
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok q 0 0",
            "1 get-ok 1 left 2 a",
            "1 purge-ok 2",
            "1 get-ok 2 left 0 a redelivered",
            "1 get-empty"
        ]
    );
    client.call(
        1,
        queue::Purge {
            queue: "nope".into(),
            nowait: false,
        },
    );
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no queue 'nope' in vhost '/'"
    );
}

#[test]
fn binding_and_unbinding_name_what_is_missing() {
    let node = Node::new();
    let mut client = node.client();
    client.call(2, declare("q"));
    client.skip();
    client.call(1, bind("nope", "neither", "k"));
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no exchange 'neither' in vhost '/'"
    );
    client.call(1, bind("nope", "amq.direct", "k"));
    assert_eq!(
        refused(&mut client),
        "404 NOT_FOUND - no queue 'nope' in vhost '/'"
    );
    client.call(1, bind("q", "", "k"));
    assert_eq!(
        refused(&mut client),
        "403 ACCESS_REFUSED - operation not permitted on the default exchange"
    );
    client.call(1, bind("q", "amq.direct", "k"));
    client.call(1, bind("q", "amq.direct", "k"));
    let unbind = |queue: &str, exchange: &str| queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: "k".into(),
        arguments: leveret_wire::FieldTable::default(),
    };
    client.call(1, unbind("q", "amq.direct"));
    client.call(1, unbind("q", "amq.direct"));
    client.call(1, unbind("nope", "amq.direct"));
    client.call(1, unbind("q", "nope"));
    assert_eq!(
        client.heard(),
        [
            "1 bind-ok",
            "1 bind-ok",
            "1 unbind-ok",
            "1 unbind-ok",
            "1 unbind-ok",
            "1 unbind-ok"
        ]
    );
}

#[test]
fn exchanges_are_deleted_on_conditions() {
    let node = Node::new();
    let mut client = node.client();
    client.call(2, declare("q"));
    client.call(2, declare_exchange("x", "direct"));
    client.call(2, bind("q", "x", "k"));
    client.skip();
    let delete = |exchange: &str, if_unused| exchange::Delete {
        exchange: exchange.into(),
        if_unused,
        nowait: false,
    };
    client.call(1, delete("x", true));
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - exchange 'x' in vhost '/' in use"
    );
    client.call(1, delete("amq.direct", false));
    assert!(refused(&mut client).starts_with("403 ACCESS_REFUSED"));
    client.call(1, delete("", false));
    assert_eq!(
        refused(&mut client),
        "403 ACCESS_REFUSED - operation not permitted on the default exchange"
    );
    client.call(1, delete("x", false));
    client.call(1, delete("x", false));
    assert_eq!(
        client.heard(),
        ["1 exchange.delete-ok", "1 exchange.delete-ok"]
    );
    assert_eq!(node.broker.queue_totals().bindings, 0);
}

#[test]
fn an_auto_delete_exchange_goes_with_its_last_binding() {
    let node = Node::new();
    let mut client = node.client();
    let exchanges = |node: &Node| node.broker.queue_totals().exchanges;
    let before = exchanges(&node);
    client.call(
        1,
        exchange::Declare {
            auto_delete: true,
            ..declare_exchange("x", "fanout")
        },
    );
    for queue in ["p", "q"] {
        client.call(1, declare(queue));
        client.call(1, bind(queue, "x", ""));
    }
    client.call(1, delete("p"));
    assert_eq!(exchanges(&node), before + 1);
    client.call(1, delete("q"));
    assert_eq!(exchanges(&node), before);
}

#[test]
fn limits_of_the_vhost_are_told() {
    let limits = Limits {
        queues_per_vhost: 1,
        bindings_per_vhost: 1,
        exchanges_per_vhost: 8,
        ..Limits::default()
    };
    let node = Node::with_limits(limits);
    let mut client = node.client();
    client.call(1, declare("q"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.call(1, declare("q"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.skip();
    client.call(1, declare("r"));
    assert_eq!(
        refused(&mut client),
        "406 PRECONDITION_FAILED - cannot declare queue 'r': queue limit in vhost '/' (1) is reached"
    );
    client.call(1, bind("q", "amq.direct", "l"));
    assert!(refused(&mut client).starts_with("406 PRECONDITION_FAILED"));
    let mut refusals = 0;
    for name in ["x", "y", "z"] {
        client.call(1, declare_exchange(name, "direct"));
        let heard = client.heard();
        if heard[0].starts_with("1 close 406") {
            refusals += 1;
            client.open(1);
        }
    }
    assert!(
        (1..3).contains(&refusals),
        "{refusals} of three exchanges were refused"
    );
    client.call(1, delete("q"));
    client.call(1, declare("r"));
    client.call(1, bind("r", "amq.direct", "l"));
    assert_eq!(
        client.heard(),
        ["1 delete-ok 0", "1 declare-ok r 0 0", "1 bind-ok"]
    );
}

#[test]
fn connections_have_a_limit_and_an_open_vhost() {
    use std::sync::Arc;

    use crate::{OpenRefused, Peer};

    let node = Node::with_limits(Limits {
        connections: 1,
        ..Limits::default()
    });
    let client = node.client();
    let peer = || Peer {
        name: "test".to_owned(),
        consumer_cancel_notify: true,
        details: Arc::default(),
    };
    let user = Arc::new(node.broker.login("guest", "guest", true).unwrap());
    let open = |vhost: &str| {
        node.broker
            .open_session(Arc::clone(&user), vhost, peer())
            .map(drop)
    };
    assert_eq!(open("/").unwrap_err(), OpenRefused::TooManyConnections(1));
    assert_eq!(
        open("nope").unwrap_err(),
        OpenRefused::NoVhost("nope".to_owned())
    );
    client.close();
    assert_eq!(open("/"), Ok(()));
}
