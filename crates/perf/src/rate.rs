//! When the next message is due.

use std::time::Duration;

/// A fixed rate, as intended times: message `n` is due `n / rate` after the start, whatever became
/// of the messages before it. So a broker that stalls is charged for every message that should have
/// gone out meanwhile (no coordinated omission).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// Nanoseconds from one message to the next.
    interval_nanos: f64,
    /// Nanoseconds after the start at which message 0 is due.
    first_nanos: f64,
}

impl Rate {
    /// `per_second` messages, which must be above 0, beginning `offset` (0 to 1) of an interval
    /// after the start, so that many publishers do not all send at once.
    pub(crate) fn new(per_second: f64, offset: f64) -> Self {
        let interval_nanos = 1e9 / per_second;
        Self {
            interval_nanos,
            first_nanos: interval_nanos * offset,
        }
    }

    /// When message `n` is due, in nanoseconds after the start.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a run has less than 2^53 messages and nanoseconds"
    )]
    pub(crate) fn due(&self, n: u64) -> u64 {
        (self.first_nanos + self.interval_nanos * n as f64) as u64
    }

    /// How many messages are due `nanos` after the start.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a run has less than 2^53 messages and nanoseconds"
    )]
    pub(crate) fn due_until(&self, nanos: u64) -> u64 {
        let since = nanos as f64 - self.first_nanos;
        if since < 0.0 {
            return 0;
        }
        (since / self.interval_nanos) as u64 + 1
    }

    /// How long to wait at `nanos` after the start for message `n`.
    pub(crate) fn wait(&self, n: u64, nanos: u64) -> Duration {
        Duration::from_nanos(self.due(n).saturating_sub(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_distances() {
        let rate = Rate::new(1000.0, 0.0);
        assert_eq!(rate.due(0), 0);
        assert_eq!(rate.due(1), 1_000_000);
        assert_eq!(rate.due_until(0), 1);
        assert_eq!(rate.due_until(999_999), 1);
        assert_eq!(rate.due_until(1_000_000), 2);
        assert_eq!(rate.wait(5, 4_999_000), Duration::from_micros(1));
        assert_eq!(rate.wait(5, 6_000_000), Duration::ZERO);
    }

    #[test]
    fn a_stall_is_caught_up_and_not_forgotten() {
        let rate = Rate::new(1000.0, 0.0);
        // Nothing was sent for a second: all of it is due, each at its own time.
        assert_eq!(rate.due_until(1_000_000_000), 1001);
        assert_eq!(rate.due(500), 500_000_000);
    }

    #[test]
    fn an_offset_moves_all_of_them() {
        let rate = Rate::new(10.0, 0.5);
        assert_eq!(rate.due(0), 50_000_000);
        assert_eq!(rate.due_until(49_000_000), 0);
        assert_eq!(rate.due_until(50_000_000), 1);
    }
}
