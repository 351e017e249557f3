//! Content that is being received: the method has come, the header or part of the body has not.
//!
//! AMQP 0-9-1 section 4.2.6: method, header, body frames, in this order on their channel, while
//! frames of other channels may come between. This is the slow road; a message that stands complete
//! in the input never comes here.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use leveret_wire::{BodyPart, INLINE_BODY_MAX, Message};

use crate::{event::Publish, method};

/// First step of a body buffer's growth in octets. Growth follows what was received, never what was
/// announced.
const FIRST_GROWTH: usize = 8 * 1024;
/// A body buffer has room for so many times what was received. Large, as each step of growth moves
/// all of the body; what is not yet received is not yet resident.
const GROWTH: usize = 4;

/// Half-received content of one channel.
#[derive(Debug)]
pub(crate) struct Content {
    /// Class and method id that opened it, for errors.
    pub(crate) opened_by: (u16, u16),
    /// The publish's flags.
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
    /// Nobody wants the message (its channel is closing): frames are counted, not kept.
    pub(crate) discarded: bool,
    /// When an octet of it came last.
    pub(crate) progress_at: Duration,
    /// What comes next.
    expected: Expected,
    /// Exchange and routing key as on the wire, then the header's payload.
    head: Vec<u8>,
    /// Where in `head` the header's payload starts.
    routing_len: usize,
    body: BytesMut,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Header,
    /// Octets of body still to come; never 0.
    Body(u64),
}

impl Content {
    /// Content after its `basic.publish`.
    pub(crate) fn publish(publish: &leveret_wire::Publish<'_>, now: Duration) -> Self {
        Self {
            opened_by: (method::BASIC, method::PUBLISH),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
            discarded: false,
            progress_at: now,
            expected: Expected::Header,
            head: publish.routing.to_vec(),
            routing_len: publish.routing.len(),
            body: BytesMut::new(),
        }
    }

    /// Content after a method on a channel that is closing.
    pub(crate) fn discarded(opened_by: (u16, u16), now: Duration) -> Self {
        Self {
            opened_by,
            mandatory: false,
            immediate: false,
            discarded: true,
            progress_at: now,
            expected: Expected::Header,
            head: Vec::new(),
            routing_len: 0,
            body: BytesMut::new(),
        }
    }

    /// Octets of body still to come; `None` before the header.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self.expected {
            Expected::Header => None,
            Expected::Body(remaining) => Some(remaining),
        }
    }

    /// Octets of memory held for the message.
    pub(crate) fn held(&self) -> u64 {
        (self.head.len() + self.body.len()) as u64
    }

    /// Forgets what was kept; the rest is only counted.
    pub(crate) fn discard(&mut self) {
        self.discarded = true;
        self.head = Vec::new();
        self.routing_len = 0;
        self.body = BytesMut::new();
    }

    /// Takes the header's payload and the size it announces.
    pub(crate) fn accept_header(&mut self, payload: &[u8], body_size: u64) {
        if !self.discarded {
            self.head.extend_from_slice(payload);
        }
        self.expected = Expected::Body(body_size);
    }

    /// Takes a body frame's payload, which is not longer than what remains.
    pub(crate) fn accept_body(&mut self, payload: &[u8]) {
        let Expected::Body(remaining) = self.expected else {
            return;
        };
        if !self.discarded {
            self.grow(payload.len(), remaining);
            self.body.extend_from_slice(payload);
        }
        self.expected = Expected::Body(remaining.saturating_sub(payload.len() as u64));
    }

    /// Makes room for `additional` octets, and for more of the `remaining` ones to come: up to
    /// [`GROWTH`] times what was received, never past what the header announced. So a body of few
    /// frames is joined without moving it, and one announced but not sent takes no memory.
    fn grow(&mut self, additional: usize, remaining: u64) {
        if self.body.capacity() - self.body.len() >= additional {
            return;
        }
        let to_come = usize::try_from(remaining).unwrap_or(usize::MAX);
        let received = self.body.len().saturating_add(additional);
        let ahead = received.saturating_mul(GROWTH).max(FIRST_GROWTH) - self.body.len();
        self.body.reserve(ahead.min(to_come).max(additional));
    }

    /// Whether all of it has come.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.expected, Expected::Body(0))
    }

    /// Whether `len` octets would be the whole body, so that no buffer is needed to join it.
    pub(crate) fn is_whole_body(&self, len: usize) -> bool {
        !self.discarded && self.body.is_empty() && self.remaining() == Some(len as u64)
    }

    /// The message; `None` if it was discarded. `whole_body` stands in for the joined frames.
    pub(crate) fn finish(self, whole_body: Option<Bytes>) -> Option<Publish> {
        if self.discarded {
            return None;
        }
        let (routing, header) = self.head.split_at_checked(self.routing_len)?;
        let body = whole_body.unwrap_or_else(|| self.body.freeze());
        let part = if body.len() > INLINE_BODY_MAX {
            BodyPart::Bytes(body)
        } else {
            BodyPart::Slice(&body)
        };
        Some(Publish {
            message: Message::new(routing, header, part),
            mandatory: self.mandatory,
            immediate: self.immediate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content whose header announces `body_size` octets.
    fn announced(body_size: u64) -> Content {
        let publish = leveret_wire::Publish {
            routing: b"\0\0",
            mandatory: false,
            immediate: false,
        };
        let mut content = Content::publish(&publish, Duration::ZERO);
        content.accept_header(&[], body_size);
        content
    }

    #[test]
    fn a_body_of_few_frames_is_joined_without_moving_it() {
        const FRAME: usize = 128 * 1024 - 8;
        let mut content = announced(3 * FRAME as u64 + 16);
        let frame = vec![1; FRAME];
        content.accept_body(&frame);
        let place = content.body.as_ptr();
        content.accept_body(&frame);
        content.accept_body(&frame);
        content.accept_body(&[1; 16]);
        assert!(content.is_complete());
        assert_eq!(content.body.as_ptr(), place);
    }

    #[test]
    fn memory_follows_what_was_received_and_not_what_was_announced() {
        let mut content = announced(1 << 30);
        content.accept_body(&[1; 100]);
        assert!(content.body.capacity() < 2 * FIRST_GROWTH);
        content.accept_body(&vec![1; 100_000]);
        assert!(content.body.capacity() <= 2 * GROWTH * 100_100);
        let mut short = announced(50);
        short.accept_body(&[1; 50]);
        assert!(short.body.capacity() < FIRST_GROWTH);
    }
}
