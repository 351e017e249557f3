//! Class tx.

use leveret_tests::requests::{
    ack, ack_up_to, bind, consume, durable_queue, nack, queue, reject, table, text, unbind,
};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::tx::{Commit, Rollback, Select};

/// A transactional channel 1, a plain channel 2, and an empty queue `q`.
fn transactional(server: &Server) -> Client {
    let mut client = server.client();
    client.open_channel(2);
    client.call(1, queue("q"));
    client.call(1, Select {});
    client
}

#[test]
fn publishes_wait_for_the_commit() {
    let server = Server::start();
    let mut client = transactional(&server);
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    client.expect_quiet(1);
    assert_eq!(client.counts(2, "q"), (0, 0));
    client.call(1, Commit {});
    assert_eq!(client.drain(2, "q"), ["1", "2", "3"]);
    client.call(1, Commit {});
    assert_eq!(client.counts(2, "q"), (0, 0));
}

#[test]
fn a_rollback_drops_publishes() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish_text(1, "q", "dropped");
    client.call(1, Rollback {});
    client.publish_text(1, "q", "kept");
    client.call(1, Commit {});
    assert_eq!(client.drain(2, "q"), ["kept"]);
}

#[test]
fn commits_reach_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::build(|builder| builder.data_dir(folder.path()));
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.call(1, Select {});
    for _ in 0..3 {
        for _ in 0..100 {
            client.publish(1, &Publish::to_queue("d").persistent().body("m"));
        }
        client.call(1, Commit {});
    }
    assert_eq!(client.counts(1, "d"), (300, 0));
}

#[test]
fn acks_wait_for_the_commit() {
    let server = Server::start();
    let mut client = transactional(&server);
    for body in ["1", "2", "3", "4"] {
        client.publish_text(2, "q", body);
    }
    client.expect_quiet(2);
    let tags: Vec<u64> = (0..4)
        .map(|_| client.get(1, "q", false).unwrap().tag())
        .collect();
    client.send(1, ack(tags[0]));
    client.send(1, reject(tags[1], false));
    client.send(1, nack(tags[2], true));
    client.expect_quiet(1);
    assert_eq!(client.counts(2, "q"), (0, 0));
    client.call(1, Commit {});
    assert_eq!(client.drain(2, "q"), ["3"]);
    client.close_channel(1);
    assert_eq!(client.drain(2, "q"), ["4"]);
}

#[test]
fn a_rollback_leaves_messages_outstanding() {
    let server = Server::start();
    let mut client = transactional(&server);
    for body in ["1", "2"] {
        client.publish_text(2, "q", body);
    }
    client.expect_quiet(2);
    let tags: Vec<u64> = (0..2)
        .map(|_| client.get(1, "q", false).unwrap().tag())
        .collect();
    client.send(1, ack_up_to(tags[1]));
    client.call(1, Rollback {});
    assert_eq!(client.counts(2, "q"), (0, 0));
    // They may be acked again.
    client.send(1, ack(tags[0]));
    client.call(1, Commit {});
    client.close_channel(1);
    let got = client.get(2, "q", true).unwrap();
    assert_eq!(
        (got.text(), got.redelivered(), got.method.message_count),
        ("2", true, 0)
    );
}

#[test]
fn the_end_of_a_channel_is_a_rollback() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish_text(2, "q", "1");
    client.expect_quiet(2);
    let tag = client.get(1, "q", false).unwrap().tag();
    client.send(1, ack(tag));
    client.publish_text(1, "q", "uncommitted");
    client.close_channel(1);
    let got = client.get(2, "q", true).unwrap();
    assert_eq!(
        (got.text(), got.redelivered(), got.method.message_count),
        ("1", true, 0)
    );
}

#[test]
fn the_end_of_a_connection_is_a_rollback() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish_text(1, "q", "uncommitted");
    client.close();
    assert_eq!(server.client().counts(1, "q"), (0, 0));
}

#[test]
fn returns_come_with_the_commit() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish(
        1,
        &Publish::to("amq.direct", "nowhere")
            .mandatory()
            .body("back"),
    );
    client.expect_quiet(1);
    client.send(1, Commit {});
    assert_eq!(client.expect_return(1).content.text(), "back");
    let _: leveret_wire::method::tx::CommitOk = client.expect(1);
}

#[test]
fn the_route_is_that_of_the_publish() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("m"));
    client.call(2, bind("q", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").mandatory().body("n"));
    client.call(2, unbind("q", "amq.direct", "k"));
    client.send(1, Commit {});
    assert_eq!(client.expect_return(1).content.text(), "m");
    let _: leveret_wire::method::tx::CommitOk = client.expect(1);
    assert_eq!(client.drain(2, "q"), ["n"]);
}

#[test]
fn copies_are_routed_with_the_publish_too() {
    let server = Server::start();
    let mut client = transactional(&server);
    let copies = |key: &str| AMQPValue::FieldArray(vec![text(key)].into());
    let headers = Properties::new().headers(&table([("CC", copies("c")), ("BCC", copies("b"))]));
    for name in ["c", "b"] {
        client.call(2, queue(name));
    }
    for key in ["k", "c", "b"] {
        let to = if key == "k" { "q" } else { key };
        client.call(2, bind(to, "amq.direct", key));
    }
    for exchange in ["amq.direct", ""] {
        client.publish(
            1,
            &Publish::to(exchange, "k")
                .properties(&headers)
                .body(exchange),
        );
    }
    client.call(1, Commit {});
    assert_eq!(client.drain(2, "q"), ["amq.direct"]);
    assert_eq!(client.drain(2, "c"), ["amq.direct", ""]);
    for body in ["amq.direct", ""] {
        let got = client.get(2, "b", true).unwrap();
        assert_eq!(got.text(), body);
        let headers = got.content.properties().headers().unwrap();
        assert!(headers.get(b"BCC").is_none() && headers.get(b"CC").is_some());
    }
}

#[test]
fn what_is_wrong_is_refused_at_once() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.publish(1, &Publish::to("nox", "k"));
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    client.call(1, Select {});
    client.publish(
        1,
        &Publish::to_queue("q").properties(&Properties::new().expiration("abc")),
    );
    client.expect_channel_close(
        1,
        406,
        "PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
    );
    client.reopen_channel(1);
    client.call(1, Select {});
    client.expect_refused(
        1,
        ack(9),
        406,
        "PRECONDITION_FAILED - unknown delivery tag 9",
    );
    client.call(1, Select {});
    client.publish_text(2, "q", "1");
    client.expect_quiet(2);
    let tag = client.get(1, "q", false).unwrap().tag();
    client.send(1, ack(tag));
    let text = format!("PRECONDITION_FAILED - unknown delivery tag {tag}");
    client.expect_refused(1, ack(tag), 406, &text);
}

#[test]
fn without_select_there_is_no_transaction() {
    let server = Server::start();
    let mut client = server.client();
    let text = "PRECONDITION_FAILED - channel is not transactional";
    client.expect_refused(1, Commit {}, 406, text);
    client.expect_refused(1, Rollback {}, 406, text);
    client.call(1, Select {});
    client.call(1, Select {});
    client.call(1, Commit {});
    client.call(1, Rollback {});
}

#[test]
fn other_channels_are_not_held() {
    let server = Server::start();
    let mut client = transactional(&server);
    client.call(2, consume("q", "c"));
    client.publish_text(1, "q", "held");
    client.publish_text(2, "q", "free");
    client.expect_bodies(2, &["free"]);
    client.send(1, Commit {});
    // The delivery and the commit-ok are on channels of their own, in any order.
    let events = [client.next_event(), client.next_event()];
    assert!(events.iter().any(|event| {
        matches!(event, leveret_tests::Event::Delivery(delivery) if delivery.text() == "held")
    }));
}

#[test]
fn a_transaction_has_a_size_limit() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.transaction_bytes = 1 << 20)
    });
    let mut client = transactional(&server);
    for _ in 0..11 {
        client.publish(1, &Publish::to_queue("q").body(vec![0; 100_000]));
    }
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406, "{close:?}");
    client.reopen_channel(1);
    client.call(1, Select {});
    client.publish_text(1, "q", "small");
    client.call(1, Commit {});
    assert_eq!(client.drain(2, "q"), ["small"]);
}
