//! The store without a disk: what every other store is compared with, and what simulations run on.

mod image;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use crate::{
    Change, Claimed, DueDone, DueKey, DurableWaiter, FetchDone, FetchLimit, Operation, QueueId,
    Seq, Store, StoreError, Ticket, Usage,
};
use image::{Entry, Image};

/// A [`Store`] in memory.
///
/// As [`MemoryStore::new`] makes it, everything is durable as soon as it is appended, and answers come on a thread of
/// its own. As [`MemoryStore::manual`] makes it there is no thread: the owner decides what becomes durable
/// ([`MemoryStore::make_durable`]) and answers come inside the owner's calls, so that a simulation stays deterministic.
pub struct MemoryStore {
    shared: Arc<Shared>,
    /// The thread that answers; none in manual mode, and none after the shutdown.
    answerer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes the answering thread.
    wake: Condvar,
    /// The newest durable ticket.
    durable: AtomicU64,
    /// The upper half of new queue numbers.
    epoch: u32,
    /// The lower half of the newest queue number.
    queue_counter: AtomicU32,
    /// Whether the owner decides what becomes durable.
    manual: bool,
}

struct State {
    /// What the store shows: everything appended.
    current: Image,
    /// What a crash would leave: everything durable. Only kept in manual mode, where it differs.
    stable: Image,
    /// What was appended and is not durable (manual mode).
    waiting: VecDeque<(u64, Entry)>,
    /// The newest ticket given.
    newest: u64,
    /// Who waits for tickets, in ticket order.
    waiters: VecDeque<(u64, Arc<dyn DurableWaiter>)>,
    /// Answers that are due.
    due: VecDeque<Box<dyn FnOnce() + Send>>,
    closed: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store in which everything is durable at once.
    pub fn new() -> Self {
        Self::with(Image::default(), 1, false)
    }

    /// An empty store in which nothing is durable until [`MemoryStore::make_durable`].
    pub fn manual() -> Self {
        Self::with(Image::default(), 1, true)
    }

    /// The store as it would be found after a crash at this moment: without what is not durable, and without the
    /// messages that were not put to survive. Works in the same mode as this one.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let state = self.shared.state.lock();
        let image = if self.shared.manual {
            state.stable.surviving()
        } else {
            state.current.surviving()
        };
        Self::with(image, self.shared.epoch + 1, self.shared.manual)
    }

    /// Let everything up to `ticket` become durable, then call the waiters that are due, on this thread.
    pub fn make_durable(&self, ticket: Ticket) {
        {
            let mut state = self.shared.state.lock();
            let up_to = ticket.0.min(state.newest);
            while state.waiting.front().is_some_and(|(at, _)| *at <= up_to) {
                if let Some((_, entry)) = state.waiting.pop_front() {
                    state.stable.apply(&entry);
                }
            }
            self.shared.durable.fetch_max(up_to, Ordering::AcqRel);
            self.shared.collect_due(&mut state);
        }
        self.answer();
    }

    /// Give the answers that are due (fetches, tickets that already were durable) on this thread. Returns how many.
    pub fn answer(&self) -> usize {
        let mut given = 0;
        loop {
            let Some(due) = self.shared.state.lock().due.pop_front() else {
                return given;
            };
            due();
            given += 1;
        }
    }

    /// The newest ticket given so far.
    pub fn newest(&self) -> Ticket {
        Ticket(self.shared.state.lock().newest)
    }

    fn with(image: Image, epoch: u32, manual: bool) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                stable: if manual {
                    image.clone()
                } else {
                    Image::default()
                },
                current: image,
                waiting: VecDeque::new(),
                newest: 0,
                waiters: VecDeque::new(),
                due: VecDeque::new(),
                closed: false,
            }),
            wake: Condvar::new(),
            durable: AtomicU64::new(0),
            epoch,
            queue_counter: AtomicU32::new(0),
            manual,
        });
        let answerer = if manual {
            None
        } else {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("leveret-memory".into())
                .spawn(move || shared.answer_until_closed())
                .ok()
        };
        Self {
            shared,
            answerer: Mutex::new(answerer),
        }
    }
}

impl Shared {
    /// Move the waiters whose tickets are durable to the answers that are due.
    fn collect_due(&self, state: &mut State) {
        let durable = self.durable.load(Ordering::Acquire);
        while state.waiters.front().is_some_and(|(at, _)| *at <= durable) {
            if let Some((at, waiter)) = state.waiters.pop_front() {
                state
                    .due
                    .push_back(Box::new(move || waiter.durable(Ticket(at))));
            }
        }
        if !state.due.is_empty() {
            self.wake.notify_one();
        }
    }

    fn answer_until_closed(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(due) = state.due.pop_front() {
                drop(state);
                // A waiter that panics must not take the others' answers with it; its panic has been reported.
                let _ = catch_unwind(AssertUnwindSafe(due));
                state = self.state.lock();
            } else if state.closed {
                return;
            } else {
                self.wake.wait(&mut state);
            }
        }
    }

    /// Take `entries` in; they get the tickets after the newest one. Returns the first of them.
    fn take(&self, entries: impl Iterator<Item = Entry>) -> Result<Ticket, StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(closed());
        }
        let first = state.newest + 1;
        for entry in entries {
            state.newest += 1;
            state.current.apply(&entry);
            if self.manual {
                let ticket = state.newest;
                state.waiting.push_back((ticket, entry));
            }
        }
        if !self.manual {
            self.durable.store(state.newest, Ordering::Release);
            self.collect_due(&mut state);
        }
        Ok(Ticket(first.min(state.newest)))
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is shut down".into())
}

impl Store for MemoryStore {
    fn definitions(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        Ok(self.shared.state.lock().current.definitions.clone())
    }

    fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        self.shared.take(std::iter::once(Entry::Change(changes)))
    }

    fn next_queue_id(&self) -> QueueId {
        let counter = self.shared.queue_counter.fetch_add(1, Ordering::Relaxed) + 1;
        QueueId((u64::from(self.shared.epoch) << 32) | u64::from(counter))
    }

    fn claim(&self, queue: QueueId) -> Result<Claimed, StoreError> {
        let mut state = self.shared.state.lock();
        state.stable.claim(queue);
        state.current.claim(queue);
        let (next_seq, messages, bytes) = state.current.sizes(queue);
        Ok(Claimed {
            epoch: u64::from(self.shared.epoch),
            next_seq,
            messages,
            bytes,
        })
    }

    fn recovered(&self) {
        let mut state = self.shared.state.lock();
        let epoch = u64::from(self.shared.epoch);
        state.stable.drop_unclaimed(epoch);
        state.current.drop_unclaimed(epoch);
    }

    fn append(&self, operations: &mut Vec<Operation>) -> Result<Ticket, StoreError> {
        if self.shared.state.lock().closed {
            return Err(closed());
        }
        self.shared.take(operations.drain(..).map(Entry::Operation))
    }

    fn durable(&self) -> Ticket {
        Ticket(self.shared.durable.load(Ordering::Acquire))
    }

    fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        let mut state = self.shared.state.lock();
        if state.closed && ticket > self.durable() {
            drop(state);
            waiter.failed(&closed());
            return;
        }
        let at = state.waiters.partition_point(|(at, _)| *at <= ticket.0);
        state.waiters.insert(at, (ticket.0, waiter));
        self.shared.collect_due(&mut state);
    }

    fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit, done: FetchDone) {
        let mut state = self.shared.state.lock();
        if state.closed {
            drop(state);
            done(Err(closed()));
            return;
        }
        let fetched = state.current.fetch(queue, from, limit);
        state.due.push_back(Box::new(move || done(Ok(fetched))));
        self.shared.wake.notify_one();
    }

    fn order_by_due(&self, queue: QueueId) -> Result<(), StoreError> {
        // A crash forgets the order: it is asked for again.
        self.shared.state.lock().current.order_by_due(queue);
        Ok(())
    }

    fn fetch_due(
        &self,
        queue: QueueId,
        from: DueKey,
        until: u64,
        limit: FetchLimit,
        done: DueDone,
    ) {
        let mut state = self.shared.state.lock();
        if state.closed {
            drop(state);
            done(Err(closed()));
            return;
        }
        let batch = state.current.fetch_due(queue, (from, until), limit);
        state.due.push_back(Box::new(move || done(Ok(batch))));
        self.shared.wake.notify_one();
    }

    fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError> {
        self.shared.take(std::iter::once(Entry::Drop(queue)))
    }

    fn backlog_bytes(&self) -> usize {
        let state = self.shared.state.lock();
        state.waiting.iter().map(|(_, entry)| entry.bytes()).sum()
    }

    fn usage(&self) -> Usage {
        let backlog_bytes = u64::try_from(self.backlog_bytes()).unwrap_or(u64::MAX);
        let state = self.shared.state.lock();
        let (live_messages, live_bytes) = state.current.live();
        Usage {
            queues: count(state.current.queues.len()),
            live_messages,
            live_bytes,
            backlog_bytes,
            definitions: count(state.current.definitions.len()),
            ..Usage::default()
        }
    }

    fn shutdown(&self) {
        let newest = self.newest();
        if self.shared.manual {
            self.make_durable(newest);
        }
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_one();
        let answerer = self.answerer.lock().take();
        if let Some(answerer) = answerer
            && answerer.thread().id() != thread::current().id()
        {
            // A panic of the thread is a waiter's; it has been reported there.
            let _ = answerer.join();
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
