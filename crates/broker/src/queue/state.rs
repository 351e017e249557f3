//! What stands behind a queue's lock.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_store::{Operation, QueueId, Seq};

use super::consumers::Consumers;
use super::ready::Ready;
use super::{Queue, QueueCounts, QueueOptions, SettledRun};
use crate::dead_letter::Reason;
use crate::effects::{Effects, push_settle};
use crate::entry::Entry;
use crate::mailbox::{Got, Mailbox, Notice};
use crate::time::Time;

/// Expired messages dropped while the lock is held once; the timer goes on with the rest.
const EXPIRED_AT_ONCE: usize = 4_096;

/// A basic.get that waits for the store to read the oldest message back.
#[derive(Debug)]
pub(crate) struct GetRequest {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) channel: u16,
    pub(crate) request: u64,
    pub(crate) no_ack: bool,
}

/// The changing part of a queue. Pure: no locks inside but the leaf locks of mailboxes, no
/// clock, no I/O.
#[derive(Debug)]
pub(crate) struct QueueState {
    /// What the queue's arguments and policies say now.
    pub(crate) options: QueueOptions,
    pub(crate) ready: Ready,
    pub(crate) consumers: Consumers,
    /// basic.get requests older than anything a consumer may get next.
    pub(crate) gets: VecDeque<GetRequest>,
    /// The sequence of the next message.
    pub(crate) next_seq: Seq,
    pub(crate) unacked: u64,
    pub(crate) unacked_bytes: u64,
    /// Gone from the vhost; whoever still holds the handle finds it so.
    pub(crate) deleted: bool,
    /// Some message may have a deadline.
    pub(crate) expiring: bool,
    /// The deadline that the node's timer has of this queue.
    pub(crate) timer: Time,
    /// When the queue was last used, if it goes when unused (x-expires).
    pub(crate) last_used: Time,
    /// Dead letters that no queue has taken yet (strategy at-least-once).
    pub(crate) kept: Vec<(Entry, Reason)>,
    /// When they are tried again, or the backlog is that could not be read.
    pub(crate) retry_at: Time,
}

impl QueueState {
    pub(crate) fn new(options: &QueueOptions) -> Self {
        Self {
            options: options.clone(),
            ready: Ready::new(options.max_priority),
            consumers: Consumers::new(options.single_active_consumer),
            gets: VecDeque::new(),
            next_seq: 0,
            unacked: 0,
            unacked_bytes: 0,
            deleted: false,
            expiring: false,
            timer: Time::NEVER,
            last_used: Time::default(),
            kept: Vec::new(),
            retry_at: Time::NEVER,
        }
    }

    /// Give ready messages to whoever has credit. What expires by `expired_by` is not given
    /// any more.
    #[inline]
    pub(crate) fn deliver(&mut self, queue: &Arc<Queue>, expired_by: Time, effects: &mut Effects) {
        if !self.gets.is_empty() {
            self.answer_gets(queue, expired_by, effects);
        }
        while self.has_live(queue, expired_by, effects) {
            let Some(turn) = self.consumers.next(queue) else {
                break;
            };
            let Some(entry) = self.ready.pop() else { break };
            if turn.ack {
                self.unacked += 1;
                self.unacked_bytes += entry.message.body().len() as u64;
                if entry.stored.is_stored() {
                    effects.delivered(queue.id, entry.seq);
                }
            } else if entry.stored.is_stored() {
                push_settle(&mut effects.operations, queue.id, entry.seq, entry.stored);
            }
            self.consumers.give(turn, entry, effects);
        }
        self.consumers.flush(effects);
    }

    /// Is there a message that can be given now? Expired ones before it are given up.
    #[inline]
    pub(crate) fn has_live(
        &mut self,
        queue: &Arc<Queue>,
        expired_by: Time,
        effects: &mut Effects,
    ) -> bool {
        if self.expiring {
            self.has_unexpired(queue, expired_by, effects)
        } else {
            self.ready.has_next()
        }
    }

    #[cold]
    fn has_unexpired(
        &mut self,
        queue: &Arc<Queue>,
        expired_by: Time,
        effects: &mut Effects,
    ) -> bool {
        self.drop_expired(queue, expired_by, effects);
        // The rest of very many expired ones is the timer's.
        self.ready.has_next()
            && self
                .ready
                .head()
                .is_some_and(|entry| entry.deadline > expired_by)
    }

    fn drop_expired(&mut self, queue: &Arc<Queue>, expired_by: Time, effects: &mut Effects) {
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(entry) = self.ready.pop_expired(expired_by) else {
                break;
            };
            queue.discard(entry, Reason::Expired, effects);
        }
    }

    /// Drop from the head what is over the limits.
    pub(crate) fn trim(&mut self, queue: &Arc<Queue>, effects: &mut Effects) {
        while self.options.is_over(self.ready.len(), self.ready.bytes()) && self.ready.has_next() {
            let Some(entry) = self.ready.pop() else { break };
            queue.discard(entry, Reason::MaxLength, effects);
        }
    }

    /// Take the oldest message out for a basic.get.
    pub(crate) fn take_for_get(
        &mut self,
        queue: &Arc<Queue>,
        no_ack: bool,
        now: Time,
        effects: &mut Effects,
    ) -> Option<Got> {
        let entry = self.ready.pop()?;
        if no_ack {
            if entry.stored.is_stored() {
                push_settle(&mut effects.operations, queue.id, entry.seq, entry.stored);
            }
        } else {
            self.unacked += 1;
            self.unacked_bytes += entry.message.body().len() as u64;
            if entry.stored.is_stored() {
                effects.delivered(queue.id, entry.seq);
            }
        }
        // What stood behind it and is over does not remain.
        self.has_live(queue, now, effects);
        Some(Got {
            entry,
            remaining: self.ready.len(),
        })
    }

    fn answer_gets(&mut self, queue: &Arc<Queue>, expired_by: Time, effects: &mut Effects) {
        while !self.gets.is_empty()
            && (self.has_live(queue, expired_by, effects) || self.ready.len() == 0)
        {
            let Some(get) = self.gets.pop_front() else {
                break;
            };
            let got = self.take_for_get(queue, get.no_ack, expired_by, effects);
            match get.mailbox.push(Notice::Got {
                channel: get.channel,
                request: get.request,
                got,
            }) {
                Ok(waker) => effects.wakes.add(waker),
                // The connection ended meanwhile: the message was never sent.
                Err(Notice::Got { got: Some(got), .. }) if !get.no_ack => {
                    self.unacked -= 1;
                    self.unacked_bytes -= got.entry.message.body().len() as u64;
                    self.ready.requeue(vec![got.entry]);
                }
                Err(_) => {}
            }
        }
    }

    /// Runs of settled messages give credit back; `true` if some consumer may go on.
    pub(crate) fn settled(&mut self, runs: &[SettledRun]) -> bool {
        let mut resumed = false;
        for run in runs {
            self.unacked = self.unacked.saturating_sub(u64::from(run.messages));
            self.unacked_bytes = self.unacked_bytes.saturating_sub(run.bytes);
            if let Some(consumer) = run.consumer {
                resumed |= self.consumers.settled(consumer, run.messages);
            }
        }
        resumed
    }

    /// Remove all ready messages; gives how many there were.
    pub(crate) fn purge(&mut self, queue: QueueId, effects: &mut Effects) -> u64 {
        let count = self.ready.len();
        let (window, paged_from) = self.ready.clear();
        for entry in window {
            if entry.stored.is_stored() {
                push_settle(&mut effects.operations, queue, entry.seq, entry.stored);
            }
        }
        if let Some(first) = paged_from {
            let last = self.next_seq.saturating_sub(1);
            effects.operations.push(Operation::Settle {
                queue,
                first,
                last,
                put: None,
            });
        }
        count
    }

    /// The queue goes: its messages with it, its consumers are told. Gives the ready messages.
    pub(crate) fn delete(&mut self, effects: &mut Effects) -> u64 {
        self.deleted = true;
        let count = self.ready.len();
        self.ready.clear();
        self.kept.clear();
        for (mailbox, consumer) in self.consumers.drain() {
            if let Ok(waker) = mailbox.push(Notice::Cancelled { consumer }) {
                effects.wakes.add(waker);
            }
        }
        for get in self.gets.drain(..) {
            let notice = Notice::Got {
                channel: get.channel,
                request: get.request,
                got: None,
            };
            if let Ok(waker) = get.mailbox.push(notice) {
                effects.wakes.add(waker);
            }
        }
        count
    }

    pub(crate) fn counts(&self) -> QueueCounts {
        QueueCounts {
            ready: self.ready.len(),
            unacked: self.unacked,
            bytes: self.ready.bytes() + self.unacked_bytes,
            consumers: self.consumers.len(),
        }
    }

    /// Body octets that are unacknowledged, and octets of ready messages as they are kept in memory.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.unacked_bytes, self.ready.memory() as u64)
    }
}
