//! A fuzzer's octets, read as choices. Past the end everything is zero, so that any input means something.

/// Octets yet to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `octets`.
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next octets, fewer than `len` at the end.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// What is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The next octets, as many as one octet before them says.
    pub(crate) fn sized(&mut self) -> &'a [u8] {
        let len = self.u8().into();
        self.take(len)
    }

    /// As [`Self::sized`], as far as they are UTF-8.
    pub(crate) fn text(&mut self) -> &'a str {
        let octets = self.sized();
        match std::str::from_utf8(octets) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// The next octet.
    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// The lowest bit of the next octet.
    pub(crate) fn bool(&mut self) -> bool {
        self.u8() & 1 != 0
    }

    /// The next two octets.
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }
}
