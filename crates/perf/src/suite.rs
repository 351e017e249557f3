//! The fixed list of work by which brokers are compared.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;

use crate::cli::{Cli, Command, Suite};
use crate::error::{PerfError, Result};
use crate::report::Measurement;
use crate::{churn, idle, rpc, throughput};

/// Names and command lines. What holds memory comes first, while the broker has none to reuse.
pub(crate) const LIST: [(&str, &str); 17] = [
    (
        "idle connection with a channel",
        "idle-connections -C 1000 -z 2",
    ),
    ("idle queue", "idle-queues -C 10000 -z 2"),
    ("16 B transient", "throughput -s 16"),
    ("1 KiB transient", "throughput -s 1024"),
    (
        "1 KiB persistent, confirm window 256",
        "throughput -s 1024 -p -c 256 -a 32 --prefetch 256",
    ),
    (
        "1 KiB persistent, confirm window 1",
        "throughput -s 1024 -p -c 1 -a 32 --prefetch 256",
    ),
    (
        "fanout to 10 queues, 100 B",
        "throughput -s 100 --exchange-type fanout --queues 10 -y 10",
    ),
    (
        "topic, 10 queues of 100 bindings, 100 B",
        "throughput -s 100 --exchange-type topic --queues 10 -y 10 --bindings 100",
    ),
    (
        "headers, 10 queues of 10 bindings, 100 B",
        "throughput -s 100 --exchange-type headers --queues 10 -y 10 --bindings 10",
    ),
    (
        "100 publishers, queues, consumers, 5,000/s, 100 B",
        "throughput -s 100 --queues 100 -x 100 -y 100 -r 5000",
    ),
    ("256 KiB transient", "throughput -s 262144"),
    ("of 100 B", "fill-drain -s 100 -C 1000000"),
    ("rpc by direct reply-to", "rpc --reply-to direct"),
    ("rpc by exclusive queue", "rpc --reply-to queue"),
    ("churn", "churn"),
    (
        "latency at 5,000/s, 100 B transient",
        "throughput -s 100 -r 5000 --latency",
    ),
    (
        "latency at 5,000/s, 1 KiB persistent, confirmed",
        "throughput -s 1024 -r 5000 --latency -p -c 1000 -a 1 --prefetch 256",
    ),
];

/// Seconds for each kind of work.
const SECONDS: f64 = 4.0;
const SECONDS_QUICK: f64 = 1.0;
/// By what the counts are divided for a quick run.
const QUICK: u32 = 10;

/// Run the list.
pub(crate) fn run(
    options: &Suite,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let mut broker = String::new();
    let mut results = Vec::new();
    for (name, line) in LIST {
        if options
            .only
            .as_ref()
            .is_some_and(|text| !name.contains(text.as_str()))
        {
            continue;
        }
        if interrupt.load(Ordering::Relaxed) {
            break;
        }
        if !options.target.quiet {
            // With standard error gone, the result still counts.
            let _ = writeln!(io::stderr(), "{name}: leveret perf {line}");
        }
        let (product, measured) = work(name, line, options, interrupt)?;
        broker = product;
        results.extend(measured);
    }
    if results.is_empty() && !interrupt.load(Ordering::Relaxed) {
        let text = options.only.as_deref().unwrap_or_default();
        return Err(PerfError::Arguments(format!("no work is called '{text}'")));
    }
    Ok((broker, results))
}

fn work(
    name: &str,
    line: &str,
    options: &Suite,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let mut command = parse(line)?;
    let mut target = options.target.clone();
    target.name = Some(name.to_owned());
    let seconds = if options.quick {
        SECONDS_QUICK
    } else {
        SECONDS
    };
    let by = if options.quick { QUICK } else { 1 };
    match &mut command {
        Command::Throughput(work) => {
            work.target = target;
            work.length.duration = seconds;
            throughput::throughput(work, interrupt)
        }
        Command::FillDrain(work) => {
            work.target = target;
            work.count = work.count.map(|count| count / u64::from(by));
            throughput::fill_drain(work, interrupt)
        }
        Command::Rpc(work) => {
            work.target = target;
            work.length.duration = seconds;
            rpc::run(work, interrupt)
        }
        Command::Churn(work) => {
            work.target = target;
            work.length.duration = seconds;
            churn::run(work, interrupt)
        }
        Command::IdleConnections(work) => {
            work.target = target;
            work.count /= by;
            idle::connections(work, interrupt)
        }
        Command::IdleQueues(work) => {
            work.target = target;
            work.count /= by;
            idle::queues(work, interrupt)
        }
        Command::Suite(_) | Command::Compare(_) => Ok((String::new(), Vec::new())),
    }
}

fn parse(line: &str) -> Result<Command> {
    let words = ["perf"].into_iter().chain(line.split_whitespace());
    Cli::try_parse_from(words)
        .map(|cli| cli.command)
        .map_err(|error| PerfError::Arguments(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_the_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/benchmarks.md");
        let document = std::fs::read_to_string(path).unwrap();
        for (name, line) in LIST {
            let row = format!("| {name} | `{line}` |");
            assert!(document.contains(&row), "{row}");
        }
    }

    #[test]
    fn every_line_can_be_run() {
        let mut names = BTreeSet::new();
        for (name, line) in LIST {
            let command = parse(line).unwrap();
            assert!(
                !matches!(command, Command::Suite(_) | Command::Compare(_)),
                "{line}"
            );
            assert!(names.insert(name), "{name} is there twice");
        }
    }
}
