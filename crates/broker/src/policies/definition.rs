//! The settings of a policy: an object of JSON.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PolicyError;

/// Settings by key, with values of JSON's types, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyDefinition(Map<String, Value>);

/// More of it does no good: negative means no limit at all.
const DELIVERY_LIMIT: &str = "delivery-limit";

impl FromStr for PolicyDefinition {
    type Err = PolicyError;

    /// Read settings from JSON text.
    fn from_str(json: &str) -> Result<Self, PolicyError> {
        let wrong = |reason: String| PolicyError::Invalid(reason);
        let value: Value = serde_json::from_str(json)
            .map_err(|error| wrong(format!("Could not parse JSON document: {error}")))?;
        Self::from_json(&value).ok_or_else(|| {
            wrong(format!(
                "definition must be a dictionary: {}",
                super::term(&value)
            ))
        })
    }
}

impl PolicyDefinition {
    /// The settings in `value`: an object, or (as some exports of RabbitMQ have it) an array of
    /// pairs. `None` for anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self(map.clone())),
            Value::Array(pairs) => pairs
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([Value::String(key), value]) => Some((key.clone(), value.clone())),
                    _ => None,
                })
                .collect::<Option<Map<_, _>>>()
                .map(Self),
            _ => None,
        }
    }

    /// All of it.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Does it say nothing?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value of `key` if it is a whole number.
    pub(crate) fn integer(&self, key: &str) -> Option<i64> {
        let number = self.0.get(key)?;
        // What is above every limit that could be reached is the highest.
        number
            .as_i64()
            .or_else(|| number.as_u64().map(|_| i64::MAX))
    }

    /// The value of `key` if it is a number of things, octets or milliseconds.
    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        u64::try_from(self.integer(key)?).ok()
    }

    /// The value of `key` if it is text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// What this, of a policy, and `operator` come to: of two numbers the lower, else what the
    /// operator says.
    pub(crate) fn bounded_by(&self, operator: &Self) -> Self {
        let mut merged = self.0.clone();
        for (key, theirs) in &operator.0 {
            let lower = match (self.integer(key), operator.integer(key)) {
                (Some(ours), Some(bound)) => is_stricter(key, ours, bound),
                _ => false,
            };
            if !lower {
                merged.insert(key.clone(), theirs.clone());
            }
        }
        Self(merged)
    }
}

/// Of two values for `key`, is `one` the lower limit?
fn is_stricter(key: &str, one: i64, other: i64) -> bool {
    if key == DELIVERY_LIMIT {
        return one == lower_delivery_limit(one, other);
    }
    one <= other
}

/// Of two delivery limits the lower; one that is negative means none, and wins (RabbitMQ 4.0).
pub(crate) fn lower_delivery_limit(one: i64, other: i64) -> i64 {
    if one < 0 || other < 0 {
        one.max(other)
    } else {
        one.min(other)
    }
}
