use std::collections::{BTreeMap, VecDeque};

use leveret_wire::Message;
use proptest::prelude::*;

use super::*;
use crate::entry::Stored;
use crate::scenario::with_priority;

const HIGHEST: u8 = 3;

fn entry(seq: u64, priority: u8, deadline: u64) -> Entry {
    let message: Message = with_priority("q", "m", priority);
    Entry {
        seq,
        message,
        stored: Stored::NO,
        delivery_count: 0,
        deadline: Time(deadline),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push { priority: u8, deadline: u64 },
    Pop,
    PutBack { count: usize },
    Expire { by: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_u8, 0..50_u64).prop_map(|(priority, deadline)| Step::Push { priority, deadline }),
        3 => Just(Step::Pop),
        1 => (1..5_usize).prop_map(|count| Step::PutBack { count }),
        1 => (0..60_u64).prop_map(|by| Step::Expire { by }),
    ]
}

/// Levels as a sorted map: what is next is the first of the highest priority.
#[derive(Default)]
struct Model(BTreeMap<(std::cmp::Reverse<u8>, u64), u64>);

impl Model {
    fn insert(&mut self, entry: &Entry) {
        let level = entry.message.priority().min(HIGHEST);
        self.0
            .insert((std::cmp::Reverse(level), entry.seq), entry.deadline.0);
    }

    /// Sequences of the first message of every level, with their deadlines.
    fn heads(&self) -> BTreeMap<u8, (u64, u64)> {
        let mut heads = BTreeMap::new();
        for ((level, seq), deadline) in &self.0 {
            heads.entry(level.0).or_insert((*seq, *deadline));
        }
        heads
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn levels_are_a_map_by_priority_and_sequence(steps in proptest::collection::vec(step(), 1..60)) {
        let mut levels = Levels::new(HIGHEST);
        let mut model = Model::default();
        let mut out: VecDeque<Entry> = VecDeque::new();
        for (seq, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { priority, deadline } => {
                    let entry = entry(seq as u64, priority, deadline);
                    model.insert(&entry);
                    levels.push(entry);
                }
                Step::Pop => {
                    let expected = model.0.pop_first().map(|((_, seq), _)| seq);
                    prop_assert_eq!(levels.head().map(|entry| entry.seq), expected);
                    let popped = levels.pop();
                    prop_assert_eq!(popped.as_ref().map(|entry| entry.seq), expected);
                    out.extend(popped);
                }
                Step::PutBack { count } => {
                    let mut back: Vec<Entry> = out.drain(..count.min(out.len())).collect();
                    back.sort_by_key(|entry| entry.seq);
                    for entry in &back {
                        model.insert(entry);
                    }
                    levels.put_back(back);
                }
                Step::Expire { by } => {
                    while let Some(expired) = levels.pop_expired(Time(by)) {
                        let level = expired.message.priority().min(HIGHEST);
                        let head = model.heads().get(&level).copied();
                        prop_assert_eq!(head, Some((expired.seq, expired.deadline.0)));
                        prop_assert!(expired.deadline.0 <= by);
                        model.0.remove(&(std::cmp::Reverse(level), expired.seq));
                    }
                    prop_assert!(model.heads().values().all(|(_, deadline)| *deadline > by));
                }
            }
            prop_assert_eq!(levels.len(), model.0.len());
            let earliest = model.heads().values().map(|(_, deadline)| Time(*deadline)).min();
            prop_assert_eq!(levels.earliest_deadline(), earliest);
        }
        let left: Vec<u64> = levels.drain().iter().map(|entry| entry.seq).collect();
        prop_assert_eq!(left, model.0.keys().map(|(_, seq)| *seq).collect::<Vec<_>>());
    }
}
