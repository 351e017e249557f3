//! Power cuts. A run is recorded operation by operation on a simulated disk; then the recording is cut at many points,
//! or at every one. At a cut, whatever no sync covered is dropped, reordered and torn, and what the store finds when it
//! opens is compared with what it had promised by then. sled's folder is missing, old, mixed, cut or torn meanwhile.
//!
//! The threads of a store run as they please, so a seed gives a similar run, not the same one. A failing cut therefore
//! leaves its files behind: its message says where.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::folder::Folder;
use super::ledger::{Found, Ledger};
use super::simulated::{Dice, Done, Replay, SimulatedDisk};
use super::sled_folder::Image;
use super::{full_form, seeds};
use crate::conformance::{message, wait};
use crate::embedded::{EmbeddedStore, Options};
use crate::{Change, Operation, QueueId, Seq, Store as _, Ticket};

const SEGMENT: u64 = 4 << 10;

fn options(folder: &Folder) -> Options {
    Options {
        lazy_interval: Duration::from_millis(2),
        ..folder.options()
    }
}

/// A recorded run.
struct Recording {
    /// Where the store's files are on the disk.
    root: PathBuf,
    base: SimulatedDisk,
    journal: Vec<Done>,
    ledger: Ledger,
    /// sled's folder at positions of the run.
    sled: Vec<(usize, Image)>,
}

/// A store at work, recorded.
struct Run {
    seed: u64,
    folder: Folder,
    base: SimulatedDisk,
    disk: SimulatedDisk,
    store: EmbeddedStore,
    dice: Dice,
    ledger: Ledger,
    queues: [QueueId; 3],
    next: [Seq; 3],
    /// The first tickets of recent puts.
    puts: Vec<(usize, Seq, Ticket)>,
    sled: Vec<(usize, Image)>,
}

impl Run {
    /// Begin with an empty folder.
    fn fresh(seed: u64) -> Self {
        let folder = Folder::with_segments(SEGMENT);
        let (base, disk) = (SimulatedDisk::default(), SimulatedDisk::default());
        disk.record();
        let store = EmbeddedStore::open_on(&options(&folder), Arc::new(disk.clone())).unwrap();
        store.recovered();
        Self::on(seed, (folder, base, disk, store), Ledger::default())
    }

    /// Go on with a store that was opened.
    fn on(
        seed: u64,
        (folder, base, disk, store): (Folder, SimulatedDisk, SimulatedDisk, EmbeddedStore),
        mut ledger: Ledger,
    ) -> Self {
        ledger.opened = disk.position();
        let mut run = Self {
            seed,
            dice: Dice::new(seed),
            queues: [(); 3].map(|()| store.next_queue_id()),
            next: [0; 3],
            puts: Vec::new(),
            sled: Vec::new(),
            folder,
            base,
            disk,
            store,
            ledger,
        };
        // Old queues go on to be used, if there are any; one that was dropped never is.
        let known = run.ledger.queues_at(0);
        let dropped = run.ledger.dropped.clone();
        let mut used = known.iter().filter(|queue| !dropped.contains(queue));
        for at in 0..3 {
            match used.next() {
                Some(queue) => {
                    run.queues[at] = *queue;
                    run.next[at] = run.store.claim(*queue).unwrap().next_seq;
                }
                None => run.ledger.queues.push((run.queues[at], run.ledger.opened)),
            }
        }
        run
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice.roll(sides)
    }

    fn any_queue(&mut self) -> usize {
        usize::try_from(self.roll(3)).unwrap()
    }

    fn work(&mut self, steps: u64) {
        for step in 0..steps {
            self.step(step);
            self.ledger.note_durable(&self.store, &self.disk);
            if step % 8 == 3 {
                let sled = Image::of(&self.folder.path().join("sled"));
                self.sled.push((self.disk.position(), sled));
            }
        }
    }

    fn step(&mut self, step: u64) {
        let mut kind = self.roll(16);
        // Every other run is mostly deliveries: their counts are the least of what a record says, and moved about most.
        if self.seed % 2 == 1 && matches!(kind, 4 | 5 | 8 | 10 | 11 | 15) {
            kind = 9;
        }
        let at = self.disk.position();
        match kind {
            0..=4 => {
                let queue = self.any_queue();
                let count = 1 + self.roll(8);
                self.put(at, &[queue], count, step, kind == 4);
            }
            5 => {
                let count = 1 + self.roll(4);
                self.put(at, &[0, 1], count, step, false);
            }
            6..=8 => self.settle(at),
            9 => self.deliver(at),
            10 | 11 => self.change(at, step),
            12 if self.roll(3) == 0 => {
                let queue = self.any_queue();
                let id = self.queues[queue];
                let ticket = self.store.drop_queue(id).unwrap();
                self.ledger.settle(at, id, (0, Seq::MAX), ticket);
                self.ledger.dropped.push(id);
                self.queues[queue] = self.store.next_queue_id();
                self.ledger.queues.push((self.queues[queue], at));
                self.next[queue] = 0;
                self.puts.retain(|(of, ..)| *of != queue);
            }
            // Time for the lazy ones, and for the upkeep.
            12 | 13 => std::thread::sleep(Duration::from_millis(3)),
            _ => {
                let newest = self.store.append(&mut Vec::new()).unwrap();
                wait(&self.store, newest).unwrap();
            }
        }
    }

    fn put(&mut self, at: usize, to: &[usize], count: u64, step: u64, transient: bool) {
        let len = match self.roll(12) {
            0 => 3000 + self.roll(4000),
            _ => self.roll(400),
        };
        let len = usize::try_from(len).unwrap();
        let mut operations = Vec::new();
        let mut put = Vec::new();
        for one in 0..count {
            let body = format!("{}:{step}:{one}:{}", self.seed, "y".repeat(len));
            let message = message("key", body.as_bytes());
            for queue in to {
                let (id, seq) = (self.queues[*queue], self.next[*queue]);
                self.next[*queue] += 1;
                operations.push(Operation::Put {
                    queue: id,
                    seq,
                    message: message.clone(),
                    durable: !transient,
                });
                put.push(((id, seq), body.clone()));
            }
        }
        let first = self.store.append(&mut operations).unwrap();
        for ((place, body), ticket) in put.iter().zip(first.0..) {
            let shared = to.len() > 1;
            self.ledger
                .put(at, *place, (body, transient, shared), Ticket(ticket));
        }
        if let [queue] = to {
            self.puts.push((*queue, put[0].0.1, first));
        }
    }

    fn settle(&mut self, at: usize) {
        let queue = self.any_queue();
        let Some(max) = self.next[queue].checked_sub(1) else {
            return;
        };
        // Often the newest one, whose put may not be written yet.
        let known = self.puts.iter().rfind(|(of, ..)| *of == queue).copied();
        let (first, put) = match known {
            Some((_, seq, ticket)) if self.roll(3) == 0 => (seq, Some(ticket)),
            _ => (self.roll(max + 1), None),
        };
        let last = match put {
            Some(_) => first,
            None => (first + self.roll(30)).min(max),
        };
        let id = self.queues[queue];
        let settle = Operation::Settle {
            queue: id,
            first,
            last,
            put,
        };
        let ticket = self.store.append(&mut vec![settle]).unwrap();
        self.ledger.settle(at, id, (first, last), ticket);
    }

    fn deliver(&mut self, at: usize) {
        let queue = self.any_queue();
        let Some(max) = self.next[queue].checked_sub(1) else {
            return;
        };
        let first = self.roll(max + 1);
        let last = (first + self.roll(5)).min(max);
        let id = self.queues[queue];
        let delivered = Operation::Delivered {
            queue: id,
            first,
            last,
        };
        let ticket = self.store.append(&mut vec![delivered]).unwrap();
        self.ledger.delivered(at, id, (first, last), ticket);
    }

    fn change(&mut self, at: usize, step: u64) {
        let key = format!("key {}", self.roll(6)).into_bytes();
        let other = format!("key {}", self.roll(6)).into_bytes();
        let value = format!("{}:{step}", self.seed).into_bytes();
        let mut changes = vec![Change::Put { key, value }];
        if self.roll(3) == 0 {
            changes.push(Change::Delete { key: other });
        }
        let ticket = self.store.change(changes.clone()).unwrap();
        self.ledger.change(at, &changes, ticket);
    }

    /// End it: in order, or at whatever it is doing.
    fn end(mut self) -> Recording {
        if self.roll(3) == 0 {
            self.store.shutdown();
            self.ledger.note_durable(&self.store, &self.disk);
        } else {
            self.store.abandon();
        }
        drop(self.store);
        let sled = Image::of(&self.folder.path().join("sled"));
        self.sled.push((self.disk.position(), sled));
        Recording {
            root: self.folder.path().to_owned(),
            base: self.base,
            journal: self.disk.take_journal(),
            ledger: self.ledger,
            sled: self.sled,
        }
    }
}

impl Recording {
    /// Open what a cut at `at` left, check it, and give the open store, recorded from the start.
    fn check_cut(&self, replay: &Replay, at: usize, seed: u64) -> Run {
        let mut dice = Dice::new(seed);
        let folder = Folder::with_segments(SEGMENT);
        let left = replay.disk().cut(seed).moved(&self.root, folder.path());
        let before: Vec<&Image> = self
            .sled
            .iter()
            .filter(|(taken, _)| *taken <= at)
            .map(|(_, image)| image)
            .collect();
        let nothing = Image::default();
        let newest = before.last().copied().unwrap_or(&nothing);
        let older = before.iter().rev().nth(1).copied().unwrap_or(&nothing);
        let (torn, how) = newest.torn(older, &mut dice);
        torn.write(&folder.path().join("sled"));
        let disk = left.copied();
        disk.record();
        let evidence = Evidence {
            what: format!(
                "seed {seed}, cut at {at} of {}, sled {how}",
                self.journal.len()
            ),
            left: Some((left.clone(), torn, folder.path().to_owned())),
        };
        let opened = EmbeddedStore::open_on(&options(&folder), Arc::new(disk.clone()));
        let store = opened.unwrap_or_else(|error| panic!("{}: {error}", evidence.what));
        let queues = self.ledger.queues_at(at);
        for queue in &queues {
            store.claim(*queue).unwrap();
        }
        store.recovered();
        let found = Found::of(&store, &queues);
        assert_eq!(
            store.usage().damaged_records,
            0,
            "{}: nothing was damaged",
            evidence.what
        );
        self.ledger.check(&found, at, &evidence.what);
        let given = store.next_queue_id();
        assert!(
            queues.iter().all(|queue| *queue < given),
            "{}: a number is given again",
            evidence.what
        );
        evidence.dismiss();
        let ledger = Ledger::of(&found, &self.ledger, at);
        Run::on(seed, (folder, left, disk, store), ledger)
    }

    /// Cut at each of `positions`.
    fn cut(&self, positions: &BTreeSet<usize>, seed: u64, mut then: impl FnMut(Run, u64)) {
        let mut replay = Replay::new(&self.base);
        let mut at = 0;
        for position in positions {
            for done in &self.journal[at..*position] {
                replay.advance(done);
            }
            at = *position;
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(*position as u64);
            then(self.check_cut(&replay, at, seed), seed);
        }
    }

    fn some_positions(&self, count: u64, dice: &mut Dice) -> BTreeSet<usize> {
        let all = self.journal.len() as u64 + 1;
        let positions = (0..count).map(|_| usize::try_from(dice.roll(all)).unwrap());
        positions.collect()
    }
}

/// Writes the files of a cut to a folder that stays, if the check of it panics.
struct Evidence {
    what: String,
    left: Option<(SimulatedDisk, Image, PathBuf)>,
}

impl Evidence {
    fn dismiss(mut self) {
        self.left = None;
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        let Some((disk, sled, folder)) = self.left.take() else {
            return;
        };
        let kept = tempfile::Builder::new().prefix("leveret-cut-").tempdir();
        let Ok(kept) = kept.map(tempfile::TempDir::keep) else {
            return;
        };
        for (path, octets) in disk.files() {
            let path = kept.join(path.strip_prefix(&folder).unwrap_or(&path));
            let _ = path.parent().map(std::fs::create_dir_all);
            let _ = std::fs::write(path, octets);
        }
        sled.write(&kept.join("sled"));
        eprintln!("{}: the files are in {}", self.what, kept.display());
    }
}

#[test]
fn nothing_promised_is_lost_when_the_power_is() {
    let cuts = full_form("LEVERET_POWER_CUTS", 200);
    let mut done = 0;
    for seed in seeds() {
        if done >= cuts {
            break;
        }
        let mut run = Run::fresh(seed);
        run.work(60);
        let recording = run.end();
        let mut dice = Dice::new(seed + 7);
        let positions = recording.some_positions(30, &mut dice);
        recording.cut(&positions, seed, |mut run, seed| {
            done += 1;
            if seed % 4 > 0 {
                return;
            }
            // It goes on to work, and the power goes again: while it recovered, or later.
            run.work(20);
            let again = run.end();
            let positions = again.some_positions(3, &mut dice);
            again.cut(&positions, seed, |mut run, _| {
                done += 1;
                run.work(3);
                run.store.shutdown();
            });
        });
    }
}

#[test]
fn every_cut_of_a_short_run_is_survived() {
    let runs = full_form("LEVERET_POWER_SHORT_RUNS", 1);
    for seed in seeds().take(usize::try_from(runs).unwrap()) {
        let mut run = Run::fresh(seed);
        run.work(14);
        let recording = run.end();
        let every = (0..=recording.journal.len()).collect();
        for again in 0..2 {
            recording.cut(&every, seed + again * 500_000, |run, _| run.store.abandon());
        }
        // And every cut of a recovery: of one whose log ends in an unfinished write, more often than not.
        let last = BTreeSet::from([recording.journal.len() - 1]);
        recording.cut(&last, seed, |run, seed| {
            let recovery = run.end();
            let every = (0..=recovery.journal.len()).collect();
            recovery.cut(&every, seed, |run, _| run.store.abandon());
        });
    }
}
