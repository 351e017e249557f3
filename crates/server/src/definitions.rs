//! The file of definitions that a broker begins with.

use std::io;
use std::path::PathBuf;

use leveret_broker::{DefinitionsError, DefinitionsFile};

use crate::config::Config;

/// Why definitions can't be loaded. `Display` is one line that names the file and the place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not JSON, or not of the form of definitions.
    #[error("{}:{line}:{column}: {reason}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1; 0 before the first.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// What it says is refused, or can't be made durable.
    #[error("{}: {reason}", .file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Which object, and why.
        reason: DefinitionsError,
    },
}

impl LoadError {
    pub(crate) fn new(file: PathBuf, error: DefinitionsError) -> Self {
        match error {
            DefinitionsError::Syntax {
                line,
                column,
                reason,
            } => Self::Syntax {
                file,
                line,
                column,
                reason,
            },
            reason => Self::Refused { file, reason },
        }
    }
}

impl Config {
    /// The definitions that `load_definitions` names, if it does, checked as far as that can be
    /// done without a broker.
    pub fn read_definitions(&self) -> Result<Option<DefinitionsFile>, LoadError> {
        let Some(file) = self.load_definitions.clone() else {
            return Ok(None);
        };
        let json = match std::fs::read(&file) {
            Ok(json) => json,
            Err(source) => return Err(LoadError::Unreadable { file, source }),
        };
        let read = DefinitionsFile::parse(&json).and_then(|read| read.check().map(|()| read));
        read.map(Some).map_err(|error| LoadError::new(file, error))
    }
}
