//! What comes back after a restart, and how.

use super::*;

#[test]
fn confirmed_persistent_messages_come_back_in_order() {
    let mut story = Story::new();
    for number in 1..=3 {
        story.put(number, CLASSIC);
    }
    story.publish_to(4, true, &[CLASSIC]);
    story.kill();
    story.checker.counted(CLASSIC, 3);
    story.drain(CLASSIC, &[(1, false), (2, false), (3, false)]);
    story.expect(&[]);
}

#[test]
fn a_confirmed_message_that_is_missing_is_lost() {
    for end in [Story::kill, Story::stop] {
        let mut story = Story::new();
        story.put(1, CLASSIC);
        story.put(2, CLASSIC);
        end(&mut story);
        story.drain(CLASSIC, &[(2, false)]);
        story.expect(&[Kind::Lost]);
        assert_eq!(story.checker.tally().lost, 1);
    }
}

#[test]
fn a_message_must_be_in_each_of_its_queues() {
    let mut story = Story::new();
    story.publish_to(1, true, &[CLASSIC, QUORUM]);
    story.confirm(1);
    story.kill();
    story.drain(CLASSIC, &[(1, false)]);
    story.expect(&[]);
    story.drain(QUORUM, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn what_is_not_looked_at_is_still_owed_after_the_next_kill() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.kill();
    story.kill();
    story.drain(CLASSIC, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn an_unconfirmed_message_may_be_missing_but_not_once_it_was_seen() {
    let mut story = Story::new();
    story.publish_to(1, true, &[CLASSIC]);
    story.publish_to(2, true, &[CLASSIC]);
    story.kill();
    story.consume(WORKER, CLASSIC);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.kill();
    story.drain(CLASSIC, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn a_transient_message_is_gone_from_a_classic_queue_and_kept_by_a_quorum_queue() {
    let mut story = Story::new();
    story.publish_to(1, false, &[CLASSIC, QUORUM]);
    story.confirm(1);
    story.kill();
    story.drain(CLASSIC, &[]);
    story.expect(&[]);
    story.drain(QUORUM, &[]);
    story.expect(&[Kind::Lost]);
}

#[test]
fn a_transient_message_that_survives_is_seen() {
    let mut story = Story::new();
    story.publish_to(1, false, &[CLASSIC]);
    story.confirm(1);
    story.stop();
    story.drain(CLASSIC, &[(1, false)]);
    story.expect(&[Kind::Survived]);
}

#[test]
fn another_order_is_seen() {
    let mut story = Story::new();
    for number in 1..=3 {
        story.put(number, CLASSIC);
    }
    story.kill();
    story.drain(CLASSIC, &[(1, false), (3, false), (2, false)]);
    story.expect(&[Kind::Order]);
}

#[test]
fn what_was_out_has_its_place_again() {
    let mut story = Story::new();
    story.consume(WORKER, CLASSIC);
    for number in 1..=3 {
        story.put(number, CLASSIC);
    }
    story.deliver(WORKER, CLASSIC, 1, false);
    story.deliver(WORKER, CLASSIC, 2, false);
    story.kill();
    story.drain(CLASSIC, &[(3, false), (1, true), (2, true)]);
    story.expect(&[Kind::Order, Kind::Order]);
}

#[test]
fn a_consumer_gets_new_messages_in_order_while_it_works() {
    let mut story = Story::new();
    story.consume(WORKER, CLASSIC);
    for number in 1..=3 {
        story.put(number, CLASSIC);
    }
    story.deliver(WORKER, CLASSIC, 2, false);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.expect(&[Kind::Order]);
}

#[test]
fn messages_that_nobody_published_or_not_here_are_seen() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.drain(CLASSIC, &[(1, false), (2, false)]);
    story.expect(&[Kind::Unknown]);
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.consume(WORKER, QUORUM);
    story.deliver(WORKER, QUORUM, 1, false);
    story.expect(&[Kind::Misrouted]);
}

#[test]
fn a_wrong_body_is_told() {
    let mut story = Story::new();
    let what = "octet 3".to_owned();
    story.note(Happening::Damaged {
        queue: CLASSIC,
        what,
    });
    story.expect(&[Kind::WrongBody]);
}

#[test]
fn a_message_that_two_consumers_have_is_seen() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.consume(WORKER, CLASSIC);
    story.consume(OTHER, CLASSIC);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.deliver(OTHER, CLASSIC, 1, true);
    story.expect(&[Kind::Twice]);
}

#[test]
fn a_message_that_was_given_back_comes_again_and_is_marked() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.consume(WORKER, CLASSIC);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.settle(WORKER, CLASSIC, 1, Settlement::Requeue);
    story.deliver(WORKER, CLASSIC, 1, true);
    story.note(Happening::Stopped { consumer: WORKER });
    story.consume(OTHER, CLASSIC);
    story.deliver(OTHER, CLASSIC, 1, true);
    story.expect(&[]);
    story.settle(OTHER, CLASSIC, 1, Settlement::Requeue);
    story.deliver(OTHER, CLASSIC, 1, false);
    story.expect(&[Kind::NotMarked]);
}

#[test]
fn an_old_delivery_is_marked_after_a_kill_and_a_young_one_may_be() {
    let out = |wait: Nanos, redelivered: bool| {
        let mut story = Story::new();
        story.put(1, CLASSIC);
        story.consume(WORKER, CLASSIC);
        story.deliver(WORKER, CLASSIC, 1, false);
        story.wait(wait);
        story.kill();
        story.drain(CLASSIC, &[(1, redelivered)]);
        story
    };
    out(300 * MS, true).expect(&[]);
    out(300 * MS, false).expect(&[Kind::NotMarked]);
    out(100 * MS, true).expect(&[]);
    out(100 * MS, false).expect(&[]);
}

#[test]
fn a_delivery_is_marked_after_a_stop_and_after_a_later_confirm() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.consume(WORKER, CLASSIC);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.stop();
    story.drain(CLASSIC, &[(1, false)]);
    story.expect(&[Kind::NotMarked]);
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.consume(WORKER, CLASSIC);
    story.deliver(WORKER, CLASSIC, 1, false);
    story.put(2, QUORUM);
    story.kill();
    story.drain(CLASSIC, &[(1, false)]);
    story.expect(&[Kind::NotMarked]);
}

#[test]
fn a_mark_without_a_consumer_is_seen() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[Kind::Marked]);
    // With a consumer it may have been on its way.
    let mut story = Story::new();
    story.consume(WORKER, CLASSIC);
    story.put(1, CLASSIC);
    story.kill();
    story.drain(CLASSIC, &[(1, true)]);
    story.expect(&[]);
}

#[test]
fn delivery_counts_must_be_possible() {
    let counted = |redelivered: bool, count: Option<i64>| {
        let mut story = Story::new();
        story.put(1, QUORUM);
        story.consume(WORKER, QUORUM);
        story.deliver(WORKER, QUORUM, 1, false);
        story.settle(WORKER, QUORUM, 1, Settlement::Requeue);
        story.deliver(WORKER, QUORUM, 1, true);
        story.stop();
        story.consume(DRAINER, QUORUM);
        story.deliver_counted(DRAINER, QUORUM, 1, redelivered, count);
        story
    };
    counted(true, Some(2)).expect(&[]);
    // One delivery may have been on its way.
    counted(true, Some(3)).expect(&[]);
    counted(true, Some(1)).expect(&[Kind::DeliveryCount]);
    counted(true, Some(4)).expect(&[Kind::DeliveryCount]);
    counted(true, None).expect(&[Kind::DeliveryCount]);
    counted(false, None).expect(&[Kind::NotMarked]);
    counted(false, Some(2)).expect(&[Kind::NotMarked, Kind::DeliveryCount]);
}

#[test]
fn message_counts_must_be_possible() {
    let mut story = Story::new();
    story.put(1, CLASSIC);
    story.publish_to(2, true, &[CLASSIC]);
    story.kill();
    for (count, kinds) in [
        (1, &[][..]),
        (2, &[]),
        (0, &[Kind::Count]),
        (3, &[Kind::Count, Kind::Count]),
    ] {
        story.checker.counted(CLASSIC, count);
        story.expect(kinds);
    }
}

#[test]
fn a_refused_publish_is_told() {
    let mut story = Story::new();
    story.publish_to(1, true, &[CLASSIC]);
    story.note(Happening::Refused { message: id(1) });
    story.confirm(2);
    story.expect(&[Kind::Refused, Kind::Refused]);
}
