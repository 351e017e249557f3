//! Queues of one connection.

use leveret_tests::requests::{bind, consume, delete_queue, passive_queue, purge, queue, unbind};
use leveret_tests::{Publish, Server};
use leveret_wire::method::basic;
use leveret_wire::method::queue::Declare;

const LOCKED: &str = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'e1' in vhost '/'. \
    It could be originally declared on another connection or the exclusive property value does not \
    match that of the original declaration.";

fn exclusive(name: &str) -> Declare {
    Declare {
        exclusive: true,
        ..queue(name)
    }
}

#[test]
fn only_the_owner_connection_may_use_it() {
    let server = Server::start();
    let mut owner = server.client();
    owner.call(1, exclusive("e1"));
    let mut other = server.client();
    other.expect_refused(1, exclusive("e1"), 405, LOCKED);
    other.expect_refused(1, queue("e1"), 405, LOCKED);
    other.expect_refused(1, passive_queue("e1"), 405, LOCKED);
    other.expect_refused(1, consume("e1", "c"), 405, LOCKED);
    other.expect_refused(
        1,
        basic::Get {
            queue: "e1".into(),
            no_ack: true,
        },
        405,
        LOCKED,
    );
    other.expect_refused(1, purge("e1"), 405, LOCKED);
    other.expect_refused(1, delete_queue("e1"), 405, LOCKED);
    other.expect_refused(1, bind("e1", "amq.direct", "k"), 405, LOCKED);
    // Other channels of the owner are as good as the first.
    owner.open_channel(2);
    owner.call(2, exclusive("e1"));
    owner.call(2, bind("e1", "amq.direct", "k"));
    owner.call(2, delete_queue("e1"));
}

#[test]
fn everybody_may_publish_to_it() {
    let server = Server::start();
    let mut owner = server.client();
    owner.call(1, exclusive("e1"));
    let mut other = server.client();
    other.confirm_select(1);
    other.publish(1, &Publish::to_queue("e1").mandatory().body("hello"));
    other.expect_confirms(1, 1, 1);
    assert_eq!(owner.drain(1, "e1"), ["hello"]);
}

#[test]
fn unbinding_what_others_did_not_bind_is_ok_for_everybody() {
    let server = Server::start();
    let mut owner = server.client();
    owner.call(1, exclusive("e1"));
    let mut other = server.client();
    other.call(1, unbind("e1", "amq.direct", "absent"));
    owner.call(1, bind("e1", "amq.direct", "k"));
    other.expect_refused(1, unbind("e1", "amq.direct", "k"), 405, LOCKED);
}

#[test]
fn the_exclusive_flag_must_match() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exclusive("e1"));
    client.expect_refused(1, queue("e1"), 405, LOCKED);
    client.call(1, queue("shared"));
    client.expect_refused(1, exclusive("shared"), 405, &LOCKED.replace("e1", "shared"));
}

#[test]
fn any_durable_flag_matches_an_exclusive_queue() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exclusive("e1"));
    client.call(
        1,
        Declare {
            durable: true,
            ..exclusive("e1")
        },
    );
    client.call(
        1,
        Declare {
            durable: true,
            ..exclusive("e2")
        },
    );
    client.call(1, exclusive("e2"));
}

#[test]
fn it_is_gone_when_close_ok_comes() {
    let server = Server::start();
    for _ in 0..50 {
        let mut owner = server.client();
        owner.call(1, exclusive("e1"));
        owner.publish_text(1, "e1", "m");
        let mut other = server.client();
        let closing = leveret_wire::method::connection::Close::default();
        owner.call(0, closing);
        other.expect_refused(
            1,
            passive_queue("e1"),
            404,
            "NOT_FOUND - no queue 'e1' in vhost '/'",
        );
        let ok = other.call(1, exclusive("e1"));
        assert_eq!(ok.message_count, 0);
        other.close();
    }
}

#[test]
fn it_outlives_its_channel() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exclusive("e1"));
    client.close_channel(1);
    client.open_channel(1);
    client.call(1, passive_queue("e1"));
}

#[test]
fn it_goes_when_the_socket_breaks() {
    let server = Server::start();
    let mut owner = server.client();
    owner.call(1, exclusive("e1"));
    let mut other = server.client();
    other.call(1, leveret_tests::requests::exchange("ae", "fanout"));
    drop(owner);
    // There is no event for it; ask until the answer changes.
    let began = std::time::Instant::now();
    loop {
        other.send(1, passive_queue("e1"));
        let close: leveret_wire::method::channel::Close = other.expect(1);
        other.reopen_channel(1);
        if close.reply_code == 404 {
            break;
        }
        assert_eq!((close.reply_code, close.reply_text.as_str()), (405, LOCKED));
        assert!(
            began.elapsed() < leveret_tests::PATIENCE,
            "the queue does not go"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
