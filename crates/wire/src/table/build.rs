//! Tables and arrays written entry by entry, in an order of one's own (an `x-death` entry has its
//! fields in RabbitMQ's order, not sorted).

use super::{RawArray, RawTable, RawValue};
use crate::octets::{length_u32, shortstr_content};

/// A table in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBuilder {
    content: Vec<u8>,
}

impl TableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Append an entry. A key takes at most 255 octets; what is over is cut.
    pub fn put(&mut self, key: &[u8], value: &RawValue<'_>) -> &mut Self {
        write_key(key, &mut self.content);
        write_value(value, &mut self.content);
        self
    }

    /// Append the entries of `table` but those of `keys`.
    pub fn put_all_but(&mut self, table: RawTable<'_>, keys: &[&[u8]]) -> &mut Self {
        for (key, value) in table.iter().filter(|(key, _)| !keys.contains(key)) {
            self.put(key, &value);
        }
        self
    }

    /// Put the entries in the order of their keys, as RabbitMQ does after an edit; entries of one
    /// key keep their order.
    pub fn sort(&mut self) -> &mut Self {
        let mut entries: Vec<_> = self.as_table().iter().collect();
        entries.sort_by_key(|entry| entry.0);
        let mut sorted = Vec::with_capacity(self.content.len());
        for (key, value) in entries {
            write_key(key, &mut sorted);
            write_value(&value, &mut sorted);
        }
        self.content = sorted;
        self
    }

    /// The table so far.
    pub fn as_table(&self) -> RawTable<'_> {
        RawTable::checked(&self.content)
    }

    /// The table's content, without the 32-bit length.
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }
}

/// An array in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayBuilder {
    content: Vec<u8>,
}

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> Self {
        Self::default()
    }

    /// Append an item.
    pub fn push(&mut self, value: &RawValue<'_>) -> &mut Self {
        write_value(value, &mut self.content);
        self
    }

    /// The array so far.
    pub fn as_array(&self) -> RawArray<'_> {
        RawArray::checked(&self.content)
    }

    /// The array's content, without the 32-bit length.
    pub fn into_content(self) -> Vec<u8> {
        self.content
    }
}

fn write_key(key: &[u8], out: &mut Vec<u8>) {
    let (length, key) = shortstr_content(key);
    out.push(length);
    out.extend_from_slice(key);
}

/// Append tag and value as RabbitMQ writes them; tables and arrays go in as they are.
pub(super) fn write_value(value: &RawValue<'_>, out: &mut Vec<u8>) {
    match *value {
        RawValue::Array(array) => write_long(b'A', array.as_bytes(), out),
        RawValue::Bool(value) => out.extend_from_slice(&[b't', u8::from(value)]),
        RawValue::ByteArray(octets) => write_long(b'x', octets, out),
        RawValue::Decimal { scale, value } => {
            out.extend_from_slice(&[b'D', scale]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        RawValue::F32(value) => write_fixed(b'f', &value.to_be_bytes(), out),
        RawValue::F64(value) => write_fixed(b'd', &value.to_be_bytes(), out),
        RawValue::I8(value) => write_fixed(b'b', &value.to_be_bytes(), out),
        RawValue::I16(value) => write_fixed(b's', &value.to_be_bytes(), out),
        RawValue::I32(value) => write_fixed(b'I', &value.to_be_bytes(), out),
        RawValue::I64(value) => write_fixed(b'l', &value.to_be_bytes(), out),
        RawValue::LongString(octets) => write_long(b'S', octets, out),
        RawValue::Table(table) => write_long(b'F', table.as_bytes(), out),
        RawValue::Timestamp(value) => write_fixed(b'T', &value.to_be_bytes(), out),
        RawValue::U8(value) => out.extend_from_slice(&[b'B', value]),
        RawValue::U16(value) => write_fixed(b'u', &value.to_be_bytes(), out),
        RawValue::U32(value) => write_fixed(b'i', &value.to_be_bytes(), out),
        RawValue::Void => out.push(b'V'),
    }
}

fn write_fixed(tag: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(octets);
}

fn write_long(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&length_u32(content.len()).to_be_bytes());
    out.extend_from_slice(content);
}
