//! Giving back the room of segments that are mostly settled: what is still needed of one is copied to the end of the
//! log, in order, then the segment is deleted. The upkeep chooses and reads, the commit thread writes.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use crate::disk::read_into;
use crate::embedded::at_most;
use crate::embedded::commit::merge;
use crate::embedded::pending::Stop;
use crate::embedded::upkeep::Upkeep;
use crate::index::place::Place;
use crate::index::queue::Written;
use crate::index::segments::{Index, SegmentState};
use crate::log::record::{self, Kind, Range, Record, Seal};
use crate::log::scan::scan;
use crate::log::segment;
use crate::octets::index;
use crate::{QueueId, Seq};

/// Octets copied between two commits: what a confirm may have to wait for.
const STEP_BYTES: usize = 4 << 20;
/// The log may be larger than what is live by this, in percent, and by [`SLACK_SEGMENTS`].
const SLACK_PERCENT: u64 = 110;
/// Segments of room that are not worth copying for while the store is at work: they may become free by themselves.
const SLACK_SEGMENTS: u64 = 2;
/// A segment with more than this live, in percent, is not worth copying.
const LIVE_MAX_PERCENT: u64 = 92;
/// A dead segment whose settles take more of it than this, in percent, is not worth rewriting.
const RANGES_MAX_PERCENT: u64 = 50;
/// A segment is compacted once settles for it were carried on this often.
const CARRIES_MAX: u32 = 4;
/// Garbage beyond this, in percent of what is live, is removed without pause.
const URGENT_PERCENT: u64 = 200;

/// What the commit thread is to write for the upkeep.
pub(super) struct Step {
    /// Messages are moved only if they are still live here.
    pub(super) segment: u32,
    pub(super) records: Vec<Moved>,
    /// Settles to be repeated.
    pub(super) settles: Vec<Range>,
    /// Ranges whose delivery counts are to be repeated.
    pub(super) marked: Vec<Range>,
    /// The segments that those concern.
    pub(super) needed_by: BTreeSet<u32>,
    done: mpsc::Sender<()>,
}

impl Step {
    /// It is written and synced. (A step that is dropped without this was not.)
    pub(super) fn finish(&self) {
        // The upkeep may have ended meanwhile.
        let _ = self.done.send(());
    }
}

/// A put to be copied.
pub(super) struct Moved {
    payload: Bytes,
    body: u32,
    transient: bool,
    places: Vec<(QueueId, Seq)>,
}

impl Moved {
    /// The places that are still live in `segment`.
    pub(super) fn live(&self, index: &Index, segment: u32) -> Vec<(QueueId, Seq)> {
        let places = self.places.iter().copied();
        places
            .filter(|(queue, seq)| index.find_in(*queue, *seq, segment).is_some())
            .collect()
    }

    /// Octets that it takes with so many places.
    pub(super) fn len(&self, places: usize) -> usize {
        record::moved_len(self.payload.len(), places)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>, at: (Seal, u64), places: &[(QueueId, Seq)]) {
        let content = (self.payload.as_ref(), self.body, self.transient);
        record::encode_moved_put(out, at, content, places);
    }

    pub(super) fn written(&self, seq: Seq, segment: u32, place: Place) -> Written {
        Written {
            seq,
            segment,
            place,
            transient: self.transient,
            body: self.body,
        }
    }
}

/// What is worth doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Nothing in the segment is live, but settles in it are needed: repeat those.
    Carry(u32),
    /// Little in the segment is live: copy that.
    Move(u32),
}

/// The puts of segments that were looked into: a settle must be carried on only for what really stands there.
pub(super) type PutRanges = FxHashMap<u32, Vec<Range>>;

impl Upkeep {
    /// Do one thing that gives room back. Returns whether there was one.
    pub(super) fn compact(&mut self) -> bool {
        let Some((job, urgent)) = self.choose() else {
            return false;
        };
        let begun = Instant::now();
        let done = match job {
            Job::Carry(segment) => self.carry_settles(segment),
            Job::Move(segment) => self.move_messages(segment, urgent),
        };
        let (Job::Carry(segment) | Job::Move(segment)) = job;
        if !done {
            // Left alone from now on, so that what is damaged or failing is not tried for ever.
            self.shared().index.lock().segment(segment).frozen = true;
        }
        self.rest(begun, urgent)
    }

    /// Wait twice as long as the work took, unless it is urgent: commits go first. Returns whether to go on.
    fn rest(&self, begun: Instant, urgent: bool) -> bool {
        let pause = if urgent {
            Duration::ZERO
        } else {
            begun.elapsed() * 2
        };
        self.shared().upkeep.pause(pause)
    }

    fn choose(&self) -> Option<(Job, bool)> {
        let index = self.shared().index.lock();
        if index.counting {
            return None;
        }
        let (disk, live) = index.sizes();
        let slack = SLACK_SEGMENTS * self.segment_bytes();
        let ready = |state: &SegmentState| {
            state.sealed && !state.frozen && state.touched <= index.synced_batch
        };
        let ready = || index.segments.iter().filter(|(_, state)| ready(state));
        let urgent = disk > (live * URGENT_PERCENT / 100).saturating_add(2 * slack);
        let dead = ready().find(|(_, state)| {
            state.live == 0
                && !state.needed_by.is_empty()
                && at_most(state.range_bytes, RANGES_MAX_PERCENT, state.end)
        });
        if let Some((number, _)) = dead {
            return Some((Job::Carry(*number), urgent));
        }
        let allowed = live * SLACK_PERCENT / 100;
        // While nothing else happens, what is not in the segment in use may be copied down to what is live.
        let wasteful = disk > allowed.saturating_add(slack)
            || (self.quiet && disk.saturating_sub(index.readable.1) > allowed);
        let room = self.segment_bytes().saturating_sub(index.readable.1);
        ready()
            .filter(|(_, state)| {
                state.live > 0
                    && at_most(state.live_bytes, LIVE_MAX_PERCENT, state.end)
                    && (wasteful || state.carries >= CARRIES_MAX)
                    // On a full disk only what fits into the segment in use may be copied.
                    && (!self.is_full() || state.live_bytes < room / 2)
            })
            .min_by_key(|(_, state)| state.live_bytes.saturating_mul(1000) / state.end.max(1))
            .map(|(number, _)| (Job::Move(*number), urgent))
    }

    /// Copy what is live in a segment. Returns false if not all of it could be.
    fn move_messages(&mut self, number: u32, urgent: bool) -> bool {
        let Some(octets) = self.read_segment(number) else {
            return false;
        };
        let mut live = {
            let index = self.shared().index.lock();
            index.live_in(number)
        };
        live.sort_unstable_by_key(|(place, queue, seq)| (place.offset(), *queue, *seq));
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut whole = true;
        for places in live.chunk_by(|(one, ..), (next, ..)| one.offset() == next.offset()) {
            let Some(moved) = self.read_moved(number, &octets, places) else {
                whole = false;
                continue;
            };
            bytes += moved.len(places.len());
            records.push(moved);
            if bytes >= STEP_BYTES {
                let begun = Instant::now();
                bytes = 0;
                if !self.write_step(number, std::mem::take(&mut records))
                    || !self.rest(begun, urgent)
                {
                    return false;
                }
            }
        }
        (records.is_empty() || self.write_step(number, records)) && whole
    }

    fn read_moved(
        &self,
        number: u32,
        octets: &Bytes,
        places: &[(Place, QueueId, Seq)],
    ) -> Option<Moved> {
        let offset = places.first()?.0.offset();
        let rest = octets.get(index(offset)..).unwrap_or(&[]);
        match Record::parse(rest, self.seal(number), offset) {
            Ok(record) if record.kind == Kind::Put => Some(Moved {
                payload: octets.slice_ref(record.message()),
                body: record.body,
                transient: record.transient,
                places: places
                    .iter()
                    .map(|(_, queue, seq)| (*queue, *seq))
                    .collect(),
            }),
            found => {
                let reason = found.map_or_else(|bad| bad.to_string(), |_| "no message".into());
                self.report_damage(number, offset, &reason);
                None
            }
        }
    }

    fn write_step(&self, segment: u32, records: Vec<Moved>) -> bool {
        self.submit(|done| Step {
            segment,
            records,
            settles: Vec::new(),
            marked: Vec::new(),
            needed_by: BTreeSet::new(),
            done,
        })
    }

    /// Hand a step to the commit thread and wait until it is durable. Returns false if it never will be.
    fn submit(&self, step: impl FnOnce(mpsc::Sender<()>) -> Step) -> bool {
        let (done, finished) = mpsc::channel();
        let mut pending = self.shared().pending();
        if pending.stop != Stop::No || pending.failed.is_some() {
            return false;
        }
        pending.step = Some(step(done));
        self.shared().wake_now(pending);
        finished.recv().is_ok()
    }

    /// Repeat at the end of the log what a dead segment says of messages in older ones. Returns false if that could
    /// not be done.
    fn carry_settles(&mut self, number: u32) -> bool {
        let Some(octets) = self.read_segment(number) else {
            return false;
        };
        let (mut settles, mut marked) = (Vec::new(), Vec::new());
        let scanned = scan(&octets, self.seal(number), false, |record| {
            match record.kind {
                Kind::Settle => settles.extend(record.ranges()),
                Kind::Delivered => marked.extend(record.marks().map(|mark| mark.range)),
                Kind::Put | Kind::Definitions | Kind::Batch => {}
            }
        });
        if !scanned.damage.is_empty() {
            return false;
        }
        let needed_by = self.shared().index.lock().segment(number).needed_by.clone();
        let Some(puts) = self.put_ranges(&needed_by) else {
            return false;
        };
        let settles = intersect(settles, &puts);
        let marked = intersect(marked, &puts);
        let carried_for = needed_by.clone();
        let written = self.submit(|done| Step {
            segment: number,
            records: Vec::new(),
            settles,
            marked,
            needed_by,
            done,
        });
        if written {
            let mut index = self.shared().index.lock();
            index.segment(number).needed_by.clear();
            for older in carried_for {
                if let Some(state) = index.segments.get_mut(&older) {
                    state.carries += 1;
                }
            }
        }
        written
    }

    /// What was ever put into `segments`.
    fn put_ranges(&mut self, segments: &BTreeSet<u32>) -> Option<Vec<Range>> {
        let mut all = Vec::new();
        for number in segments {
            if !self.put_ranges.contains_key(number) {
                let octets = self.read_segment(*number)?;
                let mut ranges = Vec::new();
                scan(&octets, self.seal(*number), false, |record| {
                    if record.kind == Kind::Put && !record.transient {
                        ranges.extend(record.places().map(|(queue, seq)| Range {
                            queue,
                            first: seq,
                            last: seq,
                        }));
                    }
                });
                merge(&mut ranges);
                self.put_ranges.insert(*number, ranges);
            }
            all.extend_from_slice(self.put_ranges.get(number)?);
        }
        merge(&mut all);
        Some(all)
    }

    fn read_segment(&self, number: u32) -> Option<Bytes> {
        let path = segment::path(self.segments_folder(), number);
        let mut octets = Vec::new();
        let read = self
            .disk()
            .open(&path, false)
            .and_then(|file| read_into(&*file, &mut octets));
        match read {
            Ok(()) => Some(octets.into()),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "a segment cannot be read");
                None
            }
        }
    }
}

/// The parts of `ranges` that are in `within` (merged). A range over a whole queue stays whole.
fn intersect(mut ranges: Vec<Range>, within: &[Range]) -> Vec<Range> {
    merge(&mut ranges);
    let mut parts = Vec::new();
    for range in ranges {
        let from = within.partition_point(|put| (put.queue, put.last) < (range.queue, range.first));
        let hits = within.get(from..).unwrap_or(&[]).iter();
        let hits = hits.take_while(|put| put.queue == range.queue && put.first <= range.last);
        for put in hits {
            if range.last == Seq::MAX {
                parts.push(range);
                break;
            }
            parts.push(Range {
                queue: range.queue,
                first: range.first.max(put.first),
                last: range.last.min(put.last),
            });
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(queue: u64, first: Seq, last: Seq) -> Range {
        Range {
            queue: QueueId(queue),
            first,
            last,
        }
    }

    #[test]
    fn only_what_is_there_is_carried_on() {
        let within = [range(1, 5, 9), range(1, 20, 29), range(2, 0, 3)];
        let settles = vec![
            range(1, 25, 40),
            range(1, 0, 6),
            range(1, 10, 19),
            range(2, 0, Seq::MAX),
            range(3, 0, Seq::MAX),
        ];
        assert_eq!(
            intersect(settles, &within),
            [range(1, 5, 6), range(1, 25, 29), range(2, 0, Seq::MAX)]
        );
    }
}
