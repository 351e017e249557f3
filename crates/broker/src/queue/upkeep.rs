//! What a queue sees to besides delivering: its limits, what expires, and itself when nobody
//! uses it any more.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::MutexGuard;

use super::Queue;
use super::state::QueueState;
use crate::dead_letter::{DeadLetter, Reason};
use crate::deadlines::{Due, Party};
use crate::effects::{Effects, push_settle};
use crate::entry::Entry;
use crate::time::Time;

/// Milliseconds until dead letters that no queue took are tried again.
const RETRY_AFTER: u64 = 5_000;

/// Milliseconds until a backlog that could not be read is read again.
const READ_AGAIN_AFTER: u64 = 1_000;

impl Queue {
    /// The time, if the queue or one of its messages needs to know it. Other queues never
    /// read the clock.
    #[inline]
    pub(super) fn now(&self, state: &QueueState) -> Time {
        if state.expiring || state.options.is_timed() {
            self.clock().now()
        } else {
            Time::default()
        }
    }

    /// The queue gives a message up: it goes to the dead-letter exchange once the queue is
    /// unlocked, or nowhere.
    pub(crate) fn discard(self: &Arc<Self>, entry: Entry, reason: Reason, effects: &mut Effects) {
        self.count_discarded(reason, 1);
        if self.has_dead_letter_exchange() {
            effects.dead_letters.push(DeadLetter {
                queue: Arc::clone(self),
                entry,
                reason,
            });
        } else if entry.stored.is_stored() {
            push_settle(&mut effects.operations, self.id, entry.seq, entry.stored);
        }
    }

    /// Give up what has come back more often than it may (x-delivery-limit).
    pub(super) fn within_delivery_limit(
        self: &Arc<Self>,
        limit: Option<u32>,
        entries: Vec<Entry>,
        effects: &mut Effects,
    ) -> Vec<Entry> {
        let Some(limit) = limit else {
            return entries;
        };
        let (over, within): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.delivery_count > limit);
        for entry in over {
            self.discard(entry, Reason::DeliveryLimit, effects);
        }
        within
    }

    /// After every delivery: drop what is too much or expired, and have the node's timer call
    /// when something else will be.
    pub(super) fn keep_up(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, QueueState>,
        now: Time,
        effects: &mut Effects,
    ) {
        if state.options.drops_head() {
            state.trim(self, effects);
        }
        if state.expiring {
            state.has_live(self, now, effects);
            if state.ready.len() == 0 {
                state.expiring = false;
            }
        }
        effects.wakes.add(self.set_timer(state));
    }

    /// Tell the node's timer when to call, if that is earlier than what it knows. Gives the
    /// task to wake.
    fn set_timer(self: &Arc<Self>, state: &mut QueueState) -> Option<Waker> {
        let mut next = state.retry_at;
        if state.expiring {
            next = next.min(state.ready.earliest_deadline());
        }
        if let Some(expires) = state.options.expires
            && state.consumers.len() == 0
        {
            next = next.min(state.last_used.after(expires));
        }
        if next >= state.timer || state.deleted {
            return None;
        }
        state.timer = next;
        self.shared.deadlines.set(
            Party::Queue(self.id),
            next,
            Due::Queue(Arc::downgrade(self)),
        )
    }

    /// The queue's deadline has come.
    pub(crate) fn run_deadline(self: &Arc<Self>, now: Time, effects: &mut Effects) {
        let mut state = self.state.lock();
        state.timer = Time::NEVER;
        if state.deleted {
            return;
        }
        if Self::is_expired(&state, now) {
            drop(state);
            if let Some(vhost) = self.vhost() {
                vhost.delete_expired(self, now, effects);
            }
            return;
        }
        if state.retry_at <= now {
            state.retry_at = Time::NEVER;
            for (entry, reason) in std::mem::take(&mut state.kept) {
                effects.dead_letters.push(DeadLetter {
                    queue: Arc::clone(self),
                    entry,
                    reason,
                });
            }
        }
        let before = state.ready.memory();
        if let Err(error) = self.deliver_and_unlock(state, before, effects) {
            tracing::error!(queue = %self.properties.name, %error, "cannot record what has expired");
        }
    }

    /// Has nobody used the queue for as long as it stays (x-expires)?
    pub(crate) fn is_unused(&self, now: Time) -> bool {
        Self::is_expired(&self.state.lock(), now)
    }

    fn is_expired(state: &QueueState, now: Time) -> bool {
        state.options.expires.is_some_and(|expires| {
            state.consumers.len() == 0 && state.last_used.after(expires) <= now
        })
    }

    /// Somebody has declared the queue: if it goes when unused, its time begins anew.
    pub(crate) fn touch(self: &Arc<Self>) {
        let state = self.state.lock();
        if state.options.expires.is_some() {
            self.used_now(state);
        }
    }

    pub(super) fn used_now(self: &Arc<Self>, mut state: MutexGuard<'_, QueueState>) {
        state.last_used = self.clock().now();
        let waker = self.set_timer(&mut state);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The queue is in its vhost after a restart: learn when its first message expires.
    pub(crate) fn start(self: &Arc<Self>) {
        self.touch();
        let mut state = self.state.lock();
        let peek = state.ready.start_peek();
        drop(state);
        if let Some(peek) = peek {
            self.page_in(peek, false);
        }
    }

    /// The backlog could not be read: the timer tries again, whether or not anybody uses the queue
    /// until then.
    pub(super) fn read_later(self: &Arc<Self>, mut state: MutexGuard<'_, QueueState>) {
        let again = self.clock().now().after(READ_AGAIN_AFTER);
        state.retry_at = state.retry_at.min(again);
        let waker = self.set_timer(&mut state);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No queue took a dead letter that must not be lost: keep it and try again.
    pub(crate) fn keep_dead_letter(
        self: &Arc<Self>,
        entry: Entry,
        reason: Reason,
    ) -> Option<Waker> {
        let mut state = self.state.lock();
        if state.deleted {
            return None;
        }
        state.kept.push((entry, reason));
        state.retry_at = state.retry_at.min(self.clock().now().after(RETRY_AFTER));
        self.set_timer(&mut state)
    }

    pub(crate) fn count_dead_letter(&self, is_taken: bool) {
        let options = &self.properties.options;
        self.shared.discards.add_dead_letter(options, is_taken);
    }

    /// The queue gave up so many messages.
    pub(crate) fn count_discarded(&self, reason: Reason, count: u64) {
        self.shared
            .discards
            .add(&self.properties.options, reason, count);
    }

    /// The queue is gone: the timer need not call.
    pub(super) fn forget_timer(&self, state: &mut QueueState) {
        if state.timer != Time::NEVER {
            state.timer = Time::NEVER;
            self.shared.deadlines.remove(Party::Queue(self.id));
        }
    }
}

#[cfg(test)]
mod tests;
