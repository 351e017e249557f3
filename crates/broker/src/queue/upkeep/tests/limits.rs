//! x-max-length, x-max-length-bytes and x-overflow.

use std::collections::VecDeque;

use leveret_wire::PropertiesBuilder;
use proptest::prelude::*;

use crate::Limits;
use crate::scenario::{Scenario, body, deaths, int, message, persistent, text, to};

#[test]
fn the_oldest_goes_and_its_publisher_is_confirmed() {
    let node = Scenario::new();
    let mut client = node.client();
    client.confirm_select();
    client.declare("q", &[("x-max-length", int(2))]);
    for number in ["0", "1", "2", "3"] {
        client.publish(to("q", number));
    }
    assert_eq!(client.told(), ["1 ack 4 multiple"]);
    assert_eq!(client.drain("q"), ["2", "3"]);
    assert_eq!(node.broker.discard_totals().max_length, 2);
}

#[test]
fn octets_are_limited_too_and_whichever_limit_is_hit_first_counts() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[("x-max-length", int(3)), ("x-max-length-bytes", int(10))],
    );
    client.publish_all("q", ["aaaa", "bbbb", "cccc"]);
    assert_eq!(client.drain("q"), ["bbbb", "cccc"]);
    client.publish_all("q", ["1", "2", "3", "4"]);
    assert_eq!(client.drain("q"), ["2", "3", "4"]);
    client.publish_all("q", ["longer than ten octets"]);
    assert_eq!(node.counts().0, 0);
}

#[test]
fn only_ready_messages_count() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare("q", &[("x-max-length", int(1))]);
    client.publish_all("q", ["1"]);
    client.get("q", false);
    client.publish_all("q", ["2"]);
    assert_eq!(node.counts(), (1, 1));
    client.nack(1, true);
    client.told();
    assert_eq!(
        client.drain("q"),
        ["2"],
        "what comes back is the oldest, and goes"
    );
}

#[test]
fn a_full_queue_refuses_and_the_publisher_hears_of_it() {
    let node = Scenario::new();
    let mut client = node.client();
    client.confirm_select();
    client.declare(
        "q",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.declare("other", &[]);
    client.fanout("both", &["q", "other"]);
    client.publish(to("q", "fits"));
    client.publish(to("q", "does not"));
    client.publish(message(
        "both",
        "",
        "one takes it",
        &PropertiesBuilder::new(),
    ));
    client.publish(to("other", "is taken"));
    assert_eq!(
        client.told(),
        ["1 ack 1", "1 nack 2", "1 nack 3", "1 ack 4"]
    );
    assert_eq!(client.drain("q"), ["fits"]);
    assert_eq!(client.drain("other"), ["one takes it", "is taken"]);
}

#[test]
fn what_consumers_take_at_once_does_not_fill_the_queue() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.consume("q", "c", 0);
    for number in ["1", "2", "3"] {
        client.publish(to("q", number));
    }
    assert_eq!(client.bodies(), ["1", "2", "3"]);
    client.declare(
        "none",
        &[
            ("x-max-length", int(0)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.consume("none", "d", 0);
    client.publish(to("none", "refused even with a consumer waiting"));
    assert_eq!(client.bodies(), [""; 0]);
}

#[test]
fn reject_publish_dlx_dead_letters_what_it_refuses() {
    let node = Scenario::new();
    let mut client = node.client();
    client.confirm_select();
    client.declare("graves", &[]);
    let arguments = [
        ("x-max-length", int(1)),
        ("x-overflow", text("reject-publish-dlx")),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text("graves")),
    ];
    client.declare_durable("q", &arguments);
    client.publish(persistent("q", "fits"));
    client.publish(persistent("q", "does not"));
    assert_eq!(client.told(), ["1 ack 1", "1 nack 2"]);
    let dead = client.get("graves", true).unwrap();
    assert_eq!(deaths(&dead), [("maxlen".to_owned(), "q".to_owned(), 1)]);
    assert_eq!(client.drain("q"), ["fits"]);
}

#[test]
fn a_commit_that_some_queue_refuses_is_partial() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare(
        "q",
        &[
            ("x-max-length", int(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.tx_select();
    client.publish(to("q", "1"));
    assert_eq!(client.tx_commit(), ["1 commit-ok"]);
    client.publish(to("q", "2"));
    assert_eq!(
        client.tx_commit(),
        ["1 close 406 PRECONDITION_FAILED - partial tx completion 90 20"]
    );
}

#[test]
fn a_backlog_on_disk_is_trimmed_as_it_is_read() {
    const LENGTH: usize = 2_000;
    let node = Scenario::with_limits(Limits {
        message_memory_bytes: 0,
        ..Limits::default()
    });
    let mut client = node.client();
    client.declare("q", &[("x-max-length", int(2_000))]);
    let bodies: Vec<String> = (0..3 * LENGTH).map(|number| number.to_string()).collect();
    for chunk in bodies.chunks(500) {
        client.publish_all("q", chunk.iter().map(String::as_str));
    }
    assert_eq!(node.counts().0, LENGTH as u64);
    assert!(
        client.drain("q") == bodies[2 * LENGTH..],
        "the newest, in order"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Get,
    Requeue(usize),
    Ack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..6_usize).prop_map(Step::Publish),
        3 => Just(Step::Get),
        1 => (0..9_usize).prop_map(Step::Requeue),
        1 => Just(Step::Ack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Against a queue written down: bodies in order, dropped from the front or refused at the end.
    #[test]
    fn a_limited_queue_holds_what_the_limits_leave(
        steps in proptest::collection::vec(step(), 1..40),
        length in 0..5_i32,
        bytes in 0..20_i32,
        refuses in any::<bool>(),
    ) {
        let node = Scenario::new();
        let mut client = node.client();
        client.confirm_select();
        let overflow = if refuses { "reject-publish" } else { "drop-head" };
        let arguments = [("x-max-length", int(length)), ("x-max-length-bytes", int(bytes)), ("x-overflow", text(overflow))];
        client.declare("q", &arguments);
        let (length, bytes) = (usize::try_from(length).unwrap(), usize::try_from(bytes).unwrap());
        let is_over = |ready: &VecDeque<(usize, String)>| {
            ready.len() > length || ready.iter().map(|(_, body)| body.len()).sum::<usize>() > bytes
        };
        let mut ready: VecDeque<(usize, String)> = VecDeque::new();
        let mut out: Vec<(u64, (usize, String))> = Vec::new();
        let (mut published, mut tags) = (0, 0);
        for step in steps {
            match step {
                Step::Publish(size) => {
                    published += 1;
                    let body = format!("{published:0>size$}");
                    client.publish(to("q", &body));
                    let told = client.told();
                    ready.push_back((published, body));
                    if refuses && is_over(&ready) {
                        ready.pop_back();
                        prop_assert_eq!(told, [format!("1 nack {published}")]);
                    } else {
                        prop_assert_eq!(told, [format!("1 ack {published}")]);
                    }
                }
                Step::Get => {
                    let got = client.get("q", false).map(|message| body(&message));
                    let expected = ready.pop_front();
                    prop_assert_eq!(got.as_ref(), expected.as_ref().map(|(_, body)| body));
                    if let Some(expected) = expected {
                        tags += 1;
                        out.push((tags, expected));
                    }
                }
                Step::Requeue(at) if !out.is_empty() && !refuses => {
                    let (tag, message) = out.remove(at % out.len());
                    client.nack(tag, true);
                    let place = ready.partition_point(|(number, _)| *number < message.0);
                    ready.insert(place, message);
                }
                Step::Ack if !out.is_empty() => client.ack(out.remove(0).0),
                Step::Requeue(_) | Step::Ack => {}
            }
            while !refuses && is_over(&ready) {
                ready.pop_front();
            }
            prop_assert_eq!(node.counts(), (ready.len() as u64, out.len() as u64));
        }
    }
}
