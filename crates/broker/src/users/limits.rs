//! Bounds of a user (RabbitMQ's page "Per-User Resource Limits").

use serde_json::{Value, json};

use super::UserRecord;
use crate::vhost::read_limits;

/// Bounds of a user. `None`: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// Connections that the user may have open. Exceeded: 530 `NOT_ALLOWED` at connection.open.
    pub max_connections: Option<u64>,
    /// Channels that the user may have open, over all its connections. Exceeded: 530 `NOT_ALLOWED`
    /// at channel.open.
    pub max_channels: Option<u64>,
}

impl UserLimits {
    /// Read limits as RabbitMQ writes them: an object with `max-connections` and `max-channels`.
    /// A negative number stands for no limit. RabbitMQ's reason if they are refused.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let mut limits = Self::default();
        if !value.is_object() {
            return Err(format!(
                "user-limits not a list {}",
                crate::policies::term(value)
            ));
        }
        let fields = &mut [
            ("max-connections", &mut limits.max_connections),
            ("max-channels", &mut limits.max_channels),
        ];
        read_limits(value, "user-limits", fields)?;
        Ok(limits)
    }

    /// As [`UserLimits::parse`] reads it.
    pub fn to_json(self) -> Value {
        let mut map = serde_json::Map::new();
        for (key, limit) in [
            ("max-connections", self.max_connections),
            ("max-channels", self.max_channels),
        ] {
            if let Some(limit) = limit {
                map.insert(key.to_owned(), json!(limit));
            }
        }
        Value::Object(map)
    }
}

impl UserRecord {
    /// The limits that are in effect: what an older version kept unchecked bounds nothing.
    pub(crate) fn bounds(&self) -> UserLimits {
        match &self.limits {
            Value::Null => UserLimits::default(),
            limits => UserLimits::parse(limits).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_refused_in_rabbitmqs_words() {
        let both = json!({"max-connections": 5, "max-channels": -1});
        let limits = UserLimits {
            max_connections: Some(5),
            max_channels: None,
        };
        assert_eq!(UserLimits::parse(&both), Ok(limits));
        assert_eq!(limits.to_json(), json!({"max-connections": 5}));
        let refused = [
            (json!(5), "user-limits not a list 5"),
            (
                json!({"max-chan": 1}),
                "Unrecognised terms [{<<\"max-chan\">>,1}] in user-limits",
            ),
            (
                json!({"max-channels": "x"}),
                "max-channels should be a number, actually was <<\"x\">>",
            ),
        ];
        for (value, reason) in refused {
            assert_eq!(UserLimits::parse(&value), Err(reason.to_owned()), "{value}");
        }
    }
}
