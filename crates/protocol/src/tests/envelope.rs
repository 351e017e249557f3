//! Frames and methods that cannot be read, on a connection in use.

use super::{
    frames::{self, raw, raw_method},
    script::Script,
};

#[test]
fn a_frame_of_an_unknown_type_is_a_frame_error() {
    for kind in [0, 4, 5, 6, 7, 9, 255] {
        let mut script = Script::running();
        script.sends(&raw(kind, 1, &[1, 2]));
        let text = format!("FRAME_ERROR - type {kind}, all octets = <<1,2>>: unknown_frame");
        script.expect_hard_error(501, &text, 0, 0);
        // The frame was whole, so what follows is read: the answer ends the connection.
        script.sends(&frames::connection_close_ok());
        assert_eq!(script.event_text(), "closed");
    }
}

#[test]
fn a_heartbeat_belongs_to_channel_0() {
    let mut script = Script::running();
    script.sends(&frames::heartbeat()).expect_quiet();
    script.sends(&raw(8, 1, &[]));
    script.expect_hard_error(505, "UNEXPECTED_FRAME - type 8, all octets = <<>>", 0, 0);
}

#[test]
fn a_heartbeat_with_a_payload_is_unknown() {
    let mut script = Script::running();
    script.sends(&raw(8, 0, &[7]));
    script.expect_hard_error(
        501,
        "FRAME_ERROR - type 8, all octets = <<7>>: unknown_frame",
        0,
        0,
    );
}

#[test]
fn a_wrong_end_octet_ends_the_reading_at_once() {
    let mut script = Script::running();
    let mut frame = frames::channel_open(2);
    *frame.last_mut().unwrap() = 205;
    frame.extend(frames::connection_close_ok());
    script.sends(&frame);
    let text = "FRAME_ERROR - type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,205}";
    script.expect_hard_error(501, text, 0, 0);
    // The TCP connection goes after three seconds; close-ok is not waited for, nor heeded.
    script.sends(&frames::connection_close_ok()).expect_quiet();
    assert!(script.input.is_empty());
    script.advance(2.9).expect_quiet();
    script.advance(0.1);
    assert_eq!(script.event_text(), "closed");
    assert!(script.connection.may_linger());
}

#[test]
fn long_payloads_are_shown_by_their_first_sixteen_octets() {
    let mut script = Script::running();
    script.sends(&raw(9, 1, &[0; 17]));
    let zeros = ["0"; 16].join(",");
    let text = format!("FRAME_ERROR - type 9, first 16 octets = <<{zeros}>>: unknown_frame");
    script.expect_hard_error(501, &text, 0, 0);
}

#[test]
fn a_payload_may_be_as_long_as_frame_max() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 131_072));
    script.sends(&frames::body(1, &vec![b'x'; 131_072]));
    assert!(script.event_text().starts_with("channel 1 publish /q"));
    script.expect_quiet();
}

#[test]
fn one_octet_more_is_refused_from_the_header_alone() {
    let mut script = Script::running();
    script.sends(&[1, 0, 1, 0, 2, 0, 1]);
    let text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,131073,131064}";
    script.expect_hard_error(501, text, 0, 0);
    script.advance(3.0);
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn the_negotiated_limit_counts_and_not_the_offered_one() {
    let mut script = Script::opened(crate::Config::default(), &frames::tune_ok(0x7ff, 4_096, 0));
    assert_eq!(script.connection.frame_max(), 4_096);
    script.sends(&[1, 0, 1, 0, 0, 0x10, 1]);
    let text = "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4097,4088}";
    script.expect_hard_error(501, text, 0, 0);
}

#[test]
fn a_method_shorter_than_its_ids_is_unknown() {
    for channel in [0, 1] {
        let mut script = Script::running();
        script.sends(&raw(1, channel, &[0, 60, 0]));
        let text = "FRAME_ERROR - type 1, all octets = <<0,60,0>>: unknown_frame";
        script.expect_hard_error(501, text, 0, 0);
    }
}

#[test]
fn arguments_are_consumed_exactly() {
    let cases: [(u16, u16, u16, &[u8], &str); 6] = [
        (1, 20, 10, &[], "<<>>"),
        (1, 20, 40, &[0, 200, 0], "<<0,200,0>>"),
        (1, 60, 80, &[0, 0, 0, 0, 0, 0, 0, 1], "<<0,0,0,0,0,0,0,1>>"),
        (
            1,
            60,
            80,
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 9],
            "<<0,0,0,0,0,0,0,1,0,9>>",
        ),
        (1, 60, 40, &[0, 0, 0, 5], "<<0,0,0,5>>"),
        (0, 10, 50, &[1], "<<1>>"),
    ];
    for (channel, class, method, arguments, shown) in cases {
        let mut script = Script::running();
        script.sends(&raw_method(channel, class, method, arguments));
        let text = format!("FRAME_ERROR - cannot decode {shown}");
        script.expect_hard_error(501, &text, class, method);
    }
}

#[test]
fn short_strings_of_methods_without_content_are_utf8() {
    let mut script = Script::running();
    script.sends(&raw_method(1, 50, 40, &[0, 0, 2, 0xc3, 0x28, 0]));
    script.expect_hard_error(501, "FRAME_ERROR - Malformed UTF-8 in shortstr", 0, 0);
}

#[test]
fn names_in_publish_may_be_any_octets() {
    let mut script = Script::running();
    script.sends(&raw_method(1, 60, 40, &[0, 0, 1, 0xff, 1, 0xfe, 0]));
    script.sends(&frames::header(1, 0));
    let crate::Event::Publish(1, publish) = script.event() else {
        panic!("a publish")
    };
    assert_eq!(publish.message.exchange(), [0xff]);
    assert_eq!(publish.message.routing_key(), [0xfe]);
}

#[test]
fn an_unknown_class_or_method_is_not_implemented() {
    for (class, method) in [
        (0, 0),
        (61, 10),
        (60, 41),
        (10, 99),
        (40, 41),
        (u16::MAX, u16::MAX),
    ] {
        for channel in [0, 1, 7] {
            let mut script = Script::running();
            script.sends(&raw_method(channel, class, method, &[]));
            let text = format!("NOT_IMPLEMENTED - unknown class/method {class}/{method}");
            script.expect_hard_error(540, &text, class, method);
        }
    }
}

#[test]
fn an_unknown_field_tag_in_arguments_is_a_syntax_error() {
    for tag in [b'U', b'Z', 0] {
        let mut script = Script::running();
        // queue.declare of `q` with one argument `k`.
        let mut arguments = vec![0, 0, 1, b'q', 0, 0, 0, 0, 5, 1, b'k', tag, 0, 0];
        script.sends(&raw_method(1, 50, 10, &arguments));
        let event = script.event_text();
        assert!(event.starts_with("failed: 502 SYNTAX_ERROR - "), "{event}");
        // The same frame with a known tag is fine.
        arguments[11] = b's';
        let mut script = Script::running();
        script.sends(&raw_method(1, 50, 10, &arguments));
        assert!(script.event_text().contains("ShortInt(0)"));
    }
}

#[test]
fn a_table_nested_too_deep_is_a_syntax_error() {
    let nested = |depth: usize| {
        let mut table = Vec::new();
        for _ in 0..depth {
            let len = u32::try_from(table.len()).unwrap();
            table = [&[1, b'k', b'F'][..], &len.to_be_bytes(), &table].concat();
        }
        let len = u32::try_from(table.len()).unwrap();
        let arguments = [&[0, 0, 1, b'q', 0][..], &len.to_be_bytes(), &table].concat();
        raw_method(1, 50, 10, &arguments)
    };
    let mut script = Script::running();
    script.sends(&nested(30));
    assert!(script.event_text().starts_with("channel 1 Queue(Declare"));
    script.sends(&nested(10_000));
    let event = script.event_text();
    assert!(event.starts_with("failed: 502 SYNTAX_ERROR - "), "{event}");
}
