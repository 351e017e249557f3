//! `/metrics` under RabbitMQ's names.

use leveret_tests::metrics::{Scrape, get};
use leveret_tests::requests::{
    ack, bind, cancel, consume, consume_no_ack, delete_queue, durable_queue, nack, queue, table,
    text,
};
use leveret_tests::{Client, Login, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::queue as queues;

const GAUGES: [&str; 20] = [
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_bindings",
    "rabbitmq_build_info",
    "rabbitmq_channels",
    "rabbitmq_connections",
    "rabbitmq_consumers",
    "rabbitmq_erlang_uptime_seconds",
    "rabbitmq_exchange_messages_delayed",
    "rabbitmq_exchange_messages_delayed_bytes",
    "rabbitmq_exchanges",
    "rabbitmq_global_consumers",
    "rabbitmq_global_publishers",
    "rabbitmq_identity_info",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_queue_messages",
    "rabbitmq_queue_messages_bytes",
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_queues",
];

const COUNTERS: [&str; 28] = [
    "rabbitmq_auth_attempts_failed_total",
    "rabbitmq_auth_attempts_succeeded_total",
    "rabbitmq_auth_attempts_total",
    "rabbitmq_channels_closed_total",
    "rabbitmq_channels_opened_total",
    "rabbitmq_connections_closed_total",
    "rabbitmq_connections_opened_total",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_delivered_consume_auto_ack_total",
    "rabbitmq_global_messages_delivered_consume_manual_ack_total",
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_get_empty_total",
    "rabbitmq_global_messages_received_confirm_total",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_global_messages_routed_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_io_sync_ops_total",
    "rabbitmq_io_sync_time_seconds_total",
    "rabbitmq_io_write_bytes_total",
    "rabbitmq_io_write_ops_total",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_deleted_total",
];

fn with_metrics() -> Server {
    Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()))
}

#[test]
fn the_text_is_well_formed() {
    let server = with_metrics();
    let answer = get(server.metrics_address(), "/metrics");
    assert_eq!(answer.status, "HTTP/1.1 200 OK");
    let kind = "content-type: text/plain; version=0.0.4";
    assert!(
        answer
            .headers
            .iter()
            .any(|line| line.to_lowercase().starts_with(kind)),
        "{:?}",
        answer.headers
    );
    let scrape = Scrape { text: answer.body };
    for name in GAUGES {
        assert_eq!(scrape.kind(name), Some("gauge"), "{name}");
        scrape.value(name);
    }
    for name in COUNTERS {
        assert_eq!(scrape.kind(name), Some("counter"), "{name}");
        scrape.value(name);
    }
    assert!(scrape.text.ends_with('\n'));
    let mut typed = std::collections::BTreeSet::new();
    for line in scrape
        .text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
    {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 4, "{line}");
        assert!(
            ["counter", "gauge", "histogram"].contains(&words[3]),
            "{line}"
        );
        assert!(typed.insert(words[2]), "{} has two types", words[2]);
        let help = format!("# HELP {} ", words[2]);
        assert!(
            scrape.text.lines().any(|line| line.starts_with(&help)),
            "{line} without help"
        );
    }
    for (name, _, value) in scrape.samples() {
        assert!(typed.contains(name), "{name} has no type");
        assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
        assert_eq!(
            name.ends_with("_total"),
            scrape.kind(name) == Some("counter"),
            "{name}"
        );
    }
}

#[test]
fn labels_are_those_that_dashboards_join_on() {
    let server = with_metrics();
    let scrape = Scrape::of(server.metrics_address());
    let identity = scrape.labels("rabbitmq_identity_info");
    for label in [
        "rabbitmq_node",
        "rabbitmq_cluster",
        "rabbitmq_cluster_permanent_id",
        "rabbitmq_endpoint",
    ] {
        assert!(identity.contains(&format!("{label}=\"")), "{identity}");
    }
    assert_eq!(scrape.value("rabbitmq_identity_info").to_string(), "1");
    let build = scrape.labels("rabbitmq_build_info");
    for label in [
        "rabbitmq_version",
        "erlang_version",
        "product_name",
        "product_version",
        "prometheus_client_version",
        "prometheus_plugin_version",
    ] {
        assert!(build.contains(&format!("{label}=\"")), "{build}");
    }
    for name in GAUGES
        .iter()
        .chain(&COUNTERS)
        .filter(|name| name.starts_with("rabbitmq_global_"))
    {
        let labels = scrape.labels(name);
        assert!(labels.contains("protocol=\"amqp091\""), "{name}{labels}");
        let consuming = [
            "consumers",
            "delivered",
            "get_empty",
            "redelivered",
            "acknowledged",
        ];
        let of_queues = consuming.iter().any(|part| name.contains(part));
        assert_eq!(
            labels.contains("queue_type=\"rabbit_classic_queue\""),
            of_queues,
            "{name}{labels}"
        );
    }
}

/// By how much a figure has grown.
#[track_caller]
fn assert_growth(before: &Scrape, after: &Scrape, expected: &[(&str, i32)]) {
    for (name, growth) in expected {
        let full = format!("rabbitmq_{name}");
        let grown = after.value(&full) - before.value(&full);
        assert!(
            (grown - f64::from(*growth)).abs() < 0.5,
            "{name} grew by {grown} and not by {growth}"
        );
    }
}

/// Channels 1 and 2, and a queue `q` with ten messages of five octets.
fn with_messages(server: &Server) -> Client {
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    for _ in 0..10 {
        client.publish(1, &Publish::to_queue("q").body("five!"));
    }
    client.expect_quiet(1);
    client
}

#[test]
fn figures_follow_publishes() {
    let server = with_metrics();
    let address = server.metrics_address();
    let start = Scrape::of(address);
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.call(1, queue("q"));
    client.confirm_select(1);
    for _ in 0..10 {
        client.publish(1, &Publish::to_queue("q").body("five!"));
    }
    client.publish(1, &Publish::to("", "nowhere"));
    client.expect_confirms(1, 1, 11);
    client.publish(1, &Publish::to("", "nowhere").mandatory());
    client.expect_return(1);
    client.expect_confirms(1, 12, 12);
    assert_growth(
        &start,
        &Scrape::of(address),
        &[
            ("connections", 1),
            ("channels", 2),
            ("queues", 1),
            ("consumers", 0),
            ("queue_messages", 10),
            ("queue_messages_ready", 10),
            ("queue_messages_unacked", 0),
            ("queue_messages_bytes", 50),
            ("connections_opened_total", 1),
            ("connections_closed_total", 0),
            ("channels_opened_total", 2),
            ("queues_declared_total", 2),
            ("queues_created_total", 1),
            ("auth_attempts_total", 1),
            ("auth_attempts_succeeded_total", 1),
            ("auth_attempts_failed_total", 0),
            ("global_publishers", 1),
            ("global_messages_received_total", 12),
            ("global_messages_received_confirm_total", 12),
            ("global_messages_confirmed_total", 12),
            ("global_messages_routed_total", 10),
            ("global_messages_unroutable_dropped_total", 1),
            ("global_messages_unroutable_returned_total", 1),
        ],
    );
}

#[test]
fn figures_follow_deliveries() {
    let server = with_metrics();
    let address = server.metrics_address();
    let mut client = with_messages(&server);
    let published = Scrape::of(address);
    client.call(1, leveret_tests::requests::prefetch(4));
    client.call(1, consume("q", "c"));
    let tags: Vec<u64> = client
        .expect_deliveries(1, 4)
        .iter()
        .map(leveret_tests::Delivery::tag)
        .collect();
    client.call(1, cancel("c"));
    client.send(1, ack(tags[0]));
    client.send(1, nack(tags[1], true));
    client.get(1, "q", true).unwrap();
    client.get(1, "q", false).unwrap();
    assert_growth(
        &published,
        &Scrape::of(address),
        &[
            ("consumers", 0),
            ("queue_messages", -2),
            ("queue_messages_ready", -5),
            ("queue_messages_unacked", 3),
            ("global_messages_delivered_total", 6),
            ("global_messages_delivered_consume_manual_ack_total", 4),
            ("global_messages_delivered_consume_auto_ack_total", 0),
            ("global_messages_delivered_get_auto_ack_total", 1),
            ("global_messages_delivered_get_manual_ack_total", 1),
            ("global_messages_redelivered_total", 1),
            ("global_messages_acknowledged_total", 1),
            ("global_messages_get_empty_total", 0),
        ],
    );
}

#[test]
fn figures_follow_the_end_of_things() {
    let server = with_metrics();
    let address = server.metrics_address();
    let mut client = with_messages(&server);
    for _ in 0..3 {
        client.get(1, "q", false).unwrap();
    }
    let before = Scrape::of(address);
    client.call(2, consume_no_ack("q", "n"));
    client.expect_deliveries(2, 7);
    assert_eq!(client.get(2, "q", true), None);
    let with_consumer = Scrape::of(address);
    assert_growth(
        &before,
        &with_consumer,
        &[
            ("consumers", 1),
            ("global_consumers", 1),
            ("global_messages_delivered_consume_auto_ack_total", 7),
            ("global_messages_get_empty_total", 1),
        ],
    );
    client.call(1, delete_queue("q"));
    let _: leveret_wire::method::basic::Cancel = client.expect(2);
    client.close();
    assert_growth(
        &with_consumer,
        &Scrape::of(address),
        &[
            ("connections", -1),
            ("channels", -2),
            ("queues", -1),
            ("consumers", -1),
            ("queue_messages", -3),
            ("queues_deleted_total", 1),
            ("channels_closed_total", 2),
            ("global_publishers", -1),
            ("global_messages_received_total", 0),
        ],
    );
}

#[test]
fn failed_logins_are_counted() {
    let server = with_metrics();
    let before = Scrape::of(server.metrics_address());
    let mut client = Client::dial(server.address());
    client.expect_start();
    client.send(0, Login::plain("guest", "wrong").start_ok());
    let _: leveret_wire::method::connection::Close = client.expect(0);
    assert_growth(
        &before,
        &Scrape::of(server.metrics_address()),
        &[
            ("auth_attempts_total", 1),
            ("auth_attempts_failed_total", 1),
            ("auth_attempts_succeeded_total", 0),
            ("connections", 0),
        ],
    );
}

#[test]
fn other_paths_are_not_there() {
    let server = with_metrics();
    assert_eq!(
        get(server.metrics_address(), "/nothing").status,
        "HTTP/1.1 404 Not Found"
    );
    assert_eq!(
        get(server.metrics_address(), "/").status,
        "HTTP/1.1 404 Not Found"
    );
}

#[test]
fn dead_letters_are_counted_by_reason_queue_type_and_strategy() {
    let server = with_metrics();
    let mut client = server.client();
    let limited = |name: &str, more: &[(&'static str, AMQPValue)]| {
        let mut arguments = vec![("x-max-length", AMQPValue::LongInt(1))];
        arguments.extend_from_slice(more);
        queues::Declare {
            arguments: table(arguments),
            ..durable_queue(name)
        }
    };
    let quorum = ("x-queue-type", text("quorum"));
    let dead_letter = ("x-dead-letter-exchange", text("amq.fanout"));
    client.call(1, queue("dead"));
    client.call(1, bind("dead", "amq.fanout", ""));
    client.call(1, limited("plain", &[]));
    client.call(1, limited("classic", std::slice::from_ref(&dead_letter)));
    let careful = [
        quorum.clone(),
        dead_letter.clone(),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ];
    client.call(1, limited("careful", &careful));
    let impatient = [
        quorum,
        dead_letter,
        ("x-delivery-limit", AMQPValue::LongInt(0)),
    ];
    client.call(1, limited("impatient", &impatient));
    for (name, count) in [
        ("plain", 3),
        ("classic", 2),
        ("careful", 1),
        ("impatient", 1),
    ] {
        for _ in 0..count {
            client.publish_text(1, name, "m");
        }
    }
    for (name, requeue) in [("plain", false), ("careful", false), ("impatient", true)] {
        let tag = client.get(1, name, false).unwrap().tag();
        client.send(1, nack(tag, requeue));
    }
    client.expect_quiet(1);
    let scrape = Scrape::of(server.metrics_address());
    let found: Vec<String> = scrape
        .samples()
        .into_iter()
        .filter_map(|(name, labels, value)| {
            let name = name.strip_prefix("rabbitmq_global_messages_dead_lettered_")?;
            Some(format!("{name}{labels} {value}"))
        })
        .collect();
    let counts = [
        ("confirmed", "at_least_once", "quorum", 1),
        ("delivery_limit", "at_least_once", "quorum", 0),
        ("delivery_limit", "at_most_once", "quorum", 1),
        ("delivery_limit", "disabled", "quorum", 0),
        ("expired", "at_least_once", "quorum", 0),
        ("expired", "at_most_once", "classic", 0),
        ("expired", "at_most_once", "quorum", 0),
        ("expired", "disabled", "classic", 0),
        ("expired", "disabled", "quorum", 0),
        ("maxlen", "at_most_once", "classic", 1),
        ("maxlen", "at_most_once", "quorum", 0),
        ("maxlen", "disabled", "classic", 2),
        ("maxlen", "disabled", "quorum", 0),
        ("rejected", "at_least_once", "quorum", 1),
        ("rejected", "at_most_once", "classic", 0),
        ("rejected", "at_most_once", "quorum", 0),
        ("rejected", "disabled", "classic", 1),
        ("rejected", "disabled", "quorum", 0),
    ];
    let expected: Vec<String> = counts
        .into_iter()
        .map(|(reason, strategy, kind, count)| {
            format!(
                "{reason}_total{{dead_letter_strategy=\"{strategy}\",queue_type=\"rabbit_{kind}_queue\"}} {count}"
            )
        })
        .collect();
    let mut found = found;
    found.sort();
    assert_eq!(found, expected);
}
