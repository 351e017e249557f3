//! The topology of one virtual host: what exists, what is bound to what, and how it changes.

mod removal;
#[cfg(test)]
mod tests;

use crate::binding::{BindError, Binding, Destination};
use crate::exchange::Exchange;
use crate::hash::SecretState;
use crate::identity::{Identities, identity_hash, is_same};
use crate::index::Index;
use crate::slab::Slab;
use crate::targets::{ExchangeId, Target};
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

/// Exchanges, bindings and queue names of one virtual host. `Q` is the id by which the caller knows
/// a queue; no two queues of a router may have the same.
///
/// The default exchange is not among the exchanges: it is always there, routes by queue name and
/// cannot be bound.
pub struct Router<Q> {
    /// All exchanges, by number.
    exchanges: Slab<ExchangeNode<Q>>,
    /// The numbers of the exchanges.
    exchange_ids: HashMap<Box<[u8]>, ExchangeId, SecretState>,
    /// All queues.
    queues: HashMap<Box<[u8]>, QueueNode<Q>, SecretState>,
    /// All bindings, by number.
    bindings: Slab<BindingNode>,
    /// The numbers of the bindings by what they are.
    identities: Identities,
    /// What all hashes are made with.
    secret: SecretState,
}

/// An exchange and its bindings.
struct ExchangeNode<Q> {
    exchange: Exchange,
    /// The bindings that it is the source of, for routing.
    index: Index<Q>,
    /// The bindings that it is the source of.
    outgoing: Vec<u32>,
    /// The bindings that it is the destination of.
    incoming: Vec<u32>,
}

/// A queue and its bindings.
struct QueueNode<Q> {
    id: Q,
    /// The bindings that it is the destination of.
    incoming: Vec<u32>,
}

/// A binding, and where it is listed.
struct BindingNode {
    binding: Binding,
    source: ExchangeId,
    /// The hash of its identity.
    identity: u64,
    /// Its place in `outgoing` of the source.
    outgoing_place: usize,
    /// Its place in `incoming` of the destination.
    incoming_place: usize,
}

impl<Q> Default for Router<Q> {
    fn default() -> Self {
        let secret = SecretState::default();
        Self {
            exchanges: Slab::default(),
            exchange_ids: HashMap::with_hasher(secret.clone()),
            queues: HashMap::with_hasher(secret.clone()),
            bindings: Slab::default(),
            identities: Identities::default(),
            secret,
        }
    }
}

impl<Q: Copy + Eq + Hash + Ord + Debug> Router<Q> {
    /// A virtual host with the default exchange only. The pre-declared `amq.*` exchanges are
    /// declared by the caller.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add an exchange. The caller has checked that there is none of that name; if there is,
    /// nothing happens.
    pub fn declare_exchange(&mut self, exchange: Exchange) {
        let name = exchange.name.as_bytes();
        if name.is_empty() || self.exchange_ids.contains_key(name) {
            return;
        }
        let name = name.into();
        let id = self.exchanges.insert(ExchangeNode {
            index: Index::new(&exchange, self.secret.clone()),
            exchange,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        });
        self.exchange_ids.insert(name, ExchangeId(id));
    }

    /// The exchange of that name.
    pub fn exchange(&self, name: &str) -> Option<&Exchange> {
        Some(&self.exchange_node(name)?.exchange)
    }

    /// All exchanges, in no order.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().map(|node| &node.exchange)
    }

    /// How many exchanges there are.
    pub fn exchange_count(&self) -> usize {
        self.exchanges.len()
    }

    /// Change the alternate exchange of an exchange, as policies do. Does nothing if the exchange
    /// does not exist.
    pub fn set_alternate(&mut self, name: &str, alternate: Option<String>) {
        let id = self.exchange_id(name.as_bytes());
        if let Some(node) = id.and_then(|id| self.exchanges.get_mut(id.0)) {
            node.exchange.alternate = alternate;
        }
    }

    /// Whether the exchange is the source of a binding (what `if-unused` of `exchange.delete`
    /// asks).
    pub fn is_used(&self, name: &str) -> bool {
        self.exchange_node(name)
            .is_some_and(|node| !node.outgoing.is_empty())
    }

    /// Add a queue. If there is one of that name, it keeps its bindings and has the new id.
    pub fn add_queue(&mut self, name: &str, id: Q) {
        let Some(queue) = self.queues.get_mut(name.as_bytes()) else {
            let incoming = Vec::new();
            self.queues
                .insert(name.as_bytes().into(), QueueNode { id, incoming });
            return;
        };
        let old = std::mem::replace(&mut queue.id, id);
        for node in queue
            .incoming
            .iter()
            .filter_map(|number| self.bindings.get(*number))
        {
            if let Some(source) = self.exchanges.get_mut(node.source.0) {
                source.index.remove(&node.binding, Target::Queue(old));
                source.index.insert(&node.binding, Target::Queue(id));
            }
        }
    }

    /// The id of the queue of that name.
    pub fn queue(&self, name: &[u8]) -> Option<Q> {
        Some(self.queues.get(name)?.id)
    }

    /// How many queues there are.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// Add a binding; `false` if it was there already.
    pub fn bind(&mut self, binding: Binding) -> Result<bool, BindError> {
        let source = self
            .exchange_id(binding.source.as_bytes())
            .ok_or(BindError::NoSource)?;
        let target = self
            .target(&binding.destination)
            .ok_or(BindError::NoDestination)?;
        let node = self
            .exchanges
            .get_mut(source.0)
            .ok_or(BindError::NoSource)?;
        node.index.check(&binding)?;
        let identity = identity_hash(&binding, &self.secret);
        if find(&self.identities, &self.bindings, identity, &binding).is_some() {
            return Ok(false);
        }
        node.index.insert(&binding, target);
        let outgoing_place = node.outgoing.len();
        let destination = binding.destination.clone();
        let number = self.bindings.insert(BindingNode {
            binding,
            source,
            identity,
            outgoing_place,
            incoming_place: 0,
        });
        node.outgoing.push(number);
        if let Some(incoming) = self.incoming_mut(&destination) {
            let incoming_place = incoming.len();
            incoming.push(number);
            if let Some(node) = self.bindings.get_mut(number) {
                node.incoming_place = incoming_place;
            }
        }
        self.identities.insert(identity, number);
        Ok(true)
    }

    /// Whether there is exactly this binding.
    pub fn has_binding(&self, binding: &Binding) -> bool {
        self.find(binding).is_some()
    }

    /// All bindings, in no order. Those of the default exchange are not among them: there is one
    /// for each queue, by its name.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().map(|node| &node.binding)
    }

    /// How many bindings there are, those of the default exchange not counted.
    pub fn binding_count(&self) -> usize {
        self.bindings.len()
    }

    /// The bindings that lead from the exchange of that name, in no order.
    pub fn bindings_of_source(&self, name: &str) -> impl Iterator<Item = &Binding> {
        let node = self.exchange_node(name);
        self.listed(node.map_or(&[], |node| node.outgoing.as_slice()))
    }

    /// The bindings that lead to `destination`, in no order.
    pub fn bindings_of_destination(
        &self,
        destination: &Destination,
    ) -> impl Iterator<Item = &Binding> {
        let incoming = match destination {
            Destination::Exchange(name) => self
                .exchange_node(name)
                .map(|node| node.incoming.as_slice()),
            Destination::Queue(name) => self
                .queues
                .get(name.as_bytes())
                .map(|node| node.incoming.as_slice()),
        };
        self.listed(incoming.unwrap_or_default())
    }

    /// The number of the exchange of that name.
    pub(crate) fn exchange_id(&self, name: &[u8]) -> Option<ExchangeId> {
        self.exchange_ids.get(name).copied()
    }

    /// What routing needs of an exchange: its index, and what it was declared as.
    pub(crate) fn routing(&self, id: ExchangeId) -> Option<(&Index<Q>, &Exchange)> {
        let node = self.exchanges.get(id.0)?;
        Some((&node.index, &node.exchange))
    }

    /// The exchange of that number.
    pub(crate) fn exchange_of(&self, id: ExchangeId) -> Option<&Exchange> {
        Some(&self.exchanges.get(id.0)?.exchange)
    }

    fn exchange_node(&self, name: &str) -> Option<&ExchangeNode<Q>> {
        self.exchanges.get(self.exchange_id(name.as_bytes())?.0)
    }

    fn target(&self, destination: &Destination) -> Option<Target<Q>> {
        match destination {
            Destination::Exchange(name) => self.exchange_id(name.as_bytes()).map(Target::Exchange),
            Destination::Queue(name) => self.queue(name.as_bytes()).map(Target::Queue),
        }
    }

    fn incoming_mut(&mut self, destination: &Destination) -> Option<&mut Vec<u32>> {
        match destination {
            Destination::Exchange(name) => {
                let id = self.exchange_id(name.as_bytes())?;
                Some(&mut self.exchanges.get_mut(id.0)?.incoming)
            }
            Destination::Queue(name) => Some(&mut self.queues.get_mut(name.as_bytes())?.incoming),
        }
    }

    fn find(&self, binding: &Binding) -> Option<u32> {
        let identity = identity_hash(binding, &self.secret);
        find(&self.identities, &self.bindings, identity, binding)
    }

    fn listed<'a>(&'a self, numbers: &'a [u32]) -> impl Iterator<Item = &'a Binding> {
        let nodes = numbers
            .iter()
            .filter_map(|number| self.bindings.get(*number));
        nodes.map(|node| &node.binding)
    }
}

/// The number of `binding`, whose identity has that hash.
fn find(
    identities: &Identities,
    bindings: &Slab<BindingNode>,
    identity: u64,
    binding: &Binding,
) -> Option<u32> {
    identities.find(identity, |number| {
        bindings
            .get(number)
            .is_some_and(|node| is_same(&node.binding, binding))
    })
}
