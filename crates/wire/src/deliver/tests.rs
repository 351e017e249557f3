use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::protocol::{AMQPClass, basic};
use proptest::prelude::*;

use super::*;
use crate::output::SHARE_MIN;
use crate::samples::{header_payload, octets, properties, read_frames, short_string};

fn message(properties: &AMQPProperties, body: &[u8]) -> Message {
    let header = header_payload(properties, body.len() as u64);
    Message::from_parts(b"ex", b"key", &header, body.into()).unwrap()
}

/// What follows the method: the header frame and body frames of at most `piece` octets.
fn content(channel: u16, properties: &AMQPProperties, body: &[u8], piece: usize) -> Vec<AMQPFrame> {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: body.len() as u64,
        properties: properties.clone(),
    };
    let mut frames = vec![AMQPFrame::Header(channel, header)];
    frames.extend(
        body.chunks(piece)
            .map(|piece| AMQPFrame::Body(channel, piece.to_vec())),
    );
    frames
}

fn deliver(message: &Message, frame_max: u32) -> OutputBuffer {
    let mut out = OutputBuffer::new();
    encode_deliver(&mut out, 0x0102, b"tag", 1, false, message, frame_max);
    out
}

fn body_lengths(out: &OutputBuffer) -> Vec<usize> {
    let frames = read_frames(&out.to_vec());
    let bodies = frames.iter().filter_map(|frame| match frame {
        AMQPFrame::Body(0x0102, body) => Some(body.len()),
        _ => None,
    });
    bodies.collect()
}

#[test]
fn an_empty_body_has_no_frame() {
    let out = deliver(&message(&AMQPProperties::default(), b""), 4096);
    assert_eq!(read_frames(&out.to_vec()).len(), 2);
}

#[test]
fn bodies_are_cut_for_the_peers_frame_max() {
    let none = AMQPProperties::default();
    let cases: [(usize, u32, &[usize]); 9] = [
        (4088, 4096, &[4088]),
        (4089, 4096, &[4088, 1]),
        (4096, 4096, &[4088, 8]),
        (4097, 4096, &[4088, 9]),
        (4096, 0, &[4096]),
        (131_064, 131_072, &[131_064]),
        (300_000, 131_072, &[131_064, 131_064, 37_872]),
        (300_000, 0, &[300_000]),
        (3, 9, &[1, 1, 1]),
    ];
    for (body, frame_max, lengths) in cases {
        let message = message(&none, &vec![7; body]);
        assert_eq!(body_lengths(&deliver(&message, frame_max)), lengths);
    }
    // Below any legal frame_max a body still comes to its end.
    let tiny = message(&none, b"abc");
    assert_eq!(body_lengths(&deliver(&tiny, 1)), [1, 1, 1]);
}

#[test]
fn a_large_body_is_written_by_reference() {
    let message = message(&AMQPProperties::default(), &vec![7; 2 * SHARE_MIN]);
    let out = deliver(&message, 131_072);
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    assert_eq!(out.chunks(&mut slices), 3);
    assert_eq!(slices[1].as_ptr(), message.body().as_ptr());
}

#[test]
fn deliveries_follow_each_other() {
    let message = message(&AMQPProperties::default(), b"body");
    let one = deliver(&message, 4096).to_vec();
    let mut out = OutputBuffer::new();
    for _ in 0..3 {
        encode_deliver(&mut out, 0x0102, b"tag", 1, false, &message, 4096);
    }
    assert_eq!(out.to_vec(), [&one[..], &one, &one].concat());
}

#[test]
fn texts_over_255_octets_are_cut() {
    let message = message(&AMQPProperties::default(), b"");
    let mut out = OutputBuffer::new();
    // 254 octets and a letter of two
    let text = format!("{}\u{e9}", "a".repeat(254));
    encode_return(&mut out, 1, 312, &text, &message, 4096);
    encode_deliver(&mut out, 1, &[b'c'; 300], 1, false, &message, 4096);
    let frames = read_frames(&out.to_vec());
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Return(returned))) = &frames[0]
    else {
        panic!("{:?}", frames[0]);
    };
    assert_eq!(returned.reply_text.as_str(), "a".repeat(254));
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))) = &frames[2]
    else {
        panic!("{:?}", frames[2]);
    };
    assert_eq!(deliver.consumer_tag.as_str().len(), 255);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn amq_protocol_reads_what_is_delivered(
        channel in any::<u16>(),
        consumer_tag in short_string(),
        delivery_tag in any::<u64>(),
        redelivered in any::<bool>(),
        message_count in any::<u32>(),
        reply_code in any::<u16>(),
        properties in properties(),
        body in prop_oneof![octets(60), Just(vec![1; 4090]), Just(vec![2; 40_000])],
        frame_max in prop_oneof![Just(4096_u32), Just(131_072)],
    ) {
        let message = message(&properties, &body);
        let piece = frame_max as usize - 8;
        let expected = |method| {
            let mut frames = vec![AMQPFrame::Method(channel, AMQPClass::Basic(method))];
            frames.extend(content(channel, &properties, &body, piece));
            frames
        };

        let mut out = OutputBuffer::new();
        let tag = consumer_tag.as_str().as_bytes();
        encode_deliver(&mut out, channel, tag, delivery_tag, redelivered, &message, frame_max);
        let deliver = expected(basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag: consumer_tag.clone(),
            delivery_tag,
            redelivered,
            exchange: "ex".into(),
            routing_key: "key".into(),
        }));
        prop_assert_eq!(read_frames(&out.to_vec()), deliver);

        out.clear();
        encode_get_ok(
            &mut out, channel, delivery_tag, redelivered, message_count, &message, frame_max,
        );
        let get_ok = expected(basic::AMQPMethod::GetOk(basic::GetOk {
            delivery_tag,
            redelivered,
            exchange: "ex".into(),
            routing_key: "key".into(),
            message_count,
        }));
        prop_assert_eq!(read_frames(&out.to_vec()), get_ok);

        out.clear();
        encode_return(&mut out, channel, reply_code, "NO_ROUTE", &message, frame_max);
        let returned = expected(basic::AMQPMethod::Return(basic::Return {
            reply_code,
            reply_text: "NO_ROUTE".into(),
            exchange: "ex".into(),
            routing_key: "key".into(),
        }));
        prop_assert_eq!(read_frames(&out.to_vec()), returned);
    }
}
