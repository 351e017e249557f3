//! Addresses to listen on, as an operator writes them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An address to listen on: `127.0.0.1:5672`, `[::1]:5672`, `localhost:5672`, or `:5672` for every
/// interface. Port 0 lets the system choose one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// Looked up when the broker starts, so that a configuration can be checked without a network.
    Name(String),
    EveryInterface,
}

/// Text that is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid socket address {0:?}")]
pub struct UnknownAddress(pub String);

impl ListenAddress {
    /// 127.0.0.1 at `port`.
    pub const fn localhost(port: u16) -> Self {
        Self {
            host: Host::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            port,
        }
    }

    /// The port; 0: the system chooses.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The socket addresses that this can mean, the best first: bind the first that can be bound.
    /// Every interface means IPv6 with IPv4 mapped into it or, on a host without IPv6, IPv4 alone.
    /// Blocks while a name is looked up.
    pub fn candidates(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = match &self.host {
            Host::Address(ip) => vec![SocketAddr::new(*ip, self.port)],
            Host::Name(name) => (name.as_str(), self.port).to_socket_addrs()?.collect(),
            Host::EveryInterface => vec![
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port)),
            ],
        };
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            ));
        }
        Ok(found)
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Address(address.ip()),
            port: address.port(),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = UnknownAddress;

    fn from_str(text: &str) -> Result<Self, UnknownAddress> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let unknown = || UnknownAddress(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(unknown)?;
        // `parse` alone would take `+5672`.
        if !port.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(unknown());
        }
        let port = port.parse().map_err(|_| unknown())?;
        let host = if host.is_empty() {
            Host::EveryInterface
        } else if is_host_name(host) {
            Host::Name(host.to_owned())
        } else {
            return Err(unknown());
        };
        Ok(Self { host, port })
    }
}

/// Whether `text` can be a host's name. All digits and dots is not: that is a mistyped IPv4
/// address, which a look-up would only report later and less clearly.
fn is_host_name(text: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_');
    text.len() <= 253
        && text.bytes().all(allowed)
        && !text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || octet == b'.')
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::EveryInterface => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ListenAddress {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_is_read_and_written_back_the_same() {
        for text in [
            "127.0.0.1:5672",
            "[::1]:0",
            "0.0.0.0:65535",
            "localhost:5672",
            "mq-1.example.org:1",
            ":5672",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_text() {
        let wrong = [
            "",
            "foo",
            "5672",
            "foo:",
            "127.0.0.1",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "127.0.0.1:+1",
            "1.2.3:5672",
            "1.2.3.4.5:5672",
            "::1:5672",
            "[::1]",
            "[::1:5672",
            "a b:5672",
            "amqp://localhost:5672",
        ];
        for text in wrong {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid socket address {text:?}")
            );
        }
    }

    #[test]
    fn candidates_are_what_can_be_bound() {
        assert_eq!(
            parsed("[::1]:7").candidates().unwrap(),
            ["[::1]:7".parse().unwrap()]
        );
        assert_eq!(
            parsed(":7").candidates().unwrap(),
            ["[::]:7".parse().unwrap(), "0.0.0.0:7".parse().unwrap()]
        );
        assert!(
            parsed("localhost:7")
                .candidates()
                .unwrap()
                .iter()
                .all(|at| at.ip().is_loopback() && at.port() == 7)
        );
    }
}
