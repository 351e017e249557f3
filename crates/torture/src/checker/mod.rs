//! The judge: takes the logs of the clients, and says what of the promise was broken.
//!
//! It knows no socket and no clock. [`Checker::absorb`] takes what clients did and saw in one life
//! of the broker, [`Checker::end_life`] tells it how that life ended, and [`Checker::drained`],
//! [`Checker::counted`] and [`Checker::observe`] what was found after the restart.
//!
//! When an acknowledgement counts as arrived: the broker has answered something that was sent after
//! it on the same channel. An arrived acknowledgement must not be undone if the life ended in order;
//! or if it was older than the tolerance at the kill; or if a persistent message that was published
//! after the answer was confirmed, since messages and acknowledgements go through one log in
//! order. The same goes for the mark that a message was delivered.

mod copies;
mod definitions;
mod tally;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

pub(crate) use self::definitions::{Definitions, Object, Presence};
pub(crate) use self::tally::Tally;
pub(crate) use self::violation::{Kind, Violation};

use self::copies::{Copies, Ended, Letter, Seen};
use crate::log::{
    ConsumerId, Entry, Happening, Nanos, Operation, QueueDefinition, QueueId, Settlement,
};
use crate::message::MessageId;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// How young an acknowledgement may be at a kill that is undone by it.
    pub(crate) ack: Nanos,
    /// A confirm covers every acknowledgement that the broker had before: so with one log.
    pub(crate) confirms_cover_acks: bool,
}

/// How a life of the broker ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// By SIGKILL, sent at `at`; the process was gone at `gone`.
    Kill { at: Nanos, gone: Nanos },
    /// In order.
    Stop { at: Nanos },
}

/// A publish whose confirm has not come.
#[derive(Debug)]
struct Route {
    queues: Arc<[QueueId]>,
    at: Nanos,
    /// Some queue writes it to the disk.
    lasting: bool,
}

/// An acknowledgement that no answer stands behind yet.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Nanos,
    queue: QueueId,
    message: MessageId,
}

#[derive(Debug)]
pub(crate) struct Checker {
    tolerance: Tolerance,
    /// Counts the broker's lives.
    life: u32,
    queues: BTreeMap<QueueId, Copies>,
    definitions: Definitions,
    unconfirmed: HashMap<MessageId, Route>,
    /// The highest number that each publisher has used.
    numbers: HashMap<u32, u64>,
    /// Whatever the broker had before this time is on the disk.
    covered: Nanos,
    unsynced: HashMap<ConsumerId, VecDeque<Sent>>,
    /// Consumers that must see everything in order.
    alone: BTreeSet<ConsumerId>,
    /// The last number of each publisher that a consumer has seen, of those that are in order.
    positions: HashMap<(ConsumerId, u32), u64>,
    consumers: HashMap<ConsumerId, QueueId>,
    /// From when on the broker closes connections, one after the other.
    stopping: Nanos,
    violations: Vec<Violation>,
    tally: Tally,
}

impl Checker {
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            life: 0,
            queues: BTreeMap::new(),
            definitions: Definitions::default(),
            unconfirmed: HashMap::new(),
            numbers: HashMap::new(),
            covered: 0,
            unsynced: HashMap::new(),
            alone: BTreeSet::new(),
            positions: HashMap::new(),
            consumers: HashMap::new(),
            stopping: Nanos::MAX,
            violations: Vec::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Something else that is wrong: the broker did not start, refused what it must take, ...
    pub(crate) fn report(&mut self, kind: Kind, text: String) {
        self.violations.push(Violation::new(kind, text));
    }

    /// In this life the broker was told at `at` to stop in order: what one connection had may go to
    /// another that is not closed yet, and nobody can say which of the two has read it first. To be
    /// said before the logs of that life are absorbed.
    pub(crate) fn stopping(&mut self, at: Nanos) {
        self.stopping = at;
    }

    /// What clients did and saw, in order of time.
    pub(crate) fn absorb(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.take(entry);
        }
    }

    fn take(&mut self, entry: &Entry) {
        let at = entry.at;
        match &entry.what {
            Happening::Published {
                message,
                persistent,
                queues,
            } => self.published(at, *message, *persistent, queues),
            Happening::Confirmed { message } => self.confirmed(*message),
            Happening::Refused { message } => {
                self.unconfirmed.remove(message);
                self.report(
                    Kind::Refused,
                    format!("{message} was refused or returned; nothing stood against it"),
                );
            }
            Happening::Consuming {
                consumer,
                queue,
                alone,
            } => {
                self.consumers.insert(*consumer, *queue);
                if *alone {
                    self.alone.insert(*consumer);
                } else if let Some(copies) = self.queues.get_mut(queue) {
                    copies.consume();
                }
            }
            Happening::Stopped { consumer } => self.stopped(at, *consumer),
            Happening::Delivered {
                consumer,
                queue,
                message,
                redelivered,
                count,
            } => self.delivered(
                *queue,
                *message,
                Seen {
                    at,
                    consumer: *consumer,
                    redelivered: *redelivered,
                    count: *count,
                },
            ),
            Happening::Damaged { queue, what } => {
                let text = format!("in {}: {what}", self.name(*queue));
                self.report(Kind::WrongBody, text);
            }
            Happening::Settled {
                consumer,
                queue,
                message,
                how,
            } => self.settled(at, *consumer, *queue, *message, *how),
            Happening::Synced { consumer, asked } => self.synced(at, *consumer, *asked),
            Happening::Asked(operation) => self.asked(operation),
            Happening::Done(operation) => self.done(at, operation),
        }
    }

    fn published(
        &mut self,
        at: Nanos,
        message: MessageId,
        persistent: bool,
        queues: &Arc<[QueueId]>,
    ) {
        self.tally.published += 1;
        let highest = self.numbers.entry(message.publisher).or_default();
        *highest = (*highest).max(message.number);
        let mut lasting = false;
        for queue in queues.iter() {
            if let Some(copies) = self.queues.get_mut(queue) {
                lasting |= copies.is_lasting(persistent);
                copies.publish(message, persistent, self.life, at);
            }
        }
        let route = Route {
            queues: Arc::clone(queues),
            at,
            lasting,
        };
        self.unconfirmed.insert(message, route);
    }

    fn confirmed(&mut self, message: MessageId) {
        let Some(route) = self.unconfirmed.remove(&message) else {
            let text = format!("{message} was confirmed though it was not waited for");
            return self.report(Kind::Refused, text);
        };
        self.tally.confirmed += 1;
        if route.lasting {
            self.tally.confirmed_lasting += 1;
            self.covered = self.covered.max(route.at);
        }
        for queue in route.queues.iter() {
            let Some(copies) = self.queues.get_mut(queue) else {
                continue;
            };
            copies.confirm(message);
            let letters = copies.definition.dead_letters;
            if let Some(letters) = letters.and_then(|id| self.queues.get_mut(&id)) {
                letters.confirm(message);
            }
        }
    }

    fn stopped(&mut self, at: Nanos, consumer: ConsumerId) {
        let queue = self.consumers.remove(&consumer);
        // One that was alone has left nothing.
        if !self.alone.remove(&consumer)
            && let Some(copies) = queue.and_then(|queue| self.queues.get_mut(&queue))
        {
            copies.give_back(consumer, at);
        }
    }

    fn delivered(&mut self, queue: QueueId, message: MessageId, seen: Seen) {
        self.tally.delivered += 1;
        self.tally.redelivered += u64::from(seen.redelivered);
        let Some(copies) = self.queues.get_mut(&queue) else {
            let text = format!("{message} came from queue {}, which is deleted", queue.0);
            return self.report(Kind::Undone, text);
        };
        let highest = self.numbers.get(&message.publisher).copied();
        if highest.is_none_or(|highest| message.number > highest) {
            let text = format!(
                "{message} came from {} and was never published",
                copies.name()
            );
            return self.report(Kind::Unknown, text);
        }
        if seen.at >= self.stopping {
            return copies.deliver_while_stopping(message, seen.at);
        }
        let found = copies.deliver(message, seen, self.life, &mut self.tally);
        let in_order = !copies.is_for_letters
            && (self.alone.contains(&seen.consumer) || found.is_first_delivery);
        let queue_name = copies.name().to_owned();
        for (kind, text) in found.wrong {
            let text = format!("{message} from {queue_name}: {text}");
            self.violations
                .push(Violation::new(kind, text).of_message(message));
        }
        if in_order {
            self.check_order(message, seen.consumer, &queue_name);
        }
    }

    fn check_order(&mut self, message: MessageId, consumer: ConsumerId, queue: &str) {
        let position = self
            .positions
            .entry((consumer, message.publisher))
            .or_default();
        if message.number > *position {
            *position = message.number;
            return;
        }
        let text =
            format!("{message} came from {queue} after number {position} of the same publisher");
        self.violations
            .push(Violation::new(Kind::Order, text).of_message(message));
    }

    fn settled(
        &mut self,
        at: Nanos,
        consumer: ConsumerId,
        queue: QueueId,
        message: MessageId,
        how: Settlement,
    ) {
        let Some(copies) = self.queues.get_mut(&queue) else {
            return;
        };
        match how {
            Settlement::Ack => self.tally.acked += 1,
            Settlement::Reject => self.tally.rejected += 1,
            Settlement::Requeue => self.tally.requeued += 1,
        }
        copies.settle(message, at, self.life, how);
        if how == Settlement::Requeue {
            return;
        }
        self.unsynced
            .entry(consumer)
            .or_default()
            .push_back(Sent { at, queue, message });
        if how == Settlement::Reject
            && let Some(letters) = copies.definition.dead_letters
        {
            let letter = copies.letter(message);
            if let (Some(letter), Some(copies)) = (letter, self.queues.get_mut(&letters)) {
                copies.expect_letter(message, letter, self.life, at);
            }
        }
    }

    fn synced(&mut self, at: Nanos, consumer: ConsumerId, asked: Nanos) {
        let Some(sent) = self.unsynced.get_mut(&consumer) else {
            return;
        };
        while let Some(first) = sent.front().copied().filter(|sent| sent.at <= asked) {
            sent.pop_front();
            if let Some(copies) = self.queues.get_mut(&first.queue) {
                copies.arrived(first.message, at);
            }
        }
    }

    fn asked(&mut self, operation: &Operation) {
        if let Operation::DeleteQueue(name) | Operation::Purge(name) = operation
            && let Some(copies) = self.queue_named(name)
        {
            copies.owe_nothing();
        }
        self.definitions.ask(operation);
        if let Operation::DeclareQueue(queue) = operation {
            self.make_room(queue);
        }
    }

    fn done(&mut self, at: Nanos, operation: &Operation) {
        if let Operation::Purge(name) = operation {
            let life = self.life;
            if let Some(copies) = self.queue_named(name) {
                copies.purge(at, life);
            }
            return;
        }
        self.tally.definitions += 1;
        if let Operation::DeclareQueue(queue) = operation {
            self.make_room(queue);
        }
        if let Operation::DeleteQueue(name) = operation {
            self.forget_queue(name);
        }
        self.definitions.complete(operation);
    }

    fn make_room(&mut self, queue: &QueueDefinition) {
        if let Some(letters) = queue.dead_letters.and_then(|id| self.queues.get_mut(&id)) {
            letters.is_for_letters = true;
        }
        self.queues
            .entry(queue.id)
            .or_insert_with(|| Copies::new(queue.clone()));
    }

    fn queue_named(&mut self, name: &str) -> Option<&mut Copies> {
        let id = self.definitions.queue(name)?.id;
        self.queues.get_mut(&id)
    }

    fn forget_queue(&mut self, name: &str) {
        if let Some(id) = self.definitions.queue(name).map(|queue| queue.id) {
            self.queues.remove(&id);
        }
    }

    fn name(&self, queue: QueueId) -> &str {
        self.queues
            .get(&queue)
            .map_or("a deleted queue", Copies::name)
    }

    /// The broker is gone; the next life begins.
    pub(crate) fn end_life(&mut self, end: End) {
        let ended = Ended {
            end,
            tolerance: self.tolerance.ack,
            covered: if self.tolerance.confirms_cover_acks {
                self.covered
            } else {
                0
            },
            life: self.life,
        };
        let ids: Vec<QueueId> = self.queues.keys().copied().collect();
        for id in ids {
            let Some(copies) = self.queues.get_mut(&id) else {
                continue;
            };
            let sure = copies.end_life(&ended);
            let letters = copies.definition.dead_letters;
            let durable = copies.definition.durable;
            if let Some(letters) = letters.and_then(|id| self.queues.get_mut(&id)) {
                letters.make_sure(sure);
            }
            if !durable {
                self.queues.remove(&id);
            }
        }
        self.definitions.restart();
        self.unconfirmed.clear();
        self.unsynced.clear();
        self.alone.clear();
        self.positions.clear();
        self.consumers.clear();
        self.covered = 0;
        self.stopping = Nanos::MAX;
        self.life += 1;
    }

    /// The queue was emptied: what it must hold and did not give is lost.
    pub(crate) fn drained(&mut self, queue: QueueId) {
        let Some(copies) = self.queues.get_mut(&queue) else {
            return;
        };
        let name = copies.name().to_owned();
        let (lost, handed_on) = copies.drained(self.life);
        let letters = copies.definition.dead_letters;
        if let Some(letters) = letters.and_then(|id| self.queues.get_mut(&id)) {
            letters.make_sure(handed_on);
        }
        self.tally.lost += lost.len() as u64;
        for message in lost {
            let text = format!("{message} was confirmed and is not in {name}");
            self.violations
                .push(Violation::new(Kind::Lost, text).of_message(message));
        }
    }

    /// How many messages a queue says it has, while nobody publishes or consumes.
    pub(crate) fn counted(&mut self, queue: QueueId, count: u64) {
        let Some(copies) = self.queues.get(&queue) else {
            return;
        };
        let (least, most) = copies.bounds(self.life);
        if count < least || count > most {
            let text = format!(
                "{} has {count} messages, and must have {least} to {most}",
                copies.name()
            );
            self.report(Kind::Count, text);
        }
    }

    /// Whether something defined is there.
    pub(crate) fn observe(&mut self, object: &Object, present: bool) {
        if let Object::Queue(name) = object
            && !present
        {
            self.forget_queue(name);
        }
        if let Some(text) = self.definitions.observe(object, present) {
            self.tally.undone += 1;
            self.violations
                .push(Violation::new(Kind::Undone, text).of_definition(object.name()));
        }
    }
}

/// What becomes known of rejected messages, for the queue of dead letters.
type Letters = Vec<(MessageId, Letter)>;
