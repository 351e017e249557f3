//! Queues that are read by due time: which of their messages is due when.
//!
//! The order is derived from the messages, each of which carries the moment at which it is due, so nothing of it need
//! ever be durable. For every queue the soonest keys are in memory ([`line`]), as many as a bound allows; the rest
//! stands in a tree of sled ([`far`]). The commit thread adds keys as it writes messages. Everything that reads the tree
//! or the log happens on a thread of its own: keys go to the tree in batches, and come back when few are left in memory.
//!
//! A settle does not touch any of this: it does not know when its message was due. A key whose message is no longer
//! live is dropped when it is met. After an opening the tree may lack keys, have too many, or be gone: keys of what is
//! not live are dropped, and what is live and has no key is read from the log.

mod far;
mod line;
mod opening;
mod serving;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustc_hash::FxHashMap;

use crate::disk::Disk;
use crate::embedded::pending::Stop;
use crate::embedded::reader::Reader;
use crate::embedded::shared::{Shared, closed};
use crate::{DueDone, DueKey, FetchLimit, QueueId, StoreError};
use far::Far;
use line::Line;

/// Keys in memory, over all queues, as long as each may have [`NEAR_MIN`].
const NEAR_TOTAL: usize = 1 << 20;
/// Keys of one queue in memory at most.
const NEAR_MAX: usize = 64 << 10;
/// Keys that a queue may have in memory however many queues there are.
const NEAR_MIN: usize = 1024;
/// Keys that go to the tree, or come from it, in one go.
const BATCH: usize = 2048;
/// Keys on their way to the tree above which the log waits: 24 octets each.
const SPILL_MAX: usize = 1 << 20;
/// How long the commit thread waits at a time for the tree to take what is on its way there.
const ROOM_LOOK: Duration = Duration::from_millis(50);

/// A read by due time.
pub(super) struct Request {
    pub(super) queue: QueueId,
    pub(super) from: DueKey,
    pub(super) until: u64,
    pub(super) limit: FetchLimit,
    pub(super) done: DueDone,
}

/// What the thread and its callers share. Its lock may be taken under the index's, never the other way round.
#[derive(Default)]
pub(super) struct Timed {
    /// Some queue is read by due time: until then the commit thread need not look.
    used: AtomicBool,
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Tells the commit thread that the tree has caught up.
    room: Condvar,
    /// Keys of one queue in memory at most, if tests say so.
    near_max: Option<usize>,
}

#[derive(Default)]
struct State {
    lines: FxHashMap<QueueId, Line>,
    /// Keys on their way to the tree, over all lines.
    spilled: usize,
    tasks: VecDeque<Task>,
    stop: Stop,
}

enum Task {
    Serve(Request),
    /// Begin to order a queue of before.
    Order(QueueId, mpsc::Sender<Result<(), StoreError>>),
    /// Its keys are garbage.
    Forget(QueueId),
    /// So are those of every queue that has no line.
    Sweep,
    /// Bring keys to the tree.
    Spill,
}

impl Timed {
    /// One that keeps at most `near_max` keys of a queue in memory.
    #[cfg(test)]
    pub(super) fn with_near_max(near_max: usize) -> Self {
        Self {
            near_max: Some(near_max),
            ..Self::default()
        }
    }

    /// Whether there is any queue to be told about.
    pub(super) fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn near_max(&self, lines: usize) -> usize {
        self.near_max
            .unwrap_or_else(|| (NEAR_TOTAL / lines.max(1)).clamp(NEAR_MIN, NEAR_MAX))
    }

    /// Begin to order a queue. With `found` it has messages already, and this waits until all of them have been seen.
    pub(super) fn order(&self, queue: QueueId, found: bool) -> Result<(), StoreError> {
        self.used.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        if !found {
            state.lines.entry(queue).or_insert_with(|| Line::new(None));
            return Ok(());
        }
        if state.stop != Stop::No {
            return Err(closed());
        }
        let (done, ordered) = mpsc::channel();
        state.tasks.push_back(Task::Order(queue, done));
        drop(state);
        self.work.notify_one();
        ordered.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Where the keys of a queue begin that are not in memory.
    fn horizon(&self, queue: QueueId) -> Option<DueKey> {
        let state = self.state.lock();
        state.lines.get(&queue).and_then(Line::horizon)
    }

    /// Add keys. Those of queues that are not read by due time are passed over.
    fn add(&self, keys: impl IntoIterator<Item = (QueueId, DueKey)>) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let near_max = self.near_max(state.lines.len());
        for (queue, key) in keys {
            state.add(queue, key, near_max);
        }
        state
    }

    /// Messages were written. To be called by the commit thread, with no lock held.
    pub(super) fn note(&self, keys: impl IntoIterator<Item = (QueueId, DueKey)>) {
        let mut state = self.add(keys);
        self.want_spill(&mut state);
        // The tree takes keys more slowly than the log takes messages: in the long run it sets the pace.
        while state.spilled > SPILL_MAX && state.stop == Stop::No {
            self.room.wait_for(&mut state, ROOM_LOOK);
        }
    }

    fn want_spill(&self, state: &mut MutexGuard<'_, State>) {
        if state.spilled >= BATCH && !matches!(state.tasks.back(), Some(Task::Spill)) {
            state.tasks.push_back(Task::Spill);
            self.work.notify_one();
        }
    }

    /// A queue is gone.
    pub(super) fn drop_queue(&self, queue: QueueId) {
        let mut state = self.state.lock();
        if let Some(line) = state.lines.remove(&queue) {
            state.spilled -= line.spilled().min(state.spilled);
            state.tasks.push_back(Task::Forget(queue));
            drop(state);
            self.work.notify_one();
        }
    }

    /// Everything that is still used has been claimed.
    pub(super) fn sweep(&self) {
        self.state.lock().tasks.push_back(Task::Sweep);
        self.work.notify_one();
    }

    pub(super) fn push(&self, request: Request) {
        self.push_all(std::iter::once(request));
    }

    pub(super) fn push_all(&self, requests: impl IntoIterator<Item = Request>) {
        let mut state = self.state.lock();
        if state.stop == Stop::No {
            state.tasks.extend(requests.into_iter().map(Task::Serve));
            drop(state);
            self.work.notify_one();
            return;
        }
        drop(state);
        for request in requests {
            (request.done)(Err(closed()));
        }
    }

    pub(super) fn close(&self, how: Stop) {
        let mut state = self.state.lock();
        state.stop = how;
        if how == Stop::Abandoned {
            state.tasks.clear();
        }
        drop(state);
        self.work.notify_one();
        self.room.notify_all();
    }

    fn is_idle(&self) -> bool {
        self.state.lock().tasks.is_empty()
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                return Some(task);
            }
            if state.stop != Stop::No {
                return None;
            }
            self.work.wait(&mut state);
        }
    }
}

impl State {
    fn add(&mut self, queue: QueueId, key: DueKey, near_max: usize) {
        if let Some(line) = self.lines.get_mut(&queue) {
            self.spilled += line.add(key, near_max);
        }
    }
}

/// The thread's own.
struct Orderer<'a> {
    shared: &'a Shared,
    reader: Reader<'a>,
    far: Far,
}

/// Serve reads by due time until the store stops. `tree` is sled's, if it works.
pub(super) fn run(
    shared: &Arc<Shared>,
    disk: &dyn Disk,
    folder: &std::path::Path,
    tree: Option<sled::Tree>,
) {
    let mut orderer = Orderer {
        shared,
        reader: Reader::new(shared, disk, folder),
        far: tree.map_or_else(|| Far::Memory(std::collections::BTreeSet::new()), Far::Tree),
    };
    while let Some(task) = shared.timed.next() {
        match task {
            Task::Serve(request) => orderer.serve(request),
            Task::Order(queue, done) => {
                // Whoever waits may have given up.
                let _ = done.send(orderer.order(queue));
            }
            Task::Forget(queue) => orderer.forget(queue),
            Task::Sweep => orderer.sweep(),
            Task::Spill => orderer.spill(),
        }
        orderer.reader.rest();
        if shared.timed.is_idle() {
            // Files of segments that were deleted meanwhile would keep their room taken.
            orderer.reader.close_files();
        }
    }
}
