//! What RabbitMQ's keys mean here.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::memory::size;
use crate::memory::total_memory;

/// What a key means.
pub(super) struct Rule {
    /// The key; a word that begins with `$` stands for any.
    pub(super) key: &'static str,
    pub(super) means: Means,
    /// What stands behind it, for a message.
    pub(super) expected: &'static str,
}

/// How a value is written for ours; `None`: it is of the wrong kind.
type Convert = fn(&str) -> Option<String>;

/// What becomes of a key's lines.
#[derive(Clone, Copy)]
pub(super) enum Means {
    /// One item each of a setting of ours.
    Items(&'static str, Convert),
    /// The key's last word is an item of a setting of ours where the value is `true`.
    Members(&'static str),
    /// This value says what is so anyhow; another has no effect.
    Only(&'static str),
    /// A setting of ours. The last line counts.
    Setting(&'static str, Convert),
}

use Means::{Items, Members, Only, Setting};

macro_rules! rules {
    ($($key:literal, $means:expr, $expected:expr;)*) => {
        /// Every rule. Of two that set the same, the later one counts.
        pub(super) const RULES: &[Rule] = &[$(Rule { key: $key, means: $means, expected: $expected }),*];
    };
}

const TEXT: &str = "text";
const NUMBER: &str = "a whole number";
const BOOLEAN: &str = "true or false";
const BYTES: &str = "a size such as 50MB";
const LISTENER: &str = "a port, or an address and a port";
const MILLISECONDS: &str = "milliseconds";
const LEVEL: &str = "debug, info, warning, error, critical or none";

rules! {
    "listeners.tcp.$name", Items("listen", listener), LISTENER;
    "listeners.tcp", Setting("listen", none), "none";
    "listeners.ssl.$name", Items("tls.listen", listener), LISTENER;
    "listeners.ssl", Setting("tls.listen", none), "none";
    "ssl_options", Only("none"), "none";
    "ssl_options.certfile", Setting("tls.certificate", text), TEXT;
    "ssl_options.keyfile", Setting("tls.key", text), TEXT;
    "ssl_options.cacertfile", Setting("tls.ca", text), TEXT;
    "ssl_options.verify", Setting("tls.verify", text), TEXT;
    "ssl_options.fail_if_no_peer_cert", Setting("tls.fail_if_no_peer_cert", boolean), BOOLEAN;
    "ssl_options.versions.$version", Items("tls.versions", text), TEXT;
    "ssl_options.honor_cipher_order", Only("true"), BOOLEAN;
    "ssl_options.honor_ecc_order", Only("true"), BOOLEAN;
    "ssl_options.secure_renegotiate", Only("true"), BOOLEAN;
    "ssl_options.client_renegotiation", Only("false"), BOOLEAN;
    "ssl_cert_login_from", Setting("tls.login_from", text), TEXT;
    "ssl_cert_login_san_type", Setting("tls.login_san_type", text), TEXT;
    "ssl_cert_login_san_index", Setting("tls.login_san_index", text), NUMBER;
    "ssl_handshake_timeout", Setting("tls.handshake_timeout_seconds", seconds), MILLISECONDS;
    "handshake_timeout", Setting("limits.handshake_timeout_seconds", seconds), MILLISECONDS;
    "heartbeat", Setting("limits.heartbeat_seconds", text), NUMBER;
    "frame_max", Setting("limits.frame_max", frame_max), BYTES;
    "channel_max", Setting("limits.channel_max", channel_max), NUMBER;
    "connection_max", Setting("limits.connections", connection_max), "a whole number or infinity";
    "max_message_size", Setting("limits.max_message_size", text), NUMBER;
    "consumer_timeout", Setting("limits.consumer_timeout_milliseconds", text), MILLISECONDS;
    "consumer_max_per_channel", Setting("limits.consumers_per_channel", connection_max), NUMBER;
    "tcp_listen_options.backlog", Setting("tcp.backlog", text), NUMBER;
    "tcp_listen_options.nodelay", Setting("tcp.nodelay", boolean), BOOLEAN;
    "tcp_listen_options.keepalive", Setting("tcp.keepalive", boolean), BOOLEAN;
    "tcp_listen_options.sndbuf", Setting("tcp.send_buffer_bytes", bytes), BYTES;
    "tcp_listen_options.recbuf", Setting("tcp.receive_buffer_bytes", bytes), BYTES;
    "tcp_listen_options.exit_on_close", Only("false"), BOOLEAN;
    "proxy_protocol", Setting("proxy_sources", proxy), BOOLEAN;
    "auth_mechanisms.$name", Items("auth_mechanisms", text), TEXT;
    "loopback_users.$user", Members("loopback_users"), BOOLEAN;
    "loopback_users", Setting("loopback_users", none), "none";
    "default_vhost", Setting("default_vhost", text), TEXT;
    "default_user", Setting("default_user.name", text), TEXT;
    "default_pass", Setting("default_user.password", text), TEXT;
    "default_user_tags.$tag", Members("default_user.tags"), BOOLEAN;
    "default_permissions.configure", Setting("default_user.configure", text), TEXT;
    "default_permissions.write", Setting("default_user.write", text), TEXT;
    "default_permissions.read", Setting("default_user.read", text), TEXT;
    "cluster_name", Setting("cluster_name", text), TEXT;
    "product.name", Setting("server.product", text), TEXT;
    "product.version", Setting("server.version", text), TEXT;
    "management.load_definitions", Setting("load_definitions", text), TEXT;
    "definitions.local.path", Setting("load_definitions", text), TEXT;
    "load_definitions", Setting("load_definitions", text), TEXT;
    "definitions.import_backend", Only("local_filesystem"), TEXT;
    "vm_memory_high_watermark.absolute", Setting("memory.high_watermark", bytes), BYTES;
    "vm_memory_high_watermark.relative", Setting("memory.high_watermark", part), "a part from 0.0 to 1.0";
    "disk_free_limit.absolute", Setting("store.disk_free_limit", bytes), BYTES;
    "disk_free_limit.relative", Setting("store.disk_free_limit", part_of_memory), "a number";
    "prometheus.tcp.ip", Setting("metrics_listen", metrics_ip), "an IP address";
    "prometheus.tcp.port", Setting("metrics_listen", listener), "a port";
    "prometheus.path", Only("/metrics"), TEXT;
    "log.default.level", Setting("log.level", level), LEVEL;
    "log.file.level", Setting("log.level", level), LEVEL;
    "log.console.level", Setting("log.level", level), LEVEL;
    "log.file.formatter", Setting("log.format", formatter), "plaintext or json";
    "log.console.formatter", Setting("log.format", formatter), "plaintext or json";
    "log.console", Only("true"), BOOLEAN;
    "log.file", Only("false"), TEXT;
    "log.exchange", Only("false"), BOOLEAN;
    "log.syslog", Only("false"), BOOLEAN;
    "log.journald", Only("false"), BOOLEAN;
    "auth_backends.$num", Only("internal"), TEXT;
    "reverse_dns_lookups", Only("false"), BOOLEAN;
}

#[expect(clippy::unnecessary_wraps, reason = "one of the conversions")]
fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn none(value: &str) -> Option<String> {
    (value == "none").then(|| value.to_owned())
}

pub(super) fn boolean(value: &str) -> Option<String> {
    matches!(value, "true" | "false").then(|| value.to_owned())
}

/// A port alone is on every interface. The address may be of IPv6 and without brackets.
fn listener(value: &str) -> Option<String> {
    if value.parse::<u16>().is_ok() {
        return Some(format!(":{value}"));
    }
    let (host, port) = value.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    if host.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{host}]:{port}"));
    }
    Some(value.to_owned())
}

fn metrics_ip(value: &str) -> Option<String> {
    let address: IpAddr = value.parse().ok()?;
    Some(std::net::SocketAddr::new(address, 15692).to_string())
}

/// Whole seconds that are not less.
fn seconds(value: &str) -> Option<String> {
    if value == "infinity" {
        return Some("86400".to_owned());
    }
    let milliseconds: u64 = value.parse().ok()?;
    Some(milliseconds.div_ceil(1000).to_string())
}

fn bytes(value: &str) -> Option<String> {
    size(value).map(|octets| octets.to_string())
}

/// 0 is no bound there; here it is the largest that there can be.
fn frame_max(value: &str) -> Option<String> {
    match size(value)? {
        0 => Some("16777216".to_owned()),
        octets => Some(octets.to_string()),
    }
}

fn channel_max(value: &str) -> Option<String> {
    match value.parse::<u64>().ok()? {
        0 => Some(u16::MAX.to_string()),
        channels => Some(channels.to_string()),
    }
}

fn connection_max(value: &str) -> Option<String> {
    if value == "infinity" {
        return Some(u32::MAX.to_string());
    }
    value.parse::<u64>().ok().map(|count| count.to_string())
}

/// Everybody has to send the header, and so may.
fn proxy(value: &str) -> Option<String> {
    match value {
        "true" => Some("0.0.0.0/0,::/0".to_owned()),
        "false" => Some("none".to_owned()),
        _ => None,
    }
}

fn part(value: &str) -> Option<String> {
    let part: f64 = value.parse().ok()?;
    (0.0..=1.0).contains(&part).then(|| format!("{part:?}"))
}

/// Octets, as a multiple of the memory there is.
fn part_of_memory(value: &str) -> Option<String> {
    let factor: f64 = value.parse().ok()?;
    if !(0.0..=1000.0).contains(&factor) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "to the octet does not matter")]
    let octets = total_memory().unwrap_or(0) as f64 * factor;
    Some(format!("{octets:.0}"))
}

fn level(value: &str) -> Option<String> {
    let level = match value {
        "debug" | "info" | "error" => value,
        "notice" => "info",
        "warning" => "warn",
        "critical" | "alert" | "emergency" => "error",
        "none" => "off",
        _ => return None,
    };
    Some(level.to_owned())
}

fn formatter(value: &str) -> Option<String> {
    match value {
        "plaintext" => Some("text".to_owned()),
        "json" => Some(value.to_owned()),
        _ => None,
    }
}
