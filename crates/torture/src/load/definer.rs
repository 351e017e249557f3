//! A client that declares, binds, unbinds, purges and deletes things of its own, and publishes to
//! them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::mpsc;
use std::time::Duration;

use super::publisher::{Window, take};
use super::{PUBLISHERS, Scene};
use crate::checker::{Definitions, Presence};
use crate::client::{Client, Failure};
use crate::frame::Outgoing;
use crate::log::{Binding, ExchangeDefinition, Happening, Operation, QueueDefinition, Recorder};
use crate::random::Random;
use crate::requests::select_confirms;
use crate::topology::SHARED_EXCHANGES;

/// Names of durable queues that one definer uses, again and again.
const QUEUES: u64 = 4;
/// Names of durable exchanges.
const EXCHANGES: u64 = 2;
/// Keys by which one queue is bound to one exchange.
const KEYS: u64 = 3;

/// One definer, and what there is of its own. Nobody else touches that.
#[derive(Debug)]
pub(crate) struct Definer {
    number: u32,
    queues: Vec<QueueDefinition>,
    exchanges: BTreeSet<String>,
    bindings: BTreeSet<Binding>,
}

impl Definer {
    /// Go on with what there is.
    pub(crate) fn new(number: u32, definitions: &Definitions) -> Self {
        let prefix = format!("definer.{number}.");
        let own = |name: &str| name.starts_with(&prefix);
        let queues = definitions
            .queues()
            .filter(|(presence, queue)| *presence == Presence::Present && own(&queue.name));
        let exchanges = definitions
            .exchanges()
            .filter(|(presence, exchange)| *presence == Presence::Present && own(&exchange.name));
        let bindings = definitions
            .bindings()
            .filter(|(presence, binding)| *presence == Presence::Present && own(&binding.queue));
        Self {
            number,
            queues: queues.map(|(_, queue)| queue.clone()).collect(),
            exchanges: exchanges
                .map(|(_, exchange)| exchange.name.clone())
                .collect(),
            bindings: bindings.map(|(_, binding)| binding.clone()).collect(),
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn work(
        mut self,
        scene: &Scene,
        log: &mut Recorder,
        mut random: Random,
        answered: &mpsc::Sender<()>,
    ) -> Result<Infallible, Failure> {
        let mut client = Client::connect(scene.address)?;
        let mut publishing = Client::connect(scene.address)?;
        publishing.call(select_confirms())?;
        let mut window = Window::new();
        loop {
            if random.chance(40) {
                self.publish(scene, log, &mut publishing, &mut window, &mut random)?;
            } else if let Some(operation) = self.next(scene, &mut random) {
                log.note(Happening::Asked(operation.clone()));
                client.change(&operation)?;
                log.note(Happening::Done(operation.clone()));
                self.note(operation);
                // Nobody may be waiting for it any more.
                let _ = answered.send(());
            }
            std::thread::sleep(random.time(Duration::from_millis(10)));
        }
    }

    /// Something that changes what there is.
    fn next(&self, scene: &Scene, random: &mut Random) -> Option<Operation> {
        match random.below(10) {
            0..3 => self.queue_change(scene, random),
            3..5 => Some(self.exchange_change(random)),
            _ => self.binding_change(random),
        }
    }

    fn queue_change(&self, scene: &Scene, random: &mut Random) -> Option<Operation> {
        let durable = random.chance(85);
        let place = if durable {
            random.below(QUEUES)
        } else {
            QUEUES
        };
        let name = format!("definer.{}.q{place}", self.number);
        if self.queues.iter().any(|queue| queue.name == name) {
            // Queues live longer than they are missing.
            return match random.below(10) {
                0..3 => Some(Operation::DeleteQueue(name)),
                3..5 => Some(Operation::Purge(name)),
                _ => None,
            };
        }
        Some(Operation::DeclareQueue(QueueDefinition {
            id: scene.numbers.queue(),
            name,
            durable,
            quorum: durable && random.chance(40),
            dead_letters: None,
        }))
    }

    fn exchange_change(&self, random: &mut Random) -> Operation {
        let place = random.below(EXCHANGES + 1);
        let name = format!("definer.{}.x{place}", self.number);
        if self.exchanges.contains(&name) {
            return Operation::DeleteExchange(name);
        }
        Operation::DeclareExchange(ExchangeDefinition {
            name,
            kind: if place.is_multiple_of(2) {
                "direct"
            } else {
                "topic"
            },
            durable: place < EXCHANGES,
        })
    }

    fn binding_change(&self, random: &mut Random) -> Option<Operation> {
        let queue = &random.pick(&self.queues)?.name;
        let mut exchanges: Vec<&str> = self.exchanges.iter().map(String::as_str).collect();
        exchanges.extend(SHARED_EXCHANGES);
        let binding = Binding {
            exchange: (*random.pick(&exchanges)?).to_owned(),
            queue: queue.clone(),
            key: format!("{queue}.{}", random.below(KEYS)),
        };
        Some(if self.bindings.contains(&binding) {
            Operation::Unbind(binding)
        } else {
            Operation::Bind(binding)
        })
    }

    fn note(&mut self, operation: Operation) {
        match operation {
            Operation::DeclareQueue(queue) => self.queues.push(queue),
            Operation::DeleteQueue(name) => {
                self.queues.retain(|queue| queue.name != name);
                self.bindings.retain(|binding| binding.queue != name);
            }
            Operation::DeclareExchange(exchange) => {
                self.exchanges.insert(exchange.name);
            }
            Operation::DeleteExchange(name) => {
                self.exchanges.remove(&name);
                self.bindings.retain(|binding| binding.exchange != name);
            }
            Operation::Bind(binding) => {
                self.bindings.insert(binding);
            }
            Operation::Unbind(binding) => {
                self.bindings.remove(&binding);
            }
            Operation::Purge(_) => {}
        }
    }

    /// Publish to a queue of its own, through a binding if it has one, and wait for the confirms.
    fn publish(
        &self,
        scene: &Scene,
        log: &mut Recorder,
        client: &mut Client,
        window: &mut Window,
        random: &mut Random,
    ) -> Result<(), Failure> {
        let Some(queue) = random.pick(&self.queues) else {
            return Ok(());
        };
        let bindings: Vec<&Binding> = self
            .bindings
            .iter()
            .filter(|binding| binding.queue == queue.name)
            .collect();
        let through_exchange = random.chance(70);
        let (exchange, key) = match random.pick(&bindings) {
            Some(binding) if through_exchange => (binding.exchange.as_str(), binding.key.as_str()),
            _ => ("", queue.name.as_str()),
        };
        for _ in 0..=random.below(10) {
            let message = scene.numbers.message(PUBLISHERS + self.number);
            let persistent = random.chance(80);
            log.note(Happening::Published {
                message,
                persistent,
                queues: [queue.id].into(),
            });
            client.publish(&Outgoing {
                exchange,
                key,
                mandatory: true,
                persistent,
                id: &message.to_string(),
                body: &message.body(random.index(500)),
            });
            window.push(message);
        }
        client.flush()?;
        while window.len() > 0 {
            take(client, window, Duration::from_secs(1), log)?;
        }
        Ok(())
    }
}
