//! A running broker: what starts it, what it is bound to, and its orderly end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use leveret_broker::{BrokerError, BrokerOptions, CloseReason};
use leveret_protocol::LimitCounts;
use leveret_store::{EmbeddedStore, MemoryStore, Options, Store, StoreError, SyncMode};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::{Clock, WallClock};
use crate::config::{Config, ConfigError, ControlSocket, ListenAddress, Tcp, Watermark};
use crate::control::{self, Listening, Operator, SocketError};
use crate::definitions::LoadError;
use crate::folder::make_private;
use crate::listener;
use crate::logins::FailedLogins;
use crate::memory::MemoryLimit;
use crate::metrics;
use crate::node::{Churn, Handshakes, Node};
use crate::offers::protocol_config;
use crate::resources;
use crate::timers;
use crate::tls::{self, Certificates, TlsError};
use crate::wakes::Wakes;

/// How long connections have to take their leave at a shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(6);

/// How often a failed store is looked for; sessions learn of it at once.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Octets of output above which a connection's socket is not read, as a multiple of the mark
/// above which it gets no deliveries: replies must find room there too.
const OUTPUT_MAX_FACTOR: usize = 4;

/// Why a broker can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The definitions to begin with can't be loaded.
    #[error(transparent)]
    Definitions(#[from] LoadError),
    /// An address can't be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address as configured.
        address: ListenAddress,
        /// What the system says.
        source: std::io::Error,
    },
    /// The control socket can't be made.
    #[error(transparent)]
    Control(#[from] SocketError),
    /// The files of an encrypted listener can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Another process holds the data folder.
    #[error("data folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// The store can't be opened.
    #[error("cannot open the store: {0}")]
    Store(StoreError),
    /// What the store holds can't be used.
    #[error("cannot open the broker: {0}")]
    Broker(BrokerError),
    /// The system gives no pipe.
    #[error("cannot make a pipe: {0}")]
    Wakes(std::io::Error),
    /// The opening was cut short.
    #[error("opening was cut short: {0}")]
    Interrupted(String),
}

/// Where messages and definitions are kept.
#[derive(Debug)]
enum Storage {
    Memory,
    Folder(PathBuf),
    Temporary,
}

/// Settings of a broker inside this process.
///
/// The defaults suit a test: one listener on a free port of 127.0.0.1 and, once there is a certificate, another with
/// TLS; no metrics listener, a store in memory.
#[derive(Debug)]
pub struct BrokerBuilder {
    config: Config,
    storage: Storage,
    /// No address has been asked for yet.
    listens_by_default: bool,
}

impl BrokerBuilder {
    /// Listen for AMQP clients here instead. May be called for each of several addresses.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        if std::mem::take(&mut self.listens_by_default) {
            self.config.listen.clear();
        }
        self.config.listen.push(address.into());
        self
    }

    /// Serve Prometheus metrics here.
    #[must_use]
    pub fn metrics_listen(mut self, address: SocketAddr) -> Self {
        self.config.metrics_listen.push(address.into());
        self
    }

    /// Keep messages and definitions in this folder.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.storage = Storage::Folder(folder.into());
        self
    }

    /// Keep them in a folder of its own that goes with the broker.
    #[must_use]
    pub fn temporary(mut self) -> Self {
        self.storage = Storage::Temporary;
        self
    }

    /// Change any other setting.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Start the broker. It is ready for clients when this returns.
    pub async fn start(self) -> Result<Broker, StartError> {
        self.config.validate()?;
        start(&self.config, self.storage).await
    }
}

/// A running broker.
///
/// Dropping it stops it without ceremony; [`Broker::shutdown`] tells clients, and waits for what
/// was confirmed to be safe (it is) and for what was acknowledged to be remembered.
pub struct Broker {
    node: Arc<Node>,
    store: Arc<dyn Store>,
    /// Connections need it to the very end, longer than there are listeners.
    wakes: JoinHandle<()>,
    listeners: Vec<JoinHandle<()>>,
    certificates: Option<Arc<Certificates>>,
    amqp: Vec<SocketAddr>,
    amqps: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
    /// Told when an operator asks for the end of the process.
    stop: Arc<Notify>,
    /// Removed when the broker goes.
    folder: Option<tempfile::TempDir>,
}

impl Broker {
    /// A broker to be set up inside this process.
    pub fn builder() -> BrokerBuilder {
        let mut config = Config {
            listen: vec![ListenAddress::localhost(0)],
            metrics_listen: Vec::new(),
            control_socket: ControlSocket::None,
            ..Config::default()
        };
        config.tls.listen = vec![ListenAddress::localhost(0)];
        BrokerBuilder {
            config,
            storage: Storage::Memory,
            listens_by_default: true,
        }
    }

    /// Start a broker as the program does.
    pub async fn from_config(config: &Config) -> Result<Self, StartError> {
        config.validate()?;
        start(config, Storage::Folder(config.data_dir.clone())).await
    }

    /// Where AMQP clients are listened for, in the order of the configuration.
    pub fn amqp_addresses(&self) -> Vec<SocketAddr> {
        self.amqp.clone()
    }

    /// The first of them.
    pub fn address(&self) -> SocketAddr {
        // A configuration without a listener is refused at the start.
        self.amqp
            .first()
            .copied()
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Where AMQP clients are listened for over TLS.
    pub fn amqps_addresses(&self) -> Vec<SocketAddr> {
        self.amqps.clone()
    }

    /// Read certificates and keys anew, if there are any; says whether. Connections stay, and so does everything if
    /// the files can't be used. Blocks while they are read.
    pub fn reload_certificates(&self) -> Result<bool, TlsError> {
        self.certificates
            .as_ref()
            .map_or(Ok(false), |certificates| {
                certificates.reload().map(|()| true)
            })
    }

    /// From now on, memory is low from this watermark.
    pub fn set_memory_high_watermark(&self, watermark: Watermark) {
        resources::set_memory_watermark(&self.node, watermark);
    }

    /// Where metrics are served.
    pub fn metrics_addresses(&self) -> Vec<SocketAddr> {
        self.metrics.clone()
    }

    /// Messages, queues and connections of the running broker.
    pub fn broker(&self) -> &leveret_broker::Broker {
        &self.node.broker
    }

    /// Wait until the store can no longer make anything durable, and learn why. Nothing is confirmed
    /// from then on; a new start recovers from what is on the disk.
    pub async fn store_failed(&self) -> String {
        loop {
            if self.store.usage().poisoned {
                return "a write or sync of the message log failed".to_owned();
            }
            tokio::time::sleep(STORE_CHECK_INTERVAL).await;
        }
    }

    /// Wait until an operator asks by the control socket for the end of the process. Whoever set up the broker is to
    /// call [`Broker::shutdown`] then, and end.
    pub async fn stop_requested(&self) {
        self.stop.notified().await;
    }

    /// Stop: no new clients, connection.close 320 to those who are there, everything on disk.
    pub async fn shutdown(mut self) {
        for listener in self.listeners.drain(..) {
            listener.abort();
        }
        self.node.stopping.send_replace(true);
        self.node.broker.close_connections(&CloseReason::Shutdown);
        let mut tasks = self.node.tasks.subscribe();
        if tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait_for(|tasks| *tasks == 0))
            .await
            .is_err()
        {
            tracing::warn!(
                connections = *tasks.borrow(),
                "some connections did not close in time"
            );
        }
        let store = Arc::clone(&self.store);
        if let Err(error) = tokio::task::spawn_blocking(move || store.shutdown()).await {
            tracing::error!(%error, "the store did not shut down");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.abort();
        }
        self.wakes.abort();
    }
}

async fn start(config: &Config, storage: Storage) -> Result<Broker, StartError> {
    let time: Arc<dyn leveret_broker::Clock> = Arc::new(WallClock::start());
    let certificates = certificates(config).await?;
    let (store, broker, folder) = open(config, storage, Arc::clone(&time)).await?;
    let (tasks, _) = watch::channel(0);
    let (wakes, bell) = Wakes::new().map_err(StartError::Wakes)?;
    let wakes = Arc::new(wakes);
    let limits_met = Arc::new(LimitCounts::default());
    let node = Arc::new(Node {
        broker,
        protocol: Arc::new(protocol_config(config, false, &limits_met)),
        protocol_external: Arc::new(protocol_config(config, true, &limits_met)),
        clock: Clock::start(),
        time,
        handshakes: Arc::new(Handshakes::new(
            config.limits.unauthenticated_connections,
            limits_met,
        )),
        churn: Churn::default(),
        wakes: Arc::clone(&wakes),
        failed_logins: FailedLogins::new(config.limits.login_failures_per_second),
        memory_limit: MemoryLimit::new(config.memory.high_watermark),
        proxy_sources: config.proxy_sources.clone(),
        nodelay: config.tcp.nodelay,
        write_stall: Duration::from_secs(config.limits.write_stall_timeout_seconds),
        output_max: config
            .limits
            .outbox_high_bytes
            .saturating_mul(OUTPUT_MAX_FACTOR),
        blocked_input: AtomicUsize::new(0),
        blocked_input_max: config.limits.blocked_input_bytes,
        stopping: watch::Sender::new(false),
        tasks,
    });
    let mut started = Broker {
        node: Arc::clone(&node),
        store,
        wakes: tokio::spawn(wakes.run(bell)),
        listeners: Vec::new(),
        certificates,
        amqp: Vec::new(),
        amqps: Vec::new(),
        metrics: Vec::new(),
        stop: Arc::default(),
        folder,
    };
    // Ends with the listeners.
    started
        .listeners
        .push(tokio::spawn(timers::run(Arc::clone(&node))));
    started
        .listeners
        .push(tokio::spawn(resources::watch(Arc::clone(&node))));
    for address in &config.listen {
        let (listener, bound) = bind(address, &config.tcp).await?;
        started.amqp.push(bound);
        started.listeners.push(tokio::spawn(listener::accept(
            listener,
            Arc::clone(&node),
            None,
        )));
    }
    started.listen_encrypted(config).await?;
    let data_dir = started.data_dir(config);
    let source = Arc::new(metrics::Source {
        node,
        identity: identity(config, data_dir.clone()),
        limits: config.limits.named(),
    });
    for address in &config.metrics_listen {
        let (listener, bound) = bind(address, &config.tcp).await?;
        started.metrics.push(bound);
        started
            .listeners
            .push(tokio::spawn(metrics::serve(listener, Arc::clone(&source))));
    }
    started.listen_to_operators(config, data_dir)?;
    Ok(started)
}

/// The certificates that are configured, read on a thread that may block.
async fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, StartError> {
    if !config.tls.is_on() {
        return Ok(None);
    }
    let settings = config.tls.clone();
    let loaded = tokio::task::spawn_blocking(move || Certificates::load(&settings)).await;
    let loaded = loaded.map_err(|error| StartError::Interrupted(error.to_string()))?;
    Ok(Some(Arc::new(loaded?)))
}

impl Broker {
    /// The listeners with TLS, if there are certificates, and whoever looks after these.
    async fn listen_encrypted(&mut self, config: &Config) -> Result<(), StartError> {
        let Some(certificates) = &self.certificates else {
            return Ok(());
        };
        for address in &config.tls.listen {
            let (listener, bound) = bind(address, &config.tcp).await?;
            self.amqps.push(bound);
            let accepting = listener::accept(
                listener,
                Arc::clone(&self.node),
                Some(Arc::clone(certificates)),
            );
            self.listeners.push(tokio::spawn(accepting));
        }
        self.listeners
            .push(tokio::spawn(tls::watch(Arc::clone(certificates))));
        Ok(())
    }

    /// The control socket, if there is to be one. Last, so that it says that all is ready.
    fn listen_to_operators(
        &mut self,
        config: &Config,
        data_dir: Option<PathBuf>,
    ) -> Result<(), StartError> {
        let folder = data_dir.as_deref().unwrap_or(&config.data_dir);
        let Some(path) = config.control_socket.path(folder) else {
            return Ok(());
        };
        let socket = control::Socket::bind(&path)?;
        tracing::debug!(path = %socket.path().display(), "control socket");
        let listening = |protocol, purpose, addresses: &[SocketAddr]| {
            let all = addresses.iter().map(|address| Listening {
                protocol,
                purpose,
                address: *address,
            });
            all.collect::<Vec<_>>()
        };
        let operator = Operator {
            node: Arc::clone(&self.node),
            name: config.cluster_name.clone(),
            product: config.server.product.clone(),
            rabbitmq_version: config.server.version.clone(),
            data_dir,
            listeners: [
                listening("amqp", "AMQP 0-9-1", &self.amqp),
                listening("amqp/ssl", "AMQP 0-9-1 over TLS", &self.amqps),
                listening(
                    "http/prometheus",
                    "Prometheus exporter API over HTTP",
                    &self.metrics,
                ),
            ]
            .concat(),
            started: self.node.time.now().0,
            stop: Arc::clone(&self.stop),
        };
        let accepting = control::accept(socket, Arc::new(operator));
        self.listeners.push(tokio::spawn(accepting));
        Ok(())
    }

    fn data_dir(&self, config: &Config) -> Option<PathBuf> {
        match &self.folder {
            Some(folder) => Some(folder.path().to_owned()),
            None => config.data_dir.is_dir().then(|| config.data_dir.clone()),
        }
    }
}

type Opened = (
    Arc<dyn Store>,
    leveret_broker::Broker,
    Option<tempfile::TempDir>,
);

/// Open store and node on a thread that may block.
async fn open(
    config: &Config,
    storage: Storage,
    clock: Arc<dyn leveret_broker::Clock>,
) -> Result<Opened, StartError> {
    let config = config.clone();
    let opening = tokio::task::spawn_blocking(move || -> Result<Opened, StartError> {
        // Before the folder is touched.
        let mut options = broker_options(&config, clock);
        options.definitions = config.read_definitions()?;
        let store = &config.store;
        let mut temporary = None;
        let store: Arc<dyn Store> = match storage {
            Storage::Memory => Arc::new(MemoryStore::new()),
            Storage::Folder(folder) => open_folder(folder, store)?,
            Storage::Temporary => {
                let folder = tempfile::tempdir()
                    .map_err(|error| StartError::Interrupted(error.to_string()))?;
                let opened = open_folder(folder.path().to_owned(), store)?;
                temporary = Some(folder);
                opened
            }
        };
        let default_user = &config.default_user;
        if !default_user.may_everything() && is_new(store.as_ref())? {
            options.definitions = config.first_definitions()?;
        }
        let broker = leveret_broker::Broker::open(options, Arc::clone(&store))
            .map_err(|error| not_opened(error, &config))?;
        Ok((store, broker, temporary))
    });
    opening
        .await
        .map_err(|error| StartError::Interrupted(error.to_string()))?
}

fn is_new(store: &dyn Store) -> Result<bool, StartError> {
    let definitions = store.definitions().map_err(StartError::Store)?;
    Ok(definitions.is_empty())
}

fn not_opened(error: BrokerError, config: &Config) -> StartError {
    match (error, &config.load_definitions) {
        (BrokerError::Import(error), Some(file)) => LoadError::new(file.clone(), error).into(),
        (error, _) => StartError::Broker(error),
    }
}

fn open_folder(
    folder: PathBuf,
    config: &crate::config::StoreConfig,
) -> Result<Arc<dyn Store>, StartError> {
    // It holds hashes of passwords. What stands in the way, the store says.
    if let Err(error) = make_private(&folder) {
        tracing::debug!(%error, "the data folder cannot be made");
    }
    let mut options = Options::new(&folder);
    options.segment_bytes = config.segment_bytes;
    options.disk_free_limit = config.disk_free_limit;
    options.lazy_interval = Duration::from_millis(config.lazy_interval_milliseconds);
    if !config.sync {
        options.sync = SyncMode::Never;
    }
    match EmbeddedStore::open(&options) {
        Ok(store) => Ok(Arc::new(store)),
        Err(StoreError::Locked(_)) => Err(StartError::Locked(folder)),
        Err(error) => Err(StartError::Store(error)),
    }
}

async fn bind(
    address: &ListenAddress,
    options: &Tcp,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        address: address.clone(),
        source,
    };
    let looked_up = address.clone();
    let candidates = tokio::task::spawn_blocking(move || looked_up.candidates())
        .await
        .map_err(|error| StartError::Interrupted(error.to_string()))?
        .map_err(failed)?;
    let listener = listener::bind(&candidates, options).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn broker_options(config: &Config, clock: Arc<dyn leveret_broker::Clock>) -> BrokerOptions {
    let limits = &config.limits;
    BrokerOptions {
        limits: leveret_broker::Limits {
            connections: limits.connections,
            consumers_per_channel: limits.consumers_per_channel,
            queues_per_vhost: limits.queues_per_vhost,
            exchanges_per_vhost: limits.exchanges_per_vhost,
            bindings_per_vhost: limits.bindings_per_vhost,
            outbox_high_bytes: limits.outbox_high_bytes,
            outbox_low_bytes: limits.outbox_low_bytes,
            unsynced_bytes: limits.unsynced_bytes,
            message_memory_bytes: limits.message_memory_bytes,
            history_memory_bytes: limits.history_memory_bytes,
            transaction_bytes: limits.transaction_bytes,
            consumer_timeout_milliseconds: limits.consumer_timeout_milliseconds,
        },
        default_vhost: config.default_vhost.clone(),
        default_user: (
            config.default_user.name.clone(),
            config.default_user.password.clone(),
        ),
        loopback_users: config.loopback_users.clone(),
        definitions: None,
        rabbitmq_version: config.server.version.clone(),
        node: config.cluster_name.clone(),
        clock,
    }
}

fn identity(config: &Config, data_dir: Option<PathBuf>) -> metrics::Identity {
    metrics::Identity {
        node: config.cluster_name.clone(),
        cluster: config.cluster_name.clone(),
        product: config.server.product.clone(),
        rabbitmq_version: config.server.version.clone(),
        data_dir,
    }
}
