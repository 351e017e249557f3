//! basic.qos.

use leveret_tests::requests::{
    ack, ack_up_to, channel_prefetch, consume, consume_no_ack, nack, prefetch, queue,
};
use leveret_tests::{Client, Server, method_frame};

fn with_messages(server: &Server, count: usize) -> Client {
    let mut client = server.client();
    client.call(1, queue("q"));
    for number in 0..count {
        client.publish_text(1, "q", &number.to_string());
    }
    client
}

#[test]
fn a_consumer_gets_no_more_than_its_limit() {
    let server = Server::start();
    let mut client = with_messages(&server, 10);
    client.call(1, prefetch(3));
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0", "1", "2"]);
    client.expect_quiet(1);
    assert_eq!(client.counts(1, "q"), (7, 1));
    client.send(1, ack(2));
    client.expect_bodies(1, &["3"]);
    client.expect_quiet(1);
    client.send(1, ack_up_to(4));
    client.expect_bodies(1, &["4", "5", "6"]);
    client.send(1, nack(5, false));
    client.expect_bodies(1, &["7"]);
    client.expect_quiet(1);
}

#[test]
fn a_limit_of_0_is_none() {
    let server = Server::start();
    let mut client = with_messages(&server, 500);
    client.call(1, prefetch(1));
    client.call(1, prefetch(0));
    client.call(1, consume("q", "c"));
    client.expect_deliveries(1, 500);
}

#[test]
fn each_consumer_has_the_limit_of_its_start() {
    let server = Server::start();
    let mut client = with_messages(&server, 0);
    client.call(1, prefetch(1));
    client.call(1, consume("q", "one"));
    client.call(1, prefetch(2));
    client.call(1, consume("q", "two"));
    for number in 0..10 {
        client.publish_text(1, "q", &number.to_string());
    }
    let deliveries = client.expect_deliveries(1, 3);
    let of = |tag: &str| {
        let of_tag = deliveries
            .iter()
            .filter(|one| one.method.consumer_tag.as_str() == tag);
        of_tag.count()
    };
    assert_eq!((of("one"), of("two")), (1, 2));
    // A running consumer keeps its limit.
    client.call(1, prefetch(0));
    client.expect_quiet(1);
    assert_eq!(client.counts(1, "q"), (7, 2));
}

#[test]
fn the_limit_is_the_channels_own() {
    let server = Server::start();
    let mut client = with_messages(&server, 5);
    client.call(1, prefetch(1));
    client.open_channel(2);
    client.call(2, consume("q", "c"));
    client.expect_deliveries(2, 5);
}

#[test]
fn a_channel_limit_is_shared() {
    let server = Server::start();
    let mut client = with_messages(&server, 0);
    client.call(1, channel_prefetch(3));
    client.call(1, consume("q", "a"));
    client.call(1, consume("q", "b"));
    for number in 0..10 {
        client.publish_text(1, "q", &number.to_string());
    }
    client.expect_bodies(1, &["0", "1", "2"]);
    client.expect_quiet(1);
    client.send(1, ack_up_to(2));
    client.expect_bodies(1, &["3", "4"]);
    client.expect_quiet(1);
}

#[test]
fn a_channel_limit_applies_to_running_consumers() {
    let server = Server::start();
    let mut client = with_messages(&server, 0);
    client.call(1, consume("q", "c"));
    for number in 0..4 {
        client.publish_text(1, "q", &number.to_string());
    }
    client.expect_bodies(1, &["0", "1", "2", "3"]);
    // Four are out, so a limit of two leaves no room until three are acked.
    client.call(1, channel_prefetch(2));
    client.publish_text(1, "q", "4");
    client.expect_quiet(1);
    client.send(1, ack_up_to(2));
    client.expect_quiet(1);
    client.send(1, ack(3));
    client.expect_bodies(1, &["4"]);
}

#[test]
fn raising_a_channel_limit_releases_at_once() {
    let server = Server::start();
    let mut client = with_messages(&server, 10);
    client.call(1, channel_prefetch(1));
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0"]);
    client.expect_quiet(1);
    client.call(1, channel_prefetch(3));
    client.expect_bodies(1, &["1", "2"]);
    client.expect_quiet(1);
    client.call(1, channel_prefetch(0));
    client.expect_deliveries(1, 7);
}

#[test]
fn a_channel_limit_counts_what_was_got() {
    let server = Server::start();
    let mut client = with_messages(&server, 5);
    client.get(1, "q", false).unwrap();
    client.call(1, channel_prefetch(3));
    let second = client.get(1, "q", false).unwrap().tag();
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["2"]);
    client.expect_quiet(1);
    client.send(1, ack(second));
    client.expect_bodies(1, &["3"]);
    client.expect_quiet(1);
}

#[test]
fn both_limits_hold_together() {
    let server = Server::start();
    let mut client = with_messages(&server, 0);
    client.call(1, prefetch(2));
    client.call(1, channel_prefetch(3));
    client.call(1, consume("q", "a"));
    for number in 0..10 {
        client.publish_text(1, "q", &number.to_string());
    }
    client.expect_bodies(1, &["0", "1"]);
    client.expect_quiet(1);
    client.call(1, consume("q", "b"));
    client.expect_bodies(1, &["2"]);
    client.expect_quiet(1);
}

#[test]
fn a_limit_of_each_consumer_lifts_the_channels() {
    let server = Server::start();
    let mut client = with_messages(&server, 5);
    client.call(1, channel_prefetch(2));
    client.call(1, consume("q", "a"));
    client.expect_bodies(1, &["0", "1"]);
    client.expect_quiet(1);
    client.call(1, prefetch(1));
    client.expect_bodies(1, &["2", "3", "4"]);
}

#[test]
fn no_ack_consumers_are_not_held_by_a_channel_limit() {
    let server = Server::start();
    let mut client = with_messages(&server, 3);
    client.call(1, queue("other"));
    client.call(1, channel_prefetch(1));
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0"]);
    client.call(1, consume_no_ack("other", "n"));
    for number in 0..3 {
        client.publish_text(1, "other", &number.to_string());
    }
    client.expect_bodies(1, &["0", "1", "2"]);
}

#[test]
fn prefetch_size_is_not_implemented() {
    let server = Server::start();
    let mut client = server.client();
    client.write(&method_frame(1, 60, 10, &[0, 0, 0, 5, 0, 0, 0]));
    let close = client.expect_hard_error(540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)");
    assert_eq!((close.class_id, close.method_id), (60, 10));
}

#[test]
fn credit_given_back_elsewhere_reaches_a_waiting_consumer() {
    let server = Server::start();
    let mut client = with_messages(&server, 100);
    client.call(1, prefetch(1));
    client.call(1, consume("q", "c"));
    for number in 0..100_u64 {
        let delivery = client.expect_delivery(1);
        assert_eq!(
            (delivery.tag(), delivery.text()),
            (number + 1, number.to_string().as_str())
        );
        client.send(1, ack(delivery.tag()));
    }
}
