//! Set-up of the benches: a router with many bindings.

#![allow(unreachable_pub, reason = "other programs include this")]

use leveret_router::{Binding, Destination, Exchange, ExchangeKind, Router};
use leveret_wire::FieldTable;

/// The exchange that all benches bind and publish to.
pub const EXCHANGE: &str = "x";

/// A router with one exchange, and one queue for each binding.
pub fn router(
    kind: ExchangeKind,
    bindings: impl IntoIterator<Item = (String, FieldTable)>,
) -> Router<u64> {
    let mut router = Router::new();
    router.declare_exchange(Exchange {
        name: EXCHANGE.into(),
        kind,
        delayed: false,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
        alternate: None,
    });
    for (id, (routing_key, arguments)) in (0..).zip(bindings) {
        router.add_queue(&queue(id), id);
        let bound = router.bind(binding(id, routing_key, arguments));
        assert_eq!(bound, Ok(true));
    }
    router
}

/// The name of a queue.
pub fn queue(id: u64) -> String {
    format!("queue-{id}")
}

/// A binding of the exchange to a queue.
pub fn binding(id: u64, routing_key: String, arguments: FieldTable) -> Binding {
    Binding {
        source: EXCHANGE.into(),
        destination: Destination::Queue(queue(id)),
        routing_key,
        arguments,
    }
}

/// Bindings without arguments.
pub fn keyed(keys: impl Iterator<Item = String>) -> impl Iterator<Item = (String, FieldTable)> {
    keys.map(|key| (key, FieldTable::default()))
}
