//! What a store holds at one moment, as plain maps.

use std::collections::{BTreeMap, BTreeSet};

use leveret_wire::Message;

use crate::moment::{self, Mark};
use crate::{Change, DueBatch, DueKey, FetchLimit, Fetched, Operation, QueueId, Seq};

/// One thing that got a ticket.
pub(super) enum Entry {
    Operation(Operation),
    Change(Vec<Change>),
    Drop(QueueId),
}

impl Entry {
    /// Octets it holds while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Operation(Operation::Put { message, .. }) => message.encoded_len(),
            _ => 0,
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) definitions: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) queues: BTreeMap<QueueId, Queue>,
    /// Queues claimed since the opening.
    claimed: BTreeSet<QueueId>,
    /// Queues read by due time, and the order of what they hold.
    due: BTreeMap<QueueId, BTreeSet<DueKey>>,
}

#[derive(Clone, Default)]
pub(super) struct Queue {
    messages: BTreeMap<Seq, Stored>,
    next_seq: Seq,
}

#[derive(Clone)]
struct Stored {
    message: Message,
    durable: bool,
    delivery_count: u32,
}

impl Image {
    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Operation(operation) => self.operate(operation),
            Entry::Change(changes) => {
                for change in changes {
                    match change {
                        Change::Put { key, value } => {
                            self.definitions.insert(key.clone(), value.clone());
                        }
                        Change::Delete { key } => {
                            self.definitions.remove(key);
                        }
                    }
                }
            }
            Entry::Drop(queue) => {
                self.queues.remove(queue);
                self.due.remove(queue);
            }
        }
    }

    fn operate(&mut self, operation: &Operation) {
        match operation {
            Operation::Put {
                queue,
                seq,
                message,
                durable,
            } => {
                if let Some(due) = self.due.get_mut(queue) {
                    due.insert(due_key(*seq, message));
                }
                let queue = self.queues.entry(*queue).or_default();
                queue.next_seq = queue.next_seq.max(seq.saturating_add(1));
                queue.messages.insert(
                    *seq,
                    Stored {
                        message: message.clone(),
                        durable: *durable,
                        delivery_count: 0,
                    },
                );
            }
            Operation::Settle {
                queue, first, last, ..
            } => {
                let due = self.due.get_mut(queue);
                if let Some(queue) = self.queues.get_mut(queue)
                    && first <= last
                {
                    let mut settled = queue.messages.split_off(first);
                    if let Some(after) = last.checked_add(1) {
                        queue.messages.append(&mut settled.split_off(&after));
                    }
                    if let Some(due) = due {
                        for (seq, stored) in settled {
                            due.remove(&due_key(seq, &stored.message));
                        }
                    }
                }
            }
            Operation::Delivered { queue, first, last } => {
                if let Some(queue) = self.queues.get_mut(queue)
                    && first <= last
                {
                    for (_, stored) in queue.messages.range_mut(first..=last) {
                        stored.delivery_count = stored.delivery_count.saturating_add(1);
                    }
                }
            }
        }
    }

    /// Without the messages that were not put to survive, and with nothing claimed.
    pub(super) fn surviving(&self) -> Self {
        let mut image = self.clone();
        image.claimed.clear();
        image.due.clear();
        for queue in image.queues.values_mut() {
            queue.messages.retain(|_, stored| stored.durable);
        }
        image
    }

    pub(super) fn claim(&mut self, queue: QueueId) {
        self.claimed.insert(queue);
    }

    /// Forget the queues of epochs before `epoch` that nobody claimed.
    pub(super) fn drop_unclaimed(&mut self, epoch: u64) {
        let claimed = &self.claimed;
        self.due
            .retain(|queue, _| queue.0 >> 32 >= epoch || claimed.contains(queue));
        self.queues
            .retain(|queue, _| queue.0 >> 32 >= epoch || claimed.contains(queue));
    }

    /// The messages of a queue are read by due time from now on.
    pub(super) fn order_by_due(&mut self, queue: QueueId) {
        let messages = self.queues.get(&queue).into_iter();
        let keys = messages.flat_map(|queue| &queue.messages);
        let keys = keys.map(|(seq, stored)| due_key(*seq, &stored.message));
        self.due.insert(queue, keys.collect());
    }

    pub(super) fn fetch_due(
        &self,
        queue: QueueId,
        (from, until): (DueKey, u64),
        limit: FetchLimit,
    ) -> DueBatch {
        let mut batch = DueBatch::default();
        let mut bytes = 0_usize;
        let (Some(due), Some(queue)) = (self.due.get(&queue), self.queues.get(&queue)) else {
            return batch;
        };
        for key in due.range(from..) {
            let Some(stored) = queue.messages.get(&key.seq) else {
                continue;
            };
            bytes = bytes.saturating_add(stored.message.encoded_len());
            let is_full = batch.messages.len() >= limit.messages.max(1) || bytes > limit.bytes;
            if key.due > until || (is_full && !batch.messages.is_empty()) {
                batch.next = Some(*key);
                break;
            }
            batch.messages.push((
                key.due,
                Fetched {
                    seq: key.seq,
                    message: stored.message.clone(),
                    delivery_count: stored.delivery_count,
                    persistent: stored.durable,
                },
            ));
        }
        batch
    }

    /// Next sequence, live messages and octets of their bodies.
    pub(super) fn sizes(&self, queue: QueueId) -> (Seq, u64, u64) {
        let Some(queue) = self.queues.get(&queue) else {
            return (0, 0, 0);
        };
        let bytes: usize = queue
            .messages
            .values()
            .map(|stored| stored.message.body().len())
            .sum();
        (
            queue.next_seq,
            super::count(queue.messages.len()),
            super::count(bytes),
        )
    }

    /// Live messages of all queues, and their octets.
    pub(super) fn live(&self) -> (u64, u64) {
        let mut messages = 0;
        let mut bytes = 0;
        for queue in self.queues.values() {
            messages += queue.messages.len();
            bytes += queue
                .messages
                .values()
                .map(|stored| stored.message.encoded_len())
                .sum::<usize>();
        }
        (super::count(messages), super::count(bytes))
    }

    pub(super) fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit) -> Vec<Fetched> {
        let mut fetched = Vec::new();
        let mut bytes = 0_usize;
        let Some(queue) = self.queues.get(&queue) else {
            return fetched;
        };
        for (seq, stored) in queue.messages.range(from..) {
            bytes = bytes.saturating_add(stored.message.encoded_len());
            if !fetched.is_empty() && (fetched.len() >= limit.messages || bytes > limit.bytes) {
                break;
            }
            fetched.push(Fetched {
                seq: *seq,
                message: stored.message.clone(),
                delivery_count: stored.delivery_count,
                persistent: stored.durable,
            });
        }
        fetched
    }
}

/// Where a message stands by due time.
fn due_key(seq: Seq, message: &Message) -> DueKey {
    let due = moment::of(message, Mark::DUE).unwrap_or(0);
    DueKey { due, seq }
}
