use leveret_wire::{ArrayBuilder, RawTable, RawValue, TableBuilder};
use proptest::prelude::*;

use super::*;

fn death(reason: Reason, queue: &str) -> Death<'_> {
    Death {
        reason,
        queue,
        time_secs: 7,
        exchange: b"x",
        routing_keys: &[b"k"],
        expiration: None,
    }
}

fn entries(content: &[u8]) -> Vec<(String, i64)> {
    deaths(RawTable::parse(content).unwrap())
        .iter()
        .map(|entry| {
            let queue = entry.get(b"queue").unwrap().as_bytes().unwrap();
            (
                String::from_utf8_lossy(queue).into_owned(),
                entry.get(b"count").unwrap().as_integer().unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_same_death_again_is_counted_and_comes_first() {
    let first = record(&death(Reason::Expired, "a"), RawTable::default(), false);
    let second = record(
        &death(Reason::Rejected, "b"),
        RawTable::parse(&first).unwrap(),
        false,
    );
    assert_eq!(entries(&second), [("b".to_owned(), 1), ("a".to_owned(), 1)]);
    let sorted = deaths(RawTable::parse(&second).unwrap())
        .iter()
        .map(|entry| entry.iter().is_sorted_by_key(|(name, _)| name))
        .collect::<Vec<_>>();
    assert_eq!(sorted, [true, false], "all entries but the first of all");
    let later = Death {
        time_secs: 99,
        ..death(Reason::Expired, "a")
    };
    let third = record(&later, RawTable::parse(&second).unwrap(), false);
    assert_eq!(entries(&third), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    let newest = deaths(RawTable::parse(&third).unwrap())[0];
    assert_eq!(
        newest.get(b"time"),
        Some(RawValue::Timestamp(7)),
        "it tells of the first time"
    );
    assert!(newest.iter().is_sorted_by_key(|(name, _)| name));
    let table = RawTable::parse(&third).unwrap();
    assert_eq!(
        table.get(b"x-first-death-queue"),
        Some(RawValue::LongString(b"a"))
    );
    assert_eq!(
        table.get(b"x-last-death-queue"),
        Some(RawValue::LongString(b"a"))
    );
    let other_reason = record(&death(Reason::MaxLength, "a"), table, false);
    assert_eq!(entries(&other_reason).len(), 3);
}

#[test]
fn a_history_that_is_none_is_replaced() {
    let mut headers = TableBuilder::new();
    headers
        .put(b"x-death", &RawValue::I32(5))
        .put(b"CC", &RawValue::Void)
        .put(b"mine", &RawValue::Bool(true));
    let headers = headers.into_content();
    let recorded = record(
        &death(Reason::Expired, "q"),
        RawTable::parse(&headers).unwrap(),
        true,
    );
    assert_eq!(entries(&recorded), [("q".to_owned(), 1)]);
    let table = RawTable::parse(&recorded).unwrap();
    assert_eq!(table.get(b"CC"), None);
    assert_eq!(table.get(b"mine"), Some(RawValue::Bool(true)));
    assert!(table.iter().is_sorted_by_key(|(name, _)| name));
}

#[test]
fn odd_entries_do_no_harm() {
    let mut deaths = ArrayBuilder::new();
    let empty = TableBuilder::new();
    deaths
        .push(&RawValue::I32(1))
        .push(&RawValue::Table(empty.as_table()));
    let mut headers = TableBuilder::new();
    headers.put(b"x-death", &RawValue::Array(deaths.as_array()));
    let headers = headers.into_content();
    let table = RawTable::parse(&headers).unwrap();
    assert!(!is_cycle("q", Some(table)));
    let recorded = record(&death(Reason::Expired, "q"), table, false);
    assert!(is_cycle("q", Some(RawTable::parse(&recorded).unwrap())));
}

const QUEUES: [&str; 3] = ["a", "b", "c"];
const REASONS: [Reason; 4] = [
    Reason::Rejected,
    Reason::Expired,
    Reason::MaxLength,
    Reason::DeliveryLimit,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Against the rule as it is written: a queue is a cycle if it is among the deaths that
    /// came after the last reject, in the order of their last occurrence.
    #[test]
    fn cycles_are_those_without_a_reject(history in proptest::collection::vec((0..3_usize, 0..4_usize), 1..12)) {
        let mut headers = Vec::new();
        let mut order: Vec<(usize, usize)> = Vec::new();
        for (queue, reason) in history {
            headers = record(&death(REASONS[reason], QUEUES[queue]), RawTable::parse(&headers).unwrap(), false);
            order.retain(|seen| *seen != (queue, reason));
            order.insert(0, (queue, reason));
        }
        let table = RawTable::parse(&headers).unwrap();
        prop_assert_eq!(deaths(table).len(), order.len());
        for (at, name) in QUEUES.iter().enumerate() {
            let automatic = order.iter().take_while(|(_, reason)| REASONS[*reason] != Reason::Rejected);
            let expected = automatic.into_iter().any(|(queue, _)| *queue == at);
            prop_assert_eq!(is_cycle(name, Some(table)), expected);
        }
    }
}
