//! A real file system of 64 MB that fills up and is emptied, twenty times. Needs the right to mount one; says so and
//! does nothing where that is missing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::conformance::{EVERYTHING, append_durably, fetch, put, settle, wait};
use crate::embedded::{EmbeddedStore, Options};
use crate::{Store as _, StoreError};

/// A mounted file system in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(folder);
        let mounted = mount.output().ok()?.status.success();
        mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Fill and free it `cycles` times. With a floor the disk must never be full; without one it must be, each time.
fn cycles(floor: u64) {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        eprintln!("skipped: no right to mount a file system");
        return;
    };
    let options = Options {
        segment_bytes: 2 << 20,
        disk_free_limit: floor,
        ..Options::new(disk.0.join("data"))
    };
    let mut store = EmbeddedStore::open(&options).unwrap();
    store.recovered();
    let queue = store.next_queue_id();
    let body = "x".repeat(4000);
    let (mut first, mut next) = (0, 0);
    for cycle in 0..20 {
        let begun = Instant::now();
        loop {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "cycle {cycle}: never low"
            );
            if store.usage().low {
                break;
            }
            let mut puts = (next..next + 50)
                .map(|seq| put(queue, seq, &body))
                .collect();
            match store.append(&mut puts) {
                Ok(ticket) => {
                    wait(&store, crate::Ticket(ticket.0 + 49)).unwrap();
                    next += 50;
                }
                Err(StoreError::Full) => {
                    assert_eq!(floor, 0, "cycle {cycle}: full before it was low");
                    break;
                }
                Err(error) => panic!("cycle {cycle}: {error}"),
            }
        }
        if cycle % 5 == 4 {
            // Killed while there is no room.
            store.abandon();
            drop(store);
            store = EmbeddedStore::open(&options).unwrap();
            assert_eq!(store.claim(queue).unwrap().messages, next - first);
            store.recovered();
        }
        let found = fetch(&store, queue, 0, EVERYTHING).unwrap();
        assert!(
            found.iter().map(|one| one.seq).eq(first..next),
            "cycle {cycle}"
        );
        assert!(
            found
                .iter()
                .all(|one| one.message.body() == body.as_bytes())
        );
        first = next - 10;
        append_durably(&store, vec![settle(queue, 0, first - 1)]);
        let begun = Instant::now();
        while store.usage().low || store.usage().full {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "cycle {cycle}: low for ever"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let usage = store.usage();
    assert_eq!((usage.damaged_records, usage.poisoned), (0, false));
    store.shutdown();
}

#[test]
fn a_small_disk_with_a_floor_is_never_full() {
    cycles(12 << 20);
}

#[test]
fn a_small_disk_may_be_full_and_free_again() {
    cycles(0);
}
