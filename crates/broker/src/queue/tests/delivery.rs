//! Who gets the next message.

use leveret_store::{MemoryStore, Ticket};

use super::rig::{Options, Reader, Rig, message, numbers, properties};
use crate::mailbox::Notice;
use crate::queue::{ConsumeRefused, DeleteRefused, GetOutcome, QueueCounts};

#[test]
fn messages_come_in_the_order_of_their_publishing() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    rig.publish_numbers(0..3);
    rig.consume(&reader, Options::default());
    rig.publish_numbers(3..5);
    assert_eq!(reader.numbers(), [0, 1, 2, 3, 4]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 0,
            unacked: 5,
            bytes: 5,
            consumers: 1
        }
    );
}

#[test]
fn equal_consumers_take_turns() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    for key in 0..3 {
        rig.consume(
            &reader,
            Options {
                key,
                ..Options::default()
            },
        );
    }
    // The deliveries of each consumer reach its mailbox together, so publish one by one.
    let mut turns = Vec::new();
    for number in 0..7 {
        rig.publish_numbers([number]);
        turns.extend(reader.keys());
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn one_run_is_spread_over_equal_consumers() {
    let mut rig = Rig::new();
    let readers = [Reader::new(), Reader::new()];
    for reader in &readers {
        rig.consume(reader, Options::default());
    }
    rig.publish_numbers(0..5);
    assert_eq!(readers[0].numbers(), [0, 2, 4]);
    assert_eq!(readers[1].numbers(), [1, 3]);
}

#[test]
fn a_higher_priority_goes_first_while_it_has_credit() {
    let mut rig = Rig::new();
    let (low, high) = (Reader::new(), Reader::new());
    rig.consume(&low, Options::default());
    let id = rig.consume(
        &high,
        Options {
            priority: 5,
            prefetch: 2,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..4);
    let held = high.entries();
    assert_eq!(numbers(&held), [0, 1]);
    assert_eq!(
        low.numbers(),
        [2, 3],
        "blocked by its prefetch, the higher one lets the lower one run"
    );
    rig.ack(Some(id), &held[..1]);
    rig.publish_numbers(4..6);
    assert_eq!(high.numbers(), [4]);
    assert_eq!(low.numbers(), [5]);
}

#[test]
fn prefetch_bounds_what_is_unacknowledged() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 2,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..6);
    let held = reader.entries();
    assert_eq!(numbers(&held), [0, 1]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 4,
            unacked: 2,
            bytes: 6,
            consumers: 1
        }
    );
    rig.ack(Some(id), &held);
    assert_eq!(reader.numbers(), [2, 3]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 2,
            unacked: 2,
            bytes: 4,
            consumers: 1
        }
    );
}

#[test]
fn a_consumer_without_acknowledgements_has_no_prefetch() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    reader.credit.set_limit(1);
    rig.consume(
        &reader,
        Options {
            no_ack: true,
            prefetch: 1,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..3);
    assert_eq!(reader.numbers(), [0, 1, 2]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 0,
            unacked: 0,
            bytes: 0,
            consumers: 1
        }
    );
}

#[test]
fn a_channel_shares_one_limit_among_its_consumers() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    reader.credit.set_limit(3);
    let id = rig.consume(
        &reader,
        Options {
            key: 0,
            ..Options::default()
        },
    );
    rig.consume(
        &reader,
        Options {
            key: 1,
            prefetch: 1,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..5);
    let deliveries = reader.deliveries();
    assert!(deliveries.iter().all(|delivery| delivery.counted));
    let to_second = deliveries
        .iter()
        .filter(|delivery| delivery.consumer == 1)
        .count();
    assert_eq!((deliveries.len(), to_second), (3, 1));
    reader.credit.give_back(1);
    let entry = deliveries
        .into_iter()
        .find(|delivery| delivery.consumer == 0)
        .unwrap()
        .entry;
    rig.ack(Some(id), &[entry]);
    assert_eq!(reader.numbers(), [3]);
}

#[test]
fn a_consumer_without_shared_credit_goes_on_when_the_limit_is_raised() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    reader.credit.set_limit(1);
    rig.consume(&reader, Options::default());
    rig.publish_numbers(0..3);
    assert_eq!(reader.numbers(), [0]);
    rig.resume(&reader);
    assert!(reader.numbers().is_empty(), "the credit is still used up");
    reader.credit.set_limit(2);
    rig.resume(&reader);
    assert_eq!(reader.numbers(), [1]);
    reader.credit.set_limit(0);
    rig.resume(&reader);
    assert_eq!(reader.numbers(), [2]);
}

#[test]
fn what_comes_back_stands_where_it_stood() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 4,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..6);
    let mut held = reader.entries();
    assert_eq!(numbers(&held), [0, 1, 2, 3]);
    assert!(!rig.queue.remove_consumer(id));
    // As RabbitMQ's order: requeue 2, then 0; what comes next is 0, 2, 4, 5.
    rig.requeue(Some(id), vec![held.remove(2)]);
    rig.requeue(Some(id), vec![held.remove(0)]);
    rig.consume(&reader, Options::default());
    let again = reader.entries();
    assert_eq!(numbers(&again), [0, 2, 4, 5]);
    let redelivered: Vec<bool> = again.iter().map(crate::entry::Entry::redelivered).collect();
    assert_eq!(redelivered, [true, true, false, false]);
}

#[test]
fn what_comes_back_finds_its_place_between_what_waits() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 5,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..8);
    let held = reader.entries();
    rig.queue.remove_consumer(id);
    let (even, odd) = held.into_iter().partition(|entry| entry.seq % 2 == 0);
    rig.requeue(Some(id), odd);
    rig.requeue(Some(id), even);
    rig.consume(&reader, Options::default());
    assert_eq!(reader.numbers(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_consumer_that_has_gone_gets_nothing_and_owes_nothing() {
    let mut rig = Rig::new();
    let (gone, next) = (Reader::new(), Reader::new());
    let id = rig.consume(
        &gone,
        Options {
            prefetch: 1,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..3);
    let held = gone.entries();
    assert!(
        !rig.queue.remove_consumer(id),
        "the queue is not to be deleted with its last consumer"
    );
    assert!(!rig.queue.remove_consumer(id));
    // The next consumer takes the slot; a late settle of the old one must not count for it.
    let next_id = rig.consume(
        &next,
        Options {
            prefetch: 1,
            ..Options::default()
        },
    );
    assert_eq!(next.numbers(), [1]);
    rig.ack(Some(id), &held);
    assert!(next.numbers().is_empty());
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 1,
            unacked: 1,
            bytes: 2,
            consumers: 1
        }
    );
    assert_ne!(id, next_id);
}

#[test]
fn an_auto_delete_queue_asks_to_go_with_its_last_consumer() {
    let mut rig = Rig::on(MemoryStore::manual(), properties(false, true), usize::MAX);
    let reader = Reader::new();
    let first = rig.consume(
        &reader,
        Options {
            key: 0,
            ..Options::default()
        },
    );
    let second = rig.consume(
        &reader,
        Options {
            key: 1,
            ..Options::default()
        },
    );
    assert!(!rig.queue.remove_consumer(first));
    assert!(rig.queue.remove_consumer(second));
    assert!(!rig.queue.remove_consumer(second), "only once");
}

#[test]
fn an_exclusive_consumer_is_alone() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    let exclusive = Options {
        exclusive: true,
        ..Options::default()
    };
    let id = rig.consume(&reader, Options::default());
    assert!(matches!(
        rig.try_consume(&reader, exclusive),
        Err(ConsumeRefused::InExclusiveUse)
    ));
    rig.queue.remove_consumer(id);
    let id = rig.consume(&reader, exclusive);
    assert!(matches!(
        rig.try_consume(&reader, Options::default()),
        Err(ConsumeRefused::InExclusiveUse)
    ));
    rig.queue.remove_consumer(id);
    rig.consume(&reader, Options::default());
}

#[test]
fn a_full_connection_is_passed_over_until_it_has_room() {
    let mut rig = Rig::new();
    // A small message costs its octet and the overhead of 128: three of them reach the mark.
    let (slow, quick) = (Reader::with_marks(300, 130), Reader::new());
    rig.consume(
        &slow,
        Options {
            priority: 1,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..4);
    let held = slow.entries();
    assert_eq!(numbers(&held), [0, 1, 2]);
    rig.consume(&quick, Options::default());
    assert_eq!(quick.numbers(), [3]);
    slow.written(&held[..1]);
    rig.resume(&slow);
    rig.publish_numbers(4..5);
    assert_eq!(
        quick.numbers(),
        [4],
        "over the low mark the slow one still counts as full"
    );
    slow.written(&held[1..]);
    rig.resume(&slow);
    rig.publish_numbers(5..6);
    assert_eq!(slow.numbers(), [5]);
}

#[test]
fn a_message_larger_than_the_mark_is_still_delivered() {
    let mut rig = Rig::new();
    let reader = Reader::with_marks(1_000, 500);
    rig.consume(&reader, Options::default());
    rig.publish((0..3).map(|number| message(number, false, 5_000)));
    for number in 0..3 {
        let entries = reader.entries();
        assert_eq!(numbers(&entries), [number]);
        reader.written(&entries);
        rig.resume(&reader);
    }
}

#[test]
fn more_than_one_hand_out_at_a_time_keeps_its_order() {
    // Large bodies are pushed in parts while the queue still hands out.
    let mut rig = Rig::new();
    let readers = [Reader::new(), Reader::new()];
    for reader in &readers {
        rig.consume(reader, Options::default());
    }
    rig.publish((0..20).map(|number| message(number, false, 40_000)));
    assert_eq!(readers[0].numbers(), (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(readers[1].numbers(), (1..20).step_by(2).collect::<Vec<_>>());
}

#[test]
fn a_deleted_queue_takes_nothing_more() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            key: 7,
            prefetch: 1,
            ..Options::default()
        },
    );
    rig.publish_numbers(0..3);
    let held = reader.entries();
    assert_eq!(
        rig.queue.delete(true, true, &mut rig.effects),
        Err(DeleteRefused::NotEmpty)
    );
    assert_eq!(
        rig.queue.delete(true, false, &mut rig.effects),
        Err(DeleteRefused::InUse)
    );
    assert_eq!(
        rig.queue.delete(false, true, &mut rig.effects),
        Err(DeleteRefused::NotEmpty)
    );
    assert_eq!(rig.queue.delete(false, false, &mut rig.effects), Ok(2));
    assert!(matches!(
        reader.notices()[..],
        [Notice::Cancelled { consumer: 7 }]
    ));
    assert_eq!(rig.memory.used(), 0);

    let waiting = rig.publish([message(3, true, 1)]);
    assert_eq!(
        waiting,
        [],
        "a message for a queue that is gone waits for nothing"
    );
    rig.ack(Some(id), &held);
    rig.requeue(Some(id), held);
    assert_eq!(rig.counts().ready, 0);
    assert!(matches!(
        rig.try_consume(&reader, Options::default()),
        Err(ConsumeRefused::Gone)
    ));
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Gone));
    assert_eq!(
        rig.queue.delete(false, false, &mut rig.effects),
        Err(DeleteRefused::Gone)
    );
}

#[test]
fn only_persistent_messages_of_lasting_queues_wait_for_the_disk() {
    let mixed = || {
        [
            message(0, true, 1),
            message(1, false, 1),
            message(2, true, 1),
        ]
    };
    let mut durable = Rig::new();
    assert_eq!(durable.publish(mixed()), [(1, Ticket(1)), (3, Ticket(2))]);
    let mut transient = Rig::on(MemoryStore::manual(), properties(false, false), usize::MAX);
    assert_eq!(transient.publish(mixed()), []);
    assert_eq!(transient.store.newest(), Ticket::NONE);
}

#[test]
fn memory_is_counted_while_messages_wait() {
    let mut rig = Rig::new();
    rig.publish((0..4).map(|number| message(number, false, 100)));
    assert_eq!(rig.memory.used(), 4 * 228);
    let reader = Reader::new();
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 3,
            ..Options::default()
        },
    );
    assert_eq!(rig.memory.used(), 228);
    rig.requeue(Some(id), reader.entries());
    assert_eq!(rig.memory.used(), 228, "what came back went out again");
    assert_eq!(rig.purge(), 1);
    assert_eq!(rig.memory.used(), 0);
}
