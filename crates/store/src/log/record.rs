//! Records of the message log.
//!
//! ```text
//!  0 length  u32  octets from `kind` to the end, without padding
//!  4 crc     u32  CRC32C of length and of everything after `crc`, seeded with salt, segment and offset
//!  8 kind    u8
//!  9 flags   u8
//! 10 count   u16  entries
//! 12 body    u32  put: octets of the message's body; else 0
//! 16 entries, then the payload, then zeros up to a multiple of 8
//! ```
//!
//! The seed makes a record valid only where it was written: an old one in a recycled or misplaced file never
//! validates, and neither does one that a publisher forged inside a message body, since the salt is not known to it.

use leveret_wire::Message;

use crate::octets::{Octets, put_sized, wide};
use crate::{Change, QueueId, Seq};

/// Octets before the entries.
pub(crate) const RECORD_HEADER: usize = 16;
/// Octets before what `length` counts.
const LENGTH_AND_CRC: usize = 8;
/// Records begin at multiples of this, so that the index can keep offsets in fewer bits.
pub(crate) const ALIGNMENT: usize = 8;
/// Entries in one record at most; `count` is 16 bits wide.
pub(crate) const ENTRIES_MAX: usize = 32_768;
/// Octets of one record at most: far above any message a broker takes (`RabbitMQ` stops at 512 MiB).
pub(crate) const RECORD_MAX: usize = 1 << 30;
/// Octets of one stored message, or of one change of definitions, at most: leaves room for the entries of a record.
pub(crate) const MESSAGE_MAX: usize = RECORD_MAX - ENTRIES_MAX * PUT_ENTRY - 4096;
/// Put that need not survive a restart.
const TRANSIENT: u8 = 1;

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message and the (queue, sequence) places it took.
    Put = 1,
    /// Ranges of messages that are done.
    Settle = 2,
    /// Ranges of messages and how often they have been delivered in all.
    Delivered = 3,
    /// Changes of the definitions.
    Definitions = 4,
    /// The start of a batch: proves that everything before a given offset was synced.
    Batch = 5,
}

impl Kind {
    fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Put,
            2 => Self::Settle,
            3 => Self::Delivered,
            4 => Self::Definitions,
            5 => Self::Batch,
            _ => return None,
        })
    }

    /// Octets of one entry.
    fn entry_len(self) -> usize {
        match self {
            Self::Put => PUT_ENTRY,
            Self::Settle => RANGE_ENTRY,
            Self::Delivered => MARK_ENTRY,
            Self::Definitions | Self::Batch => 0,
        }
    }
}

const PUT_ENTRY: usize = 16;
/// Octets of a settled range.
pub(crate) const RANGE_ENTRY: usize = 24;
/// Octets of a delivery count.
pub(crate) const MARK_ENTRY: usize = 28;

/// Messages `first..=last` of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) queue: QueueId,
    pub(crate) first: Seq,
    pub(crate) last: Seq,
}

/// A range whose messages have each been delivered `count` times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) range: Range,
    pub(crate) count: u32,
}

/// Where records get their CRC seeds from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// Of the store: random, chosen when the folder was made.
    pub(crate) salt: u32,
    /// Of the segment.
    pub(crate) segment: u32,
}

impl Seal {
    fn seed(self, offset: u64) -> u32 {
        // Odd multipliers: two places share a seed only by chance.
        let offset = u32::try_from(offset / 8).unwrap_or(u32::MAX);
        self.salt
            .wrapping_add(self.segment.wrapping_mul(0x9E37_79B1))
            .wrapping_add(offset.wrapping_mul(0x85EB_CA77))
    }

    fn crc(self, offset: u64, length: [u8; 4], rest: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.seed(offset), &length), rest)
    }
}

/// Octets that a put takes in the log.
pub(crate) fn put_len(message: &Message, entries: usize) -> usize {
    moved_len(message.encoded_len(), entries)
}

/// Octets that a put with a stored message of `payload` octets takes.
pub(crate) fn moved_len(payload: usize, entries: usize) -> usize {
    aligned(RECORD_HEADER + entries * PUT_ENTRY + payload)
}

/// `len` with its padding.
pub(crate) fn aligned(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT)
}

/// Writes one record at the end of `out`, from its header to [`Draft::finish`].
pub(crate) struct Draft<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, kind: Kind, count: usize) -> Self {
        let start = out.len();
        let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        let mut header = [0_u8; RECORD_HEADER];
        header[8] = kind as u8;
        header[10] = count[0];
        header[11] = count[1];
        out.extend_from_slice(&header);
        Self { out, start }
    }

    /// Write `octets` into the header at `at`.
    fn put_at(&mut self, at: usize, octets: &[u8]) {
        let at = self.start + at;
        if let Some(place) = self.out.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }

    fn put_entry(&mut self, queue: QueueId, numbers: &[u64]) {
        self.out.extend_from_slice(&queue.0.to_le_bytes());
        for number in numbers {
            self.out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Fill in length and CRC, and pad. `offset` is where the record will stand in its segment.
    fn finish(mut self, seal: Seal, offset: u64) {
        let len = self.out.len() - self.start - LENGTH_AND_CRC;
        let length = u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
        let rest = self.out.get(self.start + LENGTH_AND_CRC..).unwrap_or(&[]);
        let crc = seal.crc(offset, length, rest).to_le_bytes();
        self.put_at(0, &length);
        self.put_at(4, &crc);
        let end = self.start + aligned(self.out.len() - self.start);
        self.out.resize(end, 0);
    }
}

/// Append a put. `entries` are the places the message takes, at most [`ENTRIES_MAX`].
pub(crate) fn encode_put(
    out: &mut Vec<u8>,
    at: (Seal, u64),
    message: &Message,
    transient: bool,
    entries: &[(QueueId, Seq)],
) {
    let mut draft = Draft::new(out, Kind::Put, entries.len());
    let body = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
    draft.put_at(9, &[if transient { TRANSIENT } else { 0 }]);
    draft.put_at(12, &body.to_le_bytes());
    for (queue, seq) in entries {
        draft.put_entry(*queue, &[*seq]);
    }
    message.encode(draft.out);
    draft.finish(at.0, at.1);
}

/// Append a put again elsewhere: `payload` and `body` as they were read, with other entries.
pub(crate) fn encode_moved_put(
    out: &mut Vec<u8>,
    at: (Seal, u64),
    moved: (&[u8], u32, bool),
    entries: &[(QueueId, Seq)],
) {
    let (payload, body, transient) = moved;
    let mut draft = Draft::new(out, Kind::Put, entries.len());
    draft.put_at(9, &[if transient { TRANSIENT } else { 0 }]);
    draft.put_at(12, &body.to_le_bytes());
    for (queue, seq) in entries {
        draft.put_entry(*queue, &[*seq]);
    }
    draft.out.extend_from_slice(payload);
    draft.finish(at.0, at.1);
}

/// Append a settle of at most [`ENTRIES_MAX`] ranges.
pub(crate) fn encode_settle(out: &mut Vec<u8>, at: (Seal, u64), ranges: &[Range]) {
    let mut draft = Draft::new(out, Kind::Settle, ranges.len());
    for range in ranges {
        draft.put_entry(range.queue, &[range.first, range.last]);
    }
    draft.finish(at.0, at.1);
}

/// Append delivery counts of at most [`ENTRIES_MAX`] ranges.
pub(crate) fn encode_delivered(out: &mut Vec<u8>, at: (Seal, u64), marks: &[Mark]) {
    let mut draft = Draft::new(out, Kind::Delivered, marks.len());
    for Mark { range, count } in marks {
        draft.put_entry(range.queue, &[range.first, range.last]);
        draft.out.extend_from_slice(&count.to_le_bytes());
    }
    draft.finish(at.0, at.1);
}

/// The payload of a definitions record: the version it makes, then the changes.
pub(crate) fn encode_changes(version: u64, changes: &[Change]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&wide(changes.len()).to_le_bytes());
    for change in changes {
        match change {
            Change::Put { key, value } => {
                out.push(1);
                put_sized(&mut out, key);
                put_sized(&mut out, value);
            }
            Change::Delete { key } => {
                out.push(2);
                put_sized(&mut out, key);
            }
        }
    }
    out
}

fn parse_changes(payload: &[u8]) -> Option<(u64, Vec<Change>)> {
    let mut octets = Octets(payload);
    let version = octets.take_u64()?;
    let count = octets.take_u64()?;
    let mut changes = Vec::new();
    for _ in 0..count {
        let kind = octets.take_u8()?;
        let key = octets.take_sized()?.to_vec();
        changes.push(match kind {
            1 => Change::Put {
                key,
                value: octets.take_sized()?.to_vec(),
            },
            2 => Change::Delete { key },
            _ => return None,
        });
    }
    octets.0.is_empty().then_some((version, changes))
}

/// Append a definitions record around a payload of [`encode_changes`].
pub(crate) fn encode_definitions(out: &mut Vec<u8>, at: (Seal, u64), payload: &[u8]) {
    let draft = Draft::new(out, Kind::Definitions, 0);
    draft.out.extend_from_slice(payload);
    draft.finish(at.0, at.1);
}

/// Append the start of a batch: everything of this segment before `synced` was synced when it was written.
pub(crate) fn encode_batch(out: &mut Vec<u8>, at: (Seal, u64), synced: u64) {
    let draft = Draft::new(out, Kind::Batch, 0);
    draft.out.extend_from_slice(&synced.to_le_bytes());
    draft.finish(at.0, at.1);
}

/// Append a record of any kind, flags, count, body length and content: what no writer here would write.
pub(crate) fn encode_any(
    out: &mut Vec<u8>,
    at: (Seal, u64),
    head: (u8, u8, u16, u32),
    content: &[u8],
) {
    let (kind, flags, count, body) = head;
    let mut draft = Draft::new(out, Kind::Put, count.into());
    draft.put_at(8, &[kind, flags]);
    draft.put_at(12, &body.to_le_bytes());
    draft.out.extend_from_slice(content);
    draft.finish(at.0, at.1);
}

/// A record as it was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Octets from the segment's start.
    pub(crate) offset: u64,
    /// Octets with header and padding.
    pub(crate) len: usize,
    /// Octets of the message's body (put).
    pub(crate) body: u32,
    /// Need not survive a restart (put).
    pub(crate) transient: bool,
    pub(crate) kind: Kind,
    entries: &'a [u8],
    payload: &'a [u8],
}

/// Why no record was found at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Bad {
    #[error("the checksum does not match")]
    Crc,
    #[error("the length reaches past the end")]
    Length,
    #[error("the record makes no sense")]
    Shape,
}

/// Octets from `kind` on and the whole record's octets, if the first 8 octets at `octets` can be a record's.
pub(crate) fn announced_len(octets: &[u8]) -> Option<usize> {
    let length = usize::try_from(Octets(octets).take_u32()?).ok()?;
    (RECORD_HEADER - LENGTH_AND_CRC..=RECORD_MAX)
        .contains(&length)
        .then(|| aligned(length + LENGTH_AND_CRC))
}

impl<'a> Record<'a> {
    /// Read the record at the start of `octets`, which stands at `offset` of the segment of `seal`.
    pub(crate) fn parse(octets: &'a [u8], seal: Seal, offset: u64) -> Result<Self, Bad> {
        let mut rest = Octets(octets);
        let length = rest.take_u32().ok_or(Bad::Length)?;
        let crc = rest.take_u32().ok_or(Bad::Length)?;
        let len = usize::try_from(length).map_err(|_| Bad::Length)?;
        if !(RECORD_HEADER - LENGTH_AND_CRC..=RECORD_MAX).contains(&len) {
            return Err(Bad::Length);
        }
        let content = rest.take(len).ok_or(Bad::Length)?;
        let mut fields = Octets(content);
        // The shape first: it is cheap, and a search for the next record asks it of every eighth octet.
        let kind = fields.take_u8().and_then(Kind::of).ok_or(Bad::Shape)?;
        let flags = fields.take_u8().ok_or(Bad::Shape)?;
        let count = fields.take_u16().ok_or(Bad::Shape)?;
        let body = fields.take_u32().ok_or(Bad::Shape)?;
        let entries = fields
            .take(usize::from(count) * kind.entry_len())
            .ok_or(Bad::Shape)?;
        let ends = matches!(kind, Kind::Settle | Kind::Delivered);
        if flags > TRANSIENT || (ends && !fields.0.is_empty()) {
            return Err(Bad::Shape);
        }
        if seal.crc(offset, length.to_le_bytes(), content) != crc {
            return Err(Bad::Crc);
        }
        Ok(Self {
            offset,
            len: aligned(len + LENGTH_AND_CRC),
            body,
            transient: flags & TRANSIENT != 0,
            kind,
            entries,
            payload: fields.0,
        })
    }

    /// The stored form of the message (put).
    pub(crate) fn message(&self) -> &'a [u8] {
        self.payload
    }

    /// The places the message takes (put).
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = (QueueId, Seq)> + use<'a> {
        self.entries.chunks_exact(PUT_ENTRY).map(|entry| {
            let mut entry = Octets(entry);
            let queue = QueueId(entry.take_u64().unwrap_or_default());
            (queue, entry.take_u64().unwrap_or_default())
        })
    }

    /// The ranges settled (settle).
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range> + use<'a> {
        self.entries
            .chunks_exact(RANGE_ENTRY)
            .filter_map(|entry| take_range(&mut Octets(entry)))
    }

    /// The delivery counts (delivered).
    pub(crate) fn marks(&self) -> impl Iterator<Item = Mark> + use<'a> {
        self.entries.chunks_exact(MARK_ENTRY).filter_map(|entry| {
            let mut entry = Octets(entry);
            Some(Mark {
                range: take_range(&mut entry)?,
                count: entry.take_u32()?,
            })
        })
    }

    /// The version made and the changes that make it (definitions).
    pub(crate) fn changes(&self) -> Option<(u64, Vec<Change>)> {
        parse_changes(self.payload)
    }

    /// Up to where the segment was synced before this batch was written (batch).
    pub(crate) fn synced(&self) -> Option<u64> {
        (self.kind == Kind::Batch)
            .then(|| Octets(self.payload).take_u64())
            .flatten()
    }
}

fn take_range(entry: &mut Octets<'_>) -> Option<Range> {
    Some(Range {
        queue: QueueId(entry.take_u64()?),
        first: entry.take_u64()?,
        last: entry.take_u64()?,
    })
}

#[cfg(test)]
mod tests;
