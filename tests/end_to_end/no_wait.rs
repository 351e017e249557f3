//! The no-wait bit: success is silent, errors are not.

use leveret_tests::requests::{
    bind, bind_exchange, cancel, consume, delete_exchange, delete_queue, exchange,
    passive_exchange, passive_queue, purge, queue, unbind_exchange,
};
use leveret_tests::{Publish, Server};
use leveret_wire::method::{basic, confirm, exchange, queue};

#[test]
fn success_is_silent() {
    let server = Server::start();
    let mut client = server.client();
    client.send(
        1,
        exchange::Declare {
            nowait: true,
            ..exchange("x", "fanout")
        },
    );
    client.send(
        1,
        queue::Declare {
            nowait: true,
            ..queue("q")
        },
    );
    client.send(
        1,
        queue::Bind {
            nowait: true,
            ..bind("q", "x", "")
        },
    );
    client.send(
        1,
        exchange::Bind {
            nowait: true,
            ..bind_exchange("x", "amq.fanout", "")
        },
    );
    client.publish(1, &Publish::to("amq.fanout", "").body("1"));
    client.expect_quiet(1);
    assert_eq!(client.drain(1, "q"), ["1"]);
    client.send(
        1,
        exchange::Unbind {
            nowait: true,
            ..unbind_exchange("x", "amq.fanout", "")
        },
    );
    client.publish(1, &Publish::to("amq.fanout", "").body("2"));
    client.publish(1, &Publish::to("x", "").body("3"));
    client.send(
        1,
        queue::Purge {
            nowait: true,
            ..purge("q")
        },
    );
    client.expect_quiet(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
    client.send(1, confirm::Select { nowait: true });
    client.publish_text(1, "q", "4");
    client.expect_confirms(1, 1, 1);
    client.send(
        1,
        exchange::Delete {
            nowait: true,
            ..delete_exchange("x")
        },
    );
    client.send(
        1,
        queue::Delete {
            nowait: true,
            ..delete_queue("q")
        },
    );
    client.expect_quiet(1);
    client.expect_refused(
        1,
        passive_exchange("x"),
        404,
        "NOT_FOUND - no exchange 'x' in vhost '/'",
    );
    client.expect_refused(
        1,
        passive_queue("q"),
        404,
        "NOT_FOUND - no queue 'q' in vhost '/'",
    );
}

#[test]
fn a_consumer_without_a_tag_learns_it_from_its_first_delivery() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.send(
        1,
        basic::Consume {
            nowait: true,
            ..consume("q", "")
        },
    );
    client.publish_text(1, "q", "1");
    let delivery = client.expect_delivery(1);
    let tag = delivery.method.consumer_tag.to_string();
    assert!(tag.starts_with("amq.ctag-"), "{tag}");
    client.send(
        1,
        basic::Cancel {
            nowait: true,
            ..cancel(&tag)
        },
    );
    client.publish_text(1, "q", "2");
    client.expect_quiet(1);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn errors_close_the_channel_all_the_same() {
    let server = Server::start();
    let mut client = server.client();
    let no_queue = "NOT_FOUND - no queue 'nope' in vhost '/'";
    let passive = queue::Declare {
        nowait: true,
        ..passive_queue("nope")
    };
    client.expect_refused(1, passive, 404, no_queue);
    let consume = basic::Consume {
        nowait: true,
        ..consume("nope", "c")
    };
    client.expect_refused(1, consume, 404, no_queue);
    client.expect_refused(
        1,
        queue::Purge {
            nowait: true,
            ..purge("nope")
        },
        404,
        no_queue,
    );
    let bind = queue::Bind {
        nowait: true,
        ..bind("nope", "amq.direct", "k")
    };
    client.expect_refused(1, bind, 404, no_queue);
    client.send(
        1,
        exchange::Declare {
            nowait: true,
            ..exchange("x", "bogus")
        },
    );
    client.expect_hard_error(503, "COMMAND_INVALID - unknown exchange type 'bogus'");
}

#[test]
fn a_server_named_queue_is_the_last_one_although_nobody_said_its_name() {
    let server = Server::start();
    let mut client = server.client();
    client.send(
        1,
        queue::Declare {
            nowait: true,
            ..queue("")
        },
    );
    client.call(1, bind("", "amq.direct", "k"));
    client.publish(1, &Publish::to("amq.direct", "k").body("m"));
    assert_eq!(client.get(1, "", true).unwrap().text(), "m");
}
