//! What must hold while a store is open.

use std::sync::mpsc;

use super::{
    EVERYTHING, Notice, PATIENCE, append, append_durably, contents, expected, fetch, message, put,
    settle, wait,
};
use crate::{Change, FetchLimit, Operation, Store, StoreError, Ticket};

/// A test and its name.
pub type Test<S> = (&'static str, fn(&S));

/// All of them.
pub fn tests<S: Store>() -> Vec<Test<S>> {
    vec![
        ("tickets_are_consecutive", tickets_are_consecutive),
        ("puts_come_back_in_order", puts_come_back_in_order),
        ("bodies_come_back_whole", bodies_come_back_whole),
        ("fetches_keep_to_their_limits", fetches_keep_to_their_limits),
        (
            "fetches_see_what_was_appended",
            fetches_see_what_was_appended,
        ),
        ("settled_messages_are_gone", settled_messages_are_gone),
        (
            "settles_reach_beyond_the_newest",
            settles_reach_beyond_the_newest,
        ),
        ("puts_can_be_cancelled", puts_can_be_cancelled),
        (
            "half_written_runs_can_be_settled",
            half_written_runs_can_be_settled,
        ),
        ("deliveries_are_counted", deliveries_are_counted),
        ("one_message_in_many_queues", one_message_in_many_queues),
        ("transient_messages_come_back", transient_messages_come_back),
        ("definitions_change", definitions_change),
        ("queue_ids_differ", queue_ids_differ),
        ("dropped_queues_are_empty", dropped_queues_are_empty),
        ("waiters_are_told_in_order", waiters_are_told_in_order),
        (
            "lazy_operations_become_durable",
            lazy_operations_become_durable,
        ),
        ("a_closed_store_takes_nothing", a_closed_store_takes_nothing),
    ]
}

/// The i-th operation of a list has the returned ticket + i, and the next list goes on from there.
pub fn tickets_are_consecutive<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    assert!(store.durable() >= Ticket::NONE);
    let (first, last) = append(store, vec![put(queue, 0, "a"), put(queue, 1, "b")]);
    assert_eq!(last.0, first.0 + 1);
    let (next, _) = append(store, vec![settle(queue, 0, 0)]);
    assert_eq!(next.0, last.0 + 1);
    let change = store.change(vec![]).unwrap();
    assert_eq!(change.0, next.0 + 1);
    assert_eq!(store.append(&mut Vec::new()).unwrap(), change);
    let dropped = store.drop_queue(queue).unwrap();
    assert_eq!(dropped.0, change.0 + 1);
}

/// Everything put is fetched in order of sequence, whatever lies between the sequences.
pub fn puts_come_back_in_order<S: Store>(store: &S) {
    let (one, other) = (store.next_queue_id(), store.next_queue_id());
    append(store, vec![put(one, 3, "c"), put(other, 7, "x")]);
    append(store, vec![put(one, 4, "d"), put(one, 900, "z")]);
    assert_eq!(
        contents(store, one),
        expected([(3, "c"), (4, "d"), (900, "z")])
    );
    assert_eq!(contents(store, other), expected([(7, "x")]));
    let later = fetch(store, one, 4, EVERYTHING).unwrap();
    assert_eq!(
        later.iter().map(|found| found.seq).collect::<Vec<_>>(),
        [4, 900]
    );
    assert!(contents(store, store.next_queue_id()).is_empty());
}

/// Bodies of all sizes, and everything else about a message, come back as they were put.
pub fn bodies_come_back_whole<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let sizes = [0, 1, 100, 4096, 4097, 70_000, 1_500_000];
    let bodies: Vec<Vec<u8>> = sizes
        .iter()
        .map(|size| (0..*size).map(|at: u32| (at % 251) as u8).collect())
        .collect();
    let puts = bodies.iter().zip(0..).map(|(body, seq)| Operation::Put {
        queue,
        seq,
        message: message("the key", body),
        durable: true,
    });
    append(store, puts.collect());
    let fetched = fetch(store, queue, 0, EVERYTHING).unwrap();
    assert_eq!(fetched.len(), bodies.len());
    for (found, body) in fetched.iter().zip(&bodies) {
        assert!(
            found.message.body() == body.as_slice(),
            "another body came back"
        );
        assert_eq!(found.message.routing_key(), b"the key");
        assert_eq!(found.message.header(), message("", body).header());
        assert!(found.persistent);
        assert_eq!(found.delivery_count, 0);
    }
}

/// A fetch brings no more messages and octets than asked for, but at least one.
pub fn fetches_keep_to_their_limits<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let body = "x".repeat(1000);
    append_durably(store, (0..50).map(|seq| put(queue, seq, &body)).collect());
    let size = message("key", body.as_bytes()).encoded_len();
    for (messages, bytes, brought) in [
        (10, usize::MAX, 10),
        (usize::MAX, size * 7, 7),
        (usize::MAX, size * 8 - 1, 7),
        (0, 0, 1),
        (1, 10, 1),
        (100, usize::MAX, 50),
    ] {
        let limit = FetchLimit { messages, bytes };
        let fetched = fetch(store, queue, 0, limit).unwrap();
        assert_eq!(fetched.len(), brought, "with {limit:?}");
    }
}

/// What was appended before a fetch is seen by it, written or not, and so is what was settled.
pub fn fetches_see_what_was_appended<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    for seq in 0..30 {
        append(store, vec![put(queue, seq, "seen")]);
        let found = fetch(store, queue, seq, EVERYTHING).unwrap();
        assert_eq!(found.len(), 1, "message {seq}");
        append(store, vec![settle(queue, seq, seq)]);
        assert!(
            contents(store, queue).is_empty(),
            "message {seq} was settled"
        );
    }
}

/// What is settled is not fetched, and nothing else is missing.
pub fn settled_messages_are_gone<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    append_durably(store, (0..10).map(|seq| put(queue, seq, "m")).collect());
    append(
        store,
        vec![
            settle(queue, 0, 1),
            settle(queue, 4, 4),
            settle(queue, 7, 8),
        ],
    );
    let left: Vec<_> = contents(store, queue).iter().map(|(seq, _)| *seq).collect();
    assert_eq!(left, [2, 3, 5, 6, 9]);
    append(store, vec![settle(queue, 0, 9), settle(queue, 3, 3)]);
    assert!(contents(store, queue).is_empty());
}

/// A purge need not know the newest message, and does not touch what comes later.
pub fn settles_reach_beyond_the_newest<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    append(
        store,
        vec![
            put(queue, 5, "old"),
            settle(queue, 0, u64::MAX),
            put(queue, 6, "new"),
        ],
    );
    assert_eq!(contents(store, queue), expected([(6, "new")]));
    append(store, vec![settle(queue, 0, u64::MAX)]);
    assert!(contents(store, queue).is_empty());
    append_durably(store, vec![put(queue, 7, "newer")]);
    assert_eq!(contents(store, queue), expected([(7, "newer")]));
}

/// A put settled with its ticket is gone at once, and its ticket becomes durable all the same.
pub fn puts_can_be_cancelled<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    for round in 0..50 {
        let first = round * 10;
        let puts = (first..first + 10).map(|seq| put(queue, seq, "short-lived"));
        let (ticket, last) = append(store, puts.collect());
        let cancel = Operation::Settle {
            queue,
            first,
            last: first + 9,
            put: Some(ticket),
        };
        let (settled, _) = append(store, vec![cancel]);
        assert_eq!(settled.0, last.0 + 1);
        wait(store, last).unwrap();
    }
    assert!(contents(store, queue).is_empty());
    let (last, _) = append(store, vec![settle(queue, 0, 0)]);
    wait(store, last).unwrap();
}

/// A settle with a ticket may cover puts that are durable, others that are not, and none before or after.
pub fn half_written_runs_can_be_settled<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let (first, last) = append(store, (0..5).map(|seq| put(queue, seq, "early")).collect());
    wait(store, last).unwrap();
    append(store, (5..12).map(|seq| put(queue, seq, "late")).collect());
    let middle = Operation::Settle {
        queue,
        first: 2,
        last: 8,
        put: Some(Ticket(first.0 + 2)),
    };
    append(store, vec![middle]);
    let left: Vec<_> = contents(store, queue).iter().map(|(seq, _)| *seq).collect();
    assert_eq!(left, [0, 1, 9, 10, 11]);
}

/// Every mark raises the count of what is live by one.
pub fn deliveries_are_counted<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    append(store, (0..6).map(|seq| put(queue, seq, "m")).collect());
    let delivered = |first, last| Operation::Delivered { queue, first, last };
    append(store, vec![delivered(0, 3)]);
    append(
        store,
        vec![delivered(2, 4), settle(queue, 1, 1), delivered(2, 2)],
    );
    let fetched = fetch(store, queue, 0, EVERYTHING).unwrap();
    let counts: Vec<_> = fetched
        .iter()
        .map(|one| (one.seq, one.delivery_count))
        .collect();
    assert_eq!(counts, [(0, 1), (2, 3), (3, 2), (4, 1), (5, 0)]);
}

/// The same message in several queues is independent in each.
pub fn one_message_in_many_queues<S: Store>(store: &S) {
    let queues: Vec<_> = (0..5).map(|_| store.next_queue_id()).collect();
    let messages: Vec<_> = (0..20)
        .map(|at| message("key", format!("{at}").as_bytes()))
        .collect();
    let mut operations = Vec::new();
    for (queue, offset) in queues.iter().zip(0..) {
        for (message, seq) in messages.iter().zip(offset..) {
            operations.push(Operation::Put {
                queue: *queue,
                seq,
                message: message.clone(),
                durable: offset % 2 == 0,
            });
        }
    }
    append(store, operations);
    append(
        store,
        vec![settle(queues[0], 0, 18), settle(queues[3], 4, 4)],
    );
    assert_eq!(contents(store, queues[0]), expected([(19, "19")]));
    for (queue, offset) in queues.iter().zip(0..).skip(1) {
        let bodies = contents(store, *queue);
        let gone = usize::from(offset == 3);
        assert_eq!(bodies.len(), 20 - gone);
        for (seq, body) in bodies {
            assert_eq!(body, format!("{}", seq - offset));
        }
    }
}

/// Messages that need not survive are there until then.
pub fn transient_messages_come_back<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let transient = |seq| Operation::Put {
        queue,
        seq,
        message: message("key", b"paged out"),
        durable: false,
    };
    let (_, last) = append(
        store,
        vec![transient(0), transient(1), put(queue, 2, "kept")],
    );
    wait(store, last).unwrap();
    append(store, vec![settle(queue, 0, 0)]);
    let fetched = fetch(store, queue, 0, EVERYTHING).unwrap();
    let found: Vec<_> = fetched
        .iter()
        .map(|one| (one.seq, one.persistent))
        .collect();
    assert_eq!(found, [(1, false), (2, true)]);
}

/// Changes are made in order, and are seen at once.
pub fn definitions_change<S: Store>(store: &S) {
    let set = |key: &str, value: &str| Change::Put {
        key: key.into(),
        value: value.into(),
    };
    let delete = |key: &str| Change::Delete { key: key.into() };
    store.change(vec![set("a", "1"), set("b", "2")]).unwrap();
    let last = store
        .change(vec![
            set("a", "3"),
            delete("b"),
            delete("nothing"),
            set("c", ""),
        ])
        .unwrap();
    let definitions = store.definitions().unwrap();
    let expected = [(b"a".to_vec(), b"3".to_vec()), (b"c".to_vec(), vec![])];
    assert_eq!(definitions, expected.into());
    wait(store, last).unwrap();
}

/// No number is given twice.
pub fn queue_ids_differ<S: Store>(store: &S) {
    let mut ids: Vec<_> = (0..1000).map(|_| store.next_queue_id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
}

/// Nothing of a dropped queue is left, and the others are not touched.
pub fn dropped_queues_are_empty<S: Store>(store: &S) {
    let (gone, kept) = (store.next_queue_id(), store.next_queue_id());
    append(
        store,
        (0..5)
            .flat_map(|seq| [put(gone, seq, "g"), put(kept, seq, "k")])
            .collect(),
    );
    let ticket = store.drop_queue(gone).unwrap();
    wait(store, ticket).unwrap();
    assert!(contents(store, gone).is_empty());
    assert_eq!(contents(store, kept).len(), 5);
}

/// Every waiter is told once, in ticket order; one that comes late, too.
pub fn waiters_are_told_in_order<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let (told, outcome) = mpsc::channel();
    let mut tickets = Vec::new();
    for seq in 0..20 {
        let (ticket, _) = append(store, vec![put(queue, seq, "m")]);
        store.on_durable(ticket, Notice::to(told.clone()));
        tickets.push(ticket);
    }
    for ticket in &tickets {
        assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), (*ticket, Ok(())));
    }
    wait(store, tickets[3]).unwrap();
    wait(store, Ticket::NONE).unwrap();
    assert!(outcome.try_recv().is_err(), "a waiter was told twice");
}

/// Settles, marks and transient puts become durable without anything after them.
pub fn lazy_operations_become_durable<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    append_durably(store, vec![put(queue, 0, "m"), put(queue, 1, "m")]);
    let (_, last) = append(
        store,
        vec![
            settle(queue, 0, 0),
            Operation::Delivered {
                queue,
                first: 1,
                last: 1,
            },
            Operation::Put {
                queue,
                seq: 2,
                message: message("key", b"m"),
                durable: false,
            },
        ],
    );
    let begun = std::time::Instant::now();
    while store.durable() < last {
        assert!(begun.elapsed() < PATIENCE, "never became durable");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// After a shutdown everything appended is durable, and nothing more is taken.
pub fn a_closed_store_takes_nothing<S: Store>(store: &S) {
    let queue = store.next_queue_id();
    let (_, last) = append(store, vec![put(queue, 0, "m"), settle(queue, 0, 0)]);
    store.shutdown();
    store.shutdown();
    assert_eq!(store.durable(), last);
    let closed =
        |result: Result<Ticket, StoreError>| matches!(result, Err(StoreError::Unavailable(_)));
    let mut more = vec![put(queue, 1, "m")];
    assert!(closed(store.append(&mut more)));
    assert_eq!(more.len(), 1, "nothing may be taken on an error");
    assert!(closed(store.change(vec![])));
    assert!(closed(store.drop_queue(queue)));
    assert!(fetch(store, queue, 0, EVERYTHING).is_err());
    assert!(wait(store, Ticket(last.0 + 1)).is_err());
}
