//! Removals, and what they take with them.

use super::Router;
use crate::binding::{Binding, Destination, Removed};
use crate::targets::ExchangeId;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::hash::Hash;

impl<Q: Copy + Eq + Hash + Ord + Debug> Router<Q> {
    /// Remove an exchange with the bindings from and to it; `None` if it does not exist.
    /// Auto-delete exchanges whose last binding led to it go too.
    pub fn delete_exchange(&mut self, name: &str) -> Option<Removed> {
        let id = self.exchange_id(name.as_bytes())?;
        let mut removed = Removed::default();
        let mut sources = VecDeque::new();
        self.take_exchange(id, &mut removed, &mut sources);
        self.remove_unused(sources, &mut removed);
        Some(removed)
    }

    /// Remove a queue with the bindings to it. Auto-delete exchanges whose last binding led to it
    /// go too. Empty if there is no such queue.
    pub fn remove_queue(&mut self, name: &str) -> Removed {
        let mut removed = Removed::default();
        let mut sources = VecDeque::new();
        while let Some(queue) = self.queues.get(name.as_bytes()) {
            let Some(last) = queue.incoming.last().copied() else {
                self.queues.remove(name.as_bytes());
                break;
            };
            self.take_listed(last, &mut removed, &mut sources);
        }
        self.remove_unused(sources, &mut removed);
        removed
    }

    /// Remove a binding; `None` if there is none. Its source goes too if it is auto-delete and this
    /// was its last.
    pub fn unbind(&mut self, binding: &Binding) -> Option<Removed> {
        let number = self.find(binding)?;
        let mut removed = Removed::default();
        let mut sources = VecDeque::new();
        self.take_listed(number, &mut removed, &mut sources);
        self.remove_unused(sources, &mut removed);
        Some(removed)
    }

    /// Remove those of `sources` that are auto-delete and have no binding left, and so on for what
    /// leads to them.
    fn remove_unused(&mut self, mut sources: VecDeque<ExchangeId>, removed: &mut Removed) {
        while let Some(source) = sources.pop_front() {
            let Some(node) = self.exchanges.get(source.0) else {
                continue;
            };
            if node.exchange.auto_delete && node.outgoing.is_empty() {
                removed.exchanges.push(node.exchange.name.clone());
                self.take_exchange(source, removed, &mut sources);
            }
        }
    }

    /// Take out an exchange and its bindings. The sources of those that led to it are added to
    /// `sources`.
    fn take_exchange(
        &mut self,
        id: ExchangeId,
        removed: &mut Removed,
        sources: &mut VecDeque<ExchangeId>,
    ) {
        while let Some(last) = self
            .exchanges
            .get(id.0)
            .and_then(|node| node.outgoing.last().copied())
        {
            removed
                .bindings
                .extend(self.take_binding(last).map(|taken| taken.0));
        }
        while let Some(last) = self
            .exchanges
            .get(id.0)
            .and_then(|node| node.incoming.last().copied())
        {
            self.take_listed(last, removed, sources);
        }
        if let Some(node) = self.exchanges.remove(id.0) {
            self.exchange_ids.remove(node.exchange.name.as_bytes());
        }
    }

    /// Take out a binding and note its source.
    fn take_listed(
        &mut self,
        number: u32,
        removed: &mut Removed,
        sources: &mut VecDeque<ExchangeId>,
    ) {
        if let Some((binding, source)) = self.take_binding(number) {
            removed.bindings.push(binding);
            // A queue often has many bindings from one source: once is enough.
            if sources.back() != Some(&source) {
                sources.push_back(source);
            }
        }
    }

    /// Take a binding out of every list it is in; what it was, and its source.
    fn take_binding(&mut self, number: u32) -> Option<(Binding, ExchangeId)> {
        let node = self.bindings.remove(number)?;
        self.identities.remove(node.identity, number);
        let target = self.target(&node.binding.destination);
        if let Some(source) = self.exchanges.get_mut(node.source.0) {
            if let Some(target) = target {
                source.index.remove(&node.binding, target);
            }
            if let Some(moved) = take_place(&mut source.outgoing, node.outgoing_place)
                && let Some(moved) = self.bindings.get_mut(moved)
            {
                moved.outgoing_place = node.outgoing_place;
            }
        }
        self.take_incoming(&node.binding.destination, node.incoming_place);
        Some((node.binding, node.source))
    }

    fn take_incoming(&mut self, destination: &Destination, place: usize) {
        let moved = self
            .incoming_mut(destination)
            .and_then(|incoming| take_place(incoming, place));
        if let Some(moved) = moved.and_then(|moved| self.bindings.get_mut(moved)) {
            moved.incoming_place = place;
        }
    }
}

/// Take the entry at `place` out of a list without order; the entry that is there now.
fn take_place(list: &mut Vec<u32>, place: usize) -> Option<u32> {
    if place < list.len() {
        list.swap_remove(place);
    }
    if list.len() * 4 < list.capacity() {
        list.shrink_to(list.len() * 2);
    }
    list.get(place).copied()
}
