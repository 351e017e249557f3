use leveret_wire::AMQPValue::{Boolean, Double, LongInt, LongLongInt, LongString, ShortInt};

use super::*;
use crate::scenario::{Scenario, int, table, text};

const WHAT: &str = "queue 'q' in vhost '/'";

fn refusal(arguments: &[(&str, AMQPValue)]) -> String {
    parse(&table(arguments), WHAT).unwrap_err()
}

/// Told of other types of queue before they are looked at.
const QUORUM_ONLY: [&str; 3] = [
    "x-dead-letter-strategy",
    "x-quorum-initial-group-size",
    "x-queue-leader-locator",
];

#[test]
fn values_are_refused_in_rabbitmqs_words() {
    let refused = [
        (
            "x-message-ttl",
            text("1"),
            "\"expected integer, got longstr\"",
        ),
        (
            "x-message-ttl",
            Double(1.0),
            "\"expected integer, got double\"",
        ),
        ("x-message-ttl", int(-1), "{value_negative,-1}"),
        (
            "x-message-ttl",
            LongLongInt(315_360_000_001),
            "{value_too_large,315360000001}",
        ),
        ("x-expires", int(0), "{value_zero,0}"),
        ("x-expires", int(-5), "{value_negative,-5}"),
        ("x-max-length", int(-1), "{value_negative,-1}"),
        (
            "x-max-length-bytes",
            Boolean(true),
            "\"expected integer, got bool\"",
        ),
        ("x-overflow", text("bogus"), "invalid_overflow"),
        ("x-overflow", int(1), "{unacceptable_type,signedint}"),
        (
            "x-dead-letter-routing-key",
            text("k"),
            "routing_key_but_no_dlx_defined",
        ),
        (
            "x-dead-letter-strategy",
            text("bogus"),
            "invalid_dlx_strategy",
        ),
        ("x-max-priority", int(256), "{max_value_exceeded,256}"),
        ("x-max-priority", int(-1), "{value_negative,-1}"),
        (
            "x-single-active-consumer",
            text("true"),
            "{unacceptable_type,longstr}",
        ),
        (
            "x-queue-type",
            text("bogus"),
            "\"unsupported queue type 'bogus'\"",
        ),
        (
            "x-queue-type",
            text("stream"),
            "\"unsupported queue type 'stream'\"",
        ),
        (
            "x-queue-mode",
            text("bogus"),
            "\"unsupported queue mode 'bogus'\"",
        ),
        (
            "x-queue-version",
            int(3),
            "\"unsupported queue version '3'\"",
        ),
        ("x-quorum-initial-group-size", int(0), "{value_zero,0}"),
        (
            "x-queue-leader-locator",
            text("bogus"),
            "invalid_queue_locator_arg",
        ),
    ];
    for (key, value, reason) in refused {
        let mut arguments = vec![(key, value)];
        if QUORUM_ONLY.contains(&key) {
            arguments.push(("x-queue-type", text("quorum")));
        }
        assert_eq!(
            refusal(&arguments),
            format!("invalid arg '{key}' for {WHAT}: {reason}")
        );
    }
    assert_eq!(
        refusal(&[("x-dead-letter-exchange", int(1)), ("x-expires", int(0))]),
        format!("invalid type 'signedint' for arg 'x-dead-letter-exchange' in {WHAT}")
    );
}

#[test]
fn an_argument_of_another_type_of_queue_is_refused() {
    let refused = [
        ("classic", "x-max-age", text("1D")),
        ("classic", "x-max-age", text("bogus")),
        ("classic", "x-delivery-limit", int(1)),
        ("classic", "x-dead-letter-strategy", text("at-most-once")),
        ("quorum", "x-max-priority", int(1)),
        ("quorum", "x-queue-mode", text("lazy")),
        ("quorum", "x-initial-cluster-size", int(1)),
    ];
    for (queue_type, key, value) in refused {
        assert_eq!(
            refusal(&[("x-queue-type", text(queue_type)), (key, value)]),
            format!("invalid arg '{key}' for {WHAT} of queue type rabbit_{queue_type}_queue")
        );
    }
}

#[test]
fn arguments_are_checked_one_by_one_after_the_type_of_queue() {
    let both = [("x-max-age", text("1D")), ("x-max-length", int(-1))];
    assert_eq!(
        refusal(&both),
        format!("invalid arg 'x-max-length' for {WHAT}: {{value_negative,-1}}")
    );
    let misplaced = [
        ("x-max-priority", text("1")),
        ("x-queue-type", text("quorum")),
    ];
    assert_eq!(
        refusal(&misplaced),
        format!("invalid arg 'x-max-priority' for {WHAT} of queue type rabbit_quorum_queue"),
        "whether it fits comes before what it says"
    );
    let unknown = [("x-expires", int(0)), ("x-queue-type", text("bogus"))];
    assert_eq!(
        refusal(&unknown),
        format!("invalid arg 'x-queue-type' for {WHAT}: \"unsupported queue type 'bogus'\"")
    );
}

#[test]
fn good_arguments_make_options() {
    let arguments = [
        ("x-message-ttl", ShortInt(0)),
        ("x-expires", int(1)),
        ("x-max-length", int(0)),
        ("x-max-length-bytes", LongLongInt(5)),
        ("x-overflow", text("reject-publish-dlx")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("k")),
        ("x-max-priority", int(255)),
        ("x-single-active-consumer", Boolean(true)),
        ("x-queue-mode", text("lazy")),
        ("x-queue-version", int(1)),
        ("x-whatever", int(-1)),
    ];
    let options = parse(&table(&arguments), WHAT).unwrap();
    let expected = QueueOptions {
        queue_type: QueueType::Classic,
        message_ttl: Some(0),
        expires: Some(1),
        max_length: Some(0),
        max_length_bytes: Some(5),
        overflow: Overflow::RejectPublishDlx,
        dead_letter: Some(DeadLetterTarget {
            exchange: "".into(),
            routing_key: Some("k".into()),
            strategy: Strategy::AtMostOnce,
        }),
        max_priority: 255,
        single_active_consumer: true,
        delivery_limit: None,
        consumer_timeout: None,
    };
    assert_eq!(options, expected);
}

#[test]
fn at_least_once_needs_a_quorum_queue_that_refuses() {
    let strategy = |overflow: &str| {
        let arguments = [
            ("x-queue-type", text("quorum")),
            ("x-dead-letter-exchange", text("x")),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text(overflow)),
        ];
        parse(&table(&arguments), WHAT)
            .unwrap()
            .dead_letter
            .unwrap()
            .strategy
    };
    assert_eq!(strategy("reject-publish"), Strategy::AtLeastOnce);
    assert_eq!(strategy("drop-head"), Strategy::AtMostOnce);
    assert_eq!(strategy("reject-publish-dlx"), Strategy::AtMostOnce);
}

#[test]
fn quorum_queues_have_a_delivery_limit_unless_told_otherwise() {
    let limit = |arguments: &[(&str, AMQPValue)]| {
        options(&table(arguments), &PolicyDefinition::default()).delivery_limit
    };
    let quorum = ("x-queue-type", text("quorum"));
    assert_eq!(limit(std::slice::from_ref(&quorum)), Some(20));
    assert_eq!(
        limit(&[quorum.clone(), ("x-delivery-limit", int(0))]),
        Some(0)
    );
    assert_eq!(
        limit(&[quorum.clone(), ("x-delivery-limit", int(-1))]),
        None
    );
    assert_eq!(limit(&[quorum, ("x-delivery-limit", text("a"))]), Some(20));
    assert_eq!(limit(&[]), None);
}

#[test]
fn equivalence_covers_what_the_type_of_queue_knows() {
    let compare = |received: &[(&str, AMQPValue)], current: &[(&str, AMQPValue)]| {
        equivalent(&table(received), &table(current), WHAT)
    };
    let classic = ("x-queue-type", text("classic"));
    let quorum = ("x-queue-type", text("quorum"));
    assert_eq!(compare(std::slice::from_ref(&classic), &[]), Ok(()));
    assert_eq!(compare(&[], &[classic]), Ok(()));
    assert_eq!(compare(&[("x-whatever", int(1))], &[]), Ok(()));
    assert_eq!(
        compare(
            &[("x-message-ttl", LongInt(5))],
            &[("x-message-ttl", LongLongInt(5))]
        ),
        Ok(())
    );
    let unequal = "received the value 'quorum' of type 'longstr' but current is none";
    assert_eq!(
        compare(std::slice::from_ref(&quorum), &[]).unwrap_err(),
        format!("inequivalent arg 'x-queue-type' for {WHAT}: {unequal}")
    );
    assert!(
        compare(
            std::slice::from_ref(&quorum),
            &[quorum.clone(), ("x-delivery-limit", int(3))]
        )
        .is_err()
    );
    assert!(compare(&[("x-overflow", LongString("drop-head".into()))], &[]).is_err());
}

#[test]
fn arguments_are_checked_only_when_the_queue_is_created() {
    let node = Scenario::new();
    let mut client = node.client();
    assert_eq!(client.declare("q", &[]), ["1 declare-ok q 0 0"]);
    assert_eq!(
        client.declare("q", &[("x-delivery-limit", int(1))]),
        ["1 declare-ok q 0 0"]
    );
    let refusal = "1 close 406 PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'r' in vhost '/' of queue \
                   type rabbit_classic_queue 50 10";
    assert_eq!(
        client.declare("r", &[("x-delivery-limit", int(1))]),
        [refusal]
    );
}
