//! queue.bind, queue.unbind, exchange.bind and exchange.unbind.

use leveret_router::{BindError, Binding, Destination};
use leveret_store::Ticket;

use super::Vhost;
use super::exchanges::refuse_default;
use super::queues::QueueAccess;
use crate::definitions;
use crate::session::Failure;

impl Vhost {
    /// Add a binding; one that is there already is left alone.
    pub(crate) fn bind(&self, binding: &Binding, access: QueueAccess) -> Result<Ticket, Failure> {
        refuse_default(&binding.source)?;
        if let Destination::Exchange(name) = &binding.destination {
            refuse_default(name)?;
        }
        let mut topology = self.topology.write();
        if topology.router.exchange(&binding.source).is_none() {
            return Err(self.no_exchange(&binding.source));
        }
        if let Destination::Queue(name) = &binding.destination {
            let queue = topology
                .router
                .queue(name.as_bytes())
                .and_then(|id| topology.queues.get(&id));
            let queue = queue.ok_or_else(|| self.no_queue(name))?;
            self.check_owner(queue, access)?;
        }
        let limit = self.shared.limits.bindings_per_vhost;
        if topology.bindings >= limit && !topology.router.has_binding(binding) {
            let text = format!(
                "binding limit in vhost '{}' ({limit}) is reached",
                self.name
            );
            return Err(Failure::precondition_failed(text));
        }
        let added = topology
            .router
            .bind(binding.clone())
            .map_err(|error| self.bind_failure(&error, binding))?;
        if !added {
            return Ok(Ticket::NONE);
        }
        topology.bindings += 1;
        self.changed();
        if !topology.is_durable(binding) {
            return Ok(Ticket::NONE);
        }
        Ok(self.store_changes(vec![definitions::put_binding(&self.name, binding)])?)
    }

    /// Remove a binding; one that is not there is no error.
    pub(crate) fn unbind(&self, binding: &Binding, access: QueueAccess) -> Result<Ticket, Failure> {
        refuse_default(&binding.source)?;
        if let Destination::Exchange(name) = &binding.destination {
            refuse_default(name)?;
        }
        let mut topology = self.topology.write();
        if !topology.router.has_binding(binding) {
            return Ok(Ticket::NONE);
        }
        if let Destination::Queue(name) = &binding.destination
            && let Some(queue) = topology
                .router
                .queue(name.as_bytes())
                .and_then(|id| topology.queues.get(&id))
        {
            self.check_owner(queue, access)?;
        }
        let durable = topology.is_durable(binding);
        let Some(removed) = topology.router.unbind(binding) else {
            return Ok(Ticket::NONE);
        };
        let cascades = !removed.exchanges.is_empty();
        let mut changes = topology.forget(&self.name, &removed);
        // Otherwise nothing of it was ever in the store.
        let is_stored = durable || cascades;
        if !is_stored {
            changes.clear();
        }
        self.changed();
        let ticket = self.store_changes(changes)?;
        let dropped = self.drop_delayed(&mut topology, &removed, None)?;
        Ok(if is_stored {
            ticket.max(dropped)
        } else {
            ticket
        })
    }

    fn bind_failure(&self, error: &BindError, binding: &Binding) -> Failure {
        match error {
            BindError::NoSource => self.no_exchange(&binding.source),
            BindError::NoDestination => match &binding.destination {
                Destination::Queue(name) => self.no_queue(name),
                Destination::Exchange(name) => self.no_exchange(name),
            },
            other => Failure::precondition_failed(other.to_string()),
        }
    }
}
