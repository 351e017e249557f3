use super::*;
use crate::conformance::{self, append, contents, expected, put, settle};

#[test]
fn conforms() {
    conformance::run(MemoryStore::new);
}

#[test]
fn conforms_across_crashes() {
    conformance::run_with_crashes(MemoryStore::new, |store| store.reopen());
}

/// In manual mode the answers come inside the owner's calls.
fn manual_contents(store: &MemoryStore, queue: QueueId) -> Vec<Seq> {
    let (done, fetched) = std::sync::mpsc::channel();
    store.fetch(
        queue,
        0,
        conformance::EVERYTHING,
        Box::new(move |result| done.send(result).unwrap()),
    );
    assert_eq!(store.answer(), 1);
    let fetched = fetched.try_recv().unwrap().unwrap();
    fetched.iter().map(|one| one.seq).collect()
}

#[test]
fn manual_mode_lets_the_owner_decide() {
    let store = MemoryStore::manual();
    let queue = store.next_queue_id();
    let (first, last) = append(&store, (0..4).map(|seq| put(queue, seq, "m")).collect());
    assert_eq!(store.durable(), Ticket::NONE);
    assert!(store.backlog_bytes() > 0);
    let (waiter, told) = conformance::Notice::pair();
    store.on_durable(Ticket(first.0 + 1), waiter);
    store.make_durable(first);
    assert!(told.try_recv().is_err());
    assert_eq!(manual_contents(&store, queue), [0, 1, 2, 3]);
    assert_eq!(manual_contents(&store.reopen(), queue), [0]);
    store.make_durable(Ticket(first.0 + 1));
    assert_eq!(told.try_recv().unwrap(), (Ticket(first.0 + 1), Ok(())));
    store.make_durable(Ticket(last.0 + 100));
    assert_eq!(store.durable(), last);
    assert_eq!(store.backlog_bytes(), 0);
}

#[test]
fn a_settle_that_is_not_durable_is_undone_by_a_crash() {
    let store = MemoryStore::manual();
    let queue = store.next_queue_id();
    let (_, put) = append(&store, vec![put(queue, 0, "m")]);
    store.make_durable(put);
    append(&store, vec![settle(queue, 0, 0)]);
    assert!(manual_contents(&store, queue).is_empty());
    assert_eq!(manual_contents(&store.reopen(), queue), [0]);
}

#[test]
fn usage_counts_what_is_live() {
    let store = MemoryStore::new();
    let queue = store.next_queue_id();
    append(
        &store,
        vec![put(queue, 0, "m"), put(queue, 1, "m"), settle(queue, 0, 0)],
    );
    let usage = store.usage();
    assert_eq!((usage.queues, usage.live_messages), (1, 1));
    assert_eq!(contents(&store, queue), expected([(1, "m")]));
}
