//! Text that no log may show.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A password, or the hash of one. Its `Debug` output hides it, there is no `Display`, and its octets are wiped when it
/// is dropped.
///
/// Text, unlike the protocol's own secret, which holds whatever octets a peer has sent. It goes into files as plain text:
/// whoever writes one that holds it decides so.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself. Name the reason at the call; never hand it to a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        let mut octets = std::mem::take(&mut self.0).into_bytes();
        octets.fill(0);
        // Keeps the compiler from leaving out a write to memory that nobody reads again.
        std::hint::black_box(&octets);
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Errors of serde name the value that is of the wrong type; here they do not.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes a string, and says of nothing else what it is.
struct Text;

impl Text {
    fn refused<T, E: de::Error>() -> Result<T, E> {
        Err(E::custom("expected a string"))
    }
}

impl Visitor<'_> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Self::refused()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Self::refused()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Self::refused()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Self::refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::UserRecord;

    #[test]
    fn debug_output_hides_the_text() {
        let secret = Secret::from("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[hidden]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn it_goes_into_json_and_comes_back() {
        let secret = Secret::from("hun\"ter2".to_owned());
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, r#""hun\"ter2""#);
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
    }

    #[test]
    fn what_holds_one_is_shown_without_it() {
        let options = crate::BrokerOptions {
            default_user: ("ann".to_owned(), Secret::from("hunter2".to_owned())),
            ..crate::BrokerOptions::default()
        };
        let shown = format!("{options:?}");
        assert!(shown.contains("ann") && !shown.contains("hunter2"));
        let record = UserRecord::new("hunter2", Vec::new()).unwrap();
        let hash = record.password_hash.expose();
        assert!(hash.len() > 40 && !format!("{record:?}").contains(hash));
    }

    #[test]
    fn what_is_no_string_is_not_named() {
        for json in [
            "31337",
            "-31337",
            "31337.5",
            "true",
            "[31337]",
            r#"{"31337":1}"#,
            "null",
        ] {
            let error = serde_json::from_str::<Secret>(json)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("string") && !error.contains("31337"),
                "{error}"
            );
        }
    }
}
