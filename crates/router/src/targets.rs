//! What bindings lead to: a set of queues and exchanges in which each knows how many bindings put
//! it there.

use rustc_hash::FxHashMap;
use std::hash::Hash;

/// The number of an exchange in the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeId(pub(crate) u32);

/// One end of a binding, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target<Q> {
    /// An exchange, by its number.
    Exchange(ExchangeId),
    /// A queue, by the broker's id.
    Queue(Q),
}

/// A counted set of targets. Nearly all hold one, so that one needs no memory of its own.
#[derive(Default)]
pub(crate) enum Targets<Q> {
    /// No target.
    #[default]
    None,
    /// One target by one binding.
    One(Target<Q>),
    /// Anything else.
    Many(Box<Many<Q>>),
}

impl<Q: Copy + Eq + Hash> Targets<Q> {
    /// Count one more binding to `target`.
    pub(crate) fn insert(&mut self, target: Target<Q>) {
        match self {
            Self::None => *self = Self::One(target),
            Self::One(first) => {
                let mut many = Box::new(Many::default());
                many.insert(*first);
                many.insert(target);
                *self = Self::Many(many);
            }
            Self::Many(many) => many.insert(target),
        }
    }

    /// Count one binding less to `target`.
    pub(crate) fn remove(&mut self, target: Target<Q>) {
        match self {
            Self::None => {}
            Self::One(only) => {
                if *only == target {
                    *self = Self::None;
                }
            }
            Self::Many(many) => {
                many.remove(target);
                if many.queues.items.is_empty() && many.exchanges.items.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Several targets, or one that several bindings lead to.
pub(crate) struct Many<Q> {
    queues: Counted<Q>,
    exchanges: Counted<ExchangeId>,
}

impl<Q> Default for Many<Q> {
    fn default() -> Self {
        Self {
            queues: Counted::default(),
            exchanges: Counted::default(),
        }
    }
}

impl<Q: Copy + Eq + Hash> Many<Q> {
    fn insert(&mut self, target: Target<Q>) {
        match target {
            Target::Exchange(exchange) => self.exchanges.insert(exchange),
            Target::Queue(queue) => self.queues.insert(queue),
        }
    }

    fn remove(&mut self, target: Target<Q>) {
        match target {
            Target::Exchange(exchange) => self.exchanges.remove(exchange),
            Target::Queue(queue) => self.queues.remove(queue),
        }
    }
}

/// Up to here a search along the list is quicker than a hash map, and smaller.
const SEARCHED_MAX: usize = 16;

/// A set kept as a plain list, so that all of it is copied at once into a route.
struct Counted<T> {
    /// Each member once, in no order.
    items: Vec<T>,
    /// How many bindings each member of `items` has.
    counts: Vec<u32>,
    /// Where each member is in `items`; only once there are more than [`SEARCHED_MAX`].
    places: Option<FxHashMap<T, usize>>,
}

impl<T> Default for Counted<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            counts: Vec::new(),
            places: None,
        }
    }
}

impl<T: Copy + Eq + Hash> Counted<T> {
    fn place(&self, item: T) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&item).copied(),
            None => self.items.iter().position(|other| *other == item),
        }
    }

    fn insert(&mut self, item: T) {
        if let Some(place) = self.place(item) {
            self.counts[place] += 1;
            return;
        }
        self.items.push(item);
        self.counts.push(1);
        let place = self.items.len() - 1;
        if let Some(places) = &mut self.places {
            places.insert(item, place);
        } else if self.items.len() > SEARCHED_MAX {
            self.places = Some(
                self.items
                    .iter()
                    .enumerate()
                    .map(|(place, item)| (*item, place))
                    .collect(),
            );
        }
    }

    fn remove(&mut self, item: T) {
        let Some(place) = self.place(item) else {
            return;
        };
        self.counts[place] -= 1;
        if self.counts[place] > 0 {
            return;
        }
        self.items.swap_remove(place);
        self.counts.swap_remove(place);
        if let Some(places) = &mut self.places {
            places.remove(&item);
            if let Some(moved) = self.items.get(place) {
                places.insert(*moved, place);
            }
        }
        self.shrink();
    }

    /// A set that was once large gives its memory back.
    fn shrink(&mut self) {
        if self.items.len() <= SEARCHED_MAX / 2 && self.places.is_some() {
            self.places = None;
            self.items.shrink_to_fit();
            self.counts.shrink_to_fit();
        } else if self.items.len() * 4 < self.items.capacity() && self.items.capacity() > 1024 {
            let keep = self.items.len() * 2;
            self.items.shrink_to(keep);
            self.counts.shrink_to(keep);
            if let Some(places) = &mut self.places {
                places.shrink_to(keep);
            }
        }
    }
}

/// Where the indexes pour what they find.
pub(crate) struct Collector<'a, Q> {
    /// The queues found; some twice if more than one list was taken.
    pub(crate) queues: &'a mut Vec<Q>,
    /// The exchanges found, still to be visited; some perhaps twice.
    pub(crate) exchanges: &'a mut Vec<ExchangeId>,
    /// How many sets were taken. With one there cannot be a queue twice.
    pub(crate) sets: usize,
}

impl<Q: Copy> Collector<'_, Q> {
    /// Take all of `targets`.
    pub(crate) fn take(&mut self, targets: &Targets<Q>) {
        match targets {
            Targets::None => return,
            Targets::One(target) => self.push(*target),
            Targets::Many(many) => {
                self.queues.extend_from_slice(&many.queues.items);
                self.exchanges.extend_from_slice(&many.exchanges.items);
            }
        }
        self.sets += 1;
    }

    /// Take one queue by its name (the default exchange).
    pub(crate) fn take_queue(&mut self, queue: Q) {
        self.queues.push(queue);
        self.sets += 1;
    }

    /// Take one target.
    pub(crate) fn take_one(&mut self, target: Target<Q>) {
        self.push(target);
        self.sets += 1;
    }

    fn push(&mut self, target: Target<Q>) {
        match target {
            Target::Exchange(exchange) => self.exchanges.push(exchange),
            Target::Queue(queue) => self.queues.push(queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn members(targets: &Targets<u8>) -> (Vec<u8>, Vec<u32>) {
        let (mut queues, mut exchanges) = (Vec::new(), Vec::new());
        Collector {
            queues: &mut queues,
            exchanges: &mut exchanges,
            sets: 0,
        }
        .take(targets);
        queues.sort_unstable();
        let mut exchanges: Vec<u32> = exchanges.into_iter().map(|exchange| exchange.0).collect();
        exchanges.sort_unstable();
        (queues, exchanges)
    }

    proptest! {
        #[test]
        fn a_counted_set_is_a_map_of_counts(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u8..40), 0..300),
        ) {
            let mut targets = Targets::None;
            let mut model: BTreeMap<(bool, u8), u32> = BTreeMap::new();
            for (insert, queue, number) in steps {
                let target = if queue {
                    Target::Queue(number)
                } else {
                    Target::Exchange(ExchangeId(u32::from(number)))
                };
                if insert {
                    targets.insert(target);
                    *model.entry((queue, number)).or_default() += 1;
                } else {
                    targets.remove(target);
                    if let Some(count) = model.get_mut(&(queue, number)) {
                        *count -= 1;
                        if *count == 0 {
                            model.remove(&(queue, number));
                        }
                    }
                }
                let of_kind = |wanted: bool| {
                    let members = model.keys().filter(move |(queue, _)| *queue == wanted);
                    members.map(|(_, number)| *number)
                };
                let queues: Vec<u8> = of_kind(true).collect();
                let exchanges: Vec<u32> = of_kind(false).map(u32::from).collect();
                prop_assert_eq!(members(&targets), (queues, exchanges));
                prop_assert_eq!(targets.is_empty(), model.is_empty());
            }
        }
    }
}
