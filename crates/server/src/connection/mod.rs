//! One client's connection: a task that moves octets between its socket, its protocol machine
//! and its session.
//!
//! The task sleeps until the socket can be read or written, its mailbox has something, or the
//! machine's next deadline has come. One wake does in turn: empty the mailbox, read and work
//! off what came (one flush to the queues per read), write all output with few system calls.

mod events;
mod read_buffer;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use leveret_broker::Session;
use leveret_protocol::{Connection, LostReason};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::node::{Handshake, Node};
use crate::wakes::{Polling, RemoteWaker};

/// Octets that one wake reads before it lets other tasks run.
const READ_BUDGET: usize = 1 << 20;

/// Slices given to one vectored write.
const WRITE_SLICES: usize = 64;

/// How long what the peer still sends is drained after our close, so that a reset does not
/// destroy the close frame it has not read yet.
const LINGER: Duration = Duration::from_secs(2);

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// In good order.
    Closed,
    /// The peer closed the socket without a word.
    PeerGone,
    /// The machine gave up.
    Lost(LostReason),
    /// The socket failed.
    Failed(io::Error),
    /// The peer took no octet for too long.
    WriteStalled,
    /// The node stops, and the peer had not opened a vhost yet.
    Stopping,
}

/// The state of one connection task.
struct Link<'a> {
    node: &'a Arc<Node>,
    stream: TcpStream,
    peer: SocketAddr,
    machine: Connection,
    session: Option<Session>,
    /// Who has logged in, before a vhost is open.
    user: Option<Arc<leveret_broker::User>>,
    name: String,
    /// The beginning of a frame whose end has not come yet.
    rest: BytesMut,
    timer: Pin<Box<Sleep>>,
    /// What the session gives to those who have something for this connection.
    waker: RemoteWaker,
    /// When octets began to wait for a peer that takes none.
    stalled_since: Option<Duration>,
    /// The client asked to close, and earlier replies are still held back.
    close_pending: bool,
    /// The reading of the socket is paused, as the machine knows.
    reading_paused: bool,
    /// The rest may hold whole frames, left because of an alarm or because there was too much output already.
    unparsed: bool,
}

/// Serve a client until the connection is over.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    node: &Arc<Node>,
    handshake: Handshake,
) {
    node.churn
        .connections_opened
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let own = stream
        .local_addr()
        .map_or_else(|_| "unknown".to_owned(), |own| own.to_string());
    let now = node.clock.now();
    let machine = Connection::new(Arc::clone(&node.protocol), now);
    let mut link = Link {
        node,
        stream,
        peer,
        machine,
        session: None,
        user: None,
        name: format!("{peer} -> {own}"),
        rest: BytesMut::new(),
        timer: Box::pin(tokio::time::sleep(node.protocol.handshake_timeout)),
        waker: RemoteWaker::new(),
        stalled_since: None,
        close_pending: false,
        reading_paused: false,
        unparsed: false,
    };
    let end = link.run(handshake).await;
    link.finish(end).await;
    node.churn
        .connections_closed
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

impl Link<'_> {
    async fn run(&mut self, handshake: Handshake) -> End {
        let displaced = Arc::clone(&handshake.displaced);
        let mut stopping = self.node.stopping.subscribe();
        let ended = tokio::select! {
            ended = poll_fn(|context| self.poll(context, true)) => ended,
            () = displaced.notified() => {
                Some(End::Lost(LostReason::HandshakeTimeout { nothing_received: !self.machine.has_received() }))
            }
            _ = stopping.wait_for(|stopping| *stopping) => Some(End::Stopping),
        };
        drop(handshake);
        if let Some(end) = ended {
            return end;
        }
        loop {
            if let Some(end) = poll_fn(|context| self.poll(context, false)).await {
                return end;
            }
        }
    }

    /// One wake. Ready with `None` once the vhost is open, if `handshake`.
    fn poll(&mut self, context: &mut Context<'_>, handshake: bool) -> Poll<Option<End>> {
        let _polling = Polling::begin();
        let now = self.node.clock.now();
        if let Err(end) = self.poll_mailbox(context, now) {
            return Poll::Ready(Some(end));
        }
        let mut budget = READ_BUDGET;
        loop {
            if let Err(end) = self.poll_write(context, now) {
                return Poll::Ready(Some(end));
            }
            if self.machine.is_finished() && self.machine.output().is_empty() {
                return Poll::Ready(Some(End::Closed));
            }
            match self.poll_read(context, now) {
                Ok(0) => break,
                Ok(count) => budget = budget.saturating_sub(count),
                Err(end) => return Poll::Ready(Some(end)),
            }
            if handshake && self.session.is_some() {
                return Poll::Ready(None);
            }
            // What the read gave to our own consumers.
            if let Err(end) = self.poll_mailbox(context, now) {
                return Poll::Ready(Some(end));
            }
            if budget == 0 {
                context.waker().wake_by_ref();
                if let Err(end) = self.poll_write(context, now) {
                    return Poll::Ready(Some(end));
                }
                break;
            }
        }
        match self.poll_timer(context, now) {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(Some(end)),
        }
    }

    fn poll_mailbox(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        while let Some(session) = &mut self.session {
            let waker = self.waker.of(context, &self.node.wakes);
            match session.poll(&mut Context::from_waker(waker), &mut self.machine) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => self.answer_close(now),
                Poll::Ready(Err(error)) => self.fail(&error, now),
            }
            if self.machine.output().len() >= self.node.output_max {
                self.poll_write(context, now)?;
            }
        }
        Ok(())
    }

    /// Read once and work off what came; 0 if nothing came.
    fn poll_read(&mut self, context: &mut Context<'_>, now: Duration) -> Result<usize, End> {
        if !self.wants_input() {
            if !self.reading_paused {
                self.reading_paused = true;
                self.machine.pause_reading();
            }
            return Ok(0);
        }
        if self.reading_paused {
            self.reading_paused = false;
            self.machine.resume_reading();
        }
        if self.unparsed {
            let mut left = std::mem::take(&mut self.rest);
            self.work_off(&mut left, now);
            self.rest = left;
            return Ok(1);
        }
        let mut buffer = read_buffer::take(&mut self.rest);
        let polled = {
            let read = pin!(self.stream.read_buf(&mut buffer));
            Future::poll(read, context)
        };
        let outcome = match polled {
            Poll::Pending => Ok(0),
            Poll::Ready(Ok(0)) if self.machine.is_closing() => Err(End::Closed),
            Poll::Ready(Ok(0)) => Err(End::PeerGone),
            Poll::Ready(Ok(count)) => {
                self.work_off(&mut buffer, now);
                Ok(count)
            }
            Poll::Ready(Err(error)) => Err(End::Failed(error)),
        };
        read_buffer::give_back(buffer, &mut self.rest);
        outcome
    }

    fn wants_input(&mut self) -> bool {
        self.machine.wants_input()
            && self.machine.output().len() < self.node.output_max
            && self.session.as_mut().is_none_or(Session::wants_input)
    }

    fn poll_write(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        let mut wrote = false;
        while !self.machine.output().is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let count = self.machine.output().chunks(&mut slices);
            match Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count]) {
                Poll::Pending => {
                    self.stalled_since.get_or_insert(now);
                    break;
                }
                Poll::Ready(Ok(0)) => return Err(End::PeerGone),
                Poll::Ready(Ok(count)) => {
                    self.machine.output().advance(count);
                    self.stalled_since = None;
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Err(End::Failed(error)),
            }
        }
        if wrote {
            self.machine.note_written(now);
        }
        let waiting = self.machine.output().len();
        if let Some(session) = &mut self.session
            && let Err(error) = session.note_output(waiting)
        {
            self.fail(&error, now);
        }
        Ok(())
    }

    /// Let the machine do what is due, and sleep until its next deadline.
    fn poll_timer(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        loop {
            let stall = self
                .stalled_since
                .map(|since| since + self.node.write_stall);
            if stall.is_some_and(|stall| stall <= now) {
                return Err(End::WriteStalled);
            }
            let deadline = match (self.machine.poll_timeout(), stall) {
                (Some(one), Some(other)) => one.min(other),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => return Ok(()),
            };
            if deadline <= now {
                if let Some(event) = self.machine.handle_timeout(now) {
                    self.handle(event, now)?;
                }
                self.poll_write(context, now)?;
                if self.machine.is_finished() && self.machine.output().is_empty() {
                    return Err(End::Closed);
                }
                if self.machine.poll_timeout().is_some_and(|next| next <= now) {
                    // Nothing moves the deadline: look again later rather than spin.
                    self.sleep_until(self.node.clock.instant(now + Duration::from_millis(100)));
                } else {
                    continue;
                }
            } else {
                let instant = self.node.clock.instant(deadline);
                // A timer that goes off early costs one look; moving it at every read costs more.
                if instant < self.timer.deadline() || self.timer.is_elapsed() {
                    self.sleep_until(instant);
                }
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Ok(());
            }
            if deadline > self.node.clock.now() {
                self.sleep_until(self.node.clock.instant(deadline));
                if self.timer.as_mut().poll(context).is_pending() {
                    return Ok(());
                }
            }
            context.waker().wake_by_ref();
            return Ok(());
        }
    }

    fn sleep_until(&mut self, instant: Instant) {
        self.timer.as_mut().reset(instant);
    }

    /// The connection is over: clean up, say so, and leave the peer time to read our last words.
    async fn finish(&mut self, end: End) {
        let lingers = matches!(end, End::Closed) && self.machine.may_linger();
        self.log_end(&end);
        if let Some(session) = self.session.take() {
            session.close();
        }
        // What is left to say to a peer that speaks something else.
        if matches!(end, End::Lost(_)) {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let count = self.machine.output().chunks(&mut slices);
            let _ = self.stream.try_write_vectored(&slices[..count]);
        }
        let _ = self.stream.shutdown().await;
        if lingers {
            let mut scratch = [0; 4096];
            let drain = async {
                while matches!(self.stream.read(&mut scratch).await, Ok(count) if count > 0) {}
            };
            let _ = tokio::time::timeout(LINGER, drain).await;
        }
    }
}
