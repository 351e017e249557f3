//! The frame envelope (AMQP 0-9-1 section 4.2.3), written apart from the broker's own.

/// Type octet of a method frame.
pub const METHOD: u8 = 1;
/// Type octet of a content header frame.
pub const HEADER: u8 = 2;
/// Type octet of a content body frame.
pub const BODY: u8 = 3;
/// Type octet of a heartbeat frame.
pub const HEARTBEAT: u8 = 8;
/// The octet that ends every frame.
pub const END: u8 = 0xCE;
/// Octets of the envelope before the payload.
pub const ENVELOPE: usize = 7;

/// One frame, whatever is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The type octet.
    pub kind: u8,
    /// The channel number; 0 is the connection itself.
    pub channel: u16,
    /// What stands between envelope and end octet.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of any type with any payload.
    pub fn new(kind: u8, channel: u16, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            channel,
            payload: payload.into(),
        }
    }

    /// The frame on the wire.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.payload.len() + ENVELOPE + 1);
        let size = u32::try_from(self.payload.len()).unwrap();
        octets.push(self.kind);
        octets.extend_from_slice(&self.channel.to_be_bytes());
        octets.extend_from_slice(&size.to_be_bytes());
        octets.extend_from_slice(&self.payload);
        octets.push(END);
        octets
    }

    /// Octets that the frame at the start of `input` takes; `None` if it has not all come.
    ///
    /// # Panics
    /// If the frame does not end as it must.
    pub fn cut(input: &[u8]) -> Option<(Self, usize)> {
        let envelope = input.get(..ENVELOPE)?;
        let size = u32::from_be_bytes(envelope[3..].try_into().unwrap()) as usize;
        let payload = input.get(ENVELOPE..ENVELOPE + size)?;
        let end = *input.get(ENVELOPE + size)?;
        assert_eq!(end, END, "the broker sent a frame without its end");
        let channel = u16::from_be_bytes([envelope[1], envelope[2]]);
        let frame = Self::new(envelope[0], channel, payload);
        Some((frame, ENVELOPE + size + 1))
    }
}

/// A method frame from ids and argument octets, for what no struct can say.
pub fn method_frame(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(4 + arguments.len());
    payload.extend_from_slice(&class.to_be_bytes());
    payload.extend_from_slice(&method.to_be_bytes());
    payload.extend_from_slice(arguments);
    Frame::new(METHOD, channel, payload).octets()
}

/// A content header payload of class basic: body size, then property flags and values.
pub fn content_header(body_size: u64, properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&body_size.to_be_bytes());
    payload.extend_from_slice(properties);
    payload
}
