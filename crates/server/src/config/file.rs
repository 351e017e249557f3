//! The configuration file: TOML to settings, each value with its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Invalid, Origin};
use super::load::Layers;
use super::setting::{by_key, is_table, nearest_key};
use super::value::Given;

/// Hands every value of the file's `text` to `layers`, in the order of the lines.
pub(super) fn read(layers: &mut Layers, file: &Path, octets: &[u8]) -> Result<(), ConfigError> {
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text,
        Err(error) => {
            let origin = place(file, octets, error.valid_up_to());
            return Err(ConfigError::Syntax {
                origin,
                reason: Invalid::Utf8.to_string(),
            });
        }
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        origin: place(
            file,
            octets,
            error.span().map_or(octets.len(), |span| span.start),
        ),
        // The reader's texts may have several lines.
        reason: error.message().lines().collect::<Vec<_>>().join(", "),
    })?;
    Reader {
        layers,
        file,
        octets,
    }
    .table("", table.get_ref())
}

/// The line of the octet at `offset`.
fn place(file: &Path, octets: &[u8], offset: usize) -> Origin {
    let before = octets.get(..offset).unwrap_or(octets);
    Origin::File {
        file: file.to_owned(),
        line: before.split(|octet| *octet == b'\n').count(),
    }
}

struct Reader<'r> {
    layers: &'r mut Layers,
    file: &'r Path,
    octets: &'r [u8],
}

impl Reader<'_> {
    /// Reads the table whose keys begin with `prefix`.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> Result<(), ConfigError> {
        let mut entries: Vec<_> = table.iter().collect();
        // The table is sorted by name; a person mends a file from its top.
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = format!("{prefix}{}", key.get_ref());
            if let Some(setting) = by_key(&path) {
                let given = given(value.get_ref());
                let (file, octets) = (self.file, self.octets);
                let origin = |item| place(file, octets, item_of(value, item).span().start);
                self.layers.set(setting, &given, origin)?;
            } else if is_table(&path) {
                self.inner_table(&path, value)?;
            } else {
                return Err(ConfigError::UnknownKey {
                    origin: place(self.file, self.octets, key.span().start),
                    nearest: nearest_key(&path),
                    key: path,
                });
            }
        }
        Ok(())
    }

    fn inner_table(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Result<(), ConfigError> {
        let Some(inner) = value.get_ref().as_table() else {
            return Err(ConfigError::Syntax {
                origin: self.origin(value),
                reason: format!(
                    "{path}: expected a table, found {}",
                    given(value.get_ref()).kind()
                ),
            });
        };
        self.table(&format!("{path}."), inner)
    }

    fn origin(&self, value: &Spanned<DeValue<'_>>) -> Origin {
        place(self.file, self.octets, value.span().start)
    }
}

/// The item of an array that is meant, or the value itself.
fn item_of<'v, 'i>(
    value: &'v Spanned<DeValue<'i>>,
    item: Option<usize>,
) -> &'v Spanned<DeValue<'i>> {
    item.and_then(|index| value.get_ref().as_array()?.get(index))
        .unwrap_or(value)
}

fn given<'v>(value: &'v DeValue<'_>) -> Given<'v> {
    match value {
        DeValue::Array(items) => {
            Given::List(items.iter().map(|item| given(item.get_ref())).collect())
        }
        DeValue::Boolean(value) => Given::Boolean(*value),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Float(digits) => Given::Float(digits.as_str()),
        // More digits than fit are out of every setting's range all the same.
        DeValue::Integer(digits) => Given::Integer(
            i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX),
        ),
        DeValue::String(text) => Given::Text(text),
        DeValue::Table(_) => Given::Other("a table"),
    }
}
