//! Messages that can be told apart, and of which every octet is known beforehand.

use std::fmt;

use crate::random::Random;

const MAGIC: [u8; 4] = *b"LVT1";
/// Octets of what names a message, and of the shortest body.
pub(crate) const BODY_MIN: usize = 20;

/// A message: who published it, and as which of its messages. A publisher's numbers grow over all
/// lives of the broker, and are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageId {
    pub(crate) publisher: u32,
    pub(crate) number: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "p{}#{}", self.publisher, self.number)
    }
}

impl MessageId {
    /// Its body of `octets`, at least [`BODY_MIN`]: its name, its length, and a filling that
    /// follows from both.
    pub(crate) fn body(self, octets: usize) -> Vec<u8> {
        let octets = octets.max(BODY_MIN);
        let mut body = Vec::with_capacity(octets + 8);
        body.extend(MAGIC);
        body.extend(self.publisher.to_be_bytes());
        body.extend(self.number.to_be_bytes());
        body.extend(u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes());
        let mut filling = Random::new(self.number);
        let of_number = filling.next();
        filling = Random::new(of_number ^ u64::from(self.publisher));
        while body.len() < octets {
            body.extend(filling.next().to_be_bytes());
        }
        body.truncate(octets);
        body
    }

    /// Whose body this is. Each octet of it is checked; says what is wrong.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self, String> {
        let id = Self::named_in(body)
            .ok_or_else(|| format!("a body of {} octets names no message", body.len()))?;
        let expected = id.body(body.len());
        let wrong = expected.iter().zip(body).position(|(a, b)| a != b);
        match wrong {
            None => Ok(id),
            Some(at) => Err(format!(
                "the body of {id}, {} octets long, is wrong from octet {at} on",
                body.len()
            )),
        }
    }

    fn named_in(body: &[u8]) -> Option<Self> {
        let magic: [u8; 4] = body.get(..4)?.try_into().ok()?;
        let publisher = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?);
        let number = u64::from_be_bytes(body.get(8..16)?.try_into().ok()?);
        (magic == MAGIC && body.len() >= BODY_MIN).then_some(Self { publisher, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId {
        publisher: 7,
        number: 1 << 33,
    };

    #[test]
    fn a_body_names_its_message() {
        for octets in [0, BODY_MIN, 21, 100, 70_000] {
            let body = ID.body(octets);
            assert_eq!(body.len(), octets.max(BODY_MIN));
            assert_eq!(MessageId::of_body(&body), Ok(ID));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let body = ID.body(64);
        assert!(MessageId::of_body(&body).is_ok());
        for at in 0..64 {
            for bit in 0..8 {
                let mut flipped = body.clone();
                flipped[at] ^= 1 << bit;
                assert!(
                    MessageId::of_body(&flipped).is_err(),
                    "octet {at}, bit {bit}"
                );
            }
        }
        assert!(MessageId::of_body(&body[..63]).is_err());
        assert!(MessageId::of_body(&[]).is_err());
    }
}
