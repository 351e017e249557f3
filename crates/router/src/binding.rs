//! A binding, its two ends, and what can be wrong with it.

use leveret_wire::FieldTable;
use thiserror::Error;

/// Where a binding leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// The exchange of that name (`exchange.bind`, a RabbitMQ extension).
    Exchange(String),
    /// The queue of that name (`queue.bind`).
    Queue(String),
}

impl Destination {
    /// The name of the queue or exchange.
    pub fn name(&self) -> &str {
        match self {
            Self::Exchange(name) | Self::Queue(name) => name,
        }
    }
}

/// A binding. Two are the same if all four fields are; in the arguments the type of a value counts
/// (32-bit 1 and 64-bit 1 make two bindings, as in RabbitMQ), their order does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The exchange that messages come from. Never the default exchange, which cannot be bound.
    pub source: String,
    /// The queue or exchange that they go to.
    pub destination: Destination,
    /// The binding key: `direct` compares it, `topic` takes it for a pattern, `x-consistent-hash`
    /// for a weight; others ignore it.
    pub routing_key: String,
    /// The arguments: what a headers exchange matches; others ignore them.
    pub arguments: FieldTable,
}

/// What a removal took with it, so that the caller can persist and report it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removed {
    /// The bindings that went, each once; first those that were asked for, then those of the
    /// exchanges below.
    pub bindings: Vec<Binding>,
    /// The auto-delete exchanges that went because their last binding did, in that order. An
    /// exchange that the caller itself deletes is not among them.
    pub exchanges: Vec<String>,
}

/// Why a binding was refused. The texts are RabbitMQ's, to follow `PRECONDITION_FAILED - `; for the
/// two missing ends the caller, who knows the virtual host, writes a `NOT_FOUND` of its own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindError {
    /// `x-match` has a type other than longstr.
    #[error("Invalid x-match field type {0} (value {1}); expected longstr")]
    BadXMatchType(
        /// RabbitMQ's word for the type.
        &'static str,
        /// The value, written as RabbitMQ writes it.
        String,
    ),
    /// A destination of an `x-local-random` exchange that is no queue.
    #[error("Destination not found")]
    NotAQueue,
    /// A binding key where an `x-local-random` exchange allows none.
    #[error("Non empty binding '{0}' key not permitted")]
    NotEmpty(
        /// The binding key.
        String,
    ),
    /// A weight of an `x-consistent-hash` exchange that is no integer.
    #[error("The binding key must be an integer: {0}")]
    WeightNotInteger(
        /// The binding key, written as RabbitMQ writes it.
        String,
    ),
    /// A weight below 1.
    #[error("The binding key must be greater than 0")]
    WeightTooLow,
    /// A weight over [`WEIGHT_MAX`](crate::WEIGHT_MAX) (CVE-2026-67219: RabbitMQ keeps a bucket
    /// for each).
    #[error("The binding key must not be greater than {max}", max = crate::WEIGHT_MAX)]
    WeightTooHigh,
    /// `x-match` is none of the four words.
    #[error("Invalid x-match field value {0}; expected all, any, all-with-x, or any-with-x")]
    BadXMatchValue(
        /// The value, written as RabbitMQ writes it.
        String,
    ),
    /// There is no such destination.
    #[error("no such destination")]
    NoDestination,
    /// There is no such source exchange. Reported before a missing destination.
    #[error("no such source exchange")]
    NoSource,
    /// A topic pattern with more `#` than [`TOPIC_HASHES_MAX`](crate::TOPIC_HASHES_MAX)
    /// (CVE-2026-67419).
    #[error(
        "Topic binding key '{key}' uses {count} '#' wildcards, at most {max} are allowed",
        max = crate::TOPIC_HASHES_MAX
    )]
    TooManyHashes {
        /// The binding key.
        key: String,
        /// How many of its words are `#`.
        count: usize,
    },
}
