//! Policies and operator policies on exchanges and queues in use.

use leveret::{ApplyTo, Policy, PolicyKind};
use leveret_tests::requests::{bind, consume, exchange, nack, queue, table, text};
use leveret_tests::{Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::queue::Declare;

fn set(server: &Server, kind: PolicyKind, pattern: &str, settings: &str) {
    let broker = server.running().broker();
    let policy = Policy {
        name: "p".to_owned(),
        pattern: pattern.to_owned(),
        apply_to: ApplyTo::All,
        priority: 0,
        definition: settings.parse().unwrap(),
    };
    let vhost = broker.vhost("/").unwrap();
    let ticket = vhost.set_policy(kind, policy).unwrap();
    broker.wait_durable(ticket).unwrap();
}

fn clear(server: &Server) {
    let vhost = server.running().broker().vhost("/").unwrap();
    vhost.delete_policy(PolicyKind::User, "p").unwrap();
}

#[test]
fn a_policy_trims_and_dead_letters_what_is_there() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, queue("dead"));
    client.confirm_select(1);
    client.publish_all(
        1,
        ["1", "2", "3"].map(|body| Publish::to_queue("q").body(body)),
    );
    client.expect_confirms(1, 1, 3);
    let settings =
        r#"{"max-length": 1, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"}"#;
    set(&server, PolicyKind::User, "^q$", settings);
    assert_eq!(client.drain(1, "dead"), ["1", "2"]);
    assert_eq!(client.counts(1, "q"), (1, 0));
    clear(&server);
    client.publish_all(1, ["4", "5"].map(|body| Publish::to_queue("q").body(body)));
    client.expect_confirms(1, 4, 5);
    assert_eq!(client.drain(1, "q"), ["3", "4", "5"]);
}

#[test]
fn a_publisher_that_knows_its_route_is_rerouted() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, exchange("x", "direct"));
    client.call(1, exchange("ae", "fanout"));
    client.call(1, queue("rest"));
    client.call(1, bind("rest", "ae", ""));
    let lost = || Publish::to("x", "nowhere").mandatory();
    client.publish(1, &lost().body("1"));
    assert_eq!(client.expect_return(1).content.text(), "1");
    set(
        &server,
        PolicyKind::User,
        "^x$",
        r#"{"alternate-exchange": "ae"}"#,
    );
    client.publish(1, &lost().body("2"));
    assert_eq!(client.drain(1, "rest"), ["2"]);
    clear(&server);
    client.publish(1, &lost().body("3"));
    assert_eq!(client.expect_return(1).content.text(), "3");
}

#[test]
fn an_operator_bounds_what_clients_ask_for() {
    let server = Server::start();
    set(
        &server,
        PolicyKind::Operator,
        "",
        r#"{"max-length": 2, "overflow": "reject-publish"}"#,
    );
    let mut client = server.client();
    let generous = Declare {
        arguments: table([("x-max-length", AMQPValue::LongInt(1_000))]),
        ..queue("q")
    };
    client.call(1, generous);
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    assert_eq!(client.drain(1, "q"), ["1", "2"]);
}

#[test]
fn server_named_and_exclusive_queues_are_matched() {
    let server = Server::start();
    set(
        &server,
        PolicyKind::User,
        "^(amq\\.gen-|mine)",
        r#"{"max-length": 1}"#,
    );
    let mut client = server.client();
    let generated = client.call(1, queue("")).queue.to_string();
    client.call(
        1,
        Declare {
            exclusive: true,
            ..queue("mine")
        },
    );
    for name in [generated.as_str(), "mine"] {
        client.publish_text(1, name, "1");
        client.publish_text(1, name, "2");
        assert_eq!(client.drain(1, name), ["2"], "{name}");
    }
}

#[test]
fn rejected_messages_follow_the_policy_of_the_moment() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, queue("dead"));
    client.call(1, consume("q", "c"));
    client.publish_text(1, "q", "1");
    let first = client.expect_delivery(1).tag();
    client.publish_text(1, "q", "2");
    let second = client.expect_delivery(1).tag();
    client.send(1, nack(first, false));
    // The answer shows that the rejection was worked off.
    assert_eq!(client.counts(1, "dead"), (0, 0));
    let settings = r#"{"dead-letter-exchange": "", "dead-letter-routing-key": "dead"}"#;
    set(&server, PolicyKind::User, "^q$", settings);
    client.send(1, nack(second, false));
    assert_eq!(client.drain(1, "dead"), ["2"]);
}

#[test]
fn what_was_declared_is_what_is_compared() {
    let server = Server::start();
    set(
        &server,
        PolicyKind::User,
        "^q$",
        r#"{"max-length": 1, "overflow": "reject-publish"}"#,
    );
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, queue("q"));
    let other = Declare {
        arguments: table([("x-overflow", text("reject-publish"))]),
        ..queue("q")
    };
    client.expect_refused(
        1,
        other,
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'q' in vhost '/': received the value \
         'reject-publish' of type 'longstr' but current is none",
    );
}
