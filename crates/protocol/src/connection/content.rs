//! Messages: taken whole where they stand complete in the input, else joined frame by frame.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use leveret_wire::{
    BodyPart, ContentError, FRAME_HEADER_LEN, Message, cut_publish, parse_content_header,
};

use super::{Connection, Step, blocking::Alarm, broken_table};
use crate::{
    channel::ChannelState,
    config::BODY_SIZE_HARD_MAX,
    content::Content,
    error::{ChannelError, ConnectionError},
    event::{Event, Publish},
    limit::Limit,
    method::BASIC,
};

/// Bodies from this many octets on are kept by reference to the read buffer; smaller ones are copied,
/// because a reference keeps all of the buffer. What a publisher sends one by one may have a buffer for
/// each: of 128 KiB or, with the beginning of a frame in it, nearly twice that.
const BY_REFERENCE_MIN: usize = 64 * 1024;

impl Connection {
    /// Takes a publish whose frames stand complete and side by side at the start of the input: one
    /// step, one allocation. `None` for anything else, which is then looked at frame by frame.
    #[inline]
    pub(super) fn take_publish(&mut self, input: &mut BytesMut) -> Option<Event> {
        // During an alarm the connection stops between header and body, so nothing is taken whole.
        if !matches!(self.alarm, Alarm::None) {
            return None;
        }
        let whole = cut_publish(input, self.payload_max)?;
        let channel = whole.channel;
        let too_large = whole.header.body_size > self.config.max_message_size;
        if too_large || !self.channels.takes_commands(channel) {
            return None;
        }
        let (mandatory, immediate) = (whole.publish.mandatory, whole.publish.immediate);
        let encoded_len = whole.encoded_len();
        let message = if whole.body.len() < BY_REFERENCE_MIN {
            let message = whole.message();
            input.advance(encoded_len);
            message
        } else {
            let body = whole.body_range();
            let frames = input.split_to(encoded_len).freeze();
            let whole = cut_publish(&frames, self.payload_max)?;
            let body = BodyPart::Bytes(frames.slice(body));
            Message::new(whole.publish.routing, whole.header.raw, body)
        };
        Some(Event::Publish(
            channel,
            Publish {
                message,
                mandatory,
                immediate,
            },
        ))
    }

    pub(super) fn on_content_header(
        &mut self,
        channel: u16,
        payload: &[u8],
        now: Duration,
    ) -> Option<Event> {
        let body_size = match self.check_content_header(channel, payload) {
            Ok(body_size) => body_size,
            Err(error) => return Some(self.fail(error, now)),
        };
        self.channels.update_content(channel, |content| {
            content.accept_header(payload, body_size);
            content.progress_at = now;
        });
        let content = self.channels.content(channel)?;
        let failed = if !content.discarded && body_size > self.config.max_message_size {
            if content.immediate {
                let error = ConnectionError::not_implemented("immediate=true");
                return Some(self.fail(error.at(BASIC, 40), now));
            }
            Some(self.refuse_large_message(channel, body_size))
        } else if let Err(error) = self.check_content_held(0) {
            return Some(self.fail(error.at(BASIC, 40), now));
        } else {
            None
        };
        self.block_publisher();
        failed.or_else(|| self.finish_content(channel))
    }

    /// The body size that the header announces, if the header is legal here.
    fn check_content_header(&self, channel: u16, payload: &[u8]) -> Result<u64, ConnectionError> {
        let content = self
            .channels
            .content(channel)
            .ok_or_else(no_method_before)?;
        let (class, method) = content.opened_by;
        if content.remaining().is_some() {
            return Err(expected_body().at(class, method));
        }
        let Some(announced) = Announced::read(payload).filter(|header| header.weight == 0) else {
            return Err(expected_header(&"non content header frame").at(class, method));
        };
        if announced.class != BASIC {
            let got = format_args!("one for class {}", announced.class);
            return Err(expected_header(&got).at(class, method));
        }
        let body_size = announced.body_size;
        if body_size > BODY_SIZE_HARD_MAX {
            return Err(ConnectionError::frame_error(format_args!(
                "content body size {body_size} exceeds maximum allowed size {BODY_SIZE_HARD_MAX}"
            ))
            .over(Limit::MessageSize)
            .at(class, method));
        }
        if !content.discarded {
            parse_content_header(payload)
                .map_err(|error| undecodable_properties(&error).at(class, method))?;
        }
        Ok(body_size)
    }

    /// RabbitMQ answers after the body; here the body is only counted and the answer comes at once.
    fn refuse_large_message(&mut self, channel: u16, body_size: u64) -> Event {
        let max = self.config.max_message_size;
        let error = ChannelError::precondition_failed(format_args!(
            "message size {body_size} is larger than configured max size {max}"
        ))
        .over(Limit::MessageSize)
        .at(BASIC, 40);
        self.close_channel(channel, &error);
        Event::ChannelFailed(channel, error)
    }

    pub(super) fn on_content_body(&mut self, channel: u16, payload: &[u8], now: Duration) -> Step {
        let checked = match self.channels.content(channel) {
            None => Err(no_method_before()),
            Some(content) => content.check_body(payload.len()),
        };
        let len = payload.len();
        match checked {
            Err(error) => return Step::Event(self.fail(error, now)),
            Ok(()) if len == 0 => return Step::Consumed,
            Ok(()) => {}
        }
        let content = self.channels.content(channel);
        if len >= BY_REFERENCE_MIN && content.is_some_and(|content| content.is_whole_body(len)) {
            return Step::TakeBody(channel);
        }
        if content.is_some_and(|content| !content.discarded)
            && let Err(error) = self.check_content_held(len as u64)
        {
            return Step::Event(self.fail(error.at(BASIC, 40), now));
        }
        self.channels.update_content(channel, |content| {
            content.accept_body(payload);
            content.progress_at = now;
        });
        self.finish_content(channel).into()
    }

    /// Takes the whole body of a channel's content out of the input, by reference.
    pub(super) fn take_body(
        &mut self,
        channel: u16,
        input: &mut BytesMut,
        frame_len: usize,
    ) -> Option<Event> {
        let mut frame = input.split_to(frame_len).freeze();
        frame.advance(FRAME_HEADER_LEN);
        frame.truncate(frame.len().saturating_sub(1));
        let publish = self.channels.end_content(channel)?.finish(Some(frame))?;
        Some(Event::Publish(channel, publish))
    }

    /// The message, if its last octet has come and somebody wants it.
    fn finish_content(&mut self, channel: u16) -> Option<Event> {
        if !self.channels.content(channel)?.is_complete() {
            return None;
        }
        let publish = self.channels.end_content(channel)?.finish(None)?;
        Some(Event::Publish(channel, publish))
    }

    /// Whether `more` octets of half-received content may be held.
    fn check_content_held(&self, more: u64) -> Result<(), ConnectionError> {
        let max = self.config.content_in_progress_max;
        if self.channels.held().saturating_add(more) <= max {
            return Ok(());
        }
        Err(ConnectionError::resource_error(format_args!(
            "half-received content on this connection exceeds {max} octets"
        ))
        .over(Limit::ContentInProgress))
    }

    /// A soft error by the broker: `channel.close` goes out, and everything the client sends on the
    /// channel is ignored until its `close-ok`. Content is still parsed, as its errors are hard.
    /// Without effect unless the channel is open, so it is sent once.
    pub fn close_channel(&mut self, channel: u16, error: &ChannelError) {
        if self.can_send(channel) {
            self.count_limit(error.limit);
            self.send_channel_close(channel, error);
            self.channels
                .start_closing(channel, ChannelState::ClosingByServer);
        }
    }
}

/// The fields of a content header that say whether it is one at all.
struct Announced {
    class: u16,
    weight: u16,
    body_size: u64,
}

impl Announced {
    fn read(payload: &[u8]) -> Option<Self> {
        let (class, rest) = payload.split_first_chunk()?;
        let (weight, rest) = rest.split_first_chunk()?;
        let (body_size, _) = rest.split_first_chunk()?;
        Some(Self {
            class: u16::from_be_bytes(*class),
            weight: u16::from_be_bytes(*weight),
            body_size: u64::from_be_bytes(*body_size),
        })
    }
}

impl Content {
    /// The error for a method that comes before the content is complete.
    pub(super) fn not_a_method(&self) -> ConnectionError {
        let (class, method) = self.opened_by;
        match self.remaining() {
            None => expected_header(&"non content header frame"),
            Some(_) => expected_body(),
        }
        .at(class, method)
    }

    /// Whether a body frame with `len` octets may come.
    fn check_body(&self, len: usize) -> Result<(), ConnectionError> {
        let (class, method) = self.opened_by;
        match self.remaining() {
            None => Err(expected_header(&"non content header frame").at(class, method)),
            Some(remaining) if len as u64 > remaining => Err(ConnectionError::frame_error(
                "content body frame exceeds remaining content size",
            )
            .at(class, method)),
            Some(_) => Ok(()),
        }
    }
}

fn no_method_before() -> ConnectionError {
    ConnectionError::unexpected_frame("expected method frame, got non method frame instead")
}

fn expected_header(got: &dyn std::fmt::Display) -> ConnectionError {
    ConnectionError::unexpected_frame(format_args!(
        "expected content header for class {BASIC}, got {got} instead"
    ))
}

fn expected_body() -> ConnectionError {
    ConnectionError::unexpected_frame("expected content body, got non content body frame instead")
}

/// Deviation from RabbitMQ, which fails with 541: the peer is told what is wrong.
fn undecodable_properties(error: &ContentError) -> ConnectionError {
    match error {
        ContentError::Headers(table) => broken_table(ConnectionError::syntax_error(error), table),
        _ => ConnectionError::frame_error(error),
    }
}
