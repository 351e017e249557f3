//! What a user may do in a vhost (RabbitMQ's page "Access Control"), and the one function that
//! decides it, whatever door a request came through.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::policies::Pattern;

/// Regular expressions over the names of queues and exchanges. That there is one lets the user
/// into the vhost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// What may be declared and deleted.
    pub configure: String,
    /// What may be published to and bound to a source.
    pub write: String,
    /// What may be consumed from, purged and bound from.
    pub read: String,
}

impl Permission {
    /// Everything is allowed.
    pub fn all() -> Self {
        let everything = || ".*".to_owned();
        Self {
            configure: everything(),
            write: everything(),
            read: everything(),
        }
    }

    /// Can all three be compiled, and are they not too large? RabbitMQ's words if not.
    pub(crate) fn check(&self) -> Result<(), BadPattern> {
        [&self.configure, &self.write, &self.read]
            .into_iter()
            .try_for_each(|pattern| check(pattern, pattern))
    }
}

/// Which routing keys of a topic exchange a user may publish and bind with. `{username}`,
/// `{vhost}` and `{client_id}` stand for what they name, letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermission {
    /// Keys to publish with.
    pub write: String,
    /// Keys to bind with.
    pub read: String,
}

impl TopicPermission {
    /// As [`Permission::check`].
    pub(crate) fn check(&self) -> Result<(), BadPattern> {
        let variables = Variables::default();
        [&self.write, &self.read]
            .into_iter()
            .try_for_each(|pattern| check(pattern, &variables.expand(pattern)))
    }
}

/// A regular expression that is refused when it is set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid regexp '{pattern}': {reason}")]
pub struct BadPattern {
    /// The expression as it was given, or its beginning.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

fn check(given: &str, expanded: &str) -> Result<(), BadPattern> {
    /// Letters of a pattern that an error shows.
    const SHOWN: usize = 256;
    Pattern::compile(expanded)
        .map(drop)
        .map_err(|reason| BadPattern {
            pattern: given.chars().take(SHOWN).collect(),
            reason,
        })
}

/// What the variables of topic permissions stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variables<'a> {
    pub(crate) username: &'a str,
    pub(crate) vhost: &'a str,
    /// Only protocols that have one (MQTT): the variable stands for itself otherwise.
    pub(crate) client_id: Option<&'a str>,
}

impl Variables<'_> {
    /// `pattern` with its variables replaced. What replaces them matches itself alone, whatever
    /// letters a user has put into it.
    pub(crate) fn expand(&self, pattern: &str) -> String {
        let known = [
            ("{username}", self.username),
            ("{vhost}", self.vhost),
            ("{client_id}", self.client_id.unwrap_or("{client_id}")),
        ];
        let mut expanded = String::with_capacity(pattern.len());
        let mut rest = pattern;
        // In one pass: a name that looks like a variable is none.
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            expanded.push_str(before);
            let variable = known.iter().find_map(|(name, value)| {
                let after = from.strip_prefix(name)?;
                Some((value, after))
            });
            if let Some((value, after)) = variable {
                expanded.push_str(&regex::escape(value));
                rest = after;
            } else {
                expanded.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
        expanded.push_str(rest);
        expanded
    }
}

/// What somebody wants to do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Declare or delete it.
    Configure,
    /// Publish to it, bind it to a source.
    Write,
    /// Consume from it, purge it, bind from it.
    Read,
}

impl Right {
    fn word(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// What somebody wants to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// An exchange; the default one, whose name is empty, is known as `amq.default`.
    Exchange(&'a str),
    /// A queue.
    Queue(&'a str),
    /// A routing key of a topic exchange.
    Topic {
        /// The exchange.
        exchange: &'a str,
        /// To publish or to bind with.
        routing_key: &'a str,
    },
}

/// Access is refused: the explanation of a 403 `ACCESS_REFUSED`, in the words of RabbitMQ 3.12 and
/// later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessRefused(pub(crate) String);

/// The name by which permissions know the default exchange.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// What one user may do in one vhost. Changes of permissions make a new one.
#[derive(Debug)]
pub(crate) struct Grant {
    user: String,
    vhost: String,
    /// `None`: the user has no permission there, and may do nothing.
    rights: Option<Rights>,
    topics: BTreeMap<String, TopicRights>,
}

#[derive(Debug)]
struct Rights {
    configure: Expression,
    write: Expression,
    read: Expression,
}

#[derive(Debug)]
struct TopicRights {
    write: Expression,
    read: Expression,
}

impl Grant {
    /// What follows from a permission and from the topic permissions by exchange.
    pub(crate) fn new<'t>(
        (user, vhost): (&str, &str),
        permission: Option<&Permission>,
        topics: impl Iterator<Item = (&'t str, &'t TopicPermission)>,
    ) -> Self {
        let variables = Variables {
            username: user,
            vhost,
            client_id: None,
        };
        let topics = topics.map(|(exchange, permission)| {
            let rights = TopicRights {
                write: Expression::of_topics(&variables.expand(&permission.write)),
                read: Expression::of_topics(&variables.expand(&permission.read)),
            };
            (exchange.to_owned(), rights)
        });
        Self {
            user: user.to_owned(),
            vhost: vhost.to_owned(),
            rights: permission.map(|permission| Rights {
                configure: Expression::of_names(&permission.configure),
                write: Expression::of_names(&permission.write),
                read: Expression::of_names(&permission.read),
            }),
            topics: topics.collect(),
        }
    }

    /// May the user open the vhost?
    pub(crate) fn opens(&self) -> bool {
        self.rights.is_some()
    }

    /// May the user publish whatever it likes? Then there is nothing to ask for a message.
    pub(crate) fn writes_everything(&self) -> bool {
        self.topics.is_empty()
            && self
                .rights
                .as_ref()
                .is_some_and(|rights| matches!(rights.write, Expression::Everything))
    }

    /// May the user do this? The one place where that is decided.
    pub(crate) fn authorise(
        &self,
        right: Right,
        resource: Resource<'_>,
    ) -> Result<(), AccessRefused> {
        if self.allows(right, resource) {
            return Ok(());
        }
        let (user, vhost) = (&self.user, &self.vhost);
        let verb = right.word();
        Err(AccessRefused(match resource {
            Resource::Exchange(name) => {
                let name = known_as(name);
                format!(
                    "{verb} access to exchange '{name}' in vhost '{vhost}' refused for user '{user}'"
                )
            }
            Resource::Queue(name) => format!(
                "{verb} access to queue '{name}' in vhost '{vhost}' refused for user '{user}'"
            ),
            Resource::Topic {
                exchange,
                routing_key,
            } => format!(
                "access to topic '{routing_key}' in exchange '{exchange}' in vhost '{vhost}' refused for user '{user}'"
            ),
        }))
    }

    /// May the user know that a resource is there (a passive declare)? Whoever has any right to it
    /// may.
    pub(crate) fn authorise_look(&self, resource: Resource<'_>) -> Result<(), AccessRefused> {
        let any = [Right::Configure, Right::Write, Right::Read]
            .into_iter()
            .any(|right| self.allows(right, resource));
        if any {
            return Ok(());
        }
        self.authorise(Right::Configure, resource)
    }

    fn allows(&self, right: Right, resource: Resource<'_>) -> bool {
        let name = match resource {
            Resource::Exchange(name) => known_as(name),
            Resource::Queue(name) => name,
            Resource::Topic {
                exchange,
                routing_key,
            } => return self.allows_topic(right, exchange, routing_key),
        };
        let Some(rights) = &self.rights else {
            return false;
        };
        let expression = match right {
            Right::Configure => &rights.configure,
            Right::Write => &rights.write,
            Right::Read => &rights.read,
        };
        expression.matches(name)
    }

    /// An exchange without topic permissions has none to ask for.
    fn allows_topic(&self, right: Right, exchange: &str, routing_key: &str) -> bool {
        let Some(rights) = self.topics.get(exchange) else {
            return true;
        };
        match right {
            Right::Write => rights.write.matches(routing_key),
            Right::Read => rights.read.matches(routing_key),
            // There is nothing to configure about a routing key.
            Right::Configure => true,
        }
    }
}

fn known_as(exchange: &str) -> &str {
    if exchange.is_empty() {
        DEFAULT_EXCHANGE
    } else {
        exchange
    }
}

/// A pattern of a permission. The usual ones need no engine, and others none until they are asked.
#[derive(Debug)]
enum Expression {
    Everything,
    Nothing,
    /// What has no letters at all.
    Empty,
    Pattern(String, OnceLock<Option<Pattern>>),
}

impl Expression {
    /// Over names of queues and exchanges: an empty pattern matches none.
    fn of_names(pattern: &str) -> Self {
        match pattern {
            "" => Self::Nothing,
            other => Self::of_topics(other),
        }
    }

    /// Over routing keys: an empty pattern matches the empty key, as in RabbitMQ.
    fn of_topics(pattern: &str) -> Self {
        match pattern {
            ".*" | "^.*" | ".*$" => Self::Everything,
            "" | "^$" => Self::Empty,
            other => Self::Pattern(other.to_owned(), OnceLock::new()),
        }
    }

    /// Does it match somewhere in `name`?
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Empty => name.is_empty(),
            Self::Pattern(text, compiled) => compiled
                .get_or_init(|| compile(text))
                .as_ref()
                .is_some_and(|pattern| pattern.matches(name)),
        }
    }
}

/// It was checked when it was set; what an older version let through matches nothing.
fn compile(text: &str) -> Option<Pattern> {
    Pattern::compile(text)
        .inspect_err(|reason| {
            let text: Cow<'_, str> = text.chars().take(256).collect();
            tracing::error!(pattern = %text, %reason, "a permission cannot be used and allows nothing");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(configure: &str, write: &str, read: &str) -> Grant {
        let permission = Permission {
            configure: configure.to_owned(),
            write: write.to_owned(),
            read: read.to_owned(),
        };
        permission.check().unwrap();
        Grant::new(("bob", "v1"), Some(&permission), std::iter::empty())
    }

    fn allowed<'n>(pattern: &str, names: &[&'n str]) -> Vec<&'n str> {
        let grant = grant(pattern, "", "");
        let names = names.iter().copied();
        names
            .filter(|name| {
                let queue = Resource::Queue(name);
                grant.authorise(Right::Configure, queue).is_ok()
            })
            .collect()
    }

    #[test]
    fn patterns_search_anywhere_in_the_name() {
        let names = ["amq.gen-1", "my-amq-q", "q", ""];
        assert_eq!(allowed(".*", &names), names);
        assert_eq!(allowed("amq", &names), ["amq.gen-1", "my-amq-q"]);
        assert_eq!(allowed("^amq", &names), ["amq.gen-1"]);
        assert_eq!(allowed("^$", &names), [""]);
        assert_eq!(allowed("", &names), [] as [&str; 0]);
        assert_eq!(allowed("^(?!amq).+", &names), ["my-amq-q", "q"]);
    }

    #[test]
    fn the_default_exchange_has_a_name_here() {
        let grant = grant("", "^amq\\.default$", "");
        let default = Resource::Exchange("");
        assert!(grant.authorise(Right::Write, default).is_ok());
        let refused = grant.authorise(Right::Read, default).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "read access to exchange 'amq.default' in vhost 'v1' refused for user 'bob'"
        );
        // A queue without a name is no exchange.
        let queue = Resource::Queue("");
        assert!(grant.authorise(Right::Write, queue).is_err());
    }

    #[test]
    fn without_a_permission_everything_is_refused() {
        let none = Grant::new(("bob", "v1"), None, std::iter::empty());
        assert!(!none.opens() && !none.writes_everything());
        for right in [Right::Configure, Right::Write, Right::Read] {
            assert!(none.authorise(right, Resource::Queue("q")).is_err());
        }
        assert!(none.authorise_look(Resource::Queue("q")).is_err());
    }

    #[test]
    fn who_may_do_anything_with_it_may_look() {
        for (configure, write, read) in [("q", "", ""), ("", "q", ""), ("", "", "q")] {
            let grant = grant(configure, write, read);
            assert!(grant.authorise_look(Resource::Queue("q")).is_ok());
            let refused = grant.authorise_look(Resource::Queue("r")).unwrap_err();
            assert_eq!(
                refused.to_string(),
                "configure access to queue 'r' in vhost 'v1' refused for user 'bob'"
            );
        }
    }

    fn topics(write: &str) -> Grant {
        let topic = TopicPermission {
            write: write.to_owned(),
            read: String::new(),
        };
        topic.check().unwrap();
        let topics = [("t", &topic)];
        Grant::new(("b.b", "v(1"), Some(&Permission::all()), topics.into_iter())
    }

    fn may_write(grant: &Grant, routing_key: &str) -> bool {
        let resource = Resource::Topic {
            exchange: "t",
            routing_key,
        };
        grant.authorise(Right::Write, resource).is_ok()
    }

    #[test]
    fn variables_stand_for_themselves_letter_by_letter() {
        let grant = topics("^{username}-{vhost}$");
        assert!(may_write(&grant, "b.b-v(1") && !may_write(&grant, "bxb-v(1"));
        // No protocol of this broker has a client id.
        let grant = topics("^{client_id}{1,2}$");
        assert!(may_write(&grant, "{client_id}") && !may_write(&grant, "b.b"));
        let variables = Variables {
            username: "{vhost}",
            vhost: ".*",
            client_id: Some("c|d"),
        };
        assert_eq!(
            variables.expand("^{username}.{client_id}.{vhost}.{x}.a{2}$"),
            "^\\{vhost\\}.c\\|d.\\.\\*.{x}.a{2}$"
        );
    }

    #[test]
    fn an_empty_topic_pattern_allows_the_empty_key_alone() {
        let grant = topics("");
        assert!(may_write(&grant, "") && !may_write(&grant, "a"));
        let elsewhere = Resource::Topic {
            exchange: "other",
            routing_key: "a",
        };
        assert!(grant.authorise(Right::Write, elsewhere).is_ok());
    }

    #[test]
    fn broken_and_huge_patterns_are_refused_when_they_are_set() {
        let with = |configure: &str| Permission {
            configure: configure.to_owned(),
            ..Permission::all()
        };
        assert_eq!(
            with("(").check().unwrap_err().to_string(),
            "invalid regexp '(': {\"unclosed group\",0}"
        );
        for huge in ["(a{1000}){1000}".to_owned(), "a".repeat(1 << 20)] {
            let bad = with(&huge).check().unwrap_err();
            assert!(bad.to_string().len() < 512, "{bad}");
        }
        let topic = |write: &str| TopicPermission {
            write: write.to_owned(),
            read: ".*".to_owned(),
        };
        assert!(topic("^{username}-{vhost}-{client_id}").check().is_ok());
        assert!(topic("^{username}(").check().is_err());
    }
}
