//! Waiters that do what they please.

use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::folder::Folder;
use crate::conformance::{EVERYTHING, append, append_durably, contents, fetch, put, wait};
use crate::embedded::EmbeddedStore;
use crate::{DurableWaiter, FetchLimit, Store as _, StoreError, Ticket};

/// Does something when it is told.
struct Act<F>(Mutex<Option<F>>);

impl<F: FnOnce(Ticket) + Send> Act<F> {
    fn new(act: F) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(act))))
    }
}

impl<F: FnOnce(Ticket) + Send> DurableWaiter for Act<F> {
    fn durable(&self, ticket: Ticket) {
        let act = self.0.lock().take();
        act.unwrap()(ticket);
    }

    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

#[test]
fn a_waiter_may_use_the_store() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let queue = store.next_queue_id();
    let (told, outcome) = mpsc::channel();
    let again = Arc::clone(&store);
    let (ticket, _) = append(&*store, vec![put(queue, 0, "first")]);
    store.on_durable(
        ticket,
        Act::new(move |_| {
            let (ticket, _) = append(&*again, vec![put(queue, 1, "second")]);
            again.on_durable(ticket, Act::new(move |ticket| told.send(ticket).unwrap()));
        }),
    );
    let second = outcome.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(second.0, ticket.0 + 1);
}

#[test]
fn a_read_that_the_log_can_fill_waits_for_no_batch() {
    let folder = Folder::new();
    let store = folder.open();
    let queue = store.next_queue_id();
    append_durably(&store, (0..50).map(|seq| put(queue, seq, "m")).collect());
    let (held, holds) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (ticket, _) = append(&store, vec![put(queue, 50, "m")]);
    // On the commit thread, which writes nothing meanwhile.
    store.on_durable(
        ticket,
        Act::new(move |_| {
            held.send(()).unwrap();
            let _ = released.recv();
        }),
    );
    holds.recv_timeout(Duration::from_secs(20)).unwrap();
    append(&store, vec![put(queue, 51, "m")]);
    let limit = FetchLimit {
        messages: 40,
        bytes: usize::MAX,
    };
    assert_eq!(fetch(&store, queue, 0, limit).unwrap().len(), 40);
    drop(release);
    assert_eq!(contents(&store, queue).len(), 52, "one that needs it does");
}

#[test]
fn a_waiter_that_panics_harms_nobody() {
    let folder = Folder::new();
    let store = folder.open();
    let queue = store.next_queue_id();
    let (ticket, _) = append(&store, vec![put(queue, 0, "m")]);
    store.on_durable(ticket, Act::new(|_| panic!("a waiter's own mistake")));
    store.fetch(
        queue,
        0,
        EVERYTHING,
        Box::new(|_| panic!("a reader's own mistake")),
    );
    append_durably(&store, vec![put(queue, 1, "m")]);
    assert_eq!(contents(&store, queue).len(), 2);
}

#[test]
fn a_waiter_may_shut_the_store_down_and_drop_it() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let queue = store.next_queue_id();
    let gone: Weak<EmbeddedStore> = Arc::downgrade(&store);
    let (ticket, _) = append(&*store, vec![put(queue, 0, "m")]);
    let last = Arc::clone(&store);
    store.on_durable(
        ticket,
        Act::new(move |_| {
            last.shutdown();
            drop(last);
        }),
    );
    drop(store);
    let begun = Instant::now();
    while gone.strong_count() > 0 || EmbeddedStore::open(&folder.options()).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it never let go of the folder"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(contents(&folder.reopen(&[queue]), queue).len(), 1);
}

#[test]
fn tickets_of_the_future_do_not_keep_the_store_busy() {
    let folder = Folder::new();
    let store = folder.open();
    let queue = store.next_queue_id();
    let (told, outcome) = mpsc::channel();
    store.on_durable(
        Ticket(3),
        Act::new(move |ticket| told.send(ticket).unwrap()),
    );
    let before = store.usage();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(store.usage().batches, before.batches);
    append(&store, (0..3).map(|seq| put(queue, seq, "m")).collect());
    assert_eq!(
        outcome.recv_timeout(Duration::from_secs(20)).unwrap(),
        Ticket(3)
    );
    wait(&store, Ticket(3)).unwrap();
}
