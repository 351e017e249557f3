//! `basic.ack`, `basic.nack` and `basic.reject`: without a copy from clients, and as publisher
//! confirms to them (AMQP 0-9-1 class 60; RabbitMQ "Consumer Acknowledgements and Publisher
//! Confirms").

use crate::frame::{FRAME_END, FrameKind};
use crate::methods::{BASIC, MethodError};
use crate::octets::{split_u8, split_u64};
use crate::output::OutputBuffer;

/// Method id of `basic.ack`.
pub const ACK: u16 = 80;
/// Method id of `basic.reject`.
pub const REJECT: u16 = 90;
/// Method id of `basic.nack`.
pub const NACK: u16 = 120;

/// `basic.ack`: the delivery is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The delivery; 0 with `multiple` means all that are outstanding.
    pub delivery_tag: u64,
    /// All outstanding deliveries up to the tag, not it alone.
    pub multiple: bool,
}

/// `basic.nack` (RabbitMQ): the delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The delivery; 0 with `multiple` means all that are outstanding.
    pub delivery_tag: u64,
    /// All outstanding deliveries up to the tag, not it alone.
    pub multiple: bool,
    /// Back to the queue, not dead-lettered or dropped.
    pub requeue: bool,
}

/// `basic.reject`: one delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The delivery.
    pub delivery_tag: u64,
    /// Back to the queue, not dead-lettered or dropped.
    pub requeue: bool,
}

/// Read a `basic.ack` from its `arguments` (what follows class and method).
#[inline]
pub fn parse_ack(arguments: &[u8]) -> Result<Ack, MethodError> {
    let (delivery_tag, bits) = tag_and_bits(arguments, ACK)?;
    Ok(Ack {
        delivery_tag,
        multiple: bits & 1 != 0,
    })
}

/// Read a `basic.nack` from its `arguments` (what follows class and method).
#[inline]
pub fn parse_nack(arguments: &[u8]) -> Result<Nack, MethodError> {
    let (delivery_tag, bits) = tag_and_bits(arguments, NACK)?;
    Ok(Nack {
        delivery_tag,
        multiple: bits & 1 != 0,
        requeue: bits & 2 != 0,
    })
}

/// Read a `basic.reject` from its `arguments` (what follows class and method).
#[inline]
pub fn parse_reject(arguments: &[u8]) -> Result<Reject, MethodError> {
    let (delivery_tag, bits) = tag_and_bits(arguments, REJECT)?;
    Ok(Reject {
        delivery_tag,
        requeue: bits & 1 != 0,
    })
}

/// Confirm a publish, or with `multiple` all up to the tag: a whole `basic.ack` frame.
#[inline]
pub fn encode_ack(out: &mut OutputBuffer, channel: u16, delivery_tag: u64, multiple: bool) {
    encode(out, channel, ACK, delivery_tag, u8::from(multiple));
}

/// Tell a publisher that its message was refused: a whole `basic.nack` frame.
///
/// The requeue bit is set, as RabbitMQ sends it, though it means nothing to a publisher.
#[inline]
pub fn encode_nack(out: &mut OutputBuffer, channel: u16, delivery_tag: u64, multiple: bool) {
    encode(out, channel, NACK, delivery_tag, 2 | u8::from(multiple));
}

/// The layout that all three share: a 64-bit delivery tag, then one octet of bits.
#[inline]
fn tag_and_bits(arguments: &[u8], method: u16) -> Result<(u64, u8), MethodError> {
    split_u64(arguments)
        .and_then(|(tag, rest)| Some((tag, split_u8(rest)?)))
        .and_then(|(tag, (bits, rest))| rest.is_empty().then_some((tag, bits)))
        .ok_or_else(|| MethodError::undecodable(BASIC, method, arguments))
}

#[inline]
fn encode(out: &mut OutputBuffer, channel: u16, method: u16, delivery_tag: u64, bits: u8) {
    const PAYLOAD_LEN: u8 = 13;
    let [channel_high, channel_low] = channel.to_be_bytes();
    let [class_high, class_low] = BASIC.to_be_bytes();
    let [method_high, method_low] = method.to_be_bytes();
    let [t7, t6, t5, t4, t3, t2, t1, t0] = delivery_tag.to_be_bytes();
    out.put_slice(&[
        FrameKind::Method.octet(),
        channel_high,
        channel_low,
        0,
        0,
        0,
        PAYLOAD_LEN,
        class_high,
        class_low,
        method_high,
        method_low,
        t7,
        t6,
        t5,
        t4,
        t3,
        t2,
        t1,
        t0,
        bits,
        FRAME_END,
    ]);
}

#[cfg(test)]
mod tests;
