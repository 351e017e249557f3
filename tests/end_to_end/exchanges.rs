//! exchange.declare and exchange.delete.

use leveret_tests::requests::{
    bind, bind_exchange, delete_exchange, exchange, passive_exchange, queue, table, text, unbind,
};
use leveret_tests::{Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::exchange::{Declare, Delete};

const DEFAULT_EXCHANGE: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";

#[test]
fn the_predeclared_exchanges_are_there_with_their_types() {
    let server = Server::start();
    let mut client = server.client();
    for (name, kind) in [
        ("amq.direct", "direct"),
        ("amq.fanout", "fanout"),
        ("amq.topic", "topic"),
        ("amq.headers", "headers"),
        ("amq.match", "headers"),
    ] {
        client.call(1, passive_exchange(name));
        client.call(
            1,
            Declare {
                durable: true,
                ..exchange(name, kind)
            },
        );
    }
    client.call(1, passive_exchange("amq.rabbitmq.trace"));
    let trace = Declare {
        durable: true,
        internal: true,
        ..exchange("amq.rabbitmq.trace", "topic")
    };
    client.call(1, trace);
}

#[test]
fn an_unknown_type_is_a_hard_error() {
    let server = Server::start();
    for (kind, text) in [
        ("bogus", "COMMAND_INVALID - unknown exchange type 'bogus'"),
        ("DIRECT", "COMMAND_INVALID - unknown exchange type 'DIRECT'"),
        ("", "COMMAND_INVALID - invalid exchange type ''"),
    ] {
        server
            .client()
            .expect_fatal(1, exchange("x", kind), 503, text);
    }
    // The type is looked at before the name.
    server.client().expect_fatal(
        1,
        exchange("", "bogus"),
        503,
        "COMMAND_INVALID - unknown exchange type 'bogus'",
    );
}

#[test]
fn the_default_exchange_is_nobodys_to_touch() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(1, exchange("", "direct"), 403, DEFAULT_EXCHANGE);
    client.expect_refused(1, passive_exchange(""), 403, DEFAULT_EXCHANGE);
    client.expect_refused(1, delete_exchange(""), 403, DEFAULT_EXCHANGE);
}

#[test]
fn reserved_names_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        exchange("amq.foo", "direct"),
        403,
        "ACCESS_REFUSED - exchange name 'amq.foo' contains reserved prefix 'amq.*'",
    );
    for name in ["amq.direct", "amq.absent"] {
        let text = format!(
            "ACCESS_REFUSED - deletion of system exchange '{name}' in vhost '/' not allowed"
        );
        client.expect_refused(1, delete_exchange(name), 403, &text);
    }
}

#[test]
fn redeclaring_must_be_equivalent() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "direct"));
    client.call(1, exchange("x", "direct"));
    let what = "for exchange 'x' in vhost '/': received";
    for (other, difference) in [
        (
            exchange("x", "fanout"),
            format!("'type' {what} 'fanout' but current is 'direct'"),
        ),
        (
            Declare {
                durable: true,
                ..exchange("x", "direct")
            },
            format!("'durable' {what} 'true' but current is 'false'"),
        ),
        (
            Declare {
                auto_delete: true,
                ..exchange("x", "direct")
            },
            format!("'auto_delete' {what} 'true' but current is 'false'"),
        ),
        (
            Declare {
                internal: true,
                ..exchange("x", "direct")
            },
            format!("'internal' {what} 'true' but current is 'false'"),
        ),
        // The order of the comparison.
        (
            Declare {
                durable: true,
                internal: true,
                ..exchange("x", "topic")
            },
            format!("'type' {what} 'topic' but current is 'direct'"),
        ),
        (
            Declare {
                arguments: table([("alternate-exchange", text("ae"))]),
                ..exchange("x", "direct")
            },
            format!(
                "'alternate-exchange' {what} the value 'ae' of type 'longstr' but current is none"
            ),
        ),
    ] {
        let text = format!("PRECONDITION_FAILED - inequivalent arg {difference}");
        client.expect_refused(1, other, 406, &text);
    }
    // Other arguments are not compared.
    let other = Declare {
        arguments: table([("x-other", text("1"))]),
        ..exchange("x", "direct")
    };
    client.call(1, other);
}

#[test]
fn an_alternate_exchange_must_be_a_name() {
    let server = Server::start();
    let mut client = server.client();
    let declare = Declare {
        arguments: table([("alternate-exchange", AMQPValue::LongInt(5))]),
        ..exchange("x", "direct")
    };
    client.expect_refused(
        1,
        declare,
        406,
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'",
    );
}

#[test]
fn passive_asks_for_existence_only() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "direct"));
    let other = Declare {
        passive: true,
        durable: true,
        internal: true,
        ..exchange("x", "no such type")
    };
    client.call(1, other);
    client.expect_refused(
        1,
        passive_exchange("nox"),
        404,
        "NOT_FOUND - no exchange 'nox' in vhost '/'",
    );
}

#[test]
fn line_breaks_in_names_are_dropped() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("a\r\nb", "direct"));
    client.call(1, passive_exchange("ab"));
    client.call(1, delete_exchange("a\nb"));
    client.expect_refused(
        1,
        passive_exchange("ab"),
        404,
        "NOT_FOUND - no exchange 'ab' in vhost '/'",
    );
}

#[test]
fn delete_takes_the_bindings_along() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, exchange("x", "fanout"));
    client.call(1, exchange("y", "fanout"));
    client.call(1, bind("q", "x", ""));
    client.call(1, bind_exchange("x", "y", ""));
    client.call(1, delete_exchange("x"));
    client.call(1, delete_exchange("x"));
    client.call(1, exchange("x", "fanout"));
    client.publish(1, &Publish::to("x", "").mandatory());
    client.expect_return(1);
    client.publish(1, &Publish::to("y", "").mandatory());
    client.expect_return(1);
}

#[test]
fn if_unused_asks_for_bindings_from_it() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, exchange("x", "fanout"));
    client.call(1, exchange("up", "fanout"));
    client.call(1, bind("q", "x", ""));
    let delete = Delete {
        if_unused: true,
        ..delete_exchange("x")
    };
    client.expect_refused(
        1,
        delete.clone(),
        406,
        "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use",
    );
    client.call(1, unbind("q", "x", ""));
    // A binding to it does not count.
    client.call(1, bind_exchange("x", "up", ""));
    client.call(1, delete);
}

#[test]
fn an_internal_exchange_takes_no_publish() {
    let server = Server::start();
    let mut client = server.client();
    client.call(
        1,
        Declare {
            internal: true,
            ..exchange("xi", "fanout")
        },
    );
    client.call(1, exchange("x", "fanout"));
    client.call(1, queue("q"));
    client.call(1, bind_exchange("xi", "x", ""));
    client.call(1, bind("q", "xi", ""));
    client.publish(1, &Publish::to("x", "").body("through"));
    assert_eq!(client.drain(1, "q"), ["through"]);
    client.publish(1, &Publish::to("xi", "").body("direct"));
    let close = client.expect_channel_close(
        1,
        403,
        "ACCESS_REFUSED - cannot publish to internal exchange 'xi' in vhost '/'",
    );
    assert_eq!((close.class_id, close.method_id), (60, 40));
}

#[test]
fn publishing_to_no_exchange_closes_the_channel() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish(1, &Publish::to("nox", "k").body("lost"));
    client.publish(1, &Publish::to_queue("q").body("swallowed"));
    client.expect_channel_close(1, 404, "NOT_FOUND - no exchange 'nox' in vhost '/'");
    client.reopen_channel(1);
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn an_exchange_limit_holds() {
    let server =
        Server::build(|builder| builder.configure(|config| config.limits.exchanges_per_vhost = 7));
    let mut client = server.client();
    // The six predeclared ones count; the default exchange is none that was declared.
    client.call(1, exchange("one", "direct"));
    client.send(1, exchange("two", "direct"));
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406, "{close:?}");
}
