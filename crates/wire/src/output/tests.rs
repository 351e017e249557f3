use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

impl OutputBuffer {
    /// Everything that waits, for assertions.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = self.chunks(&mut slices);
        let octets: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|s| s.iter().copied())
            .collect();
        assert_eq!(octets.len(), self.len(), "64 slices were too few");
        octets
    }
}

#[test]
fn large_octets_are_not_copied_and_small_ones_are() {
    let large = Bytes::from(vec![1; SHARE_MIN]);
    let small = Bytes::from(vec![2; SHARE_MIN - 1]);
    let mut out = OutputBuffer::new();
    out.put_u8(0);
    out.put_bytes(large.clone());
    out.put_bytes(small.clone());
    let mut slices = [IoSlice::new(&[]); 8];
    assert_eq!(out.chunks(&mut slices), 3);
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
    assert_ne!(slices[2].as_ptr(), small.as_ptr());
}

#[test]
fn too_few_slices_are_filled_from_the_front() {
    let mut out = OutputBuffer::new();
    for octet in 0..4 {
        out.put_u8(octet);
        out.put_bytes(Bytes::from(vec![octet; SHARE_MIN]));
    }
    let mut slices = [IoSlice::new(&[]); 3];
    assert_eq!(out.chunks(&mut slices), 3);
    let lengths: Vec<_> = slices.iter().map(|slice| slice.len()).collect();
    assert_eq!(lengths, [1, SHARE_MIN, 1]);
    assert_eq!(out.chunks(&mut []), 0);
}

#[test]
fn an_emptied_buffer_keeps_its_capacity_up_to_the_mark() {
    let mut out = OutputBuffer::new();
    out.put_slice(&vec![0; KEPT_CAPACITY / 2]);
    out.advance(usize::MAX);
    assert!(out.is_empty());
    let kept = out.copied.capacity();
    assert!(
        (KEPT_CAPACITY / 2..=KEPT_CAPACITY).contains(&kept),
        "{kept}"
    );
    out.put_slice(&vec![0; 4 * KEPT_CAPACITY]);
    out.advance(4 * KEPT_CAPACITY);
    assert!(out.copied.capacity() <= KEPT_CAPACITY);
}

#[test]
fn a_peer_that_never_catches_up_does_not_grow_the_buffer() {
    let mut out = OutputBuffer::new();
    out.put_u8(1);
    for _ in 0..1000 {
        out.put_slice(&[0; 1024]);
        out.advance(1024);
    }
    assert_eq!(out.len(), 1);
    assert!(out.copied.len() <= 2 * COMPACT_MIN + 1024);
}

#[derive(Clone, Debug)]
enum Step {
    Slice(usize),
    Shared(usize),
    Numbers,
    Advance(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..40_000_usize).prop_map(Step::Slice),
        4 => (0..3 * SHARE_MIN).prop_map(Step::Shared),
        4 => Just(Step::Numbers),
        6 => (0..120_000_usize).prop_map(Step::Advance),
        1 => Just(Step::Clear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_goes_in_comes_out_in_order(steps in vec(step(), 1..40)) {
        let mut out = OutputBuffer::new();
        let mut model: VecDeque<u8> = VecDeque::new();
        let mut seed = 0_u8;
        for step in steps {
            seed = seed.wrapping_add(1);
            match step {
                Step::Slice(length) => {
                    out.put_slice(&vec![seed; length]);
                    model.extend(vec![seed; length]);
                }
                Step::Shared(length) => {
                    out.put_bytes(Bytes::from(vec![seed; length]));
                    model.extend(vec![seed; length]);
                }
                Step::Numbers => {
                    out.put_u8(1);
                    out.put_u16(0x0203);
                    out.put_u32(0x0405_0607);
                    out.put_u64(0x0809_0a0b_0c0d_0e0f);
                    model.extend(1..=15);
                }
                Step::Advance(count) => {
                    out.advance(count);
                    model.drain(..count.min(model.len()));
                }
                Step::Clear => {
                    out.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(out.len(), model.len());
            prop_assert_eq!(out.is_empty(), model.is_empty());
        }
        let octets = out.to_vec();
        prop_assert!(octets.iter().eq(model.iter()));
    }
}
