//! What carries a message to a client: `basic.deliver`, `basic.get-ok` and `basic.return`, each a
//! method frame, a header frame and body frames cut for the peer's `frame_max`.

use crate::frame::{FRAME_END, FRAME_HEADER_LEN, FRAME_OVERHEAD, FrameHeader, FrameKind};
use crate::message::{Image, Message};
use crate::octets::{length_u32, shortstr_content};
use crate::output::OutputBuffer;

/// Class 60, method 60.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// Class 60, method 71.
const GET_OK: [u8; 4] = [0, 60, 0, 71];
/// Class 60, method 50.
const RETURN: [u8; 4] = [0, 60, 0, 50];

/// Write a whole delivery to a consumer (`basic.deliver`).
///
/// `consumer_tag` is the content of a short string; over 255 octets are cut. `frame_max` is the
/// largest frame in octets that the peer takes, 0 for no limit.
#[inline]
pub fn encode_deliver(
    out: &mut OutputBuffer,
    channel: u16,
    consumer_tag: &[u8],
    delivery_tag: u64,
    redelivered: bool,
    message: &Message,
    frame_max: u32,
) {
    let image = message.image();
    let (tag_len, tag) = shortstr_content(consumer_tag);
    let arguments_len = 1 + tag.len() + 8 + 1 + image.routing_len;
    // Behind the routing come the rest of the image and, for a body to be split, its envelopes.
    out.reserve(FRAME_HEADER_LEN + 4 + arguments_len + image.octets.len() + 2 * FRAME_OVERHEAD);
    let [k, c1, c0, s3, s2, s1, s0] = method_envelope(channel, arguments_len);
    let [i3, i2, i1, i0] = DELIVER;
    out.put_slice(&[k, c1, c0, s3, s2, s1, s0, i3, i2, i1, i0, tag_len]);
    out.put_slice(tag);
    put_tag_and_redelivered(out, delivery_tag, redelivered);
    put_image(out, channel, image, 0, frame_max);
}

/// Write a whole answer to `basic.get` (`basic.get-ok`); `message_count` is the number of messages
/// left ready in the queue. `frame_max` as for [`encode_deliver`].
pub fn encode_get_ok(
    out: &mut OutputBuffer,
    channel: u16,
    delivery_tag: u64,
    redelivered: bool,
    message_count: u32,
    message: &Message,
    frame_max: u32,
) {
    let image = message.image();
    out.put_slice(&method_envelope(channel, 8 + 1 + image.routing_len + 4));
    out.put_slice(&GET_OK);
    put_tag_and_redelivered(out, delivery_tag, redelivered);
    out.put_slice(message.routing());
    out.put_u32(message_count);
    put_image(out, channel, image, image.routing_len, frame_max);
}

/// Write a whole returned message (`basic.return`): reply code, reply text of at most 255 octets
/// (what is over is cut), then the content. `frame_max` as for [`encode_deliver`].
pub fn encode_return(
    out: &mut OutputBuffer,
    channel: u16,
    code: u16,
    text: &str,
    message: &Message,
    frame_max: u32,
) {
    let image = message.image();
    let text = text
        .char_indices()
        .map(|(start, letter)| start + letter.len_utf8())
        .take_while(|end| u8::try_from(*end).is_ok())
        .last()
        .and_then(|end| text.get(..end))
        .unwrap_or_default();
    let (text_len, text) = shortstr_content(text.as_bytes());
    out.put_slice(&method_envelope(
        channel,
        2 + 1 + text.len() + image.routing_len,
    ));
    out.put_slice(&RETURN);
    out.put_u16(code);
    out.put_u8(text_len);
    out.put_slice(text);
    put_image(out, channel, image, 0, frame_max);
}

/// The envelope of a method with `arguments_len` octets after its ids.
#[inline]
fn method_envelope(channel: u16, arguments_len: usize) -> [u8; FRAME_HEADER_LEN] {
    envelope(FrameKind::Method, channel, 4 + arguments_len)
}

#[inline]
fn envelope(kind: FrameKind, channel: u16, size: usize) -> [u8; FRAME_HEADER_LEN] {
    let header = FrameHeader {
        kind: kind.octet(),
        channel,
        size: length_u32(size),
    };
    header.octets()
}

#[inline]
fn put_tag_and_redelivered(out: &mut OutputBuffer, delivery_tag: u64, redelivered: bool) {
    let [t7, t6, t5, t4, t3, t2, t1, t0] = delivery_tag.to_be_bytes();
    out.put_slice(&[t7, t6, t5, t4, t3, t2, t1, t0, u8::from(redelivered)]);
}

/// Write the image from index `from` on (0 or behind the routing): the rest of the method frame, the
/// header frame and the body frames, all for `channel`.
#[inline]
fn put_image(out: &mut OutputBuffer, channel: u16, image: Image<'_>, from: usize, frame_max: u32) {
    let piece_max = body_piece_max(frame_max);
    let inline = image.inline_body();
    let in_one_piece = image.large.is_none() && inline.len() <= piece_max;
    let end = if in_one_piece {
        image.octets.len()
    } else {
        image.header_end
    };
    let start = out.position();
    out.put_slice(image.octets.get(from..end).unwrap_or_default());
    // Type octets stand right after the method's and the header's end octets; channels follow them.
    out.overwrite_u16(start + image.routing_len - from + 2, channel);
    if !in_one_piece {
        put_body_pieces(out, channel, image, piece_max);
    } else if !inline.is_empty() {
        out.overwrite_u16(start + image.header_end - from + 1, channel);
    }
}

/// Octets of body that one frame carries.
#[inline]
fn body_piece_max(frame_max: u32) -> usize {
    if frame_max == 0 {
        return usize::MAX;
    }
    let frame_max = usize::try_from(frame_max).unwrap_or(usize::MAX);
    // A piece carries something whatever was negotiated, or a body would have no end.
    frame_max.saturating_sub(FRAME_OVERHEAD).max(1)
}

/// Write the body in frames of at most `piece_max` octets; a body beside the image goes by reference.
fn put_body_pieces(out: &mut OutputBuffer, channel: u16, image: Image<'_>, piece_max: usize) {
    let piece_max = piece_max.min(u32::MAX as usize);
    match image.large {
        Some(body) => {
            let mut rest = body.clone();
            while !rest.is_empty() {
                let piece = rest.split_to(piece_max.min(rest.len()));
                out.put_slice(&envelope(FrameKind::Body, channel, piece.len()));
                out.put_bytes(piece);
                out.put_u8(FRAME_END);
            }
        }
        None => {
            for piece in image.inline_body().chunks(piece_max) {
                out.put_slice(&envelope(FrameKind::Body, channel, piece.len()));
                out.put_slice(piece);
                out.put_u8(FRAME_END);
            }
        }
    }
}

#[cfg(test)]
mod tests;
