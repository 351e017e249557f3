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
        AMQPValue::Boolean(value) => bool_word(*value).to_owned(),
        AMQPValue::Float(value) => value.to_string(),
        AMQPValue::Double(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        other => integer(other).map_or_else(|| format!("{other:?}"), |value| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
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
