//! Delayed exchanges: messages that are routed when their time has come.
//!
//! An exchange of type `x-delayed-message` keeps each message that has a positive header `x-delay` for that many
//! milliseconds, and then routes it as the type in its argument `x-delayed-type` does (RabbitMQ's plugin
//! `rabbitmq_delayed_message_exchange`). All that waits is in the store, in a queue of the exchange's own that nobody
//! else sees and that is read by due time; here are only its number of messages and the moment at which the first is
//! due. That moment is one of the node's deadlines ([`crate::deadlines`]). When it has come, what is due is read in
//! batches, routed, and settled with the puts it causes ([`routing`]); one read is under way at a time.

mod browse;
mod header;
mod routing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use leveret_store::moment::{self, Mark};
use leveret_store::{
    Claimed, DueBatch, DueKey, DurableWaiter, FetchLimit, Operation, QueueId, Seq, StoreError,
    Ticket,
};
use leveret_wire::Message;
use parking_lot::{Mutex, MutexGuard};

pub use self::browse::{
    BadDelayedId, CancelDone, DelayedId, DelayedMessage, DelayedPage, PageDone,
};
pub(crate) use self::header::Delay;
use crate::broker::Shared;
use crate::deadlines::{Due, Party};
use crate::effects::Effects;
use crate::time::Time;
use crate::vhost::Vhost;

/// One read of what is due.
const BATCH: FetchLimit = FetchLimit {
    messages: 512,
    bytes: 2 << 20,
};
/// Milliseconds until what the store did not do is tried again.
const RETRY_AFTER: u64 = 5_000;

/// A message on its way into a delayed exchange.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) message: Message,
    pub(crate) due: Time,
    pub(crate) channel: u16,
    /// Its number on a channel in confirm mode; 0 when nobody waits for a confirm.
    pub(crate) confirm: u64,
}

/// What a delayed exchange keeps.
pub struct DelayedExchange {
    /// The queue of the store that holds it.
    id: QueueId,
    name: Arc<str>,
    durable: bool,
    shared: Arc<Shared>,
    vhost: Weak<Vhost>,
    state: Mutex<State>,
}

struct State {
    next_seq: Seq,
    messages: u64,
    bytes: u64,
    /// Nothing in the store is due before, but for what came while a read is under way.
    soonest: Time,
    /// The earliest that came since the read under way began.
    missed: Time,
    /// The deadline set.
    timer: Time,
    /// A read is under way, or waits for the disk to follow.
    busy: bool,
    /// The last operation that routing gave to the store.
    last_ticket: Ticket,
    cancels: VecDeque<(DelayedId, CancelDone)>,
    deleted: bool,
}

impl fmt::Debug for DelayedExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayedExchange")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl DelayedExchange {
    /// A new exchange, or one that was there before with what the store has of it. The store orders the queue by due
    /// time already.
    pub(crate) fn new(
        id: QueueId,
        name: Arc<str>,
        durable: bool,
        claimed: Option<Claimed>,
        shared: Arc<Shared>,
        vhost: Weak<Vhost>,
    ) -> Self {
        Self {
            id,
            name,
            durable,
            shared,
            vhost,
            state: Mutex::new(State {
                next_seq: claimed.map_or(0, |claimed| claimed.next_seq),
                messages: claimed.map_or(0, |claimed| claimed.messages),
                bytes: claimed.map_or(0, |claimed| claimed.bytes),
                soonest: if claimed.is_some() {
                    Time::default()
                } else {
                    Time::NEVER
                },
                missed: Time::NEVER,
                timer: Time::NEVER,
                busy: false,
                last_ticket: Ticket::NONE,
                cancels: VecDeque::new(),
                deleted: false,
            }),
        }
    }

    /// The exchange's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The number of messages that wait here.
    pub fn messages(&self) -> u64 {
        self.state.lock().messages
    }

    /// Octets of their bodies.
    pub fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// Keep a run of messages. `confirmed_by` learns, for each that asks for a confirm and must reach the disk first,
    /// its channel, confirm number and ticket. Gives the ticket of the last one. On an error none was taken, and all are
    /// left in `run`.
    pub(crate) fn hold(
        self: &Arc<Self>,
        run: &mut Vec<Held>,
        effects: &mut Effects,
        confirmed_by: &mut impl FnMut(u16, u64, Ticket),
    ) -> Result<Ticket, StoreError> {
        let mut state = self.state.lock();
        if state.deleted {
            run.clear();
            return Ok(Ticket::NONE);
        }
        let first = state.next_seq;
        let puts = (first..).zip(run.iter()).map(|(seq, held)| Operation::Put {
            queue: self.id,
            seq,
            message: moment::attach(&held.message, Mark::DUE, held.due.0),
            durable: self.durable && held.message.is_persistent(),
        });
        let mut operations: Vec<Operation> = puts.collect();
        let mut ticket = self.shared.store.append(&mut operations)?;
        let mut soonest = Time::NEVER;
        let mut last = Ticket::NONE;
        for held in run.drain(..) {
            if held.confirm != 0 && self.durable && held.message.is_persistent() {
                confirmed_by(held.channel, held.confirm, ticket);
            }
            last = ticket;
            ticket.0 += 1;
            state.next_seq += 1;
            state.messages += 1;
            state.bytes += held.message.body().len() as u64;
            soonest = soonest.min(held.due);
        }
        if state.busy {
            state.missed = state.missed.min(soonest);
        } else {
            state.soonest = state.soonest.min(soonest);
            self.set_timer(&mut state, effects);
        }
        Ok(last)
    }

    /// Its vhost is complete after a restart: see what is due.
    pub(crate) fn start(self: &Arc<Self>) {
        self.go_on(self.state.lock());
    }

    /// The deadline has come.
    pub(crate) fn run_deadline(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.timer = Time::NEVER;
        if !state.busy {
            self.go_on(state);
        }
    }

    /// The exchange is gone, and what it keeps with it. The caller removes it from the vhost and from the store.
    pub(crate) fn delete(&self) {
        let cancels = {
            let mut state = self.state.lock();
            state.deleted = true;
            state.messages = 0;
            state.bytes = 0;
            self.shared.deadlines.remove(Party::Delayed(self.id));
            std::mem::take(&mut state.cancels)
        };
        for (_, done) in cancels {
            done(Ok(false));
        }
    }

    fn set_timer(self: &Arc<Self>, state: &mut State, effects: &mut Effects) {
        if state.soonest < state.timer {
            state.timer = state.soonest;
            effects.wakes.add(self.shared.deadlines.set(
                Party::Delayed(self.id),
                state.soonest,
                Due::Delayed(Arc::downgrade(self)),
            ));
        }
    }

    /// Nothing is under way: begin what is to be done next.
    fn go_on(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.busy = false;
        if state.deleted {
            return;
        }
        state.soonest = state.soonest.min(state.missed);
        state.missed = Time::NEVER;
        if let Some((id, done)) = state.cancels.pop_front() {
            state.busy = true;
            drop(state);
            self.read_for_cancel(id, done);
            return;
        }
        let now = self.shared.clock.now();
        if state.soonest > now {
            let mut effects = Effects::default();
            self.set_timer(&mut state, &mut effects);
            drop(state);
            effects.finish();
            return;
        }
        state.busy = true;
        let last = state.last_ticket;
        drop(state);
        let store = &self.shared.store;
        // However much is due, the disk sets the pace, as it does for publishers.
        if last > store.durable() && store.backlog_bytes() > self.shared.limits.unsynced_bytes {
            store.on_durable(last, Arc::new(Resume(Arc::clone(self))));
            return;
        }
        let exchange = Arc::clone(self);
        store.fetch_due(
            self.id,
            DueKey::FIRST,
            now.0,
            BATCH,
            Box::new(move |batch| exchange.take(batch)),
        );
    }

    /// What was due has been read.
    fn take(self: &Arc<Self>, batch: Result<DueBatch, StoreError>) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(exchange = %self.name, %error, "delayed messages cannot be read");
                self.retry();
                return;
            }
        };
        let mut effects = Effects::default();
        let is_empty = batch.messages.is_empty();
        let next = batch.next.map_or(Time::NEVER, |next| Time(next.due));
        let routed = if self.state.lock().deleted {
            routing::Routed::default()
        } else {
            self.route(batch.messages, &mut effects)
        };
        effects.finish();
        let mut state = self.state.lock();
        state.messages = state.messages.saturating_sub(routed.messages);
        state.bytes = state.bytes.saturating_sub(routed.bytes);
        state.last_ticket = state.last_ticket.max(routed.ticket);
        state.soonest = if routed.kept {
            self.shared.clock.now().after(RETRY_AFTER)
        } else {
            next
        };
        if is_empty && next == Time::NEVER && state.missed == Time::NEVER {
            // What the store could not read is not there.
            state.messages = 0;
            state.bytes = 0;
        }
        self.go_on(state);
    }

    /// The store did not do something: try again later.
    fn retry(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let later = self.shared.clock.now().after(RETRY_AFTER);
        state.soonest = later;
        state.missed = state.missed.max(later);
        self.go_on(state);
    }
}

/// Goes on once the disk has followed.
struct Resume(Arc<DelayedExchange>);

impl DurableWaiter for Resume {
    fn durable(&self, _ticket: Ticket) {
        self.0.go_on(self.0.state.lock());
    }

    fn failed(&self, _error: &StoreError) {
        self.0.retry();
    }
}
