//! The commit thread: the only writer of the log, and the only one to say what is durable.
//!
//! It takes everything that is pending, encodes it ([`batch`]), writes it, updates the index, syncs once and reports.
//! What arrives meanwhile is the next batch. Durable puts and changes of definitions are committed at once; settles,
//! delivery marks and transient puts wait for company up to the lazy interval.

mod batch;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::embedded::compaction::Step;
use crate::embedded::pending::{Definitions, Pended, Pending, Sleep, Stop};
use crate::embedded::reader::Request;
use crate::embedded::shared::{LAZY_BYTES_MAX, Shared};
use crate::embedded::timed;
use crate::log::writer::{Failure, Writer};
use crate::octets::wide;
use crate::{DurableWaiter, StoreError, Ticket};
use batch::Scratch;
pub(super) use batch::merge;

/// How long to wait before asking a full disk again.
const RETRY: Duration = Duration::from_millis(100);
/// How often a full disk is asked while the store shuts down.
const RETRIES_AT_SHUTDOWN: u32 = 20;

/// The upkeep looks for segments worth compacting after this many octets of messages were settled.
const TIDY_BYTES: u64 = 16 << 20;

type Waiting = (Ticket, Arc<dyn DurableWaiter>);

pub(super) struct Committer {
    shared: Arc<Shared>,
    writer: Writer,
    scratch: Scratch,
    /// The number of the batch at hand.
    batch: u64,
    /// Its first record stands in the log.
    begun: bool,
    /// Something written needs a sync; the oldest of it was appended at this time.
    unsynced: Option<Instant>,
    /// Changes of definitions that are written and not synced: the upkeep may not see them before.
    changed: Vec<Definitions>,
    /// When the last sync was done, if the log does not say yet up to where it is synced: a damaged record at its end
    /// would be taken for a torn write.
    unvouched: Option<Instant>,
    /// The entries of the last batch, empty: its room is used again.
    spare: VecDeque<Pended>,
    /// The segment at whose beginning the disk was last asked how much is free.
    asked_at: u32,
}

/// What is to be done next.
enum Task {
    Commit(Work),
    /// Sync what is written.
    Sync,
    /// Nothing happens: say in the log up to where it is synced.
    Vouch,
    Report(Vec<Waiting>, Option<StoreError>),
    Exit,
}

/// What is taken out of the pending list for one batch.
struct Work {
    entries: VecDeque<Pended>,
    /// What the entries count for back-pressure.
    bytes: usize,
    /// The ticket of the last entry.
    last: u64,
    /// When the oldest lazy entry came.
    since: Option<Instant>,
    fetches: Vec<Request>,
    timed: Vec<timed::Request>,
    step: Option<Step>,
    /// Do not wait for more before syncing.
    sync: bool,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        Self {
            shared,
            writer,
            scratch: Scratch::default(),
            batch: 0,
            begun: false,
            unsynced: None,
            changed: Vec::new(),
            unvouched: None,
            spare: VecDeque::new(),
            asked_at: 0,
        }
    }

    pub(super) fn run(mut self) {
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            // A mistake of ours must not leave everybody waiting: the store has failed, and says so.
            drop(panic);
            self.fail_with("the commit thread has panicked".into());
        }
        let how = self.shared.pending().stop;
        if how == Stop::Graceful && self.shared.pending().failed.is_none() {
            self.close();
        }
        // The upkeep waits for what becomes of its step.
        self.shared.pending().step = None;
        // Now that nothing more is written, what is left to read and to note can be done.
        self.shared.reading.close(how);
        self.shared.timed.close(how);
        self.shared.upkeep.close(how);
    }

    fn work(&mut self) {
        loop {
            let done = match self.next() {
                Task::Commit(work) => self.commit(work),
                Task::Sync => self.sync(),
                Task::Vouch => self.vouch(),
                Task::Report(waiters, failed) => {
                    report(waiters, failed.as_ref(), self.shared.durable());
                    Ok(())
                }
                Task::Exit => return,
            };
            self.note_written();
            if let Err(failure) = done {
                self.fail(failure);
            }
        }
    }

    /// Wait until there is something to do.
    fn next(&mut self) -> Task {
        let shared = Arc::clone(&self.shared);
        let mut pending = shared.pending();
        loop {
            if pending.stop == Stop::Abandoned {
                return Task::Exit;
            }
            let task = if pending.failed.is_some() {
                self.after_failure(&mut pending)
            } else {
                self.ready(&mut pending)
            };
            if let Some(task) = task {
                return task;
            }
            self.sleep(&mut pending);
        }
    }

    fn ready(&mut self, pending: &mut Pending) -> Option<Task> {
        // Entries at the front that were settled before they were written are durable as they are.
        pending.trim();
        pending.applied = pending.taken;
        if self.unsynced.is_none() && self.shared.durable().0 < pending.taken {
            self.shared.set_durable(pending.taken);
        }
        let due = pending.due(self.shared.durable());
        if !due.is_empty() {
            return Some(Task::Report(due, None));
        }
        let interval = self.shared.lazy_interval;
        let overdue = self
            .lazy_since(pending)
            .is_some_and(|since| since.elapsed() >= interval);
        let stopping = pending.stop == Stop::Graceful;
        let hurried = overdue
            || stopping
            || pending.urgent > 0
            || pending.bytes > LAZY_BYTES_MAX
            || pending.demanded > self.shared.durable().0;
        if !pending.fetches.is_empty() || !pending.timed.is_empty() || pending.step.is_some() {
            return Some(Task::Commit(self.take(pending, hurried)));
        }
        if hurried && !pending.entries.is_empty() {
            return Some(Task::Commit(self.take(pending, true)));
        }
        if hurried && self.unsynced.is_some() {
            return Some(Task::Sync);
        }
        if stopping {
            return Some(Task::Exit);
        }
        let vouch = self
            .unvouched
            .is_some_and(|since| since.elapsed() >= interval);
        vouch.then_some(Task::Vouch)
    }

    /// Since when the oldest lazy thing waits.
    fn lazy_since(&self, pending: &Pending) -> Option<Instant> {
        match (pending.lazy_since, self.unsynced) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn take(&mut self, pending: &mut Pending, sync: bool) -> Work {
        let entries = std::mem::replace(&mut pending.entries, std::mem::take(&mut self.spare));
        pending.taken += wide(entries.len());
        let sync = sync || pending.urgent > 0 || pending.step.is_some();
        pending.urgent = 0;
        Work {
            entries,
            bytes: std::mem::take(&mut pending.bytes),
            last: pending.taken,
            since: pending.lazy_since.take(),
            fetches: std::mem::take(&mut pending.fetches),
            timed: std::mem::take(&mut pending.timed),
            step: pending.step.take(),
            sync,
        }
    }

    fn sleep(&mut self, pending: &mut MutexGuard<'_, Pending>) {
        let shared = &self.shared;
        let until = if pending.failed.is_some() {
            None
        } else {
            self.lazy_since(pending).or(self.unvouched)
        };
        if let Some(since) = until {
            pending.sleep = Sleep::Timed;
            shared
                .work()
                .wait_until(pending, since + shared.lazy_interval);
        } else {
            pending.sleep = Sleep::Idle;
            shared.work().wait(pending);
        }
        pending.sleep = Sleep::Awake;
    }

    fn commit(&mut self, mut work: Work) -> Result<(), Failure> {
        self.batch += 1;
        self.begun = false;
        let needs_sync = self.write(&mut work)?;
        work.entries.clear();
        if work.entries.capacity() * size_of::<Pended>() <= LAZY_BYTES_MAX {
            self.spare = std::mem::take(&mut work.entries);
        }
        self.shared.backlog.fetch_sub(work.bytes, Ordering::Relaxed);
        self.shared.counters.batches.fetch_add(1, Ordering::Relaxed);
        self.shared.pending().applied = work.last;
        if !work.fetches.is_empty() {
            self.shared.reading.push_all(work.fetches.drain(..));
        }
        if !work.timed.is_empty() {
            self.shared.timed.push_all(work.timed.drain(..));
        }
        self.look_ahead();
        if needs_sync {
            self.unsynced = self
                .unsynced
                .or(work.since)
                .or_else(|| Some(Instant::now()));
        }
        if self.unsynced.is_none() {
            self.finish(work.last);
        } else if work.sync {
            self.sync()?;
        }
        if let Some(step) = work.step {
            step.finish();
        }
        Ok(())
    }

    /// Refuse puts before the last segment is full, and say that the disk is low before that: at each new segment, since
    /// the upkeep may be busy while a fast publisher fills the disk.
    fn look_ahead(&mut self) {
        let segment = self.writer.segment();
        if segment != self.asked_at {
            self.asked_at = segment;
            if let Ok(free) = self.writer.free_bytes() {
                self.shared.note_free(free);
            }
        }
        if let Err(error) = self.writer.look_ahead() {
            self.note_full(&error);
        }
    }

    fn note_full(&self, error: &io::Error) {
        if !self.shared.full.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "there is no room for the log: puts are refused");
        }
        self.shared.upkeep.wake();
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.writer.sync()?;
        self.unsynced = None;
        self.unvouched = Some(Instant::now());
        let applied = self.shared.pending().applied;
        self.finish(applied);
        Ok(())
    }

    /// Everything up to `ticket` is durable, or need never be.
    fn finish(&mut self, ticket: u64) {
        self.shared.set_durable(ticket);
        // Before the batch counts as synced: what makes a segment deletable must be known to whoever deletes it.
        if !self.changed.is_empty() {
            self.shared.upkeep.push_changes(self.changed.drain(..));
        }
        let untidy = {
            let mut index = self.shared.index.lock();
            index.synced_batch = self.batch;
            index.untidy || index.settled_bytes > TIDY_BYTES
        };
        if untidy {
            self.shared.upkeep.wake();
        }
    }

    /// Say in the log up to where it is synced. Needs no sync itself.
    fn vouch(&mut self) -> Result<(), Failure> {
        self.unvouched = None;
        match self.writer.begin_batch().and_then(|()| self.writer.flush()) {
            // Without it a damaged record costs more, that is all.
            Err(Failure::NoRoom(_)) => Ok(()),
            done => done,
        }
    }

    /// End the log in order.
    fn close(&mut self) {
        if let Err(failure) = self.vouch().and_then(|()| self.end_segment()) {
            self.fail(failure);
        }
        self.note_written();
    }

    fn end_segment(&mut self) -> Result<(), Failure> {
        let last = self.writer.close()?;
        let mut index = self.shared.index.lock();
        for sealed in self.writer.take_sealed() {
            index.seal(sealed);
        }
        index.seal(last);
        Ok(())
    }

    /// Nothing more becomes durable: what is on disk is unknown, and asking again would not tell.
    fn fail(&mut self, failure: Failure) {
        let reason = match failure {
            Failure::NoRoom(error) => format!("there is no room for the log: {error}"),
            Failure::Broken(error) => format!("writing the log: {error}"),
        };
        self.fail_with(reason);
    }

    fn fail_with(&mut self, reason: String) {
        tracing::error!(reason, "the store has failed and takes nothing more");
        let mut pending = self.shared.pending();
        pending.entries.clear();
        pending.bytes = 0;
        pending.failed.get_or_insert(StoreError::Poisoned(reason));
        self.shared.backlog.store(0, Ordering::Relaxed);
        drop(pending);
        self.shared.upkeep.close(Stop::Abandoned);
    }

    /// What is still done once the store has failed: telling everybody, and reading.
    fn after_failure(&mut self, pending: &mut Pending) -> Option<Task> {
        pending.step = None;
        if !pending.fetches.is_empty() {
            self.shared.reading.push_all(pending.fetches.drain(..));
        }
        if !pending.timed.is_empty() {
            self.shared.timed.push_all(pending.timed.drain(..));
        }
        if !pending.waiters.is_empty() {
            let waiters = pending.waiters.drain(..).collect();
            return Some(Task::Report(waiters, pending.failed.clone()));
        }
        (pending.stop != Stop::No).then_some(Task::Exit)
    }

    fn note_written(&mut self) {
        let written = self.writer.take_written();
        let counters = &self.shared.counters;
        let nanos = u64::try_from(written.sync_time.as_nanos()).unwrap_or(u64::MAX);
        counters
            .written_bytes
            .fetch_add(written.bytes, Ordering::Relaxed);
        counters.syncs.fetch_add(written.syncs, Ordering::Relaxed);
        counters.sync_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Tell waiters what became of their tickets. A waiter that panics must not take the store with it.
fn report(waiters: Vec<Waiting>, failed: Option<&StoreError>, durable: Ticket) {
    for (ticket, waiter) in waiters {
        let told = catch_unwind(AssertUnwindSafe(|| match failed {
            Some(error) if ticket > durable => waiter.failed(error),
            _ => waiter.durable(ticket),
        }));
        if told.is_err() {
            tracing::error!(ticket = ticket.0, "a waiter has panicked");
        }
    }
}
