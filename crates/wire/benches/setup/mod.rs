//! Set-up of the benches: frames as clients send them.

#![allow(
    clippy::unwrap_used,
    reason = "a bench measures valid input; anything else must stop it"
)]
#![allow(unreachable_pub, reason = "other programs include this")]

use bytes::Bytes;
use leveret_wire::{BodyPart, FrameHeader, Message, PropertiesBuilder};

/// The largest frame in octets.
pub const FRAME_MAX: u32 = 131_072;

/// A publish as clients send it: content type and delivery mode, body frames of `FRAME_MAX`.
pub fn publish_frames(body: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut method = vec![0, 60, 0, 40, 0, 0, 10];
    method.extend_from_slice(b"amq.direct");
    method.push(12);
    method.extend_from_slice(b"orders.fresh");
    method.push(0);
    put_frame(&mut frames, 1, &method);
    put_frame(&mut frames, 2, &header(body.len()));
    for piece in body.chunks(FRAME_MAX as usize - 8) {
        put_frame(&mut frames, 3, piece);
    }
    frames
}

fn put_frame(frames: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let envelope = FrameHeader {
        kind,
        channel: 1,
        size: u32::try_from(payload.len()).unwrap(),
    };
    frames.extend_from_slice(&envelope.octets());
    frames.extend_from_slice(payload);
    frames.push(0xCE);
}

/// Its content header.
pub fn header(body_len: usize) -> Vec<u8> {
    PropertiesBuilder::new()
        .text(
            leveret_wire::properties::Property::ContentType,
            Some(b"application/octet-stream"),
        )
        .delivery_mode(Some(2))
        .build(body_len as u64)
        .unwrap()
}

/// The same, as the message that comes of it.
pub fn message(body_len: usize) -> Message {
    let body = Bytes::from(vec![7; body_len]);
    Message::from_parts(
        b"amq.direct",
        b"orders.fresh",
        &header(body_len),
        BodyPart::Bytes(body),
    )
    .unwrap()
}
