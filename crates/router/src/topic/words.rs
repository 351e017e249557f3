//! The literal words of all patterns of an exchange, numbered.

use crate::hash::SecretState;
use crate::slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;

/// The number of a word that is in no pattern: only `*` and `#` match it.
pub(super) const UNKNOWN_WORD: u32 = u32::MAX;

/// Words and their numbers. A number is given again once no edge of the trie uses its word.
pub(super) struct Words {
    numbers: HashMap<Arc<[u8]>, u32, SecretState>,
    words: Slab<Word>,
}

struct Word {
    text: Arc<[u8]>,
    /// How many edges of the trie carry it.
    edges: usize,
}

impl Words {
    pub(super) fn new(secret: SecretState) -> Self {
        Self {
            numbers: HashMap::with_hasher(secret),
            words: Slab::default(),
        }
    }

    pub(super) fn find(&self, word: &[u8]) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// The number of `word`, for one more edge.
    pub(super) fn acquire(&mut self, word: &[u8]) -> u32 {
        if let Some(number) = self.find(word) {
            if let Some(known) = self.words.get_mut(number) {
                known.edges += 1;
            }
            return number;
        }
        let text: Arc<[u8]> = word.into();
        let number = self.words.insert(Word {
            text: Arc::clone(&text),
            edges: 1,
        });
        self.numbers.insert(text, number);
        number
    }

    /// One edge less carries the word.
    pub(super) fn release(&mut self, number: u32) {
        let Some(word) = self.words.get_mut(number) else {
            return;
        };
        word.edges -= 1;
        if word.edges == 0
            && let Some(word) = self.words.remove(number)
        {
            self.numbers.remove(&word.text);
        }
    }

    /// How many words there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}
