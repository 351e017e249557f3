//! The consumers of one queue and whose turn it is.
//!
//! Consumers with credit stand in a ring per priority; the head of the highest ring that is
//! not empty gets the next message and goes to that ring's end. One whose
//! credit is used up leaves its ring and comes back at the end when it has credit again.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Queue;
use super::stages::Stages;
use crate::effects::Effects;
use crate::entry::Entry;
use crate::mailbox::{ChannelCredit, Delivery, Mailbox, Notice};

/// A consumer within its queue. A slot is used again; the generation tells whether it is
/// still the same consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConsumerId {
    slot: u32,
    generation: u32,
}

/// What a session says about a consumer that it starts.
#[derive(Debug)]
pub(crate) struct NewConsumer {
    /// The session's own key, given back with every delivery.
    pub(crate) key: u32,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) credit: Arc<ChannelCredit>,
    pub(crate) no_ack: bool,
    pub(crate) exclusive: bool,
    /// Unacknowledged messages it may have; 0 = no limit.
    pub(crate) prefetch: u32,
    pub(crate) priority: i32,
}

#[derive(Debug)]
struct Consumer {
    generation: u32,
    /// Who came earlier has the lower number.
    arrival: u64,
    new: NewConsumer,
    unacked: u32,
    in_ring: bool,
    /// Where its deliveries are gathered, with those of its connection's other consumers.
    stage: u32,
}

impl Consumer {
    fn has_prefetch(&self) -> bool {
        self.new.no_ack || self.new.prefetch == 0 || self.unacked < self.new.prefetch
    }
}

#[derive(Debug)]
struct Ring {
    priority: i32,
    slots: VecDeque<u32>,
}

/// All consumers of one queue.
#[derive(Debug, Default)]
pub(crate) struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<u32>,
    /// Highest priority first.
    rings: SmallVec<[Ring; 1]>,
    count: usize,
    exclusive: bool,
    generation: u32,
    arrivals: u64,
    /// Only one of them at a time gets messages (x-single-active-consumer).
    single: bool,
    /// Which one, if `single`.
    active: Option<ConsumerId>,
    stages: Stages,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    slot: u32,
    counted: bool,
    /// The consumer must acknowledge.
    pub(crate) ack: bool,
}

impl Consumers {
    pub(crate) fn new(single: bool) -> Self {
        Self {
            single,
            ..Self::default()
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Is there one that has the queue for itself?
    pub(crate) fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    pub(crate) fn add(&mut self, new: NewConsumer) -> ConsumerId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let priority = new.priority;
        self.exclusive |= new.exclusive;
        self.arrivals += 1;
        let stage = self.stages.join(&new.mailbox);
        let is_turn = !self.single || self.active.is_none();
        let consumer = Consumer {
            generation,
            arrival: self.arrivals,
            new,
            unacked: 0,
            in_ring: is_turn,
            stage,
        };
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        };
        self.slots[slot as usize] = Some(consumer);
        self.count += 1;
        let id = ConsumerId { slot, generation };
        if is_turn {
            self.ring(priority).push_back(slot);
            self.active = self.single.then_some(id);
        }
        id
    }

    /// Have the connections of all consumers look anew at how long they have their messages.
    pub(crate) fn check_timeouts(&self, effects: &mut Effects) {
        for consumer in self.slots.iter().flatten() {
            let pushed = consumer.new.mailbox.push(Notice::CheckTimeouts);
            effects.wakes.add(pushed.ok().flatten());
        }
    }

    /// Remove a consumer; `false` if it was gone already.
    pub(crate) fn remove(&mut self, id: ConsumerId) -> bool {
        if self.consumer(id).is_none() {
            return false;
        }
        let Some(consumer) = self.slots[id.slot as usize].take() else {
            return false;
        };
        self.count -= 1;
        self.stages.leave(consumer.stage);
        self.free.push(id.slot);
        if consumer.new.exclusive {
            self.exclusive = false;
        }
        if consumer.in_ring {
            self.ring(consumer.new.priority)
                .retain(|slot| *slot != id.slot);
        }
        self.rings.retain(|ring| !ring.slots.is_empty());
        if self.active == Some(id) {
            self.hand_over();
        }
        true
    }

    /// The single active consumer is gone: the one of the highest priority follows, and of
    /// several the one that came first.
    fn hand_over(&mut self) {
        let waiting = (0_u32..)
            .zip(&self.slots)
            .filter_map(|(slot, consumer)| Some((slot, consumer.as_ref()?)));
        let next = waiting.max_by_key(|(_, consumer)| {
            (consumer.new.priority, std::cmp::Reverse(consumer.arrival))
        });
        self.active = next.map(|(slot, consumer)| ConsumerId {
            slot,
            generation: consumer.generation,
        });
        if let Some(active) = self.active {
            self.resume(active);
        }
    }

    /// Remove all of them: their mailboxes and keys.
    pub(crate) fn drain(&mut self) -> Vec<(Arc<Mailbox>, u32)> {
        self.count = 0;
        self.exclusive = false;
        self.active = None;
        self.rings.clear();
        self.stages.clear();
        self.free.clear();
        self.slots
            .drain(..)
            .flatten()
            .map(|consumer| (consumer.new.mailbox, consumer.new.key))
            .collect()
    }

    /// Whose turn it is, passing over those that are full. The turn is taken: the caller must
    /// give a message with [`Consumers::give`].
    #[inline]
    pub(crate) fn next(&mut self, queue: &Arc<Queue>) -> Option<Turn> {
        let mut ring = 0;
        while ring < self.rings.len() {
            let Some(&slot) = self.rings[ring].slots.front() else {
                ring += 1;
                continue;
            };
            let Some(consumer) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
                self.rings[ring].slots.pop_front();
                continue;
            };
            let staged = self.stages.bytes(consumer.stage);
            if consumer.new.mailbox.has_room(staged) {
                let counted = if consumer.new.no_ack {
                    Some(false)
                } else {
                    consumer.new.credit.take()
                };
                if let Some(counted) = counted {
                    return Some(Turn {
                        slot,
                        counted,
                        ack: !consumer.new.no_ack,
                    });
                }
            }
            let id = ConsumerId {
                slot,
                generation: consumer.generation,
            };
            if consumer
                .new
                .mailbox
                .stall(queue, id, &consumer.new.credit, staged)
            {
                consumer.in_ring = false;
                self.rings[ring].slots.pop_front();
            }
        }
        None
    }

    /// Give `entry` to the consumer whose turn it is.
    #[inline]
    pub(crate) fn give(&mut self, turn: Turn, entry: Entry, effects: &mut Effects) {
        let Some(consumer) = self
            .slots
            .get_mut(turn.slot as usize)
            .and_then(Option::as_mut)
        else {
            return;
        };
        if turn.ack {
            consumer.unacked += 1;
        }
        let delivery = Delivery {
            entry,
            consumer: consumer.new.key,
            counted: turn.counted,
        };
        self.stages.push(consumer.stage, delivery, effects);
        let stays = consumer.has_prefetch();
        consumer.in_ring = stays;
        let priority = consumer.new.priority;
        if let Some(ring) = self.rings.iter_mut().find(|ring| ring.priority == priority) {
            if stays && ring.slots.len() == 1 {
                return;
            }
            ring.slots.pop_front();
            if stays {
                ring.slots.push_back(turn.slot);
            }
        }
    }

    /// Push what was handed out to the mailboxes.
    pub(crate) fn flush(&mut self, effects: &mut Effects) {
        self.stages.flush(effects);
    }

    /// `count` messages of this consumer were settled; gives whether it has credit again.
    pub(crate) fn settled(&mut self, id: ConsumerId, count: u32) -> bool {
        let Some(consumer) = self.consumer(id) else {
            return false;
        };
        consumer.unacked = consumer.unacked.saturating_sub(count);
        self.resume(id)
    }

    /// Take a consumer back into its ring if it has credit; `true` if it came back.
    pub(crate) fn resume(&mut self, id: ConsumerId) -> bool {
        if self.single && self.active != Some(id) {
            return false;
        }
        let Some(consumer) = self.consumer(id) else {
            return false;
        };
        if consumer.in_ring || !consumer.has_prefetch() {
            return false;
        }
        consumer.in_ring = true;
        let priority = consumer.new.priority;
        self.ring(priority).push_back(id.slot);
        true
    }

    fn consumer(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        self.slots
            .get_mut(id.slot as usize)?
            .as_mut()
            .filter(|consumer| consumer.generation == id.generation)
    }

    fn ring(&mut self, priority: i32) -> &mut VecDeque<u32> {
        let at = match self
            .rings
            .binary_search_by(|ring| priority.cmp(&ring.priority))
        {
            Ok(at) => at,
            Err(at) => {
                self.rings.insert(
                    at,
                    Ring {
                        priority,
                        slots: VecDeque::new(),
                    },
                );
                at
            }
        };
        &mut self.rings[at].slots
    }
}
