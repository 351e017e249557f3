//! x-max-priority.

use leveret_wire::PropertiesBuilder;

use crate::Limits;
use crate::scenario::{Scenario, int, message, with_priority};

#[test]
fn the_highest_goes_first_and_the_oldest_among_equals() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-max-priority", int(5))]);
    for (body, priority) in [
        ("0", 0),
        ("3", 3),
        ("5", 5),
        ("1", 1),
        ("9", 9),
        ("3 again", 3),
    ] {
        client.publish(with_priority("q", body, priority));
    }
    client.told();
    assert_eq!(client.drain("q"), ["5", "9", "3", "3 again", "1", "0"]);
}

#[test]
fn what_comes_back_stands_where_it_was() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-max-priority", int(2))]);
    for (body, priority) in [("low 1", 0), ("high 1", 2), ("high 2", 2), ("low 2", 0)] {
        client.publish(with_priority("q", body, priority));
    }
    client.told();
    for _ in 0..3 {
        client.get("q", false);
    }
    client.publish(with_priority("q", "high 3", 2));
    client.nack_all(3, true, true);
    assert_eq!(
        client.drain("q"),
        ["high 1", "high 2", "high 3", "low 1", "low 2"]
    );
}

#[test]
fn every_level_expires_by_itself() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-max-priority", int(2))]);
    let messages = [
        ("high", 2, "1000"),
        ("high, behind", 2, "10"),
        ("low", 0, "10"),
        ("mid", 1, "2000"),
    ];
    for (body, priority, expiration) in messages {
        let mut properties = PropertiesBuilder::new();
        properties
            .priority(Some(priority))
            .expiration(Some(expiration.as_bytes()));
        client.publish(message("", "q", body, &properties));
    }
    client.told();
    node.wait(10);
    assert_eq!(node.counts().0, 3);
    node.wait(990);
    assert_eq!(client.drain("q"), ["mid"]);
}

#[test]
fn a_restart_keeps_the_order_whatever_comes_meanwhile() {
    let node = Scenario::with_limits(Limits {
        message_memory_bytes: 0,
        ..Limits::default()
    });
    let mut client = node.client();
    client.declare_durable("q", &[("x-max-priority", int(9))]);
    let lasting = |body: &str, priority: u8| {
        let mut properties = PropertiesBuilder::new();
        properties.priority(Some(priority)).delivery_mode(Some(2));
        message("", "q", body, &properties)
    };
    for number in 0..5_000_u16 {
        client.publish(lasting(
            &number.to_string(),
            u8::try_from(number % 3).unwrap(),
        ));
    }
    client.told();
    client.close();
    let node = node.restart(0);
    let mut client = node.client();
    client.publish(lasting("new", 2));
    client.told();
    let mut expected: Vec<String> = Vec::new();
    for level in [2, 1, 0] {
        expected.extend(
            (0..5_000_u16)
                .filter(|number| number % 3 == level)
                .map(|number| number.to_string()),
        );
        if level == 2 {
            expected.push("new".to_owned());
        }
    }
    let drained = client.drain("q");
    let differs = drained
        .iter()
        .zip(&expected)
        .position(|(got, expected)| got != expected);
    assert_eq!((drained.len(), differs), (expected.len(), None));
}
