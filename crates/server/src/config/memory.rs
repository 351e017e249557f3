//! How much memory the process may take until publishers are held back, and sizes with units.

use std::fmt;
use std::str::FromStr;

/// From when memory is low (RabbitMQ page "Memory and Disk Alarms").
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watermark {
    /// From so many octets.
    Absolute(u64),
    /// From this part of the memory that the process may have: from 0 to 1.
    Relative(f64),
    /// Never.
    None,
}

/// `Relative` is never NaN: it is read and checked to be from 0 to 1.
impl Eq for Watermark {}

/// Text that is no watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a part nor a size")]
pub struct UnknownWatermark;

impl Watermark {
    /// What is expected, for a message.
    pub(super) const EXPECTED: &'static str = "a part from 0.0 to 1.0, a size such as 2GB, or none";

    /// The octets from which on memory is low, where the process may have `total`. `None`: it never is.
    pub fn octets(self, total: u64) -> Option<u64> {
        match self {
            Self::Absolute(octets) => Some(octets),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                clippy::cast_sign_loss,
                reason = "a part of an amount, both known to be positive; to the octet does not matter"
            )]
            Self::Relative(part) => Some((total as f64 * part) as u64),
            Self::None => None,
        }
    }

    pub(super) fn is_valid(self) -> bool {
        match self {
            Self::Relative(part) => (0.0..=1.0).contains(&part),
            Self::Absolute(_) | Self::None => true,
        }
    }
}

impl Default for Watermark {
    /// RabbitMQ's, since 4.0.
    fn default() -> Self {
        Self::Relative(0.6)
    }
}

impl FromStr for Watermark {
    type Err = UnknownWatermark;

    fn from_str(text: &str) -> Result<Self, UnknownWatermark> {
        if text == "none" {
            return Ok(Self::None);
        }
        if text.contains('.') || text == "0" || text == "1" {
            let part = text.parse().map_err(|_| UnknownWatermark)?;
            let relative = Self::Relative(part);
            return relative
                .is_valid()
                .then_some(relative)
                .ok_or(UnknownWatermark);
        }
        size(text).map(Self::Absolute).ok_or(UnknownWatermark)
    }
}

impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(octets) => octets.fmt(f),
            Self::Relative(part) => write!(f, "{part:?}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Octets as RabbitMQ writes them: a whole number and perhaps a unit. As there, `kB`, `MB`, `GB`, `TB` are powers of
/// 1000, and `k`, `kiB`, `M`, `MiB` and so on powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let number: u64 = digits.parse().ok()?;
    let unit = unit.trim().to_ascii_lowercase();
    let (prefix, step) = match unit.as_str() {
        "" | "b" => return Some(number),
        unit if unit.ends_with("ib") => (unit.strip_suffix("ib")?, 1024u64),
        unit if unit.ends_with('b') => (unit.strip_suffix('b')?, 1000),
        unit => (unit, 1024),
    };
    let power = ["k", "m", "g", "t", "p"]
        .iter()
        .position(|known| *known == prefix)?;
    let factor = step.checked_pow(u32::try_from(power + 1).ok()?)?;
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_rabbitmqs_units() {
        for (text, octets) in [
            ("0", 0),
            ("50000", 50_000),
            ("64b", 64),
            ("2GB", 2_000_000_000),
            ("2GiB", 2 << 30),
            ("2g", 2 << 30),
            ("512 MB", 512_000_000),
            ("512MiB", 512 << 20),
            ("1kB", 1000),
            ("1k", 1024),
            ("3tb", 3_000_000_000_000),
        ] {
            assert_eq!(size(text), Some(octets), "{text}");
        }
        for text in [
            "",
            "GB",
            "-1",
            "1.5GB",
            "2XB",
            "2Gib2",
            "99999999999PB",
            "1 k B",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn a_watermark_is_a_part_a_size_or_none() {
        assert_eq!("0.4".parse(), Ok(Watermark::Relative(0.4)));
        assert_eq!("0".parse(), Ok(Watermark::Relative(0.0)));
        assert_eq!("1.0".parse(), Ok(Watermark::Relative(1.0)));
        assert_eq!("2GiB".parse(), Ok(Watermark::Absolute(2 << 30)));
        assert_eq!("none".parse(), Ok(Watermark::None));
        for text in ["", "1.5", "-0.1", "0.x", "NaN", "much"] {
            assert_eq!(text.parse::<Watermark>(), Err(UnknownWatermark), "{text}");
        }
        assert_eq!(Watermark::Relative(0.5).octets(1000), Some(500));
        assert_eq!(Watermark::Absolute(7).octets(1000), Some(7));
        assert_eq!(Watermark::None.octets(1000), None);
        for text in ["0.6", "1.0", "123", "none"] {
            assert_eq!(text.parse::<Watermark>().unwrap().to_string(), text);
        }
    }
}
