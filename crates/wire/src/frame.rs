//! The frame envelope: type (1), channel (2), size (4), payload, end octet (AMQP 0-9-1 section 4.2.3).

use thiserror::Error;

use crate::excerpt::Excerpt;
use crate::output::OutputBuffer;

/// The octet that ends every frame (AMQP 0-9-1 `frame-end`).
pub const FRAME_END: u8 = 0xCE;
/// Octets of a frame that are not payload.
pub const FRAME_OVERHEAD: usize = 8;
/// Octets before the payload.
pub const FRAME_HEADER_LEN: usize = 7;
/// The smallest `frame_max` a peer may ask for, in octets (AMQP 0-9-1 `frame-min-size`).
pub const FRAME_MIN_SIZE: u32 = 4096;

/// RabbitMQ lets a payload be as long as `frame_max`, for clients that forget the eight octets of
/// the envelope; its error text still names the limit without them.
const FORGIVENESS: u32 = 8;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Class, method and arguments (type 1).
    Method = 1,
    /// A content header: class, weight, body size, properties (type 2).
    Header = 2,
    /// A piece of a message body (type 3).
    Body = 3,
    /// Nothing: a sign of life (type 8).
    Heartbeat = 8,
}

impl FrameKind {
    /// The kind of a type octet, if there is one.
    #[inline]
    pub fn of(octet: u8) -> Option<Self> {
        match octet {
            1 => Some(Self::Method),
            2 => Some(Self::Header),
            3 => Some(Self::Body),
            8 => Some(Self::Heartbeat),
            _ => None,
        }
    }

    /// The type octet on the wire.
    #[inline]
    pub fn octet(self) -> u8 {
        self as u8
    }

    /// Payload lengths that RabbitMQ takes for this kind: shorter methods and content headers, and
    /// heartbeats with a payload, are `unknown_frame`.
    #[inline]
    fn accepts(self, payload_len: usize) -> bool {
        match self {
            Self::Method => payload_len >= 4,
            Self::Header => payload_len >= 12,
            Self::Body => true,
            Self::Heartbeat => payload_len == 0,
        }
    }
}

/// The seven octets before a payload, as sent: the type may be unknown and the size too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The type octet.
    pub kind: u8,
    /// The channel number; 0 is the connection itself.
    pub channel: u16,
    /// Octets of the payload.
    pub size: u32,
}

impl FrameHeader {
    /// Read the envelope's first seven octets; `None` when there are fewer.
    #[inline]
    pub fn parse(input: &[u8]) -> Option<Self> {
        let &[kind, channel_high, channel_low, s3, s2, s1, s0] =
            input.first_chunk::<FRAME_HEADER_LEN>()?;
        Some(Self {
            kind,
            channel: u16::from_be_bytes([channel_high, channel_low]),
            size: u32::from_be_bytes([s3, s2, s1, s0]),
        })
    }

    /// The seven octets on the wire.
    #[inline]
    pub fn octets(self) -> [u8; FRAME_HEADER_LEN] {
        let [channel_high, channel_low] = self.channel.to_be_bytes();
        let [s3, s2, s1, s0] = self.size.to_be_bytes();
        [self.kind, channel_high, channel_low, s3, s2, s1, s0]
    }
}

/// One frame, still lying in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it carries.
    pub kind: FrameKind,
    /// The channel number; 0 is the connection itself.
    pub channel: u16,
    /// What stands between envelope header and end octet.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Octets the frame takes in the input, envelope included.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        self.payload.len() + FRAME_OVERHEAD
    }
}

/// Octets that are no frame. Each is a 501 `FRAME_ERROR`, and the stream can't be read further; the
/// text is RabbitMQ's after the `FRAME_ERROR - `.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The octet after the payload is not [`FRAME_END`].
    #[error("type {kind}, {payload}: {{invalid_frame_end_marker,{end}}}")]
    BadEnd {
        /// The type octet.
        kind: u8,
        /// The octet that stands in the place of the end octet.
        end: u8,
        /// The payload's first octets.
        payload: Excerpt,
    },
    /// The announced payload is over the limit. Known from the first seven octets.
    #[error("type {kind}, all octets = <<>>: {{frame_too_large,{size},{max}}}")]
    TooLarge {
        /// The type octet.
        kind: u8,
        /// Announced octets of payload.
        size: u32,
        /// Octets of payload that a frame of `frame_max` octets carries (the tolerated eight more
        /// are not counted, as in RabbitMQ's text).
        max: u32,
    },
    /// A type that AMQP 0-9-1 does not know, a heartbeat with payload, or a method or content
    /// header too short to be one.
    #[error("type {kind}, {payload}: unknown_frame")]
    UnknownType {
        /// The type octet.
        kind: u8,
        /// The payload's first octets.
        payload: Excerpt,
    },
}

/// Cut one frame at the start of `input`, which is not consumed: the frame took
/// [`Frame::encoded_len`] octets of it. `Ok(None)` asks for more octets.
///
/// `payload_max` is the largest accepted payload in octets: the negotiated `frame_max`, which is
/// `frame_max - 8` and the eight octets that RabbitMQ forgives. The order of the checks is
/// RabbitMQ's: size (from the first seven octets), end octet, type.
#[inline]
pub fn cut(input: &[u8], payload_max: u32) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((envelope, rest)) = input.split_first_chunk::<FRAME_HEADER_LEN>() else {
        return Ok(None);
    };
    let &[kind, channel_high, channel_low, s3, s2, s1, s0] = envelope;
    let size = u32::from_be_bytes([s3, s2, s1, s0]);
    let (true, Ok(payload_len)) = (size <= payload_max, usize::try_from(size)) else {
        return Err(too_large(kind, size, payload_max));
    };
    let Some((payload, after)) = rest.split_at_checked(payload_len) else {
        return Ok(None);
    };
    let Some(&end) = after.first() else {
        return Ok(None);
    };
    if end != FRAME_END {
        return Err(bad_end(kind, end, payload));
    }
    match FrameKind::of(kind) {
        Some(kind) if kind.accepts(payload_len) => Ok(Some(Frame {
            kind,
            channel: u16::from_be_bytes([channel_high, channel_low]),
            payload,
        })),
        _ => Err(unknown_type(kind, payload)),
    }
}

/// Cut one frame of that kind at the start of `input`: its channel, its payload, and what follows it.
/// `None` for anything else. Kept apart from [`cut`], whose result is too wide to be cheap.
#[inline]
pub(crate) fn split_kind(
    input: &[u8],
    kind: FrameKind,
    payload_max: u32,
) -> Option<(u16, &[u8], &[u8])> {
    let (envelope, rest) = input.split_first_chunk::<FRAME_HEADER_LEN>()?;
    let &[octet, channel_high, channel_low, s3, s2, s1, s0] = envelope;
    let size = u32::from_be_bytes([s3, s2, s1, s0]);
    if octet != kind.octet() || size > payload_max {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
    let (&end, rest) = rest.split_first()?;
    let channel = u16::from_be_bytes([channel_high, channel_low]);
    let accepted = end == FRAME_END && kind.accepts(payload.len());
    accepted.then_some((channel, payload, rest))
}

/// Write a heartbeat frame: type 8, channel 0, no payload.
pub fn encode_heartbeat(out: &mut OutputBuffer) {
    out.put_slice(&[FrameKind::Heartbeat.octet(), 0, 0, 0, 0, 0, 0, FRAME_END]);
}

#[cold]
fn too_large(kind: u8, size: u32, payload_max: u32) -> FrameError {
    FrameError::TooLarge {
        kind,
        size,
        max: payload_max.saturating_sub(FORGIVENESS),
    }
}

#[cold]
fn bad_end(kind: u8, end: u8, payload: &[u8]) -> FrameError {
    FrameError::BadEnd {
        kind,
        end,
        payload: Excerpt::snippet(payload),
    }
}

#[cold]
fn unknown_type(kind: u8, payload: &[u8]) -> FrameError {
    FrameError::UnknownType {
        kind,
        payload: Excerpt::snippet(payload),
    }
}

#[cfg(test)]
mod tests;
