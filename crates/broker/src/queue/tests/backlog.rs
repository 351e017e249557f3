//! Messages that only the store keeps.

use leveret_store::{
    Call, FaultyStore, MemoryStore, Operation, QueueId, Store as _, StoreError, Ticket,
};

use super::rig::{Options, Reader, Rig, message, number, numbers, properties};
use crate::effects::push_settle;
use crate::entry::{Entry, Stored};
use crate::mailbox::Notice;
use crate::queue::{GetOutcome, MessageMemory, QueueCounts};

/// Messages a queue keeps in memory whatever the budget.
const WINDOW: u64 = 512;

/// What the store has of the rig's queue: number and whether it survives a restart.
fn stored(rig: &Rig) -> Vec<(u64, bool)> {
    let limit = leveret_store::FetchLimit {
        messages: usize::MAX,
        bytes: usize::MAX,
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    rig.store.fetch(
        rig.queue.id(),
        0,
        limit,
        Box::new(move |fetched| drop(sender.send(fetched))),
    );
    rig.store.answer();
    let fetched = receiver.recv().unwrap().unwrap();
    fetched
        .iter()
        .map(|fetched| (number(&fetched.message), fetched.persistent))
        .collect()
}

#[test]
fn over_the_budget_the_rest_goes_to_the_store_and_comes_back_in_order() {
    let mut rig = Rig::with_memory(0);
    rig.publish_numbers(0..1);
    rig.publish_numbers(1..WINDOW + 100);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: WINDOW + 100,
            unacked: 0,
            bytes: body_bytes(WINDOW + 100),
            consumers: 0
        }
    );
    let in_memory = usize::try_from(body_bytes(WINDOW) + 128 * WINDOW).unwrap();
    assert_eq!(rig.memory.used(), in_memory);
    assert_eq!(
        stored(&rig),
        (WINDOW..WINDOW + 100)
            .map(|number| (number, false))
            .collect::<Vec<_>>()
    );

    let reader = Reader::new();
    rig.consume(
        &reader,
        Options {
            no_ack: true,
            ..Options::default()
        },
    );
    let mut got = reader.numbers();
    rig.store.answer();
    got.extend(reader.numbers());
    assert_eq!(got, (0..WINDOW + 100).collect::<Vec<_>>());
    assert_eq!(rig.counts().ready, 0);
    assert_eq!(rig.memory.used(), 0);
    assert_eq!(
        stored(&rig),
        [],
        "what was delivered for good is settled in the store"
    );
}

#[test]
fn what_is_published_behind_a_backlog_goes_behind_it() {
    let mut rig = Rig::with_memory(0);
    rig.publish_numbers(0..1);
    rig.publish_numbers(1..WINDOW + 10);
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 520,
            ..Options::default()
        },
    );
    assert_eq!(reader.entries().len() as u64, WINDOW);
    // The window is empty and the budget free, but older messages are still in the store.
    rig.publish_numbers(WINDOW + 10..WINDOW + 20);
    assert!(reader.numbers().is_empty());
    rig.store.answer();
    let got = reader.entries();
    assert_eq!(numbers(&got), (WINDOW..520).collect::<Vec<_>>());
    rig.ack(Some(id), &got);
    assert_eq!(reader.numbers(), (520..528).collect::<Vec<_>>());
}

#[test]
fn a_purge_makes_a_read_under_way_worthless() {
    let mut rig = Rig::with_memory(0);
    rig.publish_numbers(0..1);
    rig.publish_numbers(1..WINDOW + 10);
    let reader = Reader::new();
    rig.consume(
        &reader,
        Options {
            prefetch: 1,
            ..Options::default()
        },
    );
    assert_eq!(reader.numbers(), [0]);
    assert_eq!(rig.purge(), WINDOW + 9);
    assert_eq!(rig.counts().ready, 0);
    rig.publish_numbers([9_000]);
    rig.store.answer();
    assert_eq!(rig.counts().ready, 1);
    assert_eq!(stored(&rig), []);
    rig.consume(
        &reader,
        Options {
            key: 1,
            ..Options::default()
        },
    );
    assert_eq!(reader.numbers(), [9_000]);
}

#[test]
fn messages_that_the_store_has_lost_are_not_waited_for() {
    // Five were there when the queue was claimed; the store can read one of them.
    let mut rig = Rig::new();
    let found = Operation::Put {
        queue: rig.queue.id(),
        seq: 3,
        message: message(3, true, 1),
        durable: true,
    };
    rig.store.append(&mut vec![found]).unwrap();
    rig.recover(5, 5, 5);
    let reader = Reader::new();
    rig.consume(
        &reader,
        Options {
            no_ack: true,
            ..Options::default()
        },
    );
    rig.store.answer();
    assert_eq!(reader.numbers(), [3]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 0,
            unacked: 0,
            bytes: 0,
            consumers: 1
        }
    );
    rig.publish_numbers([7]);
    assert_eq!(reader.numbers(), [7]);
}

#[test]
fn a_read_that_fails_is_tried_again() {
    let store = FaultyStore::new(MemoryStore::manual());
    let mut rig = Rig::on(store, properties(true, false), 0);
    rig.publish_numbers(0..1);
    rig.store.fail(
        Call::Fetch,
        1,
        StoreError::Unavailable("for a moment".to_owned()),
    );
    rig.publish_numbers(1..WINDOW + 5);
    rig.store.inner().answer();
    let reader = Reader::new();
    rig.consume(
        &reader,
        Options {
            no_ack: true,
            ..Options::default()
        },
    );
    rig.store.inner().answer();
    assert_eq!(reader.numbers(), (0..WINDOW + 5).collect::<Vec<_>>());
}

#[test]
fn a_get_that_waits_survives_a_failed_read() {
    let store = FaultyStore::new(MemoryStore::manual());
    let mut rig = Rig::on(store, properties(true, false), usize::MAX);
    rig.store.fail(
        Call::Fetch,
        1,
        StoreError::Unavailable("for a moment".to_owned()),
    );
    let found = Operation::Put {
        queue: rig.queue.id(),
        seq: 0,
        message: message(0, true, 1),
        durable: true,
    };
    rig.store.append(&mut vec![found]).unwrap();
    rig.recover(1, 1, 1);
    let reader = Reader::new();
    assert!(matches!(rig.get(true, &reader, 1), GetOutcome::Waiting));
    rig.store.inner().answer();
    assert!(reader.notices().is_empty());
    rig.publish_numbers([1]);
    rig.store.inner().answer();
    assert!(matches!(
        reader.notices()[..],
        [Notice::Got {
            request: 1,
            got: Some(_),
            ..
        }]
    ));
}

#[test]
fn a_recovered_queue_reads_its_backlog_and_numbers_on() {
    let mut first = Rig::new();
    first.publish((0..20).map(|number| message(number, number % 2 == 0, 1)));
    let reader = Reader::new();
    let id = first.consume(
        &reader,
        Options {
            prefetch: 4,
            ..Options::default()
        },
    );
    let held = reader.entries();
    first.ack(Some(id), &held[..2]);
    first.store.make_durable(first.store.newest());

    let mut rig = Rig::on(first.store.reopen(), properties(true, false), usize::MAX);
    let claimed = rig.store.claim(first.queue.id()).unwrap();
    rig.store.recovered();
    rig.queue = first.queue;
    rig.recover(claimed.next_seq, claimed.messages, claimed.bytes);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 9,
            unacked: 0,
            bytes: 14,
            consumers: 0
        }
    );
    rig.publish([message(100, true, 1)]);
    let reader = Reader::new();
    rig.consume(&reader, Options::default());
    rig.store.answer();
    let again: Vec<Entry> = reader.entries();
    assert_eq!(numbers(&again), [2, 4, 6, 8, 10, 12, 14, 16, 18, 100]);
    let redelivered: Vec<u64> = again
        .iter()
        .filter(|entry| entry.redelivered())
        .map(|entry| number(&entry.message))
        .collect();
    assert_eq!(
        redelivered,
        [2, 4],
        "0 was acknowledged, 2 was out and 4 was sent on with its acknowledgement"
    );
    assert!(again.is_sorted_by_key(|entry| entry.seq));
}

#[test]
fn settles_are_joined_while_sequences_and_puts_follow_each_other() {
    let (queue, other) = (QueueId(1), QueueId(2));
    let mut operations = Vec::new();
    let put = |ticket| Stored::by(Ticket(ticket));
    for (queue, seq, stored) in [
        (queue, 0, put(5)),
        (queue, 1, put(6)),
        // Between these two another queue has had a message.
        (queue, 2, put(8)),
        (queue, 4, put(9)),
        (queue, 5, Stored::BEFORE),
        (queue, 6, Stored::BEFORE),
        (queue, 8, Stored::BEFORE),
        (other, 9, Stored::BEFORE),
        (other, 10, put(11)),
    ] {
        push_settle(&mut operations, queue, seq, stored);
    }
    let runs: Vec<_> = operations
        .iter()
        .map(|operation| match operation {
            Operation::Settle {
                queue,
                first,
                last,
                put,
            } => (queue.0, *first, *last, put.map(|put| put.0)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        runs,
        [
            (1, 0, 1, Some(5)),
            (1, 2, 2, Some(8)),
            (1, 4, 4, Some(9)),
            (1, 5, 6, None),
            (1, 8, 8, None),
            (2, 9, 9, None),
            (2, 10, 10, Some(11))
        ]
    );
}

/// Octets of the decimal numbers below `count`.
fn body_bytes(count: u64) -> u64 {
    (0..count)
        .map(|number| number.to_string().len() as u64)
        .sum()
}

#[test]
fn a_backlog_leaves_room_for_small_queues_but_not_without_end() {
    let memory = MessageMemory::new(6_400);
    memory.adjust(0, 6_400);
    assert!(!memory.is_over_for(6_400), "at the limit nobody pages out");
    memory.adjust(0, 1);
    assert!(memory.is_over_for(3_201), "more than its share");
    assert!(!memory.is_over_for(3_200));
    memory.adjust(0, 3_199);
    assert!(!memory.is_over_for(0));
    memory.adjust(0, 1);
    assert!(memory.is_over_for(0), "the reserve is used up");
}
