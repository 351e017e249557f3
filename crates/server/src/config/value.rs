//! How a field of the configuration reads its value, checks it, and writes it down.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use leveret_broker::Secret;

use super::address::ListenAddress;
use super::error::Invalid;
use super::log::{LogFilter, LogFormat};
use super::memory::Watermark;
use super::network::Network;
use super::pattern::Pattern;
use super::tls::{AlternativeName, CertificateLogin, TlsVerify, TlsVersion, Word};

/// The word that stands for an empty list where there are no brackets to write one.
const NONE: &str = "none";

/// Octets of an AMQP short string (AMQP 0-9-1 section 4.2.5.3).
const SHORT_STRING_MAX: usize = 255;

/// A value as a source gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given<'a> {
    Boolean(bool),
    /// A number with a point, as it is written.
    Float(&'a str),
    /// Wider than any field, so that what is out of range can be said as it stands.
    Integer(i128),
    List(Vec<Given<'a>>),
    /// A kind that no setting takes: its name with an article.
    Other(&'static str),
    /// A string in quotes.
    Text(&'a str),
    /// Text that has no kind of its own: of a flag, a variable or a password file.
    Untyped(&'a str),
}

impl Given<'_> {
    /// What it is, without saying which.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Float(_) => "a float",
            Self::Integer(_) => "an integer",
            Self::List(_) => "an array",
            Self::Other(kind) => kind,
            Self::Text(_) | Self::Untyped(_) => "a string",
        }
    }

    /// What stands there, for a message.
    fn shown(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(digits) => (*digits).to_owned(),
            Self::List(_) | Self::Other(_) => self.kind().to_owned(),
            Self::Text(text) | Self::Untyped(text) => format!("{text:?}"),
        }
    }

    /// It, where `expected` is.
    pub(super) fn instead_of(&self, expected: &str) -> Invalid {
        Invalid::Kind {
            expected: expected.to_owned(),
            found: self.shown(),
        }
    }

    /// It, if it is text.
    pub(super) const fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list, each read by `read`; in text, commas part them.
    fn items<T>(
        &self,
        expected: &str,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Result<Vec<T>, Misread> {
        match self {
            Self::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let text = item.text().ok_or_else(|| item.instead_of("a string"));
                    text.and_then(&read).map_err(|reason| Misread {
                        item: Some(index),
                        reason,
                    })
                })
                .collect(),
            Self::Text(NONE) | Self::Untyped(NONE) => Ok(Vec::new()),
            Self::Text(text) | Self::Untyped(text) => text
                .split(',')
                .map(|item| read(item.trim()).map_err(Misread::from))
                .collect(),
            _ => Err(self.instead_of(expected).into()),
        }
    }
}

/// Why a value was not read, and at which item of its array.
#[derive(Debug)]
pub(super) struct Misread {
    pub(super) item: Option<usize>,
    pub(super) reason: Invalid,
}

impl From<Invalid> for Misread {
    fn from(reason: Invalid) -> Self {
        Self { item: None, reason }
    }
}

/// A field of the configuration.
pub(super) trait Value {
    /// Takes the value given, if it is of the right kind. `allowed` is for numbers.
    fn read(&mut self, given: &Given<'_>, allowed: &RangeInclusive<u64>) -> Result<(), Misread>;

    /// Whether what stands in the field may stand there; `allowed` is for numbers.
    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        Ok(())
    }
}

/// The numbers that a setting takes, for a message.
fn within(allowed: &RangeInclusive<u64>) -> String {
    format!(
        "a whole number from {} to {}",
        allowed.start(),
        allowed.end()
    )
}

macro_rules! whole_number {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn read(&mut self, given: &Given<'_>, allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
                let number = match given {
                    Given::Integer(number) => Some(*number),
                    Given::Untyped(text) => text.parse().ok(),
                    _ => None,
                };
                *self = number
                    .and_then(|number| Self::try_from(number).ok())
                    .ok_or_else(|| given.instead_of(&within(allowed)))?;
                Ok(())
            }

            fn check(&self, allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
                if u64::try_from(*self).is_ok_and(|number| allowed.contains(&number)) {
                    return Ok(());
                }
                Err(Invalid::Kind {
                    expected: within(allowed),
                    found: self.to_string(),
                })
            }
        }
    )*};
}

whole_number!(u16, u32, u64, usize);

impl Value for bool {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = match given {
            Given::Boolean(value) => *value,
            Given::Untyped("true") => true,
            Given::Untyped("false") => false,
            _ => return Err(given.instead_of("true or false").into()),
        };
        Ok(())
    }
}

/// Every text among the settings is a name that goes out in an AMQP short string.
impl Value for String {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let text = given.text().ok_or_else(|| given.instead_of("a string"))?;
        text.clone_into(self);
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        if self.is_empty() {
            Err(Invalid::Empty)
        } else if self.len() > SHORT_STRING_MAX {
            Err(Invalid::TooLong)
        } else if self.chars().any(char::is_control) {
            Err(Invalid::ControlCharacter)
        } else {
            Ok(())
        }
    }
}

impl Value for Vec<String> {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given.items("an array of strings", |item| Ok(item.to_owned()))?;
        Ok(())
    }

    fn check(&self, allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        self.iter().try_for_each(|item| item.check(allowed))
    }
}

impl Value for Vec<ListenAddress> {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given.items("an array of addresses", |item| Ok(item.parse()?))?;
        Ok(())
    }
}

impl Value for Secret {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let text = given.text().ok_or_else(|| Invalid::Kind {
            expected: "a string".to_owned(),
            found: given.kind().to_owned(),
        })?;
        *self = Self::from(text.to_owned());
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        if self.expose().is_empty() {
            Err(Invalid::Empty)
        } else {
            Ok(())
        }
    }
}

impl Value for PathBuf {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let text = given.text().ok_or_else(|| given.instead_of("a path"))?;
        *self = Self::from(text);
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        if self.as_os_str().is_empty() {
            Err(Invalid::Empty)
        } else {
            Ok(())
        }
    }
}

impl Value for Option<PathBuf> {
    fn read(&mut self, given: &Given<'_>, allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        self.get_or_insert_default().read(given, allowed)
    }

    fn check(&self, allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        self.as_ref().map_or(Ok(()), |path| path.check(allowed))
    }
}

impl Value for Vec<PathBuf> {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given.items("an array of paths", |item| Ok(PathBuf::from(item)))?;
        Ok(())
    }

    fn check(&self, allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        self.iter().try_for_each(|path| path.check(allowed))
    }
}

impl Value for Vec<Network> {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given.items("an array of networks", |item| Ok(item.parse()?))?;
        Ok(())
    }
}

impl Value for Vec<TlsVersion> {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given.items("an array of versions", |item| {
            TlsVersion::of(item).ok_or_else(|| Given::Text(item).instead_of(TlsVersion::EXPECTED))
        })?;
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        if self.is_empty() {
            Err(Invalid::Empty)
        } else {
            Ok(())
        }
    }
}

macro_rules! words {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
                *self = given
                    .text()
                    .and_then(Self::of)
                    .ok_or_else(|| given.instead_of(Self::EXPECTED))?;
                Ok(())
            }
        }
    )*};
}

words!(AlternativeName, CertificateLogin, TlsVerify);

impl Value for Watermark {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let read = match given {
            // A whole number that is quoted by nobody is octets, but for 0 and 1.
            Given::Integer(octets) => octets.to_string().parse().ok(),
            Given::Float(text) | Given::Text(text) | Given::Untyped(text) => text.parse().ok(),
            _ => None,
        };
        *self = read.ok_or_else(|| given.instead_of(Self::EXPECTED))?;
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        if self.is_valid() {
            return Ok(());
        }
        Err(Invalid::Kind {
            expected: Self::EXPECTED.to_owned(),
            found: self.to_string(),
        })
    }
}

impl Value for Pattern {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let text = given.text().ok_or_else(|| given.instead_of("a pattern"))?;
        *self = Self::from(text.to_owned());
        Ok(())
    }
}

impl Value for LogFilter {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = given
            .text()
            .ok_or_else(|| given.instead_of("a level"))?
            .parse()?;
        Ok(())
    }
}

impl Value for LogFormat {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        *self = [Self::Json, Self::Text]
            .into_iter()
            .find(|format| given.text() == Some(format.as_str()))
            .ok_or_else(|| given.instead_of(r#""text" or "json""#))?;
        Ok(())
    }
}
