//! Declares, binds, unbinds and deletes that were answered hold.

use super::*;
use crate::checker::Object;
use crate::log::{Binding, ExchangeDefinition};

fn passing(number: u32, durable: bool) -> Operation {
    Operation::DeclareQueue(QueueDefinition {
        id: QueueId(100 + number),
        name: "q".to_owned(),
        durable,
        quorum: false,
        dead_letters: None,
    })
}

fn exchange(durable: bool) -> Operation {
    Operation::DeclareExchange(ExchangeDefinition {
        name: "x".to_owned(),
        kind: "direct",
        durable,
    })
}

fn binding() -> Binding {
    Binding {
        exchange: "x".to_owned(),
        queue: "q".to_owned(),
        key: "k".to_owned(),
    }
}

fn delete_queue() -> Operation {
    Operation::DeleteQueue("q".to_owned())
}

fn delete_exchange() -> Operation {
    Operation::DeleteExchange("x".to_owned())
}

fn queue_object() -> Object {
    Object::Queue("q".to_owned())
}

fn exchange_object() -> Object {
    Object::Exchange("x".to_owned())
}

fn binding_object() -> Object {
    Object::Binding(binding())
}

impl Story {
    fn done(&mut self, operation: Operation) {
        self.note(Happening::Asked(operation.clone()));
        self.note(Happening::Done(operation));
    }

    /// All three are there.
    fn defined() -> Self {
        let mut story = Self::new();
        story.done(exchange(true));
        story.done(passing(0, true));
        story.done(Operation::Bind(binding()));
        story
    }
}

/// What is found of each after the last operation was done, or only asked for, and a kill.
fn found(operations: Vec<Operation>, answered: bool, object: &Object, present: bool) -> Story {
    let mut story = Story::defined();
    let count = operations.len();
    for (at, operation) in operations.into_iter().enumerate() {
        if at + 1 < count || answered {
            story.done(operation);
        } else {
            story.note(Happening::Asked(operation));
        }
    }
    story.kill();
    story.checker.observe(object, present);
    story
}

#[test]
fn an_undone_declare_or_bind_is_seen() {
    for object in [queue_object(), exchange_object(), binding_object()] {
        found(vec![], true, &object, true).expect(&[]);
        found(vec![], true, &object, false).expect(&[Kind::Undone]);
    }
}

#[test]
fn an_undone_delete_or_unbind_is_seen() {
    let unbind = Operation::Unbind(binding());
    for (operation, object) in [
        (delete_queue(), queue_object()),
        (delete_exchange(), exchange_object()),
        (unbind, binding_object()),
        // A binding goes with either of its ends.
        (delete_queue(), binding_object()),
        (delete_exchange(), binding_object()),
    ] {
        found(vec![operation.clone()], true, &object, false).expect(&[]);
        found(vec![operation], true, &object, true).expect(&[Kind::Undone]);
    }
}

#[test]
fn what_was_not_answered_may_be_so_or_so_and_then_stays() {
    for (operations, object) in [
        (vec![delete_queue()], queue_object()),
        (vec![delete_exchange()], exchange_object()),
        (vec![Operation::Unbind(binding())], binding_object()),
        (vec![delete_queue(), passing(1, true)], queue_object()),
        (vec![delete_exchange(), exchange(true)], exchange_object()),
    ] {
        for present in [true, false] {
            let mut story = found(operations.clone(), false, &object, present);
            story.expect(&[]);
            story.kill();
            story.checker.observe(&object, present);
            story.expect(&[]);
            story.kill();
            story.checker.observe(&object, !present);
            story.expect(&[Kind::Undone]);
        }
    }
}

#[test]
fn what_is_not_durable_must_be_gone_after_a_restart() {
    let mut story = Story::new();
    story.done(exchange(false));
    story.done(passing(0, false));
    story.done(Operation::Bind(binding()));
    story.stop();
    for object in [queue_object(), exchange_object(), binding_object()] {
        story.checker.observe(&object, false);
    }
    story.expect(&[]);
    story.checker.observe(&queue_object(), true);
    story.checker.observe(&exchange_object(), true);
    story.expect(&[Kind::Undone, Kind::Undone]);
}

#[test]
fn a_deleted_queue_owes_nothing_and_what_it_had_is_not_in_the_next_of_its_name() {
    let mut story = Story::defined();
    story.put(1, QueueId(100));
    story.done(delete_queue());
    story.done(passing(1, true));
    story.put(2, QueueId(101));
    story.kill();
    story.checker.observe(&queue_object(), true);
    story.drain(QueueId(101), &[(1, false), (2, false)]);
    story.expect(&[Kind::Misrouted]);
}

#[test]
fn an_old_purge_is_not_undone_and_one_that_was_not_answered_may_be() {
    let purge = Operation::Purge("q".to_owned());
    let purged = |wait: Nanos, answered: bool, messages: &[(u64, bool)]| {
        let mut story = Story::defined();
        story.put(1, QueueId(100));
        if answered {
            story.done(purge.clone());
        } else {
            story.note(Happening::Asked(purge.clone()));
        }
        story.put(2, QueueId(100));
        story.wait(wait);
        story.kill();
        story.drain(QueueId(100), messages);
        story
    };
    let (both, second) = ([(1, false), (2, false)], [(2, false)]);
    purged(300 * MS, true, &second).expect(&[]);
    purged(300 * MS, true, &both).expect(&[Kind::Returned]);
    // The confirm of the second came after the purge-ok.
    purged(100 * MS, true, &both).expect(&[Kind::Returned]);
    purged(300 * MS, false, &both).expect(&[]);
    purged(300 * MS, false, &second).expect(&[]);
    purged(300 * MS, false, &[]).expect(&[Kind::Lost]);
}

#[test]
fn a_queue_whose_delete_was_not_answered_may_be_empty() {
    let mut story = Story::defined();
    story.put(1, QueueId(100));
    story.note(Happening::Asked(delete_queue()));
    story.kill();
    story.checker.observe(&queue_object(), true);
    story.drain(QueueId(100), &[]);
    story.expect(&[]);
}
