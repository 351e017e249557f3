//! Everything the node is defined by, in RabbitMQ's form.

use leveret_router::{Binding, Destination, Exchange};
use serde_json::{Value, json};

use super::arguments::from_table;
use super::{
    DefinitionsFile, DestinationType, FileBinding, FileExchange, FileGlobalParameter,
    FileParameter, FilePermission, FilePolicy, FileQueue, FileTopicPermission, FileUser, FileVhost,
    PolicyTerms,
};
use crate::broker::Broker;
use crate::policies::{Policy, PolicyKind};
use crate::queue::QueueProperties;
use crate::users::Users;
use crate::vhost::Vhost;

impl Broker {
    /// Everything the node is defined by: users with the hashes of their passwords, vhosts,
    /// permissions, parameters, policies, exchanges, queues and bindings. Exclusive queues go
    /// with their connections and are left out, as are the exchanges that every vhost has.
    pub fn export_definitions(&self) -> DefinitionsFile {
        let _turn = self.administration.lock();
        let mut file = self.blank_definitions();
        for vhost in self.vhosts() {
            file.vhosts.push(FileVhost {
                name: vhost.name().to_string(),
                metadata: vhost.metadata(),
            });
            file.add_vhost(&vhost, Some(vhost.name()));
        }
        file.add_people(&self.shared.users.read());
        let global = self.global_parameters.read();
        file.global_parameters = global
            .iter()
            .map(|(name, value)| FileGlobalParameter {
                name: name.clone(),
                value: value.clone(),
            })
            .collect();
        file
    }

    /// What one vhost is defined by, without its name in it, so that it can be imported into
    /// another. `None` if there is none of that name.
    pub fn export_vhost_definitions(&self, vhost: &str) -> Option<DefinitionsFile> {
        let vhost = self.vhost(vhost)?;
        let mut file = self.blank_definitions();
        file.add_vhost(&vhost, None);
        Some(file)
    }

    fn blank_definitions(&self) -> DefinitionsFile {
        DefinitionsFile {
            rabbit_version: Some(self.rabbitmq_version.clone()),
            rabbitmq_version: Some(self.rabbitmq_version.clone()),
            ..DefinitionsFile::default()
        }
    }
}

impl DefinitionsFile {
    fn add_people(&mut self, users: &Users) {
        for (name, record) in users.records() {
            let algorithm = serde_json::to_value(record.hashing_algorithm);
            self.users.push(FileUser {
                name: name.clone(),
                password: None,
                password_hash: Some(record.password_hash.clone()),
                hashing_algorithm: algorithm
                    .ok()
                    .and_then(|name| name.as_str().map(str::to_owned)),
                tags: Some(Value::from(record.tags.clone())),
                limits: match &record.limits {
                    Value::Null => json!({}),
                    limits => limits.clone(),
                },
            });
        }
        for ((user, vhost), permission) in users.permissions() {
            self.permissions.push(FilePermission {
                user: user.clone(),
                vhost: vhost.clone(),
                configure: permission.configure.clone(),
                write: permission.write.clone(),
                read: permission.read.clone(),
            });
        }
        for ((user, vhost, exchange), permission) in users.topic_permissions() {
            self.topic_permissions.push(FileTopicPermission {
                user: user.clone(),
                vhost: vhost.clone(),
                exchange: exchange.clone(),
                write: permission.write.clone(),
                read: permission.read.clone(),
            });
        }
    }

    fn add_vhost(&mut self, vhost: &Vhost, name: Option<&str>) {
        let name = || name.map(str::to_owned);
        for policy in vhost.policies(PolicyKind::User) {
            self.policies.push(FilePolicy {
                vhost: name(),
                name: policy.name.clone(),
                terms: terms(&policy),
            });
        }
        for policy in vhost.policies(PolicyKind::Operator) {
            self.parameters.push(FileParameter {
                vhost: name(),
                component: PolicyKind::Operator.component().to_owned(),
                name: policy.name.clone(),
                value: serde_json::to_value(terms(&policy)).unwrap_or_default(),
            });
        }
        for (component, parameter, value) in vhost.parameters() {
            self.parameters.push(FileParameter {
                vhost: name(),
                component,
                name: parameter,
                value,
            });
        }
        let defined = vhost.defined();
        let exchanges = defined.exchanges.iter();
        self.exchanges
            .extend(exchanges.map(|exchange| file_exchange(exchange, name())));
        let queues = defined.queues.iter();
        self.queues
            .extend(queues.map(|queue| file_queue(queue.properties(), name())));
        let bindings = defined.bindings.iter();
        self.bindings
            .extend(bindings.map(|binding| file_binding(binding, name())));
    }
}

fn terms(policy: &Policy) -> PolicyTerms {
    PolicyTerms {
        pattern: Value::from(policy.pattern.as_str()),
        apply_to: Value::from(policy.apply_to.name()),
        definition: Value::Object(policy.definition.as_map().clone()),
        priority: Value::from(policy.priority),
    }
}

fn file_exchange(exchange: &Exchange, vhost: Option<String>) -> FileExchange {
    FileExchange {
        name: exchange.name.clone(),
        vhost,
        r#type: exchange.type_name().to_owned(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: from_table(&exchange.arguments),
    }
}

fn file_queue(properties: &QueueProperties, vhost: Option<String>) -> FileQueue {
    FileQueue {
        name: properties.name.to_string(),
        vhost,
        durable: properties.durable,
        auto_delete: properties.auto_delete,
        arguments: from_table(&properties.arguments),
        r#type: Some(properties.options.queue_type.name().to_owned()),
    }
}

fn file_binding(binding: &Binding, vhost: Option<String>) -> FileBinding {
    FileBinding {
        source: binding.source.clone(),
        vhost,
        destination: binding.destination.name().to_owned(),
        destination_type: match binding.destination {
            Destination::Queue(_) => DestinationType::Queue,
            Destination::Exchange(_) => DestinationType::Exchange,
        },
        routing_key: binding.routing_key.clone(),
        arguments: from_table(&binding.arguments),
    }
}
