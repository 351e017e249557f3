//! What the fuzzers (`tests/fuzz`) need of this crate's inside. No part of its interface.

use crate::proxy;

/// What the PROXY header says that `octets` begin with, and how long it is. `Ok(None)`: its end has not come yet;
/// `Err`: it is none.
#[expect(clippy::result_unit_err, reason = "there is nothing to say about it")]
pub fn proxy_header(octets: &[u8]) -> Result<Option<(proxy::Announced, usize)>, ()> {
    proxy::parse(octets).map_err(|proxy::Malformed| ())
}
