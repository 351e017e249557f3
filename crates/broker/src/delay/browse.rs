//! Looking at what a delayed exchange keeps, and taking something of it back.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use leveret_store::{DueBatch, DueKey, DurableWaiter, FetchLimit, Operation, StoreError, Ticket};
use parking_lot::Mutex;

use super::DelayedExchange;
use crate::time::Time;

/// Messages on one page at most.
const PAGE_MAX: usize = 1_000;
/// Octets of messages read for one page at most; a page of large messages is shorter.
const PAGE_BYTES: usize = 8 << 20;

/// A delayed message, as long as it waits: the moment it is due, and a number that no other message of its exchange ever
/// has. Written `due-number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DelayedId {
    /// When it is due.
    pub due: Time,
    /// Its number in the exchange.
    pub number: u64,
}

/// What can be seen of a delayed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayedMessage {
    /// Which one it is, and when it is due.
    pub id: DelayedId,
    /// The exchange it was published to: another one, if it came through a binding.
    pub exchange: Vec<u8>,
    /// Its routing key.
    pub routing_key: Vec<u8>,
    /// Octets of its body.
    pub body_bytes: u64,
    /// The property `message-id`.
    pub message_id: Option<Vec<u8>>,
    /// It survives a restart.
    pub persistent: bool,
}

/// Delayed messages in the order in which they will be routed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelayedPage {
    /// The messages.
    pub messages: Vec<DelayedMessage>,
    /// Where the next page begins, if there is more.
    pub next: Option<DelayedId>,
}

/// Where a page goes. Called once, on a thread of the store.
pub type PageDone = Box<dyn FnOnce(Result<DelayedPage, StoreError>) + Send>;

/// Told whether the message was there, once it can't come back. Called once, on a thread of the store or of the caller.
pub type CancelDone = Box<dyn FnOnce(Result<bool, StoreError>) + Send>;

impl fmt::Display for DelayedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.due.0, self.number)
    }
}

/// It is not `due-number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a delayed message: expected two numbers with '-' between them")]
pub struct BadDelayedId;

impl FromStr for DelayedId {
    type Err = BadDelayedId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (due, number) = text.split_once('-').ok_or(BadDelayedId)?;
        Ok(Self {
            due: Time(due.parse().map_err(|_| BadDelayedId)?),
            number: number.parse().map_err(|_| BadDelayedId)?,
        })
    }
}

impl DelayedId {
    fn key(self) -> DueKey {
        DueKey {
            due: self.due.0,
            seq: self.number,
        }
    }
}

impl From<DueKey> for DelayedId {
    fn from(key: DueKey) -> Self {
        Self {
            due: Time(key.due),
            number: key.seq,
        }
    }
}

impl DelayedExchange {
    /// Look at the messages from `from` on (`None`: from the first), at most `limit` and never more than a thousand.
    pub fn page(&self, from: Option<DelayedId>, limit: usize, done: PageDone) {
        let limit = FetchLimit {
            messages: limit.clamp(1, PAGE_MAX),
            bytes: PAGE_BYTES,
        };
        let from = from.map_or(DueKey::FIRST, DelayedId::key);
        self.shared.store.fetch_due(
            self.id,
            from,
            u64::MAX,
            limit,
            Box::new(move |batch| done(batch.map(page_of))),
        );
    }

    /// Take a message back: it is never routed. One that is being routed, or was, is not there any more.
    pub fn cancel(self: &Arc<Self>, id: DelayedId, done: CancelDone) {
        let mut state = self.state.lock();
        if state.deleted {
            drop(state);
            done(Ok(false));
            return;
        }
        state.cancels.push_back((id, done));
        if !state.busy {
            self.go_on(state);
        }
    }

    /// See whether a message is still there. Nothing else is under way.
    pub(super) fn read_for_cancel(self: &Arc<Self>, id: DelayedId, done: CancelDone) {
        let exchange = Arc::clone(self);
        let limit = FetchLimit {
            messages: 1,
            bytes: 0,
        };
        let read = move |batch: Result<DueBatch, StoreError>| {
            exchange.take_back(id, batch, done);
            exchange.go_on(exchange.state.lock());
        };
        let store = &self.shared.store;
        store.fetch_due(self.id, id.key(), id.due.0, limit, Box::new(read));
    }

    fn take_back(&self, id: DelayedId, batch: Result<DueBatch, StoreError>, done: CancelDone) {
        let found = match batch {
            Ok(batch) => batch.messages.into_iter().next(),
            Err(error) => return done(Err(error)),
        };
        let Some((_, found)) =
            found.filter(|(due, found)| (*due, found.seq) == (id.due.0, id.number))
        else {
            return done(Ok(false));
        };
        let mut settle = vec![Operation::Settle {
            queue: self.id,
            first: found.seq,
            last: found.seq,
            put: None,
        }];
        let ticket = match self.shared.store.append(&mut settle) {
            Ok(ticket) => ticket,
            Err(error) => return done(Err(error)),
        };
        {
            let mut state = self.state.lock();
            state.messages = state.messages.saturating_sub(1);
            let bytes = found.message.body().len() as u64;
            state.bytes = state.bytes.saturating_sub(bytes);
        }
        let answer = Arc::new(Answer(Mutex::new(Some(done))));
        self.shared.store.on_durable(ticket, answer);
    }
}

/// Answers once the cancellation is on disk.
struct Answer(Mutex<Option<CancelDone>>);

impl Answer {
    fn give(&self, answer: Result<bool, StoreError>) {
        let done = self.0.lock().take();
        if let Some(done) = done {
            done(answer);
        }
    }
}

impl DurableWaiter for Answer {
    fn durable(&self, _ticket: Ticket) {
        self.give(Ok(true));
    }

    fn failed(&self, error: &StoreError) {
        self.give(Err(error.clone()));
    }
}

fn page_of(batch: DueBatch) -> DelayedPage {
    let messages = batch.messages.into_iter().map(|(due, fetched)| {
        let message = fetched.message;
        DelayedMessage {
            id: DueKey {
                due,
                seq: fetched.seq,
            }
            .into(),
            exchange: message.exchange().to_vec(),
            routing_key: message.routing_key().to_vec(),
            body_bytes: message.body().len() as u64,
            message_id: message.properties().message_id().map(<[u8]>::to_vec),
            persistent: fetched.persistent,
        }
    });
    DelayedPage {
        messages: messages.collect(),
        next: batch.next.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = DelayedId {
            due: Time(1_700_000_000_000),
            number: 42,
        };
        assert_eq!(id.to_string(), "1700000000000-42");
        assert_eq!("1700000000000-42".parse(), Ok(id));
        for text in ["", "-", "1", "1-", "-1", "1-2-3", "a-1"] {
            assert_eq!(text.parse::<DelayedId>(), Err(BadDelayedId), "{text}");
        }
    }
}
