//! Octets in error texts, as RabbitMQ prints them.

use std::fmt::{self, Write};

/// Octets shown after `first 16 octets =`; up to as many are shown as `all octets =`.
const SNIPPET_OCTETS: usize = 16;
/// Octets of a payload that can be seen in a reply text: texts are cut to 255 octets, and each
/// printed octet takes two of them at least.
const VISIBLE_OCTETS: usize = 128;

/// Class and method ids of what carries passwords and tokens, as a payload begins with them: `connection.start-ok`,
/// `secure-ok` and `update-secret`.
const WITH_SECRETS: [[u8; 4]; 3] = [[0, 10, 0, 11], [0, 10, 0, 21], [0, 10, 0, 70]];

/// A piece of a peer's payload, ready to be put into an error text: `<<1,2,3>>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    /// `all octets = <<1,2>>` up to 16 octets, else `first 16 octets = <<..>>`. Of a method that carries a secret only its
    /// ids are shown: the text goes into the log.
    #[cold]
    pub fn snippet(payload: &[u8]) -> Self {
        let ids = payload.first_chunk();
        if let Some(ids) = ids.filter(|ids| WITH_SECRETS.contains(ids)) {
            let text = format!("first {} octets = {}", ids.len(), erlang_binary(ids));
            return Self(text.into());
        }
        let text = match payload.get(..SNIPPET_OCTETS) {
            Some(first) if payload.len() > SNIPPET_OCTETS => {
                format!("first {SNIPPET_OCTETS} octets = {}", erlang_binary(first))
            }
            _ => format!("all octets = {}", erlang_binary(payload)),
        };
        Self(text.into())
    }

    /// `<<1,2,3>>`: all octets as far as a reply text can show them.
    #[cold]
    pub fn whole(payload: &[u8]) -> Self {
        let visible = payload.get(..VISIBLE_OCTETS).unwrap_or(payload);
        Self(erlang_binary(visible).into())
    }

    /// As [`Self::whole`] of a method's arguments. Of one that carries a secret nothing is shown: `<<..>>`.
    #[cold]
    pub(crate) fn arguments(class: u16, method: u16, arguments: &[u8]) -> Self {
        let ([c1, c0], [m1, m0]) = (class.to_be_bytes(), method.to_be_bytes());
        if WITH_SECRETS.contains(&[c1, c0, m1, m0]) {
            return Self("<<..>>".into());
        }
        Self::whole(arguments)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn erlang_binary(octets: &[u8]) -> String {
    let mut text = String::with_capacity(4 + octets.len() * 4);
    text.push_str("<<");
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{octet}");
    }
    text.push_str(">>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_octets_are_shown_whole_and_seventeen_are_cut() {
        let octets: Vec<u8> = (1..=17).collect();
        assert_eq!(Excerpt::snippet(&[]).as_str(), "all octets = <<>>");
        assert_eq!(
            Excerpt::snippet(&octets[..16]).as_str(),
            "all octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>"
        );
        assert_eq!(
            Excerpt::snippet(&octets).as_str(),
            "first 16 octets = <<1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16>>"
        );
    }

    #[test]
    fn what_carries_a_secret_is_not_shown() {
        for method in [11, 21, 70] {
            let payload = [&[0, 10, 0, method][..], b"\0\0\0\x06hunter"].concat();
            let ids = format!("first 4 octets = <<0,10,0,{method}>>");
            assert_eq!(Excerpt::snippet(&payload).as_str(), ids);
            let arguments = Excerpt::arguments(10, method.into(), b"hunter");
            assert_eq!(arguments.as_str(), "<<..>>");
        }
        assert_eq!(Excerpt::arguments(10, 40, b"\x01/").as_str(), "<<1,47>>");
    }

    #[test]
    fn a_whole_excerpt_fills_a_reply_text() {
        assert_eq!(Excerpt::whole(&[0, 255, 7]).to_string(), "<<0,255,7>>");
        assert!(Excerpt::whole(&[0; 7_000]).as_str().len() > 255);
    }
}
