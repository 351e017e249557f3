//! Disks that fail or fill up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::full_form;
use super::simulated::SimulatedDisk;
use crate::conformance::{append_durably, contents, put, settle, wait};
use crate::embedded::EmbeddedStore;
use crate::{Change, Operation, QueueId, Seq, Store as _, StoreError, Ticket};

fn open(folder: &Folder, disk: &SimulatedDisk) -> EmbeddedStore {
    EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone())).unwrap()
}

/// What can go wrong once.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Sync,
    Write,
    Room,
    Files,
}

impl Fault {
    fn set(self, disk: &SimulatedDisk, nth: u64) {
        match self {
            Self::Sync => disk.fail_sync(nth),
            Self::Write => disk.fail_write(nth),
            Self::Room => disk.fill_at(nth),
            Self::Files => disk.exhaust_files_at(nth),
        }
    }

    /// How often it could have gone wrong so far.
    fn chances(self, disk: &SimulatedDisk) -> u64 {
        match self {
            Self::Sync => disk.syncs(),
            Self::Write => disk.writes(),
            Self::Room => disk.growths(),
            Self::Files => disk.opens(),
        }
    }
}

/// What a run came to.
#[derive(Default)]
struct Outcome {
    queue: Option<QueueId>,
    confirmed: Vec<Seq>,
    /// The round of the last definition that was durable.
    defined: Option<u64>,
    /// Messages before this one are durably settled.
    settled: Seq,
    failure: Option<StoreError>,
}

/// Messages, definitions and settles, each awaited, until something fails.
fn run(folder: &Folder, disk: &SimulatedDisk) -> Outcome {
    let mut outcome = Outcome::default();
    let opened = EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone()));
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            outcome.failure = Some(error);
            return outcome;
        }
    };
    store.recovered();
    let queue = store.next_queue_id();
    outcome.queue = Some(queue);
    for round in 0..30 {
        if let Err(error) = run_round(&store, (queue, round), &mut outcome) {
            outcome.failure = Some(error);
            break;
        }
    }
    if matches!(outcome.failure, Some(StoreError::Poisoned(_))) {
        // What was there before can still be read.
        assert!(contents(&store, queue).len() >= outcome.confirmed.len());
        refuses_everything(&store, queue);
    }
    store.shutdown();
    outcome
}

fn run_round(
    store: &EmbeddedStore,
    (queue, round): (QueueId, Seq),
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let put = put(queue, round, &"x".repeat(300));
    wait(store, append_when_there_is_room(store, &put)?)?;
    outcome.confirmed.push(round);
    if round % 5 == 4 {
        let change = Change::Put {
            key: b"round".to_vec(),
            value: round.to_le_bytes().to_vec(),
        };
        wait(store, store.change(vec![change])?)?;
        outcome.defined = Some(round);
        let settle = settle(queue, 0, round - 4);
        // From here on they may be gone, durably or not.
        outcome.confirmed.retain(|seq| *seq > round - 4);
        wait(store, append_when_there_is_room(store, &settle)?)?;
        outcome.settled = round - 3;
    }
    Ok(())
}

/// A store that has failed takes nothing, says so to everybody, and never asks the disk again.
fn refuses_everything(store: &EmbeddedStore, queue: QueueId) {
    let durable = store.durable();
    let syncs = store.usage().syncs;
    let refused = |outcome: Result<_, StoreError>| {
        assert!(matches!(outcome, Err(StoreError::Poisoned(_))));
    };
    refused(store.append(&mut vec![put(queue, 999, "more")]).map(drop));
    refused(store.change(vec![]).map(drop));
    refused(wait(store, Ticket(durable.0 + 1)));
    assert!(store.usage().poisoned);
    store.shutdown();
    assert_eq!(store.durable(), durable);
    assert_eq!(store.usage().syncs, syncs, "the log was synced again");
}

/// What was reported durable is there after the power is cut as well.
fn is_kept(folder: &Folder, disk: &SimulatedDisk, outcome: &Outcome, what: &str) {
    let store = open(folder, disk);
    let queue = outcome.queue.unwrap_or(QueueId(1));
    store.claim(queue).unwrap();
    store.recovered();
    let found: Vec<Seq> = contents(&store, queue)
        .iter()
        .map(|(seq, _)| *seq)
        .collect();
    assert!(found.is_sorted(), "{what}");
    for seq in &outcome.confirmed {
        assert!(found.contains(seq), "{what}: {seq} was confirmed");
    }
    assert!(
        found.first().is_none_or(|first| *first >= outcome.settled),
        "{what}: {found:?} came back"
    );
    let defined = store.definitions().unwrap().remove(b"round".as_slice());
    let defined = defined.map(|value| u64::from_le_bytes(value.try_into().unwrap()));
    assert!(defined >= outcome.defined, "{what}: a definition is lost");
    store.abandon();
}

/// Let the nth of its kind go wrong, for every n of a run (every fourth in the short form, each time others).
fn every_fault(fault: Fault, may_poison: bool) {
    let folder = Folder::with_segments(4 << 10);
    let disk = SimulatedDisk::default();
    let whole = run(&folder, &disk);
    assert_eq!(whole.failure, None);
    let chances = fault.chances(&disk);
    let stride = full_form("LEVERET_FAULT_STRIDE", 4).max(1);
    let first = 1 + u64::from(std::process::id()) % stride;
    let mut failed = 0;
    for nth in (first..=chances).step_by(usize::try_from(stride).unwrap()) {
        let what = format!("{fault:?} {nth} of {chances}");
        let folder = Folder::with_segments(4 << 10);
        let disk = SimulatedDisk::default();
        fault.set(&disk, nth);
        let outcome = run(&folder, &disk);
        match &outcome.failure {
            Some(StoreError::Poisoned(_)) => assert!(may_poison, "{what} poisoned"),
            // The opening failed.
            Some(_) if outcome.queue.is_none() => {}
            Some(error) => panic!("{what}: {error}"),
            None => assert_eq!(outcome.defined, whole.defined, "{what}"),
        }
        failed += u64::from(outcome.failure.is_some());
        is_kept(&folder, &disk.cut(nth), &outcome, &what);
    }
    assert!(
        failed > 0 || !may_poison,
        "of {chances} times {fault:?} none was noticed"
    );
}

#[test]
fn a_failed_sync_poisons_and_is_never_retried() {
    every_fault(Fault::Sync, true);
}

#[test]
fn a_write_that_fails_half_way_costs_nothing_confirmed() {
    every_fault(Fault::Write, true);
}

#[test]
fn a_full_disk_at_any_moment_is_got_over() {
    every_fault(Fault::Room, false);
}

#[test]
fn too_many_open_files_at_any_moment_are_got_over() {
    every_fault(Fault::Files, false);
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
