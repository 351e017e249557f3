//! basic.qos: the prefetch of each consumer, and the one a channel shares.

use super::rig::{
    Client, Node, cancel, consume, consume_no_ack, declare, get, qos, qos_global, to,
};

/// A client with a queue `q` that holds `1` to `6`.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in 1..=6 {
        client.publish(1, to("q", &body.to_string()));
    }
    client.skip();
    client
}

#[test]
fn prefetch_is_for_consumers_that_start_later() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos(1));
    client.call(1, consume("q", "one"));
    client.call(1, qos(2));
    client.call(1, consume("q", "two"));
    assert_eq!(
        client.heard(),
        [
            "1 qos-ok",
            "1 consume-ok one",
            "1 qos-ok",
            "1 consume-ok two",
            "1 deliver one 1 1",
            "1 deliver two 2 2",
            "1 deliver two 3 3"
        ]
    );
    client.ack(1, 1, false);
    assert_eq!(
        client.heard(),
        ["1 deliver one 4 4"],
        "the first one keeps its limit"
    );
    client.ack(1, 0, true);
    let heard = client.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[test]
fn a_shared_prefetch_holds_for_all_consumers_of_the_channel() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos_global(3));
    client.call(1, consume("q", "one"));
    client.call(1, consume("q", "two"));
    client.call(2, consume_no_ack("q", "free"));
    let heard = client.heard();
    let of = |tag: &str| {
        heard
            .iter()
            .filter(|line| line.contains(&format!("deliver {tag}")))
            .count()
    };
    assert_eq!((of("one") + of("two"), of("free")), (3, 3));
    for body in ["a", "b"] {
        client.publish(2, to("q", body));
    }
    assert_eq!(client.heard(), ["2 deliver free 4 a", "2 deliver free 5 b"]);
    client.call(2, cancel("free"));
    client.publish(2, to("q", "c"));
    assert_eq!(client.heard(), ["2 cancel-ok free"]);
    client.ack(1, 1, false);
    let heard = client.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].ends_with(" 4 c"), "{heard:?}");
}

#[test]
fn both_limits_hold_together() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos(2));
    client.call(1, qos_global(3));
    client.call(1, consume("q", "one"));
    client.skip();
    assert_eq!(node.counts(), (4, 2, 1));
    client.call(1, consume("q", "two"));
    client.skip();
    assert_eq!(node.counts(), (3, 3, 2));
}

#[test]
fn a_prefetch_of_each_consumer_lifts_the_shared_one() {
    for count in [0, 1] {
        let node = Node::new();
        let mut client = client(&node);
        client.call(1, qos_global(2));
        client.call(1, consume("q", "c"));
        client.skip();
        assert_eq!(node.counts(), (4, 2, 1));
        client.call(1, qos(count));
        client.skip();
        assert_eq!(
            node.counts(),
            (0, 6, 1),
            "its own limit is that of its start"
        );
        client.publish(1, to("q", "7"));
        client.skip();
        client.call(1, qos_global(6));
        client.skip();
        assert_eq!(node.counts(), (0, 7, 1));
        client.publish(1, to("q", "8"));
        client.ack(1, 1, false);
        client.skip();
        assert_eq!(
            node.counts(),
            (1, 6, 1),
            "all that was given meanwhile counts"
        );
        client.ack(1, 2, false);
        client.skip();
        assert_eq!(node.counts(), (0, 6, 1));
    }
}

#[test]
fn a_shared_prefetch_counts_what_is_out_already() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, get("q"));
    client.call(1, get("q"));
    client.call(1, qos_global(3));
    client.call(1, consume("q", "c"));
    assert_eq!(
        client.heard(),
        [
            "1 get-ok 1 left 5 1",
            "1 get-ok 2 left 4 2",
            "1 qos-ok",
            "1 consume-ok c",
            "1 deliver c 3 3"
        ]
    );
    client.ack(1, 2, true);
    assert_eq!(client.heard(), ["1 deliver c 4 4", "1 deliver c 5 5"]);
    client.call(1, get("q"));
    assert_eq!(
        client.heard(),
        ["1 get-ok 6 left 0 6"],
        "a get does not obey it"
    );
    client.publish(1, to("q", "7"));
    client.ack(1, 6, false);
    assert!(client.heard().is_empty(), "but it counts");
    client.ack(1, 5, false);
    assert_eq!(client.heard(), ["1 deliver c 7 7"]);
}

#[test]
fn raising_or_lifting_a_shared_prefetch_releases_deliveries_at_once() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos_global(1));
    client.call(1, consume("q", "c"));
    client.skip();
    client.call(1, qos_global(3));
    assert_eq!(
        client.heard(),
        ["1 qos-ok", "1 deliver c 2 2", "1 deliver c 3 3"]
    );
    client.call(1, qos_global(2));
    client.ack(1, 1, false);
    assert_eq!(
        client.heard(),
        ["1 qos-ok"],
        "two are out, which is all that is allowed now"
    );
    client.call(1, qos_global(0));
    assert_eq!(
        client.heard(),
        [
            "1 qos-ok",
            "1 deliver c 4 4",
            "1 deliver c 5 5",
            "1 deliver c 6 6"
        ]
    );
    client.call(1, qos_global(6));
    client.publish(1, to("q", "7"));
    client.publish(1, to("q", "8"));
    assert_eq!(
        client.heard(),
        ["1 qos-ok", "1 deliver c 7 7"],
        "what came without a limit counts again"
    );
}

#[test]
fn shared_credit_that_is_given_back_serves_another_queue() {
    for requeue in [false, true] {
        let node = Node::new();
        let mut client = client(&node);
        client.call(2, declare("other"));
        client.call(1, qos_global(1));
        client.call(1, consume("q", "one"));
        client.call(1, consume("other", "two"));
        client.publish(2, to("other", "x"));
        client.skip();
        client.call(1, cancel("one"));
        client.skip();
        client.nack(1, 1, false, requeue);
        assert_eq!(client.heard(), ["1 deliver two 2 x"], "requeue {requeue}");
    }
}

#[test]
fn shared_credit_that_a_channel_gave_back_unused_is_not_lost() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos_global(2));
    client.call(1, consume("q", "c"));
    client.call(1, cancel("c"));
    client.ack(1, 0, true);
    client.flush();
    client.call(1, consume("q", "d"));
    let heard = client.heard();
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.contains("deliver d"))
            .count(),
        2,
        "{heard:?}"
    );
}
