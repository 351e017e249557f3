//! Copying the folder of a store, while a broker uses it or not.
//!
//! A segment that has a successor is never written again, so the log is copied oldest segment first; while somebody
//! holds the file `BACKUP`, no segment is deleted. What has been copied at the end is therefore the log as it was at
//! one moment: what was confirmed before the copying began is in it. The definitions are copied last: they may be newer
//! than the log, never older than what it needs. sled is not copied; it is filled again from the rest.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt as _;

use crate::StoreError;
use crate::definitions::FILES;
use crate::disk::{Disk as _, OsDisk, read_into};
use crate::embedded::format::{self, FORMAT, SEGMENTS};
use crate::log::record::{Record, Seal};
use crate::log::segment::{self, SEGMENT_HEADER};
use crate::octets::index;

const BACKUP: &str = "BACKUP";

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// Segments of the message log.
    pub segments: u64,
    /// Octets of all files copied.
    pub bytes: u64,
}

/// Copy the store in `folder` to `target`, which must be empty or not there. A broker may use `folder` meanwhile; it
/// keeps what it would delete until the copy is done.
pub fn back_up(folder: &Path, target: &Path) -> Result<Backup, StoreError> {
    let (identity, _) = format::identify(&OsDisk, folder)?;
    let path = folder.join(BACKUP);
    let held = open_lock(&path).map_err(|error| StoreError::io("opening", &path, &error))?;
    // Waits while segments are being deleted.
    held.lock_shared()
        .map_err(|error| StoreError::io("locking", &path, &error))?;
    let failed = |error: io::Error| StoreError::io("copying to", target, &error);
    fs::create_dir_all(target.join(SEGMENTS)).map_err(failed)?;
    for used in [target.to_owned(), target.join(SEGMENTS)] {
        let others = OsDisk.list(&used).map_err(failed)?;
        if others.iter().any(|name| name != Path::new(SEGMENTS)) {
            return Err(StoreError::Unavailable(format!(
                "{} is not empty",
                used.display()
            )));
        }
    }
    let mut copy = Copy {
        salt: identity.salt,
        folder,
        target,
        done: Backup::default(),
    };
    copy.log()?;
    for name in FILES {
        if folder.join(name).exists() {
            copy.file(Path::new(name))?;
        }
    }
    // Last: without it the copy is no store, so one that was cut short is not taken for one.
    copy.file(Path::new(FORMAT))?;
    for folder in [target.join(SEGMENTS), target.to_owned()] {
        OsDisk.sync_folder(&folder).map_err(failed)?;
    }
    Ok(copy.done)
}

struct Copy<'a> {
    salt: u32,
    folder: &'a Path,
    target: &'a Path,
    done: Backup,
}

impl Copy<'_> {
    /// Copy every segment, oldest first. The last that holds records may be in use: of that a prefix is copied.
    fn log(&mut self) -> Result<(), StoreError> {
        let numbers = self.segments()?;
        for number in &numbers {
            self.file(&segment::path(Path::new(SEGMENTS), *number))?;
        }
        self.done.segments = crate::octets::wide(numbers.len());
        for pair in (0..numbers.len()).rev() {
            let Some(number) = numbers.get(pair) else {
                break;
            };
            if !self.end_segment(*number)? {
                continue;
            }
            // It is in use, or was: so the one before is complete now, which it may not have been when it was copied.
            if let Some(before) = pair.checked_sub(1).and_then(|at| numbers.get(at)) {
                self.file(&segment::path(Path::new(SEGMENTS), *before))?;
            }
            break;
        }
        Ok(())
    }

    /// End the copy of a segment behind its last whole record: what was written while it was copied may stand behind
    /// what was not written yet when that was copied. Returns whether it holds any record.
    fn end_segment(&self, number: u32) -> Result<bool, StoreError> {
        let path = segment::path(&self.target.join(SEGMENTS), number);
        let end = || -> io::Result<u64> {
            let file = OsDisk.open(&path, false)?;
            let mut octets = Vec::new();
            read_into(&*file, &mut octets)?;
            let seal = Seal {
                salt: self.salt,
                segment: number,
            };
            let mut end = SEGMENT_HEADER;
            while let Some(rest) = octets.get(index(end)..)
                && let Ok(record) = Record::parse(rest, seal, end)
            {
                end += crate::octets::wide(record.len);
            }
            file.set_len(end)?;
            file.sync_all()?;
            Ok(end)
        };
        end()
            .map(|end| end > SEGMENT_HEADER)
            .map_err(|error| StoreError::io("ending", &path, &error))
    }

    /// The numbers of the segments, ascending. The one made ready ahead of time counts too: it is empty.
    fn segments(&self) -> Result<Vec<u32>, StoreError> {
        let segments = self.folder.join(SEGMENTS);
        let names = OsDisk
            .list(&segments)
            .map_err(|error| StoreError::io("reading", &segments, &error))?;
        let mut numbers: Vec<u32> = names
            .iter()
            .filter_map(|name| segment::number_of(name))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn file(&mut self, name: &Path) -> Result<(), StoreError> {
        let from: PathBuf = self.folder.join(name);
        let to = self.target.join(name);
        let copy = || -> io::Result<u64> {
            let bytes = fs::copy(&from, &to)?;
            File::options().write(true).open(&to)?.sync_all()?;
            Ok(bytes)
        };
        let bytes = copy().map_err(|error| StoreError::io("copying", &from, &error))?;
        self.done.bytes += bytes;
        Ok(())
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Keep backups from beginning, until the file is closed; `None` if one is being made.
pub(super) fn hold_off(folder: &Path) -> Option<File> {
    let path = folder.join(BACKUP);
    let locked = open_lock(&path).and_then(|file| Ok((file.try_lock_exclusive()?, file)));
    match locked {
        Ok((true, file)) => Some(file),
        Ok((false, _)) => None,
        Err(error) => {
            tracing::error!(file = %path.display(), %error, "cannot be locked; nothing is deleted");
            None
        }
    }
}
