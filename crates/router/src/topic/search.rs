//! The search in the trie: one key against all patterns.

use super::node::{Children, Node};
use super::positions::Positions;
use super::words::UNKNOWN_WORD;
use super::{ROOT, TopicIndex, split};
use crate::targets::Collector;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// Buffers of a search, kept for the next one.
#[derive(Default)]
pub(crate) struct TopicScratch {
    /// The words of the key, by number.
    words: Vec<u32>,
    /// What is followed up to the first `#`.
    heads: Heads,
    /// For keys of fewer than 64 words.
    narrow: Search<1>,
    /// For all others: 255 octets are at most 256 words, which have 257 places.
    wide: Search<5>,
}

/// The nodes of patterns up to their first `#`.
#[derive(Default)]
struct Heads {
    /// Those at the place in the key at hand.
    here: Vec<u32>,
    /// Those one word on.
    next: Vec<u32>,
}

/// The state of one search behind the first `#`. `W` is the size of a set of places.
#[derive(Default)]
struct Search<const W: usize> {
    /// Nodes that were reached, each with the places in the key at which it was.
    pending: Vec<(u32, Positions<W>)>,
    /// The words of the key.
    occurrences: Occurrences<W>,
}

/// Where in the key each of its words stands.
#[derive(Default)]
struct Occurrences<const W: usize> {
    /// The words of the key that are in patterns, each once, with the places before it.
    words: Vec<(u32, Positions<W>)>,
    /// The place of each in `words`; empty if there are few.
    lookup: FxHashMap<u32, usize>,
    /// All this is of the key at hand.
    fresh: bool,
}

/// Up to here a search along the list is quicker than a hash map.
const SEARCHED_MAX: usize = 8;

impl<const W: usize> Occurrences<W> {
    /// Made only once a pattern with `#` is met: others need no more than the word at one place.
    fn prepare(&mut self, words: &[u32]) {
        if self.fresh {
            return;
        }
        self.fresh = true;
        self.words.clear();
        self.lookup.clear();
        let known = words
            .iter()
            .enumerate()
            .filter(|(_, word)| **word != UNKNOWN_WORD);
        for (place, word) in known {
            if let Some(found) = self.find(*word) {
                self.words[found].1.insert(place);
                continue;
            }
            self.words.push((*word, Positions::one(place)));
            if self.words.len() == SEARCHED_MAX + 1 {
                self.lookup
                    .extend(self.words.iter().map(|entry| entry.0).zip(0..));
            } else if self.words.len() > SEARCHED_MAX {
                self.lookup.insert(*word, self.words.len() - 1);
            }
        }
    }

    fn find(&self, word: u32) -> Option<usize> {
        if self.words.len() > SEARCHED_MAX {
            self.lookup.get(&word).copied()
        } else {
            self.words.iter().position(|entry| entry.0 == word)
        }
    }

    /// The places among `at` that `word` stands after, one word on.
    fn follow(&self, at: &Positions<W>, word: u32) -> Option<Positions<W>> {
        let occurrences = &self.words[self.find(word)?].1;
        let met = at.both(occurrences);
        (!met.is_empty()).then(|| met.advanced())
    }
}

impl<Q: Copy + Eq + Hash> TopicIndex<Q> {
    /// Pour the targets of all patterns that match `key` into `collector`. A key is at most 255
    /// octets; one of more than 319 words, which no client can send, matches nothing.
    pub(crate) fn collect(
        &self,
        key: &[u8],
        scratch: &mut TopicScratch,
        collector: &mut Collector<'_, Q>,
    ) {
        scratch.words.clear();
        let words = split(key).map(|word| self.words.find(word).unwrap_or(UNKNOWN_WORD));
        scratch.words.extend(words);
        if scratch.words.len() < Positions::<1>::COUNT {
            self.search(
                &scratch.words,
                &mut scratch.heads,
                &mut scratch.narrow,
                collector,
            );
        } else if scratch.words.len() < Positions::<5>::COUNT {
            self.search(
                &scratch.words,
                &mut scratch.heads,
                &mut scratch.wide,
                collector,
            );
        }
    }

    fn search<const W: usize>(
        &self,
        words: &[u32],
        heads: &mut Heads,
        search: &mut Search<W>,
        collector: &mut Collector<'_, Q>,
    ) {
        self.search_heads(words, heads, search, collector);
        search.occurrences.fresh = false;
        while let Some((node, mut at)) = search.pending.pop() {
            let Some(node) = self.nodes.get(node) else {
                continue;
            };
            if at.contains(words.len()) {
                collector.take(&node.targets);
            }
            if let Some(gap) = node.gap
                && let Some(first) = at.first()
            {
                search
                    .pending
                    .push((gap, self.gap_positions(gap, first, words.len())));
            }
            at.remove(words.len());
            if at.is_empty() {
                continue;
            }
            search
                .pending
                .extend(node.star.map(|star| (star, at.advanced())));
            match at.only() {
                Some(place) => {
                    let child = node.words.find(words[place]);
                    search
                        .pending
                        .extend(child.map(|child| (child, at.advanced())));
                }
                None => follow_words(node, &at, words, search),
            }
        }
    }

    /// Follow the key from the root up to the first `#` of each pattern, all nodes of one place at
    /// a time. Gaps are left in `search`.
    fn search_heads<const W: usize>(
        &self,
        words: &[u32],
        heads: &mut Heads,
        search: &mut Search<W>,
        collector: &mut Collector<'_, Q>,
    ) {
        heads.here.clear();
        heads.here.push(ROOT);
        for place in 0..=words.len() {
            for node in heads.here.iter().filter_map(|node| self.nodes.get(*node)) {
                if let Some(gap) = node.gap {
                    search
                        .pending
                        .push((gap, self.gap_positions(gap, place, words.len())));
                }
                if let Some(word) = words.get(place) {
                    heads.next.extend(node.star);
                    heads.next.extend(node.words.find(*word));
                } else {
                    collector.take(&node.targets);
                }
            }
            std::mem::swap(&mut heads.here, &mut heads.next);
            heads.next.clear();
            if heads.here.is_empty() {
                return;
            }
        }
    }

    /// Where the rest of a pattern can begin after a `#` that was reached at `first`: anywhere from
    /// there, but if its rest has no further `#`, only as many words before the end as it is long.
    /// Worth knowing only where many words can follow.
    fn gap_positions<const W: usize>(&self, gap: u32, first: usize, end: usize) -> Positions<W> {
        let node = self.nodes.get(gap);
        let node = node.filter(|node| matches!(node.words, Children::Many(_)));
        let rest = node.and_then(|node| node.rest.as_ref());
        let Some(rest) = rest.filter(|rest| rest.gaps_below == 0) else {
            return Positions::range(first, end);
        };
        let mut positions = Positions::one(end);
        for (length, _) in &rest.tails {
            if first + length <= end {
                positions.insert(end - length);
            }
        }
        positions
    }
}

/// Go on by the literal words after `node`, from several places at once.
fn follow_words<Q, const W: usize>(
    node: &Node<Q>,
    at: &Positions<W>,
    words: &[u32],
    search: &mut Search<W>,
) {
    let Search {
        pending,
        occurrences,
    } = search;
    match &node.words {
        Children::None => {}
        Children::One(word, child) => {
            occurrences.prepare(words);
            pending.extend(occurrences.follow(at, *word).map(|next| (*child, next)));
        }
        Children::Many(children) => {
            occurrences.prepare(words);
            // Whichever are fewer: the node's words or the key's.
            if children.len() <= occurrences.words.len() {
                for (word, child) in children.iter() {
                    pending.extend(occurrences.follow(at, *word).map(|next| (*child, next)));
                }
                return;
            }
            for (word, places) in &occurrences.words {
                let met = at.both(places);
                if !met.is_empty()
                    && let Some(child) = children.get(word)
                {
                    pending.push((*child, met.advanced()));
                }
            }
        }
    }
}
