//! Where unroutable messages go.

use leveret_tests::requests::{bind, delete_exchange, exchange, queue, table, text};
use leveret_tests::{Publish, Server};
use leveret_wire::method::exchange::Declare;

fn with_alternate(name: &str, kind: &str, alternate: &str) -> Declare {
    Declare {
        arguments: table([("alternate-exchange", text(alternate))]),
        ..exchange(name, kind)
    }
}

#[test]
fn what_matches_no_binding_goes_to_the_alternate() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("ae", "topic"));
    client.call(1, with_alternate("x", "direct", "ae"));
    client.call(1, queue("bound"));
    client.call(1, queue("rest"));
    client.call(1, bind("bound", "x", "k"));
    client.call(1, bind("rest", "ae", "#"));
    client.publish(1, &Publish::to("x", "k").body("matched"));
    client.publish(1, &Publish::to("x", "other").mandatory().body("rest"));
    assert_eq!(client.drain(1, "bound"), ["matched"]);
    let got = client.get(1, "rest", true).unwrap();
    assert_eq!(
        (
            got.text(),
            got.method.exchange.as_str(),
            got.method.routing_key.as_str()
        ),
        ("rest", "x", "other")
    );
    assert_eq!(client.counts(1, "rest"), (0, 0));
}

#[test]
fn alternates_follow_each_other_once_each() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, with_alternate("a", "direct", "b"));
    client.call(1, with_alternate("b", "direct", "c"));
    client.call(1, with_alternate("c", "direct", "a"));
    client.call(1, queue("q"));
    client.call(1, bind("q", "c", "k"));
    client.publish(1, &Publish::to("a", "k").mandatory().body("third"));
    assert_eq!(client.drain(1, "q"), ["third"]);
    client.publish(1, &Publish::to("a", "nowhere").mandatory().body("back"));
    assert_eq!(client.expect_return(1).content.text(), "back");
}

#[test]
fn a_missing_alternate_is_as_none() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, with_alternate("x", "direct", "later"));
    client.publish(1, &Publish::to("x", "k").mandatory().body("1"));
    assert_eq!(client.expect_return(1).content.text(), "1");
    client.call(1, exchange("later", "fanout"));
    client.call(1, queue("q"));
    client.call(1, bind("q", "later", ""));
    client.publish(1, &Publish::to("x", "k").mandatory().body("2"));
    assert_eq!(client.drain(1, "q"), ["2"]);
    client.call(1, delete_exchange("later"));
    client.publish(1, &Publish::to("x", "k").mandatory().body("3"));
    assert_eq!(client.expect_return(1).content.text(), "3");
}

#[test]
fn an_alternate_without_a_queue_returns_the_message() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("ae", "fanout"));
    client.call(1, with_alternate("x", "fanout", "ae"));
    client.publish(1, &Publish::to("x", "k").mandatory().body("1"));
    let returned = client.expect_return(1);
    assert_eq!(returned.method.exchange.as_str(), "x");
}
