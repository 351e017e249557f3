//! Every limit that a client can meet: the answer that it gets, and that the operator sees it.

use std::time::{Duration, Instant};

use leveret_tests::client::encoded;
use leveret_tests::frame::content_header;
use leveret_tests::metrics::Scrape;
use leveret_tests::requests::{bind, consume, exchange, queue, table, text};
use leveret_tests::{Client, Frame, Login, Method, PATIENCE, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::{connection, tx};

/// A broker whose limits are close by.
fn narrow() -> Server {
    Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| {
                let limits = &mut config.limits;
                limits.channel_max = 2;
                limits.consumers_per_channel = 1;
                limits.queues_per_vhost = 2;
                // Those that are always there, and one more.
                limits.exchanges_per_vhost = 7;
                limits.bindings_per_vhost = 1;
                limits.transaction_bytes = 1_000;
                limits.max_message_size = 10_000;
                limits.content_stall_timeout_seconds = 1;
                limits.handshake_timeout_seconds = 2;
                limits.unauthenticated_connections = 2;
            })
    })
}

/// The limit of this name was met so often before, and once more now.
#[track_caller]
fn expect_met(server: &Server, limit: &str, before: f64) {
    let began = Instant::now();
    while Scrape::of(server.metrics_address()).limit_met(limit) < before + 1.0 {
        assert!(began.elapsed() < PATIENCE, "{limit} is not counted");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A hard error with this code, on a client with channel 1 open.
#[track_caller]
fn refused(server: &Server, limit: &str, octets: &[u8], code: u16) {
    let before = Scrape::of(server.metrics_address()).limit_met(limit);
    let mut client = server.client();
    client.write(octets);
    let close: connection::Close = client.expect(0);
    assert_eq!(close.reply_code, code, "{close:?}");
    client.answer_close();
    expect_met(server, limit, before);
}

#[test]
fn hard_limits_are_told_and_counted() {
    let server = narrow();
    let frame = [3, 0, 1, 0xff, 0xff, 0xff, 0xff];
    refused(&server, "frame_max", &frame, 501);

    let items = vec![AMQPValue::Void; 65_537];
    let headers = table([("k", AMQPValue::FieldArray(items.into()))]);
    let crowded = Publish::to("", "q").properties(&Properties::new().headers(&headers));
    refused(&server, "field_table", &crowded.octets(1), 502);

    let opened = [2, 3]
        .map(|channel| leveret_tests::method_frame(channel, 20, 10, &[0]))
        .concat();
    let before = Scrape::of(server.metrics_address()).limit_met("channel_max");
    let mut client = server.client();
    client.write(&opened);
    let _: leveret_wire::method::channel::OpenOk = client.expect(2);
    client.expect_hard_error(
        530,
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)",
    );
    expect_met(&server, "channel_max", before);

    let mut half = Publish::to("", "q").method(1);
    half.extend(Frame::new(2, 1, content_header(9_000, &[0, 0])).octets());
    refused(&server, "content_stall_timeout_seconds", &half, 506);

    let before = Scrape::of(server.metrics_address()).limit_met("consumers_per_channel");
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "one"));
    client.send(1, consume("q", "two"));
    client.expect_hard_error(
        530,
        "NOT_ALLOWED - reached maximum (1) of consumers per channel",
    );
    expect_met(&server, "consumers_per_channel", before);
}

#[test]
fn soft_limits_are_told_and_counted() {
    let server = narrow();
    let mut client = server.client();
    for name in ["a", "b"] {
        client.call(1, queue(name));
    }
    client.call(1, exchange("x", "fanout"));
    client.call(1, bind("a", "x", ""));
    let mut soft = |limit: &str, requests: &[u8]| {
        let before = Scrape::of(server.metrics_address()).limit_met(limit);
        client.write(requests);
        let close: leveret_wire::method::channel::Close = client.expect(1);
        assert_eq!(close.reply_code, 406, "{limit}: {close:?}");
        client.reopen_channel(1);
        expect_met(&server, limit, before);
    };
    soft("queues_per_vhost", &encoded(1, &queue("c").into_class()));
    let another = exchange("y", "fanout");
    soft("exchanges_per_vhost", &encoded(1, &another.into_class()));
    let another = bind("b", "x", "");
    soft("bindings_per_vhost", &encoded(1, &another.into_class()));
    let large = Publish::to_queue("a").body(vec![0; 10_001]);
    soft("max_message_size", &large.octets(1));
    client.call(1, tx::Select {});
    let before = Scrape::of(server.metrics_address()).limit_met("transaction_bytes");
    client.publish(1, &Publish::to_queue("a").body(vec![0; 2_000]));
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406, "{close:?}");
    expect_met(&server, "transaction_bytes", before);
}

#[test]
fn limits_before_the_login_are_counted() {
    let server = narrow();
    let mut first = Client::dial(server.address());
    first.expect_start();
    let mut second = Client::dial(server.address());
    second.expect_start();
    let mut third = Client::dial(server.address());
    third.expect_start();
    first.expect_end();
    expect_met(&server, "unauthenticated_connections", 0.0);
    second.expect_end();
    third.expect_end();
    expect_met(&server, "handshake_timeout_seconds", 1.0);
    let waiting =
        || Scrape::of(server.metrics_address()).value("leveret_unauthenticated_connections");
    let began = Instant::now();
    while waiting() > 0.0 {
        assert!(began.elapsed() < PATIENCE, "they are still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn half_sent_messages_and_connections_have_limits_that_are_counted() {
    let server = Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| {
                config.limits.connections = 1;
                config.limits.max_message_size = 1_000;
            })
    });
    let mut client = server.client();
    let mut second = Client::dial(server.address());
    let tune = second.expect_tune(&Login::default());
    second.send(
        0,
        connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        },
    );
    let virtual_host = "/".into();
    second.send(0, connection::Open { virtual_host });
    second.expect_hard_error(
        530,
        "NOT_ALLOWED - connection refused: node connection limit (1) is reached",
    );
    expect_met(&server, "connections", 0.0);
    let mut halves = Vec::new();
    for channel in 1..=10 {
        if channel > 1 {
            client.open_channel(channel);
        }
        halves.extend(Publish::to("", "q").method(channel));
        halves.extend(Frame::new(2, channel, content_header(1_000, &[0, 0])).octets());
        halves.extend(Frame::new(3, channel, vec![0; 999]).octets());
    }
    client.write(&halves);
    let close: connection::Close = client.expect(0);
    assert_eq!(close.reply_code, 506, "{close:?}");
    expect_met(&server, "content_in_progress_bytes", 0.0);
}

#[test]
fn what_is_set_can_be_seen() {
    let server = narrow();
    let scrape = Scrape::of(server.metrics_address());
    let limit = |name: &str| {
        let labels = format!("{{limit=\"{name}\"}}");
        let samples = scrape.samples();
        let found = samples
            .iter()
            .find(|(metric, found, _)| *metric == "leveret_limit" && *found == labels);
        found.map(|(_, _, value)| *value)
    };
    assert_eq!(limit("channel_max"), Some(2.0));
    assert_eq!(limit("max_message_size"), Some(10_000.0));
    assert_eq!(limit("connections"), Some(65_536.0));
    assert_eq!(limit("colour"), None);
    for gauge in [
        "leveret_outbox_bytes",
        "leveret_history_memory_bytes",
        "leveret_blocked_input_bytes",
    ] {
        assert_eq!(scrape.kind(gauge), Some("gauge"));
    }
}

#[test]
fn waiting_deliveries_and_histories_can_be_seen() {
    let server = narrow();
    let mut client = server.client();
    client.call(1, exchange("h", "x-recent-history"));
    client.publish(1, &Publish::to("h", "k").body(vec![0; 5_000]));
    client.expect_quiet(1);
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("leveret_history_memory_bytes") >= 5_000.0);
    let mut stuck = server.client();
    stuck.call(1, queue("q"));
    stuck.call(1, consume("q", "c"));
    // More than the buffers of two sockets take in.
    for _ in 0..3_000 {
        client.publish(1, &Publish::to_queue("q").body(vec![0; 10_000]));
    }
    client.expect_quiet(1);
    let began = Instant::now();
    let waiting = || Scrape::of(server.metrics_address()).value("leveret_outbox_bytes");
    while waiting() < 500_000.0 {
        assert!(began.elapsed() < PATIENCE, "nothing waits for the socket");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(waiting() < 2_000_000.0);
    drop(stuck);
}

#[test]
fn a_table_with_as_many_entries_as_may_be_is_relayed() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let items = vec![AMQPValue::Void; 65_530];
    let headers = table([
        ("k", AMQPValue::FieldArray(items.into())),
        ("text", text(&"x".repeat(60_000))),
    ]);
    let publish = Publish::to_queue("q").properties(&Properties::new().headers(&headers));
    client.publish(1, &publish);
    let got = client.get(1, "q", true).unwrap();
    assert_eq!(got.content.header, publish.header_payload());
    assert!(got.content.header.len() > 125_000);
}
