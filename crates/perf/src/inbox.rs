//! Frames of one connection, parsed where they lie.

use std::io::{self, Read};

use leveret_wire::{FRAME_END, FRAME_HEADER_LEN};

use crate::stamp::STAMP_LEN;

/// Frame type of a method.
pub(crate) const METHOD: u8 = 1;
/// Frame type of a content header.
pub(crate) const HEADER: u8 = 2;
/// Frame type of a piece of a body.
pub(crate) const BODY: u8 = 3;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The type octet.
    pub(crate) kind: u8,
    /// The channel number.
    pub(crate) channel: u16,
    /// Octets of the whole payload.
    pub(crate) size: usize,
    /// The payload; of a body that is not kept perhaps only the beginning, but at least
    /// [`STAMP_LEN`] octets if it has as many.
    pub(crate) payload: &'a [u8],
}

/// What was read of a connection and not yet parsed.
#[derive(Debug)]
pub(crate) struct Inbox {
    octets: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of a body to drop when they come.
    skip: usize,
    /// Whether bodies are given whole.
    keep_bodies: bool,
    /// A frame did not end with the frame-end octet.
    broken: bool,
}

impl Inbox {
    /// An inbox that reads up to `capacity` octets at once. Without `keep_bodies` only the beginning
    /// of a body is sure to be given.
    pub(crate) fn new(capacity: usize, keep_bodies: bool) -> Self {
        Self {
            octets: vec![0; capacity],
            start: 0,
            end: 0,
            skip: 0,
            keep_bodies,
            broken: false,
        }
    }

    /// Read once, with `read` into the free part.
    pub(crate) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.broken {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a frame does not end with the frame-end octet",
            ));
        }
        if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.octets.len() {
            self.octets.resize((self.octets.len() * 2).max(4096), 0);
        }
        let count = read(self.octets.get_mut(self.end..).unwrap_or_default())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += count;
        Ok(count)
    }

    /// A copy of what waits, to look through without taking it.
    pub(crate) fn peeked(&self) -> Self {
        Self {
            octets: self
                .octets
                .get(self.start..self.end)
                .unwrap_or_default()
                .to_vec(),
            start: 0,
            end: self.end - self.start,
            skip: self.skip,
            keep_bodies: self.keep_bodies,
            broken: self.broken,
        }
    }

    /// Read once from `stream`.
    pub(crate) fn fill_from(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.fill(|free| stream.read(free))
    }

    /// The next frame, if it is there.
    #[inline]
    pub(crate) fn next_frame(&mut self) -> Option<Frame<'_>> {
        if self.skip > 0 {
            let count = self.skip.min(self.end - self.start);
            self.skip -= count;
            self.start += count;
        }
        let input = self.octets.get(self.start..self.end)?;
        let (header, rest) = input.split_first_chunk::<FRAME_HEADER_LEN>()?;
        let &[kind, c1, c0, s3, s2, s1, s0] = header;
        let size = u32::from_be_bytes([s3, s2, s1, s0]) as usize;
        let channel = u16::from_be_bytes([c1, c0]);
        let payload = match rest.get(size) {
            Some(&FRAME_END) => {
                self.start += FRAME_HEADER_LEN + size + 1;
                rest.get(..size)?
            }
            Some(_) => {
                self.broken = true;
                return None;
            }
            None if kind == BODY && !self.keep_bodies && rest.len() >= size.min(STAMP_LEN) => {
                self.start = self.end;
                self.skip = size + 1 - rest.len();
                rest.get(..size.min(rest.len()))?
            }
            None => return None,
        };
        Some(Frame {
            kind,
            channel,
            size,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
        let size = u8::try_from(payload.len()).unwrap();
        let mut octets = vec![kind, 0, channel, 0, 0, 0, size];
        octets.extend_from_slice(payload);
        octets.push(FRAME_END);
        octets
    }

    /// Feeds the octets in pieces, and gives every frame's kind, channel, size and payload.
    fn frames(octets: &[u8], piece: usize, keep: bool) -> Vec<(u8, u16, usize, Vec<u8>)> {
        let mut inbox = Inbox::new(8, keep);
        let mut found = Vec::new();
        let mut rest = octets;
        while !rest.is_empty() {
            let mut part = rest.get(..piece.min(rest.len())).unwrap();
            let count = inbox.fill_from(&mut part).unwrap();
            rest = &rest[count..];
            while let Some(frame) = inbox.next_frame() {
                found.push((
                    frame.kind,
                    frame.channel,
                    frame.size,
                    frame.payload.to_vec(),
                ));
            }
        }
        found
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let octets = [
            frame(1, 1, b"method"),
            frame(8, 0, b""),
            frame(3, 2, &[7; 40]),
        ]
        .concat();
        let expected = [
            (1, 1, 6, b"method".to_vec()),
            (8, 0, 0, Vec::new()),
            (3, 2, 40, vec![7; 40]),
        ];
        for piece in 1..octets.len() {
            assert_eq!(frames(&octets, piece, true), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_body_that_is_not_kept_shows_its_beginning_once() {
        let octets = [
            frame(3, 2, &[7; 40]),
            frame(1, 1, b"next"),
            frame(3, 1, b"xy"),
        ]
        .concat();
        for piece in 1..octets.len() {
            let found = frames(&octets, piece, false);
            assert_eq!(found.len(), 3, "pieces of {piece}");
            assert!(found[0].2 == 40 && found[0].3.len() >= STAMP_LEN);
            assert_eq!(found[1], (1, 1, 4, b"next".to_vec()));
            assert_eq!(found[2].2, 2);
        }
    }

    #[test]
    fn a_missing_end_octet_is_an_error() {
        let mut octets = frame(1, 1, b"method");
        *octets.last_mut().unwrap() = 0;
        let mut inbox = Inbox::new(64, true);
        inbox.fill_from(&mut octets.as_slice()).unwrap();
        assert_eq!(inbox.next_frame(), None);
        assert!(inbox.fill_from(&mut octets.as_slice()).is_err());
    }
}
