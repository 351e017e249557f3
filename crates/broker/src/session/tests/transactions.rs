//! tx.select, tx.commit and tx.rollback.

use leveret_store::{Call, FaultyStore, MemoryStore, StoreError};
use leveret_wire::method::{exchange, queue, tx};

use super::rig::{
    Client, Node, bind, confirm_select, consume, consume_no_ack, declare, declare_durable,
    declare_exchange, get, persistent, qos, routed, to,
};
use crate::Limits;

/// A client whose channel 1 is transactional; queue `q` holds `a`, `b` and `c`.
fn client<S: leveret_store::Store>(node: &Node<S>) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    for body in ["a", "b", "c"] {
        client.publish(1, to("q", body));
    }
    client.call(1, tx::Select {});
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

#[test]
fn publishes_are_seen_with_the_commit() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, to("q", "d"));
    client.publish(1, to("q", "e"));
    client.flush();
    assert_eq!(node.counts().0, 3);
    client.publish(2, to("q", "at once"));
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 commit-ok"]);
    assert_eq!(ready(&node), ["a", "b", "c", "at once", "d", "e"]);
}

#[test]
fn a_commit_is_answered_when_it_is_durable() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare_durable("d"));
    node.sync();
    client.skip();
    client.publish(1, persistent("d", "x"));
    client.call(1, tx::Commit {});
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(client.heard(), ["1 commit-ok"]);
    client.publish(1, to("q", "next transaction"));
    assert_eq!(node.counts().0, 4);
}

#[test]
fn nothing_but_a_close_may_come_while_a_commit_waits_for_the_disk() {
    type Step = fn(&mut Client) -> Result<(), leveret_protocol::ConnectionError>;
    let steps: [(&str, (u16, u16), Step); 4] = [
        ("publish", (60, 40), |client| {
            client.try_publish(1, to("q", "x"), false)
        }),
        ("get", (60, 70), |client| client.try_call(1, get("q"))),
        ("reject", (60, 90), |client| client.try_reject(1, 1)),
        ("commit", (90, 20), |client| {
            client.try_call(1, tx::Commit {})
        }),
    ];
    for (name, ids, step) in steps {
        let node = Node::new();
        let mut client = client(&node);
        client.call(2, declare_durable("d"));
        node.sync();
        client.call(1, get("q"));
        client.call(2, get("q"));
        client.publish(1, persistent("d", "x"));
        client.call(1, tx::Commit {});
        client.skip();
        client.ack(2, 1, false);
        let error = step(&mut client).unwrap_err();
        assert_eq!(
            error.text, "CHANNEL_ERROR - unexpected command while processing 'tx.commit'",
            "{name}"
        );
        assert_eq!(
            (error.code.as_u16(), error.class, error.method),
            (504, ids.0, ids.1)
        );
    }
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare_durable("d"));
    node.sync();
    client.publish(1, persistent("d", "x"));
    client.call(1, tx::Commit {});
    client.skip();
    client.close_channel(1);
    node.sync();
    assert_eq!(client.heard(), ["1 commit-ok", "1 close-ok"]);
}

#[test]
fn a_commit_without_durable_publishes_waits_for_nobody() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare_durable("d"));
    node.sync();
    client.call(2, confirm_select());
    client.skip();
    client.publish(2, persistent("d", "of another channel"));
    client.publish(1, to("q", "d"));
    client.call(1, tx::Commit {});
    client.publish(1, to("q", "e"));
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 commit-ok", "1 commit-ok"]);
    assert_eq!(node.counts().0, 6);
}

#[test]
fn a_message_goes_where_its_exchange_led_when_it_was_published() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare("other"));
    client.call(2, declare_exchange("x", "direct"));
    client.call(2, bind("q", "x", "k"));
    client.skip();
    client.publish_mandatory(1, routed("x", "k", "d"));
    client.publish_mandatory(1, routed("x", "new", "e"));
    client.call(2, bind("other", "x", "k"));
    client.call(2, bind("other", "x", "new"));
    client.call(
        2,
        exchange::Delete {
            exchange: "x".into(),
            if_unused: false,
            nowait: false,
        },
    );
    client.skip();
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 return e", "1 commit-ok"]);
    assert_eq!(ready(&node), ["a", "b", "c", "d"]);
}

#[test]
fn queues_are_known_by_their_names_until_the_commit() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare_exchange("x", "fanout"));
    client.call(2, declare("gone"));
    client.call(2, bind("gone", "x", ""));
    client.publish_mandatory(1, routed("x", "", "d"));
    client.publish_mandatory(1, to("gone", "e"));
    client.publish_mandatory(1, to("late", "f"));
    client.call(2, super::rig::delete("gone"));
    client.call(2, declare("late"));
    client.skip();
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 return d", "1 return e", "1 commit-ok"]);
    assert_eq!(node.counts().0, 4);
    client.publish_mandatory(1, routed("x", "", "nowhere"));
    client.call(2, declare("gone"));
    client.call(2, bind("gone", "x", ""));
    client.publish_mandatory(1, routed("x", "", "g"));
    client.call(2, super::rig::delete("gone"));
    client.call(2, declare("gone"));
    client.skip();
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 return nowhere", "1 commit-ok"]);
    client.call(
        2,
        queue::Declare {
            passive: true,
            ..declare("gone")
        },
    );
    assert_eq!(client.heard(), ["2 declare-ok gone 1 0"]);
}

#[test]
fn a_rollback_drops_publishes_and_undoes_acknowledgements() {
    let node = Node::new();
    let mut client = client(&node);
    for _ in 0..3 {
        client.call(1, get("q"));
    }
    client.skip();
    client.publish(1, to("q", "dropped"));
    client.ack(1, 1, false);
    client.nack(1, 2, false, true);
    client.reject(1, 3, false);
    client.call(1, tx::Rollback {});
    assert_eq!(client.heard(), ["1 rollback-ok"]);
    assert_eq!(
        node.counts(),
        (0, 3, 0),
        "they stay out, and are not requeued"
    );
    // Once more, in another order; this time for good.
    client.ack(1, 2, false);
    client.ack(1, 3, true);
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 commit-ok"]);
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn settles_count_with_the_commit() {
    let node = Node::new();
    let mut client = client(&node);
    for _ in 0..3 {
        client.call(1, get("q"));
    }
    client.skip();
    client.ack(1, 1, false);
    client.nack(1, 2, false, true);
    client.reject(1, 3, false);
    client.flush();
    assert_eq!(node.counts(), (0, 3, 0));
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 commit-ok"]);
    assert_eq!(node.counts(), (1, 0, 0));
    assert_eq!(ready(&node), ["b redelivered"]);
}

#[test]
fn a_held_acknowledgement_frees_no_credit() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, qos(1));
    client.call(1, consume("q", "t"));
    client.skip();
    client.ack(1, 1, false);
    assert!(client.heard().is_empty());
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 commit-ok", "1 deliver t 2 b"]);
}

#[test]
fn what_can_be_refused_is_refused_at_once() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, to("q", "held"));
    client.publish(1, routed("nowhere", "k", "x"));
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no exchange 'nowhere' in vhost '/' 60 40"]
    );
    client.open(1);
    client.call(1, tx::Select {});
    client.ack(1, 1, false);
    assert_eq!(
        client.heard(),
        [
            "1 tx.select-ok",
            "1 close 406 PRECONDITION_FAILED - unknown delivery tag 1 60 80"
        ]
    );
    assert_eq!(
        ready(&node),
        ["a", "b", "c"],
        "what was held went with the channel"
    );
}

#[test]
fn unroutable_messages_come_back_with_the_commit() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish_mandatory(1, to("nowhere", "x"));
    assert!(client.heard().is_empty());
    client.call(1, tx::Commit {});
    assert_eq!(client.heard(), ["1 return x", "1 commit-ok"]);
}

#[test]
fn the_end_of_a_channel_rolls_back_and_requeues() {
    for by_channel in [true, false] {
        let node = Node::new();
        let mut client = client(&node);
        client.call(1, get("q"));
        client.call(1, get("q"));
        client.ack(1, 1, false);
        client.publish(1, to("q", "dropped"));
        client.skip();
        if by_channel {
            client.close_channel(1);
        } else {
            client.close();
        }
        assert_eq!(
            ready(&node),
            ["a redelivered", "b redelivered", "c"],
            "by channel: {by_channel}"
        );
    }
}

#[test]
fn a_commit_that_fails_loses_no_message() {
    let node = Node::on(FaultyStore::new(MemoryStore::new()), Limits::default());
    let mut client = client(&node);
    client.call(2, declare_durable("d"));
    client.call(1, get("q"));
    client.skip();
    client.publish(1, persistent("d", "x"));
    client.ack(1, 1, false);
    node.store.fail(
        Call::Append,
        1,
        StoreError::Unavailable("for a test".to_owned()),
    );
    client.try_call(1, tx::Commit {}).unwrap_err();
    client.close();
    assert_eq!(
        node.counts(),
        (3, 0, 0),
        "some are owed by a channel that is gone"
    );
}

#[test]
fn a_channel_confirms_or_is_transactional() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, tx::Select {});
    client.call(1, confirm_select());
    assert_eq!(
        client.heard(),
        [
            "1 tx.select-ok",
            "1 close 406 PRECONDITION_FAILED - cannot switch from tx to confirm mode 85 10"
        ]
    );
    client.call(2, confirm_select());
    client.call(2, tx::Select {});
    assert_eq!(
        client.heard(),
        [
            "2 confirm.select-ok",
            "2 close 406 PRECONDITION_FAILED - cannot switch from confirm to tx mode 90 10"
        ]
    );
    for plain in [true, false] {
        client.open(1);
        if plain {
            client.call(1, tx::Commit {});
        } else {
            client.call(1, tx::Rollback {});
        }
        let method = if plain { 20 } else { 30 };
        assert_eq!(
            client.heard(),
            [format!(
                "1 close 406 PRECONDITION_FAILED - channel is not transactional 90 {method}"
            )]
        );
    }
}

#[test]
fn a_transaction_has_a_size() {
    let node = Node::with_limits(Limits {
        transaction_bytes: 1_000,
        ..Limits::default()
    });
    let mut client = client(&node);
    client.publish(1, to("q", "small"));
    client.publish(1, to("q", &"x".repeat(2_000)));
    assert_eq!(
        client.heard(),
        [
            "1 close 406 PRECONDITION_FAILED - transaction is larger than configured max size 1000 60 40"
        ]
    );
    assert_eq!(ready(&node), ["a", "b", "c"]);
}

#[test]
fn a_shared_limit_knows_what_a_transaction_holds() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, get("q"));
    client.ack(1, 1, false);
    client.call(1, super::rig::qos_global(1));
    client.call(1, consume("q", "t"));
    client.skip();
    assert_eq!(
        node.counts(),
        (2, 1, 1),
        "the acknowledgement is not committed: a is still out"
    );
    client.call(1, tx::Rollback {});
    client.ack(1, 1, false);
    client.call(1, tx::Commit {});
    assert_eq!(
        client.heard(),
        ["1 rollback-ok", "1 commit-ok", "1 deliver t 2 b"]
    );
}
