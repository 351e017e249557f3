//! What must be there after a crash.

use super::{
    EVERYTHING, append, append_durably, contents, expected, fetch, message, put, settle, wait,
};
use crate::{Change, Operation, QueueId, Store};

/// Ends a store as if killed, and opens what it left.
pub type Crash<'a, S> = &'a mut dyn FnMut(S) -> S;

/// A test and its name.
pub type Test<S> = (&'static str, fn(S, Crash<'_, S>));

/// All of them.
pub fn tests<S: Store>() -> Vec<Test<S>> {
    vec![
        ("durable_messages_survive", durable_messages_survive),
        ("durable_settles_survive", durable_settles_survive),
        ("transient_messages_do_not", transient_messages_do_not),
        ("delivery_counts_survive", delivery_counts_survive),
        ("definitions_survive", definitions_survive),
        ("queue_ids_are_never_reused", queue_ids_are_never_reused),
        ("claims_tell_what_is_there", claims_tell_what_is_there),
        ("unclaimed_queues_are_dropped", unclaimed_queues_are_dropped),
        ("dropped_queues_stay_dropped", dropped_queues_stay_dropped),
        ("shared_messages_survive", shared_messages_survive),
    ]
}

/// Crash, then claim what is named.
fn restart<S: Store>(store: S, crash: Crash<'_, S>, queues: &[QueueId]) -> S {
    let store = crash(store);
    for queue in queues {
        store.claim(*queue).unwrap();
    }
    store.recovered();
    store
}

/// What was reported durable is there, in order, however often the store crashes.
pub fn durable_messages_survive<S: Store>(mut store: S, crash: Crash<'_, S>) {
    let queue = store.next_queue_id();
    let mut model = Vec::new();
    for round in 0..5 {
        let bodies: Vec<String> = (0..20).map(|at| format!("{round}/{at}")).collect();
        let puts = bodies.iter().zip(round * 100..);
        append_durably(
            &store,
            puts.map(|(body, seq)| put(queue, seq, body)).collect(),
        );
        model.extend(
            bodies
                .into_iter()
                .zip(round * 100..)
                .map(|(body, seq)| (seq, body)),
        );
        store = restart(store, crash, &[queue]);
        assert_eq!(contents(&store, queue), model);
    }
    let fetched = fetch(&store, queue, 0, EVERYTHING).unwrap();
    assert!(
        fetched
            .iter()
            .all(|one| one.persistent && one.delivery_count == 0)
    );
}

/// What was settled durably does not come back.
pub fn durable_settles_survive<S: Store>(store: S, crash: Crash<'_, S>) {
    let queue = store.next_queue_id();
    append_durably(&store, (0..10).map(|seq| put(queue, seq, "m")).collect());
    append_durably(&store, vec![settle(queue, 0, 3), settle(queue, 6, 6)]);
    let mut store = restart(store, crash, &[queue]);
    let left = expected([(4, "m"), (5, "m"), (7, "m"), (8, "m"), (9, "m")]);
    assert_eq!(contents(&store, queue), left);
    append_durably(&store, vec![settle(queue, 0, u64::MAX)]);
    for _ in 0..2 {
        store = restart(store, crash, &[queue]);
        assert!(contents(&store, queue).is_empty());
    }
    append_durably(&store, vec![put(queue, 10, "new")]);
    let store = restart(store, crash, &[queue]);
    assert_eq!(contents(&store, queue), expected([(10, "new")]));
}

/// Messages that need not survive are gone, and stay gone.
pub fn transient_messages_do_not<S: Store>(store: S, crash: Crash<'_, S>) {
    let queue = store.next_queue_id();
    let mut operations: Vec<_> = (0..10)
        .map(|seq| Operation::Put {
            queue,
            seq,
            message: message("key", b"transient"),
            durable: false,
        })
        .collect();
    operations.push(put(queue, 10, "durable"));
    append_durably(&store, operations);
    let mut store = store;
    for _ in 0..2 {
        store = restart(store, crash, &[queue]);
        assert_eq!(contents(&store, queue), expected([(10, "durable")]));
    }
}

/// How often a message was delivered is not forgotten.
pub fn delivery_counts_survive<S: Store>(mut store: S, crash: Crash<'_, S>) {
    let queue = store.next_queue_id();
    append_durably(&store, (0..5).map(|seq| put(queue, seq, "m")).collect());
    for round in 1..4 {
        let delivered = Operation::Delivered {
            queue,
            first: 1,
            last: 3,
        };
        append_durably(&store, vec![delivered]);
        store = restart(store, crash, &[queue]);
        let fetched = fetch(&store, queue, 0, EVERYTHING).unwrap();
        let counts: Vec<_> = fetched.iter().map(|one| one.delivery_count).collect();
        assert_eq!(counts, [0, round, round, round, 0]);
    }
}

/// Durable changes of definitions survive, in order.
pub fn definitions_survive<S: Store>(mut store: S, crash: Crash<'_, S>) {
    let mut model = store.definitions().unwrap();
    for round in 0..6_u32 {
        let mut changes: Vec<_> = (0..10)
            .map(|at| Change::Put {
                key: format!("queue {at}").into(),
                value: format!("as of {round}").into(),
            })
            .collect();
        changes.push(Change::Delete {
            key: format!("queue {round}").into(),
        });
        for change in &changes {
            match change.clone() {
                Change::Put { key, value } => model.insert(key, value),
                Change::Delete { key } => model.remove(&key),
            };
        }
        let ticket = store.change(changes).unwrap();
        wait(&store, ticket).unwrap();
        if round % 2 == 0 {
            store = restart(store, crash, &[]);
        }
        assert_eq!(store.definitions().unwrap(), model);
    }
    let store = restart(store, crash, &[]);
    assert_eq!(store.definitions().unwrap(), model);
}

/// No opening gives a number that another gave, used or not.
pub fn queue_ids_are_never_reused<S: Store>(mut store: S, crash: Crash<'_, S>) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.extend((0..10).map(|_| store.next_queue_id()));
        store = restart(store, crash, &[]);
    }
    let given = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), given);
}

/// A claim says how much is there, and where to go on.
pub fn claims_tell_what_is_there<S: Store>(store: S, crash: Crash<'_, S>) {
    let (queue, empty) = (store.next_queue_id(), store.next_queue_id());
    append_durably(
        &store,
        vec![
            put(queue, 0, "four"),
            put(queue, 1, "gone"),
            put(queue, 2, ""),
            put(queue, 3, "seven +"),
            put(empty, 0, "gone"),
        ],
    );
    append_durably(&store, vec![settle(queue, 1, 1), settle(empty, 0, 0)]);
    let store = crash(store);
    let claimed = store.claim(queue).unwrap();
    assert_eq!(
        (claimed.next_seq, claimed.messages, claimed.bytes),
        (4, 3, 11)
    );
    let nothing = store.claim(empty).unwrap();
    assert_eq!((nothing.messages, nothing.bytes), (0, 0));
    store.recovered();
    let store = crash(store);
    let again = store.claim(queue).unwrap();
    assert_eq!((again.next_seq, again.messages, again.bytes), (4, 3, 11));
    assert!(again.epoch > claimed.epoch);
}

/// What nobody claims is garbage.
pub fn unclaimed_queues_are_dropped<S: Store>(store: S, crash: Crash<'_, S>) {
    let (kept, garbage) = (store.next_queue_id(), store.next_queue_id());
    append_durably(
        &store,
        vec![put(kept, 0, "kept"), put(garbage, 0, "garbage")],
    );
    let store = restart(store, crash, &[kept]);
    assert!(contents(&store, garbage).is_empty());
    assert_eq!(contents(&store, kept), expected([(0, "kept")]));
}

/// A dropped queue is not resurrected, even if it is claimed by mistake.
pub fn dropped_queues_stay_dropped<S: Store>(store: S, crash: Crash<'_, S>) {
    let (kept, gone) = (store.next_queue_id(), store.next_queue_id());
    append_durably(
        &store,
        (0..5)
            .flat_map(|seq| [put(gone, seq, "g"), put(kept, seq, "k")])
            .collect(),
    );
    let ticket = store.drop_queue(gone).unwrap();
    wait(&store, ticket).unwrap();
    let mut store = store;
    for _ in 0..2 {
        store = restart(store, crash, &[kept, gone]);
        assert!(contents(&store, gone).is_empty());
        assert_eq!(contents(&store, kept).len(), 5);
    }
}

/// A message in several queues survives in those where it was not settled.
pub fn shared_messages_survive<S: Store>(store: S, crash: Crash<'_, S>) {
    let queues: Vec<_> = (0..3).map(|_| store.next_queue_id()).collect();
    let shared = message("key", b"shared");
    let puts = queues.iter().zip(0..).map(|(queue, seq)| Operation::Put {
        queue: *queue,
        seq,
        message: shared.clone(),
        durable: seq != 2,
    });
    append(&store, puts.collect());
    append_durably(&store, vec![settle(queues[0], 0, 0)]);
    let store = restart(store, crash, &queues);
    assert!(contents(&store, queues[0]).is_empty());
    assert_eq!(contents(&store, queues[1]), expected([(1, "shared")]));
    assert!(
        contents(&store, queues[2]).is_empty(),
        "it was transient there"
    );
}
