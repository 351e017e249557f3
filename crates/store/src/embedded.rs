//! The store in a folder: a message log, with sled as its index on disk.
//!
//! ```text
//! LOCK                   held while a process uses the folder
//! FORMAT                 version of the layout, and the store's salt
//! segments/NNNNNNNNNN.log   the message log: the truth about messages, settles and changes of definitions
//! definitions.snapshot   the definitions as of some version, plain
//! definitions.snapshot.2 the same as of another: the older of the two and the log give the definitions as well
//! sled/                  the same again, next sequences of queues, the list of segments
//! sled.broken-N/         a sled that did not open, kept for whoever wants to look
//! BACKUP                 held by whoever copies the folder: no segment is deleted meanwhile
//! ```
//!
//! Four threads: [`commit`] is the only one that writes the log and says what is durable, [`reader`] serves fetches,
//! [`timed`] those by due time, [`upkeep`] deletes and compacts segments and writes checkpoints. [`recovery`] reads everything back before they
//! start. Locks are held for moves and lookups only, never over an operation on a file, in the order: definitions,
//! pending; the index, then the order by due time; the reader's and the upkeep's mailboxes stand alone.

pub(crate) mod backup;
mod checkpoint;
mod commit;
mod compaction;
mod format;
pub(crate) mod inspect;
mod pending;
mod reader;
mod recovery;
mod shared;
mod timed;
mod upkeep;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use crate::disk::{Disk, OsDisk};
use crate::index::place::SEGMENT_BYTES_MAX;
use crate::log::record::MESSAGE_MAX;
use crate::log::writer::{Supply, Writer};
use crate::{
    Change, Claimed, DueDone, DueKey, DurableWaiter, FetchDone, FetchLimit, Operation, QueueId,
    Seq, Store, StoreError, Ticket, Usage,
};
use commit::Committer;
use pending::Stop;
use reader::Request;
use shared::Shared;
use timed::Timed;
use upkeep::Upkeep;

/// Smaller segments are all header and preallocation.
const SEGMENT_BYTES_MIN: u64 = 4096;

/// Whether confirmed means on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// Nothing is durable before its sync.
    #[default]
    Always,
    /// No syncs: a crash of the process loses nothing, a crash of the machine loses what the system had not written
    /// yet. For tests, and for people who accept that; said loudly at every open.
    Never,
}

/// How to open an [`EmbeddedStore`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything stands; made if it is not there.
    pub folder: PathBuf,
    /// Octets of one segment of the message log: 64 MiB, at least 4 KiB, at most 128 MiB. A larger message gets a
    /// larger segment.
    pub segment_bytes: u64,
    /// How long settles, delivery marks and messages that need not survive may wait for the next batch: 100 ms.
    pub lazy_interval: Duration,
    /// Whether confirmed means on disk.
    pub sync: SyncMode,
    /// The disk is low from when fewer octets than this are free: 50 MB, as `RabbitMQ`'s `disk_free_limit`. 0: never.
    pub disk_free_limit: u64,
}

impl Options {
    /// The defaults, in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes: 64 << 20,
            lazy_interval: Duration::from_millis(100),
            sync: SyncMode::Always,
            disk_free_limit: 50_000_000,
        }
    }
}

/// A [`Store`] in a folder.
///
/// Dropping it shuts it down.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedStore {
    /// Open the store in a folder: recover what is there, then take operations.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        Self::open_on(options, Arc::new(OsDisk))
    }

    /// As [`EmbeddedStore::open`], with the log and the snapshot on another disk: for tests that break it. sled and the
    /// lock file stay in the real folder.
    pub fn open_on(options: &Options, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        Self::open_with(options, disk, Timed::default())
    }

    fn open_with(options: &Options, disk: Arc<dyn Disk>, timed: Timed) -> Result<Self, StoreError> {
        let segment_bytes = options
            .segment_bytes
            .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
            .next_multiple_of(8);
        if options.sync == SyncMode::Never {
            tracing::warn!(
                folder = %options.folder.display(),
                "syncs are off: what is confirmed does not survive a crash of the machine"
            );
        }
        let lock = format::lock(&options.folder)?;
        let identity = format::open(&*disk, &options.folder)?;
        let salt = identity.salt;
        let recovered = recovery::recover(&disk, &options.folder, identity)?;
        let segments = options.folder.join(format::SEGMENTS);
        let supply = Arc::new(Supply::new(
            Arc::clone(&disk),
            segments.clone(),
            salt,
            recovered.epoch,
            segment_bytes,
        ));
        let next = recovered.next_segment;
        let syncing = options.sync == SyncMode::Always;
        let writer = Writer::start(Arc::clone(&supply), next, syncing)
            .map_err(|error| StoreError::io("creating a segment in", &segments, &error))?;
        let shared = Arc::new(Shared::new(
            &recovered,
            &writer,
            options,
            timed,
            (lock, salt),
        ));
        let due = recovered.catalogue.as_ref();
        let due = due.map(|catalogue| catalogue.due.clone());
        // From here on the epoch is on disk: numbers of queues made from it will not be given again.
        let upkeep = Upkeep::start(
            Arc::clone(&shared),
            disk,
            options.folder.clone(),
            Arc::clone(&supply),
            segment_bytes,
            recovered,
        )?;
        let committer = Committer::new(Arc::clone(&shared), writer);
        let reader = Arc::clone(&shared);
        let reading = Arc::clone(upkeep.disk());
        let store = Self {
            shared,
            threads: Mutex::new(Vec::new()),
        };
        store.spawn("leveret-commit", move || committer.run())?;
        let (ordering, due_disk, due_segments) =
            (Arc::clone(&reader), Arc::clone(&reading), segments.clone());
        store.spawn("leveret-read", move || {
            reader::run(&reader, &*reading, &segments);
        })?;
        store.spawn("leveret-due", move || {
            timed::run(&ordering, &*due_disk, &due_segments, due);
        })?;
        store.spawn("leveret-upkeep", move || upkeep.run())?;
        Ok(store)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let thread = thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("starting {name}: {error}")))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Stop as if the process had been killed: nothing that waits is written, nobody is told. For tests of recovery.
    pub fn abandon(&self) {
        self.stop(Stop::Abandoned);
    }

    fn stop(&self, how: Stop) {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return;
        }
        self.shared.stop(how);
        let here = thread::current().id();
        if threads.iter().any(|thread| thread.thread().id() == here) {
            // A waiter has shut the store down, on a thread that would have to wait for itself: they end by themselves,
            // and let go of the folder then.
            return;
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
        self.shared.finish_stop(how);
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Store for EmbeddedStore {
    fn definitions(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let definitions = self.shared.definitions.lock();
        let owned = definitions.map.iter();
        Ok(owned
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect())
    }

    fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        self.shared.change(changes)
    }

    fn next_queue_id(&self) -> QueueId {
        self.shared.next_queue_id()
    }

    fn claim(&self, queue: QueueId) -> Result<Claimed, StoreError> {
        Ok(self.shared.index.lock().claim(queue, self.shared.epoch))
    }

    fn recovered(&self) {
        let (queues, messages) = self.shared.index.lock().drop_unclaimed(self.shared.epoch);
        if messages > 0 {
            tracing::warn!(
                queues,
                messages,
                "dropped messages of queues that are not defined"
            );
        }
        self.shared.timed.sweep();
        self.shared.upkeep.wake();
    }

    fn append(&self, operations: &mut Vec<Operation>) -> Result<Ticket, StoreError> {
        let mut bytes = 0;
        let mut puts = 0;
        for operation in operations.iter() {
            if let Operation::Put { message, .. } = operation {
                let len = message.encoded_len();
                if len > MESSAGE_MAX {
                    return Err(StoreError::Unavailable(format!(
                        "a message of {len} octets is too large"
                    )));
                }
                bytes += pending::cost(len);
                puts += 1;
            }
        }
        self.shared.append(operations, bytes, puts)
    }

    fn durable(&self) -> Ticket {
        self.shared.durable()
    }

    fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        self.shared.on_durable(ticket, waiter);
    }

    fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit, done: FetchDone) {
        self.shared.fetch(Request {
            queue,
            from,
            limit,
            ahead: false,
            done,
        });
    }

    fn order_by_due(&self, queue: QueueId) -> Result<(), StoreError> {
        let found = queue.0 >> 32 < self.shared.epoch;
        self.shared.timed.order(queue, found)
    }

    fn fetch_due(
        &self,
        queue: QueueId,
        from: DueKey,
        until: u64,
        limit: FetchLimit,
        done: DueDone,
    ) {
        self.shared.fetch_due(timed::Request {
            queue,
            from,
            until,
            limit,
            done,
        });
    }

    fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError> {
        self.shared.drop_queue(queue)
    }

    fn backlog_bytes(&self) -> usize {
        self.shared.backlog_bytes()
    }

    fn usage(&self) -> Usage {
        self.shared.usage()
    }

    fn is_low(&self) -> bool {
        self.shared.is_low()
    }

    fn set_disk_free_limit(&self, octets: u64) {
        self.shared.set_disk_free_limit(octets);
    }

    fn disk_free_limit(&self) -> u64 {
        self.shared.disk_free_limit()
    }

    fn shutdown(&self) {
        self.stop(Stop::Graceful);
    }
}

/// A share of a whole, for comparing sizes without losing digits: `part` is at most `percent` of `whole`.
fn at_most(part: u64, percent: u64, whole: u64) -> bool {
    part.saturating_mul(100) <= whole.saturating_mul(percent)
}
