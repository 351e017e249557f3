//! Definitions as RabbitMQ exports and imports them (its page "Definitions"): one JSON object
//! with users, vhosts and everything that is declared in them.
//!
//! Here stand the form of the file (this module), how arguments look in it (`arguments`), what
//! is checked before anything is done (`parts`), its import (`import`, and for one vhost
//! `vhost/import`) and its export (`export`).

mod arguments;
mod export;
mod import;
mod parts;
mod report;
#[cfg(test)]
mod tests;

use crate::secret::Secret;
use leveret_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use self::arguments::from_table;
pub(crate) use self::parts::{VhostPart, binding_text};
pub use self::report::ImportReport;

/// A file of definitions that was read. What it says may still be refused: see
/// [`DefinitionsFile::check`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DefinitionsFile {
    rabbit_version: Option<String>,
    rabbitmq_version: Option<String>,
    users: Vec<FileUser>,
    vhosts: Vec<FileVhost>,
    permissions: Vec<FilePermission>,
    topic_permissions: Vec<FileTopicPermission>,
    parameters: Vec<FileParameter>,
    global_parameters: Vec<FileGlobalParameter>,
    policies: Vec<FilePolicy>,
    queues: Vec<FileQueue>,
    exchanges: Vec<FileExchange>,
    bindings: Vec<FileBinding>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileUser {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_hash: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hashing_algorithm: Option<String>,
    /// An array of words, or one string with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Value>,
    #[serde(default)]
    limits: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileVhost {
    name: String,
    /// Description, tags and the rest.
    #[serde(flatten)]
    metadata: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FilePermission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileTopicPermission {
    user: String,
    vhost: String,
    exchange: String,
    write: String,
    read: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileParameter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    component: String,
    name: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileGlobalParameter {
    name: String,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FilePolicy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    name: String,
    #[serde(flatten)]
    terms: PolicyTerms,
}

/// What a policy says, as a policy of the file and as the value of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PolicyTerms {
    pattern: Value,
    #[serde(rename = "apply-to", default = "all")]
    apply_to: Value,
    definition: Value,
    #[serde(default = "zero")]
    priority: Value,
}

fn all() -> Value {
    Value::from("all")
}

fn zero() -> Value {
    Value::from(0)
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileQueue {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    #[serde(default = "yes")]
    durable: bool,
    #[serde(default)]
    auto_delete: bool,
    #[serde(default)]
    arguments: Map<String, Value>,
    /// The type, where the arguments don't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileExchange {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    r#type: String,
    #[serde(default = "yes")]
    durable: bool,
    #[serde(default)]
    auto_delete: bool,
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FileBinding {
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vhost: Option<String>,
    destination: String,
    destination_type: DestinationType,
    #[serde(default)]
    routing_key: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DestinationType {
    Queue,
    Exchange,
}

/// Why definitions are not imported. Nothing of them is then.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// The text is not JSON, or not of the form of definitions.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1; 0 before the first.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// One of the objects is refused.
    #[error("{object}: {reason}")]
    Refused {
        /// What it is, with its name and vhost.
        object: String,
        /// Why, in RabbitMQ's words where it has some.
        reason: String,
    },
    /// The store takes no changes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random octets.
    #[error("no random octets: {0}")]
    Random(String),
}

impl DefinitionsError {
    pub(crate) fn refused(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused {
            object: object.into(),
            reason: reason.into(),
        }
    }
}

impl DefinitionsFile {
    /// Read definitions from JSON. Keys that are not known are ignored, as RabbitMQ does.
    pub fn parse(json: &[u8]) -> Result<Self, DefinitionsError> {
        serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let text = error.to_string();
            let place = format!(" at line {line} column {column}");
            DefinitionsError::Syntax {
                line,
                column,
                reason: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
            }
        })
    }

    /// See what can be seen without a node: that an import will not fail for the file's own sake.
    pub fn check(&self) -> Result<(), DefinitionsError> {
        self.people()?;
        self.parts(None).map(drop)
    }

    /// The definitions as JSON, which [`DefinitionsFile::parse`] reads.
    pub fn to_json(&self) -> String {
        // String keys and no maps of other kinds: this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The vhosts that it defines.
    pub(crate) fn vhost_names(&self) -> Vec<String> {
        self.vhosts.iter().map(|vhost| vhost.name.clone()).collect()
    }

    /// Does it define users?
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }
}
