//! What has to be looked at when some time has come: the head of a queue expires, an unused
//! queue is to go, delayed messages are due, a connection checks how long its consumers have had their messages.
//!
//! Every party has at most one deadline here, the earliest it knows of. A party that finds
//! its deadline too early when it comes just sets the next one, so moving it later while it
//! waits costs nothing. The lock is a leaf: it is taken under a queue's lock, and nothing is
//! locked under it.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};

use leveret_store::QueueId;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::connections::ConnectionId;
use crate::delay::DelayedExchange;
use crate::mailbox::Mailbox;
use crate::queue::Queue;
use crate::time::Time;

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Party {
    Queue(QueueId),
    Connection(ConnectionId),
    /// A delayed exchange, by the queue of the store that holds what it keeps.
    Delayed(QueueId),
}

/// Whom to tell when it has come.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    Queue(Weak<Queue>),
    Connection(Weak<Mailbox>),
    Delayed(Weak<DelayedExchange>),
}

#[derive(Debug, Default)]
struct Waiting {
    order: BTreeSet<(Time, Party)>,
    parties: FxHashMap<Party, (Time, Due)>,
    /// The task that waits for the earliest of them.
    waker: Option<Waker>,
}

/// The deadlines of one node, in order.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(Mutex<Waiting>);

impl Deadlines {
    /// Set a party's deadline, in place of one it had. Gives the task to wake if this is now
    /// the earliest of all.
    pub(crate) fn set(&self, party: Party, time: Time, due: Due) -> Option<Waker> {
        let mut waiting = self.0.lock();
        if let Some((old, _)) = waiting.parties.insert(party, (time, due)) {
            waiting.order.remove(&(old, party));
        }
        waiting.order.insert((time, party));
        let is_first = waiting
            .order
            .first()
            .is_some_and(|(first, whose)| *first == time && *whose == party);
        if is_first { waiting.waker.take() } else { None }
    }

    /// The party is gone, or waits for nothing any more.
    pub(crate) fn remove(&self, party: Party) {
        let mut waiting = self.0.lock();
        if let Some((time, _)) = waiting.parties.remove(&party) {
            waiting.order.remove(&(time, party));
        }
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.0.lock().order.first().map(|(time, _)| *time)
    }

    /// Ready when the earliest deadline is another than `known`.
    pub(crate) fn poll_changed(
        &self,
        context: &mut Context<'_>,
        known: Option<Time>,
    ) -> Poll<Option<Time>> {
        let mut waiting = self.0.lock();
        let next = waiting.order.first().map(|(time, _)| *time);
        if next != known {
            return Poll::Ready(next);
        }
        if !waiting
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            waiting.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// Take out what has come by `now`, at most `limit`, earliest first.
    pub(crate) fn take_due(&self, now: Time, limit: usize) -> Vec<Due> {
        let mut waiting = self.0.lock();
        let mut due = Vec::new();
        while due.len() < limit {
            let Some(&(time, party)) = waiting.order.first().filter(|(time, _)| *time <= now)
            else {
                break;
            };
            waiting.order.remove(&(time, party));
            due.extend(waiting.parties.remove(&party).map(|(_, due)| due));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU32);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set(deadlines: &Deadlines, queue: u64, time: u64) {
        let waker = deadlines.set(
            Party::Queue(QueueId(queue)),
            Time(time),
            Due::Queue(Weak::new()),
        );
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let deadlines = Deadlines::default();
        set(&deadlines, 1, 30);
        set(&deadlines, 2, 10);
        set(&deadlines, 3, 20);
        set(&deadlines, 1, 5);
        assert_eq!(deadlines.next(), Some(Time(5)));
        assert_eq!(deadlines.take_due(Time(4), 10).len(), 0);
        assert_eq!(deadlines.take_due(Time(20), 2).len(), 2);
        assert_eq!(deadlines.take_due(Time(20), 10).len(), 1);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn who_is_removed_is_not_due() {
        let deadlines = Deadlines::default();
        set(&deadlines, 1, 30);
        deadlines.remove(Party::Queue(QueueId(1)));
        deadlines.remove(Party::Queue(QueueId(2)));
        assert_eq!(deadlines.next(), None);
        assert_eq!(deadlines.take_due(Time(99), 10).len(), 0);
    }

    #[test]
    fn only_an_earlier_deadline_wakes() {
        let deadlines = Deadlines::default();
        let counted = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&counted));
        let mut context = Context::from_waker(&waker);
        set(&deadlines, 1, 30);
        assert_eq!(
            deadlines.poll_changed(&mut context, None),
            Poll::Ready(Some(Time(30)))
        );
        assert_eq!(
            deadlines.poll_changed(&mut context, Some(Time(30))),
            Poll::Pending
        );
        set(&deadlines, 2, 40);
        assert_eq!(counted.0.load(Ordering::Relaxed), 0);
        set(&deadlines, 3, 20);
        assert_eq!(counted.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            deadlines.poll_changed(&mut context, Some(Time(30))),
            Poll::Ready(Some(Time(20)))
        );
    }
}
