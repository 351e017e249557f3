//! One message in one queue.

use leveret_store::{Seq, Ticket};
use leveret_wire::Message;

use crate::time::Time;

/// What a message costs in memory besides its octets, for limits that count memory.
pub(crate) const MESSAGE_OVERHEAD: usize = 128;

/// A message as one queue holds it. It moves: from the queue's ready list to a consumer's
/// channel as unacknowledged, and either back (requeue) or away (ack).
#[derive(Debug)]
pub(crate) struct Entry {
    /// Position in its queue; the store knows the message by (queue id, sequence).
    pub(crate) seq: Seq,
    pub(crate) message: Message,
    pub(crate) stored: Stored,
    /// How often it was given to a consumer that must acknowledge and came back.
    pub(crate) delivery_count: u32,
    /// When it expires, fixed when it entered the queue.
    pub(crate) deadline: Time,
}

impl Entry {
    /// Octets this entry counts for in limits of memory.
    #[inline]
    pub(crate) fn cost(&self) -> usize {
        self.message.body().len() + MESSAGE_OVERHEAD
    }

    /// AMQP's `redelivered`: it was given to a consumer before and came back.
    #[inline]
    pub(crate) fn redelivered(&self) -> bool {
        self.delivery_count > 0
    }
}

/// Whether the store has the message, and the ticket of the operation that put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored(u64);

impl Stored {
    /// Only in memory: nothing to settle.
    pub(crate) const NO: Self = Self(u64::MAX);
    /// In the store since before this process, or read back from it: its put can't be cancelled.
    pub(crate) const BEFORE: Self = Self(0);

    #[inline]
    pub(crate) fn by(ticket: Ticket) -> Self {
        Self(ticket.0)
    }

    #[inline]
    pub(crate) fn is_stored(self) -> bool {
        self != Self::NO
    }

    /// The ticket of the put, if it may still be on its way to the disk.
    #[inline]
    pub(crate) fn ticket(self) -> Option<Ticket> {
        (self != Self::NO && self != Self::BEFORE).then_some(Ticket(self.0))
    }
}
