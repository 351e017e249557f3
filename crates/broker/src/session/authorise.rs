//! What the session asks before it does what a command says.
//!
//! What the user may do is known here until the vhost's generation grows, which every change of
//! permissions makes it do, so changes count from the next command on. A publish whose route is
//! cached was allowed when the route was found: it is not asked again.

use std::sync::Arc;

use leveret_wire::Message;

use super::{Failure, Session};
use crate::users::{AccessRefused, Grant, Resource, Right};

impl From<AccessRefused> for Failure {
    fn from(refused: AccessRefused) -> Self {
        Self::access_refused(refused.to_string())
    }
}

impl Session {
    /// Look again what the user may do, if that may have changed.
    fn refresh_grant(&mut self) {
        let generation = self.vhost.generation();
        if self.granted_at != generation {
            // Before the look: what changes meanwhile makes the generation grow after it.
            self.granted_at = generation;
            self.grant = self.shared.grant(self.user.name(), self.vhost.name());
        }
    }

    /// What the user may do now.
    pub(super) fn grant(&mut self) -> Arc<Grant> {
        self.refresh_grant();
        Arc::clone(&self.grant)
    }

    /// May the user read from the queue?
    pub(super) fn authorise_reading(&mut self, queue: &str) -> Result<(), Failure> {
        self.refresh_grant();
        Ok(self.grant.authorise(Right::Read, Resource::Queue(queue))?)
    }

    /// May the user publish to the message's exchange? Asked before it is known whether there is
    /// one, so that a name tells nothing.
    pub(super) fn authorise_publish(&mut self, message: &Message) -> Result<(), Failure> {
        self.refresh_grant();
        if self.grant.writes_everything() || self.routes.is_allowed(message.routing()) {
            return Ok(());
        }
        let exchange = String::from_utf8_lossy(message.exchange());
        Ok(self
            .grant
            .authorise(Right::Write, Resource::Exchange(&exchange))?)
    }

    /// May the user publish to the message's exchange, of type topic, with its routing key and
    /// those of its CC and BCC headers?
    pub(super) fn authorise_topics(
        &self,
        message: &Message,
        extra_keys: &[&[u8]],
    ) -> Result<(), Failure> {
        if self.grant.writes_everything() {
            return Ok(());
        }
        let exchange = String::from_utf8_lossy(message.exchange());
        let first = (!self.routes.is_allowed(message.routing())).then(|| message.routing_key());
        for key in first.into_iter().chain(extra_keys.iter().copied()) {
            let resource = Resource::Topic {
                exchange: &exchange,
                routing_key: &String::from_utf8_lossy(key),
            };
            self.grant.authorise(Right::Write, resource)?;
        }
        Ok(())
    }

    /// Remember that a message may be published where its exchange and key lead, if the route
    /// itself cannot be remembered.
    pub(super) fn remember_allowed(&mut self, message: &Message) {
        if !self.grant.writes_everything() {
            self.routes.allow(message.routing());
        }
    }
}
