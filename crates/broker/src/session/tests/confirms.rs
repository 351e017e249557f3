//! Publisher confirms: when they are due, and what they must not be sent for.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_store::{
    Change, Claimed, DueDone, DueKey, DurableWaiter, FetchDone, FetchLimit, MemoryStore, Operation,
    QueueId, Seq, Store, StoreError, Ticket, Usage,
};
use leveret_wire::method::queue;

use super::rig::{
    Client, Node, bind, confirm_select, consume_no_ack, declare, declare_durable, declare_exchange,
    delete, persistent, routed, to,
};
use crate::Limits;

/// A client with a durable queue `d` and a transient one `t`; channel 1 confirms.
fn publisher(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.call(1, declare("t"));
    node.sync();
    client.call(1, confirm_select());
    client.skip();
    client
}

#[test]
fn a_persistent_message_is_confirmed_once_it_is_durable() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, persistent("d", "a"));
    assert!(client.heard().is_empty());
    node.sync();
    assert!(client.is_woken());
    assert_eq!(client.heard(), ["1 ack 1"]);
    assert!(client.heard().is_empty(), "only once");
}

#[test]
fn a_run_is_confirmed_by_one_ack() {
    let node = Node::new();
    let mut client = publisher(&node);
    for body in ["a", "b", "c"] {
        client.publish(1, persistent("d", body));
    }
    client.flush();
    for body in ["d", "e"] {
        client.publish(1, persistent("d", body));
    }
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(client.heard(), ["1 ack 5 multiple"]);
}

#[test]
fn what_is_durable_is_confirmed_and_the_rest_waits() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, persistent("d", "a"));
    client.flush();
    let first = node.store.newest();
    client.publish(1, persistent("d", "b"));
    client.publish(1, persistent("d", "c"));
    client.flush();
    node.store.make_durable(first);
    assert_eq!(client.heard(), ["1 ack 1"]);
    node.sync();
    assert_eq!(client.heard(), ["1 ack 3 multiple"]);
}

#[test]
fn what_needs_no_disk_is_confirmed_with_the_flush() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, to("d", "transient"));
    client.publish(1, persistent("t", "to a queue that does not last"));
    client.publish(1, to("nowhere", "unroutable"));
    assert!(client.lines().is_empty());
    client.flush();
    assert_eq!(client.lines(), ["1 ack 3 multiple"]);
}

#[test]
fn an_exclusive_queue_does_not_last_whatever_its_flag_says() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare_durable("e")
        },
    );
    client.publish(1, persistent("e", "a"));
    assert_eq!(client.heard(), ["1 declare-ok e 0 0", "1 ack 1"]);
}

#[test]
fn a_confirm_covers_nothing_that_still_waits() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, persistent("d", "a"));
    client.publish(1, to("t", "b"));
    assert!(
        client.heard().is_empty(),
        "an ack for 2 alone may come, but not one that covers 1"
    );
    node.sync();
    assert_eq!(client.heard(), ["1 ack 2 multiple"]);
}

#[test]
fn a_message_for_several_queues_is_confirmed_once_and_after_the_last() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.call(1, declare_durable("d2"));
    node.sync();
    for queue in ["d", "d2", "t"] {
        client.call(1, bind(queue, "amq.fanout", ""));
    }
    node.sync();
    client.skip();
    client.publish(
        1,
        persistent("amq.fanout", "x")
            .with_routing(b"amq.fanout", b"")
            .unwrap(),
    );
    client.flush();
    let newest = node.store.newest();
    node.store.make_durable(Ticket(newest.0 - 1));
    assert!(
        client.heard().is_empty(),
        "the other queue's copy is not durable yet"
    );
    node.sync();
    assert_eq!(client.heard(), ["1 ack 1"]);
}

#[test]
fn a_message_comes_back_before_its_confirm() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish_mandatory(1, to("nowhere", "a"));
    client.publish_mandatory(1, to("t", "b"));
    client.publish_mandatory(1, to("nowhere", "c"));
    assert_eq!(
        client.heard(),
        ["1 return a", "1 return c", "1 ack 3 multiple"]
    );
}

#[test]
fn a_message_comes_back_before_its_confirm_when_the_channel_is_held() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.call(1, declare_durable("d2"));
    client.publish_mandatory(1, to("nowhere", "a"));
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(
        client.heard(),
        ["1 declare-ok d2 0 0", "1 return a", "1 ack 1"]
    );
}

#[test]
fn each_channel_counts_for_itself() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(2, to("t", "before"));
    client.call(2, confirm_select());
    client.publish(1, to("t", "a"));
    client.publish(2, to("t", "b"));
    client.publish(1, to("t", "c"));
    let mut heard = client.heard();
    heard.sort();
    assert_eq!(
        heard,
        ["1 ack 2 multiple", "2 ack 1", "2 confirm.select-ok"]
    );
    client.call(1, confirm_select());
    client.publish(1, to("t", "d"));
    assert_eq!(
        client.heard(),
        ["1 confirm.select-ok", "1 ack 3"],
        "a second select does not begin anew"
    );
}

#[test]
fn a_refused_message_is_not_confirmed() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, to("t", "a"));
    client.flush();
    client.skip();
    client.publish(1, routed("nowhere", "k", "b"));
    client.publish(1, to("t", "c"));
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no exchange 'nowhere' in vhost '/' 60 40"]
    );
}

#[test]
fn a_channel_that_ended_confirms_nothing_more() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, persistent("d", "a"));
    client.close_channel(1);
    client.skip();
    client.open(1);
    client.call(1, confirm_select());
    client.publish(1, persistent("d", "b"));
    client.publish(1, persistent("d", "c"));
    client.flush();
    node.sync();
    assert_eq!(
        client.heard(),
        ["1 confirm.select-ok", "1 ack 2 multiple"],
        "the new channel counts from 1"
    );
}

#[test]
fn a_queue_deleted_meanwhile_counts_as_having_taken_the_message() {
    let node = Node::new();
    let mut client = publisher(&node);
    let mut other = node.client();
    client.publish(1, persistent("d", "a"));
    other.call(1, delete("d"));
    client.publish(1, persistent("d", "b"));
    client.flush();
    node.sync();
    assert_eq!(client.heard(), ["1 ack 2 multiple"]);
}

#[test]
fn a_message_that_was_consumed_is_confirmed_when_the_store_says_so() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.call(2, consume_no_ack("d", "c"));
    client.skip();
    client.publish(1, persistent("d", "a"));
    assert_eq!(client.heard(), ["2 deliver c 1 a"]);
    node.sync();
    assert_eq!(client.heard(), ["1 ack 1"]);
}

#[test]
fn confirms_are_counted() {
    let node = Node::new();
    let mut client = publisher(&node);
    client.publish(1, to("t", "a"));
    client.publish(1, to("nowhere", "b"));
    client.publish_mandatory(1, to("nowhere", "c"));
    client.publish(2, to("t", "d"));
    client.flush();
    let totals = node.broker.totals();
    assert_eq!(
        (totals.received, totals.received_confirm, totals.confirmed),
        (4, 3, 3)
    );
    assert_eq!(
        (
            totals.routed,
            totals.unroutable_dropped,
            totals.unroutable_returned
        ),
        (2, 1, 1)
    );
    assert_eq!((totals.publishers_opened, totals.publishers_closed), (2, 0));
    client.close();
    assert_eq!(node.broker.totals().publishers_closed, 2);
}

/// A store in which everything becomes durable right after somebody has looked how far it is: a
/// disk that is as quick as it can be at the worst moment.
struct Creeping(MemoryStore);

impl Store for Creeping {
    fn definitions(&self) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        self.0.definitions()
    }

    fn change(&self, changes: Vec<Change>) -> Result<Ticket, StoreError> {
        self.0.change(changes)
    }

    fn next_queue_id(&self) -> QueueId {
        self.0.next_queue_id()
    }

    fn claim(&self, queue: QueueId) -> Result<Claimed, StoreError> {
        self.0.claim(queue)
    }

    fn recovered(&self) {
        self.0.recovered();
    }

    fn append(&self, operations: &mut Vec<Operation>) -> Result<Ticket, StoreError> {
        self.0.append(operations)
    }

    fn durable(&self) -> Ticket {
        let seen = self.0.durable();
        self.0.make_durable(self.0.newest());
        seen
    }

    fn on_durable(&self, ticket: Ticket, waiter: Arc<dyn DurableWaiter>) {
        self.0.on_durable(ticket, waiter);
    }

    fn fetch(&self, queue: QueueId, from: Seq, limit: FetchLimit, done: FetchDone) {
        self.0.fetch(queue, from, limit, done);
    }

    fn order_by_due(&self, queue: QueueId) -> Result<(), StoreError> {
        self.0.order_by_due(queue)
    }

    fn fetch_due(
        &self,
        queue: QueueId,
        from: DueKey,
        until: u64,
        limit: FetchLimit,
        done: DueDone,
    ) {
        self.0.fetch_due(queue, from, until, limit, done);
    }

    fn drop_queue(&self, queue: QueueId) -> Result<Ticket, StoreError> {
        self.0.drop_queue(queue)
    }

    fn backlog_bytes(&self) -> usize {
        self.0.backlog_bytes()
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// A message that becomes durable between two looks of one call is not to be forgotten: there
/// may be no other event that would bring the session back to it.
#[test]
fn a_store_that_is_done_between_two_looks_is_not_missed() {
    let node = Node::on(Creeping(MemoryStore::manual()), Limits::default());
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.store.0.answer();
    client.poll_unwritten().unwrap();
    assert_eq!(client.lines(), ["1 declare-ok d 0 0"]);
    client.call(1, confirm_select());
    client.publish(1, persistent("d", "a"));
    client.flush();
    node.store.0.answer();
    client.poll_unwritten().unwrap();
    assert_eq!(client.lines(), ["1 confirm.select-ok", "1 ack 1"]);
    client.call(1, declare_exchange("x", "direct"));
    assert_eq!(client.lines(), ["1 exchange.declare-ok"]);
}
