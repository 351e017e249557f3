//! Messages as a test publishes and receives them.

use std::collections::BTreeMap;

use leveret_wire::FieldTable;
use leveret_wire::method::basic;

use crate::frame::{BODY, Frame, HEADER, METHOD, content_header};

/// The property list of a content header: flags and values (AMQP 0-9-1 section 4.2.6.1).
#[derive(Clone, Debug, Default)]
pub struct Properties {
    /// Encoded values by the bit of their flag.
    values: BTreeMap<u8, Vec<u8>>,
}

macro_rules! short_strings {
    ($($name:ident $bit:literal),*) => { $(
        #[doc = concat!("The short string of flag bit ", $bit, ".")]
        #[must_use]
        pub fn $name(self, text: &str) -> Self {
            self.short_string($bit, text)
        }
    )* };
}

impl Properties {
    short_strings! {
        content_type 15, content_encoding 14, correlation_id 10, reply_to 9, expiration 8,
        message_id 7, kind 5, user_id 4, app_id 3, cluster_id 2
    }

    /// No properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delivery mode 2.
    pub fn persistent() -> Self {
        Self::new().delivery_mode(2)
    }

    /// 1 transient, 2 persistent; any other octet too.
    #[must_use]
    pub fn delivery_mode(self, mode: u8) -> Self {
        self.value(12, vec![mode])
    }

    /// The priority octet.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.value(11, vec![priority])
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn timestamp(self, seconds: u64) -> Self {
        self.value(6, seconds.to_be_bytes().to_vec())
    }

    /// The headers table.
    #[must_use]
    pub fn headers(self, table: &FieldTable) -> Self {
        let mut content = Vec::new();
        leveret_wire::encode_table(table, &mut content);
        self.header_octets(&content)
    }

    /// The headers table as its encoded entries, without the length.
    #[must_use]
    pub fn header_octets(self, content: &[u8]) -> Self {
        let mut value = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
        value.extend_from_slice(content);
        self.value(13, value)
    }

    fn short_string(self, bit: u8, text: &str) -> Self {
        let mut value = vec![u8::try_from(text.len()).unwrap()];
        value.extend_from_slice(text.as_bytes());
        self.value(bit, value)
    }

    fn value(mut self, bit: u8, value: Vec<u8>) -> Self {
        self.values.insert(bit, value);
        self
    }

    /// Flags and values on the wire.
    pub fn octets(&self) -> Vec<u8> {
        let flags = self
            .values
            .keys()
            .fold(0_u16, |flags, bit| flags | 1 << bit);
        let mut octets = flags.to_be_bytes().to_vec();
        octets.extend(self.values.values().rev().flatten());
        octets
    }
}

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    exchange: Vec<u8>,
    routing_key: Vec<u8>,
    mandatory: bool,
    immediate: bool,
    /// Flags and values.
    properties: Vec<u8>,
    body: Vec<u8>,
    /// Octets of body in one frame.
    piece: usize,
}

impl Publish {
    /// A message without properties and body.
    pub fn to(exchange: impl AsRef<[u8]>, routing_key: impl AsRef<[u8]>) -> Self {
        Self {
            exchange: exchange.as_ref().to_vec(),
            routing_key: routing_key.as_ref().to_vec(),
            mandatory: false,
            immediate: false,
            properties: vec![0, 0],
            body: Vec::new(),
            piece: 131_064,
        }
    }

    /// Through the default exchange to a queue.
    pub fn to_queue(queue: &str) -> Self {
        Self::to("", queue)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With these properties.
    #[must_use]
    pub fn properties(self, properties: &Properties) -> Self {
        self.property_octets(properties.octets())
    }

    /// With these octets as flags and values.
    #[must_use]
    pub fn property_octets(mut self, octets: Vec<u8>) -> Self {
        self.properties = octets;
        self
    }

    /// With delivery mode 2 and nothing else.
    #[must_use]
    pub fn persistent(self) -> Self {
        self.properties(&Properties::persistent())
    }

    /// With the mandatory flag.
    #[must_use]
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// With the immediate flag.
    #[must_use]
    pub fn immediate(mut self) -> Self {
        self.immediate = true;
        self
    }

    /// With at most so many octets of body in one frame.
    #[must_use]
    pub fn in_pieces_of(mut self, octets: usize) -> Self {
        self.piece = octets;
        self
    }

    /// The method frame.
    pub fn method(&self, channel: u16) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 40, 0, 0];
        for name in [&self.exchange, &self.routing_key] {
            payload.push(u8::try_from(name.len()).unwrap());
            payload.extend_from_slice(name);
        }
        payload.push(u8::from(self.mandatory) | u8::from(self.immediate) << 1);
        Frame::new(METHOD, channel, payload).octets()
    }

    /// The content header frame.
    pub fn header(&self, channel: u16) -> Vec<u8> {
        Frame::new(HEADER, channel, self.header_payload()).octets()
    }

    /// The payload of the content header frame, which consumers must get unchanged.
    pub fn header_payload(&self) -> Vec<u8> {
        content_header(self.body.len() as u64, &self.properties)
    }

    /// All of its frames.
    pub fn octets(&self, channel: u16) -> Vec<u8> {
        let mut octets = self.method(channel);
        octets.extend(self.header(channel));
        for piece in self.body.chunks(self.piece) {
            octets.extend(Frame::new(BODY, channel, piece).octets());
        }
        octets
    }
}

/// Header and body of a received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The payload of the content header frame.
    pub header: Vec<u8>,
    /// The joined body.
    pub body: Vec<u8>,
    /// Octets of each body frame.
    pub pieces: Vec<usize>,
}

impl Content {
    /// Flags and values of the properties.
    pub fn property_octets(&self) -> &[u8] {
        &self.header[12..]
    }

    /// The properties, decoded.
    pub fn properties(&self) -> leveret_wire::Properties<'_> {
        let header = leveret_wire::parse_content_header(&self.header);
        header
            .expect("the broker relays properties that decode")
            .properties()
    }

    /// The body, which the test knows to be text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

/// A message with basic.deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The channel it came on.
    pub channel: u16,
    /// The method.
    pub method: basic::Deliver,
    /// The message.
    pub content: Content,
}

/// A message with basic.get-ok.
#[derive(Clone, Debug, PartialEq)]
pub struct Got {
    /// The method.
    pub method: basic::GetOk,
    /// The message.
    pub content: Content,
}

/// A message with basic.return.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// The method.
    pub method: basic::Return,
    /// The message.
    pub content: Content,
}

impl Delivery {
    /// The delivery tag.
    pub fn tag(&self) -> u64 {
        self.method.delivery_tag
    }

    /// The body, which the test knows to be text.
    pub fn text(&self) -> &str {
        self.content.text()
    }

    /// The redelivered flag.
    pub fn redelivered(&self) -> bool {
        self.method.redelivered
    }
}

impl Got {
    /// The delivery tag.
    pub fn tag(&self) -> u64 {
        self.method.delivery_tag
    }

    /// The body, which the test knows to be text.
    pub fn text(&self) -> &str {
        self.content.text()
    }

    /// The redelivered flag.
    pub fn redelivered(&self) -> bool {
        self.method.redelivered
    }
}
