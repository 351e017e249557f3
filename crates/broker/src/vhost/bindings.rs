//! queue.bind, queue.unbind, exchange.bind and exchange.unbind.

use leveret_protocol::Limit;
use leveret_router::{BindError, Binding, Destination, Exchange, ExchangeKind};
use leveret_store::Ticket;

use super::Vhost;
use super::arguments::module_name;
use super::exchanges::refuse_default;
use super::queues::QueueAccess;
use crate::definitions;
use crate::effects::Effects;
use crate::queue::QueueType;
use crate::session::Failure;
use crate::users::{Grant, Resource, Right};

impl Vhost {
    /// Add a binding; one that is there already is left alone. What its source has kept for it
    /// goes to the queues with `effects`.
    pub(crate) fn bind(
        &self,
        binding: &Binding,
        access: QueueAccess,
        grant: &Grant,
        effects: &mut Effects,
    ) -> Result<Ticket, Failure> {
        authorise_ends(binding, grant)?;
        let mut topology = self.topology.write();
        let Some(source) = topology.router.exchange(&binding.source) else {
            return Err(self.no_exchange(&binding.source));
        };
        authorise_key(binding, source, grant)?;
        if let Destination::Queue(name) = &binding.destination {
            let queue = topology
                .router
                .queue(name.as_bytes())
                .and_then(|id| topology.queues.get(&id));
            let queue = queue.ok_or_else(|| self.no_queue(name))?;
            self.check_owner(queue, access)?;
            let queue_type = queue.properties().options.queue_type;
            if source.kind == ExchangeKind::LocalRandom
                && queue_type != QueueType::Classic
                && binding.routing_key.is_empty()
            {
                // A quorum queue is not any one node's (RabbitMQ 4).
                return Err(Failure::precondition_failed(format!(
                    "Queue type {} not valid for this exchange type",
                    module_name(queue_type)
                )));
            }
        }
        let limit = self.shared.limits.bindings_per_vhost;
        if topology.bindings >= limit && !topology.router.has_binding(binding) {
            let text = format!(
                "binding limit in vhost '{}' ({limit}) is reached",
                self.name
            );
            return Err(Failure::precondition_failed(text).over(Limit::BindingsPerVhost));
        }
        let added = topology
            .router
            .bind(binding.clone())
            .map_err(|error| self.bind_failure(&error, binding))?;
        let lasting = topology.is_durable(binding);
        if !added {
            return Ok(if lasting {
                self.settled_by()
            } else {
                Ticket::NONE
            });
        }
        topology.bindings += 1;
        self.changed();
        let mut changes = Vec::new();
        if lasting {
            changes.push(definitions::put_binding(&self.name, binding));
        }
        let ticket = self.store_changes(changes)?;
        let replay = topology.replay(binding);
        drop(topology);
        // From here on publishers know the binding: theirs may come between what was kept.
        Ok(ticket.max(replay.publish(effects)?))
    }

    /// Remove a binding; one that is not there is no error.
    pub(crate) fn unbind(
        &self,
        binding: &Binding,
        access: QueueAccess,
        grant: &Grant,
    ) -> Result<Ticket, Failure> {
        authorise_ends(binding, grant)?;
        let mut topology = self.topology.write();
        if let Some(source) = topology.router.exchange(&binding.source) {
            authorise_key(binding, source, grant)?;
        }
        if !topology.router.has_binding(binding) {
            return Ok(self.settled_by());
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

/// May the user bind and unbind these two? Asked before it is known whether they are there.
fn authorise_ends(binding: &Binding, grant: &Grant) -> Result<(), Failure> {
    let destination = match &binding.destination {
        Destination::Queue(name) => Resource::Queue(name),
        Destination::Exchange(name) => Resource::Exchange(name),
    };
    grant.authorise(Right::Write, destination)?;
    if let Destination::Exchange(name) = &binding.destination {
        refuse_default(name)?;
    }
    refuse_default(&binding.source)?;
    grant.authorise(Right::Read, Resource::Exchange(&binding.source))?;
    Ok(())
}

/// May the user have what a topic exchange gets with this key?
fn authorise_key(binding: &Binding, source: &Exchange, grant: &Grant) -> Result<(), Failure> {
    if source.kind == ExchangeKind::Topic {
        let resource = Resource::Topic {
            exchange: &binding.source,
            routing_key: &binding.routing_key,
        };
        grant.authorise(Right::Read, resource)?;
    }
    Ok(())
}
