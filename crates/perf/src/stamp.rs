//! The first octets of a body: when it should have been sent, by whom, and as which one.

use std::time::Instant;

/// Octets of a stamp; bodies that are stamped are at least as long.
pub(crate) const STAMP_LEN: usize = 16;
/// Bits of the sequence number; the rest of its word is the stream.
const SEQUENCE_BITS: u32 = 48;
/// How many streams can be told apart.
pub(crate) const STREAMS_MAX: usize = 1 << (64 - SEQUENCE_BITS);

/// What stands at the start of a body when latency is measured or `--verify` is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Intended time of sending, in nanoseconds on the run's [`Clock`].
    pub(crate) nanos: u64,
    /// A publisher's channel: its messages have an order.
    pub(crate) stream: u16,
    /// Position in the stream, from 0; 48 bits.
    pub(crate) sequence: u64,
}

impl Stamp {
    /// The octets: time, then stream and sequence, big-endian.
    #[inline]
    pub(crate) fn octets(self) -> [u8; STAMP_LEN] {
        let word = u64::from(self.stream) << SEQUENCE_BITS | self.sequence;
        (u128::from(self.nanos) << 64 | u128::from(word)).to_be_bytes()
    }

    /// Read it back from the start of a body; `None` when that is too short.
    #[inline]
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let (time, rest) = body.split_first_chunk::<8>()?;
        let word = u64::from_be_bytes(*rest.first_chunk::<8>()?);
        Some(Self {
            nanos: u64::from_be_bytes(*time),
            stream: u16::try_from(word >> SEQUENCE_BITS).unwrap_or_default(),
            sequence: word & ((1 << SEQUENCE_BITS) - 1),
        })
    }
}

/// The monotonic clock that all threads of a run share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that shows 0 now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back() {
        let stamp = Stamp {
            nanos: 0x0102_0304_0506_0708,
            stream: 0xfffe,
            sequence: 0xffff_ffff_fffd,
        };
        let mut body = stamp.octets().to_vec();
        body.extend(b"filling");
        assert_eq!(Stamp::parse(&body), Some(stamp));
        assert_eq!(Stamp::parse(&body[..15]), None);
    }
}
