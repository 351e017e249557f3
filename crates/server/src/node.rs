//! What all tasks of a running broker share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use leveret_protocol::{Limit, LimitCounts};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::Network;
use crate::logins::FailedLogins;
use crate::memory::MemoryLimit;
use crate::wakes::Wakes;

/// A running node, as its tasks see it.
pub(crate) struct Node {
    pub(crate) broker: leveret_broker::Broker,
    pub(crate) protocol: Arc<leveret_protocol::Config>,
    /// The same for a client whose certificate names a user: EXTERNAL is offered.
    pub(crate) protocol_external: Arc<leveret_protocol::Config>,
    pub(crate) clock: Clock,
    /// The time of day, as the broker has it.
    pub(crate) time: Arc<dyn leveret_broker::Clock>,
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) churn: Churn,
    /// By which the store's threads wake connections.
    pub(crate) wakes: Arc<Wakes>,
    pub(crate) failed_logins: FailedLogins,
    pub(crate) memory_limit: MemoryLimit,
    /// Who says, and must, on whose behalf it connects.
    pub(crate) proxy_sources: Vec<Network>,
    /// Whether sockets send small writes at once.
    pub(crate) nodelay: bool,
    /// How long octets may wait for a peer that takes none.
    pub(crate) write_stall: Duration,
    /// Octets of output above which a connection's socket is not read.
    pub(crate) output_max: usize,
    /// Octets that connections blocked by an alarm have set aside.
    pub(crate) blocked_input: AtomicUsize,
    /// How many they may be, until no more are read.
    pub(crate) blocked_input_max: usize,
    /// True once the node has begun to stop.
    pub(crate) stopping: tokio::sync::watch::Sender<bool>,
    /// Connection tasks that run.
    pub(crate) tasks: tokio::sync::watch::Sender<usize>,
}

/// What is counted outside of sessions: connections may end before they have one.
#[derive(Debug, Default)]
pub(crate) struct Churn {
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_closed: AtomicU64,
    pub(crate) logins_succeeded: AtomicU64,
    pub(crate) logins_failed: AtomicU64,
    /// Of those, refused without a look at the password.
    pub(crate) logins_throttled: AtomicU64,
    /// Connections that ended before TLS was agreed upon.
    pub(crate) tls_failed: AtomicU64,
    /// Connections of proxies that did not say on whose behalf.
    pub(crate) proxy_refused: AtomicU64,
}

/// Connections that have not opened a vhost yet. They are few, so that silent sockets can't take
/// the places of real clients: over the limit the oldest goes.
#[derive(Debug)]
pub(crate) struct Handshakes {
    limit: usize,
    limits_met: Arc<LimitCounts>,
    waiting: Mutex<BTreeMap<u64, Arc<Notify>>>,
    next: AtomicU64,
}

/// A place among the handshakes, taken when the socket is accepted; given up when dropped.
pub(crate) struct Handshake {
    handshakes: Arc<Handshakes>,
    number: u64,
    /// Told when the place goes to somebody newer.
    pub(crate) displaced: Arc<Notify>,
}

impl Handshakes {
    pub(crate) fn new(limit: usize, limits_met: Arc<LimitCounts>) -> Self {
        Self {
            limit,
            limits_met,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// How many places are taken.
    pub(crate) fn count(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Take a place; the oldest of too many loses his.
    pub(crate) fn enter(self: &Arc<Self>) -> Handshake {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let displaced = Arc::new(Notify::new());
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.limit
            && let Some((_, oldest)) = waiting.pop_first()
        {
            oldest.notify_one();
            self.limits_met.count(Limit::UnauthenticatedConnections);
        }
        waiting.insert(number, Arc::clone(&displaced));
        Handshake {
            handshakes: Arc::clone(self),
            number,
            displaced,
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.handshakes.waiting.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_handshake_makes_room() {
        let limits_met = Arc::new(LimitCounts::default());
        let handshakes = Arc::new(Handshakes::new(2, Arc::clone(&limits_met)));
        let oldest = handshakes.enter();
        let second = handshakes.enter();
        let _third = handshakes.enter();
        oldest.displaced.notified().await;
        assert_eq!(limits_met.of(Limit::UnauthenticatedConnections), 1);
        drop(oldest);
        drop(second);
        assert_eq!(handshakes.count(), 1);
    }
}
