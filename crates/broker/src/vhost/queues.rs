//! queue.declare and queue.delete, and who may use a queue.

use std::sync::{Arc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_protocol::Limit;
use leveret_store::Ticket;
use leveret_wire::AMQPValue;
use leveret_wire::method::queue::Declare;

use super::Vhost;
use super::arguments::{self, DEAD_LETTER_EXCHANGE, module_name, queue_type};
use super::equivalence::compare_flag;
use crate::connections::ConnectionId;
use crate::definitions;
use crate::effects::Effects;
use crate::queue::{DeleteRefused, Queue, QueueOptions, QueueProperties, QueueType};
use crate::session::Failure;
use crate::time::Time;
use crate::users::{Grant, Resource, Right};

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
    pub(crate) fn declare_queue(
        &self,
        declare: &Declare,
        access: QueueAccess,
        grant: &Grant,
    ) -> Result<DeclaredQueue, Failure> {
        let name = declare.queue.as_str();
        if declare.passive {
            grant.authorise_look(Resource::Queue(name))?;
            let queue = self.queue(name).ok_or_else(|| self.no_queue(name))?;
            self.check_owner(&queue, access)?;
            queue.touch();
            return Ok(DeclaredQueue {
                queue,
                created: false,
                ticket: Ticket::NONE,
            });
        }
        if name.starts_with("amq.") {
            return Err(Failure::access_refused(format!(
                "queue name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        let asked_type = queue_type(&declare.arguments);
        if name.is_empty() && asked_type == QueueType::Quorum {
            let text = format!(
                "Cannot declare a server-named queue for type {}",
                module_name(asked_type)
            );
            return Err(Failure::precondition_failed(text));
        }
        let generated = if name.is_empty() {
            Some(generated_name("amq.gen-")?)
        } else {
            None
        };
        let name = generated.as_deref().unwrap_or(name);
        grant.authorise(Right::Configure, Resource::Queue(name))?;
        let mut topology = self.topology.write();
        self.check_alive()?;
        if let Some(queue) = topology
            .router
            .queue(name.as_bytes())
            .and_then(|id| topology.queues.get(&id))
        {
            self.equivalent_queue(declare, queue, access)?;
            queue.touch();
            let lasting = queue.properties().is_lasting();
            return Ok(DeclaredQueue {
                queue: Arc::clone(queue),
                created: false,
                ticket: if lasting {
                    self.settled_by()
                } else {
                    Ticket::NONE
                },
            });
        }
        let limit = topology.queue_limit(self.shared.limits.queues_per_vhost);
        if topology.queues.len() >= limit {
            let text = format!(
                "cannot declare queue '{name}': queue limit in vhost '{}' ({limit}) is reached",
                self.name
            );
            return Err(Failure::precondition_failed(text).over(Limit::QueuesPerVhost));
        }
        authorise_dead_letters(name, declare, grant)?;
        let what = self.queue_text(name);
        let mut options = check_new_queue(declare, &what).map_err(Failure::precondition_failed)?;
        if !topology.policies.is_empty() {
            options = topology.options_for(name, &declare.arguments);
        }
        let properties = QueueProperties {
            name: name.into(),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(access.connection),
            arguments: declare.arguments.clone(),
            options,
        };
        let id = self.shared.store.next_queue_id();
        let mut ticket = Ticket::NONE;
        if properties.is_lasting() {
            ticket =
                self.store_changes(vec![definitions::put_queue(&self.name, id, &properties)])?;
        }
        let queue = Arc::new(Queue::new(
            id,
            properties,
            Arc::clone(&self.shared),
            Weak::clone(&self.this),
        ));
        queue.touch();
        topology.router.add_queue(name, id);
        topology.queues.insert(id, Arc::clone(&queue));
        self.changed();
        Ok(DeclaredQueue {
            queue,
            created: true,
            ticket,
        })
    }

    /// Delete a queue that nobody has used for as long as it stays (x-expires), unless
    /// somebody has begun to meanwhile. Its messages are not dead-lettered.
    pub(crate) fn delete_expired(&self, queue: &Arc<Queue>, now: Time, effects: &mut Effects) {
        if !queue.is_unused(now) {
            return;
        }
        match self.delete_queue(queue, true, false, effects) {
            Ok(_) => {
                tracing::debug!(queue = %queue.name(), vhost = %self.name, "an unused queue has expired");
            }
            // It is in use again.
            Err(Failure::Channel(_)) => {}
            Err(Failure::Connection(error)) => {
                tracing::error!(queue = %queue.name(), vhost = %self.name, %error, "an expired queue can't be deleted");
            }
        }
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
            Err(DeleteRefused::Gone) => return Ok((0, self.settled_by())),
            Err(DeleteRefused::InUse) => {
                return Err(Failure::precondition_failed(format!(
                    "{} in use",
                    self.queue_text(queue.name())
                )));
            }
            Err(DeleteRefused::NotEmpty) => {
                return Err(Failure::precondition_failed(format!(
                    "{} not empty",
                    self.queue_text(queue.name())
                )));
            }
        };
        topology.queues.remove(&queue.id());
        let removed = topology.router.remove_queue(queue.name());
        let cascades = !removed.exchanges.is_empty();
        let mut changes = topology.forget(&self.name, &removed);
        if queue.properties().is_lasting() {
            changes.push(definitions::delete_queue(&self.name, queue.name()));
        } else if !cascades {
            changes.clear();
        }
        self.changed();
        let ticket = self.store_changes(changes)?;
        self.drop_delayed(&mut topology, &removed, None)?;
        let dropped = self.shared.store.drop_queue(queue.id())?;
        // What a queue that does not outlive the process leaves in the store needs no sync.
        let ticket = if queue.properties().is_lasting() {
            ticket.max(dropped)
        } else {
            ticket
        };
        Ok((messages, ticket))
    }

    /// The queue for an operation that names it: 404 if it is not there, 405 if it is another
    /// connection's.
    pub(crate) fn accessible_queue(
        &self,
        name: &str,
        access: QueueAccess,
    ) -> Result<Arc<Queue>, Failure> {
        let queue = self.queue(name).ok_or_else(|| self.no_queue(name))?;
        self.check_owner(&queue, access)?;
        Ok(queue)
    }

    /// Queues that go with `connection`.
    pub(crate) fn check_owner(&self, queue: &Queue, access: QueueAccess) -> Result<(), Failure> {
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

    fn equivalent_queue(
        &self,
        declare: &Declare,
        queue: &Queue,
        access: QueueAccess,
    ) -> Result<(), Failure> {
        let current = queue.properties();
        let owned = current.owner == Some(access.connection);
        if declare.exclusive != current.owner.is_some() || (declare.exclusive && !owned) {
            return Err(self.locked(queue.name()));
        }
        let what = self.queue_text(queue.name());
        // An exclusive queue is not durable whatever was said, and any durable flag matches it.
        if !declare.exclusive {
            compare_flag("durable", &what, declare.durable, current.durable)
                .map_err(Failure::precondition_failed)?;
        }
        compare_flag(
            "auto_delete",
            &what,
            declare.auto_delete,
            current.auto_delete,
        )
        .map_err(Failure::precondition_failed)?;
        arguments::equivalent(&declare.arguments, &current.arguments, &what)
            .map_err(Failure::precondition_failed)
    }
}

/// What dies in a queue is read from there and published to its dead-letter exchange.
fn authorise_dead_letters(name: &str, declare: &Declare, grant: &Grant) -> Result<(), Failure> {
    let arguments = declare.arguments.inner();
    if let Some(AMQPValue::LongString(target)) = arguments.get(DEAD_LETTER_EXCHANGE) {
        let target = target.to_string();
        grant.authorise(Right::Read, Resource::Queue(name))?;
        grant.authorise(Right::Write, Resource::Exchange(&target))?;
    }
    Ok(())
}

/// Can a queue be made as `declare` says? What its arguments make of it, or the explanation of
/// the 406.
pub(crate) fn check_new_queue(declare: &Declare, what: &str) -> Result<QueueOptions, String> {
    let options = arguments::parse(&declare.arguments, what)?;
    if options.is_quorum() {
        check_quorum(declare, what)?;
    }
    Ok(options)
}

/// What a quorum queue can't be.
fn check_quorum(declare: &Declare, what: &str) -> Result<(), String> {
    let refused = [
        ("auto-delete", declare.auto_delete),
        ("exclusive-owner", declare.exclusive),
        ("non-durable", !declare.durable),
    ];
    match refused.iter().find(|(_, is_refused)| *is_refused) {
        Some((property, _)) => Err(format!("invalid property '{property}' for {what}")),
        None => Ok(()),
    }
}

/// `prefix` and 22 URL-safe characters that nobody can guess.
pub(crate) fn generated_name(prefix: &str) -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::internal_error(format!("no random octets: {error}")))?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)))
}
