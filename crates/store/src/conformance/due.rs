//! Reading by due time, while a store is open and after a crash.

use std::sync::mpsc;

use super::crashes::Crash;
use super::{EVERYTHING, PATIENCE, append, append_durably, message, settle};
use crate::moment::{self, Mark};
use crate::{DueBatch, DueKey, FetchLimit, Operation, QueueId, Seq, Store, StoreError};

/// Tests without a crash.
pub fn tests<S: Store>() -> Vec<super::operations::Test<S>> {
    vec![
        ("messages_come_by_due_time", messages_come_by_due_time),
        ("due_reads_come_in_pages", due_reads_come_in_pages),
        ("due_queues_can_be_dropped", due_queues_can_be_dropped),
        (
            "other_queues_have_no_due_time",
            other_queues_have_no_due_time,
        ),
    ]
}

/// Tests with crashes.
pub fn crash_tests<S: Store>() -> Vec<super::crashes::Test<S>> {
    vec![("due_times_survive", due_times_survive)]
}

/// A put of a message that is due at `due`, with that and its sequence as its body.
pub fn put_due(queue: QueueId, seq: Seq, due: u64, durable: bool) -> Operation {
    let message = message("key", format!("{due}/{seq}").as_bytes());
    Operation::Put {
        queue,
        seq,
        message: moment::attach(&message, Mark::DUE, due),
        durable,
    }
}

/// Read by due time and wait for the answer.
pub fn fetch_due(
    store: &impl Store,
    queue: QueueId,
    (from, until): (DueKey, u64),
    limit: FetchLimit,
) -> Result<DueBatch, StoreError> {
    let (done, fetched) = mpsc::channel();
    store.fetch_due(
        queue,
        from,
        until,
        limit,
        Box::new(move |result| done.send(result).unwrap()),
    );
    fetched.recv_timeout(PATIENCE).unwrap()
}

/// Due time and sequence of what is due by `until`, each checked to be what it was put as; and what comes next.
pub fn due(
    store: &impl Store,
    queue: QueueId,
    until: u64,
    limit: FetchLimit,
) -> (Vec<(u64, Seq)>, Option<DueKey>) {
    let batch = fetch_due(store, queue, (DueKey::FIRST, until), limit).unwrap();
    (keys(&batch), batch.next)
}

fn keys(batch: &DueBatch) -> Vec<(u64, Seq)> {
    let keys = batch.messages.iter().map(|(due, fetched)| {
        let body = String::from_utf8_lossy(fetched.message.body());
        assert_eq!(body, format!("{due}/{}", fetched.seq));
        assert_eq!(moment::of(&fetched.message, Mark::DUE), Some(*due));
        (*due, fetched.seq)
    });
    keys.collect()
}

/// The soonest first, those due together in the order of their sequences, and none before its time.
pub fn messages_come_by_due_time<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    store.order_by_due(queue).unwrap();
    assert_eq!(due(store, queue, u64::MAX, EVERYTHING), (vec![], None));
    let moments = [500, 100, 300, 200, 100, u64::MAX];
    append(
        store,
        (0..)
            .zip(moments)
            .map(|(seq, due)| put_due(queue, seq, due, seq % 2 == 0))
            .collect(),
    );
    let (found, next) = due(store, queue, 99, EVERYTHING);
    assert_eq!((found, next), (vec![], Some(DueKey { due: 100, seq: 1 })));
    let (found, next) = due(store, queue, 300, EVERYTHING);
    assert_eq!(found, [(100, 1), (100, 4), (200, 3), (300, 2)]);
    assert_eq!(next, Some(DueKey { due: 500, seq: 0 }));
    append(
        store,
        vec![settle(queue, 1, 2), put_due(queue, 9, 250, true)],
    );
    let (found, next) = due(store, queue, u64::MAX, EVERYTHING);
    assert_eq!(
        found,
        [(100, 4), (200, 3), (250, 9), (500, 0), (u64::MAX, 5)]
    );
    assert_eq!(next, None);
}

/// A read keeps to its limits and tells where the next one begins; a page may begin anywhere.
pub fn due_reads_come_in_pages<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    store.order_by_due(queue).unwrap();
    append(
        store,
        (0..50)
            .map(|seq| put_due(queue, seq, 1000 - seq / 2, true))
            .collect(),
    );
    append(store, vec![settle(queue, 10, 19)]);
    let mut all = Vec::new();
    let mut from = Some(DueKey::FIRST);
    while let Some(start) = from {
        let limit = FetchLimit {
            messages: 7,
            bytes: usize::MAX,
        };
        let batch = fetch_due(store, queue, (start, u64::MAX), limit).unwrap();
        assert!(batch.messages.len() <= 7 && !batch.messages.is_empty());
        all.extend(keys(&batch));
        from = batch.next;
    }
    let mut expected: Vec<(u64, Seq)> = (0..10)
        .chain(20..50)
        .map(|seq| (1000 - seq / 2, seq))
        .collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
    let one = FetchLimit {
        messages: 9,
        bytes: 1,
    };
    let (found, next) = due(store, queue, u64::MAX, one);
    assert_eq!(found, expected[..1], "at least one, whatever the limits");
    assert_eq!(
        next,
        Some(DueKey {
            due: expected[1].0,
            seq: expected[1].1
        })
    );
}

/// A dropped queue has nothing that is due.
pub fn due_queues_can_be_dropped<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    store.order_by_due(queue).unwrap();
    append(store, vec![put_due(queue, 0, 5, true)]);
    store.drop_queue(queue).unwrap();
    assert_eq!(due(store, queue, u64::MAX, EVERYTHING), (vec![], None));
}

/// Only queues that were said to be are read by due time.
pub fn other_queues_have_no_due_time<S: Store>(store: &S) {
    let (timed, plain) = (store.next_queue_id(), store.next_queue_id());
    store.order_by_due(timed).unwrap();
    append(store, vec![put_due(plain, 0, 5, true)]);
    assert_eq!(due(store, plain, u64::MAX, EVERYTHING), (vec![], None));
    assert_eq!(due(store, timed, u64::MAX, EVERYTHING), (vec![], None));
}

/// The order is the same after a crash, less what need not survive.
pub fn due_times_survive<S: Store>(store: S, crash: Crash<'_, S>) {
    let (queue, garbage) = (store.next_queue_id(), store.next_queue_id());
    store.order_by_due(queue).unwrap();
    store.order_by_due(garbage).unwrap();
    let puts = (0..40).map(|seq| put_due(queue, seq, 900 - seq * 7, seq % 4 != 0));
    append(&store, puts.chain([put_due(garbage, 0, 1, true)]).collect());
    append_durably(&store, vec![settle(queue, 1, 5)]);
    let mut expected: Vec<(u64, Seq)> = (6..40)
        .filter(|seq| seq % 4 != 0)
        .map(|seq| (900 - seq * 7, seq))
        .collect();
    expected.sort_unstable();
    let mut store = store;
    for _ in 0..2 {
        store = crash(store);
        store.order_by_due(queue).unwrap();
        let claimed = store.claim(queue).unwrap();
        assert_eq!(claimed.messages, expected.len() as u64);
        store.recovered();
        let (found, next) = due(&store, queue, u64::MAX, EVERYTHING);
        assert_eq!((found, next), (expected.clone(), None));
        let seq = claimed.next_seq;
        append_durably(&store, vec![put_due(queue, seq, 333, true)]);
        expected.push((333, seq));
        expected.sort_unstable();
        assert_eq!(due(&store, queue, u64::MAX, EVERYTHING).0, expected);
    }
}
