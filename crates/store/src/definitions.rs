//! The definitions as a map in memory and as a plain file, written whole at every checkpoint.
//!
//! The file: magic, version of the format, epoch, version of the definitions, count, then key and value of each with
//! their lengths, then a CRC32C over all of it. There are two, written in turn by rename, so each is whole or it was
//! damaged later. The log keeps every change that is newer than the older one: if the newer one is damaged, the older one
//! and the log give the same definitions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{self, Disk};
use crate::octets::{Octets, put_sized, wide};
use crate::{Change, StoreError};

const MAGIC: &[u8; 8] = b"LEVERDEF";
const FORMAT: u32 = 1;
/// The name of one file in the store's folder.
pub(crate) const SNAPSHOT: &str = "definitions.snapshot";

/// The name of the other.
pub(crate) const SECOND: &str = "definitions.snapshot.2";
/// Both.
pub(crate) const FILES: [&str; 2] = [SNAPSHOT, SECOND];

/// The definitions; keys and values are shared with whoever else holds a version of them.
pub(crate) type Map = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// A change whose octets are shared with the maps it goes into.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    key: Arc<[u8]>,
    /// None: the key is deleted.
    value: Option<Arc<[u8]>>,
}

impl From<Change> for Shared {
    fn from(change: Change) -> Self {
        match change {
            Change::Put { key, value } => Self {
                key: key.into(),
                value: Some(value.into()),
            },
            Change::Delete { key } => Self {
                key: key.into(),
                value: None,
            },
        }
    }
}

/// Make `changes` in `map`.
pub(crate) fn apply(map: &mut Map, changes: &[Shared]) {
    for change in changes {
        match &change.value {
            Some(value) => {
                map.insert(Arc::clone(&change.key), Arc::clone(value));
            }
            None => {
                map.remove(&change.key);
            }
        }
    }
}

/// The definitions at one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The epoch of the store that wrote it.
    pub(crate) epoch: u64,
    /// Counts the changes ever made.
    pub(crate) version: u64,
    pub(crate) map: Map,
}

impl Snapshot {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        for number in [self.epoch, self.version, wide(self.map.len())] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for (key, value) in &self.map {
            put_sized(&mut out, key);
            put_sized(&mut out, value);
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn parse(octets: &[u8]) -> Result<Self, Unreadable> {
        let (content, crc) = octets.split_last_chunk::<4>().ok_or(Unreadable::Damaged)?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(Unreadable::Damaged);
        }
        let content = content.strip_prefix(MAGIC).ok_or(Unreadable::Damaged)?;
        let mut content = Octets(content);
        match content.take_u32().ok_or(Unreadable::Damaged)? {
            FORMAT => Self::parse_content(content).ok_or(Unreadable::Damaged),
            other => Err(Unreadable::Version(other)),
        }
    }

    fn parse_content(mut content: Octets<'_>) -> Option<Self> {
        let epoch = content.take_u64()?;
        let version = content.take_u64()?;
        let count = content.take_u64()?;
        let mut map = Map::new();
        for _ in 0..count {
            let key = content.take_sized()?;
            map.insert(key.into(), content.take_sized()?.into());
        }
        content.0.is_empty().then_some(Self {
            epoch,
            version,
            map,
        })
    }

    /// Write the snapshot to `folder`, durably, in place of the file that has this name.
    pub(crate) fn store(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        name: &str,
    ) -> Result<(), StoreError> {
        let path = folder.join(name);
        disk::replace(disk, &path, &self.encode())
            .map_err(|error| StoreError::io("writing", &path, &error))
    }

    /// Read the snapshot in `folder` that has this name. `Ok(None)` if there is none, [`StoreError::Corrupt`] if it is
    /// damaged, [`StoreError::Format`] if another version of this program wrote it.
    pub(crate) fn load(
        disk: &dyn Disk,
        folder: &Path,
        name: &str,
    ) -> Result<Option<Self>, StoreError> {
        let path = folder.join(name);
        let octets = disk::read_whole(disk, &path)
            .map_err(|error| StoreError::io("reading", &path, &error))?;
        let Some(octets) = octets else {
            return Ok(None);
        };
        Self::parse(&octets)
            .map(Some)
            .map_err(|unreadable| match unreadable {
                Unreadable::Damaged => StoreError::Corrupt {
                    file: path,
                    offset: 0,
                    reason: "the checksum does not match".into(),
                },
                Unreadable::Version(version) => StoreError::version(&path, version, FORMAT),
            })
    }
}

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged,
    /// It is whole, and of another version.
    Version(u32),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::OsDisk;

    fn snapshot(entries: Vec<(Vec<u8>, Vec<u8>)>) -> Snapshot {
        Snapshot {
            epoch: 3,
            version: 77,
            map: entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn comes_back_and_no_flipped_bit_passes(
            entries in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..20), proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
            flip in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let snapshot = snapshot(entries);
            let mut octets = snapshot.encode();
            prop_assert_eq!(Snapshot::parse(&octets), Ok(snapshot));
            let at = flip.index(octets.len());
            octets[at] ^= 1 << bit;
            prop_assert_eq!(Snapshot::parse(&octets), Err(Unreadable::Damaged));
        }
    }

    #[test]
    fn replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let load = |name| Snapshot::load(&OsDisk, folder.path(), name).unwrap();
        for name in FILES {
            assert_eq!(load(name), None);
            for version in 1..4 {
                let mut new = snapshot(vec![(b"key".to_vec(), b"value".to_vec())]);
                new.version = version;
                new.store(&OsDisk, folder.path(), name).unwrap();
                assert_eq!(load(name), Some(new));
            }
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let mut octets = snapshot(vec![]).encode();
        octets[8] = 2;
        let end = octets.len() - 4;
        let crc = crc32c::crc32c(&octets[..end]);
        octets[end..].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(folder.path().join(SNAPSHOT), octets).unwrap();
        match Snapshot::load(&OsDisk, folder.path(), SNAPSHOT) {
            Err(StoreError::Format(text)) => assert!(text.contains("version 2"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}
