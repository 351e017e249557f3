//! Which policies are accepted, and RabbitMQ's words for those that are not.

use serde_json::Value;

use super::pattern::Pattern;
use super::term::{pairs, term};
use super::{Checked, Policy, PolicyDefinition, PolicyKind};

/// Octets of an AMQP short string.
const SHORT_STRING_MAX: usize = 255;

/// What a setting may hold.
enum Holds {
    /// Text.
    Text,
    /// Text that is sent as an AMQP short string.
    ShortText,
    /// A whole number.
    Integer,
    /// A whole number, not less than this.
    From(i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// 1 or 2.
    Version,
    /// Where the master of a queue is made.
    Locator,
    /// A number and a unit of time.
    Age,
    /// Looked at together with others.
    Together,
}

/// Every setting: what it may hold, RabbitMQ's word for it in a refusal, and whether operator
/// policies may have it.
const SETTINGS: &[(&str, Holds, &str, bool)] = &[
    (
        "alternate-exchange",
        Holds::Text,
        "alternate exchange name",
        false,
    ),
    (
        "consumer-timeout",
        Holds::From(0),
        "consumer timeout",
        false,
    ),
    (
        "dead-letter-exchange",
        Holds::Text,
        "dead letter exchange name",
        false,
    ),
    (
        "dead-letter-routing-key",
        Holds::ShortText,
        "dead letter routing key",
        false,
    ),
    (
        "dead-letter-strategy",
        Holds::Word(&["at-most-once", "at-least-once"]),
        "dead letter strategy",
        false,
    ),
    ("delivery-limit", Holds::Integer, "delivery limit", true),
    ("expires", Holds::From(1), "queue expiry", true),
    ("federation-upstream", Holds::Together, "", false),
    ("federation-upstream-pattern", Holds::Together, "", false),
    ("federation-upstream-set", Holds::Together, "", false),
    ("ha-mode", Holds::Together, "", false),
    ("ha-params", Holds::Together, "", false),
    ("ha-promote-on-failure", Holds::Together, "", false),
    ("ha-promote-on-shutdown", Holds::Together, "", false),
    ("ha-sync-batch-size", Holds::Together, "", false),
    ("ha-sync-mode", Holds::Together, "", false),
    (
        "initial-cluster-size",
        Holds::From(0),
        "cluster size",
        false,
    ),
    ("max-age", Holds::Age, "max age", false),
    (
        "max-in-memory-bytes",
        Holds::From(0),
        "maximum memory in bytes",
        true,
    ),
    (
        "max-in-memory-length",
        Holds::From(0),
        "maximum memory in bytes",
        true,
    ),
    ("max-length", Holds::From(0), "maximum length", true),
    (
        "max-length-bytes",
        Holds::From(0),
        "maximum length in bytes",
        true,
    ),
    ("message-ttl", Holds::From(0), "message TTL", true),
    (
        "overflow",
        Holds::Word(&["drop-head", "reject-publish", "reject-publish-dlx"]),
        "overflow value",
        true,
    ),
    (
        "queue-leader-locator",
        Holds::Word(&["client-local", "balanced", "random", "least-leaders"]),
        "queue leader locator value",
        false,
    ),
    ("queue-master-locator", Holds::Locator, "", false),
    (
        "queue-mode",
        Holds::Word(&["default", "lazy"]),
        "queue-mode value",
        false,
    ),
    (
        "queue-version",
        Holds::Version,
        "queue-version value",
        false,
    ),
    (
        "stream-filter-size-bytes",
        Holds::From(16),
        "filter size",
        false,
    ),
    (
        "stream-max-segment-size-bytes",
        Holds::From(0),
        "segment size",
        false,
    ),
    (
        "target-group-size",
        Holds::From(1),
        "target group size",
        true,
    ),
];

impl Checked {
    /// Take `policy` if it is accepted; else RabbitMQ's reason why not.
    pub(crate) fn new(kind: PolicyKind, policy: Policy) -> Result<Self, String> {
        let pattern = Pattern::compile(&policy.pattern).map_err(|reason| {
            format!("pattern should be regular expression but is invalid: {reason}")
        })?;
        check(kind, &policy.definition)?;
        Ok(Self { policy, pattern })
    }
}

fn check(kind: PolicyKind, definition: &PolicyDefinition) -> Result<(), String> {
    if definition.is_empty() {
        return Err("no policy provided".to_owned());
    }
    let known = |key: &str| {
        SETTINGS.iter().find(|(name, .., for_operators)| {
            *name == key && (kind == PolicyKind::User || *for_operators)
        })
    };
    for (key, value) in definition.as_map() {
        if let Some((_, holds, words, _)) = known(key)
            && !holds.accepts(value)
        {
            return Err(match *holds {
                Holds::Locator => format!("{} invalid {key} value", term(value)),
                _ => format!("{} is not a valid {words}", term(value)),
            });
        }
    }
    check_mirroring(definition)?;
    check_federation(definition)?;
    let mut unknown = definition
        .as_map()
        .iter()
        .filter(|(key, _)| known(key).is_none())
        .peekable();
    if unknown.peek().is_some() {
        return Err(format!(
            "{} are not recognised policy settings",
            pairs(unknown)
        ));
    }
    Ok(())
}

impl Holds {
    fn accepts(&self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::ShortText => value
                .as_str()
                .is_some_and(|text| text.len() <= SHORT_STRING_MAX),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::From(least) => {
                value.is_u64() && value.as_i64().is_none_or(|number| number >= *least)
            }
            Self::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Self::Locator => value
                .as_str()
                .is_some_and(|word| ["client-local", "min-masters", "random"].contains(&word)),
            Self::Version => matches!(value.as_i64(), Some(1 | 2)),
            Self::Age => value.as_str().is_some_and(crate::vhost::is_max_age),
            Self::Together => true,
        }
    }
}

/// Settings of mirrored queues, which are no more: accepted as far as RabbitMQ did, and of no
/// effect.
fn check_mirroring(definition: &PolicyDefinition) -> Result<(), String> {
    let Some(mode) = definition.value("ha-mode") else {
        let others = [
            "ha-params",
            "ha-sync-mode",
            "ha-sync-batch-size",
            "ha-promote-on-shutdown",
            "ha-promote-on-failure",
        ];
        if others.iter().any(|key| definition.value(key).is_some()) {
            return Err("ha-mode must be specified to specify ha-params, ha-sync-mode or ha-promote-on-shutdown".to_owned());
        }
        return Ok(());
    };
    let parameters = definition.value("ha-params");
    let or_none = || parameters.map_or_else(|| "none".to_owned(), term);
    match mode.as_str() {
        Some("all") if parameters.is_none() => {}
        Some("all") => return Err("ha-mode=\"all\" does not take parameters".to_owned()),
        Some("exactly") if parameters.is_some_and(|count| count.as_u64() > Some(0)) => {}
        Some("exactly") => {
            return Err(format!(
                "ha-mode=\"exactly\" takes an integer, {} given",
                or_none()
            ));
        }
        Some("nodes") => {
            let Some(names) = parameters.and_then(Value::as_array) else {
                return Err(format!(
                    "ha-mode=\"nodes\" takes a list, {} given",
                    or_none()
                ));
            };
            if names.is_empty() {
                return Err("ha-mode=\"nodes\" list must be non-empty".to_owned());
            }
            if !names.iter().all(Value::is_string) {
                return Err(format!(
                    "ha-mode=\"nodes\" takes a list of strings, {} was not a string",
                    or_none()
                ));
            }
        }
        _ => return Err(format!("{} is not a valid ha-mode value", term(mode))),
    }
    let choices = [
        ("ha-sync-mode", ["manual", "automatic"]),
        ("ha-promote-on-shutdown", ["always", "when-synced"]),
        ("ha-promote-on-failure", ["always", "when-synced"]),
    ];
    for (key, [one, other]) in choices {
        if let Some(value) = definition.value(key)
            && !value
                .as_str()
                .is_some_and(|word| word == one || word == other)
        {
            return Err(format!(
                "{key} must be \"{one}\" or \"{other}\", got {}",
                term(value)
            ));
        }
    }
    match definition.value("ha-sync-batch-size") {
        Some(size) if size.as_u64().is_none_or(|size| size == 0) => Err(format!(
            "ha-sync-batch-size takes an integer greater than 0, {} given",
            term(size)
        )),
        _ => Ok(()),
    }
}

/// Settings of federation: checked and kept.
fn check_federation(definition: &PolicyDefinition) -> Result<(), String> {
    let settings = [
        ("federation-upstream", "name"),
        ("federation-upstream-set", "set name"),
        ("federation-upstream-pattern", "pattern name"),
    ];
    let given: Vec<_> = settings
        .iter()
        .filter_map(|(key, words)| definition.value(key).map(|value| (*key, *words, value)))
        .collect();
    let [(key, words, value)] = given.as_slice() else {
        return if given.is_empty() {
            Ok(())
        } else {
            Err("cannot specify federation-upstream, federation-upstream-set or federation-upstream-pattern together".to_owned())
        };
    };
    let Some(text) = value.as_str() else {
        return Err(format!(
            "{} is not a valid federation upstream {words}",
            term(value)
        ));
    };
    if *key == "federation-upstream-pattern" {
        Pattern::compile(text).map_err(|reason| {
            format!("could not compile pattern {text} to a regular expression. Error: {reason}")
        })?;
    }
    Ok(())
}
