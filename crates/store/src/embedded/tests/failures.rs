//! Disks that fail, fill up, or lose power.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::simulated::{Dice, SimulatedDisk};
use crate::conformance::{append, append_durably, contents, put, settle, wait};
use crate::embedded::EmbeddedStore;
use crate::{Change, Operation, QueueId, Seq, Store as _, StoreError, Ticket};

fn open(folder: &Folder, disk: &SimulatedDisk) -> EmbeddedStore {
    EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone())).unwrap()
}

#[test]
fn a_failed_sync_poisons_and_is_never_retried() {
    let mut poisoned = 0;
    for nth in 1..12 {
        let folder = Folder::with_segments(16 << 10);
        let disk = SimulatedDisk::default();
        let store = open(&folder, &disk);
        store.recovered();
        let queue = store.next_queue_id();
        // The upkeep makes a segment ready: that is a sync too, of a file with nothing in it.
        disk.fail_sync(nth);
        let mut confirmed = Vec::new();
        let mut failure = None;
        for seq in 0..200 {
            match append_when_there_is_room(&store, &put(queue, seq, &"x".repeat(300))) {
                Ok(ticket) => match wait(&store, ticket) {
                    Ok(()) => confirmed.push(seq),
                    Err(error) => failure = Some((error, ticket)),
                },
                Err(error) => failure = Some((error, Ticket::NONE)),
            }
            if failure.is_some() {
                break;
            }
        }
        let Some((error, ticket)) = failure else {
            // It was the spare segment's, which is made again.
            continue;
        };
        poisoned += 1;
        assert!(matches!(error, StoreError::Poisoned(_)), "{error}");
        let syncs = disk.syncs();
        assert!(matches!(
            store.append(&mut vec![put(queue, 999, "more")]),
            Err(StoreError::Poisoned(_))
        ));
        assert!(matches!(store.change(vec![]), Err(StoreError::Poisoned(_))));
        assert!(matches!(wait(&store, ticket), Err(StoreError::Poisoned(_))));
        assert!(store.durable() < ticket);
        assert!(store.usage().poisoned);
        // What was there before can still be read.
        assert!(contents(&store, queue).len() >= confirmed.len());
        store.shutdown();
        assert!(store.durable() < ticket);
        assert!(
            disk.syncs() <= syncs + 1,
            "only a segment being made ready may be synced"
        );
        drop(store);
        let disk = disk.cut(nth);
        let store = open(&folder, &disk);
        store.claim(queue).unwrap();
        let found: Vec<Seq> = contents(&store, queue)
            .iter()
            .map(|(seq, _)| *seq)
            .collect();
        assert!(found.starts_with(&confirmed), "sync {nth}: {found:?}");
    }
    assert!(poisoned > 5, "only {poisoned} of the failures were noticed");
}

/// Append `operation`. While the next segment cannot be made, puts are refused and nothing is taken: it is tried again.
fn append_when_there_is_room(
    store: &EmbeddedStore,
    operation: &Operation,
) -> Result<Ticket, StoreError> {
    let begun = Instant::now();
    loop {
        match store.append(&mut vec![operation.clone()]) {
            Err(StoreError::Full) => {
                assert!(begun.elapsed() < Duration::from_secs(60), "still full");
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

#[test]
fn a_failed_write_poisons() {
    let folder = Folder::new();
    let disk = SimulatedDisk::default();
    let store = open(&folder, &disk);
    let queue = store.next_queue_id();
    append_durably(&store, vec![put(queue, 0, "kept")]);
    // The segment that is made ready is written to as well: then that write failed, and nothing is lost by it.
    let mut kept = 1;
    let lost = loop {
        disk.fail_write(1);
        let appended = append_when_there_is_room(&store, &put(queue, kept, "kept"));
        match appended.and_then(|ticket| wait(&store, ticket)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 20, "no write of the log failed");
    };
    assert!(matches!(lost, StoreError::Poisoned(_)));
    store.shutdown();
    drop(store);
    let store = open(&folder, &disk);
    store.claim(queue).unwrap();
    assert_eq!(contents(&store, queue).len() as u64, kept);
}

#[test]
fn a_full_disk_refuses_puts_and_takes_them_again_when_there_is_room() {
    const SEGMENT: u64 = 16 << 10;
    let folder = Folder::with_segments(SEGMENT);
    let disk = SimulatedDisk::default();
    disk.set_capacity(Some(8 * SEGMENT));
    let store = open(&folder, &disk);
    store.recovered();
    let queue = store.next_queue_id();
    let body = "x".repeat(200);
    let (mut next, mut settled) = (0, 0);
    for cycle in 0..5 {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "never full");
            match store.append(&mut vec![put(queue, next, &body)]) {
                Ok(ticket) => {
                    wait(&store, ticket).unwrap();
                    next += 1;
                }
                Err(StoreError::Full) => break,
                Err(error) => panic!("cycle {cycle}: {error}"),
            }
        }
        assert!(store.usage().full);
        assert_eq!(contents(&store, queue).len() as u64, next - settled);
        // Settles and definitions are taken all the same.
        append_durably(&store, vec![settle(queue, 0, next - 11)]);
        settled = next - 10;
        let begun = Instant::now();
        while store.usage().full {
            assert!(begun.elapsed() < Duration::from_secs(20), "full for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    store.abandon();
    drop(store);
    let store = open(&folder, &disk);
    store.claim(queue).unwrap();
    assert_eq!(contents(&store, queue).len(), 10);
}

/// What must be found after a cut, and what must not.
#[derive(Default)]
struct Promised {
    /// Confirmed, and not settled since.
    present: BTreeMap<(QueueId, Seq), String>,
    /// Settled durably.
    absent: Vec<(QueueId, Seq)>,
    definitions: BTreeMap<String, String>,
}

/// Random traffic on two queues.
struct Traffic {
    dice: Dice,
    queues: [QueueId; 2],
    next: [Seq; 2],
    promised: Promised,
    /// Appended and not confirmed yet.
    unconfirmed: Vec<((QueueId, Seq), String, Ticket)>,
    unconfirmed_settles: Vec<((QueueId, Seq), Ticket)>,
}

impl Traffic {
    fn step(&mut self, store: &EmbeddedStore, step: u64) {
        match self.dice.roll(10) {
            0..=4 => {
                let at = usize::try_from(self.dice.roll(2)).unwrap();
                let (queue, first) = (self.queues[at], self.next[at]);
                let count = 1 + self.dice.roll(12);
                let size = usize::try_from(self.dice.roll(600)).unwrap();
                let body = format!("{step}:{}", "y".repeat(size));
                let puts = (first..first + count).map(|seq| put(queue, seq, &body));
                let (ticket, _) = append(store, puts.collect());
                self.next[at] += count;
                for (seq, ticket) in (first..first + count).zip(ticket.0..) {
                    self.unconfirmed
                        .push(((queue, seq), body.clone(), Ticket(ticket)));
                }
            }
            5..=6 => {
                let at = usize::try_from(self.dice.roll(2)).unwrap();
                let queue = self.queues[at];
                let Some(max) = self.next[at].checked_sub(1) else {
                    return;
                };
                let first = self.dice.roll(max + 1);
                let last = (first + self.dice.roll(30)).min(max);
                let (ticket, _) = append(store, vec![settle(queue, first, last)]);
                for seq in first..=last {
                    self.promised.present.remove(&(queue, seq));
                    self.unconfirmed
                        .retain(|(place, ..)| *place != (queue, seq));
                    self.unconfirmed_settles.push(((queue, seq), ticket));
                }
            }
            7 => {
                let key = format!("key {}", self.dice.roll(5));
                let change = Change::Put {
                    key: key.clone().into(),
                    value: step.to_string().into(),
                };
                let ticket = store.change(vec![change]).unwrap();
                wait(store, ticket).unwrap();
                self.promised.definitions.insert(key, step.to_string());
            }
            _ => {
                let newest = store.append(&mut Vec::new()).unwrap();
                wait(store, newest).unwrap();
            }
        }
        self.note_durable(store.durable());
    }

    fn note_durable(&mut self, durable: Ticket) {
        let promised = &mut self.promised;
        self.unconfirmed.retain(|(place, body, ticket)| {
            if *ticket <= durable {
                promised.present.insert(*place, body.clone());
            }
            *ticket > durable
        });
        self.unconfirmed_settles.retain(|(place, ticket)| {
            if *ticket <= durable {
                promised.absent.push(*place);
            }
            *ticket > durable
        });
    }

    fn check(&self, store: &EmbeddedStore, seed: u64) {
        for queue in self.queues {
            store.claim(queue).unwrap();
        }
        store.recovered();
        let mut found = BTreeMap::new();
        for queue in self.queues {
            let contents = contents(store, queue);
            assert!(
                contents.is_sorted_by_key(|(seq, _)| *seq),
                "seed {seed}: out of order"
            );
            found.extend(contents.into_iter().map(|(seq, body)| ((queue, seq), body)));
        }
        assert_eq!(
            store.usage().damaged_records,
            0,
            "seed {seed}: nothing was damaged"
        );
        for (place, body) in &self.promised.present {
            assert_eq!(
                found.get(place),
                Some(body),
                "seed {seed}: {place:?} was confirmed"
            );
        }
        for place in &self.promised.absent {
            assert!(
                !found.contains_key(place),
                "seed {seed}: {place:?} was settled"
            );
        }
        let definitions = store.definitions().unwrap();
        for (key, value) in &self.promised.definitions {
            let found = definitions.get(key.as_bytes()).map(Vec::as_slice);
            assert_eq!(
                found,
                Some(value.as_bytes()),
                "seed {seed}: {key} was confirmed"
            );
        }
    }
}

#[test]
fn nothing_confirmed_is_lost_when_the_power_is() {
    for seed in 0..60 {
        let folder = Folder::with_segments(8 << 10);
        let disk = SimulatedDisk::default();
        let store = open(&folder, &disk);
        store.recovered();
        let mut traffic = Traffic {
            dice: Dice::new(seed),
            queues: [store.next_queue_id(), store.next_queue_id()],
            next: [0, 0],
            promised: Promised::default(),
            unconfirmed: Vec::new(),
            unconfirmed_settles: Vec::new(),
        };
        let (mut store, mut disk) = (store, disk);
        for life in 0..3 {
            for step in 0..40 {
                traffic.step(&store, life * 100 + step);
            }
            // The cut comes while the store is at work; what it does afterwards reaches no disk. Now and then only the
            // process is killed, and the disk is found as it was.
            traffic.note_durable(store.durable());
            let killed = (seed + life) % 4 == 1;
            let left = if killed {
                disk.clone()
            } else {
                disk.cut(seed * 10 + life)
            };
            store.abandon();
            drop(store);
            if seed % 3 == 0 {
                std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
            }
            store = open(&folder, &left);
            disk = left;
            traffic.check(&store, seed);
            // Sequences that were never durable may be used again; those that were may not.
            traffic.unconfirmed.clear();
            traffic.unconfirmed_settles.clear();
            for at in 0..2 {
                let claimed = store.claim(traffic.queues[at]).unwrap();
                traffic.next[at] = traffic.next[at].max(claimed.next_seq);
            }
        }
    }
}
