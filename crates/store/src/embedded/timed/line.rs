//! The soonest messages of one queue that is read by due time, in memory.

use std::collections::BTreeSet;

use crate::DueKey;

/// Keys below the horizon are here. The others are on disk, or on their way there.
#[derive(Debug)]
pub(super) struct Line {
    near: BTreeSet<DueKey>,
    /// No key from here on is near, and none before it is far. `None`: nothing is far.
    horizon: Option<DueKey>,
    /// Far keys that are not on disk yet.
    spill: Vec<DueKey>,
}

impl Line {
    /// A line of which everything from `horizon` on is on disk.
    pub(super) fn new(horizon: Option<DueKey>) -> Self {
        Self {
            near: BTreeSet::new(),
            horizon,
            spill: Vec::new(),
        }
    }

    /// Add a key; if that are more than `near_max`, the later half goes further away. Returns how many more keys are on
    /// their way to disk.
    pub(super) fn add(&mut self, key: DueKey, near_max: usize) -> usize {
        let before = self.spill.len();
        if self.horizon.is_some_and(|horizon| key >= horizon) {
            self.spill.push(key);
        } else {
            self.near.insert(key);
            if self.near.len() > near_max {
                let middle = self.near.iter().nth(near_max / 2).copied();
                if let Some(middle) = middle {
                    self.spill.extend(self.near.split_off(&middle));
                    self.horizon = Some(middle);
                }
            }
        }
        self.spill.len() - before
    }

    /// What is not there any more, or never was.
    pub(super) fn remove(&mut self, key: DueKey) {
        self.near.remove(&key);
    }

    pub(super) fn near_len(&self) -> usize {
        self.near.len()
    }

    pub(super) fn horizon(&self) -> Option<DueKey> {
        self.horizon
    }

    pub(super) fn spilled(&self) -> usize {
        self.spill.len()
    }

    /// Keys from `from` on that go to disk, in no order.
    pub(super) fn spilled_from(&self, from: DueKey) -> Vec<DueKey> {
        let keys = self.spill.iter().copied();
        keys.filter(|key| *key >= from).collect()
    }

    /// Take the keys that go to disk.
    pub(super) fn take_spill(&mut self) -> Vec<DueKey> {
        std::mem::take(&mut self.spill)
    }

    /// Near keys from `from` on, in order.
    pub(super) fn from(&self, from: DueKey) -> impl Iterator<Item = DueKey> {
        self.near.range(from..).copied()
    }

    /// `keys` were read from the disk, where they were the first, and come near; what is still far begins at `horizon`.
    /// Returns how many keys are on their way to disk no more.
    pub(super) fn approach(&mut self, keys: &[DueKey], horizon: Option<DueKey>) -> usize {
        self.near.extend(keys);
        // Some may have come in between since the disk was read.
        let before = self.spill.len();
        let near = &mut self.near;
        self.spill.retain(|key| {
            let is_far = horizon.is_some_and(|horizon| *key >= horizon);
            if !is_far {
                near.insert(*key);
            }
            is_far
        });
        self.horizon = horizon;
        before - self.spill.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(due: u64) -> DueKey {
        DueKey { due, seq: 0 }
    }

    #[test]
    fn the_later_half_goes_away_and_comes_back_in_order() {
        let mut line = Line::new(None);
        let mut spilled = 0;
        for due in (0..10).rev() {
            spilled += line.add(key(due), 8);
        }
        assert_eq!(line.horizon(), Some(key(5)));
        assert_eq!(spilled, 5);
        assert_eq!(line.near_len(), 5);
        assert_eq!(line.add(key(7), 8), 1, "beyond the horizon");
        let mut far = line.take_spill();
        far.sort_unstable();
        far.dedup();
        assert_eq!(far, (5..10).map(key).collect::<Vec<_>>());
        // While the disk was read, another came that belongs before what is left there.
        line.add(DueKey { due: 6, seq: 3 }, 8);
        line.add(DueKey { due: 9, seq: 3 }, 8);
        assert_eq!(line.approach(&far[..3], Some(far[3])), 1);
        let near: Vec<_> = line.from(key(5)).collect();
        let expected = [key(5), key(6), DueKey { due: 6, seq: 3 }, key(7)];
        assert_eq!(near, expected);
        assert_eq!(line.take_spill(), [DueKey { due: 9, seq: 3 }]);
        line.remove(key(6));
        assert_eq!(line.from(key(5)).count(), 3);
    }
}
