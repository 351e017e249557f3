//! The behaviour of the whole broker, over real sockets: one module a behaviour.
//!
//! What is expected is RabbitMQ's behaviour with the deliberate differences that
//! `docs/compliance.md` lists. `program` runs the built binary, which must have been built before;
//! `architecture` reads the sources of the workspace.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an expectation that does not hold is the failure of the test"
)]

mod end_to_end {
    mod alternate_exchange;
    mod auto_delete;
    mod bindings;
    mod cancel;
    mod channels;
    mod confirms;
    mod consume;
    mod exchange_bindings;
    mod exchanges;
    mod exclusive_queues;
    mod get;
    mod handshake;
    mod login;
    mod publish;
    mod queues;
    mod returns;
    mod routing_headers;
    mod routing_topic;
    mod vhost_open;
}
