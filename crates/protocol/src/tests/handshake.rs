//! From the protocol header to `open-ok`.

use leveret_wire::{
    AMQPValue, ShortString,
    method::connection::{AMQPMethod, OpenOk, Tune},
};

use super::{
    frames::{self, raw, raw_method},
    script::{ALL_CAPABILITIES, Script},
};
use crate::{Config, ConnectionError};

#[test]
fn the_headers_of_0_9_1_and_0_9_get_start() {
    for header in [frames::PROTOCOL_HEADER, b"AMQP\x01\x01\x00\x09"] {
        let mut script = Script::new();
        script.sends(header);
        let start = script.expect_start();
        assert_eq!((start.version_major, start.version_minor), (0, 9));
        assert_eq!(start.mechanisms.as_bytes(), b"PLAIN AMQPLAIN");
        assert_eq!(start.locales.as_bytes(), b"en_US");
        script.expect_quiet();
    }
}

#[test]
fn any_other_header_is_answered_with_the_one_that_is_served() {
    let headers: [&[u8; 8]; 8] = [
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x01\x01\x08\x00",
        b"AMQP\x01\x01\x09\x01",
        b"AMQP\x00\x00\x09\x00",
        b"GET / HT",
        b"amqp\x00\x00\x09\x01",
        &[0; 8],
    ];
    for header in headers {
        let mut script = Script::new();
        script.sends(header);
        let event = script.event_text();
        assert!(event.starts_with("lost: UnsupportedProtocol"), "{event}");
        assert_eq!(std::mem::take(&mut script.octets), frames::PROTOCOL_HEADER);
        assert!(script.connection.is_finished() && script.connection.may_linger());
        script.sends(b"more").expect_quiet();
        assert_eq!(script.connection.poll_timeout(), None);
    }
}

#[test]
fn eight_octets_are_waited_for() {
    let mut script = Script::new();
    script.sends(b"AMQP\x00\x00\x09").expect_quiet();
    script.sends(b"\x01").expect_start();
}

#[test]
fn server_properties_always_hold_the_capabilities() {
    let bare = Config {
        server_properties: leveret_wire::FieldTable::default(),
        ..Config::default()
    };
    for config in [Config::default(), bare] {
        let mut script = Script::with_config(config);
        script.sends(frames::PROTOCOL_HEADER);
        let properties = script.expect_start().server_properties;
        let capabilities = properties.inner()["capabilities"]
            .as_field_table()
            .unwrap()
            .clone();
        let names: Vec<&str> = capabilities
            .into_iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = [
            "authentication_failure_close",
            "basic.nack",
            "connection.blocked",
            "consumer_cancel_notify",
            "consumer_priorities",
            "direct_reply_to",
            "exchange_exchange_bindings",
            "per_consumer_qos",
            "publisher_confirms",
        ];
        assert_eq!(names, expected);
        assert!(
            capabilities
                .into_iter()
                .all(|(_, value)| value == &AMQPValue::Boolean(true))
        );
    }
}

#[test]
fn server_properties_name_the_server() {
    let mut script = Script::new();
    script.sends(frames::PROTOCOL_HEADER);
    let properties = script.expect_start().server_properties;
    for key in [
        "cluster_name",
        "copyright",
        "information",
        "platform",
        "product",
        "product_version",
        "version",
    ] {
        let value = properties.inner()[key]
            .as_long_string()
            .map(ToString::to_string);
        assert!(value.is_some_and(|text| !text.is_empty()), "{key}");
    }
    let version = properties.inner()["version"]
        .as_long_string()
        .unwrap()
        .to_string();
    assert_eq!(
        version
            .split('.')
            .filter(|part| part.parse::<u8>().is_ok())
            .count(),
        3
    );
}

#[test]
fn tune_offers_what_is_configured() {
    let config = Config {
        channel_max: 7,
        frame_max: 65_536,
        heartbeat: 13,
        ..Config::default()
    };
    let mut script = Script::with_config(config);
    script.sends(frames::PROTOCOL_HEADER).expect_start();
    script.sends(&frames::start_ok("PLAIN", b"\0a\0b", &[]));
    assert_eq!(script.event_text(), "login a by PLAIN");
    script.expect_quiet();
    script.connection.accept_login(script.now);
    script.flush();
    let offer = Tune {
        channel_max: 7,
        frame_max: 65_536,
        heartbeat: 13,
    };
    assert_eq!(script.next_connection_method(), AMQPMethod::Tune(offer));
}

#[test]
fn tune_ok_may_ask_for_less() {
    let accepted = [
        (2_047, 131_072, 60),
        (1, 4_096, 0),
        (2_047, 8_192, u16::MAX),
        (2_047, 131_072, 1),
    ];
    for (channel_max, frame_max, heartbeat) in accepted {
        let tune_ok = frames::tune_ok(channel_max, frame_max, heartbeat);
        let script = Script::opened(Config::default(), &tune_ok);
        assert_eq!(script.connection.channel_max(), channel_max);
        assert_eq!(script.connection.frame_max(), frame_max);
        assert_eq!(
            script.connection.heartbeat().as_secs(),
            u64::from(heartbeat)
        );
    }
}

#[test]
fn tune_ok_outside_the_offer_is_not_allowed() {
    // Deviation 2: RabbitMQ drops the connection without a word.
    let refused = [
        (
            2_047,
            4_095,
            "frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
        (
            2_047,
            1,
            "frame_max = 1 is lower than the minimum allowed value (4096)",
        ),
        (
            2_047,
            131_073,
            "frame_max = 131073 is higher than the maximum allowed value (131072)",
        ),
        (
            2_047,
            0,
            "frame_max = 0 is higher than the maximum allowed value (131072)",
        ),
        (
            2_048,
            131_072,
            "channel_max = 2048 is higher than the maximum allowed value (2047)",
        ),
        (
            0,
            131_072,
            "channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
        ),
        (
            0,
            4_095,
            "frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
    ];
    for (channel_max, frame_max, explanation) in refused {
        let mut script = Script::tuning(Config::default());
        script.sends(&frames::tune_ok(channel_max, frame_max, 0));
        let text = format!("NOT_ALLOWED - negotiated {explanation}");
        script.expect_hard_error(530, &text, 10, 31);
        script.sends(&frames::connection_close_ok());
        assert_eq!(script.event_text(), "closed");
        assert!(script.connection.may_linger());
    }
}

#[test]
fn a_server_without_a_channel_limit_takes_any() {
    for asked in [0, 1, u16::MAX] {
        let config = Config {
            channel_max: 0,
            ..Config::default()
        };
        let script = Script::opened(config, &frames::tune_ok(asked, 131_072, 0));
        assert_eq!(script.connection.channel_max(), asked);
    }
}

#[test]
fn open_waits_for_the_owner() {
    let mut script = Script::tuning(Config::default());
    script.sends(&frames::tune_ok(2_047, 131_072, 0));
    // The channel is opened without waiting for open-ok: it is looked at afterwards.
    script.sends(&[frames::open("v1"), frames::channel_open(1)].concat());
    assert_eq!(script.event_text(), "open v1");
    script.expect_quiet();
    assert!(!script.connection.wants_input() && !script.connection.is_running());
    script.connection.accept_open();
    script.poll();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::OpenOk(OpenOk {})
    );
    assert_eq!(script.event_text(), "channel 1 opened");
    assert!(script.connection.is_running());
}

#[test]
fn a_vhost_can_be_refused() {
    let mut script = Script::tuning(Config::default());
    script
        .sends(&frames::tune_ok(2_047, 131_072, 0))
        .sends(&frames::open("nope"));
    assert_eq!(script.event_text(), "open nope");
    let error = ConnectionError::not_allowed("vhost nope not found").at(10, 40);
    script.connection.close(&error, script.now);
    script.poll();
    script.expect_close(530, "NOT_ALLOWED - vhost nope not found", 10, 40);
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn heartbeats_are_ignored_during_the_handshake() {
    let mut script = Script::started();
    script.sends(&frames::heartbeat()).expect_quiet();
    let mut script = Script::tuning(Config::default());
    script.sends(&frames::heartbeat()).expect_quiet();
    script
        .sends(&frames::tune_ok(2_047, 131_072, 0))
        .sends(&frames::heartbeat())
        .expect_quiet();
    assert!(script.connection.wants_input());
}

/// What nobody may send before `open-ok`, whatever is expected.
fn never_expected() -> Vec<Vec<u8>> {
    vec![
        frames::connection_close(),
        frames::connection_close_ok(),
        frames::channel_open(1),
        frames::channel_open(0),
        frames::update_secret(b"x"),
        frames::header(0, 0),
        frames::body(1, b"x"),
        raw(8, 1, &[]),
        raw(8, 0, &[1]),
        raw(9, 0, &[]),
        raw(1, 0, &[0, 10]),
        raw_method(0, 10, 99, &[]),
        raw_method(0, 10, 31, &[0]),
        raw_method(0, 10, 40, &[1, 0xff, 0, 0]),
        [&frames::heartbeat()[..7], &[0xcd]].concat(),
        // Over 8192 octets of payload, decided from the first seven octets.
        vec![1, 0, 0, 0, 0, 0x20, 1],
    ]
}

#[test]
fn anything_unexpected_before_open_ok_is_dropped_in_silence() {
    for frame in never_expected() {
        let mut script = Script::started();
        script.sends(&frame).expect_silent_drop();
    }
    let out_of_order = [frames::tune_ok(2_047, 131_072, 0), frames::open("/")];
    for frame in out_of_order {
        let mut script = Script::started();
        script.sends(&frame).expect_silent_drop();
    }
    let start_ok = frames::start_ok("PLAIN", b"\0a\0b", ALL_CAPABILITIES);
    for frame in [never_expected(), vec![start_ok, frames::open("/")]].concat() {
        let mut script = Script::tuning(Config::default());
        script.sends(&frame).expect_silent_drop();
    }
}

#[test]
fn after_tune_ok_what_is_unexpected_is_told() {
    let state = "CHANNEL_ERROR - unexpected method in connection state opening";
    let channel_open = "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>";
    let unexpected = [
        (frames::connection_close(), 504, state, 10, 50),
        (frames::tune_ok(9, 4_096, 0), 504, state, 10, 31),
        (frames::channel_open(0), 504, state, 20, 10),
        (frames::channel_open(1), 505, channel_open, 0, 0),
    ];
    for (frame, code, text, class, method) in unexpected {
        let mut script = Script::tuning(Config::default());
        script.sends(&frames::tune_ok(2_047, 131_072, 0));
        script
            .sends(&frame)
            .expect_hard_error(code, text, class, method);
    }
}

#[test]
fn a_start_ok_of_8192_octets_is_read() {
    let fill = |len: usize| {
        let response = [b"\0u\0".as_slice(), &vec![b'p'; len]].concat();
        frames::start_ok("PLAIN", &response, &[])
    };
    let overhead = fill(0).len() - 8;
    let mut script = Script::started();
    script.sends(&fill(8_192 - overhead));
    assert_eq!(script.event_text(), "login u by PLAIN");
    let mut script = Script::started();
    script.sends(&fill(8_193 - overhead)).expect_silent_drop();
}

#[test]
fn the_state_is_named_in_the_log_of_an_unexpected_method() {
    let mut script = Script::started();
    script.sends(&frames::open("/"));
    let expected = "failed: 504 CHANNEL_ERROR - unexpected method in connection state starting";
    assert_eq!(script.event_text(), expected);
    let mut script = Script::tuning(Config::default());
    script.sends(&frames::open("/"));
    assert!(script.event_text().ends_with("state tuning"));
    script = Script::tuning(Config::default());
    script
        .sends(&frames::tune_ok(2_047, 131_072, 0))
        .sends(&frames::connection_close());
    assert!(script.event_text().ends_with("state opening"));
}

#[test]
fn what_comes_after_a_silent_drop_is_thrown_away() {
    let mut script = Script::started();
    script.sends(&frames::open("/"));
    script.sends(&frames::start_ok("PLAIN", b"\0a\0b", &[]));
    assert!(script.input.is_empty());
    assert!(
        script.connection.wants_input(),
        "the socket is drained until it is dropped"
    );
    script.expect_silent_drop();
}

#[test]
fn the_handshake_has_ten_seconds_in_all() {
    let mut script = Script::new();
    script.advance(9.9).expect_quiet();
    script.advance(0.1);
    assert_eq!(
        script.event_text(),
        "lost: HandshakeTimeout { nothing_received: true }"
    );
    assert!(script.connection.is_finished() && !script.connection.may_linger());
    assert!(!script.connection.has_received());

    let mut script = Script::started();
    script
        .advance(6.0)
        .sends(&frames::start_ok("PLAIN", b"\0a\0b", &[]));
    assert_eq!(script.event_text(), "login a by PLAIN");
    script.advance(3.9);
    script.connection.accept_login(script.now);
    script.flush();
    script.next_connection_method();
    script.advance(0.1);
    assert_eq!(
        script.event_text(),
        "lost: HandshakeTimeout { nothing_received: false }"
    );
    script.expect_quiet();
}

#[test]
fn after_open_ok_the_handshake_timer_is_off() {
    let mut script = Script::running();
    assert_eq!(script.connection.poll_timeout(), None);
    script.advance(1_000_000.0).expect_quiet();
}

#[test]
fn the_clients_properties_are_kept() {
    let script = Script::running();
    let capabilities = script.connection.capabilities();
    assert!(capabilities.authentication_failure_close && capabilities.basic_nack);
    assert!(capabilities.connection_blocked && capabilities.consumer_cancel_notify);
    assert!(capabilities.publisher_confirms);
    assert!(
        script
            .connection
            .client_properties()
            .contains_key("capabilities")
    );
    assert_eq!(script.connection.mechanism(), "PLAIN");
}

#[test]
fn capabilities_that_are_no_bools_count_as_absent() {
    let mut wrong = leveret_wire::FieldTable::default();
    wrong.insert(ShortString::from("basic.nack"), AMQPValue::LongInt(1));
    let mut properties = leveret_wire::FieldTable::default();
    properties.insert(
        ShortString::from("capabilities"),
        AMQPValue::FieldTable(wrong),
    );
    let none = crate::ClientCapabilities::default();
    assert_eq!(
        crate::ClientCapabilities::from_properties(&properties),
        none
    );
    properties.insert(ShortString::from("capabilities"), AMQPValue::Void);
    assert_eq!(
        crate::ClientCapabilities::from_properties(&properties),
        none
    );
}
