//! Queues, exchange and bindings of a run, and which message reaches which queue.

use std::sync::atomic::{AtomicU32, Ordering};

use clap::ValueEnum;
use leveret_wire::{AMQPValue, FieldTable};

use crate::connection::Connection;
use crate::error::{PerfError, Result};
use crate::frames::Envelope;
use crate::requests;

/// Octets of a name or key that leave room for numbers below the 255 of a short string.
const NAME_MAX: usize = 200;

/// The exchange types that messages can go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExchangeKind {
    /// Keys equal.
    Direct,
    /// Every queue.
    Fanout,
    /// Keys match patterns.
    Topic,
    /// Headers match arguments.
    Headers,
}

impl ExchangeKind {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// How many queues.
    pub(crate) queues: usize,
    /// Their names, with %d for the number; none for names of our own, that are deleted in the end.
    pub(crate) queue: Option<String>,
    /// Durable queues and exchange.
    pub(crate) durable: bool,
    /// Arguments of every queue.
    pub(crate) arguments: FieldTable,
    /// None for the default exchange.
    pub(crate) exchange_kind: Option<ExchangeKind>,
    /// The exchange's name; none for one of our own, that is deleted in the end.
    pub(crate) exchange: Option<String>,
    /// Bindings of each queue.
    pub(crate) bindings: usize,
    /// The bindings' keys, with %q for the queue's number and %b for the binding's.
    pub(crate) binding_key: Option<String>,
    /// The messages' keys, the same.
    pub(crate) routing_key: Option<String>,
}

/// Where messages of one kind go.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Routing key.
    pub(crate) key: String,
    /// For a headers exchange.
    pub(crate) headers: Option<FieldTable>,
    /// Numbers of the queues that a message reaches, ascending.
    pub(crate) reach: Reach,
}

/// Numbers of queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every queue.
    All,
    /// These.
    Some(Vec<usize>),
}

impl Reach {
    /// Whether the queue is among them.
    pub(crate) fn has(&self, queue: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(queues) => queues.binary_search(&queue).is_ok(),
        }
    }

    /// How many they are, of all `queues`.
    pub(crate) fn len(&self, queues: usize) -> usize {
        match self {
            Self::All => queues,
            Self::Some(some) => some.len(),
        }
    }
}

#[derive(Clone, Debug)]
struct Binding {
    queue: usize,
    key: String,
    arguments: FieldTable,
}

/// Queues, exchange and bindings.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    wanted: Wanted,
    /// Names of the queues, by number.
    pub(crate) queues: Vec<String>,
    exchange: String,
    bindings: Vec<Binding>,
    /// The kinds of messages.
    pub(crate) routes: Vec<Route>,
}

/// Makes the names of a process's runs differ.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A name that no other run has.
pub(crate) fn unique_name() -> String {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    format!("perf-{}-{run}", std::process::id())
}

impl Topology {
    /// Think it through; nothing is declared yet.
    pub(crate) fn plan(wanted: Wanted) -> Result<Self> {
        let names = [
            &wanted.queue,
            &wanted.exchange,
            &wanted.binding_key,
            &wanted.routing_key,
        ];
        if let Some(long) = names
            .into_iter()
            .flatten()
            .find(|name| name.len() > NAME_MAX)
        {
            return Err(PerfError::Arguments(format!(
                "'{long}' is longer than {NAME_MAX} octets"
            )));
        }
        let unique = unique_name();
        let pattern = wanted
            .queue
            .clone()
            .unwrap_or_else(|| format!("{unique}-%d"));
        if wanted.queues > 1 && !pattern.contains("%d") {
            return Err(PerfError::Arguments(format!(
                "--queue '{pattern}' needs a %d to name {} queues",
                wanted.queues
            )));
        }
        let queues = (0..wanted.queues)
            .map(|number| pattern.replace("%d", &number.to_string()))
            .collect();
        let exchange = match (wanted.exchange_kind, &wanted.exchange) {
            (None, None) => String::new(),
            (None, Some(_)) => {
                return Err(PerfError::Arguments(
                    "--exchange needs --exchange-type".to_owned(),
                ));
            }
            (Some(_), name) => name.clone().unwrap_or(unique),
        };
        let mut this = Self {
            wanted,
            queues,
            exchange,
            bindings: Vec::new(),
            routes: Vec::new(),
        };
        match this.wanted.exchange_kind {
            None => this.route_by_name(),
            Some(kind) => this.route_by_bindings(kind),
        }
        Ok(this)
    }

    /// The default exchange: the key is the queue's name.
    fn route_by_name(&mut self) {
        self.routes = self
            .queues
            .iter()
            .enumerate()
            .map(|(number, name)| Route {
                key: name.clone(),
                headers: None,
                reach: Reach::Some(vec![number]),
            })
            .collect();
    }

    fn route_by_bindings(&mut self, kind: ExchangeKind) {
        let (binding_key, routing_key) = match kind {
            ExchangeKind::Direct => ("%q.%b", "%q.%b"),
            ExchangeKind::Topic => ("%q.*.%b", "%q.perf.%b"),
            ExchangeKind::Fanout | ExchangeKind::Headers => ("", ""),
        };
        let exact = self.wanted.binding_key.is_none() && self.wanted.routing_key.is_none();
        let binding_key = self.wanted.binding_key.as_deref().unwrap_or(binding_key);
        let routing_key = self.wanted.routing_key.as_deref().unwrap_or(routing_key);
        let fill = |template: &str, queue: usize, number: usize| {
            template
                .replace("%q", &queue.to_string())
                .replace("%b", &number.to_string())
        };
        for queue in 0..self.queues.len() {
            for number in 0..self.wanted.bindings {
                let headers = (kind == ExchangeKind::Headers).then(|| headers(queue, number));
                let mut arguments = headers.clone().unwrap_or_default();
                if headers.is_some() {
                    arguments.insert("x-match".into(), AMQPValue::LongString("all".into()));
                }
                self.bindings.push(Binding {
                    queue,
                    key: fill(binding_key, queue, number),
                    arguments,
                });
                let key = fill(routing_key, queue, number);
                self.routes.push(Route {
                    key,
                    headers,
                    reach: Reach::Some(vec![queue]),
                });
            }
        }
        if kind == ExchangeKind::Fanout {
            self.routes.truncate(1);
            for route in &mut self.routes {
                route.reach = Reach::All;
            }
        } else if !exact && kind != ExchangeKind::Headers {
            self.route_by_matching(kind);
        }
    }

    /// Keys of the user's own: each kind of message once, and what it reaches by the rules of the
    /// exchange.
    fn route_by_matching(&mut self, kind: ExchangeKind) {
        let mut seen = std::collections::HashSet::new();
        self.routes.retain(|route| seen.insert(route.key.clone()));
        for route in &mut self.routes {
            let mut reached: Vec<usize> = self
                .bindings
                .iter()
                .filter(|binding| match kind {
                    ExchangeKind::Topic => topic_matches(&binding.key, &route.key),
                    _ => binding.key == route.key,
                })
                .map(|binding| binding.queue)
                .collect();
            reached.dedup();
            route.reach = Reach::Some(reached);
        }
    }

    /// Declare and bind everything, on channel 1.
    pub(crate) fn declare(&self, control: &mut Connection) -> Result<()> {
        let durable = self.wanted.durable;
        let queues = self.queues.iter();
        let queues =
            queues.map(|name| requests::declare_queue(name, durable, &self.wanted.arguments));
        control.call_all(queues, "queue.declare")?;
        if let Some(kind) = self.wanted.exchange_kind {
            let declare = requests::declare_exchange(&self.exchange, kind.name(), durable);
            control.call(1, &declare, "exchange.declare")?;
            let bindings = self.bindings.iter().filter_map(|binding| {
                let queue = self.queues.get(binding.queue)?;
                Some(requests::bind(
                    queue,
                    &self.exchange,
                    &binding.key,
                    &binding.arguments,
                ))
            });
            control.call_all(bindings, "queue.bind")?;
        }
        Ok(())
    }

    /// Delete what had no name of the user's.
    pub(crate) fn delete(&self, control: &mut Connection) -> Result<()> {
        if self.wanted.queue.is_none() {
            let deletes = self.queues.iter().map(|name| requests::delete_queue(name));
            control.call_all(deletes, "queue.delete")?;
        }
        if self.wanted.exchange.is_none() && self.wanted.exchange_kind.is_some() {
            let delete = requests::delete_exchange(&self.exchange);
            control.call(1, &delete, "exchange.delete")?;
        }
        Ok(())
    }

    /// How messages of a route are published.
    pub(crate) fn envelope(&self, route: &Route, persistent: bool) -> Envelope {
        Envelope {
            exchange: self.exchange.clone(),
            routing_key: route.key.clone(),
            persistent,
            headers: route.headers.clone(),
            reply_to: None,
        }
    }
}

/// The headers of messages for one binding.
fn headers(queue: usize, number: usize) -> FieldTable {
    let value = |number: usize| AMQPValue::LongInt(i32::try_from(number).unwrap_or(i32::MAX));
    let mut table = FieldTable::default();
    table.insert("q".into(), value(queue));
    table.insert("b".into(), value(number));
    table
}

/// Whether a topic pattern matches a key: `*` is one word, `#` none or more (AMQP 0-9-1, 3.1.3.3).
fn topic_matches(pattern: &str, key: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let key: Vec<&str> = key.split('.').collect();
    words_match(&pattern, &key)
}

fn words_match(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), None) => words_match(rest, key),
        (Some((&"#", rest)), Some((_, after))) => {
            words_match(rest, key) || words_match(pattern, after)
        }
        (Some((&word, rest)), Some((&letters, after))) => {
            (word == "*" || word == letters) && words_match(rest, after)
        }
        _ => false,
    }
}

/// Which of `items` things the `worker`th of `workers` takes: all are taken, evenly, and no worker
/// goes without while there is a thing at all.
pub(crate) fn share(worker: usize, workers: usize, items: usize) -> Vec<usize> {
    if items >= workers {
        (worker..items).step_by(workers.max(1)).collect()
    } else {
        worker.checked_rem(items).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(queues: usize, kind: Option<ExchangeKind>, bindings: usize) -> Wanted {
        Wanted {
            queues,
            queue: Some("q%d".to_owned()),
            durable: false,
            arguments: FieldTable::default(),
            exchange_kind: kind,
            exchange: None,
            bindings,
            binding_key: None,
            routing_key: None,
        }
    }

    fn routes(wanted: Wanted) -> Vec<(String, Reach)> {
        let topology = Topology::plan(wanted).unwrap();
        let routes = topology.routes.into_iter();
        routes.map(|route| (route.key, route.reach)).collect()
    }

    fn reach(queues: &[usize]) -> Reach {
        Reach::Some(queues.to_vec())
    }

    #[test]
    fn the_default_exchange_goes_by_name() {
        let expected = [
            ("q0".to_owned(), reach(&[0])),
            ("q1".to_owned(), reach(&[1])),
        ];
        assert_eq!(routes(wanted(2, None, 1)), expected);
    }

    #[test]
    fn each_binding_has_a_message() {
        let keys: Vec<(String, Reach)> = routes(wanted(2, Some(ExchangeKind::Topic), 2));
        let expected = [
            ("0.perf.0".to_owned(), reach(&[0])),
            ("0.perf.1".to_owned(), reach(&[0])),
            ("1.perf.0".to_owned(), reach(&[1])),
            ("1.perf.1".to_owned(), reach(&[1])),
        ];
        assert_eq!(keys, expected);
        assert_eq!(routes(wanted(2, Some(ExchangeKind::Headers), 2)).len(), 4);
        let fanout = routes(wanted(2, Some(ExchangeKind::Fanout), 1));
        assert_eq!(fanout, [(String::new(), Reach::All)]);
    }

    #[test]
    fn keys_of_the_users_own_are_matched() {
        let mut topic = wanted(3, Some(ExchangeKind::Topic), 2);
        topic.binding_key = Some("a.%q.#".to_owned());
        topic.routing_key = Some("a.1.c".to_owned());
        assert_eq!(routes(topic), [("a.1.c".to_owned(), reach(&[1]))]);
        let mut direct = wanted(3, Some(ExchangeKind::Direct), 1);
        direct.binding_key = Some("same".to_owned());
        direct.routing_key = Some("same".to_owned());
        assert_eq!(routes(direct), [("same".to_owned(), reach(&[0, 1, 2]))]);
    }

    #[test]
    fn patterns_match_words() {
        for (pattern, key, matches) in [
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.#", "a", true),
            ("#.b", "a.c.b", true),
            ("#", "", true),
            ("a.*.b", "a.x.c", false),
        ] {
            assert_eq!(topic_matches(pattern, key), matches, "{pattern} {key}");
        }
    }

    #[test]
    fn everything_is_shared_out() {
        assert_eq!(share(1, 2, 5), [1, 3]);
        assert_eq!(share(4, 5, 2), [0]);
        assert_eq!(share(0, 1, 3), [0, 1, 2]);
        assert_eq!(share(0, 3, 0), [0; 0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut one_name = wanted(2, None, 1);
        one_name.queue = Some("q".to_owned());
        assert!(Topology::plan(one_name).unwrap_err().is_usage());
        let mut no_type = wanted(1, None, 1);
        no_type.exchange = Some("e".to_owned());
        assert!(Topology::plan(no_type).unwrap_err().is_usage());
    }
}
