//! Octets to send: methods, and publishes that are encoded once and sent often.

use std::io::IoSlice;

use leveret_wire::{
    AMQPClass, ContentError, FRAME_END, FRAME_OVERHEAD, FieldTable, FrameHeader, FrameKind,
    OutputBuffer, PropertiesBuilder, encode_method, encode_table, method,
};

/// Appends a method frame.
pub(crate) fn put_method(out: &mut Vec<u8>, channel: u16, method: &AMQPClass) {
    let mut buffer = OutputBuffer::new();
    encode_method(&mut buffer, channel, method);
    let mut slices = [IoSlice::new(&[])];
    let count = buffer.chunks(&mut slices);
    for slice in slices.iter().take(count) {
        out.extend_from_slice(slice);
    }
}

/// Appends `basic.ack` of a delivery and all before it.
pub(crate) fn put_ack(out: &mut Vec<u8>, channel: u16, delivery_tag: u64) {
    let start = begin(out, FrameKind::Method, channel);
    out.extend_from_slice(&[0, 60, 0, 80]);
    out.extend_from_slice(&delivery_tag.to_be_bytes());
    out.push(1);
    end(out, start);
}

/// What a message is published with, beside its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    /// The exchange; empty for the default exchange.
    pub(crate) exchange: String,
    /// The routing key.
    pub(crate) routing_key: String,
    /// Delivery mode 2, else 1.
    pub(crate) persistent: bool,
    /// The headers property.
    pub(crate) headers: Option<FieldTable>,
    /// The reply-to property.
    pub(crate) reply_to: Option<String>,
}

/// Appends the frames of a publish, and gives the index in `out` of the body's first octet. Its first
/// 16 octets stand together there if `frame_max`, the largest frame, is at least 4096 octets. It is
/// an error if the headers or the reply-to do not fit their property.
pub(crate) fn put_publish(
    out: &mut Vec<u8>,
    channel: u16,
    envelope: &Envelope,
    body: &[u8],
    frame_max: usize,
) -> Result<usize, ContentError> {
    let publish = method::basic::Publish {
        exchange: envelope.exchange.as_str().into(),
        routing_key: envelope.routing_key.as_str().into(),
        ..method::basic::Publish::default()
    };
    let publish = AMQPClass::Basic(method::basic::AMQPMethod::Publish(publish));
    put_method(out, channel, &publish);
    put_header(out, channel, envelope, body.len())?;
    let first = out.len() + FRAME_OVERHEAD - 1;
    let piece_max = frame_max.saturating_sub(FRAME_OVERHEAD).max(1);
    for piece in body.chunks(piece_max) {
        let start = begin(out, FrameKind::Body, channel);
        out.extend_from_slice(piece);
        end(out, start);
    }
    Ok(first)
}

fn put_header(
    out: &mut Vec<u8>,
    channel: u16,
    envelope: &Envelope,
    body_len: usize,
) -> Result<(), ContentError> {
    let mut headers = Vec::new();
    if let Some(table) = &envelope.headers {
        encode_table(table, &mut headers);
    }
    let payload = PropertiesBuilder::new()
        .headers(envelope.headers.as_ref().map(|_| headers.as_slice()))
        .delivery_mode(Some(if envelope.persistent { 2 } else { 1 }))
        .reply_to(envelope.reply_to.as_deref().map(str::as_bytes))
        .build(body_len as u64)?;
    let start = begin(out, FrameKind::Header, channel);
    out.extend_from_slice(&payload);
    end(out, start);
    Ok(())
}

/// Appends a frame's envelope; its size is set by [`end`].
fn begin(out: &mut Vec<u8>, kind: FrameKind, channel: u16) -> usize {
    let start = out.len();
    let header = FrameHeader {
        kind: kind.octet(),
        channel,
        size: 0,
    };
    out.extend_from_slice(&header.octets());
    start
}

fn end(out: &mut Vec<u8>, start: usize) {
    let size = out.len() - start - (FRAME_OVERHEAD - 1);
    let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(start + 3..start + 7) {
        place.copy_from_slice(&size);
    }
    out.push(FRAME_END);
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::{cut, cut_publish, parse_ack, split_method};

    #[test]
    fn a_publish_is_what_the_broker_reads() {
        let mut headers = FieldTable::default();
        headers.insert("q".into(), leveret_wire::AMQPValue::LongInt(3));
        let envelope = Envelope {
            exchange: "e".to_owned(),
            routing_key: "k".to_owned(),
            persistent: true,
            headers: Some(headers),
            reply_to: Some("r".to_owned()),
        };
        let mut octets = b"before".to_vec();
        let at = put_publish(&mut octets, 7, &envelope, b"the body", 4096).unwrap();
        assert_eq!(octets.get(at..at + 8), Some(&b"the body"[..]));
        let publish = cut_publish(&octets[6..], 4096).unwrap();
        assert_eq!(publish.encoded_len(), octets.len() - 6);
        assert_eq!(publish.channel, 7);
        assert_eq!(publish.publish.exchange(), b"e");
        assert_eq!(publish.publish.routing_key(), b"k");
        assert_eq!(publish.body, b"the body");
        let properties = publish.header.properties();
        assert_eq!(properties.delivery_mode(), Some(2));
        assert_eq!(properties.reply_to(), Some(&b"r"[..]));
        let value = properties.headers().unwrap().get(b"q");
        assert_eq!(value.and_then(|value| value.as_integer()), Some(3));
    }

    #[test]
    fn a_large_body_is_cut_into_frames() {
        let mut octets = Vec::new();
        let body = vec![9; 10_000];
        let at = put_publish(&mut octets, 1, &Envelope::default(), &body, 4096).unwrap();
        let mut rest = &octets[at - 7..];
        let mut sizes = Vec::new();
        while let Some(frame) = cut(rest, 4096).unwrap() {
            assert_eq!(frame.kind, FrameKind::Body);
            sizes.push(frame.payload.len());
            rest = &rest[frame.encoded_len()..];
        }
        assert_eq!(sizes, [4088, 4088, 1824]);
        assert!(rest.is_empty());
    }

    #[test]
    fn an_ack_is_what_the_broker_reads() {
        let mut octets = Vec::new();
        put_ack(&mut octets, 9, 1 << 40);
        let frame = cut(&octets, 4096).unwrap().unwrap();
        assert_eq!((frame.channel, frame.encoded_len()), (9, octets.len()));
        let (class, method, arguments) = split_method(frame.payload).unwrap();
        assert_eq!((class, method), (60, 80));
        let ack = parse_ack(arguments).unwrap();
        assert!(ack.multiple && ack.delivery_tag == 1 << 40);
    }
}
