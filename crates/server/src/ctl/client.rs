//! The way to the broker: its control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use leveret::control::{Problem, Reply, Request};
use serde_json::Value;

/// How often a broker that is not ready yet is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nobody listens, or may be spoken to.
    Unreachable(io::Error),
    /// It did not come in time.
    Late,
    /// The connection broke.
    Broken(io::Error),
    /// What was answered can't be written to where it is to go.
    Output(io::Error),
    /// The broker has answered with a problem.
    Failed(Problem, String),
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ => Self::Broken(error),
        }
    }
}

/// A connection to a broker.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    deadline: Option<Instant>,
}

impl Client {
    /// `timeout`: for everything together.
    pub(crate) fn connect(socket: &Path, timeout: Option<Duration>) -> Result<Self, Lost> {
        let stream = UnixStream::connect(socket).map_err(Lost::Unreachable)?;
        Ok(Self {
            stream: BufReader::new(stream),
            deadline: timeout.map(|timeout| Instant::now() + timeout),
        })
    }

    /// As soon as one can be reached.
    pub(crate) fn wait_for(socket: &Path, timeout: Duration) -> Result<Self, Lost> {
        let deadline = Instant::now() + timeout;
        loop {
            match Self::connect(socket, None) {
                Err(Lost::Unreachable(error)) if is_not_there(&error) => {
                    if Instant::now() >= deadline {
                        return Err(Lost::Late);
                    }
                    std::thread::sleep(LOOK_INTERVAL);
                }
                Ok(mut client) => {
                    client.deadline = Some(deadline);
                    return Ok(client);
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Ask, and give each row to `row`; the value of the answer's end.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        mut row: impl FnMut(Vec<Value>) -> io::Result<()>,
    ) -> Result<Value, Lost> {
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        self.bound()?;
        self.stream.get_mut().write_all(&line)?;
        let mut answer = Vec::new();
        loop {
            answer.clear();
            self.bound()?;
            self.stream.read_until(b'\n', &mut answer)?;
            if answer.is_empty() {
                return Err(Lost::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
            match serde_json::from_slice(&answer).map_err(io::Error::from)? {
                Reply::Row(values) => row(values).map_err(Lost::Output)?,
                Reply::Done(value) => return Ok(value),
                Reply::Failed { problem, message } => return Err(Lost::Failed(problem, message)),
            }
        }
    }

    /// Wait for the broker to end the connection, which a stopping one does by ending itself.
    pub(crate) fn wait_for_end(mut self) -> Result<(), Lost> {
        self.bound()?;
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(())
    }

    /// The next read and write take no longer than what is left.
    fn bound(&self) -> Result<(), Lost> {
        let Some(deadline) = self.deadline else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::Late);
        }
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        Ok(())
    }
}

/// Nobody listens there yet.
fn is_not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
