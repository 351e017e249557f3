use super::*;
use crate::QueueId;
use crate::conformance::message;
use crate::log::record::{encode_batch, encode_put};

const SEAL: Seal = Seal {
    salt: 99,
    segment: 1,
};

/// A segment of batches of puts, numbered from 0; each batch says that everything before it is synced. Returns where
/// each put begins, too.
fn segment(batches: &[u64], body: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut octets = vec![1; index(SEGMENT_HEADER)];
    let mut starts = Vec::new();
    let mut seq = 0;
    for batch in batches {
        let at = wide(octets.len());
        encode_batch(&mut octets, (SEAL, at), at);
        for _ in 0..*batch {
            starts.push(octets.len());
            let at = wide(octets.len());
            let places = [(QueueId(1), seq)];
            encode_put(&mut octets, (SEAL, at), &message("k", body), false, &places);
            seq += 1;
        }
    }
    (octets, starts)
}

/// The sequences of the puts found.
fn seqs(octets: &[u8], newest: bool) -> (Vec<u64>, Scanned) {
    let mut seqs = Vec::new();
    let scanned = scan(octets, SEAL, newest, |record| {
        if record.kind == crate::log::record::Kind::Put {
            seqs.extend(record.places().map(|(_, seq)| seq));
        }
    });
    (seqs, scanned)
}

#[test]
fn a_whole_segment_is_read_to_its_end() {
    let (mut octets, _) = segment(&[3, 2], b"body");
    let end = wide(octets.len());
    octets.resize(octets.len() + 5000, 0);
    let (found, scanned) = seqs(&octets, true);
    assert_eq!(found, [0, 1, 2, 3, 4]);
    assert_eq!((scanned.end, scanned.torn), (end, 0));
    assert!(scanned.damage.is_empty());
    assert_eq!(scanned.records, 7);
}

#[test]
fn an_unfinished_write_ends_the_newest_segment_wherever_it_was_cut() {
    let (octets, starts) = segment(&[2, 3], b"some body");
    let length = octets[starts[3]..].first_chunk().unwrap();
    // A record without its padding is whole.
    let unpadded = starts[3] + 8 + usize::try_from(u32::from_le_bytes(*length)).unwrap();
    for len in starts[3]..unpadded {
        let mut cut = octets[..len].to_vec();
        cut.resize(len + 64, 0);
        let (found, scanned) = seqs(&cut, true);
        assert_eq!(found, [0, 1, 2], "cut at {len}");
        assert_eq!(scanned.end, wide(starts[3]));
        assert!(scanned.damage.is_empty());
    }
}

#[test]
fn a_torn_batch_ends_the_newest_segment_even_if_its_later_records_are_whole() {
    let (mut octets, starts) = segment(&[2, 4], b"some body");
    octets[starts[3] + 20] ^= 1;
    let (found, scanned) = seqs(&octets, true);
    assert_eq!(found, [0, 1, 2], "what follows a hole was not confirmed");
    assert!(scanned.torn > 0);
    assert_eq!(scanned.end, wide(starts[3]));
}

#[test]
fn damage_that_a_later_batch_vouches_for_is_passed_over() {
    for flip in [0, 5, 8, 11, 20, 50] {
        let (mut octets, starts) = segment(&[2, 2, 1], b"a body that is long enough to be hit");
        octets[starts[1] + flip] ^= 0x10;
        let (found, scanned) = seqs(&octets, true);
        assert_eq!(found, [0, 2, 3, 4], "flipped octet {flip}");
        assert_eq!(scanned.damage.len(), 1);
        assert_eq!(scanned.damage[0].offset, wide(starts[1]));
        assert_eq!(scanned.torn, 0);
    }
}

#[test]
fn damage_in_an_older_segment_costs_only_what_it_hit() {
    let (whole, starts) = segment(&[5], b"a body");
    for flip in 0..starts[3] - starts[2] {
        let mut octets = whole.clone();
        octets[starts[2] + flip] ^= 0x80;
        let (found, scanned) = seqs(&octets, false);
        let padding = scanned.damage.is_empty();
        let expected: &[u64] = if padding {
            &[0, 1, 2, 3, 4]
        } else {
            &[0, 1, 3, 4]
        };
        assert_eq!(found, expected, "flipped octet {flip}");
    }
    let mut zeroed = whole.clone();
    zeroed[starts[1]..starts[3]].fill(0);
    let (found, scanned) = seqs(&zeroed, false);
    assert_eq!((found, scanned.damage.len()), (vec![0, 3, 4], 1));
    let (found, scanned) = seqs(&whole[..starts[3] + 9], false);
    assert_eq!((found, scanned.damage.len()), (vec![0, 1, 2], 1));
}

#[test]
fn records_forged_inside_a_body_are_never_taken_for_real() {
    // What a publisher could send: records as they look on disk, but sealed with a salt it made up.
    let mut forged = Vec::new();
    let guess = Seal { salt: 98, ..SEAL };
    for at in 0..40 {
        let places = [(QueueId(1), 1000 + at)];
        encode_put(
            &mut forged,
            (guess, 40 + at),
            &message("k", b"forged"),
            false,
            &places,
        );
    }
    let (mut octets, starts) = segment(&[3], &forged);
    // The length is hit, so the search goes through the body.
    octets[starts[1] + 2] ^= 1;
    let (found, scanned) = seqs(&octets, false);
    assert_eq!(found, [0, 2]);
    assert_eq!(scanned.damage.len(), 1);
}

#[test]
fn a_segment_that_is_all_garbage_is_given_up_soon() {
    // Every eighth octet begins what looks like a long record.
    let mut octets = vec![1; index(SEGMENT_HEADER)];
    for _ in 0..40_000 {
        octets.extend_from_slice(&[0, 0, 1, 0, 9, 9, 9, 9, 4, 0, 0, 0, 0, 0, 0, 0]);
    }
    let begun = std::time::Instant::now();
    let (found, scanned) = seqs(&octets, false);
    assert!(found.is_empty());
    assert_eq!(scanned.damage.len(), 1);
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn a_damaged_length_does_not_lead_past_good_records() {
    let (whole, starts) = segment(&[6], b"some body");
    for skipped in 2..4 {
        let mut octets = whole.clone();
        // The second record now seems to end where a later one does.
        let length = u32::try_from(starts[1 + skipped] - starts[1] - 8).unwrap();
        octets[starts[1]..starts[1] + 4].copy_from_slice(&length.to_le_bytes());
        let (found, scanned) = seqs(&octets, false);
        assert_eq!(found, [0, 2, 3, 4, 5]);
        assert_eq!(scanned.damage.len(), 1);
    }
}
