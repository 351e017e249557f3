//! The open connections of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::counters::{Counters, Totals};
use crate::mailbox::{CloseReason, Mailbox, Notice};

/// A connection of this process; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

/// What is known of an open connection.
#[derive(Clone, Debug)]
pub struct ConnectionSummary {
    /// Its id.
    pub id: ConnectionId,
    /// `peer address:port -> own address:port`.
    pub name: String,
    /// The user it logged in as.
    pub user: Arc<str>,
    /// The vhost it opened.
    pub vhost: Arc<str>,
}

#[derive(Debug)]
struct Open {
    summary: ConnectionSummary,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
}

/// Registry of open connections, and the counts of those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    next: AtomicU64,
    open: Mutex<FxHashMap<ConnectionId, Open>>,
    ended: Mutex<Totals>,
}

impl Connections {
    /// Register a connection; `None` when there are `limit` already.
    pub(crate) fn open(
        &self,
        limit: usize,
        describe: impl FnOnce(ConnectionId) -> ConnectionSummary,
        mailbox: &Arc<Mailbox>,
        counters: &Arc<Counters>,
    ) -> Option<ConnectionId> {
        let mut open = self.open.lock();
        if open.len() >= limit {
            return None;
        }
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let summary = describe(id);
        open.insert(
            id,
            Open {
                summary,
                mailbox: Arc::clone(mailbox),
                counters: Arc::clone(counters),
            },
        );
        Some(id)
    }

    pub(crate) fn close(&self, id: ConnectionId) {
        let ended = self.open.lock().remove(&id);
        if let Some(ended) = ended {
            self.ended.lock().add(&ended.counters);
        }
    }

    /// Ask every connection to end.
    pub(crate) fn close_all(&self, reason: &CloseReason) {
        for mailbox in self.mailboxes() {
            mailbox.close(reason.clone());
        }
    }

    /// Have every connection look at the alarms.
    pub(crate) fn announce_alarms(&self) {
        for mailbox in self.mailboxes() {
            if let Ok(Some(waker)) = mailbox.push(Notice::Alarms) {
                waker.wake();
            }
        }
    }

    fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let open = self.open.lock();
        open.values()
            .map(|open| Arc::clone(&open.mailbox))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Open connections to one vhost.
    pub(crate) fn len_of(&self, vhost: &str) -> u64 {
        let open = self.open.lock();
        let there = open.values().filter(|open| &*open.summary.vhost == vhost);
        there.count() as u64
    }

    pub(crate) fn summaries(&self) -> Vec<ConnectionSummary> {
        self.open
            .lock()
            .values()
            .map(|open| open.summary.clone())
            .collect()
    }

    /// Sum over open and ended connections.
    pub(crate) fn totals(&self) -> Totals {
        // Both locks, so that a connection that ends meanwhile is counted exactly once.
        let open = self.open.lock();
        let mut totals = self.ended.lock().clone();
        for connection in open.values() {
            totals.add(&connection.counters);
        }
        totals
    }
}
