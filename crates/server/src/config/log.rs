//! What is logged, and how.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;

use super::error::Invalid;
use super::nearest::nearest;

/// The words that stand for a level alone; `off` logs nothing.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// What is logged, and how. All of it goes to standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What is logged.
    pub level: LogFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people: time, level, part, text, fields.
    #[default]
    Text,
}

impl LogFormat {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

/// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or directives by
/// part as the crate `tracing-subscriber` reads them: `info,leveret_store=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The text, known to be a filter.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl FromStr for LogFilter {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
        // The crate takes a lone word as the name of a part to be logged in full, so that `inof`
        // would silence everything else.
        for word in pieces
            .iter()
            .copied()
            .filter(|piece| !piece.contains(['=', '[']))
        {
            if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
                return Err(Invalid::Level {
                    found: word.to_owned(),
                    nearest: nearest(word, LEVELS),
                });
            }
        }
        let filter = pieces.join(",");
        match EnvFilter::try_new(&filter) {
            Ok(_) => Ok(Self(filter)),
            Err(error) => Err(Invalid::Filter {
                found: text.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_filters() {
        for text in [
            "error",
            "WARN",
            "info",
            "debug",
            "trace",
            "off",
            "info,leveret_store=debug",
            "warn,leveret[connection{id=7}]=trace",
        ] {
            assert_eq!(text.parse::<LogFilter>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn spaces_between_directives_are_no_part_of_them() {
        assert_eq!(
            " info , leveret=debug"
                .parse::<LogFilter>()
                .unwrap()
                .as_str(),
            "info,leveret=debug"
        );
    }

    #[test]
    fn a_mistyped_level_is_no_part() {
        let error = "inof".parse::<LogFilter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"unknown level "inof" (did you mean "info"?)"#
        );
        let error = "leveret=debug,loud".parse::<LogFilter>().unwrap_err();
        assert_eq!(error.to_string(), r#"unknown level "loud""#);
        let error = "leveret=loud".parse::<LogFilter>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(r#"invalid filter "leveret=loud": "#),
            "{error}"
        );
        assert_eq!(
            "".parse::<LogFilter>().unwrap_err().to_string(),
            r#"unknown level """#
        );
    }
}
