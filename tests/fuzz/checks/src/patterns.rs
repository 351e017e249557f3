//! Patterns of operators and clients: topics, headers, and the regular expressions of permissions and policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use leveret_broker::{Broker, BrokerOptions, Permission, Resource, Right, TopicPermission};
use leveret_router::{
    BindError, Binding, Destination, Exchange, ExchangeKind, RouteRequest, RouteScratch, Router,
    TOPIC_HASHES_MAX,
};
use leveret_store::MemoryStore;
use leveret_wire::{AMQPValue, FieldTable, RawTable, RawValue, TableLimits};
use regex::{Regex, RegexBuilder};

use crate::allocation::bounded;
use crate::input::Input;

/// The input: which kind of pattern, then patterns and what they are to match.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    match choices.u8() % 4 {
        0 => check_topics(choices),
        1 => check_headers(choices),
        2 => check_permissions(choices),
        _ => check_variables(choices),
    }
}

fn router(kind: ExchangeKind, queues: u32) -> Router<u32> {
    let mut router = Router::new();
    router.declare_exchange(Exchange {
        name: "x".into(),
        kind,
        delayed: false,
        durable: false,
        auto_delete: false,
        internal: false,
        arguments: FieldTable::default(),
        alternate: None,
    });
    for queue in 0..queues {
        router.add_queue(&format!("q{queue}"), queue);
    }
    router
}

fn binding(queue: u32, key: &str, arguments: FieldTable) -> Binding {
    Binding {
        source: "x".into(),
        destination: Destination::Queue(format!("q{queue}")),
        routing_key: key.into(),
        arguments,
    }
}

fn routed(router: &Router<u32>, request: &RouteRequest<'_>) -> BTreeSet<u32> {
    let (mut scratch, mut queues) = (RouteScratch::seeded(1), Vec::new());
    assert!(router.route(b"x", request, &mut scratch, &mut queues).found);
    let once: BTreeSet<u32> = queues.iter().copied().collect();
    assert_eq!(once.len(), queues.len(), "a queue twice");
    once
}

/// Up to eight patterns, of which some go again, and one key.
fn check_topics(mut choices: Input<'_>) {
    let mut router = router(ExchangeKind::Topic, 8);
    let mut bound = Vec::new();
    for queue in 0..u32::from(choices.u8() % 9) {
        let pattern = choices.text();
        let hashes = pattern.split('.').filter(|word| *word == "#").count();
        match router.bind(binding(queue, pattern, FieldTable::default())) {
            Ok(is_new) => {
                assert!(is_new && hashes <= TOPIC_HASHES_MAX);
                bound.push((queue, pattern));
            }
            Err(BindError::TooManyHashes { count, .. }) => {
                assert!(count == hashes && count > TOPIC_HASHES_MAX);
            }
            Err(other) => panic!("{other}"),
        }
    }
    let keep = choices.u8();
    bound.retain(|(queue, pattern)| {
        let stays = keep >> queue & 1 == 0;
        if !stays {
            assert!(
                router
                    .unbind(&binding(*queue, pattern, FieldTable::default()))
                    .is_some()
            );
        }
        stays
    });
    let key = choices.sized();
    let request = RouteRequest {
        routing_key: key,
        ..RouteRequest::default()
    };
    let expected = bound
        .iter()
        .filter(|(_, pattern)| topic_matches(pattern.as_bytes(), key));
    let expected: BTreeSet<u32> = expected.map(|(queue, _)| *queue).collect();
    assert_eq!(routed(&router, &request), expected);
}

/// By a table of what the first so many words of the pattern say of the first so many of the key.
fn topic_matches(pattern: &[u8], key: &[u8]) -> bool {
    let (pattern, key) = (words(pattern), words(key));
    // Of no words of the pattern: only no words of the key.
    let mut row: Vec<bool> = (0..=key.len()).map(|taken| taken == 0).collect();
    for word in pattern {
        let mut next = vec![false; row.len()];
        for taken in 0..row.len() {
            next[taken] = match word {
                b"#" => row[taken] || (taken > 0 && next[taken - 1]),
                b"*" => taken > 0 && row[taken - 1],
                word => taken > 0 && row[taken - 1] && key[taken - 1] == word,
            };
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn words(key: &[u8]) -> Vec<&[u8]> {
    if key.is_empty() {
        return Vec::new();
    }
    key.split(|octet| *octet == b'.').collect()
}

/// Up to four tables of arguments, of which some go again, and one of headers.
fn check_headers(mut choices: Input<'_>) {
    let limits = TableLimits {
        utf8_keys: true,
        ..TableLimits::default()
    };
    let mut router = router(ExchangeKind::Headers, 4);
    let mut bound = Vec::new();
    for queue in 0..u32::from(choices.u8() % 5) {
        let Ok(table) = RawTable::parse_with(choices.sized(), &limits) else {
            return;
        };
        let arguments = table.to_field_table();
        match router.bind(binding(queue, "", arguments.clone())) {
            Ok(is_new) => {
                assert!(is_new && mode(&arguments).is_some());
                bound.push((queue, arguments));
            }
            Err(BindError::BadXMatchType(..) | BindError::BadXMatchValue(..)) => {
                assert!(mode(&arguments).is_none());
            }
            Err(other) => panic!("{other}"),
        }
    }
    let keep = choices.u8();
    bound.retain(|(queue, arguments)| {
        let stays = keep >> queue & 1 == 0;
        if !stays {
            // A number that is none is not equal to itself: such a binding is found by its octets.
            assert!(
                router
                    .unbind(&binding(*queue, "", arguments.clone()))
                    .is_some()
            );
        }
        stays
    });
    let Ok(headers) = RawTable::parse(choices.rest()) else {
        return;
    };
    let request = RouteRequest {
        headers: Some(headers),
        ..RouteRequest::default()
    };
    let expected = bound
        .iter()
        .filter(|(_, arguments)| headers_match(arguments, headers));
    let expected: BTreeSet<u32> = expected.map(|(queue, _)| *queue).collect();
    assert_eq!(routed(&router, &request), expected);
}

/// Whether any will do, and whether keys that begin with `x-` count.
fn mode(arguments: &FieldTable) -> Option<(bool, bool)> {
    match arguments.inner().get("x-match") {
        None => Some((false, false)),
        Some(AMQPValue::LongString(word)) => match word.as_bytes() {
            b"all" => Some((false, false)),
            b"all-with-x" => Some((false, true)),
            b"any" => Some((true, false)),
            b"any-with-x" => Some((true, true)),
            _ => None,
        },
        Some(_) => None,
    }
}

/// One after the other, as it is written down.
fn headers_match(arguments: &FieldTable, headers: RawTable<'_>) -> bool {
    let (any, with_x) = mode(arguments).unwrap();
    let mut met = arguments
        .inner()
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .filter(|(key, _)| *key != "x-match" && (with_x || !key.starts_with("x-")))
        .map(|(key, wanted)| {
            let given = headers.get(key.as_bytes());
            given.is_some_and(|given| *wanted == AMQPValue::Void || equal(wanted, given))
        });
    if any {
        met.any(|met| met)
    } else {
        met.all(|met| met)
    }
}

/// As Erlang's `==`, of values without their type.
fn equal(wanted: &AMQPValue, given: RawValue<'_>) -> bool {
    if let (Some(wanted), Some(given)) = (octets(wanted), given.as_bytes()) {
        return wanted == given;
    }
    if let (Some(wanted), Some(given)) = (Number::of(wanted), Number::of_header(given)) {
        return wanted == given;
    }
    match (wanted, given) {
        (AMQPValue::Boolean(wanted), RawValue::Bool(given)) => *wanted == given,
        (AMQPValue::DecimalValue(wanted), RawValue::Decimal { scale, value }) => {
            (wanted.scale, wanted.value) == (scale, value)
        }
        (
            AMQPValue::FieldTable(_) | AMQPValue::FieldArray(_),
            RawValue::Table(_) | RawValue::Array(_),
        ) => written(wanted.clone()) == written(value_of(given)),
        _ => false,
    }
}

fn octets(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ByteArray(octets) => Some(octets.as_slice()),
        _ => None,
    }
}

/// A number: whole, or a float that is not.
#[derive(PartialEq)]
enum Number {
    Whole(i128),
    Float(u64),
}

impl Number {
    fn float(value: f64) -> Self {
        // 2^64 is beyond all types of the wire.
        let is_whole = value.fract() == 0.0 && value.abs() < 18_446_744_073_709_551_616.0;
        if is_whole {
            #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^64")]
            let whole = value as i128;
            Self::Whole(whole)
        } else {
            Self::Float(value.to_bits())
        }
    }

    fn of(value: &AMQPValue) -> Option<Self> {
        Some(match *value {
            AMQPValue::ShortShortInt(value) => Self::Whole(value.into()),
            AMQPValue::ShortShortUInt(value) => Self::Whole(value.into()),
            AMQPValue::ShortInt(value) => Self::Whole(value.into()),
            AMQPValue::ShortUInt(value) => Self::Whole(value.into()),
            AMQPValue::LongInt(value) => Self::Whole(value.into()),
            AMQPValue::LongUInt(value) => Self::Whole(value.into()),
            AMQPValue::LongLongInt(value) => Self::Whole(value.into()),
            AMQPValue::Timestamp(value) => Self::Whole(value.into()),
            AMQPValue::Float(value) => Self::float(value.into()),
            AMQPValue::Double(value) => Self::float(value),
            _ => return None,
        })
    }

    fn of_header(value: RawValue<'_>) -> Option<Self> {
        match value {
            RawValue::Timestamp(value) => Some(Self::Whole(value.into())),
            RawValue::U32(value) => Some(Self::Whole(value.into())),
            RawValue::F32(value) => Some(Self::float(value.into())),
            RawValue::F64(value) => Some(Self::float(value)),
            value => value.as_integer().map(|value| Self::Whole(value.into())),
        }
    }
}

fn value_of(value: RawValue<'_>) -> AMQPValue {
    let mut around = leveret_wire::TableBuilder::new();
    around.put(b"", &value);
    let table = around.as_table().to_field_table();
    table.inner().get("").unwrap().clone()
}

fn written(value: AMQPValue) -> Vec<u8> {
    let mut table = FieldTable::default();
    table.insert("".into(), value);
    let mut octets = Vec::new();
    leveret_wire::encode_table(&table, &mut octets);
    octets
}

thread_local! {
    /// Kept, as permissions are replaced and a node takes a while to open.
    static NODE: Broker =
        Broker::open(BrokerOptions::default(), Arc::new(MemoryStore::new())).unwrap();
}

/// What the engine is asked for where there is no look-ahead: the same answer, and the same refusals.
fn check_permissions(mut choices: Input<'_>) {
    let negated = choices.bool();
    let (ahead, rest, name) = (choices.text(), choices.text(), choices.text());
    let plain = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || ".-_ *+".contains(letter))
            && !text.starts_with(['*', '+'])
    };
    let (pattern, expected) = if choices.bool() && plain(ahead) && plain(rest) {
        // Both parts begin where the name does.
        let (Ok(first), Ok(second)) = (
            Regex::new(&format!("^(?:{ahead})")),
            Regex::new(&format!("^(?:{rest})")),
        ) else {
            return;
        };
        let sign = if negated { '!' } else { '=' };
        let matches = first.is_match(name) != negated && second.is_match(name);
        (format!("^(?{sign}{ahead}){rest}"), Some(matches))
    } else {
        let regex = RegexBuilder::new(rest)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .build()
            .ok();
        // An empty pattern is RabbitMQ's word for nothing.
        (
            rest.to_owned(),
            regex.map(|regex| !rest.is_empty() && regex.is_match(name)),
        )
    };
    let permission = Permission {
        configure: pattern.clone(),
        ..Permission::all()
    };
    NODE.with(|node| {
        // Compiled, an expression of a few octets takes up to a megabyte: that is the engine's own bound.
        let set = bounded(1 << 14, 1024, || {
            node.set_permission("guest", "/", permission)
        });
        if let Err(error) = set {
            assert!(error.to_string().len() < 4096);
            assert_eq!(expected, None, "{pattern}: {error}");
            return;
        }
        let given = node.authorise("guest", "/", Right::Configure, Resource::Queue(name));
        if let Some(expected) = expected {
            assert_eq!(given.is_ok(), expected, "{pattern:?} of {name:?}");
        }
    });
}

/// A user's name in a topic permission stands for itself alone, whatever letters are in it.
fn check_variables(mut choices: Input<'_>) {
    let (before, name, key) = (choices.text(), choices.text(), choices.text());
    // The user goes again at the end, and the other checks need theirs.
    if name.is_empty() || name == "guest" || before.contains('{') {
        return;
    }
    let pattern = format!("^{}{{username}}$", regex::escape(before));
    NODE.with(|node| {
        let _ = node.add_user(name, "secret", Vec::new());
        node.set_permission(name, "/", Permission::all()).unwrap();
        let permission = TopicPermission {
            write: pattern,
            read: String::new(),
        };
        node.set_topic_permission(name, "/", "x", permission)
            .unwrap();
        let may = |routing_key: &str| {
            let resource = Resource::Topic {
                exchange: "x",
                routing_key,
            };
            node.authorise(name, "/", Right::Write, resource).is_ok()
        };
        let own = format!("{before}{name}");
        assert!(may(&own));
        assert_eq!(may(key), key == own);
        let _ = node.delete_user(name);
    });
}
