//! What the arguments of queue.declare and the policies make of a queue.

use std::sync::Arc;

use crate::time::Time;

/// The kinds of queue (argument x-queue-type).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum QueueType {
    #[default]
    Classic,
    Quorum,
}

impl QueueType {
    /// The value of the argument.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// What becomes of what does not fit (argument x-overflow).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The oldest message goes.
    #[default]
    DropHead,
    /// The new message is refused.
    RejectPublish,
    /// The new message is refused and dead-lettered.
    RejectPublishDlx,
}

/// How safely dead letters are handed on (argument x-dead-letter-strategy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// What no queue takes is lost.
    #[default]
    AtMostOnce,
    /// The queue keeps a dead letter until some queue has taken it.
    AtLeastOnce,
}

/// Where messages go that the queue gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterTarget {
    /// The exchange, looked up when a message dies; empty for the default exchange.
    pub(crate) exchange: Arc<str>,
    /// In place of the message's own routing keys.
    pub(crate) routing_key: Option<Arc<str>>,
    pub(crate) strategy: Strategy,
}

/// A queue's arguments, checked and typed, with what its policies say merged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueOptions {
    pub(crate) queue_type: QueueType,
    /// Milliseconds a message may wait.
    pub(crate) message_ttl: Option<u64>,
    /// Milliseconds after which the unused queue goes.
    pub(crate) expires: Option<u64>,
    /// Ready messages at most.
    pub(crate) max_length: Option<u64>,
    /// Body octets of ready messages at most.
    pub(crate) max_length_bytes: Option<u64>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter: Option<DeadLetterTarget>,
    /// The highest priority told apart; 0: none is.
    pub(crate) max_priority: u8,
    pub(crate) single_active_consumer: bool,
    /// Times a message may come back before it is given up.
    pub(crate) delivery_limit: Option<u32>,
    /// Milliseconds a consumer may keep a message unacknowledged.
    pub(crate) consumer_timeout: Option<u64>,
}

impl QueueOptions {
    /// Is the number of ready messages or of their octets limited?
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.max_length.is_some() || self.max_length_bytes.is_some()
    }

    /// Is what does not fit refused, rather than dropping what is there?
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.is_limited() && self.overflow != Overflow::DropHead
    }

    /// Does the oldest message go when there is no room?
    #[inline]
    pub(crate) fn drops_head(&self) -> bool {
        self.is_limited() && self.overflow == Overflow::DropHead
    }

    /// Would `messages` with `bytes` body octets be too much?
    #[inline]
    pub(crate) fn is_over(&self, messages: u64, bytes: u64) -> bool {
        self.max_length.is_some_and(|limit| messages > limit)
            || self.max_length_bytes.is_some_and(|limit| bytes > limit)
    }

    /// Does the queue itself need to know the time, whatever its messages say?
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.message_ttl.is_some() || self.expires.is_some()
    }

    /// Is there something to see to after every operation?
    #[inline]
    pub(crate) fn needs_upkeep(&self) -> bool {
        self.is_limited() || self.is_timed() || self.keeps_dead_letters()
    }

    pub(crate) fn is_quorum(&self) -> bool {
        self.queue_type == QueueType::Quorum
    }

    /// The queue keeps dead letters until they are taken.
    pub(crate) fn keeps_dead_letters(&self) -> bool {
        self.dead_letter
            .as_ref()
            .is_some_and(|target| target.strategy == Strategy::AtLeastOnce)
    }

    /// Until when a message that enters now may wait; `expiration` is its own time to live.
    pub(crate) fn deadline(&self, now: Time, expiration: Option<u64>) -> Time {
        match (self.message_ttl, expiration) {
            (None, None) => Time::NEVER,
            (Some(ttl), None) | (None, Some(ttl)) => now.after(ttl),
            (Some(ttl), Some(expiration)) => now.after(ttl.min(expiration)),
        }
    }
}
