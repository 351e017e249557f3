//! What was counted.

use crate::log::Nanos;

/// Sums over a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) published: u64,
    pub(crate) confirmed: u64,
    /// Of the confirmed: those that some queue must keep over a restart.
    pub(crate) confirmed_lasting: u64,
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    pub(crate) acked: u64,
    pub(crate) rejected: u64,
    pub(crate) requeued: u64,
    /// Answered declares, binds, unbinds and deletes.
    pub(crate) definitions: u64,
    pub(crate) lost: u64,
    pub(crate) undone: u64,
    /// Settled messages that came back after a kill.
    pub(crate) returned: u64,
    /// Of those: known to have reached the broker.
    pub(crate) returned_arrived: u64,
    /// The longest time from writing the acknowledgement to the kill, of a message that came back.
    pub(crate) returned_oldest: Nanos,
    /// The same of those known to have reached the broker, from that time on.
    pub(crate) returned_oldest_arrived: Nanos,
    /// Messages that came back after an orderly stop, because their acknowledgement was on its way
    /// when the broker closed the connection.
    pub(crate) returned_after_stop: u64,
}
