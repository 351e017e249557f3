//! The content header: class (2), weight (2), body size (8), property flags (2), then the values of
//! the properties whose flag is set, from bit 15 down (AMQP 0-9-1 section 4.2.6.1).

use thiserror::Error;

use crate::octets::{split_long, split_shortstr, split_u8, split_u16, split_u64};
use crate::properties::{Properties, Property, Shape};
use crate::table::{TableError, TableLimits, check_table};

/// Octets of a content header payload before the property values.
pub const CONTENT_HEADER_MIN: usize = 14;
/// The flag that another word of flags follows: `basic` has fourteen properties and needs none.
const FLAG_CONTINUATION: u16 = 1;

/// The flags of all properties.
const ALL_PROPERTIES: u16 = SHORT_STRINGS | OCTETS | 1 << 13 | 1 << 6;
/// The flags of the properties that are short strings.
const SHORT_STRINGS: u16 = 0b1100_0111_1011_1100;
/// The flags of the properties of one octet.
const OCTETS: u16 = 0b0001_1000_0000_0000;
/// Octets of a timestamp.
const TIMESTAMP_LEN: usize = 8;

/// A content header payload that is none, or whose properties can't be decoded. RabbitMQ 3.10 fails
/// with a 541 here; 501 `FRAME_ERROR`, or 502 `SYNTAX_ERROR` for tables, tell the peer what is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ContentError {
    /// More property flags are announced than AMQP 0-9-1 has properties.
    #[error("content header continues its property flags")]
    Continuation,
    /// The `headers` table is broken or over a limit.
    #[error("{0}")]
    Headers(TableError),
    /// A property value that is to be written is longer than its length field can say.
    #[error("property value is too long")]
    TooLong,
    /// Octets are left after the last property.
    #[error("octets follow the properties of a content header")]
    Trailing,
    /// The payload ends before its last property does.
    #[error("content header is truncated")]
    Truncated,
}

/// A content header, still lying in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// Class id; content is always of class 60, `basic`.
    pub class: u16,
    /// Unused, must be 0.
    pub weight: u16,
    /// Octets of the body, as announced: never allocate from it.
    pub body_size: u64,
    /// Which properties are there.
    pub flags: u16,
    /// The property values.
    pub properties: &'a [u8],
    /// The whole payload, as it is relayed to consumers.
    pub raw: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// The fields before the property values, which are not looked at.
    #[inline]
    pub(crate) fn split(payload: &'a [u8]) -> Option<Self> {
        let (class, rest) = split_u16(payload)?;
        let (weight, rest) = split_u16(rest)?;
        let (body_size, rest) = split_u64(rest)?;
        let (flags, properties) = split_u16(rest)?;
        Some(Self {
            class,
            weight,
            body_size,
            flags,
            properties,
            raw: payload,
        })
    }

    /// The properties, decoded on demand.
    #[inline]
    pub fn properties(&self) -> Properties<'a> {
        Properties::new(self.flags, self.properties)
    }
}

/// Read a content header payload under the default [`TableLimits`]. Every property decodes and all
/// octets are used, else it is an error; class and weight are the caller's to judge.
#[inline]
pub fn parse_content_header(payload: &[u8]) -> Result<ContentHeader<'_>, ContentError> {
    parse_content_header_with(payload, &TableLimits::default())
}

/// As [`parse_content_header`], with `limits` for the `headers` table.
#[inline]
pub fn parse_content_header_with<'a>(
    payload: &'a [u8],
    limits: &TableLimits,
) -> Result<ContentHeader<'a>, ContentError> {
    let header = ContentHeader::split(payload).ok_or(ContentError::Truncated)?;
    if header.flags & FLAG_CONTINUATION != 0 {
        return Err(ContentError::Continuation);
    }
    let mut left = header.flags & ALL_PROPERTIES;
    let mut rest = header.properties;
    while let Some(bit) = left.checked_ilog2() {
        let flag = 1 << bit;
        left &= !flag;
        let after = if flag & SHORT_STRINGS != 0 {
            split_shortstr(rest).map(|(_, after)| after)
        } else if flag & OCTETS != 0 {
            rest.get(1..)
        } else if flag == Property::Headers.flag() {
            let (content, after) = split_long(rest).ok_or(ContentError::Truncated)?;
            check_table(content, limits).map_err(ContentError::Headers)?;
            Some(after)
        } else {
            rest.get(TIMESTAMP_LEN..)
        };
        rest = after.ok_or(ContentError::Truncated)?;
    }
    if rest.is_empty() {
        Ok(header)
    } else {
        Err(ContentError::Trailing)
    }
}

/// The delivery mode and the priority, which every publish is asked for: only the values before them
/// are skipped. Absent too when the octets are cut short.
#[inline]
pub(crate) fn delivery_mode_and_priority(flags: u16, values: &[u8]) -> (Option<u8>, Option<u8>) {
    let has = |property: Property| flags & property.flag() != 0;
    let mut rest = Some(values);
    for property in [Property::ContentType, Property::ContentEncoding] {
        if has(property) {
            rest = rest.and_then(split_shortstr).map(|(_, after)| after);
        }
    }
    if has(Property::Headers) {
        rest = rest.and_then(split_long).map(|(_, after)| after);
    }
    let mut next_octet = |property: Property| {
        let (octet, after) = rest.filter(|_| has(property)).and_then(split_u8)?;
        rest = Some(after);
        Some(octet)
    };
    let delivery_mode = next_octet(Property::DeliveryMode);
    let priority = next_octet(Property::Priority);
    (delivery_mode, priority)
}

/// One property value's content (without a length) at the start of `input`, and what follows.
#[inline]
pub(crate) fn split_value(property: Property, input: &[u8]) -> Option<(&[u8], &[u8])> {
    match property.shape() {
        Shape::Octet => input.split_at_checked(1),
        Shape::ShortStr => split_shortstr(input),
        Shape::Table => split_long(input),
        Shape::Timestamp => input.split_at_checked(TIMESTAMP_LEN),
    }
}

#[cfg(test)]
mod tests;
