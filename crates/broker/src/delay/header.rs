//! The header `x-delay`: how long a message waits, and how its receiver sees that it did.

use leveret_wire::{Message, RawTable, RawValue, TableBuilder, rewrite_headers};

/// RabbitMQ's plugin takes milliseconds as any integer, as a float (cut off), or as a string of digits.
const X_DELAY: &[u8] = b"x-delay";
const BCC: &[u8] = b"BCC";

/// What a message says of its delay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// It is routed at once: no header, a type that means nothing, or a number that is not positive.
    None,
    /// Milliseconds.
    For(u64),
    /// A string that is no number: the text of the 406.
    Malformed(String),
}

impl Delay {
    /// Read it from a message's headers.
    pub(crate) fn of(headers: Option<RawTable<'_>>) -> Self {
        let Some(value) = headers.and_then(|headers| headers.get(X_DELAY)) else {
            return Self::None;
        };
        match milliseconds(&value) {
            Ok(delay) => match u64::try_from(delay) {
                Ok(delay) if delay > 0 => Self::For(delay),
                _ => Self::None,
            },
            Err(text) => Self::Malformed(text),
        }
    }

    /// Whether a delayed exchange must look at it.
    pub(crate) fn is_some(&self) -> bool {
        *self != Self::None
    }
}

/// The value as a number; 0 for types that have none.
fn milliseconds(value: &RawValue<'_>) -> Result<i64, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the conversion saturates, and not-a-number is 0: both are meant"
    )]
    let cut = |value: f64| value as i64;
    Ok(match *value {
        RawValue::F32(value) => cut(value.into()),
        RawValue::F64(value) => cut(value),
        RawValue::Decimal { scale, value } => {
            let divisor = 10_i64.checked_pow(scale.into());
            divisor.map_or(0, |divisor| i64::from(value) / divisor)
        }
        RawValue::LongString(text) => parse(text).ok_or_else(|| {
            let text = String::from_utf8_lossy(text);
            format!("invalid x-delay '{text}': expected an integer")
        })?,
        ref other => other.as_integer().unwrap_or(0),
    })
}

/// A decimal number with an optional sign; one that is too large counts as the largest.
fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_i64, |number, digit| {
        let digit = i64::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    });
    Some(if negative { -number } else { number })
}

/// A delayed message as it is routed in the end: `x-delay` negated, so that nobody delays it again and its receiver
/// knows; BCC is for the broker alone.
pub(super) fn negated(message: &Message) -> Message {
    let Some(headers) = message.properties().headers() else {
        return message.clone();
    };
    let Delay::For(delay) = Delay::of(Some(headers)) else {
        return message.clone();
    };
    let mut table = TableBuilder::new();
    table.put_all_but(headers, &[X_DELAY, BCC]);
    let delay = i64::try_from(delay).unwrap_or(i64::MAX);
    // The plugin writes 32 bits, which is all that it can wait.
    match i32::try_from(-delay) {
        Ok(delay) => table.put(X_DELAY, &RawValue::I32(delay)),
        Err(_) => table.put(X_DELAY, &RawValue::I64(-delay)),
    };
    table.sort();
    match rewrite_headers(message.header(), Some(&table.into_content())) {
        Ok(header) => message.with_header(&header),
        Err(_) => message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use leveret_wire::{BodyPart, PropertiesBuilder};

    use super::*;

    fn of(value: &RawValue<'_>) -> Delay {
        let mut table = TableBuilder::new();
        table.put(b"x-delay", value);
        Delay::of(Some(table.as_table()))
    }

    #[test]
    fn numbers_of_all_types_are_delays() {
        use RawValue::{
            Bool, Decimal, F32, F64, I8, I16, I32, I64, LongString, Timestamp, U8, U16, U32, Void,
        };
        let huge = u64::try_from(i64::MAX).unwrap();
        let delays = [
            (I8(5), 5),
            (U8(200), 200),
            (I16(300), 300),
            (U16(60_000), 60_000),
            (I32(70_000), 70_000),
            (U32(u32::MAX), 4_294_967_295),
            (I64(i64::MAX), huge),
            (LongString(b"1500"), 1500),
            (LongString(b"+7"), 7),
            (LongString(b"99999999999999999999999"), huge),
            (F32(2.9), 2),
            (F64(1e300), huge),
            (
                Decimal {
                    scale: 1,
                    value: 25,
                },
                2,
            ),
        ];
        for (value, delay) in delays {
            assert_eq!(of(&value), Delay::For(delay), "{value:?}");
        }
        let none = [
            I32(0),
            I32(-5),
            I64(i64::MIN),
            LongString(b"-99999999999999999999999"),
            LongString(b"0"),
            F64(0.9),
            F64(f64::NAN),
            F64(-3.0),
            Decimal {
                scale: 200,
                value: 25,
            },
            Bool(true),
            Timestamp(9),
            Void,
        ];
        for value in none {
            assert_eq!(of(&value), Delay::None, "{value:?}");
        }
        for text in ["", "-", "1.5", " 5", "5s"] {
            assert!(
                matches!(of(&LongString(text.as_bytes())), Delay::Malformed(_)),
                "{text}"
            );
        }
        assert_eq!(Delay::of(None), Delay::None);
    }

    #[test]
    fn the_delay_is_negated_and_nothing_else_changes() {
        let message = |delay: &RawValue<'_>| {
            let mut table = TableBuilder::new();
            table.put(b"z", &RawValue::Bool(true));
            table.put(b"x-delay", delay);
            table.put(b"a", &RawValue::LongString(b"1"));
            let header = PropertiesBuilder::new()
                .headers(Some(&table.into_content()))
                .priority(Some(3))
                .build(4)
                .unwrap();
            Message::from_parts(b"x", b"key", &header, BodyPart::Slice(b"body")).unwrap()
        };
        for (before, after) in [
            (RawValue::I32(500), RawValue::I32(-500)),
            (RawValue::LongString(b"500"), RawValue::I32(-500)),
            (RawValue::I64(1 << 40), RawValue::I64(-(1 << 40))),
        ] {
            let out = negated(&message(&before));
            let headers = out.properties().headers().unwrap();
            assert_eq!(headers.get(b"x-delay"), Some(after));
            assert_eq!(headers.get(b"a"), Some(RawValue::LongString(b"1")));
            assert_eq!(headers.get(b"z"), Some(RawValue::Bool(true)));
            assert_eq!(out.priority(), 3);
            assert_eq!(out.body(), b"body");
            assert_eq!(Delay::of(Some(headers)), Delay::None);
        }
    }
}
