//! How long a store takes to open, how much memory that takes, and how soon room is given back.
//!
//! `cargo bench -p leveret-store --bench recovery`; a number as argument sets the messages (default 1,000,000). Killed
//! and opened with that many ready messages of 100 octets, with one in a hundred settled at random, and with 100,000
//! queues defined.

#![expect(clippy::unwrap_used, reason = "a bench whose store fails ends there")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use leveret_store::conformance::{message, wait};
use leveret_store::{
    Change, EmbeddedStore, FetchLimit, Operation, Options, QueueId, Store, Ticket, Usage,
};

/// Messages appended in one call.
const RUN: u64 = 1024;

/// Resident memory of this process in MiB.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn say(what: &str) {
    println!("{what}");
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(&Options::new(folder)).unwrap()
}

fn settled(store: &EmbeddedStore) {
    let newest = store.append(&mut Vec::new()).unwrap();
    wait(store, newest).unwrap();
}

fn fill(store: &EmbeddedStore, queue: QueueId, messages: u64) {
    let body = [b'x'; 100];
    let mut operations = Vec::new();
    let mut last = Ticket::NONE;
    for first in (0..messages).step_by(1024) {
        let run = first..(first + RUN).min(messages);
        operations.extend(run.map(|seq| Operation::Put {
            queue,
            seq,
            message: message("key", &body),
            durable: true,
        }));
        last = store.append(&mut operations).unwrap();
        while store.backlog_bytes() > 32 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(last > Ticket::NONE);
    settled(store);
}

fn mib(octets: u64) -> u64 {
    octets >> 20
}

fn reopened(folder: &Path, queue: QueueId, what: &str) -> EmbeddedStore {
    let before = resident_mib();
    let begun = Instant::now();
    let store = open(folder);
    let claimed = store.claim(queue).unwrap();
    store.recovered();
    let took = begun.elapsed();
    let Usage {
        disk_bytes,
        segments,
        ..
    } = store.usage();
    say(&format!(
        "{what}: {} messages in {segments} segments of {} MiB opened in {took:.2?}; resident {before} -> {} MiB",
        claimed.messages,
        mib(disk_bytes),
        resident_mib(),
    ));
    store
}

fn messages(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.recovered();
    let queue = store.next_queue_id();
    fill(&store, queue, count);
    say(&format!("{count} ready: resident {} MiB", resident_mib()));
    store.abandon();
    drop(store);
    let store = reopened(folder.path(), queue, "all ready");
    // The first ones come back without the rest being read.
    let (told, first) = std::sync::mpsc::channel();
    let begun = Instant::now();
    let limit = FetchLimit {
        messages: 4096,
        bytes: 2 << 20,
    };
    store.fetch(
        queue,
        0,
        limit,
        Box::new(move |fetched| drop(told.send(fetched))),
    );
    let fetched = first.recv().unwrap().unwrap().len();
    say(&format!("first {fetched} read in {:.2?}", begun.elapsed()));
    // One in a hundred goes, at random.
    let mut dice = 88_172_645_463_325_252_u64;
    let mut operations = Vec::new();
    for _ in 0..count / 100 {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let seq = dice % count;
        operations.push(Operation::Settle {
            queue,
            first: seq,
            last: seq,
            put: None,
        });
    }
    store.append(&mut operations).unwrap();
    settled(&store);
    store.abandon();
    drop(store);
    let store = reopened(folder.path(), queue, "one in a hundred settled");
    // All but one in a hundred of the rest.
    for seq in (0..count).filter(|seq| seq % 100 != 0) {
        operations.push(Operation::Settle {
            queue,
            first: seq,
            last: seq,
            put: None,
        });
        if operations.len() >= 4096 {
            store.append(&mut operations).unwrap();
        }
    }
    store.append(&mut operations).unwrap();
    settled(&store);
    shrinks(&store, folder.path(), "all but one in a hundred settled");
    store
        .append(&mut vec![Operation::Settle {
            queue,
            first: 0,
            last: u64::MAX - 1,
            put: None,
        }])
        .unwrap();
    settled(&store);
    shrinks(&store, folder.path(), "everything settled");
    store.shutdown();
}

fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder.join("segments")).unwrap();
    let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    sizes.map(|metadata| metadata.len()).sum()
}

fn shrinks(store: &EmbeddedStore, folder: &Path, what: &str) {
    let begun = Instant::now();
    let before = on_disk(folder);
    loop {
        let live = store.usage().live_bytes;
        // The segment in use and the one made ready are there in full.
        let goal = live + live / 10 + 2 * (64 << 20);
        let now = on_disk(folder);
        if now <= goal || begun.elapsed() > Duration::from_secs(120) {
            say(&format!(
                "{what}: {} MiB live, from {} MiB to {} MiB on disk in {:.2?}",
                mib(live),
                mib(before),
                mib(now),
                begun.elapsed()
            ));
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn queues(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.recovered();
    let mut ids = Vec::new();
    for first in (0..count).step_by(100) {
        let changes = (first..first + 100).map(|at| {
            ids.push(store.next_queue_id());
            Change::Put {
                key: format!("queue/{at}").into(),
                value: vec![b'v'; 120],
            }
        });
        store.change(changes.collect()).unwrap();
    }
    settled(&store);
    store.abandon();
    drop(store);
    for what in ["killed", "shut down"] {
        let begun = Instant::now();
        let store = open(folder.path());
        let definitions = store.definitions().unwrap().len();
        for queue in &ids {
            store.claim(*queue).unwrap();
        }
        store.recovered();
        say(&format!(
            "{definitions} queues, after being {what}: opened and claimed in {:.2?}; resident {} MiB",
            begun.elapsed(),
            resident_mib()
        ));
        store.shutdown();
    }
}

fn main() {
    // The harness of `cargo bench` passes flags of its own.
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    messages(count.unwrap_or(1_000_000));
    queues(100_000);
}
