//! Frames (AMQP 0-9-1 section 4.2.3), written apart from the broker's own.

use leveret_wire::{AMQPClass, OutputBuffer, encode_method};

pub(crate) const METHOD: u8 = 1;
pub(crate) const HEADER: u8 = 2;
pub(crate) const BODY: u8 = 3;
pub(crate) const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
const ENVELOPE: usize = 7;
/// Octets of body in one frame.
const PIECE: usize = 100_000;

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The frame at the start of `input` with the octets it takes, if all of it is there. An error
    /// is a frame that does not end as it must.
    pub(crate) fn cut(input: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(&[kind, c1, c0, s3, s2, s1, s0]) = input.first_chunk::<ENVELOPE>() else {
            return Ok(None);
        };
        let size = u32::from_be_bytes([s3, s2, s1, s0]);
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        let (Some(payload), Some(end)) = (
            input.get(ENVELOPE..ENVELOPE + size),
            input.get(ENVELOPE + size),
        ) else {
            return Ok(None);
        };
        if *end != END {
            return Err(format!("a frame of type {kind} ends with {end:#x}"));
        }
        let frame = Self {
            kind,
            channel: u16::from_be_bytes([c1, c0]),
            payload: payload.to_vec(),
        };
        Ok(Some((frame, ENVELOPE + size + 1)))
    }
}

/// Append a frame.
fn put(out: &mut Vec<u8>, kind: u8, channel: u16, payload: &[u8]) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    out.extend(
        u32::try_from(payload.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    out.extend(payload);
    out.push(END);
}

/// Append a method without content.
pub(crate) fn put_method(out: &mut Vec<u8>, channel: u16, method: &AMQPClass) {
    let mut buffer = OutputBuffer::new();
    encode_method(&mut buffer, channel, method);
    let mut slices = [std::io::IoSlice::new(&[])];
    buffer.chunks(&mut slices);
    out.extend(&*slices[0]);
}

/// A message on its way to the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) key: &'a str,
    pub(crate) mandatory: bool,
    pub(crate) persistent: bool,
    /// Property `message_id`.
    pub(crate) id: &'a str,
    pub(crate) body: &'a [u8],
}

impl Outgoing<'_> {
    /// Append basic.publish with its content.
    pub(crate) fn put(&self, out: &mut Vec<u8>, channel: u16) {
        let mut method = vec![0, 60, 0, 40, 0, 0];
        put_short(&mut method, self.exchange);
        put_short(&mut method, self.key);
        method.push(u8::from(self.mandatory));
        put(out, METHOD, channel, &method);
        let mut header = vec![0, 60, 0, 0];
        header.extend((self.body.len() as u64).to_be_bytes());
        // Delivery mode and message_id.
        header.extend((1_u16 << 12 | 1 << 7).to_be_bytes());
        header.push(if self.persistent { 2 } else { 1 });
        put_short(&mut header, self.id);
        put(out, HEADER, channel, &header);
        for piece in self.body.chunks(PIECE) {
            put(out, BODY, channel, piece);
        }
    }
}

fn put_short(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend(text.as_bytes());
}
