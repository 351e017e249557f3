use proptest::prelude::*;

use super::*;
use crate::conformance::message;

const SEAL: Seal = Seal {
    salt: 0x5EED_5A17,
    segment: 3,
};

fn parse(octets: &[u8]) -> Result<Record<'_>, Bad> {
    Record::parse(octets, SEAL, 4096)
}

fn put(body: &[u8], places: &[(QueueId, Seq)]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_put(&mut out, (SEAL, 4096), &message("key", body), false, places);
    out
}

fn any_range() -> impl Strategy<Value = Range> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(queue, first, last)| Range {
        queue: QueueId(queue),
        first,
        last,
    })
}

fn any_change() -> impl Strategy<Value = Change> {
    let octets = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (octets(), octets()).prop_map(|(key, value)| Change::Put { key, value }),
        octets().prop_map(|key| Change::Delete { key }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn puts_come_back(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        places in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..9),
        transient in any::<bool>(),
    ) {
        let places: Vec<_> = places.into_iter().map(|(queue, seq)| (QueueId(queue), seq)).collect();
        let message = message("a key", &body);
        let mut out = Vec::new();
        encode_put(&mut out, (SEAL, 4096), &message, transient, &places);
        prop_assert_eq!(out.len(), put_len(&message, places.len()));
        let record = parse(&out).unwrap();
        prop_assert_eq!(record.kind, Kind::Put);
        prop_assert_eq!(record.len, out.len());
        prop_assert_eq!(record.transient, transient);
        prop_assert_eq!(usize::try_from(record.body).unwrap(), body.len());
        prop_assert_eq!(record.places().collect::<Vec<_>>(), places.clone());
        let back = Message::decode(bytes::Bytes::copy_from_slice(record.message())).unwrap();
        prop_assert_eq!(back.body(), body.as_slice());
        // Moved, it is the same message with the places it is given.
        let mut moved = Vec::new();
        let content = (record.message(), record.body, record.transient);
        encode_moved_put(&mut moved, (SEAL, 4096), content, &places);
        prop_assert_eq!(moved, out);
    }

    #[test]
    fn ranges_come_back(ranges in proptest::collection::vec(any_range(), 0..20), count in any::<u32>()) {
        let mut out = Vec::new();
        encode_settle(&mut out, (SEAL, 4096), &ranges);
        prop_assert_eq!(parse(&out).unwrap().ranges().collect::<Vec<_>>(), ranges.clone());
        out.clear();
        let marks: Vec<_> = ranges.iter().map(|range| Mark { range: *range, count }).collect();
        encode_delivered(&mut out, (SEAL, 4096), &marks);
        prop_assert_eq!(parse(&out).unwrap().marks().collect::<Vec<_>>(), marks);
    }

    #[test]
    fn changes_come_back(changes in proptest::collection::vec(any_change(), 0..8), version in any::<u64>()) {
        let mut out = Vec::new();
        encode_definitions(&mut out, (SEAL, 4096), &encode_changes(version, &changes));
        prop_assert_eq!(parse(&out).unwrap().changes(), Some((version, changes)));
    }

    #[test]
    fn no_flipped_bit_passes(
        body in proptest::collection::vec(any::<u8>(), 0..60),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut octets = put(&body, &[(QueueId(1), 2), (QueueId(3), 4)]);
        // Padding is outside of the record.
        let len = 8 + usize::try_from(u32::from_le_bytes(*octets.first_chunk().unwrap())).unwrap();
        let at = at.index(len);
        octets[at] ^= 1 << bit;
        prop_assert!(parse(&octets).is_err());
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&octets);
        let mut likely = octets;
        if likely.len() > 12 {
            likely[1..4].fill(0);
            likely[8] %= 6;
            likely[9] = 0;
            likely[11] = 0;
        }
        let _ = parse(&likely);
        let _ = parse_changes(&likely);
    }
}

#[test]
fn a_record_is_valid_only_where_it_was_written() {
    let octets = put(b"body", &[(QueueId(1), 2)]);
    assert!(Record::parse(&octets, SEAL, 4096).is_ok());
    assert_eq!(Record::parse(&octets, SEAL, 4104).err(), Some(Bad::Crc));
    for other in [Seal { segment: 4, ..SEAL }, Seal { salt: 1, ..SEAL }] {
        assert_eq!(Record::parse(&octets, other, 4096).err(), Some(Bad::Crc));
    }
}

#[test]
fn a_cut_record_is_none_and_zeros_are_none() {
    let octets = put(b"body", &[(QueueId(1), 2)]);
    let unpadded = 8 + usize::try_from(u32::from_le_bytes(*octets.first_chunk().unwrap())).unwrap();
    for len in 0..unpadded {
        assert_eq!(
            parse(&octets[..len]).err(),
            Some(Bad::Length),
            "cut to {len}"
        );
    }
    assert_eq!(parse(&[0; 64]).err(), Some(Bad::Length));
}

#[test]
fn a_batch_says_up_to_where_it_is_synced() {
    let mut out = Vec::new();
    encode_batch(&mut out, (SEAL, 4096), 777);
    assert_eq!(parse(&out).unwrap().synced(), Some(777));
    assert_eq!(parse(&put(b"", &[])).unwrap().synced(), None);
}
