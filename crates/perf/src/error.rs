//! What ends a run before its time.

use std::io;

use leveret_wire::{FrameError, MethodError};
use thiserror::Error;

/// Why a run has no result, or one that is not good. The texts are for the person at the terminal.
#[derive(Debug, Error)]
pub enum PerfError {
    /// A command line that cannot be carried out.
    #[error("{0}")]
    Arguments(String),
    /// The broker closed a channel, with its reply code and text.
    #[error("the broker closed channel {channel}: {code} {text}")]
    ChannelClosed {
        /// The channel number.
        channel: u16,
        /// AMQP reply code.
        code: u16,
        /// The broker's words.
        text: String,
    },
    /// The broker closed the connection, with its reply code and text.
    #[error("the broker closed the connection: {code} {text}")]
    ConnectionClosed {
        /// AMQP reply code.
        code: u16,
        /// The broker's words.
        text: String,
    },
    /// No connection to the broker.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// host:port.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The stream broke without a close method.
    #[error("the connection to the broker was lost while {doing}: {source}")]
    Lost {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The broker sent octets that are no frame.
    #[error("the broker sent a broken frame: {0}")]
    Frame(#[from] FrameError),
    /// The broker sent a frame that is no method.
    #[error("the broker sent a broken method: {0}")]
    Method(#[from] MethodError),
    /// The broker did not answer what the protocol asks for.
    #[error("the broker did not answer {asked}: {got}")]
    Unexpected {
        /// The method that was sent.
        asked: &'static str,
        /// What came.
        got: String,
    },
    /// A file of results or of the process cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// `--verify` found something; the result was printed.
    #[error("{0}")]
    Verification(String),
}

impl PerfError {
    /// A mistake of the command line and not of the broker.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Arguments(_))
    }
}

/// The result of anything that may end a run.
pub type Result<T> = std::result::Result<T, PerfError>;
