//! Each kind of breach, planted into logs in which nothing else is wrong.

mod definitions;
mod messages;
mod settles;

use std::sync::Arc;

use super::{Checker, End, Kind, Tolerance};
use crate::log::{
    ConsumerId, Entry, Happening, Nanos, Operation, QueueDefinition, QueueId, Settlement,
};
use crate::message::MessageId;

const MS: Nanos = 1_000_000;
const CLASSIC: QueueId = QueueId(0);
const QUORUM: QueueId = QueueId(1);
/// Its rejected messages go to [`LETTERS`].
const SOURCE: QueueId = QueueId(2);
const LETTERS: QueueId = QueueId(3);

const WORKER: ConsumerId = ConsumerId(1);
const OTHER: ConsumerId = ConsumerId(2);
/// Has a queue for itself.
const DRAINER: ConsumerId = ConsumerId(9);

fn id(number: u64) -> MessageId {
    MessageId {
        publisher: 1,
        number,
    }
}

fn definition(id: QueueId, name: &str) -> QueueDefinition {
    QueueDefinition {
        id,
        name: name.to_owned(),
        durable: true,
        quorum: id == QUORUM,
        dead_letters: (id == SOURCE).then_some(LETTERS),
    }
}

/// A checker and a clock that goes on by a millisecond with each thing that happens.
struct Story {
    checker: Checker,
    now: Nanos,
}

impl Story {
    fn new() -> Self {
        Self::with(true)
    }

    /// Whether a confirm says that everything before it is on the disk.
    fn with(confirms_cover_acks: bool) -> Self {
        let checker = Checker::new(Tolerance {
            ack: 200 * MS,
            confirms_cover_acks,
        });
        let mut story = Self { checker, now: 0 };
        for (id, name) in [
            (LETTERS, "letters"),
            (CLASSIC, "classic"),
            (QUORUM, "quorum"),
            (SOURCE, "source"),
        ] {
            story.note(Happening::Done(Operation::DeclareQueue(definition(
                id, name,
            ))));
        }
        story
    }

    fn note(&mut self, what: Happening) {
        self.now += MS;
        let at = self.now;
        self.checker.absorb(&[Entry { at, what }]);
    }

    fn publish_to(&mut self, number: u64, persistent: bool, queues: &[QueueId]) {
        self.note(Happening::Published {
            message: id(number),
            persistent,
            queues: Arc::from(queues),
        });
    }

    fn confirm(&mut self, number: u64) {
        self.note(Happening::Confirmed {
            message: id(number),
        });
    }

    /// Persistent and confirmed.
    fn put(&mut self, number: u64, queue: QueueId) {
        self.publish_to(number, true, &[queue]);
        self.confirm(number);
    }

    fn consume(&mut self, consumer: ConsumerId, queue: QueueId) {
        self.note(Happening::Consuming {
            consumer,
            queue,
            alone: consumer == DRAINER,
        });
    }

    fn deliver(&mut self, consumer: ConsumerId, queue: QueueId, number: u64, redelivered: bool) {
        let count = (queue == QUORUM && redelivered).then_some(1);
        self.deliver_counted(consumer, queue, number, redelivered, count);
    }

    fn deliver_counted(
        &mut self,
        consumer: ConsumerId,
        queue: QueueId,
        number: u64,
        redelivered: bool,
        count: Option<i64>,
    ) {
        self.note(Happening::Delivered {
            consumer,
            queue,
            message: id(number),
            redelivered,
            count,
        });
    }

    fn settle(&mut self, consumer: ConsumerId, queue: QueueId, number: u64, how: Settlement) {
        self.note(Happening::Settled {
            consumer,
            queue,
            message: id(number),
            how,
        });
    }

    fn sync(&mut self, consumer: ConsumerId) {
        let asked = self.now;
        self.note(Happening::Synced { consumer, asked });
    }

    fn wait(&mut self, time: Nanos) {
        self.now += time;
    }

    fn kill(&mut self) {
        let at = self.now;
        self.checker.end_life(End::Kill { at, gone: at + MS });
        self.now += 2 * MS;
    }

    fn stop(&mut self) {
        self.checker.end_life(End::Stop { at: self.now });
        self.now += 2 * MS;
    }

    /// Take these out of a queue, numbers with their marks, and find it empty.
    fn drain(&mut self, queue: QueueId, messages: &[(u64, bool)]) {
        self.consume(DRAINER, queue);
        for (number, redelivered) in messages {
            self.deliver(DRAINER, queue, *number, *redelivered);
        }
        for (number, _) in messages {
            self.settle(DRAINER, queue, *number, Settlement::Ack);
        }
        self.sync(DRAINER);
        self.note(Happening::Stopped { consumer: DRAINER });
        self.checker.drained(queue);
    }

    #[track_caller]
    fn expect(&self, kinds: &[Kind]) {
        let found: Vec<Kind> = self
            .checker
            .violations()
            .iter()
            .map(|one| one.kind)
            .collect();
        assert_eq!(found, kinds, "{:#?}", self.checker.violations());
    }
}
