//! Every bound that a peer could otherwise grow without end, in one place.

/// Limits of the domain. Those of the wire (frame size, channels, message size) belong to the
/// protocol machine's configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections of the node. Refused with 530 NOT_ALLOWED at connection.open.
    pub connections: usize,
    /// Consumers on one channel. Exceeded: 530 NOT_ALLOWED, as RabbitMQ 4.x answers it.
    pub consumers_per_channel: usize,
    /// Queues in one vhost. Exceeded: 406 PRECONDITION_FAILED at queue.declare.
    pub queues_per_vhost: usize,
    /// Exchanges in one vhost, the predeclared ones included. Exceeded: 406 at exchange.declare.
    pub exchanges_per_vhost: usize,
    /// Bindings in one vhost. Exceeded: 406 at queue.bind and exchange.bind.
    pub bindings_per_vhost: usize,
    /// Octets of deliveries waiting for one connection's socket above which its consumers
    /// count as without credit.
    pub outbox_high_bytes: usize,
    /// Octets under which they have credit again.
    pub outbox_low_bytes: usize,
    /// Octets handed to the store and not yet written, on the whole node, above which
    /// connections that publish durable messages are not read until theirs are durable.
    pub unsynced_bytes: usize,
    /// Octets of ready messages that all queues together keep in memory; beyond it each queue
    /// with more than half of this keeps a small window, and the rest of its backlog is read back
    /// from the store. All do beyond half as much again.
    pub message_memory_bytes: usize,
    /// Octets of messages that all x-recent-history exchanges of the node together keep. Beyond
    /// it an exchange gives up its oldest for a new one, or keeps no new one.
    pub history_memory_bytes: usize,
    /// Octets of publishes held by one uncommitted transaction. Exceeded: 406.
    pub transaction_bytes: usize,
    /// Milliseconds for which a consumer may keep a message of a quorum queue unacknowledged
    /// (RabbitMQ's `consumer_timeout`); 0 for as long as it likes. Exceeded: the channel is
    /// closed with 406. Other queues have a timeout only if declared with x-consumer-timeout.
    pub consumer_timeout_milliseconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            consumers_per_channel: 10_000,
            queues_per_vhost: 1_000_000,
            exchanges_per_vhost: 100_000,
            bindings_per_vhost: 2_000_000,
            outbox_high_bytes: 1 << 20,
            outbox_low_bytes: 256 << 10,
            unsynced_bytes: 64 << 20,
            message_memory_bytes: 256 << 20,
            history_memory_bytes: 64 << 20,
            transaction_bytes: 128 << 20,
            consumer_timeout_milliseconds: 1_800_000,
        }
    }
}
