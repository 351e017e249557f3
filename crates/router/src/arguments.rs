//! The arguments of `exchange.declare` that the types of RabbitMQ's plugins know.

use crate::consistent::HashOn;
use crate::erlang::value_text;
use crate::exchange::{Exchange, ExchangeKind};
use leveret_wire::{AMQPValue, FieldTable, type_name};
use thiserror::Error;

/// How many messages an `x-recent-history` exchange keeps if its declaration does not say (plugin
/// rabbitmq_recent_history_exchange).
pub const HISTORY_LENGTH_DEFAULT: usize = 20;

const HISTORY_LENGTH: &str = "x-recent-history-length";

/// Why the arguments of an exchange were refused. The texts are RabbitMQ's, to follow
/// `PRECONDITION_FAILED - `.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ArgumentError {
    /// A consistent-hash exchange can look at one thing only.
    #[error("hash-header and hash-property are mutually exclusive")]
    BothHashed,
    /// `x-recent-history-length` is no positive integer.
    #[error("Invalid argument {0}, 'x-recent-history-length' must be a positive integer")]
    HistoryLength(
        /// The value, written as RabbitMQ writes it.
        String,
    ),
    /// `hash-property` names none of message_id, correlation_id, timestamp.
    #[error("Unsupported property: {0}")]
    Property(
        /// The name given.
        String,
    ),
    /// `hash-header` or `hash-property` is no longstr. RabbitMQ ends the connection with 541
    /// without a text.
    #[error("invalid type '{kind}' for arg '{argument}'; expected longstr")]
    Type {
        /// The argument.
        argument: &'static str,
        /// RabbitMQ's word for the type it has.
        kind: &'static str,
    },
}

impl ExchangeKind {
    /// Whether an exchange of this type can be declared with `arguments`. Those that the type does
    /// not know are not looked at.
    pub fn check_arguments(self, arguments: &FieldTable) -> Result<(), ArgumentError> {
        match self {
            Self::ConsistentHash => HashOn::parse(arguments).map(drop),
            Self::RecentHistory => match arguments.inner().get(HISTORY_LENGTH) {
                Some(value) if positive(value).is_none() => {
                    Err(ArgumentError::HistoryLength(value_text(value)))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Exchange {
    /// How many messages it keeps for queues bound later, at most: for an `x-recent-history`
    /// exchange its `x-recent-history-length`, or [`HISTORY_LENGTH_DEFAULT`]; for others `None`.
    pub fn history_length(&self) -> Option<usize> {
        (self.kind == ExchangeKind::RecentHistory).then(|| {
            let length = self.arguments.inner().get(HISTORY_LENGTH);
            length.and_then(positive).unwrap_or(HISTORY_LENGTH_DEFAULT)
        })
    }
}

/// A positive number of one of the types that the plugin takes: the signed ones.
fn positive(value: &AMQPValue) -> Option<usize> {
    let number = match value {
        AMQPValue::ShortShortInt(number) => i64::from(*number),
        AMQPValue::ShortInt(number) => i64::from(*number),
        AMQPValue::LongInt(number) => i64::from(*number),
        AMQPValue::LongLongInt(number) => *number,
        _ => return None,
    };
    (number > 0).then(|| usize::try_from(number).unwrap_or(usize::MAX))
}

/// The text of an argument that is a longstr if it is there.
pub(crate) fn text<'a>(
    arguments: &'a FieldTable,
    argument: &'static str,
) -> Result<Option<&'a [u8]>, ArgumentError> {
    match arguments.inner().get(argument) {
        None => Ok(None),
        Some(AMQPValue::LongString(text)) => Ok(Some(text.as_bytes())),
        Some(other) => Err(ArgumentError::Type {
            argument,
            kind: type_name(other),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn refusal(kind: &str, entries: &[(&str, AMQPValue)]) -> Option<String> {
        let kind = ExchangeKind::parse(kind).unwrap();
        let checked = kind.check_arguments(&table(entries));
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn a_consistent_hash_exchange_looks_at_one_thing() {
        let refusal = |entries: &[(&str, AMQPValue)]| refusal("x-consistent-hash", entries);
        assert_eq!(refusal(&[]), None);
        assert_eq!(refusal(&[("hash-header", text("h"))]), None);
        assert_eq!(refusal(&[("hash-header", text(""))]), None);
        for property in ["message_id", "correlation_id", "timestamp"] {
            assert_eq!(refusal(&[("hash-property", text(property))]), None);
        }
        for property in ["content_type", "", "Message_id"] {
            assert_eq!(
                refusal(&[("hash-property", text(property))]).unwrap(),
                format!("Unsupported property: {property}")
            );
        }
        for property in ["message_id", "bogus"] {
            assert_eq!(
                refusal(&[
                    ("hash-header", text("h")),
                    ("hash-property", text(property))
                ])
                .unwrap(),
                "hash-header and hash-property are mutually exclusive"
            );
        }
        assert_eq!(
            refusal(&[("hash-header", AMQPValue::LongInt(5))]).unwrap(),
            "invalid type 'signedint' for arg 'hash-header'; expected longstr"
        );
    }

    #[test]
    fn a_history_has_a_positive_length() {
        for (value, shown) in [
            (AMQPValue::LongInt(0), "0"),
            (AMQPValue::LongLongInt(-1), "-1"),
            (text("5"), r#"<<"5">>"#),
            (AMQPValue::Boolean(true), "true"),
            (AMQPValue::Void, "undefined"),
            (AMQPValue::LongUInt(5), "5"),
        ] {
            assert_eq!(
                refusal("x-recent-history", &[(HISTORY_LENGTH, value)]).unwrap(),
                format!(
                    "Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
                )
            );
        }
        for (value, length) in [
            (AMQPValue::ShortShortInt(1), 1),
            (AMQPValue::ShortInt(2), 2),
            (AMQPValue::LongInt(3), 3),
            (AMQPValue::LongLongInt(1 << 40), 1 << 40),
        ] {
            let arguments = table(&[(HISTORY_LENGTH, value)]);
            assert_eq!(
                ExchangeKind::RecentHistory.check_arguments(&arguments),
                Ok(())
            );
            assert_eq!(
                exchange("x-recent-history", arguments).history_length(),
                Some(length)
            );
        }
        let length = |kind: &str| exchange(kind, FieldTable::default()).history_length();
        assert_eq!(length("x-recent-history"), Some(20));
        assert_eq!(length("fanout"), None);
    }

    #[test]
    fn other_types_look_at_nothing() {
        let entries = [
            (HISTORY_LENGTH, AMQPValue::LongInt(0)),
            ("hash-header", AMQPValue::LongInt(0)),
        ];
        for kind in ["direct", "x-random", "x-local-random", "x-modulus-hash"] {
            assert_eq!(refusal(kind, &entries), None);
        }
    }

    fn exchange(kind: &str, arguments: FieldTable) -> Exchange {
        Exchange {
            name: "x".into(),
            kind: ExchangeKind::parse(kind).unwrap(),
            delayed: false,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments,
            alternate: None,
        }
    }
}
