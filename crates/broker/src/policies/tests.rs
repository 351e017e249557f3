//! Which policies are accepted and which apply, compared with the rules written out plainly.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::queue::QueueType;

fn definition(value: &Value) -> PolicyDefinition {
    PolicyDefinition::from_json(value).unwrap()
}

fn policy(name: &str, priority: i64, settings: &Value) -> Policy {
    Policy {
        name: name.to_owned(),
        pattern: "^q".to_owned(),
        apply_to: ApplyTo::All,
        priority,
        definition: definition(settings),
    }
}

fn refusal(kind: PolicyKind, settings: &Value) -> Option<String> {
    Checked::new(kind, policy("p", 0, settings)).err()
}

#[test]
fn definitions_are_refused_in_rabbitmqs_words() {
    let refused = [
        (json!({}), "no policy provided"),
        (
            json!({"foo": 1}),
            "[{<<\"foo\">>,1}] are not recognised policy settings",
        ),
        (
            json!({"foo": 1, "bar": "x"}),
            "[{<<\"bar\">>,<<\"x\">>},{<<\"foo\">>,1}] are not recognised policy settings",
        ),
        (
            json!({"foo": 1, "expires": 0}),
            "0 is not a valid queue expiry",
        ),
        (
            json!({"expires": "a"}),
            "<<\"a\">> is not a valid queue expiry",
        ),
        (json!({"message-ttl": -1}), "-1 is not a valid message TTL"),
        (
            json!({"message-ttl": 1.5}),
            "1.5 is not a valid message TTL",
        ),
        (
            json!({"message-ttl": true}),
            "true is not a valid message TTL",
        ),
        (
            json!({"max-length": [1, 2]}),
            "[1,2] is not a valid maximum length",
        ),
        (
            json!({"max-length": {"a": 1}}),
            "#{<<\"a\">> => 1} is not a valid maximum length",
        ),
        (
            json!({"max-length": null}),
            "null is not a valid maximum length",
        ),
        (
            json!({"max-length-bytes": "x"}),
            "<<\"x\">> is not a valid maximum length in bytes",
        ),
        (
            json!({"max-in-memory-length": "a"}),
            "<<\"a\">> is not a valid maximum memory in bytes",
        ),
        (
            json!({"overflow": "x"}),
            "<<\"x\">> is not a valid overflow value",
        ),
        (
            json!({"queue-mode": "x"}),
            "<<\"x\">> is not a valid queue-mode value",
        ),
        (
            json!({"queue-version": 3}),
            "3 is not a valid queue-version value",
        ),
        (
            json!({"alternate-exchange": 1}),
            "1 is not a valid alternate exchange name",
        ),
        (
            json!({"dead-letter-exchange": 1}),
            "1 is not a valid dead letter exchange name",
        ),
        (
            json!({"dead-letter-routing-key": 1}),
            "1 is not a valid dead letter routing key",
        ),
        (
            json!({"dead-letter-strategy": "x"}),
            "<<\"x\">> is not a valid dead letter strategy",
        ),
        (
            json!({"delivery-limit": "x"}),
            "<<\"x\">> is not a valid delivery limit",
        ),
        (
            json!({"queue-leader-locator": "x"}),
            "<<\"x\">> is not a valid queue leader locator value",
        ),
        (
            json!({"queue-master-locator": 5}),
            "5 invalid queue-master-locator value",
        ),
        (json!({"max-age": "x"}), "<<\"x\">> is not a valid max age"),
    ];
    all_refused(&refused);
}

#[test]
fn settings_that_belong_together_are_looked_at_together() {
    let refused = [
        (
            json!({"ha-mode": "nope"}),
            "<<\"nope\">> is not a valid ha-mode value",
        ),
        (
            json!({"ha-mode": "exactly"}),
            "ha-mode=\"exactly\" takes an integer, none given",
        ),
        (
            json!({"ha-mode": "all", "ha-params": 1}),
            "ha-mode=\"all\" does not take parameters",
        ),
        (
            json!({"ha-mode": "nodes", "ha-params": []}),
            "ha-mode=\"nodes\" list must be non-empty",
        ),
        (
            json!({"ha-sync-mode": "automatic"}),
            "ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown",
        ),
        (
            json!({"ha-mode": "all", "ha-sync-mode": "x"}),
            "ha-sync-mode must be \"manual\" or \"automatic\", got <<\"x\">>",
        ),
        (
            json!({"federation-upstream-set": 1}),
            "1 is not a valid federation upstream set name",
        ),
        (
            json!({"federation-upstream-set": "a", "federation-upstream": "b"}),
            "cannot specify federation-upstream, federation-upstream-set or federation-upstream-pattern together",
        ),
    ];
    all_refused(&refused);
}

#[track_caller]
fn all_refused(cases: &[(Value, &str)]) {
    for (settings, words) in cases {
        assert_eq!(
            refusal(PolicyKind::User, settings).as_deref(),
            Some(*words),
            "{settings}"
        );
    }
}

#[test]
fn what_rabbitmq_accepts_is_accepted() {
    let accepted = [
        json!({"queue-version": 2, "queue-mode": "lazy", "max-age": "1h"}),
        json!({"ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "automatic"}),
        json!({"ha-mode": "nodes", "ha-params": ["a@b"]}),
        json!({"federation-upstream-pattern": "^up"}),
        json!({"dead-letter-exchange": "", "dead-letter-routing-key": "k", "dead-letter-strategy": "at-least-once"}),
        json!({"expires": 1_000_000_000_000_000_i64, "delivery-limit": -1, "consumer-timeout": 1000}),
        json!({"stream-max-segment-size-bytes": 5, "initial-cluster-size": 0}),
        json!({"queue-leader-locator": "balanced", "queue-master-locator": "min-masters"}),
    ];
    for settings in accepted {
        assert_eq!(refusal(PolicyKind::User, &settings), None, "{settings}");
    }
}

#[test]
fn operators_have_settings_that_bound_only() {
    let accepted = json!({
        "expires": 5, "message-ttl": 5, "max-length": 5, "max-length-bytes": 5, "max-in-memory-length": 5,
        "max-in-memory-bytes": 5, "delivery-limit": 5, "overflow": "drop-head", "target-group-size": 3,
    });
    assert_eq!(refusal(PolicyKind::Operator, &accepted), None);
    let refused = [
        (
            json!({"dead-letter-exchange": "x"}),
            "[{<<\"dead-letter-exchange\">>,<<\"x\">>}]",
        ),
        (json!({"ha-mode": "all"}), "[{<<\"ha-mode\">>,<<\"all\">>}]"),
    ];
    for (settings, pair) in refused {
        let words = format!("{pair} are not recognised policy settings");
        assert_eq!(refusal(PolicyKind::Operator, &settings), Some(words));
    }
    assert_eq!(
        refusal(PolicyKind::Operator, &json!({"max-length": -1})).as_deref(),
        Some("-1 is not a valid maximum length")
    );
}

#[test]
fn a_bad_pattern_is_refused() {
    let mut bad = policy("p", 0, &json!({"expires": 5}));
    bad.pattern = "(".to_owned();
    assert_eq!(
        Checked::new(PolicyKind::User, bad).unwrap_err(),
        "pattern should be regular expression but is invalid: {\"unclosed group\",0}"
    );
}

fn policies(list: Vec<(PolicyKind, Policy)>) -> Policies {
    let mut policies = Policies::default();
    for (kind, policy) in list {
        policies.set(kind, Checked::new(kind, policy).unwrap());
    }
    policies
}

#[test]
fn a_policy_with_a_setting_that_the_type_does_not_know_is_passed_over() {
    let policies = policies(vec![
        (
            PolicyKind::User,
            policy("quorum", 1, &json!({"delivery-limit": 3, "max-length": 2})),
        ),
        (
            PolicyKind::User,
            policy(
                "classic",
                1,
                &json!({"queue-mode": "lazy", "max-length": 2}),
            ),
        ),
        (
            PolicyKind::User,
            policy("both", 0, &json!({"expires": 1000})),
        ),
    ]);
    let of = |object| policies.effective(object).policy;
    assert_eq!(
        of(Object::Queue("q", QueueType::Quorum)).as_deref(),
        Some("quorum")
    );
    assert_eq!(
        of(Object::Queue("q", QueueType::Classic)).as_deref(),
        Some("classic")
    );
    assert_eq!(of(Object::Exchange("q")).as_deref(), Some("classic"));
    assert_eq!(of(Object::Queue("other", QueueType::Classic)), None);
}

#[test]
fn two_delivery_limits_of_which_one_is_none() {
    let ours = definition(&json!({"delivery-limit": -1}));
    let theirs = definition(&json!({"delivery-limit": 5}));
    assert_eq!(ours.bounded_by(&theirs), theirs);
    assert_eq!(theirs.bounded_by(&ours), theirs);
    let lower = definition(&json!({"delivery-limit": 2}));
    assert_eq!(theirs.bounded_by(&lower), lower);
}

#[test]
fn definitions_are_read_from_pairs_too() {
    let pairs = json!([["max-length", 5], ["expires", 7]]);
    assert_eq!(
        PolicyDefinition::from_json(&pairs),
        PolicyDefinition::from_json(&json!({"expires": 7, "max-length": 5}))
    );
    assert_eq!(
        "{\"expires\": 7}".parse::<PolicyDefinition>().unwrap(),
        definition(&json!({"expires": 7}))
    );
    assert!("{".parse::<PolicyDefinition>().is_err() && "5".parse::<PolicyDefinition>().is_err());
    for wrong in [json!(5), json!([5]), json!([["a"]]), json!([[1, 2]])] {
        assert_eq!(PolicyDefinition::from_json(&wrong), None, "{wrong}");
    }
}

fn settings() -> impl Strategy<Value = Value> {
    let number = (
        proptest::sample::select(&["expires", "max-length", "message-ttl", "max-length-bytes"][..]),
        1..5_i64,
    )
        .prop_map(|(key, number)| (key.to_owned(), json!(number)));
    let overflow = proptest::sample::select(&["drop-head", "reject-publish"][..])
        .prop_map(|word| ("overflow".to_owned(), json!(word)));
    let limit = (1..5_i64).prop_map(|limit| ("delivery-limit".to_owned(), json!(limit)));
    proptest::collection::vec(prop_oneof![4 => number, 1 => overflow, 1 => limit], 1..4)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let targets = [
        ApplyTo::All,
        ApplyTo::Exchanges,
        ApplyTo::Queues,
        ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues,
        ApplyTo::Streams,
    ];
    (
        "[a-d]",
        proptest::sample::select(&["", "^q", "1$", "x", "^(?!q).*"][..]),
        proptest::sample::select(targets.to_vec()),
        0..3_i64,
        settings(),
    )
        .prop_map(|(name, pattern, apply_to, priority, settings)| Policy {
            name,
            pattern: pattern.to_owned(),
            apply_to,
            priority,
            definition: definition(&settings),
        })
}

/// The rules, written out: does `policy` apply to the queue `name`?
fn applies_to_queue(policy: &Policy, name: &str, is_quorum: bool) -> bool {
    let matches = match policy.pattern.as_str() {
        "" => true,
        "^q" => name.starts_with('q'),
        "1$" => name.ends_with('1'),
        "x" => name.contains('x'),
        _ => !name.starts_with('q'),
    };
    let is_for = match policy.apply_to {
        ApplyTo::All | ApplyTo::Queues => true,
        ApplyTo::ClassicQueues => !is_quorum,
        ApplyTo::QuorumQueues => is_quorum,
        ApplyTo::Exchanges | ApplyTo::Streams => false,
    };
    matches && is_for && (is_quorum || policy.definition.value("delivery-limit").is_none())
}

/// The one that counts: set last of its name, highest priority, first name.
fn expected<'p>(set: &'p [Policy], name: &str, is_quorum: bool) -> Option<&'p Policy> {
    let mut best: Option<&Policy> = None;
    for (at, policy) in set.iter().enumerate() {
        let is_replaced = set[at + 1..].iter().any(|later| later.name == policy.name);
        if is_replaced || !applies_to_queue(policy, name, is_quorum) {
            continue;
        }
        let is_better = best.is_none_or(|best| {
            policy.priority > best.priority
                || (policy.priority == best.priority && policy.name < best.name)
        });
        if is_better {
            best = Some(policy);
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_policy_that_counts_is_the_one_of_the_rules(
        user in proptest::collection::vec(any_policy(), 0..6),
        operator in proptest::collection::vec(any_policy(), 0..6),
        name in proptest::sample::select(&["q", "q1", "x1", "qx", ""][..]),
        is_quorum in any::<bool>(),
    ) {
        let of = |kind, set: &[Policy]| set.iter().map(move |policy| (kind, policy.clone())).collect::<Vec<_>>();
        let all = [of(PolicyKind::User, &user), of(PolicyKind::Operator, &operator)].concat();
        let queue_type = if is_quorum { QueueType::Quorum } else { QueueType::Classic };
        let effective = policies(all).effective(Object::Queue(name, queue_type));
        let ours = expected(&user, name, is_quorum);
        let theirs = expected(&operator, name, is_quorum);
        prop_assert_eq!(effective.policy.as_deref(), ours.map(|policy| policy.name.as_str()));
        prop_assert_eq!(effective.operator_policy.as_deref(), theirs.map(|policy| policy.name.as_str()));
        let value = |policy: Option<&Policy>, key: &str| policy.and_then(|policy| policy.definition.value(key).cloned());
        for key in ["expires", "max-length", "message-ttl", "max-length-bytes", "overflow", "delivery-limit"] {
            let merged = match (value(ours, key), value(theirs, key)) {
                (Some(Value::Number(ours)), Some(Value::Number(theirs))) => {
                    Some(Value::from(ours.as_i64().unwrap().min(theirs.as_i64().unwrap())))
                }
                (ours, theirs) => theirs.or(ours),
            };
            prop_assert_eq!(effective.definition.value(key).cloned(), merged, "{}", key);
        }
    }
}
