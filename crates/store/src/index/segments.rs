//! All queues and segments together: what the commit thread updates, the reader looks up and the upkeep tidies.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::index::early_marks::EarlyMarks;
use crate::index::place::Place;
use crate::index::queue::{Freed, Located, QueueIndex, Written};
use crate::log::record::{Mark, Range};
use crate::log::writer::Sealed;
use crate::{Claimed, QueueId, Seq};

/// What is known of a segment.
#[derive(Debug, Default)]
pub(crate) struct SegmentState {
    /// Octets of it that hold records.
    pub(crate) end: u64,
    /// Live messages in it.
    pub(crate) live: u64,
    /// Octets of those, roughly.
    pub(crate) live_bytes: u64,
    /// Older segments that hold messages whose settles or delivery counts stand here. Those records must outlive the
    /// messages: this segment can go only when these are gone. After a recovery newer ones too, with copies whose marks
    /// may not have been repeated.
    pub(crate) needed_by: BTreeSet<u32>,
    /// Octets of settles and delivery counts.
    pub(crate) range_bytes: u64,
    /// The newest version of the definitions that a record here makes.
    pub(crate) definitions_to: u64,
    /// The last batch that settled something here or left the segment behind. Nothing here may be deleted before that
    /// batch is synced.
    pub(crate) touched: u64,
    /// No longer appended to.
    pub(crate) sealed: bool,
    /// Something in it could not be read: it is not compacted, so that nothing is lost that a better disk would give.
    pub(crate) frozen: bool,
    /// How often settles for it were carried over to a newer segment.
    pub(crate) carries: u32,
}

/// The whole index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) queues: FxHashMap<QueueId, QueueIndex>,
    pub(crate) segments: BTreeMap<u32, SegmentState>,
    /// Segment and offset before which everything is written and can be read.
    pub(crate) readable: (u32, u64),
    /// The batch at hand.
    pub(crate) batch: u64,
    /// The last batch that is durable.
    pub(crate) synced_batch: u64,
    /// The store is opening: sizes of bodies are kept.
    pub(crate) counting: bool,
    /// Something may have become deletable or worth compacting.
    pub(crate) untidy: bool,
    /// Octets settled since the upkeep last looked.
    pub(crate) settled_bytes: u64,
    /// Queues dropped since the last checkpoint that one before it knows.
    pub(crate) dropped: Vec<QueueId>,
    /// While the store opens: counts that were read before their messages.
    early_marks: EarlyMarks,
    /// Segments that hold what the batch at hand settled or marked.
    touched: BTreeSet<u32>,
    /// Reused between calls.
    freed: Vec<Freed>,
    /// For a segment, older ones that hold earlier copies of its messages and are still there. A settle must outlive
    /// every copy.
    copied_from: BTreeMap<u32, BTreeSet<u32>>,
}

impl Index {
    /// An index to be filled from the log.
    pub(crate) fn opening() -> Self {
        Self {
            counting: true,
            ..Self::default()
        }
    }

    pub(crate) fn segment(&mut self, number: u32) -> &mut SegmentState {
        self.segments.entry(number).or_default()
    }

    /// Messages of a queue were written.
    pub(crate) fn put_run(&mut self, queue: QueueId, run: &[Written]) {
        let counting = self.counting;
        self.freed.clear();
        let index = self.queues.entry(queue).or_default();
        for part in run.chunk_by(|one, next| one.segment == next.segment) {
            let Some(segment) = part.first().map(|written| written.segment) else {
                continue;
            };
            let mut bytes = 0;
            for written in part {
                bytes += written.place.size();
                index.insert(*written, counting, &mut self.freed);
            }
            let state = self.segments.entry(segment).or_default();
            state.live += crate::octets::wide(part.len());
            state.live_bytes += bytes;
            // Live elsewhere too: the newer copy counts.
            for freed in self.freed.drain(..) {
                if let Some(state) = self.segments.get_mut(&freed.segment) {
                    state.live -= freed.messages.min(state.live);
                    state.live_bytes -= freed.bytes.min(state.live_bytes);
                    state.touched = self.batch;
                }
                if freed.segment != segment {
                    let older = self.copied_from.entry(segment).or_default();
                    older.insert(freed.segment);
                }
            }
        }
    }

    /// Messages are done. Returns the range that must be written so that they stay so, if any: not for transient
    /// messages, nor for what is not there. It never reaches beyond the newest message, since a sequence that was
    /// never durable may be used again.
    pub(crate) fn settle(&mut self, range: Range) -> Option<Range> {
        let queue = self.queues.get_mut(&range.queue)?;
        let last = range.last.min(queue.next_seq.checked_sub(1)?);
        self.freed.clear();
        queue.settle(range.first, last, &mut self.freed);
        self.release().then_some(Range { last, ..range })
    }

    /// A queue is gone. Returns whether that must be written.
    pub(crate) fn drop_queue(&mut self, id: QueueId) -> bool {
        let Some(mut queue) = self.queues.remove(&id) else {
            return false;
        };
        if queue.checkpointed > 0 {
            self.dropped.push(id);
        }
        self.freed.clear();
        queue.settle(0, Seq::MAX, &mut self.freed);
        self.release()
    }

    /// Take what was freed off the segments. Returns whether something persistent was among it.
    fn release(&mut self) -> bool {
        let mut persistent = false;
        for freed in &self.freed {
            self.settled_bytes += freed.bytes;
            if let Some(state) = self.segments.get_mut(&freed.segment) {
                state.live -= freed.messages.min(state.live);
                state.live_bytes -= freed.bytes.min(state.live_bytes);
                state.touched = self.batch;
                self.untidy |= state.live == 0 && state.sealed;
            }
            if !freed.transient {
                persistent = true;
                touch(&mut self.touched, &self.copied_from, freed.segment);
            }
        }
        persistent
    }

    /// Messages were delivered once more: those that are live. The parts that survive a restart go to `marked`.
    pub(crate) fn delivered(&mut self, range: Range, marked: &mut Vec<Range>) {
        let Some(queue) = self.queues.get_mut(&range.queue) else {
            return;
        };
        let mut live = Vec::new();
        queue.stretches(range.first, range.last, &mut |stretch| live.push(stretch));
        for stretch in live {
            queue.deliveries.raise(stretch.first, stretch.last);
            if !stretch.transient {
                touch(&mut self.touched, &self.copied_from, stretch.segment);
                marked.push(Range {
                    queue: range.queue,
                    first: stretch.first,
                    last: stretch.last,
                });
            }
        }
    }

    /// The delivery counts of what is left of `ranges`.
    pub(crate) fn marks(&self, ranges: &[Range], marks: &mut Vec<Mark>) {
        for range in ranges {
            if let Some(queue) = self.queues.get(&range.queue) {
                let counts = queue.deliveries.within(range.first, range.last);
                marks.extend(counts.map(|(first, last, count)| Mark {
                    range: Range {
                        queue: range.queue,
                        first,
                        last,
                    },
                    count,
                }));
            }
        }
    }

    /// A message was read from the log. Returns whether it was delivered before.
    pub(crate) fn recover_put(&mut self, queue: QueueId, written: Written) -> bool {
        self.put_run(queue, &[written]);
        let count = self.early_marks.count(queue, written.seq);
        let index = self.queues.entry(queue).or_default();
        if count > 0 {
            index.deliveries.raise_to(written.seq, written.seq, count);
            for segment in self.early_marks.segments() {
                if *segment == written.segment {
                    continue;
                }
                let state = self.segments.entry(*segment).or_default();
                state.needed_by.insert(written.segment);
            }
        }
        index.deliveries.count(written.seq) > 0
    }

    /// A delivery count was read from the log, in `segment`.
    pub(crate) fn recover_mark(&mut self, segment: u32, mark: Mark) {
        let Mark { range, count } = mark;
        let mut live = Vec::new();
        let mut missing = range.last.saturating_sub(range.first).saturating_add(1);
        if let Some(queue) = self.queues.get_mut(&range.queue) {
            queue.stretches(range.first, range.last, &mut |stretch| live.push(stretch));
            for stretch in &live {
                missing -= (stretch.last - stretch.first + 1).min(missing);
                queue
                    .deliveries
                    .raise_to(stretch.first, stretch.last, count);
            }
        }
        for stretch in live {
            touch(&mut self.touched, &self.copied_from, stretch.segment);
        }
        if missing > 0 {
            self.early_marks.note(segment, mark);
        }
    }

    /// The segments that hold what was settled or marked since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.touched)
    }

    /// Copies are on their way to `segment`, which may be new: what is said of them is needed from now on.
    pub(crate) fn expect_copies(&mut self, segment: u32) {
        self.segments.entry(segment).or_default();
    }

    /// Settles and delivery counts for messages in the segments `touched` stand in `segment`.
    pub(crate) fn note_ranges(&mut self, segment: u32, bytes: u64, touched: &BTreeSet<u32>) {
        let state = self.segments.entry(segment).or_default();
        state.range_bytes += bytes;
        // What was deleted since the batch was gathered needs nothing any more, and nobody would ever take it off
        // again.
        let others = touched.iter().copied();
        let others: Vec<u32> = others
            .filter(|other| *other != segment && self.segments.contains_key(other))
            .collect();
        self.segment(segment).needed_by.extend(others);
    }

    /// `segment` holds copies of delivered messages, and it is not known whether their delivery counts were repeated
    /// behind them: whatever says something of the segments that they were copied from is needed as long as they are.
    pub(crate) fn keep_marks_of_copies(&mut self, segment: u32) {
        let Some(older) = self.copied_from.get(&segment) else {
            return;
        };
        for (number, state) in &mut self.segments {
            let speaks = older.contains(number) || !state.needed_by.is_disjoint(older);
            if *number != segment && state.range_bytes > 0 && speaks {
                state.needed_by.insert(segment);
            }
        }
    }

    /// A segment was deleted, and will not come back after a crash.
    pub(crate) fn remove_segment(&mut self, number: u32) {
        self.segments.remove(&number);
        for state in self.segments.values_mut() {
            state.needed_by.remove(&number);
        }
        let copied = self.copied_from.remove(&number).unwrap_or_default();
        for older in self.copied_from.values_mut() {
            // A copy of its copies is a copy of what it had copied.
            if older.remove(&number) {
                older.extend(&copied);
            }
        }
        self.copied_from.retain(|_, older| !older.is_empty());
    }

    /// The log went on to another segment.
    pub(crate) fn seal(&mut self, sealed: Sealed) {
        let batch = self.batch;
        let state = self.segment(sealed.segment);
        state.end = sealed.end;
        state.sealed = true;
        state.touched = batch;
        self.untidy = true;
    }

    /// Where live messages of a queue can be read, from `from` on. What is not written yet was put after whoever asks
    /// began to ask.
    pub(crate) fn locate(
        &self,
        queue: QueueId,
        from: Seq,
        more: impl FnMut(&Located) -> bool,
    ) -> Vec<Located> {
        let readable = self.readable;
        let visible = |located: &Located| (located.segment, located.place.offset()) < readable;
        let queue = self.queues.get(&queue);
        queue.map_or_else(Vec::new, |queue| queue.locate(from, visible, more))
    }

    /// Where a message can be read, if it is live.
    pub(crate) fn find(&self, queue: QueueId, seq: Seq) -> Option<Located> {
        let found = self.queues.get(&queue).and_then(|queue| queue.find(seq));
        found.filter(|located| (located.segment, located.place.offset()) < self.readable)
    }

    /// `seq` was used in a queue, even if nothing of it is left.
    pub(crate) fn note_used(&mut self, queue: QueueId, seq: Seq) {
        let queue = self.queues.entry(queue).or_default();
        queue.next_seq = queue.next_seq.max(seq.saturating_add(1));
    }

    /// Whether a message is live in `segment`, and where.
    pub(crate) fn find_in(&self, queue: QueueId, seq: Seq, segment: u32) -> Option<Located> {
        self.queues
            .get(&queue)
            .and_then(|queue| queue.find(seq))
            .filter(|located| located.segment == segment)
    }

    /// The messages that are live in a segment, in no order.
    pub(crate) fn live_in(&self, segment: u32) -> Vec<(Place, QueueId, Seq)> {
        let mut live = Vec::new();
        for (queue, index) in &self.queues {
            index.in_segment(segment, &mut |seq, place| live.push((place, *queue, seq)));
        }
        live
    }

    /// Somebody takes a queue.
    pub(crate) fn claim(&mut self, queue: QueueId, epoch: u64) -> Claimed {
        let counting = self.counting;
        let index = self.queues.entry(queue).or_default();
        index.claimed = true;
        Claimed {
            epoch,
            next_seq: index.next_seq,
            messages: index.live,
            bytes: if counting { index.body_bytes } else { 0 },
        }
    }

    /// The opening is over: what nobody claimed is garbage. Returns the number of queues and messages dropped.
    pub(crate) fn drop_unclaimed(&mut self, epoch: u64) -> (u64, u64) {
        self.counting = false;
        self.early_marks = EarlyMarks::default();
        let garbage: Vec<QueueId> = self
            .queues
            .iter()
            .filter(|(id, queue)| id.0 >> 32 < epoch && !queue.claimed)
            .map(|(id, _)| *id)
            .collect();
        let mut messages = 0;
        for queue in &garbage {
            messages += self.queues.get(queue).map_or(0, |queue| queue.live);
            // Their records will be garbage at the next opening too, so nothing need be written.
            self.drop_queue(*queue);
        }
        self.touched.clear();
        for queue in self.queues.values_mut() {
            queue.stop_counting();
        }
        self.untidy = true;
        (crate::octets::wide(garbage.len()), messages)
    }

    /// Octets of all segments, and of what is live in them.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        let (active, written) = self.readable;
        let (mut bytes, mut live) = (0, 0);
        for (number, state) in &self.segments {
            bytes += if *number == active {
                written
            } else {
                state.end
            };
            live += state.live_bytes;
        }
        (bytes, live)
    }
}

/// A settle or mark concerns a message in `segment`, and so every older copy of it.
fn touch(touched: &mut BTreeSet<u32>, copied_from: &BTreeMap<u32, BTreeSet<u32>>, segment: u32) {
    if touched.insert(segment)
        && let Some(older) = copied_from.get(&segment)
    {
        for older in older {
            touch(touched, copied_from, *older);
        }
    }
}

#[cfg(test)]
mod tests;
