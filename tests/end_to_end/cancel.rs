//! basic.cancel.

use leveret_tests::client::Event;
use leveret_tests::requests::{ack, cancel, consume, nack, prefetch, queue};
use leveret_tests::{Method, Publish, Server};
use leveret_wire::method::basic;

#[test]
fn after_cancel_ok_nothing_is_delivered() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "c"));
    client.publish_text(1, "q", "1");
    client.expect_bodies(1, &["1"]);
    assert_eq!(client.call(1, cancel("c")).consumer_tag.as_str(), "c");
    client.publish_text(1, "q", "2");
    client.expect_quiet(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn deliveries_under_way_come_before_cancel_ok() {
    let server = Server::start();
    let mut publisher = server.client();
    publisher.call(1, queue("q"));
    let mut total = 0;
    for _ in 0..20 {
        let mut client = server.client();
        client.call(1, consume("q", "c"));
        publisher.publish_all(1, (0..100).map(|_| Publish::to_queue("q").body("m")));
        client.send(1, cancel("c"));
        let mut delivered = 0;
        loop {
            match client.next_event() {
                Event::Delivery(_) => delivered += 1,
                Event::Method(1, method) => {
                    assert!(basic::CancelOk::from_class(method).is_some());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        client.expect_quiet(1);
        // All that was delivered is acked, and nothing that was not.
        client.send(
            1,
            basic::Ack {
                delivery_tag: 0,
                multiple: true,
            },
        );
        client.close();
        total += delivered;
    }
    let (left, _) = publisher.counts(1, "q");
    assert_eq!(left + total, 2_000);
}

#[test]
fn an_unknown_tag_is_ok() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(
        client.call(1, cancel("nobody")).consumer_tag.as_str(),
        "nobody"
    );
}

#[test]
fn a_tag_of_another_channel_is_unknown() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.call(1, consume("q", "c"));
    client.call(2, cancel("c"));
    client.publish_text(1, "q", "1");
    client.expect_bodies(1, &["1"]);
}

#[test]
fn a_cancelled_tag_is_free_again() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for round in ["1", "2", "3"] {
        client.call(1, consume("q", "c"));
        client.publish_text(1, "q", round);
        client.expect_bodies(1, &[round]);
        client.call(1, cancel("c"));
    }
}

#[test]
fn what_was_delivered_stays_outstanding() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "c"));
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    let deliveries = client.expect_bodies(1, &["1", "2", "3"]);
    client.call(1, cancel("c"));
    assert_eq!(client.counts(1, "q"), (0, 0));
    client.send(1, ack(deliveries[0].tag()));
    client.send(1, nack(deliveries[1].tag(), true));
    assert_eq!(client.drain(1, "q"), ["2"]);
    client.close_channel(1);
    client.open_channel(1);
    assert_eq!(client.drain(1, "q"), ["3"]);
}

#[test]
fn a_consumer_that_held_its_prefetch_leaves_the_rest_to_others() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, prefetch(2));
    client.call(1, consume("q", "a"));
    for body in ["1", "2", "3", "4"] {
        client.publish_text(1, "q", body);
    }
    client.expect_bodies(1, &["1", "2"]);
    client.call(1, cancel("a"));
    client.call(1, consume("q", "b"));
    let deliveries = client.expect_bodies(1, &["3", "4"]);
    assert!(
        deliveries
            .iter()
            .all(|delivery| delivery.method.consumer_tag.as_str() == "b")
    );
}
