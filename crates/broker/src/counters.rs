//! What is counted on the way of a message.
//!
//! Each connection counts for itself, in words that only its own task writes: counting is a
//! plain load and store, and the sum is made when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dead_letter::Reason;
use crate::queue::{QueueOptions, QueueType, Strategy};

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
    /// Messages that basic.get took without asking for an acknowledgement.
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

impl Counters {
    /// Channels that the connection has open.
    pub(crate) fn open_channels(&self) -> u64 {
        let closed = self.channels_closed.value();
        self.channels_opened.value().saturating_sub(closed)
    }
}

/// A counter that one task writes and any may read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Add without a locked instruction: there is one writer.
    #[inline]
    pub(crate) fn add(&self, count: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of what queues gave up. Any task adds to them.
#[derive(Debug, Default)]
pub(crate) struct Discards {
    groups: [Discarded; GROUPS.len()],
    dead_lettered: AtomicU64,
    dead_letters_lost: AtomicU64,
}

/// Counts of one group of queues, one for each reason.
#[derive(Debug, Default)]
struct Discarded {
    delivery_limit: AtomicU64,
    expired: AtomicU64,
    max_length: AtomicU64,
    rejected: AtomicU64,
    confirmed: AtomicU64,
}

/// The groups, by their labels in RabbitMQ's metrics: queue type and dead-letter strategy.
const GROUPS: [(&str, &str); 5] = [
    ("rabbit_classic_queue", "disabled"),
    ("rabbit_classic_queue", "at_most_once"),
    ("rabbit_quorum_queue", "disabled"),
    ("rabbit_quorum_queue", "at_most_once"),
    ("rabbit_quorum_queue", "at_least_once"),
];

/// The place of a queue's group.
fn group(options: &QueueOptions) -> usize {
    let strategy = options.dead_letter.as_ref().map(|target| target.strategy);
    match (options.queue_type, strategy) {
        (QueueType::Classic, None) => 0,
        (QueueType::Classic, Some(_)) => 1,
        (QueueType::Quorum, None) => 2,
        (QueueType::Quorum, Some(Strategy::AtMostOnce)) => 3,
        (QueueType::Quorum, Some(Strategy::AtLeastOnce)) => 4,
    }
}

/// Messages that queues of one type and one dead-letter strategy gave up since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiscardGroup {
    /// `rabbit_classic_queue` or `rabbit_quorum_queue`.
    pub queue_type: &'static str,
    /// `disabled` without a dead-letter exchange, `at_most_once`, or `at_least_once`.
    pub strategy: &'static str,
    /// Came back more often than their queue allows.
    pub delivery_limit: u64,
    /// Waited longer than their time to live.
    pub expired: u64,
    /// Were over a length limit; publishes that such a queue refused and dead-lettered too.
    pub max_length: u64,
    /// Were rejected by a consumer.
    pub rejected: u64,
    /// Of all these, were taken by some queue of the dead-letter exchange.
    pub confirmed: u64,
}

/// Messages that queues gave up since the start, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiscardTotals {
    /// Came back more often than their queue allows.
    pub delivery_limit: u64,
    /// Waited longer than their time to live.
    pub expired: u64,
    /// Were over a length limit; publishes that such a queue refused and dead-lettered too.
    pub max_length: u64,
    /// Were rejected by a consumer.
    pub rejected: u64,
    /// Of all these, were taken by some queue of a dead-letter exchange.
    pub dead_lettered: u64,
    /// Were for a dead-letter exchange, and no queue took them.
    pub dead_letters_lost: u64,
    /// The same by type of queue and dead-letter strategy.
    pub groups: Vec<DiscardGroup>,
}

impl Discards {
    /// A queue with these options gave up `count` messages.
    pub(crate) fn add(&self, options: &QueueOptions, reason: Reason, count: u64) {
        let discarded = &self.groups[group(options)];
        let counter = match reason {
            Reason::DeliveryLimit => &discarded.delivery_limit,
            Reason::Expired => &discarded.expired,
            Reason::MaxLength => &discarded.max_length,
            Reason::Rejected => &discarded.rejected,
        };
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// A dead letter of a queue with these options has been published.
    pub(crate) fn add_dead_letter(&self, options: &QueueOptions, is_taken: bool) {
        if is_taken {
            self.dead_lettered.fetch_add(1, Ordering::Relaxed);
            let confirmed = &self.groups[group(options)].confirmed;
            confirmed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.dead_letters_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn totals(&self) -> DiscardTotals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let groups: Vec<DiscardGroup> = GROUPS
            .iter()
            .zip(&self.groups)
            .map(|(&(queue_type, strategy), discarded)| DiscardGroup {
                queue_type,
                strategy,
                delivery_limit: read(&discarded.delivery_limit),
                expired: read(&discarded.expired),
                max_length: read(&discarded.max_length),
                rejected: read(&discarded.rejected),
                confirmed: read(&discarded.confirmed),
            })
            .collect();
        let sum = |of: fn(&DiscardGroup) -> u64| groups.iter().map(of).sum();
        DiscardTotals {
            delivery_limit: sum(|group| group.delivery_limit),
            expired: sum(|group| group.expired),
            max_length: sum(|group| group.max_length),
            rejected: sum(|group| group.rejected),
            dead_lettered: read(&self.dead_lettered),
            dead_letters_lost: read(&self.dead_letters_lost),
            groups,
        }
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
    /// Messages that delayed exchanges keep.
    pub delayed: u64,
    /// Octets of their bodies.
    pub delayed_bytes: u64,
}
