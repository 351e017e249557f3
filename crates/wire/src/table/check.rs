//! The check that every table of a peer passes before anything reads it.

use thiserror::Error;

use super::value::{RawValue, ValueError};
use crate::octets::split_shortstr;

/// Depth over which no limit can be set. amq-protocol's values are dropped and compared by recursion,
/// and this many levels fit any stack.
const DEPTH_CEILING: usize = 512;

/// How large a peer's table may be. RabbitMQ has no such limits; nested tables have overflown the
/// stacks of its clients (CVE-2026-69220).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Levels of tables and arrays; the outermost table is the first. Over 512 counts as 512.
    pub depth: usize,
    /// Entries of tables and items of arrays, on all levels together.
    pub entries: usize,
    /// Whether keys must be UTF-8, as amq-protocol's [`FieldTable`](crate::FieldTable) has them.
    pub utf8_keys: bool,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self {
            depth: 64,
            entries: 65_536,
            utf8_keys: false,
        }
    }
}

/// A table that is refused: 502 `SYNTAX_ERROR`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TableError {
    /// A key is not UTF-8 where it has to be.
    #[error("field table key is not UTF-8")]
    KeyNotUtf8,
    /// Tables and arrays stand in each other too deep.
    #[error("field table is nested deeper than {max} levels")]
    TooDeep {
        /// The limit in levels.
        max: usize,
    },
    /// More entries and items than allowed.
    #[error("field table has more than {max} entries")]
    TooManyEntries {
        /// The limit in entries.
        max: usize,
    },
    /// A length or value reaches past the end.
    #[error("field table is truncated")]
    Truncated,
    /// A value type that RabbitMQ does not know.
    #[error("unknown field table value type {tag}")]
    UnknownTag {
        /// The type octet.
        tag: u8,
    },
}

/// Check the content of a table (the octets after its 32-bit length): every entry on every level can
/// be read, and `limits` hold. Does not recurse, and allocates only for nested tables.
pub fn check_table(content: &[u8], limits: &TableLimits) -> Result<(), TableError> {
    let depth_max = limits.depth.min(DEPTH_CEILING);
    // What is left of the containers around the current one.
    let mut outer: Vec<Level<'_>> = Vec::new();
    let mut current = Level {
        rest: content,
        is_table: true,
    };
    let mut entries_left = limits.entries;
    loop {
        if current.rest.is_empty() {
            match outer.pop() {
                Some(level) => current = level,
                None => return Ok(()),
            }
            continue;
        }
        entries_left = entries_left
            .checked_sub(1)
            .ok_or(TableError::TooManyEntries {
                max: limits.entries,
            })?;
        let inner = match current.next_value(limits.utf8_keys)? {
            RawValue::Table(table) => Level {
                rest: table.as_bytes(),
                is_table: true,
            },
            RawValue::Array(array) => Level {
                rest: array.as_bytes(),
                is_table: false,
            },
            _ => continue,
        };
        // `outer` and `current` are open already; `inner` is one more.
        if outer.len() + 2 > depth_max {
            return Err(TableError::TooDeep { max: depth_max });
        }
        outer.push(std::mem::replace(&mut current, inner));
    }
}

/// An open table or array.
struct Level<'a> {
    /// What was not read yet.
    rest: &'a [u8],
    /// A table has a key before each value, an array has none.
    is_table: bool,
}

impl<'a> Level<'a> {
    /// Take the next entry or item.
    #[inline]
    fn next_value(&mut self, utf8_keys: bool) -> Result<RawValue<'a>, TableError> {
        let mut input = self.rest;
        if self.is_table {
            let (key, after) = split_shortstr(input).ok_or(TableError::Truncated)?;
            if utf8_keys && std::str::from_utf8(key).is_err() {
                return Err(TableError::KeyNotUtf8);
            }
            input = after;
        }
        let (value, after) = RawValue::read(input).map_err(|error| match error {
            ValueError::Truncated => TableError::Truncated,
            ValueError::UnknownTag(tag) => TableError::UnknownTag { tag },
        })?;
        self.rest = after;
        Ok(value)
    }
}
