//! Acknowledged and rejected messages stay away, or come back while that is allowed.

use super::*;

/// Message 1 is out.
fn out(queue: QueueId, covers: bool) -> Story {
    let mut story = Story::with(covers);
    story.put(1, queue);
    story.consume(WORKER, queue);
    story.deliver(WORKER, queue, 1, false);
    story
}

/// It is settled, known to have arrived, and the broker is killed so much later.
fn settled_before_a_kill(how: Settlement, queue: QueueId, wait: Nanos) -> Story {
    let mut story = out(queue, true);
    story.settle(WORKER, queue, 1, how);
    story.sync(WORKER);
    story.wait(wait);
    story.kill();
    story
}

#[test]
fn an_old_acknowledgement_is_not_undone_by_a_kill() {
    for how in [Settlement::Ack, Settlement::Reject] {
        let mut story = settled_before_a_kill(how, CLASSIC, 300 * MS);
        story.checker.counted(CLASSIC, 0);
        story.expect(&[]);
        story.drain(CLASSIC, &[(1, true)]);
        story.expect(&[Kind::Returned]);
    }
}

#[test]
fn a_young_acknowledgement_may_be_undone_and_is_counted() {
    let mut story = settled_before_a_kill(Settlement::Ack, CLASSIC, 100 * MS);
    story.checker.counted(CLASSIC, 0);
    story.checker.counted(CLASSIC, 1);
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
    let tally = story.checker.tally();
    assert_eq!((tally.returned, tally.returned_arrived), (1, 1));
    assert!(tally.returned_oldest_arrived >= 100 * MS);
    assert!(tally.returned_oldest > tally.returned_oldest_arrived);
    // Once it was back and is acknowledged again, that counts anew.
    story.wait(300 * MS);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[Kind::Returned]);
}

#[test]
fn what_was_not_there_does_not_come_later() {
    let mut story = settled_before_a_kill(Settlement::Ack, CLASSIC, 100 * MS);
    story.drain(CLASSIC, &[]);
    story.expect(&[]);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[Kind::Returned]);
}

#[test]
fn an_acknowledgement_that_is_not_known_to_have_arrived_may_be_undone() {
    let mut story = out(CLASSIC, true);
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.wait(300 * MS);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
    assert_eq!(story.checker.tally().returned, 1);
    assert_eq!(story.checker.tally().returned_arrived, 0);
}

#[test]
fn an_answer_covers_only_what_was_sent_before_its_question() {
    let mut story = out(CLASSIC, true);
    let asked = story.now;
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.note(Happening::Synced {
        consumer: WORKER,
        asked,
    });
    story.wait(300 * MS);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
}

#[test]
fn a_confirm_covers_the_acknowledgements_before_its_publish() {
    for (covers, expected) in [(true, &[Kind::Returned][..]), (false, &[])] {
        let mut story = out(CLASSIC, covers);
        story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
        story.sync(WORKER);
        story.put(2, QUORUM);
        story.kill();
        story.drain(CLASSIC, &[(1, true)]);
        story.expect(expected);
    }
    // A confirm that needs no disk covers nothing.
    let mut story = out(CLASSIC, true);
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.sync(WORKER);
    story.publish_to(2, false, &[CLASSIC]);
    story.confirm(2);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
}

#[test]
fn an_arrived_acknowledgement_outlives_a_stop_whatever_its_age() {
    let mut story = out(CLASSIC, true);
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.sync(WORKER);
    story.stop();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[Kind::Returned]);
}

#[test]
fn what_was_acknowledged_after_the_kill_is_still_owed() {
    let mut story = out(CLASSIC, true);
    let killed = story.now;
    story.wait(10 * MS);
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.checker.end_life(End::Kill {
        at: killed,
        gone: killed + MS,
    });
    story.drain(CLASSIC, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn an_acknowledged_message_does_not_come_again_in_the_same_life() {
    let mut story = out(CLASSIC, true);
    story.settle(WORKER, CLASSIC, 1, Settlement::Ack);
    story.deliver(WORKER, CLASSIC, 1, true);
    story.expect(&[Kind::Twice]);
}

#[test]
fn a_rejected_message_is_among_the_dead_letters() {
    let mut story = settled_before_a_kill(Settlement::Reject, SOURCE, 300 * MS);
    story.drain(SOURCE, &[]);
    story.drain(LETTERS, &[(1, false)]);
    story.expect(&[]);
    let mut story = settled_before_a_kill(Settlement::Reject, SOURCE, 300 * MS);
    story.drain(LETTERS, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn after_a_young_rejection_the_message_is_here_or_there_or_in_both_but_not_nowhere() {
    let story = || settled_before_a_kill(Settlement::Reject, SOURCE, 100 * MS);
    let here = [(1, true)];
    let there = [(1, false)];
    for (source, letters, kinds) in [
        (&here[..], &[][..], &[][..]),
        (&[], &there, &[]),
        (&here, &there, &[]),
        (&[], &[], &[Kind::Lost]),
    ] {
        let mut story = story();
        story.drain(SOURCE, source);
        story.drain(LETTERS, letters);
        story.expect(kinds);
    }
    // Whichever is looked at first.
    let mut story = story();
    story.drain(LETTERS, &[]);
    story.drain(SOURCE, &[]);
    story.expect(&[]);
    story.drain(LETTERS, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn a_dead_letter_comes_once_for_each_rejection() {
    let mut story = settled_before_a_kill(Settlement::Reject, SOURCE, 100 * MS);
    story.consume(WORKER, SOURCE);
    story.deliver(WORKER, SOURCE, 1, true);
    story.settle(WORKER, SOURCE, 1, Settlement::Reject);
    story.sync(WORKER);
    story.stop();
    story.checker.counted(LETTERS, 1);
    story.checker.counted(LETTERS, 2);
    story.expect(&[]);
    story.consume(DRAINER, LETTERS);
    for kinds in [&[][..], &[], &[Kind::Twice]] {
        story.deliver(DRAINER, LETTERS, 1, !kinds.is_empty());
        story.settle(DRAINER, LETTERS, 1, Settlement::Ack);
        story.expect(kinds);
    }
}

#[test]
fn what_comes_while_connections_are_closed_one_by_one_is_not_judged() {
    let mut story = out(CLASSIC, true);
    story.consume(OTHER, CLASSIC);
    let at = story.now;
    story.checker.stopping(at);
    story.deliver(OTHER, CLASSIC, 1, true);
    story.stop();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
}
