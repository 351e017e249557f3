use amq_protocol::protocol::basic::AMQPProperties;
use proptest::prelude::*;

use super::*;
use crate::rewrite::rewrite_expiration;
use crate::samples::{header_payload, mutated, octets, properties};

fn plain(body: &[u8]) -> Message {
    let header = header_payload(&AMQPProperties::default(), body.len() as u64);
    Message::from_parts(b"ex", b"key", &header, body.into()).unwrap()
}

fn stored(message: &Message) -> Bytes {
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out.len(), message.encoded_len());
    out.into()
}

#[test]
fn a_small_body_is_copied_and_a_large_one_kept() {
    let header = header_payload(&AMQPProperties::default(), 0);
    for (len, kept) in [(INLINE_BODY_MAX, false), (INLINE_BODY_MAX + 1, true)] {
        let body = Bytes::from(vec![5; len]);
        let message = Message::new(&[0, 0], &header, body.clone().into());
        assert_eq!(message.body(), &body[..]);
        assert_eq!(message.body().as_ptr() == body.as_ptr(), kept);
        assert_eq!(message.body_bytes(), body);
        assert_eq!(message.body_bytes().as_ptr() == body.as_ptr(), kept);
        assert!(message.memory() >= len + header.len());
    }
}

#[test]
fn a_clone_is_the_same_message_and_a_copy_is_not() {
    let message = plain(b"body");
    assert!(message.same_as(&message.clone()));
    let copy = plain(b"body");
    assert!(!message.same_as(&copy));
    assert_ne!(message.identity(), copy.identity());
}

#[test]
fn edited_copies_share_a_large_body() {
    let message = plain(&vec![1; 100_000]);
    let routed = message.with_routing(b"dlx", b"dead").unwrap();
    assert_eq!(routed.exchange(), b"dlx");
    assert_eq!(routed.routing_key(), b"dead");
    assert_eq!(routed.header(), message.header());
    assert_eq!(routed.body().as_ptr(), message.body().as_ptr());

    let header = rewrite_expiration(message.header(), Some(b"60")).unwrap();
    let expiring = message.with_header(&header);
    assert!(expiring.has_expiration() && !message.has_expiration());
    assert_eq!(expiring.routing(), message.routing());
    assert_eq!(expiring.body().as_ptr(), message.body().as_ptr());
}

#[test]
fn names_over_255_octets_are_refused() {
    let long = [b'a'; 256];
    let message = plain(b"");
    assert!(message.with_routing(&long[..255], &long[..255]).is_ok());
    for (exchange, key) in [(&long[..], &b""[..]), (b"", &long)] {
        let error = message.with_routing(exchange, key).unwrap_err();
        assert_eq!(error, MessageError::NameTooLong);
        assert!(Message::from_parts(exchange, key, &[], b""[..].into()).is_err());
    }
}

#[test]
fn parts_that_are_none_count_as_empty() {
    for routing in [&[][..], &[1], &[0, 0, 0], &[5, 1, 2]] {
        let message = Message::new(routing, &[1, 2, 3], b"body"[..].into());
        assert_eq!(message.routing(), [0, 0]);
        assert_eq!(
            (message.exchange(), message.routing_key()),
            (&[][..], &[][..])
        );
        assert_eq!(message.header(), [1, 2, 3]);
        assert_eq!(message.body(), b"body");
        assert_eq!(message.properties(), Properties::default());
        assert!(!message.is_persistent());
    }
}

#[test]
fn delivery_modes_are_sorted_out_at_once() {
    let with_mode = |mode| {
        let properties = AMQPProperties::default().with_delivery_mode(mode);
        Message::new(&[0, 0], &header_payload(&properties, 0), b""[..].into())
    };
    for (mode, persistent, unknown) in [
        (0, false, true),
        (1, false, false),
        (2, true, false),
        (3, false, true),
    ] {
        assert_eq!(with_mode(mode).is_persistent(), persistent);
        assert_eq!(with_mode(mode).has_unknown_delivery_mode(), unknown);
    }
    assert!(!plain(b"").has_unknown_delivery_mode());
}

#[test]
fn a_message_shows_no_body_in_logs() {
    let shown = format!("{:?}", plain(b"secret"));
    assert!(
        shown.contains("ex") && shown.contains("body_octets: 6"),
        "{shown}"
    );
    assert!(!shown.contains("secret"));
}

#[test]
fn a_stored_large_body_is_read_by_reference() {
    let stored = stored(&plain(&vec![9; 10_000]));
    let read = Message::decode(stored.clone()).unwrap();
    assert_eq!(
        read.body().as_ptr(),
        stored[stored.len() - 10_000..].as_ptr()
    );
}

#[test]
fn stored_octets_that_do_not_add_up_are_refused() {
    let octets = stored(&plain(b"body"));
    for end in 0..octets.len() {
        let error = Message::decode(octets.slice(..end)).unwrap_err();
        assert_eq!(error, MessageError::StoredLength);
    }
    let mut longer = octets.to_vec();
    longer.push(0);
    let error = Message::decode(longer.into()).unwrap_err();
    assert_eq!(error, MessageError::StoredLength);
    let mut routing = octets.to_vec();
    routing[10] = 200;
    let error = Message::decode(routing.into()).unwrap_err();
    assert_eq!(error, MessageError::Routing);
    let short_header = [0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9];
    let error = Message::decode(Bytes::copy_from_slice(&short_header)).unwrap_err();
    assert_eq!(error, MessageError::Header(ContentError::Truncated));
    let huge = [255; 10];
    let error = Message::decode(Bytes::copy_from_slice(&huge)).unwrap_err();
    assert_eq!(error, MessageError::StoredLength);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_message_gives_back_its_parts(
        exchange in octets(255),
        key in octets(255),
        properties in properties(),
        body in prop_oneof![octets(200), Just(vec![7; 4096]), Just(vec![8; 20_000])],
    ) {
        let header = header_payload(&properties, body.len() as u64);
        let made = Message::from_parts(&exchange, &key, &header, body[..].into()).unwrap();
        for message in [made.clone(), Message::decode(stored(&made)).unwrap()] {
            prop_assert_eq!(message.exchange(), &exchange[..]);
            prop_assert_eq!(message.routing_key(), &key[..]);
            prop_assert_eq!(message.header(), &header[..]);
            prop_assert_eq!(message.body(), &body[..]);
            prop_assert_eq!(message.memory(), made.memory());
            prop_assert_eq!(message.priority(), properties.priority().unwrap_or(0));
            prop_assert_eq!(message.is_persistent(), *properties.delivery_mode() == Some(2));
            prop_assert_eq!(message.has_headers(), properties.headers().is_some());
            prop_assert_eq!(message.has_expiration(), properties.expiration().is_some());
            prop_assert_eq!(message.has_reply_to(), properties.reply_to().is_some());
            prop_assert_eq!(message.has_user_id(), properties.user_id().is_some());
            let id = properties.message_id().as_ref().map(|id| id.as_str().as_bytes());
            prop_assert_eq!(message.properties().message_id(), id);
        }
    }

    #[test]
    fn mutated_stored_messages_never_panic(
        stored in mutated((properties(), octets(20)).prop_map(|(properties, body)| {
            let header = header_payload(&properties, body.len() as u64);
            stored(&Message::from_parts(b"e", b"k", &header, body[..].into()).unwrap()).to_vec()
        })),
    ) {
        if let Ok(message) = Message::decode(stored.clone().into()) {
            let properties = message.properties();
            prop_assert!(properties.iter().count() <= 14);
            let mut again = Vec::new();
            message.encode(&mut again);
            prop_assert_eq!(again, stored);
        }
    }
}
