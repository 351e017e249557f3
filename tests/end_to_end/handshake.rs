//! The protocol header, connection.start and connection.tune.

use leveret_tests::login::PROTOCOL_HEADER;
use leveret_tests::requests::queue;
use leveret_tests::{Client, Frame, Login, Server, method_frame};
use leveret_wire::AMQPValue;
use leveret_wire::method::connection::{Open, StartOk, Tune, TuneOk};

const CAPABILITIES: [&str; 9] = [
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

fn longstr<'v>(value: Option<&'v AMQPValue>, key: &str) -> &'v str {
    match value {
        Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).unwrap(),
        other => panic!("{key} is no long string: {other:?}"),
    }
}

#[test]
fn start_offers_0_9_and_what_clients_look_for() {
    let server = Server::start();
    let mut client = Client::dial(server.address());
    let start = client.expect_start();
    assert_eq!((start.version_major, start.version_minor), (0, 9));
    assert_eq!(start.mechanisms.as_bytes(), b"PLAIN AMQPLAIN");
    assert_eq!(start.locales.as_bytes(), b"en_US");
    let properties = start.server_properties.inner();
    let Some(AMQPValue::FieldTable(capabilities)) = properties.get("capabilities") else {
        panic!("no capabilities in {properties:?}");
    };
    let names: Vec<&str> = capabilities
        .inner()
        .keys()
        .map(leveret_wire::ShortString::as_str)
        .collect();
    assert_eq!(names, CAPABILITIES);
    let all_true = |value: &AMQPValue| *value == AMQPValue::Boolean(true);
    assert!(capabilities.inner().values().all(all_true));
    for key in [
        "cluster_name",
        "copyright",
        "information",
        "platform",
        "product",
        "product_version",
        "version",
    ] {
        assert!(!longstr(properties.get(key), key).is_empty(), "{key}");
    }
    let version = longstr(properties.get("version"), "version");
    assert_eq!(
        version
            .split('.')
            .filter(|part| part.parse::<u32>().is_ok())
            .count(),
        3
    );
}

#[test]
fn product_and_version_are_settings() {
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.server.product = "RabbitMQ".to_owned();
            config.server.version = "3.12.1".to_owned();
            config.cluster_name = "rabbit@warren".to_owned();
        })
    });
    let client = Client::connect(server.address());
    let properties = client.server_properties.inner();
    assert_eq!(longstr(properties.get("product"), "product"), "RabbitMQ");
    assert_eq!(longstr(properties.get("version"), "version"), "3.12.1");
    assert_eq!(
        longstr(properties.get("cluster_name"), "cluster_name"),
        "rabbit@warren"
    );
}

#[test]
fn a_client_of_0_9_is_served_too() {
    let server = Server::start();
    let mut client = Client::dial(server.address());
    client.write(b"AMQP\x01\x01\x00\x09");
    let start: leveret_wire::method::connection::Start = client.expect(0);
    assert_eq!((start.version_major, start.version_minor), (0, 9));
}

#[test]
fn any_other_header_is_answered_with_ours() {
    let server = Server::start();
    let headers: [&[u8]; 6] = [
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x00\x09\x02",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for header in headers {
        let mut client = Client::dial(server.address());
        client.write(header);
        assert_eq!(client.read_octets(8), PROTOCOL_HEADER, "{header:?}");
        client.expect_end();
    }
}

#[test]
fn the_header_may_come_octet_by_octet() {
    let server = Server::start();
    let mut client = Client::dial(server.address());
    for octet in PROTOCOL_HEADER {
        client.write(&[*octet]);
    }
    let _: leveret_wire::method::connection::Start = client.expect(0);
}

#[test]
fn sockets_that_say_nothing_do_no_harm() {
    let server = Server::start();
    for _ in 0..20 {
        drop(Client::dial(server.address()));
    }
    let mut partial = Client::dial(server.address());
    partial.write(b"AMQ");
    drop(partial);
    server.client().close();
}

#[test]
fn tune_offers_the_defaults() {
    let server = Server::start();
    let tune = Client::dial(server.address()).expect_tune(&Login::default());
    assert_eq!(
        (tune.channel_max, tune.frame_max, tune.heartbeat),
        (2047, 131_072, 60)
    );
}

#[test]
fn tune_offers_what_is_configured() {
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.limits.channel_max = 9;
            config.limits.frame_max = 8192;
            config.limits.heartbeat_seconds = 0;
        })
    });
    let tune: Tune = Client::dial(server.address()).expect_tune(&Login::default());
    assert_eq!(
        (tune.channel_max, tune.frame_max, tune.heartbeat),
        (9, 8192, 0)
    );
}

/// The handshake up to a tune-ok that is refused.
fn refused_tune(server: &Server, channel_max: u16, frame_max: u32, text: &str) {
    let mut client = Client::dial(server.address());
    client.expect_tune(&Login::default());
    client.send(
        0,
        TuneOk {
            channel_max,
            frame_max,
            heartbeat: 0,
        },
    );
    client.expect_hard_error(530, text);
}

#[test]
fn limits_out_of_bounds_are_refused() {
    let server = Server::start();
    for (channel_max, frame_max, text) in [
        (
            2047,
            4095,
            "NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
        ),
        (
            2047,
            131_073,
            "NOT_ALLOWED - negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
        ),
        (
            2048,
            4096,
            "NOT_ALLOWED - negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
        ),
    ] {
        refused_tune(&server, channel_max, frame_max, text);
    }
}

#[test]
fn no_limit_is_refused_as_we_have_one() {
    let server = Server::start();
    for (channel_max, frame_max) in [(2047, 0), (0, 131_072)] {
        let mut client = Client::dial(server.address());
        client.expect_tune(&Login::default());
        client.send(
            0,
            TuneOk {
                channel_max,
                frame_max,
                heartbeat: 0,
            },
        );
        let close: leveret_wire::method::connection::Close = client.expect(0);
        assert_eq!(close.reply_code, 530, "{close:?}");
        client.answer_close();
    }
}

#[test]
fn the_smallest_limits_and_the_longest_heartbeat_are_accepted() {
    let server = Server::start();
    let mut client = server.log_in(&Login {
        channel_max: Some(1),
        frame_max: Some(4096),
        heartbeat: 65_535,
        ..Login::default()
    });
    client.call(1, queue("q"));
    client.close();
}

#[test]
fn whoever_breaks_the_order_before_open_is_dropped_without_a_word() {
    let server = Server::start();
    let too_early: [(&str, Vec<u8>); 5] = [
        (
            "tune-ok for start-ok",
            method_frame(0, 10, 31, &[7, 255, 0, 2, 0, 0, 0, 0]),
        ),
        (
            "open for start-ok",
            method_frame(0, 10, 40, b"\x01/\x00\x00"),
        ),
        ("channel.open", method_frame(1, 20, 10, &[0])),
        ("an unknown method", method_frame(0, 10, 99, &[])),
        ("a body", Frame::new(3, 0, *b"x").octets()),
    ];
    for (what, octets) in too_early {
        let mut client = Client::dial(server.address());
        client.expect_start();
        client.write(&octets);
        assert_eq!(client.next_frame(), None, "{what}");
    }
    let mut client = Client::dial(server.address());
    client.expect_tune(&Login::default());
    client.send(
        0,
        Open {
            virtual_host: "/".into(),
        },
    );
    client.expect_end();
}

#[test]
fn a_large_frame_before_login_is_dropped_without_a_word() {
    let server = Server::start();
    let mut client = Client::dial(server.address());
    client.expect_start();
    let mut start_ok = Login::default().start_ok();
    start_ok.response = vec![b'x'; 100_000].into();
    let octets = leveret_tests::client::encoded(0, &leveret_tests::Method::into_class(start_ok));
    client.try_write(&octets);
    client.expect_end();
}

#[test]
fn a_start_ok_of_8_kib_is_taken() {
    let server = Server::start();
    let mut client = Client::dial(server.address());
    client.expect_start();
    let login = Login::default();
    let padding = AMQPValue::LongString("p".repeat(7_000).into());
    let mut start_ok: StartOk = login.start_ok();
    start_ok.client_properties.insert("padding".into(), padding);
    client.send(0, start_ok);
    let _: Tune = client.expect(0);
}

#[test]
fn heartbeats_during_the_handshake_are_ignored() {
    let server = Server::start();
    let heartbeat = Frame::new(8, 0, []);
    let mut client = Client::dial(server.address());
    client.expect_start();
    client.send_frame(&heartbeat);
    client.send(0, Login::default().start_ok());
    let tune: Tune = client.expect(0);
    client.send_frame(&heartbeat);
    let Tune {
        channel_max,
        frame_max,
        ..
    } = tune;
    client.send(
        0,
        TuneOk {
            channel_max,
            frame_max,
            heartbeat: 0,
        },
    );
    client.send_frame(&heartbeat);
    client.call(
        0,
        Open {
            virtual_host: "/".into(),
        },
    );
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.handshake_timeout_seconds = 1)
    });
    let mut silent = Client::dial(server.address());
    let mut started = Client::dial(server.address());
    started.expect_start();
    let mut tuned = Client::dial(server.address());
    tuned.expect_tune(&Login::default());
    for client in [&mut silent, &mut started, &mut tuned] {
        client.expect_end();
    }
}
