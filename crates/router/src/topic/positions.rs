//! Places in a key, as a set of bits: place `n` lies before word `n`, the last one after all words.

/// A set of places below `64 * W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions<const W: usize>([u64; W]);

impl<const W: usize> Positions<W> {
    /// How many places there can be.
    pub(super) const COUNT: usize = W * 64;

    pub(super) fn empty() -> Self {
        Self([0; W])
    }

    pub(super) fn one(place: usize) -> Self {
        let mut positions = Self::empty();
        positions.insert(place);
        positions
    }

    /// All places from `first` to `last`, both included.
    pub(super) fn range(first: usize, last: usize) -> Self {
        let mut positions = Self::empty();
        for (number, word) in positions.0.iter_mut().enumerate() {
            // The bits of this word that are below a place.
            let below = |place: usize| match place.saturating_sub(number * 64) {
                bits @ 0..64 => (1 << bits) - 1,
                _ => u64::MAX,
            };
            *word = below(last + 1) & !below(first);
        }
        positions
    }

    pub(super) fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word &= !(1 << (place % 64));
        }
    }

    pub(super) fn contains(&self, place: usize) -> bool {
        let word = self.0.get(place / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The first place in the set.
    pub(super) fn first(&self) -> Option<usize> {
        let number = self.0.iter().position(|word| *word != 0)?;
        Some(number * 64 + self.0[number].trailing_zeros() as usize)
    }

    /// The place in the set if it is the only one.
    pub(super) fn only(&self) -> Option<usize> {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        if count == 1 { self.first() } else { None }
    }

    pub(super) fn both(&self, other: &Self) -> Self {
        let mut both = *self;
        for (word, other) in both.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
        both
    }

    /// Every place one word on.
    pub(super) fn advanced(&self) -> Self {
        let mut advanced = *self;
        let mut carry = 0;
        for word in &mut advanced.0 {
            let next_carry = *word >> 63;
            *word = *word << 1 | carry;
            carry = next_carry;
        }
        advanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    type Three = Positions<3>;

    fn of(places: &BTreeSet<usize>) -> Three {
        let mut positions = Three::empty();
        for place in places {
            positions.insert(*place);
        }
        positions
    }

    fn places(positions: &Three) -> BTreeSet<usize> {
        (0..Three::COUNT)
            .filter(|place| positions.contains(*place))
            .collect()
    }

    proptest! {
        #[test]
        fn positions_are_a_set(
            one in prop::collection::btree_set(0..191_usize, 0..5),
            other in prop::collection::btree_set(0..191_usize, 0..191),
            place in 0..191_usize,
        ) {
            let positions = of(&one);
            prop_assert_eq!(&places(&positions), &one);
            prop_assert_eq!(positions.is_empty(), one.is_empty());
            prop_assert_eq!(positions.first(), one.first().copied());
            let only = if one.len() == 1 { one.first().copied() } else { None };
            prop_assert_eq!(positions.only(), only);
            let both: BTreeSet<usize> = one.intersection(&other).copied().collect();
            prop_assert_eq!(places(&positions.both(&of(&other))), both);
            let advanced: BTreeSet<usize> = one.iter().map(|place| place + 1).collect();
            prop_assert_eq!(places(&positions.advanced()), advanced);
            prop_assert_eq!(places(&Three::one(place)), BTreeSet::from([place]));
            prop_assert_eq!(places(&Three::range(place, 190)), (place..=190).collect());
            prop_assert_eq!(places(&Three::range(0, place)), (0..=place).collect());
            let mut less = of(&other);
            less.remove(place);
            let mut expected = other;
            expected.remove(&place);
            prop_assert_eq!(places(&less), expected);
        }
    }
}
