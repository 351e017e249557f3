//! What server and client settle before the first command: the protocol header, the properties and
//! capabilities of both sides, and the limits of `connection.tune`.

use leveret_wire::{
    AMQPValue, FRAME_MIN_SIZE, FieldTable, ShortString,
    method::connection::{Tune, TuneOk},
};

use crate::error::ConnectionError;

/// The header of AMQP 0-9-1: what a client opens with, and what a server answers to any other.
pub(crate) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// The header of AMQP 0-9; RabbitMQ serves such clients with 0-9-1, as the two agree on the wire.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// Largest frame payload before `tune-ok`, in octets. RabbitMQ 4.1 raised it from 4096 for clients
/// with long tokens in `start-ok`.
pub(crate) const HANDSHAKE_PAYLOAD_MAX: u32 = 8_192;

/// Smallest `channel_max` a client may ask for (RabbitMQ's `CHANNEL_MIN`).
const CHANNEL_MIN: u16 = 1;

/// The capabilities every server must announce: clients gate confirms, nacks and cancel notices on
/// them (pika refuses `confirm_delivery` when two of them are missing).
const SERVER_CAPABILITIES: [&str; 9] = [
    "authentication_failure_close",
    "basic.nack",
    "connection.blocked",
    "consumer_cancel_notify",
    "consumer_priorities",
    "direct_reply_to",
    "exchange_exchange_bindings",
    "per_consumer_qos",
    "publisher_confirms",
];

const CAPABILITIES: &str = "capabilities";

/// Whether the client's first eight octets ask for a protocol that is served.
pub(crate) fn is_served(header: [u8; 8]) -> bool {
    header == PROTOCOL_HEADER || header == PROTOCOL_HEADER_0_9
}

/// How the server names itself in `server-properties`. Clients and tools branch on `product` and
/// parse `version`, so both are settings.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// Name of the cluster, for display.
    pub cluster_name: String,
    /// One line on the licence.
    pub copyright: String,
    /// Where to read more.
    pub information: String,
    /// What the server runs on.
    pub platform: String,
    /// Name of the server.
    pub product: String,
    /// Its own version, where `version` is that of another product which clients compare.
    pub product_version: String,
    /// `x.y.z`, to be parsed by clients.
    pub version: String,
}

impl Default for ServerIdentity {
    fn default() -> Self {
        Self {
            cluster_name: "leveret".to_owned(),
            copyright: "The Leveret authors".to_owned(),
            information: "Licensed under the Apache License 2.0".to_owned(),
            platform: "Rust".to_owned(),
            product: "Leveret".to_owned(),
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            version: "3.10.8".to_owned(),
        }
    }
}

/// The `server-properties` of `connection.start`, capabilities included.
pub fn server_properties(identity: &ServerIdentity) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, text) in [
        ("cluster_name", &identity.cluster_name),
        ("copyright", &identity.copyright),
        ("information", &identity.information),
        ("platform", &identity.platform),
        ("product", &identity.product),
        ("product_version", &identity.product_version),
        ("version", &identity.version),
    ] {
        table.insert(
            ShortString::from(key),
            AMQPValue::LongString(text.as_str().into()),
        );
    }
    with_capabilities(table)
}

/// `properties` with the capabilities table, which must never be missing.
pub(crate) fn with_capabilities(mut properties: FieldTable) -> FieldTable {
    if !properties.contains_key(CAPABILITIES) {
        let mut capabilities = FieldTable::default();
        for name in SERVER_CAPABILITIES {
            capabilities.insert(ShortString::from(name), AMQPValue::Boolean(true));
        }
        let value = AMQPValue::FieldTable(capabilities);
        properties.insert(ShortString::from(CAPABILITIES), value);
    }
    properties
}

/// What the client says it can do, from `capabilities` of its `client-properties`. Each decides
/// whether the server may use an extension towards it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCapabilities {
    /// A refused login may be answered with `connection.close`; otherwise the socket just closes.
    pub authentication_failure_close: bool,
    /// `basic.nack` from the server is understood.
    pub basic_nack: bool,
    /// `connection.blocked` and `connection.unblocked` may be sent.
    pub connection_blocked: bool,
    /// `basic.cancel` may be sent when a queue goes away.
    pub consumer_cancel_notify: bool,
    /// Confirms are understood.
    pub publisher_confirms: bool,
}

impl ClientCapabilities {
    /// Reads `client-properties`. What is absent, or not a bool, counts as false.
    pub fn from_properties(properties: &FieldTable) -> Self {
        let announced = properties
            .inner()
            .get(CAPABILITIES)
            .and_then(AMQPValue::as_field_table);
        let has = |name: &str| {
            let value = announced.and_then(|table| table.inner().get(name));
            value.and_then(AMQPValue::as_bool).unwrap_or(false)
        };
        Self {
            authentication_failure_close: has("authentication_failure_close"),
            basic_nack: has("basic.nack"),
            connection_blocked: has("connection.blocked"),
            consumer_cancel_notify: has("consumer_cancel_notify"),
            publisher_confirms: has("publisher_confirms"),
        }
    }
}

/// Checks the client's `tune-ok` against what was offered.
///
/// 0 means "no limit" on either side. The client may go below the offer, never above, and not below
/// the minimum. Deviation from RabbitMQ, which drops the connection in silence: the error is sent.
pub(crate) fn check_tune_ok(offer: &Tune, answer: &TuneOk) -> Result<(), ConnectionError> {
    check_limit(
        "frame_max",
        FRAME_MIN_SIZE,
        offer.frame_max,
        answer.frame_max,
    )?;
    check_limit(
        "channel_max",
        CHANNEL_MIN.into(),
        offer.channel_max.into(),
        answer.channel_max.into(),
    )
}

fn check_limit(field: &str, min: u32, offered: u32, asked: u32) -> Result<(), ConnectionError> {
    let (comparison, bound, limit) = if asked != 0 && asked < min {
        ("lower", "minimum", min)
    } else if offered != 0 && (asked == 0 || asked > offered) {
        ("higher", "maximum", offered)
    } else {
        return Ok(());
    };
    // RabbitMQ explains the zero for channel_max only.
    let detail = if asked == 0 && field == "channel_max" {
        " (no limit)"
    } else {
        ""
    };
    Err(ConnectionError::not_allowed(format_args!(
        "negotiated {field} = {asked}{detail} is {comparison} than the {bound} allowed value ({limit})"
    )))
}
