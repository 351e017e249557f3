//! Field tables and arrays as RabbitMQ codes them (AMQP 0-9-1 section 4.2.5.5 with RabbitMQ's
//! errata): read in place, checked without recursion, written sorted by key.
//!
//! | tag | value | tag | value |
//! |---|---|---|---|
//! | `t` | bool, nonzero is true | `D` | decimal: scale u8, value u32 |
//! | `b` `B` | i8, u8 | `S` | long string, any octets |
//! | `s` `u` | i16, u16 | `x` | byte array |
//! | `I` `i` | i32, u32 | `T` | timestamp: u64 seconds |
//! | `l` `L` | i64, both | `F` | table |
//! | `f` `d` | f32, f64 | `A` `V` | array; nothing |

mod build;
mod check;
mod convert;
mod value;

use crate::octets::split_shortstr;

pub use build::{ArrayBuilder, TableBuilder};
pub use check::{TableError, TableLimits, check_table};
pub use convert::encode_table;
pub use value::{RawValue, type_name};

/// The content of a field table, without its 32-bit length, still lying where it was received.
///
/// Its octets were checked, so that all entries can be read. Two are equal when their octets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawTable<'a>(&'a [u8]);

impl<'a> RawTable<'a> {
    /// Check `content` (the octets after the 32-bit length) under the default [`TableLimits`].
    pub fn parse(content: &'a [u8]) -> Result<Self, TableError> {
        Self::parse_with(content, &TableLimits::default())
    }

    /// Check `content` (the octets after the 32-bit length) under `limits`.
    pub fn parse_with(content: &'a [u8], limits: &TableLimits) -> Result<Self, TableError> {
        check_table(content, limits)?;
        Ok(Self(content))
    }

    /// Content that was checked before, or comes from a builder. Reading other octets gives the
    /// entries up to the first broken one.
    #[inline]
    pub(crate) fn checked(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// The content, without the 32-bit length.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`: of the first entry, when the key stands there several times (as
    /// RabbitMQ's lookups do).
    pub fn get(&self, key: &[u8]) -> Option<RawValue<'a>> {
        self.iter()
            .find(|entry| entry.0 == key)
            .map(|entry| entry.1)
    }

    /// All entries in wire order, duplicate keys included.
    #[inline]
    pub fn iter(&self) -> Entries<'a> {
        Entries(self.0)
    }
}

impl<'a> IntoIterator for RawTable<'a> {
    type Item = (&'a [u8], RawValue<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &RawTable<'a> {
    type Item = (&'a [u8], RawValue<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`RawTable`]: keys and values in wire order.
#[derive(Clone, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], RawValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = split_shortstr(self.0)?;
        let (value, rest) = RawValue::split(rest)?;
        self.0 = rest;
        Some((key, value))
    }
}

/// The content of an array, without its 32-bit length, still lying where it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawArray<'a>(&'a [u8]);

impl<'a> RawArray<'a> {
    /// Content that was checked before, or comes from a builder.
    #[inline]
    pub(crate) fn checked(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// The content, without the 32-bit length.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no items.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All items in wire order.
    #[inline]
    pub fn iter(&self) -> Items<'a> {
        Items(self.0)
    }
}

impl<'a> IntoIterator for RawArray<'a> {
    type Item = RawValue<'a>;
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &RawArray<'a> {
    type Item = RawValue<'a>;
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

/// The items of a [`RawArray`] in wire order.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = RawValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (value, rest) = RawValue::split(self.0)?;
        self.0 = rest;
        Some(value)
    }
}

#[cfg(test)]
pub(crate) mod tests;
