//! A message as the store gets it: with the moment at which it expires, if it does.
//!
//! The store knows of no deadlines: one is attached to the message as a moment. A message
//! without a deadline is stored as it is, and shares its octets with its copies in other queues.

use leveret_store::moment::{self, Mark};
use leveret_wire::Message;

use crate::time::Time;

/// The form in which to store a message.
pub(crate) fn write(message: &Message, deadline: Time) -> Message {
    if deadline == Time::NEVER {
        return message.clone();
    }
    moment::attach(message, Mark::DEADLINE, deadline.0)
}

/// The message that was stored, and its deadline.
pub(crate) fn read(stored: Message) -> (Message, Time) {
    match moment::detach(&stored, Mark::DEADLINE) {
        Some((message, deadline)) => (message, Time(deadline)),
        None => (stored, Time::NEVER),
    }
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
