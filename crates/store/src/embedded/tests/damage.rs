//! Files that are cut, flipped, foreign or missing when the store opens.

use std::fs;

use super::folder::Folder;
use crate::conformance::{append_durably, contents, expected, put, settle, wait};
use crate::embedded::EmbeddedStore;
use crate::{Change, QueueId, Seq, Store as _, StoreError};

/// A store that was killed after these messages were durable.
fn written(folder: &Folder, bodies: &[&str]) -> QueueId {
    let store = folder.open();
    let queue = store.next_queue_id();
    for (body, seq) in bodies.iter().zip(0..) {
        append_durably(&store, vec![put(queue, seq, body)]);
    }
    store.abandon();
    queue
}

#[test]
fn the_newest_segment_may_be_cut_anywhere() {
    let folder = Folder::with_segments(4096);
    let queue = written(&folder, &["first", "second", "third, which is cut"]);
    let segment = folder.segments().remove(0);
    let whole = fs::read(&segment).unwrap();
    let used = whole.iter().rposition(|octet| *octet != 0).unwrap() + 1;
    let third = whole
        .windows(5)
        .position(|octets| octets == b"third")
        .unwrap();
    let second = whole
        .windows(6)
        .position(|octets| octets == b"second")
        .unwrap();
    for cut in (second + 6..used).step_by(2) {
        // A cut by length, or by zeros where the disk did not get to.
        let mut octets = whole[..cut].to_vec();
        if cut % 4 == 0 {
            octets.resize(whole.len(), 0);
        }
        for other in folder.segments() {
            fs::remove_file(other).unwrap();
        }
        fs::write(&segment, octets).unwrap();
        let store = folder.reopen(&[queue]);
        assert_eq!(
            contents(&store, queue),
            expected([(0, "first"), (1, "second")]),
            "cut at {cut}"
        );
        append_durably(&store, vec![put(queue, 2, "after the cut")]);
        store.abandon();
        drop(store);
        let store = folder.reopen(&[queue]);
        let all = expected([(0, "first"), (1, "second"), (2, "after the cut")]);
        assert_eq!(
            contents(&store, queue),
            all,
            "cut at {cut}, then written on"
        );
        assert!(cut < third || store.usage().damaged_records == 0);
        store.abandon();
    }
}

#[test]
fn a_flipped_bit_costs_the_message_it_hit() {
    let folder = Folder::with_segments(4096);
    let bodies: Vec<String> = (0..60)
        .map(|at| format!("message {at} {}", "x".repeat(80)))
        .collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let queue = written(&folder, &bodies);
    let older = folder.segments().remove(0);
    let whole = fs::read(&older).unwrap();
    for at in (0..whole.len()).step_by(53) {
        let mut octets = whole.clone();
        octets[at] ^= 0x20;
        fs::write(&older, octets).unwrap();
        let store = folder.reopen(&[queue]);
        let found = contents(&store, queue);
        assert!(
            found.len() >= bodies.len() - 1,
            "flip at {at}: {} are left",
            found.len()
        );
        for (seq, body) in found {
            assert_eq!(body, bodies[usize::try_from(seq).unwrap()], "flip at {at}");
        }
        store.abandon();
    }
    fs::write(&older, whole).unwrap();
    assert_eq!(
        contents(&folder.reopen(&[queue]), queue).len(),
        bodies.len()
    );
}

#[test]
fn damage_while_open_costs_the_message_it_hit() {
    let folder = Folder::with_segments(4096);
    let store = folder.open();
    let queue = store.next_queue_id();
    append_durably(
        &store,
        (0..10)
            .map(|seq| put(queue, seq, "a body to be hit"))
            .collect(),
    );
    let segment = folder.segments().remove(0);
    let mut octets = fs::read(&segment).unwrap();
    let at = octets.windows(4).position(|four| four == b"body").unwrap();
    octets[at] ^= 1;
    fs::write(&segment, octets).unwrap();
    let found = contents(&store, queue);
    assert_eq!(found.len(), 9);
    assert_eq!(store.usage().damaged_records, 1);
    assert!(found.iter().all(|(_, body)| body == "a body to be hit"));
}

#[test]
fn a_message_hit_in_the_newest_segment_does_not_take_the_later_ones_with_it() {
    let folder = Folder::with_segments(64 << 10);
    let store = folder.open();
    let queue = store.next_queue_id();
    append_durably(&store, (0..20).map(|seq| put(queue, seq, "hit")).collect());
    // Left alone for a while the store notes that all of it is synced, even if it is killed then.
    let segment = folder.segments().remove(0);
    let before = fs::read(&segment).unwrap();
    while fs::read(&segment).unwrap() == before {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    store.abandon();
    drop(store);
    let mut octets = fs::read(&segment).unwrap();
    let at = octets.windows(3).position(|three| three == b"hit").unwrap();
    octets[at] ^= 1;
    fs::write(&segment, octets).unwrap();
    let store = folder.reopen(&[queue]);
    assert_eq!(contents(&store, queue).len(), 19);
    assert_eq!(store.usage().truncated_bytes, 0);
}

fn define(store: &EmbeddedStore, key: &str, value: &str) {
    let change = Change::Put {
        key: key.into(),
        value: value.into(),
    };
    let ticket = store.change(vec![change]).unwrap();
    wait(store, ticket).unwrap();
}

fn definition(store: &EmbeddedStore, key: &str) -> Option<String> {
    let value = store.definitions().unwrap().remove(key.as_bytes())?;
    Some(String::from_utf8(value).unwrap())
}

/// A store that was shut down with definitions and a message, and the queue of that.
fn defined(folder: &Folder, clean: bool) -> QueueId {
    let store = folder.open();
    let queue = store.next_queue_id();
    define(&store, "a", "1");
    append_durably(&store, vec![put(queue, 0, "m"), settle(queue, 7, 7)]);
    define(&store, "b", "2");
    if clean {
        store.shutdown();
    } else {
        store.abandon();
    }
    queue
}

fn is_intact(folder: &Folder, queue: QueueId, what: &str) {
    let store = folder.reopen(&[queue]);
    assert_eq!(definition(&store, "a").as_deref(), Some("1"), "{what}");
    assert_eq!(definition(&store, "b").as_deref(), Some("2"), "{what}");
    assert_eq!(contents(&store, queue), expected([(0, "m")]), "{what}");
    assert!(
        store.next_queue_id() > queue,
        "{what}: a number was given again"
    );
    define(&store, "c", what);
    store.abandon();
    drop(store);
    let store = folder.reopen(&[queue]);
    assert_eq!(definition(&store, "c").as_deref(), Some(what));
}

#[test]
fn sled_can_be_missing_or_broken() {
    for clean in [true, false] {
        let folder = Folder::new();
        let queue = defined(&folder, clean);
        fs::remove_dir_all(folder.path().join("sled")).unwrap();
        is_intact(&folder, queue, "sled removed");
        for (name, octets) in [("db", vec![7; 5000]), ("conf", vec![]), ("db", vec![])] {
            fs::write(folder.path().join("sled").join(name), octets).unwrap();
            is_intact(&folder, queue, "sled broken");
        }
        assert!(folder.path().join("sled.broken-1").exists());
    }
}

#[test]
fn the_snapshot_can_be_missing_or_broken() {
    for clean in [true, false] {
        let folder = Folder::new();
        let queue = defined(&folder, clean);
        let snapshot = folder.path().join("definitions.snapshot");
        let mut octets = fs::read(&snapshot).unwrap();
        octets[10] ^= 1;
        fs::write(&snapshot, octets).unwrap();
        is_intact(&folder, queue, "snapshot broken");
        fs::remove_file(&snapshot).unwrap();
        is_intact(&folder, queue, "snapshot removed");
        // The other one and the log are enough, without sled too.
        fs::write(&snapshot, b"").unwrap();
        fs::remove_dir_all(folder.path().join("sled")).unwrap();
        is_intact(&folder, queue, "snapshot and sled broken");
        fs::write(folder.path().join("definitions.snapshot.2"), vec![0; 99]).unwrap();
        is_intact(&folder, queue, "the other one broken");
    }
}

#[test]
fn without_any_definitions_the_messages_are_not_taken_for_garbage() {
    let folder = Folder::new();
    let store = folder.open();
    for at in 0..3 {
        define(&store, "key", &at.to_string());
    }
    store.shutdown();
    let queue = defined(&folder, true);
    // What the log still has of the first opening is gone; the rest begins with a later version.
    let oldest = folder.segments().remove(0);
    fs::remove_file(folder.path().join("definitions.snapshot")).unwrap();
    fs::remove_file(folder.path().join("definitions.snapshot.2")).unwrap();
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let aside = folder.path().join("aside");
    if folder.segments().len() > 1 {
        fs::rename(&oldest, &aside).unwrap();
    }
    match EmbeddedStore::open(&folder.options()) {
        Err(StoreError::Corrupt { file, .. }) => assert!(file.ends_with("definitions.snapshot")),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the messages of {queue:?} would have been dropped"),
    }
}

#[test]
fn a_damaged_header_does_not_take_the_segment_with_it() {
    let folder = Folder::with_segments(64 << 10);
    let queue = written(&folder, &["a", "b", "c"]);
    let segment = folder.segments().remove(0);
    let mut octets = fs::read(&segment).unwrap();
    octets[3] ^= 1;
    fs::write(&segment, octets).unwrap();
    let store = folder.reopen(&[queue]);
    assert_eq!(contents(&store, queue).len(), 3);
    assert!(store.usage().damaged_records > 0);
}

#[test]
fn a_segment_in_the_place_of_another_is_not_believed() {
    let folder = Folder::with_segments(4096);
    let body = "x".repeat(200);
    let queue = written(&folder, &[body.as_str(); 40]);
    let segments = folder.segments();
    fs::copy(&segments[0], &segments[1]).unwrap();
    let store = folder.reopen(&[queue]);
    let found = contents(&store, queue);
    assert!(found.len() < 40 && !found.is_empty());
    let seqs: Vec<Seq> = found.iter().map(|(seq, _)| *seq).collect();
    assert!(seqs.is_sorted() && seqs[0] == 0);
}

#[test]
fn a_folder_is_used_by_one() {
    let folder = Folder::new();
    let store = folder.open();
    match EmbeddedStore::open(&folder.options()) {
        Err(StoreError::Locked(path)) => assert_eq!(path, folder.path()),
        _ => panic!("a second store opened the folder"),
    }
    store.shutdown();
    assert!(
        EmbeddedStore::open(&folder.options()).is_ok(),
        "it was shut down"
    );
}

#[test]
fn a_folder_of_another_version_is_left_alone() {
    let folder = Folder::new();
    written(&folder, &["a"]);
    fs::write(folder.path().join("FORMAT"), "leveret-store 2\nsalt 0\n").unwrap();
    let before = folder.segments();
    assert!(matches!(
        EmbeddedStore::open(&folder.options()),
        Err(StoreError::Format(text)) if text.contains("version 2")
    ));
    assert_eq!(folder.segments(), before);
}
