//! Publishes encoded once and sent over and over.

use leveret_wire::ContentError;

use crate::frames::{Envelope, put_publish};
use crate::stamp::{STAMP_LEN, Stamp};

/// Octets of one write: enough that the system call is nothing beside it, and they stay in the cache.
const WRITE_MAX: usize = 64 * 1024;

/// Where a message stands in the octets.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Behind its last frame.
    end: usize,
    /// Its body's first octet.
    body: usize,
}

/// A cycle of messages: message `n` takes route `n % routes` and channel `n % channels + 1`.
#[derive(Debug)]
pub(crate) struct Batch {
    octets: Vec<u8>,
    marks: Vec<Mark>,
    /// The next message.
    next: usize,
}

impl Batch {
    /// Encode the cycle for these `routes` and `channels`, several times if it is short.
    pub(crate) fn new(
        routes: &[Envelope],
        channels: u16,
        body: &[u8],
        frame_max: usize,
    ) -> Result<Self, ContentError> {
        let cycle = least_common_multiple(routes.len(), usize::from(channels));
        let mut octets = Vec::new();
        let mut marks: Vec<Mark> = Vec::new();
        let numbers = 1..=channels;
        for (envelope, channel) in routes.iter().cycle().zip(numbers.cycle()).take(cycle) {
            let body = put_publish(&mut octets, channel, envelope, body, frame_max)?;
            marks.push(Mark {
                end: octets.len(),
                body,
            });
        }
        let once = (octets.len(), marks.len());
        while !marks.is_empty() && octets.len() + once.0 <= WRITE_MAX {
            let by = octets.len();
            octets.extend_from_within(..once.0);
            marks.extend_from_within(..once.1);
            for mark in marks.iter_mut().rev().take(once.1) {
                mark.end += by;
                mark.body += by;
            }
        }
        Ok(Self {
            octets,
            marks,
            next: 0,
        })
    }

    /// The next messages to write at once: at least one, at most `most`. `stamp` is asked for what to
    /// write into the body of the first, second, ... of them.
    pub(crate) fn take(
        &mut self,
        most: usize,
        mut stamp: impl FnMut(usize) -> Option<Stamp>,
    ) -> (usize, &[u8]) {
        let first = self.next;
        let start = match first.checked_sub(1).and_then(|last| self.marks.get(last)) {
            Some(mark) => mark.end,
            None => 0,
        };
        let rest = self.marks.get(first..).unwrap_or_default();
        let fitting = rest.partition_point(|mark| mark.end - start <= WRITE_MAX);
        let count = fitting.max(1).min(most).min(rest.len());
        let taken = rest.get(..count).unwrap_or_default();
        let end = taken.last().map_or(start, |mark| mark.end);
        for (index, mark) in taken.iter().enumerate() {
            let Some(stamp) = stamp(index) else { break };
            if let Some(place) = self.octets.get_mut(mark.body..mark.body + STAMP_LEN) {
                place.copy_from_slice(&stamp.octets());
            }
        }
        self.next = if first + count == self.marks.len() {
            0
        } else {
            first + count
        };
        (count, self.octets.get(start..end).unwrap_or_default())
    }
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::cut_publish;

    fn envelope(key: &str) -> Envelope {
        Envelope {
            routing_key: key.to_owned(),
            ..Envelope::default()
        }
    }

    #[test]
    fn routes_and_channels_go_round() {
        let routes = [envelope("a"), envelope("b"), envelope("c")];
        let mut batch = Batch::new(&routes, 2, &[0; 20], 4096).unwrap();
        let mut found = Vec::new();
        let mut sequence = 0;
        while found.len() < 14 {
            let (count, octets) = batch.take(5, |index| {
                Some(Stamp {
                    nanos: 7,
                    stream: 1,
                    sequence: sequence + index as u64,
                })
            });
            sequence += count as u64;
            let mut rest = octets;
            while !rest.is_empty() {
                let publish = cut_publish(rest, 4096).unwrap();
                let key = String::from_utf8(publish.publish.routing_key().to_vec()).unwrap();
                let stamp = Stamp::parse(publish.body).unwrap();
                found.push((key, publish.channel, stamp.sequence));
                rest = &rest[publish.encoded_len()..];
            }
        }
        for (index, (key, channel, sequence)) in found.iter().enumerate() {
            assert_eq!(key, ["a", "b", "c"][index % 3]);
            assert_eq!(usize::from(*channel), index % 2 + 1);
            assert_eq!(*sequence, index as u64);
        }
    }

    #[test]
    fn a_write_is_of_bounded_size() {
        let mut batch = Batch::new(&[envelope("a")], 1, &[0; 1000], 4096).unwrap();
        let (count, octets) = batch.take(usize::MAX, |_| None);
        assert!(count > 40 && octets.len() <= WRITE_MAX);
        let mut large = Batch::new(&[envelope("a")], 1, &vec![0; 100_000], 4096).unwrap();
        let (count, octets) = large.take(usize::MAX, |_| None);
        assert!(count == 1 && octets.len() > 100_000);
    }
}
