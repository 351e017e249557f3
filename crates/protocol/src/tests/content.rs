//! Messages: method, header, body, in this order on their channel.

use super::{
    frames::{self, header_payload, raw, raw_method},
    script::Script,
};
use crate::{Config, Event};

const NOT_A_HEADER: &str =
    "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead";
const NOT_A_BODY: &str =
    "UNEXPECTED_FRAME - expected content body, got non content body frame instead";
const NOT_A_METHOD: &str = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";

/// The body of the next publish, which must be on `channel`.
fn published(script: &mut Script, channel: u16) -> Vec<u8> {
    match script.event() {
        Event::Publish(number, publish) if number == channel => publish.message.body().to_vec(),
        other => panic!("{other:?} is not a publish on channel {channel}"),
    }
}

#[test]
fn a_message_keeps_its_routing_header_and_body() {
    // content_type, headers {k: true, coded as 7}, delivery_mode 2: relayed as they came.
    let properties = b"\xb0\x00\x04text\x00\x00\x00\x04\x01kt\x07\x02";
    let header = header_payload(60, 0, 5, properties);
    let mut script = Script::running();
    script.sends(&raw_method(1, 60, 40, b"\0\0\x02ex\x03key\x03"));
    script
        .sends(&raw(2, 1, &header))
        .sends(&frames::body(1, b"hello"));
    let Event::Publish(1, publish) = script.event() else {
        panic!("a publish")
    };
    assert!(publish.mandatory && publish.immediate);
    assert_eq!(publish.message.exchange(), b"ex");
    assert_eq!(publish.message.routing_key(), b"key");
    assert_eq!(publish.message.header(), header);
    assert_eq!(publish.message.body(), b"hello");
    assert!(publish.message.is_persistent());
    script.expect_quiet();
}

#[test]
fn the_short_road_and_the_long_one_give_the_same_message() {
    for size in [
        0, 1, 100, 4_096, 4_097, 16_383, 16_384, 65_535, 65_536, 100_000,
    ] {
        let frames = frames::publish(1, "ex", "key", &vec![b'z'; size]);
        let mut whole = Script::running();
        whole.sends(&frames);
        let mut split = Script::running();
        let middle = frames.len() / 2;
        split.sends(&frames[..middle]).expect_quiet();
        split.sends(&frames[middle..]);
        assert_eq!(whole.event_text(), split.event_text(), "{size} octets");
        whole.expect_quiet();
        split.expect_quiet();
    }
}

#[test]
fn an_empty_body_needs_no_frame() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 0));
    assert_eq!(published(&mut script, 1), b"");
    script
        .sends(&frames::publish(1, "", "q", b""))
        .sends(&frames::publish(1, "", "q", b"x"));
    assert_eq!(published(&mut script, 1), b"");
    assert_eq!(published(&mut script, 1), b"x");
}

#[test]
fn a_body_comes_in_any_number_of_frames() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 6));
    for part in [&b"a"[..], b"", b"bcd", b"", b"ef"] {
        script.expect_quiet();
        script.sends(&frames::body(1, part));
    }
    assert_eq!(published(&mut script, 1), b"abcdef");
}

#[test]
fn large_bodies_of_many_frames_are_joined() {
    let body: Vec<u8> = (0..300_000_u32)
        .map(|index| index.to_be_bytes()[3])
        .collect();
    let mut input = frames::publish_method(1, "", "q");
    input.extend(frames::header(1, body.len() as u64));
    for part in body.chunks(131_064) {
        input.extend(frames::body(1, part));
    }
    let mut script = Script::running();
    for chunk in input.chunks(65_536) {
        script.sends(chunk);
    }
    assert_eq!(published(&mut script, 1), body);
}

#[test]
fn a_large_body_is_taken_without_a_copy() {
    let frames = frames::publish(1, "", "q", &vec![b'x'; 70_000]);
    let mut script = Script::running();
    script.input.reserve(100_000);
    script.input.extend_from_slice(&frames);
    let in_buffer = script.input[frames.len() - 70_001..].as_ptr();
    script.poll();
    let Event::Publish(1, publish) = script.event() else {
        panic!("a publish")
    };
    assert_eq!(publish.message.body().as_ptr(), in_buffer);

    // The same when method and header came in an earlier read.
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 70_000));
    script.input.reserve(100_000);
    script
        .input
        .extend_from_slice(&frames::body(1, &vec![b'y'; 70_000]));
    let in_buffer = script.input[7..].as_ptr();
    script.poll();
    let Event::Publish(1, publish) = script.event() else {
        panic!("a publish")
    };
    assert_eq!(publish.message.body().as_ptr(), in_buffer);
}

#[test]
fn frames_of_other_channels_and_heartbeats_may_come_between() {
    let mut script = Script::running();
    script.opens(2).opens(300);
    script.sends(&frames::publish_method(1, "", "one"));
    script
        .sends(&frames::publish_method(300, "", "three"))
        .sends(&frames::heartbeat());
    script
        .sends(&frames::header(1, 4))
        .sends(&frames::publish(2, "", "two", b"whole"));
    script
        .sends(&frames::header(300, 2))
        .sends(&frames::body(1, b"ab"))
        .sends(&frames::ack(2, 1));
    script
        .sends(&frames::body(300, b"zz"))
        .sends(&frames::body(1, b"cd"));
    assert_eq!(published(&mut script, 2), b"whole");
    assert_eq!(script.event_text(), "channel 2 ack 1 false");
    assert_eq!(published(&mut script, 300), b"zz");
    assert_eq!(published(&mut script, 1), b"abcd");
    script.expect_quiet();
}

#[test]
fn a_header_must_follow_the_publish() {
    let wrong = [
        frames::body(1, b"x"),
        frames::body(1, b""),
        frames::publish_method(1, "", "q"),
        frames::channel_close(1),
        frames::ack(1, 1),
        raw(2, 1, &header_payload(60, 1, 5, &[0, 0])),
        raw(2, 1, &header_payload(50, 1, 5, &[0, 0])),
    ];
    for frame in wrong {
        let mut script = Script::running();
        script
            .sends(&frames::publish_method(1, "", "q"))
            .sends(&frame);
        script.expect_hard_error(505, NOT_A_HEADER, 60, 40);
    }
}

#[test]
fn a_header_is_of_class_60() {
    let mut script = Script::running();
    script.sends(&frames::publish_method(1, "", "q"));
    script.sends(&raw(2, 1, &header_payload(50, 0, 5, &[0, 0])));
    let text =
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead";
    script.expect_hard_error(505, text, 60, 40);
}

#[test]
fn only_body_frames_may_come_within_a_body() {
    let wrong = [
        frames::header(1, 5),
        frames::publish_method(1, "", "q"),
        frames::channel_close(1),
        frames::channel_close_ok(1),
        frames::queue_declare(1, "q"),
    ];
    for frame in wrong {
        let mut script = Script::running();
        script
            .sends(&frames::publish_method(1, "", "q"))
            .sends(&frames::header(1, 5));
        script.sends(&frames::body(1, b"abc")).sends(&frame);
        script.expect_hard_error(505, NOT_A_BODY, 60, 40);
    }
}

#[test]
fn content_needs_a_method_before_it() {
    for frame in [
        frames::header(1, 0),
        frames::body(1, b""),
        frames::body(1, b"x"),
    ] {
        let mut script = Script::running();
        script
            .sends(&frame)
            .expect_hard_error(505, NOT_A_METHOD, 0, 0);
        let mut script = Script::running();
        script
            .sends(&frames::publish(1, "", "q", b"done"))
            .sends(&frame);
        assert_eq!(published(&mut script, 1), b"done");
        script.expect_hard_error(505, NOT_A_METHOD, 0, 0);
    }
}

#[test]
fn a_body_may_not_be_longer_than_announced() {
    // Deviation 3: RabbitMQ 3.10 does not notice.
    let text = "FRAME_ERROR - content body frame exceeds remaining content size";
    for parts in [&[&b"abcd"[..]][..], &[b"ab", b"cd"]] {
        let mut script = Script::running();
        script
            .sends(&frames::publish_method(1, "", "q"))
            .sends(&frames::header(1, 3));
        for part in parts {
            script.sends(&frames::body(1, part));
        }
        script.expect_hard_error(501, text, 60, 40);
    }
    // In one read too, where the message could be taken whole.
    let frames = [
        frames::publish_method(1, "", "q"),
        frames::header(1, 3),
        frames::body(1, b"abcd"),
    ];
    let mut script = Script::running();
    script
        .sends(&frames.concat())
        .expect_hard_error(501, text, 60, 40);
}

#[test]
fn a_body_over_the_hard_cap_is_refused_at_the_header() {
    for size in [536_870_913, u64::MAX] {
        let mut script = Script::running();
        script
            .sends(&frames::publish_method(1, "", "q"))
            .sends(&frames::header(1, size));
        let text = format!(
            "FRAME_ERROR - content body size {size} exceeds maximum allowed size 536870912"
        );
        script.expect_hard_error(501, &text, 60, 40);
    }
}

fn small_messages_only() -> Script {
    let config = Config {
        max_message_size: 1_000,
        ..Config::default()
    };
    let mut script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    script.opens(1);
    script
}

#[test]
fn a_message_of_the_largest_size_is_taken() {
    let mut script = small_messages_only();
    script.sends(&frames::publish(1, "", "q", &[b'x'; 1_000]));
    assert_eq!(published(&mut script, 1).len(), 1_000);
}

#[test]
fn a_message_over_the_largest_size_is_a_soft_error() {
    let text = "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000";
    let too_large = frames::publish(1, "", "q", &[b'x'; 1_001]);
    for split in [false, true] {
        let mut script = small_messages_only();
        script.opens(2);
        let (first, rest) = too_large.split_at(if split { 30 } else { too_large.len() });
        script.sends(first).sends(rest);
        assert_eq!(script.event_text(), format!("channel 1 failed: 406 {text}"));
        script
            .expect_channel_close(1, 406, text, 60, 40)
            .expect_quiet();
        // The body was discarded, the connection and its other channels go on.
        script.sends(&frames::publish(1, "", "q", b"ignored"));
        script.sends(&frames::publish(2, "", "q", b"taken"));
        assert_eq!(published(&mut script, 2), b"taken");
        script.sends(&frames::channel_close_ok(1));
        assert_eq!(script.event_text(), "channel 1 closed");
        script.expect_quiet();
    }
}

#[test]
fn a_large_message_is_refused_at_its_header_and_nothing_is_kept() {
    let mut script = small_messages_only();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 536_870_912));
    assert!(script.event_text().starts_with("channel 1 failed: 406"));
    assert!(format!("{:?}", script.next_method()).contains("reply_code: 406"));
    for _ in 0..10 {
        script
            .sends(&frames::body(1, &vec![0; 100_000]))
            .expect_quiet();
        assert!(script.input.is_empty());
    }
    // It is content still: a method within it is a hard error.
    script
        .sends(&frames::channel_close_ok(1))
        .expect_hard_error(505, NOT_A_BODY, 60, 40);
}

#[test]
fn immediate_is_refused_before_the_size() {
    let mut script = small_messages_only();
    script
        .sends(&raw_method(1, 60, 40, b"\0\0\0\x01q\x02"))
        .sends(&frames::header(1, 1_001));
    script.expect_hard_error(540, "NOT_IMPLEMENTED - immediate=true", 60, 40);
}

#[test]
fn a_header_too_short_to_be_one_is_unknown() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&raw(2, 1, &[0, 60, 0, 0]));
    let text = "FRAME_ERROR - type 2, all octets = <<0,60,0,0>>: unknown_frame";
    script.expect_hard_error(501, text, 0, 0);
}

#[test]
fn properties_that_do_not_decode_are_a_hard_error() {
    // Deviation 4: RabbitMQ answers with 541.
    let broken: [(&[u8], u16); 8] = [
        // No flags at all; trailing octets; truncated short string; truncated table.
        (&[], 501),
        (&[0, 0, 9], 501),
        (&[0x80, 0, 5, b'a'], 501),
        (&[0x20, 0, 0, 0, 0, 9], 501),
        // The continuation bit.
        (&[0, 1], 501),
        // An unknown field type; the tag `U`; a value that ends early.
        (&[0x20, 0, 0, 0, 0, 4, 1, b'k', b'Z', 0], 502),
        (&[0x20, 0, 0, 0, 0, 5, 1, b'k', b'U', 0, 0], 502),
        (&[0x20, 0, 0, 0, 0, 4, 1, b'k', b'I', 0], 502),
    ];
    for (properties, code) in broken {
        let mut script = Script::running();
        script.sends(&frames::publish_method(1, "", "q"));
        script.sends(&raw(2, 1, &header_payload(60, 0, 0, properties)));
        let event = script.event_text();
        assert!(
            event.starts_with(&format!("failed: {code} ")),
            "{properties:?}: {event}"
        );
        assert!(format!("{:?}", script.next_method()).contains("class_id: 60, method_id: 40"));
    }
}

#[test]
fn all_fourteen_properties_are_taken() {
    let mut properties = vec![0xff, 0xfc];
    properties.extend(b"\x01c\x01e\x00\x00\x00\x00\x02\x09\x01i\x01r\x011\x01m");
    properties.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    properties.extend(b"\x01t\x01u\x01a\x01k");
    let mut script = Script::running();
    script.sends(&frames::publish_method(1, "", "q"));
    script.sends(&raw(2, 1, &header_payload(60, 0, 0, &properties)));
    let Event::Publish(1, publish) = script.event() else {
        panic!("a publish")
    };
    assert_eq!(publish.message.priority(), 9);
    assert!(publish.message.has_user_id() && publish.message.has_expiration());
}

#[test]
fn a_soft_error_within_content_lets_the_rest_of_it_pass() {
    let error = crate::ChannelError::precondition_failed("delivery acknowledgement timed out");
    for sent_before in 0..3 {
        let frames = [
            frames::publish_method(1, "", "q"),
            frames::header(1, 6),
            frames::body(1, b"abc"),
            frames::body(1, b"def"),
        ];
        let mut script = Script::running();
        script
            .sends(&frames[..=sent_before].concat())
            .expect_quiet();
        script.connection.close_channel(1, &error);
        script.flush().next_method();
        script
            .sends(&frames[sent_before + 1..].concat())
            .expect_quiet();
        script.sends(&frames::channel_close_ok(1));
        assert_eq!(script.event_text(), "channel 1 closed");
    }
}

#[test]
fn broken_properties_do_not_matter_on_a_closing_channel() {
    let mut script = Script::running();
    script
        .connection
        .close_channel(1, &crate::ChannelError::not_found("x"));
    script.flush().next_method();
    script.sends(&frames::publish_method(1, "", "q"));
    script.sends(&raw(2, 1, &header_payload(60, 0, 3, &[0xff, 0xff, 1])));
    script.sends(&frames::body(1, b"abc")).expect_quiet();
    // Its sequence does.
    script
        .sends(&frames::body(1, b"abc"))
        .expect_hard_error(505, NOT_A_METHOD, 0, 0);
}
