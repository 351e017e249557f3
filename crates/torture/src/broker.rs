//! The real program, started, killed and stopped.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take before it counts as hanging.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long an orderly stop may take before it counts as hanging.
const STOP_PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(2);

/// Why the broker is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the broker cannot be run: {0}")]
    Io(#[from] io::Error),
    #[error("the broker ended by itself, with {0}")]
    Ended(ExitStatus),
    #[error("the broker was not ready after {} s", START_PATIENCE.as_secs())]
    NotReady,
    #[error("the broker had not stopped after {} s", STOP_PATIENCE.as_secs())]
    NotStopped,
    #[error("the addresses file cannot be read: {0}")]
    Addresses(String),
}

/// How a broker is started.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    program: PathBuf,
    /// Holds the data folder and everything else of a run.
    folder: PathBuf,
    /// Environment variables of the broker.
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Launcher {
    pub(crate) fn new(program: &Path, folder: &Path) -> Self {
        Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            settings: Vec::new(),
        }
    }

    /// The broker's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn addresses(&self) -> PathBuf {
        self.folder.join("addresses.json")
    }

    /// Start a process, ready or not.
    pub(crate) fn start(&self) -> Result<Process, Trouble> {
        // What a killed broker left must not be taken for the new one's.
        match fs::remove_file(self.addresses()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("broker.log"))?;
        let child = Command::new(&self.program)
            .arg("serve")
            .arg("--data-dir")
            .arg(self.data())
            .args(["--listen", "127.0.0.1:0", "--metrics-listen", "none"])
            .args(["--log-level", "info"])
            .arg("--addresses-file")
            .arg(self.addresses())
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Process {
            child,
            addresses: self.addresses(),
        })
    }
}

/// A process, killed with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    addresses: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Wait until clients can connect; gives where.
    pub(crate) fn ready(&mut self) -> Result<SocketAddr, Trouble> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(Trouble::Ended(status));
            }
            match fs::read_to_string(&self.addresses) {
                Ok(text) => return address(&text),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) if began.elapsed() > START_PATIENCE => return Err(Trouble::NotReady),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Whether clients can connect, or could.
    pub(crate) fn is_ready(&self) -> bool {
        self.addresses.exists()
    }

    /// SIGKILL, and wait until it is gone. An error if it had ended before.
    pub(crate) fn kill(mut self) -> Result<(), Trouble> {
        if let Some(status) = self.child.try_wait()? {
            return Err(Trouble::Ended(status));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and wait for its end in order. Gives how long that took.
    pub(crate) fn stop(mut self) -> Result<Duration, Trouble> {
        if let Some(status) = self.child.try_wait()? {
            return Err(Trouble::Ended(status));
        }
        let began = Instant::now();
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        while began.elapsed() < STOP_PATIENCE {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(began.elapsed()),
                Some(status) => return Err(Trouble::Ended(status)),
                None => std::thread::sleep(POLL),
            }
        }
        Err(Trouble::NotStopped)
    }
}

fn address(text: &str) -> Result<SocketAddr, Trouble> {
    let addresses: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Trouble::Addresses(error.to_string()))?;
    addresses
        .get("amqp")
        .and_then(|listeners| listeners.get(0))
        .and_then(serde_json::Value::as_str)
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| Trouble::Addresses(text.to_owned()))
}
