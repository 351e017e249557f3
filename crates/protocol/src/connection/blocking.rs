//! Resource alarms. A connection that publishes during one is blocked: what it sends waits until all
//! alarms are over.
//!
//! A client that consumes on the same connection may have acknowledged what it holds, and the alarm may
//! be waiting for just that. So the owner can have a blocked connection read on: its octets are set
//! aside as they are, in order and up to a limit, and only settlements that stand behind nothing but
//! publishes of their channel are taken out.

use bytes::{Buf, BytesMut};
use leveret_wire::{Frame, FrameKind, cut, method::connection, split_method};
use rustc_hash::FxHashMap;

use super::{Connection, Phase, running::Settlement};
use crate::{
    channel::{ChannelState, Channels},
    content::Content,
    error::short_string,
    event::Event,
    limit::Limit,
    method::{BASIC, Kind, PUBLISH},
};

/// Where in the payload of a content header the body's size stands.
const BODY_SIZE: std::ops::Range<usize> = 4..12;

/// Octets that a channel of which something is set aside counts for, whatever it is.
const CHANNEL_COST: usize = 32;

/// A resource alarm as it concerns this connection: only one that publishes is stopped.
#[derive(Debug)]
pub(super) enum Alarm {
    None,
    /// There is an alarm, but no content has come since.
    Raised {
        reason: String,
    },
    /// Content has come during the alarm: nothing more is acted upon but settlements.
    Blocking,
}

/// What came while the connection was blocked, as it came.
#[derive(Debug, Default)]
pub(super) struct Aside {
    octets: BytesMut,
    /// Channels of which something is set aside.
    channels: FxHashMap<u16, Place>,
    /// What comes next must wait in the input: it does not fit, is no frame, or concerns the whole connection.
    stuck: bool,
}

impl Aside {
    fn len(&self) -> usize {
        self.octets.len() + CHANNEL_COST * self.channels.len()
    }
}

/// Where a channel stands behind what is set aside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between messages: a settlement may go past.
    Between,
    /// A content header must come.
    Header,
    /// Octets of body must come.
    Body(u64),
    /// All that comes waits for something that is no publish.
    Ordered,
}

impl Place {
    /// Where the channel stands when nothing of it is set aside.
    fn of(channel: u16, channels: &Channels) -> Self {
        if channels.state(channel) != ChannelState::Open {
            return Self::Ordered;
        }
        match channels.content(channel).map(Content::remaining) {
            None => Self::Between,
            Some(None) => Self::Header,
            Some(Some(octets)) => Self::Body(octets),
        }
    }

    /// Where it stands behind one frame more, which is set aside.
    fn behind(self, frame: &Frame<'_>) -> Self {
        match (self, frame.kind) {
            (Self::Between, FrameKind::Method) if is_publish(frame) => Self::Header,
            (Self::Header, FrameKind::Header) => {
                let size = frame.payload.get(BODY_SIZE);
                match size.and_then(|size| size.try_into().ok()) {
                    Some(size) => Self::of_body(u64::from_be_bytes(size)),
                    None => Self::Ordered,
                }
            }
            (Self::Body(octets), FrameKind::Body) => octets
                .checked_sub(frame.payload.len() as u64)
                .map_or(Self::Ordered, Self::of_body),
            _ => Self::Ordered,
        }
    }

    fn of_body(octets: u64) -> Self {
        if octets == 0 {
            Self::Between
        } else {
            Self::Body(octets)
        }
    }
}

impl Connection {
    /// There is a resource alarm with `reason` (`low on memory`, `low on disk`, joined with ` & `).
    /// The connection goes on until it publishes: then it gets `connection.blocked`, if it can take
    /// it, and nothing more is read from it until [`unblock`](Self::unblock) but what
    /// [`read_settlements`](Self::read_settlements) allows.
    pub fn block(&mut self, reason: &str) {
        if !matches!(self.alarm, Alarm::Blocking) {
            self.alarm = Alarm::Raised {
                reason: reason.to_owned(),
            };
        }
    }

    /// All alarms are over: what waited in the input, and what was set aside, can be polled for again.
    pub fn unblock(&mut self) {
        if matches!(
            std::mem::replace(&mut self.alarm, Alarm::None),
            Alarm::Blocking
        ) {
            self.reads_aside = false;
            self.excuse_silence();
            if self.capabilities.connection_blocked && self.phase == Phase::Running {
                let unblocked = connection::Unblocked {};
                self.send_connection_method(connection::AMQPMethod::Unblocked(unblocked));
            }
        }
    }

    /// Content has come: during an alarm it is the last thing that is acted upon.
    pub(super) fn block_publisher(&mut self) {
        let Alarm::Raised { reason } = &self.alarm else {
            return;
        };
        let reason = short_string(reason);
        self.alarm = Alarm::Blocking;
        if self.capabilities.connection_blocked {
            let blocked = connection::Blocked { reason };
            self.send_connection_method(connection::AMQPMethod::Blocked(blocked));
        }
    }

    /// Whether the connection is held back by a resource alarm.
    pub fn is_blocked(&self) -> bool {
        matches!(self.alarm, Alarm::Blocking)
    }

    /// Whether a blocked connection is read on, for the acks, nacks and rejects behind its publishes. To
    /// be allowed while it has something to settle; forgotten when it is unblocked.
    pub fn read_settlements(&mut self, allowed: bool) {
        self.reads_aside = allowed;
    }

    /// Octets that are set aside while the connection is blocked, with what is known of their channels.
    pub fn octets_aside(&self) -> usize {
        self.aside.as_deref().map_or(0, Aside::len)
    }

    /// Whether what was set aside can be polled for now, without any octet more.
    pub fn has_aside(&self) -> bool {
        self.aside.is_some() && !self.holds_back()
    }

    /// Whether the input waits for the end of an alarm.
    fn holds_back(&self) -> bool {
        self.phase == Phase::Running && self.is_blocked()
    }

    /// Whether the input is looked through for settlements now.
    pub(super) fn takes_aside(&self) -> bool {
        let stuck = |aside: &Aside| aside.stuck;
        self.reads_aside
            && self.holds_back()
            && !self.secret_pending
            && !self.aside.as_deref().is_some_and(stuck)
    }

    /// Once nothing holds the input back, what was set aside comes before it again.
    pub(super) fn return_aside(&mut self, input: &mut BytesMut) {
        if !self.has_aside() {
            return;
        }
        if let Some(mut aside) = self.aside.take() {
            aside.octets.extend_from_slice(input);
            *input = aside.octets;
        }
    }

    /// The next settlement that may go past the publishes before it. All else is set aside.
    pub(super) fn take_past_publishes(&mut self, input: &mut BytesMut) -> Option<Event> {
        let aside = self.aside.get_or_insert_default();
        loop {
            let frame = match cut(input, self.payload_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(_) => {
                    aside.stuck = true;
                    return None;
                }
            };
            let (channel, frame_len) = (frame.channel, frame.encoded_len());
            if channel == 0 && frame.kind == FrameKind::Heartbeat {
                input.advance(frame_len);
                continue;
            }
            let known = aside.channels.get(&channel).copied();
            let place = known.unwrap_or_else(|| Place::of(channel, &self.channels));
            if place == Place::Between
                && let Some(settlement) = settlement(&frame)
            {
                input.advance(frame_len);
                return Some(settlement.into_event(channel));
            }
            let full = aside.len() + CHANNEL_COST + frame_len > self.config.blocked_input_max;
            if full {
                self.config.limits_met.count(Limit::BlockedInputBytes);
            }
            if channel == 0 || full {
                aside.stuck = true;
                return None;
            }
            let place = place.behind(&frame);
            aside.channels.insert(channel, place);
            aside.octets.extend_from_slice(&input.split_to(frame_len));
        }
    }
}

fn is_publish(frame: &Frame<'_>) -> bool {
    split_method(frame.payload)
        .is_some_and(|(class, method, _)| (class, method) == (BASIC, PUBLISH))
}

/// The ack, nack or reject that a frame is, if it is one that decodes.
fn settlement(frame: &Frame<'_>) -> Option<Settlement> {
    if frame.kind != FrameKind::Method {
        return None;
    }
    let (class, method, arguments) = split_method(frame.payload)?;
    if !matches!(Kind::of(class, method), Some(Kind::Settlement)) {
        return None;
    }
    Settlement::parse(method, arguments).ok()
}
