use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::samples::{header_payload, mutated, octets, properties, table, table_content};

#[test]
fn a_built_header_has_its_properties_in_flag_order() {
    let payload = PropertiesBuilder::new()
        .priority(Some(3))
        .timestamp(Some(5))
        .text(Property::ContentType, Some(b"t"))
        .headers(Some(b"\x01aV"))
        .delivery_mode(Some(2))
        .build(258)
        .unwrap();
    assert_eq!(
        payload,
        b"\0\x3c\0\0\0\0\0\0\0\0\x01\x02\xb8\x40\x01t\0\0\0\x03\x01aV\x02\x03\0\0\0\0\0\0\0\x05"
    );
}

#[test]
fn a_text_over_255_octets_is_refused() {
    let text = [b'a'; 256];
    let mut builder = PropertiesBuilder::new();
    builder.text(Property::AppId, Some(&text[..255]));
    assert!(builder.build(0).is_ok());
    builder.text(Property::AppId, Some(&text));
    assert_eq!(builder.build(0), Err(ContentError::TooLong));
}

#[test]
fn a_text_is_only_put_where_a_text_stands() {
    let mut builder = PropertiesBuilder::new();
    builder.text(Property::Timestamp, Some(b"now"));
    assert_eq!(builder.build(0), PropertiesBuilder::new().build(0));
}

#[test]
fn a_broken_header_is_not_rewritten() {
    assert_eq!(
        rewrite_headers(&[0, 60], None),
        Err(ContentError::Truncated)
    );
}

/// All properties but one, as octets.
fn without(payload: &[u8], property: Property) -> Vec<(Property, Vec<u8>)> {
    let header = parse_content_header(payload).unwrap();
    let all = header
        .properties()
        .iter()
        .filter(|(found, _)| *found != property);
    all.map(|(found, content)| (found, content.to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn only_the_rewritten_property_changes(
        before in properties(),
        body_size in any::<u64>(),
        headers in option::of(table()),
        text in option::of(octets(255)),
    ) {
        let payload = header_payload(&before, body_size);
        let content = headers.as_ref().map(table_content);
        let cases = [
            (Property::Headers, content.as_deref(), rewrite_headers(&payload, content.as_deref())),
            (Property::ReplyTo, text.as_deref(), rewrite_reply_to(&payload, text.as_deref())),
            (Property::Expiration, text.as_deref(), rewrite_expiration(&payload, text.as_deref())),
        ];
        for (property, value, rewritten) in cases {
            let rewritten = rewritten.unwrap();
            let header = parse_content_header(&rewritten).unwrap();
            prop_assert_eq!(header.body_size, body_size);
            prop_assert_eq!(header.properties().content(property), value);
            prop_assert_eq!(without(&rewritten, property), without(&payload, property));
        }
    }

    #[test]
    fn putting_the_old_value_back_gives_the_old_octets(before in properties()) {
        let payload = header_payload(&before, 77);
        let properties = parse_content_header(&payload).unwrap().properties();
        let headers = properties.headers().map(|headers| headers.as_bytes());
        let stripped = rewrite_headers(&payload, None).unwrap();
        prop_assert_eq!(rewrite_headers(&stripped, headers).unwrap(), payload.clone());
        let stripped = rewrite_reply_to(&payload, None).unwrap();
        prop_assert_eq!(rewrite_reply_to(&stripped, properties.reply_to()).unwrap(), payload.clone());
        let stripped = rewrite_expiration(&payload, None).unwrap();
        let restored = rewrite_expiration(&stripped, properties.expiration()).unwrap();
        prop_assert_eq!(restored, payload);
    }

    #[test]
    fn unusual_codings_of_a_table_survive_another_rewrite(
        payload in mutated(properties().prop_map(|properties| header_payload(&properties, 5))),
    ) {
        // A bool octet 7, an `L`, keys out of order: what parses is kept octet by octet.
        if let Ok(header) = parse_content_header(&payload)
            && let Some(headers) = header.properties().headers()
        {
            let rewritten = rewrite_expiration(&payload, Some(b"1")).unwrap();
            let after = parse_content_header(&rewritten).unwrap().properties();
            prop_assert_eq!(after.headers(), Some(headers));
        }
    }
}
