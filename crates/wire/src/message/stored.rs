//! A message as the store keeps it: routing length (2), content header length (4), body length (4),
//! all big-endian, then the three in this order.

use bytes::Bytes;

use super::{BodyPart, Message, MessageError, is_routing};
use crate::content::{ContentError, ContentHeader};
use crate::octets::{length_u32, split_u16, split_u32};

/// Octets of the three lengths.
const LENGTHS_LEN: usize = 10;

impl Message {
    /// Octets of the stored form.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        LENGTHS_LEN + self.routing().len() + self.header().len() + self.body().len()
    }

    /// Append the stored form to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        out.extend_from_slice(&self.head().routing_len.to_be_bytes());
        out.extend_from_slice(&self.head().header_len.to_be_bytes());
        out.extend_from_slice(&length_u32(self.body().len()).to_be_bytes());
        out.extend_from_slice(self.routing());
        out.extend_from_slice(self.header());
        out.extend_from_slice(self.body());
    }

    /// Read the stored form, which must be all of `stored`. A large body keeps `stored` alive by
    /// reference.
    ///
    /// The store's checksum vouches for the octets; here only the lengths and the layout are checked,
    /// so that a stored message is never refused for a limit that was set lower since.
    pub fn decode(mut stored: Bytes) -> Result<Self, MessageError> {
        let lengths = split_lengths(&stored).ok_or(MessageError::StoredLength)?;
        let body_at = lengths.header_at.checked_add(lengths.header);
        if body_at.and_then(|at| at.checked_add(lengths.body)) != Some(stored.len()) {
            return Err(MessageError::StoredLength);
        }
        let body = stored.split_off(stored.len() - lengths.body);
        let (before, header) = stored
            .split_at_checked(lengths.header_at)
            .ok_or(MessageError::StoredLength)?;
        let routing = before.get(LENGTHS_LEN..).unwrap_or_default();
        if !is_routing(routing) {
            return Err(MessageError::Routing);
        }
        if ContentHeader::split(header).is_none() {
            return Err(MessageError::Header(ContentError::Truncated));
        }
        Ok(Self::new(routing, header, BodyPart::Bytes(body)))
    }
}

/// Where the parts stand.
struct Lengths {
    /// Index of the content header, after the routing.
    header_at: usize,
    /// Octets of the content header.
    header: usize,
    /// Octets of the body.
    body: usize,
}

fn split_lengths(stored: &[u8]) -> Option<Lengths> {
    let (routing, rest) = split_u16(stored)?;
    let (header, rest) = split_u32(rest)?;
    let (body, _) = split_u32(rest)?;
    Some(Lengths {
        header_at: LENGTHS_LEN + usize::from(routing),
        header: usize::try_from(header).ok()?,
        body: usize::try_from(body).ok()?,
    })
}
