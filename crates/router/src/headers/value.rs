//! Values in a canonical form: two that RabbitMQ takes for equal have the same octets.
//!
//! RabbitMQ 3.x compares with Erlang's `==` on values stripped of their type, at the top of the
//! table: integers, timestamps and floats by number, long strings and byte arrays by octets, bools,
//! decimals and void each by themselves (0-9-1 errata, `rabbit_exchange_type_headers`). Inside
//! tables and arrays the types stay, so there they count.

use leveret_wire::{AMQPValue, FieldTable, RawValue, ShortString, TableBuilder, encode_table};

const ARRAY_OR_TABLE: u8 = b'n';
const BOOL: u8 = b't';
const DECIMAL: u8 = b'D';
const FLOAT: u8 = b'd';
const INTEGER: u8 = b'i';
const OCTETS: u8 = b's';
const VOID: u8 = b'V';

/// Numbers from here on are beyond all integer types of the wire.
const INTEGER_LIMIT: f64 = 18_446_744_073_709_551_616.0;

/// Whether a canonical form is that of a table or array.
pub(super) fn is_nested(canonical: &[u8]) -> bool {
    canonical.first() == Some(&ARRAY_OR_TABLE)
}

/// Append the canonical form of a binding's argument.
pub(super) fn write_argument(value: &AMQPValue, out: &mut Vec<u8>) {
    match value {
        AMQPValue::Boolean(value) => write_bool(*value, out),
        AMQPValue::ShortShortInt(value) => write_integer((*value).into(), out),
        AMQPValue::ShortShortUInt(value) => write_integer((*value).into(), out),
        AMQPValue::ShortInt(value) => write_integer((*value).into(), out),
        AMQPValue::ShortUInt(value) => write_integer((*value).into(), out),
        AMQPValue::LongInt(value) => write_integer((*value).into(), out),
        AMQPValue::LongUInt(value) => write_integer((*value).into(), out),
        AMQPValue::LongLongInt(value) => write_integer((*value).into(), out),
        AMQPValue::Timestamp(value) => write_integer((*value).into(), out),
        AMQPValue::Float(value) => write_float((*value).into(), out),
        AMQPValue::Double(value) => write_float(*value, out),
        AMQPValue::DecimalValue(value) => write_decimal(value.scale, value.value, out),
        AMQPValue::ShortString(text) => write_octets(text.as_str().as_bytes(), out),
        AMQPValue::LongString(octets) => write_octets(octets.as_bytes(), out),
        AMQPValue::ByteArray(octets) => write_octets(octets.as_slice(), out),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => {
            let mut around = FieldTable::default();
            around.insert(ShortString::default(), value.clone());
            write_nested(&around, out);
        }
        AMQPValue::Void => out.push(VOID),
    }
}

/// Append the canonical form of a message's header. Only tables and arrays need memory for it.
pub(crate) fn write_header(value: &RawValue<'_>, out: &mut Vec<u8>) {
    match *value {
        RawValue::Bool(value) => write_bool(value, out),
        RawValue::I8(value) => write_integer(value.into(), out),
        RawValue::U8(value) => write_integer(value.into(), out),
        RawValue::I16(value) => write_integer(value.into(), out),
        RawValue::U16(value) => write_integer(value.into(), out),
        RawValue::I32(value) => write_integer(value.into(), out),
        RawValue::U32(value) => write_integer(value.into(), out),
        RawValue::I64(value) => write_integer(value.into(), out),
        RawValue::Timestamp(value) => write_integer(value.into(), out),
        RawValue::F32(value) => write_float(value.into(), out),
        RawValue::F64(value) => write_float(value, out),
        RawValue::Decimal { scale, value } => write_decimal(scale, value, out),
        RawValue::LongString(octets) | RawValue::ByteArray(octets) => write_octets(octets, out),
        RawValue::Array(_) | RawValue::Table(_) => {
            // The way through amq-protocol's values sorts keys and drops duplicates, as for
            // arguments.
            let mut around = TableBuilder::new();
            around.put(&[], value);
            write_nested(&around.as_table().to_field_table(), out);
        }
        RawValue::Void => out.push(VOID),
    }
}

fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[BOOL, value.into()]);
}

fn write_integer(value: i128, out: &mut Vec<u8>) {
    out.push(INTEGER);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A float that is a whole number is that number; comparing is exact, as Erlang does it.
fn write_float(value: f64, out: &mut Vec<u8>) {
    if value.fract() == 0.0 && value.abs() < INTEGER_LIMIT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number below 2^64 in size"
        )]
        write_integer(value as i128, out);
    } else {
        out.push(FLOAT);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn write_decimal(scale: u8, value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[DECIMAL, scale]);
    out.extend_from_slice(&value.to_le_bytes());
}

fn write_octets(octets: &[u8], out: &mut Vec<u8>) {
    out.push(OCTETS);
    out.extend_from_slice(octets);
}

fn write_nested(around: &FieldTable, out: &mut Vec<u8>) {
    out.push(ARRAY_OR_TABLE);
    encode_table(around, out);
}
