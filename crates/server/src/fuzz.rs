//! What the fuzzers (`tests/fuzz`) need of this crate's inside. No part of its interface.

use std::net::SocketAddr;

use crate::proxy;

/// From where to where the PROXY header that octets begin with says that a proxy connects, and how long it is.
pub type ProxyHeader = (Option<(SocketAddr, SocketAddr)>, usize);

/// The PROXY header that `octets` begin with. `Ok(None)`: its end has not come yet; `Err`: it is none.
#[expect(clippy::result_unit_err, reason = "there is nothing to say about it")]
pub fn proxy_header(octets: &[u8]) -> Result<Option<ProxyHeader>, ()> {
    proxy::parse(octets).map_err(|proxy::Malformed| ())
}
