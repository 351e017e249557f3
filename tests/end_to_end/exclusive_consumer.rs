//! basic.consume with the exclusive flag.

use leveret_tests::Server;
use leveret_tests::requests::{cancel, consume, queue};
use leveret_wire::method::basic::Consume;

const IN_USE: &str = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";

fn exclusive(tag: &str) -> Consume {
    Consume {
        exclusive: true,
        ..consume("q", tag)
    }
}

#[test]
fn nobody_joins_an_exclusive_consumer() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, exclusive("owner"));
    let mut other = server.client();
    other.expect_refused(1, consume("q", "c"), 403, IN_USE);
    other.expect_refused(1, exclusive("c"), 403, IN_USE);
    client.open_channel(2);
    client.expect_refused(2, consume("q", "c"), 403, IN_USE);
}

#[test]
fn an_exclusive_consumer_joins_nobody() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "first"));
    let mut other = server.client();
    other.expect_refused(1, exclusive("c"), 403, IN_USE);
    other.call(1, consume("q", "c"));
}

#[test]
fn when_it_goes_others_may_come() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, exclusive("c"));
    client.call(1, cancel("c"));
    client.open_channel(2);
    client.call(2, exclusive("c"));
    client.close_channel(2);
    client.call(1, exclusive("c"));
    let mut other = server.client();
    client.close();
    other.call(1, consume("q", "c"));
}

#[test]
fn get_works_beside_it() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, leveret_tests::requests::prefetch(1));
    client.call(1, exclusive("c"));
    client.publish_text(1, "q", "1");
    client.publish_text(1, "q", "2");
    client.expect_bodies(1, &["1"]);
    assert_eq!(server.client().get(1, "q", true).unwrap().text(), "2");
}
