//! Random choices of routes.

use crate::hash::spread;
use std::hash::{BuildHasher, RandomState};

/// A generator of random numbers (`splitmix64`): quick, even, and nothing for secrets.
#[derive(Default)]
pub(crate) struct Dice {
    /// `None` until the first throw: most scratches never see a random exchange.
    state: Option<u64>,
}

impl Dice {
    /// Dice whose throws follow from `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: Some(seed) }
    }

    /// One of `items`, each as likely as the others; `None` only if there are none.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        match items {
            [] => None,
            [only] => Some(only),
            _ => items.get(share(self.throw(), items.len())),
        }
    }

    fn throw(&mut self) -> u64 {
        let state = self
            .state
            .get_or_insert_with(|| RandomState::new().hash_one(0_u8));
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        spread(*state)
    }
}

/// A number below `count` from one that is evenly spread over all 64-bit numbers.
pub(crate) fn share(number: u64, count: usize) -> usize {
    // The upper half of the product: below `count`, so that it fits.
    usize::try_from((u128::from(number) * count as u128) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_as_often_as_another() {
        let mut dice = Dice::seeded(7);
        let items = [0_usize, 1, 2, 3, 4];
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            counts[*dice.pick(&items).unwrap()] += 1;
        }
        // Five standard deviations of a fair draw are 200; the seed makes the counts the same
        // every time.
        assert!(
            counts.iter().all(|count| count.abs_diff(2_000) < 200),
            "{counts:?}"
        );
    }

    #[test]
    fn one_item_is_picked_and_none_is_not() {
        let mut dice = Dice::default();
        assert_eq!(dice.pick(&['a']), Some(&'a'));
        assert_eq!(dice.pick::<char>(&[]), None);
    }

    #[test]
    fn dice_without_a_seed_differ() {
        let throws = |mut dice: Dice| (0..4).map(|_| dice.throw()).collect::<Vec<_>>();
        assert_eq!(throws(Dice::seeded(1)), throws(Dice::seeded(1)));
        assert_ne!(throws(Dice::default()), throws(Dice::default()));
    }

    #[test]
    fn shares_stay_below_the_count() {
        assert_eq!(share(u64::MAX, 3), 2);
        assert_eq!(share(0, 3), 0);
        assert_eq!(share(u64::MAX / 2 + 1, 2), 1);
    }
}
