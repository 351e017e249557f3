//! Exchanges that pick one of their bindings, in random webs of exchanges: a message goes nowhere
//! that a fanout would not have sent it, and to one place at most.

use leveret_router::{
    Binding, Destination, Exchange, ExchangeKind, RouteRequest, RouteScratch, Router,
};
use leveret_wire::FieldTable;
use proptest::prelude::*;
use std::collections::BTreeSet;

const EXCHANGES: usize = 5;
const QUEUES: u32 = 5;

fn kinds() -> impl Strategy<Value = Vec<ExchangeKind>> {
    let kind = prop::sample::select(vec![
        ExchangeKind::ConsistentHash,
        ExchangeKind::ModulusHash,
        ExchangeKind::Random,
    ]);
    prop::collection::vec(kind, EXCHANGES)
}

/// Source, destination (an exchange below [`EXCHANGES`], else a queue), weight.
fn bindings() -> impl Strategy<Value = Vec<(usize, usize, u32)>> {
    let ends = 0..EXCHANGES + QUEUES as usize;
    prop::collection::vec((0..EXCHANGES, ends, 1..4_u32), 0..25)
}

fn router(kinds: &[ExchangeKind], bindings: &[(usize, usize, u32)]) -> Router<u32> {
    let mut router = Router::new();
    for (number, kind) in kinds.iter().enumerate() {
        router.declare_exchange(Exchange {
            name: format!("x{number}"),
            kind: *kind,
            delayed: false,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::default(),
            alternate: None,
        });
    }
    for queue in 0..QUEUES {
        router.add_queue(&format!("q{queue}"), queue);
    }
    for (source, end, weight) in bindings {
        let destination = match end.checked_sub(EXCHANGES) {
            None => Destination::Exchange(format!("x{end}")),
            Some(queue) => Destination::Queue(format!("q{queue}")),
        };
        let binding = Binding {
            source: format!("x{source}"),
            destination,
            routing_key: weight.to_string(),
            arguments: FieldTable::default(),
        };
        assert!(router.bind(binding.clone()).is_ok(), "{binding:?}");
    }
    router
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_message_goes_to_one_place_that_is_bound(
        kinds in kinds(),
        bindings in bindings(),
        keys in prop::collection::vec("[a-c.]{0,4}", 1..8),
        seed in any::<u64>(),
    ) {
        let picking = router(&kinds, &bindings);
        let all = router(&[ExchangeKind::Fanout; EXCHANGES], &bindings);
        let mut scratch = RouteScratch::seeded(seed);
        let (mut picked, mut reachable) = (Vec::new(), Vec::new());
        for key in &keys {
            let request = RouteRequest { routing_key: key.as_bytes(), ..RouteRequest::default() };
            for number in 0..EXCHANGES {
                let exchange = format!("x{number}");
                picking.route(exchange.as_bytes(), &request, &mut scratch, &mut picked);
                all.route(exchange.as_bytes(), &request, &mut scratch, &mut reachable);
                prop_assert!(picked.len() <= 1, "{:?}", picked);
                let reachable: BTreeSet<u32> = reachable.iter().copied().collect();
                prop_assert!(picked.iter().all(|queue| reachable.contains(queue)));
                let to_queues_only = bindings
                    .iter()
                    .filter(|(source, ..)| *source == number)
                    .all(|(_, end, _)| *end >= EXCHANGES);
                if to_queues_only {
                    prop_assert_eq!(picked.is_empty(), reachable.is_empty());
                }
            }
        }
    }

    #[test]
    fn hashes_forget_what_is_unbound(
        kinds in kinds(),
        bindings in bindings(),
        gone in bindings(),
        keys in prop::collection::vec("[a-c.]{0,4}", 1..8),
    ) {
        let kinds: Vec<ExchangeKind> = kinds
            .into_iter()
            .map(|kind| match kind {
                // Its choices cannot be compared.
                ExchangeKind::Random => ExchangeKind::ModulusHash,
                other => other,
            })
            .collect();
        let kept: Vec<_> = bindings.iter().filter(|one| !gone.contains(one)).copied().collect();
        // What goes comes last, so that the first weight of a destination is the same in both.
        let both: Vec<_> = kept.iter().chain(&gone).copied().collect();
        let expected = router(&kinds, &kept);
        let mut router = router(&kinds, &both);
        for binding in expected_missing(&router, &expected) {
            router.unbind(&binding).unwrap();
        }
        let mut scratch = RouteScratch::new();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for key in &keys {
            let request = RouteRequest { routing_key: key.as_bytes(), ..RouteRequest::default() };
            for number in 0..EXCHANGES {
                let exchange = format!("x{number}");
                router.route(exchange.as_bytes(), &request, &mut scratch, &mut one);
                expected.route(exchange.as_bytes(), &request, &mut scratch, &mut other);
                prop_assert_eq!(&one, &other, "{} {}", exchange, key);
            }
        }
    }
}

/// The bindings that `expected` does not have.
fn expected_missing(router: &Router<u32>, expected: &Router<u32>) -> Vec<Binding> {
    let bindings = router.bindings();
    let missing = bindings.filter(|binding| !expected.has_binding(binding));
    missing.cloned().collect()
}
