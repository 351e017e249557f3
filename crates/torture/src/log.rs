//! What the clients saw, each for itself, on one clock.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::message::MessageId;

/// Nanoseconds since the run began, on a clock that never goes back.
pub(crate) type Nanos = u64;

/// The clock of all clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Nanos {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }
}

/// One queue: a name that is deleted and declared again is another queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueId(pub(crate) u32);

/// One consumer, or one channel that gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConsumerId(pub(crate) u32);

/// What a queue was declared as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueueDefinition {
    pub(crate) id: QueueId,
    pub(crate) name: String,
    pub(crate) durable: bool,
    /// A quorum queue keeps transient messages too, and counts returns.
    pub(crate) quorum: bool,
    /// Where what is rejected goes.
    pub(crate) dead_letters: Option<QueueId>,
}

/// What an exchange was declared as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeDefinition {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) durable: bool,
}

/// A binding of a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) exchange: String,
    pub(crate) queue: String,
    pub(crate) key: String,
}

/// A change of the definitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    DeclareQueue(QueueDefinition),
    DeleteQueue(String),
    DeclareExchange(ExchangeDefinition),
    DeleteExchange(String),
    Bind(Binding),
    Unbind(Binding),
    /// queue.purge.
    Purge(String),
}

/// What a consumer does with a message in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    Ack,
    /// Rejected for good: dead-lettered where the queue has a dead-letter exchange.
    Reject,
    /// Given back to its queue.
    Requeue,
}

/// Something a client did or saw. What a client sends is noted before it is written, what it
/// receives after it was read, so that a cause is always noted before its effect.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A message is about to be written, for these queues.
    Published {
        message: MessageId,
        persistent: bool,
        queues: Arc<[QueueId]>,
    },
    /// Its basic.ack has come.
    Confirmed { message: MessageId },
    /// Its basic.nack has come, or it was returned though queues were bound.
    Refused { message: MessageId },
    /// A consumer is about to be asked for. `alone`: it has the queue for itself and gives nothing
    /// back, so it must see all in order.
    Consuming {
        consumer: ConsumerId,
        queue: QueueId,
        alone: bool,
    },
    /// Its channel is about to be closed, or it gets no more.
    Stopped { consumer: ConsumerId },
    /// A message has come. `count` is its header `x-delivery-count`.
    Delivered {
        consumer: ConsumerId,
        queue: QueueId,
        message: MessageId,
        redelivered: bool,
        count: Option<i64>,
    },
    /// A message has come that is not as it was published.
    Damaged { queue: QueueId, what: String },
    /// It is about to be settled.
    Settled {
        consumer: ConsumerId,
        queue: QueueId,
        message: MessageId,
        how: Settlement,
    },
    /// The answer has come to something that was asked at `asked` on the channel of this consumer:
    /// the broker has all that was sent there before.
    Synced { consumer: ConsumerId, asked: Nanos },
    /// A change of the definitions is about to be asked for.
    Asked(Operation),
    /// Its -ok has come.
    Done(Operation),
}

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Nanos,
    pub(crate) what: Happening,
}

impl fmt::Display for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at / 1_000_000_000, self.at / 1_000 % 1_000_000);
        write!(out, "{seconds:>6}.{micros:06} {:?}", self.what)
    }
}

impl Entry {
    /// Whether it speaks of the message.
    pub(crate) fn names(&self, id: MessageId) -> bool {
        match &self.what {
            Happening::Published { message, .. }
            | Happening::Confirmed { message }
            | Happening::Refused { message }
            | Happening::Delivered { message, .. }
            | Happening::Settled { message, .. } => *message == id,
            _ => false,
        }
    }

    /// Whether it speaks of a definition with this name.
    pub(crate) fn defines(&self, name: &str) -> bool {
        match &self.what {
            Happening::Asked(operation) | Happening::Done(operation) => match operation {
                Operation::DeclareQueue(queue) => queue.name == name,
                Operation::DeclareExchange(exchange) => exchange.name == name,
                Operation::DeleteQueue(other)
                | Operation::DeleteExchange(other)
                | Operation::Purge(other) => other == name,
                Operation::Bind(binding) | Operation::Unbind(binding) => {
                    binding.queue == name || binding.exchange == name || binding.key == name
                }
            },
            _ => false,
        }
    }
}

/// The log of one client.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: Clock,
    entries: Vec<Entry>,
}

impl Recorder {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            entries: Vec::new(),
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    pub(crate) fn note(&mut self, what: Happening) {
        let at = self.clock.now();
        self.entries.push(Entry { at, what });
    }

    /// Note what was begun at `at`, and of which more is known now.
    pub(crate) fn note_at(&mut self, at: Nanos, what: Happening) {
        self.entries.push(Entry { at, what });
    }

    /// All of it, leaving nothing.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }
}
