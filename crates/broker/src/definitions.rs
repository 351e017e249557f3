//! Definitions as the store keeps them: an ordered map from keys to JSON.
//!
//! A key is a kind followed by names, each with its length before it, since AMQP names may
//! hold any octet. Arguments stand as the octets of their field table (base64), so that
//! every type comes back as it was declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leveret_router::{Binding, Destination, Exchange};
use leveret_store::{Change, QueueId};
use leveret_wire::FieldTable;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::policies::{ApplyTo, Policy, PolicyDefinition, PolicyKind};
use crate::queue::QueueProperties;
use crate::users::{Permission, TopicPermission, UserRecord};
use crate::vhost::DeclaredType;

/// A definition that can't be read back.
#[derive(Debug, thiserror::Error)]
#[error("definition {key}: {reason}")]
pub struct BadDefinition {
    key: String,
    reason: String,
}

/// Every definition of the node, decoded.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) users: Vec<(String, UserRecord)>,
    pub(crate) permissions: Vec<(String, String, Permission)>,
    pub(crate) topic_permissions: Vec<(String, String, String, TopicPermission)>,
    pub(crate) vhosts: Vec<(String, VhostRecord)>,
    pub(crate) policies: Vec<(String, PolicyKind, Policy)>,
    /// Vhost, component, name, value.
    pub(crate) parameters: Vec<(String, String, String, Value)>,
    pub(crate) global_parameters: Vec<(String, Value)>,
    pub(crate) exchanges: Vec<(String, Exchange)>,
    /// Vhost and name of the delayed ones among the exchanges, and where the store has what they keep.
    pub(crate) delayed: Vec<(String, String, QueueId)>,
    pub(crate) queues: Vec<(String, QueueId, QueueRecord)>,
    pub(crate) bindings: Vec<(String, Binding)>,
}

/// What is told of a vhost beside its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct VhostRecord {
    /// Description, tags and whatever else came with it, kept as it came.
    #[serde(default)]
    pub(crate) metadata: serde_json::Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PolicyRecord {
    pattern: String,
    apply_to: ApplyTo,
    priority: i64,
    definition: PolicyDefinition,
}

#[derive(Debug, Serialize, Deserialize)]
struct ExchangeRecord {
    r#type: String,
    auto_delete: bool,
    internal: bool,
    arguments: String,
    /// Where the store has the messages that a delayed exchange keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delayed: Option<u64>,
}

/// A durable queue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    id: u64,
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) auto_delete: bool,
    #[serde(with = "arguments")]
    pub(crate) arguments: FieldTable,
}

/// The key holds all there is to say of a binding; the value exists for later additions.
#[derive(Debug, Serialize, Deserialize)]
struct BindingRecord {}

const USER: &str = "user";
const PERMISSION: &str = "permission";
const TOPIC_PERMISSION: &str = "topic-permission";
const PARAMETER: &str = "parameter";
const GLOBAL_PARAMETER: &str = "global-parameter";
const VHOST: &str = "vhost";
const EXCHANGE: &str = "exchange";
const QUEUE: &str = "queue";
const BINDING: &str = "binding";

fn key(kind: &str, names: &[&[u8]]) -> Vec<u8> {
    let mut key =
        Vec::with_capacity(kind.len() + 1 + names.iter().map(|name| name.len() + 4).sum::<usize>());
    key.extend_from_slice(kind.as_bytes());
    key.push(b'/');
    for name in names {
        key.extend_from_slice(&length(name).to_be_bytes());
        key.extend_from_slice(name);
    }
    key
}

/// Names are short strings, and arguments fit a frame.
fn length(name: &[u8]) -> u32 {
    u32::try_from(name.len()).unwrap_or(u32::MAX)
}

fn put(key: Vec<u8>, value: &impl Serialize) -> Change {
    // Our own records have string keys and no maps of other kinds: this cannot fail.
    Change::Put {
        key,
        value: serde_json::to_vec(value).unwrap_or_default(),
    }
}

pub(crate) fn put_user(name: &str, record: &UserRecord) -> Change {
    put(key(USER, &[name.as_bytes()]), record)
}

pub(crate) fn put_permission(user: &str, vhost: &str, permission: &Permission) -> Change {
    put(
        key(PERMISSION, &[user.as_bytes(), vhost.as_bytes()]),
        permission,
    )
}

pub(crate) fn put_topic_permission(
    (user, vhost, exchange): (&str, &str, &str),
    permission: &TopicPermission,
) -> Change {
    let names = [user.as_bytes(), vhost.as_bytes(), exchange.as_bytes()];
    put(key(TOPIC_PERMISSION, &names), permission)
}

pub(crate) fn put_vhost(name: &str, record: &VhostRecord) -> Change {
    put(key(VHOST, &[name.as_bytes()]), record)
}

pub(crate) fn delete_user(name: &str) -> Change {
    Change::Delete {
        key: key(USER, &[name.as_bytes()]),
    }
}

pub(crate) fn delete_permission(user: &str, vhost: &str) -> Change {
    Change::Delete {
        key: key(PERMISSION, &[user.as_bytes(), vhost.as_bytes()]),
    }
}

pub(crate) fn delete_topic_permission(
    (user, vhost, exchange): &(String, String, String),
) -> Change {
    let names = [user.as_bytes(), vhost.as_bytes(), exchange.as_bytes()];
    Change::Delete {
        key: key(TOPIC_PERMISSION, &names),
    }
}

pub(crate) fn delete_vhost(name: &str) -> Change {
    Change::Delete {
        key: key(VHOST, &[name.as_bytes()]),
    }
}

pub(crate) fn put_policy(vhost: &str, kind: PolicyKind, policy: &Policy) -> Change {
    let record = PolicyRecord {
        pattern: policy.pattern.clone(),
        apply_to: policy.apply_to,
        priority: policy.priority,
        definition: policy.definition.clone(),
    };
    put(
        key(
            kind.component(),
            &[vhost.as_bytes(), policy.name.as_bytes()],
        ),
        &record,
    )
}

pub(crate) fn delete_policy(vhost: &str, kind: PolicyKind, name: &str) -> Change {
    Change::Delete {
        key: key(kind.component(), &[vhost.as_bytes(), name.as_bytes()]),
    }
}

pub(crate) fn put_parameter(vhost: &str, component: &str, name: &str, value: &Value) -> Change {
    put(parameter_key(vhost, component, name), value)
}

pub(crate) fn delete_parameter(vhost: &str, component: &str, name: &str) -> Change {
    Change::Delete {
        key: parameter_key(vhost, component, name),
    }
}

fn parameter_key(vhost: &str, component: &str, name: &str) -> Vec<u8> {
    let names = [vhost.as_bytes(), component.as_bytes(), name.as_bytes()];
    key(PARAMETER, &names)
}

pub(crate) fn put_global_parameter(name: &str, value: &Value) -> Change {
    put(key(GLOBAL_PARAMETER, &[name.as_bytes()]), value)
}

pub(crate) fn delete_global_parameter(name: &str) -> Change {
    Change::Delete {
        key: key(GLOBAL_PARAMETER, &[name.as_bytes()]),
    }
}

/// `delayed`: where the store has what it keeps, if it is a delayed exchange.
pub(crate) fn put_exchange(vhost: &str, exchange: &Exchange, delayed: Option<QueueId>) -> Change {
    let record = ExchangeRecord {
        r#type: exchange.type_name().to_owned(),
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: BASE64.encode(octets(&exchange.arguments)),
        delayed: delayed.map(|queue| queue.0),
    };
    put(
        key(EXCHANGE, &[vhost.as_bytes(), exchange.name.as_bytes()]),
        &record,
    )
}

pub(crate) fn delete_exchange(vhost: &str, name: &str) -> Change {
    Change::Delete {
        key: key(EXCHANGE, &[vhost.as_bytes(), name.as_bytes()]),
    }
}

pub(crate) fn put_queue(vhost: &str, id: QueueId, properties: &QueueProperties) -> Change {
    let record = QueueRecord {
        id: id.0,
        name: String::new(),
        auto_delete: properties.auto_delete,
        arguments: properties.arguments.clone(),
    };
    put(
        key(QUEUE, &[vhost.as_bytes(), properties.name.as_bytes()]),
        &record,
    )
}

pub(crate) fn delete_queue(vhost: &str, name: &str) -> Change {
    Change::Delete {
        key: key(QUEUE, &[vhost.as_bytes(), name.as_bytes()]),
    }
}

pub(crate) fn put_binding(vhost: &str, binding: &Binding) -> Change {
    put(binding_key(vhost, binding), &BindingRecord {})
}

pub(crate) fn delete_binding(vhost: &str, binding: &Binding) -> Change {
    Change::Delete {
        key: binding_key(vhost, binding),
    }
}

fn binding_key(vhost: &str, binding: &Binding) -> Vec<u8> {
    let (kind, destination): (&[u8], &str) = match &binding.destination {
        Destination::Queue(name) => (b"queue", name),
        Destination::Exchange(name) => (b"exchange", name),
    };
    key(
        BINDING,
        &[
            vhost.as_bytes(),
            binding.source.as_bytes(),
            kind,
            destination.as_bytes(),
            binding.routing_key.as_bytes(),
            &octets(&binding.arguments),
        ],
    )
}

fn octets(table: &FieldTable) -> Vec<u8> {
    let mut octets = Vec::new();
    leveret_wire::encode_table(table, &mut octets);
    octets
}

/// Reads the content of a table written by [`octets`].
fn table(octets: &[u8]) -> Result<FieldTable, String> {
    let table = leveret_wire::RawTable::parse(octets).map_err(|error| error.to_string())?;
    Ok(table.to_field_table())
}

mod arguments {
    use base64::Engine as _;
    use leveret_wire::FieldTable;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        table: &FieldTable,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::BASE64.encode(super::octets(table)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<FieldTable, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octets = super::BASE64.decode(text).map_err(D::Error::custom)?;
        super::table(&octets).map_err(D::Error::custom)
    }
}

/// Decode one stored definition into `definitions`.
pub(crate) fn read(
    key: &[u8],
    value: &[u8],
    definitions: &mut Definitions,
) -> Result<(), BadDefinition> {
    let bad = |reason: String| BadDefinition {
        key: String::from_utf8_lossy(key).into_owned(),
        reason,
    };
    let (kind, names) = split_key(key).ok_or_else(|| bad("malformed key".to_owned()))?;
    let text = |at: usize| -> Result<String, BadDefinition> {
        let octets = names
            .get(at)
            .ok_or_else(|| bad("too few names in the key".to_owned()))?;
        String::from_utf8(octets.to_vec()).map_err(|error| bad(error.to_string()))
    };
    let json = |error: serde_json::Error| bad(error.to_string());
    match kind {
        USER => definitions
            .users
            .push((text(0)?, serde_json::from_slice(value).map_err(json)?)),
        PERMISSION => {
            let permission = serde_json::from_slice(value).map_err(json)?;
            let entry = (text(0)?, text(1)?, permission);
            definitions.permissions.push(entry);
        }
        TOPIC_PERMISSION => {
            let permission = serde_json::from_slice(value).map_err(json)?;
            let entry = (text(0)?, text(1)?, text(2)?, permission);
            definitions.topic_permissions.push(entry);
        }
        PARAMETER => {
            let value = serde_json::from_slice(value).map_err(json)?;
            let entry = (text(0)?, text(1)?, text(2)?, value);
            definitions.parameters.push(entry);
        }
        GLOBAL_PARAMETER => {
            let value = serde_json::from_slice(value).map_err(json)?;
            definitions.global_parameters.push((text(0)?, value));
        }
        VHOST => {
            let record = serde_json::from_slice(value).map_err(json)?;
            definitions.vhosts.push((text(0)?, record));
        }
        "policy" | "operator_policy" => {
            let kind = if kind == PolicyKind::User.component() {
                PolicyKind::User
            } else {
                PolicyKind::Operator
            };
            let record: PolicyRecord = serde_json::from_slice(value).map_err(json)?;
            let policy = Policy {
                name: text(1)?,
                pattern: record.pattern,
                apply_to: record.apply_to,
                priority: record.priority,
                definition: record.definition,
            };
            definitions.policies.push((text(0)?, kind, policy));
        }
        EXCHANGE => {
            let record = serde_json::from_slice(value).map_err(json)?;
            let exchange = exchange_of(text(1)?, &record).map_err(bad)?;
            if exchange.delayed {
                let queue = record.delayed;
                let queue = queue.ok_or_else(|| bad("no store for what it delays".to_owned()))?;
                let entry = (text(0)?, text(1)?, QueueId(queue));
                definitions.delayed.push(entry);
            }
            definitions.exchanges.push((text(0)?, exchange));
        }
        QUEUE => {
            let mut record: QueueRecord = serde_json::from_slice(value).map_err(json)?;
            record.name = text(1)?;
            definitions
                .queues
                .push((text(0)?, QueueId(record.id), record));
        }
        BINDING => {
            let destination = match names.get(2).copied() {
                Some(b"queue") => Destination::Queue(text(3)?),
                Some(b"exchange") => Destination::Exchange(text(3)?),
                _ => return Err(bad("unknown destination type".to_owned())),
            };
            let arguments = names
                .get(5)
                .ok_or_else(|| bad("too few names in the key".to_owned()))?;
            let binding = Binding {
                source: text(1)?,
                destination,
                routing_key: text(4)?,
                arguments: table(arguments).map_err(bad)?,
            };
            definitions.bindings.push((text(0)?, binding));
        }
        other => return Err(bad(format!("unknown kind '{other}'"))),
    }
    Ok(())
}

fn exchange_of(name: String, record: &ExchangeRecord) -> Result<Exchange, String> {
    let octets = BASE64
        .decode(&record.arguments)
        .map_err(|error| error.to_string())?;
    let arguments = table(&octets)?;
    let (kind, delayed) = DeclaredType::parse(&record.r#type)
        .and_then(|declared| Some((declared.kind(&arguments).ok()?, declared.is_delayed())))
        .ok_or_else(|| format!("unknown exchange type '{}'", record.r#type))?;
    Ok(crate::vhost::with_alternate(Exchange {
        name,
        kind,
        delayed,
        durable: true,
        auto_delete: record.auto_delete,
        internal: record.internal,
        alternate: None,
        arguments,
    }))
}

pub(crate) fn split_key(key: &[u8]) -> Option<(&str, Vec<&[u8]>)> {
    let slash = key.iter().position(|octet| *octet == b'/')?;
    let kind = std::str::from_utf8(key.get(..slash)?).ok()?;
    let mut rest = key.get(slash + 1..)?;
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        names.push(tail.get(..length)?);
        rest = tail.get(length..)?;
    }
    Some((kind, names))
}
