//! A store that fails, and one that does not keep up.

use leveret_store::{Call, FaultyStore, MemoryStore, StoreError};
use leveret_wire::method::queue;

use super::rig::{
    Client, Node, confirm_select, consume, declare, declare_durable, get, persistent, to,
};
use crate::Limits;

type Faulty = FaultyStore<MemoryStore>;

fn node() -> Node<Faulty> {
    let node = Node::on(FaultyStore::new(MemoryStore::manual()), Limits::default());
    sync(&node);
    node
}

fn sync(node: &Node<Faulty>) {
    let store = node.store.inner();
    store.make_durable(store.newest());
}

/// A client with a durable queue `d` and a confirming channel 1.
fn client(node: &Node<Faulty>) -> Client {
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.call(1, confirm_select());
    sync(node);
    client.skip();
    client
}

#[test]
fn a_store_that_fails_ends_the_connection() {
    let node = node();
    let mut client = client(&node);
    node.store.fail(Call::Append, 1, StoreError::Full);
    client.publish(1, persistent("d", "a"));
    let error = client.try_flush().unwrap_err();
    assert_eq!(error.code.as_u16(), 541);
    assert!(
        error
            .text
            .starts_with("INTERNAL_ERROR - the store failed: "),
        "{}",
        error.text
    );
    client.close();
    assert_eq!(node.broker.connections(), 0);
}

#[test]
fn a_sync_that_fails_ends_the_connections_that_wait_for_it() {
    let node = node();
    let mut client = client(&node);
    let mut other = node.client();
    client.publish(1, persistent("d", "a"));
    client.flush();
    other.call(1, declare_durable("d2"));
    node.store.poison("disk on fire");
    node.store.fail(
        Call::Report,
        1,
        StoreError::Poisoned("disk on fire".to_owned()),
    );
    sync(&node);
    for client in [&mut client, &mut other] {
        assert!(client.is_woken() || client.lines().is_empty());
        let error = client.poll_unwritten().unwrap_err();
        assert_eq!(error.code.as_u16(), 541);
        assert!(error.text.contains("disk on fire"), "{}", error.text);
        assert!(client.lines().is_empty(), "nothing is confirmed");
    }
}

#[test]
fn a_declaration_that_can_not_be_stored_is_no_success() {
    let node = node();
    let mut client = client(&node);
    node.store.fail(Call::Change, 1, StoreError::Full);
    let error = client.try_call(1, declare_durable("d2")).unwrap_err();
    assert_eq!(
        (error.code.as_u16(), error.class, error.method),
        (541, 50, 10)
    );
    client.close();
    let mut client = node.client();
    client.call(
        1,
        queue::Declare {
            passive: true,
            ..declare("d2")
        },
    );
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no queue 'd2' in vhost '/' 50 10"]
    );
}

#[test]
fn a_connection_ended_by_the_store_gives_back_what_it_had() {
    let node = node();
    let mut client = client(&node);
    client.call(1, declare("q"));
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    client.publish(1, to("q", "a"));
    client.publish(1, to("q", "b"));
    client.call(1, get("q"));
    client.call(2, consume("q", "t"));
    client.skip();
    node.store.fail(Call::Append, 1, StoreError::Full);
    client.publish(1, persistent("d", "x"));
    client.try_flush().unwrap_err();
    client.close();
    assert_eq!(node.counts(), (2, 0, 0));
    assert_eq!(
        node.broker.queue_totals().queues,
        2,
        "its exclusive queue has gone"
    );
}

#[test]
fn a_connection_ends_as_a_whole_though_the_store_takes_nothing() {
    let node = node();
    let mut client = client(&node);
    client.publish(1, persistent("d", "a"));
    client.call(1, declare("q"));
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    client.publish(1, to("q", "b"));
    client.call(1, get("d"));
    client.call(2, get("d"));
    client.call(2, get("q"));
    client.call(2, consume("q", "t"));
    client.call(1, consume("q", "u"));
    client.skip();
    // The store has to hear that `a` goes to the next one who waits for it, and it does not listen.
    let mut next = node.client();
    next.call(1, consume("d", "n"));
    next.skip();
    for _ in 0..10 {
        node.store.fail(Call::Append, 1, StoreError::Full);
    }
    client.close();
    let totals = node.broker.queue_totals();
    assert_eq!(
        (totals.queues, totals.consumers),
        (2, 1),
        "exclusive queue and consumers have gone"
    );
    assert_eq!(totals.ready, 1, "b is back");
}

#[test]
fn what_a_full_store_refused_does_not_come_back_later() {
    let node = node();
    let mut client = client(&node);
    client.call(2, get("d"));
    let mut other = node.client();
    other.publish(1, persistent("d", "1"));
    other.call(1, get("d"));
    other.skip();
    node.store.fail(Call::Append, 1, StoreError::Full);
    client.publish(1, persistent("d", "refused"));
    client.try_flush().unwrap_err();
    client.close();
    // There is room again; the next message takes the place in the queue that the refused one
    // was to have.
    other.publish(1, persistent("d", "2"));
    other.nack(1, 1, false, true);
    other.skip();
    let newest = node.store.inner().newest();
    node.store.inner().make_durable(newest);
    let after = Node::on(node.store.inner().reopen(), Limits::default());
    let mut reader = after.client();
    reader.call(1, consume("d", "t"));
    after.store.answer();
    assert_eq!(
        reader.heard(),
        [
            "1 consume-ok t",
            "1 deliver t 1 1 redelivered",
            "1 deliver t 2 2"
        ]
    );
}

#[test]
fn operations_left_over_from_a_failure_are_not_written_with_others() {
    let node = node();
    let mut client = client(&node);
    // Something that the end of the connection gives back, so that it talks to the store again.
    client.publish(1, persistent("d", "first"));
    client.call(2, get("d"));
    client.skip();
    let mut waiting = node.client();
    waiting.call(1, consume("d", "w"));
    waiting.skip();
    node.store.fail(Call::Append, 1, StoreError::Full);
    client.publish(1, persistent("d", "refused"));
    client.try_flush().unwrap_err();
    client.close();
    assert_eq!(
        waiting.heard(),
        ["block low on disk", "1 deliver w 1 first redelivered"]
    );
    sync(&node);
    let after = Node::on(node.store.inner().reopen(), Limits::default());
    assert_eq!(
        after.counts(),
        (1, 0, 0),
        "the refused message has got into the store"
    );
}

/// A publisher whose unsynced octets were within the limit when it flushed, and are not any more
/// when its socket is to be read, because of others.
#[test]
fn a_publisher_that_is_held_back_is_woken_when_it_may_go_on() {
    let node = Node::with_limits(Limits {
        unsynced_bytes: 2_000,
        ..Limits::default()
    });
    let mut first = node.client();
    first.call(1, declare_durable("d"));
    node.sync();
    first.skip();
    let mut second = node.client();
    second.skip();
    first.publish(1, persistent("d", "small"));
    first.flush();
    first.poll_unwritten().unwrap();
    assert!(first.wants_input());
    second.publish(1, persistent("d", &"x".repeat(4_000)));
    second.flush();
    second.poll_unwritten().unwrap();
    assert!(
        !first.wants_input(),
        "the node has too much that is not durable"
    );
    assert!(!second.wants_input());
    node.sync();
    assert!(first.wants_input() && second.wants_input());
    assert!(second.is_woken());
    assert!(
        first.is_woken(),
        "nobody tells it that its socket can be read again"
    );
}

#[test]
fn a_publisher_of_transient_messages_is_not_held_back() {
    let node = Node::with_limits(Limits {
        unsynced_bytes: 0,
        ..Limits::default()
    });
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.skip();
    client.publish(1, to("d", "transient"));
    client.flush();
    assert!(client.wants_input());
    client.publish(1, persistent("d", "durable"));
    client.flush();
    client.poll_unwritten().unwrap();
    assert!(!client.wants_input());
    node.sync();
    assert!(client.is_woken());
    assert!(client.wants_input());
}

#[test]
fn a_consumer_that_the_store_refuses_leaves_nothing_behind() {
    let node = node();
    let mut client = client(&node);
    client.publish(1, persistent("d", "a"));
    client.skip();
    let mut other = node.client();
    node.store.fail(Call::Append, 1, StoreError::Full);
    other.try_call(1, consume("d", "c")).unwrap_err();
    other.close();
    assert_eq!(node.counts(), (1, 0, 0));
    client.call(1, consume("d", "n"));
    let heard = client.heard();
    assert_eq!(heard.last().unwrap(), "1 deliver n 1 a");
}

#[test]
fn a_backlog_that_can_not_be_read_is_read_again_by_the_timer() {
    let node = node();
    let mut client = client(&node);
    client.publish(1, persistent("d", "a"));
    client.skip();
    sync(&node);
    let store = FaultyStore::new(node.store.inner().reopen());
    let broken = || StoreError::Unavailable("for a test".to_owned());
    store.fail(Call::Fetch, 1, broken());
    let after = Node::on(store, Limits::default());
    after.store.inner().answer();
    after.store.fail(Call::Fetch, 1, broken());
    let mut reader = after.client();
    reader.call(1, consume("d", "t"));
    after.store.inner().answer();
    assert_eq!(reader.heard(), ["1 consume-ok t"]);
    let again = after.broker.next_deadline().expect("the timer knows of it");
    after.broker.run_deadlines(again);
    after.store.inner().answer();
    assert_eq!(reader.heard(), ["1 deliver t 1 a"]);
    assert_eq!(after.broker.next_deadline(), None);
}
