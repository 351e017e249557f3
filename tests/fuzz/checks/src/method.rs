//! The payload of a method frame.

use amq_protocol::protocol::{basic, parse_class};
use leveret_wire::{
    AMQPClass, FieldTable, FrameKind, OutputBuffer, cut, encode_method, parse_ack, parse_method,
    parse_nack, parse_publish, parse_reject, split_method,
};

use crate::allocation::bounded;
use crate::frame::drain;

/// Octets that a value of one octet (a void in an array) may come to.
const PER_OCTET: u64 = 192;

/// The input: a payload.
pub fn check(payload: &[u8]) {
    let parsed = bounded(payload.len(), PER_OCTET, || parse_method(payload));
    check_short_forms(payload, parsed.as_ref().ok());
    let Ok(method) = parsed else {
        return;
    };
    let (class, id, _) = split_method(payload).unwrap();
    assert_eq!(
        (method.get_amqp_class_id(), method.get_amqp_method_id()),
        (class, id)
    );
    // Octets, not values: a number that is none is not equal to itself.
    let first = encoded(&method);
    let again = parse_method(&first).unwrap();
    assert_eq!(encoded(&again), first);
    if table_of(&method).is_none() {
        let (rest, other) = parse_class(payload).unwrap();
        assert!(rest.is_empty());
        assert_eq!(other, method);
    }
}

/// The payload that a method is written as.
fn encoded(method: &AMQPClass) -> Vec<u8> {
    let mut out = OutputBuffer::new();
    encode_method(&mut out, 7, method);
    let octets = drain(&mut out);
    let frame = cut(&octets, u32::MAX).unwrap().unwrap();
    assert_eq!((frame.kind, frame.channel), (FrameKind::Method, 7));
    assert_eq!(frame.encoded_len(), octets.len());
    frame.payload.to_vec()
}

/// The forms without a copy read what the general one reads, and refuse what it refuses; but that names in a publish
/// may be any octets.
fn check_short_forms(payload: &[u8], method: Option<&AMQPClass>) {
    let Some((60, id, arguments)) = split_method(payload) else {
        return;
    };
    let method = match method {
        Some(AMQPClass::Basic(method)) => Some(method),
        _ => None,
    };
    match id {
        40 => {
            let publish = bounded(0, 0, || parse_publish(arguments)).ok();
            if let Some(basic::AMQPMethod::Publish(other)) = method {
                let publish = publish.unwrap();
                assert_eq!(publish.exchange(), other.exchange.as_str().as_bytes());
                assert_eq!(publish.routing_key(), other.routing_key.as_str().as_bytes());
                let flags = (publish.mandatory, publish.immediate);
                assert_eq!(flags, (other.mandatory, other.immediate));
            } else if let Some(publish) = publish {
                let names = [publish.exchange(), publish.routing_key()];
                assert!(names.iter().any(|name| std::str::from_utf8(name).is_err()));
            }
        }
        80 => {
            let ack = parse_ack(arguments).ok();
            let other = method.map(|method| match method {
                basic::AMQPMethod::Ack(ack) => (ack.delivery_tag, ack.multiple),
                other => panic!("{other:?} is no ack"),
            });
            assert_eq!(ack.map(|ack| (ack.delivery_tag, ack.multiple)), other);
        }
        90 => {
            let reject = parse_reject(arguments).ok();
            let other = method.map(|method| match method {
                basic::AMQPMethod::Reject(reject) => (reject.delivery_tag, reject.requeue),
                other => panic!("{other:?} is no reject"),
            });
            assert_eq!(
                reject.map(|reject| (reject.delivery_tag, reject.requeue)),
                other
            );
        }
        120 => {
            let nack = parse_nack(arguments).ok();
            let other = method.map(|method| match method {
                basic::AMQPMethod::Nack(nack) => (nack.delivery_tag, nack.multiple, nack.requeue),
                other => panic!("{other:?} is no nack"),
            });
            let fields = nack.map(|nack| (nack.delivery_tag, nack.multiple, nack.requeue));
            assert_eq!(fields, other);
        }
        _ => {}
    }
}

/// The table among a method's arguments: amq-protocol reads those by recursion, and the last of several equal keys.
fn table_of(method: &AMQPClass) -> Option<&FieldTable> {
    use amq_protocol::protocol::{connection, exchange, queue};
    match method {
        AMQPClass::Basic(basic::AMQPMethod::Consume(method)) => Some(&method.arguments),
        AMQPClass::Connection(connection::AMQPMethod::Start(method)) => {
            Some(&method.server_properties)
        }
        AMQPClass::Connection(connection::AMQPMethod::StartOk(method)) => {
            Some(&method.client_properties)
        }
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(method)) => Some(&method.arguments),
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(method)) => Some(&method.arguments),
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(method)) => Some(&method.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Declare(method)) => Some(&method.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Bind(method)) => Some(&method.arguments),
        AMQPClass::Queue(queue::AMQPMethod::Unbind(method)) => Some(&method.arguments),
        _ => None,
    }
}
