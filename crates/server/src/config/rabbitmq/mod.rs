//! RabbitMQ's own configuration file, `rabbitmq.conf` (RabbitMQ page "Configuration"), read as it is.
//!
//! Its way: lines (`syntax`) -> a rule for each key that has a meaning here (`rules`) -> the setting of ours. What
//! RabbitMQ knows and we do not is pointed out and has no effect; what RabbitMQ does not know either is a mistake.
//! `keys.txt` has every key of RabbitMQ's schemas, plugins included.

mod rules;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use super::error::{ConfigError, Invalid, Origin};
use super::load::Layers;
use super::nearest::nearest;
use super::setting::by_key;
use super::value::Given;
use rules::{Means, RULES, Rule};
use syntax::Line;

/// Every key of RabbitMQ 3.10 to 4.1. A word that begins with `$` stands for any.
const KEYS: &str = include_str!("keys.txt");

/// A key of RabbitMQ's that has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// File and line.
    pub origin: Origin,
    /// The key.
    pub key: String,
}

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?} is a key of RabbitMQ that has no effect here",
            self.origin, self.key
        )
    }
}

/// Hands every value of the file's text to `layers`. Returns what has no effect.
pub(super) fn read(
    layers: &mut Layers,
    file: &Path,
    octets: &[u8],
) -> Result<Vec<IgnoredKey>, ConfigError> {
    let place = |line| Origin::File {
        file: file.to_owned(),
        line,
    };
    let mut lines = syntax::read(octets).map_err(|mistake| ConfigError::Syntax {
        origin: place(mistake.line),
        reason: mistake.reason,
    })?;
    join_metrics(&mut lines);
    let mut ignored = Vec::new();
    for line in &lines {
        let has_rule = RULES.iter().any(|rule| matches(rule.key, &line.key));
        if has_rule {
            continue;
        }
        if !known_keys().any(|known| matches(known, &line.key)) {
            return Err(ConfigError::UnknownKey {
                origin: place(line.number),
                key: line.key.clone(),
                nearest: nearest_key(&line.key),
            });
        }
        ignored.push(IgnoredKey {
            origin: place(line.number),
            key: line.key.clone(),
        });
    }
    for rule in RULES {
        let said: Vec<&Line> = lines
            .iter()
            .filter(|line| matches(rule.key, &line.key))
            .collect();
        if said.is_empty() {
            continue;
        }
        Reader {
            layers,
            place: &place,
            ignored: &mut ignored,
        }
        .apply(rule, &said)?;
    }
    Ok(ignored)
}

/// Address and port of the metrics stand in two lines: make them one.
fn join_metrics(lines: &mut Vec<Line>) {
    let last = |lines: &[Line], key| lines.iter().rposition(|line| line.key == key);
    let port = last(lines, "prometheus.tcp.port");
    let address = last(lines, "prometheus.tcp.ip");
    let (Some(port), Some(address)) = (port, address) else {
        return;
    };
    let Some(address) = lines.get(address).map(|line| line.value.clone()) else {
        return;
    };
    if let Some(line) = lines.get_mut(port) {
        line.value = format!("{address}:{}", line.value);
    }
    lines.retain(|line| line.key != "prometheus.tcp.ip");
}

fn known_keys() -> impl Iterator<Item = &'static str> {
    KEYS.lines()
}

/// The key that was meant by `key`, perhaps. A word that stands for any is none of its slips.
fn nearest_key(key: &str) -> Option<&'static str> {
    let words: Vec<String> = syntax::words(key).collect();
    let filled = |known: &'static str| {
        let parts = known.split('.').enumerate().map(|(at, wanted)| {
            let own = words.get(at).filter(|_| wanted.starts_with('$'));
            own.map_or(wanted, String::as_str)
        });
        (parts.collect::<Vec<_>>().join("."), known)
    };
    let all: Vec<(String, &'static str)> = known_keys().map(filled).collect();
    let found = nearest(key, all.iter().map(|(filled, _)| filled.as_str()))?;
    let (_, known) = all.iter().find(|(filled, _)| filled == found)?;
    Some(known)
}

/// Whether `key` is `pattern`, whose words that begin with `$` stand for any.
fn matches(pattern: &str, key: &str) -> bool {
    let (mut wanted, mut words) = (pattern.split('.'), syntax::words(key));
    loop {
        match (wanted.next(), words.next()) {
            (None, None) => return true,
            (Some(wanted), Some(word)) if wanted == word || wanted.starts_with('$') => {}
            _ => return false,
        }
    }
}

struct Reader<'r> {
    layers: &'r mut Layers,
    place: &'r dyn Fn(usize) -> Origin,
    ignored: &'r mut Vec<IgnoredKey>,
}

impl Reader<'_> {
    /// Does what a rule says with the lines that it is for, of which there is one at least.
    fn apply(&mut self, rule: &Rule, said: &[&Line]) -> Result<(), ConfigError> {
        match rule.means {
            Means::Setting(key, read) => {
                let mut text = String::new();
                for line in said {
                    text = self.converted(line, read, rule.expected)?;
                }
                self.set(key, &text, said)
            }
            Means::Items(key, read) => {
                let mut items = Vec::new();
                for line in said {
                    items.push(self.converted(line, read, rule.expected)?);
                }
                self.set(key, &items.join(","), said)
            }
            Means::Members(key) => {
                let mut members = Vec::new();
                for line in said {
                    if self.converted(line, rules::boolean, rule.expected)? == "true" {
                        members.extend(syntax::words(&line.key).last());
                    }
                }
                let members = if members.is_empty() {
                    "none".to_owned()
                } else {
                    members.join(",")
                };
                self.set(key, &members, said)
            }
            Means::Only(value) => {
                let others = said.iter().filter(|line| line.value != value);
                self.ignored.extend(others.map(|line| IgnoredKey {
                    origin: (self.place)(line.number),
                    key: line.key.clone(),
                }));
                Ok(())
            }
        }
    }

    fn converted(
        &self,
        line: &Line,
        read: fn(&str) -> Option<String>,
        expected: &str,
    ) -> Result<String, ConfigError> {
        read(&line.value).ok_or_else(|| ConfigError::Invalid {
            origin: Some((self.place)(line.number)),
            key: line.key.clone().into(),
            reason: Invalid::Kind {
                expected: expected.to_owned(),
                found: format!("{:?}", line.value),
            },
        })
    }

    /// Sets ours; what is wrong with the value is said of the key that the file has.
    fn set(&mut self, key: &'static str, text: &str, said: &[&Line]) -> Result<(), ConfigError> {
        let (Some(setting), Some(last)) = (by_key(key), said.last()) else {
            return Ok(());
        };
        let origin = |_| (self.place)(last.number);
        let set = self.layers.set(setting, &Given::Untyped(text), origin);
        set.map_err(|error| match error {
            ConfigError::Invalid { origin, reason, .. } => ConfigError::Invalid {
                origin,
                key: last.key.clone().into(),
                reason,
            },
            other => other,
        })
    }
}
