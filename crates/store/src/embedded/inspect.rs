//! Looking into the folder of a store without changing it: what is damaged, what is in it.
//!
//! The folder is read as an opening would read it, on a disk that only reads. sled is left out: it holds nothing that
//! does not stand elsewhere too.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use leveret_wire::Message;

use crate::definitions::{SECOND, SNAPSHOT, Snapshot};
use crate::disk::{Disk, LogFile, OsDisk, read_into};
use crate::embedded::format::{self, FORMAT, Identity, LOCK, SEGMENTS};
use crate::embedded::recovery::{Recovered, read_back};
use crate::log::record::{Kind, Seal};
use crate::log::scan::scan;
use crate::log::segment;
use crate::octets::wide;
use crate::{QueueId, Seq, StoreError};

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Octets from its start.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

/// What was found of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its path.
    pub file: PathBuf,
    /// Its octets.
    pub bytes: u64,
    /// Records, or definitions, that are whole.
    pub records: u64,
    /// Octets at its end of a write that was not finished, which the next opening cuts off. No damage.
    pub unfinished: u64,
    /// Damaged places.
    pub damaged: u64,
}

/// A message in the log, at one place of a queue.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The queue.
    pub queue: QueueId,
    /// Its place there.
    pub seq: Seq,
    /// The message as the broker put it.
    pub message: Message,
    /// How often it was marked delivered.
    pub delivery_count: u32,
    /// It survives a restart.
    pub persistent: bool,
    /// It is done, or a newer copy of it stands elsewhere: an opening does not see it.
    pub settled: bool,
    /// The segment's file.
    pub file: PathBuf,
    /// Where its record stands there.
    pub offset: u64,
}

/// The folder of a store, read and not changed.
pub struct Inspection {
    folder: PathBuf,
    identity: Identity,
    recovered: Recovered,
    /// Held, so that no broker opens the folder meanwhile.
    _lock: File,
}

impl Inspection {
    /// Read the store in `folder`. Refused with [`StoreError::Locked`] while a process uses it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let (identity, _) = format::identify(&ReadOnly, folder)?;
        let recovered = read_back(&ReadOnly, folder, identity, None)?;
        Ok(Self {
            folder: folder.to_owned(),
            identity,
            recovered,
            _lock: lock,
        })
    }

    /// Every damaged place, up to ten thousand.
    pub fn damage(&self) -> Vec<Damage> {
        let format = self.identity.repaired.then(|| Damage {
            file: self.folder.join(FORMAT),
            offset: 0,
            reason: "it is damaged or missing; the segments say what stood in it".into(),
        });
        let found = self.recovered.damage.iter();
        let found = found.map(|(file, offset, reason)| Damage {
            file: file.clone(),
            offset: *offset,
            reason: reason.clone(),
        });
        format.into_iter().chain(found).collect()
    }

    /// Damaged places in all.
    pub fn damaged(&self) -> u64 {
        self.recovered.damaged_records
    }

    /// A report for each file that is read at an opening.
    pub fn files(&self) -> Vec<FileReport> {
        let damaged =
            |file: &Path| wide(self.damage().iter().filter(|one| one.file == file).count());
        let mut reports = Vec::new();
        for name in [FORMAT, SNAPSHOT, SECOND] {
            let file = self.folder.join(name);
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let definitions = Snapshot::load(&ReadOnly, &self.folder, name);
            let definitions = definitions
                .ok()
                .flatten()
                .map_or(0, |one| wide(one.map.len()));
            reports.push(FileReport {
                bytes: metadata.len(),
                records: if name == FORMAT { 1 } else { definitions },
                unfinished: 0,
                damaged: damaged(&file),
                file,
            });
        }
        for read in &self.recovered.segments {
            let file = self.segment_path(read.number);
            reports.push(FileReport {
                bytes: read.bytes,
                records: read.records,
                unfinished: read.torn,
                damaged: damaged(&file),
                file,
            });
        }
        reports
    }

    /// The definitions as an opening would find them.
    pub fn definitions(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let map = self.recovered.definitions.map.iter();
        map.map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect()
    }

    /// Messages that an opening would find.
    pub fn live_messages(&self) -> u64 {
        let index = self.recovered.index.lock();
        index.segments.values().map(|segment| segment.live).sum()
    }

    /// Call `each` for every message in the log that can be read, in the order of the log; one that stands in several
    /// queues comes once for each. Stops at the first error of `each`.
    pub fn messages<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(StoredMessage) -> Result<(), E>,
    ) -> Result<(), E> {
        let newest = self.recovered.segments.last().map(|read| read.number);
        for read in &self.recovered.segments {
            let path = self.segment_path(read.number);
            let octets =
                read_file(&path).map_err(|error| StoreError::io("reading", &path, &error))?;
            let seal = Seal {
                salt: self.identity.salt,
                segment: read.number,
            };
            let mut outcome = Ok(());
            scan(&octets, seal, newest == Some(read.number), |record| {
                if record.kind != Kind::Put || outcome.is_err() {
                    return;
                }
                let stored = octets.slice_ref(record.message());
                let Ok(message) = Message::decode(stored) else {
                    return;
                };
                for (queue, seq) in record.places() {
                    let found = self.recovered.index.lock().find_in(queue, seq, read.number);
                    let found = found.filter(|found| found.place.offset() == record.offset);
                    let stored = StoredMessage {
                        queue,
                        seq,
                        message: message.clone(),
                        delivery_count: found.map_or(0, |found| found.delivery_count),
                        persistent: !record.transient,
                        settled: found.is_none(),
                        file: path.clone(),
                        offset: record.offset,
                    };
                    outcome = each(stored);
                    if outcome.is_err() {
                        return;
                    }
                }
            });
            outcome?;
        }
        Ok(())
    }

    fn segment_path(&self, number: u32) -> PathBuf {
        segment::path(&self.folder.join(SEGMENTS), number)
    }
}

fn read_file(path: &Path) -> io::Result<Bytes> {
    let mut octets = Vec::new();
    read_into(&*ReadOnly.open(path, false)?, &mut octets)?;
    Ok(octets.into())
}

/// Take the folder, unless a process uses it.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return lock_folder(folder);
        }
        opened => opened.map_err(|error| StoreError::io("opening", &path, &error))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::io("locking", &path, &error)),
    }
}

/// A copy that no broker has opened yet has no lock file: the folder itself stands in for it.
fn lock_folder(folder: &Path) -> Result<File, StoreError> {
    File::open(folder).map_err(|error| StoreError::io("opening", folder, &error))
}

/// The real file system, of which nothing is changed: what an opening would write is left out.
struct ReadOnly;

struct ReadOnlyFile(Box<dyn LogFile>);

impl LogFile for ReadOnlyFile {
    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk for ReadOnly {
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(folder)
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn LogFile>> {
        if create {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let file = OsDisk::open_to_read(path)?;
        Ok(Box::new(ReadOnlyFile(file)))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        OsDisk.free_bytes(folder)
    }
}
