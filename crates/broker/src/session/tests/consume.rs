//! basic.consume, basic.cancel, deliveries, and a client that does not read.

use leveret_protocol::ReplyCode;
use leveret_wire::AMQPValue;
use leveret_wire::method::{basic, queue};

use super::rig::{Client, Node, cancel, consume, consume_no_ack, declare, delete, get, qos, to};
use crate::Limits;

/// A client with a queue `q` that holds `a`, `b` and `c`.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in ["a", "b", "c"] {
        client.publish(1, to("q", body));
    }
    client.skip();
    client
}

#[test]
fn consume_ok_comes_before_the_first_delivery() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, consume("q", "t"));
    assert_eq!(
        client.heard(),
        [
            "1 consume-ok t",
            "1 deliver t 1 a",
            "1 deliver t 2 b",
            "1 deliver t 3 c"
        ]
    );
}

#[test]
fn delivery_tags_count_over_all_kinds_of_deliveries_of_a_channel() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(
        1,
        basic::Get {
            no_ack: true,
            ..get("q")
        },
    );
    client.call(1, get("q"));
    client.call(1, consume_no_ack("q", "t"));
    client.publish(1, to("q", "d"));
    client.flush();
    client.call(2, get("q"));
    assert_eq!(
        client.heard(),
        [
            "1 get-ok 1 left 2 a",
            "1 get-ok 2 left 1 b",
            "1 consume-ok t",
            "2 get-empty",
            "1 deliver t 3 c",
            "1 deliver t 4 d"
        ]
    );
}

#[test]
fn deliveries_on_their_way_come_before_cancel_ok() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos(2));
    client.call(1, consume("q", "t"));
    client.call(1, cancel("t"));
    assert_eq!(
        client.heard(),
        [
            "1 qos-ok",
            "1 consume-ok t",
            "1 deliver t 1 a",
            "1 deliver t 2 b",
            "1 cancel-ok t"
        ]
    );
    client.publish(1, to("q", "d"));
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (2, 2, 0), "what was out stays out");
    client.ack(1, 2, true);
    client.flush();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn a_cancelled_tag_is_free_again_and_an_unknown_one_is_no_error() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, cancel("never"));
    client.call(1, consume_no_ack("q", "t"));
    client.call(
        1,
        basic::Cancel {
            nowait: true,
            ..cancel("t")
        },
    );
    client.call(
        1,
        basic::Consume {
            nowait: true,
            ..consume("q", "t")
        },
    );
    client.publish(1, to("q", "d"));
    assert_eq!(
        client.heard(),
        [
            "1 cancel-ok never",
            "1 consume-ok t",
            "1 deliver t 1 a",
            "1 deliver t 2 b",
            "1 deliver t 3 c",
            "1 deliver t 4 d"
        ]
    );
}

#[test]
fn a_tag_can_be_used_once_on_a_channel() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, consume("q", "t"));
    client.call(2, consume("q", "t"));
    client.skip();
    let error = client.try_call(1, consume("q", "t")).unwrap_err();
    assert_eq!(error.code, ReplyCode::NotAllowed);
    assert_eq!(
        error.text,
        "NOT_ALLOWED - attempt to reuse consumer tag 't'"
    );
    assert_eq!((error.class, error.method), (60, 20));
}

#[test]
fn an_empty_tag_is_replaced_by_a_new_one() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    client.call(1, consume("q", ""));
    client.call(1, consume("q", ""));
    let heard = client.heard();
    let tags: Vec<&str> = heard[1..]
        .iter()
        .map(|line| line.strip_prefix("1 consume-ok ").unwrap())
        .collect();
    assert!(
        tags.iter()
            .all(|tag| tag.starts_with("amq.ctag-") && tag.len() == "amq.ctag-".len() + 22)
    );
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn consumers_that_cannot_start_are_refused() {
    let node = Node::with_limits(Limits {
        consumers_per_channel: 1,
        ..Limits::default()
    });
    let mut client = client(&node);
    client.call(1, consume("nope", "t"));
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 60 20"]
    );
    client.open(1);
    client.call(
        1,
        basic::Consume {
            exclusive: true,
            ..consume("q", "t")
        },
    );
    client.skip();
    client.call(2, consume("q", "u"));
    assert_eq!(
        client.heard(),
        ["2 close 403 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use 60 20"]
    );
    client.open(2);
    client.call(2, get("q"));
    assert_eq!(
        client.heard(),
        ["2 get-empty"],
        "an exclusive consumer does not keep others from basic.get"
    );
    let mut wrong = consume("q", "t");
    wrong
        .arguments
        .insert("x-priority".into(), AMQPValue::LongString("high".into()));
    client.call(2, wrong);
    assert_eq!(
        client.heard(),
        [
            "2 close 406 PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q' in vhost '/': \
             \"expected integer, got longstr\" 60 20"
        ]
    );
    let error = client.try_call(1, consume("q", "v")).unwrap_err();
    assert_eq!(
        error.text,
        "NOT_ALLOWED - reached maximum (1) of consumers per channel"
    );
}

#[test]
fn a_refused_consumer_leaves_nothing_behind() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(
        1,
        basic::Consume {
            exclusive: true,
            ..consume("q", "t")
        },
    );
    client.call(2, consume("q", "u"));
    client.skip();
    client.close_channel(1);
    client.skip();
    client.open(2);
    client.call(2, consume("q", "u"));
    assert_eq!(
        client.heard(),
        [
            "2 consume-ok u",
            "2 deliver u 1 a redelivered",
            "2 deliver u 2 b redelivered",
            "2 deliver u 3 c redelivered"
        ]
    );
}

#[test]
fn a_deleted_queue_cancels_its_consumers_after_delete_ok() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos(1));
    client.call(1, consume("q", "one"));
    client.call(2, consume_no_ack("q", "two"));
    let mut deaf = node.connect_as("guest", false);
    deaf.open(1);
    deaf.call(1, consume("q", "three"));
    deaf.skip();
    client.skip();
    client.call(1, delete("q"));
    let mut heard = client.heard();
    assert_eq!(heard.remove(0), "1 delete-ok 0");
    heard.sort();
    assert_eq!(heard, ["1 cancel one", "2 cancel two"]);
    assert!(
        deaf.heard().is_empty(),
        "it has not said that it understands basic.cancel"
    );
    client.ack(1, 1, false);
    assert!(client.heard().is_empty(), "late acknowledgements are fine");
    // The tag is free, and the channel of the deaf client knows nothing of it any more.
    client.call(1, declare("q"));
    client.call(1, consume("q", "one"));
    deaf.call(1, consume("q", "three"));
    assert_eq!(client.heard(), ["1 declare-ok q 0 0", "1 consume-ok one"]);
    assert_eq!(deaf.heard(), ["1 consume-ok three"]);
}

#[test]
fn deliveries_come_before_the_cancel_of_a_deleted_queue() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, consume("q", "t"));
    client.call(1, delete("q"));
    assert_eq!(
        client.heard(),
        [
            "1 consume-ok t",
            "1 deliver t 1 a",
            "1 deliver t 2 b",
            "1 deliver t 3 c",
            "1 delete-ok 0",
            "1 cancel t"
        ]
    );
    client.nack(1, 2, true, true);
    client.ack(1, 3, false);
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn consumers_of_two_connections_take_turns() {
    let node = Node::new();
    let mut first = node.client();
    first.call(1, declare("q"));
    first.call(1, consume_no_ack("q", "t"));
    let mut second = node.client();
    second.call(1, consume_no_ack("q", "t"));
    first.skip();
    second.skip();
    for body in ["a", "b", "c", "d"] {
        first.publish(2, to("q", body));
    }
    first.flush();
    assert!(second.is_woken());
    assert_eq!(first.heard(), ["1 deliver t 1 a", "1 deliver t 2 c"]);
    assert_eq!(second.heard(), ["1 deliver t 1 b", "1 deliver t 2 d"]);
}

#[test]
fn a_client_that_does_not_read_gets_no_more_than_its_share() {
    // Each message counts for one octet and 128 of overhead.
    let limits = Limits {
        outbox_high_bytes: 500,
        outbox_low_bytes: 150,
        ..Limits::default()
    };
    let node = Node::with_limits(limits);
    let mut client = node.client();
    client.call(1, declare("q"));
    client.call(1, consume("q", "t"));
    client.skip();
    let mut publisher = node.client();
    for body in "abcdefghij".split_terminator("").skip(1) {
        publisher.publish(1, to("q", body));
    }
    publisher.flush();
    client.poll_unwritten().unwrap();
    assert_eq!(
        client.lines(),
        [
            "1 deliver t 1 a",
            "1 deliver t 2 b",
            "1 deliver t 3 c",
            "1 deliver t 4 d"
        ]
    );
    client.written(151);
    client.poll_unwritten().unwrap();
    assert!(client.lines().is_empty(), "still over the low mark");
    assert_eq!(node.counts(), (6, 4, 1));
    client.written(150);
    client.poll_unwritten().unwrap();
    assert_eq!(
        client.lines(),
        [
            "1 deliver t 5 e",
            "1 deliver t 6 f",
            "1 deliver t 7 g",
            "1 deliver t 8 h"
        ]
    );
    assert_eq!(client.heard(), ["1 deliver t 9 i", "1 deliver t 10 j"]);
}

#[test]
fn acknowledgements_of_a_client_that_does_not_read_count_when_it_reads() {
    let limits = Limits {
        outbox_high_bytes: 300,
        outbox_low_bytes: 100,
        ..Limits::default()
    };
    let node = Node::with_limits(limits);
    let mut client = client(&node);
    client.publish(1, to("q", "d"));
    client.call(1, qos(3));
    client.call(1, consume("q", "t"));
    client.poll_unwritten().unwrap();
    client.skip();
    client.ack(1, 3, true);
    client.flush();
    client.poll_unwritten().unwrap();
    let mut lines = client.lines();
    lines.extend(client.heard());
    assert_eq!(lines, ["1 deliver t 4 d"]);
}

#[test]
fn a_full_connection_does_not_hold_up_others() {
    let limits = Limits {
        outbox_high_bytes: 200,
        outbox_low_bytes: 100,
        ..Limits::default()
    };
    let node = Node::with_limits(limits);
    let mut slow = client(&node);
    slow.call(1, consume("q", "slow"));
    slow.poll_unwritten().unwrap();
    assert_eq!(
        slow.lines(),
        [
            "1 consume-ok slow",
            "1 deliver slow 1 a",
            "1 deliver slow 2 b"
        ]
    );
    let mut quick = node.client();
    quick.call(1, consume("q", "quick"));
    assert_eq!(quick.heard(), ["1 consume-ok quick", "1 deliver quick 1 c"]);
}

#[test]
fn a_queue_of_another_connection_can_not_be_consumed() {
    let node = Node::new();
    let mut owner = node.client();
    owner.call(
        1,
        queue::Declare {
            exclusive: true,
            ..declare("mine")
        },
    );
    let mut other = node.client();
    other.call(1, consume("mine", "t"));
    let heard = other.heard();
    assert!(heard[0].starts_with(
        "1 close 405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine'"
    ));
    owner.call(1, consume("mine", "t"));
    other.publish(2, to("mine", "a"));
    other.flush();
    assert_eq!(
        owner.heard(),
        ["1 declare-ok mine 0 0", "1 consume-ok t", "1 deliver t 1 a"]
    );
}
