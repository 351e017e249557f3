//! Messages that carry a moment into the store.
//!
//! A moment (milliseconds since the Unix epoch, as far as the store cares just a number to order by) stands behind the
//! properties of the content header, and the header's weight, which AMQP 0-9-1 section 4.2.6.1 wants to be 0, says that
//! it is there and what for. The octets of routing and body stay as they are.

use leveret_wire::Message;

/// Where the content header has its weight.
const WEIGHT: std::ops::Range<usize> = 2..4;
const MOMENT_LEN: usize = 8;

/// What a moment is for: the weight that announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark([u8; 2]);

impl Mark {
    /// The message expires then. The store does not look at it.
    pub const DEADLINE: Self = Self(*b"LD");
    /// The message is due then: see [`crate::Store::order_by_due`].
    pub const DUE: Self = Self(*b"LS");
}

/// The message with a moment, to be put into the store.
#[must_use]
pub fn attach(message: &Message, mark: Mark, moment: u64) -> Message {
    let mut header = Vec::with_capacity(message.header().len() + MOMENT_LEN);
    header.extend_from_slice(message.header());
    if let Some(weight) = header.get_mut(WEIGHT) {
        weight.copy_from_slice(&mark.0);
        header.extend_from_slice(&moment.to_be_bytes());
    }
    message.with_header(&header)
}

/// The moment that a message carries with this mark.
pub fn of(stored: &Message, mark: Mark) -> Option<u64> {
    split(stored.header(), mark).map(|(_, moment)| moment)
}

/// The message as it was before [`attach`], and its moment. `None` if it carries none with this mark.
pub fn detach(stored: &Message, mark: Mark) -> Option<(Message, u64)> {
    let (header, moment) = split(stored.header(), mark)?;
    let mut header = header.to_vec();
    header.get_mut(WEIGHT)?.fill(0);
    Some((stored.with_header(&header), moment))
}

fn split(stored: &[u8], mark: Mark) -> Option<(&[u8], u64)> {
    if stored.get(WEIGHT)? != mark.0 {
        return None;
    }
    let (header, moment) = stored.split_last_chunk::<MOMENT_LEN>()?;
    Some((header, u64::from_be_bytes(*moment)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::message;

    #[test]
    fn a_moment_comes_back_and_the_message_is_as_it_was() {
        let plain = message("key", b"body");
        let stored = attach(&plain, Mark::DUE, 77);
        assert_eq!(of(&stored, Mark::DUE), Some(77));
        assert_eq!(of(&stored, Mark::DEADLINE), None);
        assert!(detach(&stored, Mark::DEADLINE).is_none());
        let (back, moment) = detach(&stored, Mark::DUE).unwrap();
        assert_eq!(moment, 77);
        assert_eq!(back.header(), plain.header());
        assert_eq!(back.routing(), plain.routing());
        assert_eq!(back.body(), plain.body());
        assert!(stored.is_persistent());
        assert_eq!(of(&plain, Mark::DUE), None);
    }
}
