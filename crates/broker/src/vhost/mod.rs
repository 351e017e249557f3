//! A virtual host: its exchanges, bindings and queues.
//!
//! The topology stands behind one lock, read by publishers whose route is not cached and
//! written by declarations. Its generation grows with every change, so that cached routes
//! know when they are old. Durable changes go to the store under the write lock, so the store
//! sees them in the order they took effect; the answer waits for their ticket.

mod arguments;
mod bindings;
mod delayed;
mod equivalence;
mod exchanges;
mod queues;
mod replies;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leveret_router::{
    BindError, Binding, Destination, Exchange, ExchangeKind, Removed, RouteRequest, RouteScratch,
    Routed, Router,
};
use leveret_store::{Change, QueueId, StoreError, Ticket};
use leveret_wire::{AMQPValue, FieldTable};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::broker::Shared;
use crate::counters::QueueTotals;
use crate::definitions;
use crate::delay::DelayedExchange;
use crate::queue::Queue;

pub(crate) use self::arguments::options as queue_options;
pub(crate) use self::delayed::delayed_kind;
pub(crate) use self::equivalence::integer;
pub(crate) use self::queues::{QueueAccess, generated_name};
pub(crate) use self::replies::REPLY_TO;

/// Why connection.open is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefused {
    /// No such vhost.
    #[error("vhost {0} not found")]
    NoVhost(String),
    /// The user has no permissions there.
    #[error("access to vhost '{vhost}' refused for user '{user}'")]
    NoAccess {
        /// The vhost asked for.
        vhost: String,
        /// The user who asked.
        user: String,
    },
    /// The node has as many connections as it may.
    #[error("connection refused: node connection limit ({0}) is reached")]
    TooManyConnections(usize),
}

/// A virtual host.
pub struct Vhost {
    name: Arc<str>,
    shared: Arc<Shared>,
    /// Itself, for its queues.
    this: Weak<Self>,
    generation: AtomicU64,
    topology: RwLock<Topology>,
    /// Reply queues of direct reply-to, by name.
    replies: RwLock<FxHashMap<Box<[u8]>, Arc<Queue>>>,
}

struct Topology {
    router: Router<QueueId>,
    queues: FxHashMap<QueueId, Arc<Queue>>,
    /// What the delayed exchanges keep, by their names.
    delayed: FxHashMap<Box<str>, Arc<DelayedExchange>>,
    bindings: usize,
}

/// Exchanges that every vhost has, with kind and internal flag.
const PREDECLARED: [(&str, ExchangeKind, bool); 7] = [
    ("", ExchangeKind::Direct, false),
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.topic", ExchangeKind::Topic, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
];

/// The argument that names an alternate exchange.
pub(crate) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// `exchange` with its alternate exchange taken from its arguments.
pub(crate) fn with_alternate(mut exchange: Exchange) -> Exchange {
    exchange.alternate = match exchange.arguments.inner().get(ALTERNATE_EXCHANGE) {
        Some(AMQPValue::LongString(name)) => Some(name.to_string()),
        _ => None,
    };
    exchange
}

/// Queues and routing facts for one (exchange, routing key).
#[derive(Debug)]
pub(crate) struct Route {
    /// The exchange exists.
    pub(crate) found: bool,
    /// Clients may not publish to it.
    pub(crate) internal: bool,
    /// The same for every message with this exchange and routing key, until the topology
    /// changes.
    pub(crate) cacheable: bool,
    /// Delayed exchanges that keep the message.
    pub(crate) held: DelayedExchanges,
}

/// Nearly always none.
pub(crate) type DelayedExchanges = SmallVec<[Arc<DelayedExchange>; 1]>;

impl Vhost {
    pub(crate) fn new(name: Arc<str>, shared: Arc<Shared>) -> Arc<Self> {
        let mut router = Router::new();
        for (name, kind, internal) in PREDECLARED {
            if !name.is_empty() {
                router.declare_exchange(Exchange {
                    name: name.to_owned(),
                    kind,
                    delayed: false,
                    durable: true,
                    auto_delete: false,
                    internal,
                    arguments: FieldTable::default(),
                    alternate: None,
                });
            }
        }
        let topology = RwLock::new(Topology {
            router,
            queues: FxHashMap::default(),
            delayed: FxHashMap::default(),
            bindings: 0,
        });
        Arc::new_cyclic(|this| Self {
            name,
            shared,
            this: Weak::clone(this),
            generation: AtomicU64::new(1),
            topology,
            replies: RwLock::default(),
        })
    }

    /// The vhost's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Grows whenever a route may have changed.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Find the queues for a message; they are appended to `queues`.
    pub(crate) fn route(
        &self,
        exchange: &[u8],
        request: &RouteRequest<'_>,
        scratch: &mut RouteScratch,
        ids: &mut Vec<QueueId>,
        queues: &mut Vec<Arc<Queue>>,
    ) -> Route {
        let topology = self.topology.read();
        let Routed { found, cacheable } = topology.router.route(exchange, request, scratch, ids);
        queues.extend(ids.iter().filter_map(|id| topology.queues.get(id).cloned()));
        let internal = std::str::from_utf8(exchange)
            .ok()
            .and_then(|name| topology.router.exchange(name))
            .is_some_and(|exchange| exchange.internal);
        let held = if request.delayed {
            let held = topology.router.held(scratch);
            held.filter_map(|name| topology.delayed.get(name).cloned())
                .collect()
        } else {
            DelayedExchanges::new()
        };
        Route {
            found,
            internal,
            cacheable,
            held,
        }
    }

    /// The queue of that name.
    pub(crate) fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        let topology = self.topology.read();
        let id = topology.router.queue(name.as_bytes())?;
        topology.queues.get(&id).cloned()
    }

    pub(crate) fn recover_exchange(&self, exchange: Exchange) {
        self.topology.write().router.declare_exchange(exchange);
    }

    pub(crate) fn recover_queue(&self, queue: Arc<Queue>) {
        let mut topology = self.topology.write();
        topology.router.add_queue(queue.name(), queue.id());
        topology.queues.insert(queue.id(), queue);
    }

    /// All definitions are there again: let queues look at what they hold.
    pub(crate) fn start_queues(&self) {
        let queues: Vec<_> = self.topology.read().queues.values().cloned().collect();
        for queue in queues {
            queue.start();
        }
        for exchange in self.delayed_exchanges() {
            exchange.start();
        }
    }

    pub(crate) fn recover_binding(&self, binding: Binding) -> Result<(), BindError> {
        let mut topology = self.topology.write();
        if topology.router.bind(binding)? {
            topology.bindings += 1;
        }
        Ok(())
    }

    pub(crate) fn add_to(&self, totals: &mut QueueTotals) {
        let queues: Vec<_> = {
            let topology = self.topology.read();
            totals.exchanges += topology.router.exchanges().count() as u64 + 1;
            totals.bindings += topology.bindings as u64;
            for exchange in topology.delayed.values() {
                totals.delayed += exchange.messages();
                totals.delayed_bytes += exchange.bytes();
            }
            topology.queues.values().cloned().collect()
        };
        for queue in queues {
            let counts = queue.counts();
            totals.queues += 1;
            totals.ready += counts.ready;
            totals.unacked += counts.unacked;
            totals.bytes += counts.bytes;
            totals.consumers += counts.consumers as u64;
        }
    }

    /// The topology has changed: cached routes are old.
    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn store_changes(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        if changes.is_empty() {
            Ok(Ticket::NONE)
        } else {
            self.shared.store.change(changes)
        }
    }
}

impl Topology {
    /// Does the binding outlive the process: are both of its ends durable?
    fn is_durable(&self, binding: &Binding) -> bool {
        let source = self
            .router
            .exchange(&binding.source)
            .is_some_and(|exchange| exchange.durable);
        source
            && match &binding.destination {
                Destination::Queue(name) => self
                    .router
                    .queue(name.as_bytes())
                    .and_then(|id| self.queues.get(&id))
                    .is_some_and(|queue| queue.properties().is_lasting()),
                Destination::Exchange(name) => self
                    .router
                    .exchange(name)
                    .is_some_and(|exchange| exchange.durable),
            }
    }

    /// Account for what a removal took with it: the definitions to delete. A definition that
    /// was never durable is not there to be deleted, which is no error.
    fn forget(&mut self, vhost: &str, removed: &Removed) -> Vec<Change> {
        self.bindings = self.bindings.saturating_sub(removed.bindings.len());
        let bindings = removed
            .bindings
            .iter()
            .map(|binding| definitions::delete_binding(vhost, binding));
        let exchanges = removed
            .exchanges
            .iter()
            .map(|name| definitions::delete_exchange(vhost, name));
        bindings.chain(exchanges).collect()
    }
}
