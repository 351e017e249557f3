//! Resource alarms: what makes the node stop reading from those who publish.
//!
//! Raising and clearing are calls from outside; whoever watches a resource needs nothing else. Each cause is
//! an alarm of its own, so that two watchers of one resource do not clear each other's. Every connection hears of a
//! change through its mailbox and looks here; its protocol machine then knows what to do about its publishes.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use leveret_store::StoreError;

use crate::broker::{Broker, Shared};
use crate::time::Time;

/// Milliseconds for which the store must have had room until its alarm is cleared: one freed segment that fills up
/// again at once would have all publishers stop and go with it.
const ROOM_FOR: u64 = 5_000;

/// Why publishers are held back (RabbitMQ page "Memory and Disk Alarms").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The disk has less room than it should: `low on disk`.
    FreeDisk,
    /// The process uses more memory than it should: `low on memory`.
    Memory,
    /// The store has refused a message for want of room: `low on disk`.
    StoreFull,
    /// The store says that fewer octets are free than it is to leave: `low on disk`.
    StoreLow,
}

impl Alarm {
    fn bit(self) -> u8 {
        match self {
            Self::FreeDisk => 1,
            Self::Memory => 1 << 1,
            Self::StoreFull => 1 << 2,
            Self::StoreLow => 1 << 3,
        }
    }
}

/// The alarms in effect.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    raised: AtomicU8,
    /// When the store was last known to be full, in milliseconds as [`Time`].
    full_at: AtomicU64,
}

impl Alarms {
    fn is_raised(&self, alarm: Alarm) -> bool {
        self.raised.load(Ordering::SeqCst) & alarm.bit() != 0
    }

    /// Is there too little room on the disk, for whatever cause?
    fn is_low_on_disk(&self) -> bool {
        [Alarm::FreeDisk, Alarm::StoreFull, Alarm::StoreLow]
            .iter()
            .any(|alarm| self.is_raised(*alarm))
    }

    /// The reason that connection.blocked gives; none when there is no alarm. Two resources come in RabbitMQ's order.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match (self.is_low_on_disk(), self.is_raised(Alarm::Memory)) {
            (true, true) => Some("low on disk & memory"),
            (true, false) => Some("low on disk"),
            (false, true) => Some("low on memory"),
            (false, false) => None,
        }
    }
}

impl Shared {
    fn raise(&self, alarm: Alarm) {
        let before = self.alarms.raised.fetch_or(alarm.bit(), Ordering::SeqCst);
        if before & alarm.bit() == 0 {
            tracing::warn!(?alarm, "alarm raised: publishers are held back");
            self.connections.announce_alarms();
        }
    }

    fn clear(&self, alarm: Alarm) {
        let before = self.alarms.raised.fetch_and(!alarm.bit(), Ordering::SeqCst);
        if before & alarm.bit() != 0 {
            tracing::warn!(?alarm, "alarm cleared");
            self.connections.announce_alarms();
        }
    }

    /// Messages are on their way to the store: if its disk is low, those that follow are to wait. A fast publisher
    /// could fill the disk before the next [`Broker::check_store`].
    #[inline]
    pub(crate) fn note_low_store(&self) {
        if self.store.is_low() {
            self.raise(Alarm::StoreLow);
        }
    }

    /// The store did not take messages: if it has no room for them, their publishers are to wait.
    pub(crate) fn note_refusal(&self, error: &StoreError) {
        if *error == StoreError::Full {
            let now = self.clock.now().0;
            self.alarms.full_at.fetch_max(now, Ordering::Relaxed);
            self.raise(Alarm::StoreFull);
        }
    }
}

impl Broker {
    /// There is an alarm: from now on a connection that publishes is told so and not read any more.
    pub fn raise_alarm(&self, alarm: Alarm) {
        self.shared.raise(alarm);
    }

    /// The alarm is over. When it was the last one, all connections are read again.
    pub fn clear_alarm(&self, alarm: Alarm) {
        self.shared.clear(alarm);
    }

    /// Is this alarm in effect?
    pub fn is_raised(&self, alarm: Alarm) -> bool {
        self.shared.alarms.is_raised(alarm)
    }

    /// Is there an alarm for want of room on the disk?
    pub fn is_low_on_disk(&self) -> bool {
        self.shared.alarms.is_low_on_disk()
    }

    /// See whether the store has room, and raise or clear [`Alarm::StoreFull`] and [`Alarm::StoreLow`]. To be called
    /// now and then; the first is cleared once the store has had room for five seconds, the second when the store
    /// says so. Returns the octets free on its disk, `u64::MAX` if it has none: the fewer, the sooner to look again.
    pub fn check_store(&self, now: Time) -> u64 {
        let alarms = &self.shared.alarms;
        let usage = self.shared.store.usage();
        if usage.low {
            self.shared.raise(Alarm::StoreLow);
        } else {
            self.shared.clear(Alarm::StoreLow);
        }
        if usage.full {
            alarms.full_at.fetch_max(now.0, Ordering::Relaxed);
            self.shared.raise(Alarm::StoreFull);
        } else if now.since(Time(alarms.full_at.load(Ordering::Relaxed))) >= ROOM_FOR {
            self.shared.clear(Alarm::StoreFull);
        }
        usage.free_bytes
    }
}
