//! The node: its vhosts, users, store and connections.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use leveret_store::{Change, DurableWaiter, QueueId, Store, StoreError, Ticket};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::alarms::Alarms;
use crate::connections::{ConnectionSummary, Connections};
use crate::counters::{DiscardTotals, Discards, QueueTotals, Totals};
use crate::deadlines::{Deadlines, Due};
use crate::definitions::{self, BadDefinition, Definitions, QueueRecord, VhostRecord};
use crate::definitions_file::{DefinitionsError, DefinitionsFile};
use crate::effects::Effects;
use crate::limits::Limits;
use crate::mailbox::{CloseReason, Notice};
use crate::queue::{MessageMemory, Queue, QueueProperties};
use crate::secret::Secret;
use crate::time::{Clock, ManualClock, Time};
use crate::users::{
    AccessRefused, Grant, LoginRefused, Permission, Resource, Right, User, UserRecord, Users,
};
use crate::vhost::{HistoryMemory, Vhost};

/// Deadlines worked off in one call of [`Broker::run_deadlines`].
const DEADLINES_AT_ONCE: usize = 256;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Bounds on what clients may use.
    pub limits: Limits,
    /// The vhost made when the store has none.
    pub default_vhost: String,
    /// The user made, with access to that vhost, when the store has none: name and password.
    pub default_user: (String, Secret),
    /// Users that may only log in from the loopback interface.
    pub loopback_users: Vec<String>,
    /// Definitions imported before the node is open. The default vhost is made only if they name
    /// none, and so is the default user.
    pub definitions: Option<DefinitionsFile>,
    /// The release of RabbitMQ that exported definitions name.
    pub rabbitmq_version: String,
    /// What the node is called in traced messages.
    pub node: String,
    /// What tells the time. The default stands still: then nothing ever expires.
    pub clock: Arc<dyn Clock>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            default_vhost: "/".to_owned(),
            default_user: ("guest".to_owned(), Secret::from("guest".to_owned())),
            loopback_users: vec!["guest".to_owned()],
            definitions: None,
            rabbitmq_version: "4.1.0".to_owned(),
            node: "leveret@localhost".to_owned(),
            clock: Arc::new(ManualClock::default()),
        }
    }
}

/// Why a node can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored definition makes no sense.
    #[error(transparent)]
    Definition(#[from] BadDefinition),
    /// The definitions to begin with can't be imported.
    #[error(transparent)]
    Import(#[from] DefinitionsError),
    /// The system gives no random octets.
    #[error("no random octets: {0}")]
    Random(String),
}

/// What vhosts and sessions share of the node.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) memory: Arc<MessageMemory>,
    pub(crate) connections: Connections,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) discards: Discards,
    pub(crate) histories: Arc<HistoryMemory>,
    pub(crate) alarms: Alarms,
    pub(crate) users: RwLock<Users>,
    /// What the node is called.
    pub(crate) node: Box<str>,
}

impl Shared {
    pub(crate) fn new(
        node: &str,
        limits: Limits,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            node: node.into(),
            memory: Arc::new(MessageMemory::new(limits.message_memory_bytes)),
            histories: Arc::new(HistoryMemory::new(limits.history_memory_bytes)),
            limits,
            store,
            connections: Connections::default(),
            clock,
            deadlines: Deadlines::default(),
            discards: Discards::default(),
            alarms: Alarms::default(),
            users: RwLock::default(),
        }
    }

    /// What a user may do in a vhost now.
    pub(crate) fn grant(&self, user: &str, vhost: &str) -> Arc<Grant> {
        if let Some(known) = self.users.read().known_grant(user, vhost) {
            return known;
        }
        self.users.write().grant(user, vhost)
    }
}

/// A node. Cheap to share; every connection holds it.
pub struct Broker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) vhosts: RwLock<FxHashMap<String, Arc<Vhost>>>,
    pub(crate) global_parameters: RwLock<BTreeMap<String, Value>>,
    /// Held by whoever changes users, vhosts or global parameters.
    pub(crate) administration: Mutex<()>,
    pub(crate) rabbitmq_version: String,
}

impl Broker {
    /// Open the node on a store: what is durable in it is there again afterwards. Definitions to
    /// begin with are imported, and durable.
    pub fn open(mut options: BrokerOptions, store: Arc<dyn Store>) -> Result<Self, BrokerError> {
        let clock = Arc::clone(&options.clock);
        let shared = Arc::new(Shared::new(
            &options.node,
            options.limits.clone(),
            store,
            clock,
        ));
        let mut stored = Definitions::default();
        for (key, value) in shared.store.definitions()? {
            definitions::read(&key, &value, &mut stored)?;
        }
        let mut first = upgrade(&mut stored);
        first.extend(make_defaults(&options, &mut stored)?);
        if !first.is_empty() {
            shared.store.change(first)?;
        }
        *shared.users.write() = recover_users(&mut stored, options.loopback_users);
        let global_parameters = stored.global_parameters.drain(..).collect();
        let vhosts = recover(&shared, stored)?;
        shared.store.recovered();
        for vhost in vhosts.values() {
            vhost.start_queues();
        }
        let broker = Self {
            shared,
            vhosts: RwLock::new(vhosts),
            global_parameters: RwLock::new(global_parameters),
            administration: Mutex::default(),
            rabbitmq_version: options.rabbitmq_version,
        };
        if let Some(file) = options.definitions.take() {
            let report = broker.import_definitions(&file, None)?;
            tracing::info!(%report, "definitions imported");
        }
        Ok(broker)
    }

    /// Block until everything up to `ticket` is on the disk, or never will be.
    pub fn wait_durable(&self, ticket: Ticket) -> Result<(), StoreError> {
        let (done, waiting) = mpsc::sync_channel(1);
        self.shared.store.on_durable(ticket, Arc::new(Waiter(done)));
        waiting.recv().unwrap_or_else(|_| {
            Err(StoreError::Unavailable(
                "the store has forgotten who waits".to_owned(),
            ))
        })
    }

    /// Check a name and password (SASL PLAIN, AMQPLAIN).
    pub fn login(
        &self,
        name: &str,
        password: &str,
        from_loopback: bool,
    ) -> Result<User, LoginRefused> {
        self.shared
            .users
            .read()
            .login(name, password, from_loopback)
    }

    /// May the user do this in the vhost? The one question for every door: sessions ask it of
    /// each command, and whatever else lets users in is to ask it too.
    pub fn authorise(
        &self,
        user: &str,
        vhost: &str,
        right: Right,
        resource: Resource<'_>,
    ) -> Result<(), AccessRefused> {
        let grant = self.shared.grant(user, vhost);
        grant.authorise(right, resource)
    }

    /// May the user open the vhost: does it have a permission there?
    pub fn may_open(&self, user: &str, vhost: &str) -> bool {
        self.shared.grant(user, vhost).opens()
    }

    /// Let in a user whose identity was proved outside of AMQP, as by a certificate (SASL EXTERNAL).
    pub fn login_external(&self, name: &str, from_loopback: bool) -> Result<User, LoginRefused> {
        self.shared.users.read().login_external(name, from_loopback)
    }

    /// All vhosts, in the order of their names.
    pub fn vhosts(&self) -> Vec<Arc<Vhost>> {
        let mut vhosts: Vec<_> = self.vhosts.read().values().cloned().collect();
        vhosts.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        vhosts
    }

    /// The vhost of that name.
    pub fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.read().get(name).cloned()
    }

    /// Ask every connection to end. Their tasks do it; [`Broker::connections`] tells how many
    /// are left.
    pub fn close_connections(&self, reason: &CloseReason) {
        self.shared.connections.close_all(reason);
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// The open connections, one by one.
    pub fn connection_summaries(&self) -> Vec<ConnectionSummary> {
        self.shared.connections.summaries()
    }

    /// What has been counted since the start, over all connections.
    pub fn totals(&self) -> Totals {
        self.shared.connections.totals()
    }

    /// What the queues hold now.
    pub fn queue_totals(&self) -> QueueTotals {
        let vhosts: Vec<_> = self.vhosts.read().values().cloned().collect();
        let mut totals = QueueTotals::default();
        for vhost in vhosts {
            vhost.add_to(&mut totals);
        }
        totals
    }

    /// Messages that queues gave up since the start.
    pub fn discard_totals(&self) -> DiscardTotals {
        self.shared.discards.totals()
    }

    /// When [`Broker::run_deadlines`] has something to do next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.shared.deadlines.next()
    }

    /// Ready when the next deadline is another than `known`.
    pub fn poll_next_deadline(
        &self,
        context: &mut Context<'_>,
        known: Option<Time>,
    ) -> Poll<Option<Time>> {
        self.shared.deadlines.poll_changed(context, known)
    }

    /// Do what is due by `now`: expire messages and unused queues, route delayed messages, check how long consumers
    /// have had their messages. Does a bounded amount of work; if more is due,
    /// [`Broker::next_deadline`] is not later than `now`.
    pub fn run_deadlines(&self, now: Time) {
        let mut effects = Effects::default();
        for due in self.shared.deadlines.take_due(now, DEADLINES_AT_ONCE) {
            match due {
                Due::Queue(queue) => {
                    if let Some(queue) = queue.upgrade() {
                        queue.run_deadline(now, &mut effects);
                    }
                }
                Due::Delayed(exchange) => {
                    if let Some(exchange) = exchange.upgrade() {
                        exchange.run_deadline();
                    }
                }
                Due::Connection(mailbox) => {
                    if let Some(mailbox) = mailbox.upgrade() {
                        effects
                            .wakes
                            .add(mailbox.push(Notice::CheckTimeouts).ok().flatten());
                    }
                }
            }
            effects.finish();
        }
    }

    /// Octets of ready messages kept in memory.
    pub fn message_memory(&self) -> usize {
        self.shared.memory.used()
    }

    /// Octets of deliveries that wait for the sockets of their consumers.
    pub fn outbox_bytes(&self) -> usize {
        let mailboxes = self.shared.connections.mailboxes();
        mailboxes.iter().map(|mailbox| mailbox.outstanding()).sum()
    }

    /// Octets that exchanges of type x-recent-history keep.
    pub fn history_memory(&self) -> usize {
        self.shared.histories.used()
    }

    /// The node's limits.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The store, for its figures.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }
}

/// Somebody who blocks until the store has an answer.
struct Waiter(mpsc::SyncSender<Result<(), StoreError>>);

impl DurableWaiter for Waiter {
    fn durable(&self, _: Ticket) {
        // Nobody waits any more: nobody is told.
        let _ = self.0.try_send(Ok(()));
    }

    fn failed(&self, error: &StoreError) {
        let _ = self.0.try_send(Err(error.clone()));
    }
}

/// The vhost and the user of a node that has none, and that is to import none.
fn make_defaults(
    options: &BrokerOptions,
    stored: &mut Definitions,
) -> Result<Vec<Change>, BrokerError> {
    let mut changes = Vec::new();
    let named = options.definitions.as_ref();
    let mut vhosts: Vec<_> = named.map(DefinitionsFile::vhost_names).unwrap_or_default();
    if stored.vhosts.is_empty() && vhosts.is_empty() {
        let record = VhostRecord::default();
        changes.push(definitions::put_vhost(&options.default_vhost, &record));
        stored.vhosts.push((options.default_vhost.clone(), record));
    }
    if vhosts.is_empty() {
        vhosts.push(options.default_vhost.clone());
    }
    if stored.users.is_empty() && named.is_none_or(|file| !file.has_users()) {
        let (name, password) = &options.default_user;
        let record = UserRecord::new(password.expose(), vec!["administrator".to_owned()])
            .map_err(|error| BrokerError::Random(error.to_string()))?;
        changes.push(definitions::put_user(name, &record));
        stored.users.push((name.clone(), record));
        for vhost in vhosts {
            let permission = Permission::all();
            changes.push(definitions::put_permission(name, &vhost, &permission));
            stored.permissions.push((name.clone(), vhost, permission));
        }
    }
    Ok(changes)
}

/// What older versions wrote otherwise, as it is written now.
fn upgrade(stored: &mut Definitions) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, record) in &mut stored.users {
        let vhosts = std::mem::take(&mut record.vhosts);
        if vhosts.is_empty() {
            continue;
        }
        changes.push(definitions::put_user(name, record));
        for vhost in vhosts {
            let permission = Permission::all();
            changes.push(definitions::put_permission(name, &vhost, &permission));
            stored.permissions.push((name.clone(), vhost, permission));
        }
    }
    changes
}

fn recover_users(stored: &mut Definitions, loopback_users: Vec<String>) -> Users {
    let mut users = Users::new(loopback_users);
    for (name, record) in stored.users.drain(..) {
        users.set_record(name, record);
    }
    for (user, vhost, permission) in stored.permissions.drain(..) {
        users.set_permission((user, vhost), permission);
    }
    for (user, vhost, exchange, permission) in stored.topic_permissions.drain(..) {
        let place = (user, vhost, exchange);
        users.set_topic_permission(place, permission);
    }
    users
}

fn recover(
    shared: &Arc<Shared>,
    stored: Definitions,
) -> Result<FxHashMap<String, Arc<Vhost>>, BrokerError> {
    let mut vhosts: FxHashMap<String, Arc<Vhost>> = FxHashMap::default();
    for (name, record) in stored.vhosts {
        let vhost = Vhost::new(name.as_str().into(), Arc::clone(shared));
        vhost.set_metadata(record.metadata);
        vhosts.insert(name, vhost);
    }
    let mut policies: FxHashMap<String, Vec<_>> = FxHashMap::default();
    for (vhost, kind, policy) in stored.policies {
        policies.entry(vhost).or_default().push((kind, policy));
    }
    for (vhost, policies) in policies {
        if let Some(vhost) = vhosts.get(&vhost) {
            vhost.recover_policies(policies);
        }
    }
    for (vhost, component, name, value) in stored.parameters {
        if let Some(vhost) = vhosts.get(&vhost) {
            vhost.recover_parameter(component, name, value);
        }
    }
    for (vhost, exchange) in stored.exchanges {
        if let Some(vhost) = vhosts.get(&vhost) {
            vhost.recover_exchange(exchange);
        }
    }
    for (vhost, name, queue) in stored.delayed {
        if let Some(vhost) = vhosts.get(&vhost) {
            vhost.recover_delayed(&name, queue)?;
        }
    }
    for (vhost, id, record) in stored.queues {
        if let Some(vhost) = vhosts.get(&vhost) {
            vhost.recover_queue(Arc::new(recover_queue(shared, vhost, id, record)?));
        }
    }
    let mut orphans = Vec::new();
    for (name, binding) in stored.bindings {
        if let Some(vhost) = vhosts.get(&name)
            && let Err(error) = vhost.recover_binding(binding.clone())
        {
            tracing::warn!(vhost = %name, source = %binding.source, %error, "a stored binding has lost an end; dropped");
            orphans.push(definitions::delete_binding(&name, &binding));
        }
    }
    drop_orphans(shared, orphans)?;
    Ok(vhosts)
}

fn drop_orphans(shared: &Shared, orphans: Vec<Change>) -> Result<(), StoreError> {
    if !orphans.is_empty() {
        shared.store.change(orphans)?;
    }
    Ok(())
}

fn recover_queue(
    shared: &Arc<Shared>,
    vhost: &Arc<Vhost>,
    id: QueueId,
    record: QueueRecord,
) -> Result<Queue, StoreError> {
    let claimed = shared.store.claim(id)?;
    let options = vhost.options_for(&record.name, &record.arguments);
    let properties = QueueProperties {
        name: record.name.into(),
        durable: true,
        auto_delete: record.auto_delete,
        owner: None,
        options,
        arguments: record.arguments,
    };
    let queue = Queue::new(id, properties, Arc::clone(shared), Arc::downgrade(vhost));
    Ok(queue.recovered(claimed.next_seq, claimed.messages, claimed.bytes))
}
