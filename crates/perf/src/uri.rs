//! Where the broker is: `amqp://user:password@host:port/vhost`.

use std::fmt;
use std::str::FromStr;

/// The port of AMQP without TLS.
const PORT: u16 = 5672;

/// An AMQP URI, as RabbitMQ's page "URI Specification" has it: what is left out is the default
/// (guest, guest, port 5672, vhost `/`). TLS (`amqps`) is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    /// Name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Password.
    pub password: String,
    /// The virtual host.
    pub vhost: String,
}

impl Uri {
    /// host:port, as it is shown; never the password.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Uri {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uri")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}

impl FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("amqp://") else {
            return Err(if text.starts_with("amqps://") {
                "amqps (TLS) is not supported, use amqp://".to_owned()
            } else {
                "a URI begins with amqp://".to_owned()
            });
        };
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, Some(vhost)),
            None => (rest, None),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, "")))
        {
            Some((user, password)) => (decode(user)?, decode(password)?),
            None => ("guest".to_owned(), "guest".to_owned()),
        };
        let (host, port) = split_port(place)?;
        Ok(Self {
            host: if host.is_empty() {
                "127.0.0.1".to_owned()
            } else {
                decode(host)?
            },
            port,
            user,
            password,
            vhost: match vhost {
                None | Some("") => "/".to_owned(),
                Some(name) => decode(name)?,
            },
        })
    }
}

/// The host, without an IPv6 address's brackets, and the port.
fn split_port(place: &str) -> Result<(&str, u16), String> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("'{text}' is no port number"))
    };
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or("an IPv6 address stands in [ and ]")?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, number(port)?)),
            None => Ok((host, PORT)),
        };
    }
    match place.split_once(':') {
        Some((host, port)) => Ok((host, number(port)?)),
        None => Ok((place, PORT)),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            octets.push(first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let octet = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        octets.push(octet.ok_or_else(|| format!("'{text}' has a % without two hex digits"))?);
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(octets).map_err(|_| format!("'{text}' is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is compared with what parsing gives"
    )]
    fn uri(host: &str, port: u16, login: (&str, &str), vhost: &str) -> Result<Uri, String> {
        Ok(Uri {
            host: host.to_owned(),
            port,
            user: login.0.to_owned(),
            password: login.1.to_owned(),
            vhost: vhost.to_owned(),
        })
    }

    #[test]
    fn what_is_left_out_is_the_default() {
        let guest = ("guest", "guest");
        assert_eq!("amqp://h".parse(), uri("h", 5672, guest, "/"));
        assert_eq!("amqp://".parse(), uri("127.0.0.1", 5672, guest, "/"));
        assert_eq!("amqp://h:1/".parse(), uri("h", 1, guest, "/"));
        assert_eq!("amqp://[::1]:7/v".parse(), uri("::1", 7, guest, "v"));
        assert_eq!("amqp://[::1]".parse(), uri("::1", 5672, guest, "/"));
    }

    #[test]
    fn percent_signs_are_undone() {
        let expected = uri("h", 9, ("a@b", "p:w"), "/");
        assert_eq!("amqp://a%40b:p%3aw@h:9/%2F".parse(), expected);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("amqps://h", "TLS"),
            ("http://h", "amqp://"),
            ("amqp://h:port", "no port number"),
            ("amqp://[::1", "[ and ]"),
            ("amqp://h/%2", "two hex digits"),
            ("amqp://h/%ff", "UTF-8"),
        ] {
            let error = text.parse::<Uri>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_address_hides_the_password() {
        let uri: Uri = "amqp://u:secret@[::1]:7/v".parse().unwrap();
        assert_eq!(uri.address(), "[::1]:7");
    }
}
