//! Bits that flip, files that lose their end, stretches that become zeros: at every kind of place of every kind of file.
//! The store opens, loses what was hit and nothing else, says so, and gives no message a wrong body.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::Folder;
use super::ledger::{Found, Place};
use super::simulated::{Dice, SimulatedDisk};
use super::sled_folder::Image;
use super::{full_form, seeds};
use crate::conformance::{append, append_durably, message, put, settle, wait};
use crate::embedded::EmbeddedStore;
use crate::log::record::{Kind, Record, Seal};
use crate::log::segment::{self, Found as FoundHeader, Header, SEGMENT_HEADER};
use crate::octets::{index, wide};
use crate::{Change, Operation, QueueId, Store as _};

const SEGMENT: u64 = 8 << 10;

/// A store that was shut down with something of everything in it.
struct Original {
    root: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    sled: Image,
    queues: Vec<QueueId>,
    found: Found,
}

impl Original {
    fn make() -> Self {
        let folder = Folder::with_segments(SEGMENT);
        let disk = SimulatedDisk::default();
        let open = || EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone())).unwrap();
        let store = open();
        store.recovered();
        let queues: Vec<_> = (0..2).map(|_| store.next_queue_id()).collect();
        for seq in 0..60 {
            let body = format!("message {seq} {}", "z".repeat(index(seq * 13 % 300)));
            let shared = message("key", body.as_bytes());
            let puts = queues.iter().map(|queue| Operation::Put {
                queue: *queue,
                seq,
                message: shared.clone(),
                durable: true,
            });
            append(&store, puts.collect());
            let own = format!("own {seq}");
            append_durably(&store, vec![put(queues[0], 100 + seq, &own)]);
            if seq % 6 == 0 {
                let change = Change::Put {
                    key: format!("key {}", seq % 18).into(),
                    value: format!("value {seq}").into(),
                };
                wait(&store, store.change(vec![change]).unwrap()).unwrap();
                append_durably(&store, vec![settle(queues[1], seq, seq + 1)]);
            }
            if seq % 7 == 0 {
                let delivered = Operation::Delivered {
                    queue: queues[0],
                    first: seq,
                    last: seq + 2,
                };
                append_durably(&store, vec![delivered]);
            }
        }
        store.shutdown();
        drop(store);
        // Once more, so that there are two generations of everything.
        let store = open();
        for queue in &queues {
            store.claim(*queue).unwrap();
        }
        store.recovered();
        let found = Found::of(&store, &queues);
        store.shutdown();
        drop(store);
        Self {
            root: folder.path().to_owned(),
            files: disk.files(),
            sled: Image::of(&folder.path().join("sled")),
            queues,
            found,
        }
    }

    fn segments(&self) -> Vec<PathBuf> {
        let names = self.files.keys();
        names
            .filter(|path| segment::number_of(Path::new(path.file_name().unwrap())).is_some())
            .cloned()
            .collect()
    }

    /// Records of a segment: where each stands, and what.
    fn records(&self, path: &Path) -> Vec<(u64, Record<'_>)> {
        let octets = &self.files[path];
        let FoundHeader::Header(header) = Header::find(octets) else {
            panic!("{} has no header", path.display());
        };
        let number = segment::number_of(Path::new(path.file_name().unwrap()));
        let seal = Seal {
            segment: number.unwrap(),
            ..header.seal
        };
        let mut records = Vec::new();
        let mut at = SEGMENT_HEADER;
        while let Ok(record) = Record::parse(&octets[index(at)..], seal, at) {
            records.push((at, record));
            at += wide(record.len);
        }
        records
    }

    /// Open with `files` and `sled` in place of the original ones, and check what is there: all but `lost`, and
    /// perhaps again what was `settled`.
    fn check(
        &self,
        (files, sled): (&BTreeMap<PathBuf, Vec<u8>>, &Image),
        (lost, settled): (&BTreeSet<Place>, &BTreeSet<Place>),
        what: &str,
    ) {
        let folder = Folder::with_segments(SEGMENT);
        sled.write(&folder.path().join("sled"));
        let disk = SimulatedDisk::with(files.clone()).moved(&self.root, folder.path());
        let store = EmbeddedStore::open_on(&folder.options(), Arc::new(disk.clone()))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for queue in &self.queues {
            store.claim(*queue).unwrap();
        }
        store.recovered();
        let found = Found::of(&store, &self.queues);
        for (place, (body, count)) in &found.messages {
            let original = self.found.messages.get(place);
            assert!(
                original.is_some_and(|(right, most)| right == body && count <= most)
                    || (original.is_none() && settled.contains(place)),
                "{what}: {place:?} has become {body:?}, {count}"
            );
        }
        let gone: Vec<_> = self
            .found
            .messages
            .keys()
            .filter(|place| !found.messages.contains_key(place))
            .collect();
        assert!(
            gone.iter().all(|place| lost.contains(place)),
            "{what}: {gone:?} were not hit"
        );
        let usage = store.usage();
        assert!(
            gone.is_empty() || usage.damaged_records + usage.truncated_bytes > 0,
            "{what}: nothing was said"
        );
        assert_eq!(found.definitions, self.found.definitions, "{what}");
        // And it works.
        append_durably(&store, vec![put(self.queues[0], 900, "afterwards")]);
        store.abandon();
        drop(store);
        let store = EmbeddedStore::open_on(&folder.options(), Arc::new(disk)).unwrap();
        store.claim(self.queues[0]).unwrap();
        let again = Found::of(&store, &self.queues[..1]);
        assert!(
            again.messages.contains_key(&(self.queues[0], 900)),
            "{what}"
        );
        store.abandon();
    }
}

/// Ways of damaging a file, at a place in it. Returns what was hit.
fn damage(octets: &mut Vec<u8>, at: usize, how: u64, dice: &mut Dice) -> (usize, usize) {
    let len = octets.len();
    match how {
        0 => {
            octets[at] ^= 1 << dice.roll(8);
            (at, at + 1)
        }
        1 => {
            octets.truncate(at);
            (at, len)
        }
        _ => {
            let end = len.min(at + 1 + index(dice.roll(600)));
            octets[at..end].fill(0);
            (at, end)
        }
    }
}

const WAYS: [&str; 3] = ["a flipped bit", "a lost end", "a stretch of zeros"];

/// How often each kind of file is damaged in each way.
fn times() -> u64 {
    full_form("LEVERET_DAMAGES", 6)
}

#[test]
fn a_damaged_segment_loses_what_was_hit() {
    let original = Original::make();
    let segments = original.segments();
    assert!(segments.len() > 2);
    for how in 0..3 {
        for seed in seeds().take(index(times())) {
            let mut dice = Dice::new(seed * 3 + how);
            let path = &segments[index(dice.roll(segments.len() as u64))];
            let records = original.records(path);
            let at = place(&records, original.files[path].len(), &mut dice);
            let mut files = original.files.clone();
            let hit = damage(files.get_mut(path).unwrap(), at, how, &mut dice);
            let (mut lost, mut settled) = (BTreeSet::new(), BTreeSet::new());
            for (offset, record) in &records {
                if index(*offset) < hit.1 && index(*offset) + record.len > hit.0 {
                    lost.extend(record.places());
                    settled.extend(record.ranges().flat_map(|range| {
                        (range.first..=range.last.min(1000)).map(move |seq| (range.queue, seq))
                    }));
                }
            }
            let what = format!(
                "seed {seed}, {} at {at} of {}",
                WAYS[index(how)],
                path.display()
            );
            original.check((&files, &original.sled), (&lost, &settled), &what);
        }
    }
}

/// A place in a segment: its header, or the header, the entries, the payload or the end of a record of some kind.
fn place(records: &[(u64, Record<'_>)], len: usize, dice: &mut Dice) -> usize {
    let kinds = [
        Kind::Put,
        Kind::Settle,
        Kind::Delivered,
        Kind::Definitions,
        Kind::Batch,
    ];
    let class = dice.roll(8);
    if class == 0 || records.is_empty() {
        return index(dice.roll(SEGMENT_HEADER)).min(len - 1);
    }
    let kind = kinds[index(dice.roll(5))];
    let mut of_kind: Vec<_> = records
        .iter()
        .filter(|(_, record)| record.kind == kind)
        .collect();
    if of_kind.is_empty() {
        of_kind = records.iter().collect();
    }
    let (offset, record) = of_kind[index(dice.roll(of_kind.len() as u64))];
    let within = match class {
        1 => dice.roll(4),
        2 => 4 + dice.roll(4),
        3 => 8 + dice.roll(8),
        4 => 16 + dice.roll(16),
        5 => wide(record.len) - 1,
        _ => dice.roll(wide(record.len)),
    };
    (index(*offset) + index(within).min(record.len - 1)).min(len - 1)
}

#[test]
fn the_other_files_can_be_damaged_without_loss() {
    let original = Original::make();
    let none = BTreeSet::new();
    for name in ["FORMAT", "definitions.snapshot", "definitions.snapshot.2"] {
        let path = original.root.join(name);
        for how in 0..3 {
            for seed in seeds().take(index(times())) {
                let mut dice = Dice::new(seed * 3 + how);
                let mut files = original.files.clone();
                let octets = files.get_mut(&path).unwrap();
                let at = index(dice.roll(octets.len() as u64));
                damage(octets, at, how, &mut dice);
                let what = format!("seed {seed}, {} at {at} of {name}", WAYS[index(how)]);
                original.check((&files, &original.sled), (&none, &none), &what);
            }
        }
        let mut files = original.files.clone();
        files.remove(&path);
        original.check(
            (&files, &original.sled),
            (&none, &none),
            &format!("no {name}"),
        );
    }
}

#[test]
fn sled_can_be_damaged_without_loss() {
    let original = Original::make();
    let none = BTreeSet::new();
    for name in original.sled.names() {
        for how in 0..3 {
            for seed in seeds().take(index(times())) {
                let mut dice = Dice::new(seed * 3 + how);
                let mut sled = original.sled.clone();
                let octets = sled.file(&name);
                if octets.is_empty() {
                    continue;
                }
                let at = index(dice.roll(octets.len() as u64));
                damage(octets, at, how, &mut dice);
                let what = format!(
                    "seed {seed}, {} at {at} of sled's {}",
                    WAYS[index(how)],
                    name.display()
                );
                original.check((&original.files, &sled), (&none, &none), &what);
                // With one of the files of definitions lost as well.
                let mut files = original.files.clone();
                files.insert(
                    original.root.join("definitions.snapshot"),
                    b"damaged".to_vec(),
                );
                original.check(
                    (&files, &sled),
                    (&none, &none),
                    &format!("{what}, and no snapshot"),
                );
            }
        }
    }
}
