//! basic.publish: what is relayed, what is refused.

use leveret_tests::requests::{consume_no_ack, queue, table, text};
use leveret_tests::{Client, Frame, Login, Properties, Publish, Server};
use leveret_wire::{AMQPValue, FieldTable};

/// Octets that differ from one position to the next.
fn octets(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

fn with_queue(server: &Server) -> Client {
    let mut client = server.client();
    client.call(1, queue("q"));
    client
}

fn all_properties(headers: &FieldTable) -> Properties {
    Properties::new()
        .content_type("text/plain")
        .content_encoding("gzip")
        .headers(headers)
        .delivery_mode(2)
        .priority(9)
        .correlation_id("correlation")
        .reply_to("answers")
        .expiration("3600000")
        .message_id("id-1")
        .timestamp(u64::MAX)
        .kind("order")
        .user_id("guest")
        .app_id("app")
        .cluster_id("cluster")
}

#[test]
fn all_properties_come_through() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.publish(
        1,
        &Publish::to_queue("q")
            .properties(&all_properties(&FieldTable::default()))
            .body("b"),
    );
    let got = client.get(1, "q", true).unwrap();
    let properties = got.content.properties();
    let texts = [
        properties.content_type(),
        properties.content_encoding(),
        properties.correlation_id(),
        properties.reply_to(),
        properties.expiration(),
        properties.message_id(),
        properties.type_(),
        properties.user_id(),
        properties.app_id(),
        properties.cluster_id(),
    ];
    let expected: [&[u8]; 10] = [
        b"text/plain",
        b"gzip",
        b"correlation",
        b"answers",
        b"3600000",
        b"id-1",
        b"order",
        b"guest",
        b"app",
        b"cluster",
    ];
    assert_eq!(texts, expected.map(Some));
    assert_eq!(
        (
            properties.delivery_mode(),
            properties.priority(),
            properties.timestamp()
        ),
        (Some(2), Some(9), Some(u64::MAX))
    );
    assert!(properties.headers().unwrap().is_empty());
}

/// Table entries of every type that RabbitMQ knows, some in forms that an encoder would not choose.
fn every_type() -> Vec<u8> {
    let mut entries = Vec::new();
    let values: [&[u8]; 25] = [
        b"t\x01",
        b"t\x07",
        b"t\x00",
        b"b\xff",
        b"B\xff",
        b"s\x80\x00",
        b"u\xff\xff",
        b"I\x80\x00\x00\x00",
        b"i\xff\xff\xff\xff",
        b"l\x80\x00\x00\x00\x00\x00\x00\x00",
        b"L\xff\xff\xff\xff\xff\xff\xff\xff",
        b"f\x7f\xc0\x00\x00",
        b"d\x7f\xf8\x00\x00\x00\x00\x00\x01",
        b"D\x02\xff\xff\xff\xff",
        b"S\x00\x00\x00\x03\xff\x00\xfe",
        b"S\x00\x00\x00\x00",
        b"x\x00\x00\x00\x02\x00\x01",
        b"T\xff\xff\xff\xff\xff\xff\xff\xff",
        b"F\x00\x00\x00\x00",
        b"F\x00\x00\x00\x09\x01zt\x07\x01at\x00",
        b"A\x00\x00\x00\x00",
        b"A\x00\x00\x00\x05t\x07VVV",
        b"V",
        // A key twice, and keys that are out of order.
        b"V",
        b"t\x01",
    ];
    for (number, value) in values.iter().enumerate() {
        let key = if number >= 23 {
            "same".to_owned()
        } else {
            format!("z{}", 99 - number)
        };
        entries.push(u8::try_from(key.len()).unwrap());
        entries.extend_from_slice(key.as_bytes());
        entries.extend_from_slice(value);
    }
    // F's announced length must fit its entries.
    let at = entries
        .windows(5)
        .position(|window| window == b"F\x00\x00\x00\x09")
        .unwrap();
    entries[at + 4] = 8;
    entries
}

#[test]
fn properties_are_relayed_octet_for_octet() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(1, consume_no_ack("q", "c"));
    let all = all_properties(&FieldTable::default())
        .header_octets(&every_type())
        .octets();
    let mut reserved_flag = all.clone();
    reserved_flag[1] |= 2;
    for properties in [
        all,
        reserved_flag,
        vec![0, 0],
        Properties::new().header_octets(&every_type()).octets(),
        Properties::new().header_octets(&[]).octets(),
        Properties::new().delivery_mode(1).octets(),
        Properties::new().content_type("").message_id("").octets(),
        // Short strings of properties need not be UTF-8.
        [&[0x80, 0, 3][..], b"\xff\xfe\x00"].concat(),
    ] {
        let publish = Publish::to_queue("q")
            .property_octets(properties)
            .body("body");
        client.publish(1, &publish);
        let delivery = client.expect_delivery(1);
        assert_eq!(delivery.content.header, publish.header_payload());
        assert_eq!(delivery.content.body, b"body");
    }
}

#[test]
fn bodies_of_every_size_come_through() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(1, consume_no_ack("q", "c"));
    let sizes = [
        0, 1, 2, 100, 4_087, 4_088, 4_089, 16_383, 16_384, 65_536, 131_063, 131_064, 131_065,
        262_128, 300_000,
    ];
    for size in sizes {
        let body = octets(size);
        client.publish(1, &Publish::to_queue("q").body(body.clone()));
        let delivery = client.expect_delivery(1);
        assert!(
            delivery.content.body == body,
            "a body of {size} octets has changed"
        );
        let full = size / 131_064;
        let mut pieces = vec![131_064; full];
        if size % 131_064 > 0 {
            pieces.push(size % 131_064);
        }
        assert_eq!(delivery.content.pieces, pieces, "{size} octets");
    }
}

#[test]
fn the_consumers_frame_max_splits_a_body() {
    let server = Server::start();
    let mut publisher = with_queue(&server);
    let mut small = server.log_in(&Login {
        frame_max: Some(4096),
        ..Login::default()
    });
    let body = octets(300_000);
    publisher.publish(1, &Publish::to_queue("q").body(body.clone()));
    small.call(1, consume_no_ack("q", "c"));
    let delivery = small.expect_delivery(1);
    assert!(delivery.content.body == body);
    let mut pieces = vec![4088; 73];
    pieces.push(300_000 - 73 * 4088);
    assert_eq!(delivery.content.pieces, pieces);
}

#[test]
fn a_body_may_come_octet_by_octet() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.publish(
        1,
        &Publish::to_queue("q").body(octets(1_000)).in_pieces_of(1),
    );
    assert_eq!(
        client.get(1, "q", true).unwrap().content.body,
        octets(1_000)
    );
}

#[test]
fn frames_may_come_octet_by_octet() {
    let server = Server::start();
    let mut client = with_queue(&server);
    let publish = Publish::to_queue("q")
        .properties(&Properties::persistent())
        .body("slow");
    for octet in publish.octets(1) {
        client.write(&[octet]);
    }
    assert_eq!(client.drain(1, "q"), ["slow"]);
}

#[test]
fn empty_body_frames_are_skipped() {
    let server = Server::start();
    let mut client = with_queue(&server);
    let publish = Publish::to_queue("q").body("ab");
    let empty = Frame::new(3, 1, []).octets();
    client.write(&publish.method(1));
    client.write(&publish.header(1));
    for octet in [b"a", b"b"] {
        client.write(&empty);
        client.send_frame(&Frame::new(3, 1, *octet));
    }
    assert_eq!(client.drain(1, "q"), ["ab"]);
}

#[test]
fn frames_of_other_channels_and_heartbeats_may_come_between() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.open_channel(2);
    let first = Publish::to_queue("q").body("1");
    let second = Publish::to_queue("q").body("2");
    client.write(&first.method(1));
    client.write(&second.method(2));
    client.send_frame(&Frame::new(8, 0, []));
    client.write(&first.header(1));
    client.write(&second.header(2));
    client.send_frame(&Frame::new(3, 2, *b"2"));
    client.write(&Publish::to_queue("q").body("3").octets(2));
    client.send_frame(&Frame::new(3, 1, *b"1"));
    client.expect_quiet(2);
    assert_eq!(client.drain(1, "q"), ["2", "3", "1"]);
}

#[test]
fn a_payload_of_frame_max_is_forgiven() {
    let server = Server::start();
    let mut client = server.log_in(&Login {
        frame_max: Some(4096),
        ..Login::default()
    });
    client.call(1, queue("q"));
    client.publish(
        1,
        &Publish::to_queue("q").body(octets(4096)).in_pieces_of(4096),
    );
    assert_eq!(client.get(1, "q", true).unwrap().content.body, octets(4096));
}

#[test]
fn keys_need_not_be_utf8() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.call(1, leveret_tests::requests::bind("q", "amq.fanout", ""));
    client.publish(1, &Publish::to("amq.fanout", b"\xff\x00\xfe").body("m"));
    client.send(
        1,
        leveret_wire::method::basic::Get {
            queue: "q".into(),
            no_ack: true,
        },
    );
    // The client's own structs take no such key.
    let frame = client.next_frame().unwrap();
    let key = [
        &[10][..],
        b"amq.fanout",
        &[3],
        b"\xff\x00\xfe",
        &[0, 0, 0, 0],
    ]
    .concat();
    assert!(frame.payload.ends_with(&key), "{:?}", frame.payload);
}

#[test]
fn immediate_is_not_implemented() {
    let server = Server::start();
    let mut client = with_queue(&server);
    client.publish(1, &Publish::to("nox", "k").immediate().body("m"));
    let close = client.expect_hard_error(540, "NOT_IMPLEMENTED - immediate=true");
    assert_eq!((close.class_id, close.method_id), (60, 40));
}

/// Publish and be refused by 406.
fn refused(client: &mut Client, publish: &Publish, text: &str) {
    client.publish(1, publish);
    let close = client.expect_channel_close(1, 406, &format!("PRECONDITION_FAILED - {text}"));
    assert_eq!((close.class_id, close.method_id), (60, 40));
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn the_user_id_must_be_ones_own() {
    let server = Server::start();
    let mut client = with_queue(&server);
    for user in ["other", "", "Guest"] {
        let publish = Publish::to_queue("q").properties(&Properties::new().user_id(user));
        let text = format!("user_id property set to '{user}' but authenticated user was 'guest'");
        refused(&mut client, &publish, &text);
    }
    client.publish(
        1,
        &Publish::to_queue("q").properties(&Properties::new().user_id("guest")),
    );
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn an_expiration_must_be_a_number_of_milliseconds() {
    let server = Server::start();
    let mut client = with_queue(&server);
    for (expiration, reason) in [
        ("abc", "no_integer"),
        ("", "no_integer"),
        (" 5", "no_integer"),
        ("-1", "{value_negative,-1}"),
        ("1.5", "{leftover_string,\".5\"}"),
        ("5 ", "{leftover_string,\" \"}"),
        ("315360000001", "{value_too_large,315360000001}"),
    ] {
        let publish = Publish::to_queue("q").properties(&Properties::new().expiration(expiration));
        let text = format!("invalid expiration '{expiration}': {reason}");
        refused(&mut client, &publish, &text);
    }
    for expiration in ["+5000000", "315360000000"] {
        client.publish(
            1,
            &Publish::to_queue("q").properties(&Properties::new().expiration(expiration)),
        );
    }
    assert_eq!(client.counts(1, "q"), (2, 0));
}

#[test]
fn the_delivery_mode_is_1_or_2() {
    let server = Server::start();
    let mut client = with_queue(&server);
    for mode in [0, 3, 7, 255] {
        let publish = Publish::to_queue("q").properties(&Properties::new().delivery_mode(mode));
        refused(
            &mut client,
            &publish,
            &format!("invalid message: {{delivery_mode_unknown,{mode}}}"),
        );
    }
    for mode in [1, 2] {
        client.publish(
            1,
            &Publish::to_queue("q").properties(&Properties::new().delivery_mode(mode)),
        );
    }
    assert_eq!(client.counts(1, "q"), (2, 0));
}

#[test]
fn checks_come_in_rabbitmqs_order() {
    let server = Server::start();
    let mut client = with_queue(&server);
    let bad = Properties::new()
        .reply_to("amq.rabbitmq.reply-to")
        .user_id("other")
        .expiration("abc")
        .delivery_mode(7)
        .headers(&table([("CC", text("no array"))]));
    client.publish(1, &Publish::to("nox", "k").properties(&bad));
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    refused(
        &mut client,
        &Publish::to_queue("q").properties(&bad),
        "fast reply consumer does not exist",
    );
    let only = Properties::new().reply_to("amq.rabbitmq.reply-to");
    client.publish(1, &Publish::to("nox", "k").properties(&only));
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    let bad = bad.reply_to("elsewhere");
    let user = "user_id property set to 'other' but authenticated user was 'guest'";
    refused(&mut client, &Publish::to_queue("q").properties(&bad), user);
    let bad = bad.user_id("guest");
    refused(
        &mut client,
        &Publish::to_queue("q").properties(&bad),
        "invalid expiration 'abc': no_integer",
    );
    let bad = bad.expiration("5");
    let headers = "invalid message: {unacceptable_type_in_header,\"CC\",longstr}";
    refused(
        &mut client,
        &Publish::to_queue("q").properties(&bad),
        headers,
    );
    let bad = bad.headers(&table([("CC", AMQPValue::FieldArray(Vec::new().into()))]));
    let mode = "invalid message: {delivery_mode_unknown,7}";
    refused(&mut client, &Publish::to_queue("q").properties(&bad), mode);
}

#[test]
fn a_message_over_the_limit_closes_the_channel() {
    let server =
        Server::build(|builder| builder.configure(|config| config.limits.max_message_size = 1000));
    let mut client = with_queue(&server);
    client.publish(1, &Publish::to_queue("q").body(octets(1000)));
    client.publish(
        1,
        &Publish::to_queue("q").body(octets(1001)).in_pieces_of(100),
    );
    client.publish_text(1, "q", "swallowed");
    let close = client.expect_channel_close(
        1,
        406,
        "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000",
    );
    assert_eq!((close.class_id, close.method_id), (60, 40));
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn a_message_goes_to_all_queues_with_its_octets() {
    let server = Server::start();
    let mut client = server.client();
    for number in 0..50 {
        let name = format!("q{number}");
        client.call(1, queue(&name));
        client.call(1, leveret_tests::requests::bind(&name, "amq.fanout", ""));
    }
    let publish = Publish::to("amq.fanout", "key")
        .properties(&all_properties(&FieldTable::default()))
        .body(octets(100_000));
    client.publish(1, &publish);
    for number in 0..50 {
        let got = client.get(1, &format!("q{number}"), true).unwrap();
        assert_eq!(got.content.header, publish.header_payload());
        assert!(got.content.body == octets(100_000));
    }
}
