//! Opening: what the folder holds becomes the index and the definitions.
//!
//! The definitions come from their snapshot file or, if that is damaged, from sled; then from the records in the log
//! that are newer. Messages come from the log alone, all of it, in order. Nothing is written but the end of the log,
//! which is cut off where the last whole record ends, so being killed here and opening again comes to the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::catalogue::Catalogue;
use crate::definitions::{self, SNAPSHOT, Snapshot};
use crate::disk::{Disk, LogFile, read_into};
use crate::embedded::format::SEGMENTS;
use crate::index::place::{self, Place};
use crate::index::queue::Written;
use crate::index::segments::Index;
use crate::log::record::{Kind, Range, Record, Seal};
use crate::log::scan::{Damage, scan};
use crate::log::segment::{self, Header, SEGMENT_HEADER};
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
    pub(super) salt: u32,
    /// The number of the first segment to be written.
    pub(super) next_segment: u32,
    pub(super) damaged_records: u64,
    pub(super) truncated_bytes: u64,
}

/// Read everything back.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    salt: u32,
) -> Result<Recovered, StoreError> {
    let (catalogue, broken) = Catalogue::open(folder);
    if let Some(broken) = broken {
        tracing::error!(
            broken,
            "sled did not open; it is moved aside and filled again from the log"
        );
    }
    let mut recovery = Recovery::new(&**disk, folder, salt);
    let base = recovery.base_definitions(catalogue.as_ref());
    recovery.load_sequences(catalogue.as_ref());
    recovery.read_log()?;
    let definitions = recovery.finish_definitions(base)?;
    let epoch = recovery.epoch + 1;
    Ok(Recovered {
        definitions,
        catalogue,
        epoch,
        salt,
        next_segment: recovery.newest_segment + 1,
        damaged_records: recovery.damaged_records,
        truncated_bytes: recovery.truncated_bytes,
        index: Mutex::new(recovery.index),
    })
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
        }
    }

    /// The definitions before what the log adds: from the file or from sled, whichever is newer.
    fn base_definitions(&mut self, catalogue: Option<&Catalogue>) -> Option<Snapshot> {
        let from_file = match Snapshot::load(self.disk, self.folder) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::error!(%error, "the definitions' file cannot be used; sled's copy is");
                self.damaged_records += 1;
                None
            }
        };
        let from_sled = catalogue.and_then(|catalogue| match catalogue.snapshot() {
            Ok(snapshot) => snapshot,
            Err(broken) => {
                tracing::error!(broken, "the definitions in sled cannot be read");
                None
            }
        });
        for snapshot in [&from_file, &from_sled].into_iter().flatten() {
            self.epoch = self.epoch.max(snapshot.epoch);
        }
        match (from_file, from_sled) {
            (Some(file), Some(sled)) if sled.version > file.version => Some(sled),
            (None, sled) => sled,
            (file, _) => file,
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
            self.note_header(number, &octets);
            let path = segment::path(&self.segments, number);
            self.disk
                .remove(&path)
                .map_err(|error| StoreError::io("removing", &path, &error))?;
            numbers.pop();
        }
        let newest = numbers.last().copied();
        for number in numbers {
            self.read_segment(number, Some(number) == newest, &mut octets)?;
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

    fn note_header(&mut self, number: u32, octets: &[u8]) -> bool {
        let header = Header::parse(octets).filter(|header| header.seal == self.seal(number));
        if let Some(header) = header {
            self.epoch = self.epoch.max(header.epoch);
        }
        header.is_some()
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
        if !self.note_header(number, octets) {
            // The records vouch for themselves: they are bound to the number in the file's name.
            self.report(number, 0, "the header does not match");
        }
        let seal = self.seal(number);
        let scanned = scan(octets, seal, newest, |record| self.take(number, record));
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
        } else if let Some(end) = self.ends.get(&number).copied()
            && scanned.end < end
            && scanned.damage.is_empty()
        {
            self.report(
                number,
                scanned.end,
                &format!("the segment once had {end} octets"),
            );
        }
        self.index.seal(Sealed {
            segment: number,
            end: scanned.end,
        });
        Ok(())
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
        self.damaged_records += 1;
        let file = segment::path(&self.segments, number);
        tracing::error!(file = %file.display(), offset, reason, "the log is damaged; the rest of it is served");
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
                    self.index.recover_mark(mark);
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
            self.index.put_run(queue, &[written]);
            self.delivered_copies |= self.index.is_delivered(queue, seq);
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
        let queue = self.index.queues.entry(queue).or_default();
        queue.next_seq = queue.next_seq.max(seq.saturating_add(1));
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
                    "the definitions are in neither the snapshot nor sled, and the log does not \
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
