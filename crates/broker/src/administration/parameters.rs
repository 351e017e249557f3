//! Parameters of vhosts, and global ones, which belong to none: names with JSON values (RabbitMQ's page "Parameters
//! and Policies").

use leveret_store::Ticket;
use serde_json::Value;

use super::{AdministrationError, check_name};
use crate::broker::Broker;
use crate::definitions;
use crate::vhost::{LIMITS, LIMITS_NAME};

impl Broker {
    /// Set a parameter of a vhost. Only the limits of the vhost can be set so: no other component is there to
    /// understand one.
    pub fn set_parameter(
        &self,
        vhost: &str,
        (component, name): (&str, &str),
        value: &Value,
    ) -> Result<Ticket, AdministrationError> {
        if (component, name) == (LIMITS, LIMITS_NAME) {
            return self.set_vhost_limits(vhost, value);
        }
        let reason = format!("component {component} not found");
        Err(AdministrationError::BadParameter(reason))
    }

    /// Delete a parameter of a vhost, whatever component it is for: an import may have brought it.
    pub fn clear_parameter(
        &self,
        vhost: &str,
        (component, name): (&str, &str),
    ) -> Result<Ticket, AdministrationError> {
        let found = self.vhost(vhost);
        let found = found.filter(|vhost| vhost.parameter(component, name).is_some());
        let vhost = found.ok_or(AdministrationError::NoSuchParameter)?;
        Ok(vhost.delete_parameter(component, name)?)
    }

    /// Set a global parameter, in place of its value if it has one.
    pub fn set_global_parameter(
        &self,
        name: &str,
        value: Value,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        check_name(name)?;
        let change = definitions::put_global_parameter(name, &value);
        let ticket = self.shared.store.change(vec![change])?;
        let mut parameters = self.global_parameters.write();
        parameters.insert(name.to_owned(), value);
        Ok(ticket)
    }

    /// Delete a global parameter.
    pub fn clear_global_parameter(&self, name: &str) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        if !self.global_parameters.read().contains_key(name) {
            return Err(AdministrationError::NoSuchParameter);
        }
        let change = definitions::delete_global_parameter(name);
        let ticket = self.shared.store.change(vec![change])?;
        self.global_parameters.write().remove(name);
        Ok(ticket)
    }

    /// All global parameters, in the order of their names.
    pub fn list_global_parameters(&self) -> Vec<(String, Value)> {
        let parameters = self.global_parameters.read();
        let all = parameters.iter();
        all.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
