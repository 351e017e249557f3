//! The configuration: what an operator may set, with its defaults, and how the values are found.
//!
//! Here live the struct [`Config`] with its parts, the table of settings that ties each field to
//! its key in the file and its environment variable (`setting`), the reading of the TOML file
//! (`file`) and of RabbitMQ's `rabbitmq.conf` (`rabbitmq`), the layers (`load`) and the checks (`check`). Not here: the command line's grammar
//! (the program's `cli`) and what a value does (the part of the broker that it is for).
//!
//! A value's way: flag, variable or file -> [`Config::load`] -> the setting's entry in the table ->
//! the field's `Value` reads and checks it -> combinations are checked once all layers are in.

mod address;
mod check;
mod control;
mod error;
mod file;
mod limits;
mod load;
mod log;
mod memory;
mod nearest;
mod network;
mod pattern;
mod rabbitmq;
mod setting;
mod tls;
mod value;

use std::path::PathBuf;

pub use address::{ListenAddress, UnknownAddress};
pub use control::ControlSocket;
pub use error::{ConfigError, Conflict, Invalid, Origin};
pub use leveret_broker::Secret;
pub use limits::Limits;
pub use load::{Flag, Loaded, Sources, UnknownVariable};
pub use log::{Log, LogFilter, LogFormat};
pub use memory::{UnknownWatermark, Watermark};
pub use nearest::nearest;
pub use network::{Network, UnknownNetwork};
pub use pattern::Pattern;
pub use rabbitmq::IgnoredKey;
pub use tls::{AlternativeName, CertificateLogin, Tls, TlsVerify, TlsVersion};

/// Everything that can be set of a broker. Every field has a key of the same name in the file; the
/// parts (`log`, `default_user`, `server`, `limits`, `memory`, `store`, `tcp`, `tls`) are its tables.
///
/// An embedder starts from [`Config::default`] and sets fields; [`Config::validate`] then says
/// what the loader would have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where AMQP clients are listened for; at least one, unless there is one with TLS. Port 0 lets the system choose.
    pub listen: Vec<ListenAddress>,
    /// Where metrics are served over HTTP; empty: nowhere. 15692 is the port of RabbitMQ's
    /// Prometheus plugin.
    pub metrics_listen: Vec<ListenAddress>,
    /// The folder of everything that outlives the process; made when missing. A relative path
    /// starts at the working folder.
    pub data_dir: PathBuf,
    /// File that names the bound addresses while the broker is ready, for programs that let the
    /// system choose ports.
    pub addresses_file: Option<PathBuf>,
    /// The Unix socket that `leveret ctl` speaks to. An embedded broker has one only if this is a path.
    pub control_socket: ControlSocket,
    /// Definitions as RabbitMQ exports them, imported at every start before the broker is ready;
    /// RabbitMQ's setting of the same name.
    pub load_definitions: Option<PathBuf>,
    /// Threads that serve connections; by default one for each core the process may use.
    pub threads: usize,
    /// Announced to clients as the server property `cluster_name`. The default names no host: the
    /// property is sent before login, and the data folder is to be free to move.
    pub cluster_name: String,
    /// The vhost made when the data folder is new.
    pub default_vhost: String,
    /// Users who may log in from a loopback address only, as RabbitMQ's `loopback_users`.
    pub loopback_users: Vec<String>,
    /// Login mechanisms that clients are offered, in this order. EXTERNAL is offered only to a client that has given a
    /// certificate, as it can be of no use to others.
    pub auth_mechanisms: Vec<String>,
    /// Who may say with a PROXY protocol header on whose behalf it connects, and then must; empty: nobody.
    pub proxy_sources: Vec<Network>,
    /// The user made when the data folder is new.
    pub default_user: DefaultUser,
    /// What is logged, and how.
    pub log: Log,
    /// What the broker says it is.
    pub server: ServerIdentity,
    /// What a peer may make the broker hold or wait for.
    pub limits: Limits,
    /// When memory is low.
    pub memory: MemoryConfig,
    /// The data folder's settings.
    pub store: StoreConfig,
    /// Options of the sockets.
    pub tcp: Tcp,
    /// Encrypted listeners.
    pub tls: Tls,
}

impl Config {
    /// Whether the files that encrypted listeners need, if there are any, can be used.
    pub fn check_certificates(&self) -> Result<(), crate::TlsError> {
        if self.tls.is_on() {
            crate::tls::Certificates::load(&self.tls)?;
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::localhost(5672)],
            metrics_listen: vec![ListenAddress::localhost(15692)],
            data_dir: PathBuf::from("leveret-data"),
            addresses_file: None,
            control_socket: ControlSocket::default(),
            load_definitions: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cluster_name: "leveret@localhost".to_owned(),
            default_vhost: "/".to_owned(),
            loopback_users: vec!["guest".to_owned()],
            auth_mechanisms: MECHANISMS.map(str::to_owned).to_vec(),
            proxy_sources: Vec::new(),
            default_user: DefaultUser::default(),
            log: Log::default(),
            server: ServerIdentity::default(),
            limits: Limits::default(),
            memory: MemoryConfig::default(),
            store: StoreConfig::default(),
            tcp: Tcp::default(),
            tls: Tls::default(),
        }
    }
}

/// The login mechanisms there are.
const MECHANISMS: [&str; 3] = ["PLAIN", "AMQPLAIN", "EXTERNAL"];

/// The user made when the data folder is new: unless set otherwise an administrator with every permission on the
/// default vhost, as RabbitMQ's `default_user`. A folder that has users already is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUser {
    /// Its name, 1 to 255 octets.
    pub name: String,
    /// Its password, never empty.
    pub password: Secret,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it may declare and delete in the default vhost.
    pub configure: Pattern,
    /// What it may publish and bind to there.
    pub write: Pattern,
    /// What it may consume and bind from there.
    pub read: Pattern,
}

impl DefaultUser {
    /// Whether it may do everything, as it does unless set otherwise.
    pub(crate) fn may_everything(&self) -> bool {
        let usual = Self::default();
        let patterns = [&self.configure, &self.write, &self.read];
        self.tags == usual.tags && patterns.into_iter().all(|pattern| *pattern == usual.read)
    }
}

impl Default for DefaultUser {
    fn default() -> Self {
        Self {
            name: "guest".to_owned(),
            password: Secret::from("guest".to_owned()),
            tags: vec!["administrator".to_owned()],
            configure: Pattern::default(),
            write: Pattern::default(),
            read: Pattern::default(),
        }
    }
}

/// What the broker announces of itself in connection.start's server-properties. Clients branch on
/// both, so they can be set to what a client expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Server property `product`. Set `RabbitMQ` for a client that knows no other name.
    pub product: String,
    /// Server property `version`, x.y.z: the RabbitMQ release whose behaviour is matched, because
    /// clients compare it with RabbitMQ's.
    pub version: String,
}

impl Default for ServerIdentity {
    fn default() -> Self {
        Self {
            product: "Leveret".to_owned(),
            version: "4.1.0".to_owned(),
        }
    }
}

/// When memory is low, so that publishers are held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryConfig {
    /// From how much resident memory of the process; RabbitMQ's `vm_memory_high_watermark`.
    pub high_watermark: Watermark,
}

/// Options of the sockets that AMQP clients connect to; RabbitMQ's `tcp_listen_options`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Whether small writes go out at once.
    pub nodelay: bool,
    /// Whether the system looks now and then for peers that are gone without a word, heartbeats or not.
    pub keepalive: bool,
    /// Octets of the system's buffer for what is sent; 0: as the system chooses.
    pub send_buffer_bytes: u32,
    /// Octets of the system's buffer for what is received; 0: as the system chooses.
    pub receive_buffer_bytes: u32,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            backlog: 1024,
            nodelay: true,
            keepalive: true,
            send_buffer_bytes: 0,
            receive_buffer_bytes: 0,
        }
    }
}

/// Settings of the embedded store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Whether a confirm waits until the disk has the message. `false` is for tests and for
    /// people who accept that a power cut loses confirmed messages; it is warned of at every start.
    pub sync: bool,
    /// Octets of one segment file of the message log. Smaller ones are freed sooner, larger ones
    /// cost fewer files.
    pub segment_bytes: u64,
    /// Milliseconds that acks and delivery marks may wait for a write to ride along with; what a
    /// crash may deliver again.
    pub lazy_interval_milliseconds: u64,
    /// The disk is low from when fewer octets than this are free on it; 0: never.
    pub disk_free_limit: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            sync: true,
            segment_bytes: 64 << 20,
            lazy_interval_milliseconds: 100,
            disk_free_limit: 50_000_000,
        }
    }
}

#[cfg(test)]
mod tests;
