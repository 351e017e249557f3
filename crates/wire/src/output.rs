//! What is to be written to one peer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bodies from this many octets on are written by reference; shorter ones are copied, as a copy
/// costs less than a reference count, a list entry and one more slice in the write.
pub const SHARE_MIN: usize = 16 * 1024;
/// Capacity in octets that an empty buffer keeps for its next use.
pub const KEPT_CAPACITY: usize = 256 * 1024;
/// Written octets at the front that are worth moving the rest for.
const COMPACT_MIN: usize = 64 * 1024;

/// Octets waiting to be written to one peer, in order: small things copied into one buffer, large
/// bodies by reference.
#[derive(Debug, Default)]
pub struct OutputBuffer {
    /// All copied octets. The ones before `written` are gone already.
    copied: Vec<u8>,
    /// Octets of `copied` that were written.
    written: usize,
    /// What goes between octets of `copied`, in order.
    shared: VecDeque<Shared>,
    /// Octets in `shared`.
    shared_octets: usize,
}

/// A body held by reference.
#[derive(Debug)]
struct Shared {
    /// Index in `copied` before which it is written.
    before: usize,
    octets: Bytes,
}

impl OutputBuffer {
    /// An empty buffer that holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets waiting.
    #[inline]
    pub fn len(&self) -> usize {
        self.copied.len() - self.written + self.shared_octets
    }

    /// Make room for `additional` copied octets.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.copied.reserve(additional);
    }

    /// Append a copy of `octets`.
    #[inline]
    pub fn put_slice(&mut self, octets: &[u8]) {
        self.copied.extend_from_slice(octets);
    }

    /// Append one octet.
    #[inline]
    pub fn put_u8(&mut self, value: u8) {
        self.copied.push(value);
    }

    /// Append a big-endian 16-bit number.
    #[inline]
    pub fn put_u16(&mut self, value: u16) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Append a big-endian 32-bit number.
    #[inline]
    pub fn put_u32(&mut self, value: u32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Append a big-endian 64-bit number.
    #[inline]
    pub fn put_u64(&mut self, value: u64) {
        self.put_slice(&value.to_be_bytes());
    }

    /// Append `octets`: by reference from [`SHARE_MIN`] octets on, else copied.
    #[inline]
    pub fn put_bytes(&mut self, octets: Bytes) {
        if octets.len() < SHARE_MIN {
            self.put_slice(&octets);
        } else {
            self.shared_octets += octets.len();
            self.shared.push_back(Shared {
                before: self.copied.len(),
                octets,
            });
        }
    }

    /// Fill `slices` from the front with what waits, and give how many were filled. What did not
    /// fit comes with the next call, after [`Self::advance`].
    pub fn chunks<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut from = self.written;
        let mut put = |octets: &'a [u8]| {
            if octets.is_empty() {
                return true;
            }
            let Some(slot) = slices.get_mut(filled) else {
                return false;
            };
            *slot = IoSlice::new(octets);
            filled += 1;
            true
        };
        for shared in &self.shared {
            let copied = self.copied.get(from..shared.before).unwrap_or_default();
            if !(put(copied) && put(&shared.octets)) {
                return filled;
            }
            from = shared.before;
        }
        put(self.copied.get(from..).unwrap_or_default());
        filled
    }

    /// Drop `count` octets at the front: they were written. More than wait count as all.
    pub fn advance(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(shared) = self.shared.front_mut() else {
                self.written = self.written.saturating_add(left).min(self.copied.len());
                break;
            };
            let copied = shared.before - self.written;
            if copied > 0 {
                let taken = copied.min(left);
                self.written += taken;
                left -= taken;
                continue;
            }
            let taken = shared.octets.len().min(left);
            shared.octets.advance(taken);
            self.shared_octets -= taken;
            left -= taken;
            if shared.octets.is_empty() {
                self.shared.pop_front();
            }
        }
        self.reclaim();
    }

    /// Drop everything that waits.
    pub fn clear(&mut self) {
        self.copied.clear();
        self.written = 0;
        self.shared.clear();
        self.shared_octets = 0;
        self.copied.shrink_to(KEPT_CAPACITY);
    }

    /// Where the next copied octet will stand, for `overwrite`.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.copied.len()
    }

    /// Put a 16-bit number over copied octets that were appended just now.
    #[inline]
    pub(crate) fn overwrite_u16(&mut self, position: usize, value: u16) {
        let target = self
            .copied
            .get_mut(position..)
            .and_then(|octets| octets.first_chunk_mut());
        if let Some(target) = target {
            *target = value.to_be_bytes();
        }
    }

    /// A peer that never catches up must not keep what it has read already.
    fn reclaim(&mut self) {
        if self.is_empty() {
            self.clear();
        } else if self.written >= COMPACT_MIN && self.written >= self.copied.len() / 2 {
            self.copied.drain(..self.written);
            for shared in &mut self.shared {
                shared.before -= self.written;
            }
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests;
