//! The nodes of the trie, and what a gap knows about its rest.

use crate::targets::Targets;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// One word of a pattern, as an edge of the trie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// `#`
    Gap,
    /// `*`
    Star,
    /// A literal word, by its number.
    Word(u32),
}

/// A place in the trie: the patterns that begin with the words on the way to it.
pub(super) struct Node<Q> {
    /// The node before it, and the edge from there. The root is its own parent.
    pub(super) parent: (u32, Edge),
    /// The nodes after it, by literal word.
    pub(super) words: Children,
    /// The node after `*`.
    pub(super) star: Option<u32>,
    /// The node after `#`.
    pub(super) gap: Option<u32>,
    /// Where the pattern that ends here leads to.
    pub(super) targets: Targets<Q>,
    /// What a node behind `#` knows about its rest.
    pub(super) rest: Option<Box<Rest>>,
}

impl<Q: Copy + Eq + Hash> Node<Q> {
    pub(super) fn new(parent: (u32, Edge)) -> Self {
        Self {
            parent,
            words: Children::None,
            star: None,
            gap: None,
            targets: Targets::None,
            rest: (parent.1 == Edge::Gap).then(Box::default),
        }
    }

    /// No pattern ends or goes on here.
    pub(super) fn is_bare(&self) -> bool {
        self.targets.is_empty()
            && self.words.is_empty()
            && self.star.is_none()
            && self.gap.is_none()
    }

    pub(super) fn child(&self, edge: Edge) -> Option<u32> {
        match edge {
            Edge::Gap => self.gap,
            Edge::Star => self.star,
            Edge::Word(word) => self.words.find(word),
        }
    }

    pub(super) fn set_child(&mut self, edge: Edge, child: Option<u32>) {
        match edge {
            Edge::Gap => self.gap = child,
            Edge::Star => self.star = child,
            Edge::Word(word) => match child {
                Some(child) => self.words.insert(word, child),
                None => self.words.remove(word),
            },
        }
    }
}

/// The nodes after a node by literal word. Most nodes have one, so that one needs no map.
pub(super) enum Children {
    None,
    One(u32, u32),
    Many(Box<FxHashMap<u32, u32>>),
}

impl Children {
    pub(super) fn find(&self, word: u32) -> Option<u32> {
        match self {
            Self::None => None,
            Self::One(only, child) => (*only == word).then_some(*child),
            Self::Many(children) => children.get(&word).copied(),
        }
    }

    pub(super) fn insert(&mut self, word: u32, child: u32) {
        match self {
            Self::None => *self = Self::One(word, child),
            Self::One(first, first_child) => {
                *self = Self::Many(Box::new(
                    [(*first, *first_child), (word, child)]
                        .into_iter()
                        .collect(),
                ));
            }
            Self::Many(children) => {
                children.insert(word, child);
            }
        }
    }

    pub(super) fn remove(&mut self, word: u32) {
        let empty = match self {
            Self::None => true,
            Self::One(only, _) => *only == word,
            Self::Many(children) => {
                children.remove(&word);
                children.is_empty()
            }
        };
        if empty {
            *self = Self::None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// What lies below a gap.
#[derive(Default)]
pub(super) struct Rest {
    /// How many words the tails below it have, each with the number of bindings that have it. No
    /// further `#` is in a tail.
    pub(super) tails: Vec<(usize, usize)>,
    /// How many gaps there are below it.
    pub(super) gaps_below: usize,
}

impl Rest {
    pub(super) fn add_tail(&mut self, length: usize) {
        match self.tails.iter_mut().find(|tail| tail.0 == length) {
            Some(tail) => tail.1 += 1,
            None => self.tails.push((length, 1)),
        }
    }

    pub(super) fn remove_tail(&mut self, length: usize) {
        let Some(place) = self.tails.iter().position(|tail| tail.0 == length) else {
            return;
        };
        self.tails[place].1 -= 1;
        if self.tails[place].1 == 0 {
            self.tails.swap_remove(place);
        }
    }
}
