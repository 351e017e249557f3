//! basic.ack, basic.nack, basic.reject and basic.recover.

use leveret_wire::method::basic;

use super::rig::{Client, Node, cancel, consume, consume_no_ack, declare, get, to};

/// A client to which `1` to `6` of queue `q` were delivered on channel 1 with these tags; the
/// consumer is gone, so nothing that comes back is delivered again.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in 1..=6 {
        client.publish(1, to("q", &body.to_string()));
    }
    client.call(1, consume("q", "t"));
    client.call(1, cancel("t"));
    client.skip();
    client
}

/// What is ready in `q`.
fn ready(node: &Node) -> Vec<String> {
    let mut client = node.client();
    client.call(1, consume_no_ack("q", "t"));
    client.heard()[1..]
        .iter()
        .map(|line| line.splitn(5, ' ').nth(4).unwrap().to_owned())
        .collect()
}

fn unknown(tag: u64, method: u16) -> [String; 1] {
    [format!(
        "1 close 406 PRECONDITION_FAILED - unknown delivery tag {tag} 60 {method}"
    )]
}

#[test]
fn an_unknown_tag_ends_the_channel() {
    type Send = fn(&mut Client);
    let node = Node::new();
    let refused: [(Send, u64, u16); 8] = [
        (|client| client.ack(1, 7, false), 7, 80),
        (|client| client.ack(1, 0, false), 0, 80),
        (|client| client.ack(1, 7, true), 7, 80),
        (|client| client.nack(1, 9, false, true), 9, 120),
        (|client| client.nack(1, 9, true, false), 9, 120),
        (|client| client.reject(1, 8, true), 8, 90),
        (|client| client.reject(1, 0, false), 0, 90),
        (|client| client.ack(1, u64::MAX, false), u64::MAX, 80),
    ];
    for (send, tag, method) in refused {
        let mut client = client(&node);
        send(&mut client);
        assert_eq!(client.heard(), unknown(tag, method));
        assert_eq!(node.counts(), (6, 0, 0), "all went back");
        client.call(2, super::rig::delete("q"));
    }
}

#[test]
fn a_tag_is_settled_once() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 2, false);
    client.ack(1, 2, false);
    assert_eq!(client.heard(), unknown(2, 80));
    assert_eq!(node.counts(), (5, 0, 0), "the first acknowledgement counts");
}

#[test]
fn a_tag_of_another_channel_is_unknown() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(2, 1, false);
    assert_eq!(
        client.heard(),
        ["2 close 406 PRECONDITION_FAILED - unknown delivery tag 1 60 80"]
    );
    client.ack(1, 1, false);
    assert!(client.heard().is_empty());
}

#[test]
fn a_delivery_without_acknowledgement_has_no_tag_to_settle() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    client.call(1, consume_no_ack("q", "t"));
    client.publish(1, to("q", "a"));
    client.skip();
    client.ack(1, 1, false);
    assert_eq!(client.heard(), unknown(1, 80));
}

#[test]
fn multiple_settles_everything_up_to_the_tag() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 4, true);
    client.flush();
    assert_eq!(node.counts(), (0, 2, 0));
    client.ack(1, 6, true);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 0));
    assert_eq!(node.broker.totals().acknowledged, 6);
}

#[test]
fn multiple_passes_over_what_was_settled_before() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 4, false);
    client.ack(1, 2, false);
    client.ack(1, 5, true);
    client.flush();
    assert_eq!(node.counts(), (0, 1, 0));
    client.ack(1, 6, false);
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn multiple_with_a_tag_that_was_settled_settles_nothing() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 4, false);
    client.ack(1, 4, true);
    assert_eq!(client.heard(), unknown(4, 80));
    assert_eq!(ready(&node).len(), 5);
}

#[test]
fn tag_zero_with_multiple_means_all_and_is_never_unknown() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 3, false);
    client.ack(1, 0, true);
    client.ack(1, 0, true);
    client.nack(1, 0, true, true);
    client.ack(2, 0, true);
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn what_is_requeued_comes_again_in_its_place() {
    let node = Node::new();
    let mut client = client(&node);
    client.reject(1, 3, true);
    client.nack(1, 1, false, true);
    client.ack(1, 2, false);
    client.nack(1, 6, true, true);
    client.flush();
    assert_eq!(
        ready(&node),
        [
            "1 redelivered",
            "3 redelivered",
            "4 redelivered",
            "5 redelivered",
            "6 redelivered"
        ]
    );
}

#[test]
fn what_is_discarded_is_gone() {
    let node = Node::new();
    let mut client = client(&node);
    client.reject(1, 3, false);
    client.nack(1, 1, false, false);
    client.nack(1, 5, true, false);
    client.flush();
    assert_eq!(node.counts(), (0, 1, 0));
    assert_eq!(
        node.broker.totals().acknowledged,
        0,
        "a discarded message was not acknowledged"
    );
}

#[test]
fn acknowledgements_count_when_the_read_is_over() {
    let node = Node::new();
    let mut client = client(&node);
    client.ack(1, 1, false);
    client.ack(1, 2, false);
    assert_eq!(node.counts(), (0, 6, 0));
    client.flush();
    assert_eq!(node.counts(), (0, 4, 0));
    client.ack(1, 3, false);
    client.call(2, declare("other"));
    assert_eq!(
        node.counts(),
        (0, 3, 0),
        "any other command comes after them"
    );
}

#[test]
fn messages_of_several_queues_are_settled_together() {
    let node = Node::new();
    let mut client = node.client();
    for queue in ["p", "q"] {
        client.call(1, declare(queue));
        client.call(1, consume(queue, queue));
    }
    for body in ["1", "2", "3"] {
        client.publish(1, to("p", body));
        client.publish(1, to("q", body));
        client.flush();
    }
    client.skip();
    client.ack(1, 3, true);
    client.flush();
    assert_eq!(node.counts(), (0, 3, 2));
    client.nack(1, 6, true, true);
    let heard = client.heard();
    assert_eq!(heard.len(), 3);
    assert!(
        heard.iter().all(|line| line.ends_with("redelivered")),
        "{heard:?}"
    );
    client.ack(1, 0, true);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 2));
}

#[test]
fn recover_ok_comes_before_the_redeliveries() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare("q"));
    client.call(1, consume("q", "t"));
    client.publish(1, to("q", "a"));
    client.publish(1, to("q", "b"));
    client.skip();
    client.call(1, basic::Recover { requeue: true });
    assert_eq!(
        client.heard(),
        [
            "1 recover-ok",
            "1 deliver t 3 a redelivered",
            "1 deliver t 4 b redelivered"
        ]
    );
    client.ack(1, 3, false);
    client.call(1, basic::RecoverAsync { requeue: true });
    assert_eq!(client.heard(), ["1 deliver t 5 b redelivered"]);
    let error = client
        .try_call(1, basic::Recover { requeue: false })
        .unwrap_err();
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (540, "NOT_IMPLEMENTED - requeue=false")
    );
}

#[test]
fn recover_gives_back_what_get_took_and_cancelled_consumers_had() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, to("q", "7"));
    client.call(1, get("q"));
    client.skip();
    client.call(1, basic::Recover { requeue: true });
    assert_eq!(client.heard(), ["1 recover-ok"]);
    assert_eq!(node.counts(), (7, 0, 0));
    assert_eq!(ready(&node)[6], "7 redelivered");
}

#[test]
fn a_message_in_two_queues_is_two_messages() {
    let node = Node::new();
    let mut client = node.client();
    for queue in ["p", "q"] {
        client.call(1, declare(queue));
        client.call(1, super::rig::bind(queue, "amq.fanout", ""));
    }
    client.publish(1, super::rig::routed("amq.fanout", "", "a"));
    client.call(1, get("p"));
    client.nack(1, 1, false, true);
    client.skip();
    client.call(1, get("p"));
    client.call(1, get("q"));
    assert_eq!(
        client.heard(),
        ["1 get-ok 2 left 0 a redelivered", "1 get-ok 3 left 0 a"]
    );
}
