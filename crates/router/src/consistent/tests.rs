use super::*;
use crate::targets::ExchangeId;
use leveret_wire::{
    Message, Properties, PropertiesBuilder, Property, RawTable, RawValue, TableBuilder,
};
use proptest::prelude::*;

const KEYS: u32 = 20_000;

fn binding(queue: u32, weight: &str) -> Binding {
    Binding {
        source: "x".into(),
        destination: Destination::Queue(format!("q{queue}")),
        routing_key: weight.into(),
        arguments: FieldTable::default(),
    }
}

fn index(arguments: &FieldTable, shares: &[(u32, u32)]) -> ConsistentHashIndex<u32> {
    let mut index = ConsistentHashIndex::new(arguments);
    for (queue, weight) in shares {
        index.insert(&binding(*queue, &weight.to_string()), Target::Queue(*queue));
    }
    index
}

fn by_key(shares: &[(u32, u32)]) -> ConsistentHashIndex<u32> {
    index(&FieldTable::default(), shares)
}

fn chosen(index: &ConsistentHashIndex<u32>, request: &RouteRequest<'_>) -> Option<u32> {
    let (mut queues, mut exchanges) = (Vec::new(), Vec::<ExchangeId>::new());
    let mut collector = Collector {
        queues: &mut queues,
        exchanges: &mut exchanges,
        sets: 0,
    };
    index.collect(request, &mut Vec::new(), &mut collector);
    assert_eq!(collector.sets, queues.len());
    assert!(queues.len() <= 1 && exchanges.is_empty());
    queues.pop()
}

fn of_key(index: &ConsistentHashIndex<u32>, key: &str) -> Option<u32> {
    let request = RouteRequest {
        routing_key: key.as_bytes(),
        ..RouteRequest::default()
    };
    chosen(index, &request)
}

/// Where each of many keys goes.
fn all(index: &ConsistentHashIndex<u32>) -> Vec<u32> {
    let keys = (0..KEYS).map(|number| of_key(index, &format!("key.{number}")).unwrap());
    keys.collect()
}

fn count(all: &[u32], queue: u32) -> u32 {
    let count = all.iter().filter(|other| **other == queue).count();
    u32::try_from(count).unwrap()
}

#[test]
fn a_key_is_an_integer_as_erlang_reads_it() {
    for (key, expected) in [
        ("1", 1),
        ("007", 7),
        ("+5", 5),
        ("1000000", 1_000_000),
        ("0000000000000000000000000012", 12),
    ] {
        assert_eq!(weight(key), Ok(expected), "{key}");
    }
    for key in ["0", "-1", "-0", "+0", "-99999999999999999999"] {
        assert_eq!(weight(key), Err(BindError::WeightTooLow), "{key}");
    }
    for key in ["1000001", "4294967296", "99999999999999999999999"] {
        assert_eq!(weight(key), Err(BindError::WeightTooHigh), "{key}");
    }
    for (key, shown) in [
        ("", "<<>>"),
        ("abc", r#"<<"abc">>"#),
        ("1.5", r#"<<"1.5">>"#),
        (" 1", r#"<<" 1">>"#),
        ("1e3", r#"<<"1e3">>"#),
        ("+", r#"<<"+">>"#),
        ("-+1", r#"<<"-+1">>"#),
        ("٣", "<<217,163>>"),
    ] {
        assert_eq!(
            weight(key).unwrap_err().to_string(),
            format!("The binding key must be an integer: {shown}")
        );
    }
}

#[test]
fn shares_follow_the_weights() {
    for shares in [
        vec![(1, 1), (2, 1)],
        vec![(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)],
        vec![(1, 1), (2, 2), (3, 5)],
        vec![(1, 10), (2, 20), (3, 10), (4, 40)],
        vec![(1, 1_000_000), (2, 500_000)],
    ] {
        let all = all(&by_key(&shares));
        let total: u32 = shares.iter().map(|(_, weight)| weight).sum();
        for (queue, weight) in &shares {
            let expected = f64::from(KEYS) * f64::from(*weight) / f64::from(total);
            // Five standard deviations of a fair draw; the hash gives the same counts every time.
            let bound = 5.0 * (expected * (1.0 - f64::from(*weight) / f64::from(total))).sqrt();
            let difference = f64::from(count(&all, *queue)) - expected;
            assert!(difference.abs() < bound, "{shares:?} {queue}: {difference}");
        }
    }
}

#[test]
fn a_new_destination_takes_its_share_and_a_lost_one_leaves_its_own() {
    let few = all(&by_key(&[(1, 1), (2, 3), (3, 1), (4, 1)]));
    let more = all(&by_key(&[(1, 1), (2, 3), (3, 1), (4, 1), (5, 2)]));
    let moved = few.iter().zip(&more).filter(|(old, new)| old != new);
    assert!(moved.clone().all(|(_, new)| *new == 5));
    let moved = f64::from(u32::try_from(moved.count()).unwrap());
    // Two parts in eight of 20000 keys: 5000, within five standard deviations.
    assert!((moved - 5_000.0).abs() < 310.0, "{moved}");
}

#[test]
fn the_first_binding_of_a_destination_counts() {
    let mut index = by_key(&[(1, 1), (2, 1)]);
    let before = all(&index);
    index.insert(&binding(1, "9"), Target::Queue(1));
    assert_eq!(all(&index), before);
    index.remove(&binding(1, "1"), Target::Queue(1));
    assert_eq!(all(&index), all(&by_key(&[(1, 9), (2, 1)])));
    index.insert(&binding(1, "1"), Target::Queue(1));
    index.remove(&binding(1, "1"), Target::Queue(1));
    assert_eq!(all(&index), all(&by_key(&[(1, 9), (2, 1)])));
    index.remove(&binding(1, "9"), Target::Queue(1));
    assert_eq!(all(&index), vec![2; KEYS as usize]);
    index.remove(&binding(2, "1"), Target::Queue(2));
    assert_eq!(of_key(&index, "key"), None);
}

#[test]
fn further_keys_do_not_count() {
    let index = by_key(&[(1, 1), (2, 1), (3, 1)]);
    for number in 0..100 {
        let further = format!("cc.{number}");
        let request = RouteRequest {
            routing_key: b"key",
            extra_keys: &[further.as_bytes()],
            ..RouteRequest::default()
        };
        assert_eq!(chosen(&index, &request), of_key(&index, "key"));
    }
}

fn argument(name: &str, value: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    arguments
}

const FOUR: [(u32, u32); 4] = [(1, 1), (2, 1), (3, 1), (4, 1)];

#[test]
fn a_header_decides_by_its_value() {
    let index = index(&argument("hash-header", "h"), &FOUR);
    assert!(index.reads_more_than_keys());
    let of_header = |value: Option<&RawValue<'_>>, key: &str| {
        let mut table = TableBuilder::new();
        table.put(b"other", &RawValue::Bool(true));
        if let Some(value) = value {
            table.put(b"h", value);
        }
        let content = table.into_content();
        let request = RouteRequest {
            routing_key: key.as_bytes(),
            headers: Some(RawTable::parse(&content).unwrap()),
            ..RouteRequest::default()
        };
        chosen(&index, &request).unwrap()
    };
    let mut counts = [0; 5];
    for number in 0..1_000_i16 {
        let text = format!("value.{number}");
        let value = RawValue::LongString(text.as_bytes());
        let queue = of_header(Some(&value), "a");
        assert_eq!(queue, of_header(Some(&value), "b"), "whatever the key");
        counts[queue as usize] += 1;
        let (narrow, wide) = (RawValue::I16(number), RawValue::I64(number.into()));
        assert_eq!(of_header(Some(&narrow), ""), of_header(Some(&wide), ""));
    }
    assert!(counts[1..].iter().all(|count| *count > 180), "{counts:?}");
    let without = of_header(None, "a");
    assert_eq!(without, of_header(None, "b"));
    assert_eq!(chosen(&index, &RouteRequest::default()), Some(without));
}

fn text(property: Property, number: u64) -> Vec<u8> {
    let text = number.to_string();
    PropertiesBuilder::new()
        .text(property, Some(text.as_bytes()))
        .build(0)
        .unwrap()
}

#[test]
fn a_property_decides_by_its_value() {
    type Put = fn(u64) -> Vec<u8>;
    let cases: [(&str, Put); 3] = [
        ("message_id", |number| text(Property::MessageId, number)),
        ("correlation_id", |number| {
            text(Property::CorrelationId, number)
        }),
        ("timestamp", |number| {
            let mut builder = PropertiesBuilder::new();
            builder.timestamp(Some(number)).build(0).unwrap()
        }),
    ];
    for (property, put) in cases {
        let index = index(&argument("hash-property", property), &FOUR);
        assert!(index.reads_more_than_keys());
        let of_properties = |properties: Properties<'_>, key: &str| {
            let request = RouteRequest {
                routing_key: key.as_bytes(),
                properties,
                ..RouteRequest::default()
            };
            chosen(&index, &request).unwrap()
        };
        let mut counts = [0; 5];
        for number in 0..1_000 {
            let header = put(number);
            let message = Message::new(&[0, 0], &header, [].as_slice().into());
            let queue = of_properties(message.properties(), "a");
            assert_eq!(queue, of_properties(message.properties(), "b"));
            counts[queue as usize] += 1;
        }
        assert!(
            counts[1..].iter().all(|count| *count > 180),
            "{property}: {counts:?}"
        );
        let without = of_properties(Properties::default(), "a");
        assert_eq!(without, of_properties(Properties::default(), "b"));
    }
}

#[test]
fn two_exchanges_in_a_row_decide_by_themselves() {
    let mut first = by_key(&[(1, 1), (2, 1)]);
    first.remove(&binding(2, "1"), Target::Queue(2));
    let mut onward = binding(2, "1");
    onward.destination = Destination::Exchange("y".into());
    first.insert(&onward, Target::Queue(2));
    let mut second = ConsistentHashIndex::new(&FieldTable::default());
    for queue in [1, 3] {
        let mut binding = binding(queue, "1");
        binding.source = "y".into();
        second.insert(&binding, Target::Queue(queue));
    }
    let (first, second) = (all(&first), all(&second));
    let onward: Vec<u32> = first
        .iter()
        .zip(second)
        .filter_map(|(first, second)| (*first == 2).then_some(second))
        .collect();
    let half = u32::try_from(onward.len()).unwrap() / 2;
    assert!(
        count(&onward, 1).abs_diff(half) < 300,
        "{} of {}",
        count(&onward, 1),
        onward.len()
    );
}

/// Destinations with different numbers and small weights, so that some are equal.
fn shares() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::btree_map(0..50_u32, 1..5_u32, 1..12)
        .prop_map(|shares| shares.into_iter().collect())
}

proptest! {
    #[test]
    fn only_what_a_destination_has_moves_when_it_comes_or_goes(
        shares in shares(),
        weight in 1..5_u32,
        keys in prop::collection::vec("[a-z]{0,8}", 1..50),
    ) {
        let mut index = by_key(&shares);
        let before: Vec<_> = keys.iter().map(|key| of_key(&index, key)).collect();
        index.insert(&binding(99, &weight.to_string()), Target::Queue(99));
        for (key, before) in keys.iter().zip(&before) {
            let after = of_key(&index, key);
            prop_assert!(after == *before || after == Some(99));
        }
        index.remove(&binding(99, &weight.to_string()), Target::Queue(99));
        let again: Vec<_> = keys.iter().map(|key| of_key(&index, key)).collect();
        prop_assert_eq!(again, before);
    }

    #[test]
    fn the_order_of_bindings_does_not_matter(
        shares in shares(),
        turn in any::<prop::sample::Index>(),
        keys in prop::collection::vec("[a-z]{0,8}", 1..50),
    ) {
        let mut turned = shares.clone();
        turned.rotate_left(turn.index(shares.len()));
        turned.reverse();
        let (one, other) = (by_key(&shares), by_key(&turned));
        for key in &keys {
            prop_assert_eq!(of_key(&one, key), of_key(&other, key));
        }
    }

    #[test]
    fn whatever_is_bound_and_unbound_the_rest_is_what_counts(
        steps in prop::collection::vec((0..6_u32, 1..4_u32, any::<bool>()), 0..60),
        keys in prop::collection::vec("[a-z]{0,8}", 1..20),
    ) {
        let mut index = by_key(&[]);
        let mut model: Vec<(u32, u32)> = Vec::new();
        for (queue, weight, adds) in steps {
            let binding = binding(queue, &weight.to_string());
            let at = model.iter().position(|share| *share == (queue, weight));
            match (adds, at) {
                (true, None) => {
                    model.push((queue, weight));
                    index.insert(&binding, Target::Queue(queue));
                }
                (false, Some(at)) => {
                    model.remove(at);
                    index.remove(&binding, Target::Queue(queue));
                }
                _ => {}
            }
        }
        let mut first: Vec<(u32, u32)> = Vec::new();
        for (queue, weight) in model {
            if first.iter().all(|share| share.0 != queue) {
                first.push((queue, weight));
            }
        }
        let fresh = by_key(&first);
        for key in &keys {
            prop_assert_eq!(of_key(&index, key), of_key(&fresh, key));
        }
    }
}
