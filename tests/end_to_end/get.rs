//! basic.get.

use leveret_tests::requests::{ack, nack, prefetch, queue};
use leveret_tests::{Publish, Server};
use leveret_wire::method::basic;

#[test]
fn an_empty_queue_has_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.send(
        1,
        basic::Get {
            queue: "q".into(),
            no_ack: false,
        },
    );
    // get-empty with an empty cluster-id.
    assert_eq!(client.next_frame().unwrap().payload, [0, 60, 0, 72, 0]);
}

#[test]
fn a_message_comes_with_the_number_that_are_left() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, leveret_tests::requests::bind("q", "amq.direct", "k"));
    for body in ["1", "2", "3"] {
        client.publish(1, &Publish::to("amq.direct", "k").body(body));
    }
    for (body, left) in [("1", 2), ("2", 1), ("3", 0)] {
        let got = client.get(1, "q", false).unwrap();
        let method = &got.method;
        assert_eq!(
            (method.exchange.as_str(), method.routing_key.as_str()),
            ("amq.direct", "k")
        );
        assert_eq!(
            (got.text(), method.message_count, method.redelivered),
            (body, left, false)
        );
    }
    assert_eq!(client.get(1, "q", false), None);
}

#[test]
fn what_is_got_must_be_acked() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for body in ["1", "2"] {
        client.publish_text(1, "q", body);
    }
    let first = client.get(1, "q", false).unwrap().tag();
    let second = client.get(1, "q", false).unwrap().tag();
    assert_eq!((first, second), (1, 2));
    client.send(1, nack(first, true));
    client.send(1, ack(second));
    let again = client.get(1, "q", false).unwrap();
    assert_eq!(
        (again.text(), again.redelivered(), again.tag()),
        ("1", true, 3)
    );
    client.close_channel(1);
    client.open_channel(1);
    assert_eq!(client.drain(1, "q"), ["1"]);
}

#[test]
fn no_ack_takes_the_message_out() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish_text(1, "q", "1");
    let got = client.get(1, "q", true).unwrap();
    client.send(1, ack(got.tag()));
    client.expect_channel_close(1, 406, "PRECONDITION_FAILED - unknown delivery tag 1");
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn prefetch_does_not_hold_it() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, prefetch(1));
    client.call(1, leveret_tests::requests::channel_prefetch(1));
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    for body in ["1", "2", "3"] {
        assert_eq!(client.get(1, "q", false).unwrap().text(), body);
    }
}

#[test]
fn a_queue_must_be_there() {
    let server = Server::start();
    let mut client = server.client();
    let get = basic::Get {
        queue: "nope".into(),
        no_ack: true,
    };
    client.expect_refused(1, get, 404, "NOT_FOUND - no queue 'nope' in vhost '/'");
}

#[test]
fn gets_may_be_sent_ahead() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for number in 0..100 {
        client.publish_text(1, "q", &number.to_string());
    }
    for _ in 0..101 {
        client.send(
            1,
            basic::Get {
                queue: "q".into(),
                no_ack: true,
            },
        );
    }
    for number in 0..100 {
        match client.next_event() {
            leveret_tests::Event::Got(1, got) => assert_eq!(got.text(), number.to_string()),
            other => panic!("{other:?}"),
        }
    }
    let _: basic::GetEmpty = client.expect(1);
}
