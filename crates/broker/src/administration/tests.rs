//! Administration over a node without sockets.

use std::sync::Arc;

use leveret_protocol::ConnectionError;
use leveret_store::{FaultyStore, MemoryStore};
use leveret_wire::AMQPClass;
use leveret_wire::method::{exchange, queue};
use serde_json::{Map, json};

use super::AdministrationError;
use crate::scenario::{Client, Scenario, int, persistent, table, text, to};
use crate::{
    Broker, BrokerOptions, LoginRefused, OpenRefused, Permission, TopicPermission, UserLimits,
};

fn node() -> Scenario {
    let node = Scenario::new();
    let broker = &node.broker;
    broker.add_user("bob", "secret", vec![]).unwrap();
    broker.add_vhost("v1", Map::new()).unwrap();
    for vhost in ["/", "v1"] {
        broker
            .set_permission("bob", vhost, Permission::all())
            .unwrap();
    }
    node.sync();
    node
}

fn topic(write: &str) -> TopicPermission {
    TopicPermission {
        write: write.to_owned(),
        read: ".*".to_owned(),
    }
}

fn declare_delayed(client: &mut Client<'_>, name: &str) {
    let declare = exchange::Declare {
        exchange: name.into(),
        kind: "x-delayed-message".into(),
        durable: true,
        arguments: table(&[("x-delayed-type", text("direct"))]),
        ..exchange::Declare::default()
    };
    let told = client.call(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)));
    assert_eq!(told, ["1 exchange.declare-ok"]);
}

fn is_refused<T>(done: Result<T, AdministrationError>) -> String {
    done.err().expect("a refusal").to_string()
}

/// Why the connection was ended.
fn end(client: &mut Client<'_>) -> ConnectionError {
    client.try_told().unwrap_err()
}

#[test]
fn what_is_administered_is_there_after_a_restart() {
    let node = node();
    let broker = &node.broker;
    let tags = vec!["monitoring".to_owned(), "impersonator".to_owned()];
    broker.set_user_tags("bob", tags.clone()).unwrap();
    broker.change_password("bob", "other").unwrap();
    let some = Permission {
        configure: "^a".to_owned(),
        ..Permission::all()
    };
    broker.set_permission("bob", "/", some.clone()).unwrap();
    broker
        .set_topic_permission("bob", "v1", "amq.topic", topic("^k"))
        .unwrap();
    broker
        .set_user_limits("bob", &json!({"max-channels": 2}))
        .unwrap();
    broker
        .set_vhost_limits("v1", &json!({"max-queues": 3}))
        .unwrap();
    broker.add_user("eve", "x", vec![]).unwrap();
    broker.delete_user("eve").unwrap();
    let node = node.restart(0);
    let broker = &node.broker;
    let users = broker.list_users();
    let names: Vec<_> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["bob", "guest"]);
    assert_eq!(users[0].tags, tags);
    assert_eq!(users[0].limits.max_channels, Some(2));
    assert_eq!(broker.authenticate_user("bob", "other"), Ok(()));
    assert_eq!(
        broker.authenticate_user("bob", "secret"),
        Err(LoginRefused::WrongPassword)
    );
    let permissions = broker.list_permissions("/").unwrap();
    let expected = [
        ("bob".to_owned(), some),
        ("guest".to_owned(), Permission::all()),
    ];
    assert_eq!(permissions, expected);
    let topics = broker.list_topic_permissions("v1").unwrap();
    let expected = ("bob".to_owned(), "amq.topic".to_owned(), topic("^k"));
    assert_eq!(topics, [expected]);
    let vhost = broker.vhost("v1").unwrap();
    assert_eq!(vhost.limits().max_queues, Some(3));
}

#[test]
fn nothing_is_changed_for_whom_or_where_there_is_none() {
    let node = node();
    let broker = &node.broker;
    let no_user = "User \"eve\" does not exist";
    let no_vhost = "Virtual host 'v2' does not exist";
    let all = Permission::all;
    assert_eq!(is_refused(broker.delete_user("eve")), no_user);
    assert_eq!(is_refused(broker.change_password("eve", "x")), no_user);
    assert_eq!(is_refused(broker.clear_password("eve")), no_user);
    assert_eq!(is_refused(broker.set_user_tags("eve", vec![])), no_user);
    assert_eq!(
        is_refused(broker.set_permission("eve", "/", all())),
        no_user
    );
    assert_eq!(is_refused(broker.clear_permission("eve", "/")), no_user);
    assert_eq!(is_refused(broker.list_user_permissions("eve")), no_user);
    assert_eq!(is_refused(broker.clear_user_limits("eve", None)), no_user);
    assert_eq!(is_refused(broker.delete_vhost("v2")), no_vhost);
    assert_eq!(
        is_refused(broker.set_permission("eve", "v2", all())),
        no_vhost
    );
    assert_eq!(is_refused(broker.list_permissions("v2")), no_vhost);
    assert_eq!(is_refused(broker.clear_vhost_limits("v2")), no_vhost);
    assert_eq!(
        is_refused(broker.add_user("bob", "x", vec![])),
        "User \"bob\" already exists"
    );
    assert_eq!(
        is_refused(broker.add_vhost("v1", Map::new())),
        "Virtual host 'v1' already exists"
    );
    for name in [String::new(), "n".repeat(256)] {
        assert!(broker.add_user(&name, "x", vec![]).is_err());
        assert!(broker.add_vhost(&name, Map::new()).is_err());
    }
    assert!(is_refused(broker.set_topic_permission("bob", "/", "t", topic("("))).contains("'('"));
    assert_eq!(
        is_refused(broker.set_user_limits("bob", &json!({"max-queues": 1}))),
        "Unrecognised terms [{<<\"max-queues\">>,1}] in user-limits"
    );
    assert_eq!(
        is_refused(broker.set_vhost_limits("v1", &json!({"max-channels": 1}))),
        "Unrecognised terms [{<<\"max-channels\">>,1}] in limits"
    );
    assert_eq!(broker.list_users().len(), 2);
    assert!(broker.list_topic_permissions("/").unwrap().is_empty());
}

#[test]
fn a_password_can_be_taken_away_and_given_again() {
    let node = node();
    let broker = &node.broker;
    let mut client = node.client_of("bob", "secret", "/");
    broker.clear_password("bob").unwrap();
    for password in ["secret", ""] {
        let refused = broker.authenticate_user("bob", password);
        assert_eq!(refused, Err(LoginRefused::WrongPassword));
    }
    assert_eq!(client.declare("q", &[]), ["1 declare-ok q 0 0"]);
    broker.change_password("bob", "").unwrap();
    assert!(broker.authenticate_user("bob", "").is_err());
    broker.change_password("bob", "new").unwrap();
    assert_eq!(broker.authenticate_user("bob", "new"), Ok(()));
}

#[test]
fn a_deleted_user_goes_with_its_connections_and_permissions() {
    let node = node();
    let broker = &node.broker;
    broker
        .set_topic_permission("bob", "/", "t", topic(".*"))
        .unwrap();
    let mut bob = node.client_of("bob", "secret", "/");
    let mut guest = node.client();
    broker.delete_user("bob").unwrap();
    let error = end(&mut bob);
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (320, "CONNECTION_FORCED - user 'bob' is deleted")
    );
    assert_eq!(guest.declare("q", &[]), ["1 declare-ok q 0 0"]);
    assert_eq!(
        broker.authenticate_user("bob", "secret"),
        Err(LoginRefused::UnknownUser)
    );
    bob.close();
    let node = node.restart(0);
    let broker = &node.broker;
    // Nothing of the old one is left for a new one of that name.
    broker.add_user("bob", "secret", vec![]).unwrap();
    assert!(!broker.may_open("bob", "/") && !broker.may_open("bob", "v1"));
    assert!(
        broker
            .list_user_topic_permissions("bob")
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_deleted_vhost_takes_everything_with_it() {
    let node = node();
    let broker = &node.broker;
    broker
        .set_permission("guest", "v1", Permission::all())
        .unwrap();
    broker
        .set_topic_permission("bob", "v1", "t", topic(".*"))
        .unwrap();
    broker
        .set_vhost_limits("v1", &json!({"max-queues": 3}))
        .unwrap();
    let mut bob = node.client_of("bob", "secret", "v1");
    let mut other = node.client();
    other.declare_durable("q", &[]);
    bob.declare_durable("q", &[]);
    bob.declare("passing", &[("x-expires", int(1_000))]);
    bob.fanout("x", &["q"]);
    declare_delayed(&mut bob, "d");
    bob.publish(persistent("q", "m"));
    bob.told();
    bob.consume("q", "c", 0);
    assert_eq!(node.counts(), (0, 1));
    broker.delete_vhost("v1").unwrap();
    assert_eq!(broker.queue_totals().queues, 1);
    let error = end(&mut bob);
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (320, "CONNECTION_FORCED - vhost 'v1' is deleted")
    );
    assert_eq!(
        bob.told_unsynced(),
        [] as [&str; 0],
        "no cancel comes first"
    );
    bob.close();
    node.wait(2_000);
    assert!(broker.vhost("v1").is_none());
    assert!(!broker.may_open("bob", "v1") && broker.may_open("bob", "/"));
    let node = node.restart(0);
    assert_eq!(node.broker.queue_totals().queues, 1);
    node.broker.add_vhost("v1", Map::new()).unwrap();
    let node = node.restart(0);
    let vhost = node.broker.vhost("v1").unwrap();
    assert!(vhost.queue("q").is_none() && vhost.delayed_exchanges().is_empty());
    assert_eq!(vhost.limits().max_queues, None);
    assert!(vhost.parameters().is_empty());
    assert!(node.broker.list_permissions("v1").unwrap().is_empty());
    assert!(node.broker.list_topic_permissions("v1").unwrap().is_empty());
}

#[test]
fn a_crash_while_a_vhost_is_deleted_leaves_all_of_it_or_nothing() {
    let node = node();
    let mut bob = node.client_of("bob", "secret", "v1");
    for queue in ["a", "b", "c"] {
        bob.declare_durable(queue, &[]);
    }
    bob.told();
    node.broker.delete_vhost("v1").unwrap();
    let (mut with, mut without) = (0, 0);
    for after in node.crash_at_each_point() {
        let queues = after.broker.queue_totals().queues;
        if after.broker.vhost("v1").is_some() {
            assert_eq!(queues, 3);
            assert!(after.broker.may_open("bob", "v1"));
            with += 1;
        } else {
            assert_eq!(queues, 0);
            assert!(!after.broker.may_open("bob", "v1"));
            without += 1;
        }
    }
    assert!(with > 0 && without > 0);
}

#[test]
fn who_is_still_inside_a_deleted_vhost_declares_nothing_any_more() {
    let node = node();
    let mut bob = node.client_of("bob", "secret", "v1");
    bob.declare("q", &[]);
    let vhost = node.broker.vhost("v1").unwrap();
    node.broker.delete_vhost("v1").unwrap();
    let declare = queue::Declare {
        queue: "late".into(),
        durable: true,
        ..queue::Declare::default()
    };
    let method = AMQPClass::Queue(queue::AMQPMethod::Declare(declare));
    let error = bob.try_call(method).unwrap_err();
    assert_eq!(error.text, "CONNECTION_FORCED - vhost 'v1' is deleted");
    bob.publish(to("q", "m"));
    let limits = json!({"max-queues": 1});
    assert!(
        vhost
            .set_parameter("vhost-limits", "limits", limits)
            .is_err()
    );
    bob.close();
    node.broker.add_vhost("v1", Map::new()).unwrap();
    let node = node.restart(0);
    assert_eq!(node.broker.queue_totals().queues, 0);
    assert!(node.broker.vhost("v1").unwrap().parameters().is_empty());
}

fn opening(node: &Scenario, user: &str, vhost: &str) -> Result<(), OpenRefused> {
    node.try_client_of(user, "secret", vhost).map(Client::close)
}

#[test]
fn connections_are_counted_by_vhost_and_by_user() {
    let node = node();
    let broker = &node.broker;
    broker
        .set_vhost_limits("v1", &json!({"max-connections": 1}))
        .unwrap();
    let first = node.client_of("bob", "secret", "v1");
    let refused = opening(&node, "bob", "v1").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "access to vhost 'v1' refused for user 'bob': connection limit (1) is reached"
    );
    opening(&node, "bob", "/").unwrap();
    broker
        .set_user_limits("bob", &json!({"max-connections": 1}))
        .unwrap();
    let refused = opening(&node, "bob", "/").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "connection refused for user 'bob': user connection limit (1) is reached"
    );
    // The vhost is asked first, and both before the permission is looked at.
    broker.clear_permission("bob", "/").unwrap();
    let refused = opening(&node, "bob", "/").unwrap_err();
    assert!(matches!(refused, OpenRefused::UserFull { limit: 1, .. }));
    let refused = opening(&node, "bob", "v1").unwrap_err();
    assert!(matches!(refused, OpenRefused::VhostFull { limit: 1, .. }));
    first.close();
    let refused = opening(&node, "bob", "/").unwrap_err();
    assert!(matches!(refused, OpenRefused::NoAccess { .. }));
    opening(&node, "bob", "v1").unwrap();
    broker
        .set_user_limits("bob", &json!({"max-connections": 0}))
        .unwrap();
    opening(&node, "bob", "v1").unwrap_err();
    broker
        .clear_user_limits("bob", Some("max-connections"))
        .unwrap();
    broker.clear_vhost_limits("v1").unwrap();
    let _first = node.client_of("bob", "secret", "v1");
    opening(&node, "bob", "v1").unwrap();
}

#[test]
fn channels_are_counted_over_all_connections_of_a_user() {
    let node = node();
    let broker = &node.broker;
    broker
        .set_user_limits("bob", &json!({"max-channels": 2}))
        .unwrap();
    let one = node.client_of("bob", "secret", "/");
    let mut two = node.client_of("bob", "secret", "v1");
    let error = two.try_open(2).unwrap_err();
    assert_eq!(
        (error.code.as_u16(), error.text.as_str()),
        (
            530,
            "NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum allowed user limit of (2)"
        )
    );
    one.close();
    two.try_open(2).unwrap();
    two.try_open(3).unwrap_err();
    node.broker
        .set_user_limits("bob", &json!({"max-channels": -1}))
        .unwrap();
    two.try_open(3).unwrap();
}

#[test]
fn limits_of_a_user_are_set_one_by_one_and_those_of_a_vhost_at_once() {
    let node = node();
    let broker = &node.broker;
    let limits = |at: usize| broker.list_users()[at].limits;
    broker
        .set_user_limits("bob", &json!({"max-connections": 5}))
        .unwrap();
    broker
        .set_user_limits("bob", &json!({"max-channels": 7}))
        .unwrap();
    let both = UserLimits {
        max_connections: Some(5),
        max_channels: Some(7),
    };
    assert_eq!(limits(0), both);
    broker
        .clear_user_limits("bob", Some("max-connections"))
        .unwrap();
    assert_eq!(limits(0).max_connections, None);
    broker.clear_user_limits("bob", None).unwrap();
    assert_eq!(limits(0), UserLimits::default());
    let vhost = broker.vhost("v1").unwrap();
    broker
        .set_vhost_limits("v1", &json!({"max-connections": 5}))
        .unwrap();
    broker
        .set_vhost_limits("v1", &json!({"max-queues": 1}))
        .unwrap();
    let limits = vhost.limits();
    assert_eq!((limits.max_connections, limits.max_queues), (None, Some(1)));
    let mut bob = node.client_of("bob", "secret", "v1");
    bob.declare("a", &[("x-dead-letter-exchange", text(""))]);
    let heard = bob.declare("b", &[]);
    let full = "1 close 406 PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost 'v1' (1) is reached";
    assert!(heard[0].starts_with(full), "{heard:?}");
}

#[test]
fn nothing_changes_when_the_store_takes_no_change() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let options = BrokerOptions::default();
    let broker = Broker::open(options, Arc::clone(&store) as _).unwrap();
    broker.add_vhost("v1", Map::new()).unwrap();
    store.poison("the disk is gone");
    assert!(broker.add_user("bob", "x", vec![]).is_err());
    assert!(broker.delete_vhost("v1").is_err());
    assert!(broker.delete_user("guest").is_err());
    assert_eq!(broker.list_users().len(), 1);
    assert!(broker.vhost("v1").is_some() && broker.may_open("guest", "/"));
}

#[test]
fn global_parameters_come_and_go_and_outlive_the_process() {
    let node = node();
    let broker = &node.broker;
    broker.set_global_parameter("a", json!({"x": 1})).unwrap();
    broker.set_global_parameter("b", json!(1)).unwrap();
    broker.set_global_parameter("b", json!("2")).unwrap();
    broker.clear_global_parameter("a").unwrap();
    assert!(matches!(
        broker.clear_global_parameter("a"),
        Err(AdministrationError::NoSuchParameter)
    ));
    assert!(broker.set_global_parameter("", json!(1)).is_err());
    let left = vec![("b".to_owned(), json!("2"))];
    assert_eq!(broker.list_global_parameters(), left);
    let node = node.restart(0);
    assert_eq!(node.broker.list_global_parameters(), left);
}

#[test]
fn parameters_and_tags_of_a_vhost_are_set_and_cleared() {
    let node = node();
    let broker = &node.broker;
    let limits = ("vhost-limits", "limits");
    broker
        .set_parameter("v1", limits, &json!({"max-queues": 2}))
        .unwrap();
    let vhost = broker.vhost("v1").unwrap();
    assert_eq!(vhost.limits().max_queues, Some(2));
    assert!(matches!(
        broker.set_parameter("v1", ("federation", "x"), &json!({})),
        Err(AdministrationError::BadParameter(_))
    ));
    assert!(broker.set_parameter("nov", limits, &json!({})).is_err());
    broker.clear_parameter("v1", limits).unwrap();
    assert_eq!(vhost.limits().max_queues, None);
    for vhost in ["v1", "nov"] {
        assert!(matches!(
            broker.clear_parameter(vhost, limits),
            Err(AdministrationError::NoSuchParameter)
        ));
    }
    broker.set_vhost_tags("v1", &["a".to_owned()]).unwrap();
    assert!(broker.set_vhost_tags("nov", &[]).is_err());
    let node = node.restart(0);
    let metadata = node.broker.vhost("v1").unwrap().metadata();
    assert_eq!(metadata["tags"], json!(["a"]));
}
