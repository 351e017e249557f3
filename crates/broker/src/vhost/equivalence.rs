//! Is a declaration of something that exists the same as what is there?

use leveret_wire::{AMQPValue, FieldTable, type_name};

/// Text of the 406 for a property that differs.
pub(crate) fn inequivalent(property: &str, what: &str, received: &str, current: &str) -> String {
    format!(
        "inequivalent arg '{property}' for {what}: received '{received}' but current is '{current}'"
    )
}

/// Compare one boolean property; the text of the 406 if it differs.
pub(crate) fn compare_flag(
    property: &str,
    what: &str,
    received: bool,
    current: bool,
) -> Result<(), String> {
    if received == current {
        return Ok(());
    }
    Err(inequivalent(
        property,
        what,
        bool_word(received),
        bool_word(current),
    ))
}

fn bool_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Compare the arguments named by `keys`; the text of the 406 for the first that differs.
/// Integers are compared by value, whatever their width.
pub(crate) fn compare_arguments(
    keys: &[&str],
    what: &str,
    received: &FieldTable,
    current: &FieldTable,
) -> Result<(), String> {
    for key in keys {
        let (received, current) = (received.inner().get(*key), current.inner().get(*key));
        let text = match (received, current) {
            (None, None) => continue,
            (Some(received), Some(current)) if same(received, current) => continue,
            (Some(received), Some(current)) => {
                return Err(inequivalent(
                    key,
                    what,
                    &value_word(received),
                    &value_word(current),
                ));
            }
            (Some(received), None) => format!(
                "received the value '{}' of type '{}' but current is none",
                value_word(received),
                type_name(received)
            ),
            (None, Some(current)) => format!(
                "received none but current is the value '{}' of type '{}'",
                value_word(current),
                type_name(current)
            ),
        };
        return Err(format!("inequivalent arg '{key}' for {what}: {text}"));
    }
    Ok(())
}

fn same(a: &AMQPValue, b: &AMQPValue) -> bool {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The value of any of the integer types.
pub(crate) fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(value) => i64::from(*value),
        AMQPValue::ShortShortUInt(value) => i64::from(*value),
        AMQPValue::ShortInt(value) => i64::from(*value),
        AMQPValue::ShortUInt(value) => i64::from(*value),
        AMQPValue::LongInt(value) => i64::from(*value),
        AMQPValue::LongUInt(value) => i64::from(*value),
        AMQPValue::LongLongInt(value) => *value,
        _ => return None,
    })
}

fn value_word(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ByteArray(octets) => String::from_utf8_lossy(octets.as_slice()).into_owned(),
        other => term(other),
    }
}

/// The value as RabbitMQ prints it: an Erlang term.
fn term(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => octets_term(text.as_bytes()),
        AMQPValue::ShortString(text) => octets_term(text.as_str().as_bytes()),
        AMQPValue::ByteArray(octets) => octets_term(octets.as_slice()),
        AMQPValue::Boolean(value) => bool_word(*value).to_owned(),
        // With a point always, as in 5.0.
        AMQPValue::Float(value) => format!("{value:?}"),
        AMQPValue::Double(value) => format!("{value:?}"),
        AMQPValue::Timestamp(value) => value.to_string(),
        AMQPValue::DecimalValue(value) => format!("{{{},{}}}", value.scale, value.value),
        AMQPValue::Void => "undefined".to_owned(),
        AMQPValue::FieldArray(items) => list(items.as_slice().iter().map(typed_term)),
        AMQPValue::FieldTable(table) => list(table.inner().iter().map(|(key, value)| {
            let key = octets_term(key.as_str().as_bytes());
            format!("{{{key},{},{}}}", type_name(value), term(value))
        })),
        other => integer(other).map_or_else(String::new, |value| value.to_string()),
    }
}

fn typed_term(value: &AMQPValue) -> String {
    format!("{{{},{}}}", type_name(value), term(value))
}

fn list(terms: impl Iterator<Item = String>) -> String {
    format!("[{}]", terms.collect::<Vec<_>>().join(","))
}

fn octets_term(octets: &[u8]) -> String {
    format!("<<\"{}\">>", String::from_utf8_lossy(octets))
}

#[cfg(test)]
mod tests {
    use leveret_wire::DecimalValue;

    use super::*;

    fn table(value: Option<AMQPValue>) -> FieldTable {
        let mut table = FieldTable::default();
        if let Some(value) = value {
            table.insert("x-message-ttl".into(), value);
        }
        table
    }

    fn compare(received: Option<AMQPValue>, current: Option<AMQPValue>) -> Result<(), String> {
        compare_arguments(
            &["x-message-ttl"],
            "queue 'q' in vhost '/'",
            &table(received),
            &table(current),
        )
    }

    #[test]
    fn integers_are_compared_by_value() {
        assert_eq!(
            compare(
                Some(AMQPValue::LongInt(1000)),
                Some(AMQPValue::LongLongInt(1000))
            ),
            Ok(())
        );
        assert!(
            compare(
                Some(AMQPValue::LongString("1000".into())),
                Some(AMQPValue::LongInt(1000))
            )
            .is_err()
        );
    }

    #[test]
    fn values_are_shown_as_rabbitmq_prints_them() {
        let mut nested = FieldTable::default();
        nested.insert("a".into(), AMQPValue::LongInt(5));
        let shown = [
            (AMQPValue::Double(5.0), "5.0", "double"),
            (AMQPValue::Void, "undefined", "void"),
            (
                AMQPValue::DecimalValue(DecimalValue { scale: 0, value: 5 }),
                "{0,5}",
                "decimal",
            ),
            (AMQPValue::ByteArray(b"5".as_slice().into()), "5", "binary"),
            (
                AMQPValue::FieldArray(vec![AMQPValue::LongString("b".into())].into()),
                "[{longstr,<<\"b\">>}]",
                "array",
            ),
            (
                AMQPValue::FieldTable(nested),
                "[{<<\"a\">>,signedint,5}]",
                "table",
            ),
        ];
        for (value, word, kind) in shown {
            let text = compare(Some(value), None).unwrap_err();
            let expected = format!("received the value '{word}' of type '{kind}' but");
            assert!(text.contains(&expected), "{text}");
        }
    }

    #[test]
    fn the_texts_are_rabbitmqs() {
        let prefix = "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': ";
        assert_eq!(
            compare(None, Some(AMQPValue::LongInt(1000))).unwrap_err(),
            format!("{prefix}received none but current is the value '1000' of type 'signedint'")
        );
        assert_eq!(
            compare(Some(AMQPValue::LongInt(1000)), None).unwrap_err(),
            format!("{prefix}received the value '1000' of type 'signedint' but current is none")
        );
        assert_eq!(
            compare(
                Some(AMQPValue::LongInt(2000)),
                Some(AMQPValue::LongInt(1000))
            )
            .unwrap_err(),
            format!("{prefix}received '2000' but current is '1000'")
        );
    }
}
