//! What the end-to-end tests are written with.
//!
//! Here live a [`Client`] that speaks AMQP 0-9-1 over a blocking TCP stream and says on the line of
//! the test what it did not get, a [`Server`] that runs a broker inside the test process, a
//! [`Program`] that runs the built binary, and a small HTTP reader for [`metrics`]. The tests
//! themselves live in `end_to_end/`, one module a behaviour.
//!
//! The client's way: a test hands a method or a [`Publish`] to [`Client::send`], [`Client::call`] or
//! [`Client::publish`]; frames come back through [`Client::next_frame`], are joined into an [`Event`]
//! by [`Client::next_event`], and are matched by the `expect_*` calls. The frame envelope and the
//! property list are written here anew, so that a mistake of the broker's own codec can't hide
//! behind itself; methods go through amq-protocol's structs.
//!
//! Nothing here measures time: [`PATIENCE`] only ends a test whose broker says nothing.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an expectation that does not hold is the failure of the test"
)]

use std::time::Duration;

pub mod client;
pub mod content;
pub mod control;
pub mod expect;
pub mod frame;
pub mod login;
pub mod methods;
pub mod metrics;
pub mod program;
pub mod requests;
pub mod server;
pub mod tls;
mod trace;

pub use client::{Client, Event};
pub use content::{Content, Delivery, Got, Properties, Publish, Returned};
pub use frame::{Frame, method_frame};
pub use login::Login;
pub use methods::{Method, Request};
pub use program::Program;
pub use server::Server;

/// How long a test waits for what must come. A broker on a busy machine may be slow; one that says
/// nothing for this long has nothing to say.
pub const PATIENCE: Duration = Duration::from_secs(30);
