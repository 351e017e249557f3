//! What a store was told and what it promised, at which point of a recording of its disk: so that every cut of the
//! recording can be checked for exactly what was promised by then.

use std::collections::BTreeMap;

use super::simulated::SimulatedDisk;
use crate::conformance::{EVERYTHING, fetch};
use crate::embedded::EmbeddedStore;
use crate::{Change, QueueId, Seq, Store as _, Ticket};

/// A queue and a sequence.
pub(super) type Place = (QueueId, Seq);
/// Definitions as the store gives them.
pub(super) type Map = BTreeMap<Vec<u8>, Vec<u8>>;
/// Operations recorded when something was asked for, and when it was first seen to be durable.
type When = (usize, Option<usize>);

/// A message that was put.
#[derive(Clone)]
struct Entry {
    body: String,
    transient: bool,
    /// It shares a record with a message of another queue, which may stand further to the front than its neighbours'.
    shared: bool,
    put: When,
    settled: Option<When>,
    /// It was settled before the put was reported. What is reported afterwards promises nothing: a put that is settled
    /// before it is written need never be written.
    cancelled: bool,
    marks: Vec<When>,
    /// Marks it had at the beginning of the recording.
    marked: u32,
}

impl Entry {
    /// It is promised that a cut at `at` leaves it.
    fn must_be_there(&self, at: usize) -> bool {
        let promised = !self.cancelled && self.put.1.is_some_and(|durable| durable <= at);
        promised && !self.transient && self.settled.is_none_or(|(asked, _)| asked >= at)
    }

    /// A cut at `at` may leave it.
    fn may_be_there(&self, at: usize) -> bool {
        let gone = self.settled.and_then(|(_, durable)| durable);
        !self.transient && self.put.0 <= at && gone.is_none_or(|gone| gone > at)
    }

    fn has_count(&self, count: u32, at: usize) -> bool {
        let marks = |counts: &dyn Fn(&When) -> bool| {
            self.marked
                + u32::try_from(self.marks.iter().filter(|mark| counts(mark)).count()).unwrap()
        };
        let least = marks(&|(_, durable)| durable.is_some_and(|durable| durable <= at));
        let most = marks(&|(asked, _)| *asked <= at);
        (least..=most).contains(&count)
    }
}

/// What waits for a ticket.
enum Waits {
    Put(Place),
    Settle(Vec<Place>),
    Mark(Vec<(Place, usize)>),
    Definitions(usize),
}

/// What a store holds after it was opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    /// Body and delivery count of each message.
    pub(super) messages: BTreeMap<Place, (String, u32)>,
    pub(super) definitions: Map,
}

impl Found {
    pub(super) fn of(store: &EmbeddedStore, queues: &[QueueId]) -> Self {
        let mut messages = BTreeMap::new();
        for queue in queues {
            let fetched = fetch(store, *queue, 0, EVERYTHING).unwrap();
            assert!(fetched.is_sorted_by_key(|one| one.seq), "out of order");
            for one in fetched {
                assert!(one.persistent, "a transient message came back");
                let body = String::from_utf8_lossy(one.message.body()).into_owned();
                messages.insert((*queue, one.seq), (body, one.delivery_count));
            }
        }
        Self {
            messages,
            definitions: store.definitions().unwrap(),
        }
    }
}

#[derive(Default)]
pub(super) struct Ledger {
    /// Every message ever put at a place: one that did not survive a cut leaves its place to another.
    messages: BTreeMap<Place, Vec<Entry>>,
    /// The definitions after each change.
    definitions: Vec<(Map, When)>,
    waiting: Vec<(Ticket, Waits)>,
    /// Every queue ever used, and when its number was given.
    pub(super) queues: Vec<(QueueId, usize)>,
    /// Those that are gone, or going.
    pub(super) dropped: Vec<QueueId>,
    /// Where the opening ends in the recording.
    pub(super) opened: usize,
}

impl Ledger {
    /// Begin a recording with what was found in the store after a cut of another.
    pub(super) fn of(found: &Found, before: &Self, at: usize) -> Self {
        let whole = (0, Some(0));
        let entry = |body: &String, marked| Entry {
            body: body.clone(),
            transient: false,
            shared: false,
            put: whole,
            settled: None,
            cancelled: false,
            marks: Vec::new(),
            marked,
        };
        let messages = found.messages.iter();
        Self {
            messages: messages
                .map(|(place, (body, marked))| (*place, vec![entry(body, *marked)]))
                .collect(),
            definitions: vec![(found.definitions.clone(), whole)],
            waiting: Vec::new(),
            queues: before
                .queues_at(at)
                .into_iter()
                .map(|queue| (queue, 0))
                .collect(),
            dropped: before.dropped.clone(),
            opened: 0,
        }
    }

    /// The queues that had their number at `at`.
    pub(super) fn queues_at(&self, at: usize) -> Vec<QueueId> {
        let given = self.queues.iter().filter(|(_, given)| *given <= at);
        given.map(|(queue, _)| *queue).collect()
    }

    pub(super) fn put(
        &mut self,
        at: usize,
        place: Place,
        (body, transient, shared): (&str, bool, bool),
        ticket: Ticket,
    ) {
        self.messages.entry(place).or_default().push(Entry {
            body: body.to_owned(),
            transient,
            shared,
            put: (at, None),
            settled: None,
            cancelled: false,
            marks: Vec::new(),
            marked: 0,
        });
        self.waiting.push((ticket, Waits::Put(place)));
    }

    fn newest(&mut self, place: Place) -> Option<&mut Entry> {
        self.messages.get_mut(&place)?.last_mut()
    }

    /// `first..=last` of a queue were settled; all of it with `Seq::MAX`.
    pub(super) fn settle(&mut self, at: usize, queue: QueueId, range: (Seq, Seq), ticket: Ticket) {
        let (first, last) = range;
        let mut places = Vec::new();
        for (place, entries) in self.messages.range_mut((queue, first)..=(queue, last)) {
            let entry = entries.last_mut().unwrap();
            if entry.settled.is_none() {
                entry.settled = Some((at, None));
                entry.cancelled = entry.put.1.is_none();
                places.push(*place);
            }
        }
        self.waiting.push((ticket, Waits::Settle(places)));
    }

    pub(super) fn delivered(
        &mut self,
        at: usize,
        queue: QueueId,
        range: (Seq, Seq),
        ticket: Ticket,
    ) {
        let mut marked = Vec::new();
        for seq in range.0..=range.1 {
            if let Some(entry) = self.newest((queue, seq))
                && entry.settled.is_none()
            {
                entry.marks.push((at, None));
                marked.push(((queue, seq), entry.marks.len() - 1));
            }
        }
        self.waiting.push((ticket, Waits::Mark(marked)));
    }

    pub(super) fn change(&mut self, at: usize, changes: &[Change], ticket: Ticket) {
        let mut map = self
            .definitions
            .last()
            .map_or_else(Map::new, |(map, _)| map.clone());
        for change in changes {
            match change.clone() {
                Change::Put { key, value } => map.insert(key, value),
                Change::Delete { key } => map.remove(&key),
            };
        }
        self.definitions.push((map, (at, None)));
        self.waiting
            .push((ticket, Waits::Definitions(self.definitions.len() - 1)));
    }

    /// Note what the store has reported.
    pub(super) fn note_durable(&mut self, store: &EmbeddedStore, disk: &SimulatedDisk) {
        let durable = store.durable();
        // Read afterwards: whatever made it durable is recorded before this position.
        let at = disk.position();
        for (ticket, waits) in std::mem::take(&mut self.waiting) {
            if ticket > durable {
                self.waiting.push((ticket, waits));
                continue;
            }
            match waits {
                Waits::Put(place) => self.newest(place).unwrap().put.1 = Some(at),
                Waits::Settle(places) => {
                    for place in places {
                        let settled = &mut self.newest(place).unwrap().settled;
                        settled.as_mut().unwrap().1 = Some(at);
                    }
                }
                Waits::Mark(marked) => {
                    for (place, mark) in marked {
                        self.newest(place).unwrap().marks[mark].1 = Some(at);
                    }
                }
                Waits::Definitions(version) => self.definitions[version].1.1 = Some(at),
            }
        }
    }

    /// What is found after a cut at `at` is what was promised by then, and nothing else.
    pub(super) fn check(&self, found: &Found, at: usize, what: &str) {
        for (place, (body, count)) in &found.messages {
            let entries = self.messages.get(place).map_or(&[][..], Vec::as_slice);
            let fits = entries
                .iter()
                .find(|entry| entry.may_be_there(at) && entry.body == *body);
            let Some(entry) = fits else {
                panic!("{what}: {place:?} was not put, or was settled: {body:?}");
            };
            assert!(
                entry.has_count(*count, at),
                "{what}: {place:?} has {count} deliveries: marks {:?} after {}, put {:?}, settled {:?}",
                entry.marks,
                entry.marked,
                entry.put,
                entry.settled
            );
        }
        let mut gap = None;
        for (place, entries) in &self.messages {
            let there = found.messages.get(place);
            for entry in entries {
                assert!(
                    there.is_some() || !entry.must_be_there(at),
                    "{what}: {place:?} was confirmed and is lost: put {:?}, settled {:?}",
                    entry.put,
                    entry.settled
                );
            }
            Self::check_order(entries, (*place, there.is_some()), at, &mut gap, what);
        }
        let mut least = self.definitions.iter();
        let least =
            least.rposition(|(_, (_, durable))| durable.is_some_and(|durable| durable <= at));
        let known = self
            .definitions
            .iter()
            .enumerate()
            .any(|(version, (map, (asked, _)))| {
                *asked <= at && Some(version) >= least && *map == found.definitions
            });
        assert!(
            known || (least.is_none() && found.definitions.is_empty()),
            "{what}: the definitions are those of no moment since the last durable change"
        );
    }

    /// Of what was not confirmed, a queue keeps the first ones or none: nothing survives behind what did not.
    fn check_order(
        entries: &[Entry],
        (place, there): (Place, bool),
        at: usize,
        gap: &mut Option<Place>,
        what: &str,
    ) {
        let [entry] = entries else {
            return;
        };
        let settling = entry.settled.is_some_and(|(asked, _)| asked <= at);
        if entry.shared || entry.transient || settling || entry.put.0 > at {
            return;
        }
        if let Some(before) = gap.filter(|before| before.0 == place.0)
            && there
        {
            panic!("{what}: {place:?} is there and {before:?}, put before it, is not");
        }
        if !there {
            *gap = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(put: When, settled: Option<When>, cancelled: bool) -> Entry {
        Entry {
            body: String::new(),
            transient: false,
            shared: false,
            put,
            settled,
            cancelled,
            marks: Vec::new(),
            marked: 0,
        }
    }

    #[test]
    fn what_was_reported_must_be_there_until_its_settle_is_asked_for() {
        let reported = entry((3, Some(5)), Some((8, Some(9))), false);
        let must: Vec<usize> = (0..12).filter(|at| reported.must_be_there(*at)).collect();
        assert_eq!(must, [5, 6, 7, 8]);
        assert!(entry((3, Some(5)), None, false).must_be_there(100));
        assert!(!entry((3, None), None, false).must_be_there(100));
    }

    #[test]
    fn a_put_that_was_settled_before_it_was_reported_is_no_promise() {
        // All at one point of the recording: nothing of it was ever written.
        let cancelled = entry((21, Some(21)), Some((21, Some(21))), true);
        assert!((0..30).all(|at| !cancelled.must_be_there(at)));
    }

    #[test]
    fn settling_cancels_only_what_is_not_reported_yet() {
        let queue = QueueId(1);
        let mut ledger = Ledger::default();
        ledger.put(1, (queue, 0), ("a", false, false), Ticket(1));
        ledger.put(1, (queue, 1), ("b", false, false), Ticket(2));
        ledger.newest((queue, 0)).unwrap().put.1 = Some(2);
        ledger.settle(2, queue, (0, 1), Ticket(3));
        assert!(!ledger.newest((queue, 0)).unwrap().cancelled);
        assert!(ledger.newest((queue, 1)).unwrap().cancelled);
    }
}
