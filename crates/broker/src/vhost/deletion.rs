//! The end of a vhost.

use std::sync::atomic::Ordering;

use leveret_protocol::ConnectionError;
use leveret_router::Router;
use leveret_store::{Change, StoreError, Ticket};

use super::Vhost;
use crate::definitions;
use crate::effects::Effects;
use crate::policies::PolicyKind;
use crate::session::Failure;

impl Vhost {
    /// Is it being deleted, or has it been?
    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::SeqCst)
    }

    /// Nothing is declared in a vhost that is being deleted: hard 320.
    pub(super) fn check_alive(&self) -> Result<(), Failure> {
        if self.is_deleted() {
            let text = format!("vhost '{}' is deleted", self.name);
            return Err(ConnectionError::connection_forced(text).into());
        }
        Ok(())
    }

    /// Have the store forget everything that is defined here, in one step with `changes`. From here
    /// on nothing more is declared; what is there stays until [`Vhost::drop_contents`].
    pub(crate) fn begin_deletion(&self, mut changes: Vec<Change>) -> Result<Ticket, StoreError> {
        let topology = self.topology.write();
        for kind in [PolicyKind::User, PolicyKind::Operator] {
            for policy in topology.policies.list(kind) {
                let change = definitions::delete_policy(&self.name, kind, &policy.name);
                changes.push(change);
            }
        }
        for (component, name) in topology.parameters.keys() {
            changes.push(definitions::delete_parameter(&self.name, component, name));
        }
        for binding in topology.router.bindings() {
            changes.push(definitions::delete_binding(&self.name, binding));
        }
        for exchange in topology.router.exchanges() {
            changes.push(definitions::delete_exchange(&self.name, &exchange.name));
        }
        for queue in topology.queues.values() {
            changes.push(definitions::delete_queue(&self.name, queue.name()));
        }
        let ticket = self.store_changes(changes)?;
        self.deleted.store(true, Ordering::SeqCst);
        drop(topology);
        Ok(ticket)
    }

    /// Delete its queues, exchanges and bindings, with all messages. Nothing is dead-lettered.
    pub(crate) fn drop_contents(&self, effects: &mut Effects) -> Result<Ticket, StoreError> {
        let mut topology = self.topology.write();
        topology.router = Router::new();
        topology.bindings = 0;
        topology.histories.clear();
        let queues = std::mem::take(&mut topology.queues);
        let delayed = std::mem::take(&mut topology.delayed);
        self.changed();
        drop(topology);
        let mut ticket = Ticket::NONE;
        let mut done = Ok(());
        // Each is dropped though the store failed for an earlier one.
        let mut note = |dropped| match dropped {
            Ok(dropped) => ticket = ticket.max(dropped),
            Err(error) => done = Err(error),
        };
        for queue in queues.into_values() {
            // One that is gone was dropped by whoever deleted it.
            if queue.delete(false, false, effects).is_ok() {
                note(self.shared.store.drop_queue(queue.id()));
            }
        }
        for exchange in delayed.into_values() {
            note(self.drop_kept(&exchange));
        }
        done.map(|()| ticket)
    }
}
