//! What exchanges of type `x-recent-history` keep for queues that are bound later (plugin
//! `rabbitmq_recent_history_exchange`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use leveret_router::{Binding, Destination, Exchange, RouteRequest, RouteScratch};
use leveret_store::{StoreError, Ticket};
use leveret_wire::{Message, RawValue};
use parking_lot::Mutex;

use super::Topology;
use crate::dead_letter::carbon_copies;
use crate::effects::Effects;
use crate::queue::{Publishing, Queue};

/// Header of a message that is not to be kept.
const NO_STORE: &[u8] = b"x-recent-history-no-store";

/// Octets that all histories of a node hold.
#[derive(Debug)]
pub(crate) struct HistoryMemory {
    used: AtomicUsize,
    max: usize,
}

impl HistoryMemory {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }

    /// Room for so many octets, if there is.
    fn take(&self, octets: usize) -> bool {
        let fits = |used: usize| used.checked_add(octets).filter(|sum| *sum <= self.max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// Octets that are held.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn give_back(&self, octets: usize) {
        self.used.fetch_sub(octets, Ordering::Relaxed);
    }
}

/// The latest messages of one exchange, oldest first.
pub(crate) struct History {
    /// How many messages it keeps.
    length: usize,
    messages: Mutex<VecDeque<Message>>,
    memory: Arc<HistoryMemory>,
}

impl History {
    /// The history of an exchange, if it is of the type that has one.
    pub(crate) fn of(exchange: &Exchange, memory: &Arc<HistoryMemory>) -> Option<Arc<Self>> {
        let length = exchange.history_length()?;
        Some(Arc::new(Self {
            length,
            messages: Mutex::default(),
            memory: Arc::clone(memory),
        }))
    }

    /// Keep a message, unless its headers forbid it. The oldest make room: when there are enough
    /// messages, and when all histories together hold as much as they may.
    fn keep(&self, message: &Message) {
        let octets = message.memory();
        if octets > self.memory.max || !may_be_kept(message) {
            return;
        }
        let mut messages = self.messages.lock();
        while messages.len() >= self.length || !self.memory.take(octets) {
            let Some(oldest) = messages.pop_front() else {
                // The others have it all.
                return;
            };
            self.memory.give_back(oldest.memory());
        }
        messages.push_back(message.clone());
    }

    fn messages(&self) -> Vec<Message> {
        self.messages.lock().iter().cloned().collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        for message in self.messages.get_mut().drain(..) {
            self.memory.give_back(message.memory());
        }
    }
}

fn may_be_kept(message: &Message) -> bool {
    if !message.has_headers() {
        return true;
    }
    let headers = message.properties().headers();
    let forbidden = headers.and_then(|headers| headers.get(NO_STORE));
    !matches!(forbidden, Some(RawValue::Bool(true)))
}

/// Kept messages on their way into the queues of a new binding.
#[derive(Default)]
pub(crate) struct Replay {
    runs: Vec<(Arc<Queue>, Vec<Publishing>)>,
}

impl Replay {
    fn add(&mut self, queue: &Arc<Queue>, message: Message) {
        let publishing = Publishing {
            message,
            channel: 0,
            confirm: 0,
        };
        match self
            .runs
            .iter_mut()
            .find(|(known, _)| known.id() == queue.id())
        {
            Some((_, run)) => run.push(publishing),
            None => self.runs.push((Arc::clone(queue), vec![publishing])),
        }
    }

    /// Publish them. No topology may be locked: a queue may have to dead-letter, for which the
    /// topology is read. Gives the ticket of the last one for the store.
    pub(crate) fn publish(self, effects: &mut Effects) -> Result<Ticket, StoreError> {
        let mut last = Ticket::NONE;
        for (queue, mut run) in self.runs {
            // What a full queue refuses stays in the run: there is nobody to tell.
            let ticket = queue.publish(&mut run, effects, &mut |_, _, _| {})?;
            last = last.max(ticket);
        }
        Ok(last)
    }
}

impl Topology {
    /// Keep a message in the histories that its last route, with `scratch`, came through; not in
    /// that of the exchange `except`.
    pub(super) fn keep(&self, message: &Message, scratch: &RouteScratch, except: &str) {
        for exchange in self.router.passed_histories(scratch) {
            if exchange.name != except
                && let Some(history) = self.histories.get(&exchange.name)
            {
                history.keep(message);
            }
        }
    }

    /// What the source of a binding that was just added has kept for its destination.
    pub(super) fn replay(&self, binding: &Binding) -> Replay {
        let mut replay = Replay::default();
        let Some(history) = self.histories.get(&binding.source) else {
            return replay;
        };
        let mut scratch = RouteScratch::new();
        let mut ids = Vec::new();
        for message in history.messages() {
            match &binding.destination {
                Destination::Queue(name) => {
                    ids.clear();
                    ids.extend(self.router.queue(name.as_bytes()));
                }
                // As if it were published to that exchange.
                Destination::Exchange(name) => {
                    let properties = message.properties();
                    let headers = properties.headers();
                    let request = RouteRequest {
                        routing_key: message.routing_key(),
                        extra_keys: &carbon_copies(headers),
                        headers,
                        properties,
                        // It is passed on now, whoever would have kept it for later.
                        delayed: false,
                    };
                    self.router
                        .route(name.as_bytes(), &request, &mut scratch, &mut ids);
                    // It may come through further histories, and round to the one it is from.
                    self.keep(&message, &scratch, &binding.source);
                }
            }
            for queue in ids.iter().filter_map(|id| self.queues.get(id)) {
                replay.add(queue, message.clone());
            }
        }
        replay
    }
}

#[cfg(test)]
mod tests {
    use leveret_router::ExchangeKind;
    use leveret_wire::{AMQPValue, BodyPart, FieldTable};

    use super::*;

    fn history(length: i64, memory: &Arc<HistoryMemory>) -> Arc<History> {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-recent-history-length".into(),
            AMQPValue::LongLongInt(length),
        );
        let exchange = Exchange {
            name: "x".to_owned(),
            kind: ExchangeKind::RecentHistory,
            delayed: false,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments,
            alternate: None,
        };
        History::of(&exchange, memory).unwrap()
    }

    fn message(body: &str) -> Message {
        let header = leveret_wire::PropertiesBuilder::new()
            .build(body.len() as u64)
            .unwrap();
        Message::from_parts(b"x", b"k", &header, BodyPart::Slice(body.as_bytes())).unwrap()
    }

    fn bodies(history: &History) -> Vec<String> {
        let messages = history.messages();
        let bodies = messages
            .iter()
            .map(|message| String::from_utf8_lossy(message.body()).into_owned());
        bodies.collect()
    }

    #[test]
    fn the_latest_are_kept() {
        let memory = Arc::new(HistoryMemory::new(1 << 20));
        let history = history(3, &memory);
        for body in ["a", "b", "c", "d", "e"] {
            history.keep(&message(body));
        }
        assert_eq!(bodies(&history), ["c", "d", "e"]);
    }

    #[test]
    fn memory_is_bounded_whatever_the_length() {
        let each = message("0").memory();
        let memory = Arc::new(HistoryMemory::new(each * 4));
        let (one, other) = (history(1 << 40, &memory), history(1 << 40, &memory));
        for body in ["0", "1", "2"] {
            one.keep(&message(body));
        }
        for body in ["3", "4", "5"] {
            other.keep(&message(body));
        }
        assert_eq!(bodies(&one), ["0", "1", "2"]);
        assert_eq!(bodies(&other), ["5"]);
        // One that can never fit pushes nothing out.
        one.keep(&message(&"x".repeat(each * 4)));
        assert_eq!(bodies(&one), ["0", "1", "2"]);
        drop(one);
        for body in ["6", "7", "8", "9"] {
            other.keep(&message(body));
        }
        assert_eq!(bodies(&other), ["6", "7", "8", "9"]);
        drop(other);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_history_that_finds_no_room_keeps_nothing() {
        let memory = Arc::new(HistoryMemory::new(message("0").memory()));
        let (one, other) = (history(2, &memory), history(2, &memory));
        one.keep(&message("0"));
        other.keep(&message("1"));
        assert_eq!(bodies(&one), ["0"]);
        assert!(bodies(&other).is_empty());
    }
}
