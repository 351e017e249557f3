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

/// One operation on a disk, as it was done.
#[derive(Clone)]
pub(super) enum Done {
    /// The file, by its number here, is the one that has this name now; with true, a new and empty one.
    Open(usize, PathBuf, bool),
    Write(usize, u64, Vec<u8>),
    Len(usize, u64),
    Sync(usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

#[derive(Default)]
struct State {
    visible: BTreeMap<PathBuf, File>,
    durable: BTreeMap<PathBuf, File>,
    /// Everything done, if it is recorded, and the number of the next file opened.
    journal: Option<Vec<Done>>,
    opened: usize,
    /// Syncs of files until one fails, and all later ones succeed as if nothing had been.
    syncs_left: Option<u64>,
    /// Writes until one fails half-way.
    writes_left: Option<u64>,
    /// Octets that all files may have together.
    capacity: Option<u64>,
    syncs: u64,
    /// Operations that need room (writes that grow a file, allocations) until one finds none.
    growths_left: Option<u64>,
    growths: u64,
    writes: u64,
    /// Files opened until one cannot be, for want of descriptors.
    opens_left: Option<u64>,
    opens: u64,
}

impl State {
    fn note(&mut self, done: impl FnOnce() -> Done) {
        if let Some(journal) = &mut self.journal {
            journal.push(done());
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let Self {
            visible, durable, ..
        } = self;
        durable.retain(|path, _| path.parent() != Some(folder));
        let inside = visible
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder));
        durable.extend(inside.map(|(path, file)| (path.clone(), Arc::clone(file))));
    }
}

impl State {
    /// A file that is there, whole and durable.
    fn insert(&mut self, name: PathBuf, octets: Vec<u8>) {
        let file = Arc::new(Mutex::new(Node {
            visible: octets.clone(),
            durable: octets,
            unsynced: Vec::new(),
        }));
        self.visible.insert(name.clone(), Arc::clone(&file));
        self.durable.insert(name, file);
    }
}

fn change(file: &File, change: Unsynced) {
    let mut node = file.lock();
    change.apply(&mut node.visible);
    node.unsynced.push(change);
}

fn sync(file: &File) {
    let mut node = file.lock();
    node.durable = node.visible.clone();
    node.unsynced.clear();
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

    /// Writes so far.
    pub(super) fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// Let the `nth` operation from now on that needs room find none, once.
    pub(super) fn fill_at(&self, nth: u64) {
        self.0.lock().growths_left = Some(nth);
    }

    /// Operations so far that needed room.
    pub(super) fn growths(&self) -> u64 {
        self.0.lock().growths
    }

    /// Let the `nth` file that is opened from now on be one too many, once.
    pub(super) fn exhaust_files_at(&self, nth: u64) {
        self.0.lock().opens_left = Some(nth);
    }

    /// Files opened so far.
    pub(super) fn opens(&self) -> u64 {
        self.0.lock().opens
    }

    /// A disk with these files, all of them durable.
    pub(super) fn with(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let mut state = State::default();
        for (name, octets) in files {
            state.insert(name, octets);
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// Record everything from now on.
    pub(super) fn record(&self) {
        self.0.lock().journal = Some(Vec::new());
    }

    /// Operations recorded so far.
    pub(super) fn position(&self) -> usize {
        self.0.lock().journal.as_ref().map_or(0, Vec::len)
    }

    /// End the recording.
    pub(super) fn take_journal(&self) -> Vec<Done> {
        self.0.lock().journal.take().unwrap_or_default()
    }

    /// A disk with the same files, all of them durable.
    pub(super) fn copied(&self) -> Self {
        self.moved(Path::new(""), Path::new(""))
    }

    /// As [`SimulatedDisk::copied`], with what was under `from` under `to`.
    pub(super) fn moved(&self, from: &Path, to: &Path) -> Self {
        let files = self.files().into_iter();
        let files = files.map(|(name, octets)| (to.join(name.strip_prefix(from).unwrap()), octets));
        Self::with(files.collect())
    }

    /// The octets of every file.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock();
        let files = state.visible.iter();
        files
            .map(|(name, file)| (name.clone(), file.lock().visible.clone()))
            .collect()
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
                left.insert(name.clone(), survive(&file.lock(), &mut dice));
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

/// Does again on another disk what was recorded on one, operation by operation.
pub(super) struct Replay {
    disk: SimulatedDisk,
    files: BTreeMap<usize, File>,
}

impl Replay {
    /// Begin with what was there when the recording began.
    pub(super) fn new(base: &SimulatedDisk) -> Self {
        Self {
            disk: base.copied(),
            files: BTreeMap::new(),
        }
    }

    /// The disk so far: with what is not synced yet.
    pub(super) fn disk(&self) -> &SimulatedDisk {
        &self.disk
    }

    pub(super) fn advance(&mut self, done: &Done) {
        let mut state = self.disk.0.lock();
        match done {
            Done::Open(number, path, true) => {
                let file = File::default();
                state.visible.insert(path.clone(), Arc::clone(&file));
                self.files.insert(*number, file);
            }
            Done::Open(number, path, false) => {
                self.files.insert(*number, Arc::clone(&state.visible[path]));
            }
            Done::Write(number, offset, octets) => {
                let write = Unsynced::Write(*offset, octets.clone());
                change(&self.files[number], write);
            }
            Done::Len(number, len) => change(&self.files[number], Unsynced::Len(*len)),
            Done::Sync(number) => sync(&self.files[number]),
            Done::Rename(from, to) => {
                let file = state.visible.remove(from).unwrap();
                state.visible.insert(to.clone(), file);
            }
            Done::Remove(path) => {
                state.visible.remove(path);
            }
            Done::SyncFolder(folder) => state.sync_folder(folder),
        }
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: File,
    /// In the journal.
    number: usize,
}

impl SimulatedFile {
    fn grow(&self, len: u64) -> io::Result<()> {
        let more = len.saturating_sub(wide(self.file.lock().visible.len()));
        if more == 0 {
            return Ok(());
        }
        let (capacity, fails) = {
            let mut state = self.disk.0.lock();
            state.growths += 1;
            (state.capacity, count_down(&mut state.growths_left))
        };
        if fails || capacity.is_some_and(|capacity| self.disk.used() + more > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn write(&self, octets: &[u8], offset: u64) {
        let mut state = self.disk.0.lock();
        change(&self.file, Unsynced::Write(offset, octets.to_vec()));
        state.note(|| Done::Write(self.number, offset, octets.to_vec()));
    }
}

impl LogFile for SimulatedFile {
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.grow(offset + wide(octets.len()))?;
        let fails = {
            let mut state = self.disk.0.lock();
            state.writes += 1;
            count_down(&mut state.writes_left)
        };
        if fails {
            self.write(&octets[..octets.len() / 2], offset);
            return Err(io::Error::other("simulated write error"));
        }
        self.write(octets, offset);
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
            self.set_len(len)?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        change(&self.file, Unsynced::Len(len));
        state.note(|| Done::Len(self.number, len));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(wide(self.file.lock().visible.len()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.syncs += 1;
        if count_down(&mut state.syncs_left) {
            // As Linux does: what could not be written is dropped, and the next sync succeeds.
            self.file.lock().unsynced.clear();
            return Err(io::Error::other("simulated sync error"));
        }
        sync(&self.file);
        state.note(|| Done::Sync(self.number));
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
        state.opens += 1;
        if count_down(&mut state.opens_left) {
            // EMFILE
            return Err(io::Error::from_raw_os_error(24));
        }
        let file = if create {
            let file = File::default();
            state.visible.insert(path.to_owned(), Arc::clone(&file));
            file
        } else {
            let found = state.visible.get(path).cloned();
            found.ok_or(io::ErrorKind::NotFound)?
        };
        state.opened += 1;
        let number = state.opened;
        state.note(|| Done::Open(number, path.to_owned(), create));
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            file,
            number,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.visible.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.visible.insert(to.to_owned(), file);
        state.note(|| Done::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let removed = state.visible.remove(path);
        removed.ok_or(io::ErrorKind::NotFound)?;
        state.note(|| Done::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.sync_folder(folder);
        state.note(|| Done::SyncFolder(folder.to_owned()));
        Ok(())
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let capacity = self.0.lock().capacity;
        Ok(capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used())))
    }
}
