//! The ready messages of a queue with priorities (x-max-priority): one line per level.
//!
//! Such a queue keeps all of its ready messages in memory, since the store reads only in the
//! order of publishing: its backlog is bounded by its length limits and the node's memory alone.

use std::collections::VecDeque;

use super::ready::put_back;
use crate::entry::Entry;
use crate::time::Time;

/// Messages in order of priority, and of sequence within one priority.
#[derive(Debug)]
pub(super) struct Levels {
    /// By priority, lowest first.
    lines: Vec<VecDeque<Entry>>,
    /// No line above this one has a message.
    top: usize,
    len: usize,
}

impl Levels {
    /// Levels from 0 to `highest`.
    pub(super) fn new(highest: u8) -> Self {
        Self {
            lines: (0..=highest).map(|_| VecDeque::new()).collect(),
            top: 0,
            len: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    // Out of line, as are the others: queues without priorities pass by at every message.
    #[cold]
    pub(super) fn push(&mut self, entry: Entry) {
        let level = self.level(&entry);
        self.top = self.top.max(level);
        self.len += 1;
        self.lines[level].push_back(entry);
    }

    #[cold]
    pub(super) fn head(&self) -> Option<&Entry> {
        self.lines[..=self.top]
            .iter()
            .rev()
            .find_map(VecDeque::front)
    }

    #[cold]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        loop {
            if let Some(entry) = self.lines[self.top].pop_front() {
                self.len -= 1;
                return Some(entry);
            }
            self.top = self.top.checked_sub(1)?;
        }
    }

    /// The first message of some level whose deadline has come.
    pub(super) fn pop_expired(&mut self, by: Time) -> Option<Entry> {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.front().is_some_and(|entry| entry.deadline <= by))?;
        self.len -= 1;
        line.pop_front()
    }

    /// The earliest deadline among the first messages of all levels.
    pub(super) fn earliest_deadline(&self) -> Option<Time> {
        self.lines
            .iter()
            .filter_map(VecDeque::front)
            .map(|entry| entry.deadline)
            .min()
    }

    /// Put messages, sorted by sequence, to where they belong.
    pub(super) fn put_back(&mut self, entries: Vec<Entry>) {
        self.len += entries.len();
        let mut by_level: Vec<Vec<Entry>> = Vec::new();
        by_level.resize_with(self.lines.len(), Vec::new);
        for entry in entries {
            by_level[self.level(&entry)].push(entry);
        }
        for (level, back) in by_level
            .into_iter()
            .enumerate()
            .filter(|(_, back)| !back.is_empty())
        {
            self.top = self.top.max(level);
            put_back(&mut self.lines[level], back);
        }
    }

    /// Take everything out.
    pub(super) fn drain(&mut self) -> VecDeque<Entry> {
        self.len = 0;
        self.top = 0;
        self.lines
            .iter_mut()
            .rev()
            .flat_map(std::mem::take)
            .collect()
    }

    /// A priority above the highest counts as the highest (RabbitMQ: Priority Queue Support).
    fn level(&self, entry: &Entry) -> usize {
        usize::from(entry.message.priority()).min(self.lines.len() - 1)
    }
}

#[cfg(test)]
mod tests;
