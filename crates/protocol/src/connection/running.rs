//! Frames of a connection in use: commands of channel 0, and methods of the channels. Content stands
//! in `content`.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use leveret_wire::{
    Ack, Frame, FrameKind, MethodError, Nack, Reject, cut,
    method::{
        AMQPClass, access, channel,
        connection::{self, UpdateSecret},
    },
    parse_ack, parse_method, parse_nack, parse_publish, parse_reject, split_method,
};

use super::{Connection, Phase, Step, handshake::unexpected_method, undecodable, unexpected};
use crate::{
    channel::ChannelState,
    content::Content,
    credentials::Secret,
    error::ConnectionError,
    event::Event,
    limit::Limit,
    method::{BASIC, Kind, NACK, QOS, REJECT, strip_line_breaks},
};

/// Octets of a method payload before its arguments: class and method id.
const METHOD_IDS_LEN: usize = 4;

impl Connection {
    /// A frame on channel 0.
    pub(super) fn on_connection_frame(
        &mut self,
        frame: &Frame<'_>,
        now: Duration,
    ) -> Option<Event> {
        match frame.kind {
            FrameKind::Heartbeat => return None,
            FrameKind::Header | FrameKind::Body => return Some(self.fail(unexpected(frame), now)),
            FrameKind::Method => {}
        }
        match parse_method(frame.payload) {
            Ok(AMQPClass::Connection(connection::AMQPMethod::Close(_))) => {
                self.phase = Phase::PeerClosing { deaf: false };
                Some(Event::Close)
            }
            Ok(AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(update))) => {
                let UpdateSecret { new_secret, reason } = update;
                self.secret_pending = true;
                Some(Event::UpdateSecret {
                    secret: Secret::new(new_secret.as_bytes()),
                    reason: reason.into(),
                })
            }
            Ok(method) => {
                let error = unexpected_method("running").at_method(&method);
                Some(self.fail(error, now))
            }
            Err(error) => Some(self.fail(undecodable(&error), now)),
        }
    }

    /// A frame on any other channel. Every frame on a free number is measured against `channel_max`
    /// first, as RabbitMQ does, which makes a channel of it before it looks closer.
    #[inline]
    pub(super) fn on_channel_frame(&mut self, frame: &Frame<'_>, now: Duration) -> Step {
        if frame.kind == FrameKind::Heartbeat {
            return Step::Event(self.fail(unexpected(frame), now));
        }
        let state = self.channels.state(frame.channel);
        if state == ChannelState::Absent
            && let Err(error) = self.check_channel_count()
        {
            return Step::Event(self.fail(error, now));
        }
        match frame.kind {
            FrameKind::Method => self
                .on_method(frame.channel, state, frame.payload, now)
                .into(),
            FrameKind::Header => self
                .on_content_header(frame.channel, frame.payload, now)
                .into(),
            FrameKind::Body | FrameKind::Heartbeat => {
                self.on_content_body(frame.channel, frame.payload, now)
            }
        }
    }

    /// Takes an ack, nack or reject that stands complete at the start of the input.
    #[inline]
    pub(super) fn take_settlement(&mut self, method: u16, input: &mut BytesMut) -> Option<Event> {
        let frame = cut(input, self.payload_max).ok()??;
        let arguments = frame.payload.get(METHOD_IDS_LEN..)?;
        if !self.channels.takes_commands(frame.channel) {
            return None;
        }
        let settlement = Settlement::parse(method, arguments).ok()?;
        let (channel, frame_len) = (frame.channel, frame.encoded_len());
        input.advance(frame_len);
        Some(settlement.into_event(channel))
    }

    /// Whether one channel more is allowed. The count is bounded and not the number.
    fn check_channel_count(&self) -> Result<(), ConnectionError> {
        let (count, max) = (self.channels.count(), self.channel_max);
        if max == 0 || count < usize::from(max) {
            return Ok(());
        }
        Err(ConnectionError::not_allowed(format_args!(
            "number of channels opened ({count}) has reached the negotiated channel_max ({max})"
        ))
        .over(Limit::ChannelMax))
    }

    fn on_method(
        &mut self,
        channel: u16,
        state: ChannelState,
        payload: &[u8],
        now: Duration,
    ) -> Option<Event> {
        let (class, method, arguments) = split_method(payload)?;
        let Some(kind) = Kind::of(class, method) else {
            return Some(self.fail(
                undecodable(&MethodError::UnknownMethod { class, method }),
                now,
            ));
        };
        if let Some(content) = self.channels.content(channel) {
            let error = content.not_a_method();
            return Some(self.fail(error, now));
        }
        if state != ChannelState::Open {
            return self.on_method_not_open(channel, state, kind, payload, now);
        }
        let result = match kind {
            Kind::Publish => parse_publish(arguments).map(|publish| {
                self.channels
                    .begin_content(channel, Content::publish(&publish, now));
                None
            }),
            Kind::Settlement => Settlement::parse(method, arguments)
                .map(|settlement| Some(settlement.into_event(channel))),
            _ => parse_method(payload).map(|method| {
                match prefetch_size(class, method.get_amqp_method_id(), arguments) {
                    Some(size) => {
                        let error = ConnectionError::not_implemented(format_args!(
                            "prefetch_size!=0 ({size})"
                        ));
                        Some(self.fail(error.at_method(&method), now))
                    }
                    None => self.on_cold_method(channel, kind, method, now),
                }
            }),
        };
        result.unwrap_or_else(|error| Some(self.fail(undecodable(&error), now)))
    }

    /// A method other than the hot ones on an open channel.
    fn on_cold_method(
        &mut self,
        channel: u16,
        kind: Kind,
        mut method: AMQPClass,
        now: Duration,
    ) -> Option<Event> {
        let error = match (kind, &method) {
            (Kind::ChannelClose, _) => {
                self.channels
                    .start_closing(channel, ChannelState::ClosingByClient);
                return Some(Event::ChannelClose(channel));
            }
            (Kind::Command, _) => {
                strip_line_breaks(&mut method);
                return Some(Event::Method(channel, method));
            }
            (Kind::AccessRequest, _) => {
                // amq-protocol writes the ticket, 1.
                let request_ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                self.reply(channel, &AMQPClass::Access(request_ok));
                return None;
            }
            (_, AMQPClass::Channel(channel::AMQPMethod::Flow(flow))) if flow.active => {
                let flow_ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
                self.reply(channel, &AMQPClass::Channel(flow_ok));
                return None;
            }
            (Kind::ChannelFlow, _) => ConnectionError::not_implemented("active=false"),
            (Kind::ChannelOpen, _) => second_open(),
            _ => ConnectionError::command_invalid("unimplemented method"),
        };
        Some(self.fail(error.at_method(&method), now))
    }

    /// A method on a number that is free or a channel that is closing. It must decode all the same.
    fn on_method_not_open(
        &mut self,
        channel: u16,
        state: ChannelState,
        kind: Kind,
        payload: &[u8],
        now: Duration,
    ) -> Option<Event> {
        let (class, method, arguments) = split_method(payload)?;
        let decoded = match kind {
            Kind::Publish => parse_publish(arguments).map(|_| ()),
            _ => parse_method(payload).map(|_| ()),
        };
        if let Err(error) = decoded {
            return Some(self.fail(undecodable(&error), now));
        }
        let error = match (state, kind) {
            (ChannelState::Absent, Kind::ChannelOpen) => {
                self.channels.open(channel);
                return Some(Event::ChannelOpened(channel));
            }
            (ChannelState::Absent, _) => ConnectionError::channel_error("expected 'channel.open'"),
            (_, Kind::ChannelOpen) => second_open(),
            (ChannelState::ClosingByServer, Kind::ChannelClose) => {
                // Both sides began at once: the client gets its answer, we wait for ours.
                self.send_channel_method(
                    channel,
                    channel::AMQPMethod::CloseOk(channel::CloseOk {}),
                );
                return None;
            }
            (ChannelState::ClosingByServer, Kind::ChannelCloseOk) => {
                self.channels.remove(channel);
                return Some(Event::ChannelClosed(channel));
            }
            (_, kind) if kind.carries_content() => {
                self.channels
                    .begin_content(channel, Content::discarded((class, method), now));
                return None;
            }
            _ => return None,
        };
        Some(self.fail(error.at(class, method), now))
    }
}

/// The prefetch in octets that a `basic.qos` asks for, if it does: RabbitMQ has none. amq-protocol
/// reads past the field, so it is looked at here.
fn prefetch_size(class: u16, method: u16, arguments: &[u8]) -> Option<u32> {
    let size = arguments
        .first_chunk()
        .map(|octets| u32::from_be_bytes(*octets));
    size.filter(|size| (class, method) == (BASIC, QOS) && *size != 0)
}

/// What a client says about deliveries. Much smaller than an [`Event`], which is made of it at the
/// very end: moving half-written events about costs more than reading the frame.
pub(super) enum Settlement {
    Ack(Ack),
    Nack(Nack),
    Reject(Reject),
}

impl Settlement {
    #[inline]
    pub(super) fn parse(method: u16, arguments: &[u8]) -> Result<Self, MethodError> {
        match method {
            NACK => parse_nack(arguments).map(Self::Nack),
            REJECT => parse_reject(arguments).map(Self::Reject),
            _ => parse_ack(arguments).map(Self::Ack),
        }
    }

    #[inline]
    pub(super) fn into_event(self, channel: u16) -> Event {
        match self {
            Self::Ack(ack) => Event::Ack(channel, ack),
            Self::Nack(nack) => Event::Nack(channel, nack),
            Self::Reject(reject) => Event::Reject(channel, reject),
        }
    }
}

fn second_open() -> ConnectionError {
    ConnectionError::channel_error("second 'channel.open' seen")
}
