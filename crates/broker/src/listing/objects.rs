//! Queues, exchanges and bindings.

use leveret_router::{Destination, Exchange};
use serde_json::{Map, Value};

use crate::connections::ConnectionId;
use crate::definitions_file::from_table;
use crate::vhost::Vhost;

/// A queue, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueListing {
    /// Its name.
    pub name: String,
    /// `classic` or `quorum`.
    pub queue_type: &'static str,
    /// Its definition outlives the process.
    pub durable: bool,
    /// It goes with its last consumer.
    pub auto_delete: bool,
    /// The connection that alone may use it, and with which it goes.
    pub owner: Option<ConnectionId>,
    /// Its arguments, as definitions write them.
    pub arguments: Map<String, Value>,
    /// Name of the policy that applies.
    pub policy: Option<String>,
    /// Name of the operator policy that applies.
    pub operator_policy: Option<String>,
    /// Messages ready for delivery.
    pub messages_ready: u64,
    /// Messages delivered and not yet acknowledged.
    pub messages_unacknowledged: u64,
    /// Octets of the bodies of both.
    pub message_bytes: u64,
    /// Those of them that are unacknowledged.
    pub message_bytes_unacknowledged: u64,
    /// Octets of ready messages that are kept in memory.
    pub memory: u64,
    /// Consumers.
    pub consumers: u64,
}

/// An exchange, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeListing {
    /// Its name; empty for the default exchange.
    pub name: String,
    /// As it was declared: `direct`, `fanout`, `topic`, `headers`, or of another type.
    pub kind: String,
    /// Its definition outlives the process.
    pub durable: bool,
    /// It goes with its last binding.
    pub auto_delete: bool,
    /// Clients may not publish to it.
    pub internal: bool,
    /// Its arguments, as definitions write them.
    pub arguments: Map<String, Value>,
    /// Name of the policy that applies.
    pub policy: Option<String>,
}

/// A binding, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingListing {
    /// The exchange that messages come from; empty for the default exchange.
    pub source: String,
    /// Where they go to.
    pub destination: String,
    /// `queue` or `exchange`.
    pub destination_kind: &'static str,
    /// Its routing key.
    pub routing_key: String,
    /// Its arguments, as definitions write them.
    pub arguments: Map<String, Value>,
}

impl Vhost {
    /// All queues, in the order of their names.
    pub fn list_queues(&self) -> Vec<QueueListing> {
        self.queue_listings().collect()
    }

    /// The same one by one: each is looked at when it is asked for.
    pub fn queue_listings(&self) -> impl Iterator<Item = QueueListing> + '_ {
        let mut queues = self.queues();
        queues.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        queues.into_iter().map(|queue| {
            let properties = queue.properties();
            let (counts, bytes_unacked, memory) = queue.counts_and_sizes();
            let policies = self.queue_policy(&properties.name).unwrap_or_default();
            QueueListing {
                name: properties.name.to_string(),
                queue_type: properties.options.queue_type.name(),
                durable: properties.is_lasting(),
                auto_delete: properties.auto_delete,
                owner: properties.owner,
                arguments: from_table(&properties.arguments),
                policy: policies.policy,
                operator_policy: policies.operator_policy,
                messages_ready: counts.ready,
                messages_unacknowledged: counts.unacked,
                message_bytes: counts.bytes,
                message_bytes_unacknowledged: bytes_unacked,
                memory,
                consumers: counts.consumers as u64,
            }
        })
    }

    /// All exchanges, the default one first, in the order of their names.
    pub fn list_exchanges(&self) -> Vec<ExchangeListing> {
        let listed = |exchange: &Exchange| ExchangeListing {
            name: exchange.name.clone(),
            kind: exchange.type_name().to_owned(),
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            internal: exchange.internal,
            arguments: from_table(&exchange.arguments),
            policy: None,
        };
        let mut exchanges = vec![ExchangeListing {
            name: String::new(),
            kind: "direct".to_owned(),
            durable: true,
            auto_delete: false,
            internal: false,
            arguments: Map::new(),
            policy: None,
        }];
        exchanges.extend(self.exchanges().iter().map(listed));
        for exchange in &mut exchanges {
            exchange.policy = self
                .exchange_policy(&exchange.name)
                .and_then(|effective| effective.policy);
        }
        exchanges.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        exchanges
    }

    /// All bindings: first those by which the default exchange has every queue, then the others,
    /// in the order of source, destination and key.
    pub fn list_bindings(&self) -> Vec<BindingListing> {
        let by_default = self.queues().into_iter().map(|queue| BindingListing {
            source: String::new(),
            destination: queue.name().to_string(),
            destination_kind: "queue",
            routing_key: queue.name().to_string(),
            arguments: Map::new(),
        });
        let mut bindings: Vec<_> = by_default.collect();
        let bound = self.bindings().into_iter();
        bindings.extend(bound.map(|binding| BindingListing {
            destination: binding.destination.name().to_owned(),
            destination_kind: match binding.destination {
                Destination::Queue(_) => "queue",
                Destination::Exchange(_) => "exchange",
            },
            arguments: from_table(&binding.arguments),
            source: binding.source,
            routing_key: binding.routing_key,
        }));
        bindings.sort_by(|a, b| {
            let by_source = a.source.cmp(&b.source);
            by_source
                .then_with(|| a.destination.cmp(&b.destination))
                .then_with(|| a.routing_key.cmp(&b.routing_key))
        });
        bindings
    }
}
