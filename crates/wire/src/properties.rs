//! The properties of a message (AMQP 0-9-1 class basic), decoded on demand.

use crate::content::{delivery_mode_and_priority, split_value};
use crate::octets::split_u64;
use crate::table::RawTable;

/// A property of class basic. The number is the bit of its flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Property {
    /// Deprecated; short string.
    ClusterId = 2,
    /// The publishing application; short string.
    AppId = 3,
    /// The publishing user, which the broker checks; short string.
    UserId = 4,
    /// The application's name for the kind of message; short string.
    Type = 5,
    /// Seconds since 1970, 64 bits.
    Timestamp = 6,
    /// The application's id of the message; short string.
    MessageId = 7,
    /// Milliseconds to live, in decimal digits; short string.
    Expiration = 8,
    /// Where an answer goes; short string.
    ReplyTo = 9,
    /// Which request this answers; short string.
    CorrelationId = 10,
    /// Priority, one octet.
    Priority = 11,
    /// 1 transient, 2 persistent; one octet.
    DeliveryMode = 12,
    /// The application's headers; field table.
    Headers = 13,
    /// MIME encoding; short string.
    ContentEncoding = 14,
    /// MIME type; short string.
    ContentType = 15,
}

/// How a property's value is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Octet,
    ShortStr,
    Table,
    Timestamp,
}

impl Property {
    /// The bit of the property flags.
    #[inline]
    pub fn flag(self) -> u16 {
        1 << (self as u8)
    }

    #[inline]
    pub(crate) fn shape(self) -> Shape {
        match self {
            Self::Headers => Shape::Table,
            Self::DeliveryMode | Self::Priority => Shape::Octet,
            Self::Timestamp => Shape::Timestamp,
            _ => Shape::ShortStr,
        }
    }

    /// The properties whose flag is set, in the order of their values.
    #[inline]
    pub(crate) fn of_flags(flags: u16) -> impl Iterator<Item = Self> {
        let mut left = flags;
        std::iter::from_fn(move || {
            let bit = left.checked_ilog2()?;
            left &= !(1 << bit);
            Self::of_bit(bit)
        })
    }

    #[inline]
    fn of_bit(bit: u32) -> Option<Self> {
        Some(match bit {
            15 => Self::ContentType,
            14 => Self::ContentEncoding,
            13 => Self::Headers,
            12 => Self::DeliveryMode,
            11 => Self::Priority,
            10 => Self::CorrelationId,
            9 => Self::ReplyTo,
            8 => Self::Expiration,
            7 => Self::MessageId,
            6 => Self::Timestamp,
            5 => Self::Type,
            4 => Self::UserId,
            3 => Self::AppId,
            2 => Self::ClusterId,
            // Bit 1 means nothing, bit 0 was refused before.
            _ => return None,
        })
    }
}

/// The properties of one message. Each call walks to its value: cheap for the few that a broker
/// needs, and nothing is decoded that nobody asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    flags: u16,
    values: &'a [u8],
}

impl<'a> Properties<'a> {
    /// The properties of a content header that was checked; of any other octets, those up to the
    /// first broken one.
    #[inline]
    pub(crate) fn new(flags: u16, values: &'a [u8]) -> Self {
        Self { flags, values }
    }

    /// Whether the property is there.
    #[inline]
    pub fn has(&self, property: Property) -> bool {
        self.flags & property.flag() != 0
    }

    /// All properties that are there, with the content of their values (without length octets).
    pub fn iter(&self) -> impl Iterator<Item = (Property, &'a [u8])> + use<'a> {
        let mut rest = self.values;
        Property::of_flags(self.flags).map_while(move |property| {
            let (content, after) = split_value(property, rest)?;
            rest = after;
            Some((property, content))
        })
    }

    /// The content of one property's value.
    #[inline]
    pub fn content(&self, property: Property) -> Option<&'a [u8]> {
        if !self.has(property) {
            return None;
        }
        self.iter()
            .find(|(found, _)| *found == property)
            .map(|(_, content)| content)
    }

    /// MIME type of the body.
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.content(Property::ContentType)
    }

    /// MIME encoding of the body.
    pub fn content_encoding(&self) -> Option<&'a [u8]> {
        self.content(Property::ContentEncoding)
    }

    /// The application's headers.
    #[inline]
    pub fn headers(&self) -> Option<RawTable<'a>> {
        self.content(Property::Headers).map(RawTable::checked)
    }

    /// 1 transient, 2 persistent; RabbitMQ refuses all else.
    #[inline]
    pub fn delivery_mode(&self) -> Option<u8> {
        delivery_mode_and_priority(self.flags, self.values).0
    }

    /// The priority, unbounded by any queue's maximum.
    #[inline]
    pub fn priority(&self) -> Option<u8> {
        delivery_mode_and_priority(self.flags, self.values).1
    }

    /// Which request this message answers.
    pub fn correlation_id(&self) -> Option<&'a [u8]> {
        self.content(Property::CorrelationId)
    }

    /// Where an answer goes.
    pub fn reply_to(&self) -> Option<&'a [u8]> {
        self.content(Property::ReplyTo)
    }

    /// Milliseconds to live, as the decimal digits that were sent; they may be none.
    pub fn expiration(&self) -> Option<&'a [u8]> {
        self.content(Property::Expiration)
    }

    /// The application's id of the message.
    pub fn message_id(&self) -> Option<&'a [u8]> {
        self.content(Property::MessageId)
    }

    /// Seconds since 1970.
    pub fn timestamp(&self) -> Option<u64> {
        split_u64(self.content(Property::Timestamp)?).map(|(seconds, _)| seconds)
    }

    /// The application's name for the kind of message.
    pub fn type_(&self) -> Option<&'a [u8]> {
        self.content(Property::Type)
    }

    /// The publishing user.
    pub fn user_id(&self) -> Option<&'a [u8]> {
        self.content(Property::UserId)
    }

    /// The publishing application.
    pub fn app_id(&self) -> Option<&'a [u8]> {
        self.content(Property::AppId)
    }

    /// Deprecated.
    pub fn cluster_id(&self) -> Option<&'a [u8]> {
        self.content(Property::ClusterId)
    }
}

#[cfg(test)]
mod tests;
