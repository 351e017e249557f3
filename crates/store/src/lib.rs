//! What must outlive the process: definitions, messages, settles.
//!
//! Here live [`Store`], the one way the broker speaks to its storage, and what stands behind it: [`EmbeddedStore`] (a
//! message log and sled in a folder), [`MemoryStore`] (the oracle the others are compared with), [`FaultyStore`] (breaks
//! any other on purpose) and [`conformance`], the tests every store must pass. Nothing here knows what a queue, a
//! consumer or a user is: queues are numbers, definitions are octets, messages are opaque but for their storage form.
//!
//! How data comes through the embedded store: [`Store::append`] moves operations into a pending list and returns;
//! the commit thread takes all of it, encodes it into one buffer, writes, updates the index, syncs once, raises the
//! durable watermark and calls the waiters. Reads go through a reader thread which finds places in the index and
//! reads them from the segments; another one does that by due time. A fourth thread deletes and compacts segments and writes checkpoints.

#![forbid(unsafe_code)]

mod catalogue;
pub mod conformance;
mod definitions;
pub mod disk;
mod embedded;
mod error;
mod faulty;
#[doc(hidden)]
pub mod fuzz;
mod index;
mod log;
mod memory;
pub mod moment;
mod octets;
mod operation;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use embedded::backup::{Backup, back_up};
pub use embedded::inspect::{Damage, FileReport, Inspection, StoredMessage};
pub use embedded::{EmbeddedStore, Options, SyncMode};
pub use error::StoreError;
pub use faulty::{Call, FaultyStore};
pub use memory::MemoryStore;
pub use operation::{
    Change, Claimed, DueBatch, DueKey, FetchLimit, Fetched, Operation, QueueId, Seq, Ticket, Usage,
};

/// Told once about a ticket: see [`Store::on_durable`]. Called on a thread of the store, with no lock of it held; must
/// not block for long, since other waiters come after it.
pub trait DurableWaiter: Send + Sync {
    /// Everything up to `ticket` is durable, or need never be.
    fn durable(&self, ticket: Ticket);
    /// The ticket will never be durable.
    fn failed(&self, error: &StoreError);
}

/// Where a fetch puts its answer. Called once on a thread of the store.
pub type FetchDone = Box<dyn FnOnce(Result<Vec<Fetched>, StoreError>) + Send>;

/// Where a read by due time puts its answer. Called once on a thread of the store.
pub type DueDone = Box<dyn FnOnce(Result<DueBatch, StoreError>) + Send>;

/// An ordered, durable map (queue, sequence) to message, with the definitions beside it.
///
/// The broker is the single writer of what it has claimed and numbers messages itself. No method blocks on the disk
/// (except [`Store::shutdown`], and [`Store::definitions`] and [`Store::claim`] on stores that are opening), and none
/// takes a lock that the broker may hold; answers come on threads of the store with none of its locks held.
pub trait Store: Send + Sync + 'static {
    /// Every definition: an ordered map of opaque keys to opaque values, including changes not durable yet.
    fn definitions(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError>;

    /// Change definitions, all of `changes` or none, in one order with the messages. Durable when the ticket is.
    fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError>;

    /// A number no queue ever had.
    fn next_queue_id(&self) -> QueueId;

    /// Take a queue that was there before and learn what it holds. To be called once for every durable queue between
    /// opening and [`Store::recovered`].
    fn claim(&self, queue: QueueId) -> Result<Claimed, StoreError>;

    /// All claims are made: whatever belongs to another queue of before is garbage and is dropped.
    fn recovered(&self);

    /// Take operations in order, emptying `operations` but for its capacity. The first gets the returned ticket, the
    /// others those that follow; for an empty list it is the newest ticket given so far. On an error nothing was taken.
    fn append(&self, operations: &mut Vec<Operation>) -> Result<Ticket, StoreError>;

    /// The newest ticket up to which everything is durable, or need never be.
    fn durable(&self) -> Ticket;

    /// Call `waiter` once: when `ticket` is durable (at once, from a store thread, if it already is), or when it never
    /// will be. Hurries a ticket that would otherwise have been lazy.
    fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>);

    /// Read live messages of a queue in order of sequence, from `from` on. Sees every put appended before the call. What
    /// was settled before is left out when less than `limit` is left; otherwise a message whose settle is not written yet
    /// may be among them, as may a delivery count be missing that is not: a writer knows what it has settled. A message
    /// that turns out to be unreadable is left out, reported and counted.
    fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit, done: FetchDone);

    /// From now on the messages of `queue` can be read by due time ([`Store::fetch_due`]). To be called before its first
    /// put; for a queue that was there before, before its claim, when it may block: the order by due time is derived from
    /// the messages, and what is missing of it on disk is made good.
    fn order_by_due(&self, queue: QueueId) -> Result<(), StoreError>;

    /// Read live messages of a queue in order of due time, then sequence: those from `from` on that are due at `until`
    /// (milliseconds since the Unix epoch) at the latest. When each is due was attached to it before it was put
    /// ([`moment::attach`] with [`moment::Mark::DUE`]); one without is due always. Otherwise as [`Store::fetch`]. A queue
    /// that is not ordered by due time has none.
    fn fetch_due(&self, queue: QueueId, from: DueKey, until: u64, limit: FetchLimit, done: DueDone);

    /// Everything of a queue is gone. Durable like a settle.
    fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError>;

    /// Octets accepted and not written yet: what back-pressure on publishers is measured by.
    fn backlog_bytes(&self) -> usize;

    /// Sizes and counters.
    fn usage(&self) -> Usage;

    /// [`Usage::low`] alone: one look, cheap enough for every run of publishes.
    fn is_low(&self) -> bool {
        false
    }

    /// From now on the disk is low from when fewer octets than this are free; 0: never. Nothing where there is no disk.
    fn set_disk_free_limit(&self, _octets: u64) {}

    /// The limit that [`Store::set_disk_free_limit`] sets.
    fn disk_free_limit(&self) -> u64 {
        0
    }

    /// Make everything that waits durable, then stop. Whatever comes later fails with [`StoreError::Unavailable`].
    fn shutdown(&self);
}
