use amq_protocol::frame::AMQPFrame;
use proptest::prelude::*;

use super::*;
use crate::frame::FrameHeader;
use crate::samples::{header_payload, mutated, nested_tables, octets, properties, read_frames};

/// The seven octets before a content header payload of that length, for channel 1.
fn envelope(payload_len: usize) -> [u8; 7] {
    let envelope = FrameHeader {
        kind: 2,
        channel: 1,
        size: u32::try_from(payload_len).unwrap(),
    };
    envelope.octets()
}

/// A content header with those flags and property octets.
fn header(flags: u16, values: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    payload.extend(flags.to_be_bytes());
    payload.extend(values);
    payload
}

#[test]
fn the_fields_stand_where_amqp_puts_them() {
    let payload = [0, 60, 1, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0x90, 0, 1, b'a', 2];
    let header = parse_content_header(&payload).unwrap();
    assert_eq!(header.class, 60);
    assert_eq!(header.weight, 0x0102);
    assert_eq!(header.body_size, 256);
    assert_eq!(header.flags, 0x9000);
    assert_eq!(header.properties, [1, b'a', 2]);
    assert_eq!(header.raw, payload);
    assert_eq!(header.properties().content_type(), Some(&b"a"[..]));
    assert_eq!(header.properties().delivery_mode(), Some(2));
}

#[test]
fn the_lowest_flag_is_refused_and_the_second_lowest_ignored() {
    assert_eq!(
        parse_content_header(&header(0x0001, &[])),
        Err(ContentError::Continuation)
    );
    assert!(parse_content_header(&header(0x1002, &[1])).is_ok());
}

#[test]
fn properties_must_use_all_octets_and_no_more() {
    assert_eq!(
        parse_content_header(&header(0x1000, &[1, 0])),
        Err(ContentError::Trailing)
    );
    for (flags, values) in [
        (0x1000, &[][..]),
        (0x8000, &[2, 1]),
        (0x0040, &[0; 7]),
        (0x2000, &[0, 0, 0]),
        (0x2000, &[0, 0, 0, 1]),
    ] {
        assert_eq!(
            parse_content_header(&header(flags, values)),
            Err(ContentError::Truncated)
        );
    }
    assert_eq!(
        parse_content_header(&header(0, &[])[..13]),
        Err(ContentError::Truncated)
    );
}

#[test]
fn the_headers_table_is_checked() {
    let with_headers = |content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        header(0x2000, &[&length[..], content].concat())
    };
    assert!(parse_content_header(&with_headers(&nested_tables(64))).is_ok());
    assert_eq!(
        parse_content_header(&with_headers(&nested_tables(18_000))),
        Err(ContentError::Headers(TableError::TooDeep { max: 64 }))
    );
    assert_eq!(
        parse_content_header(&with_headers(b"\x01aU\0\0")),
        Err(ContentError::Headers(TableError::UnknownTag { tag: b'U' }))
    );
    let limits = TableLimits {
        depth: 2,
        ..TableLimits::default()
    };
    let three = with_headers(&nested_tables(3));
    assert_eq!(
        parse_content_header_with(&three, &limits),
        Err(ContentError::Headers(TableError::TooDeep { max: 2 }))
    );
}

#[test]
fn the_flag_masks_are_those_of_the_properties() {
    for property in Property::of_flags(u16::MAX) {
        let shape = property.shape();
        assert_eq!(
            SHORT_STRINGS & property.flag() != 0,
            shape == Shape::ShortStr
        );
        assert_eq!(OCTETS & property.flag() != 0, shape == Shape::Octet);
        assert_ne!(ALL_PROPERTIES & property.flag(), 0);
    }
    assert_eq!(ALL_PROPERTIES, !0b11);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn headers_written_by_amq_protocol_are_read(
        properties in properties(),
        body_size in any::<u64>(),
    ) {
        let payload = header_payload(&properties, body_size);
        let header = parse_content_header(&payload).unwrap();
        prop_assert_eq!(header.class, 60);
        prop_assert_eq!(header.body_size, body_size);
        prop_assert_eq!(header.raw, &payload[..]);
        for end in 0..payload.len() {
            prop_assert!(parse_content_header(&payload[..end]).is_err());
        }
    }

    #[test]
    fn what_is_taken_amq_protocol_takes_too(
        payload in mutated(properties().prop_map(|properties| header_payload(&properties, 5))),
    ) {
        let Ok(header) = parse_content_header(&payload) else { return Ok(()) };
        let names_are_utf8 = header.properties().iter().all(|(property, content)| {
            property.shape() != Shape::ShortStr || std::str::from_utf8(content).is_ok()
        });
        let keys_are_utf8 = header.properties().headers().is_none_or(|headers| {
            let strict = TableLimits { utf8_keys: true, ..TableLimits::default() };
            check_table(headers.as_bytes(), &strict).is_ok()
        });
        if names_are_utf8 && keys_are_utf8 {
            let frames = read_frames(&[&envelope(payload.len()), &payload[..], &[0xCE]].concat());
            let [AMQPFrame::Header(1, theirs)] = &frames[..] else {
                panic!("{frames:?}");
            };
            prop_assert_eq!(theirs.body_size, header.body_size);
        }
    }

    #[test]
    fn any_octets_are_taken_whole_or_refused(payload in octets(60)) {
        if let Ok(header) = parse_content_header(&payload) {
            let used: usize = header.properties().iter().map(|(property, content)| {
                content.len() + match property.shape() {
                    Shape::ShortStr => 1,
                    Shape::Table => 4,
                    Shape::Octet | Shape::Timestamp => 0,
                }
            }).sum();
            prop_assert_eq!(used, header.properties.len());
        }
    }
}
