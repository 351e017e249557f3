//! The queues that a session has messages or consumers of, in slots that outstanding messages
//! name by a small number. What was settled in one socket read is collected here per queue.

use std::sync::Arc;

use leveret_store::QueueId;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::queue::{ConsumerId, Queue, SettledRun};

#[derive(Debug)]
struct Slot {
    queue: Arc<Queue>,
    /// Outstanding messages and consumers that name the slot.
    uses: usize,
    settled: SmallVec<[SettledRun; 2]>,
}

/// Slots for queues in use by one session.
#[derive(Debug, Default)]
pub(super) struct QueueSlots {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_id: FxHashMap<QueueId, u32>,
    /// Slots with something settled.
    dirty: Vec<u32>,
}

impl QueueSlots {
    /// The slot of `queue`, used once more.
    pub(super) fn hold(&mut self, queue: &Arc<Queue>) -> u32 {
        if let Some(&slot) = self.by_id.get(&queue.id()) {
            self.hold_again(slot);
            return slot;
        }
        let new = Slot {
            queue: Arc::clone(queue),
            uses: 1,
            settled: SmallVec::new(),
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(new);
            slot
        } else {
            self.slots.push(Some(new));
            (self.slots.len() - 1) as u32
        };
        self.by_id.insert(queue.id(), slot);
        slot
    }

    /// One more use of a slot in use.
    #[inline]
    pub(super) fn hold_again(&mut self, slot: u32) {
        if let Some(slot) = self.slot_mut(slot) {
            slot.uses += 1;
        }
    }

    /// One use less; the last one frees the slot.
    pub(super) fn release(&mut self, slot: u32) {
        let Some(held) = self.slot_mut(slot) else {
            return;
        };
        held.uses -= 1;
        if held.uses == 0 && held.settled.is_empty() {
            self.free_slot(slot);
        }
    }

    #[inline]
    pub(super) fn queue(&self, slot: u32) -> Option<&Arc<Queue>> {
        self.slots
            .get(slot as usize)?
            .as_ref()
            .map(|slot| &slot.queue)
    }

    /// The queues with a slot.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.slots.iter().flatten().map(|slot| &slot.queue)
    }

    /// Note a message settled (and its use of the slot over); the queue hears of it when
    /// [`QueueSlots::take_settled`] is worked off.
    #[inline]
    pub(super) fn settle(&mut self, slot: u32, consumer: Option<ConsumerId>, bytes: u64) {
        let Some(held) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        held.uses -= 1;
        if held.settled.is_empty() {
            self.dirty.push(slot);
        }
        match held.settled.iter_mut().find(|run| run.consumer == consumer) {
            Some(run) => {
                run.messages += 1;
                run.bytes += bytes;
            }
            None => held.settled.push(SettledRun {
                consumer,
                messages: 1,
                bytes,
            }),
        }
    }

    /// Take what was settled of one queue.
    pub(super) fn take_settled(&mut self) -> Option<(Arc<Queue>, SmallVec<[SettledRun; 2]>)> {
        let slot = self.dirty.pop()?;
        let held = self.slot_mut(slot)?;
        let taken = (Arc::clone(&held.queue), std::mem::take(&mut held.settled));
        if held.uses == 0 {
            self.free_slot(slot);
        }
        Some(taken)
    }

    pub(super) fn has_settled(&self) -> bool {
        !self.dirty.is_empty()
    }

    fn free_slot(&mut self, slot: u32) {
        if let Some(freed) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.by_id.remove(&freed.queue.id());
            self.free.push(slot);
        }
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }
}
