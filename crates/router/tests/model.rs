//! Random sequences of declarations, bindings, removals and routes: the router against a model that
//! keeps plain lists and looks at everything every time.

use leveret_router::{
    BindError, Binding, Destination, Exchange, ExchangeKind, Removed, RouteRequest, RouteScratch,
    Router,
};
use leveret_wire::{AMQPValue, FieldTable, RawTable, encode_table};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// The router's rules in their simplest form. A queue's id is the number in its name.
#[derive(Default)]
struct Model {
    exchanges: Vec<Exchange>,
    queues: BTreeSet<u32>,
    bindings: Vec<Binding>,
}

impl Model {
    fn exchange(&self, name: &str) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.name == name)
    }

    fn is_used(&self, name: &str) -> bool {
        self.bindings.iter().any(|binding| binding.source == name)
    }

    fn bind(&mut self, binding: Binding) -> Result<bool, ()> {
        let source = self.exchange(&binding.source).ok_or(())?;
        let exists = match &binding.destination {
            Destination::Exchange(name) => self.exchange(name).is_some(),
            Destination::Queue(name) => self.queues.contains(&queue_id(name)),
        };
        let hashes = binding
            .routing_key
            .split('.')
            .filter(|word| *word == "#")
            .count();
        if !exists || (source.kind == ExchangeKind::Topic && hashes > 2) {
            return Err(());
        }
        if self.bindings.contains(&binding) {
            return Ok(false);
        }
        self.bindings.push(binding);
        Ok(true)
    }

    /// Remove the bindings that go, then auto-delete exchanges that lost their last one, until
    /// nothing more goes.
    fn remove(&mut self, goes: &dyn Fn(&Binding) -> bool) -> Removed {
        let (gone, kept) = self.bindings.drain(..).partition(goes);
        self.bindings = kept;
        let mut removed = Removed {
            bindings: gone,
            exchanges: Vec::new(),
        };
        let mut sources: VecDeque<String> = removed
            .bindings
            .iter()
            .map(|binding| binding.source.clone())
            .collect();
        while let Some(source) = sources.pop_front() {
            let auto_delete = self
                .exchange(&source)
                .is_some_and(|exchange| exchange.auto_delete);
            if auto_delete && !self.is_used(&source) {
                self.exchanges.retain(|exchange| exchange.name != source);
                let more = self.remove(&|binding| {
                    binding.destination == Destination::Exchange(source.clone())
                });
                removed.exchanges.push(source);
                removed.exchanges.extend(more.exchanges);
                removed.bindings.extend(more.bindings);
            }
        }
        removed
    }

    fn delete_exchange(&mut self, name: &str) -> Option<Removed> {
        self.exchange(name)?;
        self.exchanges.retain(|exchange| exchange.name != name);
        let here = Destination::Exchange(name.into());
        Some(self.remove(&|binding| binding.source == name || binding.destination == here))
    }

    fn remove_queue(&mut self, name: &str) -> Removed {
        self.queues.remove(&queue_id(name));
        let here = Destination::Queue(name.into());
        self.remove(&|binding| binding.destination == here)
    }

    fn route(&self, exchange: &str, keys: &[String], headers: &FieldTable) -> BTreeSet<u32> {
        let mut queues = BTreeSet::new();
        let by_name = || {
            keys.iter()
                .filter(|key| key.starts_with('q'))
                .map(|key| queue_id(key))
        };
        let mut pending = vec![exchange];
        let mut visited: Vec<&str> = Vec::new();
        while let Some(name) = pending.pop() {
            if name.is_empty() {
                queues.extend(by_name().filter(|queue| self.queues.contains(queue)));
                continue;
            }
            let Some(exchange) = self.exchange(name) else {
                continue;
            };
            if visited.contains(&name) {
                continue;
            }
            visited.push(name);
            let mut any = false;
            for binding in self
                .bindings
                .iter()
                .filter(|binding| binding.source == name)
            {
                if keys
                    .iter()
                    .any(|key| does_match(exchange.kind, binding, key, headers))
                {
                    any = true;
                    match &binding.destination {
                        Destination::Exchange(name) => pending.push(name),
                        Destination::Queue(name) => {
                            queues.insert(queue_id(name));
                        }
                    }
                }
            }
            if !any {
                pending.extend(exchange.alternate.as_deref());
            }
        }
        queues
    }
}

fn queue_id(name: &str) -> u32 {
    name.trim_start_matches('q').parse().unwrap_or(u32::MAX)
}

fn does_match(kind: ExchangeKind, binding: &Binding, key: &str, headers: &FieldTable) -> bool {
    match kind {
        ExchangeKind::Direct => binding.routing_key == key,
        ExchangeKind::Fanout | ExchangeKind::RecentHistory => true,
        ExchangeKind::Headers => headers_match(&binding.arguments, headers),
        ExchangeKind::Topic => topic_matches(&words(&binding.routing_key), &words(key)),
        // They pick one of their bindings: `picking.rs`.
        ExchangeKind::ConsistentHash
        | ExchangeKind::LocalRandom
        | ExchangeKind::ModulusHash
        | ExchangeKind::Random => unreachable!("not declared here"),
    }
}

fn words(key: &str) -> Vec<&str> {
    if key.is_empty() {
        Vec::new()
    } else {
        key.split('.').collect()
    }
}

fn topic_matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern, key) {
        ([], _) => key.is_empty(),
        (["#", rest @ ..], _) => (0..=key.len()).any(|taken| topic_matches(rest, &key[taken..])),
        ([word, rest @ ..], [first, others @ ..]) => {
            (*word == "*" || word == first) && topic_matches(rest, others)
        }
        _ => false,
    }
}

/// Only long strings and 32-bit integers come up here; the table of types is in the tests of the
/// headers index.
fn headers_match(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let any = arguments.inner().get("x-match") == Some(&AMQPValue::LongString("any".into()));
    let mut met = arguments
        .into_iter()
        .filter(|(key, _)| key.as_str() != "x-match")
        .map(|(key, value)| headers.inner().get(key.as_str()) == Some(value));
    if any {
        met.any(|met| met)
    } else {
        met.all(|met| met)
    }
}

#[derive(Clone, Debug)]
enum Step {
    AddQueue(u32),
    Bind(Binding),
    Declare(Exchange),
    DeleteExchange(String),
    RemoveQueue(u32),
    SetAlternate(String, Option<String>),
    Unbind(Binding),
    /// Unbind one of the bindings that there are.
    UnbindOne(prop::sample::Index),
}

fn exchange_name() -> impl Strategy<Value = String> {
    (0..7_u32).prop_map(|number| format!("x{number}"))
}

fn alternate() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        3 => Just(None),
        3 => exchange_name().prop_map(Some),
        1 => Just(Some(String::new())),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let kind = prop::sample::select(vec![
        ExchangeKind::Direct,
        ExchangeKind::Fanout,
        ExchangeKind::Headers,
        ExchangeKind::RecentHistory,
        ExchangeKind::Topic,
        ExchangeKind::Topic,
    ]);
    (exchange_name(), kind, any::<bool>(), alternate()).prop_map(
        |(name, kind, auto_delete, alternate)| Exchange {
            name,
            kind,
            delayed: false,
            durable: false,
            auto_delete,
            internal: false,
            arguments: FieldTable::default(),
            alternate,
        },
    )
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "a.b", "b.a", "a.", "q1", "q2", "a.b.a"])
        .prop_map(String::from)
}

fn binding_key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "", "a", "a.b", "#", "*.#", "a.#", "#.a", "a.*", "#.b.#", "#.a.#.#", "*",
    ])
    .prop_map(String::from)
}

fn headers() -> impl Strategy<Value = FieldTable> {
    let value = prop::sample::select(vec![
        AMQPValue::LongInt(1),
        AMQPValue::LongString("v".into()),
    ]);
    prop::collection::btree_map(prop::sample::select(vec!["a", "b"]), value, 0..3).prop_map(
        |entries| {
            let mut table = FieldTable::default();
            for (key, value) in entries {
                table.insert(key.into(), value);
            }
            table
        },
    )
}

fn binding() -> impl Strategy<Value = Binding> {
    let destination = prop_oneof![
        exchange_name().prop_map(Destination::Exchange),
        (0..7_u32).prop_map(|number| Destination::Queue(format!("q{number}"))),
    ];
    let arguments = (headers(), any::<bool>()).prop_map(|(mut arguments, any)| {
        if any {
            arguments.insert("x-match".into(), AMQPValue::LongString("any".into()));
        }
        arguments
    });
    (exchange_name(), destination, binding_key(), arguments).prop_map(
        |(source, destination, routing_key, arguments)| Binding {
            source,
            destination,
            routing_key,
            arguments,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..7_u32).prop_map(Step::AddQueue),
        12 => binding().prop_map(Step::Bind),
        4 => exchange().prop_map(Step::Declare),
        1 => exchange_name().prop_map(Step::DeleteExchange),
        1 => (0..7_u32).prop_map(Step::RemoveQueue),
        1 => (exchange_name(), alternate())
            .prop_map(|(name, alternate)| Step::SetAlternate(name, alternate)),
        1 => binding().prop_map(Step::Unbind),
        2 => any::<prop::sample::Index>().prop_map(Step::UnbindOne),
    ]
}

fn sorted<'a>(bindings: impl Iterator<Item = &'a Binding>) -> Vec<String> {
    let mut texts: Vec<String> = bindings.map(|binding| format!("{binding:?}")).collect();
    texts.sort();
    texts
}

/// Removals are compared without their order; what the order promises has a test beside the router.
fn same_removed(one: &Removed, other: &Removed) -> bool {
    let exchanges = |removed: &Removed| removed.exchanges.iter().cloned().collect::<BTreeSet<_>>();
    exchanges(one) == exchanges(other)
        && one.exchanges.len() == other.exchanges.len()
        && sorted(one.bindings.iter()) == sorted(other.bindings.iter())
}

fn apply(step: Step, router: &mut Router<u32>, model: &mut Model) -> Result<(), TestCaseError> {
    match step {
        Step::AddQueue(id) => {
            router.add_queue(&format!("q{id}"), id);
            model.queues.insert(id);
        }
        Step::Bind(binding) => {
            let expected = model.bind(binding.clone());
            let bound = router.bind(binding);
            let refused = matches!(
                bound,
                Err(BindError::NoSource
                    | BindError::NoDestination
                    | BindError::TooManyHashes { .. })
            );
            prop_assert_eq!(refused, expected.is_err());
            prop_assert_eq!(bound.ok(), expected.ok());
        }
        Step::Declare(exchange) => {
            if model.exchange(&exchange.name).is_none() {
                model.exchanges.push(exchange.clone());
                router.declare_exchange(exchange);
            }
        }
        Step::DeleteExchange(name) => {
            match (router.delete_exchange(&name), model.delete_exchange(&name)) {
                (Some(removed), Some(expected)) => prop_assert!(same_removed(&removed, &expected)),
                (removed, expected) => prop_assert_eq!(removed, expected),
            }
        }
        Step::RemoveQueue(id) => {
            let name = format!("q{id}");
            prop_assert!(same_removed(
                &router.remove_queue(&name),
                &model.remove_queue(&name)
            ));
        }
        Step::SetAlternate(name, alternate) => {
            router.set_alternate(&name, alternate.clone());
            if let Some(exchange) = model
                .exchanges
                .iter_mut()
                .find(|exchange| exchange.name == name)
            {
                exchange.alternate = alternate;
            }
        }
        Step::Unbind(binding) => unbind(&binding, router, model)?,
        Step::UnbindOne(place) => {
            if !model.bindings.is_empty() {
                let binding = place.get(&model.bindings).clone();
                unbind(&binding, router, model)?;
            }
        }
    }
    Ok(())
}

fn unbind(
    binding: &Binding,
    router: &mut Router<u32>,
    model: &mut Model,
) -> Result<(), TestCaseError> {
    let exists = model.bindings.contains(binding);
    prop_assert_eq!(router.has_binding(binding), exists);
    match router.unbind(binding) {
        Some(removed) => prop_assert!(same_removed(
            &removed,
            &model.remove(&|other| other == binding)
        )),
        None => prop_assert!(!exists),
    }
    Ok(())
}

/// What there is, seen from every side.
fn compare(router: &Router<u32>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(sorted(router.bindings()), sorted(model.bindings.iter()));
    prop_assert_eq!(router.binding_count(), model.bindings.len());
    prop_assert_eq!(router.exchange_count(), model.exchanges.len());
    for number in 0..7 {
        let name = format!("x{number}");
        prop_assert_eq!(router.exchange(&name), model.exchange(&name));
        prop_assert_eq!(router.is_used(&name), model.is_used(&name));
        let from_here = model
            .bindings
            .iter()
            .filter(|binding| binding.source == name);
        prop_assert_eq!(sorted(router.bindings_of_source(&name)), sorted(from_here));
        for here in [
            Destination::Exchange(name),
            Destination::Queue(format!("q{number}")),
        ] {
            let to_here = model
                .bindings
                .iter()
                .filter(|binding| binding.destination == here);
            prop_assert_eq!(
                sorted(router.bindings_of_destination(&here)),
                sorted(to_here)
            );
        }
        prop_assert_eq!(
            router.queue(format!("q{number}").as_bytes()),
            model.queues.get(&number).copied()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn the_router_does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..100),
        messages in prop::collection::vec(
            (key(), prop::collection::vec(key(), 0..2), headers()),
            1..6,
        ),
    ) {
        let (mut router, mut model) = (Router::new(), Model::default());
        let (mut scratch, mut queues) = (RouteScratch::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            apply(step, &mut router, &mut model)?;
            compare(&router, &model)?;
            let (key, extra_keys, headers) = &messages[number % messages.len()];
            let mut octets = Vec::new();
            encode_table(headers, &mut octets);
            let extra: Vec<&[u8]> = extra_keys.iter().map(String::as_bytes).collect();
            let request = RouteRequest {
                routing_key: key.as_bytes(),
                extra_keys: &extra,
                headers: Some(RawTable::parse(&octets).unwrap()),
                ..RouteRequest::default()
            };
            let keys: Vec<String> = std::iter::once(key).chain(extra_keys).cloned().collect();
            for exchange in ["", "x0", "x1", "x2", "x3", "x4", "x5", "x6"] {
                let routed = router.route(exchange.as_bytes(), &request, &mut scratch, &mut queues);
                let exists = exchange.is_empty() || model.exchange(exchange).is_some();
                prop_assert_eq!(routed.found, exists);
                let once: BTreeSet<u32> = queues.iter().copied().collect();
                prop_assert_eq!(once.len(), queues.len(), "a queue twice: {:?}", &queues);
                let expected = model.route(exchange, &keys, headers);
                prop_assert_eq!(once, expected, "{} {:?}", exchange, &keys);
            }
        }
    }
}
