//! The fanout exchange: every destination, whatever the key.

use crate::targets::{Collector, Target, Targets};
use std::hash::Hash;

/// The destinations.
pub(crate) struct FanoutIndex<Q> {
    targets: Targets<Q>,
}

impl<Q: Copy + Eq + Hash> FanoutIndex<Q> {
    pub(crate) fn new() -> Self {
        Self {
            targets: Targets::None,
        }
    }

    pub(crate) fn insert(&mut self, target: Target<Q>) {
        self.targets.insert(target);
    }

    pub(crate) fn remove(&mut self, target: Target<Q>) {
        self.targets.remove(target);
    }

    pub(crate) fn collect(&self, collector: &mut Collector<'_, Q>) {
        collector.take(&self.targets);
    }
}
