//! What was appended and not yet taken by the commit thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use leveret_wire::Message;

use crate::definitions;
use crate::embedded::compaction::Step;
use crate::embedded::reader::Request;
use crate::embedded::timed;
use crate::{DurableWaiter, Operation, QueueId, Seq, StoreError, Ticket};

/// What a pending message counts for back-pressure: its octets and what its record and its place here take.
pub(super) const fn cost(encoded_len: usize) -> usize {
    encoded_len + 64
}

/// One operation with a ticket.
pub(super) enum Pended {
    Put {
        queue: QueueId,
        seq: Seq,
        message: Message,
        durable: bool,
    },
    Settle {
        queue: QueueId,
        first: Seq,
        last: Seq,
    },
    Delivered {
        queue: QueueId,
        first: Seq,
        last: Seq,
    },
    Change(Box<Definitions>),
    Drop(QueueId),
    /// Nothing is left to do: a put that was settled before it was written, or the settle that did it.
    Done,
}

/// Changes of the definitions on their way to the log.
pub(super) struct Definitions {
    /// The version they make.
    pub(super) version: u64,
    /// As the record carries them.
    pub(super) payload: Vec<u8>,
    pub(super) changes: Vec<definitions::Shared>,
}

/// Whether the threads are to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stop {
    #[default]
    No,
    /// When everything is durable.
    Graceful,
    /// At once, as if killed.
    Abandoned,
}

/// What the commit thread waits for, and so who has to wake it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It works, or was woken.
    #[default]
    Awake,
    /// Something urgent: something lazy waits already and it will look in time.
    Timed,
    /// Anything.
    Idle,
}

#[derive(Default)]
pub(super) struct Pending {
    /// Operations in ticket order.
    pub(super) entries: VecDeque<Pended>,
    /// Tickets up to this one were taken (the first entry has the next).
    pub(super) taken: u64,
    /// Tickets up to this one are in the index.
    pub(super) applied: u64,
    /// Of the entries: what they count for back-pressure.
    pub(super) bytes: usize,
    /// Of the entries: those that force a commit.
    pub(super) urgent: usize,
    /// When the oldest lazy entry came.
    pub(super) lazy_since: Option<Instant>,
    /// Somebody waits for this ticket, so it is no longer lazy.
    pub(super) demanded: u64,
    /// Who waits for tickets, in ticket order.
    pub(super) waiters: VecDeque<(Ticket, Arc<dyn DurableWaiter>)>,
    /// Fetches that must see entries which are not in the index yet.
    pub(super) fetches: Vec<Request>,
    /// The same by due time.
    pub(super) timed: Vec<timed::Request>,
    /// Messages and settles to be copied to the end of the log.
    pub(super) step: Option<Step>,
    pub(super) stop: Stop,
    /// A write or sync failed.
    pub(super) failed: Option<StoreError>,
    pub(super) sleep: Sleep,
    /// Puts that never reached the disk, since the opening.
    pub(super) cancelled: u64,
}

impl Pending {
    /// The newest ticket given.
    pub(super) fn newest(&self) -> u64 {
        self.taken + crate::octets::wide(self.entries.len())
    }

    /// Add one that is not an [`Operation`]. Returns its ticket.
    pub(super) fn push(&mut self, entry: Pended) -> Ticket {
        match entry {
            Pended::Change(_) => self.urgent += 1,
            _ => self.note_lazy(),
        }
        self.entries.push_back(entry);
        Ticket(self.newest())
    }

    /// Add operations. Messages of puts that are thereby cancelled go to `cancelled`, to be freed without the lock.
    pub(super) fn take(&mut self, operations: &mut Vec<Operation>, cancelled: &mut Vec<Message>) {
        self.entries.reserve(operations.len());
        let mut lazy = false;
        for operation in operations.drain(..) {
            let entry = match operation {
                Operation::Put {
                    queue,
                    seq,
                    message,
                    durable,
                } => {
                    if durable {
                        self.urgent += 1;
                    } else {
                        lazy = true;
                    }
                    Pended::Put {
                        queue,
                        seq,
                        message,
                        durable,
                    }
                }
                Operation::Settle {
                    queue,
                    first,
                    last,
                    put,
                } => {
                    let entry = self.cancel((queue, first, last), put, cancelled);
                    lazy |= !matches!(entry, Pended::Done);
                    entry
                }
                Operation::Delivered { queue, first, last } => {
                    lazy = true;
                    Pended::Delivered { queue, first, last }
                }
            };
            self.entries.push_back(entry);
        }
        if lazy {
            self.note_lazy();
        }
    }

    fn note_lazy(&mut self) {
        if self.lazy_since.is_none() {
            self.lazy_since = Some(Instant::now());
        }
    }

    /// Cancel the puts of a settled range that are still here. Returns what is left of the settle.
    fn cancel(
        &mut self,
        (queue, first, last): (QueueId, Seq, Seq),
        put: Option<Ticket>,
        cancelled: &mut Vec<Message>,
    ) -> Pended {
        let whole = Pended::Settle { queue, first, last };
        let Some(Ticket(put)) = put.filter(|put| *put != Ticket::NONE) else {
            return whole;
        };
        let Some(span) = last.checked_sub(first) else {
            return Pended::Done;
        };
        // Tickets up to `taken` are written, or being written.
        let written = (self.taken + 1).saturating_sub(put);
        if written > span {
            return whole;
        }
        let begin = crate::octets::index(put + written - self.taken - 1);
        let end = crate::octets::index((span - written).saturating_add(1)).saturating_add(begin);
        let mut complete = true;
        for (at, expected) in (begin..end).zip(first + written..) {
            let Some(entry) = self.entries.get_mut(at) else {
                complete = false;
                break;
            };
            match entry {
                Pended::Put {
                    queue: of,
                    seq,
                    durable,
                    ..
                } if *of == queue && *seq == expected => {
                    self.urgent -= usize::from(*durable);
                    if let Pended::Put { message, .. } = std::mem::replace(entry, Pended::Done) {
                        self.bytes -= cost(message.encoded_len()).min(self.bytes);
                        cancelled.push(message);
                    }
                }
                // Settled already, or not what the caller took it for: the settle stays whole, which is always right.
                Pended::Done => complete = false,
                _ => {
                    complete = false;
                    break;
                }
            }
        }
        match (complete, written.checked_sub(1)) {
            (false, _) => whole,
            (true, None) => Pended::Done,
            (true, Some(more)) => Pended::Settle {
                queue,
                first,
                last: first + more,
            },
        }
    }

    /// Forget finished entries at the front: they need no commit.
    pub(super) fn trim(&mut self) {
        while matches!(self.entries.front(), Some(Pended::Done)) {
            self.entries.pop_front();
            self.taken += 1;
        }
        if self.entries.is_empty() {
            self.lazy_since = None;
        }
    }

    /// Add a waiter in its place.
    pub(super) fn wait_for(&mut self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        self.demanded = self.demanded.max(ticket.0);
        let at = match self.waiters.back() {
            Some((last, _)) if *last > ticket => {
                self.waiters.partition_point(|(at, _)| *at <= ticket)
            }
            _ => self.waiters.len(),
        };
        self.waiters.insert(at, (ticket, waiter));
    }

    /// Take the waiters whose ticket is durable.
    pub(super) fn due(&mut self, durable: Ticket) -> Vec<(Ticket, Arc<dyn DurableWaiter>)> {
        let due = self.waiters.partition_point(|(at, _)| *at <= durable);
        self.waiters.drain(..due).collect()
    }
}
