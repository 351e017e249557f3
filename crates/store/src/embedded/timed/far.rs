//! The messages that are due later than those in memory, by queue and due time: a tree of sled, or, if that fails, one
//! in memory.

use std::collections::BTreeSet;

use crate::catalogue::{Broken, guarded};
use crate::octets::Octets;
use crate::{DueKey, QueueId};

pub(super) enum Far {
    Tree(sled::Tree),
    Memory(BTreeSet<(QueueId, DueKey)>),
}

impl Far {
    /// Add keys of one queue.
    pub(super) fn insert(&mut self, queue: QueueId, keys: &[DueKey]) -> Result<(), Broken> {
        match self {
            Self::Tree(tree) => guarded(|| {
                let mut batch = sled::Batch::default();
                for key in keys {
                    batch.insert(&octets(queue, *key), &[]);
                }
                tree.apply_batch(batch)
            }),
            Self::Memory(all) => {
                all.extend(keys.iter().map(|key| (queue, *key)));
                Ok(())
            }
        }
    }

    /// Remove keys of one queue; those that are not there do not matter.
    pub(super) fn remove(&mut self, queue: QueueId, keys: &[DueKey]) -> Result<(), Broken> {
        match self {
            Self::Tree(tree) => guarded(|| {
                let mut batch = sled::Batch::default();
                for key in keys {
                    batch.remove(&octets(queue, *key));
                }
                tree.apply_batch(batch)
            }),
            Self::Memory(all) => {
                for key in keys {
                    all.remove(&(queue, *key));
                }
                Ok(())
            }
        }
    }

    /// The first keys of a queue from `from` on, at most `limit`.
    pub(super) fn range(
        &self,
        queue: QueueId,
        from: DueKey,
        limit: usize,
    ) -> Result<Vec<DueKey>, Broken> {
        match self {
            Self::Tree(tree) => guarded(|| {
                let mut keys = Vec::new();
                let range = octets(queue, from)..=octets(queue, DueKey::LAST);
                for entry in tree.range(range).take(limit) {
                    let (key, _) = entry?;
                    keys.extend(parse(&key).map(|(_, key)| key));
                }
                Ok(keys)
            }),
            Self::Memory(all) => {
                let range = all.range((queue, from)..=(queue, DueKey::LAST));
                Ok(range.take(limit).map(|(_, key)| *key).collect())
            }
        }
    }

    /// The first queue from `from` on that has any keys.
    pub(super) fn queue_from(&self, from: QueueId) -> Result<Option<QueueId>, Broken> {
        match self {
            Self::Tree(tree) => guarded(|| {
                let first = tree.range(octets(from, DueKey::FIRST)..).next();
                let first = first.transpose()?;
                Ok(first
                    .and_then(|(key, _)| parse(&key))
                    .map(|(queue, _)| queue))
            }),
            Self::Memory(all) => {
                let first = all.range((from, DueKey::FIRST)..).next();
                Ok(first.map(|(queue, _)| *queue))
            }
        }
    }
}

const KEY_LEN: usize = 24;

/// Big-endian, so that octets order as numbers do.
fn octets(queue: QueueId, key: DueKey) -> [u8; KEY_LEN] {
    let mut octets = [0; KEY_LEN];
    let numbers = [queue.0, key.due, key.seq];
    for (place, number) in octets.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    octets
}

fn parse(octets: &[u8]) -> Option<(QueueId, DueKey)> {
    let mut octets = Octets(octets);
    let queue = octets.take_u64()?.swap_bytes();
    let due = octets.take_u64()?.swap_bytes();
    let seq = octets.take_u64()?.swap_bytes();
    Some((QueueId(queue), DueKey { due, seq }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(far: &mut Far) {
        let key = |due, seq| DueKey { due, seq };
        let keys = [key(300, 1), key(2, 70_000), key(2, 9), key(u64::MAX, 0)];
        far.insert(QueueId(7), &keys).unwrap();
        far.insert(QueueId(1 << 40), &keys[..1]).unwrap();
        let all = far.range(QueueId(7), DueKey::FIRST, 99).unwrap();
        assert_eq!(
            all,
            [key(2, 9), key(2, 70_000), key(300, 1), key(u64::MAX, 0)]
        );
        assert_eq!(
            far.range(QueueId(7), key(2, 10), 2).unwrap(),
            [key(2, 70_000), key(300, 1)]
        );
        assert_eq!(far.queue_from(QueueId(0)), Ok(Some(QueueId(7))));
        assert_eq!(far.queue_from(QueueId(8)), Ok(Some(QueueId(1 << 40))));
        far.remove(QueueId(7), &keys).unwrap();
        assert_eq!(far.queue_from(QueueId(0)), Ok(Some(QueueId(1 << 40))));
        assert_eq!(far.range(QueueId(7), DueKey::FIRST, 9).unwrap(), []);
        far.remove(QueueId(1 << 40), &keys).unwrap();
        assert_eq!(far.queue_from(QueueId(0)), Ok(None));
    }

    #[test]
    fn keys_come_in_order_of_queue_due_time_and_sequence() {
        check(&mut Far::Memory(BTreeSet::new()));
        let folder = tempfile::tempdir().unwrap();
        let db = sled::open(folder.path()).unwrap();
        check(&mut Far::Tree(db.open_tree("due").unwrap()));
    }
}
