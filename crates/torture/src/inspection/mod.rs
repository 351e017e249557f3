//! What is looked at after a restart, while nobody else is there.

mod drain;

use leveret_wire::AMQPClass;
use leveret_wire::method::basic;

use crate::checker::{Checker, Kind, Object, Presence};
use crate::client::{Client, Event, Failure};
use crate::frame::Outgoing;
use crate::load::{PROBER, Scene};
use crate::log::{Binding, Happening, Nanos, QueueDefinition, QueueId, Recorder};
use crate::message::{BODY_MIN, MessageId};
use crate::random::Random;
use crate::requests::select_confirms;

/// How much of the backlogs is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draining {
    /// Some queues, wholly or in part; others keep their backlog for the next round.
    Some,
    /// All of all.
    All,
}

/// Someone who looks.
pub(crate) struct Inspection<'a> {
    scene: &'a Scene,
    checker: &'a mut Checker,
    log: Recorder,
    /// Everything noted so far, for the histories.
    noted: Vec<crate::log::Entry>,
    /// For what may be refused, which closes the channel.
    looking: Client,
    /// In confirm mode.
    probing: Client,
    /// Publishes on it.
    probes: u64,
}

impl<'a> Inspection<'a> {
    pub(crate) fn new(scene: &'a Scene, checker: &'a mut Checker) -> Result<Self, Failure> {
        let looking = Client::connect(scene.address)?;
        let mut probing = Client::connect(scene.address)?;
        probing.call(select_confirms())?;
        Ok(Self {
            scene,
            checker,
            log: Recorder::new(scene.clock),
            noted: Vec::new(),
            looking,
            probing,
            probes: 0,
        })
    }

    /// Look at everything. Gives what was noted on the way.
    pub(crate) fn run(
        mut self,
        draining: Draining,
        random: &mut Random,
    ) -> Result<Vec<crate::log::Entry>, Failure> {
        self.look_at_exchanges()?;
        self.look_at_queues()?;
        if self
            .checker
            .violations()
            .iter()
            .any(|violation| violation.kind == Kind::Undone)
        {
            // What leads nowhere can't be probed.
            return Ok(self.noted);
        }
        self.probe_bindings()?;
        self.probe_ways()?;
        self.drain(draining, random)?;
        Ok(self.noted)
    }

    /// Have the checker take what was noted.
    fn hand_over(&mut self) {
        let entries = self.log.take();
        self.checker.absorb(&entries);
        self.noted.extend(entries);
    }

    fn look_at_exchanges(&mut self) -> Result<(), Failure> {
        let names: Vec<String> = self
            .checker
            .definitions()
            .exchanges()
            .map(|(_, exchange)| exchange.name.clone())
            .collect();
        for name in names {
            let present = self.looking.has_exchange(&name)?;
            self.checker.observe(&Object::Exchange(name), present);
        }
        Ok(())
    }

    fn look_at_queues(&mut self) -> Result<(), Failure> {
        let queues: Vec<QueueDefinition> = self
            .checker
            .definitions()
            .queues()
            .map(|(_, queue)| queue.clone())
            .collect();
        for queue in queues {
            let count = self.looking.count(&queue.name)?;
            self.checker
                .observe(&Object::Queue(queue.name), count.is_some());
            if let Some(count) = count {
                self.checker.counted(queue.id, count);
            }
        }
        Ok(())
    }

    /// Each binding between a queue and an exchange that are there must lead on, or not.
    fn probe_bindings(&mut self) -> Result<(), Failure> {
        let definitions = self.checker.definitions();
        let passing: Vec<Binding> = definitions
            .bindings()
            .filter(|(_, binding)| {
                definitions.queue_presence(&binding.queue) == Presence::Present
                    && definitions.exchange_presence(&binding.exchange) == Presence::Present
                    && !self.scene.topology.is_lasting(binding)
            })
            .map(|(_, binding)| binding.clone())
            .collect();
        for binding in passing {
            let Some(queue) = self.checker.definitions().queue(&binding.queue).cloned() else {
                continue;
            };
            let reached = self.probe(&binding.exchange, &binding.key, &[queue])?;
            self.checker
                .observe(&Object::Binding(binding), !reached.is_empty());
        }
        Ok(())
    }

    /// Each way must lead to its queues and to no others.
    fn probe_ways(&mut self) -> Result<(), Failure> {
        let topology = &self.scene.topology;
        for way in &topology.ways {
            let reached = self.probe(way.exchange, way.key, &topology.queues)?;
            if reached != way.queues {
                let text = format!(
                    "what goes to {:?} by {:?} must reach the queues {:?} and reached {reached:?}",
                    way.exchange, way.key, way.queues
                );
                self.checker.report(Kind::Undone, text);
            }
        }
        Ok(())
    }

    /// Publish a message, and see which of the queues have one more.
    fn probe(
        &mut self,
        exchange: &str,
        key: &str,
        among: &[QueueDefinition],
    ) -> Result<Vec<QueueId>, Failure> {
        let before = self.counts(among)?;
        let at = self.log.now();
        let message = self.scene.numbers.message(PROBER);
        self.probing.publish(&Outgoing {
            exchange,
            key,
            mandatory: true,
            persistent: false,
            id: &message.to_string(),
            body: &message.body(BODY_MIN),
        });
        self.probing.flush()?;
        let returned = self.wait_for_confirm()?;
        let after = self.counts(among)?;
        let grown = among.iter().zip(before.iter().zip(&after));
        let reached: Vec<QueueId> = grown
            .filter(|(_, (before, after))| after > before)
            .map(|(queue, _)| queue.id)
            .collect();
        self.note_probe(at, message, &reached, returned);
        Ok(reached)
    }

    fn note_probe(&mut self, at: Nanos, message: MessageId, reached: &[QueueId], returned: bool) {
        self.log.note_at(
            at,
            Happening::Published {
                message,
                persistent: false,
                queues: reached.into(),
            },
        );
        self.log.note(Happening::Confirmed { message });
        self.hand_over();
        if returned != reached.is_empty() {
            let text = format!("{message}, returned: {returned}, reached {reached:?}");
            self.checker.report(Kind::Misrouted, text);
        }
    }

    fn counts(&mut self, queues: &[QueueDefinition]) -> Result<Vec<u64>, Failure> {
        queues
            .iter()
            .map(|queue| Ok(self.probing.count(&queue.name)?.unwrap_or(0)))
            .collect()
    }

    /// Whether the message was returned before its confirm.
    fn wait_for_confirm(&mut self) -> Result<bool, Failure> {
        self.probes += 1;
        let mut returned = false;
        loop {
            match self.probing.expect()? {
                Event::Returned(_) => returned = true,
                Event::Confirm {
                    tag, taken: true, ..
                } if tag == self.probes => return Ok(returned),
                other => return Err(Failure::Unexpected(format!("{other:?}"))),
            }
        }
    }
}

/// Whether basic.get found nothing.
fn is_empty(event: &Event) -> bool {
    matches!(
        event,
        Event::Method(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)))
    )
}
