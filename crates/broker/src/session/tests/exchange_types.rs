//! The exchange types of RabbitMQ's plugins: what is kept for later queues, and that no route is
//! remembered that another message may not take.

use std::collections::BTreeMap;

use leveret_wire::method::{exchange, queue, tx};
use leveret_wire::{
    AMQPValue, ArrayBuilder, FieldTable, Message, PropertiesBuilder, RawValue, TableBuilder,
};

use super::rig::{
    Client, Node, bind, confirm_select, consume_no_ack, declare, declare_durable, declare_exchange,
    delete, persistent, routed, to, with_properties,
};
use crate::Limits;

/// The header of a message that is not to be kept.
const NO_STORE: &str = "x-recent-history-no-store";

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

fn exchange_with(name: &str, kind: &str, arguments: &[(&str, AMQPValue)]) -> exchange::Declare {
    exchange::Declare {
        arguments: table(arguments),
        nowait: true,
        ..declare_exchange(name, kind)
    }
}

fn queue_with(name: &str, arguments: &[(&str, AMQPValue)]) -> queue::Declare {
    queue::Declare {
        arguments: table(arguments),
        ..declare(name)
    }
}

fn bind_exchange(destination: &str, source: &str, routing_key: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: routing_key.into(),
        nowait: true,
        arguments: FieldTable::default(),
    }
}

/// A client of a new queue `q`, whose messages it gets on channel 2.
fn consuming(node: &Node, queue: &str) -> Client {
    let mut client = node.client();
    client.call(1, declare(queue));
    client.call(2, consume_no_ack(queue, queue));
    client.skip();
    client
}

/// The bodies of the deliveries since the last time.
fn bodies(client: &mut Client) -> Vec<String> {
    let lines = client.heard();
    let deliveries = lines.iter().filter(|line| line.contains(" deliver "));
    deliveries
        .map(|line| line.splitn(5, ' ').nth(4).unwrap().to_owned())
        .collect()
}

/// A message with one header.
fn with_header(exchange: &str, body: &str, name: &str, value: &RawValue<'_>) -> Message {
    let mut headers = TableBuilder::new();
    headers.put(name.as_bytes(), value);
    let headers = headers.into_content();
    let mut properties = PropertiesBuilder::new();
    properties.headers(Some(&headers));
    with_properties(exchange, "k", body, &properties)
}

#[test]
fn a_new_binding_brings_what_was_kept() {
    let node = Node::new();
    let mut publisher = node.client();
    publisher.call(
        1,
        exchange_with(
            "x",
            "x-recent-history",
            &[("x-recent-history-length", AMQPValue::LongInt(3))],
        ),
    );
    for body in ["a", "b", "c", "d"] {
        publisher.publish(1, routed("x", body, body));
    }
    publisher.flush();
    let mut client = consuming(&node, "q");
    client.call(1, bind("q", "x", "1"));
    assert_eq!(
        client.heard(),
        [
            "1 bind-ok",
            "2 deliver q 1 b",
            "2 deliver q 2 c",
            "2 deliver q 3 d"
        ]
    );
    let kept = client.messages();
    assert_eq!(
        (kept[0].exchange(), kept[0].routing_key()),
        (&b"x"[..], &b"b"[..])
    );
    // Later ones come once, and are kept as well.
    publisher.publish(1, routed("x", "k", "e"));
    publisher.flush();
    assert_eq!(bodies(&mut client), ["e"]);
    // The same binding again is nothing new; another one of the same queue is.
    client.call(1, bind("q", "x", "1"));
    assert!(bodies(&mut client).is_empty());
    client.call(1, bind("q", "x", "2"));
    assert_eq!(bodies(&mut client), ["c", "d", "e"]);
}

#[test]
fn a_message_may_ask_not_to_be_kept() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    for (body, value) in [
        ("yes", RawValue::Bool(true)),
        ("no", RawValue::Bool(false)),
        ("text", RawValue::LongString(b"true")),
        ("number", RawValue::I32(1)),
    ] {
        client.publish(1, with_header("x", body, NO_STORE, &value));
    }
    client.publish(1, with_header("x", "other", "other", &RawValue::Bool(true)));
    client.call(1, bind("q", "x", ""));
    assert_eq!(bodies(&mut client), ["no", "text", "number", "other"]);
    // It is routed all the same.
    client.publish(1, with_header("x", "yes", NO_STORE, &RawValue::Bool(true)));
    assert_eq!(bodies(&mut client), ["yes"]);
}

#[test]
fn blind_copies_are_kept_without_their_keys() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    let mut keys = ArrayBuilder::new();
    keys.push(&RawValue::LongString(b"other"));
    let keys = RawValue::Array(keys.as_array());
    client.publish(1, with_header("x", "bcc", "BCC", &keys));
    client.publish(1, with_header("x", "cc", "CC", &keys));
    client.call(1, bind("q", "x", ""));
    assert_eq!(bodies(&mut client), ["bcc", "cc"]);
    let headers = |at: usize| {
        let message: &Message = &client.messages()[at];
        message.properties().headers().unwrap().iter().count()
    };
    assert_eq!((headers(0), headers(1)), (0, 1));
}

#[test]
fn what_was_refused_or_rolled_back_is_not_kept() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    client.open(3);
    client.call(3, tx::Select {});
    client.publish(3, routed("x", "k", "rolled back"));
    client.call(3, tx::Rollback {});
    client.publish(3, routed("x", "k", "committed"));
    client.call(3, tx::Commit {});
    client.open(4);
    let mut properties = PropertiesBuilder::new();
    properties.expiration(Some(b"soon"));
    client.publish(4, with_properties("x", "k", "refused", &properties));
    client.skip();
    client.call(1, bind("q", "x", ""));
    assert_eq!(bodies(&mut client), ["committed"]);
}

#[test]
fn what_comes_through_other_exchanges_is_kept_too() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    client.call(1, bind_exchange("x", "amq.topic", "a.*"));
    client.call(
        1,
        exchange_with("main", "direct", &[("alternate-exchange", text("x"))]),
    );
    client.call(
        1,
        queue_with(
            "short",
            &[
                ("x-max-length", AMQPValue::LongInt(0)),
                ("x-dead-letter-exchange", text("x")),
            ],
        ),
    );
    client.publish(1, routed("amq.topic", "a.b", "bound"));
    client.publish(1, routed("amq.topic", "b.b", "not bound"));
    client.publish(1, routed("main", "k", "alternate"));
    client.publish(1, to("short", "dead"));
    client.skip();
    client.call(1, bind("q", "x", ""));
    assert_eq!(bodies(&mut client), ["bound", "alternate", "dead"]);
    let exchanges: Vec<&[u8]> = client.messages().iter().map(Message::exchange).collect();
    assert_eq!(exchanges, [&b"amq.topic"[..], b"main", b"x"]);
}

#[test]
fn an_exchange_bound_to_a_history_hands_on_what_was_kept() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    for name in ["x", "y"] {
        client.call(1, exchange_with(name, "x-recent-history", &[]));
    }
    client.call(1, bind("q", "amq.topic", "a"));
    for (key, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
        client.publish(1, routed("x", key, body));
    }
    client.skip();
    client.call(1, bind_exchange("amq.topic", "x", ""));
    assert_eq!(bodies(&mut client), ["1", "3"]);
    // Another history keeps it, the one that it is from does so not again.
    client.call(1, bind_exchange("x", "y", ""));
    client.call(1, bind_exchange("y", "x", ""));
    client.skip();
    client.call(1, declare("late"));
    client.call(1, bind("late", "y", ""));
    client.call(1, bind("late", "x", ""));
    client.call(2, consume_no_ack("late", "late"));
    assert_eq!(bodies(&mut client), ["1", "2", "3", "1", "2", "3"]);
    // Where nothing is bound nobody is told.
    client.call(1, declare_exchange("nowhere", "fanout"));
    client.call(
        1,
        exchange::Bind {
            nowait: false,
            ..bind_exchange("nowhere", "x", "")
        },
    );
    assert_eq!(
        client.heard(),
        ["1 exchange.declare-ok", "1 exchange.bind-ok"]
    );
}

#[test]
fn a_history_goes_with_its_exchange() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    let history = exchange_with("x", "x-recent-history", &[]);
    client.call(1, history.clone());
    client.publish(1, routed("x", "k", "deleted"));
    client.call(
        1,
        exchange::Delete {
            exchange: "x".into(),
            if_unused: false,
            nowait: true,
        },
    );
    client.call(
        1,
        exchange::Declare {
            auto_delete: true,
            ..history.clone()
        },
    );
    client.publish(1, routed("x", "k", "unbound"));
    client.call(1, declare("p"));
    client.call(1, bind("p", "x", ""));
    client.call(1, delete("p"));
    client.call(1, history);
    client.call(1, bind("q", "x", ""));
    assert!(bodies(&mut client).is_empty());
    client.publish(1, routed("x", "k", "new"));
    assert_eq!(bodies(&mut client), ["new"]);
}

#[test]
fn kept_messages_respect_a_queues_limits_and_its_dead_letter_exchange() {
    let node = Node::new();
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    for body in ["1", "2", "3"] {
        client.publish(1, routed("x", "k", body));
    }
    for (name, overflow) in [("drops", "drop-head"), ("refuses", "reject-publish")] {
        client.call(
            1,
            queue_with(
                name,
                &[
                    ("x-max-length", AMQPValue::LongInt(1)),
                    ("x-overflow", text(overflow)),
                    ("x-dead-letter-exchange", text("")),
                    ("x-dead-letter-routing-key", text("q")),
                ],
            ),
        );
        client.call(1, bind(name, "x", ""));
    }
    assert_eq!(bodies(&mut client), ["1", "2"], "what drop-head dropped");
    client.call(2, consume_no_ack("drops", "d"));
    assert_eq!(bodies(&mut client), ["3"]);
    client.call(2, consume_no_ack("refuses", "r"));
    assert_eq!(bodies(&mut client), ["1"]);
}

#[test]
fn histories_keep_no_more_octets_than_they_may() {
    let node = Node::with_limits(Limits {
        history_memory_bytes: 2_000,
        ..Limits::default()
    });
    let mut client = consuming(&node, "q");
    client.call(1, exchange_with("x", "x-recent-history", &[]));
    for number in 0..10 {
        client.publish(1, routed("x", "k", &format!("{number}{}", "x".repeat(500))));
    }
    client.publish(1, routed("x", "k", &"y".repeat(3_000)));
    client.call(1, bind("q", "x", ""));
    let first: Vec<char> = bodies(&mut client)
        .iter()
        .filter_map(|body| body.chars().next())
        .collect();
    assert_eq!(first, ['7', '8', '9']);
}

#[test]
fn a_durable_history_is_empty_after_a_restart_and_what_it_brought_is_not_lost() {
    let node = Node::new();
    let mut client = node.client();
    client.call(
        1,
        exchange::Declare {
            durable: true,
            ..exchange_with("x", "x-recent-history", &[])
        },
    );
    let mut properties = PropertiesBuilder::new();
    properties.delivery_mode(Some(2));
    client.publish(1, with_properties("x", "k", "kept", &properties));
    client.call(1, declare_durable("early"));
    client.call(1, bind("early", "x", ""));
    client.skip();
    node.sync();
    let node = node.crash();
    let mut client = consuming(&node, "late");
    client.call(1, bind("late", "x", ""));
    assert!(bodies(&mut client).is_empty());
    client.call(2, consume_no_ack("early", "early"));
    assert_eq!(bodies(&mut client), ["kept"]);
    client.publish(1, routed("x", "k", "new"));
    assert_eq!(bodies(&mut client), ["new", "new"]);
}

/// Queues `q0` to `q3`, bound to a new exchange `x` of that type by `key`, and consumed.
fn four(node: &Node, declare_x: exchange::Declare, key: &str) -> Client {
    let mut client = node.client();
    client.call(1, declare_x);
    for queue in ["q0", "q1", "q2", "q3"] {
        client.call(1, declare(queue));
        client.call(1, bind(queue, "x", key));
        client.call(2, consume_no_ack(queue, queue));
    }
    client.skip();
    client
}

/// How many of the deliveries since the last time each queue made.
fn counts(client: &mut Client) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in client.heard() {
        if let Some(queue) = line.strip_prefix("2 deliver ") {
            let queue = queue.split(' ').next().unwrap();
            *counts.entry(queue.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn a_random_route_is_found_anew_for_each_message() {
    for (kind, key) in [("x-random", "any"), ("x-local-random", "")] {
        let node = Node::new();
        let mut client = four(&node, exchange_with("x", kind, &[]), key);
        for _ in 0..400 {
            client.publish(1, routed("x", "k", "m"));
        }
        let counts = counts(&mut client);
        assert_eq!(counts.values().sum::<usize>(), 400, "{kind}");
        // That 400 fair draws leave one of four out has a chance of 4 in 10 to the 50.
        assert_eq!(counts.len(), 4, "{kind}: {counts:?}");
    }
}

#[test]
fn a_hash_of_a_header_is_looked_at_for_each_message() {
    let node = Node::new();
    let declare_x = exchange_with("x", "x-consistent-hash", &[("hash-header", text("h"))]);
    let mut client = four(&node, declare_x, "1");
    let mut queue_of = |value: &str| {
        let value = RawValue::LongString(value.as_bytes());
        client.publish(1, with_header("x", "m", "h", &value));
        let counts = counts(&mut client);
        assert_eq!(counts.values().sum::<usize>(), 1);
        counts.into_keys().next().unwrap()
    };
    let first: Vec<String> = (0..40).map(|value| queue_of(&value.to_string())).collect();
    let second: Vec<String> = (0..40).map(|value| queue_of(&value.to_string())).collect();
    assert_eq!(first, second);
    let distinct: std::collections::BTreeSet<_> = first.into_iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn a_hash_of_a_property_is_looked_at_for_each_message() {
    let node = Node::new();
    let declare_x = exchange_with(
        "x",
        "x-consistent-hash",
        &[("hash-property", text("timestamp"))],
    );
    let mut client = four(&node, declare_x, "1");
    for time in 0..40 {
        let mut properties = PropertiesBuilder::new();
        properties.timestamp(Some(time));
        client.publish(1, with_properties("x", "k", "m", &properties));
    }
    assert_eq!(counts(&mut client).len(), 4);
    for _ in 0..10 {
        client.publish(1, routed("x", "k", "m"));
    }
    assert_eq!(
        counts(&mut client).len(),
        1,
        "without the property all go one way"
    );
}

#[test]
fn a_key_keeps_its_queue_over_a_restart() {
    for (kind, key) in [("x-consistent-hash", "2"), ("x-modulus-hash", "any")] {
        let node = Node::new();
        let mut client = node.client();
        client.call(
            1,
            exchange::Declare {
                durable: true,
                ..exchange_with("x", kind, &[])
            },
        );
        // Not in the order of their names.
        for queue in ["q2", "q0", "q3", "q1"] {
            client.call(1, declare_durable(queue));
            client.call(1, bind(queue, "x", key));
        }
        client.skip();
        node.sync();
        let place = |client: &mut Client| {
            for queue in ["q0", "q1", "q2", "q3"] {
                client.call(2, consume_no_ack(queue, queue));
            }
            client.skip();
            let mut queues = Vec::new();
            for number in 0..30 {
                client.publish(1, routed("x", &format!("key.{number}"), "m"));
                queues.extend(counts(client).into_keys());
            }
            queues
        };
        let before = place(&mut client);
        let node = node.crash();
        assert_eq!(place(&mut node.client()), before, "{kind}");
    }
}

#[test]
fn dead_letters_and_confirms_go_through_picking_exchanges() {
    let node = Node::new();
    let declare_x = exchange_with("x", "x-consistent-hash", &[]);
    let mut client = four(&node, declare_x, "1");
    client.call(
        1,
        queue_with(
            "short",
            &[
                ("x-max-length", AMQPValue::LongInt(0)),
                ("x-dead-letter-exchange", text("x")),
            ],
        ),
    );
    client.skip();
    client.publish(1, to("short", "dead"));
    assert_eq!(counts(&mut client).values().sum::<usize>(), 1);
    client.open(3);
    client.call(3, confirm_select());
    client.skip();
    client.publish_mandatory(3, routed("x", "k", "m"));
    let heard = client.heard();
    assert!(heard.contains(&"3 ack 1".to_owned()), "{heard:?}");
    client.publish(1, persistent("short", "dead too"));
    assert_eq!(counts(&mut client).values().sum::<usize>(), 1);
}

#[test]
fn a_quorum_queue_is_not_local() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, exchange_with("x", "x-local-random", &[]));
    let quorum = queue::Declare {
        durable: true,
        nowait: true,
        ..queue_with("q", &[("x-queue-type", text("quorum"))])
    };
    client.call(1, quorum);
    client.call(1, bind("q", "x", "k"));
    client.call(2, bind("q", "x", ""));
    assert_eq!(
        client.heard(),
        [
            "1 close 406 PRECONDITION_FAILED - Non empty binding 'k' key not permitted 50 20",
            "2 close 406 PRECONDITION_FAILED - Queue type rabbit_quorum_queue not valid for this exchange type 50 20",
        ]
    );
}
