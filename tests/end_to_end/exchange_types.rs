//! The exchange types of RabbitMQ's plugins.

use std::collections::{BTreeMap, BTreeSet};

use leveret_tests::requests::{
    bind, bind_exchange, delete_exchange, delete_queue, durable_queue, exchange, passive_exchange,
    queue, table, text, unbind,
};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::exchange::{Declare, Delete};
use leveret_wire::method::queue;

const QUEUES: [&str; 4] = ["q0", "q1", "q2", "q3"];

fn with_arguments(name: &str, kind: &str, arguments: &[(&str, AMQPValue)]) -> Declare {
    Declare {
        arguments: table(arguments.iter().cloned()),
        ..exchange(name, kind)
    }
}

/// Four queues bound to a new exchange `x` by `key`.
fn four(client: &mut Client, declare_x: Declare, key: &str) {
    client.call(1, declare_x);
    for name in QUEUES {
        client.call(1, queue(name));
        client.call(1, bind(name, "x", key));
    }
}

/// Publish all, and which of the queues got which of the bodies.
fn spread(
    client: &mut Client,
    publishes: impl IntoIterator<Item = Publish>,
) -> BTreeMap<String, &'static str> {
    client.publish_all(1, publishes);
    let mut places = BTreeMap::new();
    for name in QUEUES {
        for body in client.drain(1, name) {
            assert_eq!(places.insert(body.clone(), name), None, "{body} came twice");
        }
    }
    places
}

/// Messages to `x` whose bodies are their keys.
fn keyed(keys: std::ops::Range<u32>) -> impl Iterator<Item = Publish> {
    keys.map(|number| {
        let key = format!("key.{number}");
        Publish::to("x", &key).body(key)
    })
}

fn used(places: &BTreeMap<String, &'static str>) -> usize {
    places.values().collect::<BTreeSet<_>>().len()
}

#[test]
fn a_consistent_hash_keeps_each_key_on_one_queue() {
    let server = Server::start();
    let mut client = server.client();
    four(&mut client, exchange("x", "x-consistent-hash"), "1");
    let first = spread(&mut client, keyed(0..200));
    assert_eq!((first.len(), used(&first)), (200, 4));
    assert_eq!(spread(&mut client, keyed(0..200)), first);
    // From another connection too.
    assert_eq!(spread(&mut server.client(), keyed(0..200)), first);
    // What the lost queue had is spread over the others; nothing else moves.
    client.call(1, unbind("q2", "x", "1"));
    let fewer = spread(&mut client, keyed(0..200));
    assert_eq!((fewer.len(), used(&fewer)), (200, 3));
    for (key, queue) in &first {
        assert!(*queue == "q2" || fewer[key] == *queue, "{key}");
    }
    client.call(1, bind("q2", "x", "1"));
    assert_eq!(spread(&mut client, keyed(0..200)), first);
}

#[test]
fn weights_are_shares() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "x-consistent-hash"));
    for (name, weight) in [("q0", "1"), ("q1", "9")] {
        client.call(1, queue(name));
        client.call(1, bind(name, "x", weight));
    }
    client.publish_all(1, keyed(0..1_000));
    let light = client.counts(1, "q0").0;
    // 100 of 1000, within five standard deviations; the hash gives the same count every time.
    assert!((53..147).contains(&light), "{light}");
    assert_eq!(client.counts(1, "q1").0, 1_000 - light);
    // A further binding of a queue changes nothing until the first one goes.
    client.call(1, bind("q0", "x", "9"));
    client.call(
        1,
        queue::Purge {
            queue: "q0".into(),
            nowait: false,
        },
    );
    client.publish_all(1, keyed(0..1_000));
    assert_eq!(client.counts(1, "q0").0, light);
    client.call(1, unbind("q0", "x", "1"));
    client.call(
        1,
        queue::Purge {
            queue: "q0".into(),
            nowait: false,
        },
    );
    client.publish_all(1, keyed(0..1_000));
    let equal = client.counts(1, "q0").0;
    assert!((420..580).contains(&equal), "{equal}");
}

#[test]
fn a_weight_is_a_positive_integer() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "x-consistent-hash"));
    client.call(1, queue("q"));
    for key in ["1", "+5", "007", "1000000"] {
        client.call(1, bind("q", "x", key));
    }
    for (key, shown) in [
        ("abc", r#"<<"abc">>"#),
        ("", "<<>>"),
        ("1.5", r#"<<"1.5">>"#),
    ] {
        let text = format!("PRECONDITION_FAILED - The binding key must be an integer: {shown}");
        client.expect_refused(1, bind("q", "x", key), 406, &text);
    }
    for key in ["0", "-1"] {
        let text = "PRECONDITION_FAILED - The binding key must be greater than 0";
        client.expect_refused(1, bind("q", "x", key), 406, text);
    }
    client.expect_refused(
        1,
        bind("q", "x", "1000001"),
        406,
        "PRECONDITION_FAILED - The binding key must not be greater than 1000000",
    );
    client.expect_refused(
        1,
        bind("none", "x", "abc"),
        404,
        "NOT_FOUND - no queue 'none' in vhost '/'",
    );
}

#[test]
fn a_consistent_hash_looks_at_one_thing() {
    let server = Server::start();
    let mut client = server.client();
    let kind = "x-consistent-hash";
    for (name, value) in [
        ("hash-header", "h"),
        ("hash-property", "message_id"),
        ("hash-property", "correlation_id"),
        ("hash-property", "timestamp"),
    ] {
        client.call(1, with_arguments("x", kind, &[(name, text(value))]));
        client.call(1, delete_exchange("x"));
    }
    client.expect_refused(
        1,
        with_arguments("x", kind, &[("hash-property", text("app_id"))]),
        406,
        "PRECONDITION_FAILED - Unsupported property: app_id",
    );
    let both = [
        ("hash-header", text("h")),
        ("hash-property", text("timestamp")),
    ];
    client.expect_refused(
        1,
        with_arguments("x", kind, &both),
        406,
        "PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive",
    );
    client.expect_refused(
        1,
        with_arguments("x", kind, &[("hash-header", AMQPValue::LongInt(1))]),
        406,
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'hash-header'; expected longstr",
    );
    // Only new exchanges are looked at, and only alternate-exchange is compared.
    client.call(1, exchange("x", kind));
    client.call(1, with_arguments("x", kind, &both));
}

/// Properties with a value in the place that decides.
type Put = fn(&str) -> Properties;

#[test]
fn a_header_or_property_may_decide() {
    let server = Server::start();
    let mut client = server.client();
    let cases: [(&str, &str, Put); 4] = [
        ("hash-header", "h", |value| {
            Properties::new().headers(&table([("h", text(value))]))
        }),
        ("hash-property", "message_id", |value| {
            Properties::new().message_id(value)
        }),
        ("hash-property", "correlation_id", |value| {
            Properties::new().correlation_id(value)
        }),
        ("hash-property", "timestamp", |value| {
            Properties::new().timestamp(value.parse().unwrap())
        }),
    ];
    for (argument, name, put) in cases {
        let declare = with_arguments("x", "x-consistent-hash", &[(argument, text(name))]);
        four(&mut client, declare, "1");
        let publishes = |key: &'static str| {
            (0..100).map(move |number: u32| {
                let value = number.to_string();
                Publish::to("x", key).properties(&put(&value)).body(value)
            })
        };
        let places = spread(&mut client, publishes("a"));
        assert_eq!((places.len(), used(&places)), (100, 4), "{name}");
        assert_eq!(spread(&mut client, publishes("b")), places, "{name}");
        // Without it all go one way.
        let without = spread(&mut client, keyed(0..50));
        assert_eq!((without.len(), used(&without)), (50, 1), "{name}");
        client.call(1, delete_exchange("x"));
    }
}

#[test]
fn only_the_routing_key_of_a_message_with_copies_is_hashed() {
    let server = Server::start();
    let mut client = server.client();
    let publishes = || {
        (0..50).map(|number: u32| {
            let keys = AMQPValue::FieldArray(vec![text(&number.to_string())].into());
            Publish::to("x", "k")
                .properties(&Properties::new().headers(&table([("CC", keys)])))
                .body(number.to_string())
        })
    };
    four(&mut client, exchange("x", "x-consistent-hash"), "1");
    let places = spread(&mut client, publishes());
    assert_eq!((places.len(), used(&places)), (50, 1));
    // A modulus takes them all.
    client.call(1, delete_exchange("x"));
    four(&mut client, exchange("x", "x-modulus-hash"), "");
    let places = spread(&mut client, publishes());
    assert_eq!((places.len(), used(&places)), (50, 4));
}

#[test]
fn a_modulus_hash_keeps_each_key_on_one_queue() {
    let server = Server::start();
    let mut client = server.client();
    four(&mut client, exchange("x", "x-modulus-hash"), "whatever");
    let first = spread(&mut client, keyed(0..200));
    assert_eq!((first.len(), used(&first)), (200, 4));
    assert_eq!(spread(&mut client, keyed(0..200)), first);
}

#[test]
fn a_random_exchange_reaches_each_queue_and_one_at_a_time() {
    for (kind, key) in [("x-random", "any"), ("x-local-random", "")] {
        let server = Server::start();
        let mut client = server.client();
        four(&mut client, exchange("x", kind), key);
        let publishes = (0..400).map(|number: u32| Publish::to("x", "k").body(number.to_string()));
        let places = spread(&mut client, publishes);
        // That 400 fair draws leave one of four out has a chance of 4 in 10 to the 50.
        assert_eq!((places.len(), used(&places)), (400, 4), "{kind}");
    }
}

#[test]
fn a_local_random_exchange_takes_queues_without_a_key() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "x-local-random"));
    client.call(1, queue("q"));
    client.call(
        1,
        queue::Declare {
            arguments: table([("x-queue-type", text("quorum"))]),
            ..durable_queue("quorum")
        },
    );
    for (bind, refused) in [
        (
            bind("q", "x", "k"),
            "Non empty binding 'k' key not permitted",
        ),
        (
            bind("quorum", "x", ""),
            "Queue type rabbit_quorum_queue not valid for this exchange type",
        ),
    ] {
        client.expect_refused(1, bind, 406, &format!("PRECONDITION_FAILED - {refused}"));
    }
    client.expect_refused(
        1,
        bind_exchange("amq.direct", "x", ""),
        406,
        "PRECONDITION_FAILED - Destination not found",
    );
    client.call(1, bind("q", "x", ""));
    client.publish(1, &Publish::to("x", "any key").body("m"));
    assert_eq!(client.drain(1, "q"), ["m"]);
}

#[test]
fn picking_exchanges_may_stand_in_a_row() {
    let server = Server::start();
    let mut client = server.client();
    four(&mut client, exchange("x", "x-consistent-hash"), "1");
    for name in ["q2", "q3"] {
        client.call(1, unbind(name, "x", "1"));
    }
    client.call(1, exchange("y", "x-random"));
    client.call(1, bind_exchange("y", "x", "2"));
    for name in ["q2", "q3"] {
        client.call(1, bind(name, "y", ""));
    }
    // Round in a circle: each exchange is asked once.
    client.call(1, bind_exchange("x", "y", ""));
    let places = spread(&mut client, keyed(0..400));
    // A third of what comes to `y` is sent back to `x`, which has been asked.
    assert!((260..400).contains(&places.len()), "{}", places.len());
    assert_eq!(used(&places), 4);
}

#[test]
fn without_a_binding_the_alternate_or_the_publisher_gets_the_message() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("fallback"));
    client.call(1, bind("fallback", "amq.fanout", ""));
    client.call(1, queue("q"));
    for kind in [
        "x-consistent-hash",
        "x-local-random",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ] {
        client.call(1, exchange("x", kind));
        client.publish(1, &Publish::to("x", "k").body("back").mandatory());
        let returned = client.expect_return(1);
        assert_eq!(
            (returned.method.reply_code, returned.content.text()),
            (312, "back")
        );
        client.call(1, delete_exchange("x"));
        client.call(
            1,
            with_arguments("x", kind, &[("alternate-exchange", text("amq.fanout"))]),
        );
        client.publish(1, &Publish::to("x", "k").body(kind).mandatory());
        assert_eq!(client.drain(1, "fallback"), [kind]);
        client.call(1, delete_exchange("x"));
    }
}

#[test]
fn messages_are_confirmed_and_rejected_ones_dead_lettered_through_them() {
    let server = Server::start();
    for kind in [
        "x-consistent-hash",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ] {
        let mut client = server.client();
        client.call(1, exchange(kind, kind));
        let name = format!("{kind} queue");
        client.call(1, queue(&name));
        client.call(1, bind(&name, kind, "1"));
        client.call(
            1,
            queue::Declare {
                arguments: table([
                    ("x-dead-letter-exchange", text(kind)),
                    ("x-max-length", AMQPValue::LongInt(0)),
                ]),
                ..queue(&format!("{kind} dead"))
            },
        );
        client.open_channel(2);
        client.confirm_select(2);
        client.publish(2, &Publish::to(kind, "k").body("live").mandatory());
        client.expect_confirms(2, 1, 1);
        client.publish(1, &Publish::to_queue(&format!("{kind} dead")).body("dead"));
        assert_eq!(client.drain(1, &name), ["live", "dead"]);
        client.close();
    }
}

#[test]
fn flags_mean_what_they_mean_for_other_types() {
    let server = Server::start();
    let mut client = server.client();
    for kind in [
        "x-consistent-hash",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ] {
        let inner = Declare {
            internal: true,
            auto_delete: true,
            ..exchange("x", kind)
        };
        client.call(1, inner);
        client.call(1, queue("q"));
        client.call(1, bind("q", "x", "1"));
        client.publish(1, &Publish::to("x", "k"));
        client.expect_channel_close(
            1,
            403,
            "ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'",
        );
        client.reopen_channel(1);
        let unused = Delete {
            if_unused: true,
            ..delete_exchange("x")
        };
        client.expect_refused(
            1,
            unused,
            406,
            "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use",
        );
        client.expect_refused(
            1,
            Declare { internal: true, auto_delete: true, ..exchange("x", "fanout") },
            406,
            &format!("PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is '{kind}'"),
        );
        client.call(1, delete_queue("q"));
        client.expect_refused(
            1,
            passive_exchange("x"),
            404,
            "NOT_FOUND - no exchange 'x' in vhost '/'",
        );
    }
}

#[test]
fn types_and_places_outlast_a_restart_and_histories_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let serve = || {
        Server::build(|builder| {
            builder
                .data_dir(folder.path())
                .configure(|config| config.limits.close_timeout_seconds = 1)
        })
    };
    let mut server = serve();
    let mut client = server.client();
    let kinds = [
        "x-consistent-hash",
        "x-local-random",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ];
    for kind in kinds {
        client.call(
            1,
            Declare {
                durable: true,
                ..exchange(kind, kind)
            },
        );
    }
    let hash = Declare {
        durable: true,
        ..with_arguments(
            "x",
            "x-consistent-hash",
            &[("hash-property", text("message_id"))],
        )
    };
    client.call(1, hash);
    for name in ["q3", "q0", "q2", "q1"] {
        client.call(1, durable_queue(name));
        client.call(1, bind(name, "x", "3"));
    }
    let publishes = || {
        (0..60).map(|number: u32| {
            let value = number.to_string();
            Publish::to("x", "k")
                .properties(&Properties::new().message_id(&value))
                .body(value)
        })
    };
    let before = spread(&mut client, publishes());
    assert_eq!((before.len(), used(&before)), (60, 4));
    client.publish(
        1,
        &Publish::to("x-recent-history", "k")
            .persistent()
            .body("old"),
    );
    client.call(1, bind("q0", "x-recent-history", ""));
    assert_eq!(client.counts(1, "q0").0, 1);
    client.close();
    server.shut_down();
    server = serve();
    let mut client = server.client();
    for kind in kinds {
        client.call(
            1,
            Declare {
                durable: true,
                ..exchange(kind, kind)
            },
        );
    }
    assert_eq!(client.drain(1, "q0"), ["old"]);
    assert_eq!(spread(&mut client, publishes()), before);
    client.call(1, bind("q1", "x-recent-history", ""));
    assert_eq!(client.counts(1, "q1").0, 0);
    client.publish(1, &Publish::to("x-recent-history", "k").body("new"));
    assert_eq!(client.drain(1, "q1"), ["new"]);
}
