//! The machine of one connection, seen from the server.
//!
//! This file holds the state and the questions one can ask. What drives it stands in its modules, by
//! phase: `handshake` up to `open-ok`, `running` for frames in use, `content` for messages, `blocking`
//! for resource alarms, `closing` for the end, `timers` for time; `replies` holds what the owner sends.

mod blocking;
mod closing;
mod content;
mod handshake;
mod replies;
mod running;
mod timers;

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use leveret_wire::{
    Excerpt, FRAME_OVERHEAD, FieldTable, Frame, FrameError, FrameHeader, FrameKind, MethodError,
    OutputBuffer, TableError, cut,
};

use self::blocking::{Alarm, Aside};
use crate::{
    channel::{ChannelState, Channels},
    config::Config,
    error::ConnectionError,
    event::Event,
    heartbeat::Heartbeat,
    limit::Limit,
    method,
    negotiation::{ClientCapabilities, HANDSHAKE_PAYLOAD_MAX},
};

/// The machine of one connection, seen from the server.
///
/// Its methods are of four kinds: `poll_*` and `handle_*` drive it, verbs (`accept_open`, `reply`,
/// `deliver`, ..) answer the peer, `note_*` tell it what happened to its octets, the others are
/// questions. Frames go out only where they are legal: what is sent to a channel that is closing or
/// closed is dropped.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    phase: Phase,
    /// What waits to be written to the peer.
    output: OutputBuffer,
    channels: Channels,
    heartbeat: Heartbeat,
    alarm: Alarm,
    /// What came while the connection was blocked.
    aside: Option<Box<Aside>>,
    /// Whether a blocked connection is read for its settlements.
    reads_aside: bool,
    /// `client-properties` of `start-ok`.
    client_properties: FieldTable,
    capabilities: ClientCapabilities,
    /// The login mechanism the client chose; empty before `start-ok`.
    mechanism: String,
    /// Negotiated, in octets with the overhead; what was offered before `tune-ok`.
    frame_max: u32,
    /// Negotiated count of channels; 0 is no limit.
    channel_max: u16,
    /// Largest frame payload that is read now, in octets.
    payload_max: u32,
    /// When `open-ok` must have been sent.
    handshake_until: Duration,
    /// The owner has not answered `UpdateSecret` yet.
    secret_pending: bool,
    /// The owner does not read the socket, so silence says nothing about the peer.
    reading_paused: bool,
    /// The clocks of half-received content stood still and are to start anew.
    progress_stale: bool,
    /// Octets that stood unconsumed in the input after the last poll; more are new ones.
    seen: usize,
    /// Octets have come since a frame was last found incomplete.
    fresh: bool,
    /// Whether any octet has come yet.
    heard: bool,
    /// Whether the peer may have something of ours still to read when the connection finishes.
    may_linger: bool,
}

/// Where the connection stands. Names of the handshake are those that RabbitMQ's texts use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The protocol header is awaited.
    Header,
    /// `start` is out, `start-ok` awaited.
    Starting,
    /// The owner checks the credentials.
    Authenticating,
    /// `tune` is out, `tune-ok` awaited.
    Tuning,
    /// `open` is awaited.
    Opening,
    /// The owner checks the virtual host.
    VhostPending,
    /// In use.
    Running,
    /// The client asked for the end; the owner cleans up. `deaf`: its octets stopped making sense.
    PeerClosing { deaf: bool },
    /// A close method or its -ok is out; the peer's last word is awaited.
    Closing { until: Duration },
    /// Nothing is read any more; the end comes when the time is up.
    Ending { until: Duration },
    /// Over.
    Finished,
}

/// What became of a frame.
enum Step {
    /// It is done with; on to the next.
    Consumed,
    /// It is done with, and this is for the owner.
    Event(Event),
    /// Its payload is the whole body of the channel's content, to be taken without a copy.
    TakeBody(u16),
}

impl From<Option<Event>> for Step {
    fn from(event: Option<Event>) -> Self {
        event.map_or(Self::Consumed, Self::Event)
    }
}

impl Connection {
    /// A connection whose socket was accepted at `now`; the handshake's time starts to run.
    pub fn new(config: Arc<Config>, now: Duration) -> Self {
        let frame_max = if config.frame_max == 0 {
            Config::FRAME_MAX
        } else {
            config.frame_max
        };
        Self {
            phase: Phase::Header,
            output: OutputBuffer::new(),
            channels: Channels::default(),
            heartbeat: Heartbeat::default(),
            alarm: Alarm::None,
            aside: None,
            reads_aside: false,
            client_properties: FieldTable::default(),
            capabilities: ClientCapabilities::default(),
            mechanism: String::new(),
            frame_max,
            channel_max: config.channel_max,
            payload_max: HANDSHAKE_PAYLOAD_MAX,
            handshake_until: now + config.handshake_timeout,
            secret_pending: false,
            reading_paused: false,
            progress_stale: false,
            seen: 0,
            fresh: false,
            heard: false,
            may_linger: false,
            config,
        }
    }

    /// Takes the next event out of `input` and consumes the octets it needed.
    ///
    /// `None` means that more octets are needed, or that none are wanted
    /// ([`wants_input`](Self::wants_input)). To be called again after each event, with the same
    /// buffer, to whose end the peer's octets are appended.
    pub fn poll_event(&mut self, input: &mut BytesMut, now: Duration) -> Option<Event> {
        if input.len() > self.seen {
            self.heard = true;
            self.fresh = true;
            self.heartbeat.note_heard();
        }
        if self.progress_stale {
            self.return_aside(input);
            self.restart_progress(now);
        }
        // Built where the caller wants it: an event is large next to what a hot one holds.
        if let Some(event) = self.take_hot(input) {
            self.seen = input.len();
            return Some(event);
        }
        let event = self.next_event(input, now);
        self.seen = input.len();
        event
    }

    /// Takes what a busy client sends, publishes and settlements, in one step. `None` for anything
    /// else, and for whatever is wrong with them: that is looked at frame by frame.
    #[inline]
    fn take_hot(&mut self, input: &mut BytesMut) -> Option<Event> {
        let &[
            kind,
            _,
            _,
            _,
            _,
            _,
            _,
            class_high,
            class_low,
            method_high,
            method_low,
        ] = input.first_chunk()?;
        let class = u16::from_be_bytes([class_high, class_low]);
        if kind != FrameKind::Method.octet()
            || class != method::BASIC
            || self.phase != Phase::Running
            || !self.parses()
        {
            return None;
        }
        match u16::from_be_bytes([method_high, method_low]) {
            method::PUBLISH => self.take_publish(input),
            method @ (method::ACK | method::NACK | method::REJECT) => {
                self.take_settlement(method, input)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn next_event(&mut self, input: &mut BytesMut, now: Duration) -> Option<Event> {
        self.return_aside(input);
        if self.phase == Phase::Header {
            let header = *input.first_chunk()?;
            input.advance(header.len());
            if let Some(event) = self.on_protocol_header(header) {
                return Some(event);
            }
        }
        while self.parses() {
            let frame = match cut(input, self.payload_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.note_partial_frame(input, now);
                    return None;
                }
                Err(error) => {
                    let event = self.refuse_octets(&error, input, now);
                    if event.is_some() {
                        return event;
                    }
                    continue;
                }
            };
            let frame_len = frame.encoded_len();
            match self.on_frame(frame, now) {
                Step::Consumed => {
                    input.advance(frame_len);
                    if let Some(event) = self.take_hot(input) {
                        return Some(event);
                    }
                }
                Step::Event(event) => {
                    input.advance(frame_len);
                    return Some(event);
                }
                Step::TakeBody(channel) => return self.take_body(channel, input, frame_len),
            }
        }
        if self.ignores_input() {
            input.clear();
        }
        if self.takes_aside() {
            return self.take_past_publishes(input);
        }
        None
    }

    #[inline]
    fn on_frame(&mut self, frame: Frame<'_>, now: Duration) -> Step {
        match self.phase {
            Phase::Running if frame.channel != 0 => self.on_channel_frame(&frame, now),
            Phase::Running => self.on_connection_frame(&frame, now).into(),
            Phase::PeerClosing { .. } | Phase::Closing { .. } => {
                self.on_closing_frame(&frame).into()
            }
            _ => self.on_handshake_frame(&frame, now).into(),
        }
    }

    /// What to do about octets that are no frame. `None`: they were skipped.
    fn refuse_octets(
        &mut self,
        error: &FrameError,
        input: &mut BytesMut,
        now: Duration,
    ) -> Option<Event> {
        let is_closing = matches!(
            self.phase,
            Phase::PeerClosing { .. } | Phase::Closing { .. }
        );
        let event = (!is_closing).then(|| self.fail(no_frame(error), now));
        // A frame of an unknown type is whole, so one can read on behind it; after a wrong size or
        // end octet nobody knows where the next frame starts.
        let frame_len = match error {
            FrameError::UnknownType { .. } => FrameHeader::parse(input)
                .and_then(|header| usize::try_from(header.size).ok())
                .and_then(|size| size.checked_add(FRAME_OVERHEAD)),
            FrameError::BadEnd { .. } | FrameError::TooLarge { .. } => None,
        };
        if let Some(frame_len) = frame_len {
            input.advance(frame_len.min(input.len()));
        } else {
            self.stop_parsing(now);
            input.clear();
        }
        event
    }

    /// Whether frames are taken out of the input now.
    #[inline]
    fn parses(&self) -> bool {
        match self.phase {
            Phase::Running => !matches!(self.alarm, Alarm::Blocking) && !self.secret_pending,
            Phase::PeerClosing { deaf } => !deaf,
            Phase::Header
            | Phase::Starting
            | Phase::Tuning
            | Phase::Opening
            | Phase::Closing { .. } => true,
            Phase::Authenticating
            | Phase::VhostPending
            | Phase::Ending { .. }
            | Phase::Finished => false,
        }
    }

    /// Whether what comes in is thrown away unread.
    fn ignores_input(&self) -> bool {
        let deaf = Phase::PeerClosing { deaf: true };
        self.phase == deaf || matches!(self.phase, Phase::Ending { .. } | Phase::Finished)
    }

    /// What is to be written to the peer, in order. The owner takes it from here and says so with
    /// [`note_written`](Self::note_written).
    pub fn output(&mut self) -> &mut OutputBuffer {
        &mut self.output
    }

    /// Whether the connection is over: what is in the output is flushed, then the socket is dropped.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Whether a close method or its -ok is out: that the peer closes its socket is in order then.
    pub fn is_closing(&self) -> bool {
        matches!(
            self.phase,
            Phase::Closing { .. } | Phase::Ending { .. } | Phase::Finished
        )
    }

    /// Whether the peer may still have to read something of ours when the connection is finished.
    /// Then the socket's writing half is shut down and what the peer sends is drained for a moment
    /// before the socket is dropped, as a reset would destroy what it has not read yet.
    pub fn may_linger(&self) -> bool {
        self.may_linger
    }

    /// Whether the socket should be read now. If not, the owner owes an answer, or the connection is
    /// blocked or over; silence is not held against the peer meanwhile.
    pub fn wants_input(&self) -> bool {
        self.parses() || self.takes_aside() || (self.ignores_input() && !self.is_finished())
    }

    /// Whether the handshake is over and no end has begun: channels are in use.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether any octet has come; a socket that closes before is a health check.
    pub fn has_received(&self) -> bool {
        self.heard
    }

    /// What the client tells about itself in `start-ok`; empty before.
    pub fn client_properties(&self) -> &FieldTable {
        &self.client_properties
    }

    /// The same, taken out: nothing here needs it any more.
    pub fn take_client_properties(&mut self) -> FieldTable {
        std::mem::take(&mut self.client_properties)
    }

    /// What the client can do; nothing before `start-ok`.
    pub fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
    }

    /// Largest frame either side may send, in octets with the 8 of overhead.
    pub fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// Most channels open at a time; 0 is no limit. It bounds the count and not the numbers.
    pub fn channel_max(&self) -> u16 {
        self.channel_max
    }

    /// Heartbeat interval; zero is none.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat.interval()
    }

    /// The login mechanism the client chose; empty before `start-ok`.
    pub fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// How many channel numbers are in use, closing ones included.
    pub fn channels(&self) -> usize {
        self.channels.count()
    }

    /// Whether the channel is open, so that something sent to it goes out.
    #[inline]
    pub fn is_open(&self, channel: u16) -> bool {
        self.channels.state(channel) == ChannelState::Open
    }
}

/// The hard error for a method that does not decode.
fn undecodable(error: &MethodError) -> ConnectionError {
    let (class, method) = error.method_id();
    match error {
        MethodError::FieldTable { error: table, .. } => {
            broken_table(ConnectionError::syntax_error(error), table)
        }
        MethodError::UnknownMethod { .. } => ConnectionError::not_implemented(error),
        // RabbitMQ names no method here.
        MethodError::Utf8 { .. } => return ConnectionError::frame_error(error),
        MethodError::TooShort { .. } | MethodError::Undecodable { .. } => {
            ConnectionError::frame_error(error)
        }
    }
    .at(class, method)
}

/// The hard error for octets that are no frame.
fn no_frame(error: &FrameError) -> ConnectionError {
    let refused = ConnectionError::frame_error(error);
    match error {
        FrameError::TooLarge { .. } => refused.over(Limit::FrameMax),
        FrameError::BadEnd { .. } | FrameError::UnknownType { .. } => refused,
    }
}

/// The error for a field table, with the limit if that is what it breaks.
fn broken_table(refused: ConnectionError, error: &TableError) -> ConnectionError {
    match error {
        TableError::TooDeep { .. } | TableError::TooManyEntries { .. } => {
            refused.over(Limit::FieldTable)
        }
        _ => refused,
    }
}

/// The hard error for a frame that is legal by itself but not here.
fn unexpected(frame: &Frame<'_>) -> ConnectionError {
    let kind = frame.kind.octet();
    let payload = Excerpt::snippet(frame.payload);
    ConnectionError::unexpected_frame(format_args!("type {kind}, {payload}"))
}
