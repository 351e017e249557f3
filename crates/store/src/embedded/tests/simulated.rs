//! A disk in memory that can do what disks do: forget, reorder and tear what was not synced, fill up, fail.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, LogFile};
use crate::octets::{index, wide};

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// Numbers that look random and are the same for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One of `0..sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

#[derive(Clone)]
enum Unsynced {
    Write(u64, Vec<u8>),
    Len(u64),
}

impl Unsynced {
    fn apply(&self, octets: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                let start = index(*offset);
                if octets.len() < start + written.len() {
                    octets.resize(start + written.len(), 0);
                }
                octets[start..start + written.len()].copy_from_slice(written);
            }
            Self::Len(len) => octets.resize(index(*len), 0),
        }
    }
}

#[derive(Default)]
struct Node {
    /// What reads see.
    visible: Vec<u8>,
    /// What is on the platter for certain.
    durable: Vec<u8>,
    /// What may or may not have got there.
    unsynced: Vec<Unsynced>,
}

type File = Arc<Mutex<Node>>;

#[derive(Default)]
struct State {
    visible: BTreeMap<PathBuf, File>,
    durable: BTreeMap<PathBuf, File>,
    /// Syncs of files until one fails, and all later ones succeed as if nothing had been.
    syncs_left: Option<u64>,
    /// Writes until one fails half-way.
    writes_left: Option<u64>,
    /// Octets that all files may have together.
    capacity: Option<u64>,
    syncs: u64,
}

#[derive(Clone, Default)]
pub(super) struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// Let the `nth` sync from now on fail.
    pub(super) fn fail_sync(&self, nth: u64) {
        self.0.lock().syncs_left = Some(nth);
    }

    /// Let the `nth` write from now on fail.
    pub(super) fn fail_write(&self, nth: u64) {
        self.0.lock().writes_left = Some(nth);
    }

    pub(super) fn set_capacity(&self, octets: Option<u64>) {
        self.0.lock().capacity = octets;
    }

    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Octets of all files.
    pub(super) fn used(&self) -> u64 {
        let state = self.0.lock();
        state
            .visible
            .values()
            .map(|file| wide(file.lock().visible.len()))
            .sum()
    }

    /// The disk as it could be found after a power cut now.
    pub(super) fn cut(&self, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let state = self.0.lock();
        let mut names: Vec<_> = state.visible.keys().chain(state.durable.keys()).collect();
        names.sort();
        names.dedup();
        let mut left = State::default();
        for name in names {
            let (new, old) = (state.visible.get(name), state.durable.get(name));
            let same = matches!((new, old), (Some(new), Some(old)) if Arc::ptr_eq(new, old));
            let kept = if same || dice.roll(2) == 0 { new } else { old };
            if let Some(file) = kept {
                let octets = survive(&file.lock(), &mut dice);
                let node = Node {
                    visible: octets.clone(),
                    durable: octets,
                    unsynced: Vec::new(),
                };
                let file = Arc::new(Mutex::new(node));
                left.visible.insert(name.clone(), Arc::clone(&file));
                left.durable.insert(name.clone(), file);
            }
        }
        Self(Arc::new(Mutex::new(left)))
    }
}

/// What is left of a file: what was synced, and of the rest what the dice say, in sectors, in any order.
fn survive(node: &Node, dice: &mut Dice) -> Vec<u8> {
    let mut octets = node.durable.clone();
    // Sometimes everything, sometimes nothing, mostly something.
    let luck = dice.roll(5);
    for change in &node.unsynced {
        match change {
            Unsynced::Len(_) => {
                if dice.roll(4) < luck {
                    change.apply(&mut octets);
                }
            }
            Unsynced::Write(offset, written) => {
                let mut start = 0;
                while start < written.len() {
                    let in_sector = SECTOR - (index(*offset) + start) % SECTOR;
                    let end = written.len().min(start + in_sector);
                    if dice.roll(4) < luck {
                        let piece = written[start..end].to_vec();
                        Unsynced::Write(*offset + wide(start), piece).apply(&mut octets);
                    }
                    start = end;
                }
            }
        }
    }
    octets
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: File,
}

impl SimulatedFile {
    fn change(&self, change: Unsynced) {
        let mut node = self.file.lock();
        change.apply(&mut node.visible);
        node.unsynced.push(change);
    }

    fn grow(&self, len: u64) -> io::Result<()> {
        let more = len.saturating_sub(wide(self.file.lock().visible.len()));
        let capacity = self.disk.0.lock().capacity;
        if more > 0 && capacity.is_some_and(|capacity| self.disk.used() + more > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl LogFile for SimulatedFile {
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.grow(offset + wide(octets.len()))?;
        let fails = {
            let mut state = self.disk.0.lock();
            count_down(&mut state.writes_left)
        };
        if fails {
            let half = octets[..octets.len() / 2].to_vec();
            self.change(Unsynced::Write(offset, half));
            return Err(io::Error::other("simulated write error"));
        }
        self.change(Unsynced::Write(offset, octets.to_vec()));
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let node = self.file.lock();
        let rest = node.visible.get(index(offset)..).unwrap_or(&[]);
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.grow(len)?;
        if wide(self.file.lock().visible.len()) < len {
            self.change(Unsynced::Len(len));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Unsynced::Len(len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(wide(self.file.lock().visible.len()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let fails = {
            let mut state = self.disk.0.lock();
            state.syncs += 1;
            count_down(&mut state.syncs_left)
        };
        let mut node = self.file.lock();
        if fails {
            // As Linux does: what could not be written is dropped, and the next sync succeeds.
            node.unsynced.clear();
            return Err(io::Error::other("simulated sync error"));
        }
        node.durable = node.visible.clone();
        node.unsynced.clear();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

fn count_down(left: &mut Option<u64>) -> bool {
    if let Some(count) = left {
        *count = count.saturating_sub(1);
        if *count == 0 {
            *left = None;
            return true;
        }
    }
    false
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.0.lock();
        let inside = state
            .visible
            .keys()
            .filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name())
            .map(PathBuf::from)
            .collect())
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn LogFile>> {
        let mut state = self.0.lock();
        let file = if create {
            let file = File::default();
            state.visible.insert(path.to_owned(), Arc::clone(&file));
            file
        } else {
            let found = state.visible.get(path).cloned();
            found.ok_or(io::ErrorKind::NotFound)?
        };
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.visible.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.visible.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.0.lock().visible.remove(path);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let State {
            visible, durable, ..
        } = &mut *state;
        durable.retain(|path, _| path.parent() != Some(folder));
        let inside = visible
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder));
        durable.extend(inside.map(|(path, file)| (path.clone(), Arc::clone(file))));
        Ok(())
    }
}
