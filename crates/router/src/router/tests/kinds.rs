//! The types of RabbitMQ's plugins, as seen through the router.

use super::*;

/// Queues `q1` to `q4`, all bound to `x` of that type by `key`.
fn router(kind: &str, key: &str) -> Router<u32> {
    let mut router = Router::new();
    declare(&mut router, "x", kind);
    for queue in 1..=4 {
        let name = format!("q{queue}");
        router.add_queue(&name, queue);
        router.bind(to_queue("x", &name, key)).unwrap();
    }
    router
}

fn texts(bindings: &[Binding], router: &mut Router<u32>) -> Vec<String> {
    let bound = bindings.iter().map(|binding| router.bind(binding.clone()));
    bound.map(|bound| bound.unwrap_err().to_string()).collect()
}

/// How often each of four queues is chosen in `times` routes of one scratch.
fn counts(router: &Router<u32>, times: u32) -> [u32; 4] {
    let mut scratch = RouteScratch::seeded(11);
    let (mut counts, mut queues) = ([0; 4], Vec::new());
    for number in 0..times {
        let key = number.to_string();
        let request = RouteRequest {
            routing_key: key.as_bytes(),
            ..RouteRequest::default()
        };
        router.route(b"x", &request, &mut scratch, &mut queues);
        assert_eq!(queues.len(), 1);
        counts[queues[0] as usize - 1] += 1;
    }
    counts
}

#[test]
fn a_message_goes_to_one_of_the_bindings() {
    for (kind, key) in [
        ("x-consistent-hash", "1"),
        ("x-local-random", ""),
        ("x-modulus-hash", "any"),
        ("x-random", "any"),
    ] {
        let counts = counts(&router(kind, key), 4_000);
        // Five standard deviations of a fair draw are 137; hashes and seed make the counts the
        // same every time.
        assert!(
            counts.iter().all(|count| count.abs_diff(1_000) < 137),
            "{kind}: {counts:?}"
        );
    }
}

#[test]
fn a_random_choice_may_differ_for_one_key_and_a_hash_may_not() {
    for (kind, key, fixed) in [
        ("x-consistent-hash", "1", true),
        ("x-modulus-hash", "any", true),
        ("x-local-random", "", false),
        ("x-random", "any", false),
    ] {
        let router = router(kind, key);
        let mut scratch = RouteScratch::seeded(3);
        let mut seen = Vec::new();
        for _ in 0..100 {
            let mut queues = Vec::new();
            let request = RouteRequest {
                routing_key: b"key",
                ..RouteRequest::default()
            };
            let outcome = router.route(b"x", &request, &mut scratch, &mut queues);
            assert_eq!(outcome.cacheable, fixed, "{kind}");
            seen.extend(queues);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() == 1, fixed, "{kind}: {seen:?}");
    }
}

#[test]
fn a_hash_of_a_header_or_property_is_not_cacheable() {
    for (name, value) in [("hash-header", "h"), ("hash-property", "message_id")] {
        let mut router = Router::new();
        let mut arguments = FieldTable::default();
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        router.declare_exchange(Exchange {
            name: "x".into(),
            kind: ExchangeKind::ConsistentHash,
            delayed: false,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments,
            alternate: None,
        });
        router.add_queue("q1", 1);
        router.bind(to_queue("x", "q1", "1")).unwrap();
        let (queues, outcome) = route_with(&router, "x", "k", &[], None);
        assert_eq!((queues, outcome.cacheable), (vec![1], false));
    }
}

#[test]
fn all_keys_together_choose_by_modulus() {
    let router = router("x-modulus-hash", "");
    let mut seen: Vec<u32> = (0..50_u32)
        .flat_map(|number| {
            let further = number.to_string();
            let (queues, outcome) = route_with(&router, "x", "k", &[further.as_bytes()], None);
            assert!(!outcome.cacheable);
            queues
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 2, 3, 4]);
}

#[test]
fn the_order_in_which_bindings_come_does_not_move_keys() {
    for (kind, key) in [("x-modulus-hash", "any"), ("x-consistent-hash", "1")] {
        let forward = router(kind, key);
        let mut backward = Router::new();
        declare(&mut backward, "x", kind);
        for queue in (1..=4).rev() {
            let name = format!("q{queue}");
            backward.add_queue(&name, queue);
            backward.bind(to_queue("x", &name, key)).unwrap();
        }
        for number in 0..100 {
            let key = format!("key.{number}");
            assert_eq!(route(&forward, "x", &key), route(&backward, "x", &key));
        }
    }
}

#[test]
fn every_binding_is_a_lot_and_an_unbound_queue_draws_none() {
    for kind in ["x-modulus-hash", "x-random"] {
        let mut router = router(kind, "1");
        for key in ["2", "3", "4"] {
            router.bind(to_queue("x", "q1", key)).unwrap();
        }
        let [first, others @ ..] = counts(&router, 7_000);
        assert!(first.abs_diff(4_000) < 210, "{kind}: {first}");
        assert!(others.iter().all(|count| count.abs_diff(1_000) < 150));
        for key in ["1", "2", "3", "4"] {
            router.unbind(&to_queue("x", "q1", key)).unwrap();
        }
        assert_eq!(counts(&router, 300)[0], 0);
        assert_eq!(counts(&router, 300).iter().sum::<u32>(), 300);
    }
}

#[test]
fn without_bindings_the_alternate_gets_the_message() {
    for kind in [
        "x-consistent-hash",
        "x-local-random",
        "x-modulus-hash",
        "x-random",
        "x-recent-history",
    ] {
        let mut router = Router::new();
        declare_with(&mut router, "x", kind, false, Some("fallback"));
        declare(&mut router, "fallback", "fanout");
        router.add_queue("q1", 1);
        router.bind(to_queue("fallback", "q1", "")).unwrap();
        assert_eq!(route(&router, "x", "k"), [1], "{kind}");
        router.set_alternate("x", None);
        assert_eq!(route(&router, "x", "k"), NO_QUEUES, "{kind}");
    }
}

#[test]
fn weights_and_local_bindings_are_checked() {
    let mut router = Router::new();
    router.add_queue("q", 1);
    declare(&mut router, "hash", "x-consistent-hash");
    declare(&mut router, "local", "x-local-random");
    assert_eq!(
        texts(
            &[
                to_queue("hash", "q", "a"),
                to_queue("hash", "q", "0"),
                to_exchange("hash", "local", "1000001"),
                to_queue("local", "q", "k"),
                to_exchange("local", "hash", "k"),
                to_exchange("local", "hash", ""),
            ],
            &mut router
        ),
        [
            r#"The binding key must be an integer: <<"a">>"#,
            "The binding key must be greater than 0",
            "The binding key must not be greater than 1000000",
            "Non empty binding 'k' key not permitted",
            "Non empty binding 'k' key not permitted",
            "Destination not found",
        ]
    );
    assert_eq!(router.binding_count(), 0);
    // What is missing comes first.
    assert_eq!(
        router.bind(to_queue("hash", "none", "a")),
        Err(BindError::NoDestination)
    );
}

#[test]
fn a_queue_declared_anew_under_its_name_keeps_its_share() {
    for (kind, key) in [
        ("x-consistent-hash", "1"),
        ("x-modulus-hash", "1"),
        ("x-random", "1"),
        ("x-local-random", ""),
        ("x-recent-history", "1"),
    ] {
        let mut router = Router::new();
        declare(&mut router, "x", kind);
        router.add_queue("q", 1);
        router.bind(to_queue("x", "q", key)).unwrap();
        router.add_queue("q", 2);
        assert_eq!(route(&router, "x", "k"), [2], "{kind}");
        router.remove_queue("q");
        assert_eq!(route(&router, "x", "k"), NO_QUEUES, "{kind}");
    }
}

#[test]
fn histories_on_the_way_are_told_once_each() {
    let mut router = Router::new();
    for name in ["x", "y", "z"] {
        declare(&mut router, name, "x-recent-history");
    }
    declare_with(&mut router, "start", "direct", false, Some("x"));
    declare(&mut router, "plain", "fanout");
    for (source, destination) in [("x", "y"), ("y", "x"), ("x", "plain"), ("plain", "y")] {
        router.bind(to_exchange(source, destination, "")).unwrap();
    }
    router.add_queue("q1", 1);
    router.bind(to_queue("y", "q1", "")).unwrap();
    let mut scratch = RouteScratch::new();
    let mut passed = |exchange: &str| {
        let mut queues = Vec::new();
        let request = RouteRequest::default();
        let outcome = router.route(exchange.as_bytes(), &request, &mut scratch, &mut queues);
        let mut names: Vec<String> = router
            .passed_histories(&scratch)
            .map(|exchange| exchange.name.clone())
            .collect();
        names.sort();
        assert_eq!(outcome.cacheable, names.is_empty());
        (names.join(" "), queues)
    };
    assert_eq!(passed("x"), ("x y".into(), vec![1]));
    assert_eq!(passed("start"), ("x y".into(), vec![1]));
    assert_eq!(passed("z"), ("z".into(), vec![]));
    assert_eq!(passed(""), (String::new(), vec![]));
    assert_eq!(passed("none"), (String::new(), vec![]));
}
