use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic};
use proptest::prelude::*;

use super::*;
use crate::frame::cut;
use crate::samples::{frame_octets, mutated, octets, payload, properties, short_string};

const LIMIT: u32 = 131_072;

fn method_frame(channel: u16, publish: basic::Publish) -> Vec<u8> {
    let method = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
    frame_octets(&AMQPFrame::Method(channel, method))
}

fn header_frame(channel: u16, properties: &AMQPProperties, body_size: u64) -> Vec<u8> {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size,
        properties: properties.clone(),
    };
    frame_octets(&AMQPFrame::Header(channel, header))
}

fn body_frame(channel: u16, body: &[u8]) -> Vec<u8> {
    frame_octets(&AMQPFrame::Body(channel, body.to_vec()))
}

/// Method, header and one body frame.
fn frames(channel: u16, properties: &AMQPProperties, body: &[u8]) -> Vec<u8> {
    let publish = basic::Publish {
        exchange: "x".into(),
        routing_key: "key".into(),
        mandatory: true,
        immediate: false,
    };
    let mut octets = method_frame(channel, publish);
    octets.extend(header_frame(channel, properties, body.len() as u64));
    if !body.is_empty() {
        octets.extend(body_frame(channel, body));
    }
    octets
}

#[test]
fn names_need_not_be_utf8() {
    let publish = parse_publish(b"\0\0\x02\xFF\xFE\x01\x80\x03").unwrap();
    assert_eq!(publish.exchange(), [0xFF, 0xFE]);
    assert_eq!(publish.routing_key(), [0x80]);
    assert_eq!(publish.routing, b"\x02\xFF\xFE\x01\x80");
    assert!(publish.mandatory && publish.immediate);
}

#[test]
fn arguments_are_consumed_exactly() {
    let whole = b"\0\0\x01x\x01k\0";
    assert!(parse_publish(whole).is_ok());
    for end in 0..whole.len() {
        let error = parse_publish(&whole[..end]).unwrap_err();
        assert_eq!(error, MethodError::undecodable(60, 40, &whole[..end]));
    }
    let trailing = parse_publish(b"\0\0\x01x\x01k\0\0").unwrap_err();
    assert_eq!(
        trailing.to_string(),
        "cannot decode <<0,0,1,120,1,107,0,0>>"
    );
}

#[test]
fn an_empty_body_has_no_frame() {
    let input = frames(3, &AMQPProperties::default(), b"");
    let whole = cut_publish(&input, LIMIT).unwrap();
    assert_eq!(whole.encoded_len(), input.len());
    assert!(whole.body_range().is_empty());
    assert_eq!(whole.message().body(), b"");
}

#[test]
fn anything_but_a_whole_publish_is_left_to_the_frame_by_frame_way() {
    let none = AMQPProperties::default();
    let publish = || method_frame(1, basic::Publish::default());
    let ack = AMQPClass::Basic(basic::AMQPMethod::Ack(basic::Ack::default()));
    let mut other_class = header_frame(1, &none, 4);
    other_class[8] = 50;
    let mut weight = header_frame(1, &none, 4);
    weight[10] = 1;
    let mut bad_end = body_frame(1, b"body");
    *bad_end.last_mut().unwrap() = 0;
    let cases: [(&str, Vec<Vec<u8>>); 10] = [
        (
            "another method",
            vec![frame_octets(&AMQPFrame::Method(1, ack))],
        ),
        ("a heartbeat", vec![frame_octets(&AMQPFrame::Heartbeat)]),
        ("method twice", vec![publish(), publish()]),
        (
            "header first",
            vec![header_frame(1, &none, 4), body_frame(1, b"body")],
        ),
        (
            "other channel's header",
            vec![publish(), header_frame(2, &none, 0)],
        ),
        (
            "other channel's body",
            vec![publish(), header_frame(1, &none, 4), body_frame(2, b"body")],
        ),
        (
            "split body",
            vec![
                publish(),
                header_frame(1, &none, 4),
                body_frame(1, b"bo"),
                body_frame(1, b"dy"),
            ],
        ),
        (
            "class 50",
            vec![publish(), other_class, body_frame(1, b"body")],
        ),
        ("weight", vec![publish(), weight, body_frame(1, b"body")]),
        (
            "bad end",
            vec![publish(), header_frame(1, &none, 4), bad_end],
        ),
    ];
    for (name, frames) in cases {
        assert!(cut_publish(&frames.concat(), LIMIT).is_none(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn publishes_read_as_amq_protocol_wrote_them(
        exchange in short_string(),
        routing_key in short_string(),
        mandatory in any::<bool>(),
        immediate in any::<bool>(),
    ) {
        let theirs = basic::Publish {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            mandatory,
            immediate,
        };
        let frame = method_frame(1, theirs);
        let ours = parse_publish(&payload(&frame)[4..]).unwrap();
        prop_assert_eq!(ours.exchange(), exchange.as_str().as_bytes());
        prop_assert_eq!(ours.routing_key(), routing_key.as_str().as_bytes());
        prop_assert_eq!((ours.mandatory, ours.immediate), (mandatory, immediate));
    }

    #[test]
    fn a_whole_publish_becomes_the_message_that_its_parts_make(
        channel in any::<u16>(),
        properties in properties(),
        body in prop_oneof![octets(40), Just(vec![7; 4096]), Just(vec![8; 4097])],
        after in octets(30),
    ) {
        let frames = frames(channel, &properties, &body);
        let mut input = frames.clone();
        input.extend(&after);
        let whole = cut_publish(&input, LIMIT).unwrap();
        prop_assert_eq!(whole.channel, channel);
        prop_assert_eq!(whole.encoded_len(), frames.len());
        prop_assert!(whole.publish.mandatory && !whole.publish.immediate);
        prop_assert_eq!(&input[whole.body_range()], &body[..]);
        let message = whole.message();
        prop_assert_eq!(message.exchange(), b"x");
        prop_assert_eq!(message.routing_key(), b"key");
        prop_assert_eq!(message.header(), whole.header.raw);
        prop_assert_eq!(message.body(), &body[..]);
        let parts = Message::new(whole.publish.routing, whole.header.raw, whole.body.into());
        prop_assert_eq!(parts.memory(), message.memory());
        prop_assert_eq!(parts.priority(), message.priority());
        prop_assert_eq!(parts.is_persistent(), message.is_persistent());
        prop_assert_eq!(parts.has_headers(), message.has_headers());
    }

    #[test]
    fn no_prefix_of_a_publish_is_whole(body in octets(20)) {
        let frames = frames(1, &AMQPProperties::default(), &body);
        for end in 0..frames.len() {
            prop_assert!(cut_publish(&frames[..end], LIMIT).is_none());
        }
    }

    #[test]
    fn a_mutated_publish_is_whole_only_if_its_frames_are(
        input in mutated((properties(), octets(20)).prop_map(|(p, body)| frames(5, &p, &body))),
    ) {
        if let Some(whole) = cut_publish(&input, LIMIT) {
            let mut rest = &input[..whole.encoded_len()];
            while !rest.is_empty() {
                let frame = cut(rest, LIMIT).unwrap().unwrap();
                prop_assert_eq!(frame.channel, whole.channel);
                rest = &rest[frame.encoded_len()..];
            }
            let message = whole.message();
            prop_assert_eq!(message.body(), whole.body);
        }
    }
}
