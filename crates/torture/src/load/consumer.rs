//! A consumer that acknowledges, gives back, rejects, keeps, and begins anew.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use leveret_wire::AMQPClass;
use leveret_wire::method::{basic, queue};

use super::Scene;
use crate::client::{Client, Event, Failure, Incoming};
use crate::log::{ConsumerId, Happening, Nanos, QueueDefinition, Recorder, Settlement};
use crate::message::MessageId;
use crate::random::Random;
use crate::requests::{ack, cancel, consume, nack, passive_queue, prefetch, reject};

/// The broker is asked something after so many settled messages, to know that it has them.
const SYNC_EVERY: u32 = 16;

/// A channel with a consumer.
struct Consumer<'a> {
    id: ConsumerId,
    queue: &'a QueueDefinition,
    client: &'a mut Client,
    log: &'a mut Recorder,
    /// Delivered and not settled.
    held: VecDeque<(u64, MessageId)>,
    /// When the questions were asked that are not answered.
    asked: VecDeque<Nanos>,
    /// Settled since the last question.
    unsynced: u32,
}

pub(super) fn work(
    scene: &Scene,
    log: &mut Recorder,
    queue: &QueueDefinition,
    mut random: Random,
) -> Result<Infallible, Failure> {
    let mut client = Client::connect(scene.address)?;
    loop {
        let mut consumer = Consumer {
            id: scene.numbers.consumer(),
            queue,
            client: &mut client,
            log,
            held: VecDeque::new(),
            asked: VecDeque::new(),
            unsynced: 0,
        };
        consumer.work(&mut random)?;
        consumer.end()?;
        client.open_channel()?;
    }
}

impl Consumer<'_> {
    /// Consume until it is time to begin anew.
    fn work(&mut self, random: &mut Random) -> Result<(), Failure> {
        let limit = random.pick(&[1_u16, 10, 50, 50, 200]).copied().unwrap_or(1);
        self.client.call(prefetch(limit))?;
        self.log.note(Happening::Consuming {
            consumer: self.id,
            queue: self.queue.id,
            alone: false,
        });
        self.client.send(consume(&self.queue.name, self.id));
        self.client.flush()?;
        // A slow one lets the backlog grow.
        let pause = random.pick(&[0, 0, 0, 200, 2_000]).copied().unwrap_or(0);
        let mut keeps = random.index(usize::from(limit));
        let until = 1_000 + random.below(5_000);
        for _ in 0..until {
            let came = self.client.next(Duration::from_millis(5))?;
            let idle = came.is_none();
            self.take(came)?;
            while self.held.len() > keeps {
                self.settle(random);
            }
            if idle || random.chance(1) {
                keeps = random.index(usize::from(limit));
            }
            if self.unsynced >= SYNC_EVERY || (idle && self.unsynced > 0) {
                self.ask();
            }
            self.client.flush()?;
            if pause > 0 {
                std::thread::sleep(Duration::from_micros(pause));
            }
        }
        Ok(())
    }

    fn take(&mut self, came: Option<Event>) -> Result<(), Failure> {
        match came {
            None
            | Some(Event::Method(AMQPClass::Basic(
                basic::AMQPMethod::ConsumeOk(_) | basic::AMQPMethod::CancelOk(_),
            ))) => {}
            Some(Event::Message(incoming)) => {
                if let Some(held) = note_delivery(self.log, self.id, self.queue, &incoming) {
                    self.held.push_back(held);
                }
            }
            Some(Event::Method(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_)))) => {
                if let Some(asked) = self.asked.pop_front() {
                    let consumer = self.id;
                    self.log.note(Happening::Synced { consumer, asked });
                }
            }
            Some(other) => return Err(Failure::Unexpected(format!("{other:?}"))),
        }
        Ok(())
    }

    fn ask(&mut self) {
        self.asked.push_back(self.log.now());
        self.client.send(passive_queue(&self.queue.name));
        self.unsynced = 0;
    }

    /// Settle some of what is held.
    fn settle(&mut self, random: &mut Random) {
        let at = random.index(self.held.len());
        let Some((tag, message)) = self.held.get(at).copied() else {
            return;
        };
        match random.below(100) {
            0..15 => {
                for (_, message) in self.held.drain(..=at) {
                    note_settled(self.log, self.id, self.queue, message, Settlement::Ack);
                    self.unsynced += 1;
                }
                self.client.send(ack(tag, true));
                return;
            }
            15..22 => {
                note_settled(self.log, self.id, self.queue, message, Settlement::Requeue);
                self.client.send(nack(tag, true));
            }
            22..24 => {
                note_settled(self.log, self.id, self.queue, message, Settlement::Requeue);
                self.client.send(reject(tag, true));
            }
            24..27 => {
                note_settled(self.log, self.id, self.queue, message, Settlement::Reject);
                self.client.send(nack(tag, false));
            }
            27..30 => {
                note_settled(self.log, self.id, self.queue, message, Settlement::Reject);
                self.client.send(reject(tag, false));
            }
            _ => {
                note_settled(self.log, self.id, self.queue, message, Settlement::Ack);
                self.client.send(ack(tag, false));
            }
        }
        self.unsynced += 1;
        self.held.remove(at);
    }

    /// Close the channel: what is held goes back.
    fn end(mut self) -> Result<(), Failure> {
        // Nothing may be delivered any more when others get what is given back.
        self.client.send(cancel(self.id));
        self.ask();
        self.client.flush()?;
        while !self.asked.is_empty() {
            let came = self.client.expect()?;
            self.take(Some(came))?;
        }
        self.log.note(Happening::Stopped { consumer: self.id });
        self.client.close_channel()
    }
}

/// Note a message that came; gives it if it is whole.
pub(crate) fn note_delivery(
    log: &mut Recorder,
    consumer: ConsumerId,
    queue: &QueueDefinition,
    incoming: &Incoming,
) -> Option<(u64, MessageId)> {
    match &incoming.message {
        Ok(message) => {
            log.note(Happening::Delivered {
                consumer,
                queue: queue.id,
                message: *message,
                redelivered: incoming.redelivered,
                count: incoming.count,
            });
            Some((incoming.tag, *message))
        }
        Err(what) => {
            log.note(Happening::Damaged {
                queue: queue.id,
                what: what.clone(),
            });
            None
        }
    }
}

/// Note a message that is about to be settled.
pub(crate) fn note_settled(
    log: &mut Recorder,
    consumer: ConsumerId,
    queue: &QueueDefinition,
    message: MessageId,
    how: Settlement,
) {
    log.note(Happening::Settled {
        consumer,
        queue: queue.id,
        message,
        how,
    });
}
