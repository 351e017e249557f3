//! Segments of the store's log: any octets, and records of any content whose checksums are right, damaged or not.

use leveret_store::fuzz::{
    Record, SEGMENT_HEADER, Segment, read_segment, read_segment_header, reread_snapshot, seal,
};

use crate::allocation::bounded;
use crate::input::Input;

/// Octets that one of the segment's may come to: a change of definitions takes five at least.
const PER_OCTET: u64 = 64;

/// Salt and segment.
const SEAL: (u32, u32) = (0x5eed, 3);

/// Records of one input.
const RECORDS_MAX: usize = 64;

/// The input: what it is, then that.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    match choices.u8() % 4 {
        0 => check_raw(choices.bool(), choices.rest()),
        1 => check_snapshot(choices.rest()),
        _ => check_sealed(choices),
    }
}

/// Any octets: what is given of them has the checksum that a record of this place must have.
fn check_raw(newest: bool, octets: &[u8]) {
    let _ = read_segment_header(octets);
    let segment = bounded(octets.len(), PER_OCTET, || {
        read_segment(octets, SEAL, newest)
    });
    check_tiles(octets, newest, &segment);
}

/// A snapshot of definitions that can be read is written as it was, but for keys out of order or there twice.
fn check_snapshot(content: &[u8]) {
    let content = [b"LEVERDEF\x01\0\0\0", content].concat();
    let Some(written) = bounded(content.len(), PER_OCTET, || reread_snapshot(&content)) else {
        return;
    };
    assert_eq!(reread_snapshot(&written).as_ref(), Some(&written));
    assert!(written.len() <= content.len());
    assert_eq!(written[..28], content[..28]);
}

/// Records and places that were passed over cover the segment, one behind the other, up to an unfinished write.
fn check_tiles(octets: &[u8], newest: bool, segment: &Segment) {
    let records = segment.records.iter();
    let mut tiles: Vec<(u64, u64)> = segment.damage.clone();
    tiles.extend(
        records
            .clone()
            .map(|record| (record.offset, u64::try_from(record.len).unwrap())),
    );
    tiles.sort_unstable();
    let mut at = u64::try_from(SEGMENT_HEADER).unwrap();
    for (offset, len) in tiles {
        assert_eq!(offset, at);
        at += len;
    }
    let end = u64::try_from(octets.len()).unwrap();
    // The padding of the last record may be missing.
    assert!(at <= end.next_multiple_of(8).max(40));
    if newest {
        assert!(at.max(segment.end) + segment.torn <= end.max(at));
    } else {
        assert!(at >= end && segment.torn == 0);
    }
    for record in records {
        assert_eq!(checksum(octets, record), stored_checksum(octets, record));
        check_content(record);
    }
}

/// As it is written down: CRC32C of length and content, from a seed of salt, segment and place.
fn checksum(octets: &[u8], record: &Record) -> u32 {
    let at = usize::try_from(record.offset).unwrap();
    let length: [u8; 4] = octets[at..at + 4].try_into().unwrap();
    let len = usize::try_from(u32::from_le_bytes(length)).unwrap();
    let place = u32::try_from(record.offset / 8).unwrap();
    let seed = SEAL
        .0
        .wrapping_add(SEAL.1.wrapping_mul(0x9E37_79B1))
        .wrapping_add(place.wrapping_mul(0x85EB_CA77));
    let crc = crc32c::crc32c_append(seed, &length);
    crc32c::crc32c_append(crc, &octets[at + 8..at + 8 + len])
}

fn stored_checksum(octets: &[u8], record: &Record) -> u32 {
    let at = usize::try_from(record.offset).unwrap() + 4;
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

fn check_content(record: &Record) {
    let shown = (
        record.places.len(),
        record.ranges.len(),
        record.changes.is_some(),
    );
    match record.kind {
        1 => assert_eq!((shown.1, shown.2), (0, false)),
        2 | 3 => assert_eq!((shown.0, shown.2), (0, false)),
        4 => assert_eq!((shown.0, shown.1), (0, 0)),
        5 => assert_eq!(shown, (0, 0, false)),
        other => panic!("a record of kind {other}"),
    }
}

/// Sealed records, then damage.
fn check_sealed(mut choices: Input<'_>) {
    let newest = choices.bool();
    let mut octets = vec![0; SEGMENT_HEADER];
    let mut starts = Vec::new();
    let records = usize::from(choices.u8()) % RECORDS_MAX;
    for _ in 0..records {
        starts.push(octets.len());
        let kind = choices.u8();
        // Mostly kinds that there are, with counts that go with the content.
        let (kind, flags) = if kind < 240 {
            (kind % 5 + 1, 0)
        } else {
            (kind, choices.u8())
        };
        let content = choices.sized();
        let entry = [16, 24, 28][usize::from(kind.clamp(1, 3)) - 1];
        let count = match (kind, choices.u8()) {
            (1, count) => usize::from(count).min(content.len() / entry),
            (2 | 3, count) if count < 250 => content.len() / entry,
            (_, count) if count < 250 => 0,
            (_, count) => count.into(),
        };
        let content = match kind {
            2 | 3 if count < 250 => &content[..count * entry],
            _ => content,
        };
        // A batch vouches for what lies before a place of this segment.
        let synced = u64::try_from(starts[usize::from(choices.u8()) % starts.len()]).unwrap();
        let synced = synced.to_le_bytes();
        let content = if kind == 5 { &synced[..] } else { content };
        seal(
            &mut octets,
            SEAL,
            (kind, flags, u16::try_from(count).unwrap(), 0),
            content,
        );
    }
    let whole = bounded(octets.len(), PER_OCTET, || {
        read_segment(&octets, SEAL, newest)
    });
    check_tiles(&octets, newest, &whole);
    if choices.bool() {
        octets.resize(octets.len() + usize::from(choices.u8()), 0);
        assert_eq!(read_segment(&octets, SEAL, newest).records, whole.records);
    }
    let mut damaged = octets.clone();
    while !choices.is_empty() {
        let at = SEGMENT_HEADER + usize::from(choices.u16());
        let mask = choices.u8();
        if let Some(octet) = damaged.get_mut(at) {
            *octet ^= mask;
        }
    }
    let read = bounded(octets.len(), PER_OCTET, || {
        read_segment(&damaged, SEAL, newest)
    });
    check_tiles(&damaged, newest, &read);
    check_survivors(&octets, &damaged, &starts, &read, newest);
}

/// Nothing is given that was not written so, and behind the first damage of the newest segment only what a batch
/// vouches for.
fn check_survivors(octets: &[u8], damaged: &[u8], starts: &[usize], read: &Segment, newest: bool) {
    for record in &read.records {
        let at = usize::try_from(record.offset).unwrap();
        assert!(
            starts.contains(&at),
            "a record at {at}, where none was written"
        );
        let end = (at + record.len).min(octets.len());
        let len = usize::try_from(u32::from_le_bytes(octets[at..at + 4].try_into().unwrap()));
        let padding = at + 8 + len.unwrap()..end;
        assert_eq!(octets[at..padding.start], damaged[at..padding.start]);
    }
    let is_given = |start: &usize| {
        let mut records = read.records.iter();
        records.any(|record| record.offset == u64::try_from(*start).unwrap())
    };
    let Some(first_bad) = starts.iter().find(|start| !is_given(start)) else {
        return;
    };
    let first_bad = u64::try_from(*first_bad).unwrap();
    if newest && read.records.iter().any(|record| record.offset > first_bad) {
        // All that is whole, whether anything vouches for it or not.
        let whole = read_segment(damaged, SEAL, false).records;
        let mut later = whole.iter().filter(|record| record.offset > first_bad);
        let is_vouched = later.any(|record| record.synced.is_some_and(|synced| synced > first_bad));
        assert!(
            is_vouched,
            "what follows a hole at {first_bad} was not confirmed"
        );
    }
}
