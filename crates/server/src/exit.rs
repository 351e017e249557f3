//! How the program ends: the exit codes, and the one line that says why.

use std::process::ExitCode;

use leveret::config::ConfigError;
use leveret::control::SocketError;
use leveret::{LoadError, StartError, TlsError};
use leveret_broker::DefinitionsError;

/// Exit codes: those of BSD's `sysexits.h`, which RabbitMQ's tools use too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Success = 0,
    /// What it was asked to check is damaged.
    Damaged = 1,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// `perf --verify` found messages missing or wrong (`EX_DATAERR`).
    Data = 65,
    /// There is no such user (`EX_NOUSER`).
    NoUser = 67,
    /// An address cannot be listened on, or the broker of `perf` refuses its work (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// The program failed in a way of its own (`EX_SOFTWARE`).
    Software = 70,
    /// The data folder cannot be read or written, or standard output cannot (`EX_IOERR`).
    Io = 74,
    /// Another process holds what this one needs; it may work later (`EX_TEMPFAIL`).
    TryAgain = 75,
    /// A configuration file or an environment variable is wrong (`EX_CONFIG`).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An end that is no success.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code to end with.
    pub(crate) exit: Exit,
    /// Why, without the program's name.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) const fn new(exit: Exit, message: String) -> Self {
        Self { exit, message }
    }

    /// The line for standard error. One line, whatever text from outside is in it.
    pub(crate) fn line(&self) -> String {
        let mut line = String::from("leveret: ");
        for letter in self.message.chars() {
            if letter.is_control() {
                line.extend(letter.escape_default());
            } else {
                line.push(letter);
            }
        }
        line
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = if error.is_usage() {
            Exit::Usage
        } else {
            Exit::Config
        };
        Self::new(exit, error.to_string())
    }
}

impl From<&LoadError> for Failure {
    fn from(error: &LoadError) -> Self {
        let exit = match error {
            LoadError::Refused {
                reason: DefinitionsError::Store(_),
                ..
            } => Exit::Io,
            _ => Exit::Config,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::from(&error)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Config(_) | StartError::Tls(_) => Exit::Config,
            StartError::Definitions(error) => return Self::from(error),
            StartError::Control(error) => match error {
                SocketError::TooLong { .. } => Exit::Config,
                SocketError::InUse(_) => Exit::TryAgain,
                SocketError::Io { .. } => Exit::Io,
            },
            StartError::Listen { .. } => Exit::Unavailable,
            StartError::Locked(_) => Exit::TryAgain,
            StartError::Store(_) | StartError::Broker(_) => Exit::Io,
            StartError::Wakes(_) | StartError::Interrupted(_) => Exit::Software,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_one_line() {
        let failure = Failure::new(Exit::Config, "a\nb\u{1b}[31m \u{e9}".to_owned());
        assert_eq!(failure.line(), "leveret: a\\nb\\u{1b}[31m \u{e9}");
    }
}
