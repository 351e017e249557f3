//! Room is given back, and what must outlive a segment does.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::simulated::SimulatedDisk;
use crate::conformance::{
    EVERYTHING, append, append_durably, contents, expected, fetch, message, put, settle,
};
use crate::embedded::EmbeddedStore;
use crate::{Change, Operation, QueueId, Seq, Store as _};

const BODY: usize = 200;

fn body() -> String {
    "x".repeat(BODY)
}

/// Put `count` messages from `first` on, durably, in runs.
fn fill(store: &EmbeddedStore, queue: QueueId, first: Seq, count: u64) {
    let body = body();
    let mut next = first;
    while next < first + count {
        let end = (next + 20).min(first + count);
        append_durably(
            store,
            (next..end).map(|seq| put(queue, seq, &body)).collect(),
        );
        next = end;
    }
}

/// Wait until the store says so.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        // A loaded disk may take a second for each of the many syncs that this takes.
        assert!(begun.elapsed() < Duration::from_secs(120), "never {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn on_disk(folder: &Folder) -> u64 {
    let files = folder.segments();
    // The upkeep may delete one just now.
    files
        .iter()
        .filter_map(|file| fs::metadata(file).ok())
        .map(|file| file.len())
        .sum()
}

#[test]
fn at_rest_the_disk_holds_little_more_than_what_is_live() {
    const SEGMENT: u64 = 16 << 10;
    let folder = Folder::with_segments(SEGMENT);
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    fill(&store, queue, 0, 1000);
    let gone = (0..1000).filter(|seq| seq % 10 != 0);
    append_durably(&store, gone.map(|seq| settle(queue, seq, seq)).collect());
    // The segment in use and the one made ready are there in full.
    until("small", || {
        let live = store.usage().live_bytes;
        on_disk(&folder) <= live + live / 10 + 2 * SEGMENT
    });
    assert_eq!(contents(&store, queue).len(), 100);
    append_durably(&store, vec![settle(queue, 0, 999)]);
    until("nothing", || on_disk(&folder) <= 2 * SEGMENT);
}

#[test]
fn settled_segments_are_deleted() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    fill(&store, queue, 0, 1000);
    assert!(store.usage().segments > 10);
    append_durably(&store, vec![settle(queue, 0, 999)]);
    // The one in use, the one made ready, and the one that was in use.
    until("deleted", || folder.segments().len() <= 3);
    let usage = store.usage();
    assert_eq!((usage.live_messages, usage.live_bytes), (0, 0));
    until("counted", || store.usage().deleted_segments > 10);
    store.abandon();
    drop(store);
    assert!(contents(&folder.reopen(&[queue]), queue).is_empty());
}

#[test]
fn no_deleted_file_is_kept_open() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    fill(&store, queue, 0, 500);
    assert_eq!(contents(&store, queue).len(), 500);
    append_durably(&store, vec![settle(queue, 0, 499)]);
    until("deleted", || folder.segments().len() <= 3);
    let inside = folder.path().to_str().unwrap().to_owned();
    until("closed", || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let names = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let mut names = names.map(|name| name.to_string_lossy().into_owned());
        !names.any(|name| name.starts_with(&inside) && name.ends_with("(deleted)"))
    });
}

#[test]
fn one_old_message_does_not_keep_a_gigabyte() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let (old, busy) = (store.next_queue_id(), store.next_queue_id());
    let delivered = Operation::Delivered {
        queue: old,
        first: 0,
        last: 0,
    };
    append_durably(
        &store,
        vec![put(old, 0, "old"), put(busy, 0, "x"), delivered],
    );
    let mut next = 1;
    for _ in 0..20 {
        fill(&store, busy, next, 200);
        next += 200;
        append_durably(&store, vec![settle(busy, 0, next - 1)]);
    }
    until("compacted", || store.usage().segments <= 4);
    assert_eq!(contents(&store, old), expected([(0, "old")]));
    store.abandon();
    drop(store);
    let store = folder.reopen(&[old, busy]);
    let found = fetch(&store, old, 0, EVERYTHING).unwrap();
    assert_eq!((found.len(), found[0].delivery_count), (1, 1));
    assert!(contents(&store, busy).is_empty());
}

#[test]
fn disk_use_follows_what_is_live() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let queues: Vec<_> = (0..5).map(|_| store.next_queue_id()).collect();
    let body = body();
    for seq in 0..400 {
        let puts = queues.iter().map(|queue| put(*queue, seq, &body));
        append(&store, puts.collect());
    }
    // Every segment is left with a fifth of what it had, and with a hole here and there.
    for queue in &queues[1..] {
        append_durably(&store, vec![settle(*queue, 0, Seq::MAX)]);
    }
    append_durably(
        &store,
        (0..400)
            .step_by(3)
            .map(|seq| settle(queues[0], seq, seq))
            .collect(),
    );
    let expected: Vec<Seq> = (0..400).filter(|seq| seq % 3 != 0).collect();
    until("compacted", || {
        let usage = store.usage();
        usage.disk_bytes <= usage.live_bytes * 110 / 100 + 2 * (16 << 10)
    });
    let live = store.usage().live_bytes;
    until("given back", || {
        on_disk(&folder) <= live * 12 / 10 + 4 * (16 << 10)
    });
    let seqs = |store: &EmbeddedStore| -> Vec<Seq> {
        contents(store, queues[0])
            .iter()
            .map(|(seq, _)| *seq)
            .collect()
    };
    assert_eq!(seqs(&store), expected);
    store.abandon();
    drop(store);
    let store = folder.reopen(&queues);
    assert_eq!(seqs(&store), expected);
    for queue in &queues[1..] {
        assert!(contents(&store, *queue).is_empty());
    }
}

#[test]
fn settles_outlive_the_messages_they_settle() {
    let folder = Folder::with_segments(16 << 10);
    let mut store = folder.open();
    store.recovered();
    let (kept, busy) = (store.next_queue_id(), store.next_queue_id());
    // A backlog that stays, most of it: too much of it is live to be worth copying.
    fill(&store, kept, 0, 300);
    let mut next = 0;
    let mut gone = Vec::new();
    for round in 0..12 {
        // A few of the backlog go, and traffic fills the segment in which that is written; then all of that goes.
        let seq = round * 24;
        append_durably(&store, vec![settle(kept, seq, seq)]);
        gone.push(seq);
        fill(&store, busy, next, 150);
        next += 150;
        append_durably(&store, vec![settle(busy, 0, next - 1)]);
        if round % 4 == 3 {
            store.abandon();
            drop(store);
            store = folder.reopen(&[kept, busy]);
            let left: Vec<_> = contents(&store, kept).iter().map(|(seq, _)| *seq).collect();
            let expected: Vec<_> = (0..300).filter(|seq| !gone.contains(seq)).collect();
            assert_eq!(left, expected, "after round {round}");
            assert!(contents(&store, busy).is_empty());
        }
    }
    until("given back", || {
        let usage = store.usage();
        usage.segments <= 300 * (BODY as u64 + 80) / (16 << 10) + 5
    });
}

#[test]
fn what_is_compacted_keeps_its_order_and_its_shares() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let queues: Vec<_> = (0..3).map(|_| store.next_queue_id()).collect();
    for seq in 0..300 {
        let shared = message("key", format!("{seq} {}", body()).as_bytes());
        let puts = queues.iter().map(|queue| Operation::Put {
            queue: *queue,
            seq,
            message: shared.clone(),
            durable: true,
        });
        append(&store, puts.collect());
    }
    // Every tenth stays, in two of the three queues.
    for seq in (0..300).filter(|seq| seq % 10 != 0) {
        append(
            &store,
            queues
                .iter()
                .map(|queue| settle(*queue, seq, seq))
                .collect(),
        );
    }
    append_durably(&store, vec![settle(queues[1], 0, Seq::MAX)]);
    until("compacted", || store.usage().segments <= 4);
    assert!(store.usage().moved_bytes > 0);
    store.abandon();
    drop(store);
    let store = folder.reopen(&queues);
    assert!(contents(&store, queues[1]).is_empty());
    for queue in [queues[0], queues[2]] {
        let found = contents(&store, queue);
        assert_eq!(found.len(), 30);
        for ((seq, body), expected) in found.iter().zip((0..300).step_by(10)) {
            assert_eq!(*seq, expected);
            assert!(body.starts_with(&format!("{seq} ")));
        }
    }
}

#[test]
fn large_messages_get_segments_of_their_own() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    let queue = store.next_queue_id();
    let bodies: Vec<String> = (0..6)
        .map(|at| at.to_string().repeat(9_000 * (at + 1)))
        .collect();
    append_durably(
        &store,
        bodies
            .iter()
            .zip(0..)
            .map(|(body, seq)| put(queue, seq, body))
            .collect(),
    );
    store.abandon();
    drop(store);
    let store = folder.reopen(&[queue]);
    let found = contents(&store, queue);
    assert!(found.iter().map(|(_, body)| body).eq(&bodies));
}

#[test]
fn what_is_settled_before_it_is_written_needs_no_disk() {
    let folder = Folder::new();
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    let mut operations = Vec::new();
    for round in 0..200 {
        let newest = store.append(&mut Vec::new()).unwrap();
        // Put and settle in one list: there is no moment at which it could be written.
        operations.extend((round * 50..round * 50 + 50).map(|seq| put(queue, seq, "gone")));
        operations.push(Operation::Settle {
            queue,
            first: round * 50,
            last: round * 50 + 49,
            put: Some(crate::Ticket(newest.0 + 1)),
        });
        store.append(&mut operations).unwrap();
    }
    let last = store.append(&mut Vec::new()).unwrap();
    crate::conformance::wait(&store, last).unwrap();
    let usage = store.usage();
    assert_eq!(usage.cancelled_puts, 10_000);
    assert_eq!((usage.written_bytes, usage.backlog_bytes), (0, 0));
}

#[test]
fn changes_of_definitions_do_not_keep_segments() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    for round in 0..600_u32 {
        let change = Change::Put {
            key: format!("queue {}", round % 7).into(),
            value: vec![b'v'; 300],
        };
        let ticket = store.change(vec![change]).unwrap();
        if round % 10 == 0 {
            crate::conformance::wait(&store, ticket).unwrap();
        }
    }
    let last = store.append(&mut Vec::new()).unwrap();
    crate::conformance::wait(&store, last).unwrap();
    until("deleted", || store.usage().segments <= 2);
    let definitions = store.definitions();
    store.abandon();
    drop(store);
    assert_eq!(folder.open().definitions(), definitions);
}

#[test]
fn a_store_on_a_full_disk_opens_so_that_it_can_be_emptied() {
    const SEGMENT: u64 = 64 << 10;
    let folder = Folder::with_segments(SEGMENT);
    let disk = SimulatedDisk::default();
    let open = || EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone())).unwrap();
    let store = open();
    store.recovered();
    let queue = store.next_queue_id();
    fill(&store, queue, 0, 500);
    store.abandon();
    drop(store);
    // Less than a segment is free, and less than a file of definitions.
    disk.set_capacity(Some(disk.used() + 6000));
    let store = open();
    assert_eq!(store.claim(queue).unwrap().messages, 500);
    store.recovered();
    append_durably(&store, vec![settle(queue, 0, 498)]);
    disk.set_capacity(Some(disk.used() + 4 * SEGMENT));
    until("open again", || !store.usage().full);
    append_durably(&store, vec![put(queue, 500, "more")]);
    assert_eq!(contents(&store, queue).len(), 2);
}
