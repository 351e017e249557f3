//! `leveret-torture`: is what was promised kept when the broker is killed?
//!
//! It runs the real program on a folder of its own, has clients work on it over real sockets
//! ([`load`]), each of which logs what it did and saw ([`log`]); kills or stops the broker at
//! moments that follow from a seed ([`plan`], [`rounds`], [`broker`]); starts it again, looks at
//! everything that is defined and takes messages out ([`inspection`]); and compares ([`checker`]).
//! `docs/durability.md` says what is promised and how to run this.
//!
//! The clients speak AMQP by themselves ([`client`], [`frame`], [`requests`]); of the broker's own
//! crates only the parsers and generators of methods and tables are used.

#![forbid(unsafe_code)]

mod broker;
mod checker;
mod client;
mod frame;
mod inspection;
mod load;
mod log;
mod message;
mod plan;
mod random;
mod report;
mod requests;
mod rounds;
mod topology;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;

use crate::rounds::{Run, Work};

/// Kills and stops a broker under load, and compares what is there afterwards with what was promised
#[derive(Debug, Parser)]
#[command(name = "leveret-torture", version)]
struct Options {
    /// Kills under load
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Kills under load that are followed by kills during recovery
    #[arg(long, default_value_t = 5)]
    recovery_kills: u32,
    /// Orderly stops under load
    #[arg(long, default_value_t = 5)]
    stops: u32,
    /// What all chance follows from [default: drawn, and printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How long the load of a round lasts on average
    #[arg(long, default_value_t = 1.0)]
    seconds_per_round: f64,
    /// Messages a second of each of the four publishers
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// The age up to which an acknowledgement may be undone by a kill
    #[arg(long, default_value_t = 200, value_name = "MILLISECONDS")]
    ack_tolerance: u64,
    /// The broker's program
    #[arg(long, value_name = "PATH")]
    leveret: PathBuf,
    /// An empty or new folder for everything of the run, which is kept [default: a temporary one,
    /// kept if something is wrong]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Delete a part of the message log after the last round, to see that the loss is noticed
    #[arg(long, hide = true)]
    sabotage: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match torture(&options, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // There is nowhere else to say it.
            let _ = writeln!(io::stderr(), "leveret-torture: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether nothing was wrong.
fn torture(options: &Options, out: &mut impl Write) -> io::Result<bool> {
    let seed = options.seed.unwrap_or_else(drawn);
    let mut temporary = None;
    let folder = match &options.data_dir {
        Some(folder) => folder.clone(),
        None => temporary
            .insert(
                tempfile::Builder::new()
                    .prefix("leveret-torture-")
                    .tempdir()?,
            )
            .path()
            .to_owned(),
    };
    fs::create_dir_all(&folder)?;
    if fs::read_dir(&folder)?.next().is_some() {
        return Err(io::Error::other(format!(
            "{} is not empty",
            folder.display()
        )));
    }
    writeln!(
        out,
        "seed {seed}: {} kills, {} kills in recovery, {} stops",
        options.kills, options.recovery_kills, options.stops
    )?;
    let work = Work {
        kills: options.kills,
        recovery_kills: options.recovery_kills,
        stops: options.stops,
        seed,
        round: Duration::try_from_secs_f64(options.seconds_per_round).map_err(io::Error::other)?,
        rate: options.rate,
        tolerance: Duration::from_millis(options.ack_tolerance),
        sabotage: options.sabotage,
    };
    let mut run = Run::new(work, &options.leveret, &folder, out);
    run.run();
    let table = report::table(&run.checker, &run.blows);
    let wrong = report::violations(run.checker.violations(), &run.kept);
    writeln!(out, "{table}")?;
    if wrong.is_empty() {
        writeln!(out, "seed {seed}: nothing is wrong")?;
        return Ok(true);
    }
    if let Some(temporary) = temporary {
        let _ = temporary.keep();
    }
    tell(out, seed, &folder, &wrong)?;
    Ok(false)
}

fn tell(out: &mut impl Write, seed: u64, folder: &Path, wrong: &str) -> io::Result<()> {
    fs::write(folder.join("violations.txt"), wrong)?;
    writeln!(out, "{wrong}")?;
    writeln!(
        out,
        "seed {seed}: something is wrong; the folder {} is kept",
        folder.display()
    )
}

/// A seed that nobody chose.
fn drawn() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
}
