//! One value of a list, as each form of output writes it.
//!
//! The broker sends plain JSON; what kind of thing a value is, which RabbitMQ's forms of output tell apart, follows
//! from its column.

use serde_json::{Map, Value};

/// How a column's values are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A name from a fixed set: an atom in Erlang.
    Atom,
    /// An IP address.
    Address,
    /// A field table.
    Table,
    /// Names, as a list.
    Names,
    /// A fixed number of values.
    Tuple,
    /// Whatever else.
    Plain,
}

fn kind(column: &str) -> Kind {
    match column {
        "type" | "state" | "source_kind" | "destination_kind" | "activity_status" => Kind::Atom,
        "host" | "peer_host" => Kind::Address,
        "arguments" | "client_properties" => Kind::Table,
        "tags" | "members" | "online" => Kind::Names,
        "protocol" => Kind::Tuple,
        _ => Kind::Plain,
    }
}

/// A value with its column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) column: &'a str,
    pub(crate) value: &'a Value,
}

impl Cell<'_> {
    /// As it stands in a table: text as it is, tables and lists in Erlang's brackets.
    pub(crate) fn text(self) -> String {
        match (kind(self.column), self.value) {
            (Kind::Table, Value::Object(table)) => table_text(table),
            (Kind::Names, Value::Array(names)) => format!("[{}]", joined(names, plain, ", ")),
            (Kind::Tuple, Value::Array(items)) => format!("{{{}}}", joined(items, plain, ",")),
            (_, value) => plain(value),
        }
    }

    /// As JSON. RabbitMQ writes field tables as lists of name, type and value.
    pub(crate) fn json(self) -> Value {
        match (kind(self.column), self.value) {
            (Kind::Table, Value::Object(table)) => table_json(table),
            (Kind::Address, Value::String(address)) => match address.parse() {
                Ok(std::net::IpAddr::V4(ip)) => ip.octets().to_vec().into(),
                Ok(std::net::IpAddr::V6(ip)) => ip.segments().to_vec().into(),
                Err(_) => self.value.clone(),
            },
            (_, value) => value.clone(),
        }
    }

    /// As a term of Erlang.
    pub(crate) fn term(self) -> String {
        match (kind(self.column), self.value) {
            (Kind::Table, Value::Object(table)) => table_term(table),
            (Kind::Atom, Value::String(name)) => atom(name),
            (Kind::Names, Value::Array(names)) => {
                let quoted = |name: &Value| atom(&plain(name));
                format!("[{}]", joined(names, quoted, ","))
            }
            (Kind::Tuple, Value::Array(items)) => format!("{{{}}}", joined(items, plain, ",")),
            (Kind::Address, Value::String(_)) => match self.json() {
                Value::Array(parts) => format!("{{{}}}", joined(&parts, plain, ",")),
                _ => term(self.value),
            },
            (_, value) => term(value),
        }
    }
}

fn joined(items: &[Value], write: impl Fn(&Value) -> String, separator: &str) -> String {
    let texts: Vec<_> = items.iter().map(write).collect();
    texts.join(separator)
}

/// Text without quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Object(map) if map.is_empty() => "[]".to_owned(),
        other => other.to_string(),
    }
}

fn table_text(table: &Map<String, Value>) -> String {
    let entries: Vec<_> = table
        .iter()
        .map(|(name, value)| format!("{{\"{name}\",{}}}", inner_text(value)))
        .collect();
    format!("[{}]", entries.join(","))
}

fn inner_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Object(table) => table_text(table),
        Value::Array(items) => format!("[{}]", joined(items, inner_text, ",")),
        other => other.to_string(),
    }
}

/// RabbitMQ's name of the type that a value of a field table has when it comes from JSON.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "void",
        Value::Bool(_) => "bool",
        Value::Number(number) => match number.as_i64() {
            Some(whole) if i32::try_from(whole).is_ok() => "signedint",
            Some(_) => "long",
            None => "double",
        },
        Value::String(_) => "longstr",
        Value::Array(_) => "array",
        Value::Object(_) => "table",
    }
}

fn table_json(table: &Map<String, Value>) -> Value {
    let entries = table.iter().map(|(name, value)| {
        Value::from(vec![
            Value::from(name.as_str()),
            Value::from(type_name(value)),
            inner_json(value),
        ])
    });
    entries.collect()
}

fn inner_json(value: &Value) -> Value {
    match value {
        Value::Object(table) => table_json(table),
        other => other.clone(),
    }
}

fn table_term(table: &Map<String, Value>) -> String {
    let entries: Vec<_> = table
        .iter()
        .map(|(name, value)| {
            let (name, kind) = (binary(name), type_name(value));
            format!("{{{name},{kind},{}}}", inner_term(value))
        })
        .collect();
    format!("[{}]", entries.join(","))
}

fn inner_term(value: &Value) -> String {
    match value {
        Value::Object(table) => table_term(table),
        Value::Array(items) => {
            let typed = |item: &Value| format!("{{{},{}}}", type_name(item), inner_term(item));
            format!("[{}]", joined(items, typed, ","))
        }
        other => term(other),
    }
}

fn term(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "''".to_owned(),
        Value::String(text) => binary(text),
        Value::Array(items) => format!("[{}]", joined(items, term, ",")),
        Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(name, value)| format!("{{{},{}}}", binary(name), term(value)))
                .collect();
            format!("[{}]", entries.join(","))
        }
        other => other.to_string(),
    }
}

/// A name as an atom of Erlang: in quotes unless it begins small and has nothing but letters, digits, `_` and `@`.
pub(super) fn atom(name: &str) -> String {
    let is_plain = name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '@'));
    if is_plain {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn binary(text: &str) -> String {
    let mut quoted = String::from("<<\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            other => quoted.push(other),
        }
    }
    quoted + if text.is_ascii() { "\">>" } else { "\"/utf8>>" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments() -> Value {
        json!({"x-b": true, "x-l": [1, "a"], "x-max-length": 100, "x-s": "str", "x-t": {"a": 1}})
    }

    fn cell<'a>(column: &'a str, value: &'a Value) -> Cell<'a> {
        Cell { column, value }
    }

    #[test]
    fn field_tables_are_written_as_rabbitmq_does() {
        let value = arguments();
        let cell = cell("arguments", &value);
        assert_eq!(
            cell.text(),
            r#"[{"x-b",true},{"x-l",[1,"a"]},{"x-max-length",100},{"x-s","str"},{"x-t",[{"a",1}]}]"#
        );
        assert_eq!(
            cell.json(),
            json!([
                ["x-b", "bool", true],
                ["x-l", "array", [1, "a"]],
                ["x-max-length", "signedint", 100],
                ["x-s", "longstr", "str"],
                ["x-t", "table", [["a", "signedint", 1]]]
            ])
        );
        assert_eq!(
            cell.term(),
            r#"[{<<"x-b">>,bool,true},{<<"x-l">>,array,[{signedint,1},{longstr,<<"a">>}]},{<<"x-max-length">>,signedint,100},{<<"x-s">>,longstr,<<"str">>},{<<"x-t">>,table,[{<<"a">>,signedint,1}]}]"#
        );
        assert_eq!(
            Cell {
                column: "arguments",
                value: &json!({})
            }
            .text(),
            "[]"
        );
        assert_eq!(type_name(&json!(1_u64 << 40)), "long");
    }

    #[test]
    fn addresses_protocols_and_tags_have_their_forms() {
        let host = json!("127.0.0.1");
        assert_eq!(cell("peer_host", &host).text(), "127.0.0.1");
        assert_eq!(cell("peer_host", &host).json(), json!([127, 0, 0, 1]));
        assert_eq!(cell("peer_host", &host).term(), "{127,0,0,1}");
        let protocol = json!([0, 9, 1]);
        assert_eq!(cell("protocol", &protocol).text(), "{0,9,1}");
        assert_eq!(cell("protocol", &protocol).json(), protocol);
        let tags = json!(["a", "b,c"]);
        assert_eq!(cell("tags", &tags).text(), "[a, b,c]");
        assert_eq!(cell("tags", &tags).term(), "[a,'b,c']");
        assert_eq!(cell("tags", &json!([])).text(), "[]");
        assert_eq!(cell("type", &json!("classic")).term(), "classic");
        assert_eq!(cell("name", &json!("a\"b")).term(), r#"<<"a\"b">>"#);
    }
}
