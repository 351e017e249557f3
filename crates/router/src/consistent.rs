//! The consistent-hash exchange: each value of a key, header or property has one destination, and
//! a new or lost destination moves only the values that are its own.
//!
//! RabbitMQ gives each binding as many buckets as its weight says, and finds the bucket by a jump
//! hash; a binding removed from the middle renumbers the buckets behind it, and a restart may
//! order them anew. Here every destination draws a number from the value and its own name, and
//! the best draw wins (weighted rendezvous hashing): shares follow the weights, nothing depends on
//! the order of bindings, a weight costs no memory, and a change of one destination is felt by no
//! value that neither was nor becomes its own.

#[cfg(test)]
mod tests;

use crate::arguments::{ArgumentError, text};
use crate::binding::{BindError, Binding, Destination};
use crate::erlang::value_text;
use crate::hash::{SecretState, spread};
use crate::headers::write_header;
use crate::route::RouteRequest;
use crate::targets::{Collector, Target};
use leveret_wire::{AMQPValue, FieldTable};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher as _};

/// The largest weight of a binding of a consistent-hash exchange.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// The weight that a binding key is, in the notation of Erlang's `list_to_integer`.
pub(crate) fn weight(key: &str) -> Result<u32, BindError> {
    let (negative, digits) = match key.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, key.strip_prefix('+').unwrap_or(key)),
    };
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        let key = value_text(&AMQPValue::LongString(key.into()));
        return Err(BindError::WeightNotInteger(key));
    }
    let digits = digits.trim_start_matches('0');
    if negative || digits.is_empty() {
        return Err(BindError::WeightTooLow);
    }
    // All digits: what does not parse is too large.
    match digits.parse() {
        Ok(weight) if weight <= WEIGHT_MAX => Ok(weight),
        _ => Err(BindError::WeightTooHigh),
    }
}

/// What of a message is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HashOn {
    RoutingKey,
    /// The header of that name (argument `hash-header`).
    Header(Box<[u8]>),
    /// The argument `hash-property`.
    CorrelationId,
    MessageId,
    Timestamp,
}

impl HashOn {
    /// What the arguments of the exchange ask for.
    pub(crate) fn parse(arguments: &FieldTable) -> Result<Self, ArgumentError> {
        let header = text(arguments, "hash-header")?;
        let property = text(arguments, "hash-property")?;
        match (header, property) {
            (None, None) => Ok(Self::RoutingKey),
            (Some(header), None) => Ok(Self::Header(header.into())),
            (None, Some(b"correlation_id")) => Ok(Self::CorrelationId),
            (None, Some(b"message_id")) => Ok(Self::MessageId),
            (None, Some(b"timestamp")) => Ok(Self::Timestamp),
            (None, Some(other)) => Err(ArgumentError::Property(
                String::from_utf8_lossy(other).into_owned(),
            )),
            (Some(_), Some(_)) => Err(ArgumentError::BothHashed),
        }
    }

    /// The hash of a message. All messages without the header or property have the same.
    fn hash(&self, request: &RouteRequest<'_>, value: &mut Vec<u8>) -> u64 {
        let properties = &request.properties;
        match self {
            // Keys of CC and BCC do not count, as in RabbitMQ.
            Self::RoutingKey => hash_of(Some(request.routing_key)),
            Self::Header(name) => {
                let header = request.headers.and_then(|headers| headers.get(name));
                hash_of(header.map(|header| {
                    value.clear();
                    write_header(&header, value);
                    value.as_slice()
                }))
            }
            Self::CorrelationId => hash_of(properties.correlation_id()),
            Self::MessageId => hash_of(properties.message_id()),
            Self::Timestamp => {
                let timestamp = properties.timestamp().map(u64::to_le_bytes);
                hash_of(timestamp.as_ref().map(<[u8; 8]>::as_slice))
            }
        }
    }
}

fn hash_of(value: Option<&[u8]>) -> u64 {
    let mut hasher = SecretState::fixed().hasher();
    if let Some(value) = value {
        hasher.write(value);
    }
    hasher.finish()
}

/// The destinations with their weights.
pub(crate) struct ConsistentHashIndex<Q> {
    hash_on: HashOn,
    /// The destinations by weight: among equals the draws can be compared as they are.
    members: BTreeMap<u32, Vec<Member<Q>>>,
    /// What each destination has.
    shares: FxHashMap<Target<Q>, Share>,
}

/// A destination that takes part in the draw.
struct Member<Q> {
    /// Its name and that of the exchange as a number, from which its draws follow.
    seed: u64,
    target: Target<Q>,
}

/// What one destination has.
struct Share {
    /// The weights of its bindings in order of arrival. Only the first counts: RabbitMQ ignores a
    /// further binding to the same destination.
    weights: Vec<u32>,
    /// Its place in the list of members of that weight.
    place: usize,
    seed: u64,
}

impl<Q: Copy + Eq + Hash> ConsistentHashIndex<Q> {
    /// An index for an exchange with these arguments, which were checked; wrong ones count as
    /// none.
    pub(crate) fn new(arguments: &FieldTable) -> Self {
        Self {
            hash_on: HashOn::parse(arguments).unwrap_or(HashOn::RoutingKey),
            members: BTreeMap::new(),
            shares: FxHashMap::default(),
        }
    }

    /// Whether the way of a message depends on more than its routing key.
    pub(crate) fn reads_more_than_keys(&self) -> bool {
        self.hash_on != HashOn::RoutingKey
    }

    /// Add a binding, whose key was checked.
    pub(crate) fn insert(&mut self, binding: &Binding, target: Target<Q>) {
        let Ok(weight) = weight(&binding.routing_key) else {
            return;
        };
        if let Some(share) = self.shares.get_mut(&target) {
            share.weights.push(weight);
            return;
        }
        let share = Share {
            weights: vec![weight],
            place: 0,
            seed: seed(binding),
        };
        self.shares.insert(target, share);
        self.enlist(target);
    }

    /// Take away a binding that was added.
    pub(crate) fn remove(&mut self, binding: &Binding, target: Target<Q>) {
        let Ok(weight) = weight(&binding.routing_key) else {
            return;
        };
        let Some(share) = self.shares.get_mut(&target) else {
            return;
        };
        // Bindings of one weight to one destination are the same to us: the last is as good as any.
        let Some(at) = share.weights.iter().rposition(|other| *other == weight) else {
            return;
        };
        share.weights.remove(at);
        if at > 0 {
            return;
        }
        let (place, is_last) = (share.place, share.weights.is_empty());
        self.strike(weight, place);
        if is_last {
            self.shares.remove(&target);
        } else {
            self.enlist(target);
        }
    }

    /// Take the destination that the message's value belongs to.
    pub(crate) fn collect(
        &self,
        request: &RouteRequest<'_>,
        value: &mut Vec<u8>,
        collector: &mut Collector<'_, Q>,
    ) {
        let hash = match self.shares.len() {
            0 => return,
            1 => 0,
            _ => self.hash_on.hash(request, value),
        };
        let best_of_weight = |(weight, members): (&u32, &'_ Vec<Member<Q>>)| {
            let draws = members
                .iter()
                .map(|member| (spread(hash ^ member.seed), member.seed, member.target));
            let (draw, seed, target) = draws.max_by_key(|(draw, seed, _)| (*draw, *seed))?;
            Some((wait(draw, *weight), seed, target))
        };
        let best = self
            .members
            .iter()
            .filter_map(best_of_weight)
            .min_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        if let Some((_, _, target)) = best {
            collector.take_one(target);
        }
    }

    /// Put a destination among the members of its first weight.
    fn enlist(&mut self, target: Target<Q>) {
        let Some(share) = self.shares.get_mut(&target) else {
            return;
        };
        let Some(weight) = share.weights.first() else {
            return;
        };
        let members = self.members.entry(*weight).or_default();
        share.place = members.len();
        members.push(Member {
            seed: share.seed,
            target,
        });
    }

    /// Take the member at `place` out.
    fn strike(&mut self, weight: u32, place: usize) {
        let Some(members) = self.members.get_mut(&weight) else {
            return;
        };
        if place < members.len() {
            members.swap_remove(place);
        }
        if let Some(moved) = members.get(place)
            && let Some(share) = self.shares.get_mut(&moved.target)
        {
            share.place = place;
        }
        if members.is_empty() {
            self.members.remove(&weight);
        }
    }
}

/// What the draws of the binding's destination follow from. The exchange's name is in it, so that
/// two exchanges in a row do not decide alike.
fn seed(binding: &Binding) -> u64 {
    let mut hasher = SecretState::fixed().hasher();
    hasher.write(binding.source.as_bytes());
    hasher.write_u8(u8::from(matches!(
        binding.destination,
        Destination::Exchange(_)
    )));
    hasher.write(binding.destination.name().as_bytes());
    spread(hasher.finish())
}

/// When a destination's first bucket would be hit, if each of its `weight` buckets waited for a
/// time drawn evenly: the destination that is hit first gets the message. Longer for smaller draws,
/// shorter for larger weights, so that equal weights need not be compared by it.
fn wait(draw: u64, weight: u32) -> f64 {
    /// 2 to the power of -53.
    const STEP: f64 = 1.0 / 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what a float can hold"
    )]
    let even = ((draw >> 11) as f64 + 0.5) * STEP;
    -even.ln() / f64::from(weight)
}
