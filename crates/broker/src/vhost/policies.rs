//! The policies of a vhost, and what they make of its exchanges and queues.
//!
//! A change of policies holds the topology's lock, so that nothing is declared between its
//! taking effect on what is there and on what comes. Queues are changed one after the other
//! under it; the dead letters of those that are now too long are carried out after it.

use leveret_router::Exchange;
use leveret_store::{StoreError, Ticket};
use leveret_wire::FieldTable;

use super::arguments::{options, queue_type};
use super::{ALTERNATE_EXCHANGE, Topology, Vhost, with_alternate};
use crate::definitions;
use crate::effects::Effects;
use crate::policies::{Checked, EffectivePolicy, Object, Policy, PolicyError, PolicyKind};
use crate::queue::{Queue, QueueOptions};

impl Vhost {
    /// Set a policy, in place of one of the same kind and name. It applies at once. It outlives
    /// the process once the ticket is durable ([`crate::Broker::wait_durable`]).
    pub fn set_policy(&self, kind: PolicyKind, policy: Policy) -> Result<Ticket, PolicyError> {
        let checked = Checked::new(kind, policy).map_err(PolicyError::Invalid)?;
        let mut effects = Effects::default();
        let mut topology = self.topology.write();
        let change = definitions::put_policy(&self.name, kind, &checked.policy);
        let ticket = self.store_changes(vec![change])?;
        topology.policies.set(kind, checked);
        let applied = topology.apply_policies(&mut effects);
        self.changed();
        drop(topology);
        effects.finish();
        applied?;
        Ok(ticket)
    }

    /// Delete a policy: what it applied to gets the next best at once.
    pub fn delete_policy(&self, kind: PolicyKind, name: &str) -> Result<Ticket, PolicyError> {
        let mut effects = Effects::default();
        let mut topology = self.topology.write();
        if topology.policies.find(kind, name).is_none() {
            return Err(PolicyError::NotFound {
                kind,
                name: name.to_owned(),
                vhost: self.name.to_string(),
            });
        }
        let change = definitions::delete_policy(&self.name, kind, name);
        let ticket = self.store_changes(vec![change])?;
        topology.policies.remove(kind, name);
        let applied = topology.apply_policies(&mut effects);
        self.changed();
        drop(topology);
        effects.finish();
        applied?;
        Ok(ticket)
    }

    /// The policy of that kind and name.
    pub fn policy(&self, kind: PolicyKind, name: &str) -> Option<Policy> {
        self.topology.read().policies.find(kind, name).cloned()
    }

    /// All policies of a kind, in the order of their names.
    pub fn policies(&self, kind: PolicyKind) -> Vec<Policy> {
        self.topology.read().policies.list(kind).cloned().collect()
    }

    /// What the policies say of a queue; `None` if there is no queue of that name.
    pub fn queue_policy(&self, name: &str) -> Option<EffectivePolicy> {
        let topology = self.topology.read();
        let id = topology.router.queue(name.as_bytes())?;
        let queue = topology.queues.get(&id)?;
        Some(topology.policies.effective(object(queue)))
    }

    /// What the policies say of an exchange; `None` if there is no exchange of that name.
    pub fn exchange_policy(&self, name: &str) -> Option<EffectivePolicy> {
        let topology = self.topology.read();
        topology.router.exchange(name)?;
        Some(topology.policies.effective(Object::Exchange(name)))
    }

    /// Take in policies of the store. Only exchanges that every vhost has are there already.
    pub(crate) fn recover_policies(&self, policies: Vec<(PolicyKind, Policy)>) {
        let mut topology = self.topology.write();
        for (kind, policy) in policies {
            let name = policy.name.clone();
            match Checked::new(kind, policy) {
                Ok(checked) => topology.policies.set(kind, checked),
                // Accepted once, by an older version.
                Err(reason) => {
                    tracing::warn!(vhost = %self.name, %name, %reason, "a stored policy is not accepted any more; ignored");
                }
            }
        }
        topology.set_alternates();
    }

    /// What the arguments of a queue and the policies make of it.
    pub(crate) fn options_for(&self, name: &str, arguments: &FieldTable) -> QueueOptions {
        self.topology.read().options_for(name, arguments)
    }
}

impl Topology {
    /// What the arguments of a queue and the policies make of it.
    pub(super) fn options_for(&self, name: &str, arguments: &FieldTable) -> QueueOptions {
        let object = Object::Queue(name, queue_type(arguments));
        options(arguments, &self.policies.effective(object).definition)
    }

    /// `exchange` with its alternate exchange: of its arguments, else of the policies.
    pub(super) fn under_policies(&self, exchange: Exchange) -> Exchange {
        let mut exchange = with_alternate(exchange);
        if exchange.alternate.is_none() && !self.policies.is_empty() {
            let effective = self.policies.effective(Object::Exchange(&exchange.name));
            let name = effective.definition.text(ALTERNATE_EXCHANGE);
            exchange.alternate = name.map(str::to_owned);
        }
        exchange
    }

    /// The policies have changed: make what is there as they say.
    pub(super) fn apply_policies(&mut self, effects: &mut Effects) -> Result<(), StoreError> {
        self.set_alternates();
        let mut applied = Ok(());
        for queue in self.queues.values() {
            let properties = queue.properties();
            let definition = self.policies.effective(object(queue)).definition;
            let options = options(&properties.arguments, &definition);
            // What one queue can't tell the store keeps no other from its policy.
            applied = applied.and(queue.set_options(options, effects));
        }
        applied
    }

    fn set_alternates(&mut self) {
        let changed: Vec<_> = self
            .router
            .exchanges()
            .filter_map(|exchange| {
                let new = self.under_policies(exchange.clone());
                (new.alternate != exchange.alternate).then_some((new.name, new.alternate))
            })
            .collect();
        for (name, alternate) in changed {
            self.router.set_alternate(&name, alternate);
        }
    }
}

fn object(queue: &Queue) -> Object<'_> {
    let properties = queue.properties();
    Object::Queue(&properties.name, properties.options.queue_type)
}

#[cfg(test)]
mod tests;
