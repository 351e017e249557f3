//! Routes that no session remembers.

use std::hint::black_box;

use leveret_router::{ExchangeKind, RouteRequest, RouteScratch, Router};

use crate::count;

#[path = "../../../crates/router/benches/setup/mod.rs"]
mod setup;
use setup::{EXCHANGE, keyed, router};

const ROUNDS: usize = 2_000;

/// Route keys in turn, each to so many queues.
fn route(name: &str, router: &Router<u64>, keys: &[String], queues_each: usize) {
    let (mut scratch, mut queues) = (RouteScratch::new(), Vec::new());
    let mut run = || {
        for key in keys.iter().cycle().take(ROUNDS) {
            let request = RouteRequest {
                routing_key: black_box(key.as_bytes()),
                ..RouteRequest::default()
            };
            router.route(EXCHANGE.as_bytes(), &request, &mut scratch, &mut queues);
            assert_eq!(queues.len(), queues_each, "{key}");
        }
    };
    run();
    count(&format!("router: {name}"), ROUNDS as u64, run);
}

/// Of each type, among few and many bindings.
pub(crate) fn all() {
    for (number, name) in [(10, "10"), (10_000_u64, "10,000")] {
        let bound = keyed((0..number).map(|id| format!("orders.eu.{id}")));
        let keys: Vec<String> = (0..10)
            .map(|id| format!("orders.eu.{}", id * number / 10))
            .collect();
        let name = format!("direct, {name} bindings");
        route(&name, &router(ExchangeKind::Direct, bound), &keys, 1);
    }
    for (number, name) in [(10, "10"), (10_000_u64, "10,000")] {
        let bound = keyed((0..number).map(|id| format!("orders.{id}.*")));
        let keys: Vec<String> = (0..10)
            .map(|id| format!("orders.{}.new", id * number / 10))
            .collect();
        let name = format!("topic, {name} bindings");
        route(&name, &router(ExchangeKind::Topic, bound), &keys, 1);
    }
    let bound = keyed((0..10).map(|_| String::new()));
    let fanout = router(ExchangeKind::Fanout, bound);
    route("fanout to 10 queues", &fanout, &["key".to_owned()], 10);
}
