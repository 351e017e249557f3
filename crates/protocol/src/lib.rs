//! The AMQP 0-9-1 connection and channel state machines of a server, without sockets or clocks.
//!
//! What lives here: who may send which frame when, and what the answer is if it was not allowed.
//! [`Connection`] is the machine of one connection with all its channels; [`Config`] holds its
//! offers and limits; [`Event`] is what it tells its owner; [`error`] holds the reply codes.
//!
//! What does not: octets and frames (the wire crate), queues and exchanges and permissions (the
//! broker), sockets, tasks and clocks (the server). Time comes in as an argument, a `Duration` since
//! any origin the owner likes.
//!
//! The way of the data: the owner reads octets from the peer into a buffer and calls
//! [`Connection::poll_event`] until it gives nothing more. Each event is acted upon, most of them by
//! one call back into the machine ([`Connection::reply`], [`Connection::close_channel`], ..). What the
//! peer is to read gathers in [`Connection::output`]; the owner writes it and says so with
//! [`Connection::note_written`]. [`Connection::poll_timeout`] says when
//! [`Connection::handle_timeout`] wants to be called. When [`Connection::is_finished`], the output is
//! flushed and the socket dropped, gracefully if [`Connection::may_linger`].

#![forbid(unsafe_code)]

mod channel;
mod config;
mod connection;
mod content;
mod credentials;
pub mod error;
mod event;
mod heartbeat;
mod limit;
mod method;
mod negotiation;
#[cfg(test)]
mod tests;

pub use config::{BODY_SIZE_HARD_MAX, Config};
pub use connection::Connection;
pub use credentials::{Credentials, Secret};
pub use error::{ChannelError, ConnectionError, ReplyCode};
pub use event::{Event, LostReason, Publish};
pub use limit::{Limit, LimitCounts};
pub use negotiation::{ClientCapabilities, ServerIdentity, server_properties};
