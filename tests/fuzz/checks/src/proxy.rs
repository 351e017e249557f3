//! The header that a proxy sends before the client's own octets.

use std::net::{IpAddr, SocketAddr};

use leveret::fuzz::proxy_header;

use crate::allocation::bounded;

/// The input: what a connection begins with.
pub fn check(input: &[u8]) {
    let whole = bounded(input.len(), 0, || proxy_header(input));
    // However much has come: no other answer than that of all of it, and none before it is there.
    for len in 0..input.len().min(300) {
        let part = proxy_header(&input[..len]);
        match (part, whole) {
            (Ok(None), _) => {}
            (Ok(Some((announced, end))), whole) => {
                assert!(end <= len);
                assert_eq!(whole, Ok(Some((announced, end))));
            }
            (Err(()), whole) => assert_eq!(whole, Err(()), "refused after {len} octets alone"),
        }
    }
    let Ok(Some((announced, end))) = whole else {
        return;
    };
    let header = &input[..end];
    assert_eq!(proxy_header(&header[..end - 1]), Ok(None));
    let Some((source, destination)) = announced else {
        return;
    };
    // Written by another hand, it is the same header.
    if header.starts_with(b"PROXY") {
        let line = line(source, destination);
        assert_eq!(
            proxy_header(line.as_bytes()),
            Ok(Some((announced, line.len())))
        );
    } else {
        let written = binary(source, destination);
        // Notes may follow the addresses.
        assert_eq!(header[16..][..written.len() - 16], written[16..]);
        assert_eq!(proxy_header(&written), Ok(Some((announced, written.len()))));
    }
}

fn line(source: SocketAddr, destination: SocketAddr) -> String {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
}

fn binary(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut written = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    let (family, len) = if source.is_ipv4() {
        (0x11, 12)
    } else {
        (0x21, 36)
    };
    written.extend([family, 0, len]);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => written.extend(ip.octets()),
            IpAddr::V6(ip) => written.extend(ip.octets()),
        }
    }
    for address in [source, destination] {
        written.extend(address.port().to_be_bytes());
    }
    written
}
