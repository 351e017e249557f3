//! The content of a field table.

use amq_protocol::frame::WriteContext;
use amq_protocol::types::generation::gen_field_table;
use leveret_wire::{
    ArrayBuilder, RawTable, RawValue, TableBuilder, TableError, TableLimits, encode_table,
};

use crate::allocation::bounded;
use crate::input::Input;

/// Octets that a value of one octet (a void in an array) may come to as amq-protocol's.
const PER_OCTET: u64 = 192;

/// The input: a choice of limits, then the content.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    let limits = match choices.u8() % 3 {
        0 => TableLimits::default(),
        1 => TableLimits {
            depth: choices.u8().into(),
            entries: choices.u8().into(),
            utf8_keys: choices.bool(),
        },
        _ => TableLimits {
            utf8_keys: true,
            ..TableLimits::default()
        },
    };
    let content = choices.rest();
    // What is kept of each open level, of which each takes five octets of the input.
    let parsed = bounded(content.len(), 16, || RawTable::parse_with(content, &limits));
    let mut naive = Naive {
        entries_left: limits.entries,
        limits: &limits,
    };
    let expected = naive.table(content, 1);
    let table = match (parsed, expected) {
        (Ok(table), Some(())) => table,
        (Err(TableError::TooDeep { max }), None) => {
            assert_eq!(max, limits.depth.min(512));
            return;
        }
        (Err(_), None) => return,
        (parsed, expected) => panic!("{parsed:?}, and {expected:?} by another reading"),
    };
    check_entries(table);
    let values = bounded(content.len(), PER_OCTET, || table.to_field_table());
    let mut written = Vec::new();
    bounded(content.len(), 8, || encode_table(&values, &mut written));
    // Sorted, without the doubles: from now on it stays as it is.
    let deep = TableLimits {
        depth: 512,
        ..TableLimits::default()
    };
    let again = RawTable::parse_with(&written, &deep).unwrap();
    assert_eq!(rewritten(again), written);
    let (foreign, _) = gen_field_table(&values)(WriteContext::from(Vec::new()))
        .unwrap()
        .into_inner();
    let foreign = RawTable::parse_with(&foreign[4..], &deep).unwrap();
    assert_eq!(rewritten(foreign), written);
}

fn rewritten(table: RawTable<'_>) -> Vec<u8> {
    let mut written = Vec::new();
    encode_table(&table.to_field_table(), &mut written);
    written
}

/// What the readers of entries say, and that a table that is put together again entry by entry is the same.
fn check_entries(table: RawTable<'_>) {
    let mut builder = TableBuilder::new();
    for (key, value) in table {
        let first = table.iter().find(|(other, _)| *other == key).unwrap().1;
        // By its text: a number that is none is not equal to itself.
        assert_eq!(
            format!("{:?}", table.get(key).unwrap()),
            format!("{first:?}")
        );
        assert!(!value.type_name().is_empty());
        builder.put(key, &value);
        if let RawValue::Array(array) = value {
            let mut items = ArrayBuilder::new();
            for item in array {
                items.push(&item);
            }
            let count = items.as_array().iter().count();
            assert_eq!(count, array.iter().count());
        }
    }
    let rebuilt = RawTable::parse_with(
        builder.as_table().as_bytes(),
        &TableLimits {
            depth: 512,
            ..TableLimits::default()
        },
    )
    .unwrap();
    assert_eq!(rebuilt.iter().count(), table.iter().count());
    assert_eq!(rewritten(rebuilt), rewritten(table));
    let entries = table.iter().count();
    let sorted: Vec<_> = builder
        .sort()
        .as_table()
        .iter()
        .map(|(key, _)| key)
        .collect();
    assert!(sorted.is_sorted() && sorted.len() == entries);
}

/// The grammar as it is written down, by recursion.
struct Naive<'l> {
    limits: &'l TableLimits,
    entries_left: usize,
}

impl Naive<'_> {
    fn table(&mut self, content: &[u8], level: usize) -> Option<()> {
        let mut at = content;
        while !at.is_empty() {
            self.entries_left = self.entries_left.checked_sub(1)?;
            let len = usize::from(at[0]);
            let key = at.get(1..1 + len)?;
            if self.limits.utf8_keys {
                std::str::from_utf8(key).ok()?;
            }
            at = self.value(&at[1 + len..], level)?;
        }
        Some(())
    }

    fn array(&mut self, content: &[u8], level: usize) -> Option<()> {
        let mut at = content;
        while !at.is_empty() {
            self.entries_left = self.entries_left.checked_sub(1)?;
            at = self.value(at, level)?;
        }
        Some(())
    }

    /// What follows a value.
    fn value<'a>(&mut self, at: &'a [u8], level: usize) -> Option<&'a [u8]> {
        let (tag, at) = at.split_first()?;
        let fixed = match tag {
            b'V' => 0,
            b'B' | b'b' | b't' => 1,
            b'u' | b's' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'T' | b'd' | b'l' => 8,
            b'A' | b'F' | b'S' | b'x' => {
                let len = u32::from_be_bytes(*at.first_chunk()?);
                let content = at.get(4..4 + usize::try_from(len).unwrap())?;
                let inner = level + 1;
                if matches!(tag, b'A' | b'F') && inner > self.limits.depth.min(512) {
                    return None;
                }
                match tag {
                    b'A' => self.array(content, inner)?,
                    b'F' => self.table(content, inner)?,
                    _ => {}
                }
                return at.get(4 + content.len()..);
            }
            _ => return None,
        };
        at.get(fixed..)
    }
}
