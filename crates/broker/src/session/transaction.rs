//! What a transactional channel holds until tx.commit.

use leveret_protocol::Publish;

use super::channel::Unacked;

/// How a message is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// basic.ack.
    Ack,
    /// basic.reject or basic.nack without requeue.
    Discard,
    /// basic.reject or basic.nack with requeue.
    Requeue,
}

/// Publishes and acknowledgements of an open transaction, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) publishes: Vec<Publish>,
    /// Body octets of the publishes.
    pub(super) bytes: usize,
    pub(super) settled: Vec<(Settlement, Vec<Unacked>)>,
}
