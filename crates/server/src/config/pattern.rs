//! Regular expressions over names, as the broker reads them.

/// The pattern of a permission. Empty: no name is allowed. Whether it is a regular expression that can be used is for
/// the broker to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Default for Pattern {
    /// Every name.
    fn default() -> Self {
        Self(".*".to_owned())
    }
}
