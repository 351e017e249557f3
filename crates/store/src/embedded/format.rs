//! The folder: its lock, and the file that says what it is.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use fs4::fs_std::FileExt as _;

use crate::StoreError;
use crate::disk::{self, Disk};

/// The folder of the message log.
pub(super) const SEGMENTS: &str = "segments";
const FORMAT: &str = "FORMAT";
const LOCK: &str = "LOCK";
/// The first word of the format file.
const NAME: &str = "leveret-store";
/// The layout this version reads and writes.
const VERSION: u32 = 1;

/// Make the folder if need be, and take it for this process.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    fs::create_dir_all(folder).map_err(|error| StoreError::io("creating", folder, &error))?;
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StoreError::io("opening", &path, &error))?;
    match file.try_lock_exclusive() {
        Ok(true) => Ok(file),
        Ok(false) => Err(StoreError::Locked(folder.to_owned())),
        Err(error) => Err(StoreError::io("locking", &path, &error)),
    }
}

/// Check that the folder is a store this version can read, or make it one. Returns the store's salt.
pub(super) fn open(disk: &dyn Disk, folder: &Path) -> Result<u32, StoreError> {
    let path = folder.join(FORMAT);
    let segments = folder.join(SEGMENTS);
    let prepare = || -> std::io::Result<Option<Vec<u8>>> {
        disk.create_folder(&segments)?;
        disk::read_whole(disk, &path)
    };
    let found = prepare().map_err(|error| StoreError::io("opening", &path, &error))?;
    if let Some(octets) = found {
        return parse(&octets, &path);
    }
    let names = disk
        .list(&segments)
        .map_err(|error| StoreError::io("reading", &segments, &error))?;
    if !names.is_empty() {
        return Err(StoreError::Format(format!(
            "{} holds a message log but no {FORMAT} file; if the file was lost, restore it from a copy of the folder",
            folder.display()
        )));
    }
    // As random as a process can be without asking for more: keys of the standard library's hash maps.
    let random = RandomState::new().hash_one(NAME);
    let salt = u32::try_from(random >> 32).unwrap_or_default();
    let text = format!("{NAME} {VERSION}\nsalt {salt:08x}\n");
    disk::replace(disk, &path, text.as_bytes())
        .map_err(|error| StoreError::io("writing", &path, &error))?;
    Ok(salt)
}

fn parse(octets: &[u8], path: &Path) -> Result<u32, StoreError> {
    let foreign = || {
        StoreError::Format(format!(
            "{} does not describe a message store of this broker",
            path.display()
        ))
    };
    let text = std::str::from_utf8(octets).map_err(|_| foreign())?;
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some(NAME) {
        return Err(foreign());
    }
    let version: u32 = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(foreign)?;
    if version != VERSION {
        return Err(StoreError::Format(format!(
            "{} says version {version}, and this broker reads version {VERSION}: use the broker that wrote it, or a newer one",
            path.display()
        )));
    }
    if words.next() != Some("salt") {
        return Err(foreign());
    }
    words
        .next()
        .and_then(|word| u32::from_str_radix(word, 16).ok())
        .ok_or_else(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn is_made_once_and_read_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let salt = open(&OsDisk, folder.path()).unwrap();
        assert_eq!(open(&OsDisk, folder.path()), Ok(salt));
    }

    #[test]
    fn foreign_and_newer_folders_are_refused_with_the_reason() {
        for (text, reason) in [
            ("something else", "does not describe"),
            ("leveret-store 2\nsalt 00000001\n", "version 2"),
            ("leveret-store one\n", "does not describe"),
            ("leveret-store 1\n", "does not describe"),
            ("", "does not describe"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FORMAT), text).unwrap();
            match open(&OsDisk, folder.path()) {
                Err(StoreError::Format(said)) => assert!(said.contains(reason), "{said}"),
                other => panic!("{text:?} gave {other:?}"),
            }
        }
    }

    #[test]
    fn a_log_without_its_format_is_not_taken_for_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(SEGMENTS)).unwrap();
        fs::write(folder.path().join(SEGMENTS).join("0000000001.log"), "").unwrap();
        assert!(matches!(
            open(&OsDisk, folder.path()),
            Err(StoreError::Format(_))
        ));
    }

    #[test]
    fn a_folder_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert_eq!(
            lock(folder.path()).err(),
            Some(StoreError::Locked(folder.path().to_owned()))
        );
        drop(held);
        assert!(lock(folder.path()).is_ok());
    }
}
