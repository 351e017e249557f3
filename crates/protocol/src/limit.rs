//! The limits that peers come up against, and how often they have.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! limits {
    ($($(#[doc = $text:literal])+ $name:ident => $label:literal;)*) => {
        /// A bound on what a peer may grow or make the broker wait for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Limit {
            $($(#[doc = $text])+ $name,)*
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in metrics: the key of the setting, where there is one.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }

        /// How often each limit was met since the start. Shared by all connections.
        #[derive(Debug, Default)]
        pub struct LimitCounts([AtomicU64; Limit::ALL.len()]);
    };
}

limits! {
    /// A frame is longer than negotiated: hard 501.
    FrameMax => "frame_max";
    /// A field table is nested too deep or has too many entries: hard 502.
    FieldTable => "field_table";
    /// A connection has as many channels as negotiated: hard 530.
    ChannelMax => "channel_max";
    /// A user has as many channels as an operator allows: hard 530.
    UserChannels => "user_max_channels";
    /// A message is larger than allowed: soft 406, over the hard cap 501.
    MessageSize => "max_message_size";
    /// A connection has sent too much of messages that are not complete: hard 506.
    ContentInProgress => "content_in_progress_bytes";
    /// A message stood half sent for too long: hard 506.
    ContentStall => "content_stall_timeout_seconds";
    /// The vhost was not opened in time: the socket is closed.
    HandshakeTimeout => "handshake_timeout_seconds";
    /// There were too many connections without a vhost: the oldest was closed.
    UnauthenticatedConnections => "unauthenticated_connections";
    /// A peer took no octet for too long: the socket is closed.
    WriteStall => "write_stall_timeout_seconds";
    /// The node has as many connections as it may: hard 530.
    Connections => "connections";
    /// A user has as many connections as an operator allows: hard 530.
    UserConnections => "user_max_connections";
    /// A vhost has as many connections as an operator allows: hard 530.
    VhostConnections => "vhost_max_connections";
    /// A channel has as many consumers as it may: hard 530.
    ConsumersPerChannel => "consumers_per_channel";
    /// A vhost has as many queues as it may: soft 406.
    QueuesPerVhost => "queues_per_vhost";
    /// A vhost has as many exchanges as it may: soft 406.
    ExchangesPerVhost => "exchanges_per_vhost";
    /// A vhost has as many bindings as it may: soft 406.
    BindingsPerVhost => "bindings_per_vhost";
    /// A transaction holds as much as it may: soft 406.
    TransactionBytes => "transaction_bytes";
    /// A consumer kept a delivery for too long: soft 406.
    ConsumerTimeout => "consumer_timeout_milliseconds";
    /// A connection was not read because it did not take its answers.
    OutboxBytes => "outbox_high_bytes";
    /// A connection was not read because too much waited for the disk.
    UnsyncedBytes => "unsynced_bytes";
    /// A blocked connection was not read on because too much of it was set aside.
    BlockedInputBytes => "blocked_input_bytes";
}

impl LimitCounts {
    /// A limit was met.
    pub fn count(&self, limit: Limit) {
        if let Some(count) = self.0.get(limit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often this one was.
    pub fn of(&self, limit: Limit) -> u64 {
        self.0
            .get(limit as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
