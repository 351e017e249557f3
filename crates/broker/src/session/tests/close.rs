//! What the end of a consumer, a channel or a connection gives back and takes with it.

use leveret_wire::method::{basic, queue};

use super::rig::{Client, Node, cancel, consume, consume_no_ack, declare, get, qos, to};
use crate::CloseReason;

/// A client with a queue `q` that holds `a` to `d`.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in ["a", "b", "c", "d"] {
        client.publish(1, to("q", body));
    }
    client.skip();
    client
}

/// What a new client gets from `q`, one by one.
fn drained(node: &Node) -> Vec<String> {
    let mut client = node.client();
    client.call(1, consume_no_ack("q", "t"));
    client.heard()[1..]
        .iter()
        .map(|line| line.splitn(5, ' ').nth(4).unwrap().to_owned())
        .collect()
}

#[test]
fn a_closed_channel_gives_back_what_is_unacknowledged_in_order() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, qos(2));
    client.call(2, consume("q", "t"));
    client.call(1, get("q"));
    client.skip();
    assert_eq!(node.counts(), (1, 3, 1));
    client.close_channel(2);
    assert_eq!(client.heard(), ["2 close-ok"]);
    assert_eq!(node.counts(), (3, 1, 0));
    assert_eq!(drained(&node), ["a redelivered", "b redelivered", "d"]);
    client.ack(1, 1, false);
    assert!(client.heard().is_empty());
}

#[test]
fn a_closed_connection_gives_back_what_is_unacknowledged_in_order() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, get("q"));
    client.call(2, qos(2));
    client.call(2, consume("q", "t"));
    client.skip();
    client.ack(2, 1, false);
    client.skip();
    client.close();
    assert_eq!(node.counts(), (3, 0, 0));
    assert_eq!(
        drained(&node),
        ["a redelivered", "c redelivered", "d redelivered"]
    );
    assert_eq!(
        node.broker.connections(),
        1,
        "the one that is not closed is the one that drained"
    );
}

#[test]
fn what_never_left_the_mailbox_is_not_redelivered() {
    for by_channel in [true, false] {
        let node = Node::new();
        let mut client = client(&node);
        client.call(2, consume("q", "t"));
        assert_eq!(node.counts(), (0, 4, 1), "the queue has given them away");
        if by_channel {
            client.close_channel(2);
        } else {
            client.close();
        }
        assert_eq!(
            drained(&node),
            ["a", "b", "c", "d"],
            "by channel: {by_channel}"
        );
    }
}

#[test]
fn what_comes_back_goes_to_the_next_consumer_in_order() {
    for by_channel in [true, false] {
        let node = Node::new();
        let mut client = client(&node);
        client.call(2, qos(2));
        client.call(2, consume("q", "t"));
        client.skip();
        client.call(2, qos(0));
        client.call(2, consume("q", "u"));
        // a and b are out, c and d are still in the mailbox; somebody else waits for them all.
        let mut next = node.client();
        next.call(1, consume("q", "n"));
        next.skip();
        if by_channel {
            client.close_channel(2);
        } else {
            client.close();
        }
        assert_eq!(
            next.heard(),
            [
                "1 deliver n 1 a redelivered",
                "1 deliver n 2 b redelivered",
                "1 deliver n 3 c",
                "1 deliver n 4 d"
            ],
            "by channel: {by_channel}"
        );
    }
}

#[test]
fn the_end_of_a_connection_wakes_those_who_wait() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, consume("q", "t"));
    client.skip();
    let mut next = node.client();
    next.call(1, consume("q", "n"));
    next.skip();
    client.close();
    assert!(next.is_woken());
    assert_eq!(next.heard().len(), 4);
}

#[test]
fn an_auto_delete_queue_goes_with_its_last_consumer() {
    enum End {
        Cancel,
        Channel,
        Connection,
    }
    for end in [End::Cancel, End::Channel, End::Connection] {
        let node = Node::new();
        let mut client = node.client();
        client.call(
            1,
            queue::Declare {
                auto_delete: true,
                ..declare("q")
            },
        );
        client.publish(1, to("q", "a"));
        client.call(
            1,
            basic::Get {
                no_ack: true,
                ..get("q")
            },
        );
        assert_eq!(node.broker.queue_totals().queues, 1, "a get is no consumer");
        client.call(1, consume("q", "t"));
        client.call(2, consume("q", "u"));
        client.call(1, cancel("t"));
        client.skip();
        assert_eq!(node.broker.queue_totals().queues, 1);
        match end {
            End::Cancel => {
                client.call(2, cancel("u"));
                assert_eq!(
                    client.heard(),
                    ["2 cancel-ok u"],
                    "no basic.cancel for who cancels"
                );
            }
            End::Channel => client.close_channel(2),
            End::Connection => client.close(),
        }
        assert_eq!(node.broker.queue_totals().queues, 0);
        assert_eq!(node.broker.totals().queues_deleted, 1);
    }
}

#[test]
fn an_auto_delete_queue_takes_its_messages_with_it() {
    let node = Node::new();
    let mut client = node.client();
    client.call(
        1,
        queue::Declare {
            auto_delete: true,
            ..declare("q")
        },
    );
    client.call(2, get("q"));
    client.publish(1, to("q", "a"));
    client.call(2, get("q"));
    client.publish(1, to("q", "b"));
    client.call(1, qos(1));
    client.call(1, consume("q", "t"));
    client.skip();
    client.close_channel(1);
    client.skip();
    client.ack(2, 1, false);
    client.call(
        2,
        queue::Declare {
            passive: true,
            ..declare("q")
        },
    );
    assert_eq!(
        client.heard(),
        ["2 close 404 NOT_FOUND - no queue 'q' in vhost '/' 50 10"]
    );
}

#[test]
fn exclusive_queues_go_with_their_connection() {
    let node = Node::new();
    let mut client = node.client();
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            durable: true,
            ..declare("mine too")
        },
    );
    client.call(1, declare("shared"));
    client.publish(1, to("mine", "a"));
    client.close_channel(1);
    client.skip();
    assert_eq!(
        node.broker.queue_totals().queues,
        3,
        "with the connection, not with the channel"
    );
    client.close();
    assert_eq!(node.broker.queue_totals().queues, 1);
    let mut other = node.client();
    other.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    assert_eq!(other.heard(), ["1 declare-ok mine 0 0"]);
}

#[test]
fn the_exclusive_queue_of_another_connection_cancels_its_consumers_nowhere_else() {
    let node = Node::new();
    let mut client = node.client();
    client.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    client.call(1, consume("mine", "t"));
    client.call(1, super::rig::delete("mine"));
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok mine 0 0",
            "1 consume-ok t",
            "1 delete-ok 0",
            "1 cancel t"
        ]
    );
    client.close();
    assert_eq!(
        node.broker.totals().queues_deleted,
        1,
        "not a second time with the connection"
    );
}

#[test]
fn consumers_are_counted_until_they_end() {
    let node = Node::new();
    let mut client = client(&node);
    for (channel, tag) in [(1, "a"), (1, "b"), (2, "c"), (2, "d")] {
        client.call(channel, consume("q", tag));
    }
    let ended = |node: &Node| node.broker.totals().consumers_closed;
    assert_eq!(node.broker.totals().consumers_opened, 4);
    client.call(1, cancel("a"));
    assert_eq!(ended(&node), 1);
    client.close_channel(1);
    assert_eq!(ended(&node), 2, "a closed channel ends its consumers");
    client.close();
    assert_eq!(ended(&node), 4, "a closed connection ends its consumers");
    let totals = node.broker.totals();
    assert_eq!((totals.channels_opened, totals.channels_closed), (2, 2));
}

#[test]
fn a_connection_that_is_asked_to_end_hears_the_reason() {
    let node = Node::new();
    let mut client = client(&node);
    client.skip();
    node.broker.close_connections(&CloseReason::Shutdown);
    assert!(client.is_woken());
    let error = client.poll_unwritten().unwrap_err();
    assert_eq!(
        error.text,
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    );
    client.close();
    let mut client = node.client();
    node.broker
        .close_connections(&CloseReason::Forced("too long".to_owned()));
    let error = client.poll_unwritten().unwrap_err();
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (320, "CONNECTION_FORCED - too long")
    );
}
