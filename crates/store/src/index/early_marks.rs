//! Delivery counts that the log gives before the messages they are for.
//!
//! The copy of a message stands behind the counts of its original, and repeats them behind itself. A crash between the
//! two leaves a copy whose count stands before it; once the original is deleted, nothing of the message does.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::index::deliveries::Deliveries;
use crate::log::record::Mark;
use crate::{QueueId, Seq};

/// Counts read so far for messages that were not there at that point of the log. Most are settled, and never come.
#[derive(Debug, Default)]
pub(crate) struct EarlyMarks {
    queues: FxHashMap<QueueId, Deliveries>,
    /// Segments in which such counts stand.
    segments: BTreeSet<u32>,
}

impl EarlyMarks {
    /// `mark` stands in `segment`, and some of its messages have not been seen.
    pub(crate) fn note(&mut self, segment: u32, mark: Mark) {
        let Mark { range, count } = mark;
        let counts = self.queues.entry(range.queue).or_default();
        counts.raise_to(range.first, range.last, count);
        self.segments.insert(segment);
    }

    /// How often a message that comes now was delivered before. A sequence is never used for two messages once it
    /// stands in the log, so the count can only be this one's.
    pub(crate) fn count(&self, queue: QueueId, seq: Seq) -> u32 {
        let counts = self.queues.get(&queue);
        counts.map_or(0, |counts| counts.count(seq))
    }

    /// The segments in which counts stand.
    pub(crate) fn segments(&self) -> &BTreeSet<u32> {
        &self.segments
    }
}
