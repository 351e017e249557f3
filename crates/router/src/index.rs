//! The routing part of an exchange, by its type.

use crate::binding::{BindError, Binding};
use crate::direct::DirectIndex;
use crate::exchange::ExchangeKind;
use crate::fanout::FanoutIndex;
use crate::hash::SecretState;
use crate::headers::{self, HeadersIndex};
use crate::route::{RouteRequest, SearchScratch};
use crate::targets::{Collector, Target};
use crate::topic::{self, TOPIC_HASHES_MAX, TopicIndex};
use std::hash::Hash;

/// Finds the targets of a message among the bindings of one exchange.
pub(crate) enum Index<Q> {
    Direct(DirectIndex<Q>),
    Fanout(FanoutIndex<Q>),
    Headers(HeadersIndex<Q>),
    Topic(TopicIndex<Q>),
}

impl<Q: Copy + Eq + Hash> Index<Q> {
    pub(crate) fn new(kind: ExchangeKind, secret: SecretState) -> Self {
        match kind {
            ExchangeKind::Direct => Self::Direct(DirectIndex::new(secret)),
            ExchangeKind::Fanout => Self::Fanout(FanoutIndex::new()),
            ExchangeKind::Headers => Self::Headers(HeadersIndex::new(secret)),
            ExchangeKind::Topic => Self::Topic(TopicIndex::new(secret)),
        }
    }

    /// Whether an exchange of this type takes such a binding.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), BindError> {
        match self {
            Self::Direct(_) | Self::Fanout(_) => Ok(()),
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
            Self::Direct(index) => index.insert(binding.routing_key.as_bytes(), target),
            Self::Fanout(index) => index.insert(target),
            Self::Headers(index) => index.insert(&binding.arguments, target),
            Self::Topic(index) => index.insert(binding.routing_key.as_bytes(), target),
        }
    }

    /// Take away a binding that was added.
    pub(crate) fn remove(&mut self, binding: &Binding, target: Target<Q>) {
        match self {
            Self::Direct(index) => index.remove(binding.routing_key.as_bytes(), target),
            Self::Fanout(index) => index.remove(target),
            Self::Headers(index) => index.remove(&binding.arguments, target),
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
            Self::Fanout(index) => index.collect(collector),
            Self::Headers(index) => index.collect(request.headers, &mut scratch.headers, collector),
            Self::Topic(index) => {
                for key in request.keys() {
                    index.collect(key, &mut scratch.topic, collector);
                }
            }
        }
    }

    /// Whether the search looks at more of a message than its routing key.
    pub(crate) fn reads_headers(&self) -> bool {
        matches!(self, Self::Headers(_))
    }
}
