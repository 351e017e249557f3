//! Heartbeats of one connection (AMQP 0-9-1 section 4.2.7, timed as RabbitMQ does).

use std::time::Duration;

/// Silent checks in a row after which the peer is taken for dead: with one check an interval, it is
/// dropped two to three intervals after its last octet.
const SILENT_CHECKS_MAX: u8 = 2;

/// When to send a heartbeat, and when to give the peer up. Any octet, either way, counts as one.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat {
    /// The negotiated interval; zero is no heartbeats at all.
    interval: Duration,
    /// When a heartbeat goes out if nothing else has.
    send_at: Duration,
    /// When the peer is looked at next.
    check_at: Duration,
    /// Whether an octet came since the last look.
    heard: bool,
    /// Looks in a row that found nothing.
    silent_checks: u8,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The peer was silent for too long.
    Lost,
    Nothing,
    /// A heartbeat is to be sent.
    Send,
}

impl Heartbeat {
    /// Heartbeats every `interval_secs`, 0 for none.
    pub(crate) fn started(interval_secs: u16, now: Duration) -> Self {
        let interval = Duration::from_secs(interval_secs.into());
        Self {
            interval,
            send_at: now + interval / 2,
            check_at: now + interval,
            ..Self::default()
        }
    }

    /// The negotiated interval; zero is none.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// An octet came.
    #[inline]
    pub(crate) fn note_heard(&mut self) {
        self.heard = true;
    }

    /// An octet went out.
    #[inline]
    pub(crate) fn note_written(&mut self, now: Duration) {
        self.send_at = now + self.interval / 2;
    }

    /// The next time that something is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (!self.interval.is_zero()).then(|| self.send_at.min(self.check_at))
    }

    /// What is due at `now`. The loss comes first: a lost peer needs no heartbeat.
    pub(crate) fn due(&mut self, now: Duration) -> Due {
        if self.interval.is_zero() {
            return Due::Nothing;
        }
        if self.check_at <= now {
            // Counted from now and not from the missed deadline: a machine that slept for an hour
            // gives its peers a whole interval before it looks again.
            self.check_at = now + self.interval;
            self.silent_checks = if self.heard {
                0
            } else {
                self.silent_checks + 1
            };
            self.heard = false;
            if self.silent_checks >= SILENT_CHECKS_MAX {
                return Due::Lost;
            }
        }
        if self.send_at <= now {
            self.note_written(now);
            return Due::Send;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn without_an_interval_nothing_is_ever_due() {
        let mut heartbeat = Heartbeat::started(0, secs(0));
        assert_eq!(heartbeat.deadline(), None);
        assert_eq!(heartbeat.due(secs(100_000)), Due::Nothing);
    }

    #[test]
    fn a_heartbeat_is_due_after_half_an_interval_of_silence() {
        let mut heartbeat = Heartbeat::started(10, secs(0));
        assert_eq!(heartbeat.deadline(), Some(secs(5)));
        assert_eq!(heartbeat.due(secs(4)), Due::Nothing);
        heartbeat.note_written(secs(4));
        assert_eq!(heartbeat.due(secs(5)), Due::Nothing);
        assert_eq!(heartbeat.due(secs(9)), Due::Send);
        assert_eq!(heartbeat.due(secs(9)), Due::Nothing);
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let heartbeat = Heartbeat::started(u16::MAX, secs(1));
        assert_eq!(heartbeat.interval(), secs(65_535));
        assert!(heartbeat.deadline().is_some());
    }

    #[test]
    fn two_silent_checks_in_a_row_lose_the_peer() {
        let mut heartbeat = Heartbeat::started(2, secs(0));
        heartbeat.note_heard();
        assert_ne!(heartbeat.due(secs(2)), Due::Lost);
        assert_ne!(heartbeat.due(secs(4)), Due::Lost);
        heartbeat.note_heard();
        assert_ne!(heartbeat.due(secs(6)), Due::Lost);
        assert_ne!(heartbeat.due(secs(8)), Due::Lost);
        assert_eq!(heartbeat.due(secs(10)), Due::Lost);
    }
}
