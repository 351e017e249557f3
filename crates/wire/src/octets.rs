//! The few cuts of a slice that every hot parser needs. Each gives the part and the rest, or `None`
//! when the input is too short.

/// One octet.
#[inline]
pub(crate) fn split_u8(input: &[u8]) -> Option<(u8, &[u8])> {
    let (&value, rest) = input.split_first()?;
    Some((value, rest))
}

/// A big-endian 16-bit number.
#[inline]
pub(crate) fn split_u16(input: &[u8]) -> Option<(u16, &[u8])> {
    let (value, rest) = input.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*value), rest))
}

/// A big-endian 32-bit number.
#[inline]
pub(crate) fn split_u32(input: &[u8]) -> Option<(u32, &[u8])> {
    let (value, rest) = input.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*value), rest))
}

/// A big-endian 64-bit number.
#[inline]
pub(crate) fn split_u64(input: &[u8]) -> Option<(u64, &[u8])> {
    let (value, rest) = input.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*value), rest))
}

/// The content of a short string: one octet of length, then as many octets.
#[inline]
pub(crate) fn split_shortstr(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// What follows a 32-bit length: the layout of long strings, byte arrays, tables and arrays.
#[inline]
pub(crate) fn split_long(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = split_u32(input)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// A length as the 32-bit size field of a frame or a table.
///
/// Saturates: nothing of 4 GiB gets this far, as the frame and message limits are far below.
#[inline]
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// At most 255 octets of a short string, with their number.
#[inline]
pub(crate) fn shortstr_content(octets: &[u8]) -> (u8, &[u8]) {
    match u8::try_from(octets.len()) {
        Ok(length) => (length, octets),
        Err(_) => (
            u8::MAX,
            octets.get(..usize::from(u8::MAX)).unwrap_or_default(),
        ),
    }
}
