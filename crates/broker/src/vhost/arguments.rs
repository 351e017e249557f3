//! The arguments of queue.declare: what each may hold, which belong to which
//! type of queue, and what they make of the queue. Checked only when a queue is created;
//! arguments that nobody knows are accepted and mean nothing.

use leveret_wire::{AMQPValue, FieldTable, type_name};

use super::equivalence::{compare_arguments, integer};
use crate::policies::{PolicyDefinition, lower_delivery_limit};
use crate::queue::{DeadLetterTarget, Overflow, QueueOptions, QueueType, Strategy};

/// Longest time that RabbitMQ takes as an argument: ten years, in milliseconds.
pub(crate) const TIME_MAX: i64 = 315_360_000_000;

/// Times a message of a quorum queue may come back when the queue does not say (RabbitMQ 4.0).
const DELIVERY_LIMIT_DEFAULT: u32 = 20;

pub(super) const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const DEAD_LETTER_ROUTING_KEY: &str = "x-dead-letter-routing-key";
const DEAD_LETTER_STRATEGY: &str = "x-dead-letter-strategy";
const QUEUE_TYPE: &str = "x-queue-type";

/// The types of queue that an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Both,
    Classic,
    Quorum,
    /// Streams, of which there are none yet.
    Neither,
}

/// Why a value is refused, in RabbitMQ's words.
type Check = fn(&AMQPValue, &FieldTable) -> Result<(), String>;

/// Every known argument in the order RabbitMQ checks them.
const KNOWN: [(&str, For, Check); 23] = [
    ("x-expires", For::Both, check_expires),
    ("x-message-ttl", For::Both, check_time),
    (DEAD_LETTER_EXCHANGE, For::Both, check_text),
    (DEAD_LETTER_ROUTING_KEY, For::Both, check_routing_key),
    (DEAD_LETTER_STRATEGY, For::Quorum, check_strategy),
    ("x-max-length", For::Both, check_count),
    ("x-max-length-bytes", For::Both, check_count),
    ("x-max-in-memory-length", For::Quorum, check_count),
    ("x-max-in-memory-bytes", For::Quorum, check_count),
    ("x-max-priority", For::Classic, check_priority),
    ("x-overflow", For::Both, check_overflow),
    ("x-queue-mode", For::Classic, check_mode),
    ("x-queue-version", For::Classic, check_version),
    ("x-single-active-consumer", For::Both, check_flag),
    (QUEUE_TYPE, For::Both, check_type),
    ("x-quorum-initial-group-size", For::Quorum, check_size),
    ("x-max-age", For::Neither, check_nothing),
    (
        "x-stream-max-segment-size-bytes",
        For::Neither,
        check_nothing,
    ),
    ("x-initial-cluster-size", For::Neither, check_nothing),
    ("x-queue-leader-locator", For::Quorum, check_locator),
    ("x-delivery-limit", For::Quorum, check_nothing),
    ("x-consumer-timeout", For::Both, check_count),
    // Accepted and never looked at: mirrored queues are gone.
    ("x-queue-master-locator", For::Classic, check_nothing),
];

/// What is wrong with the arguments of a new queue: the explanation of the 406.
/// `what` is `queue 'q' in vhost '/'`.
pub(crate) fn parse(arguments: &FieldTable, what: &str) -> Result<QueueOptions, String> {
    let table = arguments.inner();
    // RabbitMQ looks for the dead-letter exchange, to check permissions, before anything else.
    if let Some(value) = table.get(DEAD_LETTER_EXCHANGE)
        && !matches!(value, AMQPValue::LongString(_))
    {
        return Err(format!(
            "invalid type '{}' for arg '{DEAD_LETTER_EXCHANGE}' in {what}",
            type_name(value)
        ));
    }
    let refused = |key, reason| format!("invalid arg '{key}' for {what}: {reason}");
    if let Some(value) = table.get(QUEUE_TYPE) {
        check_type(value, arguments).map_err(|reason| refused(QUEUE_TYPE, reason))?;
    }
    let queue_type = queue_type(arguments);
    for (key, is_for, check) in KNOWN {
        let Some(value) = table.get(key) else {
            continue;
        };
        if !is_for.fits(queue_type) {
            return Err(format!(
                "invalid arg '{key}' for {what} of queue type {}",
                module_name(queue_type)
            ));
        }
        check(value, arguments).map_err(|reason| refused(key, reason))?;
    }
    Ok(options(arguments, &PolicyDefinition::default()))
}

/// Are the arguments of a redeclaration those that the queue has? The explanation of the 406
/// if not.
pub(crate) fn equivalent(
    received: &FieldTable,
    current: &FieldTable,
    what: &str,
) -> Result<(), String> {
    let current_type = queue_type(current);
    let keys = KNOWN
        .iter()
        .filter(|(key, is_for, _)| is_for.fits(current_type) && *key != QUEUE_TYPE);
    let keys: Vec<&str> = keys.map(|(key, ..)| *key).collect();
    compare_arguments(&keys, what, received, current)?;
    let is_same =
        named_type(received).unwrap_or("classic") == named_type(current).unwrap_or("classic");
    if is_same {
        Ok(())
    } else {
        compare_arguments(&[QUEUE_TYPE], what, received, current)
    }
}

/// RabbitMQ's name for the module of a queue type, as some of its texts have it.
pub(crate) fn module_name(queue_type: QueueType) -> &'static str {
    match queue_type {
        QueueType::Classic => "rabbit_classic_queue",
        QueueType::Quorum => "rabbit_quorum_queue",
    }
}

/// The type of queue that the arguments ask for; classic if they ask for none that is known.
pub(crate) fn queue_type(arguments: &FieldTable) -> QueueType {
    match named_type(arguments) {
        Some("quorum") => QueueType::Quorum,
        _ => QueueType::Classic,
    }
}

/// The options that checked arguments make together with `policy`: of two numbers the lower
/// counts, else the argument. What a check would refuse counts as absent, so
/// that a definition of an older version never keeps a node from starting.
pub(crate) fn options(arguments: &FieldTable, policy: &PolicyDefinition) -> QueueOptions {
    let queue_type = queue_type(arguments);
    let number = |key: &str| {
        let argument = arguments
            .inner()
            .get(key)
            .and_then(integer)
            .and_then(|value| u64::try_from(value).ok());
        let setting = key.strip_prefix("x-").and_then(|key| policy.count(key));
        match (argument, setting) {
            (Some(argument), Some(setting)) => Some(argument.min(setting)),
            (argument, setting) => argument.or(setting),
        }
    };
    let flag = |key: &str| matches!(arguments.inner().get(key), Some(AMQPValue::Boolean(true)));
    let overflow = match (text_under("x-overflow", arguments, policy), queue_type) {
        (Some("reject-publish"), _) => Overflow::RejectPublish,
        (Some("reject-publish-dlx"), QueueType::Classic) => Overflow::RejectPublishDlx,
        // RabbitMQ's quorum queues take reject-publish-dlx for the default.
        _ => Overflow::DropHead,
    };
    QueueOptions {
        queue_type,
        message_ttl: number("x-message-ttl"),
        expires: number("x-expires"),
        max_length: number("x-max-length"),
        max_length_bytes: number("x-max-length-bytes"),
        overflow,
        dead_letter: dead_letter(arguments, policy, queue_type, overflow),
        max_priority: arguments
            .inner()
            .get("x-max-priority")
            .and_then(integer)
            .and_then(|value| u8::try_from(value).ok())
            .unwrap_or(0),
        single_active_consumer: flag("x-single-active-consumer"),
        delivery_limit: delivery_limit(arguments, policy, queue_type),
        consumer_timeout: number("x-consumer-timeout").filter(|timeout| *timeout > 0),
    }
}

fn dead_letter(
    arguments: &FieldTable,
    policy: &PolicyDefinition,
    queue_type: QueueType,
    overflow: Overflow,
) -> Option<DeadLetterTarget> {
    let text = |key| text_under(key, arguments, policy);
    let exchange = text(DEAD_LETTER_EXCHANGE)?.into();
    let routing_key = text(DEAD_LETTER_ROUTING_KEY).map(Into::into);
    // RabbitMQ: at-least-once needs overflow reject-publish, else it is at-most-once.
    let is_safe = text(DEAD_LETTER_STRATEGY) == Some("at-least-once")
        && queue_type == QueueType::Quorum
        && overflow == Overflow::RejectPublish;
    let strategy = if is_safe {
        Strategy::AtLeastOnce
    } else {
        Strategy::AtMostOnce
    };
    Some(DeadLetterTarget {
        exchange,
        routing_key,
        strategy,
    })
}

/// A negative limit is none (RabbitMQ 4.0).
fn delivery_limit(
    arguments: &FieldTable,
    policy: &PolicyDefinition,
    queue_type: QueueType,
) -> Option<u32> {
    if queue_type == QueueType::Classic {
        return None;
    }
    let argument = arguments.inner().get("x-delivery-limit").and_then(integer);
    let limit = match (argument, policy.integer("delivery-limit")) {
        (Some(argument), Some(setting)) => Some(lower_delivery_limit(argument, setting)),
        (argument, setting) => argument.or(setting),
    };
    match limit {
        None => Some(DELIVERY_LIMIT_DEFAULT),
        Some(limit) if limit < 0 => None,
        Some(limit) => Some(u32::try_from(limit).unwrap_or(u32::MAX)),
    }
}

fn named_type(arguments: &FieldTable) -> Option<&str> {
    text(arguments, QUEUE_TYPE)
}

/// The text that an argument says, or else the policy.
fn text_under<'a>(
    key: &str,
    arguments: &'a FieldTable,
    policy: &'a PolicyDefinition,
) -> Option<&'a str> {
    let setting = || policy.text(key.strip_prefix("x-")?);
    text(arguments, key).or_else(setting)
}

fn text<'a>(arguments: &'a FieldTable, key: &str) -> Option<&'a str> {
    match arguments.inner().get(key) {
        Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).ok(),
        _ => None,
    }
}

impl For {
    fn fits(self, queue_type: QueueType) -> bool {
        match self {
            Self::Both => true,
            Self::Classic => queue_type == QueueType::Classic,
            Self::Quorum => queue_type == QueueType::Quorum,
            Self::Neither => false,
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one check of many, which refuses nothing"
)]
fn check_nothing(_: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    Ok(())
}

fn unacceptable(value: &AMQPValue) -> String {
    format!("{{unacceptable_type,{}}}", type_name(value))
}

fn whole(value: &AMQPValue) -> Result<i64, String> {
    integer(value).ok_or_else(|| format!("\"expected integer, got {}\"", type_name(value)))
}

fn count(value: &AMQPValue) -> Result<i64, String> {
    match whole(value)? {
        number if number < 0 => Err(format!("{{value_negative,{number}}}")),
        number => Ok(number),
    }
}

fn check_count(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    count(value).map(drop)
}

fn check_size(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    if count(value)? == 0 {
        Err("{value_zero,0}".to_owned())
    } else {
        Ok(())
    }
}

fn check_time(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match count(value)? {
        number if number > TIME_MAX => Err(format!("{{value_too_large,{number}}}")),
        _ => Ok(()),
    }
}

fn check_expires(value: &AMQPValue, arguments: &FieldTable) -> Result<(), String> {
    check_size(value, arguments)?;
    check_time(value, arguments)
}

fn check_priority(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match count(value)? {
        number if number > i64::from(u8::MAX) => Err(format!("{{max_value_exceeded,{number}}}")),
        _ => Ok(()),
    }
}

fn check_flag(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    if matches!(value, AMQPValue::Boolean(_)) {
        Ok(())
    } else {
        Err(unacceptable(value))
    }
}

fn long_string(value: &AMQPValue) -> Result<String, String> {
    match value {
        AMQPValue::LongString(text) => Ok(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        other => Err(unacceptable(other)),
    }
}

fn one_of(
    value: &AMQPValue,
    allowed: &[&str],
    refusal: impl FnOnce(&str) -> String,
) -> Result<(), String> {
    let text = long_string(value)?;
    if allowed.contains(&text.as_str()) {
        Ok(())
    } else {
        Err(refusal(&text))
    }
}

fn check_text(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    long_string(value).map(drop)
}

fn check_routing_key(value: &AMQPValue, arguments: &FieldTable) -> Result<(), String> {
    let key = long_string(value)?;
    if !arguments.contains_key(DEAD_LETTER_EXCHANGE) {
        return Err("routing_key_but_no_dlx_defined".to_owned());
    }
    // RabbitMQ takes any, and can't encode the message later: AMQP has short strings there.
    if key.len() > usize::from(u8::MAX) {
        Err("routing_key_too_long".to_owned())
    } else {
        Ok(())
    }
}

fn check_strategy(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    one_of(value, &["at-most-once", "at-least-once"], |_| {
        "invalid_dlx_strategy".to_owned()
    })
}

fn check_overflow(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    one_of(
        value,
        &["drop-head", "reject-publish", "reject-publish-dlx"],
        |_| "invalid_overflow".to_owned(),
    )
}

fn check_mode(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    one_of(value, &["default", "lazy"], |mode| {
        format!("\"unsupported queue mode '{mode}'\"")
    })
}

fn check_version(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    match count(value)? {
        1 | 2 => Ok(()),
        version => Err(format!("\"unsupported queue version '{version}'\"")),
    }
}

fn check_type(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    one_of(value, &["classic", "quorum"], |name| {
        format!("\"unsupported queue type '{name}'\"")
    })
}

fn check_locator(value: &AMQPValue, _: &FieldTable) -> Result<(), String> {
    let allowed = ["client-local", "balanced", "random", "least-leaders"];
    one_of(value, &allowed, |_| "invalid_queue_locator_arg".to_owned())
}

/// Is it an age as streams have it: a number and a unit?
pub(crate) fn is_max_age(age: &str) -> bool {
    let number = age.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']);
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;
