//! Messages are taken out of queues, and what must be there and is not is lost.

use super::{Draining, Inspection, is_empty};
use crate::checker::Presence;
use crate::client::{Event, Failure};
use crate::load::note_delivery;
use crate::load::note_settled;
use crate::log::{ConsumerId, Happening, QueueDefinition, Settlement};
use crate::random::Random;
use crate::requests::{ack, get};

/// Gets that are asked for at once.
const BATCH: u64 = 200;

impl Inspection<'_> {
    pub(super) fn drain(&mut self, draining: Draining, random: &mut Random) -> Result<(), Failure> {
        let mut queues: Vec<QueueDefinition> = self
            .checker
            .definitions()
            .queues()
            .filter(|(presence, _)| *presence == Presence::Present)
            .map(|(_, queue)| queue.clone())
            .collect();
        // Where letters come from before where they go to.
        queues.sort_by_key(|queue| queue.dead_letters.is_none());
        for queue in queues {
            let idle = queue.name.starts_with("idle");
            let limit = match (draining, random.below(100)) {
                (Draining::All, _) | (_, 0..10) => None,
                (_, 10..40) if !idle => None,
                (_, 40..60) => Some(1 + random.below(500)),
                _ => continue,
            };
            self.empty(&queue, limit)?;
        }
        Ok(())
    }

    /// Take so many messages of a queue, or all.
    fn empty(&mut self, queue: &QueueDefinition, limit: Option<u64>) -> Result<(), Failure> {
        let consumer = self.scene.numbers.consumer();
        self.log.note(Happening::Consuming {
            consumer,
            queue: queue.id,
            alone: true,
        });
        let mut left = limit.unwrap_or(u64::MAX);
        let mut emptied = false;
        while left > 0 && !emptied {
            let count = left.min(BATCH);
            emptied = self.take_batch(consumer, queue, count)?;
            left -= count;
        }
        // The answer shows that the acknowledgements have arrived.
        let asked = self.log.now();
        self.looking.count(&queue.name)?;
        self.log.note(Happening::Synced { consumer, asked });
        self.log.note(Happening::Stopped { consumer });
        self.hand_over();
        if emptied {
            self.checker.drained(queue.id);
        }
        Ok(())
    }

    /// Get and acknowledge so many; tells whether there was no more.
    fn take_batch(
        &mut self,
        consumer: ConsumerId,
        queue: &QueueDefinition,
        count: u64,
    ) -> Result<bool, Failure> {
        for _ in 0..count {
            self.looking.send(get(&queue.name));
        }
        self.looking.flush()?;
        let mut held = Vec::new();
        let mut last_tag = None;
        let mut emptied = false;
        for _ in 0..count {
            match self.looking.expect()? {
                Event::Message(incoming) => {
                    last_tag = Some(incoming.tag);
                    held.extend(note_delivery(&mut self.log, consumer, queue, &incoming));
                }
                event if is_empty(&event) => emptied = true,
                other => return Err(Failure::Unexpected(format!("{other:?}"))),
            }
        }
        for (_, message) in held {
            note_settled(&mut self.log, consumer, queue, message, Settlement::Ack);
        }
        if let Some(tag) = last_tag {
            self.looking.send(ack(tag, true));
            self.looking.flush()?;
        }
        Ok(emptied)
    }
}
