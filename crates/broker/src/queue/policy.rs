//! What policies change of a queue that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leveret_store::StoreError;

use super::{DeadLetterTarget, Queue, QueueOptions};
use crate::effects::Effects;

/// What is asked of the options without the queue's lock. Written under it.
#[derive(Debug)]
pub(super) struct Visible {
    dead_letters: AtomicBool,
    /// Milliseconds; 0 for none.
    consumer_timeout: AtomicU64,
}

impl Visible {
    pub(super) fn new(options: &QueueOptions) -> Self {
        Self {
            dead_letters: AtomicBool::new(options.dead_letter.is_some()),
            consumer_timeout: AtomicU64::new(options.consumer_timeout.unwrap_or(0)),
        }
    }

    fn set(&self, options: &QueueOptions) {
        self.dead_letters
            .store(options.dead_letter.is_some(), Ordering::Release);
        self.consumer_timeout
            .store(options.consumer_timeout.unwrap_or(0), Ordering::Release);
    }
}

impl Queue {
    /// Make `options`, of a queue of the same type and arguments, those of the queue: what is
    /// now too much goes at once, and if the queue goes when unused, its time begins anew.
    /// Messages that are there keep the deadline they came with (RabbitMQ: Time-to-Live).
    pub(crate) fn set_options(
        self: &Arc<Self>,
        options: QueueOptions,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.deleted || state.options == options {
            return Ok(());
        }
        let before = state.ready.memory();
        self.visible.set(&options);
        if options.consumer_timeout != state.options.consumer_timeout {
            state.consumers.check_timeouts(effects);
        }
        if options.expires.is_some() {
            state.last_used = self.clock().now();
        }
        state.options = options;
        self.deliver_and_unlock(state, before, effects)
    }

    /// Is there an exchange for what the queue gives up?
    #[inline]
    pub(crate) fn has_dead_letter_exchange(&self) -> bool {
        self.visible.dead_letters.load(Ordering::Acquire)
    }

    /// Where the queue's dead letters go now; nowhere if it was deleted.
    pub(crate) fn dead_letter_target(&self) -> Option<DeadLetterTarget> {
        let state = self.state.lock();
        if state.deleted {
            return None;
        }
        state.options.dead_letter.clone()
    }

    /// Does the queue keep dead letters until some queue has taken them?
    pub(crate) fn keeps_dead_letters(&self) -> bool {
        self.state.lock().options.keeps_dead_letters()
    }

    /// Milliseconds that a consumer may keep a message unacknowledged, if the queue says.
    pub(crate) fn consumer_timeout(&self) -> Option<u64> {
        let timeout = self.visible.consumer_timeout.load(Ordering::Acquire);
        (timeout > 0).then_some(timeout)
    }
}
