//! Breaks any store on purpose: so that what stands above it is tested against failure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::{
    Change, Claimed, DueDone, DueKey, DurableWaiter, FetchDone, FetchLimit, Operation, QueueId,
    Seq, Store, StoreError, Ticket, Usage,
};

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Store::append`].
    Append,
    /// [`Store::change`].
    Change,
    /// [`Store::claim`].
    Claim,
    /// [`Store::definitions`].
    Definitions,
    /// [`Store::drop_queue`].
    DropQueue,
    /// [`Store::fetch`]: the answer is the error.
    Fetch,
    /// [`Store::fetch_due`]: the answer is the error.
    FetchDue,
    /// [`Store::order_by_due`].
    OrderByDue,
    /// A report of durability: as if the sync behind it had failed, so the store is poisoned from then on.
    Report,
}

/// A [`Store`] that passes everything on to another one, except what it was told to break.
pub struct FaultyStore<S> {
    inner: S,
    faults: Arc<Faults>,
}

struct Faults {
    plan: Mutex<Plan>,
    /// No ticket above is reported durable. `u64::MAX` while nothing is held back.
    ceiling: AtomicU64,
}

#[derive(Default)]
struct Plan {
    /// Calls that will fail: which, after how many more of them, and how.
    failures: Vec<(Call, u64, StoreError)>,
    /// Reports held back, in the order in which they came.
    held: VecDeque<(Ticket, Arc<dyn DurableWaiter>)>,
    /// How long a report of durability is kept on the store's thread.
    delay: Duration,
    /// While a report is to fail, only what was reported counts as durable: nobody may see a ticket as durable first
    /// and failed afterwards.
    reported: Option<Ticket>,
    /// Set once poisoned: the answer to everything that writes.
    poisoned: Option<StoreError>,
}

impl<S: Store> FaultyStore<S> {
    /// A store that does what `inner` does, so far.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            faults: Arc::new(Faults {
                plan: Mutex::default(),
                ceiling: AtomicU64::new(u64::MAX),
            }),
        }
    }

    /// The store behind it.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Let the `nth` call of this kind from now on fail with `error` (1 is the next one).
    pub fn fail(&self, call: Call, nth: u64, error: StoreError) {
        let durable = self.durable();
        let mut plan = self.faults.plan.lock();
        plan.failures.push((call, nth.max(1), error));
        if call == Call::Report {
            plan.reported.get_or_insert(durable);
        }
    }

    /// Report nothing as durable that is not already, until [`FaultyStore::release`].
    pub fn hold(&self) {
        let durable = self.inner.durable().0;
        self.faults.ceiling.fetch_min(durable, Ordering::AcqRel);
    }

    /// Report what was held back, on this thread.
    pub fn release(&self) {
        self.faults.ceiling.store(u64::MAX, Ordering::Release);
        loop {
            let Some((ticket, waiter)) = self.faults.plan.lock().held.pop_front() else {
                return;
            };
            self.faults.report(ticket, &waiter);
        }
    }

    /// Keep every report of durability for `delay` on the store's thread: a slow disk.
    pub fn delay(&self, delay: Duration) {
        self.faults.plan.lock().delay = delay;
    }

    /// Fail as if a sync had failed: whatever is held back fails, nothing more becomes durable or is taken.
    pub fn poison(&self, reason: &str) {
        let durable = self.durable().0;
        self.faults.ceiling.fetch_min(durable, Ordering::AcqRel);
        self.faults.poison(&StoreError::Poisoned(reason.to_owned()));
    }
}

impl Faults {
    /// Count a call; the error if it is to fail.
    fn count(&self, call: Call) -> Result<(), StoreError> {
        let mut plan = self.plan.lock();
        if let Some(error) = &plan.poisoned
            && matches!(
                call,
                Call::Append | Call::Change | Call::DropQueue | Call::Report
            )
        {
            return Err(error.clone());
        }
        let mut hit = None;
        for (index, (kind, left, _)) in plan.failures.iter_mut().enumerate() {
            if *kind == call {
                *left -= 1;
                if *left == 0 {
                    hit = Some(index);
                    break;
                }
            }
        }
        match hit {
            Some(index) => Err(plan.failures.remove(index).2),
            None => Ok(()),
        }
    }

    /// Tell `waiter` what became of its ticket.
    fn report(&self, ticket: Ticket, waiter: &Arc<dyn DurableWaiter>) {
        if let Err(error) = self.count(Call::Report) {
            self.ceiling
                .fetch_min(ticket.0.saturating_sub(1), Ordering::AcqRel);
            self.poison(&error);
            waiter.failed(&error);
        } else {
            if let Some(reported) = &mut self.plan.lock().reported {
                *reported = ticket.max(*reported);
            }
            waiter.durable(ticket);
        }
    }

    fn poison(&self, error: &StoreError) {
        let held = {
            let mut plan = self.plan.lock();
            plan.poisoned.get_or_insert_with(|| error.clone());
            std::mem::take(&mut plan.held)
        };
        for (_, waiter) in held {
            waiter.failed(error);
        }
    }
}

/// Stands between the inner store's report and the waiter.
struct Checkpoint {
    faults: Arc<Faults>,
    waiter: Arc<dyn DurableWaiter>,
}

impl DurableWaiter for Checkpoint {
    fn durable(&self, ticket: Ticket) {
        let delay = self.faults.plan.lock().delay;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        {
            let mut plan = self.faults.plan.lock();
            if plan.poisoned.is_none() && ticket.0 > self.faults.ceiling.load(Ordering::Acquire) {
                plan.held.push_back((ticket, Arc::clone(&self.waiter)));
                return;
            }
        }
        self.faults.report(ticket, &self.waiter);
    }

    fn failed(&self, error: &StoreError) {
        self.waiter.failed(error);
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn definitions(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        self.faults.count(Call::Definitions)?;
        self.inner.definitions()
    }

    fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        self.faults.count(Call::Change)?;
        self.inner.change(changes)
    }

    fn next_queue_id(&self) -> QueueId {
        self.inner.next_queue_id()
    }

    fn claim(&self, queue: QueueId) -> Result<Claimed, StoreError> {
        self.faults.count(Call::Claim)?;
        self.inner.claim(queue)
    }

    fn recovered(&self) {
        self.inner.recovered();
    }

    fn append(&self, operations: &mut Vec<Operation>) -> Result<Ticket, StoreError> {
        self.faults.count(Call::Append)?;
        self.inner.append(operations)
    }

    fn durable(&self) -> Ticket {
        let ceiling = Ticket(self.faults.ceiling.load(Ordering::Acquire));
        let durable = self.inner.durable().min(ceiling);
        match self.faults.plan.lock().reported {
            Some(reported) => durable.min(reported),
            None => durable,
        }
    }

    fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        let poisoned = self.faults.plan.lock().poisoned.clone();
        if let Some(error) = poisoned
            && ticket > self.durable()
        {
            waiter.failed(&error);
            return;
        }
        let faults = Arc::clone(&self.faults);
        self.inner
            .on_durable(ticket, Arc::new(Checkpoint { faults, waiter }));
    }

    fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit, done: FetchDone) {
        match self.faults.count(Call::Fetch) {
            Ok(()) => self.inner.fetch(queue, from, limit, done),
            // The answer still comes from a store's thread, so it goes the way of a fetch of nothing.
            Err(error) => {
                let nothing = FetchLimit {
                    messages: 0,
                    bytes: 0,
                };
                self.inner.fetch(
                    queue,
                    Seq::MAX,
                    nothing,
                    Box::new(move |_| done(Err(error))),
                );
            }
        }
    }

    fn order_by_due(&self, queue: QueueId) -> Result<(), StoreError> {
        self.faults.count(Call::OrderByDue)?;
        self.inner.order_by_due(queue)
    }

    fn fetch_due(
        &self,
        queue: QueueId,
        from: DueKey,
        until: u64,
        limit: FetchLimit,
        done: DueDone,
    ) {
        match self.faults.count(Call::FetchDue) {
            Ok(()) => self.inner.fetch_due(queue, from, until, limit, done),
            Err(error) => self.inner.fetch_due(
                queue,
                DueKey::LAST,
                0,
                limit,
                Box::new(move |_| done(Err(error))),
            ),
        }
    }

    fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError> {
        self.faults.count(Call::DropQueue)?;
        self.inner.drop_queue(queue)
    }

    fn backlog_bytes(&self) -> usize {
        self.inner.backlog_bytes()
    }

    fn usage(&self) -> Usage {
        let mut usage = self.inner.usage();
        usage.poisoned |= self.faults.plan.lock().poisoned.is_some();
        usage
    }

    fn is_low(&self) -> bool {
        self.inner.is_low()
    }

    fn shutdown(&self) {
        self.inner.shutdown();
    }
}
