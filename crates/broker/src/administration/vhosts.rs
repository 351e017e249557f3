//! Vhosts.

use std::sync::Arc;

use leveret_store::Ticket;
use serde_json::{Map, Value};

use super::{AdministrationError, check_name};
use crate::broker::Broker;
use crate::definitions::{self, VhostRecord};
use crate::effects::Effects;
use crate::mailbox::CloseReason;
use crate::vhost::Vhost;

impl Broker {
    /// Add a vhost, with the exchanges that every vhost has. Nobody has permissions there yet.
    /// `metadata` is what definitions tell of a vhost beside its name: description, tags.
    pub fn add_vhost(
        &self,
        name: &str,
        metadata: Map<String, Value>,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        check_name(name)?;
        if self.vhost(name).is_some() {
            return Err(AdministrationError::VhostExists(name.to_owned()));
        }
        let record = VhostRecord { metadata };
        let change = definitions::put_vhost(name, &record);
        let ticket = self.shared.store.change(vec![change])?;
        let vhost = Vhost::new(name.into(), Arc::clone(&self.shared));
        vhost.set_metadata(record.metadata);
        self.vhosts.write().insert(name.to_owned(), vhost);
        Ok(ticket)
    }

    /// Replace a vhost's tags.
    pub fn set_vhost_tags(
        &self,
        name: &str,
        tags: &[String],
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        let vhost = self.vhost(name);
        let vhost = vhost.ok_or_else(|| AdministrationError::NoSuchVhost(name.to_owned()))?;
        let mut metadata = vhost.metadata();
        metadata.insert("tags".to_owned(), Value::from(tags));
        let record = VhostRecord { metadata };
        let change = definitions::put_vhost(name, &record);
        let ticket = self.shared.store.change(vec![change])?;
        vhost.set_metadata(record.metadata);
        Ok(ticket)
    }

    /// Delete a vhost with everything in it: queues and their messages, exchanges, bindings,
    /// policies, parameters, permissions. Its connections are closed with 320
    /// `CONNECTION_FORCED`.
    /// Once the ticket is durable nothing of it comes back.
    pub fn delete_vhost(&self, name: &str) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        let vhost = self.vhost(name);
        let vhost = vhost.ok_or_else(|| AdministrationError::NoSuchVhost(name.to_owned()))?;
        let mut changes = Vec::new();
        {
            let users = self.shared.users.read();
            let permissions = users.permissions().keys();
            for (user, of_vhost) in permissions.filter(|(_, vhost)| vhost == name) {
                changes.push(definitions::delete_permission(user, of_vhost));
            }
            let topics = users.topic_permissions().keys();
            for place in topics.filter(|(_, vhost, _)| vhost == name) {
                changes.push(definitions::delete_topic_permission(place));
            }
        }
        changes.push(definitions::delete_vhost(name));
        let forgotten = vhost.begin_deletion(changes)?;
        self.vhosts.write().remove(name);
        self.shared.users.write().remove_vhost(name);
        // Before its queues go: its clients are to hear of this first.
        let reason = CloseReason::Forced(format!("vhost '{name}' is deleted"));
        let is_there = |open: &crate::ConnectionListing| &*open.vhost == name;
        self.shared.connections.close_where(is_there, &reason);
        let mut effects = Effects::default();
        let dropped = vhost.drop_contents(&mut effects);
        effects.finish();
        Ok(forgotten.max(dropped?))
    }
}
