//! What policies do to queues and exchanges that are there, through a whole node.

use leveret_wire::PropertiesBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::policies::{ApplyTo, Policy, PolicyDefinition, PolicyError, PolicyKind};
use crate::scenario::{Scenario, deaths, int, message, persistent, text, to};

fn policy(name: &str, pattern: &str, settings: &Value) -> Policy {
    Policy {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        apply_to: ApplyTo::All,
        priority: 0,
        definition: PolicyDefinition::from_json(settings).unwrap(),
    }
}

fn set_as(node: &Scenario, kind: PolicyKind, settings: &Value) {
    let vhost = node.broker.vhost("/").unwrap();
    vhost.set_policy(kind, policy("p", "^q", settings)).unwrap();
    node.sync();
}

fn set(node: &Scenario, settings: &Value) {
    set_as(node, PolicyKind::User, settings);
}

fn clear(node: &Scenario) {
    let vhost = node.broker.vhost("/").unwrap();
    vhost.delete_policy(PolicyKind::User, "p").unwrap();
    node.sync();
}

#[test]
fn a_shorter_queue_is_trimmed_at_once_and_its_dead_letters_go_on() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.declare("dead", &[]);
    client.publish_all("q", ["1", "2", "3", "4"]);
    set(
        &node,
        &json!({"max-length": 2, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}),
    );
    assert_eq!(client.drain("q"), ["3", "4"]);
    let dead = client.get("dead", true).unwrap();
    assert_eq!(
        (dead.body(), deaths(&dead)),
        (&b"1"[..], vec![("maxlen".to_owned(), "q".to_owned(), 1)])
    );
    assert_eq!(client.drain("dead"), ["2"]);
    clear(&node);
    client.publish_all("q", ["5", "6", "7"]);
    assert_eq!(client.drain("q"), ["5", "6", "7"]);
}

#[test]
fn a_backlog_on_the_disk_is_trimmed_too() {
    let limits = crate::Limits {
        message_memory_bytes: 1,
        ..crate::Limits::default()
    };
    let node = Scenario::with_limits(limits);
    let mut client = node.client();
    client.declare_durable("q", &[]);
    for number in 0..2_000 {
        client.publish(persistent("q", &number.to_string()));
    }
    client.told();
    set(&node, &json!({"max-length": 3}));
    assert_eq!(client.drain("q"), ["1997", "1998", "1999"]);
}

#[test]
fn octets_are_bounded_by_policy() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.publish_all("q", ["aaaa", "bbbb", "cccc"]);
    set(&node, &json!({"max-length-bytes": 9}));
    assert_eq!(client.drain("q"), ["bbbb", "cccc"]);
}

#[test]
fn the_lower_of_argument_policy_and_operator_policy_counts() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-max-length", int(3))]);
    set(&node, &json!({"max-length": 5}));
    client.publish_all("q", ["1", "2", "3", "4"]);
    assert_eq!(node.counts().0, 3);
    set(&node, &json!({"max-length": 2}));
    assert_eq!(node.counts().0, 2);
    set_as(&node, PolicyKind::Operator, &json!({"max-length": 1}));
    assert_eq!(client.drain("q"), ["4"]);
}

#[test]
fn overflow_is_the_arguments_then_the_operators_then_the_policys() {
    let node = Scenario::new();
    let mut client = node.client();
    client.confirm_select();
    client.declare("q", &[]);
    client.declare("qa", &[("x-overflow", text("drop-head"))]);
    set(
        &node,
        &json!({"max-length": 1, "overflow": "reject-publish"}),
    );
    let mut publish = |queue: &str| {
        client.publish(to(queue, "1"));
        client.publish(to(queue, "2"));
        let told = client.told();
        (
            told.iter().any(|line| line.contains("nack")),
            client.drain(queue),
        )
    };
    assert_eq!(publish("q"), (true, vec!["1".to_owned()]));
    assert_eq!(publish("qa"), (false, vec!["2".to_owned()]));
    set_as(
        &node,
        PolicyKind::Operator,
        &json!({"overflow": "drop-head"}),
    );
    assert_eq!(publish("q"), (false, vec!["2".to_owned()]));
}

#[test]
fn a_time_to_live_is_for_messages_that_come_later() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.publish_all("q", ["before"]);
    set(&node, &json!({"message-ttl": 100}));
    node.wait(1_000);
    assert_eq!(client.drain("q"), ["before"], "as RabbitMQ was seen to do");
    client.publish_all("q", ["after"]);
    node.wait(99);
    assert_eq!(node.counts().0, 1);
    node.wait(1);
    assert_eq!(node.counts().0, 0);
    client.publish_all("q", ["stamped"]);
    clear(&node);
    client.publish_all("q", ["stays"]);
    node.wait(1_000);
    assert_eq!(client.drain("q"), ["stays"]);
}

#[test]
fn the_lower_time_to_live_of_argument_and_policy_counts() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-message-ttl", int(100))]);
    set(&node, &json!({"message-ttl": 1_000}));
    client.publish_all("q", ["1"]);
    node.wait(100);
    assert_eq!(node.counts().0, 0);
    set(&node, &json!({"message-ttl": 10}));
    client.publish_all("q", ["2"]);
    node.wait(10);
    assert_eq!(node.counts().0, 0);
}

#[test]
fn an_unused_queue_goes_some_time_after_its_policy_came() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.declare("qused", &[]);
    client.consume("qused", "c", 0);
    node.wait(60_000);
    set(&node, &json!({"expires": 1_000}));
    node.wait(999);
    assert!(client.exists("qused"));
    assert_eq!(node.broker.queue_totals().queues, 2);
    node.wait(1);
    assert!(!client.exists("q"));
    node.wait(10_000);
    assert!(client.exists("qused"));
    client.cancel("c");
    node.wait(1_000);
    assert!(!client.exists("qused"));
}

#[test]
fn a_cleared_expiry_keeps_the_queue() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    set(&node, &json!({"expires": 1_000}));
    node.wait(500);
    clear(&node);
    node.wait(100_000);
    assert!(client.exists("q"));
    assert_eq!(node.broker.next_deadline(), None);
}

#[test]
fn dead_letters_go_where_the_policy_says_when_they_die() {
    let node = Scenario::new();
    let mut client = node.client();
    for queue in ["q", "one", "other"] {
        client.declare(queue, &[]);
    }
    client.declare(
        "qarg",
        &[
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("other")),
        ],
    );
    let to_queue =
        |queue: &str| json!({"dead-letter-exchange": "", "dead-letter-routing-key": queue});
    client.publish_all("q", ["1", "2", "3"]);
    client.publish_all("qarg", ["arg"]);
    let mut tag = 0;
    let mut reject = |client: &mut crate::scenario::Client<'_>, queue: &str| {
        client.get(queue, false).unwrap();
        tag += 1;
        client.nack(tag, false);
        client.told();
    };
    reject(&mut client, "q");
    set(&node, &to_queue("one"));
    reject(&mut client, "q");
    reject(&mut client, "qarg");
    set(&node, &to_queue("other"));
    reject(&mut client, "q");
    assert_eq!(client.drain("one"), ["2"]);
    assert_eq!(
        client.drain("other"),
        ["arg", "3"],
        "the argument wins over the policy"
    );
    assert_eq!(node.counts(), (0, 0));
}

#[test]
fn quorum_queues_have_their_delivery_limit_by_policy() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[("x-queue-type", text("quorum"))]);
    set(&node, &json!({"delivery-limit": 1}));
    client.publish_all("q", ["m"]);
    for tag in 1..=2 {
        assert!(client.get("q", false).is_some());
        client.nack(tag, true);
        client.told();
    }
    assert_eq!(node.counts(), (0, 0));
    assert_eq!(node.broker.discard_totals().delivery_limit, 1);
}

#[test]
fn dead_letters_are_kept_by_policy_until_they_are_taken() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[("x-queue-type", text("quorum"))]);
    set(
        &node,
        &json!({
            "dead-letter-exchange": "", "dead-letter-routing-key": "late", "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
        }),
    );
    client.publish_all("q", ["m"]);
    client.get("q", false);
    client.nack(1, false);
    client.told();
    client.declare("late", &[]);
    node.wait(10_000);
    assert_eq!(client.drain("late"), ["m"]);
}

#[test]
fn a_consumer_timeout_comes_with_a_policy_to_consumers_that_are_there() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.consume("q", "c", 0);
    client.publish_all("q", ["m"]);
    node.wait(100_000);
    assert_eq!(client.told(), [] as [&str; 0]);
    set(&node, &json!({"consumer-timeout": 1_000}));
    client.told();
    for _ in 0..8 {
        node.wait(250);
        if client
            .told()
            .iter()
            .any(|line| line.starts_with("1 close 406"))
        {
            return;
        }
    }
    panic!("the channel is still open");
}

#[test]
fn an_alternate_exchange_takes_what_is_unroutable_at_once() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("rest", &[]);
    client.declare("other", &[]);
    client.fanout("ae", &["rest"]);
    client.fanout("ae2", &["other"]);
    client.fanout("q.events", &[]);
    let lost = |client: &mut crate::scenario::Client<'_>, body: &str| {
        client.publish(message("q.events", "k", body, &PropertiesBuilder::new()));
        client.told();
    };
    lost(&mut client, "1");
    set(&node, &json!({"alternate-exchange": "ae"}));
    lost(&mut client, "2");
    set(&node, &json!({"alternate-exchange": "ae2"}));
    lost(&mut client, "3");
    clear(&node);
    lost(&mut client, "4");
    assert_eq!(client.drain("rest"), ["2"]);
    assert_eq!(client.drain("other"), ["3"]);
}

#[test]
fn exchanges_that_every_vhost_has_are_matched_too() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("rest", &[]);
    client.fanout("ae", &["rest"]);
    let vhost = node.broker.vhost("/").unwrap();
    let all = policy(
        "all",
        "^amq\\.direct$",
        &json!({"alternate-exchange": "ae"}),
    );
    vhost.set_policy(PolicyKind::User, all).unwrap();
    client.publish(message("amq.direct", "k", "m", &PropertiesBuilder::new()));
    assert_eq!(client.drain("rest"), ["m"]);
    let node = node.restart(0);
    let mut client = node.client();
    let vhost = node.broker.vhost("/").unwrap();
    let effective = vhost.exchange_policy("amq.direct").unwrap();
    assert_eq!(effective.policy.as_deref(), Some("all"));
    client.declare("ae", &[]);
    assert_eq!(vhost.exchange_policy("nope"), None);
}

#[test]
fn what_is_declared_later_has_the_policy_from_the_start() {
    let node = Scenario::new();
    set(&node, &json!({"max-length": 1, "alternate-exchange": "ae"}));
    let mut client = node.client();
    let generated = client.declare("", &[]);
    let name = generated[0].split(' ').nth(2).unwrap().to_owned();
    client.declare("rest", &[]);
    client.declare("q", &[]);
    client.fanout("ae", &["rest"]);
    client.fanout("qx", &[]);
    client.publish_all("q", ["1", "2"]);
    assert_eq!(client.drain("q"), ["2"]);
    client.publish(message("qx", "k", "m", &PropertiesBuilder::new()));
    assert_eq!(client.drain("rest"), ["m"]);
    let vhost = node.broker.vhost("/").unwrap();
    assert_eq!(vhost.queue_policy(&name).unwrap().policy, None);
    vhost
        .set_policy(
            PolicyKind::User,
            policy("gen", "^amq\\.gen", &json!({"max-length": 1})),
        )
        .unwrap();
    client.publish_all(&name, ["1", "2"]);
    assert_eq!(
        client.drain(&name),
        ["2"],
        "server-named queues are matched as well"
    );
    assert_eq!(
        vhost.queue_policy(&name).unwrap().policy.as_deref(),
        Some("gen")
    );
}

#[test]
fn policies_are_there_after_a_restart() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[]);
    for body in ["1", "2"] {
        client.publish(persistent("q", body));
    }
    client.told();
    set(&node, &json!({"max-length": 2}));
    set_as(
        &node,
        PolicyKind::Operator,
        &json!({"max-length": 7, "message-ttl": 5_000}),
    );
    let node = node.restart(0);
    let mut client = node.client();
    client.publish(persistent("q", "3"));
    client.told();
    assert_eq!(client.drain("q"), ["2", "3"]);
    let vhost = node.broker.vhost("/").unwrap();
    let effective = vhost.queue_policy("q").unwrap();
    let merged = json!({"max-length": 2, "message-ttl": 5_000});
    assert_eq!(
        (
            effective.policy.as_deref(),
            effective.operator_policy.as_deref()
        ),
        (Some("p"), Some("p"))
    );
    assert_eq!(
        Some(effective.definition),
        PolicyDefinition::from_json(&merged)
    );
    clear(&node);
    let node = node.restart(0);
    let vhost = node.broker.vhost("/").unwrap();
    assert_eq!(vhost.policies(PolicyKind::User), []);
    assert_eq!(vhost.policies(PolicyKind::Operator).len(), 1);
}

#[test]
fn policies_are_listed_found_replaced_and_deleted() {
    let node = Scenario::new();
    let vhost = node.broker.vhost("/").unwrap();
    let kind = PolicyKind::User;
    let limit = json!({"max-length": 2});
    for name in ["b", "a"] {
        vhost.set_policy(kind, policy(name, "^q", &limit)).unwrap();
    }
    let replacement = policy("a", "^x", &limit);
    vhost.set_policy(kind, replacement.clone()).unwrap();
    assert_eq!(vhost.policy(kind, "a"), Some(replacement.clone()));
    assert_eq!(
        vhost.policies(kind),
        [replacement, policy("b", "^q", &limit)]
    );
    assert_eq!(vhost.policy(PolicyKind::Operator, "a"), None);
    vhost.delete_policy(kind, "a").unwrap();
    assert!(matches!(
        vhost.delete_policy(kind, "a"),
        Err(PolicyError::NotFound { .. })
    ));
    let refused = vhost
        .set_policy(kind, policy("c", "^q", &json!({"foo": 1})))
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Validation failed\n\n[{<<\"foo\">>,1}] are not recognised policy settings\n"
    );
    assert_eq!(vhost.policy(kind, "c"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_queue_is_never_longer_than_its_limits_and_keeps_the_newest(
        argument in proptest::option::of(0..6_i32),
        steps in proptest::collection::vec(
            prop_oneof![
                Just(None),
                (any::<bool>(), proptest::option::of(0..6_u64)).prop_map(Some),
            ],
            1..30,
        ),
    ) {
        let node = Scenario::new();
        let mut client = node.client();
        let arguments: Vec<_> = argument.iter().map(|limit| ("x-max-length", int(*limit))).collect();
        client.declare("q", &arguments);
        let mut limits = [None, None];
        let mut expected: Vec<String> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                None => {
                    let body = number.to_string();
                    client.publish_all("q", [body.as_str()]);
                    expected.push(body);
                }
                Some((is_operator, limit)) => {
                    let kind = if is_operator { PolicyKind::Operator } else { PolicyKind::User };
                    let vhost = node.broker.vhost("/").unwrap();
                    match limit {
                        Some(limit) => set_as(&node, kind, &json!({"max-length": limit})),
                        None if limits[usize::from(is_operator)].is_some() => {
                            vhost.delete_policy(kind, "p").unwrap();
                        }
                        None => {}
                    }
                    limits[usize::from(is_operator)] = limit;
                }
            }
            let all = limits.into_iter().flatten().chain(argument.and_then(|limit| u64::try_from(limit).ok()));
            if let Some(limit) = all.min() {
                let over = expected.len().saturating_sub(usize::try_from(limit).unwrap());
                expected.drain(..over);
            }
            prop_assert_eq!(node.counts().0, expected.len() as u64);
        }
        prop_assert_eq!(client.drain("q"), expected);
    }
}
