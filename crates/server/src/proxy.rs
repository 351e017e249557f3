//! The PROXY protocol, versions 1 and 2 (haproxy's "proxy-protocol.txt"): what a proxy says before the client's own
//! octets, so that the client's address is known.
//!
//! Only who is trusted may say it, and then must: a header that is sometimes there and sometimes not could be the
//! client's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Octets of the fixed part of version 2.
const FIXED: usize = 16;

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1, its end included.
const LINE_MAX: usize = 107;

/// Octets that may follow the fixed part of version 2: addresses, and a few kinds of notes that nobody reads here.
const NOTES_MAX: usize = 4096;

/// From where to where a proxy says that it connects; `None`: on its own behalf, or it does not know.
pub(crate) type Announced = Option<(SocketAddr, SocketAddr)>;

/// Why there is no header that can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoHeader {
    /// Nothing came at all.
    #[error("closed before any octet")]
    Nothing,
    /// It ended within the header.
    #[error("closed within the PROXY protocol header")]
    Cut,
    /// Something else came.
    #[error("no PROXY protocol header")]
    Malformed,
    /// The socket failed.
    #[error(transparent)]
    Failed(#[from] std::io::Error),
}

/// Take the header off a stream, and nothing behind it.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Announced, NoHeader> {
    let mut header = Vec::new();
    loop {
        let mut peeked = [0; 256];
        let count = stream.peek(&mut peeked).await?;
        if count == 0 {
            return Err(if header.is_empty() {
                NoHeader::Nothing
            } else {
                NoHeader::Cut
            });
        }
        let taken = header.len();
        header.extend_from_slice(peeked.get(..count).unwrap_or_default());
        let parsed = parse(&header).map_err(|Malformed| NoHeader::Malformed)?;
        let end = parsed.map_or(header.len(), |(_, length)| length);
        let mut consumed = vec![0; end.saturating_sub(taken)];
        stream.read_exact(&mut consumed).await?;
        if let Some((announced, _)) = parsed {
            return Ok(announced);
        }
    }
}

/// It is no header, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads the header that `octets` begin with, and says how long it is. `None`: its end has not come yet.
pub(crate) fn parse(octets: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    if begins(octets, &SIGNATURE) {
        return parse_binary(octets);
    }
    if begins(octets, WORD) {
        return parse_line(octets);
    }
    Err(Malformed)
}

/// Whether `octets` begin with `mark`, as far as they go.
fn begins(octets: &[u8], mark: &[u8]) -> bool {
    octets
        .iter()
        .zip(mark)
        .all(|(octet, wanted)| octet == wanted)
}

fn parse_line(octets: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    let Some(end) = octets
        .windows(2)
        .take(LINE_MAX - 1)
        .position(|two| two == b"\r\n")
    else {
        return if octets.len() < LINE_MAX {
            Ok(None)
        } else {
            Err(Malformed)
        };
    };
    let line = octets.get(WORD.len()..end).ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let mut words = line.split(' ');
    let announced = match words.next() {
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(addresses::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(addresses::<Ipv6Addr>(words)?),
        _ => return Err(Malformed),
    };
    Ok(Some((announced, end + 2)))
}

/// Two addresses and their ports, in version 1's order.
fn addresses<'l, Ip: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'l str>,
) -> Result<(SocketAddr, SocketAddr), Malformed> {
    let mut next = || words.next().ok_or(Malformed);
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if words.next().is_some() {
        return Err(Malformed);
    }
    Ok((
        SocketAddr::new(address::<Ip>(source)?, port(source_port)?),
        SocketAddr::new(address::<Ip>(destination)?, port(destination_port)?),
    ))
}

fn address<Ip: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, Malformed> {
    text.parse::<Ip>().map(Into::into).map_err(|_| Malformed)
}

fn port(text: &str) -> Result<u16, Malformed> {
    // `parse` alone would take `+5672` and `05672`.
    let plain = text.bytes().all(|octet| octet.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

fn parse_binary(octets: &[u8]) -> Result<Option<(Announced, usize)>, Malformed> {
    let Some(fixed) = octets.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > NOTES_MAX {
        return Err(Malformed);
    }
    let Some(rest) = octets.get(FIXED..FIXED + length) else {
        // What can be said of it already is not waited for.
        return announced(command, family, None, length).map(|_| None);
    };
    let announced = announced(command, family, Some(rest), length)?;
    Ok(Some((announced, FIXED + length)))
}

fn announced(
    command: u8,
    family: u8,
    rest: Option<&[u8]>,
    length: usize,
) -> Result<Announced, Malformed> {
    let needed = match (command, family) {
        (0x21, 0x11) => 12,
        (0x21, 0x21) => 36,
        // LOCAL: the proxy itself, as to see whether anybody is there. Or neither IP nor a stream: there is no address
        // that could be taken.
        (0x20, _) | (0x21, 0x00 | 0x31 | 0x32 | 0x12 | 0x22) => return Ok(None),
        _ => return Err(Malformed),
    };
    if length < needed {
        return Err(Malformed);
    }
    let Some(rest) = rest else {
        return Ok(None);
    };
    if family == 0x11 {
        let ([source, destination], ports) = halves::<4>(rest)?;
        return Ok(Some((
            SocketAddr::new(Ipv4Addr::from(source).into(), ports.0),
            SocketAddr::new(Ipv4Addr::from(destination).into(), ports.1),
        )));
    }
    let ([source, destination], ports) = halves::<16>(rest)?;
    Ok(Some((
        SocketAddr::new(Ipv6Addr::from(source).into(), ports.0),
        SocketAddr::new(Ipv6Addr::from(destination).into(), ports.1),
    )))
}

type Halves<const LENGTH: usize> = ([[u8; LENGTH]; 2], (u16, u16));

/// Two addresses and their ports, in version 2's order.
fn halves<const LENGTH: usize>(rest: &[u8]) -> Result<Halves<LENGTH>, Malformed> {
    let (source, rest) = rest.split_first_chunk::<LENGTH>().ok_or(Malformed)?;
    let (destination, rest) = rest.split_first_chunk::<LENGTH>().ok_or(Malformed)?;
    let (source_port, rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
    let destination_port = rest.first_chunk::<2>().ok_or(Malformed)?;
    let ports = (
        u16::from_be_bytes(*source_port),
        u16::from_be_bytes(*destination_port),
    );
    Ok(([*source, *destination], ports))
}

#[cfg(test)]
mod tests;
