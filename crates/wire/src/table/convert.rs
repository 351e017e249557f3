//! Between raw tables and amq-protocol's values, without recursion.

use std::collections::btree_map;
use std::slice;

use amq_protocol::types::{AMQPValue, DecimalValue, FieldTable, ShortString};

use super::build::write_value;
use super::{Entries, Items, RawTable, RawValue};
use crate::octets::{length_u32, shortstr_content};

impl RawTable<'_> {
    /// The table as amq-protocol's value: sorted by key, and of duplicate keys only the first
    /// entry. Keys that are not UTF-8 are shown with replacement characters.
    pub fn to_field_table(&self) -> FieldTable {
        let mut outer: Vec<Unfinished<'_>> = Vec::new();
        let mut current = Unfinished::table(ShortString::default(), *self);
        loop {
            match current.next() {
                Some((key, RawValue::Table(table))) => {
                    let inner = Unfinished::table(key_string(key), table);
                    outer.push(std::mem::replace(&mut current, inner));
                }
                Some((key, RawValue::Array(array))) => {
                    let inner = Unfinished {
                        key: key_string(key),
                        target: Target::Array(array.iter(), Vec::new()),
                    };
                    outer.push(std::mem::replace(&mut current, inner));
                }
                Some((key, value)) => current.target.put(key_string(key), scalar(value)),
                None => {
                    let Some(mut parent) = outer.pop() else {
                        return match current.target {
                            Target::Table(_, table) => table,
                            // Only a table is ever outermost.
                            Target::Array(..) => FieldTable::default(),
                        };
                    };
                    parent.target.put(current.key, current.target.finish());
                    current = parent;
                }
            }
        }
    }
}

/// A table or array of which some entries are converted.
struct Unfinished<'a> {
    /// Its key in the table around it; empty inside an array.
    key: ShortString,
    target: Target<'a>,
}

enum Target<'a> {
    Array(Items<'a>, Vec<AMQPValue>),
    Table(Entries<'a>, FieldTable),
}

impl<'a> Unfinished<'a> {
    fn table(key: ShortString, table: RawTable<'a>) -> Self {
        Self {
            key,
            target: Target::Table(table.iter(), FieldTable::default()),
        }
    }

    fn next(&mut self) -> Option<(&'a [u8], RawValue<'a>)> {
        match &mut self.target {
            Target::Array(items, _) => Some((&[], items.next()?)),
            Target::Table(entries, _) => entries.next(),
        }
    }
}

impl Target<'_> {
    fn put(&mut self, key: ShortString, value: AMQPValue) {
        match self {
            Self::Array(_, values) => values.push(value),
            Self::Table(_, table) => {
                if !table.contains_key(key.as_str()) {
                    table.insert(key, value);
                }
            }
        }
    }

    fn finish(self) -> AMQPValue {
        match self {
            Self::Array(_, values) => AMQPValue::FieldArray(values.into()),
            Self::Table(_, table) => AMQPValue::FieldTable(table),
        }
    }
}

/// A value that is neither table nor array; those become void, but never get here.
fn scalar(value: RawValue<'_>) -> AMQPValue {
    match value {
        RawValue::Bool(value) => AMQPValue::Boolean(value),
        RawValue::ByteArray(octets) => AMQPValue::ByteArray(octets.into()),
        RawValue::Decimal { scale, value } => {
            AMQPValue::DecimalValue(DecimalValue { scale, value })
        }
        RawValue::F32(value) => AMQPValue::Float(value),
        RawValue::F64(value) => AMQPValue::Double(value),
        RawValue::I8(value) => AMQPValue::ShortShortInt(value),
        RawValue::I16(value) => AMQPValue::ShortInt(value),
        RawValue::I32(value) => AMQPValue::LongInt(value),
        RawValue::I64(value) => AMQPValue::LongLongInt(value),
        RawValue::LongString(octets) => AMQPValue::LongString(octets.into()),
        RawValue::Timestamp(value) => AMQPValue::Timestamp(value),
        RawValue::U8(value) => AMQPValue::ShortShortUInt(value),
        RawValue::U16(value) => AMQPValue::ShortUInt(value),
        RawValue::U32(value) => AMQPValue::LongUInt(value),
        RawValue::Array(_) | RawValue::Table(_) | RawValue::Void => AMQPValue::Void,
    }
}

/// A key as amq-protocol has it; a replacement character takes three octets, so a long key may have
/// to be cut.
fn key_string(key: &[u8]) -> ShortString {
    let mut text = String::from_utf8_lossy(key).into_owned();
    while ShortString::try_new(text.as_str()).is_err() {
        text.pop();
    }
    ShortString::try_new(text).unwrap_or_default()
}

/// Append the content of `table` (without its 32-bit length) to `out` as RabbitMQ re-encodes a table
/// after an edit: sorted by key, bools as 0 and 1, 64-bit numbers as `l`.
pub fn encode_table(table: &FieldTable, out: &mut Vec<u8>) {
    let mut outer: Vec<Writing<'_>> = Vec::new();
    let mut current = Writing {
        source: Source::Table(table.inner().iter()),
        content_at: out.len(),
    };
    loop {
        match current.next(out) {
            Some(AMQPValue::FieldTable(table)) => {
                out.push(b'F');
                let inner = Writing::open(Source::Table(table.inner().iter()), out);
                outer.push(std::mem::replace(&mut current, inner));
            }
            Some(AMQPValue::FieldArray(array)) => {
                out.push(b'A');
                let inner = Writing::open(Source::Array(array.as_slice().iter()), out);
                outer.push(std::mem::replace(&mut current, inner));
            }
            Some(value) => write_value(&raw(value), out),
            None => {
                let Some(parent) = outer.pop() else { return };
                current.close(out);
                current = parent;
            }
        }
    }
}

/// A table or array of which some entries are written.
struct Writing<'a> {
    source: Source<'a>,
    /// Index in the output at which the content begins.
    content_at: usize,
}

enum Source<'a> {
    Array(slice::Iter<'a, AMQPValue>),
    Table(btree_map::Iter<'a, ShortString, AMQPValue>),
}

impl<'a> Writing<'a> {
    /// Leave room for the length.
    fn open(source: Source<'a>, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&[0; 4]);
        Self {
            source,
            content_at: out.len(),
        }
    }

    /// The next value, after its key was written.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<&'a AMQPValue> {
        match &mut self.source {
            Source::Array(values) => values.next(),
            Source::Table(entries) => {
                let (key, value) = entries.next()?;
                let (length, key) = shortstr_content(key.as_str().as_bytes());
                out.push(length);
                out.extend_from_slice(key);
                Some(value)
            }
        }
    }

    /// Fill in the length.
    fn close(&self, out: &mut [u8]) {
        let length = length_u32(out.len() - self.content_at);
        if let Some((before, _)) = out.split_at_mut_checked(self.content_at)
            && let Some(field) = before.last_chunk_mut::<4>()
        {
            *field = length.to_be_bytes();
        }
    }
}

/// A value that is neither table nor array; those become void, but never get here.
fn raw(value: &AMQPValue) -> RawValue<'_> {
    match value {
        AMQPValue::Boolean(value) => RawValue::Bool(*value),
        AMQPValue::ShortShortInt(value) => RawValue::I8(*value),
        AMQPValue::ShortShortUInt(value) => RawValue::U8(*value),
        AMQPValue::ShortInt(value) => RawValue::I16(*value),
        AMQPValue::ShortUInt(value) => RawValue::U16(*value),
        AMQPValue::LongInt(value) => RawValue::I32(*value),
        AMQPValue::LongUInt(value) => RawValue::U32(*value),
        AMQPValue::LongLongInt(value) => RawValue::I64(*value),
        AMQPValue::Float(value) => RawValue::F32(*value),
        AMQPValue::Double(value) => RawValue::F64(*value),
        AMQPValue::DecimalValue(value) => RawValue::Decimal {
            scale: value.scale,
            value: value.value,
        },
        AMQPValue::ShortString(text) => RawValue::LongString(text.as_str().as_bytes()),
        AMQPValue::LongString(text) => RawValue::LongString(text.as_bytes()),
        AMQPValue::Timestamp(value) => RawValue::Timestamp(*value),
        AMQPValue::ByteArray(octets) => RawValue::ByteArray(octets.as_slice()),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) | AMQPValue::Void => RawValue::Void,
    }
}
