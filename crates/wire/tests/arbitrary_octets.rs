//! No parser panics, loops or reads past the end, whatever a peer sends: every public entry point
//! gets random octets and mutated valid frames.

#![allow(
    clippy::unwrap_used,
    reason = "the valid frames are made here; anything else must fail the test"
)]

use bytes::Bytes;
use leveret_wire::properties::Property;
use leveret_wire::{
    ArrayBuilder, FrameHeader, FrameKind, Message, OutputBuffer, PropertiesBuilder, RawTable,
    RawValue, TableBuilder, TableLimits, cut, cut_publish, encode_deliver, encode_get_ok,
    encode_method, encode_return, encode_table, parse_ack, parse_content_header, parse_method,
    parse_nack, parse_publish, parse_reject, rewrite_expiration, rewrite_headers, rewrite_reply_to,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const PAYLOAD_MAX: u32 = 4096;

/// Everything that reads a payload.
fn read_payload(payload: &[u8]) {
    let mut out = OutputBuffer::new();
    if let Ok(method) = parse_method(payload) {
        encode_method(&mut out, 1, &method);
    }
    let _ = parse_publish(payload);
    let _ = parse_ack(payload);
    let _ = parse_nack(payload);
    let _ = parse_reject(payload);
    if parse_content_header(payload).is_ok() {
        for rewritten in [
            rewrite_headers(payload, None),
            rewrite_reply_to(payload, Some(b"amq.rabbitmq.reply-to.x")),
            rewrite_expiration(payload, None),
        ] {
            assert!(parse_content_header(&rewritten.unwrap()).is_ok());
        }
    }
    if let Ok(table) = RawTable::parse(payload) {
        let mut again = Vec::new();
        encode_table(&table.to_field_table(), &mut again);
        let limits = TableLimits {
            utf8_keys: true,
            ..TableLimits::default()
        };
        assert!(RawTable::parse_with(&again, &limits).is_ok());
    }
}

/// Everything that writes a message.
fn write_message(message: &Message) {
    for frame_max in [0, 9, 4096] {
        let mut out = OutputBuffer::new();
        encode_deliver(&mut out, 1, b"tag", 1, true, message, frame_max);
        encode_get_ok(&mut out, 1, 1, true, 1, message, frame_max);
        encode_return(&mut out, 1, 312, "NO_ROUTE", message, frame_max);
        assert!(out.len() > 3 * (message.header().len() + message.body().len()));
    }
    let mut stored = Vec::new();
    message.encode(&mut stored);
    assert_eq!(stored.len(), message.encoded_len());
}

/// Read `input` to its end, as a connection would.
fn read_input(input: &[u8]) {
    let mut rest = input;
    loop {
        if let Some(whole) = cut_publish(rest, PAYLOAD_MAX) {
            write_message(&whole.message());
        }
        match cut(rest, PAYLOAD_MAX) {
            Ok(Some(frame)) => {
                read_payload(frame.payload);
                rest = &rest[frame.encoded_len()..];
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().starts_with("type "));
                break;
            }
        }
    }
    read_payload(rest);
    if let Ok(message) = Message::decode(Bytes::copy_from_slice(rest)) {
        write_message(&message);
    }
}

fn put_frame(frames: &mut Vec<u8>, kind: FrameKind, payload: &[u8]) {
    let envelope = FrameHeader {
        kind: kind.octet(),
        channel: 1,
        size: u32::try_from(payload.len()).unwrap(),
    };
    frames.extend_from_slice(&envelope.octets());
    frames.extend_from_slice(payload);
    frames.push(0xCE);
}

/// A declare with arguments, an ack, and a publish with headers of many types.
fn valid_frames() -> Vec<u8> {
    let mut deaths = ArrayBuilder::new();
    let mut death = TableBuilder::new();
    death
        .put(b"count", &RawValue::I64(3))
        .put(b"time", &RawValue::Timestamp(1_700_000_000))
        .put(b"queue", &RawValue::LongString(b"q"));
    deaths.push(&RawValue::Table(death.as_table()));
    let mut headers = TableBuilder::new();
    headers
        .put(b"x-death", &RawValue::Array(deaths.as_array()))
        .put(b"flag", &RawValue::Bool(true))
        .put(b"ratio", &RawValue::F64(0.5))
        .put(b"price", &RawValue::Decimal { scale: 2, value: 5 })
        .put(b"none", &RawValue::Void);
    let headers = headers.into_content();

    let mut frames = Vec::new();
    let mut declare = b"\x00\x32\x00\x0a\x00\x00\x01q\x02".to_vec();
    declare.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    declare.extend(&headers);
    put_frame(&mut frames, FrameKind::Method, &declare);
    put_frame(
        &mut frames,
        FrameKind::Method,
        b"\0\x3c\0\x50\0\0\0\0\0\0\0\x07\x01",
    );
    put_frame(
        &mut frames,
        FrameKind::Method,
        b"\0\x3c\0\x28\0\0\x01x\x03key\x01",
    );
    let header = PropertiesBuilder::new()
        .text(Property::ContentType, Some(b"text/plain"))
        .headers(Some(&headers))
        .delivery_mode(Some(2))
        .expiration(Some(b"60000"))
        .build(4);
    put_frame(&mut frames, FrameKind::Header, &header.unwrap());
    put_frame(&mut frames, FrameKind::Body, b"body");
    put_frame(&mut frames, FrameKind::Heartbeat, b"");
    frames
}

#[test]
fn the_valid_frames_are_valid() {
    let frames = valid_frames();
    let mut rest = &frames[..];
    let mut kinds = Vec::new();
    while let Some(frame) = cut(rest, PAYLOAD_MAX).unwrap() {
        if frame.kind == FrameKind::Method {
            parse_method(frame.payload).unwrap();
        }
        if cut_publish(rest, PAYLOAD_MAX).is_some() {
            kinds.push(0);
        }
        kinds.push(frame.kind.octet());
        rest = &rest[frame.encoded_len()..];
    }
    assert_eq!(kinds, [1, 1, 0, 1, 2, 3, 8]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_octets(input in vec(any::<u8>(), 0..200)) {
        read_input(&input);
    }

    /// Envelopes are right, so that the payload parsers get to see random octets.
    #[test]
    fn random_payloads(
        payloads in vec((0..3_u8, vec(any::<u8>(), 0..80)), 1..4),
        class in prop_oneof![Just(60_u8), Just(50), Just(40), Just(10)],
        method in prop_oneof![Just(10_u8), Just(11), Just(20), Just(40), Just(80)],
    ) {
        let mut input = Vec::new();
        for (kind, payload) in payloads {
            let kind = [FrameKind::Method, FrameKind::Header, FrameKind::Body][usize::from(kind)];
            let payload = [&[0, class, 0, method], &payload[..]].concat();
            put_frame(&mut input, kind, &payload);
        }
        read_input(&input);
    }

    #[test]
    fn mutated_frames(
        edits in vec((0..4_u8, any::<Index>(), any::<u8>()), 0..6),
    ) {
        let mut input = valid_frames();
        for (edit, at, octet) in edits {
            if input.is_empty() {
                break;
            }
            let at = at.index(input.len());
            match edit {
                0 | 1 => input[at] = octet,
                2 => input.insert(at, octet),
                _ => {
                    input.remove(at);
                }
            }
        }
        read_input(&input);
    }
}
