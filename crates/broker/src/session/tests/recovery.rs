//! What is there again after a crash, and what is not.

use std::collections::BTreeSet;

use leveret_store::Store as _;
use leveret_wire::method::{exchange, queue};
use leveret_wire::{AMQPValue, FieldTable};

use super::rig::{
    Client, Node, bind, consume, consume_no_ack, declare, declare_durable, declare_exchange,
    delete, get, persistent, qos, routed, to,
};
use crate::Limits;

fn durable_exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        durable: true,
        ..declare_exchange(name, kind)
    }
}

fn exchange_bind(destination: &str, source: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: String::new().into(),
        nowait: false,
        arguments: FieldTable::default(),
    }
}

fn passive(queue: &str) -> queue::Declare {
    queue::Declare {
        passive: true,
        ..declare(queue)
    }
}

/// Every message of `queue`, with its mark.
fn messages(node: &Node, queue: &str) -> Vec<String> {
    let mut client = node.client();
    client.call(1, consume_no_ack(queue, "t"));
    node.store.answer();
    let heard = client.heard();
    client.close();
    heard[1..]
        .iter()
        .map(|line| line.splitn(5, ' ').nth(4).unwrap().to_owned())
        .collect()
}

/// Publish to an exchange; the queues of `among` that got the message.
fn reached(
    client: &mut Client,
    exchange: &str,
    routing_key: &str,
    among: &[&str],
) -> BTreeSet<String> {
    client.skip();
    client.publish(1, routed(exchange, routing_key, "m"));
    let mut reached = BTreeSet::new();
    for queue in among {
        client.call(1, get(queue));
        if client.heard()[0].starts_with("1 get-ok") {
            reached.insert((*queue).to_owned());
        }
    }
    reached
}

#[test]
fn persistent_messages_of_durable_queues_come_back_in_order() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.call(1, declare("t"));
    for body in ["a", "b", "c", "d"] {
        client.publish(1, persistent("d", body));
        client.publish(1, to("d", "transient"));
        client.publish(1, persistent("t", body));
    }
    client.flush();
    node.sync();
    let node = node.crash();
    assert_eq!(node.counts(), (4, 0, 0));
    assert_eq!(messages(&node, "d"), ["a", "b", "c", "d"]);
    let mut client = node.client();
    client.call(1, passive("t"));
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no queue 't' in vhost '/' 50 10"]
    );
    let node = node.crash();
    assert_eq!(
        node.counts(),
        (4, 0, 0),
        "that they were delivered is not durable yet"
    );
}

#[test]
fn what_was_out_comes_back_redelivered_and_what_was_settled_does_not() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    for body in ["a", "b", "c", "d", "e", "f"] {
        client.publish(1, persistent("d", body));
    }
    client.call(1, qos(2));
    client.call(1, consume("d", "t"));
    client.skip();
    client.ack(1, 1, false);
    client.reject(1, 2, false);
    client.flush();
    client.call(2, get("d"));
    client.skip();
    node.sync();
    let node = node.crash();
    assert_eq!(
        messages(&node, "d"),
        ["c redelivered", "d redelivered", "e redelivered", "f"]
    );
}

#[test]
fn untouched_messages_are_not_redelivered_after_a_restart() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.call(1, qos(1));
    client.call(1, consume("d", "t"));
    for body in ["a", "b"] {
        client.publish(1, persistent("d", body));
    }
    client.skip();
    node.sync();
    let node = node.crash();
    assert_eq!(messages(&node, "d"), ["a redelivered", "b"]);
}

#[test]
fn a_purged_or_deleted_queue_stays_empty() {
    let node = Node::new();
    let mut client = node.client();
    for queue in ["purged", "deleted", "again"] {
        client.call(1, declare_durable(queue));
        client.publish(1, persistent(queue, "old"));
    }
    client.call(
        1,
        queue::Purge {
            queue: "purged".into(),
            nowait: false,
        },
    );
    client.call(1, delete("deleted"));
    client.call(1, delete("again"));
    client.call(1, declare_durable("again"));
    client.publish(1, persistent("again", "new"));
    client.flush();
    node.sync();
    let node = node.crash();
    assert_eq!(node.broker.queue_totals().queues, 2);
    assert!(messages(&node, "purged").is_empty());
    assert_eq!(messages(&node, "again"), ["new"]);
}

#[test]
fn messages_published_after_a_restart_come_behind_the_old_ones() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.publish(1, persistent("d", "a"));
    client.publish(1, persistent("d", "b"));
    client.flush();
    node.sync();
    let node = node.crash();
    let mut client = node.client();
    client.publish(1, persistent("d", "c"));
    client.publish(1, to("d", "d"));
    client.call(1, get("d"));
    node.store.answer();
    assert_eq!(client.heard(), ["1 get-ok 1 left 3 a"]);
    client.ack(1, 1, false);
    client.flush();
    assert_eq!(messages(&node, "d"), ["b", "c", "d"]);
    node.sync();
    assert_eq!(node.crash().counts(), (0, 0, 0));
}

#[test]
fn durable_queues_keep_what_they_were_declared_as() {
    let node = Node::new();
    let mut client = node.client();
    let mut declared = queue::Declare {
        auto_delete: true,
        ..declare_durable("d")
    };
    declared
        .arguments
        .insert("x-max-length".into(), AMQPValue::LongInt(1_000));
    declared
        .arguments
        .insert("custom".into(), AMQPValue::LongString("kept".into()));
    client.call(1, declared.clone());
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare_durable("mine")
        },
    );
    node.sync();
    let node = node.crash();
    assert_eq!(
        node.broker.queue_totals().queues,
        1,
        "an exclusive queue never outlives its connection"
    );
    let mut client = node.client();
    client.call(1, declared.clone());
    assert_eq!(client.heard(), ["1 declare-ok d 0 0"]);
    client.call(
        1,
        queue::Declare {
            auto_delete: false,
            ..declared
        },
    );
    assert_eq!(
        client.heard(),
        [
            "1 close 406 PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'd' in vhost '/': \
             received 'false' but current is 'true' 50 10"
        ]
    );
    client.call(2, consume("d", "t"));
    client.close_channel(2);
    client.skip();
    assert_eq!(
        node.broker.queue_totals().queues,
        0,
        "it goes with its next last consumer"
    );
    node.sync();
    assert_eq!(node.crash().broker.queue_totals().queues, 0);
}

#[test]
fn durable_exchanges_and_bindings_between_durable_ends_come_back() {
    let node = Node::new();
    let mut client = node.client();
    let before = node.broker.queue_totals().exchanges;
    let mut source = durable_exchange("source", "topic");
    source.arguments.insert(
        "alternate-exchange".into(),
        AMQPValue::LongString("amq.fanout".into()),
    );
    client.call(1, source.clone());
    client.call(1, durable_exchange("sink", "fanout"));
    client.call(
        1,
        exchange::Declare {
            internal: true,
            ..durable_exchange("inner", "fanout")
        },
    );
    client.call(1, declare_exchange("passing", "fanout"));
    client.call(1, declare_durable("d"));
    client.call(1, declare_durable("e"));
    client.call(1, declare("t"));
    client.call(1, bind("d", "source", "a.#"));
    client.call(1, bind("t", "source", "a.#"));
    client.call(1, bind("d", "passing", ""));
    client.call(1, bind("e", "sink", ""));
    client.call(1, bind("e", "amq.fanout", ""));
    client.call(
        1,
        exchange::Bind {
            routing_key: "b.#".into(),
            ..exchange_bind("sink", "source")
        },
    );
    client.call(1, exchange_bind("passing", "amq.fanout"));
    let mut arguments = FieldTable::default();
    arguments.insert("x-match".into(), AMQPValue::LongString("any".into()));
    arguments.insert("n".into(), AMQPValue::LongLongInt(5));
    client.call(
        1,
        queue::Bind {
            arguments: arguments.clone(),
            ..bind("d", "amq.headers", "")
        },
    );
    client.skip();
    node.sync();
    client.skip();
    assert_eq!(node.broker.queue_totals().bindings, 8);

    let node = node.crash();
    let totals = node.broker.queue_totals();
    assert_eq!(
        (totals.exchanges, totals.queues, totals.bindings),
        (before + 3, 2, 5)
    );
    let mut client = node.client();
    let queues = ["d", "e"];
    let only = |queue: &str| BTreeSet::from([queue.to_owned()]);
    assert_eq!(reached(&mut client, "source", "a.x", &queues), only("d"));
    assert_eq!(reached(&mut client, "source", "b.x", &queues), only("e"));
    assert_eq!(
        reached(&mut client, "source", "c.x", &queues),
        only("e"),
        "by the alternate exchange"
    );
    client.call(1, source);
    client.call(
        1,
        queue::Bind {
            arguments: arguments.clone(),
            ..bind("d", "amq.headers", "")
        },
    );
    assert_eq!(client.heard(), ["1 exchange.declare-ok", "1 bind-ok"]);
    assert_eq!(
        node.broker.queue_totals().bindings,
        5,
        "the same binding, types and all"
    );
    client.publish(1, routed("inner", "", "m"));
    assert!(client.heard()[0].contains("cannot publish to internal exchange 'inner'"));
}

#[test]
fn what_was_removed_stays_removed() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, durable_exchange("x", "direct"));
    client.call(1, durable_exchange("gone", "direct"));
    client.call(1, declare_durable("d"));
    client.call(1, declare_durable("gone too"));
    for (queue, exchange) in [("d", "x"), ("d", "gone"), ("gone too", "x")] {
        client.call(1, bind(queue, exchange, "k"));
    }
    client.call(
        1,
        queue::Unbind {
            queue: "d".into(),
            exchange: "x".into(),
            routing_key: "k".into(),
            arguments: FieldTable::default(),
        },
    );
    client.call(
        1,
        exchange::Delete {
            exchange: "gone".into(),
            if_unused: false,
            nowait: false,
        },
    );
    client.call(1, delete("gone too"));
    node.sync();
    let before = node.broker.queue_totals();
    let node = node.crash();
    let after = node.broker.queue_totals();
    assert_eq!(
        (after.exchanges, after.queues, after.bindings),
        (before.exchanges, 1, 0)
    );
    // Nor do they come back with their ends: the definitions of the bindings are gone too.
    let mut client = node.client();
    client.call(1, durable_exchange("gone", "direct"));
    client.call(1, declare_durable("gone too"));
    node.sync();
    assert_eq!(node.crash().broker.queue_totals().bindings, 0);
}

/// An auto-delete exchange that goes because another one went, which had gone because its last
/// binding did.
#[test]
fn durable_exchanges_that_went_in_a_chain_stay_gone() {
    for middle_durable in [true, false] {
        for by_queue in [true, false] {
            let node = Node::new();
            let before = node.broker.queue_totals().exchanges;
            let mut client = node.client();
            client.call(
                1,
                exchange::Declare {
                    auto_delete: true,
                    ..durable_exchange("outer", "fanout")
                },
            );
            let middle = exchange::Declare {
                auto_delete: true,
                ..declare_exchange("middle", "fanout")
            };
            client.call(
                1,
                exchange::Declare {
                    durable: middle_durable,
                    ..middle
                },
            );
            client.call(1, declare_durable("d"));
            client.call(1, bind("d", "middle", ""));
            client.call(1, exchange_bind("middle", "outer"));
            if by_queue {
                client.call(1, delete("d"));
            } else {
                client.call(
                    1,
                    queue::Unbind {
                        queue: "d".into(),
                        exchange: "middle".into(),
                        routing_key: String::new().into(),
                        arguments: FieldTable::default(),
                    },
                );
            }
            assert_eq!(node.broker.queue_totals().exchanges, before);
            node.sync();
            let after = node.crash().broker.queue_totals().exchanges;
            assert_eq!(
                after, before,
                "middle durable: {middle_durable}, by queue: {by_queue}"
            );
        }
    }
}

#[test]
fn what_was_not_durable_when_it_crashed_is_not_there() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.publish(1, persistent("d", "a"));
    client.flush();
    node.sync();
    client.publish(1, persistent("d", "b"));
    client.call(1, declare_durable("e"));
    client.flush();
    let node = node.crash();
    assert_eq!(node.broker.queue_totals().queues, 1);
    assert_eq!(messages(&node, "d"), ["a"]);
}

#[test]
fn users_and_vhosts_come_back() {
    let node = Node::new();
    let before = node.store.reopen();
    let first = before.definitions().unwrap();
    let node = node.crash();
    assert!(node.broker.login("guest", "guest", true).is_ok());
    assert!(node.broker.may_open("guest", "/"));
    assert!(node.broker.login("guest", "wrong", true).is_err());
    assert!(
        node.broker.login("guest", "guest", false).is_err(),
        "guest is a local user"
    );
    assert!(node.broker.vhost("/").is_some());
    let again = node.store.definitions().unwrap();
    assert_eq!(first, again, "the default user is not made a second time");
}

#[test]
fn a_crash_amid_recovery_changes_nothing() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.publish(1, persistent("d", "a"));
    client.flush();
    node.sync();
    let node = node.crash().crash().crash();
    assert_eq!(messages(&node, "d"), ["a"]);
}

#[test]
fn what_a_transient_queue_left_in_the_store_is_dropped() {
    let limits = Limits {
        message_memory_bytes: 0,
        ..Limits::default()
    };
    let node = Node::with_limits(limits);
    let mut client = node.client();
    client.call(1, declare("t"));
    client.publish(1, to("t", "first"));
    client.flush();
    // More than a queue keeps in memory: the rest of them goes to the store.
    for _ in 0..600 {
        client.publish(1, to("t", "m"));
    }
    client.flush();
    node.sync();
    assert_eq!(node.store.usage().queues, 1);
    let node = node.crash();
    assert_eq!(node.store.usage().queues, 0);
}
