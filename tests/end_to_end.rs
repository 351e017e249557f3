//! The behaviour of the whole broker, over real sockets: one module a behaviour.
//!
//! What is expected is RabbitMQ's behaviour with the deliberate differences that
//! `docs/compliance.md` lists. `program` runs the built binary, which must have been built before;
//! `architecture` and `dependencies` read the sources of the workspace.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "an expectation that does not hold is the failure of the test"
)]

mod architecture;
mod dependencies;

mod end_to_end {
    mod administration;
    mod alarms;
    mod alternate_exchange;
    mod amplification;
    mod auto_delete;
    mod backlog;
    mod bindings;
    mod cancel;
    mod channels;
    mod compliance;
    mod confirms;
    mod connection_limits;
    mod consume;
    mod consumer_priority;
    mod control;
    mod control_objects;
    mod definitions;
    mod delayed;
    mod durability;
    mod embedding;
    mod exchange_bindings;
    mod exchange_types;
    mod exchanges;
    mod exclusive_consumer;
    mod exclusive_queues;
    mod firehose;
    mod full_disk;
    mod get;
    mod handshake;
    mod hard_errors;
    mod heartbeats;
    mod hostile_input;
    mod limits;
    mod login;
    mod login_limits;
    mod memory;
    mod metrics;
    mod no_wait;
    mod perf;
    mod permissions;
    mod policies;
    mod prefetch;
    mod program;
    mod proxy;
    mod publish;
    mod queues;
    mod recent_history;
    mod recover;
    mod reply_to;
    mod returns;
    mod round_robin;
    mod routing_headers;
    mod routing_topic;
    mod secrets;
    mod settle;
    mod shutdown;
    mod silent_peers;
    mod slow_consumer;
    mod soft_errors;
    mod store_tools;
    mod storms;
    mod tls;
    mod tls_clients;
    mod tls_files;
    mod transactions;
    mod vhost_open;
}
