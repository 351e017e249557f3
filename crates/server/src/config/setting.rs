//! The table of settings: each with its key in the file, its environment variable, its bounds and
//! its field. What is not here cannot be set from outside.

use std::ops::RangeInclusive;

use super::Config;
use super::limits::{FRAME_MIN_SIZE, MAX_MESSAGE_SIZE_CAP};
use super::nearest::nearest;
use super::value::Value;

/// One setting.
pub(super) struct Setting {
    /// Its key in the file, with its tables' names.
    pub(super) key: &'static str,
    /// Its environment variable: the key with `LEVERET_` before it, but for the default user's,
    /// which are shorter as they are RabbitMQ's.
    pub(super) variable: &'static str,
    /// Bounds of a number, both included. Other kinds don't look at it.
    pub(super) allowed: RangeInclusive<u64>,
    /// The field.
    pub(super) field: for<'c> fn(&'c mut Config) -> &'c mut dyn Value,
}

/// What sets the default user's password.
pub(super) const PASSWORD: &str = "default_user.password";

/// What names a file that holds the default user's password. The field is the password's: the
/// loader reads the file.
pub(super) const PASSWORD_FILE: &str = "default_user.password_file";

/// The tables of the file.
const TABLES: [&str; 8] = [
    "default_user",
    "limits",
    "log",
    "memory",
    "server",
    "store",
    "tcp",
    "tls",
];

/// For settings that are no numbers.
const ANY: RangeInclusive<u64> = 0..=u64::MAX;

/// Counts of things: at least one, and what 32 bits can number.
const COUNT: RangeInclusive<u64> = 1..=(u32::MAX as u64);

/// Octets held in memory for many peers together: room for a frame, up to 1 TiB.
const MEMORY: RangeInclusive<u64> = 65_536..=(1 << 40);

/// Seconds of patience: up to a day.
const PATIENCE: RangeInclusive<u64> = 1..=86_400;

macro_rules! settings {
    ($($key:literal, $variable:literal, $allowed:expr, $($field:ident).+;)*) => {
        /// Every setting, in the order of the reference in `docs/operations.md`.
        pub(super) static SETTINGS: &[Setting] = &[$(Setting {
            key: $key,
            variable: $variable,
            allowed: $allowed,
            field: |config| &mut config.$($field).+,
        }),*];
    };
}

settings! {
    "listen", "LEVERET_LISTEN", ANY, listen;
    "metrics_listen", "LEVERET_METRICS_LISTEN", ANY, metrics_listen;
    "data_dir", "LEVERET_DATA_DIR", ANY, data_dir;
    "addresses_file", "LEVERET_ADDRESSES_FILE", ANY, addresses_file;
    "control_socket", "LEVERET_CONTROL_SOCKET", ANY, control_socket;
    "load_definitions", "LEVERET_LOAD_DEFINITIONS", ANY, load_definitions;
    "threads", "LEVERET_THREADS", 1..=1024, threads;
    "cluster_name", "LEVERET_CLUSTER_NAME", ANY, cluster_name;
    "default_vhost", "LEVERET_DEFAULT_VHOST", ANY, default_vhost;
    "loopback_users", "LEVERET_LOOPBACK_USERS", ANY, loopback_users;
    "auth_mechanisms", "LEVERET_AUTH_MECHANISMS", ANY, auth_mechanisms;
    "proxy_sources", "LEVERET_PROXY_SOURCES", ANY, proxy_sources;
    "default_user.name", "LEVERET_DEFAULT_USER", ANY, default_user.name;
    "default_user.password", "LEVERET_DEFAULT_PASSWORD", ANY, default_user.password;
    "default_user.password_file", "LEVERET_DEFAULT_PASSWORD_FILE", ANY, default_user.password;
    "default_user.tags", "LEVERET_DEFAULT_TAGS", ANY, default_user.tags;
    "default_user.configure", "LEVERET_DEFAULT_CONFIGURE", ANY, default_user.configure;
    "default_user.write", "LEVERET_DEFAULT_WRITE", ANY, default_user.write;
    "default_user.read", "LEVERET_DEFAULT_READ", ANY, default_user.read;
    "log.level", "LEVERET_LOG_LEVEL", ANY, log.level;
    "log.format", "LEVERET_LOG_FORMAT", ANY, log.format;
    "server.product", "LEVERET_SERVER_PRODUCT", ANY, server.product;
    "server.version", "LEVERET_SERVER_VERSION", ANY, server.version;
    "limits.frame_max", "LEVERET_LIMITS_FRAME_MAX", FRAME_MIN_SIZE..=16_777_216, limits.frame_max;
    "limits.channel_max", "LEVERET_LIMITS_CHANNEL_MAX", 1..=65_535, limits.channel_max;
    "limits.heartbeat_seconds", "LEVERET_LIMITS_HEARTBEAT_SECONDS", 0..=65_535, limits.heartbeat_seconds;
    "limits.handshake_timeout_seconds", "LEVERET_LIMITS_HANDSHAKE_TIMEOUT_SECONDS", PATIENCE, limits.handshake_timeout_seconds;
    "limits.close_timeout_seconds", "LEVERET_LIMITS_CLOSE_TIMEOUT_SECONDS", PATIENCE, limits.close_timeout_seconds;
    "limits.login_failure_delay_seconds", "LEVERET_LIMITS_LOGIN_FAILURE_DELAY_SECONDS", 0..=60, limits.login_failure_delay_seconds;
    "limits.login_failures_per_second", "LEVERET_LIMITS_LOGIN_FAILURES_PER_SECOND", 0..=1_000_000, limits.login_failures_per_second;
    "limits.content_stall_timeout_seconds", "LEVERET_LIMITS_CONTENT_STALL_TIMEOUT_SECONDS", PATIENCE, limits.content_stall_timeout_seconds;
    "limits.write_stall_timeout_seconds", "LEVERET_LIMITS_WRITE_STALL_TIMEOUT_SECONDS", PATIENCE, limits.write_stall_timeout_seconds;
    "limits.max_message_size", "LEVERET_LIMITS_MAX_MESSAGE_SIZE", 1..=MAX_MESSAGE_SIZE_CAP, limits.max_message_size;
    "limits.connections", "LEVERET_LIMITS_CONNECTIONS", COUNT, limits.connections;
    "limits.unauthenticated_connections", "LEVERET_LIMITS_UNAUTHENTICATED_CONNECTIONS", COUNT, limits.unauthenticated_connections;
    "limits.consumers_per_channel", "LEVERET_LIMITS_CONSUMERS_PER_CHANNEL", COUNT, limits.consumers_per_channel;
    "limits.queues_per_vhost", "LEVERET_LIMITS_QUEUES_PER_VHOST", COUNT, limits.queues_per_vhost;
    "limits.exchanges_per_vhost", "LEVERET_LIMITS_EXCHANGES_PER_VHOST", COUNT, limits.exchanges_per_vhost;
    "limits.bindings_per_vhost", "LEVERET_LIMITS_BINDINGS_PER_VHOST", COUNT, limits.bindings_per_vhost;
    "limits.outbox_high_bytes", "LEVERET_LIMITS_OUTBOX_HIGH_BYTES", 2..=(1 << 40), limits.outbox_high_bytes;
    "limits.outbox_low_bytes", "LEVERET_LIMITS_OUTBOX_LOW_BYTES", 1..=(1 << 40), limits.outbox_low_bytes;
    "limits.unsynced_bytes", "LEVERET_LIMITS_UNSYNCED_BYTES", MEMORY, limits.unsynced_bytes;
    "limits.message_memory_bytes", "LEVERET_LIMITS_MESSAGE_MEMORY_BYTES", MEMORY, limits.message_memory_bytes;
    "limits.history_memory_bytes", "LEVERET_LIMITS_HISTORY_MEMORY_BYTES", 0..=(1 << 40), limits.history_memory_bytes;
    "limits.consumer_timeout_milliseconds", "LEVERET_LIMITS_CONSUMER_TIMEOUT_MILLISECONDS", 0..=315_360_000_000, limits.consumer_timeout_milliseconds;
    "limits.blocked_input_bytes", "LEVERET_LIMITS_BLOCKED_INPUT_BYTES", 0..=(1 << 40), limits.blocked_input_bytes;
    "limits.transaction_bytes", "LEVERET_LIMITS_TRANSACTION_BYTES", 1..=(1 << 40), limits.transaction_bytes;
    "memory.high_watermark", "LEVERET_MEMORY_HIGH_WATERMARK", ANY, memory.high_watermark;
    "store.sync", "LEVERET_STORE_SYNC", ANY, store.sync;
    "store.segment_bytes", "LEVERET_STORE_SEGMENT_BYTES", 65_536..=(1 << 30), store.segment_bytes;
    "store.lazy_interval_milliseconds", "LEVERET_STORE_LAZY_INTERVAL_MILLISECONDS", 1..=60_000, store.lazy_interval_milliseconds;
    "store.disk_free_limit", "LEVERET_STORE_DISK_FREE_LIMIT", 0..=(1 << 60), store.disk_free_limit;
    "tcp.backlog", "LEVERET_TCP_BACKLOG", 1..=65_535, tcp.backlog;
    "tcp.nodelay", "LEVERET_TCP_NODELAY", ANY, tcp.nodelay;
    "tcp.keepalive", "LEVERET_TCP_KEEPALIVE", ANY, tcp.keepalive;
    "tcp.send_buffer_bytes", "LEVERET_TCP_SEND_BUFFER_BYTES", 0..=(1 << 30), tcp.send_buffer_bytes;
    "tcp.receive_buffer_bytes", "LEVERET_TCP_RECEIVE_BUFFER_BYTES", 0..=(1 << 30), tcp.receive_buffer_bytes;
    "tls.listen", "LEVERET_TLS_LISTEN", ANY, tls.listen;
    "tls.certificate", "LEVERET_TLS_CERTIFICATE", ANY, tls.certificate;
    "tls.key", "LEVERET_TLS_KEY", ANY, tls.key;
    "tls.ca", "LEVERET_TLS_CA", ANY, tls.ca;
    "tls.crl", "LEVERET_TLS_CRL", ANY, tls.crl;
    "tls.verify", "LEVERET_TLS_VERIFY", ANY, tls.verify;
    "tls.fail_if_no_peer_cert", "LEVERET_TLS_FAIL_IF_NO_PEER_CERT", ANY, tls.fail_if_no_peer_cert;
    "tls.versions", "LEVERET_TLS_VERSIONS", ANY, tls.versions;
    "tls.login_from", "LEVERET_TLS_LOGIN_FROM", ANY, tls.login_from;
    "tls.login_san_type", "LEVERET_TLS_LOGIN_SAN_TYPE", ANY, tls.login_san_type;
    "tls.login_san_index", "LEVERET_TLS_LOGIN_SAN_INDEX", 0..=1000, tls.login_san_index;
    "tls.handshake_timeout_seconds", "LEVERET_TLS_HANDSHAKE_TIMEOUT_SECONDS", PATIENCE, tls.handshake_timeout_seconds;
    "tls.reload_interval_seconds", "LEVERET_TLS_RELOAD_INTERVAL_SECONDS", 0..=86_400, tls.reload_interval_seconds;
}

/// The setting with this key.
pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Whether `key` is a table of the file.
pub(super) fn is_table(key: &str) -> bool {
    TABLES.contains(&key)
}

/// The key or table that was meant by `key`: mistyped, or right but for the table it belongs to.
pub(super) fn nearest_key(key: &str) -> Option<&'static str> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let parent = key.strip_suffix(last).unwrap_or_default();
    let in_same_table = SETTINGS
        .iter()
        .map(|setting| setting.key)
        .chain(TABLES)
        .filter(|known| {
            known
                .strip_prefix(parent)
                .is_some_and(|rest| !rest.contains('.'))
        });
    nearest_last(last, parent, in_same_table)
        .or_else(|| nearest(key, SETTINGS.iter().map(|setting| setting.key)))
        .or_else(|| {
            SETTINGS
                .iter()
                .map(|setting| setting.key)
                .find(|known| known.rsplit('.').next() == Some(last))
        })
}

/// The one of `candidates`, all beginning with `parent`, whose rest is nearest to `last`: the
/// table's name is right and must not make up for slips in the key.
fn nearest_last(
    last: &str,
    parent: &str,
    candidates: impl Iterator<Item = &'static str> + Clone,
) -> Option<&'static str> {
    let rest = nearest(
        last,
        candidates
            .clone()
            .filter_map(|known| known.strip_prefix(parent)),
    )?;
    candidates
        .into_iter()
        .find(|known| known.strip_prefix(parent) == Some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_variables_are_unique_and_follow_the_rule() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let earlier = &SETTINGS[..index];
            assert!(
                earlier
                    .iter()
                    .all(|other| other.key != setting.key && other.variable != setting.variable)
            );
            let ruled = format!("LEVERET_{}", setting.key.to_uppercase().replace('.', "_"));
            let shorter = ruled
                .replace("DEFAULT_USER_", "DEFAULT_")
                .replace("DEFAULT_NAME", "DEFAULT_USER");
            assert_eq!(setting.variable, shorter);
            let table = setting.key.split_once('.').map(|(table, _)| table);
            assert!(table.is_none_or(is_table), "{}", setting.key);
        }
    }

    #[test]
    fn the_key_that_was_meant() {
        assert_eq!(nearest_key("lisen"), Some("listen"));
        assert_eq!(nearest_key("data-dir"), Some("data_dir"));
        assert_eq!(nearest_key("limit"), Some("limits"));
        assert_eq!(nearest_key("limits.frame_mx"), Some("limits.frame_max"));
        assert_eq!(nearest_key("log_level"), Some("log.level"));
        assert_eq!(nearest_key("frame_max"), Some("limits.frame_max"));
        assert_eq!(nearest_key("server.level"), Some("log.level"));
        assert_eq!(nearest_key("limits.colour"), None);
        assert_eq!(nearest_key("colours"), None);
        assert_eq!(nearest_key("tsl"), Some("tls"));
    }
}
