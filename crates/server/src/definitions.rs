//! The file of definitions that a broker begins with.

use std::io;
use std::path::PathBuf;

use leveret_broker::{DefinitionsError, DefinitionsFile};
use serde_json::{Value, json};

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
        let Some((file, json)) = self.definitions_json()? else {
            return Ok(None);
        };
        let read = DefinitionsFile::parse(&json).and_then(|read| read.check().map(|()| read));
        read.map(Some).map_err(|error| LoadError::new(file, error))
    }

    fn definitions_json(&self) -> Result<Option<(PathBuf, Vec<u8>)>, LoadError> {
        let Some(file) = self.load_definitions.clone() else {
            return Ok(None);
        };
        match std::fs::read(&file) {
            Ok(json) => Ok(Some((file, json))),
            Err(source) => Err(LoadError::Unreadable { file, source }),
        }
    }

    /// The definitions that a new data folder begins with where the default user may not do everything: those of
    /// [`Self::read_definitions`], and that user with its tags and permissions unless they name users.
    pub(crate) fn first_definitions(&self) -> Result<Option<DefinitionsFile>, LoadError> {
        let (file, mut all) = match self.definitions_json()? {
            // What is wrong with it has been said.
            Some((file, json)) => (file, serde_json::from_slice(&json).unwrap_or_default()),
            None => (PathBuf::from("default_user"), Value::default()),
        };
        if all.is_null() {
            all = json!({});
        }
        let has_some = |all: &Value, key: &str| {
            let objects = all.get(key).and_then(Value::as_array);
            objects.is_some_and(|objects| !objects.is_empty())
        };
        if !has_some(&all, "users") {
            let user = &self.default_user;
            if !has_some(&all, "vhosts") {
                add(&mut all, "vhosts", json!({"name": self.default_vhost}));
            }
            let name = json!({
                "name": user.name,
                "password": user.password.expose(),
                "tags": user.tags,
            });
            add(&mut all, "users", name);
            for vhost in all["vhosts"].as_array().cloned().unwrap_or_default() {
                let permission = json!({
                    "user": user.name,
                    "vhost": vhost["name"],
                    "configure": user.configure.as_str(),
                    "write": user.write.as_str(),
                    "read": user.read.as_str(),
                });
                add(&mut all, "permissions", permission);
            }
        }
        let json = all.to_string();
        let read = DefinitionsFile::parse(json.as_bytes());
        let read = read.and_then(|read| read.check().map(|()| read));
        read.map(Some).map_err(|error| LoadError::new(file, error))
    }
}

/// One more object under `key`.
fn add(all: &mut Value, key: &str, object: Value) {
    match all.get_mut(key).and_then(Value::as_array_mut) {
        Some(objects) => objects.push(object),
        None => all[key] = json!([object]),
    }
}
