//! The rules of AMQP and RabbitMQ, one by one. The random sequences against a naive model are in
//! `tests/model.rs`.

mod kinds;

use crate::{
    BindError, Binding, Destination, Exchange, ExchangeKind, RouteRequest, RouteScratch, Routed,
    Router,
};
use leveret_wire::{AMQPValue, FieldTable, RawTable, encode_table};

const NO_QUEUES: [u32; 0] = [];

fn declare(router: &mut Router<u32>, name: &str, kind: &str) {
    declare_with(router, name, kind, false, None);
}

fn declare_with(
    router: &mut Router<u32>,
    name: &str,
    kind: &str,
    auto_delete: bool,
    alternate: Option<&str>,
) {
    router.declare_exchange(Exchange {
        name: name.into(),
        kind: ExchangeKind::parse(kind).unwrap(),
        delayed: false,
        durable: false,
        auto_delete,
        internal: false,
        arguments: FieldTable::default(),
        alternate: alternate.map(Into::into),
    });
}

fn binding(source: &str, destination: Destination, key: &str) -> Binding {
    Binding {
        source: source.into(),
        destination,
        routing_key: key.into(),
        arguments: FieldTable::default(),
    }
}

fn to_queue(source: &str, queue: &str, key: &str) -> Binding {
    binding(source, Destination::Queue(queue.into()), key)
}

fn to_exchange(source: &str, exchange: &str, key: &str) -> Binding {
    binding(source, Destination::Exchange(exchange.into()), key)
}

fn with_argument(mut binding: Binding, key: &str, value: AMQPValue) -> Binding {
    binding.arguments.insert(key.into(), value);
    binding
}

fn route(router: &Router<u32>, exchange: &str, key: &str) -> Vec<u32> {
    route_with(router, exchange, key, &[], None).0
}

fn route_with(
    router: &Router<u32>,
    exchange: &str,
    key: &str,
    extra_keys: &[&[u8]],
    headers: Option<&FieldTable>,
) -> (Vec<u32>, Routed) {
    let mut octets = Vec::new();
    if let Some(headers) = headers {
        encode_table(headers, &mut octets);
    }
    let request = RouteRequest {
        routing_key: key.as_bytes(),
        extra_keys,
        headers: headers.map(|_| RawTable::parse(&octets).unwrap()),
        ..RouteRequest::default()
    };
    let mut queues = vec![99];
    let outcome = router.route(
        exchange.as_bytes(),
        &request,
        &mut RouteScratch::new(),
        &mut queues,
    );
    queues.sort_unstable();
    (queues, outcome)
}

/// Queues `q1` to `q4` with the ids 1 to 4.
fn router() -> Router<u32> {
    let mut router = Router::new();
    for id in 1..=4 {
        router.add_queue(&format!("q{id}"), id);
    }
    router
}

#[test]
fn the_default_exchange_routes_by_queue_name() {
    let router = router();
    assert_eq!(route(&router, "", "q2"), [2]);
    assert_eq!(route(&router, "", "q9"), NO_QUEUES);
    let (queues, outcome) = route_with(&router, "", "q1", &[b"q3", b"q1", b"nope"], None);
    assert_eq!(queues, [1, 3]);
    assert!(outcome.found && !outcome.cacheable);
    assert!(route_with(&router, "", "q1", &[], None).1.cacheable);
    assert_eq!(router.exchange(""), None);
    assert_eq!(router.bindings().count(), 0);
}

#[test]
fn a_missing_exchange_is_not_found() {
    let (queues, outcome) = route_with(&router(), "nox", "q1", &[], None);
    assert_eq!((queues, outcome.found), (vec![], false));
}

#[test]
fn direct_compares_keys_and_fanout_ignores_them() {
    let mut router = router();
    declare(&mut router, "d", "direct");
    declare(&mut router, "f", "fanout");
    for (queue, key) in [("q1", "a"), ("q2", "a"), ("q3", "b"), ("q4", "")] {
        assert_eq!(router.bind(to_queue("d", queue, key)), Ok(true));
        assert_eq!(router.bind(to_queue("f", queue, key)), Ok(true));
    }
    assert_eq!(route(&router, "d", "a"), [1, 2]);
    assert_eq!(route(&router, "d", "b"), [3]);
    assert_eq!(route(&router, "d", ""), [4]);
    assert_eq!(route(&router, "d", "A"), NO_QUEUES);
    assert_eq!(route(&router, "f", "whatever"), [1, 2, 3, 4]);
}

#[test]
fn further_keys_route_too_and_a_queue_gets_a_message_once() {
    let mut router = router();
    declare(&mut router, "d", "direct");
    declare(&mut router, "t", "topic");
    for (queue, key) in [("q1", "a"), ("q1", "b"), ("q2", "b"), ("q3", "c")] {
        router.bind(to_queue("d", queue, key)).unwrap();
        router.bind(to_queue("t", queue, key)).unwrap();
    }
    router.bind(to_queue("t", "q1", "#")).unwrap();
    for exchange in ["d", "t"] {
        let (queues, outcome) = route_with(&router, exchange, "a", &[b"b", b"b", b"zzz"], None);
        assert_eq!(queues, [1, 2]);
        assert!(!outcome.cacheable);
    }
}

#[test]
fn binding_again_changes_nothing_and_types_of_arguments_count() {
    let mut router = router();
    declare(&mut router, "d", "direct");
    let plain = to_queue("d", "q1", "k");
    let int = with_argument(plain.clone(), "n", AMQPValue::LongInt(1));
    let long = with_argument(plain.clone(), "n", AMQPValue::LongLongInt(1));
    for binding in [&plain, &int, &long] {
        assert_eq!(router.bind(binding.clone()), Ok(true));
        assert_eq!(router.bind(binding.clone()), Ok(false));
    }
    assert_eq!(router.bindings_of_source("d").count(), 3);
    assert_eq!(route(&router, "d", "k"), [1]);
    for (binding, still) in [(&plain, true), (&long, true), (&int, false)] {
        assert_eq!(
            router.unbind(binding).unwrap().bindings,
            std::slice::from_ref(binding)
        );
        assert_eq!(router.unbind(binding), None);
        assert!(!router.has_binding(binding));
        assert_eq!(!route(&router, "d", "k").is_empty(), still);
    }
}

#[test]
fn what_cannot_be_bound_is_refused_source_first() {
    let mut router = router();
    declare(&mut router, "t", "topic");
    declare(&mut router, "h", "headers");
    assert_eq!(
        router.bind(to_queue("nox", "noq", "")),
        Err(BindError::NoSource)
    );
    assert_eq!(
        router.bind(to_queue("", "q1", "")),
        Err(BindError::NoSource)
    );
    assert_eq!(
        router.bind(to_queue("t", "noq", "#.#.#")),
        Err(BindError::NoDestination)
    );
    assert_eq!(
        router.bind(to_exchange("t", "q1", "")),
        Err(BindError::NoDestination)
    );
    assert_eq!(
        router
            .bind(to_queue("t", "q1", "#.a.#.#"))
            .unwrap_err()
            .to_string(),
        "Topic binding key '#.a.#.#' uses 3 '#' wildcards, at most 2 are allowed"
    );
    assert_eq!(router.bind(to_queue("t", "q1", "#.a#.#.##")), Ok(true));
    let bad = with_argument(to_queue("h", "q1", ""), "x-match", AMQPValue::LongInt(5));
    assert_eq!(
        router.bind(bad),
        Err(BindError::BadXMatchType("signedint", "5".into()))
    );
    // Other types take any key and x-match.
    declare(&mut router, "d", "direct");
    let any = with_argument(
        to_queue("d", "q1", "#.#.#"),
        "x-match",
        AMQPValue::LongInt(5),
    );
    assert_eq!(router.bind(any), Ok(true));
    assert_eq!(router.bindings().count(), 2);
}

#[test]
fn exchanges_bound_to_exchanges_are_followed_once_each() {
    let mut router = router();
    for (name, kind) in [("a", "direct"), ("b", "fanout"), ("c", "topic")] {
        declare(&mut router, name, kind);
    }
    for binding in [
        to_exchange("a", "b", "k"),
        to_exchange("a", "a", "k"),
        to_exchange("b", "c", ""),
        to_exchange("c", "a", "#"),
        to_exchange("c", "b", "k.#"),
        to_queue("b", "q1", ""),
        to_queue("c", "q1", "k"),
        to_queue("c", "q2", "*"),
    ] {
        router.bind(binding).unwrap();
    }
    assert_eq!(route(&router, "a", "k"), [1, 2]);
    assert_eq!(route(&router, "b", "k"), [1, 2]);
    assert_eq!(route(&router, "c", "k"), [1, 2]);
    assert_eq!(route(&router, "a", "other"), NO_QUEUES);
    assert_eq!(route(&router, "c", "x.y"), NO_QUEUES);
}

#[test]
fn the_alternate_gets_what_no_own_binding_matches() {
    let mut router = router();
    declare_with(&mut router, "main", "direct", false, Some("spare"));
    assert_eq!(
        route(&router, "main", "q2"),
        NO_QUEUES,
        "a missing alternate is ignored"
    );
    declare_with(&mut router, "spare", "topic", false, Some("last"));
    declare_with(&mut router, "last", "fanout", false, Some("main"));
    router.bind(to_queue("main", "q1", "k")).unwrap();
    router.bind(to_queue("spare", "q2", "s.*")).unwrap();
    router.bind(to_queue("last", "q3", "")).unwrap();
    assert_eq!(route(&router, "main", "k"), [1]);
    assert_eq!(route(&router, "main", "s.x"), [2]);
    assert_eq!(route(&router, "main", "other"), [3]);
    // A match that leads nowhere is a match all the same.
    declare(&mut router, "empty", "fanout");
    router.bind(to_exchange("main", "empty", "dead")).unwrap();
    assert_eq!(route(&router, "main", "dead"), NO_QUEUES);
    // Exchanges reached by bindings have alternates too.
    declare_with(&mut router, "front", "fanout", false, None);
    router.bind(to_exchange("front", "main", "")).unwrap();
    assert_eq!(route(&router, "front", "s.x"), [2]);
    // A ring of alternates ends.
    router.unbind(&to_queue("last", "q3", "")).unwrap();
    assert_eq!(route(&router, "main", "other"), NO_QUEUES);
    router.set_alternate("last", None);
    router.set_alternate("main", Some(String::new()));
    assert_eq!(
        route(&router, "main", "q4"),
        [4],
        "the empty name is the default exchange"
    );
    router.set_alternate("nox", Some("main".into()));
    assert_eq!(
        router.exchange("main").unwrap().alternate.as_deref(),
        Some("")
    );
}

#[test]
fn a_route_over_a_headers_exchange_is_not_cacheable() {
    let mut router = router();
    declare(&mut router, "f", "fanout");
    declare(&mut router, "h", "headers");
    router.bind(to_queue("f", "q1", "")).unwrap();
    assert!(route_with(&router, "f", "", &[], None).1.cacheable);
    router.bind(to_exchange("f", "h", "")).unwrap();
    let rule = with_argument(to_queue("h", "q2", ""), "n", AMQPValue::LongInt(1));
    router.bind(rule.clone()).unwrap();
    let mut headers = rule.arguments;
    let (queues, outcome) = route_with(&router, "f", "", &[], Some(&headers));
    assert_eq!((queues, outcome.cacheable), (vec![1, 2], false));
    headers.insert("n".into(), AMQPValue::LongInt(2));
    let (queues, outcome) = route_with(&router, "f", "", &[], Some(&headers));
    assert_eq!((queues, outcome.cacheable), (vec![1], false));
    assert!(!route_with(&router, "h", "", &[], None).1.cacheable);
}

#[test]
fn auto_delete_goes_with_the_last_binding_and_never_before_the_first() {
    let mut router = router();
    declare_with(&mut router, "x", "direct", true, None);
    let (first, second) = (to_queue("x", "q1", "a"), to_queue("x", "q1", "b"));
    assert!(!router.is_used("x") && router.exchange("x").is_some());
    router.bind(first.clone()).unwrap();
    router.bind(second.clone()).unwrap();
    assert!(router.is_used("x"));
    assert!(router.unbind(&first).unwrap().exchanges.is_empty());
    let removed = router.unbind(&second).unwrap();
    assert_eq!(
        (removed.exchanges, removed.bindings),
        (vec!["x".to_string()], vec![second])
    );
    assert!(router.exchange("x").is_none());
    // Declared again under the name it starts anew.
    declare_with(&mut router, "x", "fanout", true, None);
    assert_eq!(route(&router, "x", "a"), NO_QUEUES);
}

#[test]
fn auto_delete_goes_on_to_what_led_there_but_not_to_what_it_led_to() {
    let mut router = router();
    for name in ["a", "b", "c", "d"] {
        declare_with(&mut router, name, "fanout", true, None);
    }
    for binding in [
        to_exchange("a", "b", ""),
        to_exchange("b", "c", ""),
        to_exchange("c", "d", ""),
        to_queue("c", "q1", ""),
        to_queue("d", "q2", ""),
    ] {
        router.bind(binding).unwrap();
    }
    assert!(router.remove_queue("q1").exchanges.is_empty());
    let removed = router.unbind(&to_exchange("c", "d", "")).unwrap();
    assert_eq!(removed.exchanges, ["c", "b", "a"]);
    assert_eq!(
        removed.bindings,
        [
            to_exchange("c", "d", ""),
            to_exchange("b", "c", ""),
            to_exchange("a", "b", "")
        ]
    );
    assert!(router.exchange("d").is_some() && router.is_used("d"));
}

#[test]
fn deleting_an_exchange_takes_bindings_from_and_to_it() {
    let mut router = router();
    declare_with(&mut router, "up", "fanout", true, None);
    declare_with(&mut router, "mid", "fanout", true, None);
    declare_with(&mut router, "down", "fanout", true, None);
    for binding in [
        to_exchange("up", "mid", ""),
        to_exchange("mid", "mid", ""),
        to_exchange("mid", "down", ""),
        to_queue("mid", "q1", ""),
        to_queue("down", "q1", ""),
    ] {
        router.bind(binding).unwrap();
    }
    assert_eq!(router.delete_exchange("nox"), None);
    let removed = router.delete_exchange("mid").unwrap();
    assert_eq!(removed.exchanges, ["up"]);
    assert_eq!(removed.bindings.len(), 4);
    assert_eq!(
        router.bindings().collect::<Vec<_>>(),
        [&to_queue("down", "q1", "")]
    );
    assert_eq!(
        router
            .bindings_of_destination(&Destination::Queue("q1".into()))
            .count(),
        1
    );
    assert_eq!(router.exchange_count(), 1);
}

#[test]
fn removing_a_queue_takes_its_bindings_and_its_name() {
    let mut router = router();
    declare_with(&mut router, "x", "topic", true, None);
    for key in ["a", "b.#", "#"] {
        router.bind(to_queue("x", "q1", key)).unwrap();
    }
    let removed = router.remove_queue("q1");
    assert_eq!(
        (removed.bindings.len(), removed.exchanges),
        (3, vec!["x".to_string()])
    );
    assert_eq!((router.queue(b"q1"), router.queue_count()), (None, 3));
    assert_eq!(route(&router, "", "q1"), NO_QUEUES);
    assert_eq!(router.remove_queue("q1"), crate::Removed::default());
}

#[test]
fn a_queue_with_a_new_id_keeps_its_bindings() {
    let mut router = router();
    declare(&mut router, "t", "topic");
    router.bind(to_queue("t", "q1", "#")).unwrap();
    router.add_queue("q1", 11);
    assert_eq!(route(&router, "t", "k"), [11]);
    assert_eq!(route(&router, "", "q1"), [11]);
    router.remove_queue("q1");
    assert_eq!(route(&router, "t", "k"), NO_QUEUES);
}

#[test]
fn what_is_removed_leaves_nothing_behind() {
    let mut router = router();
    for (name, kind) in [
        ("b", "fanout"),
        ("a", "direct"),
        ("c", "topic"),
        ("d", "headers"),
    ] {
        declare(&mut router, name, kind);
        for key in ["k", "l"] {
            router.bind(to_queue(name, "q1", key)).unwrap();
            router.bind(to_exchange(name, "b", key)).unwrap();
        }
    }
    assert_eq!((router.binding_count(), router.identities.len()), (16, 16));
    router.unbind(&to_queue("a", "q1", "k")).unwrap();
    router.remove_queue("q1");
    for name in ["b", "a", "c", "d"] {
        router.delete_exchange(name).unwrap();
    }
    assert_eq!((router.binding_count(), router.identities.len()), (0, 0));
    assert_eq!((router.exchange_count(), router.exchange_ids.len()), (0, 0));
}

#[test]
fn a_second_declaration_changes_nothing() {
    let mut router = router();
    declare(&mut router, "x", "fanout");
    router.bind(to_queue("x", "q1", "")).unwrap();
    declare(&mut router, "x", "direct");
    declare(&mut router, "", "direct");
    assert_eq!(route(&router, "x", "k"), [1]);
    assert_eq!(router.exchanges().count(), 1);
}

#[test]
fn keys_of_255_octets_route() {
    let mut router = router();
    declare(&mut router, "d", "direct");
    declare(&mut router, "t", "topic");
    let key = "k".repeat(255);
    router.bind(to_queue("d", "q1", &key)).unwrap();
    router.bind(to_queue("t", "q2", &key)).unwrap();
    assert_eq!(route(&router, "d", &key), [1]);
    assert_eq!(route(&router, "t", &key), [2]);
}

#[test]
fn a_delayed_exchange_keeps_what_is_to_be_delayed() {
    let mut router = router();
    declare(&mut router, "in", "fanout");
    for name in ["later", "later too"] {
        router.declare_exchange(Exchange {
            name: name.into(),
            kind: ExchangeKind::Fanout,
            delayed: true,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::default(),
            alternate: Some("amq.fanout".into()),
        });
    }
    declare(&mut router, "amq.fanout", "fanout");
    let bindings = [
        binding("in", Destination::Queue("q1".into()), ""),
        binding("in", Destination::Exchange("later".into()), ""),
        binding("in", Destination::Exchange("later too".into()), ""),
        binding("later", Destination::Queue("q2".into()), ""),
        binding("later", Destination::Exchange("later too".into()), ""),
        binding("amq.fanout", Destination::Queue("q3".into()), ""),
    ];
    for binding in bindings {
        router.bind(binding).unwrap();
    }
    let mut scratch = RouteScratch::new();
    let mut queues = Vec::new();
    let mut route = |exchange: &[u8], delayed| {
        let request = RouteRequest {
            delayed,
            ..RouteRequest::default()
        };
        let found = router.route(exchange, &request, &mut scratch, &mut queues);
        queues.sort_unstable();
        let mut held: Vec<_> = router.held(&scratch).map(str::to_owned).collect();
        held.sort_unstable();
        (queues.clone(), held, found.cacheable)
    };
    let both = vec!["later".to_owned(), "later too".to_owned()];
    assert_eq!(route(b"in", true), (vec![1], both, false));
    assert_eq!(route(b"in", false), (vec![1, 2, 3], vec![], false));
    assert_eq!(
        route(b"later", true),
        (vec![], vec!["later".to_owned()], false),
        "its alternate is not asked"
    );
    assert_eq!(route(b"amq.fanout", true), (vec![3], vec![], true));
    let exchange = router.exchange("later").unwrap();
    assert_eq!(exchange.type_name(), "x-delayed-message");
    assert_eq!(router.exchange("in").unwrap().type_name(), "fanout");
}
