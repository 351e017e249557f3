//! Folders of every format that was ever released: they must open, with all that is in them.

use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::ledger::Found;
use super::sled_folder::Image;
use crate::conformance::{append, append_durably, message, put, settle, wait};
use crate::embedded::EmbeddedStore;
use crate::{Change, Operation, QueueId, Store as _};

const SEGMENT: u64 = 4 << 10;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn define(store: &EmbeddedStore, key: &str, value: &str) {
    let change = Change::Put {
        key: key.into(),
        value: value.into(),
    };
    wait(store, store.change(vec![change]).unwrap()).unwrap();
}

/// Something of everything. The queues are the first two of the first opening.
fn write(folder: &Folder) {
    let store = folder.open();
    store.recovered();
    let [first, second] = [store.next_queue_id(), store.next_queue_id()];
    define(&store, "a", "1");
    for seq in 0..10 {
        let body = format!("shared {seq} {}", "s".repeat(100));
        let shared = message("key", body.as_bytes());
        let puts = [first, second].map(|queue| Operation::Put {
            queue,
            seq,
            message: shared.clone(),
            durable: true,
        });
        append(&store, puts.to_vec());
    }
    let transient = Operation::Put {
        queue: first,
        seq: 10,
        message: message("key", b"transient"),
        durable: false,
    };
    append_durably(
        &store,
        vec![transient, put(first, 11, &"large".repeat(2000))],
    );
    let delivered = Operation::Delivered {
        queue: second,
        first: 4,
        last: 6,
    };
    append_durably(&store, vec![delivered, settle(second, 0, 3)]);
    define(&store, "b", &"value".repeat(800));
    store.shutdown();
    drop(store);
    // A second life, which ends in a kill: newer definitions, and settles of older segments.
    let store = folder.reopen(&[first, second]);
    append_durably(
        &store,
        vec![settle(first, 0, 1), put(second, 10, "of a later life")],
    );
    define(&store, "a", "2");
    store.abandon();
}

#[test]
fn a_folder_of_each_released_format_opens() {
    let mut opened = 0;
    for entry in std::fs::read_dir(fixtures()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let what = path.display().to_string();
        let folder = Folder::with_segments(SEGMENT);
        Image::of(&path).write(folder.path());
        let [first, second] = [1, 2].map(|counter| QueueId((1 << 32) | counter));
        for _ in 0..2 {
            let store = folder.reopen(&[first, second]);
            let found = Found::of(&store, &[first, second]);
            assert_eq!(store.usage().damaged_records, 0, "{what}");
            let at = |queue: QueueId| {
                let messages = found
                    .messages
                    .iter()
                    .filter(move |((of, _), _)| *of == queue);
                messages.map(|((_, seq), (_, count))| (*seq, *count))
            };
            let expected: Vec<_> = (2..10).chain([11]).map(|seq| (seq, 0)).collect();
            assert!(at(first).eq(expected), "{what}");
            let counts = [(4, 1), (5, 1), (6, 1), (7, 0), (8, 0), (9, 0), (10, 0)];
            assert!(at(second).eq(counts), "{what}");
            assert_eq!(
                found.messages[&(first, 11)].0,
                "large".repeat(2000),
                "{what}"
            );
            assert!(
                found.messages[&(second, 9)].0.starts_with("shared 9 "),
                "{what}"
            );
            assert_eq!(found.definitions[b"a".as_slice()], b"2", "{what}");
            assert_eq!(found.definitions[b"b".as_slice()].len(), 4000, "{what}");
            assert!(store.next_queue_id() > second, "{what}");
            store.shutdown();
        }
        opened += 1;
    }
    assert!(opened > 0, "there is no fixture");
}

#[test]
#[ignore = "writes the fixture of the present format: fixtures/README.md"]
fn write_the_fixture() {
    let folder = Folder::with_segments(SEGMENT);
    write(&folder);
    let target = fixtures().join("format-1");
    assert!(
        !target.exists(),
        "a fixture that was released is not replaced"
    );
    let image = Image::of(folder.path()).without(&["LOCK", "BACKUP"]);
    image.write(&target);
}
