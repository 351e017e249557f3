//! The routing part of an exchange, by its type.

use crate::binding::{BindError, Binding};
use crate::consistent::{self, ConsistentHashIndex};
use crate::direct::DirectIndex;
use crate::exchange::{Exchange, ExchangeKind};
use crate::fanout::FanoutIndex;
use crate::hash::SecretState;
use crate::headers::{self, HeadersIndex};
use crate::listed::{self, ListedIndex};
use crate::route::{RouteRequest, SearchScratch};
use crate::targets::{Collector, Target};
use crate::topic::{self, TOPIC_HASHES_MAX, TopicIndex};
use std::hash::Hash;

/// Finds the targets of a message among the bindings of one exchange.
pub(crate) enum Index<Q> {
    ConsistentHash(ConsistentHashIndex<Q>),
    Direct(DirectIndex<Q>),
    Fanout(FanoutIndex<Q>),
    Headers(HeadersIndex<Q>),
    LocalRandom(ListedIndex<Q>),
    ModulusHash(ListedIndex<Q>),
    Random(ListedIndex<Q>),
    RecentHistory(FanoutIndex<Q>),
    Topic(TopicIndex<Q>),
}

impl<Q: Copy + Eq + Hash> Index<Q> {
    pub(crate) fn new(exchange: &Exchange, secret: SecretState) -> Self {
        match exchange.kind {
            ExchangeKind::ConsistentHash => {
                Self::ConsistentHash(ConsistentHashIndex::new(&exchange.arguments))
            }
            ExchangeKind::LocalRandom => Self::LocalRandom(ListedIndex::new()),
            ExchangeKind::ModulusHash => Self::ModulusHash(ListedIndex::new()),
            ExchangeKind::Random => Self::Random(ListedIndex::new()),
            ExchangeKind::RecentHistory => Self::RecentHistory(FanoutIndex::new()),
            ExchangeKind::Direct => Self::Direct(DirectIndex::new(secret)),
            ExchangeKind::Fanout => Self::Fanout(FanoutIndex::new()),
            ExchangeKind::Headers => Self::Headers(HeadersIndex::new(secret)),
            ExchangeKind::Topic => Self::Topic(TopicIndex::new(secret)),
        }
    }

    /// Whether an exchange of this type takes such a binding.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), BindError> {
        match self {
            Self::ConsistentHash(_) => consistent::weight(&binding.routing_key).map(drop),
            Self::Direct(_)
            | Self::Fanout(_)
            | Self::ModulusHash(_)
            | Self::Random(_)
            | Self::RecentHistory(_) => Ok(()),
            Self::LocalRandom(_) => listed::check_local(binding),
            Self::Headers(_) => headers::check_arguments(&binding.arguments),
            Self::Topic(_) => {
                let count = topic::count_hashes(binding.routing_key.as_bytes());
                if count > TOPIC_HASHES_MAX {
                    let key = binding.routing_key.clone();
                    return Err(BindError::TooManyHashes { key, count });
                }
                Ok(())
            }
        }
    }

    /// Add a checked binding that leads to `target`.
    pub(crate) fn insert(&mut self, binding: &Binding, target: Target<Q>) {
        match self {
            Self::ConsistentHash(index) => index.insert(binding, target),
            Self::Direct(index) => index.insert(binding.routing_key.as_bytes(), target),
            Self::Fanout(index) | Self::RecentHistory(index) => index.insert(target),
            Self::Headers(index) => index.insert(&binding.arguments, target),
            Self::LocalRandom(index) | Self::ModulusHash(index) | Self::Random(index) => {
                index.insert(binding, target);
            }
            Self::Topic(index) => index.insert(binding.routing_key.as_bytes(), target),
        }
    }

    /// Take away a binding that was added.
    pub(crate) fn remove(&mut self, binding: &Binding, target: Target<Q>) {
        match self {
            Self::ConsistentHash(index) => index.remove(binding, target),
            Self::Direct(index) => index.remove(binding.routing_key.as_bytes(), target),
            Self::Fanout(index) | Self::RecentHistory(index) => index.remove(target),
            Self::Headers(index) => index.remove(&binding.arguments, target),
            Self::LocalRandom(index) | Self::ModulusHash(index) | Self::Random(index) => {
                index.remove(binding);
            }
            Self::Topic(index) => index.remove(binding.routing_key.as_bytes(), target),
        }
    }

    /// Pour the targets of the message into `collector`.
    pub(crate) fn collect(
        &self,
        request: &RouteRequest<'_>,
        scratch: &mut SearchScratch,
        collector: &mut Collector<'_, Q>,
    ) {
        match self {
            Self::Direct(index) => {
                for key in request.keys() {
                    index.collect(key, collector);
                }
            }
            Self::ConsistentHash(index) => index.collect(request, &mut scratch.value, collector),
            Self::Fanout(index) | Self::RecentHistory(index) => index.collect(collector),
            Self::Headers(index) => index.collect(request.headers, &mut scratch.headers, collector),
            Self::LocalRandom(index) | Self::Random(index) => {
                index.collect_any(&mut scratch.dice, collector);
            }
            Self::ModulusHash(index) => index.collect_by_hash(request, collector),
            Self::Topic(index) => {
                for key in request.keys() {
                    index.collect(key, &mut scratch.topic, collector);
                }
            }
        }
    }

    /// Whether two messages of one routing key may go different ways, or the caller has to see
    /// each of them.
    pub(crate) fn varies(&self) -> bool {
        match self {
            Self::ConsistentHash(index) => index.reads_more_than_keys(),
            Self::Direct(_) | Self::Fanout(_) | Self::ModulusHash(_) | Self::Topic(_) => false,
            Self::Headers(_) | Self::LocalRandom(_) | Self::Random(_) | Self::RecentHistory(_) => {
                true
            }
        }
    }

    /// Whether the caller keeps the messages that pass here.
    pub(crate) fn keeps_history(&self) -> bool {
        matches!(self, Self::RecentHistory(_))
    }
}
