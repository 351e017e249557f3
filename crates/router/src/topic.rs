//! The topic exchange: patterns over the words of a routing key, in a trie.
//!
//! A key is cut at its dots (`""` has no words, `a.` has `a` and the empty word). In a pattern the
//! word `*` stands for exactly one word, perhaps empty, and `#` for any number of them, also none;
//! `a*` and `a#` are words like others.
//!
//! The trie has one edge a pattern word. Words are numbered, so that a key's words are hashed once
//! each and every step in the trie compares numbers. A node reached by `#` (a *gap*) may begin its
//! rest at any later word, which is where naive matchers explode. Here a search visits each node at
//! most once, with the set of all places in the key at which it can be reached, one bit a place:
//! - `*` moves every place one word on,
//! - a literal word those places that the word stands after,
//! - `#` gives all places from the first one on. If no further `#` is below it, only those places
//!   that are as far from the end as some pattern there is long (the gap knows these lengths).
//!
//! So a route costs no more than the part of the trie that really matches, a few operations a node
//! whatever the length of the key (CVE-2026-67419).

mod node;
mod positions;
mod search;
#[cfg(test)]
mod tests;
mod words;

use crate::hash::SecretState;
use crate::slab::Slab;
use crate::targets::Target;
use node::{Edge, Node, Rest};
pub(crate) use search::TopicScratch;
use std::hash::Hash;
use words::Words;

/// Most words `#` in one pattern, as in RabbitMQ 4.3.5.
pub const TOPIC_HASHES_MAX: usize = 2;

/// The node that every key starts at.
const ROOT: u32 = 0;

/// How many words of `key` are `#`.
pub(crate) fn count_hashes(key: &[u8]) -> usize {
    split(key).filter(|word| *word == b"#").count()
}

/// The words of a routing key or pattern.
fn split(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    // "" has no words at all, not one empty word.
    let words = (!key.is_empty()).then(|| key.split(|octet| *octet == b'.'));
    words.into_iter().flatten()
}

/// All patterns bound to one topic exchange.
pub(crate) struct TopicIndex<Q> {
    /// The trie. Its root is always there.
    nodes: Slab<Node<Q>>,
    /// The literal words on its edges.
    words: Words,
}

impl<Q: Copy + Eq + Hash> TopicIndex<Q> {
    pub(crate) fn new(secret: SecretState) -> Self {
        let mut nodes = Slab::default();
        nodes.insert(Node::new((ROOT, Edge::Star)));
        Self {
            nodes,
            words: Words::new(secret),
        }
    }

    /// Add a binding of `pattern` to `target`.
    pub(crate) fn insert(&mut self, pattern: &[u8], target: Target<Q>) {
        let (mut node, mut gap, mut tail_length) = (ROOT, None, 0);
        for word in split(pattern) {
            node = self.child_or_new(node, word);
            tail_length += 1;
            if word == b"#" {
                (gap, tail_length) = (Some(node), 0);
            }
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.targets.insert(target);
        }
        if tail_length > 0
            && let Some(rest) = self.rest_mut(gap)
        {
            rest.add_tail(tail_length);
        }
    }

    /// Take away a binding of `pattern` to `target`, and what of the trie only it needed.
    pub(crate) fn remove(&mut self, pattern: &[u8], target: Target<Q>) {
        let (mut node, mut gap, mut tail_length) = (ROOT, None, 0);
        for word in split(pattern) {
            let Some(child) = self.child(node, word) else {
                return;
            };
            node = child;
            tail_length += 1;
            if word == b"#" {
                (gap, tail_length) = (Some(node), 0);
            }
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.targets.remove(target);
        }
        if tail_length > 0
            && let Some(rest) = self.rest_mut(gap)
        {
            rest.remove_tail(tail_length);
        }
        self.prune(node);
    }

    fn child(&self, node: u32, word: &[u8]) -> Option<u32> {
        let edge = match word {
            b"#" => Edge::Gap,
            b"*" => Edge::Star,
            literal => Edge::Word(self.words.find(literal)?),
        };
        self.nodes.get(node)?.child(edge)
    }

    fn child_or_new(&mut self, parent: u32, word: &[u8]) -> u32 {
        if let Some(child) = self.child(parent, word) {
            return child;
        }
        let edge = match word {
            b"#" => Edge::Gap,
            b"*" => Edge::Star,
            literal => Edge::Word(self.words.acquire(literal)),
        };
        if edge == Edge::Gap {
            self.count_gap_below(parent, 1);
        }
        let child = self.nodes.insert(Node::new((parent, edge)));
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.set_child(edge, Some(child));
        }
        child
    }

    /// Remove `node` and the nodes before it as far as nothing ends or goes on there.
    fn prune(&mut self, mut node: u32) {
        while node != ROOT && self.nodes.get(node).is_some_and(Node::is_bare) {
            let Some(removed) = self.nodes.remove(node) else {
                return;
            };
            let (parent, edge) = removed.parent;
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.set_child(edge, None);
            }
            match edge {
                Edge::Gap => self.count_gap_below(parent, -1),
                Edge::Star => {}
                Edge::Word(word) => self.words.release(word),
            }
            node = parent;
        }
    }

    /// Tell the gaps from `node` up to the root that there is one more or less below them.
    fn count_gap_below(&mut self, mut node: u32, change: isize) {
        while let Some(above) = self.nodes.get_mut(node) {
            if let Some(rest) = &mut above.rest {
                rest.gaps_below = rest.gaps_below.saturating_add_signed(change);
            }
            if node == ROOT {
                return;
            }
            node = above.parent.0;
        }
    }

    fn rest_mut(&mut self, gap: Option<u32>) -> Option<&mut Rest> {
        self.nodes.get_mut(gap?)?.rest.as_deref_mut()
    }
}
