//! The expiration property: milliseconds to live, in decimal digits.

use leveret_wire::Message;

/// Longest time to live in milliseconds that RabbitMQ accepts.
const EXPIRATION_MAX: u64 = 315_360_000_000;

/// What a message says of its time to live.
pub(super) fn expiration_of(message: &Message) -> Option<u64> {
    if !message.has_expiration() {
        return None;
    }
    // It was checked when it was published.
    parse_expiration(message.properties().expiration()?).ok()
}

/// Read an expiration; RabbitMQ's reason for refusing it otherwise.
pub(crate) fn parse_expiration(text: &[u8]) -> Result<u64, String> {
    let unsigned = text
        .strip_prefix(b"+")
        .or_else(|| text.strip_prefix(b"-"))
        .unwrap_or(text);
    let digits = unsigned
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    if digits == 0 {
        return Err("no_integer".to_owned());
    }
    let (number, left) = unsigned.split_at(digits);
    if !left.is_empty() {
        return Err(format!(
            "{{leftover_string,\"{}\"}}",
            String::from_utf8_lossy(left)
        ));
    }
    let number = String::from_utf8_lossy(number);
    let value: u64 = number
        .parse()
        .map_err(|_| format!("{{value_too_large,{number}}}"))?;
    if text.starts_with(b"-") && value > 0 {
        return Err(format!("{{value_negative,-{value}}}"));
    }
    if value > EXPIRATION_MAX {
        return Err(format!("{{value_too_large,{value}}}"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::parse_expiration;

    #[test]
    fn expirations_are_refused_with_rabbitmqs_reasons() {
        assert_eq!(parse_expiration(b"1000"), Ok(1000));
        assert_eq!(parse_expiration(b"+5"), Ok(5));
        assert_eq!(parse_expiration(b"315360000000"), Ok(315_360_000_000));
        let refused = [
            ("", "no_integer"),
            (" 5", "no_integer"),
            ("abc", "no_integer"),
            ("5 ", "{leftover_string,\" \"}"),
            ("1.5", "{leftover_string,\".5\"}"),
            ("-1", "{value_negative,-1}"),
            ("315360000001", "{value_too_large,315360000001}"),
            (
                "99999999999999999999",
                "{value_too_large,99999999999999999999}",
            ),
        ];
        for (text, reason) in refused {
            assert_eq!(
                parse_expiration(text.as_bytes()),
                Err(reason.to_owned()),
                "{text}"
            );
        }
    }
}
