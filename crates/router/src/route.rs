//! The search for the queues of one message.

use crate::dice::Dice;
use crate::exchange::Exchange;
use crate::headers::HeadersScratch;
use crate::marks::Marks;
use crate::router::Router;
use crate::targets::{Collector, ExchangeId};
use crate::topic::TopicScratch;
use leveret_wire::{Properties, RawTable};
use std::fmt::Debug;
use std::hash::Hash;
use std::iter;

/// What routing looks at in a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteRequest<'a> {
    /// The routing key of `basic.publish`, at most 255 octets, not necessarily UTF-8.
    pub routing_key: &'a [u8],
    /// Further keys, from the headers `CC` and `BCC` (a RabbitMQ extension). `direct`, `topic` and
    /// the default exchange route by each of them as well; `x-modulus-hash` hashes them too.
    pub extra_keys: &'a [&'a [u8]],
    /// The property `headers`, if the message has it.
    pub headers: Option<RawTable<'a>>,
    /// All properties of the message; an `x-consistent-hash` exchange may look at one.
    pub properties: Properties<'a>,
    /// The message is to be delayed: a delayed exchange that it comes to keeps it.
    pub delayed: bool,
}

impl<'a> RouteRequest<'a> {
    /// All keys of the message.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a [u8]> {
        iter::once(self.routing_key).chain(self.extra_keys.iter().copied())
    }
}

/// What is to know of a route beside the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The exchange exists. The default exchange always does.
    pub found: bool,
    /// The queues depend on the exchange's name and the routing key alone, until the topology
    /// changes: no exchange was asked that looks at more, draws lots, or keeps or delays messages,
    /// and the message had no further keys.
    pub cacheable: bool,
}

/// Buffers of a route, kept for the next one so that it allocates nothing (a header that is a table
/// or array excepted, where a headers binding asks for such a one). They grow with the topology: by
/// a bit for each exchange and each rule and term of headers exchanges, and by what topic patterns
/// are followed at a time. Keep one for a task or connection, not one for a channel.
#[derive(Default)]
pub struct RouteScratch {
    /// Exchanges still to be asked.
    pending: Vec<ExchangeId>,
    /// Exchanges that were asked: each is asked once a message, which ends cycles.
    visited: Marks,
    /// What the indexes need.
    search: SearchScratch,
}

impl RouteScratch {
    /// Empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty buffers whose random choices follow from `seed`, for a run that can be repeated.
    pub fn seeded(seed: u64) -> Self {
        let mut scratch = Self::default();
        scratch.search.dice = Dice::seeded(seed);
        scratch
    }
}

/// Buffers of the indexes.
#[derive(Default)]
pub(crate) struct SearchScratch {
    pub(crate) headers: HeadersScratch,
    pub(crate) topic: TopicScratch,
    /// What random exchanges draw lots with: each scratch its own, so that none waits for another.
    pub(crate) dice: Dice,
    /// The value that a consistent-hash exchange looks at.
    pub(crate) value: Vec<u8>,
    /// Exchanges of type `x-recent-history` that were asked.
    histories: Vec<ExchangeId>,
    /// Delayed exchanges that keep the message.
    held: Vec<ExchangeId>,
}

impl<Q: Copy + Eq + Hash + Ord + Debug> Router<Q> {
    /// The queues that get a message published to `exchange`, each once and in no order, in `out`
    /// (cleared first).
    ///
    /// Bindings between exchanges are followed, each exchange being asked once a message. An
    /// exchange none of whose own bindings match (a match that leads to no queue is one) passes the
    /// message on to its alternate exchange, if that exists. A delayed exchange that keeps the
    /// message ([`Router::held`]) leads nowhere for now. The caller checks before whether
    /// clients may publish to an internal exchange.
    pub fn route(
        &self,
        exchange: &[u8],
        request: &RouteRequest<'_>,
        scratch: &mut RouteScratch,
        out: &mut Vec<Q>,
    ) -> Routed {
        out.clear();
        scratch.pending.clear();
        scratch.search.histories.clear();
        scratch.search.held.clear();
        let mut routed = Routed {
            found: true,
            cacheable: request.extra_keys.is_empty(),
        };
        let mut collector = Collector {
            queues: out,
            exchanges: &mut scratch.pending,
            sets: 0,
        };
        if exchange.is_empty() {
            self.collect_by_queue_name(request, &mut collector);
        } else if let Some(first) = self.exchange_id(exchange) {
            self.ask(
                first,
                request,
                &mut scratch.search,
                &mut collector,
                &mut routed,
            );
            if !collector.exchanges.is_empty() {
                scratch.visited.insert(first.0);
                while let Some(next) = collector.exchanges.pop() {
                    if scratch.visited.insert(next.0) {
                        self.ask(
                            next,
                            request,
                            &mut scratch.search,
                            &mut collector,
                            &mut routed,
                        );
                    }
                }
                scratch.visited.clear();
            }
        } else {
            routed.found = false;
        }
        if collector.sets > 1 && collector.queues.len() > 1 {
            collector.queues.sort_unstable();
            collector.queues.dedup();
        }
        routed
    }

    /// The exchanges of type `x-recent-history` that the last route with `scratch` came through,
    /// each once. Valid until the topology changes.
    pub fn passed_histories<'a>(
        &'a self,
        scratch: &'a RouteScratch,
    ) -> impl Iterator<Item = &'a Exchange> {
        let passed = scratch.search.histories.iter();
        passed.filter_map(|id| self.exchange_of(*id))
    }

    /// The names of the delayed exchanges that keep the message of the route just made with `scratch`: they and what
    /// is bound to them get it later.
    pub fn held(&self, scratch: &RouteScratch) -> impl Iterator<Item = &str> {
        let held = scratch.search.held.iter();
        held.filter_map(|id| Some(self.routing(*id)?.1.name.as_str()))
    }

    /// Take the targets of one exchange, or name its alternate as the next to ask.
    fn ask(
        &self,
        id: ExchangeId,
        request: &RouteRequest<'_>,
        scratch: &mut SearchScratch,
        collector: &mut Collector<'_, Q>,
        routed: &mut Routed,
    ) {
        let Some((index, exchange)) = self.routing(id) else {
            return;
        };
        if exchange.delayed {
            routed.cacheable = false;
            if request.delayed {
                scratch.held.push(id);
                return;
            }
        }
        let sets_before = collector.sets;
        index.collect(request, scratch, collector);
        if index.varies() {
            routed.cacheable = false;
            if index.keeps_history() {
                scratch.histories.push(id);
            }
        }
        if collector.sets > sets_before {
            return;
        }
        match exchange.alternate.as_deref() {
            None => {}
            Some("") => self.collect_by_queue_name(request, collector),
            Some(name) => collector
                .exchanges
                .extend(self.exchange_id(name.as_bytes())),
        }
    }

    /// The default exchange (AMQP 0-9-1 section 3.1.3.1): the queue named by the key.
    fn collect_by_queue_name(&self, request: &RouteRequest<'_>, collector: &mut Collector<'_, Q>) {
        for key in request.keys() {
            if let Some(queue) = self.queue(key) {
                collector.take_queue(queue);
            }
        }
    }
}
