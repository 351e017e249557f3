//! Policies (RabbitMQ's page "Policies"): settings of exchanges and queues by the pattern of
//! their names, which can change while these live.
//!
//! Here stands what a policy is (this file), which are accepted (`validate`), how names match
//! (`pattern`), and which settings an object gets (`matching`). What becomes of an object when
//! they change is the vhost's to say (`vhost/policies`).

mod definition;
mod matching;
mod pattern;
mod term;
#[cfg(test)]
mod tests;
mod validate;

use leveret_store::StoreError;
use serde::{Deserialize, Serialize};

pub use self::definition::PolicyDefinition;
pub(crate) use self::definition::lower_delivery_limit;
pub(crate) use self::matching::{Checked, Object, Policies};
pub(crate) use self::pattern::Pattern;
pub(crate) use self::term::term;

/// The kinds of policy. Each object has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    /// Made by users with the tag `policymaker` or `administrator`.
    User,
    /// Made by operators, to bound what policies and arguments of users ask for.
    Operator,
}

impl PolicyKind {
    /// RabbitMQ's name of the kind as the component of a parameter.
    pub(crate) fn component(self) -> &'static str {
        match self {
            Self::User => "policy",
            Self::Operator => "operator_policy",
        }
    }
}

/// What a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyTo {
    /// Exchanges and queues.
    #[default]
    All,
    /// Exchanges alone.
    Exchanges,
    /// Queues of every type.
    Queues,
    /// Queues of type classic.
    ClassicQueues,
    /// Queues of type quorum.
    QuorumQueues,
    /// Streams.
    Streams,
}

impl ApplyTo {
    /// The value that RabbitMQ writes as `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exchanges" => Self::Exchanges,
            "queues" => Self::Queues,
            "classic_queues" => Self::ClassicQueues,
            "quorum_queues" => Self::QuorumQueues,
            "streams" => Self::Streams,
            _ => return None,
        })
    }

    /// RabbitMQ's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exchanges => "exchanges",
            Self::Queues => "queues",
            Self::ClassicQueues => "classic_queues",
            Self::QuorumQueues => "quorum_queues",
            Self::Streams => "streams",
        }
    }
}

/// A policy of a vhost, or an operator policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name, unique in its vhost and kind.
    pub name: String,
    /// A regular expression; it applies to names in which it matches somewhere.
    pub pattern: String,
    /// Which objects it is for.
    pub apply_to: ApplyTo,
    /// Of several that match an object, the one with the highest counts; of equal ones, the one
    /// whose name is first.
    pub priority: i64,
    /// The settings it gives.
    pub definition: PolicyDefinition,
}

/// The policies of one exchange or queue, and what they come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EffectivePolicy {
    /// Name of the policy that applies.
    pub policy: Option<String>,
    /// Name of the operator policy that applies.
    pub operator_policy: Option<String>,
    /// Both merged: of two numbers the lower, else the operator's. Arguments are not in it.
    pub definition: PolicyDefinition,
}

/// Why a policy is not set or deleted.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Something in it is not accepted. The text is RabbitMQ's.
    #[error("Validation failed\n\n{0}\n")]
    Invalid(String),
    /// There is none of that name.
    #[error("no {} '{name}' in vhost '{vhost}'", .kind.words())]
    NotFound {
        /// Its kind.
        kind: PolicyKind,
        /// The name asked for.
        name: String,
        /// The vhost asked.
        vhost: String,
    },
    /// The store takes no changes.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PolicyKind {
    /// `policy` or `operator policy`.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::User => "policy",
            Self::Operator => "operator policy",
        }
    }
}
