//! The messages of a queue that wait for a consumer: a window of them in memory, and behind it
//! the rest of the backlog in the store, known here only by where it starts and how much it is.
//!
//! Everything paged out is younger than everything in the window and everything ever
//! delivered, so a requeued message always goes back into the window.

use std::collections::VecDeque;

use leveret_store::{FetchLimit, Fetched, Seq};

use crate::entry::{Entry, MESSAGE_OVERHEAD, Stored};

/// Messages a queue may always keep in memory, whatever the node's budget.
const WINDOW_MESSAGES: usize = 512;
/// Fewer than this in the window: read more of the backlog ahead of the consumers.
const READ_AHEAD_MARK: usize = 1_024;
/// One read of the backlog.
const FETCH: FetchLimit = FetchLimit { messages: 4_096, bytes: 4 << 20 };

/// The part of the backlog that is only in the store.
#[derive(Debug, Default)]
struct Paged {
    /// Every live message of the queue from this sequence on is paged out.
    from: Seq,
    messages: u64,
    bytes: u64,
    /// A read is under way.
    fetching: bool,
    /// Grows when the paged part is emptied under a read, so that its result is recognised
    /// as stale.
    generation: u32,
}

/// A read of the backlog that the caller is to start once the queue is unlocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageIn {
    pub(crate) from: Seq,
    pub(crate) limit: FetchLimit,
    pub(crate) generation: u32,
    /// Messages paged out when the read began: if it finds none, these are lost.
    pub(crate) expected: u64,
}

/// The ready messages of one queue, in order of their sequence.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    window: VecDeque<Entry>,
    window_bytes: u64,
    paged: Paged,
}

impl Ready {
    /// A queue found in the store after a restart: all of its backlog is paged out.
    pub(crate) fn recovered(messages: u64, bytes: u64) -> Self {
        let paged = Paged { from: 0, messages, bytes, ..Paged::default() };
        Self { paged, ..Self::default() }
    }

    /// Ready messages in all.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.window.len() as u64 + self.paged.messages
    }

    /// Body octets of all ready messages.
    pub(crate) fn bytes(&self) -> u64 {
        self.window_bytes + self.paged.bytes
    }

    /// Is there a message to deliver right now?
    #[inline]
    pub(crate) fn has_next(&self) -> bool {
        !self.window.is_empty()
    }

    /// Octets that the messages in memory count for.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.window_bytes as usize + self.window.len() * MESSAGE_OVERHEAD
    }

    /// Of `count` messages about to be published, from which on must they go to the store alone?
    /// `over_budget`: the node keeps as many messages in memory as it may.
    #[inline]
    pub(crate) fn page_from(&self, count: usize, over_budget: bool) -> usize {
        if self.paged.messages > 0 {
            0
        } else if over_budget {
            WINDOW_MESSAGES.saturating_sub(self.window.len()).min(count)
        } else {
            count
        }
    }

    /// Append a message that was just published.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert!(self.paged.messages == 0, "the window is older than everything paged out");
        self.window_bytes += entry.message.body().len() as u64;
        self.window.push_back(entry);
    }

    /// Note a published message that only the store keeps.
    pub(crate) fn push_paged(&mut self, seq: Seq, body_len: usize) {
        if self.paged.messages == 0 {
            self.paged.from = seq;
        }
        self.paged.messages += 1;
        self.paged.bytes += body_len as u64;
    }

    /// The oldest message of the window.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.window.pop_front()?;
        self.window_bytes -= entry.message.body().len() as u64;
        Some(entry)
    }

    /// Put messages back to where they were. `entries` is sorted by sequence.
    pub(crate) fn requeue(&mut self, entries: Vec<Entry>) {
        let Some(last) = entries.last().map(|entry| entry.seq) else { return };
        self.window_bytes += entries.iter().map(|entry| entry.message.body().len() as u64).sum::<u64>();
        // Usually everything that comes back is older than everything that waits.
        let older = self.window.partition_point(|entry| entry.seq < last);
        if older == 0 {
            self.window.reserve(entries.len());
            for entry in entries.into_iter().rev() {
                self.window.push_front(entry);
            }
            return;
        }
        let mut waiting: Vec<Entry> = self.window.drain(..older).collect();
        let mut back = entries;
        self.window.reserve(waiting.len() + back.len());
        loop {
            let take_back = match (waiting.last(), back.last()) {
                (None, None) => break,
                (Some(a), Some(b)) => b.seq > a.seq,
                (None, Some(_)) => true,
                (Some(_), None) => false,
            };
            if let Some(entry) = if take_back { back.pop() } else { waiting.pop() } {
                self.window.push_front(entry);
            }
        }
    }

    /// Everything goes: the entries of the window, and the sequence from which on the store
    /// has more, if it has.
    pub(crate) fn clear(&mut self) -> (VecDeque<Entry>, Option<Seq>) {
        let paged = (self.paged.messages > 0).then_some(self.paged.from);
        self.paged = Paged { generation: self.paged.generation.wrapping_add(1), ..Paged::default() };
        self.window_bytes = 0;
        (std::mem::take(&mut self.window), paged)
    }

    /// The read to start, if the window runs low and none is under way.
    pub(crate) fn start_page_in(&mut self) -> Option<PageIn> {
        if self.paged.messages == 0 || self.paged.fetching || self.window.len() >= READ_AHEAD_MARK {
            return None;
        }
        self.paged.fetching = true;
        Some(PageIn { from: self.paged.from, limit: FETCH, generation: self.paged.generation, expected: self.paged.messages })
    }

    /// Take in what a read brought.
    pub(crate) fn page_in(&mut self, read: PageIn, fetched: Vec<Fetched>) {
        if read.generation != self.paged.generation {
            return;
        }
        self.paged.fetching = false;
        let found = !fetched.is_empty();
        for fetched in fetched {
            let body_len = fetched.message.body().len() as u64;
            self.paged.from = fetched.seq + 1;
            self.paged.messages = self.paged.messages.saturating_sub(1);
            self.paged.bytes = self.paged.bytes.saturating_sub(body_len);
            self.window_bytes += body_len;
            self.window.push_back(Entry {
                seq: fetched.seq,
                message: fetched.message,
                stored: Stored::BEFORE,
                delivery_count: fetched.delivery_count,
            });
        }
        if !found {
            // The store has no more than it gave: what it lost (a damaged record) is not ready.
            self.paged.messages = self.paged.messages.saturating_sub(read.expected);
        }
        if self.paged.messages == 0 {
            self.paged.bytes = 0;
        }
    }

    /// A read failed; another may be tried.
    pub(crate) fn page_in_failed(&mut self, read: PageIn) {
        if read.generation == self.paged.generation {
            self.paged.fetching = false;
        }
    }
}
