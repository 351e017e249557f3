//! What an operation on a queue causes outside of it, collected under the queue's lock and
//! carried out after it is released.

use std::task::Waker;

use leveret_store::{Operation, QueueId, Seq};
use smallvec::SmallVec;

use crate::dead_letter::{self, DeadLetter};

/// Tasks to wake once no lock is held any more. Each is woken once.
#[derive(Debug, Default)]
pub struct Wakes(SmallVec<[Waker; 4]>);

impl Wakes {
    /// Remember a task that has something new in its mailbox.
    pub fn add(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.0.push(waker);
        }
    }

    /// Wake all of them.
    pub fn fire(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}

/// Wakes, store operations and dead letters that a queue produced while it was locked.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) wakes: Wakes,
    /// Operations for the store, in order. Appended before the lock is released where their
    /// order against other operations of the same queue matters.
    pub(crate) operations: Vec<Operation>,
    /// Operations to be handed over right behind the next puts, in one call.
    pub(crate) behind: Vec<Operation>,
    /// Messages for dead-letter exchanges.
    pub(crate) dead_letters: Vec<DeadLetter>,
}

impl Effects {
    /// Carry out what waits until no queue is locked: hand on the dead letters, then wake.
    #[inline]
    pub(crate) fn finish(&mut self) {
        if !self.dead_letters.is_empty() {
            dead_letter::carry_out(self);
        }
        self.wakes.fire();
    }

    /// Note that `seq` of `queue` was given to a consumer that must acknowledge it.
    #[inline]
    pub(crate) fn delivered(&mut self, queue: QueueId, seq: Seq) {
        if let Some(Operation::Delivered {
            queue: last_queue,
            last,
            ..
        }) = self.operations.last_mut()
            && *last_queue == queue
            && *last + 1 == seq
        {
            *last = seq;
            return;
        }
        self.operations.push(Operation::Delivered {
            queue,
            first: seq,
            last: seq,
        });
    }
}

/// Joins settled sequences of one queue into runs, so that a run of acknowledgements is one
/// operation for the store.
#[inline]
pub(crate) fn push_settle(
    operations: &mut Vec<Operation>,
    queue: QueueId,
    seq: Seq,
    stored: crate::entry::Stored,
) {
    let put = stored.ticket();
    if let Some(Operation::Settle {
        queue: last_queue,
        first,
        last,
        put: first_put,
    }) = operations.last_mut()
        && *last_queue == queue
        && *last + 1 == seq
        && match (*first_put, put) {
            (None, None) => true,
            (Some(first_put), Some(put)) => first_put.0 + (seq - *first) == put.0,
            _ => false,
        }
    {
        *last = seq;
        return;
    }
    operations.push(Operation::Settle {
        queue,
        first: seq,
        last: seq,
        put,
    });
}
