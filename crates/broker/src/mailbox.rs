//! What other tasks have for a connection: deliveries from queues, cancelled consumers, news
//! from the store. The connection's own task empties it and does the encoding, so a queue's
//! lock is held only as long as it takes to push a few words.
//!
//! The mailbox lock is a leaf: it may be taken under a queue's lock, and nothing is locked
//! under it (`docs/locks.md`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use leveret_store::{DurableWaiter, StoreError, Ticket};
use parking_lot::Mutex;

use crate::entry::Entry;
use crate::listing::Inquiry;
use crate::queue::{ConsumerId, Queue};

/// Why the broker ends a connection on its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The node is stopping.
    Shutdown,
    /// An operator or a limit closes it; the text follows `CONNECTION_FORCED - `.
    Forced(String),
    /// The store can no longer make anything durable.
    StoreFailed(String),
}

/// One thing for the connection's task.
#[derive(Debug)]
pub(crate) enum Notice {
    Delivery(Delivery),
    /// The queue of this consumer is gone.
    Cancelled {
        consumer: u32,
    },
    /// Answer to a basic.get that had to wait for the store.
    Got {
        channel: u16,
        request: u64,
        got: Option<Got>,
    },
    Close(CloseReason),
    /// A resource alarm was raised or cleared.
    Alarms,
    /// Somebody asks what channels there are.
    Inquiry(Inquiry),
    /// Tracing of the vhost was switched on or off.
    Tracing,
    /// It is time to look for messages that consumers have had for too long.
    CheckTimeouts,
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) entry: Entry,
    /// The session's key of the consumer.
    pub(crate) consumer: u32,
    /// Counted against the channel's shared prefetch.
    pub(crate) counted: bool,
}

/// A message that basic.get took, with the number of ready messages left.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) entry: Entry,
    pub(crate) remaining: u64,
}

#[derive(Debug, Default)]
struct Inbox {
    notices: Vec<Notice>,
    waker: Option<Waker>,
    /// Consumers passed over because this connection was full; served again when it is not.
    stalled: Vec<(Arc<Queue>, ConsumerId)>,
    /// The store made something durable (or failed) since the last look.
    store_news: bool,
    closed: bool,
}

/// The mailbox of one connection.
#[derive(Debug)]
pub struct Mailbox {
    inbox: Mutex<Inbox>,
    /// Octets of deliveries pushed and not yet written to the socket.
    outstanding: AtomicUsize,
    has_stalled: AtomicBool,
    high: usize,
    low: usize,
}

impl Mailbox {
    /// A mailbox whose connection counts as full over `high` octets and as free under `low`.
    pub(crate) fn new(high: usize, low: usize) -> Self {
        Self {
            inbox: Mutex::default(),
            outstanding: AtomicUsize::new(0),
            has_stalled: AtomicBool::new(false),
            high,
            low,
        }
    }

    /// Is there room for more deliveries, given `staged` octets about to be pushed?
    #[inline]
    pub(crate) fn has_room(&self, staged: usize) -> bool {
        self.outstanding.load(Ordering::SeqCst) + staged < self.high
    }

    /// Octets of deliveries pushed and not yet written to the socket.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Push a run of deliveries that costs `bytes`; gives the task to wake, if it sleeps.
    pub(crate) fn push_deliveries(
        &self,
        deliveries: &mut Vec<Delivery>,
        bytes: usize,
    ) -> Option<Waker> {
        self.outstanding.fetch_add(bytes, Ordering::Relaxed);
        let mut inbox = self.inbox.lock();
        inbox
            .notices
            .extend(deliveries.drain(..).map(Notice::Delivery));
        inbox.waker.take()
    }

    /// Push one notice. An answer for a connection that has ended comes back.
    pub(crate) fn push(&self, notice: Notice) -> Result<Option<Waker>, Notice> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(notice);
        }
        inbox.notices.push(notice);
        Ok(inbox.waker.take())
    }

    /// Ask the connection's task to end the connection.
    pub fn close(&self, reason: CloseReason) {
        if let Ok(Some(waker)) = self.push(Notice::Close(reason)) {
            waker.wake();
        }
    }

    /// Swap what has come into `notices` (which must be empty) and say whether the store has
    /// news; pending with the task registered if there is nothing.
    pub(crate) fn poll(&self, context: &mut Context<'_>, notices: &mut Vec<Notice>) -> Poll<bool> {
        let mut inbox = self.inbox.lock();
        let news = std::mem::take(&mut inbox.store_news);
        if inbox.notices.is_empty() && !news {
            if !inbox
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                inbox.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        inbox.waker = None;
        std::mem::swap(&mut inbox.notices, notices);
        Poll::Ready(news)
    }

    /// As [`Mailbox::poll`], without waiting.
    pub(crate) fn take(&self, notices: &mut Vec<Notice>) -> bool {
        let mut inbox = self.inbox.lock();
        std::mem::swap(&mut inbox.notices, notices);
        std::mem::take(&mut inbox.store_news)
    }

    /// `bytes` of what was pushed have been written or dropped.
    pub(crate) fn release(&self, bytes: usize) {
        self.outstanding.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Remember a consumer that was passed over. `false`: there is room again already (it
    /// was made between the caller's look and this call), so the caller should look again.
    pub(crate) fn stall(
        &self,
        queue: &Arc<Queue>,
        consumer: ConsumerId,
        credit: &ChannelCredit,
        staged: usize,
    ) -> bool {
        let mut inbox = self.inbox.lock();
        inbox.stalled.push((Arc::clone(queue), consumer));
        self.has_stalled.store(true, Ordering::SeqCst);
        if self.has_room(staged) && credit.available() {
            inbox.stalled.pop();
            return false;
        }
        true
    }

    /// The consumers passed over, if the connection has room again.
    pub(crate) fn take_stalled(&self) -> Vec<(Arc<Queue>, ConsumerId)> {
        if !self.has_stalled.load(Ordering::SeqCst)
            || self.outstanding.load(Ordering::SeqCst) > self.low
        {
            return Vec::new();
        }
        let mut inbox = self.inbox.lock();
        self.has_stalled.store(false, Ordering::SeqCst);
        std::mem::take(&mut inbox.stalled)
    }

    /// The connection has ended: nothing is taken any more. What was left is given back.
    pub(crate) fn shut(&self) -> Vec<Notice> {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        inbox.waker = None;
        inbox.stalled.clear();
        std::mem::take(&mut inbox.notices)
    }

    fn store_news(&self) {
        let sleeper = {
            let mut inbox = self.inbox.lock();
            inbox.store_news = true;
            inbox.waker.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}

impl DurableWaiter for Mailbox {
    fn durable(&self, _ticket: Ticket) {
        self.store_news();
    }

    fn failed(&self, error: &StoreError) {
        self.close(CloseReason::StoreFailed(error.to_string()));
    }
}

/// The shared prefetch of one channel (basic.qos with global = true), read by queues.
#[derive(Debug, Default)]
pub(crate) struct ChannelCredit {
    /// 0: no limit.
    limit: AtomicU32,
    outstanding: AtomicU32,
}

impl ChannelCredit {
    #[inline]
    pub(crate) fn limited(&self) -> bool {
        self.limit.load(Ordering::SeqCst) != 0
    }

    /// May another message be given to this channel?
    #[inline]
    pub(crate) fn available(&self) -> bool {
        let limit = self.limit.load(Ordering::SeqCst);
        limit == 0 || self.outstanding.load(Ordering::SeqCst) < limit
    }

    /// Take one, if there is credit. `None`: there is none. `Some(false)`: nothing is counted.
    #[inline]
    pub(crate) fn take(&self) -> Option<bool> {
        let limit = self.limit.load(Ordering::SeqCst);
        if limit == 0 {
            return Some(false);
        }
        self.outstanding
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |outstanding| {
                (outstanding < limit).then_some(outstanding + 1)
            })
            .is_ok()
            .then_some(true)
    }

    /// Count one regardless of the limit (basic.get does not obey it but counts).
    pub(crate) fn add(&self, count: u32) {
        self.outstanding.fetch_add(count, Ordering::SeqCst);
    }

    pub(crate) fn give_back(&self, count: u32) {
        if count > 0 {
            self.outstanding.fetch_sub(count, Ordering::SeqCst);
        }
    }

    /// The limit; 0 if there is none.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::SeqCst)
    }

    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::SeqCst);
    }
}
