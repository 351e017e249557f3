//! Where the messages of one queue stand in the log.
//!
//! A queue is a list of runs in order of sequence. A run is a stretch of sequences within one segment: four octets a
//! message, nothing when all of it is settled. Runs never overlap. Messages nearly always come in order and leave in
//! order, so adding is a push to the last run and settling takes whole runs off the front; everything else (a message
//! written out of order because it shares a record with another queue's, one moved by compaction) takes the slow way
//! through [`QueueIndex::insert_within`].

use std::collections::VecDeque;

use crate::Seq;
use crate::index::deliveries::Deliveries;
use crate::index::place::Place;

/// Messages in one run at most: so that memory is given back in steps as a backlog is worked off.
const RUN_MAX: usize = 4096;
/// Missing sequences that are bridged by empty places rather than by starting another run: a run costs as much as
/// about this many places.
const GAP_MAX: u64 = 24;

/// Where one message was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) seq: Seq,
    pub(crate) segment: u32,
    pub(crate) place: Place,
    pub(crate) transient: bool,
    /// Octets of its body; only kept while the store opens.
    pub(crate) body: u32,
}

/// Messages of one segment that are live no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) segment: u32,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) transient: bool,
}

/// A live message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) seq: Seq,
    pub(crate) segment: u32,
    pub(crate) place: Place,
    pub(crate) transient: bool,
    pub(crate) delivery_count: u32,
}

/// Live messages `first..=last`, all of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) segment: u32,
    pub(crate) transient: bool,
}

#[derive(Debug)]
struct Run {
    /// The sequence of the first place.
    first: Seq,
    /// One for each sequence; [`Place::NONE`] where nothing is live. Neither the first nor the last is.
    places: VecDeque<Place>,
    /// Octets of the bodies, one for each place, while the store opens.
    bodies: Option<VecDeque<u32>>,
    segment: u32,
    transient: bool,
    live: u32,
}

/// The live messages of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueIndex {
    runs: VecDeque<Run>,
    /// The lowest sequence never seen.
    pub(crate) next_seq: Seq,
    /// Live messages.
    pub(crate) live: u64,
    /// Octets of their bodies, while the store opens.
    pub(crate) body_bytes: u64,
    pub(crate) deliveries: Deliveries,
    /// Somebody claimed the queue since the opening.
    pub(crate) claimed: bool,
    /// What the last checkpoint says about `next_seq`.
    pub(crate) checkpointed: Seq,
}

impl Run {
    fn new(written: Written, counting: bool) -> Self {
        Self {
            first: written.seq,
            places: VecDeque::from([written.place]),
            bodies: counting.then(|| VecDeque::from([written.body])),
            segment: written.segment,
            transient: written.transient,
            live: 1,
        }
    }

    /// The sequence after the last place.
    fn end(&self) -> Seq {
        self.first
            .saturating_add(crate::octets::wide(self.places.len()))
    }

    fn slot(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.first)?).ok()
    }

    /// Whether `written` can be added behind the last place.
    fn can_extend(&self, written: &Written) -> bool {
        self.segment == written.segment
            && self.transient == written.transient
            && self.places.len() < RUN_MAX
            && written
                .seq
                .checked_sub(self.end())
                .is_some_and(|gap| gap <= GAP_MAX)
    }

    fn extend(&mut self, written: &Written) {
        while self.end() < written.seq {
            self.places.push_back(Place::NONE);
            if let Some(bodies) = &mut self.bodies {
                bodies.push_back(0);
            }
        }
        self.places.push_back(written.place);
        if let Some(bodies) = &mut self.bodies {
            bodies.push_back(written.body);
        }
        self.live += 1;
    }

    /// Empty the places of `first..=last`. Returns messages, octets, and octets of bodies that went.
    fn clear(&mut self, first: Seq, last: Seq) -> (u64, u64, u64) {
        let from = self.slot(first).unwrap_or(0);
        let to = self
            .slot(last)
            .map_or(0, |slot| slot.saturating_add(1))
            .min(self.places.len());
        let (mut messages, mut bytes, mut body_bytes) = (0, 0, 0);
        if from >= to {
            return (0, 0, 0);
        }
        for place in self.places.range_mut(from..to) {
            if !place.is_none() {
                messages += 1;
                bytes += place.size();
                *place = Place::NONE;
            }
        }
        if let Some(bodies) = &mut self.bodies {
            for body in bodies.range_mut(from..to) {
                body_bytes += u64::from(std::mem::take(body));
            }
        }
        self.live -= u32::try_from(messages).unwrap_or(self.live);
        (messages, bytes, body_bytes)
    }

    /// Drop empty places at both ends.
    fn trim(&mut self) {
        while self.places.front().is_some_and(|place| place.is_none()) {
            self.places.pop_front();
            self.first = self.first.saturating_add(1);
            if let Some(bodies) = &mut self.bodies {
                bodies.pop_front();
            }
        }
        while self.places.back().is_some_and(|place| place.is_none()) {
            self.places.pop_back();
            if let Some(bodies) = &mut self.bodies {
                bodies.pop_back();
            }
        }
    }

    /// Cut off everything from `seq` on.
    fn split_off(&mut self, seq: Seq) -> Self {
        let slot = self.slot(seq).unwrap_or(0).min(self.places.len());
        let places = self.places.split_off(slot);
        let live = places.iter().filter(|place| !place.is_none()).count();
        let live = u32::try_from(live).unwrap_or(u32::MAX);
        self.live -= live;
        Self {
            first: seq,
            places,
            bodies: self.bodies.as_mut().map(|bodies| bodies.split_off(slot)),
            segment: self.segment,
            transient: self.transient,
            live,
        }
    }
}

impl QueueIndex {
    /// A message was written. If it was live elsewhere, that copy no longer counts and goes to `freed`.
    pub(crate) fn insert(&mut self, written: Written, counting: bool, freed: &mut Vec<Freed>) {
        self.next_seq = self.next_seq.max(written.seq.saturating_add(1));
        if counting {
            self.body_bytes += u64::from(written.body);
        }
        self.live += 1;
        match self.runs.back_mut() {
            Some(run) if run.can_extend(&written) => {
                run.extend(&written);
                return;
            }
            Some(run) if written.seq < run.end() => {
                self.insert_within(written, counting, freed);
                return;
            }
            // The run is complete: its spare capacity will not be needed.
            Some(run) => run.places.shrink_to_fit(),
            None => {}
        }
        self.runs.push_back(Run::new(written, counting));
    }

    /// As [`QueueIndex::insert`], somewhere before the end.
    fn insert_within(&mut self, written: Written, counting: bool, freed: &mut Vec<Freed>) {
        let seq = written.seq;
        self.free_in_run(seq, freed);
        let at = self.runs.partition_point(|run| run.end() <= seq);
        if let Some(run) = self.runs.get_mut(at)
            && run.first <= seq
        {
            if run.segment == written.segment
                && run.transient == written.transient
                && let Some(slot) = run.slot(seq)
                && let Some(place) = run.places.get_mut(slot)
            {
                *place = written.place;
                if let Some(body) = run.bodies.as_mut().and_then(|bodies| bodies.get_mut(slot)) {
                    *body = written.body;
                }
                run.live += 1;
                return;
            }
            let mut right = run.split_off(seq);
            run.trim();
            right.trim();
            if right.live > 0 {
                self.runs.insert(at + 1, right);
            }
            if self.runs.get(at).is_some_and(|left| left.live == 0) {
                self.runs.remove(at);
            }
        }
        let at = self.runs.partition_point(|run| run.end() <= seq);
        match at.checked_sub(1).and_then(|left| self.runs.get_mut(left)) {
            Some(left) if left.can_extend(&written) => left.extend(&written),
            _ => self.runs.insert(at, Run::new(written, counting)),
        }
    }

    /// If `seq` is live already, empty its place; its run goes if nothing else is in it.
    fn free_in_run(&mut self, seq: Seq, freed: &mut Vec<Freed>) {
        let at = self.runs.partition_point(|run| run.end() <= seq);
        let Some(run) = self.runs.get_mut(at) else {
            return;
        };
        if run.first > seq {
            return;
        }
        let (messages, bytes, body_bytes) = run.clear(seq, seq);
        if messages == 0 {
            return;
        }
        freed.push(Freed {
            segment: run.segment,
            messages,
            bytes,
            transient: run.transient,
        });
        self.live -= messages;
        self.body_bytes -= body_bytes.min(self.body_bytes);
        if run.live == 0 {
            self.runs.remove(at);
        } else {
            run.trim();
        }
    }

    /// The messages of `first..=last` are done; what of them was live goes to `freed`, by segment.
    pub(crate) fn settle(&mut self, first: Seq, last: Seq, freed: &mut Vec<Freed>) {
        self.deliveries.forget(first, last);
        let mut at = self.runs.partition_point(|run| run.end() <= first);
        while let Some(run) = self.runs.get_mut(at)
            && run.first <= last
        {
            let (messages, bytes, body_bytes) = run.clear(first.max(run.first), last);
            if messages > 0 {
                freed.push(Freed {
                    segment: run.segment,
                    messages,
                    bytes,
                    transient: run.transient,
                });
            }
            self.live -= messages;
            self.body_bytes -= body_bytes.min(self.body_bytes);
            if run.live == 0 {
                self.runs.remove(at);
            } else {
                run.trim();
                at += 1;
            }
        }
        if self.runs.is_empty() {
            self.runs.shrink_to_fit();
        }
    }

    /// The live parts of `first..=last`.
    pub(crate) fn stretches(&self, first: Seq, last: Seq, each: &mut impl FnMut(Stretch)) {
        let at = self.runs.partition_point(|run| run.end() <= first);
        for run in self.runs.range(at..) {
            if run.first > last {
                break;
            }
            let mut open: Option<Stretch> = None;
            let skip = run.slot(first).unwrap_or(0);
            for (slot, place) in run.places.iter().enumerate().skip(skip) {
                let seq = run.first + crate::octets::wide(slot);
                if seq > last {
                    break;
                }
                match (&mut open, place.is_none()) {
                    (Some(stretch), false) => stretch.last = seq,
                    (None, false) => {
                        open = Some(Stretch {
                            first: seq,
                            last: seq,
                            segment: run.segment,
                            transient: run.transient,
                        });
                    }
                    (Some(stretch), true) => {
                        each(*stretch);
                        open = None;
                    }
                    (None, true) => {}
                }
            }
            if let Some(stretch) = open {
                each(stretch);
            }
        }
    }

    /// Live messages in order from `from` on that are `visible`, as long as `more` says so (it sees each before it is
    /// taken).
    pub(crate) fn locate(
        &self,
        from: Seq,
        visible: impl Fn(&Located) -> bool,
        mut more: impl FnMut(&Located) -> bool,
    ) -> Vec<Located> {
        let mut found = Vec::new();
        let at = self.runs.partition_point(|run| run.end() <= from);
        for run in self.runs.range(at..) {
            let skip = run.slot(from).unwrap_or(0);
            for (slot, place) in run.places.iter().enumerate().skip(skip) {
                if place.is_none() {
                    continue;
                }
                let seq = run.first + crate::octets::wide(slot);
                let located = Located {
                    seq,
                    segment: run.segment,
                    place: *place,
                    transient: run.transient,
                    delivery_count: self.deliveries.count(seq),
                };
                if !visible(&located) {
                    continue;
                }
                if !more(&located) {
                    return found;
                }
                found.push(located);
            }
        }
        found
    }

    /// The live message at `seq`.
    pub(crate) fn find(&self, seq: Seq) -> Option<Located> {
        let at = self.runs.partition_point(|run| run.end() <= seq);
        let run = self.runs.get(at).filter(|run| run.first <= seq)?;
        let place = *run.places.get(run.slot(seq)?)?;
        (!place.is_none()).then(|| Located {
            seq,
            segment: run.segment,
            place,
            transient: run.transient,
            delivery_count: self.deliveries.count(seq),
        })
    }

    /// Call `each` for every live message of `segment`.
    pub(crate) fn in_segment(&self, segment: u32, each: &mut impl FnMut(Seq, Place)) {
        for run in self.runs.iter().filter(|run| run.segment == segment) {
            for (slot, place) in run.places.iter().enumerate() {
                if !place.is_none() {
                    each(run.first + crate::octets::wide(slot), *place);
                }
            }
        }
    }

    /// The opening is over: sizes of bodies are no longer needed.
    pub(crate) fn stop_counting(&mut self) {
        for run in &mut self.runs {
            run.bodies = None;
        }
    }
}

#[cfg(test)]
mod tests;
