//! Queues read by due time in a folder, with few of their keys in memory, side by side with a plain map.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::Timed;
use crate::conformance::due::{due, fetch_due, put_due};
use crate::conformance::{EVERYTHING, append, append_durably, settle, wait};
use crate::disk::OsDisk;
use crate::embedded::{EmbeddedStore, Options};
use crate::{DueKey, FetchLimit, QueueId, Seq, Store};

#[derive(Clone, Debug)]
enum Step {
    Put {
        count: u64,
        due: u64,
        spread: u64,
    },
    /// Take what is due by then and settle it, as an exchange does.
    Advance {
        until: u64,
        limit: usize,
    },
    /// Settle one somewhere.
    Cancel {
        nth: usize,
    },
    Page {
        from: u64,
        limit: usize,
    },
    Crash {
        clean: bool,
        sled: Sled,
    },
}

#[derive(Clone, Copy, Debug)]
enum Sled {
    Kept,
    Gone,
    Broken,
    /// As it was at the crash before.
    Old,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..30_u64, 0..1000_u64, 0..40_u64)
            .prop_map(|(count, due, spread)| Step::Put { count, due, spread }),
        3 => (0..700_u64, 1..20_usize).prop_map(|(until, limit)| Step::Advance { until, limit }),
        2 => any::<usize>().prop_map(|nth| Step::Cancel { nth }),
        2 => (0..1000_u64, 1..20_usize).prop_map(|(from, limit)| Step::Page { from, limit }),
        2 => (any::<bool>(), prop_oneof![
            4 => Just(Sled::Kept), 1 => Just(Sled::Gone), 1 => Just(Sled::Broken), 2 => Just(Sled::Old)])
            .prop_map(|(clean, sled)| Step::Crash { clean, sled }),
    ]
}

struct Rig {
    folder: tempfile::TempDir,
    near_max: usize,
    store: Option<EmbeddedStore>,
    queue: QueueId,
    next: Seq,
    model: BTreeSet<(u64, Seq)>,
    /// sled's folder as it was at the last crash.
    old: Option<tempfile::TempDir>,
}

impl Rig {
    fn new(near_max: usize) -> Self {
        let mut rig = Self {
            folder: tempfile::tempdir().unwrap(),
            near_max,
            store: None,
            queue: QueueId(0),
            next: 0,
            model: BTreeSet::new(),
            old: None,
        };
        rig.open();
        rig.queue = rig.store().next_queue_id();
        rig.store().order_by_due(rig.queue).unwrap();
        rig.store().recovered();
        rig
    }

    fn open(&mut self) {
        let options = Options {
            segment_bytes: 16 << 10,
            ..Options::new(self.folder.path())
        };
        let timed = Timed::with_near_max(self.near_max);
        self.store = Some(EmbeddedStore::open_with(&options, Arc::new(OsDisk), timed).unwrap());
    }

    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    fn take(&mut self, until: u64, limit: usize) {
        let limit = FetchLimit {
            messages: limit,
            bytes: usize::MAX,
        };
        let (found, next) = due(self.store(), self.queue, until, limit);
        let expected: Vec<(u64, Seq)> = self.model.iter().copied().collect();
        let expected = expected.into_iter().filter(|(due, _)| *due <= until);
        let expected: Vec<_> = expected.take(limit.messages).collect();
        assert_eq!(found, expected);
        let settles = found.iter().map(|(_, seq)| settle(self.queue, *seq, *seq));
        append(self.store(), settles.collect());
        for key in &found {
            self.model.remove(key);
        }
        let first = self.model.iter().next().copied();
        match (next, first) {
            (Some(next), Some(first)) => assert!((next.due, next.seq) <= first),
            (next, first) => assert!(first.is_none(), "{first:?} is forgotten, {next:?} is not"),
        }
    }

    fn crash(&mut self, clean: bool, sled: Sled) {
        let store = self.store.take().unwrap();
        if clean {
            store.shutdown();
        } else {
            let newest = store.append(&mut Vec::new()).unwrap();
            wait(&store, newest).unwrap();
            store.abandon();
        }
        drop(store);
        let path = self.folder.path().join("sled");
        let now = tempfile::tempdir().unwrap();
        copy(&path, now.path());
        match sled {
            Sled::Kept => {}
            Sled::Gone => std::fs::remove_dir_all(&path).unwrap(),
            Sled::Broken => std::fs::write(path.join("conf"), b"no sled at all").unwrap(),
            Sled::Old => {
                if let Some(old) = &self.old {
                    std::fs::remove_dir_all(&path).unwrap();
                    copy(old.path(), &path);
                }
            }
        }
        self.old = Some(now);
        self.open();
        self.store().order_by_due(self.queue).unwrap();
        let claimed = self.store().claim(self.queue).unwrap();
        self.store().recovered();
        assert_eq!(claimed.messages, self.model.len() as u64);
        self.next = self.next.max(claimed.next_seq);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put { count, due, spread } => {
                let queue = self.queue;
                let puts = (0..count).map(|at| {
                    let due = due + (at * 7919) % (spread + 1);
                    let seq = self.next + at;
                    self.model.insert((due, seq));
                    put_due(queue, seq, due, true)
                });
                let puts = puts.collect();
                self.next += count;
                append(self.store(), puts);
            }
            Step::Advance { until, limit } => self.take(until, limit),
            Step::Cancel { nth } => {
                let nth = nth % self.model.len().max(1);
                if let Some(key) = self.model.iter().nth(nth).copied() {
                    self.model.remove(&key);
                    append(self.store(), vec![settle(self.queue, key.1, key.1)]);
                }
            }
            Step::Page { from, limit } => {
                let limit = FetchLimit {
                    messages: limit,
                    bytes: usize::MAX,
                };
                let from = (DueKey { due: from, seq: 0 }, u64::MAX);
                let batch = fetch_due(self.store(), self.queue, from, limit).unwrap();
                let found = batch.messages.iter().map(|(due, one)| (*due, one.seq));
                let expected = self.model.range((from.0.due, 0)..).copied();
                let expected: Vec<_> = expected.take(limit.messages).collect();
                assert_eq!(found.collect::<Vec<_>>(), expected);
            }
            Step::Crash { clean, sled } => self.crash(clean, sled),
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn order_is_kept_with_little_of_it_in_memory(
        near_max in 2..40_usize,
        steps in proptest::collection::vec(any_step(), 5..50),
    ) {
        let mut rig = Rig::new(near_max);
        for step in &steps {
            rig.step(step);
        }
        while !rig.model.is_empty() {
            rig.take(u64::MAX, 1000);
        }
    }
}

#[test]
fn what_sled_lacks_is_read_from_the_log() {
    for sled in [Sled::Gone, Sled::Broken, Sled::Kept] {
        let mut rig = Rig::new(16);
        rig.step(&Step::Put {
            count: 6000,
            due: 10,
            spread: 5000,
        });
        rig.take(2000, 100);
        rig.crash(false, sled);
        let (found, _) = due(rig.store(), rig.queue, u64::MAX, EVERYTHING);
        assert!(found.len() >= 4000, "{} in one answer", found.len());
        while !rig.model.is_empty() {
            rig.take(u64::MAX, 4000);
        }
    }
}

#[test]
fn sled_forgets_queues_that_are_gone() {
    let mut rig = Rig::new(4);
    let kept = rig.queue;
    let (dropped, unclaimed) = (rig.store().next_queue_id(), rig.store().next_queue_id());
    for queue in [dropped, unclaimed] {
        rig.store().order_by_due(queue).unwrap();
        let puts = (0..100).map(|seq| put_due(queue, seq, seq, true));
        append_durably(rig.store(), puts.collect());
    }
    rig.step(&Step::Put {
        count: 100,
        due: 0,
        spread: 99,
    });
    let ticket = rig.store().drop_queue(dropped).unwrap();
    wait(rig.store(), ticket).unwrap();
    rig.crash(true, Sled::Kept);
    rig.step(&Step::Page { from: 0, limit: 5 });
    let store = rig.store.take().unwrap();
    store.shutdown();
    drop(store);
    let (catalogue, broken) = crate::catalogue::Catalogue::open(rig.folder.path());
    assert_eq!(broken, None);
    for entry in &catalogue.unwrap().due {
        let (key, _) = entry.unwrap();
        assert!(key.starts_with(&kept.0.to_be_bytes()), "{key:?}");
    }
}
