//! Answers that wait for the disk, and everything on the channel that must stay behind them.

use leveret_wire::FieldTable;
use leveret_wire::method::{exchange, queue};

use super::rig::{
    Client, Node, bind, cancel, consume, consume_no_ack, declare, declare_durable,
    declare_exchange, delete, get, persistent, to,
};
use crate::Limits;

/// A client with a transient queue `q` that holds `a` and `b`.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("q"));
    client.publish(1, to("q", "a"));
    client.publish(1, to("q", "b"));
    client.skip();
    client
}

#[test]
fn a_durable_declaration_is_answered_when_it_is_durable() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    client.call(
        1,
        exchange::Declare {
            durable: true,
            ..declare_exchange("x", "direct")
        },
    );
    assert!(client.heard().is_empty());
    assert!(!client.is_settled());
    node.sync();
    assert!(client.is_woken());
    assert_eq!(
        client.heard(),
        ["1 declare-ok d 0 0", "1 exchange.declare-ok"]
    );
    assert!(client.is_settled());
    client.call(1, declare_durable("d"));
    assert_eq!(
        client.heard(),
        ["1 declare-ok d 0 0"],
        "there already: nothing to wait for"
    );
}

#[test]
fn a_durable_deletion_is_answered_when_it_is_durable() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.skip();
    client.call(1, delete("d"));
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(client.heard(), ["1 delete-ok 0"]);
}

#[test]
fn the_cancellation_by_a_deletion_comes_together_with_its_answer() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d"));
    node.sync();
    client.call(1, consume("d", "c"));
    client.skip();
    client.call(1, delete("d"));
    assert!(
        client.heard().is_empty(),
        "who hears of the cancellation may close the connection before delete-ok is there"
    );
    node.sync();
    assert_eq!(client.heard(), ["1 delete-ok 0", "1 cancel c"]);
}

#[test]
fn everything_on_the_channel_stays_behind_what_waits() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("q"));
    client.call(1, consume("q", "c"));
    client.publish_mandatory(1, to("nowhere", "r"));
    client.call(1, cancel("c"));
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok d 0 0",
            "1 get-ok 1 left 1 a",
            "1 consume-ok c",
            "1 return r",
            "1 deliver c 2 b",
            "1 cancel-ok c"
        ]
    );
}

#[test]
fn other_channels_are_not_held() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(2, consume_no_ack("q", "c"));
    client.call(2, declare("t"));
    assert_eq!(
        client.heard(),
        [
            "2 consume-ok c",
            "2 declare-ok t 0 0",
            "2 deliver c 1 a",
            "2 deliver c 2 b"
        ]
    );
    client.close_channel(2);
    assert_eq!(client.heard(), ["2 close-ok"]);
    node.sync();
    assert_eq!(client.heard(), ["1 declare-ok d 0 0"]);
}

#[test]
fn a_soft_error_stays_behind_what_waits() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("nope"));
    client.call(1, declare("ignored"));
    client.publish(1, to("q", "ignored"));
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok d 0 0",
            "1 close 404 NOT_FOUND - no queue 'nope' in vhost '/' 60 70"
        ]
    );
    assert_eq!(node.counts().0, 2);
    client.open(1);
    client.call(1, get("q"));
    assert_eq!(client.heard(), ["1 get-ok 1 left 1 a"]);
}

#[test]
fn close_ok_stays_behind_what_waits() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.close_channel(1);
    assert!(client.heard().is_empty());
    node.sync();
    assert_eq!(client.heard(), ["1 declare-ok d 0 0", "1 close-ok"]);
}

#[test]
fn a_client_that_closes_a_failing_channel_gets_close_ok() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("nope"));
    client.close_channel(1);
    node.sync();
    assert_eq!(client.heard(), ["1 declare-ok d 0 0", "1 close-ok"]);
}

#[test]
fn a_channel_with_several_answers_gives_each_in_its_time() {
    let node = Node::new();
    let mut client = node.client();
    client.call(1, declare_durable("d1"));
    let first = node.store.newest();
    client.call(1, declare_durable("d2"));
    node.store.make_durable(first);
    assert_eq!(client.heard(), ["1 declare-ok d1 0 0"]);
    node.sync();
    assert_eq!(client.heard(), ["1 declare-ok d2 0 0"]);
}

#[test]
fn deliveries_behind_what_waits_outlive_their_consumer() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "c"));
    client.poll_unwritten().unwrap();
    client.call(1, cancel("c"));
    node.sync();
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok d 0 0",
            "1 consume-ok c",
            "1 deliver c 1 a",
            "1 deliver c 2 b",
            "1 cancel-ok c"
        ]
    );
    client.ack(1, 2, true);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 0));
}

#[test]
fn deliveries_behind_what_waits_are_not_taken_for_another_consumers() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare("other"));
    client.publish(2, to("other", "x"));
    client.skip();
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "old"));
    client.poll_unwritten().unwrap();
    client.call(1, cancel("old"));
    client.call(1, consume("other", "new"));
    node.sync();
    assert_eq!(
        client.heard(),
        [
            "1 declare-ok d 0 0",
            "1 consume-ok old",
            "1 deliver old 1 a",
            "1 deliver old 2 b",
            "1 cancel-ok old",
            "1 consume-ok new",
            "1 deliver new 3 x"
        ]
    );
    client.ack(1, 2, true);
    client.flush();
    assert_eq!(node.counts(), (0, 1, 1), "x is still out");
}

#[test]
fn deliveries_of_a_deleted_queue_are_not_taken_for_another_consumers() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, declare("other"));
    client.publish(2, to("other", "x"));
    client.skip();
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "old"));
    client.poll_unwritten().unwrap();
    let mut deleter = node.client();
    deleter.call(1, delete("q"));
    client.poll_unwritten().unwrap();
    client.call(1, consume("other", "new"));
    node.sync();
    let heard = client.heard();
    let to_new: Vec<&String> = heard
        .iter()
        .filter(|line| line.contains("deliver new"))
        .collect();
    assert_eq!(to_new.len(), 1, "{heard:?}");
    assert!(to_new[0].ends_with(" x"), "{heard:?}");
    let position = |part: &str| heard.iter().position(|line| line.contains(part));
    assert!(
        position("cancel old") < position("consume-ok new"),
        "{heard:?}"
    );
    client.ack(1, 0, true);
    client.flush();
    assert_eq!(node.counts(), (0, 0, 1));
}

#[test]
fn deliveries_behind_what_waits_go_back_when_the_channel_closes() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "c"));
    client.poll_unwritten().unwrap();
    client.close_channel(1);
    node.sync();
    assert_eq!(
        client.heard(),
        ["1 declare-ok d 0 0", "1 consume-ok c", "1 close-ok"]
    );
    assert_eq!(node.counts(), (2, 0, 0));
    client.call(2, get("q"));
    assert_eq!(
        client.heard(),
        ["2 get-ok 1 left 1 a"],
        "never sent, so not redelivered"
    );
}

#[test]
fn deliveries_behind_what_waits_go_back_when_the_connection_closes() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "c"));
    client.poll_unwritten().unwrap();
    client.close();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn deliveries_behind_what_waits_go_back_when_the_machine_closes_the_channel() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, consume("q", "c"));
    client.poll_unwritten().unwrap();
    client.channel_failed(1);
    node.sync();
    assert!(client.heard().is_empty());
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn a_get_behind_what_waits_goes_back_when_the_channel_closes() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("q"));
    client.close_channel(1);
    node.sync();
    client.skip();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn a_get_behind_what_waits_goes_back_when_the_connection_closes() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("q"));
    client.close();
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn a_get_behind_what_waits_goes_back_when_the_machine_closes_the_channel() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare_durable("d"));
    client.call(1, get("q"));
    client.channel_failed(1);
    assert_eq!(node.counts(), (2, 0, 0));
}

#[test]
fn confirms_are_not_held_by_another_channels_answer() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(2, super::rig::confirm_select());
    client.skip();
    client.call(1, declare_durable("d"));
    client.publish(2, persistent("q", "c"));
    assert_eq!(client.heard(), ["2 ack 1"]);
}

#[test]
fn whoever_finds_it_done_waits_for_whoever_did_it() {
    type Step<'a> = (&'a str, Box<dyn Fn(&mut Client) + 'a>);
    let node = Node::new();
    let mut first = node.client();
    let mut second = node.client();
    let exchange = || exchange::Declare {
        durable: true,
        ..declare_exchange("x", "direct")
    };
    let unbind = || queue::Unbind {
        queue: "d".into(),
        exchange: "x".into(),
        routing_key: "k".into(),
        arguments: FieldTable::default(),
    };
    let delete_exchange = || exchange::Delete {
        exchange: "x".into(),
        ..exchange::Delete::default()
    };
    let steps: [Step<'_>; 7] = [
        (
            "declare-ok d 0 0",
            Box::new(|client| client.call(1, declare_durable("d"))),
        ),
        (
            "exchange.declare-ok",
            Box::new(|client| client.call(1, exchange())),
        ),
        (
            "bind-ok",
            Box::new(|client| client.call(1, bind("d", "x", "k"))),
        ),
        ("unbind-ok", Box::new(|client| client.call(1, unbind()))),
        (
            "exchange.delete-ok",
            Box::new(|client| client.call(1, delete_exchange())),
        ),
        (
            "delete-ok 0",
            Box::new(|client| client.call(1, delete("d"))),
        ),
        (
            "declare-ok d 0 0",
            Box::new(|client| client.call(1, declare_durable("d"))),
        ),
    ];
    for (answer, step) in steps {
        step(&mut first);
        step(&mut second);
        assert!(
            second.heard().is_empty(),
            "{answer}: the first is not answered yet"
        );
        node.sync();
        let answer = [format!("1 {answer}")];
        assert_eq!(first.heard(), answer);
        assert_eq!(second.heard(), answer);
    }
    // When nothing is on its way, nothing is waited for; what needs no disk never waits.
    first.call(1, declare_durable("d"));
    assert_eq!(first.heard(), ["1 declare-ok d 0 0"]);
    second.call(1, declare("transient"));
    first.call(2, declare_durable("other"));
    second.call(1, declare("transient"));
    assert_eq!(second.heard(), ["1 declare-ok transient 0 0"; 2]);
}

#[test]
fn what_is_held_back_takes_the_room_of_what_waits_for_the_socket() {
    for no_ack in [true, false] {
        let node = Node::with_limits(Limits {
            outbox_high_bytes: 2_000,
            outbox_low_bytes: 500,
            ..Limits::default()
        });
        let mut client = node.client();
        let mut publisher = node.client();
        publisher.call(1, declare("q"));
        client.call(1, declare_durable("d"));
        let start = if no_ack {
            consume_no_ack("q", "c")
        } else {
            consume("q", "c")
        };
        client.call(1, start);
        for number in 0..100 {
            publisher.publish(1, to("q", &number.to_string()));
            publisher.flush();
            assert!(client.heard().is_empty());
        }
        let (ready, ..) = node.counts();
        assert!(ready > 80, "{ready} are left for others");
        node.sync();
        let heard = client.heard();
        let mark = heard.len() - 100;
        assert_eq!(heard[..mark], ["1 declare-ok d 0 0", "1 consume-ok c"]);
        for (number, line) in heard[mark..].iter().enumerate() {
            assert_eq!(*line, format!("1 deliver c {} {number}", number + 1));
        }
    }
}
