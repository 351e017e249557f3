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
pub(crate) struct Switch {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes: Takes,
}

const fn switch(long: &'static str, short: Option<char>, takes: Takes) -> Switch {
    Switch { long, short, takes }
}

/// Options of every command.
const COMMON: &[Switch] = &[
    switch("node", Some('n'), Takes::Text),
    switch("vhost", Some('p'), Takes::Text),
    switch("timeout", Some('t'), Takes::Number),
    switch("formatter", None, Takes::Text),
    switch("quiet", Some('q'), Takes::Nothing),
    switch("silent", Some('s'), Takes::Nothing),
    switch("longnames", Some('l'), Takes::Nothing),
    switch("table-headers", None, Takes::Nothing),
    switch("no-table-headers", None, Takes::Nothing),
    switch("help", Some('?'), Takes::Nothing),
    switch("version", None, Takes::Nothing),
    // Ours: where the broker is.
    switch("data-dir", None, Takes::Text),
    switch("socket", None, Takes::Text),
    switch("config", None, Takes::Text),
];

/// Options of some commands. That a command has none of them is not told by rabbitmqctl's grammar either: what it
/// does not know is left alone.
const SPECIAL: &[Switch] = &[
    switch("apply-to", None, Takes::Text),
    switch("default-queue-type", None, Takes::Text),
    switch("description", None, Takes::Text),
    switch("format", None, Takes::Text),
    switch("global", None, Takes::Nothing),
    switch("idempotent", None, Takes::Nothing),
    switch("if-empty", Some('e'), Takes::Nothing),
    switch("if-unused", Some('u'), Takes::Nothing),
    switch("limit", None, Takes::Number),
    switch("local", None, Takes::Nothing),
    switch("offline", None, Takes::Nothing),
    switch("online", None, Takes::Nothing),
    switch("per-connection-delay", None, Takes::Number),
    switch("priority", None, Takes::Number),
    switch("skip-if-unchanged", None, Takes::Nothing),
    switch("tags", None, Takes::Text),
    switch("user", None, Takes::Text),
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

fn find(name: &str) -> Option<&'static Switch> {
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
