//! basic.get, and what happens when its message has to be read from the store first.

use super::rig::{Options, Reader, Rig, number, numbers};
use crate::mailbox::{Got, Notice};
use crate::queue::{GetOutcome, QueueCounts};

/// A queue whose oldest ready message is in the store: `reader` has taken the 512 of the window.
fn paged_out(reader: &Reader, left: u64) -> Rig {
    let mut rig = Rig::with_memory(0);
    rig.publish_numbers(0..1);
    rig.publish_numbers(1..512 + left);
    let id = rig.consume(
        reader,
        Options {
            prefetch: 512,
            ..Options::default()
        },
    );
    rig.queue.remove_consumer(id);
    let held = reader.entries();
    assert_eq!(held.len(), 512);
    rig.ack(Some(id), &held);
    rig
}

fn got(outcome: GetOutcome) -> Got {
    match outcome {
        GetOutcome::Got(got) => got,
        other => panic!("{other:?}"),
    }
}

/// Answers that came through the mailbox: request, and number and remaining of its message.
fn answers(reader: &Reader) -> Vec<(u64, Option<(u64, u64)>)> {
    reader
        .notices()
        .into_iter()
        .filter_map(|notice| match notice {
            Notice::Got { request, got, .. } => Some((
                request,
                got.map(|got| (number(&got.entry.message), got.remaining)),
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn a_get_takes_the_oldest_message_and_tells_how_many_are_left() {
    let mut rig = Rig::new();
    let reader = Reader::new();
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Empty));
    rig.publish_numbers(0..3);
    let first = got(rig.get(false, &reader, 2));
    assert_eq!((number(&first.entry.message), first.remaining), (0, 2));
    let second = got(rig.get(true, &reader, 3));
    assert_eq!((number(&second.entry.message), second.remaining), (1, 1));
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 1,
            unacked: 1,
            bytes: 2,
            consumers: 0
        }
    );
    rig.requeue(None, vec![first.entry]);
    let again = got(rig.get(false, &reader, 4));
    assert!(again.entry.redelivered());
    rig.ack(None, &[again.entry]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 1,
            unacked: 0,
            bytes: 1,
            consumers: 0
        }
    );
}

#[test]
fn a_get_waits_for_the_store_ahead_of_consumers() {
    let reader = Reader::new();
    let mut rig = paged_out(&reader, 5);
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Waiting));
    assert!(matches!(rig.get(true, &reader, 2), GetOutcome::Waiting));
    let consumer = Reader::new();
    rig.consume(&consumer, Options::default());
    rig.store.answer();
    assert_eq!(answers(&reader), [(1, Some((512, 4))), (2, Some((513, 3)))]);
    assert_eq!(consumer.numbers(), [514, 515, 516]);
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 0,
            unacked: 4,
            bytes: 12,
            consumers: 1
        }
    );
}

#[test]
fn a_get_that_waits_takes_what_comes_back_first() {
    let reader = Reader::new();
    let mut rig = Rig::with_memory(0);
    rig.publish_numbers(0..1);
    rig.publish_numbers(1..520);
    let id = rig.consume(
        &reader,
        Options {
            prefetch: 512,
            ..Options::default()
        },
    );
    rig.queue.remove_consumer(id);
    let mut held = reader.entries();
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Waiting));
    rig.requeue(Some(id), vec![held.remove(3)]);
    assert_eq!(answers(&reader), [(1, Some((3, 8)))]);
}

#[test]
fn a_purge_answers_gets_that_wait() {
    let reader = Reader::new();
    let mut rig = paged_out(&reader, 5);
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Waiting));
    assert_eq!(rig.purge(), 5);
    assert_eq!(answers(&reader), [(1, None)]);
    rig.store.answer();
    assert_eq!(rig.counts(), QueueCounts::default());
}

#[test]
fn a_deleted_queue_answers_gets_that_wait() {
    let reader = Reader::new();
    let mut rig = paged_out(&reader, 5);
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Waiting));
    assert_eq!(rig.queue.delete(false, false, &mut rig.effects), Ok(5));
    assert_eq!(answers(&reader), [(1, None)]);
    rig.store.answer();
    assert_eq!(answers(&reader), []);
}

#[test]
fn the_message_of_a_get_whose_connection_ended_goes_back() {
    let reader = Reader::new();
    let mut rig = paged_out(&reader, 3);
    assert!(matches!(rig.get(false, &reader, 1), GetOutcome::Waiting));
    assert!(reader.mailbox.shut().is_empty());
    rig.store.answer();
    assert_eq!(
        rig.counts(),
        QueueCounts {
            ready: 3,
            unacked: 0,
            bytes: 9,
            consumers: 0
        }
    );
    let other = Reader::new();
    rig.consume(&other, Options::default());
    let entries = other.entries();
    assert_eq!(numbers(&entries), [512, 513, 514]);
    assert!(!entries[0].redelivered(), "it was never sent");
}
