//! The queues, exchanges and bindings that stay for a whole run, and the ways through them.

use crate::log::{Binding, ExchangeDefinition, Operation, QueueDefinition, QueueId};
use crate::requests::dead_letter_exchange;

/// Queue numbers from here on are for those that come and go.
pub(crate) const FIRST_PASSING_QUEUE: u32 = 1_000;

/// An exchange bound to another: what is published to the first comes out of the second.
pub(crate) const SOURCE: &str = "source";
pub(crate) const FAN: &str = "fan";
/// Exchanges to which passing queues are bound too.
pub(crate) const SHARED_EXCHANGES: [&str; 2] = ["topic", "direct"];

/// A way through an exchange.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) exchange: &'static str,
    pub(crate) key: &'static str,
    /// Where it leads.
    pub(crate) queues: Vec<QueueId>,
    /// How often it is taken.
    pub(crate) weight: u64,
}

/// What stays for a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) queues: Vec<QueueDefinition>,
    exchanges: Vec<ExchangeDefinition>,
    bindings: Vec<Binding>,
    pub(crate) ways: Vec<Way>,
}

/// Name, whether it is a quorum queue, and the place of the queue of its dead letters.
const QUEUES: [(&str, bool, Option<u32>); 10] = [
    ("classic.0", false, None),
    ("classic.1", false, None),
    ("quorum.0", true, None),
    ("quorum.1", true, None),
    ("rejects.classic", false, Some(6)),
    ("rejects.quorum", true, Some(7)),
    ("letters.of.classic", false, None),
    ("letters.of.quorum", false, None),
    ("idle.classic", false, None),
    ("idle.quorum", true, None),
];
/// Queues that have consumers during the load.
pub(crate) const WORKED: usize = 6;

const EXCHANGES: [(&str, &str); 4] = [
    (FAN, "fanout"),
    (SOURCE, "fanout"),
    ("topic", "topic"),
    ("direct", "direct"),
];

/// Exchange, place of the queue, key.
const BINDINGS: [(&str, usize, &str); 11] = [
    (FAN, 0, ""),
    (FAN, 2, ""),
    (FAN, 4, ""),
    ("topic", 0, "a.#"),
    ("topic", 1, "a.*.c"),
    ("topic", 3, "*.b.*"),
    ("topic", 9, "#.idle"),
    ("direct", 1, "k1"),
    ("direct", 2, "k1"),
    ("direct", 5, "k2"),
    ("direct", 8, "k3"),
];

/// Exchange, key, places of the queues that are reached, weight.
const WAYS: [(&str, &str, &[u32], u64); 16] = [
    ("", "classic.0", &[0], 10),
    ("", "classic.1", &[1], 10),
    ("", "quorum.0", &[2], 10),
    ("", "quorum.1", &[3], 10),
    ("", "rejects.classic", &[4], 8),
    ("", "rejects.quorum", &[5], 8),
    ("", "idle.classic", &[8], 1),
    ("", "idle.quorum", &[9], 1),
    (FAN, "", &[0, 2, 4], 10),
    (SOURCE, "", &[0, 2, 4], 5),
    ("topic", "a.x", &[0], 5),
    ("topic", "a.b.c", &[0, 1, 3], 10),
    ("topic", "z.b.z", &[3], 5),
    ("topic", "a.idle", &[0, 9], 1),
    ("direct", "k1", &[1, 2], 8),
    ("direct", "k3", &[8], 1),
];

impl Topology {
    pub(crate) fn new() -> Self {
        let queues: Vec<QueueDefinition> = (0..)
            .zip(QUEUES)
            .map(|(id, (name, quorum, letters))| QueueDefinition {
                id: QueueId(id),
                name: name.to_owned(),
                durable: true,
                quorum,
                dead_letters: letters.map(QueueId),
            })
            .collect();
        let name = |at: usize| queues.get(at).map_or("", |queue| queue.name.as_str());
        let mut exchanges: Vec<ExchangeDefinition> = EXCHANGES
            .map(|(name, kind)| exchange(name.to_owned(), kind))
            .into();
        let mut bindings: Vec<Binding> = BINDINGS
            .map(|(exchange, queue, key)| Binding {
                exchange: exchange.to_owned(),
                queue: name(queue).to_owned(),
                key: key.to_owned(),
            })
            .into();
        for queue in &queues {
            let Some(letters) = queue.dead_letters else {
                continue;
            };
            let dead = dead_letter_exchange(&queue.name);
            exchanges.push(exchange(dead.clone(), "fanout"));
            bindings.push(Binding {
                exchange: dead,
                queue: name(usize::try_from(letters.0).unwrap_or(usize::MAX)).to_owned(),
                key: String::new(),
            });
        }
        let ways = WAYS
            .map(|(exchange, key, queues, weight)| Way {
                exchange,
                key,
                queues: queues.iter().copied().map(QueueId).collect(),
                weight,
            })
            .into();
        Self {
            queues,
            exchanges,
            bindings,
            ways,
        }
    }

    /// Everything to be declared, in order.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let exchanges = self.exchanges.iter().cloned();
        let queues = self.queues.iter().rev().cloned();
        let bindings = self.bindings.iter().cloned();
        exchanges
            .map(Operation::DeclareExchange)
            .chain(queues.map(Operation::DeclareQueue))
            .chain(bindings.map(Operation::Bind))
            .collect()
    }

    /// Whether the binding stays for the whole run.
    pub(crate) fn is_lasting(&self, binding: &Binding) -> bool {
        self.bindings.contains(binding)
    }
}

fn exchange(name: String, kind: &'static str) -> ExchangeDefinition {
    ExchangeDefinition {
        name,
        kind,
        durable: true,
    }
}
