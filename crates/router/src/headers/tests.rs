//! The index against a table of known answers, and against RabbitMQ's way of matching one binding
//! after the other.

use super::*;
use leveret_wire::{AMQPValue, ByteArray, DecimalValue, FieldArray, encode_table};
use proptest::prelude::*;

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn collect(
    index: &HeadersIndex<usize>,
    headers: Option<&[u8]>,
    scratch: &mut HeadersScratch,
) -> Vec<usize> {
    let (mut queues, mut exchanges) = (Vec::new(), Vec::new());
    let mut collector = Collector {
        queues: &mut queues,
        exchanges: &mut exchanges,
        sets: 0,
    };
    let headers = headers.map(|headers| RawTable::parse(headers).unwrap());
    index.collect(headers, scratch, &mut collector);
    queues.sort_unstable();
    queues.dedup();
    queues
}

fn matches(index: &HeadersIndex<usize>, headers: &FieldTable) -> Vec<usize> {
    let mut octets = Vec::new();
    encode_table(headers, &mut octets);
    collect(index, Some(&octets), &mut HeadersScratch::default())
}

fn index_of<'a>(rules: impl IntoIterator<Item = &'a FieldTable>) -> HeadersIndex<usize> {
    let mut index = HeadersIndex::new(SecretState::default());
    for (number, rule) in rules.into_iter().enumerate() {
        index.insert(rule, Target::Queue(number));
    }
    index
}

fn does_match(rule: &FieldTable, headers: &FieldTable) -> bool {
    !matches(&index_of([rule]), headers).is_empty()
}

#[test]
fn the_four_modes() {
    let (one, two) = (|| AMQPValue::LongInt(1), || AMQPValue::LongInt(2));
    let rule = |mode: &str, entries: &[(&'static str, AMQPValue)]| {
        table(entries.iter().cloned().chain([("x-match", text(mode))]))
    };
    let both = table([("a", one()), ("b", two())]);
    let first = table([("a", one()), ("c", two())]);
    let wrong = table([("a", two()), ("b", one())]);
    for mode in ["all", "all-with-x"] {
        let rule = rule(mode, &[("a", one()), ("b", two())]);
        assert!(
            does_match(&rule, &both) && !does_match(&rule, &first) && !does_match(&rule, &wrong),
            "{mode}"
        );
    }
    for mode in ["any", "any-with-x"] {
        let rule = rule(mode, &[("a", one()), ("b", two())]);
        assert!(
            does_match(&rule, &both) && does_match(&rule, &first) && !does_match(&rule, &wrong),
            "{mode}"
        );
    }
    // Without x-match: all.
    let plain = table([("a", one()), ("b", two())]);
    assert!(does_match(&plain, &both) && !does_match(&plain, &first));
    // Keys that begin with x- count only with -with-x; x-match itself never does.
    let (with_x, without_x) = (table([("a", one()), ("x-b", two())]), table([("a", one())]));
    let entries = [("a", one()), ("x-b", two())];
    assert!(does_match(&rule("all", &entries), &without_x));
    assert!(!does_match(&rule("all-with-x", &entries), &without_x));
    assert!(does_match(&rule("all-with-x", &entries), &with_x));
    let only_x = table([("x-b", two())]);
    assert!(!does_match(&rule("any", &entries), &only_x));
    assert!(does_match(&rule("any-with-x", &entries), &only_x));
    assert!(!does_match(
        &rule("any-with-x", &[("a", one())]),
        &table([("x-match", text("any-with-x"))])
    ));
}

#[test]
fn an_empty_rule_matches_everything_or_nothing() {
    let mut scratch = HeadersScratch::default();
    let index = index_of(&[
        table([]),
        table([("x-match", text("all")), ("x-other", text("1"))]),
        table([("x-match", text("any"))]),
        table([("a", text("1"))]),
    ]);
    assert_eq!(collect(&index, None, &mut scratch), [0, 1]);
    assert_eq!(matches(&index, &table([])), [0, 1]);
    assert_eq!(matches(&index, &table([("a", text("1"))])), [0, 1, 3]);
}

#[test]
fn void_asks_for_presence_only() {
    for mode in ["all", "any"] {
        let rule = table([("a", AMQPValue::Void), ("x-match", text(mode))]);
        assert!(does_match(&rule, &table([("a", text("1"))])));
        assert!(does_match(&rule, &table([("a", AMQPValue::Void)])));
        assert!(!does_match(&rule, &table([("b", text("1"))])));
    }
    // A header without value has no other value.
    assert!(!does_match(
        &table([("a", text(""))]),
        &table([("a", AMQPValue::Void)])
    ));
    assert!(!does_match(
        &table([("a", AMQPValue::Boolean(false))]),
        &table([("a", AMQPValue::Void)])
    ));
}

/// Values within a group are equal to each other and to none of another group.
fn groups() -> Vec<Vec<AMQPValue>> {
    let array = |value| AMQPValue::FieldArray(FieldArray::from(vec![value]));
    let decimal = |scale, value| AMQPValue::DecimalValue(DecimalValue { scale, value });
    let nested = |value| AMQPValue::FieldTable(table([("n", value), ("m", AMQPValue::Void)]));
    vec![
        vec![
            AMQPValue::ShortShortInt(1),
            AMQPValue::ShortShortUInt(1),
            AMQPValue::ShortInt(1),
            AMQPValue::ShortUInt(1),
            AMQPValue::LongInt(1),
            AMQPValue::LongUInt(1),
            AMQPValue::LongLongInt(1),
            AMQPValue::Timestamp(1),
            AMQPValue::Float(1.0),
            AMQPValue::Double(1.0),
        ],
        vec![
            AMQPValue::LongInt(0),
            AMQPValue::Double(0.0),
            AMQPValue::Double(-0.0),
        ],
        vec![AMQPValue::LongInt(-1), AMQPValue::Double(-1.0)],
        vec![
            AMQPValue::LongUInt(u32::MAX),
            AMQPValue::Double(4_294_967_295.0),
        ],
        vec![
            AMQPValue::LongLongInt(9_007_199_254_740_992),
            AMQPValue::Double(9_007_199_254_740_992.0),
        ],
        vec![AMQPValue::LongLongInt(9_007_199_254_740_993)],
        vec![AMQPValue::Timestamp(u64::MAX)],
        vec![AMQPValue::Double(18_446_744_073_709_551_616.0)],
        vec![AMQPValue::Float(0.5), AMQPValue::Double(0.5)],
        vec![AMQPValue::Double(0.1)],
        vec![AMQPValue::Float(0.1), AMQPValue::Double(0.1_f32.into())],
        vec![
            AMQPValue::Double(f64::INFINITY),
            AMQPValue::Float(f32::INFINITY),
        ],
        vec![
            text("1"),
            AMQPValue::ByteArray(ByteArray::from(b"1".as_slice())),
        ],
        vec![text("")],
        vec![
            AMQPValue::LongString(vec![0xff_u8].into()),
            AMQPValue::ByteArray(ByteArray::from([0xff].as_slice())),
        ],
        vec![AMQPValue::Boolean(true)],
        vec![AMQPValue::Boolean(false)],
        vec![text("true")],
        vec![decimal(1, 10)],
        vec![decimal(0, 1)],
        vec![array(AMQPValue::LongInt(1))],
        vec![array(AMQPValue::LongLongInt(1))],
        vec![array(array(AMQPValue::LongInt(1)))],
        vec![nested(AMQPValue::LongInt(1))],
        vec![nested(AMQPValue::LongLongInt(1))],
        vec![nested(array(AMQPValue::Boolean(true)))],
    ]
}

#[test]
fn values_compare_by_value_across_types() {
    let groups = groups();
    for (number, group) in groups.iter().enumerate() {
        for (other_number, other_group) in groups.iter().enumerate() {
            for (value, other) in group
                .iter()
                .flat_map(|value| other_group.iter().map(move |other| (value, other)))
            {
                let (rule, headers) =
                    (table([("k", value.clone())]), table([("k", other.clone())]));
                assert_eq!(
                    does_match(&rule, &headers),
                    number == other_number,
                    "{value:?} {other:?}"
                );
            }
        }
    }
}

#[test]
fn the_first_of_duplicate_headers_counts() {
    let index = index_of(&[
        table([("k", AMQPValue::LongInt(1))]),
        table([("k", AMQPValue::LongInt(2))]),
    ]);
    let entry = |value: i32| {
        let mut octets = Vec::new();
        encode_table(&table([("k", AMQPValue::LongInt(value))]), &mut octets);
        octets
    };
    let headers = [entry(2), entry(1)].concat();
    assert_eq!(
        collect(&index, Some(&headers), &mut HeadersScratch::default()),
        [1]
    );
}

/// Else a message that meets a hundred terms of many rules would list each queue a hundred times.
#[test]
fn a_rule_for_any_fires_once_a_message() {
    let entries = || [("a", AMQPValue::LongInt(1)), ("b", AMQPValue::LongInt(2))];
    let index = index_of([&table(
        entries().into_iter().chain([("x-match", text("any"))]),
    )]);
    let mut octets = Vec::new();
    encode_table(&table(entries()), &mut octets);
    let (mut queues, mut exchanges) = (Vec::new(), Vec::new());
    let mut collector = Collector {
        queues: &mut queues,
        exchanges: &mut exchanges,
        sets: 0,
    };
    let headers = RawTable::parse(&octets).ok();
    index.collect(headers, &mut HeadersScratch::default(), &mut collector);
    assert_eq!((collector.sets, queues), (1, vec![0]));
}

#[test]
fn nested_tables_match_in_any_order() {
    let inner = table([("a", AMQPValue::LongInt(1)), ("b", AMQPValue::LongInt(2))]);
    let index = index_of([&table([("t", AMQPValue::FieldTable(inner))])]);
    let headers = b"\x01tF\x00\x00\x00\x0e\x01bI\x00\x00\x00\x02\x01aI\x00\x00\x00\x01";
    assert_eq!(
        collect(&index, Some(headers), &mut HeadersScratch::default()),
        [0]
    );
}

#[test]
fn refusals_have_the_texts_of_rabbitmq() {
    let refusal = |value| {
        check_arguments(&table([("x-match", value)]))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(text("bogus")),
        r#"Invalid x-match field value <<"bogus">>; expected all, any, all-with-x, or any-with-x"#
    );
    assert_eq!(
        refusal(AMQPValue::LongInt(5)),
        "Invalid x-match field type signedint (value 5); expected longstr"
    );
    for mode in ["all", "any", "all-with-x", "any-with-x"] {
        assert_eq!(check_arguments(&table([("x-match", text(mode))])), Ok(()));
    }
    assert_eq!(check_arguments(&table([])), Ok(()));
}

/// Whether RabbitMQ's `==` holds, by a way of its own: numbers as exact decimal texts.
fn naive_equal(one: &AMQPValue, other: &AMQPValue) -> bool {
    match (naive_number(one), naive_number(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => match (naive_octets(one), naive_octets(other)) {
            (Some(one), Some(other)) => one == other,
            (None, None) => *one != AMQPValue::Void && one == other,
            _ => false,
        },
        _ => false,
    }
}

fn naive_number(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(value) => value.to_string(),
        // Adding zero makes -0 into 0.
        AMQPValue::Float(value) => (f64::from(*value) + 0.0).to_string(),
        AMQPValue::Double(value) => (value + 0.0).to_string(),
        _ => return None,
    })
}

fn naive_octets(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(octets) => Some(octets.as_bytes()),
        AMQPValue::ByteArray(octets) => Some(octets.as_slice()),
        _ => None,
    }
}

fn naive_match(rule: &FieldTable, headers: &FieldTable) -> bool {
    let mode = match rule.inner().get("x-match") {
        Some(AMQPValue::LongString(mode)) => mode.to_string(),
        _ => "all".into(),
    };
    let mut met = rule
        .into_iter()
        .filter(|(key, _)| {
            key.as_str() != "x-match"
                && (mode.ends_with("-with-x") || !key.as_str().starts_with("x-"))
        })
        .map(|(key, wanted)| {
            let given = headers.inner().get(key.as_str());
            given.is_some_and(|given| *wanted == AMQPValue::Void || naive_equal(wanted, given))
        });
    if mode.starts_with("any") {
        met.any(|met| met)
    } else {
        met.all(|met| met)
    }
}

fn value() -> impl Strategy<Value = AMQPValue> {
    let mut values: Vec<AMQPValue> = groups().into_iter().flatten().collect();
    values.push(AMQPValue::Void);
    // A few values that meet often, and all others.
    prop_oneof![
        3 => prop::sample::select(vec![
            AMQPValue::LongInt(1),
            AMQPValue::Double(1.0),
            AMQPValue::Void,
            text("1"),
        ]),
        1 => prop::sample::select(values),
    ]
}

fn entries() -> impl Strategy<Value = FieldTable> {
    let key = prop::sample::select(vec!["a", "b", "c", "d", "x-a", "x-b"]);
    prop::collection::vec((key, value()), 0..6).prop_map(table)
}

fn rule() -> impl Strategy<Value = FieldTable> {
    let mode = prop::option::of(prop::sample::select(vec![
        "all",
        "any",
        "all-with-x",
        "any-with-x",
    ]));
    (entries(), mode).prop_map(|(mut entries, mode)| {
        if let Some(mode) = mode {
            entries.insert("x-match".into(), text(mode));
        }
        entries
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_index_matches_what_rabbitmq_does(
        rules in prop::collection::vec(rule(), 1..24),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        messages in prop::collection::vec(entries(), 1..24),
    ) {
        let mut index = index_of(&rules);
        let mut bound: Vec<usize> = (0..rules.len()).collect();
        for place in removed {
            if bound.is_empty() {
                break;
            }
            let number = bound.swap_remove(place.index(bound.len()));
            index.remove(&rules[number], Target::Queue(number));
        }
        bound.sort_unstable();
        for headers in &messages {
            let expected: Vec<usize> = bound
                .iter()
                .copied()
                .filter(|number| naive_match(&rules[*number], headers))
                .collect();
            prop_assert_eq!(matches(&index, headers), expected, "{:?} in {:?}", headers, &rules);
        }
        for number in bound {
            index.remove(&rules[number], Target::Queue(number));
        }
        prop_assert!(index.always.is_empty());
        prop_assert_eq!((index.keys.len(), index.rule_numbers.len()), (0, 0));
        prop_assert_eq!((index.terms.len(), index.rules.len(), index.key_marks.len()), (0, 0, 0));
    }
}
