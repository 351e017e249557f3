//! The messages of a queue that wait for a consumer: a window of them in memory, and behind it
//! the rest of the backlog in the store, known here only by where it starts and how much it is.
//!
//! Everything paged out is younger than everything in the window and everything ever
//! delivered, so a requeued message always goes back into the window.
//!
//! A queue with priorities has [`Levels`] in place of the window and pages nothing out; after a
//! restart it delivers when all of its backlog has been read.

use std::collections::VecDeque;

use leveret_store::{FetchLimit, Fetched, Seq};

use super::levels::Levels;
use crate::entry::{Entry, MESSAGE_OVERHEAD, Stored};
use crate::stored_form;
use crate::time::Time;

/// Messages a queue may always keep in memory, whatever the node's budget.
const WINDOW_MESSAGES: usize = 512;
/// Body octets that it may keep so.
const WINDOW_BYTES: u64 = 1 << 20;
/// Fewer than this in the window: read more of the backlog ahead of the consumers.
const READ_AHEAD_MARK: usize = 2_048;
/// One read of the backlog. So many small messages take a mebibyte besides their bodies.
const FETCH: FetchLimit = FetchLimit {
    messages: 8_192,
    bytes: 2 << 20,
};

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
    /// In place of the window when the queue tells priorities apart.
    levels: Option<Box<Levels>>,
    window_bytes: u64,
    paged: Paged,
    /// With levels: what the store has from this sequence on is in memory already.
    found_until: Seq,
}

impl Ready {
    /// No messages yet. `max_priority` is the highest priority told apart, 0 for none.
    pub(crate) fn new(max_priority: u8) -> Self {
        Self {
            levels: (max_priority > 0).then(|| Box::new(Levels::new(max_priority))),
            ..Self::default()
        }
    }

    /// The queue was found in the store after a restart: all of its backlog is paged out.
    /// Sequences from `until` on come later.
    pub(crate) fn found(&mut self, messages: u64, bytes: u64, until: Seq) {
        self.paged = Paged {
            from: 0,
            messages,
            bytes,
            ..Paged::default()
        };
        self.found_until = until;
    }

    /// Messages in memory.
    #[inline]
    fn window_len(&self) -> usize {
        match &self.levels {
            None => self.window.len(),
            Some(levels) => levels.len(),
        }
    }

    /// Ready messages in all.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.window_len() as u64 + self.paged.messages
    }

    /// Body octets of all ready messages.
    pub(crate) fn bytes(&self) -> u64 {
        self.window_bytes + self.paged.bytes
    }

    /// Is there a message to deliver right now?
    #[inline]
    pub(crate) fn has_next(&self) -> bool {
        match &self.levels {
            None => !self.window.is_empty(),
            Some(levels) => levels.len() > 0 && self.paged.messages == 0,
        }
    }

    /// The message that is next.
    pub(crate) fn head(&self) -> Option<&Entry> {
        match &self.levels {
            None => self.window.front(),
            Some(levels) => levels.head(),
        }
    }

    /// The earliest moment at which a message that is first in its line expires.
    pub(crate) fn earliest_deadline(&self) -> Time {
        let deadline = match &self.levels {
            None => self.window.front().map(|entry| entry.deadline),
            Some(levels) => levels.earliest_deadline(),
        };
        deadline.unwrap_or(Time::NEVER)
    }

    /// A message that is first in its line and whose deadline has come.
    pub(crate) fn pop_expired(&mut self, by: Time) -> Option<Entry> {
        let entry = match &mut self.levels {
            None => {
                if self.window.front()?.deadline > by {
                    return None;
                }
                self.window.pop_front()?
            }
            Some(levels) => levels.pop_expired(by)?,
        };
        self.window_bytes -= entry.message.body().len() as u64;
        Some(entry)
    }

    /// Is nothing of the backlog in memory?
    pub(crate) fn is_window_empty(&self) -> bool {
        self.window_len() == 0
    }

    /// Octets that the messages in memory count for.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.window_bytes as usize + self.window_len() * MESSAGE_OVERHEAD
    }

    /// Of `count` messages about to be published, from which on must they go to the store alone?
    /// `over_budget`: the node keeps as many messages in memory as it may, and the queue more than its share.
    #[inline]
    pub(crate) fn page_from(&self, count: usize, over_budget: bool) -> usize {
        if self.levels.is_some() {
            count
        } else if self.paged.messages > 0 || (over_budget && self.window_bytes >= WINDOW_BYTES) {
            0
        } else if over_budget {
            WINDOW_MESSAGES.saturating_sub(self.window.len()).min(count)
        } else {
            count
        }
    }

    /// Append a message that was just published.
    #[expect(clippy::inline_always, reason = "once for every message; measured")]
    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.window_bytes += entry.message.body().len() as u64;
        match &mut self.levels {
            None => {
                debug_assert!(
                    self.paged.messages == 0,
                    "the window is older than everything paged out"
                );
                self.window.push_back(entry);
            }
            Some(levels) => levels.push(entry),
        }
    }

    /// Note a published message that only the store keeps.
    pub(crate) fn push_paged(&mut self, seq: Seq, body_len: usize) {
        if self.paged.messages == 0 {
            self.paged.from = seq;
        }
        self.paged.messages += 1;
        self.paged.bytes += body_len as u64;
    }

    /// The message that is next.
    #[expect(clippy::inline_always, reason = "once for every message; measured")]
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = match &mut self.levels {
            None => self.window.pop_front()?,
            Some(levels) => levels.pop()?,
        };
        self.window_bytes -= entry.message.body().len() as u64;
        Some(entry)
    }

    /// Put messages back to where they were. `entries` is sorted by sequence.
    pub(crate) fn requeue(&mut self, entries: Vec<Entry>) {
        self.window_bytes += entries
            .iter()
            .map(|entry| entry.message.body().len() as u64)
            .sum::<u64>();
        match &mut self.levels {
            None => put_back(&mut self.window, entries),
            Some(levels) => levels.put_back(entries),
        }
    }

    /// Everything goes: the entries of the window, and the sequence from which on the store
    /// has more, if it has.
    pub(crate) fn clear(&mut self) -> (VecDeque<Entry>, Option<Seq>) {
        let paged = (self.paged.messages > 0).then_some(self.paged.from);
        self.paged = Paged {
            generation: self.paged.generation.wrapping_add(1),
            ..Paged::default()
        };
        self.window_bytes = 0;
        let window = match &mut self.levels {
            None => std::mem::take(&mut self.window),
            Some(levels) => levels.drain(),
        };
        (window, paged)
    }

    /// The read to start, if the window runs low and none is under way.
    pub(crate) fn start_page_in(&mut self) -> Option<PageIn> {
        // Priorities are known only when all has been read.
        let is_low = self.levels.is_some()
            || (self.window.len() < READ_AHEAD_MARK && self.window_bytes < WINDOW_BYTES);
        if is_low { self.read(FETCH) } else { None }
    }

    /// The read of the first message alone, to learn when it expires.
    pub(crate) fn start_peek(&mut self) -> Option<PageIn> {
        self.read(FetchLimit {
            messages: 1,
            ..FETCH
        })
    }

    fn read(&mut self, limit: FetchLimit) -> Option<PageIn> {
        if self.paged.messages == 0 || self.paged.fetching {
            return None;
        }
        self.paged.fetching = true;
        Some(PageIn {
            from: self.paged.from,
            limit,
            generation: self.paged.generation,
            expected: self.paged.messages,
        })
    }

    /// Take in what a read brought; tells whether any of it will expire.
    pub(crate) fn page_in(&mut self, read: PageIn, mut fetched: Vec<Fetched>) -> bool {
        if read.generation != self.paged.generation {
            return false;
        }
        self.paged.fetching = false;
        if self.levels.is_some() {
            fetched.retain(|fetched| fetched.seq < self.found_until);
        }
        let found = !fetched.is_empty();
        let mut expires = false;
        let mut older = Vec::new();
        for fetched in fetched {
            let body_len = fetched.message.body().len() as u64;
            self.paged.from = fetched.seq + 1;
            self.paged.messages = self.paged.messages.saturating_sub(1);
            self.paged.bytes = self.paged.bytes.saturating_sub(body_len);
            let (message, deadline) = stored_form::read(fetched.message);
            expires |= deadline != Time::NEVER;
            let entry = Entry {
                seq: fetched.seq,
                message,
                stored: Stored::BEFORE,
                delivery_count: fetched.delivery_count,
                deadline,
            };
            if self.levels.is_some() {
                older.push(entry);
            } else {
                self.window_bytes += body_len;
                self.window.push_back(entry);
            }
        }
        // What was published meanwhile is younger.
        self.requeue(older);
        if !found {
            // The store has no more than it gave: what it lost (a damaged record) is not ready.
            self.paged.messages = self.paged.messages.saturating_sub(read.expected);
        }
        if self.paged.messages == 0 {
            self.paged.bytes = 0;
        }
        expires
    }

    /// A read failed; another may be tried.
    pub(crate) fn page_in_failed(&mut self, read: PageIn) {
        if read.generation == self.paged.generation {
            self.paged.fetching = false;
        }
    }
}

/// Put messages back to where they were. Both are sorted by sequence.
pub(super) fn put_back(line: &mut VecDeque<Entry>, mut back: Vec<Entry>) {
    let (Some(first), Some(last)) = (
        back.first().map(|entry| entry.seq),
        back.last().map(|entry| entry.seq),
    ) else {
        return;
    };
    if line.back().is_none_or(|entry| entry.seq < first) {
        line.extend(back);
        return;
    }
    // Usually everything that comes back is older than everything that waits.
    let older = line.partition_point(|entry| entry.seq < last);
    let mut waiting: Vec<Entry> = line.drain(..older).collect();
    line.reserve(waiting.len() + back.len());
    loop {
        let take_back = match (waiting.last(), back.last()) {
            (None, None) => break,
            (Some(a), Some(b)) => b.seq > a.seq,
            (None, Some(_)) => true,
            (Some(_), None) => false,
        };
        if let Some(entry) = if take_back { back.pop() } else { waiting.pop() } {
            line.push_front(entry);
        }
    }
}
