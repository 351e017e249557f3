use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn written(seq: Seq, segment: u32, transient: bool) -> Written {
    Written {
        seq,
        segment,
        place: Place::new(40 + seq * 8, 100),
        transient,
        body: 10,
    }
}

/// What the queue holds, as a plain map: sequence to (segment, transient).
type Model = BTreeMap<Seq, (u32, bool)>;

fn check(queue: &QueueIndex, model: &Model, settled: &BTreeMap<u32, i64>) {
    let found = queue.locate(0, |_| true, |_| true);
    let plain: Vec<_> = found
        .iter()
        .map(|one| (one.seq, (one.segment, one.transient)))
        .collect();
    assert_eq!(
        plain,
        model
            .iter()
            .map(|(seq, at)| (*seq, *at))
            .collect::<Vec<_>>()
    );
    for one in &found {
        assert_eq!(one.place.offset(), 40 + one.seq * 8);
    }
    assert_eq!(queue.live, wide(model.len()));
    assert_eq!(queue.body_bytes, 10 * wide(model.len()));
    for window in queue.runs.iter().zip(queue.runs.iter().skip(1)) {
        assert!(window.0.end() <= window.1.first, "runs overlap");
    }
    for run in &queue.runs {
        let live = run.places.iter().filter(|place| !place.is_none()).count();
        assert_eq!(usize::try_from(run.live).unwrap(), live);
        assert!(!run.places.front().unwrap().is_none() && !run.places.back().unwrap().is_none());
        assert_eq!(run.bodies.as_ref().unwrap().len(), run.places.len());
    }
    for (segment, expected) in settled {
        let live = model.values().filter(|(at, _)| at == segment).count();
        assert_eq!(
            *expected,
            i64::try_from(live).unwrap(),
            "live in segment {segment}"
        );
    }
}

fn wide(len: usize) -> u64 {
    crate::octets::wide(len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn agrees_with_a_plain_map(
        steps in proptest::collection::vec((0_u8..8, 0_u64..120, 0_u64..30, any::<bool>()), 1..80)
    ) {
        let mut queue = QueueIndex::default();
        let mut model = Model::new();
        // Live messages of each segment, by what insert and settle say.
        let mut live: BTreeMap<u32, i64> = BTreeMap::new();
        let mut freed = Vec::new();
        let mut next = 0;
        let mut segment = 1;
        for (kind, first, len, transient) in steps {
            freed.clear();
            match kind {
                // In order, with gaps now and then.
                0..=3 => {
                    next += if len == 7 { 40 } else { 0 };
                    for _ in 0..len {
                        queue.insert(written(next, segment, transient), true, &mut freed);
                        model.insert(next, (segment, transient));
                        *live.entry(segment).or_default() += 1;
                        next += 1 + u64::from(len % 5 == 0);
                    }
                }
                4 => segment += 1,
                // Out of order, or a copy of one that is there.
                5 => {
                    queue.insert(written(first, segment, transient), true, &mut freed);
                    model.insert(first, (segment, transient));
                    *live.entry(segment).or_default() += 1;
                    next = next.max(first + 1);
                }
                _ => {
                    let last = if len == 29 { Seq::MAX } else { first + len };
                    queue.settle(first, last, &mut freed);
                    model.retain(|seq, _| *seq < first || *seq > last);
                }
            }
            for one in &freed {
                *live.entry(one.segment).or_default() -= i64::try_from(one.messages).unwrap();
            }
            check(&queue, &model, &live);
        }
        let mut stretched = Vec::new();
        queue.stretches(10, 90, &mut |stretch| {
            for seq in stretch.first..=stretch.last {
                stretched.push((seq, (stretch.segment, stretch.transient)));
            }
        });
        let expected: Vec<_> = model.range(10..=90).map(|(seq, at)| (*seq, *at)).collect();
        prop_assert_eq!(stretched, expected);
        for seq in 0..130 {
            prop_assert_eq!(queue.find(seq).is_some(), model.contains_key(&seq));
        }
    }
}

#[test]
fn a_backlog_costs_some_five_octets_a_message() {
    let mut queue = QueueIndex::default();
    let mut freed = Vec::new();
    for seq in 0..1_000_000 {
        let segment = u32::try_from(seq / 400_000).unwrap();
        let place = Place::new(40 + (seq % 400_000) * 144, 144);
        let written = Written {
            place,
            ..written(seq, segment, false)
        };
        queue.insert(written, false, &mut freed);
    }
    let octets: usize = queue
        .runs
        .iter()
        .map(|run| size_of::<Run>() + run.places.capacity() * size_of::<Place>())
        .sum();
    assert!(octets < 4_500_000, "{octets} octets for a million messages");
    queue.settle(0, 999_998, &mut freed);
    assert_eq!((queue.live, queue.runs.len()), (1, 1));
    queue.settle(0, Seq::MAX, &mut freed);
    assert_eq!((queue.live, queue.runs.capacity()), (0, 0));
    assert_eq!(freed.iter().map(|one| one.messages).sum::<u64>(), 1_000_000);
}
