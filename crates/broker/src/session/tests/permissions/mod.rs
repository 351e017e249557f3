//! What a user may do, on channels that are open.

mod matrix;

use leveret_wire::method::{exchange, queue};
use leveret_wire::properties::Property;
use leveret_wire::{
    AMQPValue, ArrayBuilder, FieldTable, Message, PropertiesBuilder, RawValue, TableBuilder,
};

use super::rig::{
    Client, Node, bind, confirm_select, consume, declare, declare_exchange, get, routed, to,
    with_properties,
};
use crate::{AccessRefused, Permission, Resource, Right, TopicPermission};

fn passive(queue: &str) -> queue::Declare {
    queue::Declare {
        passive: true,
        ..declare(queue)
    }
}

fn passive_exchange(exchange: &str) -> exchange::Declare {
    exchange::Declare {
        passive: true,
        ..declare_exchange(exchange, "direct")
    }
}

fn exchange_delete(exchange: &str) -> exchange::Delete {
    exchange::Delete {
        exchange: exchange.into(),
        ..exchange::Delete::default()
    }
}

fn purge(queue: &str) -> queue::Purge {
    queue::Purge {
        queue: queue.into(),
        nowait: false,
    }
}

fn unbind(queue: &str, exchange: &str, routing_key: &str) -> queue::Unbind {
    queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        arguments: FieldTable::default(),
    }
}

/// What may be declared with arguments.
trait Declaration {
    fn arguments(&mut self) -> &mut FieldTable;
}

impl Declaration for queue::Declare {
    fn arguments(&mut self) -> &mut FieldTable {
        &mut self.arguments
    }
}

impl Declaration for exchange::Declare {
    fn arguments(&mut self) -> &mut FieldTable {
        &mut self.arguments
    }
}

fn with_argument<D: Declaration>(mut declare: D, key: &str, text: &str) -> D {
    let value = AMQPValue::LongString(text.into());
    declare.arguments().insert(key.into(), value);
    declare
}

/// A message with one more routing key in the header `name`.
fn with_cc(exchange: &str, routing_key: &str, name: &str, key: &str) -> Message {
    let mut keys = ArrayBuilder::new();
    keys.push(&RawValue::LongString(key.as_bytes()));
    let mut headers = TableBuilder::new();
    headers.put(name.as_bytes(), &RawValue::Array(keys.as_array()));
    let mut properties = PropertiesBuilder::new();
    properties.headers(Some(headers.as_table().as_bytes()));
    with_properties(exchange, routing_key, "m", &properties)
}

fn permission(configure: &str, write: &str, read: &str) -> Permission {
    Permission {
        configure: configure.to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    }
}

/// A node with a user `bob`, who has this permission in `/`.
fn node_with(permission: Permission) -> Node {
    let node = Node::new();
    node.broker.add_user("bob", "guest", vec![]).unwrap();
    node.broker.set_permission("bob", "/", permission).unwrap();
    node.sync();
    node
}

fn bob(node: &Node) -> Client {
    let mut bob = node.connect_as("bob", true);
    bob.open(1);
    bob.open(2);
    bob
}

/// Why the channel was closed, which is all that the client heard. The channel is opened again.
fn refused(client: &mut Client) -> String {
    let heard = client.heard();
    let [line] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    client.open(1);
    let text = line.strip_prefix("1 close 403 ACCESS_REFUSED - ").unwrap();
    text.split(" in vhost").next().unwrap().to_owned()
}

#[test]
fn a_right_that_is_taken_away_counts_for_the_next_message_of_a_known_route() {
    let node = node_with(Permission::all());
    let mut bob = bob(&node);
    bob.call(1, declare("q"));
    bob.skip();
    for _ in 0..3 {
        bob.publish(1, to("q", "m"));
    }
    bob.flush();
    assert_eq!(node.counts().0, 3);
    let read_only = permission("", "", ".*");
    node.broker.set_permission("bob", "/", read_only).unwrap();
    bob.publish(1, to("q", "m"));
    assert_eq!(refused(&mut bob), "write access to exchange 'amq.default'");
    assert_eq!(node.counts().0, 3);
    bob.call(1, get("q"));
    assert_eq!(bob.heard(), ["1 get-ok 1 left 2 m"]);
    bob.call(1, declare("q2"));
    assert_eq!(refused(&mut bob), "configure access to queue 'q2'");
    node.broker
        .set_permission("bob", "/", Permission::all())
        .unwrap();
    bob.publish(1, to("q", "m"));
    bob.call(1, declare("q2"));
    assert_eq!(bob.heard(), ["1 declare-ok q2 0 0"]);
    // What was out on the channel that was closed is back.
    assert_eq!(node.counts().0, 4);
}

#[test]
fn who_has_no_permission_any_more_may_do_nothing_and_not_come_back() {
    let node = node_with(Permission::all());
    let mut bob = bob(&node);
    bob.call(1, declare("q"));
    bob.skip();
    node.broker.clear_permission("bob", "/").unwrap();
    bob.call(1, get("q"));
    assert_eq!(refused(&mut bob), "read access to queue 'q'");
    bob.call(1, passive("q"));
    assert_eq!(refused(&mut bob), "configure access to queue 'q'");
    bob.publish(1, to("q", "m"));
    assert_eq!(refused(&mut bob), "write access to exchange 'amq.default'");
    assert!(!node.broker.may_open("bob", "/"));
}

#[test]
fn messages_of_one_read_are_refused_from_the_first_on_that_may_not_be_sent() {
    let node = node_with(permission("", "^x$", ""));
    let mut admin = node.client();
    admin.call(1, declare_exchange("x", "fanout"));
    admin.call(1, declare("q"));
    admin.call(1, bind("q", "x", ""));
    admin.skip();
    let mut bob = bob(&node);
    bob.call(1, confirm_select());
    bob.publish(1, routed("x", "", "a"));
    bob.publish(1, to("q", "b"));
    bob.publish(1, routed("x", "", "c"));
    bob.publish(2, routed("x", "", "d"));
    let heard = bob.heard();
    assert_eq!(
        heard,
        [
            "1 confirm.select-ok",
            "1 ack 1",
            "1 close 403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'bob' 60 40"
        ]
    );
    assert_eq!(node.counts().0, 2);
}

#[test]
fn topic_permissions_bound_keys_and_know_who_asks() {
    let node = node_with(Permission::all());
    let own = TopicPermission {
        write: "^{username}\\.{vhost}\\.".to_owned(),
        read: "^{username}(\\.|$)".to_owned(),
    };
    let broker = &node.broker;
    broker
        .set_topic_permission("bob", "/", "amq.topic", own)
        .unwrap();
    let mut bob = bob(&node);
    bob.call(1, declare("q"));
    bob.call(1, bind("q", "amq.topic", "bob.#"));
    bob.call(1, bind("q", "amq.topic", "bob"));
    bob.skip();
    for _ in 0..2 {
        bob.publish(1, routed("amq.topic", "bob./.a", "m"));
    }
    bob.flush();
    assert_eq!(node.counts().0, 2);
    bob.publish(1, routed("amq.topic", "bobby./.a", "m"));
    assert_eq!(
        refused(&mut bob),
        "access to topic 'bobby./.a' in exchange 'amq.topic'"
    );
    bob.publish(1, with_cc("amq.topic", "bob./.a", "BCC", "eve"));
    assert_eq!(
        refused(&mut bob),
        "access to topic 'eve' in exchange 'amq.topic'"
    );
    bob.call(1, bind("q", "amq.topic", "#"));
    assert_eq!(
        refused(&mut bob),
        "access to topic '#' in exchange 'amq.topic'"
    );
    // Other exchanges, and exchanges of other types, have no keys to bound.
    bob.publish(1, to("q", "m"));
    bob.flush();
    assert_eq!(node.counts().0, 3);
    broker
        .clear_topic_permissions("bob", "/", Some("amq.topic"))
        .unwrap();
    bob.publish(1, routed("amq.topic", "bob", "m"));
    bob.flush();
    assert_eq!(node.counts().0, 4);
}

#[test]
fn routes_that_are_not_remembered_are_asked_again_after_every_change() {
    let node = node_with(permission("", "^amq\\.headers$", ""));
    let mut bob = bob(&node);
    for _ in 0..3 {
        bob.publish(1, routed("amq.headers", "k", "m"));
    }
    assert_eq!(bob.heard(), [] as [&str; 0]);
    let nothing = permission("", "", "");
    node.broker.set_permission("bob", "/", nothing).unwrap();
    bob.publish(1, routed("amq.headers", "k", "m"));
    assert_eq!(refused(&mut bob), "write access to exchange 'amq.headers'");
}

#[test]
fn a_consumer_that_lost_its_right_goes_on() {
    // As in RabbitMQ: what was started stays.
    let node = node_with(Permission::all());
    let mut bob = bob(&node);
    bob.call(1, declare("q"));
    bob.call(1, consume("q", "c"));
    bob.skip();
    node.broker.clear_permission("bob", "/").unwrap();
    let mut admin = node.client();
    admin.publish(1, to("q", "m"));
    admin.flush();
    assert_eq!(bob.heard(), ["1 deliver c 1 m"]);
}

#[test]
fn a_user_becomes_an_impersonator_while_it_is_connected() {
    let node = node_with(Permission::all());
    let mut bob = bob(&node);
    let mut properties = PropertiesBuilder::new();
    properties.text(Property::UserId, Some(b"eve"));
    let message = || with_properties("amq.fanout", "", "m", &properties);
    bob.publish(1, message());
    let heard = bob.heard();
    assert!(
        heard[0].contains("user_id property set to 'eve'"),
        "{heard:?}"
    );
    bob.open(1);
    let tags = vec!["impersonator".to_owned()];
    node.broker.set_user_tags("bob", tags).unwrap();
    bob.publish(1, message());
    assert_eq!(bob.heard(), [] as [&str; 0]);
}

#[test]
fn any_other_door_asks_the_same_question() {
    let node = node_with(permission("^c", "^w", "^r"));
    let ask = |right, resource| {
        let answer = node.broker.authorise("bob", "/", right, resource);
        answer.map_err(|refused: AccessRefused| refused.to_string())
    };
    assert_eq!(ask(Right::Read, Resource::Queue("r1")), Ok(()));
    assert_eq!(
        ask(Right::Write, Resource::Queue("r1")).unwrap_err(),
        "write access to queue 'r1' in vhost '/' refused for user 'bob'"
    );
    assert_eq!(
        ask(Right::Write, Resource::Exchange("")).unwrap_err(),
        "write access to exchange 'amq.default' in vhost '/' refused for user 'bob'"
    );
}
