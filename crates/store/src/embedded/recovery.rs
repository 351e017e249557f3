//! Opening: what the folder holds becomes the index and the definitions.
//!
//! The definitions come from their snapshot file or, if that is damaged, from sled; then from the records in the log
//! that are newer. Messages come from the log alone, all of it, in order. Nothing is written but the end of the log,
//! which is cut off where the last whole record ends, so being killed here and opening again comes to the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::catalogue::Catalogue;
use crate::definitions::{self, SECOND, SNAPSHOT, Snapshot};
use crate::disk::{Disk, LogFile, read_into};
use crate::embedded::format::{Identity, SEGMENTS};
use crate::index::place::{self, Place};
use crate::index::queue::Written;
use crate::index::segments::Index;
use crate::log::record::{Kind, Range, Record, Seal};
use crate::log::scan::{Damage, scan};
use crate::log::segment::{self, Found, Header, SEGMENT_HEADER};
use crate::log::writer::Sealed;
use crate::octets::{index, wide};
use crate::{Change, QueueId, Seq, StoreError};

/// What was found.
pub(super) struct Recovered {
    pub(super) index: Mutex<Index>,
    pub(super) definitions: Snapshot,
    pub(super) catalogue: Option<Catalogue>,
    /// The epoch of this opening: higher than any before.
    pub(super) epoch: u64,
    pub(super) snapshot_files: SnapshotFiles,
    /// The number of the first segment to be written.
    pub(super) next_segment: u32,
    pub(super) damaged_records: u64,
    pub(super) truncated_bytes: u64,
    /// Every segment with records, oldest first.
    pub(super) segments: Vec<ReadSegment>,
    /// What is damaged: file, offset, how. The first [`DAMAGE_LISTED`] places.
    pub(super) damage: Vec<(PathBuf, u64, String)>,
}

/// Damaged places that are kept to be listed; all of them are counted.
const DAMAGE_LISTED: usize = 10_000;
/// How often the progress of a long opening is logged.
const PROGRESS: Duration = Duration::from_secs(3);

/// What was found of the two files with definitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotFiles {
    /// The one that is missing, damaged or older: it is written next.
    pub(super) worse: &'static str,
    /// The version of the other one; 0 if that is missing or damaged too.
    pub(super) version: u64,
    /// The version of this one, likewise.
    pub(super) older: u64,
}

impl Default for SnapshotFiles {
    fn default() -> Self {
        Self {
            worse: SNAPSHOT,
            version: 0,
            older: 0,
        }
    }
}

/// Read everything back.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    identity: Identity,
) -> Result<Recovered, StoreError> {
    let (catalogue, broken) = Catalogue::open(folder);
    if let Some(broken) = broken {
        tracing::error!(
            broken,
            "sled did not open; it is moved aside and filled again from the log"
        );
    }
    read_back(&**disk, folder, identity, catalogue)
}

/// As [`recover`], with sled opened already or left out.
pub(super) fn read_back(
    disk: &dyn Disk,
    folder: &Path,
    identity: Identity,
    catalogue: Option<Catalogue>,
) -> Result<Recovered, StoreError> {
    let mut recovery = Recovery::new(disk, folder, identity.salt);
    recovery.damaged_records += u64::from(identity.repaired);
    let base = recovery.base_definitions(catalogue.as_ref())?;
    recovery.load_sequences(catalogue.as_ref());
    recovery.read_log()?;
    let definitions = recovery.finish_definitions(base)?;
    let epoch = recovery.epoch + 1;
    Ok(Recovered {
        definitions,
        catalogue,
        epoch,
        snapshot_files: recovery.snapshot_files,
        next_segment: recovery.newest_segment + 1,
        damaged_records: recovery.damaged_records,
        truncated_bytes: recovery.truncated_bytes,
        index: Mutex::new(recovery.index),
        segments: recovery.read,
        damage: recovery.damage,
    })
}

/// A segment that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadSegment {
    pub(super) number: u32,
    /// Octets of the file.
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// Octets of an unfinished write at its end.
    pub(super) torn: u64,
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    segments: PathBuf,
    salt: u32,
    index: Index,
    /// The highest epoch seen anywhere.
    epoch: u64,
    newest_segment: u32,
    /// Changes of definitions in the log, in order, with the version each makes.
    changes: Vec<(u64, Vec<Change>)>,
    /// Where sled says that the records of sealed segments end.
    ends: std::collections::BTreeMap<u32, u64>,
    /// The segment at hand holds copies of messages that were marked as delivered before.
    delivered_copies: bool,
    records: u64,
    damaged_records: u64,
    truncated_bytes: u64,
    snapshot_files: SnapshotFiles,
    read: Vec<ReadSegment>,
    damage: Vec<(PathBuf, u64, String)>,
}

impl<'a> Recovery<'a> {
    fn new(disk: &'a dyn Disk, folder: &'a Path, salt: u32) -> Self {
        Self {
            disk,
            folder,
            segments: folder.join(SEGMENTS),
            salt,
            index: Index::opening(),
            epoch: 0,
            newest_segment: 0,
            changes: Vec::new(),
            ends: std::collections::BTreeMap::new(),
            delivered_copies: false,
            records: 0,
            damaged_records: 0,
            truncated_bytes: 0,
            snapshot_files: SnapshotFiles::default(),
            read: Vec::new(),
            damage: Vec::new(),
        }
    }

    /// The definitions before what the log adds: from one of the two files or from sled, whichever is newest.
    fn base_definitions(
        &mut self,
        catalogue: Option<&Catalogue>,
    ) -> Result<Option<Snapshot>, StoreError> {
        let first = self.load_snapshot(SNAPSHOT)?;
        let second = self.load_snapshot(SECOND)?;
        let age = |snapshot: &Option<Snapshot>| {
            let snapshot = snapshot.as_ref();
            snapshot.map(|snapshot| (snapshot.version, snapshot.epoch))
        };
        let worse = if age(&second) < age(&first) {
            SECOND
        } else {
            SNAPSHOT
        };
        let version = |age: Option<(u64, u64)>| age.map_or(0, |(version, _)| version);
        self.snapshot_files = SnapshotFiles {
            worse,
            version: version(age(&first).max(age(&second))),
            older: version(age(&first).min(age(&second))),
        };
        let from_sled = catalogue.and_then(|catalogue| match catalogue.snapshot() {
            Ok(snapshot) => snapshot,
            Err(broken) => {
                tracing::error!(broken, "the definitions in sled cannot be read");
                None
            }
        });
        let mut base: Option<Snapshot> = None;
        for snapshot in [first, second, from_sled].into_iter().flatten() {
            self.epoch = self.epoch.max(snapshot.epoch);
            if base
                .as_ref()
                .is_none_or(|base| snapshot.version > base.version)
            {
                base = Some(snapshot);
            }
        }
        Ok(base)
    }

    /// A file with definitions, if it is there and whole.
    fn load_snapshot(&mut self, name: &str) -> Result<Option<Snapshot>, StoreError> {
        match Snapshot::load(self.disk, self.folder, name) {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "the file cannot be used; the definitions come from the other one, sled and the log");
                let file = self.folder.join(name);
                self.note_damage(file, 0, "the checksum does not match");
                Ok(None)
            }
            loaded => loaded,
        }
    }

    fn load_sequences(&mut self, catalogue: Option<&Catalogue>) {
        let Some(catalogue) = catalogue else {
            return;
        };
        let loaded = (|| {
            Ok((
                catalogue.epoch()?,
                catalogue.queues()?,
                catalogue.segments()?,
            ))
        })();
        match loaded {
            Ok((epoch, queues, ends)) => {
                self.epoch = self.epoch.max(epoch);
                self.ends = ends;
                for (id, next_seq) in queues {
                    let queue = self.index.queues.entry(id).or_default();
                    queue.next_seq = next_seq;
                    queue.checkpointed = next_seq;
                }
            }
            Err(broken) => {
                let broken: crate::catalogue::Broken = broken;
                tracing::error!(
                    broken,
                    "the checkpoint in sled cannot be read; the log has it all"
                );
            }
        }
    }

    fn read_log(&mut self) -> Result<(), StoreError> {
        let mut numbers = self.list_segments()?;
        self.newest_segment = numbers.last().copied().unwrap_or(0);
        let mut octets = Vec::new();
        // Segments that were made and never used hold nothing, and the end of the log is before them.
        while let Some(number) = numbers.last().copied() {
            self.load(number, &mut octets)?;
            if octets
                .iter()
                .skip(index(SEGMENT_HEADER))
                .any(|octet| *octet != 0)
            {
                break;
            }
            self.note_header(number, &octets)?;
            self.check_end(number, SEGMENT_HEADER);
            let path = segment::path(&self.segments, number);
            self.disk
                .remove(&path)
                .map_err(|error| StoreError::io("removing", &path, &error))?;
            numbers.pop();
        }
        let newest = numbers.last().copied();
        let begun = Instant::now();
        let mut told = begun;
        for (done, number) in numbers.iter().enumerate() {
            self.read_segment(*number, Some(*number) == newest, &mut octets)?;
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let percent = (done + 1) * 100 / numbers.len();
                tracing::info!(
                    percent,
                    segments = done + 1,
                    of = numbers.len(),
                    records = self.records,
                    "reading the message log"
                );
            }
        }
        if begun.elapsed() >= PROGRESS {
            let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                milliseconds,
                segments = numbers.len(),
                records = self.records,
                "the message log is read"
            );
        }
        self.sync_folder()
    }

    fn list_segments(&self) -> Result<Vec<u32>, StoreError> {
        let names = self
            .disk
            .list(&self.segments)
            .map_err(|error| StoreError::io("reading", &self.segments, &error))?;
        let mut numbers: Vec<u32> = names
            .iter()
            .filter_map(|name| segment::number_of(name))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn load(&self, number: u32, octets: &mut Vec<u8>) -> Result<Box<dyn LogFile>, StoreError> {
        let path = segment::path(&self.segments, number);
        let load = || -> std::io::Result<Box<dyn LogFile>> {
            let file = self.disk.open(&path, false)?;
            read_into(&*file, octets)?;
            Ok(file)
        };
        let mut load = load;
        load().map_err(|error| StoreError::io("reading", &path, &error))
    }

    /// Check the header. Returns whether it is the one that should be there.
    fn note_header(&mut self, number: u32, octets: &[u8]) -> Result<bool, StoreError> {
        match Header::find(octets) {
            Found::Header(header) if header.seal.salt != self.salt => {
                Err(StoreError::Format(format!(
                    "{} belongs to another message store",
                    segment::path(&self.segments, number).display()
                )))
            }
            Found::Header(header) => {
                self.epoch = self.epoch.max(header.epoch);
                Ok(header.seal == self.seal(number))
            }
            Found::Version(version) => {
                let path = segment::path(&self.segments, number);
                Err(StoreError::version(&path, version, segment::VERSION))
            }
            Found::Nothing => Ok(false),
        }
    }

    fn seal(&self, segment: u32) -> Seal {
        Seal {
            salt: self.salt,
            segment,
        }
    }

    fn read_segment(
        &mut self,
        number: u32,
        newest: bool,
        octets: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let file = self.load(number, octets)?;
        if !self.note_header(number, octets)? {
            // The records vouch for themselves: they are bound to the number in the file's name.
            self.report(number, 0, "the header does not match");
        }
        let seal = self.seal(number);
        let scanned = scan(octets, seal, newest, |record| self.take(number, record));
        self.read.push(ReadSegment {
            number,
            bytes: wide(octets.len()),
            records: scanned.records,
            torn: scanned.torn,
        });
        if std::mem::take(&mut self.delivered_copies) {
            // A kill may have come between the copies and their marks.
            self.index.keep_marks_of_copies(number);
        }
        for Damage {
            offset,
            len,
            reason,
        } in &scanned.damage
        {
            self.report(
                number,
                *offset,
                &format!("{reason}; {len} octets are passed over"),
            );
        }
        if newest {
            self.cut(
                number,
                &*file,
                wide(octets.len()),
                scanned.end,
                scanned.torn,
            )?;
        }
        if scanned.damage.is_empty() {
            self.check_end(number, scanned.end);
        }
        self.index.seal(Sealed {
            segment: number,
            end: scanned.end,
        });
        Ok(())
    }

    /// Compare where the records of a segment end with what sled knows of it: what was sealed was synced.
    fn check_end(&mut self, number: u32, end: u64) {
        if let Some(sealed) = self.ends.get(&number).copied()
            && end < sealed
        {
            self.report(
                number,
                end,
                &format!("the segment once had {sealed} octets"),
            );
        }
    }

    /// End the newest segment behind its last whole record: nothing may ever be appended behind a hole.
    fn cut(
        &mut self,
        number: u32,
        file: &dyn LogFile,
        len: u64,
        end: u64,
        torn: u64,
    ) -> Result<(), StoreError> {
        let path = segment::path(&self.segments, number);
        if torn > 0 {
            self.truncated_bytes += torn;
            tracing::warn!(file = %path.display(), offset = end, octets = torn,
                "the log ends in an unfinished write, which is cut off");
        }
        // Synced even if nothing is cut: after a kill it may be in the system's memory only, and what it says of older
        // segments must be on disk before they are deleted.
        let ended = if len == end {
            Ok(())
        } else {
            file.set_len(end)
        };
        ended
            .and_then(|()| file.sync_all())
            .map_err(|error| StoreError::io("ending", &path, &error))
    }

    fn sync_folder(&self) -> Result<(), StoreError> {
        self.disk
            .sync_folder(&self.segments)
            .map_err(|error| StoreError::io("syncing", &self.segments, &error))
    }

    fn report(&mut self, number: u32, offset: u64, reason: &str) {
        let file = segment::path(&self.segments, number);
        tracing::error!(file = %file.display(), offset, reason, "the log is damaged; the rest of it is served");
        self.note_damage(file, offset, reason);
    }

    fn note_damage(&mut self, file: PathBuf, offset: u64, reason: &str) {
        self.damaged_records += 1;
        if self.damage.len() < DAMAGE_LISTED {
            self.damage.push((file, offset, reason.to_owned()));
        }
    }

    /// Take one record of the log in.
    fn take(&mut self, number: u32, record: &Record<'_>) {
        self.records += 1;
        match record.kind {
            // Messages that need not survive are gone with the process that wrote them.
            Kind::Put if record.transient => {}
            Kind::Put => self.put(number, record),
            Kind::Settle => {
                for range in record.ranges() {
                    self.settle(range);
                }
                self.note_ranges(number, record);
            }
            Kind::Delivered => {
                for mark in record.marks() {
                    self.seen(mark.range.queue, mark.range.last);
                    self.index.recover_mark(number, mark);
                }
                self.note_ranges(number, record);
            }
            Kind::Definitions => {
                if let Some((version, changes)) = record.changes() {
                    let state = self.index.segment(number);
                    state.definitions_to = state.definitions_to.max(version);
                    self.changes.push((version, changes));
                } else {
                    self.report(number, record.offset, "the change makes no sense");
                }
            }
            Kind::Batch => {}
        }
    }

    fn put(&mut self, number: u32, record: &Record<'_>) {
        if !place::fits(record.offset) {
            self.report(
                number,
                record.offset,
                "the record stands too far from the start",
            );
            return;
        }
        let places = record.places();
        let place = Place::new(record.offset, record.len / places.len().max(1));
        for (queue, seq) in places {
            self.epoch = self.epoch.max(queue.0 >> 32);
            let written = Written {
                seq,
                segment: number,
                place,
                transient: false,
                body: record.body,
            };
            self.delivered_copies |= self.index.recover_put(queue, written);
        }
    }

    fn settle(&mut self, range: Range) {
        if range.last == Seq::MAX {
            self.index.drop_queue(range.queue);
        } else {
            self.seen(range.queue, range.last);
            self.index.settle(range);
        }
    }

    /// `seq` was used in a queue, even if nothing of it is left.
    fn seen(&mut self, queue: QueueId, seq: Seq) {
        self.epoch = self.epoch.max(queue.0 >> 32);
        self.index.note_used(queue, seq);
    }

    fn note_ranges(&mut self, number: u32, record: &Record<'_>) {
        let touched = self.index.take_touched();
        self.index.note_ranges(number, wide(record.len), &touched);
    }

    /// Make the changes of the log that the base does not have.
    fn finish_definitions(&mut self, base: Option<Snapshot>) -> Result<Snapshot, StoreError> {
        let first = self.changes.iter().map(|(version, _)| *version).min();
        if base.is_none() && self.records > 0 && first != Some(1) {
            // Going on would make garbage of every message: nobody would claim its queue.
            return Err(StoreError::Corrupt {
                file: self.folder.join(SNAPSHOT),
                offset: 0,
                reason:
                    "the definitions are in neither of their two files nor in sled, and the log does not \
                         reach back to the first; restore one of them from a copy of the folder"
                        .into(),
            });
        }
        let mut snapshot = base.unwrap_or_default();
        self.changes.sort_by_key(|(version, _)| *version);
        for (version, changes) in std::mem::take(&mut self.changes) {
            if version <= snapshot.version {
                continue;
            }
            let missing = version - snapshot.version - 1;
            if missing > 0 {
                self.damaged_records += missing;
                tracing::error!(missing, version, "changes of definitions are lost");
            }
            let changes: Vec<_> = changes.into_iter().map(Into::into).collect();
            definitions::apply(&mut snapshot.map, &changes);
            snapshot.version = version;
        }
        Ok(snapshot)
    }
}
