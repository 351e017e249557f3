//! A field value as RabbitMQ's texts print it: clients and their suites compare these texts.

use leveret_wire::{AMQPValue, type_name};
use std::fmt::Write as _;

/// Longest text made of one value. A reply text holds 255 octets in all; the rest of a longer value
/// would be cut anyway.
const TEXT_LENGTH_MAX: usize = 255;

/// `value` in Erlang's notation (`~tp`).
pub(crate) fn value_text(value: &AMQPValue) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &AMQPValue) {
    if text.len() >= TEXT_LENGTH_MAX {
        return;
    }
    match value {
        AMQPValue::Boolean(value) => push(text, value),
        AMQPValue::ShortShortInt(value) => push(text, value),
        AMQPValue::ShortShortUInt(value) => push(text, value),
        AMQPValue::ShortInt(value) => push(text, value),
        AMQPValue::ShortUInt(value) => push(text, value),
        AMQPValue::LongInt(value) => push(text, value),
        AMQPValue::LongUInt(value) => push(text, value),
        AMQPValue::LongLongInt(value) => push(text, value),
        AMQPValue::Timestamp(value) => push(text, value),
        // Erlang floats always show a fraction, as Rust's debug form does.
        AMQPValue::Float(value) => push(text, &format_args!("{:?}", f64::from(*value))),
        AMQPValue::Double(value) => push(text, &format_args!("{value:?}")),
        AMQPValue::DecimalValue(value) => {
            push(text, &format_args!("{{{},{}}}", value.scale, value.value));
        }
        AMQPValue::ShortString(value) => write_binary(text, value.as_str().as_bytes()),
        AMQPValue::LongString(value) => write_binary(text, value.as_bytes()),
        AMQPValue::ByteArray(value) => write_binary(text, value.as_slice()),
        AMQPValue::FieldArray(array) => write_list(text, array.as_slice(), |text, value| {
            push(text, &format_args!("{{{},", type_name(value)));
            write_value(text, value);
            text.push('}');
        }),
        AMQPValue::FieldTable(table) => write_list(text, table, |text, (key, value)| {
            text.push('{');
            write_binary(text, key.as_str().as_bytes());
            push(text, &format_args!(",{},", type_name(value)));
            write_value(text, value);
            text.push('}');
        }),
        AMQPValue::Void => text.push_str("undefined"),
    }
}

fn push(text: &mut String, value: &impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{value}");
}

fn write_list<T>(
    text: &mut String,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut String, T),
) {
    text.push('[');
    for (number, item) in items.into_iter().enumerate() {
        if text.len() >= TEXT_LENGTH_MAX {
            break;
        }
        if number > 0 {
            text.push(',');
        }
        write_item(text, item);
    }
    text.push(']');
}

/// `<<"text">>` if all of it can be printed, else `<<1,2,3>>`.
fn write_binary(text: &mut String, octets: &[u8]) {
    let octets = octets.get(..TEXT_LENGTH_MAX).unwrap_or(octets);
    let printable = octets
        .iter()
        .all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\n' | b'\r'));
    text.push_str("<<");
    if !octets.is_empty() && printable {
        text.push('"');
        for octet in octets {
            match octet {
                b'"' => text.push_str("\\\""),
                b'\\' => text.push_str("\\\\"),
                b'\t' => text.push_str("\\t"),
                b'\n' => text.push_str("\\n"),
                b'\r' => text.push_str("\\r"),
                _ => text.push(char::from(*octet)),
            }
        }
        text.push('"');
    } else {
        for (number, octet) in octets.iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            push(text, octet);
        }
    }
    text.push_str(">>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::{DecimalValue, FieldArray, FieldTable, LongString};

    #[test]
    fn values_print_as_erlang_prints_them() {
        let mut table = FieldTable::default();
        table.insert("a".into(), AMQPValue::LongInt(1));
        table.insert("b".into(), AMQPValue::LongString("x".into()));
        let cases = [
            (AMQPValue::LongInt(5), "5"),
            (AMQPValue::LongLongInt(-5), "-5"),
            (AMQPValue::Boolean(true), "true"),
            (AMQPValue::Double(1.0), "1.0"),
            (AMQPValue::Float(0.5), "0.5"),
            (AMQPValue::Void, "undefined"),
            (
                AMQPValue::DecimalValue(DecimalValue {
                    scale: 2,
                    value: 314,
                }),
                "{2,314}",
            ),
            (AMQPValue::LongString("bogus".into()), r#"<<"bogus">>"#),
            (
                AMQPValue::LongString("a\"b\\c\n".into()),
                r#"<<"a\"b\\c\n">>"#,
            ),
            (AMQPValue::LongString(LongString::default()), "<<>>"),
            (AMQPValue::LongString(vec![0_u8, 255].into()), "<<0,255>>"),
            (
                AMQPValue::FieldArray(FieldArray::from(vec![
                    AMQPValue::LongInt(1),
                    AMQPValue::Boolean(false),
                ])),
                "[{signedint,1},{bool,false}]",
            ),
            (
                AMQPValue::FieldTable(table),
                r#"[{<<"a">>,signedint,1},{<<"b">>,longstr,<<"x">>}]"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(value_text(&value), text);
        }
    }

    #[test]
    fn a_hostile_value_gives_a_short_text() {
        let long = AMQPValue::LongString(vec![b'a'; 1 << 20].into());
        assert!(value_text(&long).len() < 300);
        let many = AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(1); 1 << 16]));
        assert!(value_text(&many).len() < 300);
    }
}
