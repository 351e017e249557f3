//! What the owner of the listener decides for every connection: offers, limits, times.

use std::{sync::Arc, time::Duration};

use leveret_wire::FieldTable;

use crate::limit::LimitCounts;
use crate::negotiation::{ServerIdentity, server_properties};

/// Largest body that any configuration can allow, in octets: 512 MiB, RabbitMQ's hard cap. A header
/// that announces more is a hard error, whatever [`Config::max_message_size`] says.
pub const BODY_SIZE_HARD_MAX: u64 = 536_870_912;

/// Settings of a [`Connection`](crate::Connection); the same for all connections of a listener, so it
/// is shared behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest frame that is offered in `connection.tune`, in octets with the 8 of overhead. 0 is taken
    /// as the default, because an unlimited frame would be an unlimited buffer.
    pub frame_max: u32,
    /// Most channels open at a time, as offered in `connection.tune`; 0 is no limit.
    pub channel_max: u16,
    /// Heartbeat interval suggested in `connection.tune`, in seconds. The client's answer counts.
    pub heartbeat: u16,
    /// The `server-properties` of `connection.start`. Missing `capabilities` are filled in.
    pub server_properties: FieldTable,
    /// Names of the login mechanisms offered, in order. Names are case-sensitive.
    pub mechanisms: Vec<String>,
    /// Largest message body in octets; a larger one is a soft 406.
    pub max_message_size: u64,
    /// Most octets of half-received content that one connection may hold over all its channels; more
    /// is a hard 506. It bounds what interleaved publishes can pin.
    pub content_in_progress_max: u64,
    /// Most octets that are set aside on one connection that a resource alarm blocks, so that the
    /// settlements behind its publishes can be read; 0 reads nothing.
    pub blocked_input_max: usize,
    /// How long a connection may take from its start to `connection.open-ok`.
    pub handshake_timeout: Duration,
    /// How long the peer's `connection.close-ok`, or its end of the TCP connection, is waited for. A
    /// shorter heartbeat interval shortens it.
    pub close_timeout: Duration,
    /// How long a connection stays silent after a failed handshake, so that guessing is slow.
    pub failure_delay: Duration,
    /// How long content may stand half received without an octet more.
    pub content_stall: Duration,
    /// Where limits that were met are counted.
    pub limits_met: Arc<LimitCounts>,
}

impl Config {
    /// Default of [`Config::frame_max`]: 128 KiB, as RabbitMQ.
    pub const FRAME_MAX: u32 = 131_072;
    /// Default of [`Config::channel_max`], as RabbitMQ.
    pub const CHANNEL_MAX: u16 = 2_047;
    /// Default of [`Config::heartbeat`] in seconds, as RabbitMQ.
    pub const HEARTBEAT_SECS: u16 = 60;
    /// Default of [`Config::max_message_size`]: 16 MiB, as RabbitMQ 4.
    pub const MAX_MESSAGE_SIZE: u64 = 16 * 1024 * 1024;
    /// Default of [`Config::content_in_progress_max`]: eight of the largest messages at once.
    pub const CONTENT_IN_PROGRESS_MAX: u64 = 8 * Self::MAX_MESSAGE_SIZE;
    /// Default of [`Config::blocked_input_max`]: 1 MiB, what a client that heeds `connection.blocked`
    /// has on its way when it hears of it.
    pub const BLOCKED_INPUT_MAX: usize = 1 << 20;
}

impl Default for Config {
    /// RabbitMQ's defaults, with the smaller message size of RabbitMQ 4.
    fn default() -> Self {
        Self {
            frame_max: Self::FRAME_MAX,
            channel_max: Self::CHANNEL_MAX,
            heartbeat: Self::HEARTBEAT_SECS,
            server_properties: server_properties(&ServerIdentity::default()),
            mechanisms: vec!["PLAIN".to_owned(), "AMQPLAIN".to_owned()],
            max_message_size: Self::MAX_MESSAGE_SIZE,
            content_in_progress_max: Self::CONTENT_IN_PROGRESS_MAX,
            blocked_input_max: Self::BLOCKED_INPUT_MAX,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            failure_delay: Duration::from_secs(3),
            content_stall: Duration::from_secs(60),
            limits_met: Arc::default(),
        }
    }
}
