//! The direct exchange: equality of keys.

use crate::hash::SecretState;
use crate::targets::{Collector, Target, Targets};
use std::collections::HashMap;
use std::hash::Hash;

/// Binding keys and where each leads.
pub(crate) struct DirectIndex<Q> {
    keys: HashMap<Box<[u8]>, Targets<Q>, SecretState>,
}

impl<Q: Copy + Eq + Hash> DirectIndex<Q> {
    pub(crate) fn new(secret: SecretState) -> Self {
        Self {
            keys: HashMap::with_hasher(secret),
        }
    }

    pub(crate) fn insert(&mut self, key: &[u8], target: Target<Q>) {
        match self.keys.get_mut(key) {
            Some(targets) => targets.insert(target),
            None => {
                self.keys.insert(key.into(), Targets::One(target));
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8], target: Target<Q>) {
        let Some(targets) = self.keys.get_mut(key) else {
            return;
        };
        targets.remove(target);
        if targets.is_empty() {
            self.keys.remove(key);
        }
    }

    pub(crate) fn collect(&self, key: &[u8], collector: &mut Collector<'_, Q>) {
        if let Some(targets) = self.keys.get(key) {
            collector.take(targets);
        }
    }
}
