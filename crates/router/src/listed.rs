//! Exchanges that pick one of their bindings: at random, or by a hash of the keys.

use crate::binding::{BindError, Binding, Destination};
use crate::dice::{Dice, share};
use crate::hash::{SecretState, spread};
use crate::route::RouteRequest;
use crate::targets::{Collector, Target};
use leveret_wire::encode_table;
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::OnceLock;

/// Whether an `x-local-random` exchange takes such a binding.
pub(crate) fn check_local(binding: &Binding) -> Result<(), BindError> {
    if !binding.routing_key.is_empty() {
        return Err(BindError::NotEmpty(binding.routing_key.clone()));
    }
    match binding.destination {
        Destination::Queue(_) => Ok(()),
        Destination::Exchange(_) => Err(BindError::NotAQueue),
    }
}

/// The bindings in an order that follows from what they are, not from when they came: a hash
/// chooses the same one after a restart.
pub(crate) struct ListedIndex<Q> {
    bindings: BTreeMap<Box<[u8]>, Target<Q>>,
    /// Where each of `bindings` leads, to be chosen by number. Made by the first route after a
    /// change, so that many changes in a row cost no more than themselves.
    targets: OnceLock<Vec<Target<Q>>>,
}

impl<Q: Copy> ListedIndex<Q> {
    pub(crate) fn new() -> Self {
        Self {
            bindings: BTreeMap::new(),
            targets: OnceLock::new(),
        }
    }

    pub(crate) fn insert(&mut self, binding: &Binding, target: Target<Q>) {
        self.targets = OnceLock::new();
        self.bindings.insert(place(binding), target);
    }

    pub(crate) fn remove(&mut self, binding: &Binding) {
        self.targets = OnceLock::new();
        self.bindings.remove(&place(binding));
    }

    /// Take one of the bindings, whichever the dice choose.
    pub(crate) fn collect_any(&self, dice: &mut Dice, collector: &mut Collector<'_, Q>) {
        if let Some(target) = dice.pick(self.targets()) {
            collector.take_one(*target);
        }
    }

    /// Take the binding that all keys of the message together choose.
    pub(crate) fn collect_by_hash(
        &self,
        request: &RouteRequest<'_>,
        collector: &mut Collector<'_, Q>,
    ) {
        let targets = self.targets();
        let mut hasher = SecretState::fixed().hasher();
        for key in request.keys() {
            hasher.write(key);
        }
        let number = share(spread(hasher.finish()), targets.len());
        if let Some(target) = targets.get(number) {
            collector.take_one(*target);
        }
    }

    fn targets(&self) -> &[Target<Q>] {
        self.targets
            .get_or_init(|| self.bindings.values().copied().collect())
    }
}

/// What orders a binding: its key, its destination, its arguments. No octet of a name is 255, for
/// names are UTF-8.
fn place(binding: &Binding) -> Box<[u8]> {
    const END: u8 = 255;
    let mut place = binding.routing_key.as_bytes().to_vec();
    place.push(END);
    place.push(u8::from(matches!(
        binding.destination,
        Destination::Queue(_)
    )));
    place.extend_from_slice(binding.destination.name().as_bytes());
    place.push(END);
    encode_table(&binding.arguments, &mut place);
    place.into_boxed_slice()
}
