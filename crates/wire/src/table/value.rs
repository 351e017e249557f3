//! One value of a table or array.

use amq_protocol::types::AMQPValue;
use nom::bytes::complete::take;
use nom::combinator::map;
use nom::multi::length_data;
use nom::number::complete::{
    be_f32, be_f64, be_i16, be_i32, be_i64, be_u8, be_u16, be_u32, be_u64, i8 as be_i8,
};
use nom::{IResult, Parser};

use super::{RawArray, RawTable};

/// A field value, read in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RawValue<'a> {
    /// `A`: values in order.
    Array(RawArray<'a>),
    /// `t`.
    Bool(bool),
    /// `x`: octets, as a long string is.
    ByteArray(&'a [u8]),
    /// `D`: `value` divided by ten to the power of `scale`.
    Decimal {
        /// Decimal places.
        scale: u8,
        /// The digits. RabbitMQ reads them unsigned.
        value: u32,
    },
    /// `f`.
    F32(f32),
    /// `d`.
    F64(f64),
    /// `b`.
    I8(i8),
    /// `s`, which the AMQP 0-9-1 text gives to short strings; no client sends those.
    I16(i16),
    /// `I`.
    I32(i32),
    /// `l`, and `L`, which RabbitMQ reads as signed too.
    I64(i64),
    /// `S`: any octets, mostly UTF-8.
    LongString(&'a [u8]),
    /// `F`.
    Table(RawTable<'a>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `B`.
    U8(u8),
    /// `u`.
    U16(u16),
    /// `i`.
    U32(u32),
    /// `V`: nothing.
    Void,
}

/// Why no value could be read: cut short, or a tag that RabbitMQ does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueError {
    Truncated,
    UnknownTag(u8),
}

impl<'a> RawValue<'a> {
    /// The value at the start of `input`, tag first, and the octets after it. The content of a
    /// table or array is cut out and not looked into.
    pub(super) fn read(input: &'a [u8]) -> Result<(Self, &'a [u8]), ValueError> {
        let (&tag, input) = input.split_first().ok_or(ValueError::Truncated)?;
        let parsed = read_tagged(tag, input).ok_or(ValueError::UnknownTag(tag))?;
        let (rest, value) = parsed.map_err(|_| ValueError::Truncated)?;
        Ok((value, rest))
    }

    /// As [`Self::read`], for octets that were checked.
    #[inline]
    pub(super) fn split(input: &'a [u8]) -> Option<(Self, &'a [u8])> {
        Self::read(input).ok()
    }

    /// The number of any integer type; `None` for all else (decimals, floats, timestamps and bools
    /// too: RabbitMQ takes none of them where it wants an integer).
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            _ => None,
        }
    }

    /// The octets of a long string or byte array.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::ByteArray(octets) | Self::LongString(octets) => Some(octets),
            _ => None,
        }
    }

    /// The bool.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The array.
    pub fn as_array(&self) -> Option<RawArray<'a>> {
        match *self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The table.
    pub fn as_table(&self) -> Option<RawTable<'a>> {
        match *self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// RabbitMQ's word for the type, as its error texts have it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Array(_) => "array",
            Self::Bool(_) => "bool",
            Self::ByteArray(_) => "binary",
            Self::Decimal { .. } => "decimal",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::I8(_) => "byte",
            Self::I16(_) => "short",
            Self::I32(_) => "signedint",
            Self::I64(_) => "long",
            Self::LongString(_) => "longstr",
            Self::Table(_) => "table",
            Self::Timestamp(_) => "timestamp",
            Self::U8(_) => "unsignedbyte",
            Self::U16(_) => "unsignedshort",
            Self::U32(_) => "unsignedint",
            Self::Void => "void",
        }
    }
}

/// RabbitMQ's word for the type of a value, as its error texts have it.
pub fn type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "bool",
        AMQPValue::ShortShortInt(_) => "byte",
        AMQPValue::ShortShortUInt(_) => "unsignedbyte",
        AMQPValue::ShortInt(_) => "short",
        AMQPValue::ShortUInt(_) => "unsignedshort",
        AMQPValue::LongInt(_) => "signedint",
        AMQPValue::LongUInt(_) => "unsignedint",
        AMQPValue::LongLongInt(_) => "long",
        AMQPValue::Float(_) => "float",
        AMQPValue::Double(_) => "double",
        AMQPValue::DecimalValue(_) => "decimal",
        // No tag stands for a short string, so it never comes from a peer.
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "longstr",
        AMQPValue::FieldArray(_) => "array",
        AMQPValue::Timestamp(_) => "timestamp",
        AMQPValue::FieldTable(_) => "table",
        AMQPValue::ByteArray(_) => "binary",
        AMQPValue::Void => "void",
    }
}

type Parsed<'a> = IResult<&'a [u8], RawValue<'a>>;

/// The value after a tag; `None` for a tag that RabbitMQ does not know (`U` among them).
#[inline]
fn read_tagged(tag: u8, input: &[u8]) -> Option<Parsed<'_>> {
    Some(match tag {
        b'A' => map(long, |content| RawValue::Array(RawArray::checked(content))).parse(input),
        b'B' => map(be_u8, RawValue::U8).parse(input),
        b'D' => map((be_u8, be_u32), |(scale, value)| RawValue::Decimal {
            scale,
            value,
        })
        .parse(input),
        b'F' => map(long, |content| RawValue::Table(RawTable::checked(content))).parse(input),
        b'I' => map(be_i32, RawValue::I32).parse(input),
        b'L' | b'l' => map(be_i64, RawValue::I64).parse(input),
        b'S' => map(long, RawValue::LongString).parse(input),
        b'T' => map(be_u64, RawValue::Timestamp).parse(input),
        b'V' => map(take(0_usize), |_| RawValue::Void).parse(input),
        b'b' => map(be_i8, RawValue::I8).parse(input),
        b'd' => map(be_f64, RawValue::F64).parse(input),
        b'f' => map(be_f32, RawValue::F32).parse(input),
        b'i' => map(be_u32, RawValue::U32).parse(input),
        b's' => map(be_i16, RawValue::I16).parse(input),
        b't' => map(be_u8, |octet| RawValue::Bool(octet != 0)).parse(input),
        b'u' => map(be_u16, RawValue::U16).parse(input),
        b'x' => map(long, RawValue::ByteArray).parse(input),
        _ => return None,
    })
}

/// Octets after a 32-bit length.
#[inline]
fn long(input: &[u8]) -> IResult<&[u8], &[u8]> {
    length_data(be_u32).parse(input)
}
