//! Values of JSON as RabbitMQ writes them in its refusals: as terms of Erlang.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// `value` as a term.
pub(crate) fn term(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Settings as a list of pairs, in the order of their keys.
pub(super) fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>) -> String {
    let pairs: Vec<_> = pairs
        .map(|(key, value)| format!("{{{},{}}}", binary(key), term(value)))
        .collect();
    format!("[{}]", pairs.join(","))
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) => out.push_str(&binary(text)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(term).collect();
            let _ = write!(out, "[{}]", items.join(","));
        }
        Value::Object(map) => out.push_str(&object(map)),
    }
}

fn object(map: &Map<String, Value>) -> String {
    let pairs: Vec<_> = map
        .iter()
        .map(|(key, value)| format!("{} => {}", binary(key), term(value)))
        .collect();
    format!("#{{{}}}", pairs.join(","))
}

fn binary(text: &str) -> String {
    let mut out = String::from("<<\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_control() => out.extend(letter.escape_default()),
            letter => out.push(letter),
        }
    }
    out.push_str("\">>");
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::term;

    #[test]
    fn values_look_as_in_erlang() {
        let cases = [
            (json!("a"), "<<\"a\">>"),
            (json!("x\u{e9}\"y\n"), "<<\"x\u{e9}\\\"y\\n\">>"),
            (json!(1.5), "1.5"),
            (json!(-1), "-1"),
            (json!(true), "true"),
            (json!(null), "null"),
            (json!([1, 2]), "[1,2]"),
            (json!({"a": 1}), "#{<<\"a\">> => 1}"),
        ];
        for (value, text) in cases {
            assert_eq!(term(&value), text);
        }
    }
}
