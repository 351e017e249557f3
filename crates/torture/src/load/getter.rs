//! A client that takes messages one by one.

use std::convert::Infallible;
use std::time::Duration;

use leveret_wire::AMQPClass;
use leveret_wire::method::basic;

use super::Scene;
use super::consumer::{note_delivery, note_settled};
use crate::client::{Client, Event, Failure};
use crate::log::{Happening, QueueDefinition, Recorder, Settlement};
use crate::random::Random;
use crate::requests::{ack, get, nack, reject};

pub(super) fn work(
    scene: &Scene,
    log: &mut Recorder,
    queue: &QueueDefinition,
    mut random: Random,
) -> Result<Infallible, Failure> {
    let mut client = Client::connect(scene.address)?;
    let consumer = scene.numbers.consumer();
    log.note(Happening::Consuming {
        consumer,
        queue: queue.id,
        alone: false,
    });
    loop {
        let asked = log.now();
        client.send(get(&queue.name));
        client.flush()?;
        let event = client.expect()?;
        // The answer shows that what was settled before has arrived.
        log.note(Happening::Synced { consumer, asked });
        match event {
            Event::Message(incoming) => {
                let Some((tag, message)) = note_delivery(log, consumer, queue, &incoming) else {
                    continue;
                };
                let (how, method) = match random.below(100) {
                    0..20 => (Settlement::Requeue, nack(tag, true)),
                    20..30 => (Settlement::Reject, reject(tag, false)),
                    // It is kept until the end.
                    30..33 => continue,
                    _ => (Settlement::Ack, ack(tag, false)),
                };
                note_settled(log, consumer, queue, message, how);
                client.send(method);
                client.flush()?;
            }
            Event::Method(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_))) => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return Err(Failure::Unexpected(format!("{other:?}"))),
        }
        std::thread::sleep(random.time(Duration::from_millis(2)));
    }
}
