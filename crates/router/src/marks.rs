//! A set of small numbers that is emptied in the time it took to fill it.

/// One bit a number, and the list of those set.
#[derive(Default)]
pub(crate) struct Marks {
    /// Bit `n % 64` of word `n / 64` tells whether `n` is in the set. Grows to the largest number
    /// seen and stays.
    bits: Vec<u64>,
    /// What is in the set, for [`Marks::clear`].
    set: Vec<u32>,
}

impl Marks {
    /// Put `number` in; whether it is new.
    pub(crate) fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = place(number);
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let fresh = self.bits[word] & bit == 0;
        if fresh {
            self.bits[word] |= bit;
            self.set.push(number);
        }
        fresh
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// What is in the set, in order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.set.iter().copied()
    }

    pub(crate) fn clear(&mut self) {
        for number in self.set.drain(..) {
            let (word, bit) = place(number);
            self.bits[word] &= !bit;
        }
    }
}

fn place(number: u32) -> (usize, u64) {
    (number as usize / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn marks_are_a_set() {
        let mut marks = Marks::default();
        for number in [0, 63, 64, 1000] {
            assert!(!marks.contains(number));
            assert!(marks.insert(number));
            assert!(!marks.insert(number));
            assert!(marks.contains(number));
        }
        assert!(!marks.contains(1) && !marks.contains(100_000));
        marks.clear();
        assert!(
            [0, 63, 64, 1000]
                .into_iter()
                .all(|number| !marks.contains(number))
        );
        assert_eq!(marks.iter().count(), 0);
    }
}
