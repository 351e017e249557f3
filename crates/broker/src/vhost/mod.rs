//! A virtual host: its exchanges, bindings and queues.
//!
//! The topology stands behind one lock, read by publishers whose route is not cached and
//! written by declarations. Its generation grows with every change, so that cached routes
//! know when they are old. Durable changes go to the store under the write lock, so the store
//! sees them in the order they took effect; the answer waits for their ticket.

mod arguments;
mod bindings;
mod delayed;
mod deletion;
mod equivalence;
mod exchanges;
mod histories;
mod import;
mod parameters;
mod policies;
mod queues;
mod replies;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leveret_protocol::Limit;
use leveret_router::{
    BindError, Binding, Destination, Exchange, ExchangeKind, Removed, RouteRequest, RouteScratch,
    Routed, Router,
};
use leveret_store::{Change, QueueId, StoreError, Ticket};
use leveret_wire::{AMQPValue, FieldTable, Message};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::broker::Shared;
use crate::counters::QueueTotals;
use crate::definitions;
use crate::delay::DelayedExchange;
use crate::policies::Policies;
use crate::queue::Queue;

pub(crate) use self::arguments::{is_max_age, module_name};
pub(crate) use self::delayed::DeclaredType;
pub(crate) use self::equivalence::integer;
pub(crate) use self::exchanges::check_new_exchange;
use self::histories::History;
pub(crate) use self::histories::HistoryMemory;
pub use self::parameters::VhostLimits;
pub(crate) use self::parameters::{LIMITS, LIMITS_NAME, Parameters, read_limits};
pub(crate) use self::queues::{QueueAccess, check_new_queue, generated_name};
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
    /// The user has as many connections as its limits allow.
    #[error("connection refused for user '{user}': user connection limit ({limit}) is reached")]
    UserFull {
        /// The user who asked.
        user: String,
        /// The limit.
        limit: u64,
    },
    /// The vhost has as many connections as its limits allow.
    #[error(
        "access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached"
    )]
    VhostFull {
        /// The vhost asked for.
        vhost: String,
        /// The user who asked.
        user: String,
        /// The limit.
        limit: u64,
    },
}

impl OpenRefused {
    /// The limit that was met, if one was.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::NoVhost(_) | Self::NoAccess { .. } => None,
            Self::TooManyConnections(_) => Some(Limit::Connections),
            Self::UserFull { .. } => Some(Limit::UserConnections),
            Self::VhostFull { .. } => Some(Limit::VhostConnections),
        }
    }
}

/// A virtual host.
pub struct Vhost {
    name: Arc<str>,
    shared: Arc<Shared>,
    /// Itself, for its queues.
    this: Weak<Self>,
    generation: AtomicU64,
    /// Ticket of the last change of a definition.
    last_change: AtomicU64,
    /// It is being deleted, or was: nothing more is declared in it. Set under the topology's lock.
    deleted: AtomicBool,
    /// Clients' messages are copied to its exchange for that (the firehose). Not kept over a restart.
    traced: AtomicBool,
    /// What is told of it: description, tags and the like.
    metadata: RwLock<Map<String, Value>>,
    topology: RwLock<Topology>,
    /// Reply queues of direct reply-to, by name.
    replies: RwLock<FxHashMap<Box<[u8]>, Arc<Queue>>>,
}

pub(crate) struct Topology {
    router: Router<QueueId>,
    queues: FxHashMap<QueueId, Arc<Queue>>,
    /// What exchanges of type x-recent-history keep, by their names.
    histories: FxHashMap<String, Arc<History>>,
    /// What the delayed exchanges keep, by their names.
    delayed: FxHashMap<Box<str>, Arc<DelayedExchange>>,
    bindings: usize,
    policies: Policies,
    parameters: Parameters,
    limits: VhostLimits,
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
    /// It is of type topic: its keys may have permissions of their own.
    pub(crate) is_topic: bool,
    /// The same for every message with this exchange and routing key, until the topology
    /// changes.
    pub(crate) cacheable: bool,
    /// It came through exchanges that keep messages: to be repeated with
    /// [`Vhost::route_kept`].
    pub(crate) kept: bool,
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
            histories: FxHashMap::default(),
            delayed: FxHashMap::default(),
            bindings: 0,
            policies: Policies::default(),
            parameters: Parameters::default(),
            limits: VhostLimits::default(),
        });
        Arc::new_cyclic(|this| Self {
            name,
            shared,
            this: Weak::clone(this),
            generation: AtomicU64::new(1),
            last_change: AtomicU64::new(0),
            deleted: AtomicBool::new(false),
            traced: AtomicBool::new(false),
            metadata: RwLock::default(),
            topology,
            replies: RwLock::default(),
        })
    }

    /// The vhost's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What definitions tell of it: description, tags and the like, with RabbitMQ's keys.
    pub fn metadata(&self) -> Map<String, Value> {
        self.metadata.read().clone()
    }

    pub(crate) fn set_metadata(&self, metadata: Map<String, Value>) {
        *self.metadata.write() = metadata;
    }

    /// Grows whenever a route may have changed.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Are clients' messages copied to `amq.rabbitmq.trace`?
    pub fn is_traced(&self) -> bool {
        self.traced.load(Ordering::Acquire)
    }

    /// Switch the firehose. Sessions see it when they look whether their routes are old; the others must be told.
    pub(crate) fn set_traced(&self, on: bool) {
        self.traced.store(on, Ordering::Release);
        self.changed();
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
        let kept = !cacheable && topology.router.passed_histories(scratch).next().is_some();
        let exchange = std::str::from_utf8(exchange)
            .ok()
            .and_then(|name| topology.router.exchange(name));
        let internal = exchange.is_some_and(|exchange| exchange.internal);
        let is_topic = exchange.is_some_and(|exchange| exchange.kind == ExchangeKind::Topic);
        let held = topology.held(request, scratch);
        Route {
            found,
            internal,
            is_topic,
            cacheable,
            kept,
            held,
        }
    }

    /// Find the queues for `message`, and keep it where exchanges on its way do so. Both under one
    /// lock: a queue that is bound meanwhile gets it by one of the two ways, not by none or both.
    ///
    /// Gives the delayed exchanges that are to keep the message, if the request says that it is delayed.
    pub(crate) fn route_kept(
        &self,
        exchange: &[u8],
        message: &Message,
        request: &RouteRequest<'_>,
        scratch: &mut RouteScratch,
        ids: &mut Vec<QueueId>,
        queues: &mut Vec<Arc<Queue>>,
    ) -> DelayedExchanges {
        let topology = self.topology.read();
        topology.router.route(exchange, request, scratch, ids);
        topology.keep(message, scratch, "");
        queues.extend(ids.iter().filter_map(|id| topology.queues.get(id).cloned()));
        topology.held(request, scratch)
    }

    /// The queue of that name.
    pub(crate) fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        let topology = self.topology.read();
        let id = topology.router.queue(name.as_bytes())?;
        topology.queues.get(&id).cloned()
    }

    /// All queues, in no order.
    pub(crate) fn queues(&self) -> Vec<Arc<Queue>> {
        self.topology.read().queues.values().cloned().collect()
    }

    /// All exchanges but the default one, in no order.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.topology.read().router.exchanges().cloned().collect()
    }

    /// All bindings but those of the default exchange, in no order.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        self.topology.read().router.bindings().cloned().collect()
    }

    pub(crate) fn recover_exchange(&self, exchange: Exchange) {
        let mut topology = self.topology.write();
        let exchange = topology.under_policies(exchange);
        topology.add_exchange(exchange, &self.shared.histories);
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
    pub(crate) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn store_changes(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        if changes.is_empty() {
            return Ok(Ticket::NONE);
        }
        if self.is_deleted() {
            // It would come back with the next vhost of that name.
            return Err(StoreError::Fenced);
        }
        let ticket = self.shared.store.change(changes)?;
        self.last_change.fetch_max(ticket.0, Ordering::Relaxed);
        Ok(ticket)
    }

    /// When what the topology says now is durable: an answer that there is nothing left to do waits
    /// for whoever did it.
    pub(crate) fn settled_by(&self) -> Ticket {
        Ticket(self.last_change.load(Ordering::Relaxed))
    }
}

impl Topology {
    /// The delayed exchanges that keep the message of the route just made with `scratch`.
    fn held(&self, request: &RouteRequest<'_>, scratch: &RouteScratch) -> DelayedExchanges {
        if !request.delayed {
            return DelayedExchanges::new();
        }
        let held = self.router.held(scratch);
        held.filter_map(|name| self.delayed.get(name).cloned())
            .collect()
    }

    fn add_exchange(&mut self, exchange: Exchange, memory: &Arc<HistoryMemory>) {
        if let Some(history) = History::of(&exchange, memory) {
            self.histories.insert(exchange.name.clone(), history);
        }
        self.router.declare_exchange(exchange);
    }

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
        for name in &removed.exchanges {
            self.histories.remove(name);
        }
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
