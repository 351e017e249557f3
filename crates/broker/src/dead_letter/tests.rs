//! Dead letters through a whole node.

use leveret_wire::{AMQPValue, ArrayBuilder, PropertiesBuilder, RawValue, TableBuilder};

use crate::scenario::{
    Scenario, body, deaths, expiring, int, message, persistent, string, text, to,
};

/// Arguments of a queue whose dead letters go to the queue `target`.
fn dead_to(target: &str) -> [(&'static str, AMQPValue); 2] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(target)),
    ]
}

fn death(reason: &str, queue: &str, count: i64) -> (String, String, i64) {
    (reason.to_owned(), queue.to_owned(), count)
}

#[test]
fn a_rejected_message_goes_to_the_dead_letter_exchange_with_its_history() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("graves", &[]);
    client.declare("q", &dead_to("graves"));
    client.publish_all("q", ["m"]);
    client.get("q", false);
    client.nack(1, false);
    let dead = client.get("graves", true).unwrap();
    assert_eq!(
        (body(&dead), dead.exchange(), dead.routing_key()),
        ("m".to_owned(), &b""[..], &b"graves"[..])
    );
    let headers = dead.properties().headers().unwrap();
    let names: Vec<_> = headers
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    let expected = [
        "x-death",
        "x-first-death-exchange",
        "x-first-death-queue",
        "x-first-death-reason",
        "x-last-death-exchange",
        "x-last-death-queue",
        "x-last-death-reason",
    ];
    assert_eq!(names, expected);
    assert_eq!(string(&headers, "x-first-death-reason"), "rejected");
    assert_eq!(string(&headers, "x-last-death-queue"), "q");
    let entry = headers
        .get(b"x-death")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .next()
        .unwrap()
        .as_table()
        .unwrap();
    let fields: Vec<_> = entry
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect();
    assert_eq!(
        fields,
        [
            "count",
            "reason",
            "queue",
            "time",
            "exchange",
            "routing-keys"
        ]
    );
    assert_eq!(entry.get(b"time"), Some(RawValue::Timestamp(1_700_000_000)));
    assert_eq!(node.counts(), (0, 0));
    assert_eq!(
        (
            node.broker.discard_totals().rejected,
            node.broker.discard_totals().dead_lettered
        ),
        (1, 1)
    );
}

#[test]
fn an_expired_message_loses_its_expiration_and_keeps_it_in_its_history() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("graves", &[]);
    client.declare("q", &dead_to("graves"));
    client.publish(expiring("q", "m", "50"));
    client.told();
    node.wait(50);
    let dead = client.get("graves", true).unwrap();
    assert_eq!(dead.properties().expiration(), None);
    assert_eq!(deaths(&dead), [death("expired", "q", 1)]);
    let headers = dead.properties().headers().unwrap();
    let entry = headers
        .get(b"x-death")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .next()
        .unwrap()
        .as_table()
        .unwrap();
    assert_eq!(string(&entry, "original-expiration"), "50");
}

#[test]
fn without_a_key_of_its_own_the_queue_keeps_the_messages_keys() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[
            ("x-dead-letter-exchange", text("")),
            ("x-max-length", int(0)),
        ],
    );
    client.declare("copy", &[]);
    let mut keys = ArrayBuilder::new();
    keys.push(&RawValue::LongString(b"copy"));
    let mut headers = TableBuilder::new();
    headers.put(b"CC", &RawValue::Array(keys.as_array()));
    let headers = headers.into_content();
    client.publish(message(
        "",
        "q",
        "m",
        PropertiesBuilder::new().headers(Some(&headers)),
    ));
    client.told();
    // One came straight from the publisher; the other died in q, and may not go back there.
    let copies = [
        client.get("copy", true).unwrap(),
        client.get("copy", true).unwrap(),
    ];
    assert_eq!(deaths(&copies[0]), []);
    assert_eq!(deaths(&copies[1]), [death("maxlen", "q", 1)]);
    assert_eq!(copies[1].routing_key(), b"q", "the primary key is shown");
    assert!(client.get("q", true).is_none());
}

#[test]
fn a_missing_dead_letter_exchange_loses_the_message() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-dead-letter-exchange", text("nowhere"))]);
    client.publish_all("q", ["m"]);
    client.get("q", false);
    client.nack(1, false);
    assert_eq!(node.counts(), (0, 0));
    assert_eq!(node.broker.discard_totals().dead_letters_lost, 1);
}

#[test]
fn a_message_that_only_expires_does_not_go_in_circles() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[
            ("x-dead-letter-exchange", text("")),
            ("x-message-ttl", int(10)),
        ],
    );
    client.publish_all("q", ["m"]);
    node.wait(100);
    assert_eq!(node.counts(), (0, 0));
}

#[test]
fn with_a_reject_in_between_a_circle_is_allowed() {
    let node = Scenario::new();
    let mut client = node.client();
    let mut delay = dead_to("work").to_vec();
    delay.push(("x-message-ttl", int(10)));
    client.declare("delay", &delay);
    client.declare("work", &dead_to("delay"));
    client.publish_all("delay", ["m"]);
    for (tag, round) in (1..=3).zip(1..) {
        node.wait(10);
        let again = client.get("work", false).unwrap();
        let mut expected = vec![death("expired", "delay", round)];
        if round > 1 {
            expected.push(death("rejected", "work", round - 1));
        }
        assert_eq!(deaths(&again), expected);
        client.nack(tag, false);
    }
}

#[test]
fn every_queue_of_the_exchange_gets_the_letter_and_dies_its_own_deaths() {
    let node = Scenario::new();
    let mut client = node.client();
    // Each is too short for anything: letters go round among them until all have been tried.
    for queue in ["a", "b", "c"] {
        client.declare(
            queue,
            &[
                ("x-dead-letter-exchange", text("dlx")),
                ("x-max-length", int(0)),
            ],
        );
    }
    client.declare("end", &[]);
    client.fanout("dlx", &["a", "b", "c", "end"]);
    client.publish_all("a", ["m"]);
    // From a; from b and c; from c by b and from b by c.
    assert_eq!(client.drain("end").len(), 5);
    assert_eq!(node.counts(), (0, 0));
}

#[test]
fn what_is_left_in_a_deleted_or_purged_queue_is_not_dead_lettered() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("graves", &[]);
    client.declare("q", &dead_to("graves"));
    client.publish_all("q", ["out", "ready"]);
    client.get("q", false);
    client.delete("q");
    client.nack(1, false);
    assert!(client.get("graves", true).is_none());
}

#[test]
fn a_dead_letter_survives_a_restart_in_exactly_one_queue() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("graves", &[]);
    client.declare_durable("q", &dead_to("graves"));
    client.publish(persistent("q", "m"));
    client.told();
    client.get("q", false);
    client.nack(1, false);
    client.close();
    let node = node.restart(0);
    let mut client = node.client();
    assert!(client.get("q", true).is_none());
    assert_eq!(client.drain("graves"), ["m"]);
}

#[test]
fn at_least_once_keeps_the_letter_until_a_queue_takes_it() {
    let node = Scenario::new();
    let mut client = node.client();
    let mut arguments = dead_to("graves").to_vec();
    arguments.extend([
        ("x-queue-type", text("quorum")),
        ("x-overflow", text("reject-publish")),
        ("x-max-length", int(2)),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]);
    client.declare_durable("q", &arguments);
    client.declare(
        "graves",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.publish_all("q", ["1", "2"]);
    for tag in 1..=2 {
        client.get("q", false);
        client.nack(tag, false);
    }
    assert_eq!(
        node.counts(),
        (1, 0),
        "one has gone over, the other is kept out of sight"
    );
    assert_eq!(node.broker.discard_totals().dead_lettered, 1);
    client.confirm_select();
    client.publish(to("q", "3"));
    client.publish(to("q", "4"));
    assert_eq!(
        client.told(),
        ["1 ack 1", "1 nack 2"],
        "what is kept takes room"
    );
    assert_eq!(client.drain("graves"), ["1"]);
    node.wait(5_000);
    assert_eq!(client.drain("graves"), ["2"]);
    client.close();
    let node = node.restart(0);
    assert_eq!(node.counts(), (1, 0), "what was handed on is settled");
}

#[test]
fn a_kept_letter_is_there_again_after_a_restart() {
    let node = Scenario::new();
    let mut client = node.client();
    let mut arguments = dead_to("nowhere").to_vec();
    arguments.extend([
        ("x-queue-type", text("quorum")),
        ("x-overflow", text("reject-publish")),
        ("x-dead-letter-strategy", text("at-least-once")),
    ]);
    client.declare_durable("q", &arguments);
    client.publish_all("q", ["m"]);
    client.get("q", false);
    client.nack(1, false);
    client.close();
    let node = node.restart(0);
    assert_eq!(node.client().drain("q"), ["m"]);
}
