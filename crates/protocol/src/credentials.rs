//! What a client proves itself with, read from `start-ok`.

use std::fmt;

use leveret_wire::{RawTable, RawValue};

/// Octets that must not show up in logs: a password or a token. Wiped when dropped.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the octets over.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(octets.into())
    }

    /// The octets, for whoever has to check them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from leaving out a write to memory that nobody reads again.
        std::hint::black_box(&self.0);
    }
}

/// What a client proves itself with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// Mechanism ANONYMOUS: no proof at all.
    Anonymous,
    /// Mechanism EXTERNAL: the proof lies outside AMQP, in the peer's TLS certificate.
    External,
    /// Mechanism PLAIN or AMQPLAIN.
    Password {
        /// Name of the mechanism, to be given in the refusal.
        mechanism: String,
        /// Login name.
        user: String,
        /// Password, or a token where the backend takes tokens.
        password: Secret,
    },
}

impl Credentials {
    /// Name of the mechanism the client chose.
    pub fn mechanism(&self) -> &str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
            Self::Password { mechanism, .. } => mechanism,
        }
    }
}

/// Why a `start-ok` holds no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The response does not have the mechanism's form; RabbitMQ closes in silence.
    Malformed,
    /// The response is well formed but the name is not UTF-8, so no user can have it: a refusal.
    NoSuchUser,
    /// The mechanism is not known here.
    UnknownMechanism,
}

/// Reads the response of `mechanism`. Names are case-sensitive.
pub(crate) fn read(mechanism: &str, response: &[u8]) -> Result<Credentials, Unreadable> {
    let (user, password) = match mechanism {
        "PLAIN" => read_plain(response).ok_or(Unreadable::Malformed)?,
        "AMQPLAIN" => read_amqplain(response).ok_or(Unreadable::Malformed)?,
        "EXTERNAL" => return Ok(Credentials::External),
        "ANONYMOUS" => return Ok(Credentials::Anonymous),
        _ => return Err(Unreadable::UnknownMechanism),
    };
    let user = std::str::from_utf8(user).map_err(|_| Unreadable::NoSuchUser)?;
    Ok(Credentials::Password {
        mechanism: mechanism.to_owned(),
        user: user.to_owned(),
        password: Secret::new(password),
    })
}

/// RFC 4616 as RabbitMQ reads it: NUL, user, NUL, password. Something before the first NUL (an
/// authorisation identity) is refused, and so is a third NUL.
fn read_plain(response: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = response.split(|octet| *octet == 0);
    let (before, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    (before.is_empty() && parts.next().is_none()).then_some((user, password))
}

/// RabbitMQ's AMQPLAIN: the content of a field table without its length, with `LOGIN` and `PASSWORD`
/// as long strings.
fn read_amqplain(response: &[u8]) -> Option<(&[u8], &[u8])> {
    let table = RawTable::parse(response).ok()?;
    match (table.get(b"LOGIN")?, table.get(b"PASSWORD")?) {
        (RawValue::LongString(user), RawValue::LongString(password)) => Some((user, password)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password_of(mechanism: &str, response: &[u8]) -> Result<(String, Vec<u8>), Unreadable> {
        match read(mechanism, response)? {
            Credentials::Password { user, password, .. } => Ok((user, password.expose().to_vec())),
            other => panic!("{other:?} is no password"),
        }
    }

    #[test]
    fn plain_is_nul_user_nul_password() {
        let good = password_of("PLAIN", b"\0guest\0s3cret");
        assert_eq!(good, Ok(("guest".to_owned(), b"s3cret".to_vec())));
        assert_eq!(
            password_of("PLAIN", b"\0\0"),
            Ok((String::new(), Vec::new()))
        );
    }

    #[test]
    fn plain_in_any_other_form_is_malformed() {
        for response in [
            &b""[..],
            b"guest",
            b"\0guest",
            b"me\0guest\0guest",
            b"\0guest\0guest\0",
            b"\0a\0b\0c",
        ] {
            assert_eq!(
                password_of("PLAIN", response),
                Err(Unreadable::Malformed),
                "{response:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_not_utf8_belongs_to_nobody() {
        assert_eq!(
            password_of("PLAIN", b"\0\xff\0x"),
            Err(Unreadable::NoSuchUser)
        );
    }

    #[test]
    fn amqplain_is_a_table_without_its_length() {
        let response = b"\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06s3cret";
        assert_eq!(
            password_of("AMQPLAIN", response),
            Ok(("guest".to_owned(), b"s3cret".to_vec()))
        );
    }

    #[test]
    fn amqplain_needs_both_keys_as_long_strings() {
        for response in [
            &b""[..],
            b"\x05LOGINS\0\0\0\x05guest",
            b"\x08PASSWORDS\0\0\0\x05guest",
            b"\x05LOGINI\0\0\0\x05\x08PASSWORDS\0\0\0\x01x",
            b"\x05LOGINS\0\0\0\x05gu",
            b"\0\0\0\x1f\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x06s3cret",
        ] {
            assert_eq!(
                password_of("AMQPLAIN", response),
                Err(Unreadable::Malformed),
                "{response:?}"
            );
        }
    }

    #[test]
    fn mechanism_names_are_case_sensitive() {
        assert_eq!(
            read("plain", b"\0a\0b").err(),
            Some(Unreadable::UnknownMechanism)
        );
        assert!(matches!(read("EXTERNAL", b""), Ok(Credentials::External)));
        assert!(matches!(
            read("ANONYMOUS", b"trace"),
            Ok(Credentials::Anonymous)
        ));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let login = read("PLAIN", b"\0bob\0hunter2").unwrap();
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
