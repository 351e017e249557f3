//! Publisher confirms.

use leveret_tests::client::Event;
use leveret_tests::requests::{bind, consume, delete_queue, durable_queue, queue};
use leveret_tests::{Method, Publish, Server};
use leveret_wire::method::{basic, confirm, tx};

#[test]
fn publishes_count_from_the_select_on() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish_text(1, "q", "before");
    client.confirm_select(1);
    client.confirm_select(1);
    for number in 1..=3 {
        client.publish_text(1, "q", "after");
        client.expect_confirms(1, number, number);
    }
    assert_eq!(client.counts(1, "q"), (4, 0));
}

#[test]
fn a_run_of_publishes_is_confirmed_without_gaps() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.confirm_select(1);
    client.publish_all(1, (0..5_000).map(|_| Publish::to_queue("q").body("m")));
    client.expect_confirms(1, 1, 5_000);
    assert_eq!(client.counts(1, "q"), (5_000, 0));
}

#[test]
fn persistent_messages_in_durable_queues_are_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::build(|builder| builder.data_dir(folder.path()));
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.call(1, queue("t"));
    for name in ["d", "t"] {
        client.call(1, bind(name, "amq.fanout", ""));
    }
    client.confirm_select(1);
    client.publish_all(
        1,
        (0..500).map(|number| {
            let publish = Publish::to("amq.fanout", "").body(number.to_string());
            if number % 3 == 0 {
                publish
            } else {
                publish.persistent()
            }
        }),
    );
    client.expect_confirms(1, 1, 500);
    assert_eq!(
        (client.counts(1, "d"), client.counts(1, "t")),
        ((500, 0), (500, 0))
    );
}

#[test]
fn channels_count_apart() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.confirm_select(1);
    client.confirm_select(2);
    client.publish_text(2, "q", "m");
    client.expect_confirms(2, 1, 1);
    client.publish_text(1, "q", "m");
    client.expect_confirms(1, 1, 1);
    client.publish_text(2, "q", "m");
    client.expect_confirms(2, 2, 2);
}

#[test]
fn unroutable_messages_are_confirmed_too() {
    let server = Server::start();
    let mut client = server.client();
    client.confirm_select(1);
    client.publish(1, &Publish::to("amq.direct", "nowhere").body("m"));
    client.expect_confirms(1, 1, 1);
    client.publish(1, &Publish::to("", "nowhere").persistent().body("m"));
    client.expect_confirms(1, 2, 2);
}

#[test]
fn the_return_comes_before_the_confirm() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.confirm_select(1);
    let mut octets = Publish::to_queue("q").body("1").octets(1);
    octets.extend(Publish::to("", "nowhere").mandatory().body("2").octets(1));
    octets.extend(Publish::to_queue("q").body("3").octets(1));
    client.write(&octets);
    let (mut returned, mut confirmed) = (false, 0);
    while confirmed < 3 {
        match client.next_event() {
            Event::Returned(1, message) => {
                assert_eq!(message.content.text(), "2");
                assert!(confirmed < 2, "2 was confirmed before it came back");
                returned = true;
            }
            Event::Method(1, method) => {
                let ack = basic::Ack::from_class(method).unwrap();
                confirmed = ack.delivery_tag;
                assert!(
                    confirmed < 2 || returned,
                    "2 was confirmed before it came back"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(returned);
}

#[test]
fn confirms_and_transactions_exclude_each_other() {
    let server = Server::start();
    let mut client = server.client();
    client.confirm_select(1);
    client.expect_refused(
        1,
        tx::Select {},
        406,
        "PRECONDITION_FAILED - cannot switch from confirm to tx mode",
    );
    client.call(1, tx::Select {});
    client.expect_refused(
        1,
        confirm::Select { nowait: false },
        406,
        "PRECONDITION_FAILED - cannot switch from tx to confirm mode",
    );
}

#[test]
fn a_consumed_and_acked_message_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::build(|builder| builder.data_dir(folder.path()));
    let mut client = server.client();
    let mut consumer = server.client();
    client.call(1, durable_queue("d"));
    consumer.call(1, consume("d", "c"));
    client.confirm_select(1);
    for number in 1..=50 {
        client.publish(1, &Publish::to_queue("d").persistent().body("m"));
        let tag = consumer.expect_delivery(1).tag();
        consumer.send(1, leveret_tests::requests::ack(tag));
        client.expect_confirms(1, number, number);
    }
}

#[test]
fn a_queue_that_goes_meanwhile_confirms() {
    let server = Server::start();
    let mut client = server.client();
    let mut other = server.client();
    client.confirm_select(1);
    for round in 0..20_u64 {
        other.call(1, durable_queue("d"));
        client.publish_all(
            1,
            (0..50).map(|_| Publish::to_queue("d").persistent().body("m")),
        );
        other.call(1, delete_queue("d"));
        client.expect_confirms(1, round * 50 + 1, (round + 1) * 50);
    }
}

#[test]
fn a_publish_that_fails_gets_no_confirm() {
    let server = Server::start();
    let mut client = server.client();
    client.confirm_select(1);
    client.publish(1, &Publish::to("nox", "k"));
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    client.publish(1, &Publish::to("", "nowhere"));
    client.expect_quiet(1);
}
