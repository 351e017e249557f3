use amq_protocol::types::parsing::parse_field_table;
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};
use proptest::prelude::*;

use super::*;
use crate::samples::{mutated, nested_tables, octets, table, table_content};

/// One entry with the key `k`.
fn entry(value: &[u8]) -> Vec<u8> {
    [b"\x01k", value].concat()
}

fn read_one(value: &[u8]) -> RawValue<'static> {
    let content: &'static [u8] = entry(value).leak();
    RawTable::parse(content).unwrap().get(b"k").unwrap()
}

#[test]
fn values_are_coded_as_rabbitmq_codes_them() {
    let cases: [(&[u8], RawValue<'static>, &str); 17] = [
        (b"t\x07", RawValue::Bool(true), "bool"),
        (b"t\x00", RawValue::Bool(false), "bool"),
        (b"b\xFF", RawValue::I8(-1), "byte"),
        (b"B\xFF", RawValue::U8(255), "unsignedbyte"),
        (b"s\xFF\xFE", RawValue::I16(-2), "short"),
        (b"u\xFF\xFE", RawValue::U16(65_534), "unsignedshort"),
        (b"I\xFF\xFF\xFF\xFE", RawValue::I32(-2), "signedint"),
        (
            b"i\xFF\xFF\xFF\xFE",
            RawValue::U32(u32::MAX - 1),
            "unsignedint",
        ),
        (
            b"l\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE",
            RawValue::I64(-2),
            "long",
        ),
        (
            b"L\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE",
            RawValue::I64(-2),
            "long",
        ),
        (b"f\x3F\x80\x00\x00", RawValue::F32(1.0), "float"),
        (b"d\x3F\xF0\0\0\0\0\0\0", RawValue::F64(1.0), "double"),
        (
            b"D\x02\xFF\xFF\xFF\xFF",
            RawValue::Decimal {
                scale: 2,
                value: u32::MAX,
            },
            "decimal",
        ),
        (
            b"S\0\0\0\x02\xFF\x00",
            RawValue::LongString(&[255, 0]),
            "longstr",
        ),
        (b"x\0\0\0\x01z", RawValue::ByteArray(b"z"), "binary"),
        (b"T\0\0\0\0\0\0\0\x05", RawValue::Timestamp(5), "timestamp"),
        (b"V", RawValue::Void, "void"),
    ];
    for (octets, value, name) in cases {
        assert_eq!(read_one(octets), value, "{octets:?}");
        assert_eq!(value.type_name(), name);
        let table = RawTable::parse(entry(octets).leak())
            .unwrap()
            .to_field_table();
        assert_eq!(type_name(&table.inner()["k"]), name);
    }
    let array = read_one(b"A\0\0\0\x03B\x01V");
    assert_eq!(array.type_name(), "array");
    let items: Vec<_> = array.as_array().unwrap().iter().collect();
    assert_eq!(items, [RawValue::U8(1), RawValue::Void]);
    let inner = read_one(b"F\0\0\0\x03\x01aV");
    assert_eq!(inner.type_name(), "table");
    assert_eq!(inner.as_table().unwrap().get(b"a"), Some(RawValue::Void));
}

#[test]
fn tags_that_rabbitmq_does_not_know_are_refused() {
    let known = b"AbBdDfFIiLlsStTuVx";
    for tag in 0..=255_u8 {
        let mut value = vec![tag];
        value.extend([0; 8]);
        let result = check_table(&entry(&value), &TableLimits::default());
        let unknown = matches!(result, Err(TableError::UnknownTag { tag: told }) if told == tag);
        assert_eq!(unknown, !known.contains(&tag), "{}", tag as char);
    }
}

#[test]
fn tables_nest_sixty_four_levels_and_no_more() {
    let limits = TableLimits::default();
    assert_eq!(check_table(&nested_tables(64), &limits), Ok(()));
    for levels in [65, 18_000] {
        assert_eq!(
            check_table(&nested_tables(levels), &limits),
            Err(TableError::TooDeep { max: 64 })
        );
    }
    // Arrays count too: an array of arrays.
    let mut content = b"\x00A\0\0\x01\x3b".to_vec();
    for inner in (0..63_u32).rev() {
        content.extend(b"A");
        content.extend((inner * 5).to_be_bytes());
    }
    assert_eq!(
        check_table(&content, &limits),
        Err(TableError::TooDeep { max: 64 })
    );
}

#[test]
fn no_limit_goes_over_the_ceiling() {
    let limits = TableLimits {
        depth: usize::MAX,
        ..TableLimits::default()
    };
    assert_eq!(check_table(&nested_tables(512), &limits), Ok(()));
    assert_eq!(
        check_table(&nested_tables(513), &limits),
        Err(TableError::TooDeep { max: 512 })
    );
}

#[test]
fn entries_count_on_all_levels() {
    let limits = TableLimits {
        entries: 4,
        ..TableLimits::default()
    };
    // An array of three and one more entry make five.
    let four = b"\x01aA\0\0\0\x03VVV";
    assert_eq!(check_table(four, &limits), Ok(()));
    let five = [&four[..], b"\x01bV"].concat();
    assert_eq!(
        check_table(&five, &limits),
        Err(TableError::TooManyEntries { max: 4 })
    );
}

#[test]
fn lengths_must_end_where_their_content_ends() {
    for content in [
        &b"\x05ab"[..],
        b"\x01a",
        b"\x01aS\0\0\0\x05abcd",
        b"\x01aF\xFF\xFF\xFF\xFF",
        b"\x01aF\0\0\0\x02\x01b",
        b"\x01aA\0\0\0\x02B\x01\x02",
        b"\x01aA\0\0\0\x04I\0\0\0",
        b"\x01al\0\0\0\0\0\0\0",
    ] {
        let result = check_table(content, &TableLimits::default());
        assert!(
            matches!(
                result,
                Err(TableError::Truncated | TableError::UnknownTag { .. })
            ),
            "{content:?} {result:?}"
        );
    }
}

#[test]
fn lookups_take_the_first_of_duplicate_keys() {
    let table = RawTable::parse(b"\x01aB\x01\x01bV\x01aB\x02").unwrap();
    assert_eq!(table.get(b"a"), Some(RawValue::U8(1)));
    assert_eq!(table.get(b"c"), None);
    assert_eq!(table.iter().count(), 3);
    let converted = table.to_field_table();
    assert_eq!(converted.inner()["a"], AMQPValue::ShortShortUInt(1));
}

#[test]
fn a_re_encoded_table_is_sorted_and_normal() {
    let raw = b"\x01zt\x07\x01aL\0\0\0\0\0\0\0\x05\x01mF\0\0\0\x06\x01yV\x01xV";
    let table = RawTable::parse(raw).unwrap().to_field_table();
    let mut out = b"before".to_vec();
    encode_table(&table, &mut out);
    assert_eq!(
        out,
        b"before\x01al\0\0\0\0\0\0\0\x05\x01mF\0\0\0\x06\x01xV\x01yV\x01zt\x01"
    );
}

#[test]
fn keys_that_are_not_utf8_are_shown_with_replacement_characters() {
    let mut content = vec![255];
    content.extend([0xFF; 255]);
    content.push(b'V');
    let table = RawTable::parse(&content).unwrap().to_field_table();
    let key: ShortString = "\u{FFFD}".repeat(85).into();
    assert_eq!(table.inner().get(&key), Some(&AMQPValue::Void));
    let strict = TableLimits {
        utf8_keys: true,
        ..TableLimits::default()
    };
    assert_eq!(
        RawTable::parse_with(&content, &strict),
        Err(TableError::KeyNotUtf8)
    );
}

#[test]
fn a_death_entry_keeps_its_order_until_it_is_sorted() {
    let mut keys = ArrayBuilder::new();
    keys.push(&RawValue::LongString(b"k1"));
    let mut death = TableBuilder::new();
    death
        .put(b"count", &RawValue::I64(1))
        .put(b"reason", &RawValue::LongString(b"expired"))
        .put(b"routing-keys", &RawValue::Array(keys.as_array()))
        .put(b"exchange", &RawValue::LongString(b""));
    let order = |table: RawTable<'_>| -> Vec<Vec<u8>> {
        table.iter().map(|(key, _)| key.to_vec()).collect()
    };
    assert_eq!(
        order(death.as_table()),
        [&b"count"[..], b"reason", b"routing-keys", b"exchange"]
    );
    assert_eq!(
        order(death.sort().as_table()),
        [&b"count"[..], b"exchange", b"reason", b"routing-keys"]
    );

    let mut headers = TableBuilder::new();
    let published = RawTable::parse(b"\x02CCV\x01aB\x01\x07x-deathV").unwrap();
    let mut deaths = ArrayBuilder::new();
    deaths.push(&RawValue::Table(death.as_table()));
    headers
        .put_all_but(published, &[b"CC", b"x-death"])
        .put(b"x-death", &RawValue::Array(deaths.as_array()));
    let content = headers.into_content();
    let read = RawTable::parse(&content).unwrap();
    assert_eq!(order(read), [&b"a"[..], b"x-death"]);
    let newest = read
        .get(b"x-death")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .next();
    let newest = newest.unwrap().as_table().unwrap();
    assert_eq!(newest.get(b"count").unwrap().as_integer(), Some(1));
    assert_eq!(newest.get(b"exchange").unwrap().as_bytes(), Some(&b""[..]));
}

#[test]
fn integers_are_those_types_that_rabbitmq_takes_for_one() {
    for value in [
        RawValue::I8(5),
        RawValue::I16(5),
        RawValue::I32(5),
        RawValue::I64(5),
        RawValue::U8(5),
        RawValue::U16(5),
        RawValue::U32(5),
    ] {
        assert_eq!(value.as_integer(), Some(5));
    }
    for value in [
        RawValue::Bool(true),
        RawValue::F64(5.0),
        RawValue::Decimal { scale: 0, value: 5 },
        RawValue::Timestamp(5),
        RawValue::LongString(b"5"),
    ] {
        assert_eq!(value.as_integer(), None);
    }
}

/// Whether a key stands twice in the table or in one inside it.
fn has_duplicates(table: RawTable<'_>) -> bool {
    let mut keys: Vec<_> = table.iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
        || table.iter().any(|(_, value)| value_has_duplicates(value))
}

fn value_has_duplicates(value: RawValue<'_>) -> bool {
    match value {
        RawValue::Table(table) => has_duplicates(table),
        RawValue::Array(array) => array.iter().any(value_has_duplicates),
        _ => false,
    }
}

fn with_length(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&length.to_be_bytes(), content].concat()
}

fn theirs(content: &[u8]) -> Option<FieldTable> {
    let octets = with_length(content);
    let (rest, table) = parse_field_table(octets.as_slice()).ok()?;
    assert!(rest.is_empty());
    Some(table)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn tables_read_and_write_as_amq_protocol_does(table in table()) {
        let content = table_content(&table);
                let mut out = Vec::new();
        encode_table(&table, &mut out);
        prop_assert_eq!(&out, &content);
        prop_assert_eq!(RawTable::parse(&content).unwrap().to_field_table(), table);
    }

    #[test]
    fn the_checker_agrees_with_amq_protocol(content in mutated(table().prop_map(|t| table_content(&t)))) {
        let limits = TableLimits { utf8_keys: true, ..TableLimits::default() };
        match RawTable::parse_with(&content, &limits) {
            Ok(raw) => {
                let theirs = theirs(&content).unwrap();
                if !has_duplicates(raw) {
                    // Compared as octets: a NaN does not equal itself.
                    prop_assert_eq!(table_content(&raw.to_field_table()), table_content(&theirs));
                }
            }
            // The one tag that they take and RabbitMQ does not.
            Err(TableError::UnknownTag { tag: b'U' }) => {}
            Err(_) => prop_assert_eq!(theirs(&content), None),
        }
    }

    #[test]
    fn a_builder_copies_a_table(table in table()) {
        let content = table_content(&table);
        let raw = RawTable::parse(&content).unwrap();
        let mut builder = TableBuilder::new();
        builder.put_all_but(raw, &[]);
        prop_assert_eq!(builder.as_table(), raw);
        builder.sort();
        prop_assert_eq!(builder.into_content(), content);
    }

    #[test]
    fn any_octets_are_read_up_to_the_first_broken_entry(content in octets(60)) {
        let unchecked = RawTable::checked(&content);
        let entries = unchecked.iter().count();
        prop_assert!(entries <= content.len());
        let shown = unchecked.to_field_table();
        prop_assert!(shown.inner().len() <= entries);
        prop_assert!(RawArray::checked(&content).iter().count() <= content.len());
    }
}
