//! Which messages of a channel wait for their confirm.

use std::collections::VecDeque;

/// Messages in the order of their confirm sequence numbers, from the first that is not settled on.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// The sequence number of the front.
    first: u64,
    /// When each was to be sent, in nanoseconds; `None` once it is settled.
    waiting: VecDeque<Option<u64>>,
    /// How many of them are not settled.
    count: usize,
}

impl Default for Outstanding {
    fn default() -> Self {
        Self {
            first: 1,
            waiting: VecDeque::new(),
            count: 0,
        }
    }
}

impl Outstanding {
    /// The next message was published; it was to be sent at `nanos`.
    pub(crate) fn publish(&mut self, nanos: u64) {
        self.waiting.push_back(Some(nanos));
        self.count += 1;
    }

    /// How many are not settled.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether all are settled.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The broker settled one message, or with `multiple` all up to it; `settled` is told the time of
    /// each. Gives their number; a number that is settled already, or was never published, counts
    /// for nothing.
    pub(crate) fn settle(
        &mut self,
        tag: u64,
        multiple: bool,
        mut settled: impl FnMut(u64),
    ) -> usize {
        let Some(index) = tag.checked_sub(self.first) else {
            return 0;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let before = self.count;
        if multiple {
            let end = index.saturating_add(1).min(self.waiting.len());
            for nanos in self.waiting.drain(..end).flatten() {
                self.count -= 1;
                settled(nanos);
            }
            self.first += end as u64;
        } else if let Some(nanos) = self.waiting.get_mut(index).and_then(Option::take) {
            self.count -= 1;
            settled(nanos);
        }
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
        before - self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Outstanding {
        let mut outstanding = Outstanding::default();
        for nanos in [10, 20, 30] {
            outstanding.publish(nanos);
        }
        outstanding
    }

    fn settle(outstanding: &mut Outstanding, tag: u64, multiple: bool) -> Vec<u64> {
        let mut times = Vec::new();
        let count = outstanding.settle(tag, multiple, |nanos| times.push(nanos));
        assert_eq!(count, times.len());
        times
    }

    #[test]
    fn multiple_settles_all_up_to_the_tag() {
        let mut outstanding = three();
        assert_eq!(settle(&mut outstanding, 2, true), [10, 20]);
        assert_eq!(outstanding.len(), 1);
        assert_eq!(settle(&mut outstanding, 2, true), [0; 0]);
        assert_eq!(settle(&mut outstanding, 3, true), [30]);
        assert!(outstanding.is_empty());
    }

    #[test]
    fn single_ones_come_in_any_order() {
        let mut outstanding = three();
        assert_eq!(settle(&mut outstanding, 3, false), [30]);
        assert_eq!(settle(&mut outstanding, 3, false), [0; 0]);
        assert_eq!(settle(&mut outstanding, 1, false), [10]);
        assert_eq!(outstanding.len(), 1);
        outstanding.publish(40);
        assert_eq!(settle(&mut outstanding, 4, true), [20, 40]);
        assert!(outstanding.is_empty());
    }

    #[test]
    fn what_was_never_published_counts_for_nothing() {
        let mut outstanding = three();
        assert_eq!(settle(&mut outstanding, 9, false), [0; 0]);
        assert_eq!(settle(&mut outstanding, 0, false), [0; 0]);
        assert_eq!(settle(&mut outstanding, 9, true), [10, 20, 30]);
        outstanding.publish(40);
        assert_eq!(settle(&mut outstanding, 4, false), [40]);
    }
}
