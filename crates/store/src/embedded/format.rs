//! The folder: its lock, and the file that says what it is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use fs4::fs_std::FileExt as _;

use crate::StoreError;
use crate::disk::{self, Disk};
use crate::log::segment::{self, Found, Header};

/// The folder of the message log.
pub(super) const SEGMENTS: &str = "segments";
pub(super) const FORMAT: &str = "FORMAT";
pub(super) const LOCK: &str = "LOCK";
/// The first word of the format file.
const NAME: &str = "leveret-store";
/// The layout this version reads and writes.
const VERSION: u32 = 1;

/// The folder is this process's as long as this lives.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is being started has it for a moment too.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the data folder goes with the process only");
        }
    }
}

/// Make the folder if need be, and take it for this process.
pub(super) fn lock(folder: &Path) -> Result<FolderLock, StoreError> {
    fs::create_dir_all(folder).map_err(|error| StoreError::io("creating", folder, &error))?;
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StoreError::io("opening", &path, &error))?;
    match file.try_lock_exclusive() {
        Ok(true) => Ok(FolderLock(file)),
        Ok(false) => Err(StoreError::Locked(folder.to_owned())),
        Err(error) => Err(StoreError::io("locking", &path, &error)),
    }
}

/// What the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Of the store: part of every checksum of the log.
    pub(super) salt: u32,
    /// The format file could not be used and was made again from what the segments say.
    pub(super) repaired: bool,
}

/// Check that the folder is a store this version can read, or make it one.
pub(super) fn open(disk: &dyn Disk, folder: &Path) -> Result<Identity, StoreError> {
    let segments = folder.join(SEGMENTS);
    disk.create_folder(&segments)
        .map_err(|error| StoreError::io("creating", &segments, &error))?;
    let (identity, written) = identify(disk, folder)?;
    if identity.repaired {
        tracing::error!(file = %folder.join(FORMAT).display(), offset = 0,
            "the file is damaged or missing; it is made again from what the segments say");
    }
    if !written {
        let path = folder.join(FORMAT);
        disk::replace(disk, &path, describe(identity.salt).as_bytes())
            .map_err(|error| StoreError::io("writing", &path, &error))?;
    }
    Ok(identity)
}

/// Find out what the folder is, writing nothing. Returns also whether its format file is as it should be.
pub(super) fn identify(disk: &dyn Disk, folder: &Path) -> Result<(Identity, bool), StoreError> {
    let path = folder.join(FORMAT);
    let found =
        disk::read_whole(disk, &path).map_err(|error| StoreError::io("opening", &path, &error))?;
    let whole = |salt| Identity {
        salt,
        repaired: false,
    };
    let described = match found.as_deref().map(parse) {
        Some(Described::Store(salt)) => return Ok((whole(salt), true)),
        Some(Described::Version(version)) => {
            return Err(StoreError::version(&path, version, VERSION));
        }
        Some(Described::Unproved(salt)) => Some(salt),
        Some(Described::Nothing) | None => None,
    };
    let segments = Segments::look(disk, &folder.join(SEGMENTS))?;
    match (described, segments.salt, found.is_some()) {
        (Some(salt), None, _) => Ok((whole(salt), false)),
        (Some(salt), Some(said), _) if salt == said => Ok((whole(salt), false)),
        (_, Some(salt), _) => Ok((
            Identity {
                salt,
                repaired: true,
            },
            false,
        )),
        (None, None, true) => Err(StoreError::Format(format!(
            "{} does not describe a message store of this broker",
            path.display()
        ))),
        (None, None, false) if segments.any => Err(StoreError::Format(format!(
            "{} holds a message log but no {FORMAT} file; if the file was lost, restore it from a copy of the folder",
            folder.display()
        ))),
        (None, None, false) => {
            // As random as a process can be without asking for more: keys of the standard library's hash maps.
            let random = RandomState::new().hash_one(NAME);
            let salt = u32::try_from(random >> 32).unwrap_or_default();
            Ok((whole(salt), false))
        }
    }
}

/// What the segments say of the store they belong to.
struct Segments {
    /// There are files among them.
    any: bool,
    /// The salt that most of the whole headers name.
    salt: Option<u32>,
}

impl Segments {
    fn look(disk: &dyn Disk, folder: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io("reading", folder, &error);
        let names = match disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(failed)?,
        };
        let mut votes = BTreeMap::<u32, usize>::new();
        for name in &names {
            if segment::number_of(name).is_some()
                && let Found::Header(header) =
                    Header::read(disk, &folder.join(name)).map_err(failed)?
            {
                *votes.entry(header.seal.salt).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        Ok(Self {
            any: !names.is_empty(),
            salt: most.map(|(salt, _)| salt),
        })
    }
}

/// The text of the format file.
fn describe(salt: u32) -> String {
    let text = format!("{NAME} {VERSION}\nsalt {salt:08x}\n");
    let crc = crc32c::crc32c(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

/// What a format file says.
#[derive(Debug, PartialEq, Eq)]
enum Described {
    /// A store of this version, with this salt.
    Store(u32),
    /// The same, without a checksum to prove it.
    Unproved(u32),
    /// A store of another version.
    Version(u32),
    /// Nothing, or nothing to be believed.
    Nothing,
}

fn parse(octets: &[u8]) -> Described {
    parse_text(octets).unwrap_or(Described::Nothing)
}

fn parse_text(octets: &[u8]) -> Option<Described> {
    let text = std::str::from_utf8(octets).ok()?;
    let (content, crc) = match text.split_once("crc ") {
        Some((content, crc)) => (content, Some(crc)),
        None => (text, None),
    };
    if let Some(crc) = crc {
        let said = u32::from_str_radix(crc.strip_suffix('\n')?, 16).ok()?;
        if said != crc32c::crc32c(content.as_bytes()) {
            return None;
        }
    }
    let mut words = content.split_ascii_whitespace();
    if words.next()? != NAME {
        return None;
    }
    let version: u32 = words.next()?.parse().ok()?;
    if version != VERSION {
        return Some(Described::Version(version));
    }
    if words.next()? != "salt" {
        return None;
    }
    let salt = u32::from_str_radix(words.next()?, 16).ok()?;
    Some(match crc {
        Some(_) => Described::Store(salt),
        None => Described::Unproved(salt),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn is_made_once_and_read_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let made = open(&OsDisk, folder.path()).unwrap();
        assert!(!made.repaired);
        assert_eq!(open(&OsDisk, folder.path()), Ok(made));
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
    fn every_flip_of_the_file_is_noticed() {
        let whole = describe(0x1234_abcd).into_bytes();
        assert_eq!(parse(&whole), Described::Store(0x1234_abcd));
        for at in 0..whole.len() * 8 {
            let mut octets = whole.clone();
            octets[at / 8] ^= 1 << (at % 8);
            let said = parse(&octets);
            // A letter of the checksum may be written large as well.
            let same = octets.eq_ignore_ascii_case(&whole) && said == Described::Store(0x1234_abcd);
            assert!(
                same || said == Described::Nothing || said == Described::Unproved(0x1234_abcd),
                "bit {at} gave {said:?}"
            );
        }
        for len in 0..whole.len() {
            assert!(matches!(
                parse(&whole[..len]),
                Described::Nothing | Described::Unproved(_) | Described::Version(_)
            ));
        }
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
