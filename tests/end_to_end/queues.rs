//! queue.declare, queue.delete and queue.purge.

use leveret_tests::requests::{
    bind, consume, delete_queue, durable_queue, passive_queue, purge, queue, table, text,
};
use leveret_tests::{Client, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::basic;
use leveret_wire::method::queue::{Declare, Delete};

/// A server-named queue.
fn named_by_server(client: &mut Client) -> String {
    client.call(1, queue("")).queue.to_string()
}

#[test]
fn a_name_from_the_server_is_new_each_time() {
    let server = Server::start();
    let mut client = server.client();
    let names: Vec<String> = (0..3).map(|_| named_by_server(&mut client)).collect();
    for name in &names {
        let random = name.strip_prefix("amq.gen-").unwrap();
        assert_eq!(random.len(), 22, "{name}");
        let url_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        assert!(random.chars().all(url_safe), "{name}");
    }
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
}

#[test]
fn an_empty_name_means_the_last_queue_declared_on_the_channel() {
    let server = Server::start();
    let mut client = server.client();
    named_by_server(&mut client);
    let last = named_by_server(&mut client);
    client.publish_text(1, &last, "1");
    assert_eq!(client.get(1, "", true).unwrap().text(), "1");
    client.publish_text(1, &last, "2");
    assert_eq!(client.call(1, purge("")).message_count, 1);
    // With an empty queue name, an empty routing key is replaced too.
    client.call(1, bind("", "amq.direct", ""));
    client.publish(1, &Publish::to("amq.direct", &last).body("3"));
    assert_eq!(client.get(1, "", true).unwrap().text(), "3");
    client.call(1, leveret_tests::requests::unbind("", "amq.direct", ""));
    client.publish(1, &Publish::to("amq.direct", &last).mandatory());
    client.expect_return(1);
    client.call(1, bind("", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").body("4"));
    client.call(1, consume("", "c"));
    client.expect_bodies(1, &["4"]);
    client.call(1, delete_queue(""));
    client.expect::<basic::Cancel>(1);
}

#[test]
fn delete_by_empty_name_spares_the_others() {
    let server = Server::start();
    let mut client = server.client();
    let first = named_by_server(&mut client);
    client.call(1, queue("q"));
    client.call(1, delete_queue(""));
    client.call(1, passive_queue(&first));
    client.expect_refused(
        1,
        passive_queue("q"),
        404,
        "NOT_FOUND - no queue 'q' in vhost '/'",
    );
}

#[test]
fn without_a_last_queue_an_empty_name_is_not_found() {
    let server = Server::start();
    let mut client = server.client();
    let text = "NOT_FOUND - no previously declared queue";
    client.expect_refused(1, bind("", "amq.direct", "k"), 404, text);
    client.expect_refused(
        1,
        leveret_tests::requests::unbind("", "amq.direct", "k"),
        404,
        text,
    );
    client.expect_refused(1, purge(""), 404, text);
    client.expect_refused(1, delete_queue(""), 404, text);
    client.expect_refused(1, basic::Get::default(), 404, text);
    client.expect_refused(1, consume("", "c"), 404, text);
    // Passive does not take the shortcut, nor does a name of another channel count.
    client.call(1, queue("q"));
    client.expect_refused(
        1,
        passive_queue(""),
        404,
        "NOT_FOUND - no queue '' in vhost '/'",
    );
    client.open_channel(2);
    client.expect_refused(2, purge(""), 404, text);
}

#[test]
fn declare_ok_counts_ready_messages_and_consumers() {
    let server = Server::start();
    let mut client = server.client();
    let ok = client.call(1, queue("q"));
    assert_eq!(
        (ok.queue.as_str(), ok.message_count, ok.consumer_count),
        ("q", 0, 0)
    );
    for _ in 0..3 {
        client.publish_text(1, "q", "m");
    }
    let ok = client.call(1, queue("q"));
    assert_eq!((ok.message_count, ok.consumer_count), (3, 0));
    client.get(1, "q", false).unwrap();
    assert_eq!(client.counts(1, "q"), (2, 0));
    client.call(1, consume("q", "a"));
    client.expect_deliveries(1, 2);
    client.call(1, consume("q", "b"));
    assert_eq!(client.counts(1, "q"), (0, 2));
}

#[test]
fn passive_finds_or_not() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        passive_queue("nope"),
        404,
        "NOT_FOUND - no queue 'nope' in vhost '/'",
    );
    client.call(1, queue("q"));
    let other = Declare {
        durable: true,
        auto_delete: true,
        ..passive_queue("q")
    };
    client.call(1, other);
}

#[test]
fn reserved_names_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        queue("amq.foo"),
        403,
        "ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'",
    );
    let name = named_by_server(&mut client);
    let text = format!("ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'");
    client.expect_refused(1, queue(&name), 403, &text);
    client.call(1, passive_queue(&name));
}

#[test]
fn redeclaring_must_be_equivalent() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, durable_queue("d1"));
    client.call(1, durable_queue("d1"));
    let what = "for queue 'd1' in vhost '/': received";
    for (other, difference) in [
        (
            queue("d1"),
            format!("'durable' {what} 'false' but current is 'true'"),
        ),
        (
            Declare {
                auto_delete: true,
                ..durable_queue("d1")
            },
            format!("'auto_delete' {what} 'true' but current is 'false'"),
        ),
        (
            Declare {
                auto_delete: true,
                ..queue("d1")
            },
            format!("'durable' {what} 'false' but current is 'true'"),
        ),
    ] {
        let text = format!("PRECONDITION_FAILED - inequivalent arg {difference}");
        client.expect_refused(1, other, 406, &text);
    }
}

#[test]
fn arguments_compare_by_value() {
    let server = Server::start();
    let mut client = server.client();
    let with = |value: AMQPValue| Declare {
        arguments: table([("x-max-length", value)]),
        ..queue("q")
    };
    client.call(1, with(AMQPValue::LongInt(1000)));
    for same in [
        AMQPValue::LongLongInt(1000),
        AMQPValue::ShortInt(1000),
        AMQPValue::LongUInt(1000),
        AMQPValue::ShortUInt(1000),
    ] {
        client.call(1, with(same));
    }
    let what = "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received";
    client.expect_refused(
        1,
        with(AMQPValue::LongInt(2000)),
        406,
        &format!("{what} '2000' but current is '1000'"),
    );
    client.expect_refused(
        1,
        queue("q"),
        406,
        &format!("{what} none but current is the value '1000' of type 'signedint'"),
    );
    client.call(1, queue("plain"));
    let declare = Declare {
        arguments: table([("x-max-length", AMQPValue::LongInt(5))]),
        ..queue("plain")
    };
    client.expect_refused(
        1,
        declare,
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'plain' in vhost '/': \
         received the value '5' of type 'signedint' but current is none",
    );
    // What RabbitMQ does not know is not compared, and classic is what no type means.
    let unknown = Declare {
        arguments: table([("x-own", text("1"))]),
        ..queue("plain")
    };
    client.call(1, unknown);
    let classic = Declare {
        arguments: table([("x-queue-type", text("classic"))]),
        ..queue("plain")
    };
    client.call(1, classic);
}

#[test]
fn line_breaks_in_names_are_dropped_and_nul_is_kept() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.call(1, queue("a\r\nb")).queue.as_str(), "ab");
    assert_eq!(client.call(1, delete_queue("a\nb")).message_count, 0);
    client.expect_refused(
        1,
        passive_queue("ab"),
        404,
        "NOT_FOUND - no queue 'ab' in vhost '/'",
    );
    assert_eq!(client.call(1, queue("a\0b")).queue.as_str(), "a\0b");
    client.publish_text(1, "a\0b", "m");
    assert_eq!(client.drain(1, "a\0b"), ["m"]);
}

#[test]
fn names_take_255_octets_of_any_script() {
    let server = Server::start();
    let mut client = server.client();
    for name in [
        "n".repeat(255),
        "\u{1f407}".repeat(63),
        "\u{e9}".repeat(127),
    ] {
        client.call(1, queue(&name));
        client.publish_text(1, &name, "m");
        assert_eq!(client.drain(1, &name), ["m"]);
    }
    let long = "n".repeat(255);
    client.call(1, delete_queue(&long));
    // A text that would not fit is cut.
    let text = format!("NOT_FOUND - no queue '{long}' in vhost '/'");
    let text = format!("{}...", &text[..252]);
    client.expect_refused(1, passive_queue(&long), 404, &text);
}

#[test]
fn delete_counts_ready_messages() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.call(1, delete_queue("absent")).message_count, 0);
    client.call(1, queue("q"));
    for _ in 0..3 {
        client.publish_text(1, "q", "m");
    }
    let tag = client.get(1, "q", false).unwrap().tag();
    assert_eq!(client.call(1, delete_queue("q")).message_count, 2);
    // The message is gone with its queue, and acking it is no mistake.
    client.send(1, leveret_tests::requests::ack(tag));
    client.call(1, queue("q"));
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn delete_has_conditions() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("bq"));
    client.publish_text(1, "bq", "m");
    let in_use = "PRECONDITION_FAILED - queue 'bq' in vhost '/' in use";
    let not_empty = "PRECONDITION_FAILED - queue 'bq' in vhost '/' not empty";
    let if_empty = Delete {
        if_empty: true,
        ..delete_queue("bq")
    };
    let if_unused = Delete {
        if_unused: true,
        ..delete_queue("bq")
    };
    let both = Delete {
        if_unused: true,
        ..if_empty.clone()
    };
    client.expect_refused(1, if_empty.clone(), 406, not_empty);
    client.open_channel(2);
    client.call(2, leveret_tests::requests::prefetch(1));
    client.call(2, consume("bq", "c"));
    client.expect_deliveries(2, 1);
    client.publish_text(1, "bq", "m");
    client.expect_refused(1, if_unused, 406, in_use);
    client.expect_refused(1, both.clone(), 406, not_empty);
    client.expect_refused(1, if_empty, 406, not_empty);
    client.call(2, leveret_tests::requests::cancel("c"));
    client.call(1, purge("bq"));
    // An unacknowledged message does not count.
    client.call(1, both);
}

#[test]
fn deleting_a_queue_takes_its_bindings_along() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.fanout", ""));
    client.call(1, delete_queue("q"));
    client.publish(1, &Publish::to("amq.fanout", "").mandatory());
    client.expect_return(1);
    client.call(1, queue("q"));
    client.publish(1, &Publish::to("amq.fanout", "").mandatory());
    client.expect_return(1);
}

#[test]
fn purge_takes_the_ready_ones_only() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        purge("nope"),
        404,
        "NOT_FOUND - no queue 'nope' in vhost '/'",
    );
    client.call(1, queue("q"));
    for body in ["a", "b", "c"] {
        client.publish_text(1, "q", body);
    }
    let tag = client.get(1, "q", false).unwrap().tag();
    assert_eq!(client.call(1, purge("q")).message_count, 2);
    assert_eq!(client.call(1, purge("q")).message_count, 0);
    client.send(1, leveret_tests::requests::nack(tag, true));
    assert_eq!(client.drain(1, "q"), ["a"]);
}

#[test]
fn a_queue_limit_holds() {
    let server =
        Server::build(|builder| builder.configure(|config| config.limits.queues_per_vhost = 1));
    let mut client = server.client();
    client.call(1, queue("one"));
    client.call(1, queue("one"));
    client.expect_refused(
        1,
        queue("lim1"),
        406,
        "PRECONDITION_FAILED - cannot declare queue 'lim1': queue limit in vhost '/' (1) is reached",
    );
    client.call(1, delete_queue("one"));
    client.call(1, queue("lim1"));
}

#[test]
fn many_queues_come_and_go() {
    let server = Server::start();
    let mut client = server.client();
    for round in 0..2 {
        for number in 0..500 {
            client.send(
                1,
                Declare {
                    nowait: true,
                    ..queue(&format!("q{number}"))
                },
            );
        }
        for number in 0..500 {
            client.publish_text(1, &format!("q{number}"), "m");
        }
        for number in 0..500 {
            let name = format!("q{number}");
            assert_eq!(client.counts(1, &name), (1, 0), "round {round}, {name}");
            assert_eq!(client.call(1, delete_queue(&name)).message_count, 1);
        }
    }
}
