//! `basic.publish` without a copy (AMQP 0-9-1 section 1.8.3.7).

use std::ops::Range;

use crate::content::{ContentHeader, parse_content_header};
use crate::frame::{FRAME_HEADER_LEN, FrameKind, split_kind};
use crate::message::{INLINE_BODY_MAX, Message};
use crate::methods::{BASIC, MethodError, split_method};
use crate::octets::{split_shortstr, split_u8, split_u16};

/// Method id of `basic.publish`.
pub const PUBLISH: u16 = 40;
/// Octets of class, method and the unused ticket, before the exchange name.
const BEFORE_ROUTING: usize = 6;

/// `basic.publish`, still lying in the input. The names may be any octets, UTF-8 or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The exchange name and the routing key, two short strings as they stand on the wire.
    pub routing: &'a [u8],
    /// Return the message when it reaches no queue.
    pub mandatory: bool,
    /// Return the message when no consumer takes it at once; RabbitMQ refuses this flag.
    pub immediate: bool,
}

impl<'a> Publish<'a> {
    /// The exchange name; empty for the default exchange.
    #[inline]
    pub fn exchange(&self) -> &'a [u8] {
        split_shortstr(self.routing).map_or(&[], |(exchange, _)| exchange)
    }

    /// The routing key.
    #[inline]
    pub fn routing_key(&self) -> &'a [u8] {
        split_shortstr(self.routing)
            .and_then(|(_, rest)| split_shortstr(rest))
            .map_or(&[], |(key, _)| key)
    }
}

/// Read a `basic.publish` from its `arguments` (what follows class and method).
#[inline]
pub fn parse_publish(arguments: &[u8]) -> Result<Publish<'_>, MethodError> {
    split_publish(arguments).ok_or_else(|| MethodError::undecodable(BASIC, PUBLISH, arguments))
}

#[inline]
fn split_publish(arguments: &[u8]) -> Option<Publish<'_>> {
    let (_ticket, names) = split_u16(arguments)?;
    let (_exchange, rest) = split_shortstr(names)?;
    let (_routing_key, rest) = split_shortstr(rest)?;
    let routing = names.get(..names.len() - rest.len())?;
    let (bits, rest) = split_u8(rest)?;
    rest.is_empty().then_some(Publish {
        routing,
        mandatory: bits & 1 != 0,
        immediate: bits & 2 != 0,
    })
}

/// A publish whose frames (method, content header, and one body frame unless the body is empty)
/// stand whole and side by side in the input: the usual case.
#[derive(Clone, Copy, Debug)]
pub struct WholePublish<'a> {
    /// The channel of all its frames.
    pub channel: u16,
    /// The method.
    pub publish: Publish<'a>,
    /// The content header; its properties were checked.
    pub header: ContentHeader<'a>,
    /// The body.
    pub body: &'a [u8],
    /// The frames' octets.
    frames: &'a [u8],
}

impl WholePublish<'_> {
    /// Octets that the frames take at the start of the input.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        self.frames.len()
    }

    /// Where the body stands in the input.
    #[inline]
    pub fn body_range(&self) -> Range<usize> {
        match self.frames.len().checked_sub(1 + self.body.len()) {
            Some(start) if !self.body.is_empty() => start..start + self.body.len(),
            _ => 0..0,
        }
    }

    /// The message. A body over [`INLINE_BODY_MAX`] is copied into an allocation of its own; build
    /// the message from the parts to keep such a body by reference.
    #[inline]
    pub fn message(&self) -> Message {
        let after_first = FRAME_HEADER_LEN + BEFORE_ROUTING + 1;
        match self.frames.get(after_first..) {
            Some(octets) if self.body.len() <= INLINE_BODY_MAX => {
                Message::from_frames(self.publish.routing, &self.header, octets)
            }
            _ => Message::new(self.publish.routing, self.header.raw, self.body.into()),
        }
    }
}

/// Cut a whole publish at the start of `input`, which is not consumed. `None` for anything else:
/// another frame, frames that are incomplete, split, out of order or broken. The caller then goes
/// frame by frame, and finds the error if there is one.
///
/// `payload_max` is the largest accepted payload in octets, as for [`cut`](crate::frame::cut).
#[inline]
pub fn cut_publish(input: &[u8], payload_max: u32) -> Option<WholePublish<'_>> {
    let (channel, method, rest) = split_kind(input, FrameKind::Method, payload_max)?;
    let (BASIC, PUBLISH, arguments) = split_method(method)? else {
        return None;
    };
    let publish = split_publish(arguments)?;
    let (header_channel, header, rest) = split_kind(rest, FrameKind::Header, payload_max)?;
    let header = parse_content_header(header).ok()?;
    if header_channel != channel || header.class != BASIC || header.weight != 0 {
        return None;
    }
    let (body_channel, body, rest) = if header.body_size == 0 {
        (channel, &[][..], rest)
    } else {
        split_kind(rest, FrameKind::Body, payload_max)?
    };
    let in_one_frame = u64::try_from(body.len()) == Ok(header.body_size);
    if body_channel != channel || !in_one_frame {
        return None;
    }
    Some(WholePublish {
        channel,
        publish,
        header,
        body,
        frames: input.get(..input.len() - rest.len())?,
    })
}

#[cfg(test)]
mod tests;
