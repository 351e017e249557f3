//! The load generator behind `leveret perf`.
//!
//! It works against any AMQP 0-9-1 broker and costs far less than one: a publisher encodes its frames
//! once and writes them in large runs, a consumer parses deliveries where they lie, and there is no
//! client library between. Each connection has a thread of its own with blocking calls; nothing is
//! shared between them but counters.
//!
//! The way through: [`cli`] says what is wanted; `topology` declares queues and knows which message
//! reaches which; `burden` is what lies in the broker meanwhile; `publisher` and `consumer` are the threads; `watch` measures a window of their
//! work and of the broker's `process`; `report` shows it.

#![forbid(unsafe_code)]

mod batch;
mod burden;
mod churn;
pub mod cli;
mod compare;
mod connection;
mod consumer;
mod error;
mod frames;
mod idle;
mod inbox;
mod outstanding;
mod process;
mod publisher;
mod rate;
mod report;
mod requests;
mod rpc;
mod shared;
mod stamp;
mod suite;
mod throughput;
mod topology;
mod uri;
mod verify;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::{Command, Target};
pub use crate::error::{PerfError, Result};
use crate::report::{FORMAT, Measurement, Report};
pub use crate::topology::ExchangeKind;
pub use crate::uri::Uri;

/// What a command has to say.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// For standard output.
    pub text: String,
    /// What `--verify` found wrong, in words.
    pub complaint: Option<String>,
}

/// Carry out a command. When `interrupt` becomes true it ends early, with the result so far.
pub fn run(command: &Command, interrupt: &Arc<AtomicBool>) -> Result<Outcome> {
    match command {
        Command::Throughput(options) => {
            told(&options.target, throughput::throughput(options, interrupt)?)
        }
        Command::FillDrain(options) => {
            told(&options.target, throughput::fill_drain(options, interrupt)?)
        }
        Command::Rpc(options) => told(&options.target, rpc::run(options, interrupt)?),
        Command::Churn(options) => told(&options.target, churn::run(options, interrupt)?),
        Command::IdleConnections(options) => {
            told(&options.target, idle::connections(options, interrupt)?)
        }
        Command::IdleQueues(options) => told(&options.target, idle::queues(options, interrupt)?),
        Command::Suite(options) => told(&options.target, suite::run(options, interrupt)?),
        Command::Compare(options) => Ok(Outcome {
            text: compare::files(&options.files)?,
            complaint: None,
        }),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it ends each branch of a match that can fail"
)]
fn told(target: &Target, (broker, results): (String, Vec<Measurement>)) -> Result<Outcome> {
    let report = Report {
        format: FORMAT,
        broker,
        address: target.uri.address(),
        results,
    };
    let verdicts = report.results.iter().filter_map(|result| result.verdict);
    let bad = verdicts.filter(|verdict| !verdict.is_good());
    let complaints: Vec<String> = bad.map(|verdict| verdict.words()).collect();
    Ok(Outcome {
        text: if target.json {
            report.to_json() + "\n"
        } else {
            report.table()
        },
        complaint: (!complaints.is_empty()).then(|| complaints.join("; ")),
    })
}
