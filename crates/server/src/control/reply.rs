//! What is answered.

use std::fmt::Display;

use leveret_broker::{AdministrationError, DefinitionsError, PolicyError};
use leveret_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// One of what was asked for.
    Row(Vec<Value>),
    /// It is done, and durable if it is to be; with a value where the request says so.
    Done(Value),
    /// It is not done, or not all of the rows were had.
    Failed {
        /// Which kind of problem.
        problem: Problem,
        /// The problem, for people.
        message: String,
    },
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The request can't be understood.
    BadRequest,
    /// A value that was given is refused.
    BadValue,
    /// A regular expression is refused.
    BadPattern,
    /// The password is wrong.
    BadPassword,
    /// The queue has consumers.
    InUse,
    /// The queue has messages.
    NotEmpty,
    /// There is no such connection, or the pid is none.
    NoSuchConnection,
    /// There is no such parameter.
    NoSuchParameter,
    /// There is no such queue.
    NoSuchQueue,
    /// There is no such user.
    NoSuchUser,
    /// There is no such vhost.
    NoSuchVhost,
    /// There is such a user already.
    UserExists,
    /// The node can't do it now: the store takes nothing, or a connection does not answer.
    Unavailable,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) problem: Problem,
    pub(super) message: String,
}

impl Failed {
    pub(super) fn new(problem: Problem, message: impl Display) -> Self {
        Self {
            problem,
            message: message.to_string(),
        }
    }
}

impl From<Failed> for Reply {
    fn from(failed: Failed) -> Self {
        Self::Failed {
            problem: failed.problem,
            message: failed.message,
        }
    }
}

impl From<AdministrationError> for Failed {
    fn from(error: AdministrationError) -> Self {
        use AdministrationError as Error;
        let problem = match &error {
            Error::BadName
            | Error::BadLimits(_)
            | Error::BadParameter(_)
            | Error::VhostExists(_) => Problem::BadValue,
            Error::BadPattern(_) => Problem::BadPattern,
            Error::NoSuchParameter => Problem::NoSuchParameter,
            Error::NoSuchQueue { .. } => Problem::NoSuchQueue,
            Error::NoSuchUser(_) => Problem::NoSuchUser,
            Error::NoSuchVhost(_) => Problem::NoSuchVhost,
            Error::Refused(text) if text.ends_with("in use") => Problem::InUse,
            Error::Refused(text) if text.ends_with("not empty") => Problem::NotEmpty,
            Error::UserExists(_) => Problem::UserExists,
            Error::Random(_) | Error::Refused(_) | Error::Store(_) => Problem::Unavailable,
        };
        Self::new(problem, error)
    }
}

impl From<PolicyError> for Failed {
    fn from(error: PolicyError) -> Self {
        let problem = match error {
            PolicyError::Invalid(_) => Problem::BadValue,
            PolicyError::NotFound { .. } => Problem::NoSuchParameter,
            PolicyError::Store(_) => Problem::Unavailable,
        };
        Self::new(problem, error)
    }
}

impl From<DefinitionsError> for Failed {
    fn from(error: DefinitionsError) -> Self {
        let problem = match error {
            DefinitionsError::Syntax { .. } | DefinitionsError::Refused { .. } => Problem::BadValue,
            DefinitionsError::Store(_) | DefinitionsError::Random(_) => Problem::Unavailable,
        };
        Self::new(problem, error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::new(Problem::Unavailable, error)
    }
}
