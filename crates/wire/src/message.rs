//! A message as it travels through the broker: immutable, and one reference count to share.
//!
//! A message is kept as it will be written. Its one allocation holds the *image*:
//!
//! ```text
//! routing | CE 02 channel size | content header | CE | 03 channel size | body | CE
//!         \_ end of the method   \_ as published       \_ only for an inline body
//! ```
//!
//! so that a delivery is one copy of the image behind the method's own arguments, with the channel
//! numbers put over. A publish that lies whole in the read buffer has the same octets in the same
//! order but for one octet of flags behind the routing, so building the message is one copy too. A
//! body over [`INLINE_BODY_MAX`] stands beside the image, in a [`Bytes`].

mod stored;

use std::fmt;

use bytes::Bytes;
use thiserror::Error;
use triomphe::{Arc, ThinArc};

use crate::content::{ContentError, ContentHeader, delivery_mode_and_priority};
use crate::frame::{FRAME_END, FRAME_HEADER_LEN, FrameHeader, FrameKind};
use crate::octets::{length_u32, split_shortstr};
use crate::properties::{Properties, Property};

/// Octets of the largest body that is copied into the message's own allocation. Larger ones are
/// worth an allocation and a reference count of their own.
pub const INLINE_BODY_MAX: usize = 4096;

/// Octets between routing and content header: the method's end octet and an envelope.
const BEFORE_HEADER: usize = 1 + FRAME_HEADER_LEN;
/// What stands for a routing that is not two short strings: the default exchange and an empty key.
const NO_ROUTING: &[u8] = &[0, 0];
/// Facts about the properties, found once when the message is made.
mod fact {
    pub(super) const PERSISTENT: u8 = 1;
    pub(super) const UNKNOWN_DELIVERY_MODE: u8 = 1 << 1;
    pub(super) const HEADERS: u8 = 1 << 2;
    pub(super) const EXPIRATION: u8 = 1 << 3;
    pub(super) const REPLY_TO: u8 = 1 << 4;
    pub(super) const USER_ID: u8 = 1 << 5;
}

/// Parts that make no message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// The stored content header is none.
    #[error("stored message: {0}")]
    Header(ContentError),
    /// An exchange name or routing key has more than 255 octets.
    #[error("exchange name or routing key is longer than 255 octets")]
    NameTooLong,
    /// The stored routing is not two short strings.
    #[error("stored message: routing is not two short strings")]
    Routing,
    /// The stored lengths do not add up to the stored octets.
    #[error("stored message: lengths do not match the octets")]
    StoredLength,
}

/// A body on its way into a message.
#[derive(Clone, Debug)]
pub enum BodyPart<'a> {
    /// Octets to be copied.
    Slice(&'a [u8]),
    /// Octets to be kept by reference when they are more than [`INLINE_BODY_MAX`], else copied.
    Bytes(Bytes),
}

impl<'a> From<&'a [u8]> for BodyPart<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Slice(octets)
    }
}

impl From<Bytes> for BodyPart<'_> {
    fn from(octets: Bytes) -> Self {
        Self::Bytes(octets)
    }
}

/// A message: where it was published to, its content header as it came, its body. Cloning costs one
/// reference count.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// What stands before the image.
struct Head {
    /// The body, when it is over [`INLINE_BODY_MAX`]. Boxed: small messages are the many.
    large: Option<Box<Bytes>>,
    /// Octets of the content header payload.
    header_len: u32,
    /// Octets of the routing.
    routing_len: u16,
    /// Bits of [`fact`].
    facts: u8,
    /// The priority, 0 when there is none.
    priority: u8,
}

/// The image of a message and where its parts lie.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    /// All of it.
    pub(crate) octets: &'a [u8],
    /// Octets of the routing, at the start.
    pub(crate) routing_len: usize,
    /// Index after the end octet of the header frame; an inline body frame begins there.
    pub(crate) header_end: usize,
    /// The body that stands beside the image.
    pub(crate) large: Option<&'a Bytes>,
}

impl Message {
    /// A message of `routing` (the exchange name and the routing key, two short strings as on the
    /// wire), a content header payload as it was received, and a body.
    ///
    /// The parts come from this crate's parsers or are checked by the caller. A routing that is not
    /// two short strings counts as two empty names; undecodable properties count as none.
    pub fn new(routing: &[u8], header: &[u8], body: BodyPart<'_>) -> Self {
        let routing = if is_routing(routing) {
            routing
        } else {
            NO_ROUTING
        };
        match body {
            BodyPart::Slice(body) if body.len() <= INLINE_BODY_MAX => {
                Self::build(routing, header, body, None)
            }
            BodyPart::Bytes(body) if body.len() <= INLINE_BODY_MAX => {
                Self::build(routing, header, &body, None)
            }
            BodyPart::Slice(body) => {
                Self::build(routing, header, &[], Some(Bytes::copy_from_slice(body)))
            }
            BodyPart::Bytes(body) => Self::build(routing, header, &[], Some(body)),
        }
    }

    /// As [`Self::new`], with the names apart; each at most 255 octets.
    pub fn from_parts(
        exchange: &[u8],
        routing_key: &[u8],
        header: &[u8],
        body: BodyPart<'_>,
    ) -> Result<Self, MessageError> {
        Ok(Self::new(&routing_of(exchange, routing_key)?, header, body))
    }

    /// The message of a whole publish with a body of at most [`INLINE_BODY_MAX`] octets. `octets` is
    /// what its frames hold from the second octet of the routing on: as many as the image has, and
    /// the same but for the routing, which ends where the image has not the octet of flags.
    #[inline]
    pub(crate) fn from_frames(routing: &[u8], header: &ContentHeader<'_>, octets: &[u8]) -> Self {
        // Copy all in one go, then put the few octets of the routing right.
        let mut message = ThinArc::from_header_and_slice(Head::of(routing, header, None), octets);
        message.with_arc_mut(|message| {
            let target = Arc::get_mut(message)
                .and_then(|message| message.slice_mut().get_mut(..routing.len()));
            if let Some(target) = target {
                target.copy_from_slice(routing);
            }
        });
        Self(message)
    }

    /// The same message with other names; a large body is shared.
    pub fn with_routing(&self, exchange: &[u8], routing_key: &[u8]) -> Result<Self, MessageError> {
        let routing = routing_of(exchange, routing_key)?;
        Ok(Self::new(&routing, self.header(), self.body_part()))
    }

    /// The same message with another content header payload; a large body is shared.
    #[must_use]
    pub fn with_header(&self, header: &[u8]) -> Self {
        Self::new(self.routing(), header, self.body_part())
    }

    /// The exchange name; empty for the default exchange.
    #[inline]
    pub fn exchange(&self) -> &[u8] {
        split_shortstr(self.routing()).map_or(&[], |(exchange, _)| exchange)
    }

    /// The routing key.
    #[inline]
    pub fn routing_key(&self) -> &[u8] {
        split_shortstr(self.routing())
            .and_then(|(_, rest)| split_shortstr(rest))
            .map_or(&[], |(key, _)| key)
    }

    /// The exchange name and the routing key, two short strings as on the wire.
    #[inline]
    pub fn routing(&self) -> &[u8] {
        let image = self.image();
        image.octets.get(..image.routing_len).unwrap_or_default()
    }

    /// The content header payload as it was received.
    #[inline]
    pub fn header(&self) -> &[u8] {
        let image = self.image();
        let range = image.routing_len + BEFORE_HEADER..image.header_end - 1;
        image.octets.get(range).unwrap_or_default()
    }

    /// The body.
    #[inline]
    pub fn body(&self) -> &[u8] {
        let image = self.image();
        match image.large {
            Some(body) => body,
            None => image.inline_body(),
        }
    }

    /// The body as shared octets: without a copy when it is over [`INLINE_BODY_MAX`].
    pub fn body_bytes(&self) -> Bytes {
        match self.image().large {
            Some(body) => body.clone(),
            None => Bytes::copy_from_slice(self.body()),
        }
    }

    /// The properties, decoded on demand.
    #[inline]
    pub fn properties(&self) -> Properties<'_> {
        ContentHeader::split(self.header()).map_or_else(Properties::default, |h| h.properties())
    }

    /// Delivery mode 2: the message must outlive the process in a durable queue.
    #[inline]
    pub fn is_persistent(&self) -> bool {
        self.has(fact::PERSISTENT)
    }

    /// A delivery mode other than 1 and 2, which RabbitMQ refuses.
    #[inline]
    pub fn has_unknown_delivery_mode(&self) -> bool {
        self.has(fact::UNKNOWN_DELIVERY_MODE)
    }

    /// The priority, 0 when there is none.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.head().priority
    }

    /// Whether there is a `headers` table.
    #[inline]
    pub fn has_headers(&self) -> bool {
        self.has(fact::HEADERS)
    }

    /// Whether there is an expiration.
    #[inline]
    pub fn has_expiration(&self) -> bool {
        self.has(fact::EXPIRATION)
    }

    /// Whether there is a reply-to address.
    #[inline]
    pub fn has_reply_to(&self) -> bool {
        self.has(fact::REPLY_TO)
    }

    /// Whether there is a user id.
    #[inline]
    pub fn has_user_id(&self) -> bool {
        self.has(fact::USER_ID)
    }

    /// Whether both are the same message in memory, not only equal octets.
    #[inline]
    pub fn same_as(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// A number that no other living message has: its address.
    #[inline]
    pub fn identity(&self) -> usize {
        self.0.heap_ptr().addr()
    }

    /// Octets of memory that the message holds, shared or not.
    #[inline]
    pub fn memory(&self) -> usize {
        const COUNT_AND_LENGTH: usize = 2 * size_of::<usize>();
        let large = self.image().large;
        let beside = large.map_or(0, |body| size_of::<Bytes>() + body.len());
        COUNT_AND_LENGTH + size_of::<Head>() + self.0.slice.len() + beside
    }

    /// The image, as deliveries write it.
    #[inline]
    pub(crate) fn image(&self) -> Image<'_> {
        let head = self.head();
        let routing_len = usize::from(head.routing_len);
        // A frame's size always fits into memory that holds it.
        let header_len = usize::try_from(head.header_len).unwrap_or(usize::MAX);
        Image {
            octets: &self.0.slice,
            routing_len,
            header_end: routing_len
                .saturating_add(BEFORE_HEADER + 1)
                .saturating_add(header_len),
            large: head.large.as_deref(),
        }
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.0.header.header
    }

    #[inline]
    fn has(&self, fact: u8) -> bool {
        self.head().facts & fact != 0
    }

    fn body_part(&self) -> BodyPart<'_> {
        match self.image().large {
            Some(body) => BodyPart::Bytes(body.clone()),
            None => BodyPart::Slice(self.body()),
        }
    }

    /// `routing` is two short strings; exactly one of `inline` and `large` is used.
    fn build(routing: &[u8], header: &[u8], inline: &[u8], large: Option<Bytes>) -> Self {
        // The channel is put over by every delivery.
        let envelope = |kind: FrameKind, size: usize| {
            let header = FrameHeader {
                kind: kind.octet(),
                channel: 0,
                size: length_u32(size),
            };
            header.octets()
        };
        let image_len =
            routing.len() + header.len() + inline.len() + 2 * (FRAME_HEADER_LEN + 1) + 1;
        let mut image = Vec::with_capacity(image_len);
        image.extend_from_slice(routing);
        image.push(FRAME_END);
        image.extend_from_slice(&envelope(FrameKind::Header, header.len()));
        image.extend_from_slice(header);
        image.push(FRAME_END);
        if !inline.is_empty() {
            image.extend_from_slice(&envelope(FrameKind::Body, inline.len()));
            image.extend_from_slice(inline);
            image.push(FRAME_END);
        }
        let head = match ContentHeader::split(header) {
            Some(header) => Head::of(routing, &header, large),
            None => Head {
                large: large.map(Box::new),
                header_len: length_u32(header.len()),
                routing_len: routing_len(routing),
                facts: 0,
                priority: 0,
            },
        };
        Self(ThinArc::from_header_and_slice(head, &image))
    }
}

impl Head {
    #[inline]
    fn of(routing: &[u8], header: &ContentHeader<'_>, large: Option<Bytes>) -> Self {
        let properties = header.properties();
        let mut facts = 0;
        for (property, fact) in [
            (Property::Headers, fact::HEADERS),
            (Property::Expiration, fact::EXPIRATION),
            (Property::ReplyTo, fact::REPLY_TO),
            (Property::UserId, fact::USER_ID),
        ] {
            if properties.has(property) {
                facts |= fact;
            }
        }
        let (delivery_mode, priority) = delivery_mode_and_priority(header.flags, header.properties);
        match delivery_mode {
            None | Some(1) => {}
            Some(2) => facts |= fact::PERSISTENT,
            Some(_) => facts |= fact::UNKNOWN_DELIVERY_MODE,
        }
        Self {
            large: large.map(Box::new),
            header_len: length_u32(header.raw.len()),
            routing_len: routing_len(routing),
            facts,
            priority: priority.unwrap_or(0),
        }
    }
}

impl<'a> Image<'a> {
    /// The body that stands in the image; empty when the body is empty or stands beside it.
    #[inline]
    pub(crate) fn inline_body(self) -> &'a [u8] {
        self.octets
            .get(self.header_end + FRAME_HEADER_LEN..)
            .and_then(|body_and_end| body_and_end.split_last())
            .map_or(&[], |(_, body)| body)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &String::from_utf8_lossy(self.exchange()))
            .field("routing_key", &String::from_utf8_lossy(self.routing_key()))
            .field("header_octets", &self.header().len())
            .field("body_octets", &self.body().len())
            .finish_non_exhaustive()
    }
}

fn is_routing(octets: &[u8]) -> bool {
    split_shortstr(octets)
        .and_then(|(_, rest)| split_shortstr(rest))
        .is_some_and(|(_, rest)| rest.is_empty())
}

/// Two short strings are 512 octets at most.
#[inline]
fn routing_len(routing: &[u8]) -> u16 {
    u16::try_from(routing.len()).unwrap_or(u16::MAX)
}

fn routing_of(exchange: &[u8], routing_key: &[u8]) -> Result<Vec<u8>, MessageError> {
    let mut routing = Vec::with_capacity(2 + exchange.len() + routing_key.len());
    for name in [exchange, routing_key] {
        routing.push(u8::try_from(name.len()).map_err(|_| MessageError::NameTooLong)?);
        routing.extend_from_slice(name);
    }
    Ok(routing)
}

#[cfg(test)]
mod tests;
