//! basic.recover and basic.recover-async.

use leveret_tests::requests::{ack, cancel, consume, queue};
use leveret_tests::{Client, Server};
use leveret_wire::method::basic::{Recover, RecoverAsync};

fn with_messages(server: &Server) -> Client {
    let mut client = server.client();
    client.call(1, queue("q"));
    for body in ["0", "1", "2"] {
        client.publish_text(1, "q", body);
    }
    client
}

#[test]
fn recover_ok_comes_first_and_then_everything_again() {
    let server = Server::start();
    let mut client = with_messages(&server);
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0", "1", "2"]);
    client.send(1, ack(2));
    client.call(1, Recover { requeue: true });
    let again = client.expect_bodies(1, &["0", "2"]);
    assert!(again.iter().all(leveret_tests::Delivery::redelivered));
    assert_eq!((again[0].tag(), again[1].tag()), (4, 5));
    client.send(1, ack(1));
    client.expect_channel_close(1, 406, "PRECONDITION_FAILED - unknown delivery tag 1");
}

#[test]
fn recover_async_says_nothing() {
    let server = Server::start();
    let mut client = with_messages(&server);
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0", "1", "2"]);
    client.send(1, RecoverAsync { requeue: true });
    let again = client.expect_bodies(1, &["0", "1", "2"]);
    assert!(again.iter().all(leveret_tests::Delivery::redelivered));
}

#[test]
fn what_was_got_is_recovered_too() {
    let server = Server::start();
    let mut client = with_messages(&server);
    client.get(1, "q", false).unwrap();
    client.call(1, Recover { requeue: true });
    assert_eq!(client.counts(1, "q"), (3, 0));
    assert!(client.get(1, "q", true).unwrap().redelivered());
}

#[test]
fn without_a_consumer_messages_go_to_the_queue() {
    let server = Server::start();
    let mut client = with_messages(&server);
    client.call(1, consume("q", "c"));
    client.expect_bodies(1, &["0", "1", "2"]);
    client.call(1, cancel("c"));
    client.call(1, Recover { requeue: true });
    client.expect_quiet(1);
    assert_eq!(client.drain(1, "q"), ["0", "1", "2"]);
}

#[test]
fn only_the_channels_own_messages_are_recovered() {
    let server = Server::start();
    let mut client = with_messages(&server);
    client.open_channel(2);
    client.get(2, "q", false).unwrap();
    client.get(1, "q", false).unwrap();
    client.call(1, Recover { requeue: true });
    assert_eq!(client.drain(1, "q"), ["1", "2"]);
}

#[test]
fn recovering_nothing_is_fine() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, Recover { requeue: true });
}

#[test]
fn recovering_without_requeue_is_not_implemented() {
    let server = Server::start();
    let text = "NOT_IMPLEMENTED - requeue=false";
    server
        .client()
        .expect_fatal(1, Recover { requeue: false }, 540, text);
    server
        .client()
        .expect_fatal(1, RecoverAsync { requeue: false }, 540, text);
}
