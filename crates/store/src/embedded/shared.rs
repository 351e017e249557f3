//! What the callers and the three threads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::definitions::{self, Map};
use crate::embedded::Options;
use crate::embedded::format::FolderLock;
use crate::embedded::pending::{Definitions, Pended, Pending, Sleep, Stop};
use crate::embedded::reader::{Reading, Request};
use crate::embedded::recovery::Recovered;
use crate::embedded::timed::{self, Timed};
use crate::embedded::upkeep::Mailbox;
use crate::index::segments::Index;
use crate::log::record::{MESSAGE_MAX, encode_changes};
use crate::log::writer::Writer;
use crate::octets::wide;
use crate::{Change, DurableWaiter, Operation, QueueId, StoreError, Ticket, Usage};

/// Lazy operations are written without waiting once they hold this many octets.
pub(super) const LAZY_BYTES_MAX: usize = 8 << 20;

/// The definitions as callers see them.
pub(super) struct Current {
    pub(super) map: Map,
    /// Counts the changes ever made.
    version: u64,
}

/// Counters for [`Usage`] that have no better place.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) batches: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_nanos: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) moved_bytes: AtomicU64,
    pub(super) deleted_segments: AtomicU64,
    pub(super) damaged_records: AtomicU64,
    pub(super) truncated_bytes: AtomicU64,
}

pub(super) struct Shared {
    pub(super) definitions: Mutex<Current>,
    pending: Mutex<Pending>,
    /// Wakes the commit thread.
    work: Condvar,
    /// The newest durable ticket.
    durable: AtomicU64,
    /// Octets accepted and not written.
    pub(super) backlog: AtomicUsize,
    pub(super) index: Mutex<Index>,
    pub(super) reading: Reading,
    pub(super) timed: Timed,
    pub(super) upkeep: Mailbox,
    /// No segment could be made: puts are refused.
    pub(super) full: AtomicBool,
    /// Octets free on the disk when it was last looked at.
    free_bytes: AtomicU64,
    /// They were fewer than the limit, and have not been clearly more since.
    low: AtomicBool,
    disk_free_limit: AtomicU64,
    pub(super) counters: Counters,
    /// The epoch of this opening.
    pub(super) epoch: u64,
    /// Of the store: part of every checksum.
    pub(super) salt: u32,
    /// The lower half of the newest queue number.
    queue_counter: AtomicU32,
    pub(super) lazy_interval: Duration,
    lock: Mutex<Option<FolderLock>>,
}

impl Shared {
    pub(super) fn new(
        recovered: &Recovered,
        writer: &Writer,
        options: &Options,
        timed: Timed,
        (lock, salt): (FolderLock, u32),
    ) -> Self {
        let counters = Counters::default();
        let add = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        add(&counters.damaged_records, recovered.damaged_records);
        add(&counters.truncated_bytes, recovered.truncated_bytes);
        let shared = Self {
            definitions: Mutex::new(Current {
                map: recovered.definitions.map.clone(),
                version: recovered.definitions.version,
            }),
            pending: Mutex::default(),
            work: Condvar::new(),
            durable: AtomicU64::new(0),
            backlog: AtomicUsize::new(0),
            index: Mutex::default(),
            reading: Reading::default(),
            timed,
            upkeep: Mailbox::default(),
            full: AtomicBool::new(false),
            counters,
            epoch: recovered.epoch,
            salt,
            queue_counter: AtomicU32::new(0),
            lazy_interval: options.lazy_interval,
            free_bytes: AtomicU64::new(u64::MAX),
            low: AtomicBool::new(false),
            disk_free_limit: AtomicU64::new(options.disk_free_limit),
            lock: Mutex::new(Some(lock)),
        };
        let mut index = std::mem::take(&mut *recovered.index.lock());
        index.segment(writer.segment());
        index.readable = (writer.segment(), writer.written_end());
        *shared.index.lock() = index;
        shared
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock()
    }

    pub(super) fn work(&self) -> &Condvar {
        &self.work
    }

    pub(super) fn durable(&self) -> Ticket {
        Ticket(self.durable.load(Ordering::Acquire))
    }

    pub(super) fn set_durable(&self, ticket: u64) {
        self.durable.store(ticket, Ordering::Release);
    }

    pub(super) fn backlog_bytes(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    pub(super) fn next_queue_id(&self) -> QueueId {
        let counter = self.queue_counter.fetch_add(1, Ordering::Relaxed) + 1;
        QueueId((self.epoch << 32) | u64::from(counter))
    }

    pub(super) fn append(
        &self,
        operations: &mut Vec<Operation>,
        bytes: usize,
        puts: usize,
    ) -> Result<Ticket, StoreError> {
        let mut cancelled = Vec::new();
        let mut pending = self.pending.lock();
        accepting(&pending)?;
        if operations.is_empty() {
            return Ok(Ticket(pending.newest()));
        }
        if puts > 0 && self.full.load(Ordering::Relaxed) {
            return Err(StoreError::Full);
        }
        let first = Ticket(pending.newest() + 1);
        let before = pending.bytes;
        pending.bytes += bytes;
        pending.take(operations, &mut cancelled);
        pending.cancelled += wide(cancelled.len());
        if pending.bytes >= before {
            self.backlog
                .fetch_add(pending.bytes - before, Ordering::Relaxed);
        } else {
            self.backlog
                .fetch_sub(before - pending.bytes, Ordering::Relaxed);
        }
        self.wake_committer(pending);
        // Freed here, without the lock.
        drop(cancelled);
        Ok(first)
    }

    pub(super) fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        // Held until the change has its place in the order, so that versions and tickets agree.
        let mut definitions = self.definitions.lock();
        let version = definitions.version + 1;
        let payload = encode_changes(version, &changes);
        if payload.len() > MESSAGE_MAX {
            return Err(StoreError::Unavailable(format!(
                "a change of {} octets is too large",
                payload.len()
            )));
        }
        let changes: Vec<_> = changes.into_iter().map(Into::into).collect();
        let mut pending = self.pending.lock();
        accepting(&pending)?;
        definitions.version = version;
        definitions::apply(&mut definitions.map, &changes);
        let cost = super::pending::cost(payload.len());
        pending.bytes += cost;
        self.backlog.fetch_add(cost, Ordering::Relaxed);
        let ticket = pending.push(Pended::Change(Box::new(Definitions {
            version,
            payload,
            changes,
        })));
        self.wake_committer(pending);
        Ok(ticket)
    }

    pub(super) fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError> {
        let mut pending = self.pending.lock();
        accepting(&pending)?;
        let ticket = pending.push(Pended::Drop(queue));
        self.wake_committer(pending);
        Ok(ticket)
    }

    pub(super) fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        let mut pending = self.pending.lock();
        if pending.stop == Stop::No {
            pending.wait_for(ticket, waiter);
            self.wake_now(pending);
            return;
        }
        drop(pending);
        if ticket <= self.durable() {
            waiter.durable(ticket);
        } else {
            waiter.failed(&closed());
        }
    }

    pub(super) fn fetch(&self, mut request: Request) {
        let pending = self.pending.lock();
        if pending.stop != Stop::No {
            drop(pending);
            (request.done)(Err(closed()));
            return;
        }
        request.ahead = pending.applied < pending.newest() && pending.failed.is_none();
        drop(pending);
        self.reading.push(request);
    }

    /// The reader found less than is asked for: read again when what was appended before is in the index.
    pub(super) fn fetch_when_applied(&self, mut request: Request) {
        request.ahead = false;
        let mut pending = self.pending.lock();
        if pending.applied < pending.newest() && pending.failed.is_none() {
            pending.fetches.push(request);
            self.wake_now(pending);
        } else {
            drop(pending);
            self.reading.push(request);
        }
    }

    pub(super) fn fetch_due(&self, request: timed::Request) {
        let mut pending = self.pending.lock();
        if pending.stop != Stop::No {
            drop(pending);
            (request.done)(Err(closed()));
        } else if pending.applied < pending.newest() && pending.failed.is_none() {
            pending.timed.push(request);
            self.wake_now(pending);
        } else {
            drop(pending);
            self.timed.push(request);
        }
    }

    /// Wake the commit thread if what was just added is of interest to it.
    fn wake_committer(&self, mut pending: MutexGuard<'_, Pending>) {
        let interesting = match pending.sleep {
            Sleep::Awake => false,
            Sleep::Timed => pending.urgent > 0 || pending.bytes > LAZY_BYTES_MAX,
            Sleep::Idle => true,
        };
        if interesting {
            pending.sleep = Sleep::Awake;
            drop(pending);
            self.work.notify_one();
        }
    }

    /// Wake the commit thread in any case.
    pub(super) fn wake_now(&self, mut pending: MutexGuard<'_, Pending>) {
        pending.sleep = Sleep::Awake;
        drop(pending);
        self.work.notify_one();
    }

    /// Tell all threads to end.
    pub(super) fn stop(&self, how: Stop) {
        let mut pending = self.pending.lock();
        pending.stop = how;
        self.wake_now(pending);
        // The others end when the commit thread has: a graceful stop needs them until then.
        if how == Stop::Abandoned {
            self.upkeep.close(how);
            self.reading.close(how);
            self.timed.close(how);
        }
    }

    /// After the threads have ended: let go of the folder; whoever still waits waits in vain.
    pub(super) fn finish_stop(&self, how: Stop) {
        drop(self.lock.lock().take());
        let (waiters, fetches, timed) = {
            let mut pending = self.pending.lock();
            (
                std::mem::take(&mut pending.waiters),
                std::mem::take(&mut pending.fetches),
                std::mem::take(&mut pending.timed),
            )
        };
        if how == Stop::Abandoned {
            return;
        }
        for (ticket, waiter) in waiters {
            if ticket <= self.durable() {
                waiter.durable(ticket);
            } else {
                waiter.failed(&closed());
            }
        }
        for request in fetches {
            (request.done)(Err(closed()));
        }
        for request in timed {
            (request.done)(Err(closed()));
        }
    }

    /// The disk was looked at. It is low below the limit, and no longer a tenth above it.
    pub(super) fn note_free(&self, free: u64) {
        self.free_bytes.store(free, Ordering::Relaxed);
        let limit = self.disk_free_limit();
        let was = self.low.load(Ordering::Relaxed);
        let low = free < limit || (was && free < limit.saturating_add(limit / 10));
        if low != was {
            self.low.store(low, Ordering::Relaxed);
            if low {
                tracing::warn!(free, limit, "the disk is low");
            } else {
                tracing::info!(free, limit, "the disk is no longer low");
            }
        }
    }

    pub(super) fn disk_free_limit(&self) -> u64 {
        self.disk_free_limit.load(Ordering::Relaxed)
    }

    /// Counts from the next look at the disk on.
    pub(super) fn set_disk_free_limit(&self, octets: u64) {
        self.disk_free_limit.store(octets, Ordering::Relaxed);
    }

    pub(super) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    pub(super) fn usage(&self) -> Usage {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (segments, queues, live_messages, (disk_bytes, live_bytes)) = {
            let index = self.index.lock();
            (
                wide(index.segments.len()),
                wide(index.queues.len()),
                index.segments.values().map(|segment| segment.live).sum(),
                index.sizes(),
            )
        };
        let (cancelled_puts, poisoned) = {
            let pending = self.pending.lock();
            (pending.cancelled, pending.failed.is_some())
        };
        Usage {
            segments,
            disk_bytes,
            queues,
            live_messages,
            live_bytes,
            backlog_bytes: wide(self.backlog_bytes()),
            definitions: wide(self.definitions.lock().map.len()),
            batches: count(&self.counters.batches),
            syncs: count(&self.counters.syncs),
            sync_time: Duration::from_nanos(count(&self.counters.sync_nanos)),
            written_bytes: count(&self.counters.written_bytes),
            moved_bytes: count(&self.counters.moved_bytes),
            deleted_segments: count(&self.counters.deleted_segments),
            cancelled_puts,
            damaged_records: count(&self.counters.damaged_records),
            truncated_bytes: count(&self.counters.truncated_bytes),
            free_bytes: count(&self.free_bytes),
            low: self.is_low(),
            full: self.full.load(Ordering::Relaxed),
            poisoned,
        }
    }
}

fn accepting(pending: &Pending) -> Result<(), StoreError> {
    if let Some(error) = &pending.failed {
        return Err(error.clone());
    }
    if pending.stop != Stop::No {
        return Err(closed());
    }
    Ok(())
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is shut down".into())
}
