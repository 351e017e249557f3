//! What can be asked.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Secret;

/// A command of an operator. Names and meanings are those of RabbitMQ's page "rabbitmqctl"; columns are named there
/// too, and each [`Reply::Row`](super::Reply::Row) has them in the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum Request {
    /// Is anybody there?
    Ping,
    /// What the node is, has and listens to: one object.
    Status,
    /// End the process in good order. The answer comes at once, the end of the connection with that of the process.
    Stop,
    /// Add a user without permissions.
    AddUser { name: String, password: Secret },
    /// Delete a user, and close its connections.
    DeleteUser { name: String },
    /// Give a user another password.
    ChangePassword { name: String, password: Secret },
    /// Take a user's password away.
    ClearPassword { name: String },
    /// Would this password log the user in?
    AuthenticateUser { name: String, password: Secret },
    /// Replace a user's tags.
    SetUserTags { name: String, tags: Vec<String> },
    /// Rows of name and tags.
    ListUsers,
    /// Add a vhost; one that is there already stays as it is.
    AddVhost {
        name: String,
        metadata: Map<String, Value>,
    },
    /// Delete a vhost with all that is in it.
    DeleteVhost { name: String },
    /// Rows of the columns of [`VHOST_COLUMNS`](super::VHOST_COLUMNS).
    ListVhosts { columns: Vec<String> },
    /// Set a user's permission in a vhost.
    SetPermissions {
        user: String,
        vhost: String,
        configure: String,
        write: String,
        read: String,
    },
    /// Take a user's permission in a vhost away.
    ClearPermissions { user: String, vhost: String },
    /// Rows of user, configure, write, read.
    ListPermissions { vhost: String },
    /// Rows of vhost, configure, write, read.
    ListUserPermissions { user: String },
    /// Set a user's topic permission for an exchange.
    SetTopicPermissions {
        user: String,
        vhost: String,
        exchange: String,
        write: String,
        read: String,
    },
    /// Take a user's topic permissions in a vhost away: for one exchange, or all.
    ClearTopicPermissions {
        user: String,
        vhost: String,
        exchange: Option<String>,
    },
    /// Rows of user, exchange, write, read.
    ListTopicPermissions { vhost: String },
    /// Rows of vhost, exchange, write, read.
    ListUserTopicPermissions { user: String },
    /// Replace a vhost's limits.
    SetVhostLimits { vhost: String, limits: Value },
    /// Lift a vhost's limits.
    ClearVhostLimits { vhost: String },
    /// Rows of vhost and limits, for those vhosts that have some.
    ListVhostLimits { vhost: Option<String> },
    /// Set some of a user's limits.
    SetUserLimits { user: String, limits: Value },
    /// Lift one limit of a user, or all.
    ClearUserLimits { user: String, limit: Option<String> },
    /// Rows of user and limits: of one user, or of those who have some.
    ListUserLimits { user: Option<String> },
    /// Set a policy, or an operator policy.
    SetPolicy {
        operator: bool,
        vhost: String,
        name: String,
        pattern: String,
        definition: Value,
        priority: i64,
        apply_to: String,
    },
    /// Delete a policy, or an operator policy.
    ClearPolicy {
        operator: bool,
        vhost: String,
        name: String,
    },
    /// Rows of vhost, name, pattern, apply-to, definition, priority.
    ListPolicies { operator: bool, vhost: String },
    /// Replace a vhost's tags.
    SetVhostTags { name: String, tags: Vec<String> },
    /// Set a parameter of a vhost.
    SetParameter {
        vhost: String,
        component: String,
        name: String,
        value: Value,
    },
    /// Delete a parameter of a vhost.
    ClearParameter {
        vhost: String,
        component: String,
        name: String,
    },
    /// Rows of component, name, value.
    ListParameters { vhost: String },
    /// Set a global parameter.
    SetGlobalParameter { name: String, value: Value },
    /// Delete a global parameter.
    ClearGlobalParameter { name: String },
    /// Rows of name and value.
    ListGlobalParameters,
    /// Rows of the columns of [`QUEUE_COLUMNS`](super::QUEUE_COLUMNS).
    ListQueues { vhost: String, columns: Vec<String> },
    /// Rows of the columns of [`EXCHANGE_COLUMNS`](super::EXCHANGE_COLUMNS).
    ListExchanges { vhost: String, columns: Vec<String> },
    /// Rows of the columns of [`BINDING_COLUMNS`](super::BINDING_COLUMNS).
    ListBindings { vhost: String, columns: Vec<String> },
    /// Rows of the columns of [`CONNECTION_COLUMNS`](super::CONNECTION_COLUMNS).
    ListConnections { columns: Vec<String> },
    /// Rows of the columns of [`CHANNEL_COLUMNS`](super::CHANNEL_COLUMNS).
    ListChannels { columns: Vec<String> },
    /// Rows of the columns of [`CONSUMER_COLUMNS`](super::CONSUMER_COLUMNS).
    ListConsumers { vhost: String, columns: Vec<String> },
    /// Take the ready messages out of a queue; how many there were.
    PurgeQueue { vhost: String, queue: String },
    /// Delete a queue; how many ready messages went with it.
    DeleteQueue {
        vhost: String,
        queue: String,
        if_unused: bool,
        if_empty: bool,
    },
    /// Close the connection that a list shows with this pid.
    CloseConnection { pid: String, reason: String },
    /// Close connections: of a vhost, of a user, or all; at most `limit` of them. How many it were.
    CloseConnections {
        vhost: Option<String>,
        user: Option<String>,
        limit: Option<u64>,
        delay_milliseconds: u64,
        reason: String,
    },
    /// From now on memory is low from this watermark, in the form of the setting.
    SetMemoryHighWatermark { watermark: String },
    /// From now on the disk is low below so many octets.
    SetDiskFreeLimit { octets: u64 },
    /// The same, as a part of the memory that the process may have.
    SetDiskFreeLimitByMemory { part: f64 },
    /// Copy every message of a vhost to its exchange `amq.rabbitmq.trace`.
    StartTracing { vhost: String },
    /// The end of that.
    StopTracing { vhost: String },
    /// The node's definitions as JSON, in pieces: rows of one text.
    ExportDefinitions,
    /// Import definitions, as JSON; what was done, in a sentence.
    ImportDefinitions { definitions: Secret },
}
