//! What is counted on the way of a message.
//!
//! Each connection counts for itself, in words that only its own task writes: counting is a
//! plain load and store, and the sum is made when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters of one connection. Only its own task adds to them.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)+
        }

        /// Sums over connections.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Totals {
            /// Add the counts of one connection.
            pub(crate) fn add(&mut self, counters: &Counters) {
                $(self.$name += counters.$name.value();)+
            }
        }
    };
}

counters! {
    /// Messages received from publishers.
    received,
    /// Of these, on channels in confirm mode.
    received_confirm,
    /// Publisher confirms sent (acks and nacks, each message counted).
    confirmed,
    /// Messages routed to at least one queue.
    routed,
    /// Unroutable messages dropped.
    unroutable_dropped,
    /// Unroutable messages returned to their publisher.
    unroutable_returned,
    /// Messages delivered to consumers that need not acknowledge.
    delivered_auto_ack,
    /// Messages delivered to consumers that must acknowledge.
    delivered_manual_ack,
    /// Messages that basic.get took with no_ack.
    got_auto_ack,
    /// Messages that basic.get took and that must be acknowledged.
    got_manual_ack,
    /// basic.get on an empty queue.
    get_empty,
    /// Deliveries and gets of a message that had been delivered before.
    redelivered,
    /// Messages acknowledged by consumers.
    acknowledged,
    /// Channels opened.
    channels_opened,
    /// Channels closed.
    channels_closed,
    /// queue.declare commands answered with success.
    queues_declared,
    /// Queues that these created.
    queues_created,
    /// Queues deleted, by whatever cause this connection gave.
    queues_deleted,
    /// Publishers: channels that have published at least once, opened.
    publishers_opened,
    /// Publishers gone again.
    publishers_closed,
    /// Consumers started.
    consumers_opened,
    /// Consumers ended.
    consumers_closed,
}

/// A counter that one task writes and any may read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Add without a locked instruction: there is one writer.
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What all queues hold at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueTotals {
    /// Queues.
    pub queues: u64,
    /// Messages ready for delivery.
    pub ready: u64,
    /// Messages delivered and not yet acknowledged.
    pub unacked: u64,
    /// Body octets of both.
    pub bytes: u64,
    /// Consumers.
    pub consumers: u64,
    /// Exchanges, the default and predeclared ones included.
    pub exchanges: u64,
    /// Bindings, those of the default exchange not counted.
    pub bindings: u64,
}
