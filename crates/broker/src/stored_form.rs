//! A message as the store gets it: with the moment at which it expires, if it does.
//!
//! The store knows of no deadlines. One stands behind the properties of the content header,
//! and the header's weight, which AMQP wants to be 0 and the protocol machine refuses
//! otherwise, says so. A message without a deadline is stored as it is, and shares its octets
//! with its copies in other queues.

use leveret_wire::Message;

use crate::time::Time;

/// Where the content header has its weight.
const WEIGHT: std::ops::Range<usize> = 2..4;
/// The weight that announces a deadline.
const HAS_DEADLINE: [u8; 2] = *b"LD";
const DEADLINE_LEN: usize = 8;

/// The form in which to store a message.
pub(crate) fn write(message: &Message, deadline: Time) -> Message {
    if deadline == Time::NEVER {
        return message.clone();
    }
    let mut header = Vec::with_capacity(message.header().len() + DEADLINE_LEN);
    header.extend_from_slice(message.header());
    if let Some(weight) = header.get_mut(WEIGHT) {
        weight.copy_from_slice(&HAS_DEADLINE);
        header.extend_from_slice(&deadline.0.to_be_bytes());
    }
    message.with_header(&header)
}

/// The message that was stored, and its deadline.
pub(crate) fn read(stored: Message) -> (Message, Time) {
    let Some((header, deadline)) = split(stored.header()) else {
        return (stored, Time::NEVER);
    };
    let message = stored.with_header(&header);
    (message, deadline)
}

fn split(stored: &[u8]) -> Option<(Vec<u8>, Time)> {
    if stored.get(WEIGHT)? != HAS_DEADLINE {
        return None;
    }
    let (header, deadline) = stored.split_last_chunk::<DEADLINE_LEN>()?;
    let mut header = header.to_vec();
    header.get_mut(WEIGHT)?.fill(0);
    Some((header, Time(u64::from_be_bytes(*deadline))))
}

#[cfg(test)]
mod tests {
    use leveret_wire::{BodyPart, PropertiesBuilder};
    use proptest::prelude::*;

    use super::*;

    fn message(body: &[u8], expiration: Option<&[u8]>) -> Message {
        let header = PropertiesBuilder::new()
            .delivery_mode(Some(2))
            .priority(Some(7))
            .expiration(expiration)
            .build(body.len() as u64)
            .unwrap();
        Message::from_parts(b"x", b"key", &header, BodyPart::Slice(body)).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_deadline_comes_back_and_the_message_is_as_it_was(
            body in proptest::collection::vec(any::<u8>(), 0..6000),
            deadline in any::<u64>(),
            expiration in proptest::option::of("[0-9]{1,10}"),
        ) {
            let message = message(&body, expiration.as_ref().map(String::as_bytes));
            let stored = write(&message, Time(deadline));
            prop_assert!(stored.is_persistent());
            let mut octets = Vec::new();
            stored.encode(&mut octets);
            let (read, found) = read(Message::decode(octets.into()).unwrap());
            prop_assert_eq!(found, Time(deadline));
            prop_assert_eq!(read.header(), message.header());
            prop_assert_eq!(read.routing(), message.routing());
            prop_assert_eq!(read.body(), message.body());
        }
    }

    #[test]
    fn without_a_deadline_the_octets_are_shared() {
        let message = message(b"m", None);
        assert!(write(&message, Time::NEVER).same_as(&message));
        let (same, deadline) = read(message.clone());
        assert!(same.same_as(&message));
        assert_eq!(deadline, Time::NEVER);
    }
}
