//! Queues and exchanges that go when nobody uses them any more.

use leveret_tests::requests::{
    ack, bind, cancel, consume, delete_queue, exchange, passive_exchange, passive_queue, queue,
    unbind,
};
use leveret_tests::{Client, Server};
use leveret_wire::method::{exchange, queue};

const NO_QUEUE: &str = "NOT_FOUND - no queue 'q' in vhost '/'";
const NO_EXCHANGE: &str = "NOT_FOUND - no exchange 'x' in vhost '/'";

fn auto_delete(name: &str) -> queue::Declare {
    queue::Declare {
        auto_delete: true,
        ..queue(name)
    }
}

/// A client and a second channel of it on an auto-delete queue `q`.
fn with_queue(server: &Server) -> Client {
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, auto_delete("q"));
    client
}

#[test]
fn a_queue_goes_with_its_last_consumer() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(2, consume("q", "a"));
    client.call(2, consume("q", "b"));
    client.call(2, cancel("a"));
    client.call(1, passive_queue("q"));
    client.call(2, cancel("b"));
    client.expect_refused(1, passive_queue("q"), 404, NO_QUEUE);
}

#[test]
fn a_queue_goes_when_the_channel_of_its_consumer_closes() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(2, consume("q", "a"));
    client.close_channel(2);
    client.expect_refused(1, passive_queue("q"), 404, NO_QUEUE);
}

#[test]
fn a_queue_goes_when_the_channel_of_its_consumer_fails() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(2, consume("q", "a"));
    client.send(2, ack(99));
    client.expect_channel_close(2, 406, "PRECONDITION_FAILED - unknown delivery tag 99");
    client.expect_refused(1, passive_queue("q"), 404, NO_QUEUE);
}

#[test]
fn a_queue_goes_when_the_connection_of_its_consumer_closes() {
    let server = Server::start();
    let mut client = with_queue(&server);
    let mut consumer = server.client();
    consumer.call(1, consume("q", "a"));
    consumer.close();
    client.expect_refused(1, passive_queue("q"), 404, NO_QUEUE);
}

#[test]
fn a_queue_that_never_had_a_consumer_stays() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.publish_text(1, "q", "m");
    client.get(2, "q", true).unwrap();
    client.close_channel(2);
    client.call(1, passive_queue("q"));
    client.close();
    server.client().call(1, passive_queue("q"));
}

#[test]
fn acking_after_the_queue_went_is_silent() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.publish_text(1, "q", "m");
    client.call(2, consume("q", "a"));
    let tag = client.expect_delivery(2).tag();
    client.call(2, cancel("a"));
    client.expect_refused(1, passive_queue("q"), 404, NO_QUEUE);
    client.send(2, ack(tag));
    client.expect_quiet(2);
}

#[test]
fn an_exchange_goes_with_its_last_binding() {
    let server = Server::start();
    let mut client = server.client();
    client.call(
        1,
        exchange::Declare {
            auto_delete: true,
            ..exchange("x", "direct")
        },
    );
    client.call(1, queue("a"));
    client.call(1, queue("b"));
    client.call(1, bind("a", "x", "k"));
    client.call(1, bind("b", "x", "k"));
    client.call(1, unbind("a", "x", "k"));
    client.call(1, passive_exchange("x"));
    client.call(1, delete_queue("b"));
    client.expect_refused(1, passive_exchange("x"), 404, NO_EXCHANGE);
}

#[test]
fn an_exchange_that_never_had_a_binding_stays() {
    let server = Server::start();
    let mut client = server.client();
    client.call(
        1,
        exchange::Declare {
            auto_delete: true,
            ..exchange("x", "direct")
        },
    );
    client.call(1, queue("q"));
    client.call(1, unbind("q", "x", "k"));
    client.call(1, passive_exchange("x"));
}

#[test]
fn exchanges_fall_one_after_the_other() {
    let server = Server::start();
    let mut client = server.client();
    let auto = |name: &str| exchange::Declare {
        auto_delete: true,
        ..exchange(name, "fanout")
    };
    client.call(1, auto("x"));
    client.call(1, auto("y"));
    client.call(1, leveret_tests::requests::bind_exchange("y", "x", ""));
    client.call(1, queue("q"));
    client.call(1, bind("q", "y", ""));
    // y loses its last binding and goes; with it the binding from x, and so x.
    client.call(1, delete_queue("q"));
    client.expect_refused(1, passive_exchange("x"), 404, NO_EXCHANGE);
    client.expect_refused(
        1,
        passive_exchange("y"),
        404,
        &NO_EXCHANGE
            .replace('x', "y")
            .replace("eychange", "exchange"),
    );
}

#[test]
fn an_exclusive_queue_takes_its_exchange_along() {
    let server = Server::start();
    let mut owner = server.client();
    owner.call(
        1,
        exchange::Declare {
            auto_delete: true,
            ..exchange("x", "direct")
        },
    );
    owner.call(
        1,
        queue::Declare {
            exclusive: true,
            ..queue("q")
        },
    );
    owner.call(1, bind("q", "x", "k"));
    let mut other = server.client();
    owner.close();
    other.expect_refused(1, passive_exchange("x"), 404, NO_EXCHANGE);
}
