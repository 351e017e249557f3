//! Headers exchanges.

use leveret_tests::requests::{bind, exchange, queue, table, text};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::method::queue::Bind;
use leveret_wire::{AMQPValue, FieldTable};

/// Bind a queue of its own to an exchange of its own with `arguments`, publish with each of
/// `messages` as headers (no headers property at all for an empty table) and tell which came.
fn matched(client: &mut Client, arguments: FieldTable, messages: &[FieldTable]) -> Vec<bool> {
    client.call(1, exchange("h", "headers"));
    client.call(1, queue("q"));
    client.call(
        1,
        Bind {
            arguments,
            ..bind("q", "h", "")
        },
    );
    for (number, headers) in messages.iter().enumerate() {
        let mut publish = Publish::to("h", "").body(number.to_string());
        if !headers.inner().is_empty() {
            publish = publish.properties(&Properties::new().headers(headers));
        }
        client.publish(1, &publish);
    }
    let came = client.drain(1, "q");
    client.call(1, leveret_tests::requests::delete_exchange("h"));
    (0..messages.len())
        .map(|number| came.contains(&number.to_string()))
        .collect()
}

fn of(entries: &[(&str, AMQPValue)]) -> FieldTable {
    table(entries.iter().cloned())
}

#[test]
fn all_and_any_count_the_pairs() {
    let server = Server::start();
    let mut client = server.client();
    let (a, b) = (("a", text("1")), ("b", AMQPValue::LongInt(2)));
    let messages = [
        of(&[]),
        of(std::slice::from_ref(&a)),
        of(&[a.clone(), b.clone()]),
        of(&[a.clone(), b.clone(), ("c", text("3"))]),
        of(&[a.clone(), ("b", AMQPValue::LongInt(3))]),
        of(&[("c", text("3"))]),
    ];
    let pairs = |x_match: Option<&str>| {
        let mut arguments = of(&[a.clone(), b.clone()]);
        if let Some(x_match) = x_match {
            arguments.insert("x-match".into(), text(x_match));
        }
        arguments
    };
    let all = [false, false, true, true, false, false];
    let any = [false, true, true, true, true, false];
    assert_eq!(matched(&mut client, pairs(None), &messages), all);
    assert_eq!(matched(&mut client, pairs(Some("all")), &messages), all);
    assert_eq!(matched(&mut client, pairs(Some("any")), &messages), any);
}

#[test]
fn an_empty_set_is_all_and_not_any() {
    let server = Server::start();
    let mut client = server.client();
    let messages = [of(&[]), of(&[("a", text("1"))])];
    assert_eq!(matched(&mut client, of(&[]), &messages), [true, true]);
    let any = of(&[("x-match", text("any"))]);
    assert_eq!(matched(&mut client, any, &messages), [false, false]);
    // x- keys don't count.
    let only_x = of(&[("x-match", text("any")), ("x-own", text("1"))]);
    let messages = [of(&[("x-own", text("1"))])];
    assert_eq!(matched(&mut client, only_x, &messages), [false]);
}

#[test]
fn x_keys_count_with_x_only() {
    let server = Server::start();
    let mut client = server.client();
    let messages = [
        of(&[("a", text("1"))]),
        of(&[("a", text("1")), ("x-own", text("1"))]),
        of(&[("x-own", text("1"))]),
    ];
    for (x_match, expected) in [
        ("all", [true, true, false]),
        ("all-with-x", [false, true, false]),
        ("any", [true, true, false]),
        ("any-with-x", [true, true, true]),
    ] {
        let arguments = of(&[
            ("x-match", text(x_match)),
            ("a", text("1")),
            ("x-own", text("1")),
        ]);
        assert_eq!(
            matched(&mut client, arguments, &messages),
            expected,
            "{x_match}"
        );
    }
}

#[test]
fn void_asks_for_presence() {
    let server = Server::start();
    let mut client = server.client();
    let messages = [
        of(&[("a", text("1"))]),
        of(&[("a", AMQPValue::Void)]),
        of(&[("a", AMQPValue::Boolean(false))]),
        of(&[("b", text("1"))]),
    ];
    let arguments = of(&[("a", AMQPValue::Void)]);
    assert_eq!(
        matched(&mut client, arguments, &messages),
        [true, true, true, false]
    );
}

#[test]
fn values_compare_by_value() {
    let server = Server::start();
    let mut client = server.client();
    let a = |value: AMQPValue| of(&[("a", value)]);
    let numbers = [
        a(AMQPValue::LongInt(1)),
        a(AMQPValue::LongLongInt(1)),
        a(AMQPValue::ShortShortInt(1)),
        a(AMQPValue::ShortShortUInt(1)),
        a(AMQPValue::Double(1.0)),
        a(AMQPValue::Float(1.0)),
        a(AMQPValue::Timestamp(1)),
        a(AMQPValue::LongInt(2)),
        a(AMQPValue::Double(1.5)),
        a(text("1")),
        a(AMQPValue::Boolean(true)),
        a(AMQPValue::Void),
    ];
    let expected = [
        true, true, true, true, true, true, true, false, false, false, false, false,
    ];
    assert_eq!(
        matched(&mut client, a(AMQPValue::LongInt(1)), &numbers),
        expected
    );
    assert_eq!(
        matched(&mut client, a(AMQPValue::Timestamp(1)), &numbers),
        expected
    );
    let octets = AMQPValue::ByteArray(b"x".to_vec().into());
    let texts = [a(text("x")), a(octets), a(text("X")), a(text("xx"))];
    assert_eq!(
        matched(&mut client, a(text("x")), &texts),
        [true, true, false, false]
    );
    let nested = |value: i32| {
        a(AMQPValue::FieldTable(of(&[(
            "n",
            AMQPValue::LongInt(value),
        )])))
    };
    assert_eq!(
        matched(&mut client, nested(1), &[nested(1), nested(2)]),
        [true, false]
    );
    let bools = [a(AMQPValue::Boolean(true)), a(AMQPValue::Boolean(false))];
    assert_eq!(
        matched(&mut client, a(AMQPValue::Boolean(true)), &bools),
        [true, false]
    );
}

#[test]
fn the_routing_key_does_not_matter() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(
        1,
        Bind {
            arguments: of(&[("a", text("1"))]),
            ..bind("q", "amq.match", "key")
        },
    );
    let properties = Properties::new().headers(&of(&[("a", text("1"))]));
    client.publish(
        1,
        &Publish::to("amq.match", "other")
            .properties(&properties)
            .body("m"),
    );
    assert_eq!(client.drain(1, "q"), ["m"]);
}

#[test]
fn a_bad_x_match_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let with = |value: AMQPValue| Bind {
        arguments: of(&[("x-match", value)]),
        ..bind("q", "amq.headers", "")
    };
    client.expect_refused(
        1,
        with(text("bogus")),
        406,
        "PRECONDITION_FAILED - Invalid x-match field value <<\"bogus\">>; \
         expected all, any, all-with-x, or any-with-x",
    );
    client.expect_refused(
        1,
        with(AMQPValue::LongInt(5)),
        406,
        "PRECONDITION_FAILED - Invalid x-match field type signedint (value 5); expected longstr",
    );
}
