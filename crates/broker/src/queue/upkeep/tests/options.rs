//! Single active consumers, quorum queues, and consumers that keep messages too long.

use leveret_wire::method::{basic, queue};
use leveret_wire::{AMQPClass, AMQPValue, Message, PropertiesBuilder, RawValue, TableBuilder};

use crate::scenario::{Scenario, body, deaths, int, message, table, text, to};

fn delivery_count(message: &Message) -> Option<i64> {
    message
        .properties()
        .headers()?
        .get(b"x-delivery-count")?
        .as_integer()
}

#[test]
fn only_the_active_consumer_gets_messages() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[("x-single-active-consumer", AMQPValue::Boolean(true))],
    );
    client.qos(1);
    for (tag, priority) in [("first", 0), ("second", 0), ("third", 5), ("fourth", 5)] {
        client.consume("q", tag, priority);
    }
    for number in ["1", "2", "3", "4"] {
        client.publish(to("q", number));
    }
    assert_eq!(
        client.told(),
        ["1 deliver first 1 1"],
        "prefetch holds it back, and it stays active"
    );
    let mut told = client.cancel("first");
    told.sort();
    assert_eq!(
        told,
        ["1 cancel-ok first", "1 deliver third 2 2"],
        "priority first, then age"
    );
    client.ack(2);
    assert_eq!(client.told(), ["1 deliver third 3 3"]);
    assert_eq!(client.cancel("fourth"), ["1 cancel-ok fourth"]);
    let mut told = client.cancel("third");
    told.sort();
    assert_eq!(told, ["1 cancel-ok third", "1 deliver second 4 4"]);
    assert_eq!(client.cancel("second"), ["1 cancel-ok second"]);
    client.publish(to("q", "5"));
    assert_eq!(
        client.consume("q", "fifth", 0),
        ["1 consume-ok fifth", "1 deliver fifth 5 5"]
    );
}

#[test]
fn nobody_is_exclusive_where_one_is_active() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[("x-single-active-consumer", AMQPValue::Boolean(true))],
    );
    let exclusive = basic::Consume {
        queue: "q".into(),
        exclusive: true,
        ..basic::Consume::default()
    };
    let told = client.call(AMQPClass::Basic(basic::AMQPMethod::Consume(exclusive)));
    assert_eq!(
        told,
        ["1 close 403 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use 60 20"]
    );
}

#[test]
fn the_next_consumer_of_another_connection_takes_over() {
    let node = Scenario::new();
    let (mut one, mut other) = (node.client(), node.client());
    one.declare(
        "q",
        &[("x-single-active-consumer", AMQPValue::Boolean(true))],
    );
    one.consume("q", "one", 0);
    other.consume("q", "other", 0);
    one.publish(to("q", "1"));
    one.publish(to("q", "2"));
    assert_eq!(one.bodies(), ["1", "2"]);
    one.close();
    assert_eq!(other.bodies(), ["1", "2"]);
}

#[test]
fn a_quorum_queue_counts_returns_and_gives_up() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("graves", &[]);
    let arguments = [
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", int(2)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("graves")),
    ];
    client.declare_durable("q", &arguments);
    let mut headers = TableBuilder::new();
    headers
        .put(b"x-delivery-count", &RawValue::I32(77))
        .put(b"mine", &RawValue::Bool(true));
    let headers = headers.into_content();
    client.publish(message(
        "",
        "q",
        "m",
        PropertiesBuilder::new().headers(Some(&headers)),
    ));
    for (tag, count) in [(1, None), (2, Some(1)), (3, Some(2))] {
        let got = client.get("q", false).unwrap();
        assert_eq!(delivery_count(&got), count, "delivery {tag}");
        assert!(got.properties().headers().unwrap().get(b"mine").is_some());
        client.nack(tag, true);
    }
    assert!(client.get("q", false).is_none());
    let dead = client.get("graves", true).unwrap();
    assert_eq!(
        deaths(&dead),
        [("delivery_limit".to_owned(), "q".to_owned(), 1)]
    );
    assert_eq!(delivery_count(&dead), None);
}

#[test]
fn a_quorum_queue_keeps_transient_messages_and_counts_over_a_restart() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[("x-queue-type", text("quorum"))]);
    client.publish(to("q", "m"));
    client.get("q", false);
    client.nack(1, true);
    client.get("q", false);
    // Not closed: the node goes down with the message out.
    let node = node.restart(0);
    let got = node.client().get("q", false).unwrap();
    assert_eq!(
        (body(&got), delivery_count(&got)),
        ("m".to_owned(), Some(2))
    );
}

#[test]
fn a_quorum_queue_refuses_what_it_can_not_be() {
    let arguments = table(&[("x-queue-type", text("quorum"))]);
    let durable = queue::Declare {
        queue: "q".into(),
        durable: true,
        arguments,
        ..queue::Declare::default()
    };
    let refused = [
        (
            queue::Declare {
                durable: false,
                ..durable.clone()
            },
            "invalid property 'non-durable' for queue 'q' in vhost '/'",
        ),
        (
            queue::Declare {
                exclusive: true,
                ..durable.clone()
            },
            "invalid property 'exclusive-owner' for queue 'q' in vhost '/'",
        ),
        (
            queue::Declare {
                auto_delete: true,
                ..durable.clone()
            },
            "invalid property 'auto-delete' for queue 'q' in vhost '/'",
        ),
        (
            queue::Declare {
                queue: leveret_wire::ShortString::default(),
                ..durable
            },
            "Cannot declare a server-named queue for type rabbit_quorum_queue",
        ),
    ];
    for (declare, reason) in refused {
        let node = Scenario::new();
        let told = node.client().declare_as(declare);
        assert_eq!(
            told,
            [format!("1 close 406 PRECONDITION_FAILED - {reason} 50 10")]
        );
    }
}

#[test]
fn a_quorum_queue_refuses_what_it_can_not_do() {
    let node = Scenario::new();
    let quorum = ("x-queue-type", text("quorum"));
    let mut client = node.client();
    client.declare_durable("q", std::slice::from_ref(&quorum));
    client.declare_durable(
        "single",
        &[
            quorum,
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ],
    );
    for (if_unused, if_empty, flag) in [(true, true, "if-unused"), (false, true, "if-empty")] {
        let delete = queue::Delete {
            queue: "q".into(),
            if_unused,
            if_empty,
            ..queue::Delete::default()
        };
        let error = client
            .try_call(AMQPClass::Queue(queue::AMQPMethod::Delete(delete)))
            .unwrap_err();
        let text = format!(
            "NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with {flag} flag set are not \
             supported by quorum queues"
        );
        assert_eq!((error.code.as_u16(), error.text), (540, text));
    }
    let get = basic::Get {
        queue: "single".into(),
        no_ack: true,
    };
    let told = client.call(AMQPClass::Basic(basic::AMQPMethod::Get(get)));
    assert!(
        told[0].starts_with(
            "1 close 405 RESOURCE_LOCKED - cannot obtain access to locked queue 'single'"
        ),
        "{told:?}"
    );

    let mut client = node.client();
    let qos = basic::Qos {
        prefetch_count: 5,
        global: true,
    };
    client.call(AMQPClass::Basic(basic::AMQPMethod::Qos(qos)));
    let consume = basic::Consume {
        queue: "q".into(),
        ..basic::Consume::default()
    };
    let error = client
        .try_call(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))
        .unwrap_err();
    assert_eq!(
        error.text,
        "NOT_IMPLEMENTED - queue 'q' in vhost '/' does not support global qos"
    );
}

#[test]
fn a_consumer_that_keeps_a_message_too_long_loses_its_channel() {
    let node = Scenario::new();
    let (mut slow, mut other) = (node.client(), node.client());
    slow.declare("q", &[("x-consumer-timeout", int(1_000))]);
    slow.consume("q", "c", 0);
    other.publish_all("q", ["settled", "kept"]);
    slow.told();
    slow.ack(1);
    for _ in 0..9 {
        node.wait(100);
        assert_eq!(slow.told(), [""; 0]);
    }
    let mut told = Vec::new();
    for _ in 0..6 {
        node.wait(100);
        told.extend(slow.told());
    }
    assert_eq!(
        told,
        [
            "1 close 406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1000 ms. \
          This timeout value can be configured, see consumers doc guide to learn more 0 0"
        ]
    );
    assert_eq!(other.drain("q"), ["kept"]);
}

#[test]
fn a_consumer_that_keeps_up_is_left_alone() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-consumer-timeout", int(1_000))]);
    client.declare("patient", &[]);
    client.consume("q", "c", 0);
    client.consume("patient", "d", 0);
    client.publish(to("patient", "kept for ever"));
    client.told();
    for tag in 2..20 {
        client.publish(to("q", "m"));
        node.wait(400);
        assert_eq!(client.told(), [format!("1 deliver c {tag} m")]);
        client.ack(tag);
    }
    client.close();
    assert_eq!(node.broker.next_deadline(), None);
}
