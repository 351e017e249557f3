//! What the fuzzers (`tests/fuzz`) need of this crate's inside. No part of its interface.

use leveret_wire::Message;

use crate::definitions::Snapshot;
use crate::log::record::{self, Kind, Seal};
use crate::log::scan::scan;
use crate::log::segment::{Found, Header};
use crate::octets::wide;
use crate::{Change, QueueId, Seq};

/// Octets before the first record of a segment.
pub const SEGMENT_HEADER: usize = 40;

/// A record that the reader of segments has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Octets from the segment's start.
    pub offset: u64,
    /// Octets with header and padding.
    pub len: usize,
    /// The kind's octet.
    pub kind: u8,
    /// What a put takes.
    pub places: Vec<(QueueId, Seq)>,
    /// First, last and, of delivery marks, count.
    pub ranges: Vec<(QueueId, Seq, Seq, u32)>,
    /// Changes of definitions, with their version.
    pub changes: Option<(u64, Vec<Change>)>,
    /// What a batch says is synced.
    pub synced: Option<u64>,
}

/// What reading a segment came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The records given, in order.
    pub records: Vec<Record>,
    /// Where the last one ends.
    pub end: u64,
    /// Octets of an unfinished write after that.
    pub torn: u64,
    /// Places passed over: offset and octets.
    pub damage: Vec<(u64, u64)>,
}

/// Append a record of any content to a segment, with the checksum that makes it valid there.
pub fn seal(segment: &mut Vec<u8>, seal: (u32, u32), head: (u8, u8, u16, u32), content: &[u8]) {
    let (kind, flags, count, body) = head;
    let at = (seal_of(seal), wide(segment.len()));
    record::encode_any(segment, at, (kind, flags, count, body), content);
}

/// Read the records of a segment as an opening does. `newest`: no later one holds a record.
pub fn read_segment(octets: &[u8], seal: (u32, u32), newest: bool) -> Segment {
    let mut records = Vec::new();
    let scanned = scan(octets, seal_of(seal), newest, |record| {
        let ranges = record.ranges().map(|range| (range, 0));
        let marks = record.marks().map(|mark| (mark.range, mark.count));
        let ranges: Vec<_> = match record.kind {
            Kind::Settle => ranges.collect(),
            Kind::Delivered => marks.collect(),
            Kind::Put | Kind::Definitions | Kind::Batch => Vec::new(),
        };
        let is_put = record.kind == Kind::Put;
        if is_put {
            // What does not decode is reported when it is fetched.
            let _ = Message::decode(record.message().to_vec().into());
        }
        records.push(Record {
            offset: record.offset,
            len: record.len,
            kind: record.kind as u8,
            places: if is_put {
                record.places().collect()
            } else {
                Vec::new()
            },
            ranges: ranges
                .into_iter()
                .map(|(range, count)| (range.queue, range.first, range.last, count))
                .collect(),
            changes: (record.kind == Kind::Definitions)
                .then(|| record.changes())
                .flatten(),
            synced: record.synced(),
        });
    });
    Segment {
        records,
        end: scanned.end,
        torn: scanned.torn,
        damage: scanned
            .damage
            .iter()
            .map(|place| (place.offset, place.len))
            .collect(),
    }
}

/// Salt, segment and epoch that the header of a segment file names; `None` if there is none that can be read.
pub fn read_segment_header(octets: &[u8]) -> Option<(u32, u32, u64)> {
    match Header::find(octets) {
        Found::Header(header) => Some((header.seal.salt, header.seal.segment, header.epoch)),
        Found::Version(_) | Found::Nothing => None,
    }
}

/// Read a snapshot of definitions with its checksum put right, and write it again without one.
pub fn reread_snapshot(content: &[u8]) -> Option<Vec<u8>> {
    let crc = crc32c::crc32c(content).to_le_bytes();
    let snapshot = Snapshot::parse(&[content, &crc].concat()).ok()?;
    let mut written = snapshot.encode();
    written.truncate(written.len() - crc.len());
    Some(written)
}

fn seal_of((salt, segment): (u32, u32)) -> Seal {
    Seal { salt, segment }
}
