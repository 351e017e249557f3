//! The pattern of a policy: a regular expression that takes time linear in the name's length.
//!
//! RabbitMQ's engine has look-around, which no such engine has. One form of it is in use
//! everywhere: names that do not begin with something, `^(?!amq\.).*`. Look-aheads after a
//! leading `^` are taken off and asked apart, which means the same.

use regex::{Regex, RegexBuilder};

/// Octets of an expression at most: it is kept as it is, and parsed before its program's size is known.
const LENGTH_MAX: usize = 16 << 10;

/// Octets of a compiled expression at most.
const SIZE_MAX: usize = 1 << 20;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    rest: Regex,
    ahead: Vec<Ahead>,
}

/// A look-ahead at the beginning of the name.
#[derive(Clone, Debug)]
struct Ahead {
    expression: Regex,
    is_wanted: bool,
}

impl Pattern {
    /// Compile it; the reason in RabbitMQ's form, `{"what",place}`, if it can't be.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.len() > LENGTH_MAX {
            return Err(format!(
                "{{\"regular expression is too large\",{LENGTH_MAX}}}"
            ));
        }
        if let Some((aheads, rest)) = look_aheads(pattern) {
            let ahead = aheads
                .into_iter()
                .map(|(is_wanted, inner)| {
                    let expression = compile(&format!("^(?:{inner})"))?;
                    Ok(Ahead {
                        expression,
                        is_wanted,
                    })
                })
                .collect::<Result<_, String>>()?;
            return Ok(Self {
                rest: compile(&format!("^(?:{rest})"))?,
                ahead,
            });
        }
        Ok(Self {
            rest: compile(pattern)?,
            ahead: Vec::new(),
        })
    }

    /// Does it match somewhere in `name`?
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.ahead
            .iter()
            .all(|ahead| ahead.expression.is_match(name) == ahead.is_wanted)
            && self.rest.is_match(name)
    }
}

fn compile(expression: &str) -> Result<Regex, String> {
    RegexBuilder::new(expression)
        .size_limit(SIZE_MAX)
        .dfa_size_limit(SIZE_MAX)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            // The engine draws the place over several lines and says what is wrong in the last.
            let last = text.lines().last().unwrap_or_default();
            let what = last.strip_prefix("error: ").unwrap_or(last);
            format!("{{\"{}\",0}}", what.replace('"', "'"))
        })
}

/// The look-aheads after a leading `^`, wanted or not, and what follows them. `None` if there
/// are none, or if they stand in one of several alternatives.
fn look_aheads(pattern: &str) -> Option<(Vec<(bool, &str)>, &str)> {
    let mut rest = pattern.strip_prefix('^')?;
    let mut aheads = Vec::new();
    loop {
        let is_wanted = if rest.starts_with("(?!") {
            false
        } else if rest.starts_with("(?=") {
            true
        } else {
            break;
        };
        let body = rest.get(3..)?;
        let end = end_of_group(body)?;
        aheads.push((is_wanted, body.get(..end)?));
        rest = body.get(end + 1..)?;
    }
    // One that is repeated means something else, and so does one in an alternative.
    let is_plain = !rest.starts_with(['*', '+', '?', '{']) && !has_alternatives(rest);
    (!aheads.is_empty() && is_plain).then_some((aheads, rest))
}

/// Where the `)` of a group stands whose content `body` begins with.
fn end_of_group(body: &str) -> Option<usize> {
    structure(body)
        .find(|(_, depth, octet)| *depth == 0 && *octet == b')')
        .map(|(at, ..)| at)
}

fn has_alternatives(expression: &str) -> bool {
    structure(expression).any(|(_, depth, octet)| depth == 0 && octet == b'|')
}

/// Octets that are neither escaped nor in a class, with their places and how many groups they
/// stand in.
fn structure(expression: &str) -> impl Iterator<Item = (usize, usize, u8)> {
    let mut depth = 0_usize;
    let mut escaped = false;
    // Where the class that is open began.
    let mut class: Option<usize> = None;
    expression
        .bytes()
        .enumerate()
        .filter_map(move |(at, octet)| {
            if std::mem::take(&mut escaped) {
                return None;
            }
            if octet == b'\\' {
                escaped = true;
                return None;
            }
            if let Some(begun) = class {
                // A bracket that comes first stands for itself.
                let is_first = at == begun + 1;
                if octet == b']' && !is_first {
                    class = None;
                } else if octet == b'^' && is_first {
                    class = Some(at);
                }
                return None;
            }
            match octet {
                b'[' => {
                    class = Some(at);
                    None
                }
                b'(' => {
                    depth += 1;
                    None
                }
                b')' if depth > 0 => {
                    depth -= 1;
                    None
                }
                _ => Some((at, depth, octet)),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn matching<'n>(pattern: &str, names: &[&'n str]) -> Vec<&'n str> {
        let pattern = Pattern::compile(pattern).unwrap();
        let names = names.iter().copied();
        names.filter(|name| pattern.matches(name)).collect()
    }

    #[test]
    fn a_pattern_matches_anywhere_in_the_name() {
        assert_eq!(matching("", &["", "a"]), ["", "a"]);
        assert_eq!(matching("b", &["abc", "ac"]), ["abc"]);
        assert_eq!(matching("^b", &["abc", "bc"]), ["bc"]);
        assert_eq!(
            matching("^orders\\.", &["orders.new", "ordersnew"]),
            ["orders.new"]
        );
    }

    #[test]
    fn names_that_do_not_begin_with_something() {
        let names = ["amq.gen-1", "amq-1", "orders", ""];
        assert_eq!(matching("^(?!amq\\.).*", &names), ["amq-1", "orders", ""]);
        assert_eq!(matching("^(?!amq\\.)", &names), ["amq-1", "orders", ""]);
        assert_eq!(matching("^(?!amq|ord).+", &names), [] as [&str; 0]);
        assert_eq!(matching("^(?!(amq\\.|ord)).+$", &names), ["amq-1"]);
        assert_eq!(matching("^(?=amq)(?!amq[.)]).*", &names), ["amq-1"]);
        assert_eq!(matching("^(?![])a]mq).+", &names), ["orders"]);
        assert_eq!(matching("^(?!amq).*s$", &names), ["orders"]);
    }

    #[test]
    fn patterns_that_others_take_ages_for_are_answered() {
        // With backtracking, each of these would take longer than the world is old.
        let long = format!("{}!", "a".repeat(100_000));
        for pattern in ["(a+)+$", "^(a|aa)+$", "^(a*)*b$", "(.*)*(.*)*x$"] {
            assert!(
                !Pattern::compile(pattern).unwrap().matches(&long),
                "{pattern}"
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_in_linear_time_is_refused() {
        for pattern in [
            "(?!amq).*",
            "^(?!a)b|c",
            "^(?!a)*b",
            "^a(?!b)",
            "(a)\\1",
            "^(?!a",
        ] {
            let refused = Pattern::compile(pattern).unwrap_err();
            assert!(
                refused.starts_with("{\"") && !refused.contains('\n'),
                "{pattern}: {refused}"
            );
        }
        assert_eq!(Pattern::compile("(").unwrap_err(), "{\"unclosed group\",0}");
        assert!(Pattern::compile(&"(a{1000}){1000}".repeat(3)).is_err());
        assert!(Pattern::compile(&"a".repeat(16 << 10)).is_ok());
        assert_eq!(
            Pattern::compile(&"a".repeat((16 << 10) + 1)).unwrap_err(),
            "{\"regular expression is too large\",16384}"
        );
    }
}
