//! One client of the control socket: its request, and the answer.
//!
//! A request is worked off on a thread that may block, and its answer goes through a channel of few pieces: a list
//! of many rows is never whole in memory, and a client that reads slowly, or not at all, holds up nothing else.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::operations;
use super::reply::{Failed, Problem, Reply};
use super::request::Request;
use super::socket::Socket;
use crate::node::Node;

/// Clients served at a time; more are sent away.
const CLIENTS_MAX: usize = 32;

/// Octets of a request: definitions of some hundred thousand queues.
const REQUEST_MAX: usize = 256 << 20;

/// How long a client may take for its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an answer may wait for a client that takes none of it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Octets of an answer that are sent together.
const PIECE: usize = 64 << 10;

/// Pieces that may wait for the client.
const PIECES_MAX: usize = 4;

/// How long to wait after the system had no socket for a client.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What requests are about.
pub(crate) struct Operator {
    pub(crate) node: Arc<Node>,
    /// The node's name.
    pub(crate) name: String,
    pub(crate) product: String,
    /// The RabbitMQ release whose behaviour is matched.
    pub(crate) rabbitmq_version: String,
    pub(crate) data_dir: Option<PathBuf>,
    /// Where clients are listened for: protocol, purpose, address.
    pub(crate) listeners: Vec<Listening>,
    /// Milliseconds since the epoch.
    pub(crate) started: u64,
    /// Told when the process is to end.
    pub(crate) stop: Arc<Notify>,
}

/// An address that is listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening {
    pub(crate) protocol: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) address: std::net::SocketAddr,
}

/// Serve clients for as long as this is not dropped.
pub(crate) async fn accept(socket: Socket, operator: Arc<Operator>) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        match socket.accept().await {
            Ok(stream) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!("control socket: too many clients, one is sent away");
                    continue;
                };
                let operator = Arc::clone(&operator);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, operator).await {
                        tracing::debug!(%error, "control socket: client lost");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, operator: Arc<Operator>) -> io::Result<()> {
    let line = tokio::time::timeout(REQUEST_TIMEOUT, read_line(&mut stream)).await??;
    let request = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => request,
        Err(error) => {
            // The text of the error names no values.
            let failed = Failed::new(Problem::BadRequest, error);
            return write(&mut stream, &octets(&failed.into())).await;
        }
    };
    drop(line);
    if request == Request::Stop {
        let pid = Value::from(std::process::id());
        write(&mut stream, &octets(&Reply::Done(pid))).await?;
        operator.stop.notify_one();
        // Who waits for the end of the connection has waited for the end of the process.
        let _ = stream.read(&mut [0]).await;
        return Ok(());
    }
    let (pieces, mut waiting) = mpsc::channel(PIECES_MAX);
    let working = tokio::task::spawn_blocking(move || {
        let mut answer = Answer::new(pieces);
        let outcome = operations::run(&operator, request, &mut answer);
        answer.end(outcome);
    });
    while let Some(piece) = waiting.recv().await {
        write(&mut stream, &piece).await?;
    }
    working.await.map_err(io::Error::other)
}

/// The octets up to the first line's end.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut looked_at = 0;
    loop {
        if stream.read_buf(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let new = line.get(looked_at..).unwrap_or_default();
        if let Some(end) = new.iter().position(|octet| *octet == b'\n') {
            line.truncate(looked_at + end);
            return Ok(line);
        }
        looked_at = line.len();
        if looked_at > REQUEST_MAX {
            return Err(io::Error::other("the request is too long"));
        }
    }
}

async fn write(stream: &mut UnixStream, octets: &[u8]) -> io::Result<()> {
    tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(octets)).await?
}

fn octets(reply: &Reply) -> Vec<u8> {
    // No maps with other keys than strings: this cannot fail.
    let mut line = serde_json::to_vec(reply).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The answer to one request, on its way.
#[derive(Debug)]
pub(super) struct Answer {
    pieces: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
    /// Nobody takes it any more.
    is_lost: bool,
}

impl Answer {
    fn new(pieces: mpsc::Sender<Vec<u8>>) -> Self {
        Self {
            pieces,
            piece: Vec::new(),
            is_lost: false,
        }
    }

    /// One more row. `false`: nobody wants more of them. Blocks while the client is behind.
    pub(super) fn row(&mut self, row: Vec<Value>) -> bool {
        self.add(&Reply::Row(row));
        !self.is_lost
    }

    fn end(mut self, outcome: Result<Value, Failed>) {
        self.add(&outcome.map_or_else(Reply::from, Reply::Done));
        self.send();
    }

    fn add(&mut self, reply: &Reply) {
        self.piece.extend(octets(reply));
        if self.piece.len() >= PIECE {
            self.send();
        }
    }

    fn send(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.is_lost |= self.pieces.blocking_send(piece).is_err();
    }
}
