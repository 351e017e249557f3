//! The columns of lists, by RabbitMQ's names, and what stands in each. What the broker does not keep is the empty
//! text, as RabbitMQ has it for what does not apply.

use leveret_broker::{
    BindingListing, ChannelListing, ChannelMode, ConnectionId, ConnectionListing, ConsumerListing,
    ExchangeListing, QueueListing, Vhost,
};
use serde_json::{Map, Value, json};

use super::serve::Operator;

/// Columns of vhosts.
pub const VHOST_COLUMNS: &[&str] = &[
    "name",
    "tracing",
    "description",
    "tags",
    "default_queue_type",
    "metadata",
    "cluster_state",
];

/// Columns of queues.
pub const QUEUE_COLUMNS: &[&str] = &[
    "name",
    "durable",
    "auto_delete",
    "arguments",
    "policy",
    "operator_policy",
    "pid",
    "owner_pid",
    "exclusive",
    "exclusive_consumer_pid",
    "exclusive_consumer_tag",
    "messages_ready",
    "messages_unacknowledged",
    "messages",
    "messages_ready_ram",
    "messages_unacknowledged_ram",
    "messages_ram",
    "messages_persistent",
    "message_bytes",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "message_bytes_ram",
    "message_bytes_persistent",
    "head_message_timestamp",
    "disk_reads",
    "disk_writes",
    "consumers",
    "consumer_utilisation",
    "consumer_capacity",
    "memory",
    "slave_pids",
    "synchronised_slave_pids",
    "state",
    "type",
    "leader",
    "members",
    "online",
];

/// Columns of exchanges.
pub const EXCHANGE_COLUMNS: &[&str] = &[
    "name",
    "type",
    "durable",
    "auto_delete",
    "internal",
    "arguments",
    "policy",
];

/// Columns of bindings.
pub const BINDING_COLUMNS: &[&str] = &[
    "source_name",
    "source_kind",
    "destination_name",
    "destination_kind",
    "routing_key",
    "arguments",
];

/// Columns of connections.
pub const CONNECTION_COLUMNS: &[&str] = &[
    "pid",
    "name",
    "port",
    "host",
    "peer_port",
    "peer_host",
    "ssl",
    "ssl_protocol",
    "ssl_key_exchange",
    "ssl_cipher",
    "ssl_hash",
    "peer_cert_subject",
    "peer_cert_issuer",
    "peer_cert_validity",
    "state",
    "channels",
    "protocol",
    "auth_mechanism",
    "user",
    "vhost",
    "timeout",
    "frame_max",
    "channel_max",
    "client_properties",
    "recv_oct",
    "recv_cnt",
    "send_oct",
    "send_cnt",
    "send_pend",
    "connected_at",
];

/// Columns of channels.
pub const CHANNEL_COLUMNS: &[&str] = &[
    "pid",
    "connection",
    "name",
    "number",
    "user",
    "vhost",
    "transactional",
    "confirm",
    "consumer_count",
    "messages_unacknowledged",
    "messages_uncommitted",
    "acks_uncommitted",
    "messages_unconfirmed",
    "prefetch_count",
    "global_prefetch_count",
];

/// Columns of consumers.
pub const CONSUMER_COLUMNS: &[&str] = &[
    "queue_name",
    "channel_pid",
    "consumer_tag",
    "ack_required",
    "prefetch_count",
    "active",
    "activity_status",
    "arguments",
];

/// What the broker does not know, or what does not apply.
fn nothing() -> Value {
    Value::from("")
}

fn or_nothing(value: Option<String>) -> Value {
    value.map_or_else(nothing, Value::from)
}

impl Operator {
    /// The pid of a channel or, with number 0, of a connection: `<node.start.connection.channel>`. As in RabbitMQ it
    /// names the start of the node too, so that it is never another's.
    pub(super) fn pid(&self, connection: ConnectionId, channel: u16) -> String {
        let (name, started) = (&self.name, self.started / 1000);
        format!("<{name}.{started}.{}.{channel}>", connection.number())
    }

    /// The connection that [`Operator::pid`] names so.
    pub(super) fn connection(&self, pid: &str) -> Option<ConnectionId> {
        let inner = pid.strip_prefix('<')?.strip_suffix('>')?;
        let (before, _channel) = inner.rsplit_once('.')?;
        let (_, number) = before.rsplit_once('.')?;
        let id = ConnectionId::from_number(number.parse().ok()?);
        (self.pid(id, 0) == pid).then_some(id)
    }

    pub(super) fn queue_cell(&self, queue: &QueueListing, column: &str) -> Value {
        let is_quorum = queue.queue_type == "quorum";
        match column {
            "name" => json!(queue.name),
            "durable" => json!(queue.durable),
            "auto_delete" => json!(queue.auto_delete),
            "arguments" => json!(queue.arguments),
            "policy" => or_nothing(queue.policy.clone()),
            "operator_policy" => or_nothing(queue.operator_policy.clone()),
            "owner_pid" => or_nothing(queue.owner.map(|owner| self.pid(owner, 0))),
            "exclusive" => json!(queue.owner.is_some()),
            "messages_ready" => json!(queue.messages_ready),
            "messages_unacknowledged" => json!(queue.messages_unacknowledged),
            "messages" => json!(queue.messages_ready + queue.messages_unacknowledged),
            "message_bytes" => json!(queue.message_bytes),
            "message_bytes_ready" => {
                let unacknowledged = queue.message_bytes_unacknowledged;
                json!(queue.message_bytes.saturating_sub(unacknowledged))
            }
            "message_bytes_unacknowledged" => json!(queue.message_bytes_unacknowledged),
            "consumers" => json!(queue.consumers),
            "memory" => json!(queue.memory),
            "state" => json!("running"),
            "type" => json!(queue.queue_type),
            "leader" if is_quorum => json!(self.name),
            "members" | "online" if is_quorum => json!([self.name]),
            _ => nothing(),
        }
    }

    pub(super) fn connection_cell(&self, connection: &ConnectionListing, column: &str) -> Value {
        let details = &connection.details;
        let (peer, own) = connection
            .name
            .split_once(" -> ")
            .unwrap_or((&connection.name, ""));
        match column {
            "pid" => json!(self.pid(connection.id, 0)),
            "name" => json!(connection.name),
            "port" => port(own),
            "host" => host(own),
            "peer_port" => port(peer),
            "peer_host" => host(peer),
            "ssl" => json!(details.tls),
            "state" => json!("running"),
            "channels" => json!(connection.channels),
            "protocol" => json!([0, 9, 1]),
            "auth_mechanism" => json!(details.mechanism),
            "user" => json!(&*connection.user),
            "vhost" => json!(&*connection.vhost),
            "timeout" => json!(details.heartbeat),
            "frame_max" => json!(details.frame_max),
            "channel_max" => json!(details.channel_max),
            "client_properties" => json!(connection.client_properties()),
            "connected_at" => json!(details.connected_at.0),
            _ => nothing(),
        }
    }

    pub(super) fn channel_cell(&self, channel: &ChannelListing, column: &str) -> Value {
        match column {
            "pid" => json!(self.pid(channel.connection, channel.number)),
            "connection" => json!(self.pid(channel.connection, 0)),
            "name" => json!(format!("{} ({})", channel.connection_name, channel.number)),
            "number" => json!(channel.number),
            "user" => json!(&*channel.user),
            "vhost" => json!(&*channel.vhost),
            "transactional" => json!(channel.mode == ChannelMode::Transaction),
            "confirm" => json!(channel.mode == ChannelMode::Confirm),
            "consumer_count" => json!(channel.consumers.len()),
            "messages_unacknowledged" => json!(channel.messages_unacknowledged),
            "prefetch_count" => json!(channel.prefetch_count),
            "global_prefetch_count" => json!(channel.global_prefetch_count),
            _ => nothing(),
        }
    }

    pub(super) fn consumer_cell(
        &self,
        (channel, consumer): (&ChannelListing, &ConsumerListing),
        shares_one_turn: bool,
        column: &str,
    ) -> Value {
        match column {
            "queue_name" => json!(consumer.queue),
            "channel_pid" => json!(self.pid(channel.connection, channel.number)),
            "consumer_tag" => json!(consumer.tag),
            "ack_required" => json!(consumer.ack_required),
            "prefetch_count" => json!(consumer.prefetch_count),
            // Which one of a queue with a single active consumer has its turn is the queue's own.
            "active" | "activity_status" if shares_one_turn => nothing(),
            "active" => json!(true),
            "activity_status" => json!("up"),
            "arguments" => json!(consumer.arguments),
            _ => nothing(),
        }
    }

    pub(super) fn vhost_cell(&self, vhost: &Vhost, column: &str) -> Value {
        let metadata = vhost.metadata();
        let of_metadata = |key| metadata.get(key).cloned().unwrap_or_else(nothing);
        match column {
            "name" => json!(&**vhost.name()),
            "tracing" => json!(vhost.is_traced()),
            "description" | "default_queue_type" => of_metadata(column),
            "tags" => metadata.get("tags").cloned().unwrap_or(json!([])),
            "metadata" => Value::Object(metadata),
            "cluster_state" => {
                Value::Object(Map::from_iter([(self.name.clone(), json!("running"))]))
            }
            _ => nothing(),
        }
    }
}

pub(super) fn exchange_cell(exchange: &ExchangeListing, column: &str) -> Value {
    match column {
        "name" => json!(exchange.name),
        "type" => json!(exchange.kind),
        "durable" => json!(exchange.durable),
        "auto_delete" => json!(exchange.auto_delete),
        "internal" => json!(exchange.internal),
        "arguments" => json!(exchange.arguments),
        "policy" => or_nothing(exchange.policy.clone()),
        _ => nothing(),
    }
}

pub(super) fn binding_cell(binding: &BindingListing, column: &str) -> Value {
    match column {
        "source_name" => json!(binding.source),
        "source_kind" => json!("exchange"),
        "destination_name" => json!(binding.destination),
        "destination_kind" => json!(binding.destination_kind),
        "routing_key" => json!(binding.routing_key),
        "arguments" => json!(binding.arguments),
        _ => nothing(),
    }
}

/// The port in `address:port`.
fn port(address: &str) -> Value {
    let port = address.rsplit_once(':').map(|(_, port)| port);
    let port = port.and_then(|port| port.parse::<u16>().ok());
    port.map_or_else(nothing, Value::from)
}

/// The address in `address:port`, without the brackets of IPv6.
fn host(address: &str) -> Value {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Value::from(host.trim_matches(['[', ']']))
}
