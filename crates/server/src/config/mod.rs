//! The configuration: what an operator may set, with its defaults, and how the values are found.
//!
//! Here live the struct [`Config`] with its parts, the table of settings that ties each field to
//! its key in the file and its environment variable (`setting`), the reading of the TOML file
//! (`file`), the layers (`load`) and the checks (`check`). Not here: the command line's grammar
//! (the program's `cli`) and what a value does (the part of the broker that it is for).
//!
//! A value's way: flag, variable or file -> [`Config::load`] -> the setting's entry in the table ->
//! the field's `Value` reads and checks it -> combinations are checked once all layers are in.

mod address;
mod check;
mod error;
mod file;
mod limits;
mod load;
mod log;
mod nearest;
mod secret;
mod setting;
mod value;

use std::path::PathBuf;

pub use address::{ListenAddress, UnknownAddress};
pub use error::{ConfigError, Conflict, Invalid, Origin};
pub use limits::Limits;
pub use load::{Flag, Loaded, Sources, UnknownVariable};
pub use log::{Log, LogFilter, LogFormat};
pub use secret::Secret;

/// Everything that can be set of a broker. Every field has a key of the same name in the file; the
/// parts (`log`, `default_user`, `server`, `limits`, `store`) are its tables.
///
/// An embedder starts from [`Config::default`] and sets fields; [`Config::validate`] then says
/// what the loader would have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where AMQP clients are listened for; at least one. Port 0 lets the system choose.
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
    /// The user made when the data folder is new.
    pub default_user: DefaultUser,
    /// What is logged, and how.
    pub log: Log,
    /// What the broker says it is.
    pub server: ServerIdentity,
    /// What a peer may make the broker hold or wait for.
    pub limits: Limits,
    /// The data folder's settings.
    pub store: StoreConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::localhost(5672)],
            metrics_listen: vec![ListenAddress::localhost(15692)],
            data_dir: PathBuf::from("leveret-data"),
            addresses_file: None,
            load_definitions: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cluster_name: "leveret@localhost".to_owned(),
            default_vhost: "/".to_owned(),
            loopback_users: vec!["guest".to_owned()],
            default_user: DefaultUser::default(),
            log: Log::default(),
            server: ServerIdentity::default(),
            limits: Limits::default(),
            store: StoreConfig::default(),
        }
    }
}

/// The user made when the data folder is new: an administrator with every permission on the
/// default vhost, as RabbitMQ's `default_user`. A folder that has users already is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultUser {
    /// Its name, 1 to 255 octets.
    pub name: String,
    /// Its password, never empty.
    pub password: Secret,
}

impl Default for DefaultUser {
    fn default() -> Self {
        Self {
            name: "guest".to_owned(),
            password: Secret::from("guest".to_owned()),
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
