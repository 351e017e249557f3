//! One queue over a store in manual mode, and readers that keep what the queue gives them.

use std::sync::{Arc, Weak};

use leveret_store::{MemoryStore, Operation, Store, Ticket};
use leveret_wire::{BodyPart, FieldTable, Message, PropertiesBuilder};

use crate::broker::Shared;
use crate::effects::{Effects, push_settle};
use crate::entry::Entry;
use crate::mailbox::{ChannelCredit, Delivery, Mailbox, Notice};
use crate::queue::{
    ConsumeRefused, ConsumerId, GetOutcome, MessageMemory, NewConsumer, Publishing, Queue,
    QueueCounts, QueueOptions, QueueProperties, SettledRun,
};
use crate::{Limits, ManualClock};

/// More than any test here delivers.
const ROOMY: usize = 1 << 30;

/// The message that has `number` as its body, with leading zeros up to `size`.
pub(super) fn message(number: u64, persistent: bool, size: usize) -> Message {
    let digits = number.to_string();
    let body = "0".repeat(size.saturating_sub(digits.len())) + &digits;
    let mode = if persistent { 2 } else { 1 };
    let header = PropertiesBuilder::new()
        .delivery_mode(Some(mode))
        .build(body.len() as u64)
        .unwrap();
    Message::from_parts(b"", b"q", &header, BodyPart::Slice(body.as_bytes())).unwrap()
}

/// The number in the body of a message.
pub(super) fn number(message: &Message) -> u64 {
    std::str::from_utf8(message.body())
        .unwrap()
        .parse()
        .unwrap()
}

/// What a queue is declared as in these tests.
pub(super) fn properties(durable: bool, auto_delete: bool) -> QueueProperties {
    QueueProperties {
        name: "q".into(),
        durable,
        auto_delete,
        owner: None,
        arguments: FieldTable::default(),
        options: QueueOptions::default(),
    }
}

/// A queue and what stands around it.
pub(super) struct Rig<S: Store = MemoryStore> {
    pub(super) store: Arc<S>,
    pub(super) memory: Arc<MessageMemory>,
    shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    pub(super) effects: Effects,
}

impl Rig {
    /// A durable queue with no need to page anything out.
    pub(super) fn new() -> Self {
        Self::with_memory(usize::MAX)
    }

    /// A durable queue that keeps little more than its window in memory.
    pub(super) fn with_memory(limit: usize) -> Self {
        Self::on(MemoryStore::manual(), properties(true, false), limit)
    }
}

impl<S: Store> Rig<S> {
    pub(super) fn on(store: S, properties: QueueProperties, memory_limit: usize) -> Self {
        let store = Arc::new(store);
        let limits = Limits {
            message_memory_bytes: memory_limit,
            ..Limits::default()
        };
        let shared = Arc::new(Shared::new(
            "test",
            limits,
            Arc::clone(&store) as _,
            Arc::new(ManualClock::default()),
        ));
        let queue = Arc::new(Queue::new(
            store.next_queue_id(),
            properties,
            Arc::clone(&shared),
            Weak::new(),
        ));
        Self {
            store,
            memory: Arc::clone(&shared.memory),
            shared,
            queue,
            effects: Effects::default(),
        }
    }

    /// Put the queue in the place of one found after a restart: same id, all of its messages in the store.
    pub(super) fn recover(&mut self, next_seq: u64, messages: u64, bytes: u64) {
        let properties = self.queue.properties().clone();
        let queue = Queue::new(
            self.queue.id(),
            properties,
            Arc::clone(&self.shared),
            Weak::new(),
        );
        self.queue = Arc::new(queue.recovered(next_seq, messages, bytes));
    }

    /// Publish one run; gives what confirms would wait for, by confirm number.
    pub(super) fn publish(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<(u64, Ticket)> {
        let mut run: Vec<Publishing> = (1..)
            .zip(messages)
            .map(|(confirm, message)| Publishing {
                message,
                channel: 1,
                confirm,
            })
            .collect();
        let mut waiting = Vec::new();
        let confirmed_by = &mut |channel, confirm, ticket| {
            assert_eq!(channel, 1);
            waiting.push((confirm, ticket));
        };
        self.queue
            .publish(&mut run, &mut self.effects, confirmed_by)
            .unwrap();
        assert!(run.is_empty(), "a run is taken whole");
        waiting
    }

    /// Publish small transient messages with these numbers.
    pub(super) fn publish_numbers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.publish(numbers.into_iter().map(|number| message(number, false, 1)));
    }

    pub(super) fn consume(&mut self, reader: &Reader, options: Options) -> ConsumerId {
        self.try_consume(reader, options).unwrap()
    }

    pub(super) fn try_consume(
        &mut self,
        reader: &Reader,
        options: Options,
    ) -> Result<ConsumerId, ConsumeRefused> {
        let Options {
            key,
            no_ack,
            exclusive,
            prefetch,
            priority,
        } = options;
        let new = NewConsumer {
            key,
            mailbox: Arc::clone(&reader.mailbox),
            credit: Arc::clone(&reader.credit),
            no_ack,
            exclusive,
            prefetch,
            priority,
        };
        self.queue
            .add_consumer(new, &mut self.effects)
            .map(|(id, delivered)| {
                delivered.unwrap();
                id
            })
    }

    pub(super) fn get(&mut self, no_ack: bool, reader: &Reader, request: u64) -> GetOutcome {
        self.queue
            .get(no_ack, &reader.mailbox, 1, request, &mut self.effects)
            .unwrap()
    }

    /// Acknowledge messages of one consumer.
    pub(super) fn ack(&mut self, consumer: Option<ConsumerId>, entries: &[Entry]) {
        self.settle(&[run_of(consumer, entries)], entries);
    }

    /// Settle messages: the store hears of it, then the queue, as a session does it.
    pub(super) fn settle<'a>(
        &mut self,
        runs: &[SettledRun],
        entries: impl IntoIterator<Item = &'a Entry>,
    ) {
        let mut settles: Vec<Operation> = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.stored.is_stored()) {
            push_settle(&mut settles, self.queue.id(), entry.seq, entry.stored);
        }
        if !settles.is_empty() {
            self.store.append(&mut settles).unwrap();
        }
        self.queue.settle(runs, &mut self.effects).unwrap();
    }

    /// Give messages of one consumer back that a client had.
    pub(super) fn requeue(&mut self, consumer: Option<ConsumerId>, entries: Vec<Entry>) {
        let run = run_of(consumer, &entries);
        self.requeue_runs(&[run], entries);
    }

    /// Give messages back that a client had.
    pub(super) fn requeue_runs(&mut self, runs: &[SettledRun], mut entries: Vec<Entry>) {
        for entry in &mut entries {
            entry.delivery_count += 1;
        }
        entries.sort_by_key(|entry| entry.seq);
        self.queue
            .requeue(entries, runs, &mut self.effects)
            .unwrap();
    }

    /// The reader's socket has taken everything: consumers that were passed over go on.
    pub(super) fn resume(&mut self, reader: &Reader) {
        for (queue, consumer) in reader.mailbox.take_stalled() {
            queue.resume(consumer, &mut self.effects).unwrap();
        }
    }

    pub(super) fn purge(&mut self) -> u64 {
        self.queue.purge(&mut self.effects).unwrap()
    }

    pub(super) fn counts(&self) -> QueueCounts {
        self.queue.counts()
    }
}

/// How a consumer is started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) key: u32,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
    pub(super) prefetch: u32,
    pub(super) priority: i32,
}

/// A channel of a connection, as a queue sees it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) credit: Arc<ChannelCredit>,
}

impl Reader {
    /// A connection that is never full.
    pub(super) fn new() -> Self {
        Self::with_marks(ROOMY, ROOMY)
    }

    /// A connection that is full over `high` octets and free again at `low`.
    pub(super) fn with_marks(high: usize, low: usize) -> Self {
        Self {
            mailbox: Arc::new(Mailbox::new(high, low)),
            credit: Arc::default(),
        }
    }

    /// Another channel of the same connection.
    pub(super) fn channel(&self) -> Self {
        Self {
            mailbox: Arc::clone(&self.mailbox),
            credit: Arc::default(),
        }
    }

    pub(super) fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.mailbox.take(&mut notices);
        notices
    }

    /// What came, all of which must be deliveries; it still counts against the marks.
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.notices()
            .into_iter()
            .map(|notice| match notice {
                Notice::Delivery(delivery) => delivery,
                other => panic!("{other:?} is no delivery"),
            })
            .collect()
    }

    /// As [`Reader::deliveries`], when it does not matter to which consumer they went.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.deliveries()
            .into_iter()
            .map(|delivery| delivery.entry)
            .collect()
    }

    /// Numbers of the messages that came.
    pub(super) fn numbers(&self) -> Vec<u64> {
        numbers(&self.entries())
    }

    /// Keys of the consumers that the messages went to, in order.
    pub(super) fn keys(&self) -> Vec<u32> {
        self.deliveries()
            .into_iter()
            .map(|delivery| delivery.consumer)
            .collect()
    }

    /// The socket has taken these octets.
    pub(super) fn written(&self, entries: &[Entry]) {
        self.mailbox.release(entries.iter().map(Entry::cost).sum());
    }
}

pub(super) fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| number(&entry.message)).collect()
}

/// The run that settles these messages of one consumer.
pub(super) fn run_of(consumer: Option<ConsumerId>, entries: &[Entry]) -> SettledRun {
    let bytes = entries
        .iter()
        .map(|entry| entry.message.body().len() as u64)
        .sum();
    SettledRun {
        consumer,
        messages: u32::try_from(entries.len()).unwrap(),
        bytes,
    }
}
