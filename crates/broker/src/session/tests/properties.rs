//! Properties that the broker looks at: CC, BCC, user id, expiration, delivery mode.

use leveret_wire::properties::Property;
use leveret_wire::{ArrayBuilder, Message, PropertiesBuilder, RawValue, TableBuilder};

use super::rig::{Client, Node, bind, consume_no_ack, declare, routed, with_properties};

/// A client with queues `p`, `q` and `r`, whose consumers are on channel 2.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    for queue in ["p", "q", "r"] {
        client.call(1, declare(queue));
        client.call(2, consume_no_ack(queue, queue));
    }
    client.skip();
    client
}

/// A message to `p` by way of the default exchange, with headers.
fn with_headers(headers: &TableBuilder) -> Message {
    let mut properties = PropertiesBuilder::new();
    properties.headers(Some(headers.as_table().as_bytes()));
    with_properties("", "p", "m", &properties)
}

fn keys(keys: &[&str]) -> ArrayBuilder {
    let mut array = ArrayBuilder::new();
    for key in keys {
        array.push(&RawValue::LongString(key.as_bytes()));
    }
    array
}

/// Publish; the names of the queues that got it.
fn reached(client: &mut Client, message: Message) -> Vec<String> {
    client.skip();
    client.publish(1, message);
    let mut queues: Vec<String> = client
        .heard()
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    queues.sort();
    queues
}

#[test]
fn cc_and_bcc_add_routing_keys() {
    let node = Node::new();
    let mut client = client(&node);
    let (cc, bcc) = (keys(&["q", "p", "nowhere"]), keys(&["r"]));
    let mut headers = TableBuilder::new();
    headers
        .put(b"other", &RawValue::I32(5))
        .put(b"CC", &RawValue::Array(cc.as_array()))
        .put(b"BCC", &RawValue::Array(bcc.as_array()));
    assert_eq!(
        reached(&mut client, with_headers(&headers)),
        ["p", "q", "r"]
    );
    for message in client.messages() {
        let headers = message.properties().headers().unwrap();
        assert!(
            headers.get(b"BCC").is_none(),
            "nobody sees the blind copies"
        );
        assert!(headers.get(b"CC").is_some());
        assert_eq!(headers.get(b"other").unwrap().as_integer(), Some(5));
        assert_eq!(
            message.routing_key(),
            b"p",
            "the key is always the primary one"
        );
        assert_eq!(message.body(), b"m");
    }
}

#[test]
fn a_route_with_copies_is_not_remembered_for_those_without() {
    let node = Node::new();
    let mut client = client(&node);
    let copies = keys(&["q"]);
    let mut headers = TableBuilder::new();
    headers.put(b"CC", &RawValue::Array(copies.as_array()));
    assert_eq!(reached(&mut client, with_headers(&headers)), ["p", "q"]);
    assert_eq!(reached(&mut client, routed("", "p", "m")), ["p"]);
    assert_eq!(reached(&mut client, with_headers(&headers)), ["p", "q"]);
    assert_eq!(
        reached(&mut client, with_headers(&TableBuilder::new())),
        ["p"]
    );
}

#[test]
fn copies_work_for_other_exchanges_too() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, bind("q", "amq.topic", "a.*"));
    client.call(1, bind("r", "amq.topic", "b.*"));
    let copies = keys(&["b.x"]);
    let mut headers = TableBuilder::new();
    headers.put(b"BCC", &RawValue::Array(copies.as_array()));
    let mut properties = PropertiesBuilder::new();
    properties.headers(Some(headers.as_table().as_bytes()));
    assert_eq!(
        reached(
            &mut client,
            with_properties("amq.topic", "a.x", "m", &properties)
        ),
        ["q", "r"]
    );
}

#[test]
fn elements_that_are_no_strings_are_passed_over() {
    let node = Node::new();
    let mut client = client(&node);
    let mut copies = ArrayBuilder::new();
    copies
        .push(&RawValue::I32(1))
        .push(&RawValue::LongString(b"q"))
        .push(&RawValue::Void);
    let mut headers = TableBuilder::new();
    headers.put(b"CC", &RawValue::Array(copies.as_array()));
    assert_eq!(reached(&mut client, with_headers(&headers)), ["p", "q"]);
}

#[test]
fn copies_must_be_an_array() {
    let node = Node::new();
    let mut client = client(&node);
    let refused = [
        ("CC", RawValue::LongString(b"q"), "longstr"),
        ("BCC", RawValue::I32(1), "signedint"),
    ];
    for (name, value, type_name) in refused {
        let mut headers = TableBuilder::new();
        headers.put(name.as_bytes(), &value);
        client.publish(1, with_headers(&headers));
        assert_eq!(
            client.heard(),
            [format!(
                "1 close 406 PRECONDITION_FAILED - invalid message: \
                 {{unacceptable_type_in_header,\"{name}\",{type_name}}} 60 40"
            )]
        );
        client.open(1);
    }
}

/// A message to `p` with one property of type short string.
fn with_text(property: Property, text: &str) -> Message {
    let mut properties = PropertiesBuilder::new();
    properties.text(property, Some(text.as_bytes()));
    with_properties("", "p", "m", &properties)
}

#[test]
fn the_user_id_must_be_the_login() {
    let node = Node::new();
    let mut client = client(&node);
    assert_eq!(
        reached(&mut client, with_text(Property::UserId, "guest")),
        ["p"]
    );
    for other in ["other", ""] {
        client.publish(1, with_text(Property::UserId, other));
        assert_eq!(
            client.heard(),
            [format!(
                "1 close 406 PRECONDITION_FAILED - user_id property set to '{other}' but authenticated user \
                 was 'guest' 60 40"
            )]
        );
        client.open(1);
    }
}

#[test]
fn an_expiration_must_be_a_number_of_milliseconds() {
    let node = Node::new();
    let mut client = client(&node);
    for good in ["60000", "+60000", "315360000000"] {
        assert_eq!(
            reached(&mut client, with_text(Property::Expiration, good)),
            ["p"],
            "{good}"
        );
    }
    let refused = [
        ("abc", "no_integer"),
        ("", "no_integer"),
        (" 5", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("5 ", "{leftover_string,\" \"}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ];
    for (text, reason) in refused {
        client.publish(1, with_text(Property::Expiration, text));
        assert_eq!(
            client.heard(),
            [format!(
                "1 close 406 PRECONDITION_FAILED - invalid expiration '{text}': {reason} 60 40"
            )]
        );
        client.open(1);
    }
}

#[test]
fn the_delivery_mode_is_one_or_two() {
    let node = Node::new();
    let mut client = client(&node);
    for mode in [0_u8, 1, 2, 3, 7] {
        let mut properties = PropertiesBuilder::new();
        properties.delivery_mode(Some(mode));
        client.publish(1, with_properties("", "p", "m", &properties));
        let heard = client.heard();
        assert_eq!(heard.len(), 1);
        if mode == 1 || mode == 2 {
            assert!(heard[0].starts_with("2 deliver p"), "{heard:?}");
        } else {
            let text = format!(
                "1 close 406 PRECONDITION_FAILED - invalid message: {{delivery_mode_unknown,{mode}}} 60 40"
            );
            assert_eq!(heard, [text]);
            client.open(1);
        }
    }
}

#[test]
fn what_is_wrong_first_is_what_is_told() {
    type Mend = fn(&mut PropertiesBuilder<'_>);
    // Exchange, reply address, user id, expiration, copies, delivery mode.
    let node = Node::new();
    let mut client = client(&node);
    let mut headers = TableBuilder::new();
    headers.put(b"CC", &RawValue::I32(1));
    let mut properties = PropertiesBuilder::new();
    properties
        .headers(Some(headers.as_table().as_bytes()))
        .delivery_mode(Some(7));
    properties
        .text(Property::ReplyTo, Some(b"amq.rabbitmq.reply-to"))
        .text(Property::UserId, Some(b"other"))
        .expiration(Some(b"x"));
    let steps: [(&str, Mend); 6] = [
        ("no exchange 'nowhere'", |_| {}),
        ("fast reply consumer does not exist", |properties| {
            properties.text(Property::ReplyTo, None);
        }),
        ("user_id property", |properties| {
            properties.text(Property::UserId, None);
        }),
        ("invalid expiration", |properties| {
            properties.expiration(None);
        }),
        ("unacceptable_type_in_header", |properties| {
            properties.headers(None);
        }),
        ("delivery_mode_unknown", |_| {}),
    ];
    for (at, (text, mend)) in steps.into_iter().enumerate() {
        let exchange = if at == 0 { "nowhere" } else { "" };
        client.publish(1, with_properties(exchange, "p", "m", &properties));
        let heard = client.heard();
        assert!(
            heard.len() == 1 && heard[0].contains(text),
            "{text}: {heard:?}"
        );
        client.open(1);
        mend(&mut properties);
    }
}

#[test]
fn properties_are_relayed_as_they_came() {
    let node = Node::new();
    let mut client = client(&node);
    let mut headers = TableBuilder::new();
    headers
        .put(b"k", &RawValue::Timestamp(5))
        .put(b"a", &RawValue::F32(1.5))
        .put(b"k", &RawValue::Void);
    let mut properties = PropertiesBuilder::new();
    properties
        .headers(Some(headers.as_table().as_bytes()))
        .text(Property::CorrelationId, Some(b"c"))
        .text(Property::ClusterId, Some(b"anything"))
        .priority(Some(9))
        .timestamp(Some(u64::MAX));
    let message = with_properties("", "p", "m", &properties);
    client.publish(1, message.clone());
    client.heard();
    assert_eq!(client.messages().len(), 1);
    assert_eq!(client.messages()[0].header(), message.header());
}
