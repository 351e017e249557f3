//! What an operator does to queues and connections.

use std::sync::Arc;

use leveret_store::Ticket;

use super::AdministrationError;
use crate::ConnectionListing;
use crate::broker::Broker;
use crate::connections::ConnectionId;
use crate::effects::Effects;
use crate::mailbox::CloseReason;
use crate::queue::Queue;
use crate::session::Failure;
use crate::vhost::Vhost;

impl Broker {
    /// Take all ready messages out of a queue; gives how many there were. They are not
    /// dead-lettered.
    pub fn purge_queue(&self, vhost: &str, queue: &str) -> Result<u64, AdministrationError> {
        let (_, queue) = self.find_queue(vhost, queue)?;
        let mut effects = Effects::default();
        let purged = queue.purge(&mut effects);
        effects.finish();
        Ok(purged?)
    }

    /// Delete a queue; gives how many ready messages went with it. With `if_unused` only if it has
    /// no consumers, with `if_empty` only if it has no ready messages.
    pub fn delete_queue(
        &self,
        vhost: &str,
        queue: &str,
        if_unused: bool,
        if_empty: bool,
    ) -> Result<(u64, Ticket), AdministrationError> {
        let (vhost, queue) = self.find_queue(vhost, queue)?;
        let mut effects = Effects::default();
        let deleted = vhost.delete_queue(&queue, if_unused, if_empty, &mut effects);
        effects.finish();
        deleted.map_err(|failure| {
            AdministrationError::Refused(match failure {
                Failure::Channel(error) => error.text,
                Failure::Connection(error) => error.text,
            })
        })
    }

    /// From now on copy every message that clients publish to the vhost or are given from it to its exchange
    /// `amq.rabbitmq.trace` (RabbitMQ page "Firehose Tracer"), until [`Broker::stop_tracing`] or a restart.
    pub fn start_tracing(&self, vhost: &str) -> Result<(), AdministrationError> {
        self.set_tracing(vhost, true)
    }

    /// The end of [`Broker::start_tracing`].
    pub fn stop_tracing(&self, vhost: &str) -> Result<(), AdministrationError> {
        self.set_tracing(vhost, false)
    }

    fn set_tracing(&self, vhost: &str, on: bool) -> Result<(), AdministrationError> {
        let found = self.vhost(vhost);
        let found = found.ok_or_else(|| AdministrationError::NoSuchVhost(vhost.to_owned()))?;
        found.set_traced(on);
        self.shared.connections.announce_tracing(vhost);
        Ok(())
    }

    fn find_queue(
        &self,
        vhost: &str,
        name: &str,
    ) -> Result<(Arc<Vhost>, Arc<Queue>), AdministrationError> {
        let found = self.vhost(vhost);
        let found = found.ok_or_else(|| AdministrationError::NoSuchVhost(vhost.to_owned()))?;
        let queue = found.queue(name);
        let queue = queue.ok_or_else(|| AdministrationError::NoSuchQueue {
            name: name.to_owned(),
            vhost: vhost.to_owned(),
        })?;
        Ok((found, queue))
    }

    /// Ask a connection to end: its client hears 320 `CONNECTION_FORCED` with this reason. `false`:
    /// there is no such connection.
    pub fn close_connection(&self, id: ConnectionId, reason: &str) -> bool {
        self.close_connections_where(|connection| connection.id == id, reason) > 0
    }

    /// As [`Broker::close_connection`], for all connections that are chosen; gives how many.
    pub fn close_connections_where(
        &self,
        chosen: impl Fn(&ConnectionListing) -> bool,
        reason: &str,
    ) -> usize {
        let reason = CloseReason::Forced(reason.to_owned());
        self.shared.connections.close_where(chosen, &reason)
    }
}
