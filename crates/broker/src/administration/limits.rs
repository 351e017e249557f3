//! Bounds of vhosts and users.

use leveret_store::Ticket;
use serde_json::{Map, Value};

use super::AdministrationError;
use crate::broker::Broker;
use crate::users::UserLimits;
use crate::vhost::{LIMITS, LIMITS_NAME, VhostLimits};

impl Broker {
    /// Bound a vhost, in place of the bounds it has: an object with `max-connections` and
    /// `max-queues`, as RabbitMQ takes it. What is there already stays.
    pub fn set_vhost_limits(
        &self,
        vhost: &str,
        limits: &Value,
    ) -> Result<Ticket, AdministrationError> {
        VhostLimits::parse(limits).map_err(AdministrationError::BadLimits)?;
        let found = self.vhost(vhost);
        let found = found.ok_or_else(|| AdministrationError::NoSuchVhost(vhost.to_owned()))?;
        Ok(found.set_parameter(LIMITS, LIMITS_NAME, limits.clone())?)
    }

    /// Lift the bounds of a vhost.
    pub fn clear_vhost_limits(&self, vhost: &str) -> Result<Ticket, AdministrationError> {
        let found = self.vhost(vhost);
        let found = found.ok_or_else(|| AdministrationError::NoSuchVhost(vhost.to_owned()))?;
        Ok(found.delete_parameter(LIMITS, LIMITS_NAME)?)
    }

    /// Bound a user by `max-connections` and `max-channels`, as RabbitMQ takes them. Bounds that
    /// `limits` does not name stay, and so does what is open already.
    pub fn set_user_limits(
        &self,
        user: &str,
        limits: &Value,
    ) -> Result<Ticket, AdministrationError> {
        UserLimits::parse(limits).map_err(AdministrationError::BadLimits)?;
        self.change_user(user, |mut record| {
            let mut all = known_limits(&record.limits);
            all.extend(known_limits(limits));
            record.limits = Value::Object(all);
            Ok(record)
        })
    }

    /// Lift a bound of a user, `max-connections` or `max-channels`, or all of them.
    pub fn clear_user_limits(
        &self,
        user: &str,
        limit: Option<&str>,
    ) -> Result<Ticket, AdministrationError> {
        self.change_user(user, |mut record| {
            let mut left = known_limits(&record.limits);
            match limit {
                Some(limit) => drop(left.remove(limit)),
                None => left.clear(),
            }
            record.limits = Value::Object(left);
            Ok(record)
        })
    }
}

fn known_limits(limits: &Value) -> Map<String, Value> {
    limits.as_object().cloned().unwrap_or_default()
}
