//! The words of a command line as rabbitmqctl takes them: options anywhere, by long names or short ones, with their
//! value after a space or an equals sign; `--` ends them.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What follows the name of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Number,
    Text,
}

/// An option: its names, and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Option_ {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
}

const fn option(long: &'static str, short: Option<char>, takes: Takes) -> Option_ {
    Option_ { long, short, takes }
}

/// Options of every command.
const COMMON: &[Option_] = &[
    option("node", Some('n'), Takes::Text),
    option("vhost", Some('p'), Takes::Text),
    option("timeout", Some('t'), Takes::Number),
    option("formatter", None, Takes::Text),
    option("quiet", Some('q'), Takes::Nothing),
    option("silent", Some('s'), Takes::Nothing),
    option("longnames", Some('l'), Takes::Nothing),
    option("table-headers", None, Takes::Nothing),
    option("no-table-headers", None, Takes::Nothing),
    option("help", Some('?'), Takes::Nothing),
    option("version", None, Takes::Nothing),
    // Ours: where the broker is.
    option("data-dir", None, Takes::Text),
    option("socket", None, Takes::Text),
    option("config", None, Takes::Text),
];

/// Options of some commands. That a command has none of them is not told by rabbitmqctl's grammar either: what it
/// does not know is left alone.
const SPECIAL: &[Option_] = &[
    option("apply-to", None, Takes::Text),
    option("default-queue-type", None, Takes::Text),
    option("description", None, Takes::Text),
    option("format", None, Takes::Text),
    option("global", None, Takes::Nothing),
    option("idempotent", None, Takes::Nothing),
    option("if-empty", Some('e'), Takes::Nothing),
    option("if-unused", Some('u'), Takes::Nothing),
    option("limit", None, Takes::Number),
    option("local", None, Takes::Nothing),
    option("offline", None, Takes::Nothing),
    option("online", None, Takes::Nothing),
    option("per-connection-delay", None, Takes::Number),
    option("priority", None, Takes::Number),
    option("skip-if-unchanged", None, Takes::Nothing),
    option("tags", None, Takes::Text),
    option("user", None, Takes::Text),
];

/// A command line, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// As they were given, for messages.
    pub(crate) given: Vec<String>,
    /// What is no option: the command's name, then its arguments.
    pub(crate) words: Vec<String>,
    options: BTreeMap<&'static str, String>,
    /// Options that are none, or whose value is none: name and value.
    pub(crate) invalid: Vec<(String, String)>,
}

impl Arguments {
    pub(crate) fn read(given: Vec<String>) -> Self {
        let mut read = Self {
            given: given.clone(),
            ..Self::default()
        };
        let mut rest = given.into_iter().peekable();
        while let Some(word) = rest.next() {
            if word == "--" {
                read.words.extend(rest);
                break;
            }
            let is_number = word.parse::<f64>().is_ok();
            if !word.starts_with('-') || word == "-" || is_number {
                read.words.push(word);
                continue;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let Some(found) = find(&name) else {
                read.invalid.push((name, value.unwrap_or_default()));
                continue;
            };
            let value = match (found.takes, value) {
                (Takes::Nothing, None) => String::new(),
                (Takes::Nothing, Some(value)) => {
                    read.invalid.push((name, value));
                    continue;
                }
                (_, Some(value)) => value,
                (_, None) => {
                    let Some(value) = rest.next_if(|next| !is_option(next)) else {
                        read.invalid.push((name, String::new()));
                        continue;
                    };
                    value
                }
            };
            if found.takes == Takes::Number && value.parse::<i64>().is_err() {
                read.invalid.push((name, value));
                continue;
            }
            read.options.insert(found.long, value);
        }
        read
    }

    /// The name of the command.
    pub(crate) fn command(&self) -> Option<&str> {
        self.words.first().map(String::as_str)
    }

    /// The arguments of the command.
    pub(crate) fn rest(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// One of them; a command is not asked for more than it has checked to be there.
    pub(crate) fn word(&self, index: usize) -> String {
        self.rest().get(index).cloned().unwrap_or_default()
    }

    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.contains_key(option)
    }

    pub(crate) fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option).map(String::as_str)
    }

    pub(crate) fn number(&self, option: &str) -> Option<i64> {
        self.text(option).and_then(|text| text.parse().ok())
    }

    pub(crate) fn path(&self, option: &str) -> Option<PathBuf> {
        self.text(option).map(PathBuf::from)
    }

    pub(crate) fn vhost(&self) -> String {
        self.text("vhost").unwrap_or("/").to_owned()
    }

    /// No banners: asked for, or in the way of a program that reads the output.
    pub(crate) fn is_quiet(&self) -> bool {
        self.has("quiet") || self.has("silent")
    }
}

fn find(name: &str) -> Option<&'static Option_> {
    let all = || COMMON.iter().chain(SPECIAL);
    if let Some(long) = name.strip_prefix("--") {
        return all().find(|option| option.long == long);
    }
    let mut letters = name.strip_prefix('-')?.chars();
    let (short, None) = (letters.next(), letters.next()) else {
        return None;
    };
    all().find(|option| option.short == short && short.is_some())
}

/// A word that would be read as an option.
fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Arguments {
        Arguments::read(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_stand_anywhere() {
        let read = read("-q list_queues -p v1 name --formatter=json --timeout 5 messages");
        assert_eq!(read.words, ["list_queues", "name", "messages"]);
        assert_eq!(read.rest(), ["name", "messages"]);
        assert_eq!(read.vhost(), "v1");
        assert_eq!(read.text("formatter"), Some("json"));
        assert_eq!(read.number("timeout"), Some(5));
        assert!(read.is_quiet() && !read.has("silent"));
        assert!(read.invalid.is_empty());
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        let read = read("add_user -- -x --y");
        assert_eq!(read.words, ["add_user", "-x", "--y"]);
        assert_eq!(read.vhost(), "/");
    }

    #[test]
    fn numbers_and_single_dashes_are_words() {
        let numbers = read("set_vm_memory_high_watermark -1");
        assert_eq!(numbers.rest(), ["-1"]);
        assert_eq!(read("export_definitions -").rest(), ["-"]);
        assert_eq!(
            read("set_policy --priority -3 p").number("priority"),
            Some(-3)
        );
    }

    #[test]
    fn what_is_no_option_is_told() {
        let invalid = |line: &str| read(line).invalid;
        let told = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(invalid("list_users --foo"), told("--foo", ""));
        assert_eq!(invalid("list_users -t x"), told("-t", "x"));
        assert_eq!(invalid("list_users --node"), told("--node", ""));
        assert_eq!(invalid("list_users --quiet=1"), told("--quiet", "1"));
        assert_eq!(invalid("list_users -qs"), told("-qs", ""));
        assert_eq!(invalid("list_users --node --quiet"), told("--node", ""));
    }
}
