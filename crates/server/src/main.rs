//! The program `leveret`: the command line, the log, signals and exit codes around the library.
//!
//! Here is the order of a run and nothing of what a broker does: arguments -> configuration -> log
//! -> runtime -> broker -> addresses file and ready line -> a signal -> drained, gone.

#![forbid(unsafe_code)]

mod addresses;
mod cli;
mod ctl;
mod exit;
mod folder;
mod logging;
mod perf;
mod store_tools;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use leveret::Broker;
use leveret::config::{Config, Loaded, Sources};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::addresses::{Addresses, AddressesError, AddressesFile};
use crate::cli::{Command, Invocation, NotRun};
use crate::exit::{Exit, Failure};

/// A broker allocates and frees a message's octets on different threads all day; the system's
/// allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // With standard error gone, the exit code still tells.
            let _ = writeln!(io::stderr(), "{}", failure.line());
            failure.exit.into()
        }
    }
}

fn run() -> Result<Exit, Failure> {
    let started = Instant::now();
    if is_called(ctl::RABBITMQCTL) {
        let words = std::env::args_os().skip(1);
        return control(words, Sources::default(), true);
    }
    let Invocation {
        command,
        mut sources,
    } = match cli::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(not_run) => return said(not_run),
    };
    if let Command::Store(command) = &command {
        return store_tools::run(command);
    }
    if let Command::Perf { arguments } = command {
        return match cli::parse_perf(arguments) {
            Ok(perf) => perf::run(&perf),
            Err(not_run) => said(not_run),
        };
    }
    if let Command::Ctl { arguments } = command {
        return control(arguments, sources, false);
    }
    if let Command::Definitions(command) = command {
        let words = command.words().into_iter().map(OsString::from);
        return control(words, sources, false);
    }
    sources.variables = std::env::vars_os().collect();
    let loaded = Config::load(&sources)?;
    match command {
        Command::CheckConfig => {
            loaded.config.read_definitions()?;
            loaded.config.check_certificates()?;
            tell("configuration ok\n")
        }
        _ => serve(&loaded, started),
    }
}

/// Whether the program was called by this name.
fn is_called(name: &str) -> bool {
    let program = std::env::args_os().next().map(PathBuf::from);
    program.is_some_and(|program| program.file_stem().is_some_and(|stem| stem == name))
}

/// The control command.
fn control(
    words: impl IntoIterator<Item = OsString>,
    mut sources: Sources,
    as_rabbitmqctl: bool,
) -> Result<Exit, Failure> {
    sources.variables = std::env::vars_os().collect();
    let words: Result<Vec<_>, _> = words.into_iter().map(OsString::into_string).collect();
    let words = words
        .map_err(|word| Failure::new(Exit::Usage, format!("{} is not UTF-8", word.display())))?;
    ctl::run(words, sources, as_rabbitmqctl)
}

/// What a command line that runs nothing has to say.
fn said(not_run: NotRun) -> Result<Exit, Failure> {
    match not_run {
        NotRun::Told(text) => tell(&text),
        NotRun::Usage(line) => Err(Failure::new(Exit::Usage, line)),
    }
}

/// Writes to standard output.
fn tell(text: &str) -> Result<Exit, Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Io,
            format!("standard output cannot be written: {error}"),
        )),
        _ => Ok(Exit::Success),
    }
}

fn serve(loaded: &Loaded, started: Instant) -> Result<Exit, Failure> {
    let config = &loaded.config;
    logging::start(&config.log).map_err(software)?;
    for variable in &loaded.unknown_variables {
        tracing::warn!("{variable}");
    }
    for key in &loaded.ignored_keys {
        tracing::warn!("{key}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads)
        .thread_name("leveret-worker")
        .enable_all()
        .build()
        .map_err(software)?;
    let outcome = runtime.block_on(run_broker(config, started));
    // What is drained has ended; whoever ends sooner does not wait for the rest.
    runtime.shutdown_background();
    outcome
}

async fn run_broker(config: &Config, started: Instant) -> Result<Exit, Failure> {
    // Before the broker, so that no signal finds the process without its own answer to it.
    let mut signals = Signals::listen().map_err(software)?;
    let mut hangups = signal(SignalKind::hangup()).map_err(software)?;
    let mut addresses_file = config
        .addresses_file
        .as_deref()
        .map(AddressesFile::prepare)
        .transpose()?;
    let broker = tokio::select! {
        broker = Broker::from_config(config) => broker?,
        // A long recovery can be given up: it begins anew at the next start.
        name = signals.next() => return Err(cut_short(name, "ready")),
    };
    let addresses = Addresses {
        amqp: broker.amqp_addresses(),
        amqps: broker.amqps_addresses(),
        metrics: broker.metrics_addresses(),
    };
    let published = addresses_file
        .as_mut()
        .map_or(Ok(()), |file| file.publish(&addresses));
    if let Err(error) = published {
        broker.shutdown().await;
        return Err(error.into());
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        amqp = listed(&addresses.amqp),
        amqps = listed(&addresses.amqps),
        metrics = listed(&addresses.metrics),
        data_dir = %config.data_dir.display(),
        milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
    // Outside of the log line: its fields are not evaluated at a level that is switched off.
    let signal = loop {
        tokio::select! {
            signal = signals.next() => break signal,
            _ = hangups.recv() => reload(&broker),
            () = broker.stop_requested() => break "leveret ctl stop",
            reason = broker.store_failed() => {
                broker.shutdown().await;
                return Err(Failure::new(Exit::Io, reason));
            }
        }
    };
    tracing::info!(signal, "stopping");
    tokio::select! {
        () = broker.shutdown() => {}
        // Whoever asks twice does not want to wait. What was confirmed is on the disk.
        name = signals.next() => return Err(cut_short(name, "drained")),
    }
    tracing::info!("stopped");
    Ok(Exit::Success)
}

/// What SIGHUP asks for.
fn reload(broker: &Broker) {
    match tokio::task::block_in_place(|| broker.reload_certificates()) {
        Ok(true) => tracing::info!("TLS certificates reloaded"),
        Ok(false) => tracing::info!("nothing to reload: there are no TLS certificates"),
        Err(error) => {
            tracing::error!(%error, "TLS certificates not reloaded: the old ones stay in use");
        }
    }
}

/// Addresses in a log line.
fn listed(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
    texts.join(", ")
}

/// The end by a signal before the broker was what the operator could wait for.
fn cut_short(signal: &str, state: &str) -> Failure {
    Failure::new(
        Exit::TryAgain,
        format!("ended by {signal} before the broker was {state}"),
    )
}

fn software(error: impl std::error::Error) -> Failure {
    Failure::new(Exit::Software, error.to_string())
}

impl From<AddressesError> for Failure {
    fn from(error: AddressesError) -> Self {
        let exit = match error {
            AddressesError::InUse(_) => Exit::TryAgain,
            AddressesError::Unwritable { .. } => Exit::Config,
        };
        Self::new(exit, error.to_string())
    }
}

/// The signals that end the broker.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
