//! Tracing of a vhost: what clients publish and are given is copied to `amq.rabbitmq.trace`.

use leveret_tests::requests::{bind, consume, consume_no_ack, exchange, queue, table, text};
use leveret_tests::{Client, Delivery, Properties, Publish, Server};
use leveret_wire::{AMQPValue, FieldTable};

/// A client that is given every copy.
fn watcher(server: &Server) -> Client {
    let mut watcher = server.client();
    watcher.call(1, queue("copies"));
    watcher.call(1, bind("copies", "amq.rabbitmq.trace", "#"));
    watcher.call(1, consume_no_ack("copies", "watcher"));
    watcher
}

fn headers(copy: &Delivery) -> FieldTable {
    copy.content
        .properties()
        .headers()
        .unwrap()
        .to_field_table()
}

#[track_caller]
fn value(copy: &Delivery, name: &str) -> AMQPValue {
    let headers = headers(copy);
    let value = headers.inner().get(name);
    value.unwrap_or_else(|| panic!("no {name}")).clone()
}

fn texts(names: &[&str]) -> AMQPValue {
    let mut array = leveret_wire::FieldArray::default();
    for name in names {
        array.push(text(name));
    }
    AMQPValue::FieldArray(array)
}

#[test]
fn a_publish_and_its_delivery_are_copied_with_what_they_were() {
    let server = Server::start();
    let mut watcher = watcher(&server);
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, queue("r"));
    client.call(1, exchange("x", "fanout"));
    client.call(1, bind("q", "x", ""));
    client.call(1, bind("r", "x", ""));
    client.call(1, consume("q", "c"));
    // A route that is remembered.
    client.publish(1, &Publish::to("x", "before").body("before"));
    client.expect_delivery(1);
    server.running().broker().start_tracing("/").unwrap();
    let properties = Properties::new()
        .content_type("text/plain")
        .priority(3)
        .headers(&table([("colour", text("red")), ("CC", texts(&["more"]))]));
    client.publish(
        1,
        &Publish::to("x", "key").properties(&properties).body("body"),
    );
    client.expect_delivery(1);

    let published = watcher.expect_delivery(1);
    assert_eq!(published.method.exchange.as_str(), "amq.rabbitmq.trace");
    assert_eq!(published.method.routing_key.as_str(), "publish.x");
    assert_eq!(published.text(), "body");
    assert_eq!(published.content.properties().delivery_mode(), None);
    assert_eq!(value(&published, "exchange_name"), text("x"));
    assert_eq!(value(&published, "routing_keys"), texts(&["key", "more"]));
    assert_eq!(value(&published, "routed_queues"), texts(&["q", "r"]));
    assert_eq!(value(&published, "vhost"), text("/"));
    assert_eq!(value(&published, "user"), text("guest"));
    assert_eq!(value(&published, "channel"), AMQPValue::LongInt(1));
    assert_eq!(value(&published, "node"), text("leveret@localhost"));
    let AMQPValue::LongString(connection) = value(&published, "connection") else {
        panic!("no name of a connection");
    };
    assert!(connection.to_string().contains(" -> "), "{connection}");
    let AMQPValue::FieldTable(told) = value(&published, "properties") else {
        panic!("no table of properties");
    };
    let of = |name: &str| told.inner().get(name).cloned();
    assert_eq!(of("content_type"), Some(text("text/plain")));
    assert_eq!(of("priority"), Some(AMQPValue::LongInt(3)));
    assert_eq!(of("message_id"), None);
    let Some(AMQPValue::FieldTable(own)) = of("headers") else {
        panic!("no headers of its own");
    };
    assert_eq!(own.inner().get("colour"), Some(&text("red")));

    let delivered = watcher.expect_delivery(1);
    assert_eq!(delivered.method.routing_key.as_str(), "deliver.q");
    assert_eq!(delivered.text(), "body");
    assert_eq!(value(&delivered, "redelivered"), AMQPValue::LongInt(0));
    assert_eq!(value(&delivered, "exchange_name"), text("x"));
}

#[test]
fn what_is_fetched_what_comes_back_and_what_goes_nowhere_is_copied() {
    let server = Server::start();
    let mut watcher = watcher(&server);
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish_text(1, "q", "m");
    assert_eq!(client.counts(1, "q").0, 1);
    server.running().broker().start_tracing("/").unwrap();
    let got = client.get(1, "q", false).unwrap();
    client.send(1, leveret_tests::requests::nack(got.tag(), true));
    client.get(1, "q", true).unwrap();
    client.publish(1, &Publish::to("amq.direct", "nobody").body("lost"));
    let copies = watcher.expect_deliveries(1, 3);
    let keys: Vec<&str> = copies
        .iter()
        .map(|copy| copy.method.routing_key.as_str())
        .collect();
    assert_eq!(keys, ["deliver.q", "deliver.q", "publish.amq.direct"]);
    assert_eq!(value(&copies[0], "redelivered"), AMQPValue::LongInt(0));
    assert_eq!(value(&copies[1], "redelivered"), AMQPValue::LongInt(1));
    assert_eq!(value(&copies[2], "routed_queues"), texts(&[]));
}

#[test]
fn tracing_ends_and_is_of_one_vhost() {
    let server = Server::start();
    let broker = server.running().broker();
    let mut watcher = watcher(&server);
    let mut client = server.client();
    client.call(1, queue("q"));
    assert!(broker.start_tracing("nowhere").is_err());
    broker.start_tracing("/").unwrap();
    client.publish_text(1, "q", "traced");
    assert_eq!(client.counts(1, "q").0, 1);
    broker.stop_tracing("/").unwrap();
    client.publish_text(1, "q", "not traced");
    assert_eq!(client.counts(1, "q").0, 2);
    broker.start_tracing("/").unwrap();
    client.publish_text(1, "q", "traced again");
    watcher.expect_bodies(1, &["traced", "traced again"]);
}
