//! The limits of the node: what they are, how often they were met, and what is near to them.

use std::sync::atomic::Ordering;

use leveret_protocol::Limit;

use super::Source;
use super::families::Families;
use super::scrape::{Written, count_of};

/// Write down everything about limits.
pub(super) fn write(families: &mut Families, source: &Source) -> Written {
    let node = &source.node;
    let met = &node.protocol.limits_met;
    let samples: Vec<_> = Limit::ALL
        .iter()
        .map(|limit| ([("limit", limit.name())], met.of(*limit)))
        .collect();
    families.counters(
        "leveret_limits_met_total",
        "How often a client was refused, closed or not read because of a limit",
        &samples,
    )?;
    families.gauges(
        "leveret_limit",
        "The limits that are set, by the names of their settings",
        "limit",
        &source.limits,
    )?;
    for (name, help, value) in [
        (
            "leveret_unauthenticated_connections",
            "Connections that have not opened a vhost yet",
            node.handshakes.count(),
        ),
        (
            "leveret_outbox_bytes",
            "Octets of deliveries that wait for the sockets of their consumers",
            node.broker.outbox_bytes(),
        ),
        (
            "leveret_history_memory_bytes",
            "Octets that x-recent-history exchanges keep",
            node.broker.history_memory(),
        ),
        (
            "leveret_blocked_input_bytes",
            "Octets of connections blocked by an alarm that wait for its end",
            node.blocked_input.load(Ordering::Relaxed),
        ),
    ] {
        families.gauge(name, help, &[], count_of(value))?;
    }
    Ok(())
}
