//! Arguments of queues, exchanges and bindings in JSON. Numbers come back as 64-bit integers,
//! and what JSON has no type for as what is nearest, as in RabbitMQ's export.

use leveret_wire::{AMQPValue, FieldTable};
use serde_json::{Map, Number, Value};

/// Octets of the key of a table (AMQP 4.2.5.5: a short string).
const KEY_MAX: usize = 255;

/// Arguments of the file as a table; the reason if they can't be one.
pub(super) fn to_table(arguments: &Map<String, Value>) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        if key.len() > KEY_MAX {
            return Err(format!("argument name longer than {KEY_MAX} octets"));
        }
        table.insert(key.as_str().into(), to_value(value)?);
    }
    Ok(table)
}

fn to_value(value: &Value) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => AMQPValue::LongLongInt(integer),
            None => AMQPValue::Double(number.as_f64().ok_or("number out of range")?),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(to_value).collect();
            AMQPValue::FieldArray(items?.into())
        }
        Value::Object(map) => AMQPValue::FieldTable(to_table(map)?),
    })
}

/// A table as arguments of the file.
pub(crate) fn from_table(table: &FieldTable) -> Map<String, Value> {
    let entries = table.inner().iter();
    entries
        .map(|(key, value)| (key.as_str().to_owned(), from_value(value)))
        .collect()
}

fn from_value(value: &AMQPValue) -> Value {
    let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
    match value {
        AMQPValue::Boolean(flag) => Value::Bool(*flag),
        AMQPValue::ShortShortInt(number) => Value::from(*number),
        AMQPValue::ShortShortUInt(number) => Value::from(*number),
        AMQPValue::ShortInt(number) => Value::from(*number),
        AMQPValue::ShortUInt(number) => Value::from(*number),
        AMQPValue::LongInt(number) => Value::from(*number),
        AMQPValue::LongUInt(number) => Value::from(*number),
        AMQPValue::LongLongInt(number) => Value::from(*number),
        AMQPValue::Timestamp(seconds) => Value::from(*seconds),
        AMQPValue::Float(number) => float(f64::from(*number)),
        AMQPValue::Double(number) => float(*number),
        AMQPValue::DecimalValue(decimal) => {
            float(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => Value::from(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::ByteArray(octets) => Value::from(String::from_utf8_lossy(octets.as_slice())),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(from_value).collect(),
        AMQPValue::FieldTable(table) => Value::Object(from_table(table)),
        AMQPValue::Void => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_come_back_as_they_went() {
        let arguments = json!({
            "n": -5, "f": 1.5, "s": "text", "b": true, "v": null,
            "a": [1, "x", {"k": 2}], "t": {"deep": {"er": [false]}},
        });
        let arguments = arguments.as_object().unwrap();
        assert_eq!(&from_table(&to_table(arguments).unwrap()), arguments);
    }

    #[test]
    fn a_float_is_read_to_its_last_digit() {
        let digits =
            "1111111111111111111111111111111111111111111111111111111111111111111111111111111000";
        let arguments: Value = serde_json::from_str(&format!("{{\"f\": {digits}}}")).unwrap();
        let table = to_table(arguments.as_object().unwrap()).unwrap();
        let exact: f64 = digits.parse().unwrap();
        assert_eq!(table.inner().get("f"), Some(&AMQPValue::Double(exact)));
        let again: Value =
            serde_json::from_str(&Value::Object(from_table(&table)).to_string()).unwrap();
        assert_eq!(again, arguments);
    }

    #[test]
    fn integers_are_long() {
        let arguments = json!({"n": 5});
        let table = to_table(arguments.as_object().unwrap()).unwrap();
        assert_eq!(table.inner().get("n"), Some(&AMQPValue::LongLongInt(5)));
    }

    #[test]
    fn a_key_fits_a_short_string() {
        let mut arguments = Map::new();
        arguments.insert("k".repeat(256), Value::Null);
        assert!(to_table(&arguments).is_err());
    }
}
