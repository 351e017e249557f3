//! basic.consume and basic.deliver.

use leveret_tests::requests::{
    ack, consume, consume_no_ack, durable_queue, passive_queue, queue, table, text,
};
use leveret_tests::{Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::basic;
use leveret_wire::method::basic::Consume;
use leveret_wire::method::queue as queues;

#[test]
fn a_delivery_says_where_the_message_came_from() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, leveret_tests::requests::bind("q", "amq.topic", "a.#"));
    assert_eq!(
        client.call(1, consume("q", "tag")).consumer_tag.as_str(),
        "tag"
    );
    client.publish(1, &Publish::to("amq.topic", "a.b").body("m"));
    let delivery = client.expect_delivery(1);
    let method = &delivery.method;
    assert_eq!(
        (
            method.consumer_tag.as_str(),
            method.exchange.as_str(),
            method.routing_key.as_str()
        ),
        ("tag", "amq.topic", "a.b")
    );
    assert_eq!(
        (delivery.tag(), delivery.redelivered(), delivery.text()),
        (1, false, "m")
    );
}

#[test]
fn messages_that_wait_come_after_consume_ok_in_order() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for number in 0..1_000 {
        client.publish_text(1, "q", &number.to_string());
    }
    client.call(1, consume_no_ack("q", "c"));
    for number in 0..1_000_u64 {
        let delivery = client.expect_delivery(1);
        assert_eq!(
            (delivery.text(), delivery.tag()),
            (number.to_string().as_str(), number + 1)
        );
    }
}

#[test]
fn a_tag_from_the_server_is_new_each_time() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let tags: Vec<String> = (0..2)
        .map(|_| client.call(1, consume("q", "")).consumer_tag.to_string())
        .collect();
    for tag in &tags {
        assert_eq!(tag.strip_prefix("amq.ctag-").unwrap().len(), 22, "{tag}");
    }
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn a_tag_is_used_once_on_a_channel() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.open_channel(2);
    client.call(1, consume("q", "zz"));
    client.call(2, consume("q", "zz"));
    client.expect_fatal(
        1,
        consume("q", "zz"),
        530,
        "NOT_ALLOWED - attempt to reuse consumer tag 'zz'",
    );
}

#[test]
fn the_tag_is_looked_at_before_the_queue() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "zz"));
    client.expect_fatal(
        1,
        consume("nope", "zz"),
        530,
        "NOT_ALLOWED - attempt to reuse consumer tag 'zz'",
    );
}

#[test]
fn a_queue_must_be_there() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        consume("nope", "c"),
        404,
        "NOT_FOUND - no queue 'nope' in vhost '/'",
    );
}

#[test]
fn no_ack_deliveries_count_as_acked() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, leveret_tests::requests::prefetch(1));
    client.call(1, consume_no_ack("q", "c"));
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    // Prefetch does not hold them, and their tags can't be acked.
    client.expect_bodies(1, &["1", "2", "3"]);
    client.send(1, ack(1));
    client.expect_channel_close(1, 406, "PRECONDITION_FAILED - unknown delivery tag 1");
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn no_local_is_accepted_and_ignored() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(
        1,
        Consume {
            no_local: true,
            ..consume("q", "c")
        },
    );
    client.publish_text(1, "q", "own");
    client.expect_bodies(1, &["own"]);
}

#[test]
fn tags_run_over_deliveries_and_gets() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("a"));
    client.call(1, queue("b"));
    client.publish_text(1, "b", "got");
    client.call(1, consume_no_ack("a", "c"));
    client.publish_text(1, "a", "1");
    assert_eq!(client.expect_delivery(1).tag(), 1);
    assert_eq!(client.get(1, "b", false).unwrap().tag(), 2);
    client.publish_text(1, "a", "3");
    assert_eq!(client.expect_delivery(1).tag(), 3);
}

#[test]
fn a_deleted_queue_cancels_its_consumers() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "a"));
    client.call(1, consume("q", "b"));
    let mut other = server.client();
    other.call(1, leveret_tests::requests::delete_queue("q"));
    let mut tags: Vec<String> = (0..2)
        .map(|_| {
            let cancel: basic::Cancel = client.expect(1);
            assert!(cancel.nowait);
            cancel.consumer_tag.to_string()
        })
        .collect();
    tags.sort();
    assert_eq!(tags, ["a", "b"]);
    // The tags are free again.
    client.call(1, queue("q"));
    client.call(1, consume("q", "a"));
}

#[test]
fn on_one_connection_the_cancel_comes_after_delete_ok() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "c"));
    client.call(1, leveret_tests::requests::delete_queue("q"));
    let cancel: basic::Cancel = client.expect(1);
    assert_eq!((cancel.consumer_tag.as_str(), cancel.nowait), ("c", true));
}

#[test]
fn who_does_not_know_cancel_is_not_sent_it() {
    let server = Server::start();
    let login = leveret_tests::Login::without_capabilities();
    let mut client = server.log_in(&login);
    client.call(1, queue("q"));
    client.call(1, consume("q", "c"));
    server
        .client()
        .call(1, leveret_tests::requests::delete_queue("q"));
    client.expect_quiet(1);
    // The consumer is gone all the same.
    client.call(1, queue("q"));
    assert_eq!(client.call(1, passive_queue("q")).consumer_count, 0);
    client.call(1, consume("q", "c"));
}

#[test]
fn a_priority_must_be_a_number() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let bad = Consume {
        arguments: table([("x-priority", text("high"))]),
        ..consume("q", "c")
    };
    client.send(1, bad);
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406);
    let expected = "\"expected integer, got longstr\"";
    assert!(close.reply_text.as_str().contains(expected), "{close:?}");
    client.reopen_channel(1);
    let other = Consume {
        arguments: table([("x-own", text("v"))]),
        ..consume("q", "c")
    };
    client.call(1, other);
}

#[test]
fn arguments_are_checked_in_rabbitmqs_order() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let quorum = queues::Declare {
        arguments: table([("x-queue-type", text("quorum"))]),
        ..durable_queue("qq")
    };
    client.call(1, quorum);
    let (yes, word) = (AMQPValue::Boolean(true), text("word"));
    let expected = "\"expected integer, got";
    let all = [
        ("x-priority", word.clone()),
        ("x-cancel-on-ha-failover", word.clone()),
        ("x-stream-offset", word.clone()),
    ];
    let priority =
        |found: &str| format!("x-priority' for queue 'q' in vhost '/': {expected} {found}\"");
    let cancel = |found: &str| {
        format!(
            "x-cancel-on-ha-failover' for queue 'q' in vhost '/': {{unacceptable_type,{found}}}"
        )
    };
    let foreign = |key: &str, queue: &str, kind: &str| {
        format!("{key}' for queue '{queue}' in vhost '/' of queue type rabbit_{kind}_queue")
    };
    let steps = [
        ("q", all.to_vec(), priority("longstr")),
        ("q", vec![("x-priority", yes.clone())], priority("bool")),
        ("q", vec![("x-priority", AMQPValue::Void)], priority("void")),
        (
            "q",
            vec![("x-priority", AMQPValue::Timestamp(5))],
            priority("timestamp"),
        ),
        (
            "q",
            vec![("x-priority", AMQPValue::Double(1.0))],
            priority("double"),
        ),
        ("q", all[1..].to_vec(), cancel("longstr")),
        (
            "q",
            vec![(all[1].0, AMQPValue::LongInt(1))],
            cancel("signedint"),
        ),
        (
            "q",
            vec![(all[1].0, yes.clone()), all[2].clone()],
            foreign(all[2].0, "q", "classic"),
        ),
        (
            "qq",
            vec![(all[1].0, yes.clone())],
            foreign(all[1].0, "qq", "quorum"),
        ),
        (
            "qq",
            vec![all[1].clone()],
            foreign(all[1].0, "qq", "quorum"),
        ),
        (
            "qq",
            vec![(all[2].0, AMQPValue::LongLongInt(5))],
            foreign(all[2].0, "qq", "quorum"),
        ),
    ];
    for (queue, arguments, text) in steps {
        let bad = Consume {
            arguments: table(arguments),
            ..consume(queue, "c")
        };
        let text = format!("PRECONDITION_FAILED - invalid arg '{text}");
        client.expect_refused(1, bad, 406, &text);
    }
    let good = Consume {
        arguments: table([(all[1].0, yes), ("x-max-age", word)]),
        ..consume("q", "c")
    };
    client.call(1, good);
}

#[test]
fn a_consumer_limit_holds() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.consumers_per_channel = 2)
    });
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, consume("q", "1"));
    client.call(1, consume("q", "2"));
    client.expect_fatal(
        1,
        consume("q", "3"),
        530,
        "NOT_ALLOWED - reached maximum (2) of consumers per channel",
    );
}

#[test]
fn many_connections_share_a_stream_of_messages() {
    let server = Server::start();
    let mut publisher = server.client();
    publisher.call(1, queue("q"));
    let count = 2_000;
    let consumers: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.client();
            client.call(1, leveret_tests::requests::prefetch(10));
            client.call(1, consume("q", "c"));
            client
        })
        .collect();
    publisher.publish_all(
        1,
        (0..count).map(|number| Publish::to_queue("q").body(number.to_string())),
    );
    let (found, seen) = std::sync::mpsc::channel();
    let threads: Vec<_> = consumers
        .into_iter()
        .map(|mut client| {
            let found = found.clone();
            std::thread::spawn(move || {
                loop {
                    match client.next_event() {
                        leveret_tests::Event::Delivery(delivery) => {
                            found.send(delivery.text().parse::<u32>().unwrap()).unwrap();
                            client.send(1, ack(delivery.tag()));
                        }
                        other => return other,
                    }
                }
            })
        })
        .collect();
    drop(found);
    let mut numbers: Vec<u32> = (0..count)
        .map(|_| seen.recv_timeout(leveret_tests::PATIENCE).unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    publisher.call(1, leveret_tests::requests::delete_queue("q"));
    for thread in threads {
        let end = thread.join().unwrap();
        let leveret_tests::Event::Method(1, method) = end else {
            panic!("{end:?}")
        };
        assert!(<basic::Cancel as leveret_tests::Method>::from_class(method).is_some());
    }
}
