//! The exchange type x-recent-history: what it keeps for queues bound later.

use leveret_tests::requests::{bind, consume_no_ack, exchange, queue, table, text};
use leveret_tests::{Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::exchange::Declare;

/// A history of a length.
fn history(length: AMQPValue) -> Declare {
    Declare {
        arguments: table([("x-recent-history-length", length)]),
        ..exchange("x", "x-recent-history")
    }
}

/// Messages to `x` whose bodies are their keys.
fn keyed(keys: std::ops::Range<u32>) -> impl Iterator<Item = Publish> {
    keys.map(|number| {
        let key = format!("key.{number}");
        Publish::to("x", &key).body(key)
    })
}

#[test]
fn a_new_queue_gets_the_recent_history() {
    let server = Server::start();
    let mut client = server.client();
    let length = AMQPValue::LongInt(2);
    client.call(1, history(length));
    let no_store = table([("x-recent-history-no-store", AMQPValue::Boolean(true))]);
    for (key, body) in [("a", "1"), ("b", "2"), ("c", "3")] {
        client.publish(1, &Publish::to("x", key).body(body));
    }
    let properties = Properties::new().headers(&no_store);
    client.publish(
        1,
        &Publish::to("x", "d").properties(&properties).body("gone"),
    );
    client.call(1, queue("q"));
    client.call(1, bind("q", "x", ""));
    let got = client.get(1, "q", true).unwrap();
    assert_eq!(
        (
            got.text(),
            got.method.exchange.as_str(),
            got.method.routing_key.as_str(),
            got.redelivered(),
        ),
        ("2", "x", "b", false)
    );
    assert_eq!(client.drain(1, "q"), ["3"]);
    // Live ones follow, and a second queue gets the latest of all.
    client.publish(1, &Publish::to("x", "e").body("4"));
    client.call(1, queue("p"));
    client.call(1, consume_no_ack("p", "p"));
    client.call(1, bind("p", "x", ""));
    client.expect_bodies(1, &["3", "4"]);
    assert_eq!(client.drain(1, "q"), ["4"]);
}

#[test]
fn twenty_messages_are_kept_if_nobody_says_how_many() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "x-recent-history"));
    client.publish_all(1, keyed(0..30));
    client.call(1, queue("q"));
    client.call(1, bind("q", "x", ""));
    let expected: Vec<String> = (10..30).map(|number| format!("key.{number}")).collect();
    assert_eq!(client.drain(1, "q"), expected);
}

#[test]
fn a_history_length_is_a_positive_integer() {
    let server = Server::start();
    let mut client = server.client();
    for (value, shown) in [
        (AMQPValue::LongInt(0), "0"),
        (AMQPValue::LongInt(-1), "-1"),
        (text("5"), r#"<<"5">>"#),
        (AMQPValue::Boolean(true), "true"),
    ] {
        client.expect_refused(
            1,
            history(value),
            406,
            &format!(
                "PRECONDITION_FAILED - Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
            ),
        );
    }
    let length = AMQPValue::LongLongInt(1 << 40);
    client.call(1, history(length));
}

#[test]
fn nothing_is_missed_or_doubled_while_others_publish() {
    let server = Server::start();
    let mut client = server.client();
    let length = AMQPValue::LongInt(100_000);
    client.call(1, history(length));
    let mut publisher = server.client();
    let publishing = std::thread::spawn(move || {
        publisher.confirm_select(1);
        publisher.publish_all(1, keyed(0..5_000));
        publisher.expect_confirms(1, 1, 5_000);
    });
    let names: Vec<String> = (0..20).map(|number| format!("q{number}")).collect();
    for name in &names {
        client.call(1, queue(name));
        client.call(1, bind(name, "x", ""));
    }
    publishing.join().unwrap();
    for name in &names {
        // Each message once: by the history or by the binding.
        assert_eq!(client.counts(1, name).0, 5_000, "{name}");
    }
}
