//! What is known of a queue from what went in and what came out.

use std::collections::{BTreeMap, BTreeSet};

use leveret_store::Seq;

use crate::mailbox::ChannelCredit;

/// A message as the oracle knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) persistent: bool,
    /// How often it came back after it was given to somebody who had to acknowledge.
    pub(super) returns: u32,
}

/// A consumer, by its key.
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) channel: usize,
    pub(super) no_ack: bool,
    pub(super) prefetch: u32,
    pub(super) priority: i32,
    pub(super) unacked: u32,
    /// It may have been passed over for want of room or shared credit, and wait to be resumed.
    pub(super) maybe_stalled: bool,
    /// When it went to the end of its ring; `None` when that can't be told.
    pub(super) joined: Option<u64>,
}

impl Consumer {
    pub(super) fn has_prefetch(&self) -> bool {
        self.no_ack || self.prefetch == 0 || self.unacked < self.prefetch
    }
}

/// The shared limit of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channel {
    pub(super) limit: u32,
    pub(super) counted: u32,
}

impl Channel {
    fn available(self) -> bool {
        self.limit == 0 || self.counted < self.limit
    }
}

/// A message that is out, and whom it went to.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) entry: crate::entry::Entry,
    /// The consumer's key; `None` for basic.get.
    pub(super) consumer: Option<u32>,
    pub(super) channel: usize,
    pub(super) counted: bool,
}

/// The state that follows from the history.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) next: Seq,
    pub(super) ready: BTreeMap<Seq, Known>,
    /// Out and to be settled.
    pub(super) unacked: BTreeMap<Seq, Known>,
    pub(super) gone: BTreeSet<Seq>,
    pub(super) consumers: BTreeMap<u32, Consumer>,
    pub(super) channels: Vec<Channel>,
    /// Octets each connection was given and its socket has not taken.
    pub(super) outstanding: Vec<usize>,
    pub(super) high: Vec<usize>,
    /// Grows with everything that changes an order.
    pub(super) clock: u64,
}

impl Oracle {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn publish(&mut self, known: Known) {
        self.ready.insert(self.next, known);
        self.next += 1;
    }

    pub(super) fn consumer_joins(&mut self, key: u32, mut consumer: Consumer) {
        consumer.joined = Some(self.tick());
        self.consumers.insert(key, consumer);
    }

    /// Is it certain that the queue could give `consumer` a message now?
    fn could_have(&self, consumer: &Consumer) -> bool {
        let connection = consumer.channel / 2;
        consumer.has_prefetch()
            && !consumer.maybe_stalled
            && (consumer.no_ack || self.channels[consumer.channel].available())
            && self.outstanding[connection] < self.high[connection]
    }

    /// Check that the oldest ready message is the one that went out; it is no longer ready.
    fn take_oldest(&mut self, seq: Seq, number: u64, returns: u32) -> Known {
        let (oldest, known) = self
            .ready
            .pop_first()
            .unwrap_or_else(|| panic!("{seq} was given twice or never came"));
        assert_eq!(oldest, seq, "the oldest ready message goes first");
        assert_eq!(
            (known.number, known.returns),
            (number, returns),
            "message {seq} is not what was published"
        );
        known
    }

    /// A message went out to a basic.get.
    pub(super) fn got(&mut self, seq: Seq, number: u64, returns: u32, no_ack: bool) {
        let known = self.take_oldest(seq, number, returns);
        if no_ack {
            self.gone.insert(seq);
        } else {
            self.unacked.insert(seq, known);
        }
    }

    /// A message went out to the consumer `key`: was it that one's turn?
    pub(super) fn delivered(
        &mut self,
        key: u32,
        seq: Seq,
        (number, returns): (u64, u32),
        cost: usize,
        counted: bool,
    ) {
        let known = self.take_oldest(seq, number, returns);
        let to = self
            .consumers
            .get(&key)
            .unwrap_or_else(|| panic!("consumer {key} has gone"))
            .clone();
        assert!(
            to.has_prefetch(),
            "consumer {key} has {} unacknowledged of {}",
            to.unacked,
            to.prefetch
        );
        for (other, consumer) in self.consumers.iter().filter(|(other, _)| **other != key) {
            if !self.could_have(consumer) {
                continue;
            }
            assert!(
                consumer.priority <= to.priority,
                "{other} has a higher priority than {key} and credit"
            );
            if consumer.priority == to.priority
                && let (Some(theirs), Some(its)) = (consumer.joined, to.joined)
            {
                assert!(its < theirs, "it was the turn of {other}, not of {key}");
            }
        }
        let channel = &mut self.channels[to.channel];
        assert_eq!(counted, !to.no_ack && channel.limit > 0);
        if counted {
            assert!(
                channel.available(),
                "channel {} has {} of {}",
                to.channel,
                channel.counted,
                channel.limit
            );
            channel.counted += 1;
        }
        self.outstanding[to.channel / 2] += cost;
        let joined = Some(self.tick());
        if let Some(consumer) = self.consumers.get_mut(&key) {
            consumer.joined = joined;
            consumer.maybe_stalled = false;
            consumer.unacked += u32::from(!to.no_ack);
        }
        if to.no_ack {
            self.gone.insert(seq);
        } else {
            self.unacked.insert(seq, known);
        }
    }

    /// `count` messages of a consumer are settled: it comes back into its ring.
    pub(super) fn consumer_settles(&mut self, key: u32, count: u32) {
        let now = self.tick();
        let Some(consumer) = self.consumers.get_mut(&key) else {
            return;
        };
        let was_out = !consumer.has_prefetch();
        consumer.unacked -= count;
        if was_out {
            consumer.joined = Some(now);
        } else if consumer.maybe_stalled {
            consumer.joined = None;
        }
        consumer.maybe_stalled = false;
    }

    /// A consumer that was passed over is served again.
    pub(super) fn consumer_resumes(&mut self, key: u32) {
        if let Some(consumer) = self.consumers.get_mut(&key) {
            consumer.joined = None;
            consumer.maybe_stalled = false;
        }
    }

    pub(super) fn settles(&mut self, seq: Seq, requeued: bool) {
        let mut known = self
            .unacked
            .remove(&seq)
            .expect("only what is out is settled");
        if requeued {
            known.returns += 1;
            self.ready.insert(seq, known);
        } else {
            self.gone.insert(seq);
        }
    }

    /// A step is over: whoever has no room or credit now may have been passed over.
    pub(super) fn step_ends(&mut self) {
        let full: Vec<bool> = self
            .outstanding
            .iter()
            .zip(&self.high)
            .map(|(now, high)| now >= high)
            .collect();
        for consumer in self.consumers.values_mut() {
            let credit = consumer.no_ack || self.channels[consumer.channel].available();
            if full[consumer.channel / 2] || !credit {
                consumer.maybe_stalled = true;
            }
        }
    }

    /// A consumer that certainly could have a message.
    pub(super) fn idle(&self) -> Option<u32> {
        self.consumers
            .iter()
            .find(|(_, consumer)| self.could_have(consumer))
            .map(|(key, _)| *key)
    }

    /// Do the channels' own counts agree with what went out and came back?
    pub(super) fn check_credit(&self, credits: &[std::sync::Arc<ChannelCredit>]) {
        for (channel, credit) in self.channels.iter().zip(credits) {
            assert_eq!(
                (credit.limited(), credit.available()),
                (channel.limit > 0, channel.available())
            );
        }
    }
}
