//! One channel of a session: what is outstanding on it, and what waits to be said.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_protocol::ChannelError;
use leveret_store::Ticket;
use leveret_wire::{AMQPClass, Message};
use rustc_hash::FxHashMap;

use super::confirm::Confirms;
use super::timeouts::Marks;
use super::transaction::Transaction;
use crate::entry::Entry;
use crate::mailbox::{ChannelCredit, Got};
use crate::queue::{ConsumerId, Queue};

/// A message that the client has and must settle.
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) tag: u64,
    /// Slot of its queue in the session.
    pub(super) queue: u32,
    /// The consumer it went to; `None` for basic.get.
    pub(super) consumer: Option<ConsumerId>,
    /// Counted against the channel's shared prefetch.
    pub(super) counted: bool,
    /// It was sent to the client; else it goes back as if it had never left its queue.
    pub(super) sent: bool,
    pub(super) entry: Entry,
}

/// A delivery that waits behind other output. It knows its consumer, which may be gone by then.
#[derive(Debug)]
pub(super) struct HeldDelivery {
    pub(super) consumer_tag: Arc<str>,
    pub(super) no_ack: bool,
    pub(super) message: Unacked,
}

/// Something to be sent that must wait for something else: the channel's output is kept in
/// order behind it.
#[derive(Debug)]
pub(super) enum Held {
    /// A reply that is true once the ticket is durable.
    Reply(Ticket, AMQPClass),
    Delivery(HeldDelivery),
    /// Answer to basic.get, which may have to wait for the store to read the message.
    Get {
        request: u64,
        queue: u32,
        no_ack: bool,
        answer: GetAnswer,
    },
    Return(Message),
    /// The channel ends, by the client's channel.close or by a soft error.
    End(Option<ChannelError>),
}

/// How far a basic.get has come.
#[derive(Debug)]
pub(super) enum GetAnswer {
    /// The store is reading the message.
    Awaited,
    Empty,
    Got(Got),
}

/// What channel mode decides about publishes and acknowledgements.
#[derive(Debug, Default)]
pub(super) enum Mode {
    #[default]
    Plain,
    /// After confirm.select.
    Confirm(Confirms),
    /// After tx.select.
    Transaction(Transaction),
}

/// The state of one open channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) mode: Mode,
    /// Delivered or got, and not settled; in order of their tags. A settled one in the middle
    /// leaves a hole until everything before it is settled.
    unacked: VecDeque<(u64, Option<Unacked>)>,
    /// The last delivery tag given.
    last_tag: u64,
    /// Keys of this channel's consumers, by tag.
    pub(super) consumers: FxHashMap<Arc<str>, u32>,
    /// The consumer of direct reply-to, and the queue behind it.
    pub(super) replies: Option<(u32, Arc<Queue>)>,
    /// The last queue declared here: what an empty queue name means.
    pub(super) last_queue: Option<Arc<str>>,
    /// Prefetch of consumers started from now on (basic.qos, global = false).
    pub(super) prefetch: u32,
    /// Prefetch shared by the channel (global = true).
    pub(super) credit: Arc<ChannelCredit>,
    /// Output that waits, and all that came after it.
    pub(super) held: VecDeque<Held>,
    /// It has published at least once.
    pub(super) is_publisher: bool,
    /// Cleaned up; only held output is left to send.
    pub(super) ending: bool,
    /// The client sent channel.close and waits for close-ok.
    pub(super) client_closed: bool,
    /// How old outstanding deliveries are.
    pub(super) marks: Marks,
}

impl Channel {
    /// The next delivery tag.
    #[inline]
    pub(super) fn next_tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    #[inline]
    pub(super) fn push_unacked(&mut self, unacked: Unacked) {
        self.unacked.push_back((unacked.tag, Some(unacked)));
    }

    /// Take out what a client settles: one tag, or with `multiple` everything up to it (0:
    /// everything). `None`: the tag is not outstanding.
    pub(super) fn take(
        &mut self,
        tag: u64,
        multiple: bool,
        mut taken: impl FnMut(Unacked),
    ) -> Option<()> {
        if multiple {
            if tag != 0 {
                self.position(tag)?;
            }
            while let Some((front, _)) = self.unacked.front() {
                if tag != 0 && *front > tag {
                    break;
                }
                if let Some((_, Some(unacked))) = self.unacked.pop_front() {
                    taken(unacked);
                }
            }
        } else {
            let at = self.position(tag)?;
            let unacked = self.unacked.get_mut(at)?.1.take()?;
            taken(unacked);
        }
        while let Some((_, None)) = self.unacked.front() {
            self.unacked.pop_front();
        }
        Some(())
    }

    /// Put messages back that a rolled back transaction had taken.
    pub(super) fn put_back(&mut self, restored: impl IntoIterator<Item = Unacked>) {
        for unacked in restored {
            match self
                .unacked
                .binary_search_by_key(&unacked.tag, |(tag, _)| *tag)
            {
                Ok(at) => self.unacked[at].1 = Some(unacked),
                Err(at) => self.unacked.insert(at, (unacked.tag, Some(unacked))),
            }
        }
    }

    /// Everything outstanding, oldest first.
    pub(super) fn take_all(&mut self) -> Vec<Unacked> {
        self.unacked
            .drain(..)
            .filter_map(|(_, unacked)| unacked)
            .collect()
    }

    /// How many are outstanding, with what was settled out of their order. What stands in front is outstanding.
    pub(super) fn outstanding(&self) -> usize {
        self.unacked.len()
    }

    /// The last delivery tag given.
    pub(super) fn last_tag(&self) -> u64 {
        self.last_tag
    }

    /// Everything outstanding, oldest first.
    pub(super) fn unacked(&self) -> impl Iterator<Item = &Unacked> {
        self.unacked
            .iter()
            .filter_map(|(_, unacked)| unacked.as_ref())
    }

    /// As [`Channel::unacked_mut`], with what an uncommitted transaction holds.
    pub(super) fn outstanding_mut(&mut self) -> impl Iterator<Item = &mut Unacked> {
        let held = match &mut self.mode {
            Mode::Transaction(transaction) => transaction.settled.as_mut_slice(),
            Mode::Plain | Mode::Confirm(_) => &mut [],
        };
        let held = held.iter_mut().flat_map(|(_, taken)| taken);
        self.unacked
            .iter_mut()
            .filter_map(|(_, unacked)| unacked.as_mut())
            .chain(held)
    }

    /// Everything outstanding, to be looked at or marked.
    pub(super) fn unacked_mut(&mut self) -> impl Iterator<Item = &mut Unacked> {
        self.unacked
            .iter_mut()
            .filter_map(|(_, unacked)| unacked.as_mut())
    }

    fn position(&self, tag: u64) -> Option<usize> {
        let (front, unacked) = self.unacked.front()?;
        // Usually the oldest is settled, or tags follow each other without gaps.
        if *front == tag {
            return unacked.is_some().then_some(0);
        }
        let guess = usize::try_from(tag.checked_sub(*front)?).ok()?;
        let at = match self.unacked.get(guess) {
            Some((at_guess, _)) if *at_guess == tag => guess,
            _ => self
                .unacked
                .binary_search_by_key(&tag, |(tag, _)| *tag)
                .ok()?,
        };
        self.unacked.get(at)?.1.is_some().then_some(at)
    }
}
