//! What a file of definitions asks for, checked as far as the file itself can tell, and sorted
//! by vhost.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leveret_router::{Binding, Destination, Exchange};
use leveret_wire::method::queue::Declare;
use serde_json::Value;

use super::arguments::to_table;
use super::{DefinitionsError, DefinitionsFile, DestinationType, FileUser, PolicyTerms};
use crate::policies::{ApplyTo, Checked, Policy, PolicyDefinition, PolicyKind, term};
use crate::secret::Secret;
use crate::users::{HashingAlgorithm, Permission, TopicPermission, UserLimits, UserRecord};
use crate::vhost::{DeclaredType, LIMITS, VhostLimits, check_new_exchange, check_new_queue};

/// Octets of a name (AMQP short string).
const NAME_MAX: usize = 255;

/// What a file asks of one vhost.
#[derive(Debug, Default)]
pub(crate) struct VhostPart {
    pub(crate) policies: Vec<(PolicyKind, Checked)>,
    /// Component, name and value.
    pub(crate) parameters: Vec<(String, String, Value)>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<Declare>,
    pub(crate) bindings: Vec<Binding>,
    /// What is left out, and why.
    pub(crate) skipped: Vec<String>,
}

/// Users and what they may do.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) users: Vec<(String, UserPart)>,
    pub(super) permissions: Vec<((String, String), Permission)>,
    pub(super) topic_permissions: Vec<((String, String, String), TopicPermission)>,
}

/// A user of the file.
#[derive(Debug)]
pub(super) struct UserPart {
    /// The password itself, if the file has it: the record has no hash then.
    pub(super) password: Option<Secret>,
    pub(super) record: UserRecord,
}

type Parts = BTreeMap<String, VhostPart>;

impl DefinitionsFile {
    /// What the file asks of each vhost; of `vhost` alone, whatever the objects name, if given.
    pub(super) fn parts(&self, vhost: Option<&str>) -> Result<Parts, DefinitionsError> {
        let mut parts = Parts::new();
        self.add_policies(vhost, &mut parts)?;
        self.add_parameters(vhost, &mut parts)?;
        self.add_exchanges(vhost, &mut parts)?;
        self.add_queues(vhost, &mut parts)?;
        self.add_bindings(vhost, &mut parts)?;
        Ok(parts)
    }

    fn add_policies(&self, vhost: Option<&str>, parts: &mut Parts) -> Result<(), DefinitionsError> {
        for policy in &self.policies {
            let in_vhost = one_of(vhost, policy.vhost.as_deref(), || {
                format!("policy '{}'", policy.name)
            })?;
            let kind = PolicyKind::User;
            let checked = checked(kind, &policy.name, &policy.terms)
                .map_err(|reason| of_policy(kind, &policy.name, in_vhost, reason))?;
            part(parts, in_vhost).policies.push((kind, checked));
        }
        Ok(())
    }

    fn add_parameters(
        &self,
        vhost: Option<&str>,
        parts: &mut Parts,
    ) -> Result<(), DefinitionsError> {
        for parameter in &self.parameters {
            let (component, name) = (&parameter.component, &parameter.name);
            let what = || format!("parameter '{component}/{name}'");
            let in_vhost = one_of(vhost, parameter.vhost.as_deref(), what)?;
            let refused = |reason| {
                DefinitionsError::refused(format!("{} in vhost '{in_vhost}'", what()), reason)
            };
            let kind = [PolicyKind::User, PolicyKind::Operator]
                .into_iter()
                .find(|kind| kind.component() == component);
            if let Some(kind) = kind {
                let terms = PolicyTerms::from_value(&parameter.value);
                let checked = terms
                    .and_then(|terms| checked(kind, name, &terms))
                    .map_err(|reason| of_policy(kind, name, in_vhost, reason))?;
                part(parts, in_vhost).policies.push((kind, checked));
                continue;
            }
            if component == LIMITS {
                VhostLimits::parse(&parameter.value).map_err(refused)?;
            }
            let entry = (component.clone(), name.clone(), parameter.value.clone());
            part(parts, in_vhost).parameters.push(entry);
        }
        Ok(())
    }

    fn add_exchanges(
        &self,
        vhost: Option<&str>,
        parts: &mut Parts,
    ) -> Result<(), DefinitionsError> {
        for exchange in &self.exchanges {
            let name = &exchange.name;
            let in_vhost = one_of(vhost, exchange.vhost.as_deref(), || {
                format!("exchange '{name}'")
            })?;
            let what = format!("exchange '{name}' in vhost '{in_vhost}'");
            if name.is_empty() || name.starts_with("amq.") {
                let line = format!("{what}: every vhost has those of its own");
                part(parts, in_vhost).skipped.push(line);
                continue;
            }
            let refused = |reason: String| {
                let reason = reason.replace(&format!(" in {what}"), "");
                DefinitionsError::refused(what.clone(), reason)
            };
            check_name(name).map_err(refused)?;
            let declared = DeclaredType::parse(&exchange.r#type)
                .ok_or_else(|| refused(format!("unknown exchange type '{}'", exchange.r#type)))?;
            let arguments = to_table(&exchange.arguments).map_err(refused)?;
            let kind = declared.kind(&arguments);
            let kind = kind.map_err(|reason| refused(reason.to_string()))?;
            check_new_exchange(kind, &arguments, &what).map_err(refused)?;
            part(parts, in_vhost).exchanges.push(Exchange {
                name: name.clone(),
                kind,
                delayed: declared.is_delayed(),
                durable: exchange.durable,
                auto_delete: exchange.auto_delete,
                internal: exchange.internal,
                arguments,
                alternate: None,
            });
        }
        Ok(())
    }

    fn add_queues(&self, vhost: Option<&str>, parts: &mut Parts) -> Result<(), DefinitionsError> {
        for queue in &self.queues {
            let name = &queue.name;
            let in_vhost = one_of(vhost, queue.vhost.as_deref(), || format!("queue '{name}'"))?;
            let what = format!("queue '{name}' in vhost '{in_vhost}'");
            if name.is_empty() || name.starts_with("amq.") {
                let line = format!("{what}: the name is the broker's own");
                part(parts, in_vhost).skipped.push(line);
                continue;
            }
            let refused = |reason: String| {
                let reason = reason.replace(&format!(" for {what}"), "");
                DefinitionsError::refused(what.clone(), reason)
            };
            check_name(name).map_err(refused)?;
            let mut arguments = queue.arguments.clone();
            if let Some(queue_type) = &queue.r#type
                && queue_type != "classic"
            {
                let given = Value::from(queue_type.as_str());
                arguments.entry("x-queue-type").or_insert(given);
            }
            let declare = Declare {
                queue: name.as_str().into(),
                passive: false,
                durable: queue.durable,
                exclusive: false,
                auto_delete: queue.auto_delete,
                nowait: false,
                arguments: to_table(&arguments).map_err(refused)?,
            };
            check_new_queue(&declare, &what).map_err(refused)?;
            part(parts, in_vhost).queues.push(declare);
        }
        Ok(())
    }

    fn add_bindings(&self, vhost: Option<&str>, parts: &mut Parts) -> Result<(), DefinitionsError> {
        for binding in &self.bindings {
            let destination = binding.destination.clone();
            let destination = match binding.destination_type {
                DestinationType::Queue => Destination::Queue(destination),
                DestinationType::Exchange => Destination::Exchange(destination),
            };
            let mut read = Binding {
                source: binding.source.clone(),
                destination,
                routing_key: binding.routing_key.clone(),
                arguments: leveret_wire::FieldTable::default(),
            };
            let in_vhost = one_of(vhost, binding.vhost.as_deref(), || binding_text(&read))?;
            let what = || format!("{} in vhost '{in_vhost}'", binding_text(&read));
            let refused = |reason| DefinitionsError::refused(what(), reason);
            check_name(&binding.routing_key).map_err(refused)?;
            let arguments = to_table(&binding.arguments).map_err(refused)?;
            if binding.source.is_empty() {
                let line = format!("{}: the default exchange binds every queue", what());
                part(parts, in_vhost).skipped.push(line);
                continue;
            }
            read.arguments = arguments;
            part(parts, in_vhost).bindings.push(read);
        }
        Ok(())
    }

    /// Users and permissions of the file.
    pub(super) fn people(&self) -> Result<People, DefinitionsError> {
        let mut people = People::default();
        let version = self.rabbitmq_version.as_ref();
        let version = version.or(self.rabbit_version.as_ref());
        for user in &self.users {
            let part = user_part(user, version.map(String::as_str)).map_err(|reason| {
                DefinitionsError::refused(format!("user '{}'", user.name), reason)
            })?;
            people.users.push((user.name.clone(), part));
        }
        for given in &self.permissions {
            let what = || permission_text(&given.user, &given.vhost);
            let permission = Permission {
                configure: given.configure.clone(),
                write: given.write.clone(),
                read: given.read.clone(),
            };
            permission
                .check()
                .map_err(|bad| DefinitionsError::refused(what(), bad.to_string()))?;
            let place = (given.user.clone(), given.vhost.clone());
            people.permissions.push((place, permission));
        }
        for given in &self.topic_permissions {
            let what = || permission_text(&given.user, &given.vhost);
            let permission = TopicPermission {
                write: given.write.clone(),
                read: given.read.clone(),
            };
            permission.check().map_err(|bad| {
                DefinitionsError::refused(format!("topic {}", what()), bad.to_string())
            })?;
            let place = (
                given.user.clone(),
                given.vhost.clone(),
                given.exchange.clone(),
            );
            people.topic_permissions.push((place, permission));
        }
        Ok(people)
    }
}

/// `permission of user 'u' in vhost '/'`.
pub(super) fn permission_text(user: &str, vhost: &str) -> String {
    format!("permission of user '{user}' in vhost '{vhost}'")
}

/// `binding from exchange 'x' to queue 'q'`.
pub(crate) fn binding_text(binding: &Binding) -> String {
    let kind = match binding.destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    };
    format!(
        "binding from exchange '{}' to {kind} '{}'",
        binding.source,
        binding.destination.name()
    )
}

fn part<'p>(parts: &'p mut Parts, vhost: &str) -> &'p mut VhostPart {
    if !parts.contains_key(vhost) {
        parts.insert(vhost.to_owned(), VhostPart::default());
    }
    parts.entry(vhost.to_owned()).or_default()
}

/// The vhost that an object goes into.
fn one_of<'v>(
    asked: Option<&'v str>,
    named: Option<&'v str>,
    what: impl FnOnce() -> String,
) -> Result<&'v str, DefinitionsError> {
    asked
        .or(named)
        .ok_or_else(|| DefinitionsError::refused(what(), "names no vhost"))
}

fn of_policy(kind: PolicyKind, name: &str, vhost: &str, reason: String) -> DefinitionsError {
    DefinitionsError::refused(
        format!("{} '{name}' in vhost '{vhost}'", kind.words()),
        reason,
    )
}

fn check_name(name: &str) -> Result<(), String> {
    if name.len() > NAME_MAX {
        return Err(format!("name or key longer than {NAME_MAX} octets"));
    }
    Ok(())
}

/// RabbitMQ's checks of the terms of a policy, and its words.
fn checked(kind: PolicyKind, name: &str, terms: &PolicyTerms) -> Result<Checked, String> {
    let priority = terms.priority.as_i64().ok_or_else(|| {
        format!(
            "priority should be a number, actually was {}",
            term(&terms.priority)
        )
    })?;
    let pattern = terms.pattern.as_str().ok_or_else(|| {
        format!(
            "pattern should be a binary but was {}",
            term(&terms.pattern)
        )
    })?;
    let apply_to = terms.apply_to.as_str();
    let apply_to = apply_to.and_then(ApplyTo::parse).ok_or_else(|| {
        let given = apply_to.map_or_else(|| term(&terms.apply_to), str::to_owned);
        format!(
            "apply-to '{given}' unrecognised; should be one of: 'queues', 'classic_queues', 'quorum_queues', 'streams', \
             'exchanges', or 'all'"
        )
    })?;
    let definition = PolicyDefinition::from_json(&terms.definition).ok_or_else(|| {
        format!(
            "definition must be a dictionary: {}",
            term(&terms.definition)
        )
    })?;
    let policy = Policy {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        apply_to,
        priority,
        definition,
    };
    Checked::new(kind, policy)
}

impl PolicyTerms {
    fn from_value(value: &Value) -> Result<Self, String> {
        serde_json::from_value(value.clone()).map_err(|error| error.to_string())
    }
}

fn user_part(user: &FileUser, version: Option<&str>) -> Result<UserPart, String> {
    let tags = match &user.tags {
        None => return Err("tags_not_present".to_owned()),
        Some(Value::String(tags)) => tags.split(',').map(|tag| tag.trim().to_owned()).collect(),
        Some(Value::Array(tags)) => tags
            .iter()
            .map(|tag| tag.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .ok_or("tags should be strings")?,
        Some(other) => {
            return Err(format!(
                "tags should be a list, actually was {}",
                term(other)
            ));
        }
    };
    let tags: Vec<String> = tags.into_iter().filter(|tag| !tag.is_empty()).collect();
    if user.password.is_some() && user.password_hash.is_some() {
        return Err("both_password_and_password_hash_are_provided".to_owned());
    }
    let hash = user.password_hash.clone().unwrap_or_default();
    if BASE64.decode(hash.expose()).is_err() {
        return Err("password_hash is not base64".to_owned());
    }
    let algorithm = match &user.hashing_algorithm {
        None => algorithm_of(version),
        Some(name) => serde_json::from_value(Value::from(name.as_str()))
            .map_err(|_| format!("unknown hashing algorithm '{name}'"))?,
    };
    let mut record = UserRecord::with_hash(hash, algorithm, tags);
    let has_limits = match &user.limits {
        Value::Null => false,
        Value::Array(limits) => !limits.is_empty(),
        _ => true,
    };
    if has_limits {
        UserLimits::parse(&user.limits)?;
        record.limits = user.limits.clone();
    }
    Ok(UserPart {
        password: user.password.clone(),
        record,
    })
}

/// The algorithm of a version that does not name it.
fn algorithm_of(version: Option<&str>) -> HashingAlgorithm {
    let before_3_6 = ["3.0.", "3.1.", "3.2.", "3.3.", "3.4.", "3.5."];
    if version.is_some_and(|version| before_3_6.iter().any(|early| version.starts_with(early))) {
        HashingAlgorithm::Md5
    } else {
        HashingAlgorithm::Sha256
    }
}
