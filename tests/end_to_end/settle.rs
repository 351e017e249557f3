//! basic.ack, basic.nack and basic.reject.

use leveret_tests::requests::{ack, ack_up_to, consume, nack, nack_up_to, queue, reject};
use leveret_tests::{Client, Server};
use leveret_wire::method::basic;

/// A client whose queue `q` holds messages `0`, `1` .. `count - 1`.
fn with_messages(server: &Server, count: usize) -> Client {
    let mut client = server.client();
    client.call(1, queue("q"));
    for number in 0..count {
        client.publish_text(1, "q", &number.to_string());
    }
    client
}

/// Get `count` messages; gives their tags.
fn get_all(client: &mut Client, count: usize) -> Vec<u64> {
    (0..count)
        .map(|number| {
            let got = client.get(1, "q", false).unwrap();
            assert_eq!(got.text(), number.to_string());
            got.tag()
        })
        .collect()
}

/// What is in the queue after the channel gave back everything outstanding.
fn left(client: &mut Client) -> Vec<String> {
    client.close_channel(1);
    client.open_channel(1);
    client.drain(1, "q")
}

fn unknown(tag: u64) -> String {
    format!("PRECONDITION_FAILED - unknown delivery tag {tag}")
}

#[test]
fn ack_takes_one() {
    let server = Server::start();
    let mut client = with_messages(&server, 4);
    let tags = get_all(&mut client, 4);
    client.send(1, ack(tags[2]));
    client.send(1, ack(tags[0]));
    assert_eq!(left(&mut client), ["1", "3"]);
}

#[test]
fn ack_multiple_takes_all_up_to_it() {
    let server = Server::start();
    let mut client = with_messages(&server, 5);
    let tags = get_all(&mut client, 5);
    client.send(1, ack_up_to(tags[2]));
    assert_eq!(left(&mut client), ["3", "4"]);
}

#[test]
fn single_acks_before_a_multiple_are_fine() {
    let server = Server::start();
    let mut client = with_messages(&server, 6);
    let tags = get_all(&mut client, 6);
    for at in [1, 3, 0] {
        client.send(1, ack(tags[at]));
    }
    client.send(1, ack_up_to(tags[4]));
    assert_eq!(left(&mut client), ["5"]);
}

#[test]
fn tag_0_with_multiple_means_all() {
    let server = Server::start();
    let mut client = with_messages(&server, 3);
    client.send(1, ack_up_to(0));
    client.send(1, nack_up_to(0, true));
    client.expect_quiet(1);
    get_all(&mut client, 3);
    client.send(1, ack_up_to(0));
    assert_eq!(left(&mut client), [""; 0]);
    let server = Server::start();
    let mut client = with_messages(&server, 3);
    get_all(&mut client, 3);
    client.send(1, nack_up_to(0, true));
    assert_eq!(client.counts(1, "q"), (3, 0));
}

#[test]
fn a_tag_that_is_not_outstanding_closes_the_channel() {
    let server = Server::start();
    let mut client = with_messages(&server, 1);
    client.expect_refused(1, ack(5), 406, &unknown(5));
    client.expect_refused(1, ack(0), 406, &unknown(0));
    client.expect_refused(1, ack_up_to(7), 406, &unknown(7));
    client.expect_refused(1, nack(5, true), 406, &unknown(5));
    client.expect_refused(1, nack(0, false), 406, &unknown(0));
    client.expect_refused(1, nack_up_to(u64::MAX, true), 406, &unknown(u64::MAX));
    client.expect_refused(1, reject(5, true), 406, &unknown(5));
    client.expect_refused(1, reject(0, false), 406, &unknown(0));
    assert_eq!(client.drain(1, "q"), ["0"]);
}

#[test]
fn acking_twice_closes_the_channel() {
    let server = Server::start();
    let mut client = with_messages(&server, 2);
    let tags = get_all(&mut client, 2);
    client.send(1, ack(tags[0]));
    client.expect_refused(1, ack(tags[0]), 406, &unknown(tags[0]));
    assert_eq!(client.drain(1, "q"), ["1"]);
}

#[test]
fn a_tag_of_another_channel_is_unknown() {
    let server = Server::start();
    let mut client = with_messages(&server, 1);
    client.open_channel(2);
    let tags = get_all(&mut client, 1);
    client.expect_refused(2, ack(tags[0]), 406, &unknown(tags[0]));
    client.send(1, ack(tags[0]));
    assert_eq!(left(&mut client), [""; 0]);
}

#[test]
fn multiple_with_a_tag_that_is_gone_acks_nothing() {
    let server = Server::start();
    let mut client = with_messages(&server, 3);
    let tags = get_all(&mut client, 3);
    client.send(1, ack(tags[2]));
    client.expect_refused(1, ack_up_to(tags[2]), 406, &unknown(tags[2]));
    assert_eq!(client.drain(1, "q"), ["0", "1"]);
}

#[test]
fn reject_and_nack_without_requeue_drop() {
    let server = Server::start();
    let mut client = with_messages(&server, 5);
    let tags = get_all(&mut client, 5);
    client.send(1, reject(tags[0], false));
    client.send(1, nack(tags[2], false));
    client.send(1, nack_up_to(tags[3], false));
    assert_eq!(left(&mut client), ["4"]);
}

#[test]
fn requeued_messages_return_to_their_places() {
    let server = Server::start();
    let mut client = with_messages(&server, 6);
    let tags = get_all(&mut client, 4);
    client.send(1, reject(tags[2], true));
    client.send(1, reject(tags[0], true));
    for (body, redelivered) in [("0", true), ("2", true), ("4", false), ("5", false)] {
        let got = client.get(1, "q", true).unwrap();
        assert_eq!((got.text(), got.redelivered()), (body, redelivered));
    }
    client.send(1, nack_up_to(tags[3], true));
    for body in ["1", "3"] {
        let got = client.get(1, "q", true).unwrap();
        assert_eq!((got.text(), got.redelivered()), (body, true));
    }
}

#[test]
fn nack_multiple_restores_all_in_order() {
    let server = Server::start();
    let mut client = with_messages(&server, 100);
    let tags = get_all(&mut client, 50);
    client.send(1, ack(tags[7]));
    client.send(1, nack_up_to(tags[49], true));
    let expected: Vec<String> = (0..100)
        .filter(|number| *number != 7)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(client.drain(1, "q"), expected);
}

#[test]
fn redelivered_stays_with_the_message() {
    let server = Server::start();
    let mut client = with_messages(&server, 1);
    for round in 0..5 {
        let got = client.get(1, "q", false).unwrap();
        assert_eq!(got.redelivered(), round > 0);
        client.send(1, nack(got.tag(), true));
    }
}

#[test]
fn two_queues_have_two_messages() {
    let server = Server::start();
    let mut client = server.client();
    for name in ["a", "b"] {
        client.call(1, queue(name));
        client.call(1, leveret_tests::requests::bind(name, "amq.fanout", ""));
    }
    client.publish(1, &leveret_tests::Publish::to("amq.fanout", "").body("m"));
    let got = client.get(1, "a", false).unwrap();
    client.send(1, nack(got.tag(), true));
    assert!(client.get(1, "a", true).unwrap().redelivered());
    assert!(!client.get(1, "b", true).unwrap().redelivered());
}

#[test]
fn a_requeued_message_goes_to_a_consumer_at_once() {
    let server = Server::start();
    let mut client = with_messages(&server, 2);
    client.call(1, consume("q", "c"));
    let deliveries = client.expect_bodies(1, &["0", "1"]);
    client.send(1, nack_up_to(deliveries[1].tag(), true));
    let again = client.expect_bodies(1, &["0", "1"]);
    assert!(again.iter().all(leveret_tests::Delivery::redelivered));
    assert_eq!((again[0].tag(), again[1].tag()), (3, 4));
    client.send(
        1,
        basic::Reject {
            delivery_tag: 3,
            requeue: true,
        },
    );
    assert_eq!(client.expect_bodies(1, &["0"])[0].tag(), 5);
    client.send(1, ack_up_to(5));
    client.call(1, leveret_tests::requests::cancel("c"));
    assert_eq!(left(&mut client), [""; 0]);
}

#[test]
fn acks_in_any_order_leave_nothing() {
    let server = Server::start();
    let count = 1_000_usize;
    let mut client = with_messages(&server, count);
    client.call(1, consume("q", "c"));
    let tags: Vec<u64> = client
        .expect_deliveries(1, count)
        .iter()
        .map(leveret_tests::Delivery::tag)
        .collect();
    // Each once, in an order that jumps about: 617 and 1000 have no common divisor.
    for step in 0..count {
        client.send(1, ack(tags[step * 617 % count]));
    }
    client.call(1, leveret_tests::requests::cancel("c"));
    client.send(1, ack_up_to(0));
    assert_eq!(left(&mut client), [""; 0]);
}
