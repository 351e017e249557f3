//! Import and export of whole files, on a node over a store in memory.

use std::sync::Arc;

use leveret_store::MemoryStore;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::scenario::{Scenario, int, text};
use crate::{Broker, BrokerOptions, Limits, Peer, PolicyKind};

/// What RabbitMQ 3.10.8 wrote of a node with a bit of everything.
const EXPORTED: &str = include_str!("../../../../tests/fixtures/rabbitmq-3.10.8-definitions.json");

fn file(value: &Value) -> DefinitionsFile {
    DefinitionsFile::parse(value.to_string().as_bytes()).unwrap()
}

fn broker() -> Broker {
    Broker::open(BrokerOptions::default(), Arc::new(MemoryStore::new())).unwrap()
}

fn import(broker: &Broker, value: &Value) -> Result<ImportReport, DefinitionsError> {
    broker.import_definitions(&file(value), None)
}

/// What refuses the import, of which nothing may be left then.
#[track_caller]
fn refusal(value: &Value) -> String {
    let broker = broker();
    let before = broker.export_definitions();
    let stored = broker.store().definitions().unwrap();
    let error = import(&broker, value).expect_err("it is refused");
    assert_eq!(broker.export_definitions(), before);
    assert_eq!(broker.store().definitions().unwrap(), stored);
    error.to_string()
}

#[test]
fn a_file_of_rabbitmq_is_imported() {
    let broker = broker();
    let exported = DefinitionsFile::parse(EXPORTED.as_bytes()).unwrap();
    let report = broker.import_definitions(&exported, None).unwrap();
    assert_eq!((report.users, report.vhosts, report.queues), (3, 1, 3));
    assert_eq!((report.exchanges, report.bindings), (2, 2));
    // RabbitMQ leaves internal exchanges out, but not the bindings to them.
    assert_eq!(
        report.skipped,
        [
            "binding from exchange 'orders.events' to exchange 'orders.audit' in vhost 'orders': one of its ends does not exist"
        ]
    );
    let app = broker.login("app", "test12", false).unwrap();
    assert!(broker.may_open(app.name(), "orders") && !broker.may_open(app.name(), "/"));
    let vhost = broker.vhost("orders").unwrap();
    assert_eq!(vhost.metadata()["metadata"]["description"], "Orders");
    assert_eq!(
        (vhost.limits().max_connections, vhost.limits().max_queues),
        (Some(50), Some(100))
    );
    let effective = vhost.queue_policy("orders.new").unwrap();
    let merged = json!({"max-length-bytes": 1_048_576, "message-ttl": 3_600_000, "overflow": "reject-publish"});
    assert_eq!(effective.policy.as_deref(), Some("limits"));
    assert_eq!(effective.operator_policy.as_deref(), Some("op"));
    assert_eq!(Value::Object(effective.definition.as_map().clone()), merged);
    let upstream = vhost.parameter("federation-upstream", "up").unwrap();
    assert_eq!(upstream["expires"], 3_600_000);
}

#[test]
fn importing_again_changes_nothing() {
    let broker = broker();
    let exported = DefinitionsFile::parse(EXPORTED.as_bytes()).unwrap();
    broker.import_definitions(&exported, None).unwrap();
    let before = broker.export_definitions();
    let stored = broker.store().definitions().unwrap();
    let report = broker.import_definitions(&exported, None).unwrap();
    assert_eq!(
        (
            report.vhosts,
            report.exchanges,
            report.queues,
            report.bindings
        ),
        (0, 0, 0, 0)
    );
    assert_eq!(broker.export_definitions(), before);
    assert_eq!(broker.store().definitions().unwrap(), stored);
}

#[test]
fn what_is_exported_makes_the_same_node_again() {
    let one = broker();
    let exported = DefinitionsFile::parse(EXPORTED.as_bytes()).unwrap();
    one.import_definitions(&exported, None).unwrap();
    let written = one.export_definitions().to_json();
    let other = broker();
    let read = DefinitionsFile::parse(written.as_bytes()).unwrap();
    read.check().unwrap();
    other.import_definitions(&read, None).unwrap();
    assert_eq!(other.export_definitions().to_json(), written);
    assert!(other.login("app", "test12", false).is_ok());
}

#[test]
fn imported_things_are_there_after_a_restart() {
    let node = Scenario::new();
    let exported = DefinitionsFile::parse(EXPORTED.as_bytes()).unwrap();
    node.broker.import(&exported, None).unwrap();
    let mut before = node.broker.export_definitions();
    let node = node.restart(0);
    let after = node.broker.export_definitions();
    // What is not durable is not.
    before.queues.retain(|queue| queue.durable);
    before.exchanges.retain(|exchange| exchange.durable);
    before
        .bindings
        .retain(|binding| binding.destination != "orders.tmp");
    assert_eq!(after, before);
}

#[test]
fn what_is_there_stays_and_users_and_policies_are_replaced() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable("q", &[("x-max-length", int(1))]);
    client.publish_all("q", ["m"]);
    let of = |limit: i64, password: &str| {
        file(&json!({
            "queues": [{"name": "q", "vhost": "/", "durable": false, "arguments": {"x-max-length": 5}}],
            "policies": [{"name": "p", "vhost": "/", "pattern": "^q", "definition": {"max-length-bytes": limit}}],
            "users": [{"name": "u", "password": password, "tags": "a, b"}],
        }))
    };
    node.broker.import(&of(10, "one"), None).unwrap();
    assert!(node.broker.login("u", "one", false).is_ok());
    assert_eq!(node.counts().0, 1);
    node.broker.import(&of(0, "two"), None).unwrap();
    assert!(node.broker.login("u", "one", false).is_err());
    assert!(node.broker.login("u", "two", false).is_ok());
    assert_eq!(node.counts().0, 0, "a policy is applied at once");
    node.sync();
    assert_eq!(
        client.declare_durable("q", &[("x-max-length", int(1))]),
        ["1 declare-ok q 0 0"]
    );
}

#[test]
fn refusals_name_the_object_and_leave_everything_as_it_was() {
    let good = json!({"name": "good", "vhost": "/", "arguments": {}});
    let queue = |arguments: Value| json!({"queues": [good, {"name": "q1", "vhost": "/", "arguments": arguments}]});
    let cases = [
        (
            queue(json!({"x-max-length": "abc"})),
            "queue 'q1' in vhost '/': invalid arg 'x-max-length': \"expected integer, got longstr\"",
        ),
        (
            queue(json!({"x-queue-type": "stream"})),
            "queue 'q1' in vhost '/': invalid arg 'x-queue-type': \"unsupported queue type 'stream'\"",
        ),
        (
            json!({"queues": [{"name": "q1", "vhost": "nope"}]}),
            "vhost 'nope': does not exist",
        ),
        (
            json!({"queues": [{"name": "q1"}]}),
            "queue 'q1': names no vhost",
        ),
        (
            json!({"queues": [good], "exchanges": [{"name": "x", "vhost": "/", "type": "nope"}]}),
            "exchange 'x' in vhost '/': unknown exchange type 'nope'",
        ),
        (
            json!({"exchanges": [{"name": "x", "vhost": "/", "type": "fanout", "arguments": {"alternate-exchange": 5}}]}),
            "exchange 'x' in vhost '/': invalid type 'long' for arg 'alternate-exchange'",
        ),
        (
            json!({"queues": [good], "bindings": [{
                "source": "amq.headers", "vhost": "/", "destination": "good", "destination_type": "queue",
                "arguments": {"x-match": "some"},
            }]}),
            "binding from exchange 'amq.headers' to queue 'good' in vhost '/': Invalid x-match field value <<\"some\">>; \
             expected all, any, all-with-x, or any-with-x",
        ),
        (
            json!({"policies": [{"name": "p", "vhost": "/", "pattern": "(", "definition": {"expires": 1}}]}),
            "policy 'p' in vhost '/': pattern should be regular expression but is invalid: {\"unclosed group\",0}",
        ),
        (
            json!({"policies": [{"name": "p", "vhost": "/", "pattern": "a", "definition": {"nope": 1}}]}),
            "policy 'p' in vhost '/': [{<<\"nope\">>,1}] are not recognised policy settings",
        ),
        (
            json!({"policies": [{"name": "p", "vhost": "/", "pattern": "a", "definition": {"expires": 1}, "priority": "5"}]}),
            "policy 'p' in vhost '/': priority should be a number, actually was <<\"5\">>",
        ),
        (
            json!({"parameters": [{"component": "operator_policy", "name": "o", "vhost": "/", "value":
                {"pattern": "", "definition": [["overflow", "x"]]}}]}),
            "operator policy 'o' in vhost '/': <<\"x\">> is not a valid overflow value",
        ),
        (
            json!({"parameters": [{"component": "vhost-limits", "name": "limits", "vhost": "/", "value": {"max-queues": "x"}}]}),
            "parameter 'vhost-limits/limits' in vhost '/': max-queues should be a number, actually was <<\"x\">>",
        ),
        (
            json!({"permissions": [{"user": "none", "vhost": "/", "configure": "", "write": "", "read": ""}]}),
            "permission of user 'none' in vhost '/': no_such_user 'none'",
        ),
        (
            json!({"permissions": [{"user": "guest", "vhost": "no", "configure": "", "write": "", "read": ""}]}),
            "permission of user 'guest' in vhost 'no': vhost 'no' does not exist",
        ),
        (
            json!({"users": [{"name": "u"}]}),
            "user 'u': tags_not_present",
        ),
        (
            json!({"users": [{"name": "u", "password": "x", "password_hash": "eHg=", "tags": ""}]}),
            "user 'u': both_password_and_password_hash_are_provided",
        ),
        (
            json!({"users": [{"name": "u", "password_hash": "%", "tags": ""}]}),
            "user 'u': password_hash is not base64",
        ),
        (
            json!({"users": [{"name": "u", "password_hash": "", "hashing_algorithm": "rot13", "tags": []}]}),
            "user 'u': unknown hashing algorithm 'rot13'",
        ),
    ];
    for (definitions, text) in cases {
        assert_eq!(refusal(&definitions), text);
    }
}

#[test]
fn mistakes_of_form_are_told_with_their_place() {
    let cases = [
        ("{\"queues\": [\n}", 2, 1, "expected value"),
        (
            "{\n \"queues\": 5}",
            2,
            12,
            "invalid type: integer `5`, expected a sequence",
        ),
        ("", 1, 0, "EOF while parsing a value"),
        (
            "{\"users\": [], \"users\": []}",
            1,
            21,
            "duplicate field `users`",
        ),
    ];
    for (json, at_line, at_column, text) in cases {
        match DefinitionsFile::parse(json.as_bytes()) {
            Err(DefinitionsError::Syntax {
                line,
                column,
                reason,
            }) => {
                assert_eq!(
                    (line, column, reason.as_str()),
                    (at_line, at_column, text),
                    "{json}"
                );
            }
            other => panic!("{json}: {other:?}"),
        }
    }
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"parameters\": {deep}");
    assert!(DefinitionsFile::parse(nested.as_bytes()).is_err());
}

#[test]
fn a_file_of_one_vhost_goes_into_any() {
    let one = broker();
    let exported = DefinitionsFile::parse(EXPORTED.as_bytes()).unwrap();
    one.import_definitions(&exported, None).unwrap();
    let of_vhost = one.export_vhost_definitions("orders").unwrap();
    assert!(of_vhost.check().is_err(), "its objects name no vhost");
    one.import_definitions(&of_vhost, Some("/")).unwrap();
    let copy = one.export_vhost_definitions("/").unwrap();
    assert_eq!(copy, of_vhost);
    assert_eq!(one.export_vhost_definitions("nope"), None);
    let refused = one.import_definitions(&of_vhost, Some("nope")).unwrap_err();
    assert_eq!(refused.to_string(), "vhost 'nope': does not exist");
}

#[test]
fn names_of_the_broker_are_left_out() {
    let report = import(
        &broker(),
        &json!({
            "exchanges": [{"name": "", "vhost": "/", "type": "direct"}, {"name": "amq.direct", "vhost": "/", "type": "direct"}],
            "queues": [{"name": "amq.gen-1", "vhost": "/"}],
            "bindings": [{"source": "", "vhost": "/", "destination": "q", "destination_type": "queue", "routing_key": "q"}],
        }),
    );
    let report = report.unwrap();
    assert_eq!(
        (report.exchanges, report.queues, report.bindings),
        (0, 0, 0)
    );
    assert_eq!(report.skipped.len(), 4);
}

#[test]
fn limits_of_the_vhost_and_of_the_node_hold_for_imports_too() {
    let limits = Limits {
        queues_per_vhost: 2,
        ..Limits::default()
    };
    let node = Scenario::with_limits(limits);
    let queues: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|name| json!({"name": name, "vhost": "/"}))
        .collect();
    let refused = node.broker.import(&file(&json!({"queues": queues})), None);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "vhost '/': would have 3 queues, and its queue limit is 2"
    );
    assert_eq!(node.broker.queue_totals().queues, 0);
    let limit = json!([{"component": "vhost-limits", "name": "limits", "vhost": "/",
        "value": {"max-queues": 1, "max-connections": 1}}]);
    node.broker
        .import(&file(&json!({"parameters": limit})), None)
        .unwrap();
    let mut client = node.client();
    client.declare("a", &[]);
    assert_eq!(
        client.declare("b", &[]),
        [
            "1 close 406 PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost '/' (1) is reached 50 10"
        ]
    );
    let user = Arc::new(node.broker.login("guest", "guest", true).unwrap());
    let peer = Peer {
        name: "second".to_owned(),
        consumer_cancel_notify: true,
        details: Arc::default(),
    };
    let refused = node.broker.open_session(user, "/", peer).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "access to vhost '/' refused for user 'guest': connection limit (1) is reached"
    );
    let vhost = node.broker.vhost("/").unwrap();
    vhost.delete_parameter("vhost-limits", "limits").unwrap();
    assert_eq!(vhost.limits(), crate::VhostLimits::default());
}

#[test]
fn the_type_beside_the_arguments_counts() {
    let broker = broker();
    import(
        &broker,
        &json!({"queues": [{"name": "q", "vhost": "/", "type": "quorum"}]}),
    )
    .unwrap();
    let exported: Value = serde_json::from_str(&broker.export_definitions().to_json()).unwrap();
    assert_eq!(exported["queues"][0]["arguments"]["x-queue-type"], "quorum");
}

#[test]
fn old_versions_hash_with_md5() {
    // MD5 of the salt 908DC60A and test12.
    let hash = "kI3GChNpte2FApYFXScl+0dIluk=";
    for (version, algorithm) in [
        ("3.5.7", "rabbit_password_hashing_md5"),
        ("3.6.1", "rabbit_password_hashing_sha256"),
    ] {
        let broker = broker();
        let users = json!([{"name": "u", "password_hash": hash, "tags": "administrator"}]);
        import(&broker, &json!({"rabbit_version": version, "users": users})).unwrap();
        let exported: Value = serde_json::from_str(&broker.export_definitions().to_json()).unwrap();
        let user = &exported["users"][1];
        assert_eq!(
            (&user["name"], &user["hashing_algorithm"]),
            (&json!("u"), &json!(algorithm))
        );
        let logs_in = broker.login("u", "test12", false).is_ok();
        assert_eq!(logs_in, version == "3.5.7");
    }
}

#[test]
fn a_new_node_begins_with_its_definitions() {
    let open = |store: &Arc<MemoryStore>, definitions: Value| {
        let options = BrokerOptions {
            definitions: Some(file(&definitions)),
            ..BrokerOptions::default()
        };
        Broker::open(options, Arc::clone(store) as _)
    };
    let store = Arc::new(MemoryStore::new());
    let node = open(&store, json!({"queues": [{"name": "q", "vhost": "/"}]})).unwrap();
    assert!(node.login("guest", "guest", true).is_ok() && node.may_open("guest", "/"));
    assert_eq!(node.queue_totals().queues, 1);
    let store = Arc::new(MemoryStore::new());
    let all = json!({
        "vhosts": [{"name": "v"}], "users": [{"name": "u", "password": "p", "tags": []}],
        "permissions": [{"user": "u", "vhost": "v", "configure": "", "write": "", "read": ""}],
    });
    let node = open(&store, all).unwrap();
    assert!(node.login("guest", "guest", true).is_err() && node.vhost("/").is_none());
    assert!(node.login("u", "p", false).is_ok() && node.may_open("u", "v"));
    let store = Arc::new(MemoryStore::new());
    let node = open(&store, json!({"vhosts": [{"name": "v"}]})).unwrap();
    assert!(node.login("guest", "guest", true).is_ok() && node.may_open("guest", "v"));
    assert!(open(&store, json!({"queues": [{"name": "q", "vhost": "none"}]})).is_err());
}

#[test]
fn what_clients_declared_is_exported() {
    let node = Scenario::new();
    let mut client = node.client();
    client.declare_durable(
        "q",
        &[
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", int(3)),
        ],
    );
    client.fanout("x", &["q"]);
    client.declare_as(leveret_wire::method::queue::Declare {
        queue: "mine".into(),
        exclusive: true,
        ..Default::default()
    });
    client.fanout("y", &["mine"]);
    let exported: Value =
        serde_json::from_str(&node.broker.export_definitions().to_json()).unwrap();
    assert_eq!(
        exported["queues"],
        json!([{"name": "q", "vhost": "/", "durable": true, "auto_delete": false, "type": "quorum",
            "arguments": {"x-queue-type": "quorum", "x-delivery-limit": 3}}])
    );
    assert_eq!(exported["exchanges"].as_array().unwrap().len(), 2);
    assert_eq!(
        exported["bindings"],
        json!([{"source": "x", "vhost": "/", "destination": "q", "destination_type": "queue", "routing_key": "", "arguments": {}}])
    );
    assert_eq!(exported["rabbit_version"], "4.1.0");
}

#[test]
fn a_hundred_thousand_queues_are_one_change_of_the_store() {
    let broker = broker();
    let queues: Vec<_> = (0..100_000)
        .map(|number| json!({"name": format!("q{number}"), "vhost": "/"}))
        .collect();
    let bindings: Vec<_> = (0..10_000)
        .map(|number| {
            json!({"source": "amq.topic", "vhost": "/", "destination": format!("q{number}"),
                "destination_type": "queue", "routing_key": format!("k.{number}")})
        })
        .collect();
    let policy =
        json!({"name": "p", "vhost": "/", "pattern": "^q", "definition": {"max-length": 5}});
    let report = import(
        &broker,
        &json!({"queues": queues, "bindings": bindings, "policies": [policy]}),
    );
    let report = report.unwrap();
    assert_eq!((report.queues, report.bindings), (100_000, 10_000));
    assert_eq!(broker.queue_totals().queues, 100_000);
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{0,8}".prop_map(Value::from),
    ];
    let value = prop_oneof![
        3 => leaf.clone(),
        1 => proptest::collection::vec(leaf.clone(), 0..3).prop_map(Value::from),
        1 => proptest::collection::btree_map("[a-z]{1,3}", leaf, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
    ];
    proptest::collection::btree_map("k[a-z]{0,3}", value, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_definitions_come_back_as_they_went(
        queues in proptest::collection::btree_map("[a-d]{1,2}", (any::<bool>(), any::<bool>(), arguments()), 0..5),
        exchanges in proptest::collection::btree_map(
            "[a-d]{1,2}",
            (proptest::sample::select(&["direct", "fanout", "topic", "headers"][..]), any::<bool>(), any::<bool>(), any::<bool>()),
            0..5,
        ),
        binds in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[a-c]{0,2}", arguments()), 0..6),
        limit in 0..9_u64,
        priority in -5..5_i64,
    ) {
        let mut definitions = json!({"queues": [], "exchanges": [], "bindings": [], "policies": [], "parameters": []});
        let mut push = |key: &str, value: Value| definitions[key].as_array_mut().unwrap().push(value);
        for (name, (durable, auto_delete, arguments)) in &queues {
            push("queues", json!({"name": name, "durable": durable, "auto_delete": auto_delete, "arguments": arguments, "type": "classic"}));
        }
        for (name, (kind, durable, auto_delete, internal)) in &exchanges {
            push("exchanges", json!({"name": name, "type": kind, "durable": durable, "auto_delete": auto_delete, "internal": internal}));
        }
        for (source, queue, key, arguments) in &binds {
            if queues.is_empty() || exchanges.is_empty() {
                break;
            }
            let source = exchanges.keys().nth(source.index(exchanges.len())).unwrap();
            let queue = queues.keys().nth(queue.index(queues.len())).unwrap();
            push("bindings", json!({"source": source, "destination": queue, "destination_type": "queue", "routing_key": key, "arguments": arguments}));
        }
        push("policies", json!({"name": "p", "pattern": "a", "definition": {"max-length": limit}, "priority": priority, "apply-to": "classic_queues"}));
        push("parameters", json!({"component": "operator_policy", "name": "o", "value":
            {"pattern": "a", "apply-to": "all", "definition": {"expires": limit + 1}, "priority": 1}}));
        push("parameters", json!({"component": "unheard-of", "name": "n", "value": [limit]}));
        let read = file(&definitions);
        let one = broker();
        one.import_definitions(&read, Some("/")).unwrap();
        let written = one.export_vhost_definitions("/").unwrap();
        prop_assert_eq!(written.queues.len(), queues.len());
        prop_assert_eq!(written.exchanges.len(), exchanges.len());
        let other = broker();
        other.import_definitions(&DefinitionsFile::parse(written.to_json().as_bytes()).unwrap(), Some("/")).unwrap();
        prop_assert_eq!(other.export_vhost_definitions("/").unwrap(), written);
        let vhost = other.vhost("/").unwrap();
        prop_assert_eq!(vhost.policies(PolicyKind::Operator).len(), 1);
        prop_assert_eq!(vhost.policies(PolicyKind::User)[0].priority, priority);
    }

    #[test]
    fn hostile_text_is_refused_and_nothing_worse(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = DefinitionsFile::parse(&octets);
        let mut mutated = EXPORTED.as_bytes().to_vec();
        for (at, octet) in octets.iter().enumerate() {
            let place = (at * 7_919 + usize::from(*octet) * 131) % mutated.len();
            mutated[place] = *octet;
        }
        if let Ok(read) = DefinitionsFile::parse(&mutated) {
            let _ = broker().import_definitions(&read, None);
        }
    }
}
