//! The open connections of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_wire::{FieldTable, RawTable, encode_table};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::counters::{Counters, Totals};
use crate::listing::ConnectionListing;
use crate::mailbox::{CloseReason, Mailbox, Notice};
use crate::time::Time;

/// A connection of this process; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// The number by which an operator names the connection.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The id with this number; there may be no such connection.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What was told, or agreed upon, before a connection opened a vhost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionDetails {
    /// What the client says of itself (connection.start-ok).
    pub client_properties: PackedTable,
    /// The login mechanism.
    pub mechanism: String,
    /// Octets of a frame with its envelope; 0 is no limit.
    pub frame_max: u32,
    /// Channels; 0 is no limit.
    pub channel_max: u16,
    /// Seconds between heartbeats; 0 is none.
    pub heartbeat: u16,
    /// It is encrypted.
    pub tls: bool,
    /// When it opened its vhost.
    pub connected_at: Time,
}

/// A field table that is seldom looked at: as its octets, which take a fifth of the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedTable(Box<[u8]>);

impl From<&FieldTable> for PackedTable {
    fn from(table: &FieldTable) -> Self {
        let mut content = Vec::new();
        encode_table(table, &mut content);
        Self(content.into())
    }
}

impl PackedTable {
    /// The table.
    pub fn unpack(&self) -> FieldTable {
        RawTable::parse(&self.0)
            .map(|table| table.to_field_table())
            .unwrap_or_default()
    }
}

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
    /// What was told of it before.
    pub details: Arc<ConnectionDetails>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) node: usize,
    pub(crate) vhost: Option<u64>,
    pub(crate) user: Option<u64>,
}

/// The bound that one connection more would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Node(usize),
    Vhost(u64),
    User(u64),
}

impl Bounds {
    /// Is there room for one like `new`?
    fn admit(
        self,
        open: &FxHashMap<ConnectionId, Open>,
        new: &ConnectionSummary,
    ) -> Result<(), Full> {
        if open.len() >= self.node {
            return Err(Full::Node(self.node));
        }
        let count = |is_like: fn(&ConnectionSummary, &ConnectionSummary) -> bool| {
            let alike = open.values().filter(|open| is_like(&open.summary, new));
            alike.count() as u64
        };
        if let Some(limit) = self.vhost
            && count(|one, other| one.vhost == other.vhost) >= limit
        {
            return Err(Full::Vhost(limit));
        }
        if let Some(limit) = self.user
            && count(|one, other| one.user == other.user) >= limit
        {
            return Err(Full::User(limit));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Open {
    summary: ConnectionSummary,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
}

impl Open {
    fn listing(&self) -> ConnectionListing {
        ConnectionListing {
            id: self.summary.id,
            name: self.summary.name.clone(),
            user: Arc::clone(&self.summary.user),
            vhost: Arc::clone(&self.summary.vhost),
            channels: self.counters.open_channels(),
            details: Arc::clone(&self.summary.details),
        }
    }
}

/// Registry of open connections, and the counts of those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    next: AtomicU64,
    open: Mutex<FxHashMap<ConnectionId, Open>>,
    ended: Mutex<Totals>,
}

impl Connections {
    /// Register a connection, unless there are as many already as may be.
    pub(crate) fn open(
        &self,
        bounds: Bounds,
        describe: impl FnOnce(ConnectionId) -> ConnectionSummary,
        mailbox: &Arc<Mailbox>,
        counters: &Arc<Counters>,
    ) -> Result<ConnectionId, Full> {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let summary = describe(id);
        let mut open = self.open.lock();
        bounds.admit(&open, &summary)?;
        open.insert(
            id,
            Open {
                summary,
                mailbox: Arc::clone(mailbox),
                counters: Arc::clone(counters),
            },
        );
        Ok(id)
    }

    pub(crate) fn close(&self, id: ConnectionId) {
        let ended = self.open.lock().remove(&id);
        if let Some(ended) = ended {
            self.ended.lock().add(&ended.counters);
        }
    }

    /// Ask every connection to end.
    pub(crate) fn close_all(&self, reason: &CloseReason) {
        self.close_where(|_| true, reason);
    }

    /// Ask those connections to end that `chosen` says; gives how many.
    pub(crate) fn close_where(
        &self,
        chosen: impl Fn(&ConnectionListing) -> bool,
        reason: &CloseReason,
    ) -> usize {
        let mailboxes: Vec<_> = {
            let open = self.open.lock();
            let chosen = open.values().filter(|open| chosen(&open.listing()));
            chosen.map(|open| Arc::clone(&open.mailbox)).collect()
        };
        for mailbox in &mailboxes {
            mailbox.close(reason.clone());
        }
        mailboxes.len()
    }

    /// Have every connection look at the alarms.
    pub(crate) fn announce_alarms(&self) {
        for mailbox in self.mailboxes() {
            if let Ok(Some(waker)) = mailbox.push(Notice::Alarms) {
                waker.wake();
            }
        }
    }

    /// Have every connection of a vhost look whether it is traced.
    pub(crate) fn announce_tracing(&self, vhost: &str) {
        let mailboxes: Vec<_> = {
            let open = self.open.lock();
            let of_vhost = open.values().filter(|open| &*open.summary.vhost == vhost);
            of_vhost.map(|open| Arc::clone(&open.mailbox)).collect()
        };
        for mailbox in mailboxes {
            if let Ok(Some(waker)) = mailbox.push(Notice::Tracing) {
                waker.wake();
            }
        }
    }

    pub(crate) fn list(&self) -> Vec<ConnectionListing> {
        self.open.lock().values().map(Open::listing).collect()
    }

    pub(crate) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        let open = self.open.lock();
        open.values()
            .map(|open| Arc::clone(&open.mailbox))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// Channels that a user has open, over all its connections.
    pub(crate) fn channels_of(&self, user: &str) -> u64 {
        let open = self.open.lock();
        let of_user = open.values().filter(|open| &*open.summary.user == user);
        of_user.map(|open| open.counters.open_channels()).sum()
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
