//! The vocabulary of the trait: identifiers, operations, and what comes back.

use std::time::Duration;

use leveret_wire::Message;

/// The number of a queue in the store. Never reused, not even after a crash: the upper 32 bits are the store's epoch
/// (which grows durably at every open), the lower 32 a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(pub u64);

/// The place of a message in its queue. The broker counts it; the store only orders by it.
pub type Seq = u64;

/// A position in the order of appended operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Before the first operation: durable from the start.
    pub const NONE: Self = Self(0);
}

/// One thing the broker tells the store about a message or a run of messages.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A message has entered a queue.
    Put {
        /// The queue it entered.
        queue: QueueId,
        /// Its place there.
        seq: Seq,
        /// The message; puts that carry the same one (see `Message::identity`) share its octets on disk.
        message: Message,
        /// Whether it must survive a restart. A message that need not is written only so that memory is freed, never
        /// synced for its own sake, and is gone after a restart.
        durable: bool,
    },
    /// Every live message of the queue in `first..=last` is done: acked, expired, dead-lettered, dropped or purged.
    Settle {
        /// The queue.
        queue: QueueId,
        /// The first sequence settled.
        first: Seq,
        /// The last sequence settled, inclusive; may lie beyond the newest message.
        last: Seq,
        /// The ticket of the put of `first`, if known. The puts of the whole range must have consecutive tickets then;
        /// those that were not written yet are cancelled and never reach the disk.
        put: Option<Ticket>,
    },
    /// The messages `first..=last` were delivered and are not settled: the delivery count of each grows by one.
    Delivered {
        /// The queue.
        queue: QueueId,
        /// The first sequence delivered.
        first: Seq,
        /// The last sequence delivered, inclusive.
        last: Seq,
    },
}

/// One change of the definitions: opaque keys and values, the broker's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set `key` to `value`.
    Put {
        /// What is defined.
        key: Vec<u8>,
        /// How.
        value: Vec<u8>,
    },
    /// Remove `key`, if it is there.
    Delete {
        /// What is no longer defined.
        key: Vec<u8>,
    },
}

/// What a queue holds when it is claimed after opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The epoch under which the queue is held: grows with every open of the store.
    pub epoch: u64,
    /// The lowest sequence that was never used in this queue, as far as the store knows.
    pub next_seq: Seq,
    /// Live messages.
    pub messages: u64,
    /// Octets of their bodies.
    pub bytes: u64,
}

/// How much one fetch may bring. At least one message comes if there is one, whatever the limits say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchLimit {
    /// Messages at most.
    pub messages: usize,
    /// Octets of encoded messages at most.
    pub bytes: usize,
}

/// A message read back.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its place in the queue.
    pub seq: Seq,
    /// The message as it was put.
    pub message: Message,
    /// How often it was marked delivered; 0 means never.
    pub delivery_count: u32,
    /// Whether it was put to survive a restart.
    pub persistent: bool,
}

/// The place of a message among those of its queue that are read by due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DueKey {
    /// When it is due, in milliseconds since the Unix epoch.
    pub due: u64,
    /// Its place in the queue: of those due at the same time, the lowest is first.
    pub seq: Seq,
}

impl DueKey {
    /// Before everything.
    pub const FIRST: Self = Self { due: 0, seq: 0 };
    /// After everything.
    pub const LAST: Self = Self {
        due: u64::MAX,
        seq: Seq::MAX,
    };

    /// The place right behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self.seq.checked_add(1) {
            Some(seq) => Self { seq, ..self },
            None => Self {
                due: self.due.saturating_add(1),
                seq: 0,
            },
        }
    }
}

/// Messages read by due time, and what comes after them.
#[derive(Clone, Debug, Default)]
pub struct DueBatch {
    /// Each with the moment at which it is due, in order of [`DueKey`]. They are as they were put, moment included.
    pub messages: Vec<(u64, Fetched)>,
    /// A place before which nothing else is found after these, whether due in time or not; `None` if nothing is left.
    /// What stands there may have been settled meanwhile.
    pub next: Option<DueKey>,
}

/// Sizes and counters of a store, for limits and metrics. Counters count from the opening of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Message log segments on disk.
    pub segments: u64,
    /// Octets of them that hold records.
    pub disk_bytes: u64,
    /// Queues that the store knows.
    pub queues: u64,
    /// Messages in the log that are not settled.
    pub live_messages: u64,
    /// Octets on disk of those, within some 6 % (the index keeps sizes coarsely).
    pub live_bytes: u64,
    /// Octets accepted and not written yet.
    pub backlog_bytes: u64,
    /// Definitions.
    pub definitions: u64,
    /// Batches written.
    pub batches: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Time spent in those syncs.
    pub sync_time: Duration,
    /// Octets written to the log.
    pub written_bytes: u64,
    /// Octets of live messages copied so that a mostly settled segment could be deleted.
    pub moved_bytes: u64,
    /// Segments deleted.
    pub deleted_segments: u64,
    /// Puts that were settled before they were written and never reached the disk.
    pub cancelled_puts: u64,
    /// Damaged places met: while opening, while reading back, while compacting.
    pub damaged_records: u64,
    /// Octets cut off the end of the log while opening: an unfinished write.
    pub truncated_bytes: u64,
    /// Octets free on the disk of the store when it was last looked at: every second or two. `u64::MAX` if unknown.
    pub free_bytes: u64,
    /// Fewer octets are free than [`Options::disk_free_limit`](crate::Options::disk_free_limit), or were and a tenth
    /// more than that are not free yet: time to hold publishers back, before the disk is full.
    pub low: bool,
    /// No room for another segment: puts are refused until some is freed.
    pub full: bool,
    /// A write or a sync failed: nothing more becomes durable.
    pub poisoned: bool,
}
