//! Lists of what a node has.

use serde_json::{Map, json};

use crate::policies::{ApplyTo, Policy, PolicyDefinition, PolicyKind};
use crate::scenario::{Client, Scenario, int};
use crate::{AdministrationError, ChannelListing, ChannelMode, ConnectionId};

/// What all clients answer, once each has looked.
fn channels(node: &Scenario, clients: &mut [&mut Client<'_>]) -> Vec<ChannelListing> {
    let answers = node.broker.inquire_channels();
    for client in clients {
        client.told();
    }
    let mut channels: Vec<_> = answers.try_iter().flatten().collect();
    channels.sort_by_key(|channel| (channel.connection, channel.number));
    channels
}

#[test]
fn queues_exchanges_and_bindings_are_listed_in_order() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("b", &[("x-max-length", int(5))]);
    client.declare("a", &[]);
    client.fanout("x", &["b", "a"]);
    client.publish_all("b", ["one", "three"]);
    client.consume("b", "c", 0);
    client.publish_all("a", ["22"]);
    let vhost = node.broker.vhost("/").unwrap();
    let policy = Policy {
        name: "p".to_owned(),
        pattern: "^[ax]".to_owned(),
        apply_to: ApplyTo::All,
        priority: 0,
        definition: PolicyDefinition::from_json(&json!({"max-length": 9})).unwrap(),
    };
    vhost.set_policy(PolicyKind::User, policy).unwrap();
    let queues = vhost.list_queues();
    let [a, b] = queues.as_slice() else {
        panic!("{queues:?}");
    };
    assert_eq!(
        (a.name.as_str(), a.durable, a.messages_ready),
        ("a", false, 1)
    );
    assert_eq!((a.message_bytes, a.policy.as_deref()), (2, Some("p")));
    assert_eq!(
        (b.name.as_str(), b.durable, b.queue_type),
        ("b", true, "classic")
    );
    assert_eq!((b.messages_ready, b.messages_unacknowledged), (0, 2));
    assert_eq!((b.message_bytes, b.consumers, &b.policy), (8, 1, &None));
    assert_eq!(json!(b.arguments), json!({"x-max-length": 5}));
    let exchanges = vhost.list_exchanges();
    let kinds: Vec<_> = exchanges
        .iter()
        .map(|exchange| (exchange.name.as_str(), exchange.kind.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("", "direct"),
            ("amq.direct", "direct"),
            ("amq.fanout", "fanout"),
            ("amq.headers", "headers"),
            ("amq.match", "headers"),
            ("amq.rabbitmq.trace", "topic"),
            ("amq.topic", "topic"),
            ("x", "fanout"),
        ]
    );
    assert!(exchanges[5].internal && !exchanges[7].durable);
    let bindings = vhost.list_bindings();
    let ends: Vec<_> = bindings
        .iter()
        .map(|binding| {
            let ends = (binding.source.as_str(), binding.destination.as_str());
            (ends.0, ends.1, binding.routing_key.as_str())
        })
        .collect();
    assert_eq!(
        ends,
        [
            ("", "a", "a"),
            ("", "b", "b"),
            ("x", "a", ""),
            ("x", "b", "")
        ]
    );
}

#[test]
fn connections_tell_of_their_channels_and_consumers() {
    let node = Scenario::new();
    node.broker.add_user("bob", "secret", vec![]).unwrap();
    node.broker
        .set_permission("bob", "/", crate::Permission::all())
        .unwrap();
    let mut guest = node.client();
    let mut bob = node.client_of("bob", "secret", "/");
    guest.declare("q", &[]);
    guest.qos(3);
    guest.consume("q", "c", 7);
    guest.confirm_select();
    guest.open(5);
    bob.tx_select();
    guest.publish_all("q", ["a", "b"]);
    let connections = node.broker.list_connections();
    let names: Vec<_> = connections
        .iter()
        .map(|connection| (&*connection.user, &*connection.vhost, connection.channels))
        .collect();
    assert_eq!(names, [("guest", "/", 2), ("bob", "/", 1)]);
    let listed = channels(&node, &mut [&mut guest, &mut bob]);
    let [first, fifth, bobs] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!((first.number, fifth.number, bobs.number), (1, 5, 1));
    assert_eq!(first.connection, connections[0].id);
    assert_eq!(
        (first.mode, fifth.mode, bobs.mode),
        (
            ChannelMode::Confirm,
            ChannelMode::Plain,
            ChannelMode::Transaction
        )
    );
    assert_eq!(
        (first.messages_unacknowledged, first.prefetch_count),
        (2, 3)
    );
    let [consumer] = first.consumers.as_slice() else {
        panic!("{first:?}");
    };
    assert_eq!((consumer.queue.as_str(), consumer.tag.as_str()), ("q", "c"));
    assert!(consumer.ack_required && consumer.prefetch_count == 3);
    assert_eq!(json!(consumer.arguments), json!({"x-priority": 7}));
    // Who is gone is not waited for.
    bob.close();
    let answers = node.broker.inquire_channels();
    guest.told();
    assert_eq!(answers.iter().count(), 1);
}

#[test]
fn an_operator_closes_connections_and_empties_and_deletes_queues() {
    let node = Scenario::new();
    let broker = &node.broker;
    broker.add_vhost("v1", Map::new()).unwrap();
    let (mut one, mut two) = (node.client(), node.client());
    one.declare("q", &[]);
    one.publish_all("q", ["a", "b"]);
    let refused = |done: Result<_, AdministrationError>| done.err().unwrap().to_string();
    assert_eq!(
        refused(broker.delete_queue("/", "q", false, true).map(drop)),
        "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty"
    );
    assert_eq!(broker.purge_queue("/", "q").unwrap(), 2);
    one.consume("q", "c", 0);
    assert_eq!(
        refused(broker.delete_queue("/", "q", true, false).map(drop)),
        "PRECONDITION_FAILED - queue 'q' in vhost '/' in use"
    );
    assert_eq!(
        refused(broker.purge_queue("v1", "q").map(drop)),
        "no queue 'q' in vhost 'v1'"
    );
    assert_eq!(
        refused(broker.purge_queue("v2", "q").map(drop)),
        "Virtual host 'v2' does not exist"
    );
    assert_eq!(broker.delete_queue("/", "q", false, false).unwrap().0, 0);
    assert_eq!(one.told(), ["1 cancel c"]);
    let connections = broker.list_connections();
    let [first, second] = connections.as_slice() else {
        panic!("{connections:?}");
    };
    let id = ConnectionId::from_number(first.id.number());
    assert!(broker.close_connection(id, "too long"));
    let error = one.try_told().unwrap_err();
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (320, "CONNECTION_FORCED - too long")
    );
    one.close();
    assert!(!broker.close_connection(id, "too long"));
    assert_eq!(
        broker.close_connections_where(|open| open.id == second.id, "you too"),
        1
    );
    assert!(two.try_told().is_err());
}
