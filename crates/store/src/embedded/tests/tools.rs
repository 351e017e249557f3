//! Looking into a folder, copying it while it is in use, and the disk's floor.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::simulated::SimulatedDisk;
use super::sled_folder::Image;
use crate::conformance::{append_durably, contents, put, settle, wait};
use crate::embedded::{EmbeddedStore, Options};
use crate::{Change, Inspection, Operation, Store as _, StoreError, back_up};

#[test]
fn an_inspection_sees_everything_and_changes_nothing() {
    let folder = Folder::with_segments(4 << 10);
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    for seq in 0..40 {
        append_durably(&store, vec![put(queue, seq, &"b".repeat(200))]);
    }
    let delivered = Operation::Delivered {
        queue,
        first: 39,
        last: 39,
    };
    append_durably(&store, vec![delivered, settle(queue, 38, 38)]);
    let change = Change::Put {
        key: b"k".to_vec(),
        value: b"v".to_vec(),
    };
    wait(&store, store.change(vec![change]).unwrap()).unwrap();
    assert_eq!(
        Inspection::open(folder.path()).err(),
        Some(StoreError::Locked(folder.path().to_owned()))
    );
    store.abandon();
    drop(store);
    let before = Image::of(folder.path());
    let inspection = Inspection::open(folder.path()).unwrap();
    assert_eq!((inspection.damaged(), inspection.live_messages()), (0, 39));
    assert_eq!(inspection.definitions()[b"k".as_slice()], b"v");
    let mut seen = Vec::new();
    let all = inspection.messages(|one| {
        seen.push((one.seq, one.settled, one.delivery_count));
        assert_eq!(one.queue, queue);
        Ok::<_, StoreError>(())
    });
    all.unwrap();
    assert_eq!(seen.len(), 40);
    assert_eq!(seen[38..], [(38, true, 0), (39, false, 1)]);
    assert!(inspection.files().iter().all(|file| file.damaged == 0));
    drop(inspection);
    assert!(
        Image::of(folder.path()) == before,
        "it has changed something"
    );
    let segment = folder.segments().remove(1);
    let mut octets = fs::read(&segment).unwrap();
    octets[100] ^= 1;
    fs::write(&segment, octets).unwrap();
    let inspection = Inspection::open(folder.path()).unwrap();
    let damage = inspection.damage();
    assert_eq!((damage.len(), inspection.damaged()), (1, 1));
    assert_eq!(damage[0].file, segment);
}

#[test]
fn a_copy_made_under_load_holds_what_was_confirmed_before() {
    let folder = Folder::with_segments(16 << 10);
    let store = folder.open();
    store.recovered();
    let queue = store.next_queue_id();
    let (confirmed, settled) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 0;
            while !stop.load(Ordering::SeqCst) {
                let puts = (next..next + 10).map(|seq| put(queue, seq, &"x".repeat(150)));
                append_durably(&store, puts.collect());
                next += 10;
                confirmed.store(next, Ordering::SeqCst);
                if next % 200 == 0 {
                    append_durably(&store, vec![settle(queue, 0, next - 100)]);
                    settled.store(next - 99, Ordering::SeqCst);
                }
            }
        });
        for _ in 0..10 {
            let begun = Instant::now();
            let sure = confirmed.load(Ordering::SeqCst);
            while confirmed.load(Ordering::SeqCst) < sure + 100 {
                assert!(begun.elapsed() < Duration::from_secs(60), "it has stopped");
                std::thread::sleep(Duration::from_millis(1));
            }
            let gone = settled.load(Ordering::SeqCst);
            let sure = confirmed.load(Ordering::SeqCst);
            let target = tempfile::tempdir().unwrap();
            let copied = back_up(folder.path(), target.path()).unwrap();
            assert!(copied.segments > 0 && copied.bytes > 0);
            let copy = EmbeddedStore::open(&Options::new(target.path())).unwrap();
            copy.claim(queue).unwrap();
            copy.recovered();
            let usage = copy.usage();
            assert_eq!(usage.damaged_records, 0);
            let found = contents(&copy, queue);
            let first = found.first().map_or(sure, |(seq, _)| *seq);
            assert!(
                first >= gone,
                "{first} came back, all before {gone} were settled"
            );
            // In order and without a gap, to at least what was confirmed.
            assert!(
                found
                    .iter()
                    .map(|(seq, _)| *seq)
                    .eq(first..first + found.len() as u64)
            );
            assert!(first + found.len() as u64 >= sure);
        }
        stop.store(true, Ordering::SeqCst);
    });
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("something"), "else").unwrap();
    assert!(matches!(
        back_up(folder.path(), target.path()),
        Err(StoreError::Unavailable(_))
    ));
}

#[test]
fn the_disk_is_low_before_it_is_full_and_stays_so_until_there_is_more() {
    const MIB: u64 = 1 << 20;
    let folder = Folder::new();
    let disk = SimulatedDisk::default();
    let options = Options {
        disk_free_limit: MIB,
        ..folder.options()
    };
    let store = EmbeddedStore::open_on(&options, Arc::new(disk.clone())).unwrap();
    store.recovered();
    let queue = store.next_queue_id();
    assert!(!store.usage().low);
    let until = |low: bool| {
        let begun = Instant::now();
        while store.usage().low != low {
            assert!(begun.elapsed() < Duration::from_secs(60), "never {low}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    disk.set_capacity(Some(disk.used() + MIB - 1));
    until(true);
    let usage = store.usage();
    assert!(!usage.full && usage.free_bytes < MIB);
    // It still takes messages: whoever asks is to hold the publishers back.
    append_durably(&store, vec![put(queue, 0, "m")]);
    disk.set_capacity(Some(disk.used() + MIB + MIB / 20));
    let looked = store.usage().free_bytes;
    let begun = Instant::now();
    while store.usage().free_bytes == looked {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "never looked again"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(
        store.usage().low,
        "a little more than the limit is not enough"
    );
    disk.set_capacity(Some(disk.used() + 2 * MIB));
    until(false);
}
