//! Content headers with other properties: dead-lettering, BCC, direct reply-to, and messages that
//! the broker makes itself. What is not changed keeps its octets.

use crate::content::{CONTENT_HEADER_MIN, ContentError, ContentHeader, parse_content_header};
use crate::methods::BASIC;
use crate::octets::length_u32;
use crate::properties::{Properties, Property, Shape};

/// Number of flag bits.
const FLAG_BITS: usize = 16;

/// The properties of a content header in the making: new ones, or those of a received header with
/// some replaced or removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct PropertiesBuilder<'a> {
    /// Values by the bit of their flag.
    values: [Option<Value<'a>>; FLAG_BITS],
}

/// A value as its setter got it; lengths are written when the header is built.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    /// Octets without a length.
    Content(&'a [u8]),
    Octet(u8),
    Timestamp(u64),
}

impl<'a> PropertiesBuilder<'a> {
    /// No properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// All properties of a received message.
    pub fn from_properties(properties: Properties<'a>) -> Self {
        let mut builder = Self::new();
        for (property, content) in properties.iter() {
            builder.put(property, Some(Value::Content(content)));
        }
        builder
    }

    /// Set or remove a property of type short string, at most 255 octets.
    pub fn text(&mut self, property: Property, value: Option<&'a [u8]>) -> &mut Self {
        if property.shape() == Shape::ShortStr {
            self.put(property, value.map(Value::Content));
        }
        self
    }

    /// Set or remove the headers, given as a table's content without its length.
    pub fn headers(&mut self, content: Option<&'a [u8]>) -> &mut Self {
        self.put(Property::Headers, content.map(Value::Content))
    }

    /// Set or remove the reply-to address.
    pub fn reply_to(&mut self, value: Option<&'a [u8]>) -> &mut Self {
        self.text(Property::ReplyTo, value)
    }

    /// Set or remove the expiration: milliseconds in decimal digits.
    pub fn expiration(&mut self, value: Option<&'a [u8]>) -> &mut Self {
        self.text(Property::Expiration, value)
    }

    /// Set or remove the delivery mode: 1 transient, 2 persistent.
    pub fn delivery_mode(&mut self, value: Option<u8>) -> &mut Self {
        self.put(Property::DeliveryMode, value.map(Value::Octet))
    }

    /// Set or remove the priority.
    pub fn priority(&mut self, value: Option<u8>) -> &mut Self {
        self.put(Property::Priority, value.map(Value::Octet))
    }

    /// Set or remove the timestamp: seconds since 1970.
    pub fn timestamp(&mut self, value: Option<u64>) -> &mut Self {
        self.put(Property::Timestamp, value.map(Value::Timestamp))
    }

    /// The content header payload of class basic for a body of `body_size` octets.
    pub fn build(&self, body_size: u64) -> Result<Vec<u8>, ContentError> {
        let mut flags = 0;
        let mut values = Vec::new();
        for property in Property::of_flags(u16::MAX) {
            if let Some(value) = self
                .values
                .get(usize::from(property as u8))
                .copied()
                .flatten()
            {
                flags |= property.flag();
                write(property, value, &mut values)?;
            }
        }
        let mut payload = Vec::with_capacity(CONTENT_HEADER_MIN + values.len());
        payload.extend_from_slice(&BASIC.to_be_bytes());
        payload.extend_from_slice(&0_u16.to_be_bytes());
        payload.extend_from_slice(&body_size.to_be_bytes());
        payload.extend_from_slice(&flags.to_be_bytes());
        payload.extend_from_slice(&values);
        Ok(payload)
    }

    fn put(&mut self, property: Property, value: Option<Value<'a>>) -> &mut Self {
        if let Some(slot) = self.values.get_mut(usize::from(property as u8)) {
            *slot = value;
        }
        self
    }
}

/// The content header payload `header` with other headers (a table's content, without its length),
/// or with none; all else as it was.
pub fn rewrite_headers(header: &[u8], content: Option<&[u8]>) -> Result<Vec<u8>, ContentError> {
    let header = parse_content_header(header)?;
    edited(&header).headers(content).build(header.body_size)
}

/// The content header payload `header` with another reply-to address, or with none; all else as it
/// was.
pub fn rewrite_reply_to(header: &[u8], reply_to: Option<&[u8]>) -> Result<Vec<u8>, ContentError> {
    let header = parse_content_header(header)?;
    edited(&header).reply_to(reply_to).build(header.body_size)
}

/// The content header payload `header` with another expiration, or with none; all else as it was.
pub fn rewrite_expiration(
    header: &[u8],
    expiration: Option<&[u8]>,
) -> Result<Vec<u8>, ContentError> {
    let header = parse_content_header(header)?;
    edited(&header)
        .expiration(expiration)
        .build(header.body_size)
}

fn edited<'a>(header: &ContentHeader<'a>) -> PropertiesBuilder<'a> {
    PropertiesBuilder::from_properties(header.properties())
}

fn write(property: Property, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), ContentError> {
    match value {
        Value::Octet(octet) => out.push(octet),
        Value::Timestamp(seconds) => out.extend_from_slice(&seconds.to_be_bytes()),
        Value::Content(content) => {
            match property.shape() {
                Shape::ShortStr => {
                    out.push(u8::try_from(content.len()).map_err(|_| ContentError::TooLong)?);
                }
                Shape::Table => out.extend_from_slice(&length_u32(content.len()).to_be_bytes()),
                Shape::Octet | Shape::Timestamp => {}
            }
            out.extend_from_slice(content);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
