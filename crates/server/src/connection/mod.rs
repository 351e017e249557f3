//! One client's connection: a task that moves octets between its socket, its protocol machine
//! and its session.
//!
//! The task sleeps until the socket can be read or written, its mailbox has something, or the
//! machine's next deadline has come. One wake does in turn: empty the mailbox, read and work
//! off what came (one flush to the queues per read), write all output with few system calls.

mod events;
mod read_buffer;
mod transport;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use leveret_broker::Session;
use leveret_protocol::{Connection, Limit, LostReason};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::node::{Handshake, Node};
use crate::wakes::{Polling, RemoteWaker};

pub(crate) use transport::Transport;

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

/// Who has connected, and how.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    /// Where it is, as the socket or a trusted proxy says.
    pub(crate) peer: SocketAddr,
    /// Where it has connected to, if that is known.
    pub(crate) own: Option<SocketAddr>,
    /// Whether it, and the proxy that speaks for it, are on the loopback interface.
    pub(crate) from_loopback: bool,
    /// The user whom its certificate names.
    pub(crate) certificate_name: Option<String>,
}

impl Client {
    /// A client on a socket as it is.
    pub(crate) fn plain(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            peer,
            own: stream.local_addr().ok(),
            from_loopback: peer.ip().is_loopback(),
            certificate_name: None,
            transport: Transport::Plain(stream),
        }
    }
}

/// The state of one connection task.
struct Link<'a> {
    node: &'a Arc<Node>,
    stream: Transport,
    peer: SocketAddr,
    from_loopback: bool,
    certificate_name: Option<String>,
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
    /// Octets that the machine has set aside, as the node counts them.
    aside: usize,
    /// The rest may hold whole frames, left because of an alarm or because there was too much output already.
    unparsed: bool,
}

/// Serve a client until the connection is over. Its handshake began when its socket was `accepted`.
pub(crate) async fn serve(
    client: Client,
    node: &Arc<Node>,
    handshake: Handshake,
    accepted: Duration,
) {
    node.churn
        .connections_opened
        .fetch_add(1, Ordering::Relaxed);
    let peer = client.peer;
    let own = client
        .own
        .map_or_else(|| "unknown".to_owned(), |own| own.to_string());
    let protocol = if client.certificate_name.is_some() {
        &node.protocol_external
    } else {
        &node.protocol
    };
    let machine = Connection::new(Arc::clone(protocol), accepted);
    let handshake_end = node.clock.instant(accepted + protocol.handshake_timeout);
    client.transport.acknowledge_quickly();
    let mut link = Link {
        node,
        stream: client.transport,
        peer,
        from_loopback: client.from_loopback,
        certificate_name: client.certificate_name,
        machine,
        session: None,
        user: None,
        name: format!("{peer} -> {own}"),
        rest: BytesMut::new(),
        waker: RemoteWaker::new(),
        timer: Box::pin(tokio::time::sleep_until(handshake_end)),
        stalled_since: None,
        close_pending: false,
        reading_paused: false,
        aside: 0,
        unparsed: false,
    };
    let end = link.run(handshake).await;
    // What it needs, some kilobytes, an open connection need not carry with it.
    Box::pin(link.finish(end)).await;
    node.churn
        .connections_closed
        .fetch_add(1, Ordering::Relaxed);
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
            if handshake {
                if self.session.is_some() {
                    return Poll::Ready(None);
                }
                self.stream.acknowledge_quickly();
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
                self.count_pause();
            }
            return Ok(0);
        }
        if self.reading_paused {
            self.reading_paused = false;
            self.machine.resume_reading();
        }
        if self.unparsed || self.machine.has_aside() {
            let mut left = std::mem::take(&mut self.rest);
            self.work_off(&mut left, now);
            self.rest = left;
            return Ok(1);
        }
        let mut buffer = read_buffer::take(&mut self.rest);
        let polled = self.stream.poll_read(context, &mut buffer);
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
        if self.machine.is_blocked() {
            let allowed = self.may_settle();
            self.machine.read_settlements(allowed);
        }
        self.machine.wants_input()
            && self.machine.output().len() < self.node.output_max
            && self.session.as_mut().is_none_or(Session::wants_input)
    }

    /// The reading of the socket is paused: if a limit is the reason, it is counted.
    fn count_pause(&mut self) {
        let limits_met = &self.node.protocol.limits_met;
        if !self.machine.is_running() || self.machine.is_blocked() {
            return;
        }
        if self.machine.output().len() >= self.node.output_max {
            limits_met.count(Limit::OutboxBytes);
        } else if self.machine.wants_input() {
            limits_met.count(Limit::UnsyncedBytes);
        }
    }

    /// Whether a connection that an alarm blocks is read on for its settlements: it has something to settle, and there
    /// is room for what stands before them.
    fn may_settle(&mut self) -> bool {
        let held = self.node.blocked_input.load(Ordering::Relaxed);
        held < self.node.blocked_input_max
            && self.session.as_ref().is_some_and(Session::has_outstanding)
    }

    /// Tell the node how much is set aside here.
    fn count_aside(&mut self) {
        let aside = self.machine.octets_aside();
        let before = std::mem::replace(&mut self.aside, aside);
        if aside != before {
            let counted = &self.node.blocked_input;
            counted.fetch_add(aside, Ordering::Relaxed);
            counted.fetch_sub(before, Ordering::Relaxed);
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        let mut wrote = false;
        while !self.machine.output().is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let count = self.machine.output().chunks(&mut slices);
            match self.stream.poll_write(context, &slices[..count]) {
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
        self.poll_flush(context, now)?;
        let waiting = self.machine.output().len();
        if let Some(session) = &mut self.session
            && let Err(error) = session.note_output(waiting)
        {
            self.fail(&error, now);
        }
        Ok(())
    }

    /// Have the socket take what TLS has encrypted.
    #[inline]
    fn poll_flush(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        match self.stream.poll_flush(context) {
            Poll::Ready(Ok(())) => {
                if self.machine.output().is_empty() {
                    self.stalled_since = None;
                }
                Ok(())
            }
            Poll::Pending => {
                self.stalled_since.get_or_insert(now);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(End::Failed(error)),
        }
    }

    /// Let the machine do what is due, and sleep until its next deadline.
    fn poll_timer(&mut self, context: &mut Context<'_>, now: Duration) -> Result<(), End> {
        loop {
            let stall = self
                .stalled_since
                .map(|since| since + self.node.write_stall);
            if stall.is_some_and(|stall| stall <= now) {
                self.node.protocol.limits_met.count(Limit::WriteStall);
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
        self.node
            .blocked_input
            .fetch_sub(self.aside, Ordering::Relaxed);
        self.end_session();
        // What is left to say to a peer that speaks something else.
        let mut last = Vec::new();
        if matches!(end, End::Lost(_)) {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
            let count = self.machine.output().chunks(&mut slices);
            last = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
        }
        // A peer that takes nothing must not keep its task.
        let ended = tokio::time::timeout(LINGER, self.stream.end_with(&last)).await;
        if lingers && ended.is_ok() {
            let _ = tokio::time::timeout(LINGER, self.stream.drain()).await;
        }
    }
}
