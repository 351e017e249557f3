//! x-message-ttl, expiration and x-expires.

use leveret_wire::PropertiesBuilder;
use proptest::prelude::*;

use crate::scenario::{Client, Scenario, expiring, int, message, persistent, to};

#[test]
fn the_lower_time_to_live_counts_and_the_timer_drops_what_is_over() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-message-ttl", int(100))]);
    client.publish(expiring("q", "mine", "30"));
    client.publish(expiring("q", "the queue's", "60000"));
    client.told();
    node.wait(29);
    assert_eq!(node.counts().0, 2);
    node.wait(1);
    assert_eq!(node.counts().0, 1);
    node.wait(69);
    assert_eq!(node.counts().0, 1);
    node.wait(1);
    assert_eq!(node.counts().0, 0);
    assert_eq!(node.broker.discard_totals().expired, 2);
    assert_eq!(node.broker.next_deadline(), None);
}

#[test]
fn a_message_expires_only_at_the_head_and_is_never_delivered_late() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    for (text, expiration) in [("long", "1000"), ("short", "10"), ("last", "2000")] {
        client.publish(expiring("q", text, expiration));
    }
    client.told();
    node.wait(500);
    assert_eq!(
        node.counts().0,
        3,
        "the short one stands behind the long one, and is counted"
    );
    assert_eq!(client.drain("q"), ["long", "last"]);
}

#[test]
fn what_expired_behind_a_message_is_not_left() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    client.publish(expiring("q", "long", "1000"));
    client.publish(expiring("q", "short", "10"));
    client.told();
    node.wait(500);
    assert_eq!(client.get_told("q"), ["1 get-ok 1 left 0 long"]);
}

#[test]
fn with_no_time_to_live_a_message_goes_to_a_free_consumer_or_to_nobody() {
    let node = Scenario::new();
    let mut client = node.client();
    client.confirm_select();
    client.declare("q", &[("x-message-ttl", int(0))]);
    client.publish(to("q", "nobody"));
    assert_eq!(client.told(), ["1 ack 1"]);
    assert_eq!(node.counts(), (0, 0));
    client.qos(1);
    client.consume("q", "c", 0);
    client.publish(to("q", "one"));
    client.publish(to("q", "two"));
    assert_eq!(client.bodies(), ["one"]);
    assert_eq!(node.counts(), (0, 1));
    client.nack(1, true);
    assert_eq!(client.bodies(), [""; 0], "what came back has expired");
    assert_eq!(node.counts(), (0, 0));
}

#[test]
fn what_a_client_has_does_not_expire_until_it_comes_back() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-message-ttl", int(10))]);
    client.publish_all("q", ["a", "b"]);
    client.get("q", false);
    client.get("q", false);
    node.wait(1_000);
    assert_eq!(node.counts(), (0, 2));
    client.ack(1);
    client.nack(2, true);
    client.told();
    assert_eq!(node.counts(), (0, 0));
    assert_eq!(node.broker.discard_totals().expired, 1);
}

#[test]
fn deadlines_outlive_a_restart() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[("x-message-ttl", int(1_000))]);
    client.declare_durable("plain", &[]);
    client.publish(persistent("q", "m"));
    let mut properties = PropertiesBuilder::new();
    properties.delivery_mode(Some(2)).expiration(Some(b"1000"));
    client.publish(message("", "plain", "m", &properties));
    client.publish(persistent("plain", "stays"));
    client.told();
    client.close();
    node.wait(400);
    let node = node.restart(500);
    assert_eq!(node.counts().0, 3);
    node.wait(99);
    assert_eq!(node.counts().0, 3);
    node.wait(1);
    assert_eq!(node.counts().0, 1, "without anybody having looked");
    assert_eq!(node.client().drain("plain"), ["stays"]);
}

#[test]
fn very_many_expire_over_several_turns_and_a_get_waits_for_the_first_live_one() {
    const EXPIRED: usize = 10_000;
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[]);
    for _ in 0..EXPIRED {
        client.publish(expiring("q", "old", "10"));
    }
    client.publish(to("q", "live"));
    client.told();
    // Nobody runs the timer: the get meets all of them.
    node.stand_still(50);
    assert!(client.get("q", true).is_none(), "it waits");
    node.wait(0);
    assert_eq!(client.bodies(), ["live"]);
    assert_eq!(node.counts(), (0, 0));
}

#[test]
fn an_unused_queue_goes() {
    let node = Scenario::new();
    let mut client = node.client();
    let declare = |client: &mut Client<'_>| client.declare("q", &[("x-expires", int(100))]);
    declare(&mut client);
    node.wait(90);
    declare(&mut client);
    node.wait(90);
    client.get("q", true);
    node.wait(90);
    client.consume("q", "c", 0);
    node.wait(1_000);
    client.cancel("c");
    client.publish_all("q", ["does not count as use"]);
    node.wait(99);
    assert_eq!(node.counts().0, 1);
    node.wait(1);
    assert!(!client.exists("q"));
    assert_eq!(node.counts().0, 0);
    assert_eq!(
        node.broker.discard_totals().expired,
        0,
        "its messages did not expire"
    );
    assert_eq!(node.broker.next_deadline(), None);
}

#[test]
fn an_unused_queue_goes_after_a_restart_too() {
    let node = Scenario::new();
    node.client()
        .declare_durable("q", &[("x-expires", int(100))]);
    let node = node.restart(1_000);
    assert!(node.client().exists("q"), "its time begins anew");
    node.wait(100);
    assert!(!node.client().exists("q"));
}

#[test]
fn a_deleted_queue_has_no_deadline() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-expires", int(100)), ("x-message-ttl", int(10))]);
    client.publish_all("q", ["m"]);
    assert!(node.broker.next_deadline().is_some());
    client.delete("q");
    assert_eq!(node.broker.next_deadline(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// A message is there as long as its own time is not over, or one before it is still there.
    #[test]
    fn messages_go_in_order_when_their_time_and_that_of_all_before_is_over(
        expirations in proptest::collection::vec(0..50_u64, 1..20),
        steps in proptest::collection::vec(1..20_u64, 1..8),
        queue_ttl in proptest::option::of(0..50_i32),
    ) {
        let node = Scenario::new();
        let mut client = node.client();
        match queue_ttl {
            Some(ttl) => client.declare("q", &[("x-message-ttl", int(ttl))]),
            None => client.declare("q", &[]),
        };
        let lower = |expiration: u64| queue_ttl.map_or(expiration, |ttl| expiration.min(u64::try_from(ttl).unwrap()));
        let mut waiting: Vec<u64> = Vec::new();
        for expiration in &expirations {
            client.publish(expiring("q", "m", &expiration.to_string()));
            waiting.push(lower(*expiration));
        }
        client.told();
        let mut now = 0;
        for step in steps {
            let gone = waiting.iter().take_while(|deadline| **deadline <= now).count();
            waiting.drain(..gone);
            prop_assert_eq!(node.counts().0, waiting.len() as u64);
            node.wait(step);
            now += step;
        }
    }
}
