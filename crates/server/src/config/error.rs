//! What can be wrong with a configuration, each as one line with the place to mend.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::address::UnknownAddress;
use super::network::UnknownNetwork;

/// Why there is no configuration. `Display` is one line that names the place, without the
/// program's name.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Values that are right alone do not go together.
    #[error("{}{conflict}", Place(.origin))]
    Conflict {
        /// Where the one that was set last came from; `None`: from code.
        origin: Option<Origin>,
        /// What does not go together.
        conflict: Conflict,
    },
    /// A value is not of its setting's kind or range.
    #[error("{}{}{reason}", Place(.origin), KeyIn(.origin, key))]
    Invalid {
        /// Where it came from; `None`: from code.
        origin: Option<Origin>,
        /// The setting's key, as its file writes it.
        key: Cow<'static, str>,
        /// What is wrong with it.
        reason: Invalid,
    },
    /// The file is not TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What the TOML reader said, or that the octets are no text.
        reason: String,
    },
    /// No setting has this key.
    #[error("{origin}: unknown key {key:?}{}", DidYouMean(*.nearest))]
    UnknownKey {
        /// File and line, or flag.
        origin: Origin,
        /// The key with its tables' names.
        key: String,
        /// The key that was meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// The configuration file cannot be read.
    #[error("{}: cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ConfigError {
    /// Whether the mistake stands on the command line, which is a mistake of usage.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Conflict { origin, .. } | Self::Invalid { origin, .. } => {
                matches!(origin, Some(Origin::Flag(_)))
            }
            Self::Syntax { origin, .. } | Self::UnknownKey { origin, .. } => {
                matches!(origin, Origin::Flag(_))
            }
            Self::Unreadable { .. } => false,
        }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the configuration file, from 1.
    File {
        /// As it was named.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
        }
    }
}

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Not an address to listen on.
    #[error(transparent)]
    Address(#[from] UnknownAddress),
    /// A name with a control character, which could forge lines in logs and tools.
    #[error("must not hold control characters")]
    ControlCharacter,
    /// Nothing stands where something must.
    #[error("must not be empty")]
    Empty,
    /// Not a filter of log lines.
    #[error("invalid filter {found:?}: {reason}")]
    Filter {
        /// The text.
        found: String,
        /// What the filter's reader said.
        reason: String,
    },
    /// Of another kind, or out of range.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// What would be right.
        expected: String,
        /// The value, or its kind where the value is secret.
        found: String,
    },
    /// Not a range of addresses.
    #[error(transparent)]
    Network(#[from] UnknownNetwork),
    /// Not the name of a level.
    #[error("unknown level {found:?}{}", DidYouMean(*.nearest))]
    Level {
        /// The word.
        found: String,
        /// The level that was meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// Longer than an AMQP short string, in which it is sent.
    #[error("must not be longer than 255 octets")]
    TooLong,
    /// The file that holds the value cannot be read.
    #[error("{}: cannot be read: {reason}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Not UTF-8. The value may be secret and is not repeated.
    #[error("not valid UTF-8")]
    Utf8,
    /// Not a version that clients can compare.
    #[error("expected three numbers as in 4.1.0, found {0:?}")]
    Version(String),
}

/// Values that are right alone and do not go together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Conflict {
    /// One address is to be listened on twice.
    #[error("{first} and {second} name the same address {address:?}")]
    AddressTwice {
        /// A key.
        first: &'static str,
        /// A key, perhaps the same.
        second: &'static str,
        /// The address.
        address: String,
    },
    /// The low mark is not below the high one.
    #[error("{low_key} ({low}) must be less than {high_key} ({high})")]
    Marks {
        /// Key of the low mark.
        low_key: &'static str,
        /// Its value.
        low: usize,
        /// Key of the high mark.
        high_key: &'static str,
        /// Its value.
        high: usize,
    },
    /// A setting that is of no use without another.
    #[error("{first} needs {second}")]
    Needs {
        /// Key of the one that is set.
        first: &'static str,
        /// Key of the one that is missing.
        second: &'static str,
    },
    /// A value and a file with the value, from the same place.
    #[error("{value} and {file} are both set: set one of them")]
    ValueTwice {
        /// What sets the value.
        value: &'static str,
        /// What names the file.
        file: &'static str,
    },
}

/// `origin: `, or nothing for a value from code.
struct Place<'e>(&'e Option<Origin>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |origin| write!(f, "{origin}: "))
    }
}

/// `key: `, where the origin does not name the setting already.
struct KeyIn<'e>(&'e Option<Origin>, &'e str);

impl fmt::Display for KeyIn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Origin::Flag(_) | Origin::Variable(_)) => Ok(()),
            Some(Origin::File { .. }) | None => write!(f, "{}: ", self.1),
        }
    }
}

/// ` (did you mean "word"?)`, or nothing.
pub(super) struct DidYouMean(pub(super) Option<&'static str>);

impl fmt::Display for DidYouMean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |word| write!(f, " (did you mean {word:?}?)"))
    }
}
