//! Generated input for the property tests, and amq-protocol as the other opinion.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame, parse_frame};
use amq_protocol::protocol::basic::AMQPProperties;
use amq_protocol::types::generation::gen_field_table;
use amq_protocol::types::{AMQPValue, DecimalValue, FieldTable, LongString, ShortString};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A frame's octets as amq-protocol writes them.
pub(crate) fn frame_octets(frame: &AMQPFrame) -> Vec<u8> {
    let (octets, _) = gen_frame(frame)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner();
    octets
}

/// All frames in `octets` as amq-protocol reads them.
pub(crate) fn read_frames(octets: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let (after, frame) = parse_frame(rest).unwrap();
        frames.push(frame);
        rest = after;
    }
    frames
}

/// The payload of one frame's octets.
pub(crate) fn payload(frame: &[u8]) -> &[u8] {
    &frame[7..frame.len() - 1]
}

/// A content header payload as amq-protocol writes it.
pub(crate) fn header_payload(properties: &AMQPProperties, body_size: u64) -> Vec<u8> {
    let frame = AMQPFrame::Header(
        1,
        AMQPContentHeader {
            class_id: 60,
            body_size,
            properties: properties.clone(),
        },
    );
    payload(&frame_octets(&frame)).to_vec()
}

/// A table's content (no length) as amq-protocol writes it.
pub(crate) fn table_content(table: &FieldTable) -> Vec<u8> {
    let (octets, _) = gen_field_table(table)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner();
    octets[4..].to_vec()
}

/// The content of a table that holds a table, and so on: `levels` tables in all.
pub(crate) fn nested_tables(levels: u32) -> Vec<u8> {
    let mut content = Vec::new();
    for inner_levels in (0..levels - 1).rev() {
        content.extend_from_slice(b"\x00F");
        content.extend_from_slice(&(inner_levels * 6).to_be_bytes());
    }
    content
}

/// Any octets.
pub(crate) fn octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=max)
}

/// UTF-8 that fits into a short string, mostly short.
pub(crate) fn short_string() -> impl Strategy<Value = ShortString> {
    let letters = prop_oneof![4 => proptest::char::range(' ', 'z'), 1 => any::<char>()];
    vec(letters, 0..12).prop_map(|letters| letters.into_iter().collect::<String>().into())
}

/// Any value, nested a few levels.
pub(crate) fn value() -> impl Strategy<Value = AMQPValue> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        proptest::num::f32::NORMAL.prop_map(AMQPValue::Float),
        proptest::num::f64::NORMAL.prop_map(AMQPValue::Double),
        (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        octets(20).prop_map(|octets| AMQPValue::LongString(LongString::from(octets))),
        octets(20).prop_map(|octets| AMQPValue::ByteArray(octets.into())),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        Just(AMQPValue::Void),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| AMQPValue::FieldArray(items.into())),
            vec((short_string(), inner), 0..5).prop_map(|e| AMQPValue::FieldTable(table_of(e))),
        ]
    })
}

/// Any table, nested a few levels.
pub(crate) fn table() -> impl Strategy<Value = FieldTable> {
    vec((short_string(), value()), 0..6).prop_map(table_of)
}

fn table_of(entries: Vec<(ShortString, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key, value);
    }
    table
}

prop_compose! {
    /// Any set of properties.
    pub(crate) fn properties()(
        texts in vec(option::of(short_string()), 10),
        headers in option::of(table()),
        delivery_mode in option::of(any::<u8>()),
        priority in option::of(any::<u8>()),
        timestamp in option::of(any::<u64>()),
    ) -> AMQPProperties {
        let mut properties = AMQPProperties::default();
        let setters = [
            AMQPProperties::with_content_type,
            AMQPProperties::with_content_encoding,
            AMQPProperties::with_correlation_id,
            AMQPProperties::with_reply_to,
            AMQPProperties::with_expiration,
            AMQPProperties::with_message_id,
            AMQPProperties::with_type,
            AMQPProperties::with_user_id,
            AMQPProperties::with_app_id,
            AMQPProperties::with_cluster_id,
        ];
        for (set, text) in setters.into_iter().zip(texts) {
            if let Some(text) = text {
                properties = set(properties, text);
            }
        }
        if let Some(headers) = headers {
            properties = properties.with_headers(headers);
        }
        if let Some(mode) = delivery_mode {
            properties = properties.with_delivery_mode(mode);
        }
        if let Some(priority) = priority {
            properties = properties.with_priority(priority);
        }
        if let Some(timestamp) = timestamp {
            properties = properties.with_timestamp(timestamp);
        }
        properties
    }
}

/// `valid` with a few octets changed, inserted or taken away, or cut short.
pub(crate) fn mutated(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..4_u8, any::<proptest::sample::Index>(), any::<u8>());
    (valid, vec(edit, 0..4)).prop_map(|(mut octets, edits)| {
        for (kind, at, octet) in edits {
            if octets.is_empty() {
                break;
            }
            let at = at.index(octets.len());
            match kind {
                0 => octets[at] = octet,
                1 => octets.insert(at, octet),
                2 => {
                    octets.remove(at);
                }
                _ => octets.truncate(at),
            }
        }
        octets
    })
}
