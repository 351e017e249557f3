//! One batch: from entries to records in the log and places in the index.
//!
//! Puts and definitions are encoded first, in order; then the index takes everything in, in order; what it says of
//! settles and delivery marks is encoded last. So a settle is written only for what is really there, a mark only for
//! what is still live at the end of the batch, and all of it goes out in one write.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;

use super::{Committer, RETRIES_AT_SHUTDOWN, RETRY, Work};
use crate::embedded::compaction::Step;
use crate::embedded::pending::{Definitions, Pended, Stop};
use crate::index::place::Place;
use crate::index::queue::Written;
use crate::index::segments::Index;
use crate::log::record::{
    self, ENTRIES_MAX, MARK_ENTRY, Mark, RANGE_ENTRY, RECORD_HEADER, Range, Seal,
};
use crate::log::writer::{BATCH_LEN, Failure};
use crate::moment::{self, Mark as Moment};
use crate::octets::wide;
use crate::{DueKey, QueueId, Seq};

/// The buffer is written out when it holds this many octets: large enough for one write, small enough for the cache.
const WRITE_BYTES: usize = 1 << 20;
/// Ranges in one record.
const RANGES_PER_RECORD: usize = 2048;
/// No further put of the same message.
const LAST: u32 = u32::MAX;

/// Room used again for every batch.
#[derive(Default)]
pub(super) struct Scratch {
    /// For every entry: where it was written, if it is a put.
    places: Vec<(u32, Place)>,
    /// For every entry: the next put of the same message, if any is shared.
    same: Vec<u32>,
    /// The newest put of a message.
    newest: FxHashMap<(usize, bool), u32>,
    targets: Vec<(QueueId, Seq)>,
    run: Vec<Written>,
    settled: Vec<Range>,
    marked: Vec<Range>,
    marks: Vec<Mark>,
    /// Messages copied to the end of the log.
    moved: Vec<(QueueId, Written)>,
    /// Segments that hold what was settled or marked.
    touched: BTreeSet<u32>,
    /// Messages of queues that are read by due time.
    timed: Vec<(QueueId, DueKey)>,
}

impl Committer {
    /// Write a batch and take it into the index. Returns whether it must be synced.
    pub(super) fn write(&mut self, work: &mut Work) -> Result<bool, Failure> {
        let mut needs_sync = self.encode(&mut work.entries)?;
        self.apply(&work.entries);
        if let Some(step) = &work.step {
            needs_sync |= self.carry(step)?;
        }
        needs_sync |= self.encode_ranges()?;
        self.writer.flush()?;
        let mut index = self.shared.index.lock();
        for sealed in self.writer.take_sealed() {
            index.seal(sealed);
        }
        index.readable = (self.writer.segment(), self.writer.written_end());
        // Only now: until it is written, a copy cannot be read.
        for (queue, written) in self.scratch.moved.drain(..) {
            let from = work.step.as_ref().map_or(0, |step| step.segment);
            // The queue may have been dropped as garbage since.
            if index.find_in(queue, written.seq, from).is_some() {
                index.put_run(queue, &[written]);
            }
        }
        drop(index);
        // Now that they can be read.
        self.order(&work.entries);
        Ok(needs_sync)
    }

    /// Encode puts and definitions. Returns whether one of them must survive.
    fn encode(&mut self, entries: &mut VecDeque<Pended>) -> Result<bool, Failure> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.places.clear();
        scratch.places.resize(entries.len(), (0, Place::NONE));
        scratch.link_shared(entries);
        let mut durable_entries = false;
        for at in 0..entries.len() {
            match entries.get_mut(at) {
                Some(Pended::Put { durable, .. }) => {
                    durable_entries |= *durable;
                    let unwritten = scratch
                        .places
                        .get(at)
                        .is_some_and(|(_, place)| place.is_none());
                    if unwritten {
                        self.encode_put(&mut scratch, entries, at)?;
                    }
                }
                Some(entry @ Pended::Change(_)) => {
                    if let Pended::Change(change) = std::mem::replace(entry, Pended::Done) {
                        self.encode_definitions(*change)?;
                        durable_entries = true;
                    }
                }
                _ => {}
            }
        }
        self.scratch = scratch;
        Ok(durable_entries)
    }

    /// Encode the message of the put `at`, for all puts that carry it.
    fn encode_put(
        &mut self,
        scratch: &mut Scratch,
        entries: &VecDeque<Pended>,
        at: usize,
    ) -> Result<(), Failure> {
        let Some(Pended::Put {
            message, durable, ..
        }) = entries.get(at)
        else {
            return Ok(());
        };
        scratch.collect_targets(entries, at);
        let len = record::put_len(message, scratch.targets.len());
        let (seal, offset) = self.record(len)?;
        let targets = &scratch.targets;
        let buffer = &mut self.writer.buffer;
        record::encode_put(buffer, (seal, offset), message, !durable, targets);
        let place = Place::new(offset, len / targets.len().max(1));
        let count = targets.len();
        scratch.note_place(at, count, (seal.segment, place));
        self.flush_if_large()
    }

    fn encode_definitions(&mut self, definitions: Definitions) -> Result<(), Failure> {
        let len = record::aligned(RECORD_HEADER + definitions.payload.len());
        let at = self.record(len)?;
        record::encode_definitions(&mut self.writer.buffer, at, &definitions.payload);
        self.shared
            .index
            .lock()
            .segment(at.0.segment)
            .definitions_to = definitions.version;
        self.changed.push(definitions);
        self.flush_if_large()
    }

    /// Take the entries into the index, in order, and gather what must be written of settles and marks.
    fn apply(&mut self, entries: &VecDeque<Pended>) {
        let scratch = &mut self.scratch;
        let mut index = self.shared.index.lock();
        index.batch = self.batch;
        for sealed in self.writer.take_sealed() {
            index.seal(sealed);
        }
        let mut run_of = QueueId(0);
        scratch.run.clear();
        for (entry, (segment, place)) in entries.iter().zip(&scratch.places) {
            if let Pended::Put {
                queue,
                seq,
                message,
                durable,
            } = entry
            {
                if *queue != run_of {
                    put_run(&mut index, run_of, &mut scratch.run);
                    run_of = *queue;
                }
                let body = if index.counting {
                    message.body().len()
                } else {
                    0
                };
                scratch.run.push(Written {
                    seq: *seq,
                    segment: *segment,
                    place: *place,
                    transient: !durable,
                    body: u32::try_from(body).unwrap_or(u32::MAX),
                });
                continue;
            }
            put_run(&mut index, run_of, &mut scratch.run);
            match *entry {
                Pended::Settle { queue, first, last } => {
                    let range = Range { queue, first, last };
                    scratch.settled.extend(index.settle(range));
                }
                Pended::Delivered { queue, first, last } => {
                    let range = Range { queue, first, last };
                    index.delivered(range, &mut scratch.marked);
                }
                Pended::Drop(queue) => {
                    self.shared.timed.drop_queue(queue);
                    if index.drop_queue(queue) {
                        scratch.settled.push(whole(queue));
                    }
                }
                Pended::Put { .. } | Pended::Change(_) | Pended::Done => {}
            }
        }
        put_run(&mut index, run_of, &mut scratch.run);
        merge(&mut scratch.settled);
        merge(&mut scratch.marked);
        index.marks(&scratch.marked, &mut scratch.marks);
        scratch.marked.clear();
        scratch.touched = index.take_touched();
    }

    /// Tell when messages are due, if there are queues that are read by it.
    fn order(&mut self, entries: &VecDeque<Pended>) {
        if !self.shared.timed.is_used() {
            return;
        }
        let timed = &mut self.scratch.timed;
        timed.clear();
        for entry in entries {
            if let Pended::Put {
                queue,
                seq,
                message,
                ..
            } = entry
                && let Some(due) = moment::of(message, Moment::DUE)
            {
                timed.push((*queue, DueKey { due, seq: *seq }));
            }
        }
        if !timed.is_empty() {
            self.shared.timed.note(timed.drain(..));
        }
    }

    /// Copy messages, settles and marks to the end of the log. Returns whether there were any.
    fn carry(&mut self, step: &Step) -> Result<bool, Failure> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut moved_bytes = 0;
        for moved in &step.records {
            let live = {
                let index = self.shared.index.lock();
                moved.live(&index, step.segment)
            };
            if live.is_empty() {
                continue;
            }
            let len = moved.len(live.len());
            let (seal, offset) = self.record(len)?;
            moved.encode(&mut self.writer.buffer, (seal, offset), &live);
            moved_bytes += wide(len);
            let place = Place::new(offset, len / live.len());
            let mut index = self.shared.index.lock();
            index.expect_copies(seal.segment);
            for (queue, seq) in live {
                let range = Range {
                    queue,
                    first: seq,
                    last: seq,
                };
                index.marks(&[range], &mut scratch.marks);
                let written = moved.written(seq, seal.segment, place);
                scratch.moved.push((queue, written));
            }
            scratch.touched.insert(seal.segment);
            drop(index);
            self.flush_if_large()?;
        }
        scratch.settled.extend_from_slice(&step.settles);
        merge(&mut scratch.settled);
        let index = self.shared.index.lock();
        index.marks(&step.marked, &mut scratch.marks);
        drop(index);
        scratch.touched.extend(&step.needed_by);
        let counters = &self.shared.counters;
        counters
            .moved_bytes
            .fetch_add(moved_bytes, Ordering::Relaxed);
        self.scratch = scratch;
        Ok(moved_bytes > 0)
    }

    /// Encode the settles and marks gathered. Returns whether there were any.
    fn encode_ranges(&mut self) -> Result<bool, Failure> {
        let settled = std::mem::take(&mut self.scratch.settled);
        let marks = std::mem::take(&mut self.scratch.marks);
        for ranges in settled.chunks(RANGES_PER_RECORD) {
            let at = self.range_record(ranges.len() * RANGE_ENTRY)?;
            record::encode_settle(&mut self.writer.buffer, at, ranges);
        }
        for marks in marks.chunks(RANGES_PER_RECORD) {
            let at = self.range_record(marks.len() * MARK_ENTRY)?;
            record::encode_delivered(&mut self.writer.buffer, at, marks);
        }
        let any = !settled.is_empty() || !marks.is_empty();
        self.scratch.settled = settled;
        self.scratch.settled.clear();
        self.scratch.marks = marks;
        self.scratch.marks.clear();
        Ok(any)
    }

    /// Begin a record of ranges: the index must know where they stand before anything can be deleted.
    fn range_record(&mut self, entries: usize) -> Result<(Seal, u64), Failure> {
        let len = record::aligned(RECORD_HEADER + entries);
        let at = self.record(len)?;
        let touched = &self.scratch.touched;
        let mut index = self.shared.index.lock();
        index.note_ranges(at.0.segment, wide(len), touched);
        Ok(at)
    }

    /// See that a record of `len` octets fits, and say where it will stand. The first one begins the batch.
    fn record(&mut self, len: usize) -> Result<(Seal, u64), Failure> {
        if !self.begun {
            self.room(BATCH_LEN)?;
            self.writer.begin_batch()?;
            self.begun = true;
        }
        self.room(len)?;
        Ok(self.writer.next())
    }

    /// Wait for room, if there is none. Nothing is lost meanwhile: nothing of it was confirmed.
    fn room(&mut self, len: usize) -> Result<(), Failure> {
        let mut retries = 0;
        loop {
            let error = match self.writer.make_room(len) {
                Err(Failure::NoRoom(error)) => error,
                done => return done,
            };
            self.note_full(&error);
            let mut pending = self.shared.pending();
            match pending.stop {
                Stop::Graceful if retries < RETRIES_AT_SHUTDOWN => retries += 1,
                Stop::No => {}
                _ => return Err(Failure::NoRoom(error)),
            }
            self.shared.work().wait_for(&mut pending, RETRY);
        }
    }

    fn flush_if_large(&mut self) -> Result<(), Failure> {
        if self.writer.buffer.len() >= WRITE_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }
}

impl Scratch {
    /// Find the puts that carry the same message. Only batches for several queues have any.
    fn link_shared(&mut self, entries: &VecDeque<Pended>) {
        self.same.clear();
        let mut queues = entries.iter().filter_map(|entry| match entry {
            Pended::Put { queue, .. } => Some(*queue),
            _ => None,
        });
        let Some(first) = queues.next() else {
            return;
        };
        if queues.all(|queue| queue == first) {
            return;
        }
        self.same.resize(entries.len(), LAST);
        self.newest.clear();
        for (at, entry) in entries.iter().enumerate() {
            if let Pended::Put {
                message, durable, ..
            } = entry
            {
                let at = u32::try_from(at).unwrap_or(LAST);
                let before = self.newest.insert((message.identity(), *durable), at);
                if let Some(same) = before
                    .and_then(|before| usize::try_from(before).ok())
                    .and_then(|before| self.same.get_mut(before))
                {
                    *same = at;
                }
            }
        }
    }

    /// The put after `at` that carries the same message.
    fn next_same(&self, at: usize) -> Option<usize> {
        let next = *self.same.get(at)?;
        (next != LAST).then(|| usize::try_from(next).ok()).flatten()
    }

    /// The places of the message put `at`, over all puts that carry it.
    fn collect_targets(&mut self, entries: &VecDeque<Pended>, at: usize) {
        self.targets.clear();
        let mut next = Some(at);
        while let Some(at) = next.filter(|_| self.targets.len() < ENTRIES_MAX) {
            if let Some(Pended::Put { queue, seq, .. }) = entries.get(at) {
                self.targets.push((*queue, *seq));
            }
            next = self.next_same(at);
        }
    }

    /// The message put `at` and `count - 1` more puts of it were written.
    fn note_place(&mut self, at: usize, count: usize, written: (u32, Place)) {
        let mut next = Some(at);
        for _ in 0..count {
            let Some(at) = next else {
                return;
            };
            if let Some(place) = self.places.get_mut(at) {
                *place = written;
            }
            next = self.next_same(at);
        }
    }
}

fn put_run(index: &mut Index, queue: QueueId, run: &mut Vec<Written>) {
    if !run.is_empty() {
        index.put_run(queue, run);
        run.clear();
    }
}

/// Everything a queue ever held: the settle that drops it.
fn whole(queue: QueueId) -> Range {
    Range {
        queue,
        first: 0,
        last: Seq::MAX,
    }
}

/// Sort ranges and join those that touch.
pub(in crate::embedded) fn merge(ranges: &mut Vec<Range>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let touches = next.queue == before.queue && next.first <= before.last.saturating_add(1);
        if touches {
            before.last = before.last.max(next.last);
        }
        touches
    });
}
