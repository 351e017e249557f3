//! Segment files: their names, their first octets, how one is made.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, LogFile};
use crate::log::record::Seal;
use crate::octets::Octets;

/// Octets of the header; the first record begins here.
pub(crate) const SEGMENT_HEADER: u64 = 40;
const SEGMENT_HEADER_LEN: usize = 40;
const MAGIC: &[u8; 8] = b"LEVERSEG";
pub(crate) const VERSION: u32 = 1;

/// What the first octets of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Header(Header),
    /// It is a segment, and of another version.
    Version(u32),
    /// No header, or a damaged one.
    Nothing,
}

/// What stands at the start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) seal: Seal,
    /// The epoch of the store when the segment was made.
    pub(crate) epoch: u64,
}

impl Header {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.seal.salt.to_le_bytes());
        out.extend_from_slice(&u64::from(self.seal.segment).to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header at the start of `octets`.
    pub(crate) fn find(octets: &[u8]) -> Found {
        Self::parse(octets).unwrap_or(Found::Nothing)
    }

    fn parse(octets: &[u8]) -> Option<Found> {
        let octets = octets.get(..SEGMENT_HEADER_LEN)?;
        let (head, crc) = octets.split_at_checked(SEGMENT_HEADER_LEN - 4)?;
        if crc32c::crc32c(head).to_le_bytes() != crc {
            return None;
        }
        let mut head = Octets(head.strip_prefix(MAGIC)?);
        let version = head.take_u32()?;
        if version != VERSION {
            return Some(Found::Version(version));
        }
        let salt = head.take_u32()?;
        let segment = u32::try_from(head.take_u64()?).ok()?;
        let epoch = head.take_u64()?;
        Some(Found::Header(Self {
            seal: Seal { salt, segment },
            epoch,
        }))
    }

    /// The header of the file at `path`.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Found> {
        let mut octets = [0; SEGMENT_HEADER_LEN];
        disk.open(path, false)?.read_at(&mut octets, 0)?;
        Ok(Self::find(&octets))
    }
}

/// Where segment `number` stands in `folder`.
pub(crate) fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

/// The number of a segment file, if the name is one's.
pub(crate) fn number_of(name: &Path) -> Option<u32> {
    let digits = name.to_str()?.strip_suffix(".log")?;
    (digits.len() == 10).then(|| digits.parse().ok()).flatten()
}

/// Make a segment file of `octets` octets, all of them reserved, and make its existence durable.
pub(crate) fn create(
    disk: &dyn Disk,
    folder: &Path,
    header: Header,
    octets: u64,
) -> io::Result<Box<dyn LogFile>> {
    let path = path(folder, header.seal.segment);
    let file = disk.open(&path, true)?;
    let made = file
        .allocate(octets)
        .and_then(|()| file.write_all_at(&header.encode(), 0))
        .and_then(|()| file.sync_all())
        .and_then(|()| disk.sync_folder(folder));
    if let Err(error) = made {
        // What could not be made whole must not stay: it holds no record, so removing it loses nothing.
        let _ = disk.remove(&path);
        return Err(error);
    }
    Ok(file)
}
