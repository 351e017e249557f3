//! basic.get, and one that must wait for the store.

use leveret_wire::method::basic;

use super::rig::{Client, Node, consume, consume_no_ack, declare, delete, get, to};
use crate::Limits;

/// A client, and a queue `q` whose two messages `x` and `y` only the store has.
fn paged_out() -> (Node, Client) {
    let node = Node::with_limits(Limits {
        message_memory_bytes: 0,
        ..Limits::default()
    });
    let mut client = node.client();
    client.call(2, declare("q"));
    client.publish(2, to("q", "first"));
    client.flush();
    for _ in 1..512 {
        client.publish(2, to("q", "filler"));
    }
    client.publish(2, to("q", "x"));
    client.publish(2, to("q", "y"));
    client.flush();
    let mut drain = node.client();
    drain.call(1, consume_no_ack("q", "t"));
    // The store has not answered yet: what was in memory is all there is to drain.
    drain.close();
    client.skip();
    assert_eq!(node.counts(), (2, 0, 0));
    (node, client)
}

#[test]
fn a_get_is_answered_with_the_oldest_message() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    client.publish(1, to("q", "a"));
    client.publish(1, to("q", "b"));
    client.call(1, get("q"));
    client.call(
        1,
        basic::Get {
            no_ack: true,
            ..get("q")
        },
    );
    client.call(1, get("q"));
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok q 0 0",
            "1 get-ok 1 left 1 a",
            "1 get-ok 2 left 0 b",
            "1 get-empty"
        ]
    );
    client.ack(1, 1, false);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 0));
    let totals = node.broker.totals();
    assert_eq!(
        (totals.got_manual_ack, totals.got_auto_ack, totals.get_empty),
        (1, 1, 1)
    );
}

#[test]
fn a_get_that_waits_for_the_store_keeps_its_place() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.call(1, declare("t"));
    client.call(2, declare("u"));
    client.call(1, get("q"));
    client.call(1, get("t"));
    assert_eq!(client.heard(), ["2 declare-ok u 0 0"]);
    assert!(!client.is_settled());
    node.store.answer();
    assert!(client.is_woken());
    assert_eq!(
        client.heard(),
        [
            "1 get-ok 1 left 1 x",
            "1 declare-ok t 0 0",
            "1 get-ok 2 left 0 y",
            "1 get-empty"
        ]
    );
    assert!(client.is_settled());
    client.ack(1, 2, true);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn a_get_comes_before_a_consumer_that_starts_later() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.call(2, consume("q", "c"));
    node.store.answer();
    let mut heard = client.heard();
    heard.sort();
    assert_eq!(
        heard,
        ["1 get-ok 1 left 1 x", "2 consume-ok c", "2 deliver c 1 y"]
    );
}

#[test]
fn a_get_that_waits_is_answered_when_its_queue_goes() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.call(2, delete("q"));
    let mut heard = client.heard();
    heard.sort();
    assert_eq!(heard, ["1 get-empty", "2 delete-ok 2"]);
    node.store.answer();
    assert!(client.heard().is_empty());
}

#[test]
fn the_message_of_a_get_goes_back_when_its_channel_closed_meanwhile() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.close_channel(1);
    node.store.answer();
    let heard = client.heard();
    assert_eq!(heard.last().unwrap(), "1 close-ok");
    assert_eq!(node.counts(), (2, 0, 0));
    client.call(2, get("q"));
    let heard = client.heard();
    assert!(heard[0].starts_with("2 get-ok 1 left 1 x"), "{heard:?}");
}

#[test]
fn the_message_of_a_get_goes_back_when_the_machine_closed_its_channel_meanwhile() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.channel_failed(1);
    node.store.answer();
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn the_message_of_a_get_goes_back_when_its_connection_ended_meanwhile() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.close();
    node.store.answer();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn the_message_of_a_get_goes_back_when_its_connection_ends_before_it_looks() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    node.store.answer();
    client.close();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn an_answer_for_a_channel_that_was_opened_anew_is_not_mistaken() {
    let (node, mut client) = paged_out();
    client.call(1, get("q"));
    client.channel_failed(1);
    client.open(1);
    client.call(1, get("q"));
    node.store.answer();
    let heard = client.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("1 get-ok 1 left"), "{heard:?}");
    client.ack(1, 1, false);
    client.flush();
    assert_eq!(node.counts(), (1, 0, 0));
}
