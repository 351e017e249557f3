//! What a command can fail with.

use leveret_protocol::{ChannelError, ConnectionError, Limit};
use leveret_store::StoreError;

/// A command failed: its channel ends, or the whole connection does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A soft error (AMQP 0-9-1 section 1.2): the channel is closed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A hard error: the connection is closed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl Failure {
    pub(crate) fn access_refused(text: String) -> Self {
        ChannelError::access_refused(text).into()
    }

    pub(crate) fn not_found(text: String) -> Self {
        ChannelError::not_found(text).into()
    }

    pub(crate) fn resource_locked(text: String) -> Self {
        ChannelError::resource_locked(text).into()
    }

    pub(crate) fn precondition_failed(text: String) -> Self {
        ChannelError::precondition_failed(text).into()
    }

    pub(crate) fn command_invalid(text: String) -> Self {
        ConnectionError::command_invalid(text).into()
    }

    pub(crate) fn not_allowed(text: String) -> Self {
        ConnectionError::not_allowed(text).into()
    }

    pub(crate) fn not_implemented(text: &str) -> Self {
        ConnectionError::not_implemented(text).into()
    }

    pub(crate) fn internal_error(text: String) -> Self {
        ConnectionError::internal_error(text).into()
    }

    /// Say which limit was met.
    pub(crate) fn over(self, limit: Limit) -> Self {
        match self {
            Self::Channel(error) => Self::Channel(error.over(limit)),
            Self::Connection(error) => Self::Connection(error.over(limit)),
        }
    }

    /// Name the method at fault.
    pub(crate) fn at(self, class: u16, method: u16) -> Self {
        match self {
            Self::Channel(error) => Self::Channel(error.at(class, method)),
            Self::Connection(error) => Self::Connection(error.at(class, method)),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal_error(format!("the store failed: {error}"))
    }
}
