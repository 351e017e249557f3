//! Reading little-endian numbers and slices off the front of octets, without ever reading past the end.

/// Octets yet to be read. Every `take` is `None` when there are too few, and then nothing was taken.
#[derive(Clone, Copy)]
pub(crate) struct Octets<'a>(pub(crate) &'a [u8]);

impl<'a> Octets<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn take_u8(&mut self) -> Option<u8> {
        self.take_array().map(u8::from_le_bytes)
    }

    pub(crate) fn take_u16(&mut self) -> Option<u16> {
        self.take_array().map(u16::from_le_bytes)
    }

    pub(crate) fn take_u32(&mut self) -> Option<u32> {
        self.take_array().map(u32::from_le_bytes)
    }

    pub(crate) fn take_u64(&mut self) -> Option<u64> {
        self.take_array().map(u64::from_le_bytes)
    }

    /// A slice with its length (u32) before it.
    pub(crate) fn take_sized(&mut self) -> Option<&'a [u8]> {
        let mut rest = *self;
        let len = usize::try_from(rest.take_u32()?).ok()?;
        let taken = rest.take(len)?;
        *self = rest;
        Some(taken)
    }
}

/// Append a slice with its length (u32) before it. Longer slices than that are cut; callers bound them far below.
pub(crate) fn put_sized(out: &mut Vec<u8>, octets: &[u8]) {
    let len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    out.extend_from_slice(octets.get(..len).unwrap_or(octets));
}

/// A count or length as the 64 bits that files and counters use.
pub(crate) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A file offset as an index into octets held in memory; past every end if it does not fit.
pub(crate) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
