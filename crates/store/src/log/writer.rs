//! Appending to the newest segment, and rolling to the next one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::disk::{Disk, LogFile};
use crate::error::is_out_of_room;
use crate::log::record::{Seal, encode_batch};
use crate::log::segment::{self, Header, SEGMENT_HEADER};
use crate::octets::wide;

/// A buffer that grew larger than this for one batch is given back afterwards.
const BUFFER_KEPT: usize = 4 << 20;

/// A store on a full disk opens with a first segment of this size if it must: room for many settles.
const FIRST_BYTES_MIN: u64 = 4096;

/// Why nothing could be written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no room for a segment. Nothing was harmed; it can be tried again.
    NoRoom(io::Error),
    /// A write or a sync failed: what is on disk is unknown, and must not be guessed.
    Broken(io::Error),
}

impl Failure {
    /// The failure of making or enlarging a file, in which nothing of value stands yet.
    fn of_making(error: io::Error) -> Self {
        // EMFILE and ENFILE: files will be closed again.
        let too_many_files = matches!(error.raw_os_error(), Some(23 | 24));
        if is_out_of_room(&error) || too_many_files {
            Self::NoRoom(error)
        } else {
            Self::Broken(error)
        }
    }
}

/// Makes segments, one ahead of time so that the commit thread need not wait for it, and so that a full disk is
/// noticed while there is still a segment's room for settles.
pub(crate) struct Supply {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    salt: u32,
    epoch: u64,
    segment_bytes: u64,
    spare: Mutex<Spare>,
}

#[derive(Default)]
struct Spare {
    made: Option<(u32, Box<dyn LogFile>)>,
    /// The newest segment taken into use.
    taken: u32,
}

impl Supply {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        salt: u32,
        epoch: u64,
        segment_bytes: u64,
    ) -> Self {
        Self {
            disk,
            folder,
            salt,
            epoch,
            segment_bytes,
            spare: Mutex::default(),
        }
    }

    /// Make the segment that comes after the one in use, unless it is there.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let mut spare = self.spare.lock();
        if spare.made.is_none() {
            let number = spare.taken + 1;
            spare.made = Some((number, self.create(number)?));
        }
        Ok(())
    }

    /// Octets free on the disk.
    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.folder)
    }

    /// Whether a segment is ready.
    fn is_ready(&self) -> bool {
        self.spare.lock().made.is_some()
    }

    /// Take segment `number` into use.
    fn take(&self, number: u32) -> io::Result<Box<dyn LogFile>> {
        let mut spare = self.spare.lock();
        let file = match spare.made.take() {
            Some((made, file)) if made == number => file,
            _ => self.create(number)?,
        };
        spare.taken = number;
        Ok(file)
    }

    /// Make the first segment of an opening: on a full disk a smaller one, so that what would free the disk can be
    /// served. Returns also how much of it is reserved.
    fn take_first(&self, number: u32) -> io::Result<(Box<dyn LogFile>, u64)> {
        let mut octets = self.segment_bytes;
        loop {
            match self.create_with(number, octets) {
                Err(error) if is_out_of_room(&error) && octets / 2 >= FIRST_BYTES_MIN => {
                    octets /= 2;
                }
                made => {
                    self.spare.lock().taken = number;
                    return made.map(|file| (file, octets));
                }
            }
        }
    }

    /// Remove a segment that was made and not used.
    pub(crate) fn discard(&self) {
        if let Some((number, file)) = self.spare.lock().made.take() {
            drop(file);
            // It holds no record: if it stays, the next opening removes it.
            let _ = self.disk.remove(&segment::path(&self.folder, number));
        }
    }

    fn create(&self, number: u32) -> io::Result<Box<dyn LogFile>> {
        self.create_with(number, self.segment_bytes)
    }

    fn create_with(&self, number: u32, octets: u64) -> io::Result<Box<dyn LogFile>> {
        let header = Header {
            seal: self.seal(number),
            epoch: self.epoch,
        };
        segment::create(&*self.disk, &self.folder, header, octets)
    }

    fn seal(&self, number: u32) -> Seal {
        Seal {
            salt: self.salt,
            segment: number,
        }
    }
}

/// A segment that will not be appended to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) segment: u32,
    /// Octets of it.
    pub(crate) end: u64,
}

/// What was written and synced since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_time: Duration,
}

pub(crate) struct Writer {
    supply: Arc<Supply>,
    file: Box<dyn LogFile>,
    seal: Seal,
    /// Records encoded and not written.
    pub(crate) buffer: Vec<u8>,
    /// Where in the file the buffer will stand.
    start: u64,
    /// Octets of the file that are reserved.
    reserved: u64,
    /// Everything before was synced.
    synced: u64,
    /// Something was written after that.
    dirty: bool,
    /// Whether syncs are done at all.
    syncing: bool,
    /// Segments left behind since the last look.
    sealed: Vec<Sealed>,
    written: Written,
}

impl Writer {
    /// Start with a fresh segment `number`.
    pub(crate) fn start(supply: Arc<Supply>, number: u32, syncing: bool) -> io::Result<Self> {
        let (file, reserved) = supply.take_first(number)?;
        Ok(Self {
            seal: supply.seal(number),
            reserved,
            supply,
            file,
            buffer: Vec::new(),
            start: SEGMENT_HEADER,
            synced: SEGMENT_HEADER,
            dirty: false,
            syncing,
            sealed: Vec::new(),
            written: Written::default(),
        })
    }

    /// Where the next record will stand.
    pub(crate) fn next(&self) -> (Seal, u64) {
        (self.seal, self.start + wide(self.buffer.len()))
    }

    pub(crate) fn segment(&self) -> u32 {
        self.seal.segment
    }

    /// Where the written part of the segment ends.
    pub(crate) fn written_end(&self) -> u64 {
        self.start
    }

    /// See that a record of `len` octets fits: go on to the next segment if it does not fit into this one.
    pub(crate) fn make_room(&mut self, len: usize) -> Result<(), Failure> {
        let at = self.next().1;
        if at + wide(len) > self.supply.segment_bytes && at > SEGMENT_HEADER {
            self.roll()?;
        }
        let end = self.next().1 + wide(len);
        if end > self.reserved {
            self.file.allocate(end).map_err(Failure::of_making)?;
            self.reserved = end;
        }
        Ok(())
    }

    /// Seal this segment and start the next. The old one is whole on disk before anything stands in the new one.
    fn roll(&mut self) -> Result<(), Failure> {
        self.flush()?;
        let number = self.seal.segment + 1;
        let file = self.supply.take(number).map_err(Failure::of_making)?;
        self.file.set_len(self.start).map_err(Failure::Broken)?;
        self.dirty = true;
        self.sync_with(LogFile::sync_all)?;
        self.sealed.push(Sealed {
            segment: self.seal.segment,
            end: self.start,
        });
        self.file = file;
        self.seal = self.supply.seal(number);
        self.reserved = self.supply.segment_bytes;
        self.start = SEGMENT_HEADER;
        self.synced = SEGMENT_HEADER;
        self.dirty = false;
        Ok(())
    }

    /// Write what the buffer holds.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file
            .write_all_at(&self.buffer, self.start)
            .map_err(Failure::Broken)?;
        let len = wide(self.buffer.len());
        self.start += len;
        self.written.bytes += len;
        self.dirty = true;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Make everything written durable.
    pub(crate) fn sync(&mut self) -> Result<(), Failure> {
        self.sync_with(LogFile::sync_data)
    }

    fn sync_with(&mut self, sync: impl Fn(&dyn LogFile) -> io::Result<()>) -> Result<(), Failure> {
        if !self.dirty {
            return Ok(());
        }
        if self.syncing {
            let begun = Instant::now();
            sync(&*self.file).map_err(Failure::Broken)?;
            self.written.sync_time += begun.elapsed();
            self.written.syncs += 1;
            self.synced = self.start;
        }
        self.dirty = false;
        Ok(())
    }

    /// Begin a batch, by saying up to where the segment is known to be whole.
    pub(crate) fn begin_batch(&mut self) -> Result<(), Failure> {
        self.make_room(BATCH_LEN)?;
        let at = self.next();
        encode_batch(&mut self.buffer, at, self.synced);
        Ok(())
    }

    /// Octets free on the disk.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        self.supply.free_bytes()
    }

    /// When the segment is mostly full, see that another is ready. If there is no room for one, this must be known
    /// while what is left of this one can still take settles, which make room.
    pub(crate) fn look_ahead(&self) -> io::Result<()> {
        let mostly_full = self.next().1 > self.supply.segment_bytes / 4 * 3;
        if mostly_full && !self.supply.is_ready() {
            self.supply.prepare()?;
        }
        Ok(())
    }

    /// Segments sealed since the last call.
    pub(crate) fn take_sealed(&mut self) -> Vec<Sealed> {
        std::mem::take(&mut self.sealed)
    }

    /// What was written since the last call.
    pub(crate) fn take_written(&mut self) -> Written {
        std::mem::take(&mut self.written)
    }

    /// Give back the room reserved and not used, at the end.
    pub(crate) fn close(&mut self) -> Result<Sealed, Failure> {
        self.flush()?;
        self.file.set_len(self.start).map_err(Failure::Broken)?;
        self.dirty = true;
        self.sync_with(LogFile::sync_all)?;
        Ok(Sealed {
            segment: self.seal.segment,
            end: self.start,
        })
    }
}

/// Octets of the record that begins a batch.
pub(crate) const BATCH_LEN: usize = 24;
