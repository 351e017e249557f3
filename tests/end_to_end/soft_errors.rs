//! What ends a channel and nothing else.

use leveret_tests::requests::{ack, consume, passive_queue, queue};
use leveret_tests::{Client, Frame, Publish, Server};
use leveret_wire::method::channel;

const NO_QUEUE: &str = "NOT_FOUND - no queue 'nope' in vhost '/'";

/// A client with channels 1 and 2, of which 1 was closed by the broker and has not answered.
fn with_failed_channel(server: &Server) -> Client {
    let mut client = server.client();
    client.open_channel(2);
    client.call(2, queue("q"));
    client.send(1, passive_queue("nope"));
    client.expect_channel_close(1, 404, NO_QUEUE);
    client
}

#[test]
fn a_closing_channel_is_ignored_until_close_ok() {
    let server = Server::start();
    let mut client = with_failed_channel(&server);
    client.send(1, queue("ignored"));
    client.send(1, passive_queue("nope"));
    client.send(1, ack(99));
    client.publish_text(1, "q", "ignored");
    client.publish(1, &Publish::to("nox", "k").body("ignored"));
    client.publish(1, &Publish::to_queue("q").body(vec![0; 300_000]));
    client.expect_quiet(2);
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
    client.expect_refused(
        1,
        passive_queue("ignored"),
        404,
        &NO_QUEUE.replace("nope", "ignored"),
    );
}

#[test]
fn other_channels_live_on() {
    let server = Server::start();
    let mut client = with_failed_channel(&server);
    client.call(2, consume("q", "c"));
    client.publish_text(2, "q", "m");
    client.expect_bodies(2, &["m"]);
    client.send(1, channel::CloseOk {});
    client.publish_text(2, "q", "n");
    client.expect_bodies(2, &["n"]);
}

#[test]
fn the_clients_close_is_answered_but_ours_still_waits() {
    let server = Server::start();
    let mut client = with_failed_channel(&server);
    client.call(1, channel::Close::default());
    client.send(1, queue("ignored"));
    client.expect_quiet(2);
    client.reopen_channel(1);
    client.expect_refused(
        1,
        passive_queue("ignored"),
        404,
        &NO_QUEUE.replace("nope", "ignored"),
    );
}

#[test]
fn opening_a_closing_channel_is_a_second_open() {
    let server = Server::start();
    let mut client = with_failed_channel(&server);
    client.send(1, channel::Open {});
    client.expect_hard_error(504, "CHANNEL_ERROR - second 'channel.open' seen");
}

#[test]
fn content_errors_are_hard_even_there() {
    let server = Server::start();
    let mut client = with_failed_channel(&server);
    client.write(&Publish::to_queue("q").method(1));
    client.send_frame(&Frame::new(3, 1, *b"no header"));
    client.expect_hard_error(
        505,
        "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead",
    );
}

#[test]
fn a_publish_cut_by_the_error_is_skipped_cleanly() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.call(2, queue("q"));
    // The error is found while a message of the same channel is half sent.
    let half = Publish::to_queue("q").body("half").in_pieces_of(2);
    let octets = half.octets(1);
    let (first, rest) = octets.split_at(octets.len() - 5);
    let mut all = Publish::to("nox", "k").octets(1);
    all.extend(first);
    client.write(&all);
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.write(rest);
    client.reopen_channel(1);
    client.publish_text(1, "q", "whole");
    client.expect_quiet(1);
    assert_eq!(client.drain(1, "q"), ["whole"]);
}

#[test]
fn a_failed_channel_gives_its_messages_back_before_it_answers() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.publish_text(1, "q", "m");
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["m"]);
    client.send(1, passive_queue("nope"));
    client.expect_channel_close(1, 404, NO_QUEUE);
    let got = client.get(2, "q", true).unwrap();
    assert_eq!((got.text(), got.redelivered()), ("m", true));
    assert_eq!(client.counts(2, "q"), (0, 0));
}

#[test]
fn a_channel_may_fail_again_and_again() {
    let server = Server::start();
    let mut client = server.client();
    for _ in 0..200 {
        client.expect_refused(1, passive_queue("nope"), 404, NO_QUEUE);
    }
    client.call(1, queue("q"));
}

#[test]
fn earlier_publishes_of_the_channel_are_kept() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let mut octets = Vec::new();
    for number in 0..10 {
        octets.extend(Publish::to_queue("q").body(number.to_string()).octets(1));
    }
    octets.extend(Publish::to("nox", "k").octets(1));
    octets.extend(Publish::to_queue("q").body("swallowed").octets(1));
    client.write(&octets);
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (10, 0));
}
