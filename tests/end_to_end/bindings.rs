//! queue.bind and queue.unbind, and the exchanges that route by equality.

use leveret_tests::requests::{bind, exchange, passive_queue, queue, table, text, unbind};
use leveret_tests::{Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::queue::{Bind, Unbind};

const DEFAULT_EXCHANGE: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";

#[test]
fn direct_routes_by_equal_keys() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["a", "b"] {
        client.call(1, queue(name));
        client.call(1, bind(name, "amq.direct", "both"));
        client.call(1, bind(name, "amq.direct", name));
    }
    client.call(1, bind("a", "amq.direct", ""));
    for key in ["both", "a", "b", "B", "a.b", "*", "#", ""] {
        client.publish(1, &Publish::to("amq.direct", key).body(key));
    }
    assert_eq!(client.drain(1, "a"), ["both", "a", ""]);
    assert_eq!(client.drain(1, "b"), ["both", "b"]);
}

#[test]
fn fanout_ignores_the_key() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["a", "b"] {
        client.call(1, queue(name));
        client.call(1, bind(name, "amq.fanout", name));
    }
    client.publish(1, &Publish::to("amq.fanout", "x").body("1"));
    client.publish(1, &Publish::to("amq.fanout", "").body("2"));
    assert_eq!(client.drain(1, "a"), ["1", "2"]);
    assert_eq!(client.drain(1, "b"), ["1", "2"]);
}

#[test]
fn the_default_exchange_routes_by_queue_name() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish(1, &Publish::to("", "q").body("1"));
    client.publish(1, &Publish::to("", "other").mandatory().body("2"));
    assert_eq!(client.expect_return(1).content.text(), "2");
    let got = client.get(1, "q", true).unwrap();
    assert_eq!(
        (
            got.method.exchange.as_str(),
            got.method.routing_key.as_str()
        ),
        ("", "q")
    );
}

#[test]
fn many_bindings_to_one_queue_make_one_copy() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for key in ["#", "a.#", "a.b", "*.b"] {
        client.call(1, bind("q", "amq.topic", key));
    }
    client.publish(1, &Publish::to("amq.topic", "a.b").body("once"));
    assert_eq!(client.drain(1, "q"), ["once"]);
}

#[test]
fn binding_twice_is_binding_once() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.call(1, bind("q", "amq.direct", "k"));
    client.call(1, unbind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory());
    client.expect_return(1);
}

#[test]
fn arguments_are_part_of_a_binding_types_too() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let with = |value: AMQPValue| Bind {
        arguments: table([("n", value)]),
        ..bind("q", "amq.direct", "k")
    };
    let without = |value: AMQPValue| Unbind {
        arguments: table([("n", value)]),
        ..unbind("q", "amq.direct", "k")
    };
    client.call(1, with(AMQPValue::LongInt(1)));
    client.call(1, with(AMQPValue::LongLongInt(1)));
    client.publish(1, &Publish::to("amq.direct", "k").body("both"));
    client.call(1, without(AMQPValue::LongInt(1)));
    client.publish(1, &Publish::to("amq.direct", "k").body("one left"));
    client.call(1, unbind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").body("still"));
    client.call(1, without(AMQPValue::LongLongInt(1)));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("gone"));
    assert_eq!(client.expect_return(1).content.text(), "gone");
    assert_eq!(client.drain(1, "q"), ["both", "one left", "still"]);
}

#[test]
fn what_is_missing_is_named_exchange_first() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.expect_refused(
        1,
        bind("q", "nox", "k"),
        404,
        "NOT_FOUND - no exchange 'nox' in vhost '/'",
    );
    client.expect_refused(
        1,
        bind("noq", "nox", "k"),
        404,
        "NOT_FOUND - no exchange 'nox' in vhost '/'",
    );
    client.expect_refused(
        1,
        bind("noq", "amq.direct", "k"),
        404,
        "NOT_FOUND - no queue 'noq' in vhost '/'",
    );
    client.expect_refused(1, bind("q", "", "k"), 403, DEFAULT_EXCHANGE);
    client.expect_refused(1, unbind("q", "", "k"), 403, DEFAULT_EXCHANGE);
}

#[test]
fn unbinding_what_is_not_there_is_ok() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, unbind("q", "amq.direct", "k"));
    client.call(1, unbind("q", "nox", "k"));
    client.call(1, unbind("noq", "amq.direct", "k"));
}

#[test]
fn a_new_binding_counts_for_the_next_message() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("a"));
    client.call(1, queue("b"));
    client.call(1, exchange("x", "fanout"));
    client.call(1, bind("a", "x", ""));
    let mut other = server.client();
    for round in 0..20 {
        let body = format!("{round}");
        client.publish(1, &Publish::to("x", "").body(body.as_str()));
        assert_eq!(client.drain(1, "a"), [body.as_str()]);
        other.call(1, bind("b", "x", ""));
        client.publish(1, &Publish::to("x", "").body(body.as_str()));
        assert_eq!(client.drain(1, "b"), [body.as_str()]);
        other.call(1, unbind("b", "x", ""));
        assert_eq!(client.drain(1, "a"), [body.as_str()]);
    }
}

#[test]
fn cc_and_bcc_add_keys() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["main", "cc", "bcc", "not"] {
        client.call(1, queue(name));
    }
    let keys = |keys: &[AMQPValue]| AMQPValue::FieldArray(keys.to_vec().into());
    let headers = table([
        (
            "CC",
            keys(&[text("cc"), AMQPValue::LongInt(7), text("main")]),
        ),
        ("BCC", keys(&[text("bcc")])),
        ("kept", text("v")),
    ]);
    let properties = Properties::new().headers(&headers);
    client.publish(
        1,
        &Publish::to_queue("main").properties(&properties).body("m"),
    );
    for name in ["main", "cc", "bcc"] {
        let got = client.get(1, name, true).unwrap();
        assert_eq!(got.method.routing_key.as_str(), "main", "{name}");
        let headers = got.content.properties().headers().unwrap();
        assert!(headers.get(b"CC").is_some(), "{name}");
        assert!(headers.get(b"kept").is_some(), "{name}");
        assert!(headers.get(b"BCC").is_none(), "{name}");
    }
    assert_eq!(client.call(1, passive_queue("main")).message_count, 0);
}

#[test]
fn cc_works_on_direct_and_topic_exchanges() {
    let server = Server::start();
    let mut client = server.client();
    for (name, exchange) in [("d", "amq.direct"), ("t", "amq.topic")] {
        client.call(1, queue(name));
        client.call(1, bind(name, exchange, "copy"));
        let headers = table([("CC", AMQPValue::FieldArray(vec![text("copy")].into()))]);
        let properties = Properties::new().headers(&headers);
        client.publish(
            1,
            &Publish::to(exchange, "nowhere")
                .mandatory()
                .properties(&properties)
                .body("m"),
        );
        assert_eq!(client.drain(1, name), ["m"]);
    }
}

#[test]
fn cc_must_be_an_array() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for (name, value, kind) in [
        ("CC", text("q"), "longstr"),
        ("BCC", text("q"), "longstr"),
        ("CC", AMQPValue::LongInt(1), "signedint"),
    ] {
        let properties = Properties::new().headers(&table([(name, value)]));
        client.publish(1, &Publish::to_queue("q").properties(&properties));
        let text = format!(
            "PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}"
        );
        let close = client.expect_channel_close(1, 406, &text);
        assert_eq!((close.class_id, close.method_id), (60, 40));
        client.reopen_channel(1);
    }
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn a_binding_limit_holds() {
    let server =
        Server::build(|builder| builder.configure(|config| config.limits.bindings_per_vhost = 2));
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.direct", "1"));
    client.call(1, bind("q", "amq.direct", "2"));
    client.call(1, bind("q", "amq.direct", "2"));
    client.send(1, bind("q", "amq.direct", "3"));
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406, "{close:?}");
}
