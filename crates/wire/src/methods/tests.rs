use amq_protocol::frame::parse_frame;
use amq_protocol::protocol::{channel, confirm, tx};
use amq_protocol::types::{AMQPValue, ShortString};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::samples::{frame_octets, mutated, nested_tables, octets, payload, short_string, table};

fn method_payload(method: &AMQPClass) -> Vec<u8> {
    payload(&frame_octets(&AMQPFrame::Method(1, method.clone()))).to_vec()
}

/// Every method, with zeros for arguments.
fn all_methods() -> impl Iterator<Item = (u16, u16, Option<AMQPClass>, usize)> {
    (0..120_u16).flat_map(|class| {
        (0..140_u16).map(move |method| {
            let mut octets = [class.to_be_bytes(), method.to_be_bytes()].concat();
            octets.extend([0; 64]);
            match parse_class(octets.as_slice()) {
                Ok((rest, parsed)) => (class, method, Some(parsed), 64 - rest.len()),
                Err(_) => (class, method, None, 0),
            }
        })
    })
}

#[test]
fn the_layouts_are_those_of_amq_protocol() {
    let mut known = 0;
    for (class, method, parsed, zeros) in all_methods() {
        assert_eq!(
            layout(class, method).is_some(),
            parsed.is_some(),
            "{class}/{method}"
        );
        let Some(parsed) = parsed else { continue };
        known += 1;
        let mut payload = [class.to_be_bytes(), method.to_be_bytes()].concat();
        payload.resize(4 + zeros, 0);
        assert_eq!(parse_method(&payload), Ok(parsed), "{class}/{method}");
        payload.push(0);
        assert!(
            matches!(parse_method(&payload), Err(MethodError::Undecodable { .. })),
            "{class}/{method} with a trailing octet"
        );
    }
    assert_eq!(known, 66);
}

#[test]
fn unknown_methods_are_named() {
    let error = parse_method(&[0, 60, 0, 99, 1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "unknown class/method 60/99");
    assert_eq!(error.method_id(), (60, 99));
    assert_eq!(
        parse_method(&[255, 255, 0, 10]).unwrap_err().method_id(),
        (65_535, 10)
    );
}

#[test]
fn a_payload_without_room_for_the_ids_is_an_unknown_frame() {
    let error = parse_method(&[0, 60, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "type 1, all octets = <<0,60,0>>: unknown_frame"
    );
    assert_eq!(error.method_id(), (0, 0));
    assert_eq!(method_id(&[0, 60, 0]), None);
    assert_eq!(method_id(&[0, 60, 0, 40, 9]), Some((60, 40)));
}

#[test]
fn cut_arguments_are_shown() {
    // queue.declare with a name that is announced longer than it is
    let error = parse_method(&[0, 50, 0, 10, 0, 0, 5, b'a']).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode <<0,0,5,97>>");
    assert_eq!(error.method_id(), (50, 10));
}

#[test]
fn short_strings_must_be_utf8() {
    let error = parse_method(&[0, 50, 0, 30, 0, 0, 1, 0xFF, 0]).unwrap_err();
    assert_eq!(error.to_string(), "Malformed UTF-8 in shortstr");
    assert!(
        parse_method(&[0, 50, 0, 30, 0, 0, 1, 0, 0]).is_ok(),
        "NUL is UTF-8"
    );
}

/// `queue.declare` of queue `q` with that table content.
fn declare_with(content: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 50, 0, 10, 0, 0, 1, b'q', 0];
    payload.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    payload.extend(content);
    payload
}

fn table_error(content: &[u8]) -> TableError {
    match parse_method(&declare_with(content)) {
        Err(MethodError::FieldTable {
            class: 50,
            method: 10,
            error,
        }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn broken_tables_are_refused_with_their_method() {
    assert_eq!(
        table_error(b"\x01aU\0\0"),
        TableError::UnknownTag { tag: b'U' }
    );
    assert_eq!(table_error(b"\x01a"), TableError::Truncated);
    assert_eq!(table_error(b"\x01\xFFV"), TableError::KeyNotUtf8);
    let nested = nested_tables(18_000);
    assert_eq!(table_error(&nested), TableError::TooDeep { max: 64 });
}

#[test]
fn the_first_of_duplicate_keys_counts() {
    let method = parse_method(&declare_with(b"\x01aB\x01\x01aB\x02")).unwrap();
    let AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) = method else {
        panic!("{method:?}");
    };
    assert_eq!(
        declare.arguments.inner().get("a"),
        Some(&AMQPValue::ShortShortUInt(1))
    );
}

fn method() -> impl Strategy<Value = AMQPClass> {
    let bits = vec(any::<bool>(), 5);
    let names = vec(short_string(), 3);
    (names, bits, table(), any::<u32>(), 0..10_u8, octets(30)).prop_map(
        |(names, bits, arguments, number, which, secret)| {
            let [a, b, c]: [ShortString; 3] = names.try_into().unwrap();
            match which {
                0 => AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
                    queue: a,
                    passive: bits[0],
                    durable: bits[1],
                    exclusive: bits[2],
                    auto_delete: bits[3],
                    nowait: bits[4],
                    arguments,
                })),
                1 => AMQPClass::Queue(queue::AMQPMethod::Unbind(queue::Unbind {
                    queue: a,
                    exchange: b,
                    routing_key: c,
                    arguments,
                })),
                2 => AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
                    queue: a,
                    exchange: b,
                    routing_key: c,
                    nowait: bits[0],
                    arguments,
                })),
                3 => AMQPClass::Exchange(exchange::AMQPMethod::Bind(exchange::Bind {
                    destination: a,
                    source: b,
                    routing_key: c,
                    nowait: bits[0],
                    arguments,
                })),
                4 => AMQPClass::Exchange(exchange::AMQPMethod::Unbind(exchange::Unbind {
                    destination: a,
                    source: b,
                    routing_key: c,
                    nowait: bits[0],
                    arguments,
                })),
                5 => AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
                    exchange: a,
                    kind: b,
                    passive: bits[0],
                    durable: bits[1],
                    auto_delete: bits[2],
                    internal: bits[3],
                    nowait: bits[4],
                    arguments,
                })),
                6 => AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
                    queue: a,
                    consumer_tag: b,
                    no_local: bits[0],
                    no_ack: bits[1],
                    exclusive: bits[2],
                    nowait: bits[3],
                    arguments,
                })),
                7 => AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
                    client_properties: arguments,
                    mechanism: a,
                    response: secret.into(),
                    locale: b,
                })),
                8 => AMQPClass::Connection(connection::AMQPMethod::Start(connection::Start {
                    version_major: 0,
                    version_minor: 9,
                    server_properties: arguments,
                    mechanisms: secret.into(),
                    locales: "en_US".into(),
                })),
                _ => AMQPClass::Queue(queue::AMQPMethod::DeclareOk(queue::DeclareOk {
                    queue: a,
                    message_count: number,
                    consumer_count: 7,
                })),
            }
        },
    )
}

#[test]
fn methods_without_arguments_round_trip() {
    for method in [
        AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
        AMQPClass::Tx(tx::AMQPMethod::CommitOk(tx::CommitOk {})),
        AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {})),
        AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {})),
    ] {
        let mut out = OutputBuffer::new();
        encode_method(&mut out, 9, &method);
        assert_eq!(parse_method(payload(&out.to_vec())), Ok(method));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn methods_read_as_amq_protocol_wrote_them(method in method()) {
        prop_assert_eq!(parse_method(&method_payload(&method)), Ok(method));
    }

    #[test]
    fn written_methods_are_read_by_amq_protocol(channel in any::<u16>(), method in method()) {
        let mut out = OutputBuffer::new();
        encode_method(&mut out, channel, &method);
        let octets = out.to_vec();
        let (rest, frame) = parse_frame(octets.as_slice()).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(frame, AMQPFrame::Method(channel, method));
    }

    #[test]
    fn what_is_taken_amq_protocol_takes_too(
        payload in mutated(method().prop_map(|method| method_payload(&method))),
    ) {
        if let Ok(method) = parse_method(&payload) {
            let (rest, theirs) = parse_class(payload.as_slice()).unwrap();
            prop_assert!(rest.is_empty());
            let ids = (method.get_amqp_class_id(), method.get_amqp_method_id());
            prop_assert_eq!(ids, (theirs.get_amqp_class_id(), theirs.get_amqp_method_id()));
        }
    }
}
