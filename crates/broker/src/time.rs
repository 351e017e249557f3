//! Time as the domain counts it. Nothing in this crate reads a clock of the system: the
//! [`Clock`] of [`crate::BrokerOptions`] is asked, and only where a feature needs to know.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A moment: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Later than every moment: a deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// `milliseconds` after this moment; [`Time::NEVER`] stays never.
    #[must_use]
    pub fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this moment; 0 if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells the time. It must never run backwards while the process lives.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The moment that is now.
    fn now(&self) -> Time;
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `time`.
    pub fn at(time: Time) -> Self {
        Self(AtomicU64::new(time.0))
    }

    /// Move it on; gives what it shows then.
    pub fn advance(&self, milliseconds: u64) -> Time {
        Time(
            self.0
                .fetch_add(milliseconds, Ordering::Relaxed)
                .saturating_add(milliseconds),
        )
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_moved() {
        let clock = ManualClock::at(Time(5));
        assert_eq!(clock.now(), Time(5));
        assert_eq!(clock.advance(10), Time(15));
        assert_eq!(clock.now(), Time(15));
    }

    #[test]
    fn never_stays_never() {
        assert_eq!(Time::NEVER.after(1), Time::NEVER);
        assert_eq!(Time(3).after(4), Time(7));
        assert_eq!(Time(3).since(Time(9)), 0);
    }
}
