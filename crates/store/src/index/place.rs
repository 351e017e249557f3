//! Where a message stands in its segment and how large it is, in four octets.

use crate::log::record::ALIGNMENT;
use crate::octets::index;

/// Bits of the offset, in units of [`ALIGNMENT`].
const OFFSET_BITS: u32 = 24;
/// Records begin before this offset, so a segment cannot be configured larger.
pub(crate) const SEGMENT_BYTES_MAX: u64 = (1 << OFFSET_BITS) * ALIGNMENT as u64;

/// The offset of a record (24 bits, in units of 8 octets) and its size (8 bits: a floating-point number with three
/// bits of mantissa, right within 6 %). Zero means that nothing live is there: the segment's header stands at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

impl Place {
    pub(crate) const NONE: Self = Self(0);

    /// `size` is the message's share of its record, in octets.
    pub(crate) fn new(offset: u64, size: usize) -> Self {
        let units = u32::try_from(offset / ALIGNMENT as u64).unwrap_or(0);
        Self((size_class(size) << OFFSET_BITS) | (units & ((1 << OFFSET_BITS) - 1)))
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Octets from the segment's start.
    pub(crate) fn offset(self) -> u64 {
        u64::from(self.0 & ((1 << OFFSET_BITS) - 1)) * ALIGNMENT as u64
    }

    /// The size, roughly.
    pub(crate) fn size(self) -> u64 {
        let class = self.0 >> OFFSET_BITS;
        let exponent = class >> MANTISSA_BITS;
        let mantissa = u64::from(class & ((1 << MANTISSA_BITS) - 1));
        // The middle of what the class stands for.
        ((8 + mantissa) * 2 + 1) << exponent
    }
}

const MANTISSA_BITS: u32 = 3;
/// Sizes below 2 to this count as this.
const SMALLEST_LOG: u32 = MANTISSA_BITS + 1;

fn size_class(size: usize) -> u32 {
    let size = size.max(1 << SMALLEST_LOG);
    let log = size.ilog2();
    let mantissa = (size >> (log - MANTISSA_BITS)) & ((1 << MANTISSA_BITS) - 1);
    let mantissa = u32::try_from(mantissa).unwrap_or(0);
    (((log - SMALLEST_LOG) << MANTISSA_BITS) | mantissa).min(0xFF)
}

/// Whether an offset can be kept in a [`Place`].
pub(crate) fn fits(offset: u64) -> bool {
    offset < SEGMENT_BYTES_MAX && index(offset).is_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_back_and_sizes_roughly() {
        for offset in [40, 48, 1 << 20, SEGMENT_BYTES_MAX - 8] {
            for size in [16_usize, 17, 100, 144, 4096, 65_535, 1 << 20, 1 << 30] {
                let place = Place::new(offset, size);
                assert!(!place.is_none());
                assert_eq!(place.offset(), offset);
                let size = u64::try_from(size).unwrap();
                let off = place.size().abs_diff(size);
                assert!(
                    off * 100 <= size * 7,
                    "{size} came back as {}",
                    place.size()
                );
            }
        }
    }

    #[test]
    fn the_smallest_record_is_not_mistaken_for_none() {
        assert!(!Place::new(40, 0).is_none());
        assert!(Place::NONE.is_none());
    }
}
