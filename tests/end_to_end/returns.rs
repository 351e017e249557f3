//! basic.return.

use leveret_tests::requests::{bind, queue, table, text};
use leveret_tests::{Properties, Publish, Server};

#[test]
fn an_unroutable_mandatory_message_comes_back_whole() {
    let server = Server::start();
    let mut client = server.client();
    let properties = Properties::persistent()
        .content_type("text/plain")
        .message_id("7")
        .headers(&table([("k", text("v"))]));
    for size in [0, 5, 200_000] {
        let publish = Publish::to("amq.direct", "nowhere")
            .mandatory()
            .properties(&properties)
            .body(vec![b'b'; size]);
        client.publish(1, &publish);
        let returned = client.expect_return(1);
        assert_eq!(returned.method.exchange.as_str(), "amq.direct");
        assert_eq!(returned.method.routing_key.as_str(), "nowhere");
        assert_eq!(returned.content.header, publish.header_payload());
        assert_eq!(returned.content.body.len(), size);
    }
}

#[test]
fn without_mandatory_it_is_dropped_in_silence() {
    let server = Server::start();
    let mut client = server.client();
    client.publish(1, &Publish::to("amq.direct", "nowhere").body("dropped"));
    client.publish(1, &Publish::to("", "no queue").body("dropped"));
    client.expect_quiet(1);
}

#[test]
fn a_routed_mandatory_message_does_not_come_back() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("1"));
    client.publish(1, &Publish::to("", "q").mandatory().body("2"));
    client.expect_quiet(1);
    assert_eq!(client.drain(1, "q"), ["1", "2"]);
}

#[test]
fn the_route_is_asked_anew_after_an_unbind() {
    let server = Server::start();
    let mut client = server.client();
    let mut other = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("1"));
    client.expect_quiet(1);
    other.call(1, leveret_tests::requests::unbind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("2"));
    assert_eq!(client.expect_return(1).content.text(), "2");
    other.call(1, bind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("3"));
    client.expect_quiet(1);
    assert_eq!(client.drain(1, "q"), ["1", "3"]);
}

#[test]
fn returns_keep_the_order_of_publishes() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    for number in 0..100 {
        let publish = Publish::to("", "nowhere")
            .mandatory()
            .body(number.to_string());
        client.publish(1, &publish);
    }
    for number in 0..100 {
        assert_eq!(client.expect_return(1).content.text(), number.to_string());
    }
    client.expect_quiet(2);
}
