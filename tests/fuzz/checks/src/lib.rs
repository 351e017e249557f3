//! What must hold of any input, one module and one `check` for each target of the fuzzers.
//!
//! A check takes octets and panics if something is wrong with what the broker makes of them: beside a panic of the
//! broker's own, an answer that differs from that of an independent reading, a value that does not come back as it
//! went, or memory out of proportion to the input. The fuzzers beside this crate call the checks with octets of their
//! invention, the test `corpus` with those that are kept.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a check says by panicking that it has failed"
)]

mod allocation;
mod input;

pub mod config;
pub mod connection;
pub mod content_header;
pub mod definitions;
pub mod frame;
pub mod log_records;
pub mod method;
pub mod patterns;
pub mod proxy;
pub mod table;

/// Panics if something is wrong with what the broker makes of an input.
pub type Check = fn(&[u8]);

/// A check, by the name of its target and of the folder of its corpus.
pub const CHECKS: [(&str, Check); 10] = [
    ("config", config::check),
    ("connection", connection::check),
    ("content_header", content_header::check),
    ("definitions", definitions::check),
    ("frame", frame::check),
    ("log_records", log_records::check),
    ("method", method::check),
    ("patterns", patterns::check),
    ("proxy", proxy::check),
    ("table", table::check),
];
