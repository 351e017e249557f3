//! Room to read into, shared by the connections of a thread.
//!
//! A connection holds octets of its own only while a frame is incomplete; between reads its
//! buffer serves the next connection. Ten thousand idle connections then cost no buffers.

use std::cell::RefCell;

use bytes::BytesMut;

/// Octets offered to one read. Large enough that a busy socket is emptied in few system calls.
const READ_BYTES: usize = 128 << 10;

/// An unfinished rest smaller than this is copied, and the large buffer given back.
const REST_COPIED_MAX: usize = 16 << 10;

thread_local! {
    static SPARE: RefCell<Option<BytesMut>> = const { RefCell::new(None) };
}

/// A buffer with `rest` at its start and room for a read.
pub(super) fn take(rest: &mut BytesMut) -> BytesMut {
    if rest.len() >= REST_COPIED_MAX {
        let mut buffer = std::mem::take(rest);
        buffer.reserve(READ_BYTES);
        return buffer;
    }
    let mut buffer = SPARE.take().unwrap_or_default();
    buffer.reserve(READ_BYTES);
    if !rest.is_empty() {
        buffer.extend_from_slice(rest);
        *rest = BytesMut::new();
    }
    buffer
}

/// Give a buffer back; what is left in it becomes `rest`.
pub(super) fn give_back(mut buffer: BytesMut, rest: &mut BytesMut) {
    if buffer.len() >= REST_COPIED_MAX {
        *rest = buffer;
        return;
    }
    if !buffer.is_empty() {
        *rest = BytesMut::from(&buffer[..]);
        buffer.clear();
    }
    SPARE.set(Some(buffer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_comes_first_in_the_next_buffer() {
        let mut rest = BytesMut::new();
        let mut buffer = take(&mut rest);
        buffer.extend_from_slice(b"half");
        give_back(buffer, &mut rest);
        assert_eq!(&rest[..], b"half");
        let buffer = take(&mut rest);
        assert_eq!(&buffer[..], b"half");
        assert!(buffer.capacity() >= READ_BYTES);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_long_rest_stays_where_it_is() {
        let mut rest = BytesMut::new();
        let mut buffer = take(&mut rest);
        buffer.resize(REST_COPIED_MAX, 7);
        let at = buffer.as_ptr();
        give_back(buffer, &mut rest);
        assert_eq!(rest.as_ptr(), at);
    }
}
