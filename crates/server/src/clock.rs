//! The one place that reads clocks: for the protocol machines and for the broker.

use std::time::{Duration, SystemTime};

use leveret_broker::Time;
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

/// The time of day for the broker. The system's is read once, and what passes since is measured
/// by a clock that nobody sets: so the time never runs backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    started: Time,
    origin: std::time::Instant,
}

impl WallClock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Time(milliseconds(since_epoch)),
            origin: std::time::Instant::now(),
        }
    }
}

impl leveret_broker::Clock for WallClock {
    fn now(&self) -> Time {
        self.started.after(milliseconds(self.origin.elapsed()))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use leveret_broker::Clock as _;

    use super::*;

    #[test]
    fn the_wall_clock_starts_now_and_never_goes_back() {
        let clock = WallClock::start();
        let mut before = clock.now();
        assert!(before > Time(1_600_000_000_000), "later than 2020");
        for _ in 0..1000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
    }
}
