//! What every store must do, as tests that run on any of them: [`run`] for what shows while it is open,
//! [`run_with_crashes`] for what must be there afterwards.
//!
//! Each test is a function of its own, so that a store that cannot do one of them says which. They panic when the store
//! is wrong, as tests do.
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "these are tests, and panicking is how they report"
)]

pub mod crashes;
pub mod due;
pub mod operations;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use leveret_wire::{BodyPart, Message};

use crate::{
    DurableWaiter, FetchLimit, Fetched, Operation, QueueId, Seq, Store, StoreError, Ticket,
};

/// How long a store may take for anything before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// No limit worth mentioning.
pub const EVERYTHING: FetchLimit = FetchLimit {
    messages: usize::MAX,
    bytes: usize::MAX,
};

/// Run every test that needs no crash, each on a store that `open` makes: empty, and taking operations at once.
pub fn run<S: Store>(mut open: impl FnMut() -> S) {
    for (name, test) in operations::tests::<S>().into_iter().chain(due::tests()) {
        let store = open();
        announce(name);
        test(&store);
        store.shutdown();
    }
}

/// Run every test that needs crashes. `crash` ends a store as if its process had been killed at that moment and opens
/// what it left; nothing is claimed in it.
pub fn run_with_crashes<S: Store>(mut open: impl FnMut() -> S, mut crash: impl FnMut(S) -> S) {
    for (name, test) in crashes::tests::<S>().into_iter().chain(due::crash_tests()) {
        let store = open();
        announce(name);
        test(store, &mut crash);
    }
}

/// Which test was running, in the output of one that fails.
#[expect(
    clippy::print_stdout,
    reason = "shown by the test harness when a test fails"
)]
fn announce(name: &str) {
    println!("conformance: {name}");
}

/// A persistent message with `body`, published to the default exchange with `key`.
pub fn message(key: &str, body: &[u8]) -> Message {
    // Content header: class basic, weight, body size, flags (delivery mode only), delivery mode 2.
    let mut header = vec![0, 60, 0, 0];
    header.extend_from_slice(&(body.len() as u64).to_be_bytes());
    header.extend_from_slice(&[0x10, 0x00, 2]);
    Message::from_parts(b"", key.as_bytes(), &header, BodyPart::Slice(body)).unwrap()
}

/// A put that must survive.
pub fn put(queue: QueueId, seq: Seq, body: &str) -> Operation {
    Operation::Put {
        queue,
        seq,
        message: message("key", body.as_bytes()),
        durable: true,
    }
}

/// A settle that knows nothing of the put.
pub fn settle(queue: QueueId, first: Seq, last: Seq) -> Operation {
    Operation::Settle {
        queue,
        first,
        last,
        put: None,
    }
}

/// Append and return the ticket of the first operation and of the last.
pub fn append(store: &impl Store, mut operations: Vec<Operation>) -> (Ticket, Ticket) {
    let count = operations.len() as u64;
    let first = store.append(&mut operations).unwrap();
    assert!(operations.is_empty(), "append must empty the list");
    (first, Ticket(first.0 + count.saturating_sub(1)))
}

/// Append and wait until all of it is durable.
pub fn append_durably(store: &impl Store, operations: Vec<Operation>) -> Ticket {
    let (_, last) = append(store, operations);
    wait(store, last).unwrap();
    last
}

/// Wait for what becomes of a ticket.
pub fn wait(store: &impl Store, ticket: Ticket) -> Result<(), StoreError> {
    let (waiter, told) = Notice::pair();
    store.on_durable(ticket, waiter);
    let (told, outcome) = told.recv_timeout(PATIENCE).unwrap();
    if outcome.is_ok() {
        assert_eq!(told, ticket, "the waiter must be told its own ticket");
        assert!(store.durable() >= ticket, "told before it was durable");
    }
    outcome
}

/// Fetch and wait for the answer.
pub fn fetch(
    store: &impl Store,
    queue: QueueId,
    from: Seq,
    limit: FetchLimit,
) -> Result<Vec<Fetched>, StoreError> {
    let (done, fetched) = mpsc::channel();
    store.fetch(
        queue,
        from,
        limit,
        Box::new(move |result| done.send(result).unwrap()),
    );
    fetched.recv_timeout(PATIENCE).unwrap()
}

/// Sequence and body of everything in a queue.
pub fn contents(store: &impl Store, queue: QueueId) -> Vec<(Seq, String)> {
    let fetched = fetch(store, queue, 0, EVERYTHING).unwrap();
    let pairs = fetched.iter().map(|one| {
        let body = String::from_utf8_lossy(one.message.body()).into_owned();
        (one.seq, body)
    });
    pairs.collect()
}

/// What [`contents`] shows for messages with these sequences and bodies.
pub fn expected<'a>(messages: impl IntoIterator<Item = (Seq, &'a str)>) -> Vec<(Seq, String)> {
    let owned = messages.into_iter();
    owned.map(|(seq, body)| (seq, body.to_owned())).collect()
}

/// What a waiter was told.
pub type Told = (Ticket, Result<(), StoreError>);

/// Sends on what it is told.
pub struct Notice(mpsc::Sender<Told>);

impl Notice {
    /// A waiter, and where what it is told comes out.
    pub fn pair() -> (Arc<dyn DurableWaiter>, mpsc::Receiver<Told>) {
        let (told, outcome) = mpsc::channel();
        (Arc::new(Self(told)), outcome)
    }

    /// A waiter that reports to `told`.
    pub fn to(told: mpsc::Sender<Told>) -> Arc<dyn DurableWaiter> {
        Arc::new(Self(told))
    }
}

impl DurableWaiter for Notice {
    fn durable(&self, ticket: Ticket) {
        // The test may have given up.
        let _ = self.0.send((ticket, Ok(())));
    }

    fn failed(&self, error: &StoreError) {
        let _ = self.0.send((Ticket::NONE, Err(error.clone())));
    }
}
