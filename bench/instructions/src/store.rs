//! The store in a folder.

use leveret_store::conformance::{Notice, message};
use leveret_store::{EmbeddedStore, Operation, Options, Store, SyncMode, Ticket};

/// Messages handed over in one call; the next follow when these are durable, so that a batch of the
/// commit thread is always one of them.
const RUN: u64 = 256;

/// What the caller's thread does. Counted by its name, beside what the commit thread does to write a batch.
#[inline(never)]
fn hand_over(store: &EmbeddedStore, operations: &mut Vec<Operation>) -> Ticket {
    store.append(operations).expect("the disk has room")
}

/// Append messages of 1 KiB in runs, each settled by one range when it is durable.
pub(crate) fn append(messages: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        sync: SyncMode::Never,
        ..Options::new(folder.path())
    };
    let store = EmbeddedStore::open(&options).expect("an empty folder opens");
    store.recovered();
    let queue = store.next_queue_id();
    let body = [b'x'; 1024];
    let mut operations = Vec::new();
    for first in (0..messages).step_by(usize::try_from(RUN).unwrap_or(usize::MAX)) {
        let last = messages.min(first + RUN) - 1;
        if let Some(before) = first.checked_sub(RUN) {
            operations.push(Operation::Settle {
                queue,
                first: before,
                last: first - 1,
                put: None,
            });
        }
        operations.extend((first..=last).map(|seq| Operation::Put {
            queue,
            seq,
            message: message("key", &body),
            durable: true,
        }));
        let count = operations.len() as u64;
        let ticket = hand_over(&store, &mut operations);
        let (waiter, told) = Notice::pair();
        store.on_durable(Ticket(ticket.0 + count - 1), waiter);
        let (_, outcome) = told.recv().expect("an answer");
        outcome.expect("the disk works");
    }
}
