//! Consumer argument `x-priority`.

use leveret_tests::requests::{ack, consume, prefetch, queue, table};
use leveret_tests::{Client, Delivery, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::basic::Consume;

fn with_priority(tag: &str, priority: i32) -> Consume {
    Consume {
        arguments: table([("x-priority", AMQPValue::LongInt(priority))]),
        ..consume("q", tag)
    }
}

/// The tags of the consumers that get the next messages.
fn publish_to(client: &mut Client, count: usize) -> Vec<Delivery> {
    client.publish_all(1, (0..count).map(|_| Publish::to_queue("q").body("m")));
    client.expect_deliveries(1, count)
}

fn tags(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .map(|delivery| delivery.method.consumer_tag.as_str())
        .collect()
}

#[test]
fn the_highest_gets_everything_while_it_has_credit() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for (tag, priority) in [("low", -5), ("high", 10), ("middle", 1)] {
        client.call(1, with_priority(tag, priority));
    }
    client.call(1, consume("q", "none"));
    assert_eq!(tags(&publish_to(&mut client, 4)), ["high"; 4]);
    client.call(1, leveret_tests::requests::cancel("high"));
    assert_eq!(tags(&publish_to(&mut client, 2)), ["middle"; 2]);
    client.call(1, leveret_tests::requests::cancel("middle"));
    // Without the argument the priority is 0.
    assert_eq!(tags(&publish_to(&mut client, 2)), ["none"; 2]);
    client.call(1, leveret_tests::requests::cancel("none"));
    assert_eq!(tags(&publish_to(&mut client, 2)), ["low"; 2]);
}

#[test]
fn one_without_credit_lets_lower_ones_run() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, prefetch(2));
    client.call(1, with_priority("high", 1));
    client.call(1, prefetch(0));
    client.call(1, with_priority("low", 0));
    let deliveries = publish_to(&mut client, 4);
    assert_eq!(tags(&deliveries), ["high", "high", "low", "low"]);
    client.send(1, ack(deliveries[0].tag()));
    assert_eq!(tags(&publish_to(&mut client, 2)), ["high", "low"]);
}

#[test]
fn equal_ones_take_turns() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, with_priority("low", 1));
    client.call(1, with_priority("a", 2));
    client.call(1, with_priority("b", 2));
    assert_eq!(tags(&publish_to(&mut client, 4)), ["a", "b", "a", "b"]);
}

#[test]
fn any_integer_type_will_do() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let values = [
        AMQPValue::ShortShortInt(-1),
        AMQPValue::ShortInt(2),
        AMQPValue::LongLongInt(i64::MAX),
        AMQPValue::LongLongInt(i64::MIN),
    ];
    for (number, value) in values.into_iter().enumerate() {
        let tag = number.to_string();
        client.call(
            1,
            Consume {
                arguments: table([("x-priority", value)]),
                ..consume("q", &tag)
            },
        );
    }
    assert_eq!(tags(&publish_to(&mut client, 1)), ["2"]);
}
