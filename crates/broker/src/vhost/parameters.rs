//! The runtime parameters of a vhost (RabbitMQ's page "Parameters and Policies"). Most belong to
//! parts that are not here, and are kept; the component `vhost-limits` bounds the vhost.

use std::collections::BTreeMap;

use leveret_store::{StoreError, Ticket};
use serde_json::Value;

use super::{Topology, Vhost};
use crate::definitions;
use crate::policies::term;

/// The component that bounds a vhost; its one parameter is named `limits`.
pub(crate) const LIMITS: &str = "vhost-limits";

/// The parameter of that component.
pub(crate) const LIMITS_NAME: &str = "limits";

/// Values by component and name.
pub(crate) type Parameters = BTreeMap<(String, String), Value>;

/// Bounds of a vhost (RabbitMQ's page "Virtual Hosts", limits). `None`: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VhostLimits {
    /// Connections that may be open to it.
    pub max_connections: Option<u64>,
    /// Queues that it may have.
    pub max_queues: Option<u64>,
}

impl VhostLimits {
    /// Read the value of the parameter; RabbitMQ's reason for refusing it otherwise. A negative
    /// number stands for no limit.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let mut limits = Self::default();
        let fields = &mut [
            ("max-connections", &mut limits.max_connections),
            ("max-queues", &mut limits.max_queues),
        ];
        read_limits(value, "limits", fields)?;
        Ok(limits)
    }
}

/// Read numbers by name, from an object or a list of pairs, into `fields`; RabbitMQ's reason if
/// they are refused. A negative number stands for no limit.
pub(crate) fn read_limits(
    value: &Value,
    what: &str,
    fields: &mut [(&str, &mut Option<u64>)],
) -> Result<(), String> {
    let not_limits = || {
        let found = term(value);
        format!("{what} should be a dictionary, actually was {found}")
    };
    let pairs: Vec<(&str, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.as_str(), value))
            .collect(),
        Value::Array(pairs) => {
            let pairs = pairs.iter().map(|pair| match pair.as_array()?.as_slice() {
                [Value::String(key), value] => Some((key.as_str(), value)),
                _ => None,
            });
            pairs.collect::<Option<_>>().ok_or_else(not_limits)?
        }
        _ => return Err(not_limits()),
    };
    let is_known = |key: &str| fields.iter().any(|(known, _)| *known == key);
    let unknown: Vec<String> = pairs
        .iter()
        .filter(|(key, _)| !is_known(key))
        .map(|(key, value)| format!("{{<<\"{key}\">>,{}}}", term(value)))
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(",");
        return Err(format!("Unrecognised terms [{unknown}] in {what}"));
    }
    for (key, value) in pairs {
        let number = value
            .as_i64()
            .ok_or_else(|| format!("{key} should be a number, actually was {}", term(value)))?;
        for (_, limit) in fields.iter_mut().filter(|(known, _)| *known == key) {
            **limit = u64::try_from(number).ok();
        }
    }
    Ok(())
}

impl Vhost {
    /// Bounds of the vhost that were set by parameter.
    pub fn limits(&self) -> VhostLimits {
        self.topology.read().limits
    }

    /// The value of a parameter.
    pub fn parameter(&self, component: &str, name: &str) -> Option<Value> {
        let key = (component.to_owned(), name.to_owned());
        self.topology.read().parameters.get(&key).cloned()
    }

    /// All parameters: component, name and value. Policies are none of them.
    pub fn parameters(&self) -> Vec<(String, String, Value)> {
        let topology = self.topology.read();
        let all = topology.parameters.iter();
        all.map(|((component, name), value)| (component.clone(), name.clone(), value.clone()))
            .collect()
    }

    /// Set a parameter that was checked.
    pub(crate) fn set_parameter(
        &self,
        component: &str,
        name: &str,
        value: Value,
    ) -> Result<Ticket, StoreError> {
        let mut topology = self.topology.write();
        let change = definitions::put_parameter(&self.name, component, name, &value);
        let ticket = self.store_changes(vec![change])?;
        topology.keep_parameter(component.to_owned(), name.to_owned(), value);
        Ok(ticket)
    }

    /// Delete a parameter, if it is there.
    pub fn delete_parameter(&self, component: &str, name: &str) -> Result<Ticket, StoreError> {
        let mut topology = self.topology.write();
        let key = (component.to_owned(), name.to_owned());
        if !topology.parameters.contains_key(&key) {
            return Ok(Ticket::NONE);
        }
        let change = definitions::delete_parameter(&self.name, component, name);
        let ticket = self.store_changes(vec![change])?;
        topology.parameters.remove(&key);
        if component == LIMITS {
            topology.limits = VhostLimits::default();
        }
        Ok(ticket)
    }

    pub(crate) fn recover_parameter(&self, component: String, name: String, value: Value) {
        self.topology.write().keep_parameter(component, name, value);
    }
}

impl Topology {
    /// Queues that the vhost may have: as many as every vhost of the node, or as its own limits
    /// say if those are lower.
    pub(super) fn queue_limit(&self, of_node: usize) -> usize {
        let own = self.limits.max_queues.map(usize::try_from);
        own.and_then(Result::ok)
            .map_or(of_node, |own| own.min(of_node))
    }

    /// Note a parameter that was checked.
    pub(crate) fn keep_parameter(&mut self, component: String, name: String, value: Value) {
        if component == LIMITS {
            self.limits = VhostLimits::parse(&value).unwrap_or_default();
        }
        self.parameters.insert((component, name), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_and_refused_in_rabbitmqs_words() {
        let limits = VhostLimits {
            max_connections: Some(50),
            max_queues: None,
        };
        let both = json!({"max-connections": 50, "max-queues": -1});
        assert_eq!(VhostLimits::parse(&both), Ok(limits));
        assert_eq!(
            VhostLimits::parse(&json!([["max-connections", 50]])),
            Ok(limits)
        );
        assert_eq!(
            VhostLimits::parse(&json!({"max-queues": "x"})).unwrap_err(),
            "max-queues should be a number, actually was <<\"x\">>"
        );
        for refused in [json!(5), json!([5]), json!({"max-users": 1})] {
            assert!(VhostLimits::parse(&refused).is_err(), "{refused}");
        }
    }
}
