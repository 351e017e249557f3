//! queue.declare and queue.delete, and who may use a queue (protocol.md 6).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_store::Ticket;
use leveret_wire::method::queue::Declare;

use super::equivalence::{compare_arguments, compare_flag};
use super::Vhost;
use crate::connections::ConnectionId;
use crate::definitions;
use crate::effects::Effects;
use crate::queue::{DeleteRefused, Queue, QueueProperties};
use crate::session::Failure;

/// Arguments compared when a classic queue is declared again (protocol.md 15).
const COMPARED_ARGUMENTS: [&str; 16] = [
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-expires",
    "x-max-in-memory-bytes",
    "x-max-in-memory-length",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-quorum-initial-group-size",
    "x-single-active-consumer",
];

/// On whose behalf a queue is used: exclusive queues are their owner's alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueAccess {
    pub(crate) connection: ConnectionId,
}

/// A declared queue, and when its declare-ok is due.
#[derive(Debug)]
pub(crate) struct DeclaredQueue {
    pub(crate) queue: Arc<Queue>,
    pub(crate) created: bool,
    pub(crate) ticket: Ticket,
}

impl Vhost {
    /// Declare a queue; an empty name is replaced by a generated one.
    pub(crate) fn declare_queue(&self, declare: &Declare, access: &QueueAccess) -> Result<DeclaredQueue, Failure> {
        let name = declare.queue.as_str();
        if declare.passive {
            let queue = self.queue(name).ok_or_else(|| self.no_queue(name))?;
            self.check_owner(&queue, access)?;
            return Ok(DeclaredQueue { queue, created: false, ticket: Ticket::NONE });
        }
        if name.starts_with("amq.") {
            return Err(Failure::access_refused(format!("queue name '{name}' contains reserved prefix 'amq.*'")));
        }
        let generated = if name.is_empty() { Some(generated_name("amq.gen-")?) } else { None };
        let name = generated.as_deref().unwrap_or(name);
        let mut topology = self.topology.write();
        if let Some(queue) = topology.router.queue(name.as_bytes()).and_then(|id| topology.queues.get(&id)) {
            self.equivalent_queue(declare, queue, access)?;
            return Ok(DeclaredQueue { queue: Arc::clone(queue), created: false, ticket: Ticket::NONE });
        }
        let limit = self.shared.limits.queues_per_vhost;
        if topology.queues.len() >= limit {
            let text = format!("cannot declare queue '{name}': queue limit in vhost '{}' ({limit}) is reached", self.name);
            return Err(Failure::precondition_failed(text));
        }
        let properties = QueueProperties {
            name: name.into(),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(access.connection),
            arguments: declare.arguments.clone(),
        };
        let id = self.shared.store.next_queue_id();
        let mut ticket = Ticket::NONE;
        if properties.is_lasting() {
            ticket = self.store_changes(vec![definitions::put_queue(&self.name, id, &properties)])?;
        }
        let queue =
            Arc::new(Queue::new(id, properties, Arc::clone(&self.shared.memory), Arc::clone(&self.shared.store)));
        topology.router.add_queue(name, id);
        topology.queues.insert(id, Arc::clone(&queue));
        self.changed();
        Ok(DeclaredQueue { queue, created: true, ticket })
    }

    /// Delete a queue: gives how many ready messages went with it, and when the answer is due.
    pub(crate) fn delete_queue(
        &self,
        queue: &Arc<Queue>,
        if_unused: bool,
        if_empty: bool,
        effects: &mut Effects,
    ) -> Result<(u64, Ticket), Failure> {
        let mut topology = self.topology.write();
        let messages = match queue.delete(if_unused, if_empty, effects) {
            Ok(messages) => messages,
            Err(DeleteRefused::Gone) => return Ok((0, Ticket::NONE)),
            Err(DeleteRefused::InUse) => {
                return Err(Failure::precondition_failed(format!("{} in use", self.queue_text(queue.name()))));
            }
            Err(DeleteRefused::NotEmpty) => {
                return Err(Failure::precondition_failed(format!("{} not empty", self.queue_text(queue.name()))));
            }
        };
        topology.queues.remove(&queue.id());
        let removed = topology.router.remove_queue(queue.name());
        let cascades = !removed.exchanges.is_empty();
        let mut changes = topology.forget(&self.name, removed);
        if queue.properties().is_lasting() {
            changes.push(definitions::delete_queue(&self.name, queue.name()));
        } else if !cascades {
            changes.clear();
        }
        self.changed();
        let ticket = self.store_changes(changes)?;
        let dropped = self.shared.store.drop_queue(queue.id())?;
        // What a queue that does not outlive the process leaves in the store needs no sync.
        let ticket = if queue.properties().is_lasting() { ticket.max(dropped) } else { ticket };
        Ok((messages, ticket))
    }

    /// The queue for an operation that names it: 404 if it is not there, 405 if it is another
    /// connection's.
    pub(crate) fn accessible_queue(&self, name: &str, access: &QueueAccess) -> Result<Arc<Queue>, Failure> {
        let queue = self.queue(name).ok_or_else(|| self.no_queue(name))?;
        self.check_owner(&queue, access)?;
        Ok(queue)
    }

    /// Queues that go with `connection`.
    pub(crate) fn check_owner(&self, queue: &Queue, access: &QueueAccess) -> Result<(), Failure> {
        match queue.properties().owner {
            Some(owner) if owner != access.connection => Err(self.locked(queue.name())),
            _ => Ok(()),
        }
    }

    /// 404 for a queue that does not exist.
    pub(crate) fn no_queue(&self, name: &str) -> Failure {
        Failure::not_found(format!("no {}", self.queue_text(name)))
    }

    /// `queue 'q' in vhost '/'`.
    pub(crate) fn queue_text(&self, name: &str) -> String {
        format!("queue '{name}' in vhost '{}'", self.name)
    }

    fn locked(&self, name: &str) -> Failure {
        Failure::resource_locked(format!(
            "cannot obtain exclusive access to locked {}. It could be originally declared on another connection or \
             the exclusive property value does not match that of the original declaration.",
            self.queue_text(name)
        ))
    }

    fn equivalent_queue(&self, declare: &Declare, queue: &Queue, access: &QueueAccess) -> Result<(), Failure> {
        let current = queue.properties();
        let owned = current.owner == Some(access.connection);
        if declare.exclusive != current.owner.is_some() || (declare.exclusive && !owned) {
            return Err(self.locked(queue.name()));
        }
        let what = self.queue_text(queue.name());
        // An exclusive queue is not durable whatever was said, and any durable flag matches it.
        if !declare.exclusive {
            compare_flag("durable", &what, declare.durable, current.durable).map_err(Failure::precondition_failed)?;
        }
        compare_flag("auto_delete", &what, declare.auto_delete, current.auto_delete)
            .map_err(Failure::precondition_failed)?;
        compare_arguments(&COMPARED_ARGUMENTS, &what, &declare.arguments, &current.arguments)
            .map_err(Failure::precondition_failed)
    }
}

/// `prefix` and 22 URL-safe characters that nobody can guess.
pub(crate) fn generated_name(prefix: &str) -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Failure::internal_error(format!("no random octets: {error}")))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)))
}
