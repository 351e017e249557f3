//! The upkeep thread: prepares the next segment, deletes those that nothing needs, compacts, writes checkpoints. It
//! sleeps until the commit thread has something for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::StoreError;
use crate::catalogue::Catalogue;
use crate::definitions::{self, Snapshot};
use crate::disk::Disk;
use crate::embedded::compaction::PutRanges;
use crate::embedded::pending::{Definitions, Stop};
use crate::embedded::recovery::Recovered;
use crate::embedded::shared::Shared;
use crate::embedded::{backup, checkpoint, format};
use crate::error::is_out_of_room;
use crate::index::segments::SegmentState;
use crate::log::record::Seal;
use crate::log::segment;
use crate::log::writer::Supply;

/// How often a full disk is asked whether there is room again.
const FULL_RETRY: Duration = Duration::from_millis(500);

/// How long the upkeep sleeps at most: what it left because it was needed a moment ago may go by now, though nothing
/// has happened since that would wake it.
const IDLE_LOOK: Duration = Duration::from_secs(2);

/// What the upkeep has been told.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<Mail>,
    work: Condvar,
}

#[derive(Default)]
struct Mail {
    woken: bool,
    /// Durable changes of the definitions, in order.
    changes: Vec<Definitions>,
    stop: Stop,
}

impl Mailbox {
    pub(super) fn wake(&self) {
        self.state.lock().woken = true;
        self.work.notify_one();
    }

    /// Changes that are durable. They are looked at when there is something else to do.
    pub(super) fn push_changes(&self, changes: impl IntoIterator<Item = Definitions>) {
        self.state.lock().changes.extend(changes);
    }

    fn take_changes(&self) -> Vec<Definitions> {
        std::mem::take(&mut self.state.lock().changes)
    }

    pub(super) fn close(&self, how: Stop) {
        let mut state = self.state.lock();
        // Once abandoned, it stays so: a store that has failed must not write checkpoints at its shutdown.
        if state.stop != Stop::Abandoned {
            state.stop = how;
        }
        drop(state);
        self.work.notify_one();
    }

    /// Wait for `pause`. Returns false, at once, if the store stops.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while state.stop == Stop::No {
            if self.work.wait_until(&mut state, until).timed_out() {
                return true;
            }
        }
        false
    }

    /// Wait for something to do, at most for `limit`. Returns the changes made since the last call.
    fn wait(&self, limit: Duration) -> (Vec<Definitions>, Stop) {
        let mut state = self.state.lock();
        while !state.woken && state.stop == Stop::No {
            if self.work.wait_for(&mut state, limit).timed_out() {
                break;
            }
        }
        state.woken = false;
        (std::mem::take(&mut state.changes), state.stop)
    }
}

pub(super) struct Upkeep {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segments: PathBuf,
    supply: Arc<Supply>,
    segment_bytes: u64,
    /// sled, as long as it works.
    pub(super) catalogue: Option<Catalogue>,
    /// The durable definitions.
    pub(super) snapshot: Snapshot,
    /// The version that the newer file with definitions holds.
    pub(super) stored_version: u64,
    /// The version that the older one holds. The log keeps every change after this one.
    pub(super) kept_version: u64,
    /// The name of the older one, which is written next.
    pub(super) older_file: &'static str,
    /// When the file may be written again only because there were changes.
    pub(super) snapshot_due: Instant,
    /// When the last checkpoint was written to sled.
    pub(super) checkpointed: Option<Instant>,
    /// The newest segment that was seen in use.
    seen: u32,
    /// Where the log ended after the last look.
    looked: (u32, u64),
    /// Nothing was written between the last two looks.
    pub(super) quiet: bool,
    pub(super) put_ranges: PutRanges,
}

impl Upkeep {
    /// Take over what was recovered, and write the first checkpoint: it makes the new epoch durable once more.
    pub(super) fn start(
        shared: Arc<Shared>,
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        supply: Arc<Supply>,
        segment_bytes: u64,
        recovered: Recovered,
    ) -> Result<Self, StoreError> {
        let segments = folder.join(format::SEGMENTS);
        let mut snapshot = recovered.definitions;
        snapshot.epoch = recovered.epoch;
        let files = recovered.snapshot_files;
        let mut versions = (snapshot.version, files.version);
        let mut older_file = checkpoint::other_file(files.worse);
        match snapshot.store(&*disk, &folder, files.worse) {
            // The epoch stands in the header of the new segment, and all else that it says is there already.
            Err(StoreError::Full) => {
                tracing::error!("there is no room to write the definitions to their file");
                versions = (files.version, files.older);
                older_file = files.worse;
            }
            stored => stored?,
        }
        if let Ok(free) = disk.free_bytes(&segments) {
            shared.note_free(free);
        }
        let mut upkeep = Self {
            stored_version: versions.0,
            kept_version: versions.1,
            older_file,
            snapshot_due: Instant::now(),
            shared,
            disk,
            folder,
            segments,
            supply,
            segment_bytes,
            catalogue: recovered.catalogue,
            snapshot,
            checkpointed: None,
            seen: 0,
            looked: (0, 0),
            quiet: false,
            put_ranges: PutRanges::default(),
        };
        upkeep.checkpoint_catalogue();
        Ok(upkeep)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn segments_folder(&self) -> &Path {
        &self.segments
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub(super) fn seal(&self, segment: u32) -> Seal {
        Seal {
            salt: self.shared.salt,
            segment,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.shared.full.load(Ordering::Relaxed)
    }

    pub(super) fn report_damage(&self, number: u32, offset: u64, reason: &str) {
        let counters = &self.shared.counters;
        counters.damaged_records.fetch_add(1, Ordering::Relaxed);
        let file = segment::path(&self.segments, number);
        tracing::error!(file = %file.display(), offset, reason, "a record is damaged");
    }

    pub(super) fn run(mut self) {
        loop {
            self.prepare_segment();
            self.look_at_disk();
            let (changes, stop) =
                self.shared
                    .upkeep
                    .wait(if self.is_full() || self.shared.is_low() {
                        FULL_RETRY
                    } else {
                        IDLE_LOOK
                    });
            self.take_changes(changes);
            match stop {
                Stop::No => self.tidy(),
                Stop::Graceful => {
                    self.checkpoint();
                    self.delete_dead();
                    self.checkpoint_catalogue();
                    break;
                }
                Stop::Abandoned => break,
            }
        }
        self.supply.discard();
    }

    fn take_changes(&mut self, changes: Vec<Definitions>) {
        for change in changes {
            definitions::apply(&mut self.snapshot.map, &change.changes);
            self.snapshot.version = change.version;
        }
    }

    /// Have a segment ready for when the one in use is full. If that cannot be, the store is full.
    fn prepare_segment(&self) {
        match self.supply.prepare() {
            Ok(()) => {
                if self.shared.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("there is room for the log again");
                }
            }
            Err(error) => {
                if !self.shared.full.swap(true, Ordering::Relaxed) {
                    let out_of_room = is_out_of_room(&error);
                    tracing::error!(%error, out_of_room, "no segment can be made: puts are refused");
                }
            }
        }
    }

    fn look_at_disk(&self) {
        // What cannot be asked is not low: writing will tell.
        if let Ok(free) = self.disk.free_bytes(&self.segments) {
            self.shared.note_free(free);
        }
    }

    fn tidy(&mut self) {
        let active = {
            let mut index = self.shared.index.lock();
            // What the batch at hand settles can be tidied only when it is synced: then it must wake us again.
            if index.batch == index.synced_batch {
                index.untidy = false;
                index.settled_bytes = 0;
            }
            self.quiet = index.readable == self.looked;
            index.readable.0
        };
        if active != self.seen {
            self.seen = active;
            self.prepare_segment();
            self.look_at_disk();
            self.checkpoint();
        }
        self.refresh_snapshot();
        self.delete_dead();
        while self.compact() {
            self.prepare_segment();
            self.delete_dead();
        }
        self.looked = self.shared.index.lock().readable;
    }

    /// Delete segments that nothing needs. One whose settles are needed for another that goes too waits until that one
    /// is gone for good.
    fn delete_dead(&mut self) {
        loop {
            self.store_needed_snapshot();
            let doomed: Vec<u32> = {
                let index = self.shared.index.lock();
                let dead = index.segments.iter().filter(|(_, state)| {
                    is_dead(state, index.synced_batch)
                        && state.needed_by.is_empty()
                        && state.definitions_to <= self.kept_version
                });
                dead.map(|(number, _)| *number).collect()
            };
            if doomed.is_empty() || !self.delete(&doomed) {
                return;
            }
        }
    }

    /// If only changes of definitions keep a segment, write them to the snapshot, and to the one before it.
    fn store_needed_snapshot(&mut self) {
        let needed = {
            let index = self.shared.index.lock();
            let dead = index
                .segments
                .values()
                .filter(|state| is_dead(state, index.synced_batch) && state.needed_by.is_empty());
            dead.map(|state| state.definitions_to).max()
        };
        if needed.is_none_or(|version| version <= self.kept_version) {
            return;
        }
        let changes = self.shared.upkeep.take_changes();
        self.take_changes(changes);
        while needed.is_some_and(|version| version > self.kept_version) {
            if !self.store_snapshot() {
                return;
            }
        }
    }

    fn delete(&mut self, doomed: &[u32]) -> bool {
        // Held to the end of this.
        let Some(_held) = backup::hold_off(&self.folder) else {
            return false;
        };
        for number in doomed {
            let path = segment::path(&self.segments, *number);
            if let Err(error) = self.disk.remove(&path) {
                tracing::error!(file = %path.display(), %error, "a segment cannot be deleted");
                return false;
            }
        }
        // A settle may go only after the message it settles is gone for good.
        if let Err(error) = self.disk.sync_folder(&self.segments) {
            tracing::error!(%error, "the folder of the log cannot be synced; nothing more is deleted");
            return false;
        }
        let mut index = self.shared.index.lock();
        for number in doomed {
            index.remove_segment(*number);
            self.put_ranges.remove(number);
        }
        drop(index);
        let deleted = crate::octets::wide(doomed.len());
        let counters = &self.shared.counters;
        counters
            .deleted_segments
            .fetch_add(deleted, Ordering::Relaxed);
        self.shared.reading.forget();
        true
    }
}

fn is_dead(state: &SegmentState, synced_batch: u64) -> bool {
    state.sealed && state.live == 0 && state.touched <= synced_batch
}
