//! Reply queues of direct reply-to (RabbitMQ's page "Direct Reply-to").
//!
//! A requester consumes from the pseudo-queue and gets a queue of its own behind it, reached
//! through the default exchange by a name that nobody can guess. It is in no list: it can't be
//! bound, got from, purged or deleted, and goes with its consumer.

use std::sync::{Arc, Weak};

use leveret_wire::FieldTable;

use super::{QueueAccess, Vhost, generated_name};
use crate::effects::Effects;
use crate::queue::{Queue, QueueOptions, QueueProperties};
use crate::session::Failure;

/// The pseudo-queue that requesters consume from and name in `reply-to`.
pub(crate) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What the names of reply queues start with.
const PREFIX: &str = "amq.rabbitmq.reply-to.";

impl Vhost {
    /// A reply queue for a consumer of the pseudo-queue.
    pub(crate) fn open_reply_queue(&self, access: QueueAccess) -> Result<Arc<Queue>, Failure> {
        let properties = QueueProperties {
            name: generated_name(PREFIX)?.into(),
            durable: false,
            auto_delete: false,
            owner: Some(access.connection),
            arguments: FieldTable::default(),
            options: QueueOptions::default(),
        };
        let id = self.shared.store.next_queue_id();
        let queue = Arc::new(Queue::new(
            id,
            properties,
            Arc::clone(&self.shared),
            Weak::clone(&self.this),
        ));
        self.replies
            .write()
            .insert(queue.name().as_bytes().into(), Arc::clone(&queue));
        Ok(queue)
    }

    /// The requester is gone: replies still on their way are dropped.
    pub(crate) fn close_reply_queue(&self, queue: &Queue, effects: &mut Effects) {
        if self
            .replies
            .write()
            .remove(queue.name().as_bytes())
            .is_some()
        {
            // Nobody refuses: there are no conditions, and it is deleted once.
            let _ = queue.delete(false, false, effects);
            self.changed();
        }
    }

    /// Can `key` name a reply queue at all? Such routes are not cached.
    #[inline]
    pub(crate) fn is_reply_key(key: &[u8]) -> bool {
        key.starts_with(PREFIX.as_bytes())
    }

    /// The reply queue of that name.
    pub(crate) fn reply_queue(&self, name: &[u8]) -> Option<Arc<Queue>> {
        self.replies.read().get(name).cloned()
    }
}
