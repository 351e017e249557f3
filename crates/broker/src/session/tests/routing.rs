//! Where messages go, and that remembered routes are forgotten when the topology changes.

use leveret_store::{MemoryStore, Store as _};
use leveret_wire::method::{exchange, queue};
use leveret_wire::properties::Property;
use leveret_wire::{AMQPValue, FieldTable, PropertiesBuilder};

use super::rig::{
    Client, Node, bind, consume, consume_no_ack, declare, declare_exchange, delete, get, routed,
    to, with_properties,
};
use crate::definitions::VhostRecord;
use crate::users::{Permission, UserRecord};
use crate::{Limits, definitions};

/// A client with queues `p` and `q`, a direct exchange `x`, and `p` bound to it by `k`.
fn client(node: &Node) -> Client {
    let mut client = node.client();
    client.call(1, declare("p"));
    client.call(1, declare("q"));
    client.call(1, declare_exchange("x", "direct"));
    client.call(1, bind("p", "x", "k"));
    client.call(2, consume_no_ack("p", "p"));
    client.call(2, consume_no_ack("q", "q"));
    client.skip();
    client
}

/// The queues that get a message published to `x` with `k` now.
fn reached(client: &mut Client) -> Vec<String> {
    client.publish(1, routed("x", "k", "m"));
    let mut queues: Vec<String> = client
        .heard()
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    queues.sort();
    queues
}

fn unbind(queue: &str, exchange: &str, routing_key: &str) -> queue::Unbind {
    queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        arguments: FieldTable::default(),
    }
}

fn delete_exchange(exchange: &str) -> exchange::Delete {
    exchange::Delete {
        exchange: exchange.into(),
        if_unused: false,
        nowait: true,
    }
}

#[test]
fn a_route_is_forgotten_when_a_binding_is_added_or_removed() {
    let node = Node::new();
    let mut client = client(&node);
    assert_eq!(reached(&mut client), ["p"]);
    client.call(
        1,
        queue::Bind {
            nowait: true,
            ..bind("q", "x", "k")
        },
    );
    assert_eq!(reached(&mut client), ["p", "q"]);
    client.call(1, unbind("p", "x", "k"));
    client.skip();
    assert_eq!(reached(&mut client), ["q"]);
    client.call(1, unbind("q", "x", "k"));
    client.skip();
    assert!(reached(&mut client).is_empty());
}

#[test]
fn a_route_is_forgotten_when_another_connection_changes_it() {
    let node = Node::new();
    let mut client = client(&node);
    let mut other = node.client();
    assert_eq!(reached(&mut client), ["p"]);
    other.call(1, bind("q", "x", "k"));
    assert_eq!(reached(&mut client), ["p", "q"]);
    other.call(1, delete("p"));
    client.skip();
    assert_eq!(reached(&mut client), ["q"]);
    other.call(1, delete_exchange("x"));
    other.call(1, declare_exchange("x", "fanout"));
    assert!(reached(&mut client).is_empty());
    other.call(1, bind("q", "x", ""));
    assert_eq!(reached(&mut client), ["q"]);
    other.call(1, delete_exchange("x"));
    client.publish(1, routed("x", "k", "m"));
    assert_eq!(
        client.heard(),
        ["1 close 404 NOT_FOUND - no exchange 'x' in vhost '/' 60 40"]
    );
}

#[test]
fn what_was_published_before_a_change_goes_the_old_way() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, routed("x", "k", "before"));
    client.call(1, unbind("p", "x", "k"));
    client.publish(1, routed("x", "k", "after"));
    client.call(
        1,
        queue::Bind {
            nowait: true,
            ..bind("q", "x", "k")
        },
    );
    client.publish(1, routed("x", "k", "last"));
    assert_eq!(
        client.heard(),
        ["1 unbind-ok", "2 deliver p 1 before", "2 deliver q 2 last"]
    );
}

#[test]
fn a_queue_that_is_declared_anew_is_found_by_its_name() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, to("p", "old"));
    client.skip();
    client.call(1, delete("p"));
    client.publish(1, to("p", "lost"));
    client.call(1, declare("p"));
    client.publish(1, to("p", "new"));
    client.call(1, get("p"));
    assert_eq!(
        client.heard(),
        [
            "1 delete-ok 0",
            "2 cancel p",
            "1 declare-ok p 0 0",
            "1 get-ok 1 left 0 new"
        ]
    );
}

#[test]
fn more_keys_than_are_remembered_still_find_their_queues() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(
        1,
        queue::Bind {
            nowait: true,
            ..bind("q", "amq.topic", "#")
        },
    );
    for round in 0..2 {
        for key in 0..5_000 {
            client.publish(1, routed("amq.topic", &format!("k.{key}"), "m"));
        }
        client.publish(1, routed("x", "k", "m"));
        let heard = client.heard();
        assert_eq!(
            heard
                .iter()
                .filter(|line| line.contains("deliver q"))
                .count(),
            5_000,
            "round {round}"
        );
        assert_eq!(
            heard
                .iter()
                .filter(|line| line.contains("deliver p"))
                .count(),
            1,
            "round {round}"
        );
    }
}

#[test]
fn a_message_enters_a_queue_once_however_many_bindings_match() {
    let node = Node::new();
    let mut client = client(&node);
    for key in ["#", "a.*", "*.b"] {
        client.call(
            1,
            queue::Bind {
                nowait: true,
                ..bind("q", "amq.topic", key)
            },
        );
    }
    client.publish(1, routed("amq.topic", "a.b", "m"));
    assert_eq!(client.heard(), ["2 deliver q 1 m"]);
}

#[test]
fn a_headers_exchange_looks_at_each_message() {
    use leveret_wire::{PropertiesBuilder, RawValue, TableBuilder};

    let node = Node::new();
    let mut client = client(&node);
    let mut arguments = FieldTable::default();
    arguments.insert("color".into(), AMQPValue::LongString("red".into()));
    client.call(
        1,
        queue::Bind {
            nowait: true,
            arguments,
            ..bind("q", "amq.headers", "")
        },
    );
    for (color, reached) in [("red", 1), ("blue", 0), ("red", 1)] {
        let mut headers = TableBuilder::new();
        headers.put(b"color", &RawValue::LongString(color.as_bytes()));
        let headers = headers.into_content();
        let mut properties = PropertiesBuilder::new();
        properties.headers(Some(&headers));
        client.publish(1, with_properties("amq.headers", "", "m", &properties));
        assert_eq!(client.heard().len(), reached, "{color}");
    }
    client.publish(1, routed("amq.headers", "", "none"));
    assert!(client.heard().is_empty());
}

#[test]
fn an_alternate_exchange_takes_what_no_binding_does() {
    let node = Node::new();
    let mut client = client(&node);
    let mut declared = declare_exchange("main", "direct");
    declared.arguments.insert(
        "alternate-exchange".into(),
        AMQPValue::LongString("amq.fanout".into()),
    );
    client.call(1, declared);
    client.call(1, bind("q", "amq.fanout", ""));
    client.call(1, bind("p", "main", "k"));
    client.skip();
    client.publish_mandatory(1, routed("main", "k", "a"));
    client.publish_mandatory(1, routed("main", "other", "b"));
    let mut heard = client.heard();
    heard.sort();
    assert_eq!(heard.len(), 2);
    assert!(
        heard[0].starts_with("2 deliver p") && heard[0].ends_with(" a"),
        "{heard:?}"
    );
    assert!(
        heard[1].starts_with("2 deliver q") && heard[1].ends_with(" b"),
        "{heard:?}"
    );
}

#[test]
fn exchanges_that_can_not_be_published_to_refuse() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(
        1,
        exchange::Declare {
            internal: true,
            nowait: true,
            ..declare_exchange("inner", "fanout")
        },
    );
    client.publish(1, routed("inner", "", "m"));
    assert_eq!(
        client.heard(),
        [
            "1 close 403 ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/' 60 40"
        ]
    );
    let error = client.publish_immediate(2, to("nowhere", "m")).unwrap_err();
    assert_eq!(error.text, "NOT_IMPLEMENTED - immediate=true");
    assert_eq!((error.class, error.method), (60, 40));
}

#[test]
fn an_internal_exchange_takes_from_another_one() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(
        1,
        exchange::Declare {
            internal: true,
            nowait: true,
            ..declare_exchange("inner", "fanout")
        },
    );
    client.call(1, bind("q", "inner", ""));
    let through = exchange::Bind {
        destination: "inner".into(),
        source: "x".into(),
        routing_key: "k".into(),
        nowait: false,
        arguments: FieldTable::default(),
    };
    client.call(1, through.clone());
    assert_eq!(client.heard(), ["1 bind-ok", "1 exchange.bind-ok"]);
    assert_eq!(reached(&mut client), ["p", "q"]);
    let exchange::Bind {
        destination,
        source,
        routing_key,
        nowait,
        arguments,
    } = through;
    client.call(
        1,
        exchange::Unbind {
            destination,
            source,
            routing_key,
            nowait,
            arguments,
        },
    );
    client.skip();
    assert_eq!(reached(&mut client), ["p"]);
}

#[test]
fn a_publish_to_a_missing_exchange_takes_only_what_follows_with_it() {
    let node = Node::new();
    let mut client = client(&node);
    client.publish(1, to("p", "before"));
    client.publish(1, routed("nowhere", "k", "m"));
    client.publish(1, to("p", "after"));
    client.publish(2, to("p", "other channel"));
    let mut heard = client.heard();
    heard.sort();
    assert_eq!(
        heard,
        [
            "1 close 404 NOT_FOUND - no exchange 'nowhere' in vhost '/' 60 40",
            "2 deliver p 1 before",
            "2 deliver p 2 other channel"
        ]
    );
}

#[test]
fn a_run_of_one_read_reaches_each_queue_in_order() {
    let node = Node::new();
    let mut client = client(&node);
    client.call(1, declare("r"));
    client.call(1, consume("r", "r"));
    client.skip();
    for at in 0..30 {
        client.publish(1, to(["p", "q", "r"][at % 3], &at.to_string()));
    }
    let heard = client.heard();
    for (first, queue) in ["p", "q", "r"].into_iter().enumerate() {
        let bodies: Vec<usize> = heard
            .iter()
            .filter(|line| line.contains(&format!("deliver {queue} ")))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(bodies, (first..30).step_by(3).collect::<Vec<_>>());
    }
}

#[test]
fn a_reply_address_means_nothing_in_another_vhost() {
    const REPLY_TO: &str = "amq.rabbitmq.reply-to";
    let store = MemoryStore::new();
    let user = UserRecord::new("guest", Vec::new()).unwrap();
    let mut stored = vec![definitions::put_user("guest", &user)];
    for vhost in ["/", "other"] {
        stored.push(definitions::put_vhost(vhost, &VhostRecord::default()));
        stored.push(definitions::put_permission(
            "guest",
            vhost,
            &Permission::all(),
        ));
    }
    store.change(stored).unwrap();
    let node = Node::on(store, Limits::default());
    let mut asking = node.client();
    asking.call(1, consume_no_ack(REPLY_TO, "r"));
    asking.call(1, declare("q"));
    let mut properties = PropertiesBuilder::new();
    properties.text(Property::ReplyTo, Some(REPLY_TO.as_bytes()));
    asking.publish(1, with_properties("", "q", "request", &properties));
    asking.skip();
    asking.call(1, get("q"));
    asking.heard();
    let address = asking.messages()[0].properties().reply_to().unwrap();
    let address = String::from_utf8(address.to_vec()).unwrap();
    let mut stranger = node.connect_to("other", "guest", true);
    stranger.open(1);
    stranger.publish_mandatory(1, to(&address, "astray"));
    assert_eq!(stranger.heard(), ["1 return astray"]);
    stranger.call(
        1,
        queue::Declare {
            passive: true,
            ..declare(&address)
        },
    );
    assert!(stranger.heard()[0].starts_with("1 close 404 NOT_FOUND"));
    let mut answering = node.client();
    answering.publish(1, to(&address, "reply"));
    answering.flush();
    assert_eq!(asking.heard(), ["1 deliver r 2 reply"]);
}
