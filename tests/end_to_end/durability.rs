//! What survives a shutdown and a restart.

use std::path::Path;

use leveret_tests::requests::{
    ack, bind, bind_exchange, consume, delete_exchange, delete_queue, durable_queue, exchange,
    nack, passive_exchange, passive_queue, queue, table, text, unbind,
};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::{exchange, queue};

/// A data folder, and the broker that serves it now.
struct Node {
    folder: tempfile::TempDir,
    server: Server,
}

/// A broker on a folder. Clients that don't answer its close hold a shutdown up for a second only.
fn serve(folder: &Path) -> Server {
    Server::build(|builder| {
        builder
            .data_dir(folder)
            .configure(|config| config.limits.close_timeout_seconds = 1)
    })
}

impl Node {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = serve(folder.path());
        Self { folder, server }
    }

    fn client(&self) -> Client {
        self.server.client()
    }

    /// Shut down in good order and start again.
    fn restart(&mut self) {
        self.server.shut_down();
        self.server = serve(self.folder.path());
    }
}

fn durable_exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        durable: true,
        ..exchange(name, kind)
    }
}

/// Publish and wait for the confirms.
fn publish_confirmed(client: &mut Client, publishes: Vec<Publish>) {
    let count = publishes.len() as u64;
    client.open_channel(9);
    client.confirm_select(9);
    client.publish_all(9, publishes);
    client.expect_confirms(9, 1, count);
    client.close_channel(9);
}

fn missing_queue(client: &mut Client, name: &str) {
    let text = format!("NOT_FOUND - no queue '{name}' in vhost '/'");
    client.expect_refused(1, passive_queue(name), 404, &text);
}

#[test]
fn durable_exchanges_queues_and_bindings_survive() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_exchange("de", "topic"));
    client.call(1, exchange("te", "fanout"));
    client.call(1, durable_queue("dq"));
    client.call(1, queue("tq"));
    client.call(1, bind("dq", "de", "a.*"));
    client.call(1, bind("dq", "te", ""));
    client.call(1, bind("tq", "de", "#"));
    client.call(1, bind("dq", "amq.direct", "k"));
    client.call(1, bind_exchange("de", "amq.fanout", ""));
    client.close();
    node.restart();
    let mut client = node.client();
    client.call(1, durable_exchange("de", "topic"));
    client.call(1, durable_queue("dq"));
    missing_queue(&mut client, "tq");
    client.expect_refused(
        1,
        passive_exchange("te"),
        404,
        "NOT_FOUND - no exchange 'te' in vhost '/'",
    );
    client.publish(1, &Publish::to("de", "a.b").body("1"));
    client.publish(1, &Publish::to("de", "b").mandatory().body("unbound"));
    assert_eq!(client.expect_return(1).content.text(), "unbound");
    client.publish(1, &Publish::to("amq.direct", "k").body("2"));
    client.publish(1, &Publish::to("amq.fanout", "a.x").body("3"));
    assert_eq!(client.drain(1, "dq"), ["1", "2", "3"]);
}

#[test]
fn properties_of_definitions_survive() {
    let mut node = Node::start();
    let mut client = node.client();
    let alternate = exchange::Declare {
        internal: true,
        auto_delete: true,
        arguments: table([
            ("alternate-exchange", text("ae")),
            ("x-own", AMQPValue::LongInt(1)),
        ]),
        ..durable_exchange("x", "headers")
    };
    client.call(1, alternate.clone());
    client.call(1, durable_exchange("plain", "direct"));
    let auto = queue::Declare {
        auto_delete: true,
        arguments: table([("x-max-length", AMQPValue::LongInt(100))]),
        ..durable_queue("auto")
    };
    client.call(1, auto.clone());
    let headers = queue::Bind {
        arguments: table([
            ("x-match", text("any")),
            ("a", AMQPValue::LongInt(1)),
            ("b", AMQPValue::Void),
        ]),
        ..bind("auto", "amq.headers", "")
    };
    client.call(1, headers);
    client.close();
    node.restart();
    let mut client = node.client();
    // Declared equal, they are equal.
    client.call(1, alternate);
    client.call(1, auto);
    client.expect_refused(
        1,
        durable_exchange("x", "headers"),
        406,
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': \
         received 'false' but current is 'true'",
    );
    for (headers, expected) in [
        (table([("a", AMQPValue::LongInt(1))]), 1),
        (table([("b", text("anything"))]), 2),
        (table([("a", AMQPValue::LongInt(2))]), 2),
    ] {
        let properties = Properties::new().headers(&headers);
        client.publish(1, &Publish::to("amq.headers", "").properties(&properties));
        assert_eq!(client.counts(1, "auto"), (expected, 0));
    }
    // An auto-delete queue that had no consumer since still goes with its next one.
    client.call(1, consume("auto", "c"));
    client.expect_deliveries(1, 2);
    client.call(1, leveret_tests::requests::cancel("c"));
    missing_queue(&mut client, "auto");
}

#[test]
fn persistent_messages_survive_in_order_with_their_properties() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    let publish = |number: usize| {
        let headers = table([("n", AMQPValue::LongLongInt(i64::try_from(number).unwrap()))]);
        let properties = Properties::persistent()
            .content_type("text/plain")
            .headers(&headers)
            .priority(3)
            .message_id(&number.to_string())
            .timestamp(1_700_000_000);
        let body = format!("{number} ").repeat(number % 97);
        Publish::to("", "d").properties(&properties).body(body)
    };
    publish_confirmed(&mut client, (0..1_000).map(publish).collect());
    client.close();
    node.restart();
    let mut client = node.client();
    assert_eq!(client.counts(1, "d"), (1_000, 0));
    for number in 0..1_000 {
        let got = client.get(1, "d", true).unwrap();
        assert_eq!(
            got.content.header,
            publish(number).header_payload(),
            "message {number}"
        );
        assert_eq!(got.text(), format!("{number} ").repeat(number % 97));
        assert!(!got.redelivered(), "message {number} was never out");
        assert_eq!(got.method.routing_key.as_str(), "d");
    }
    assert_eq!(client.get(1, "d", true), None);
    client.close();
    node.restart();
    assert_eq!(node.client().counts(1, "d"), (0, 0));
}

#[test]
fn large_bodies_survive() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    let body = |seed: usize| -> Vec<u8> {
        (0..3_000_000)
            .map(|at: usize| u8::try_from((at * 31 + seed) % 251).unwrap())
            .collect()
    };
    publish_confirmed(
        &mut client,
        (0..3)
            .map(|seed| Publish::to_queue("d").persistent().body(body(seed)))
            .collect(),
    );
    client.close();
    node.restart();
    let mut client = node.client();
    for seed in 0..3 {
        let got = client.get(1, "d", true).unwrap();
        assert!(got.content.body == body(seed), "body {seed} has changed");
    }
}

#[test]
fn transient_messages_are_gone() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    let publishes = (0..100)
        .map(|number| {
            let publish = Publish::to_queue("d").body(number.to_string());
            if number % 2 == 0 {
                publish.persistent()
            } else {
                publish
            }
        })
        .collect();
    publish_confirmed(&mut client, publishes);
    assert_eq!(client.counts(1, "d"), (100, 0));
    client.close();
    node.restart();
    let expected: Vec<String> = (0..100)
        .step_by(2)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(node.client().drain(1, "d"), expected);
}

#[test]
fn exclusive_and_transient_queues_are_gone() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..durable_queue("e")
        },
    );
    client.call(1, queue("t"));
    let named = client
        .call(
            1,
            queue::Declare {
                durable: true,
                ..queue("")
            },
        )
        .queue
        .to_string();
    for name in ["e", "t"] {
        client.publish(1, &Publish::to_queue(name).persistent().body("m"));
    }
    client.expect_quiet(1);
    node.restart();
    let mut client = node.client();
    missing_queue(&mut client, "e");
    missing_queue(&mut client, "t");
    client.call(1, passive_queue(&named));
    // Declared anew, they are empty.
    assert_eq!(client.call(1, durable_queue("e")).message_count, 0);
    assert_eq!(client.call(1, durable_queue("t")).message_count, 0);
}

#[test]
fn what_was_out_unacked_comes_back_redelivered() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    let publishes =
        (0..6).map(|number| Publish::to_queue("d").persistent().body(number.to_string()));
    publish_confirmed(&mut client, publishes.collect());
    let tags: Vec<u64> = (0..4)
        .map(|_| client.get(1, "d", false).unwrap().tag())
        .collect();
    client.send(1, ack(tags[1]));
    client.send(1, nack(tags[3], false));
    client.expect_quiet(1);
    node.restart();
    let mut client = node.client();
    for (body, redelivered) in [("0", true), ("2", true), ("4", false), ("5", false)] {
        let got = client.get(1, "d", true).unwrap();
        assert_eq!((got.text(), got.redelivered()), (body, redelivered));
    }
    assert_eq!(client.get(1, "d", true), None);
}

#[test]
fn acked_and_purged_messages_stay_gone() {
    let mut node = Node::start();
    let mut client = node.client();
    for name in ["acked", "purged", "no_ack"] {
        client.call(1, durable_queue(name));
        let publishes = (0..50).map(|_| Publish::to_queue(name).persistent().body("m"));
        publish_confirmed(&mut client, publishes.collect());
    }
    client.call(1, consume("acked", "c"));
    let last = client.expect_deliveries(1, 50).last().unwrap().tag();
    client.send(1, leveret_tests::requests::ack_up_to(last));
    client.call(1, leveret_tests::requests::purge("purged"));
    assert_eq!(client.drain(1, "no_ack").len(), 50);
    client.close();
    node.restart();
    let mut client = node.client();
    for name in ["acked", "purged", "no_ack"] {
        assert_eq!(client.counts(1, name), (0, 0), "{name}");
    }
}

#[test]
fn deleted_definitions_stay_gone() {
    let mut node = Node::start();
    let mut client = node.client();
    for name in ["x", "y"] {
        client.call(1, durable_exchange(name, "fanout"));
        client.call(1, durable_queue(name));
        client.call(1, bind(name, name, ""));
        client.call(1, bind(name, "amq.fanout", ""));
        publish_confirmed(
            &mut client,
            vec![Publish::to_queue(name).persistent().body(name)],
        );
    }
    client.call(1, delete_queue("x"));
    client.call(1, delete_exchange("x"));
    client.call(1, unbind("y", "amq.fanout", ""));
    // A queue of the same name is a new one.
    client.call(1, durable_queue("x"));
    client.close();
    node.restart();
    let mut client = node.client();
    assert_eq!(client.counts(1, "x"), (0, 0));
    assert_eq!(client.counts(1, "y"), (1, 0));
    client.expect_refused(
        1,
        passive_exchange("x"),
        404,
        "NOT_FOUND - no exchange 'x' in vhost '/'",
    );
    client.publish(1, &Publish::to("amq.fanout", "").mandatory());
    client.expect_return(1);
    client.publish(1, &Publish::to("y", "").body("again"));
    assert_eq!(client.drain(1, "y"), ["y", "again"]);
}

#[test]
fn a_message_in_several_queues_is_settled_in_each_apart() {
    let mut node = Node::start();
    let mut client = node.client();
    for name in ["a", "b", "c"] {
        client.call(1, durable_queue(name));
        client.call(1, bind(name, "amq.fanout", ""));
    }
    let publishes = (0..20).map(|number| {
        Publish::to("amq.fanout", "")
            .persistent()
            .body(number.to_string())
    });
    publish_confirmed(&mut client, publishes.collect());
    assert_eq!(client.drain(1, "a").len(), 20);
    for _ in 0..10 {
        client.get(1, "b", true).unwrap();
    }
    client.close();
    node.restart();
    let mut client = node.client();
    let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(client.drain(1, "a"), [""; 0]);
    assert_eq!(client.drain(1, "b"), all[10..]);
    assert_eq!(client.drain(1, "c"), all);
}

#[test]
fn committed_transactions_survive_and_others_do_not() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    client.call(1, leveret_wire::method::tx::Select {});
    client.publish(1, &Publish::to_queue("d").persistent().body("committed"));
    client.call(1, leveret_wire::method::tx::Commit {});
    client.publish(1, &Publish::to_queue("d").persistent().body("held"));
    client.expect_quiet(1);
    node.restart();
    assert_eq!(node.client().drain(1, "d"), ["committed"]);
}

#[test]
fn new_messages_stand_behind_old_ones() {
    let mut node = Node::start();
    for round in 0..4 {
        let mut client = node.client();
        client.call(1, durable_queue("d"));
        let publishes = (0..10).map(|number| {
            Publish::to_queue("d")
                .persistent()
                .body(format!("{round}.{number}"))
        });
        publish_confirmed(&mut client, publishes.collect());
        client.close();
        node.restart();
    }
    let expected: Vec<String> = (0..40)
        .map(|number| format!("{}.{}", number / 10, number % 10))
        .collect();
    assert_eq!(node.client().drain(1, "d"), expected);
}

#[test]
fn a_folder_may_be_moved() {
    let mut node = Node::start();
    let mut client = node.client();
    client.call(1, durable_queue("d"));
    publish_confirmed(
        &mut client,
        vec![Publish::to_queue("d").persistent().body("m")],
    );
    client.close();
    node.server.shut_down();
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    std::fs::rename(node.folder.path(), &moved).unwrap();
    let server = serve(&moved);
    assert_eq!(server.client().drain(1, "d"), ["m"]);
    // The folder's owner finds it where it expects it.
    drop(server);
    std::fs::create_dir_all(node.folder.path()).unwrap();
}

#[test]
fn a_changed_password_in_the_settings_changes_no_user() {
    let mut node = Node::start();
    node.server.shut_down();
    let folder = node.folder.path();
    node.server = Server::build(|builder| {
        builder
            .data_dir(folder)
            .configure(|config| config.default_user.password = "other".to_owned().into())
    });
    node.client().close();
}
