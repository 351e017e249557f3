//! The bounds of everything that a peer can grow or make the broker wait for.

/// Largest value that `max_message_size` may take, in octets: RabbitMQ's own cap of 512 MiB.
pub(super) const MAX_MESSAGE_SIZE_CAP: u64 = 512 << 20;

/// Smallest frame size that a peer may be held to, in octets (AMQP 0-9-1 section 4.2.3,
/// `frame-min-size`).
pub(super) const FRAME_MIN_SIZE: u64 = 4096;

/// What a peer may make the broker hold or wait for. Units are in the names; a plain number counts
/// things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a frame with its header and end, offered in connection.tune. RabbitMQ's default;
    /// a frame is held whole before it is understood, so this bounds the reading buffer.
    pub frame_max: u32,
    /// Highest channel number, offered in connection.tune, and so the channels of one connection.
    /// RabbitMQ's default.
    pub channel_max: u16,
    /// Seconds between heartbeats, offered in connection.tune; 0: none. RabbitMQ's default.
    pub heartbeat_seconds: u16,
    /// Seconds from accept to connection.open. A peer that is not logged in holds one of few places,
    /// and must not hold it for long.
    pub handshake_timeout_seconds: u64,
    /// Seconds to wait for the close-ok of a close of ours before the socket is dropped; a peer may
    /// never send it.
    pub close_timeout_seconds: u64,
    /// Seconds for which the socket of a failed login is kept without a word: what slows the guessing of passwords
    /// down.
    pub login_failure_delay_seconds: u64,
    /// Failed logins a second from one address, from which on no password from there is looked at: guessing is to be
    /// slow also for who opens many connections. 0: no bound.
    pub login_failures_per_second: u32,
    /// Seconds that a message may stand half sent with no octet of it arriving; its memory is held
    /// meanwhile.
    pub content_stall_timeout_seconds: u64,
    /// Seconds that octets may wait for a peer's socket with none taken. Twice the default
    /// heartbeat, so that it is no stricter than the heartbeat rule; it is what frees the outbox
    /// where heartbeats are off.
    pub write_stall_timeout_seconds: u64,
    /// Octets of one message's body; a larger one is refused with 406 at its content header, before
    /// any of it is held. At most 536870912.
    pub max_message_size: u64,
    /// Open connections of the node. Refused with 530; keeps memory and file descriptors bounded.
    pub connections: usize,
    /// Connections that have not logged in yet, counted apart so that silent sockets cannot take
    /// the places of real clients.
    pub unauthenticated_connections: usize,
    /// Consumers of one channel. More is 530; one consumer costs about as much as a queue's index.
    pub consumers_per_channel: usize,
    /// Queues of one vhost. More is 406; an idle queue costs up to 4 KiB.
    pub queues_per_vhost: usize,
    /// Exchanges of one vhost, the predeclared ones with them. More is 406.
    pub exchanges_per_vhost: usize,
    /// Bindings of one vhost. More is 406.
    pub bindings_per_vhost: usize,
    /// Octets that wait for one connection's socket, from which on its consumers get nothing more:
    /// messages stay in the queue, where others can have them.
    pub outbox_high_bytes: usize,
    /// Octets under which they get messages again. Below the high mark, so that a connection at the
    /// edge does not go back and forth for each message.
    pub outbox_low_bytes: usize,
    /// Octets handed to the store and not yet written, on the whole node, from which on connections
    /// that publish durable messages are not read: a disk slower than the publishers then slows
    /// them down instead of filling the memory.
    pub unsynced_bytes: usize,
    /// Octets of waiting messages that all queues together keep in memory; the rest of a backlog is
    /// read back from the disk.
    pub message_memory_bytes: usize,
    /// Octets of messages that all x-recent-history exchanges together keep for queues bound later.
    pub history_memory_bytes: usize,
    /// Octets that connections blocked by an alarm may together have set aside, so that the acks behind
    /// their publishes are read: the alarm may wait for just those. One connection may have a 64th of
    /// it. 0: acks wait like everything else, as in RabbitMQ.
    pub blocked_input_bytes: usize,
    /// Octets of publishes that one uncommitted transaction may hold. More is 406.
    pub transaction_bytes: usize,
    /// Milliseconds for which a consumer may keep a message of a quorum queue unacknowledged
    /// before its channel is closed; 0 for as long as it likes. Any queue can have a timeout of
    /// its own: the argument x-consumer-timeout.
    pub consumer_timeout_milliseconds: u64,
}

impl Limits {
    /// All that are numbers, by the keys of their settings.
    pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        vec![
            ("frame_max", self.frame_max.into()),
            ("channel_max", self.channel_max.into()),
            ("handshake_timeout_seconds", self.handshake_timeout_seconds),
            (
                "login_failures_per_second",
                self.login_failures_per_second.into(),
            ),
            (
                "content_stall_timeout_seconds",
                self.content_stall_timeout_seconds,
            ),
            (
                "write_stall_timeout_seconds",
                self.write_stall_timeout_seconds,
            ),
            ("max_message_size", self.max_message_size),
            ("connections", size(self.connections)),
            (
                "unauthenticated_connections",
                size(self.unauthenticated_connections),
            ),
            ("consumers_per_channel", size(self.consumers_per_channel)),
            ("queues_per_vhost", size(self.queues_per_vhost)),
            ("exchanges_per_vhost", size(self.exchanges_per_vhost)),
            ("bindings_per_vhost", size(self.bindings_per_vhost)),
            ("outbox_high_bytes", size(self.outbox_high_bytes)),
            ("unsynced_bytes", size(self.unsynced_bytes)),
            ("message_memory_bytes", size(self.message_memory_bytes)),
            ("history_memory_bytes", size(self.history_memory_bytes)),
            ("blocked_input_bytes", size(self.blocked_input_bytes)),
            ("transaction_bytes", size(self.transaction_bytes)),
            (
                "consumer_timeout_milliseconds",
                self.consumer_timeout_milliseconds,
            ),
        ]
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_max: 131_072,
            channel_max: 2047,
            heartbeat_seconds: 60,
            handshake_timeout_seconds: 10,
            close_timeout_seconds: 30,
            login_failure_delay_seconds: 3,
            login_failures_per_second: 10,
            content_stall_timeout_seconds: 60,
            write_stall_timeout_seconds: 120,
            max_message_size: 16 << 20,
            connections: 65_536,
            unauthenticated_connections: 1000,
            consumers_per_channel: 10_000,
            queues_per_vhost: 1_000_000,
            exchanges_per_vhost: 100_000,
            bindings_per_vhost: 2_000_000,
            outbox_high_bytes: 1 << 20,
            outbox_low_bytes: 256 << 10,
            unsynced_bytes: 64 << 20,
            message_memory_bytes: 256 << 20,
            history_memory_bytes: 64 << 20,
            blocked_input_bytes: 64 << 20,
            transaction_bytes: 128 << 20,
            consumer_timeout_milliseconds: 1_800_000,
        }
    }
}
