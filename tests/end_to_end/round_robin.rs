//! Whose turn it is among consumers of equal priority.

use leveret_tests::requests::{ack, cancel, consume, prefetch, queue};
use leveret_tests::{Client, Publish, Server};

fn turns(client: &mut Client, count: usize) -> String {
    client.publish_all(1, (0..count).map(|_| Publish::to_queue("q").body("m")));
    let deliveries = client.expect_deliveries(1, count);
    deliveries
        .iter()
        .map(|delivery| delivery.method.consumer_tag.as_str())
        .collect()
}

#[test]
fn consumers_take_turns() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for tag in ["a", "b", "c"] {
        client.call(1, consume("q", tag));
    }
    assert_eq!(turns(&mut client, 7), "abcabca");
    client.call(1, cancel("b"));
    let rest = turns(&mut client, 4);
    assert!(rest == "caca" || rest == "acac", "{rest}");
}

#[test]
fn a_backlog_is_shared_evenly() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, prefetch(1));
    for tag in ["a", "b", "c"] {
        client.call(1, consume("q", tag));
    }
    for _ in 0..300 {
        client.publish_text(1, "q", "m");
    }
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..300 {
        let delivery = client.expect_delivery(1);
        *counts
            .entry(delivery.method.consumer_tag.to_string())
            .or_insert(0) += 1;
        client.send(1, ack(delivery.tag()));
    }
    assert_eq!(
        counts.values().copied().collect::<Vec<_>>(),
        [100, 100, 100]
    );
}

#[test]
fn who_has_no_credit_is_passed_over() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, prefetch(1));
    client.call(1, consume("q", "a"));
    client.call(1, prefetch(0));
    client.call(1, consume("q", "b"));
    client.call(1, consume("q", "c"));
    assert_eq!(turns(&mut client, 5), "abcbc");
    client.send(1, ack(1));
    let next = turns(&mut client, 3);
    let mut letters: Vec<char> = next.chars().collect();
    letters.sort_unstable();
    assert_eq!(letters, ['a', 'b', 'c'], "{next}");
}

#[test]
fn what_one_channel_gets_is_in_the_order_of_the_queue() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for tag in ["a", "b", "c"] {
        client.call(1, consume("q", tag));
    }
    // In one write, so that they are handed out together (AMQP 0-9-1 section 4.7: one channel in,
    // one queue and one channel out keep the order).
    let publishes = (0..100).map(|number| Publish::to_queue("q").body(number.to_string()));
    client.publish_all(1, publishes);
    for number in 0..100 {
        assert_eq!(client.expect_delivery(1).text(), number.to_string());
    }
}
