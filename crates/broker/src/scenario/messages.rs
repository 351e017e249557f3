//! Messages and tables as scenarios have them, and how they read them back.

use leveret_wire::{
    AMQPValue, BodyPart, FieldTable, Message, PropertiesBuilder, RawTable, RawValue,
};

pub(crate) fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

pub(crate) fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

pub(crate) fn int(value: i32) -> AMQPValue {
    AMQPValue::LongInt(value)
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A transient message to a queue by way of the default exchange.
pub(crate) fn to(queue: &str, body: &str) -> Message {
    message("", queue, body, &PropertiesBuilder::new())
}

pub(crate) fn persistent(queue: &str, body: &str) -> Message {
    message(
        "",
        queue,
        body,
        PropertiesBuilder::new().delivery_mode(Some(2)),
    )
}

/// A transient message with milliseconds to live.
pub(crate) fn expiring(queue: &str, body: &str, expiration: &str) -> Message {
    message(
        "",
        queue,
        body,
        PropertiesBuilder::new().expiration(Some(expiration.as_bytes())),
    )
}

pub(crate) fn with_priority(queue: &str, body: &str, priority: u8) -> Message {
    message(
        "",
        queue,
        body,
        PropertiesBuilder::new().priority(Some(priority)),
    )
}

pub(crate) fn message(
    exchange: &str,
    routing_key: &str,
    body: &str,
    properties: &PropertiesBuilder<'_>,
) -> Message {
    let header = properties.build(body.len() as u64).unwrap();
    let body = BodyPart::Slice(body.as_bytes());
    Message::from_parts(exchange.as_bytes(), routing_key.as_bytes(), &header, body).unwrap()
}

/// The entries of x-death: reason, queue, count.
pub(crate) fn deaths(message: &Message) -> Vec<(String, String, i64)> {
    let Some(RawValue::Array(deaths)) = message
        .properties()
        .headers()
        .and_then(|headers| headers.get(b"x-death"))
    else {
        return Vec::new();
    };
    deaths
        .iter()
        .map(|death| {
            let death = death.as_table().unwrap();
            (
                string(&death, "reason"),
                string(&death, "queue"),
                death.get(b"count").unwrap().as_integer().unwrap(),
            )
        })
        .collect()
}

/// A long string of a table.
pub(crate) fn string(table: &RawTable<'_>, key: &str) -> String {
    let value = table
        .get(key.as_bytes())
        .and_then(|value| value.as_bytes())
        .unwrap();
    String::from_utf8_lossy(value).into_owned()
}
