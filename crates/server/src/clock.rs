//! The one place that reads a clock for the protocol machines.

use std::time::Duration;

use tokio::time::Instant;

/// Time since the node started: what the machines take as `now`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Duration {
        self.origin.elapsed()
    }

    /// The moment at which `now` would give `time`.
    pub(crate) fn instant(self, time: Duration) -> Instant {
        self.origin + time
    }
}
