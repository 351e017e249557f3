//! exchange.bind and exchange.unbind.

use leveret_tests::requests::{
    bind, bind_exchange, exchange, passive_exchange, queue, table, text, unbind, unbind_exchange,
};
use leveret_tests::{Properties, Publish, Server};
use leveret_wire::method::exchange::{Bind, Declare};

#[test]
fn a_message_goes_from_source_to_destination() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("source", "topic"));
    client.call(1, exchange("destination", "direct"));
    client.call(1, queue("q"));
    client.call(1, bind_exchange("destination", "source", "a.*"));
    client.call(1, bind("q", "destination", "a.b"));
    client.publish(1, &Publish::to("source", "a.b").body("both match"));
    client.publish(1, &Publish::to("source", "a.c").body("only the first"));
    client.publish(1, &Publish::to("source", "x").body("none"));
    let got = client.get(1, "q", true).unwrap();
    assert_eq!(
        (
            got.text(),
            got.method.exchange.as_str(),
            got.method.routing_key.as_str()
        ),
        ("both match", "source", "a.b")
    );
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn cycles_end_and_a_queue_gets_one_copy() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["a", "b", "c"] {
        client.call(1, exchange(name, "fanout"));
        client.call(1, bind_exchange(name, name, ""));
    }
    for (destination, source) in [("b", "a"), ("c", "b"), ("a", "c")] {
        client.call(1, bind_exchange(destination, source, ""));
    }
    client.call(1, queue("q"));
    for name in ["a", "b", "c"] {
        client.call(1, bind("q", name, ""));
    }
    client.publish(1, &Publish::to("b", "").body("once"));
    assert_eq!(client.drain(1, "q"), ["once"]);
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "direct"));
    let missing = "NOT_FOUND - no exchange 'nox' in vhost '/'";
    client.expect_refused(1, bind_exchange("x", "nox", "k"), 404, missing);
    client.expect_refused(1, bind_exchange("nox", "x", "k"), 404, missing);
    client.expect_refused(
        1,
        bind_exchange("nodest", "nosource", "k"),
        404,
        "NOT_FOUND - no exchange 'nosource' in vhost '/'",
    );
    let default = "ACCESS_REFUSED - operation not permitted on the default exchange";
    client.expect_refused(1, bind_exchange("x", "", "k"), 403, default);
    client.expect_refused(1, bind_exchange("", "x", "k"), 403, default);
    client.expect_refused(1, unbind_exchange("x", "", "k"), 403, default);
    client.expect_refused(1, unbind_exchange("", "x", "k"), 403, default);
}

#[test]
fn unbinding_what_is_not_there_is_ok() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "direct"));
    client.call(1, unbind_exchange("x", "x", "k"));
    client.call(1, unbind_exchange("x", "nox", "k"));
    client.call(1, unbind_exchange("nox", "x", "k"));
    client.call(1, bind_exchange("x", "amq.topic", "k"));
    // exchange.unbind-ok has the id 51.
    client.send(1, unbind_exchange("x", "amq.topic", "k"));
    assert_eq!(client.next_frame().unwrap().payload, [0, 40, 0, 51]);
}

#[test]
fn an_unbound_exchange_gets_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "fanout"));
    client.call(1, queue("q"));
    client.call(1, bind("q", "x", ""));
    client.call(1, bind_exchange("x", "amq.fanout", "k"));
    client.publish(1, &Publish::to("amq.fanout", "").body("1"));
    client.call(1, unbind_exchange("x", "amq.fanout", "other"));
    client.publish(1, &Publish::to("amq.fanout", "").body("2"));
    client.call(1, unbind_exchange("x", "amq.fanout", "k"));
    client.publish(1, &Publish::to("amq.fanout", "").body("3"));
    assert_eq!(client.drain(1, "q"), ["1", "2"]);
}

#[test]
fn arguments_route_between_exchanges_too() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "fanout"));
    client.call(1, queue("q"));
    client.call(1, bind("q", "x", ""));
    let bind = Bind {
        arguments: table([("colour", text("red"))]),
        ..bind_exchange("x", "amq.headers", "")
    };
    client.call(1, bind);
    for colour in ["red", "blue"] {
        let properties = Properties::new().headers(&table([("colour", text(colour))]));
        client.publish(
            1,
            &Publish::to("amq.headers", "")
                .properties(&properties)
                .body(colour),
        );
    }
    assert_eq!(client.drain(1, "q"), ["red"]);
}

#[test]
fn an_auto_delete_source_goes_with_its_last_binding() {
    let server = Server::start();
    let mut client = server.client();
    client.call(
        1,
        Declare {
            auto_delete: true,
            ..exchange("x", "fanout")
        },
    );
    client.call(1, exchange("y", "fanout"));
    client.call(1, queue("q"));
    client.call(1, bind("q", "x", ""));
    client.call(1, bind_exchange("y", "x", ""));
    client.call(1, unbind("q", "x", ""));
    client.call(1, passive_exchange("x"));
    client.call(1, unbind_exchange("y", "x", ""));
    client.expect_refused(
        1,
        passive_exchange("x"),
        404,
        "NOT_FOUND - no exchange 'x' in vhost '/'",
    );
}
