//! Channels: opening, closing, counting.

use leveret_tests::requests::{ack, consume, passive_queue, queue};
use leveret_tests::{Login, Publish, Server};
use leveret_wire::method::{access, basic, channel};

#[test]
fn a_channel_opens_works_closes_and_opens_again() {
    let server = Server::start();
    let mut client = server.client();
    for _ in 0..3 {
        client.open_channel(7);
        client.call(7, queue("q"));
        client.close_channel(7);
    }
    client.close_channel(1);
    client.close();
}

#[test]
fn a_number_that_is_not_open_takes_nothing_but_open() {
    let server = Server::start();
    let text = "CHANNEL_ERROR - expected 'channel.open'";
    server.client().expect_fatal(2, queue("q"), 504, text);
    server
        .client()
        .expect_fatal(2, channel::CloseOk {}, 504, text);
    server
        .client()
        .expect_fatal(2, channel::Close::default(), 504, text);
    server.client().expect_fatal(2, ack(1), 504, text);
    let mut client = server.client();
    client.close_channel(1);
    client.expect_fatal(1, queue("q"), 504, text);
}

#[test]
fn a_second_open_is_a_hard_error() {
    let server = Server::start();
    server.client().expect_fatal(
        1,
        channel::Open {},
        504,
        "CHANNEL_ERROR - second 'channel.open' seen",
    );
}

#[test]
fn channel_max_bounds_the_count_and_not_the_number() {
    let server = Server::start();
    let login = Login {
        channel_max: Some(2),
        ..Login::default()
    };
    let mut client = server.log_in(&login);
    client.open_channel(65_535);
    client.call(65_535, queue("q"));
    client.close_channel(1);
    client.open_channel(300);
    client.send(3, channel::Open {});
    client.expect_hard_error(
        530,
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)",
    );
}

#[test]
fn many_channels_work_side_by_side() {
    let server = Server::start();
    let mut client = server.client();
    for number in 2..=2047 {
        client.open_channel(number);
    }
    for number in [1, 255, 256, 257, 2047] {
        client.call(number, queue("q"));
    }
    client.close();
}

#[test]
fn flow_can_be_turned_on_and_not_off() {
    let server = Server::start();
    let mut client = server.client();
    assert!(client.call(1, channel::Flow { active: true }).active);
    client.expect_fatal(
        1,
        channel::Flow { active: false },
        540,
        "NOT_IMPLEMENTED - active=false",
    );
}

#[test]
fn access_request_gets_ticket_1() {
    let server = Server::start();
    let mut client = server.client();
    client.send(
        1,
        access::Request {
            realm: "/data".into(),
            ..access::Request::default()
        },
    );
    let frame = client.next_frame().unwrap();
    assert_eq!(frame.payload, [0, 30, 0, 11, 0, 1]);
}

#[test]
fn closing_a_channel_gives_its_messages_back() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for body in ["a", "b", "c"] {
        client.publish_text(1, "q", body);
    }
    client.open_channel(2);
    client.call(2, consume("q", "c"));
    let deliveries = client.expect_bodies(2, &["a", "b", "c"]);
    client.send(2, ack(deliveries[1].tag()));
    client.close_channel(2);
    assert_eq!(client.counts(1, "q"), (2, 0));
    for (body, left) in [("a", 1), ("c", 0)] {
        let got = client.get(1, "q", true).unwrap();
        assert_eq!(
            (got.text(), got.redelivered(), got.method.message_count),
            (body, true, left)
        );
    }
}

#[test]
fn a_closing_connection_gives_its_messages_back() {
    let server = Server::start();
    let mut watcher = server.client();
    watcher.call(1, queue("q"));
    watcher.publish_text(1, "q", "a");
    let mut client = server.client();
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["a"]);
    client.close();
    let got = watcher.get(1, "q", true).unwrap();
    assert_eq!((got.text(), got.redelivered()), ("a", true));
}

#[test]
fn a_socket_that_breaks_gives_its_messages_back() {
    let server = Server::start();
    let mut watcher = server.client();
    watcher.call(1, queue("q"));
    watcher.publish_text(1, "q", "a");
    let mut client = server.client();
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["a"]);
    drop(client);
    watcher.call(1, consume("q", "w"));
    let deliveries = watcher.expect_bodies(1, &["a"]);
    assert!(deliveries[0].redelivered());
}

#[test]
fn delivery_tags_count_on_each_channel_apart() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.publish_all(1, (0..4).map(|_| Publish::to_queue("q")));
    let tags: Vec<u64> = [1, 2, 2, 1]
        .into_iter()
        .map(|channel| client.get(channel, "q", false).unwrap().tag())
        .collect();
    assert_eq!(tags, [1, 1, 2, 2]);
    client.send(
        2,
        basic::Ack {
            delivery_tag: 0,
            multiple: true,
        },
    );
    client.close_channel(1);
    assert_eq!(client.call(2, passive_queue("q")).message_count, 2);
}
