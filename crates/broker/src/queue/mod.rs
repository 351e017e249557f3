//! One queue: its ready messages, its consumers, and who gets the next message.
//!
//! [`Queue`] is the shared handle; [`state::QueueState`] is the plain structure behind its one
//! short lock. Every operation follows the same form: lock, change, let consumers have what
//! they have credit for, hand the store its operations, unlock, then wake tasks and start
//! reads of the backlog. Nothing waits under the lock.

mod consumers;
mod expiration;
mod levels;
mod options;
mod policy;
mod publish;
mod ready;
mod stages;
mod state;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use leveret_store::{QueueId, Store, StoreError, Ticket};
use leveret_wire::{FieldTable, Message};
use parking_lot::{Mutex, MutexGuard};

pub(crate) use self::consumers::{ConsumerId, NewConsumer};
pub(crate) use self::expiration::parse_expiration;
pub(crate) use self::options::{DeadLetterTarget, Overflow, QueueOptions, QueueType, Strategy};
use self::policy::Visible;
use self::ready::PageIn;
use self::state::{GetRequest, QueueState};
use crate::broker::Shared;
use crate::connections::ConnectionId;
use crate::effects::Effects;
use crate::entry::Entry;
use crate::mailbox::{Got, Mailbox};
use crate::time::{Clock, Time};
use crate::vhost::Vhost;

/// Octets of ready messages in memory over all queues of the node.
#[derive(Debug)]
pub(crate) struct MessageMemory {
    used: AtomicUsize,
    limit: usize,
}

impl MessageMemory {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Must a queue that holds `held` octets leave what comes to the store? Over the limit a queue must that
    /// holds more than its share, so that the backlog of one does not send the messages of all others by way of the
    /// disk; all must once those others have used up the reserve too. Share and reserve are such that a queue whose
    /// consumers are late for a moment stays in memory.
    fn is_over_for(&self, held: usize) -> bool {
        /// A queue's share of the limit: one part in so many.
        const SHARE: usize = 2;
        /// What is kept beyond the limit for small queues: one part in so many of it.
        const RESERVE: usize = 2;
        let used = self.used.load(Ordering::Relaxed);
        used > self.limit
            && (held > self.limit / SHARE || used > self.limit.saturating_add(self.limit / RESERVE))
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn adjust(&self, before: usize, after: usize) {
        if after > before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// What a queue is declared as. It never changes while the queue lives.
#[derive(Clone, Debug)]
pub(crate) struct QueueProperties {
    pub(crate) name: Arc<str>,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    /// The connection that alone may use it, and with which it goes.
    pub(crate) owner: Option<ConnectionId>,
    pub(crate) arguments: FieldTable,
    /// What the arguments, and the policies at its making, say. Only the type of the queue, its
    /// priorities and whether it has a single active consumer stay so; the rest is what its
    /// state has now ([`Queue::set_options`]).
    pub(crate) options: QueueOptions,
}

impl QueueProperties {
    /// Does the definition, and with it the messages, outlive the process? An exclusive queue
    /// never does, whatever its durable flag says.
    pub(crate) fn is_lasting(&self) -> bool {
        self.durable && self.owner.is_none()
    }
}

/// A message on its way into a queue.
#[derive(Debug)]
pub(crate) struct Publishing {
    pub(crate) message: Message,
    pub(crate) channel: u16,
    /// Its number on a channel in confirm mode; 0 when nobody waits for a confirm.
    pub(crate) confirm: u64,
}

/// Messages of one consumer (or of basic.get) that were settled together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettledRun {
    pub(crate) consumer: Option<ConsumerId>,
    pub(crate) messages: u32,
    pub(crate) bytes: u64,
}

/// Answer to a basic.get.
#[derive(Debug)]
pub(crate) enum GetOutcome {
    Got(Got),
    Empty,
    /// The message must be read from the store; it comes through the mailbox.
    Waiting,
    /// The queue was deleted.
    Gone,
}

/// Why a queue.delete is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeleteRefused {
    InUse,
    NotEmpty,
    /// Somebody else deleted it.
    Gone,
}

/// What is counted of one queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    /// Body octets, ready and unacknowledged.
    pub(crate) bytes: u64,
    pub(crate) consumers: usize,
}

/// A queue, shared by everybody who publishes to it or consumes from it.
pub struct Queue {
    id: QueueId,
    properties: QueueProperties,
    memory: Arc<MessageMemory>,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    /// Where dead letters are routed, and from which the queue goes when it expires.
    vhost: Weak<Vhost>,
    visible: Visible,
    state: Mutex<QueueState>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("id", &self.id)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// A new and empty queue of `vhost`.
    pub(crate) fn new(
        id: QueueId,
        properties: QueueProperties,
        shared: Arc<Shared>,
        vhost: Weak<Vhost>,
    ) -> Self {
        let state = Mutex::new(QueueState::new(&properties.options));
        let visible = Visible::new(&properties.options);
        let (memory, store) = (Arc::clone(&shared.memory), Arc::clone(&shared.store));
        Self {
            id,
            properties,
            memory,
            store,
            shared,
            vhost,
            visible,
            state,
        }
    }

    /// A queue found again after a restart: `next_seq` and its backlog come from the store.
    pub(crate) fn recovered(self, next_seq: u64, messages: u64, bytes: u64) -> Self {
        let mut state = self.state.lock();
        state.ready.found(messages, bytes, next_seq);
        state.next_seq = next_seq;
        drop(state);
        self
    }

    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.properties.name
    }

    pub(crate) fn properties(&self) -> &QueueProperties {
        &self.properties
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn vhost(&self) -> Option<Arc<Vhost>> {
        self.vhost.upgrade()
    }

    /// Start a consumer. If the store does not take its first deliveries, it is there all the same,
    /// and goes with its connection, which that error ends. `Err(())`: the queue is gone.
    pub(crate) fn add_consumer(
        self: &Arc<Self>,
        consumer: NewConsumer,
        effects: &mut Effects,
    ) -> Result<(ConsumerId, Result<(), StoreError>), ConsumeRefused> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(ConsumeRefused::Gone);
        }
        let is_single = self.properties.options.single_active_consumer;
        if state.consumers.is_exclusive()
            || (consumer.exclusive && (is_single || state.consumers.len() > 0))
        {
            return Err(ConsumeRefused::InExclusiveUse);
        }
        let id = state.consumers.add(consumer);
        let before = state.ready.memory();
        Ok((id, self.deliver_and_unlock(state, before, effects)))
    }

    /// End a consumer. `true`: it was the last one of an auto-delete queue, which is to be
    /// deleted now. If it was the single active one, [`Queue::deliver`] is due.
    pub(crate) fn remove_consumer(self: &Arc<Self>, id: ConsumerId) -> bool {
        let mut state = self.state.lock();
        if !state.consumers.remove(id) {
            return false;
        }
        let is_last = self.properties.auto_delete && state.consumers.len() == 0 && !state.deleted;
        if state.options.expires.is_some() {
            self.used_now(state);
        }
        is_last
    }

    /// Let consumers have what they have credit for.
    pub(crate) fn deliver(self: &Arc<Self>, effects: &mut Effects) -> Result<(), StoreError> {
        let state = self.state.lock();
        let before = state.ready.memory();
        self.deliver_and_unlock(state, before, effects)
    }

    /// A consumer that was passed over has room again.
    pub(crate) fn resume(
        self: &Arc<Self>,
        id: ConsumerId,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if !state.consumers.resume(id) {
            return Ok(());
        }
        let before = state.ready.memory();
        self.deliver_and_unlock(state, before, effects)
    }

    /// Messages were acknowledged, or rejected without requeue. The store hears of it from the
    /// caller, who has the sequences of all queues of one socket read.
    pub(crate) fn settle(
        self: &Arc<Self>,
        runs: &[SettledRun],
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if !state.settled(runs) {
            return Ok(());
        }
        let before = state.ready.memory();
        self.deliver_and_unlock(state, before, effects)
    }

    /// Messages come back to where they were. `entries` is sorted by sequence; their
    /// delivery counts are already what they should be.
    pub(crate) fn requeue(
        self: &Arc<Self>,
        entries: Vec<Entry>,
        runs: &[SettledRun],
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.deleted {
            return Ok(());
        }
        state.settled(runs);
        let before = state.ready.memory();
        let limit = state.options.delivery_limit;
        let entries = self.within_delivery_limit(limit, entries, effects);
        state.expiring |= entries.iter().any(|entry| entry.deadline != Time::NEVER);
        state.ready.requeue(entries);
        // Before anybody gets what came back.
        if state.options.drops_head() {
            state.trim(self, effects);
        }
        self.deliver_and_unlock(state, before, effects)
    }

    /// Take the oldest ready message (basic.get).
    pub(crate) fn get(
        self: &Arc<Self>,
        no_ack: bool,
        waiter: &Arc<Mailbox>,
        channel: u16,
        request: u64,
        effects: &mut Effects,
    ) -> Result<GetOutcome, StoreError> {
        let mut state = self.state.lock();
        if state.deleted {
            return Ok(GetOutcome::Gone);
        }
        let before = state.ready.memory();
        if state.options.expires.is_some() {
            state.last_used = self.clock().now();
        }
        let now = self.now(&state);
        let outcome = if state.has_live(self, now, effects) {
            match state.take_for_get(self, no_ack, now, effects) {
                Some(got) => GetOutcome::Got(got),
                None => GetOutcome::Empty,
            }
        } else if state.ready.len() > 0 {
            state.gets.push_back(GetRequest {
                mailbox: Arc::clone(waiter),
                channel,
                request,
                no_ack,
            });
            GetOutcome::Waiting
        } else {
            GetOutcome::Empty
        };
        self.deliver_and_unlock(state, before, effects)?;
        Ok(outcome)
    }

    /// Remove all ready messages; gives how many.
    pub(crate) fn purge(self: &Arc<Self>, effects: &mut Effects) -> Result<u64, StoreError> {
        let mut state = self.state.lock();
        let before = state.ready.memory();
        let count = state.purge(self.id, effects);
        self.deliver_and_unlock(state, before, effects)?;
        Ok(count)
    }

    /// Mark the queue deleted, if it may be: gives the ready messages that went with it. Its
    /// consumers are told. The caller removes it from the vhost and from the store.
    pub(crate) fn delete(
        &self,
        if_unused: bool,
        if_empty: bool,
        effects: &mut Effects,
    ) -> Result<u64, DeleteRefused> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(DeleteRefused::Gone);
        }
        if if_empty && state.ready.len() > 0 {
            return Err(DeleteRefused::NotEmpty);
        }
        if if_unused && state.consumers.len() > 0 {
            return Err(DeleteRefused::InUse);
        }
        let before = state.ready.memory();
        let count = state.delete(effects);
        self.forget_timer(&mut state);
        self.memory.adjust(before, 0);
        Ok(count)
    }

    /// Ready messages and consumers, as declare-ok tells them.
    pub(crate) fn counts(&self) -> QueueCounts {
        self.state.lock().counts()
    }

    /// The same moment's counts, body octets that are unacknowledged, octets in memory.
    pub(crate) fn counts_and_sizes(&self) -> (QueueCounts, u64, u64) {
        let state = self.state.lock();
        let (unacked, memory) = state.sizes();
        (state.counts(), unacked, memory)
    }

    fn deliver_and_unlock(
        self: &Arc<Self>,
        state: MutexGuard<'_, QueueState>,
        memory_before: usize,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let now = self.now(&state);
        self.finish(
            state,
            Pass {
                memory_before,
                now,
                expired_by: now,
                reads_on: true,
            },
            effects,
        )
    }

    /// The end of every operation: deliver, see to limits and deadlines, unlock.
    fn finish(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, QueueState>,
        pass: Pass,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        state.deliver(self, pass.expired_by, effects);
        if state.expiring || state.options.needs_upkeep() {
            self.keep_up(&mut state, pass.now, effects);
        }
        let page_in = if pass.reads_on || state.ready.is_window_empty() {
            state.ready.start_page_in()
        } else {
            None
        };
        let memory_after = state.ready.memory();
        // Under the lock, so that the store sees a delivery before its settle.
        let appended = if effects.operations.is_empty() {
            Ok(())
        } else {
            self.hand_over(effects).map(drop)
        };
        drop(state);
        self.memory.adjust(pass.memory_before, memory_after);
        if let Some(read) = page_in {
            self.page_in(read, true);
        }
        appended
    }

    /// Hand the operations collected to the store. What it does not take is forgotten: it would
    /// be written with the next ones.
    fn hand_over(&self, effects: &mut Effects) -> Result<Ticket, StoreError> {
        let appended = self.store.append(&mut effects.operations);
        if appended.is_err() {
            effects.operations.clear();
        }
        appended
    }

    /// Read some of the backlog; `reads_on`: and more after it, while there is room.
    fn page_in(self: &Arc<Self>, read: PageIn, reads_on: bool) {
        let queue = Arc::clone(self);
        let done = move |fetched: Result<Vec<leveret_store::Fetched>, StoreError>| {
            let mut effects = Effects::default();
            let mut state = queue.state.lock();
            let memory_before = state.ready.memory();
            match fetched {
                Ok(fetched) => {
                    let expires = state.ready.page_in(read, fetched);
                    state.expiring |= expires;
                }
                Err(error) => {
                    tracing::error!(queue = %queue.properties.name, %error, "cannot read the backlog");
                    state.ready.page_in_failed(read);
                    queue.read_later(state);
                    return;
                }
            }
            let now = queue.now(&state);
            let pass = Pass {
                memory_before,
                now,
                expired_by: now,
                reads_on,
            };
            if let Err(error) = queue.finish(state, pass, &mut effects) {
                tracing::error!(queue = %queue.properties.name, %error, "cannot record deliveries");
            }
            effects.finish();
        };
        self.store
            .fetch(self.id, read.from, read.limit, Box::new(done));
    }
}

/// What the end of an operation on a queue needs to know.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Octets of ready messages in memory before the operation.
    memory_before: usize,
    /// The time, if the queue or one of its messages needs to know it.
    now: Time,
    /// Messages whose deadline is not later are not given to anybody.
    expired_by: Time,
    /// Read more of the backlog when little of it is in memory.
    reads_on: bool,
}

/// Why a consumer can't start on a queue.
#[derive(Debug)]
pub(crate) enum ConsumeRefused {
    Gone,
    /// Somebody has it for himself, or this one would.
    InExclusiveUse,
}
