//! Making the order complete: what the tree has too many is dropped, what it lacks is read from the log.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::far::Far;
use super::line::Line;
use super::{BATCH, Orderer};
use crate::catalogue::Broken;
use crate::embedded::reader::Read;
use crate::index::queue::Located;
use crate::log::segment;
use crate::moment::{self, Mark};
use crate::{DueKey, QueueId, Seq, StoreError};

/// Messages looked up in one go.
const CHUNK: usize = 4096;

impl Orderer<'_> {
    /// Order what a queue of before holds.
    pub(super) fn order(&mut self, queue: QueueId) -> Result<(), StoreError> {
        let (seen, first) = match self.keys_on_disk(queue) {
            Ok(found) => found,
            Err(broken) => {
                self.leave_tree(&broken);
                (Seen::default(), None)
            }
        };
        {
            let mut state = self.shared.timed.state.lock();
            state.lines.insert(queue, Line::new(first));
        }
        self.read_missing(queue, &seen)
    }

    /// The sequences that the tree knows, and its first key. What is not live goes from the tree; but its sequence
    /// counts as used from now on, lest the tree, fallen back to an older state, knows it by a wrong due time one day.
    fn keys_on_disk(&mut self, queue: QueueId) -> Result<(Seen, Option<DueKey>), Broken> {
        let mut seen = Seen::default();
        let mut first = None;
        let mut from = DueKey::FIRST;
        loop {
            let keys = self.far.range(queue, from, BATCH)?;
            let Some(last) = keys.last() else {
                return Ok((seen, first));
            };
            from = last.next();
            let mut gone = Vec::new();
            {
                let mut index = self.shared.index.lock();
                for key in &keys {
                    if index.find(queue, key.seq).is_some() {
                        seen.insert(key.seq);
                        first.get_or_insert(*key);
                    } else {
                        index.note_used(queue, key.seq);
                        gone.push(*key);
                    }
                }
            }
            if !gone.is_empty() {
                self.far.remove(queue, &gone)?;
            }
        }
    }

    /// Add what is live and was not seen.
    fn read_missing(&mut self, queue: QueueId, seen: &Seen) -> Result<(), StoreError> {
        self.each_live(queue, seen, |orderer, keys| {
            let keys = keys.into_iter().map(|key| (queue, key));
            drop(orderer.shared.timed.add(keys));
            orderer.spill_if_much();
        })
    }

    /// Read when the live messages that were not seen are due.
    fn each_live(
        &mut self,
        queue: QueueId,
        seen: &Seen,
        mut each: impl FnMut(&mut Self, Vec<DueKey>),
    ) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let mut count = 0;
            let located = self.shared.index.lock().locate(queue, from, |_| {
                count += 1;
                count <= CHUNK
            });
            let Some(last) = located.last() else {
                return Ok(());
            };
            from = last.seq.saturating_add(1);
            let unseen = located.into_iter().filter(|place| !seen.has(place.seq));
            let keys = self.read_keys(queue, unseen.collect())?;
            each(self, keys);
        }
    }

    fn read_keys(
        &mut self,
        queue: QueueId,
        mut wanted: Vec<Located>,
    ) -> Result<Vec<DueKey>, StoreError> {
        let mut keys = Vec::with_capacity(wanted.len());
        while !wanted.is_empty() {
            self.reader.rest();
            let mut moved = Vec::new();
            for (at, place) in wanted.iter().enumerate() {
                let ahead = wanted.get(at..).unwrap_or(&[]);
                match self.reader.read(queue, place, ahead) {
                    Read::Message(message) => keys.push(DueKey {
                        due: moment::of(&message, Mark::DUE).unwrap_or(0),
                        seq: place.seq,
                    }),
                    Read::Moved => moved.push(place.seq),
                    Read::Damaged(reason) => self.reader.lose(queue, place, &reason),
                    Read::Failed(error) => {
                        let path = segment::path(self.reader.folder(), place.segment);
                        return Err(StoreError::io("reading", &path, &error));
                    }
                }
            }
            let index = self.shared.index.lock();
            let again = moved.iter().filter_map(|seq| index.find(queue, *seq));
            let again: Vec<Located> = again.collect();
            drop(index);
            wanted = again;
        }
        Ok(keys)
    }

    /// Forget what the tree has of a queue.
    pub(super) fn forget(&mut self, queue: QueueId) {
        if let Err(broken) = self.try_forget(queue) {
            self.leave_tree(&broken);
        }
    }

    fn try_forget(&mut self, queue: QueueId) -> Result<(), Broken> {
        loop {
            let keys = self.far.range(queue, DueKey::FIRST, BATCH)?;
            if keys.is_empty() {
                return Ok(());
            }
            self.far.remove(queue, &keys)?;
        }
    }

    /// Forget what the tree has of queues that are no more.
    pub(super) fn sweep(&mut self) {
        if let Err(broken) = self.try_sweep() {
            self.leave_tree(&broken);
        }
    }

    fn try_sweep(&mut self) -> Result<(), Broken> {
        let mut from = QueueId(0);
        while let Some(queue) = self.far.queue_from(from)? {
            let is_used = self.shared.timed.state.lock().lines.contains_key(&queue);
            if !is_used {
                self.try_forget(queue)?;
            }
            let Some(next) = queue.0.checked_add(1) else {
                break;
            };
            from = QueueId(next);
        }
        Ok(())
    }

    /// sled has failed: what it knew is read from the log and kept in memory.
    pub(super) fn leave_tree(&mut self, broken: &Broken) {
        if matches!(self.far, Far::Memory(_)) {
            return;
        }
        tracing::error!(
            broken,
            "sled has failed; the order by due time is kept in memory"
        );
        self.far = Far::Memory(BTreeSet::new());
        let queues: Vec<QueueId> = {
            let state = self.shared.timed.state.lock();
            state.lines.keys().copied().collect()
        };
        for queue in queues {
            let read = self.each_live(queue, &Seen::default(), |orderer, mut keys| {
                let near = orderer.shared.timed.horizon(queue);
                keys.retain(|key| near.is_some_and(|horizon| *key >= horizon));
                // A tree in memory takes everything.
                let _ = orderer.far.insert(queue, &keys);
            });
            if let Err(error) = read {
                tracing::error!(%error, queue = queue.0, "messages cannot be put in order of due time; the next start tries again");
            }
        }
    }
}

/// A set of sequences: dense where they are, and nothing where they are not.
#[derive(Default)]
struct Seen(FxHashMap<u64, [u64; WORDS]>);

const WORDS: usize = 64;

impl Seen {
    fn insert(&mut self, seq: Seq) {
        let (page, word, bit) = place(seq);
        let words = self.0.entry(page).or_insert([0; WORDS]);
        if let Some(word) = words.get_mut(word) {
            *word |= bit;
        }
    }

    fn has(&self, seq: Seq) -> bool {
        let (page, word, bit) = place(seq);
        let word = self.0.get(&page).and_then(|words| words.get(word));
        word.is_some_and(|word| word & bit != 0)
    }
}

/// Page, word and bit of a sequence.
fn place(seq: Seq) -> (u64, usize, u64) {
    let in_page = crate::octets::index(seq % (64 * 64));
    (seq / (64 * 64), in_page / 64, 1 << (in_page % 64))
}
