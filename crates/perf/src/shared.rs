//! What the threads of a run share: the clock, the end, the counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::connection::TICK;
use crate::error::{PerfError, Result};
use crate::stamp::Clock;

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The run's clock.
    pub(crate) clock: Clock,
    /// The threads may begin.
    pub(crate) gate: AtomicBool,
    /// Publish no more.
    pub(crate) stop_publishing: AtomicBool,
    /// End at once.
    pub(crate) stop: AtomicBool,
    /// Within the measured window: latencies count.
    pub(crate) recording: AtomicBool,
    /// The first error of a thread.
    failure: Mutex<Option<PerfError>>,
    /// Set by ctrl-c.
    interrupt: Arc<AtomicBool>,
    tallies: Mutex<Vec<Arc<Tally>>>,
}

/// One thread's counts, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    /// Messages written.
    pub(crate) published: AtomicU64,
    /// Messages confirmed.
    pub(crate) confirmed: AtomicU64,
    /// Messages refused.
    pub(crate) nacked: AtomicU64,
    /// Messages received; for other work, what it counts.
    pub(crate) delivered: AtomicU64,
    /// Threads that have nothing left to publish.
    pub(crate) done: AtomicU64,
}

/// The sum of all counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages written.
    pub(crate) published: u64,
    /// Messages confirmed.
    pub(crate) confirmed: u64,
    /// Messages refused.
    pub(crate) nacked: u64,
    /// Messages received; for other work, what it counts.
    pub(crate) delivered: u64,
    /// Threads that have nothing left to publish.
    pub(crate) done: u64,
}

impl Counts {
    /// What came since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            published: self.published.saturating_sub(before.published),
            confirmed: self.confirmed.saturating_sub(before.confirmed),
            nacked: self.nacked.saturating_sub(before.nacked),
            delivered: self.delivered.saturating_sub(before.delivered),
            done: self.done.saturating_sub(before.done),
        }
    }
}

impl Shared {
    /// A run that begins now and ends early when `interrupt` is set.
    pub(crate) fn new(interrupt: &Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::start(),
            gate: AtomicBool::new(false),
            stop_publishing: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            recording: AtomicBool::new(false),
            failure: Mutex::new(None),
            interrupt: Arc::clone(interrupt),
            tallies: Mutex::new(Vec::new()),
        })
    }

    /// Counts of a new thread.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.push(Arc::clone(&tally));
        tally
    }

    /// The sum of all threads' counts.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for tally in &*self.tallies.lock().unwrap_or_else(PoisonError::into_inner) {
            counts.published += tally.published.load(Ordering::Relaxed);
            counts.confirmed += tally.confirmed.load(Ordering::Relaxed);
            counts.nacked += tally.nacked.load(Ordering::Relaxed);
            counts.delivered += tally.delivered.load(Ordering::Relaxed);
            counts.done += tally.done.load(Ordering::Relaxed);
        }
        counts
    }

    /// Whether as many messages were received as published.
    pub(crate) fn caught_up(&self) -> bool {
        let counts = self.counts();
        counts.delivered >= counts.published
    }

    /// Whether ctrl-c was pressed.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Wait until the run may begin, or is over.
    pub(crate) fn wait_at_gate(&self) {
        while !self.gate.load(Ordering::Acquire) && !self.stopped() {
            thread::sleep(TICK / 1000);
        }
    }

    /// Whether publishing is over.
    #[inline]
    pub(crate) fn publishing_ended(&self) -> bool {
        self.stop_publishing.load(Ordering::Relaxed) || self.stopped()
    }

    /// Whether everything is over.
    #[inline]
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Run `work` on a thread of its own; an error ends the run.
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<JoinHandle<Option<T>>> {
        const STACK: usize = 256 * 1024;
        let shared = Arc::clone(self);
        let body = move || match work(&shared) {
            Ok(done) => Some(done),
            Err(error) => {
                shared.fail(error);
                None
            }
        };
        let thread = thread::Builder::new().stack_size(STACK).spawn(body);
        thread.map_err(|error| PerfError::Arguments(format!("no thread can be started: {error}")))
    }

    fn fail(&self, error: PerfError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The first error of a thread, if there was one.
    pub(crate) fn check(&self) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }

    /// Wait for the threads; after `grace` seconds they are told to end at once. A thread that failed
    /// gives nothing; [`check`](Self::check) has its error.
    pub(crate) fn join<T>(&self, threads: Vec<JoinHandle<Option<T>>>, grace: u32) -> Vec<T> {
        let mut left = grace * 100;
        while threads.iter().any(|thread| !thread.is_finished()) {
            if left == 0 || self.interrupted() {
                self.stop.store(true, Ordering::Relaxed);
                break;
            }
            left -= 1;
            thread::sleep(TICK / 10);
        }
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok().flatten())
            .collect()
    }
}
