//! What is to be done to the broker, and in which order.

use std::time::Duration;

use crate::random::Random;

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL at some moment.
    Kill,
    /// SIGKILL right after the -ok of a declare, bind, unbind or delete.
    KillAfterAnswer,
    /// SIGKILL, again while it recovers, then two orderly restarts.
    KillInRecovery,
    /// SIGTERM.
    Stop,
}

impl Blow {
    /// A word for the report.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillAfterAnswer => "kill after an -ok",
            Self::KillInRecovery => "kill in recovery",
            Self::Stop => "stop",
        }
    }
}

/// So many rounds of each kind, mixed.
pub(crate) fn blows(kills: u32, recovery_kills: u32, stops: u32, random: &mut Random) -> Vec<Blow> {
    let mut blows = Vec::new();
    for number in 0..kills {
        blows.push(if number % 3 == 2 {
            Blow::KillAfterAnswer
        } else {
            Blow::Kill
        });
    }
    blows.extend((0..recovery_kills).map(|_| Blow::KillInRecovery));
    blows.extend((0..stops).map(|_| Blow::Stop));
    random.shuffle(&mut blows);
    blows
}

/// When a recovery is killed: at any moment of its first two seconds, or of the time that the
/// last one took.
pub(crate) fn time_into_recovery(last: Duration, random: &mut Random) -> Duration {
    if random.chance(30) {
        random.time(Duration::from_secs(2))
    } else {
        random.time(last)
    }
}

/// Settings of one life of the broker: small segments and little memory make it do more.
pub(crate) fn settings(random: &mut Random) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if let Some(octets) = random.pick(&[65_536, 1 << 20, 1 << 20, 8 << 20, 64 << 20]) {
        settings.push(("LEVERET_STORE_SEGMENT_BYTES", octets.to_string()));
    }
    if let Some(octets) = random.pick(&[65_536, 1 << 20, 256 << 20, 256 << 20]) {
        settings.push(("LEVERET_LIMITS_MESSAGE_MEMORY_BYTES", octets.to_string()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_what_was_asked_for_and_follows_from_its_seed() {
        let plan = blows(20, 5, 4, &mut Random::new(1));
        let count = |blow| plan.iter().filter(|other| **other == blow).count();
        assert_eq!(
            [
                Blow::Kill,
                Blow::KillAfterAnswer,
                Blow::KillInRecovery,
                Blow::Stop
            ]
            .map(count),
            [14, 6, 5, 4]
        );
        assert_eq!(plan, blows(20, 5, 4, &mut Random::new(1)));
        assert_ne!(plan, blows(20, 5, 4, &mut Random::new(2)));
    }
}
