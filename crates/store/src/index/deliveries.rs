//! How often messages of one queue were delivered: ranges with a count, since deliveries go in order.

use std::collections::BTreeMap;

use crate::Seq;

/// Delivery counts. What is not in a range was never delivered.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    /// First sequence of a range to its last one and its count. Ranges do not overlap.
    ranges: BTreeMap<Seq, (Seq, u32)>,
}

impl Deliveries {
    /// How often `seq` was delivered.
    pub(crate) fn count(&self, seq: Seq) -> u32 {
        match self.ranges.range(..=seq).next_back() {
            Some((_, (last, count))) if *last >= seq => *count,
            _ => 0,
        }
    }

    /// Every message of the range was delivered once more.
    pub(crate) fn raise(&mut self, first: Seq, last: Seq) {
        self.update(first, last, |count| count.saturating_add(1));
    }

    /// Every message of the range was delivered `count` times, if not more often.
    pub(crate) fn raise_to(&mut self, first: Seq, last: Seq, count: u32) {
        self.update(first, last, |old| old.max(count));
    }

    /// The messages of the range are gone.
    pub(crate) fn forget(&mut self, first: Seq, last: Seq) {
        if self.ranges.is_empty() || first > last {
            return;
        }
        self.split_before(first);
        if let Some(after) = last.checked_add(1) {
            self.split_before(after);
        }
        while let Some((start, _)) = self.ranges.range(first..=last).next() {
            let start = *start;
            self.ranges.remove(&start);
        }
    }

    /// The delivered parts of `first..=last` with their counts.
    pub(crate) fn within(
        &self,
        first: Seq,
        last: Seq,
    ) -> impl Iterator<Item = (Seq, Seq, u32)> + '_ {
        let before = self
            .ranges
            .range(..first)
            .next_back()
            .filter(|(_, (end, _))| *end >= first);
        before
            .into_iter()
            .chain(
                self.ranges
                    .range(first..)
                    .take_while(move |(start, _)| **start <= last),
            )
            .map(move |(start, (end, count))| (first.max(*start), last.min(*end), *count))
    }

    fn update(&mut self, first: Seq, last: Seq, new: impl Fn(u32) -> u32) {
        if first > last {
            return;
        }
        self.split_before(first);
        if let Some(after) = last.checked_add(1) {
            self.split_before(after);
        }
        let mut next = Some(first);
        while let Some(at) = next.filter(|at| *at <= last) {
            let covered = match self.ranges.range_mut(at..=last).next() {
                Some((start, (end, count))) if *start == at => {
                    *count = new(*count);
                    *end
                }
                // A gap up to the next range, or to the end.
                Some((start, _)) => {
                    let end = start - 1;
                    self.ranges.insert(at, (end, new(0)));
                    end
                }
                None => {
                    self.ranges.insert(at, (last, new(0)));
                    last
                }
            };
            self.join(at);
            next = covered.checked_add(1);
        }
        if let Some(after) = last.checked_add(1) {
            self.join(after);
        }
    }

    /// Let no range contain both `seq - 1` and `seq`.
    fn split_before(&mut self, seq: Seq) {
        if let Some((_, (last, count))) = self.ranges.range_mut(..seq).next_back()
            && *last >= seq
        {
            let right = (*last, *count);
            *last = seq - 1;
            self.ranges.insert(seq, right);
        }
    }

    /// Make one of the range that begins at `start` and its left neighbour, if they touch and agree.
    fn join(&mut self, start: Seq) {
        let Some((last, count)) = self.ranges.get(&start).copied() else {
            return;
        };
        if let Some((_, left)) = self.ranges.range_mut(..start).next_back()
            && left.0 + 1 == start
            && left.1 == count
        {
            left.0 = last;
            self.ranges.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn agrees_with_a_plain_map(
            steps in proptest::collection::vec((0_u8..3, 0_u64..40, 0_u64..12), 1..60)
        ) {
            let mut deliveries = Deliveries::default();
            let mut model: BTreeMap<Seq, u32> = BTreeMap::new();
            for (kind, first, len) in steps {
                let last = first + len;
                match kind {
                    0 => deliveries.raise(first, last),
                    1 => deliveries.raise_to(first, last, 3),
                    _ => deliveries.forget(first, last),
                }
                for seq in first..=last {
                    let count = model.entry(seq).or_default();
                    match kind {
                        0 => *count += 1,
                        1 => *count = 3.max(*count),
                        _ => *count = 0,
                    }
                }
                for seq in 0..60 {
                    let expected = model.get(&seq).copied().unwrap_or(0);
                    prop_assert_eq!(deliveries.count(seq), expected);
                }
                let listed: u64 = deliveries.within(5, 30).map(|(a, b, _)| b - a + 1).sum();
                let expected = (5..=30).filter(|seq| model.get(seq).is_some_and(|c| *c > 0)).count();
                prop_assert_eq!(listed, u64::try_from(expected).unwrap());
            }
        }
    }

    #[test]
    fn deliveries_in_order_are_one_range() {
        let mut deliveries = Deliveries::default();
        for seq in 0..1000 {
            deliveries.raise(seq, seq);
        }
        assert_eq!(deliveries.ranges.len(), 1);
        deliveries.forget(0, Seq::MAX);
        assert!(deliveries.ranges.is_empty());
    }
}
