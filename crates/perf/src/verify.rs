//! Whether every message came once and in order.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::stamp::Stamp;

/// What one consumer saw of one stream in one queue.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// One bit for each sequence number.
    bits: Vec<u64>,
    /// The highest sequence number and 1.
    next: u64,
}

impl Seen {
    /// Whether the number is new.
    fn insert(&mut self, sequence: u64) -> bool {
        let word = usize::try_from(sequence / 64).unwrap_or(usize::MAX);
        if word >= self.bits.len() {
            self.bits.resize((word + 1).max(self.bits.len() * 2), 0);
        }
        let Some(bits) = self.bits.get_mut(word) else {
            return false;
        };
        let mask = 1 << (sequence % 64);
        let new = *bits & mask == 0;
        *bits |= mask;
        new
    }

    fn has(&self, sequence: u64) -> bool {
        let word = usize::try_from(sequence / 64).unwrap_or(usize::MAX);
        let bits = self.bits.get(word).copied().unwrap_or_default();
        bits & (1 << (sequence % 64)) != 0
    }
}

/// What was found, in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    /// Deliveries that should have come.
    pub(crate) expected: u64,
    /// Expected, and never came.
    pub(crate) lost: u64,
    /// Came again.
    pub(crate) duplicated: u64,
    /// Came after a later one of the same publisher's channel, from the same queue to the same
    /// consumer.
    pub(crate) reordered: u64,
    /// Came without having been published, or without a stamp.
    pub(crate) foreign: u64,
}

impl Verdict {
    /// Nothing is wrong.
    pub(crate) fn is_good(&self) -> bool {
        let wrong = self.lost + self.duplicated + self.reordered + self.foreign;
        wrong == 0
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        if self.is_good() {
            return format!("verified: all {} came once and in order", self.expected);
        }
        format!(
            "verification failed: of {} expected, {} lost, {} duplicated, {} reordered, {} foreign",
            self.expected, self.lost, self.duplicated, self.reordered, self.foreign
        )
    }
}

/// What one consumer saw, by queue and stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    seen: HashMap<(usize, u16), Seen>,
    duplicated: u64,
    reordered: u64,
    foreign: u64,
}

impl Witness {
    /// A message came from the queue of that number; `None` for one without a stamp.
    pub(crate) fn see(&mut self, queue: usize, stamp: Option<Stamp>) {
        let Some(stamp) = stamp.filter(|stamp| stamp.sequence < BELIEVED_MAX) else {
            self.foreign += 1;
            return;
        };
        let seen = self.seen.entry((queue, stamp.stream)).or_default();
        if !seen.insert(stamp.sequence) {
            self.duplicated += 1;
        } else if stamp.sequence < seen.next {
            self.reordered += 1;
        }
        seen.next = seen.next.max(stamp.sequence + 1);
    }

    /// Take in what another consumer saw. Order is each consumer's own matter.
    pub(crate) fn join(&mut self, other: Self) {
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.foreign += other.foreign;
        for (place, theirs) in other.seen {
            let ours = self.seen.entry(place).or_default();
            if ours.bits.len() < theirs.bits.len() {
                ours.bits.resize(theirs.bits.len(), 0);
            }
            for (ours, theirs) in ours.bits.iter_mut().zip(&theirs.bits) {
                self.duplicated += u64::from((*ours & theirs).count_ones());
                *ours |= theirs;
            }
            ours.next = ours.next.max(theirs.next);
        }
    }

    /// Compare with what was published: by stream, how many messages, and for each queue whether the
    /// stream's message `n` should have reached it.
    pub(crate) fn judge(
        &self,
        queues: usize,
        published: &[(u16, u64)],
        reaches: impl Fn(usize, u16, u64) -> bool,
    ) -> Verdict {
        let mut verdict = Verdict {
            duplicated: self.duplicated,
            reordered: self.reordered,
            foreign: self.foreign,
            ..Verdict::default()
        };
        let nothing = Seen::default();
        let mut known: u64 = 0;
        for queue in 0..queues {
            for &(stream, count) in published {
                let seen = self.seen.get(&(queue, stream)).unwrap_or(&nothing);
                for sequence in 0..count {
                    if reaches(queue, stream, sequence) {
                        verdict.expected += 1;
                        let came = seen.has(sequence);
                        known += u64::from(came);
                        verdict.lost += u64::from(!came);
                    }
                }
            }
        }
        let bits = self.seen.values().flat_map(|seen| &seen.bits);
        let all: u64 = bits.map(|bits| u64::from(bits.count_ones())).sum();
        verdict.foreign += all - known;
        verdict
    }
}

/// Sequence numbers from here on are of no message of ours: 2^32 of them would not fit in memory.
const BELIEVED_MAX: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// One queue, stream 3; `came` in that order to one consumer.
    fn judged(published: u64, came: &[u64]) -> Verdict {
        let mut witness = Witness::default();
        for sequence in came {
            see(&mut witness, 0, *sequence);
        }
        witness.judge(1, &[(3, published)], |_, _, _| true)
    }

    fn see(witness: &mut Witness, queue: usize, sequence: u64) {
        let stamp = Stamp {
            nanos: 0,
            stream: 3,
            sequence,
        };
        witness.see(queue, Some(stamp));
    }

    /// lost, duplicated, reordered, foreign.
    fn counts(verdict: Verdict) -> [u64; 4] {
        [
            verdict.lost,
            verdict.duplicated,
            verdict.reordered,
            verdict.foreign,
        ]
    }

    #[test]
    fn all_in_order_is_good() {
        let all: Vec<u64> = (0..1000).collect();
        let verdict = judged(1000, &all);
        assert!(verdict.is_good());
        assert_eq!(verdict.expected, 1000);
    }

    #[test]
    fn a_loss_is_found() {
        assert_eq!(counts(judged(4, &[0, 1, 3])), [1, 0, 0, 0]);
        assert_eq!(counts(judged(4, &[0, 1, 2])), [1, 0, 0, 0]);
        assert_eq!(counts(judged(200, &[])), [200, 0, 0, 0]);
    }

    #[test]
    fn a_duplicate_is_found() {
        assert_eq!(counts(judged(3, &[0, 1, 1, 2])), [0, 1, 0, 0]);
        assert_eq!(counts(judged(3, &[0, 1, 2, 0])), [0, 1, 0, 0]);
    }

    #[test]
    fn a_wrong_order_is_found() {
        assert_eq!(counts(judged(4, &[0, 2, 1, 3])), [0, 0, 1, 0]);
    }

    #[test]
    fn what_was_never_sent_is_found() {
        assert_eq!(counts(judged(2, &[0, 1, 2])), [0, 0, 0, 1]);
        let mut witness = Witness::default();
        witness.see(0, None);
        assert_eq!(counts(witness.judge(1, &[], |_, _, _| true)), [0, 0, 0, 1]);
    }

    #[test]
    fn competing_consumers_are_taken_together() {
        let (mut one, mut other) = (Witness::default(), Witness::default());
        for sequence in 0..100 {
            see(
                if sequence % 3 == 0 {
                    &mut one
                } else {
                    &mut other
                },
                0,
                sequence,
            );
        }
        see(&mut other, 0, 100);
        let mut doubled = other.clone();
        one.join(other);
        assert!(one.judge(1, &[(3, 101)], |_, _, _| true).is_good());
        see(&mut doubled, 0, 101);
        one.join(doubled);
        assert_eq!(
            counts(one.judge(1, &[(3, 102)], |_, _, _| true)),
            [0, 67, 0, 0]
        );
    }

    #[test]
    fn each_queue_is_judged_by_what_reaches_it() {
        let mut witness = Witness::default();
        for sequence in 0..10 {
            see(&mut witness, usize::from(sequence % 2 == 1), sequence);
        }
        let by_parity = |queue, _, sequence| sequence % 2 == queue as u64;
        assert!(witness.judge(2, &[(3, 10)], by_parity).is_good());
        // The same messages in the other queue.
        let swapped = witness.judge(2, &[(3, 10)], |queue, stream, n| {
            !by_parity(queue, stream, n)
        });
        assert_eq!(counts(swapped), [10, 0, 0, 10]);
    }
}
