//! `leveret perf`: the load generator, run to its end or to ctrl-c.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leveret_perf::PerfError;
use leveret_perf::cli::Cli;

use crate::exit::{Exit, Failure};
use crate::{Signals, software, tell};

/// Carries out a command line that was understood.
pub(crate) fn run(cli: &Cli) -> Result<Exit, Failure> {
    let interrupt = Arc::new(AtomicBool::new(false));
    listen(Arc::clone(&interrupt))?;
    let outcome = leveret_perf::run(&cli.command, &interrupt)?;
    tell(&outcome.text)?;
    outcome.complaint.map_or(Ok(Exit::Success), |complaint| {
        Err(Failure::new(Exit::Data, complaint))
    })
}

/// The first signal asks for the result so far, the second ends the process.
fn listen(interrupt: Arc<AtomicBool>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(software)?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::listen().map_err(software)?
    };
    let wait = move || {
        runtime.block_on(async {
            signals.next().await;
            interrupt.store(true, Ordering::Relaxed);
            signals.next().await;
            std::process::exit(Exit::TryAgain as i32);
        });
    };
    let thread = std::thread::Builder::new().name("leveret-signals".to_owned());
    thread.spawn(wait).map(drop).map_err(software)
}

impl From<PerfError> for Failure {
    fn from(error: PerfError) -> Self {
        let exit = match &error {
            PerfError::Arguments(_) => Exit::Usage,
            PerfError::Unreadable { .. } => Exit::Io,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error.to_string())
    }
}
