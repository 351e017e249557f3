//! Frames as clients send them, right and wrong.

use leveret_wire::{
    AMQPValue, FRAME_END, FieldTable, OutputBuffer, ShortString, encode_method,
    method::{AMQPClass, basic, channel, connection, queue},
};

/// The header of AMQP 0-9-1.
pub(super) const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// A content header without properties: class 60, weight 0, the size, no flags.
pub(super) fn plain_header(body_size: u64) -> Vec<u8> {
    header_payload(60, 0, body_size, &[0, 0])
}

/// A content header's payload; `properties` begins with the flags.
pub(super) fn header_payload(
    class: u16,
    weight: u16,
    body_size: u64,
    properties: &[u8],
) -> Vec<u8> {
    [
        &class.to_be_bytes()[..],
        &weight.to_be_bytes(),
        &body_size.to_be_bytes(),
        properties,
    ]
    .concat()
}

/// Any frame.
pub(super) fn raw(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [
        &[kind][..],
        &channel.to_be_bytes(),
        &size.to_be_bytes(),
        payload,
        &[FRAME_END],
    ]
    .concat()
}

/// A method frame with any arguments.
pub(super) fn raw_method(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    raw(1, channel, &payload)
}

pub(super) fn method(channel: u16, method: &AMQPClass) -> Vec<u8> {
    let mut output = OutputBuffer::new();
    encode_method(&mut output, channel, method);
    drain(&mut output)
}

/// All octets of an output buffer, in order.
pub(super) fn drain(output: &mut OutputBuffer) -> Vec<u8> {
    let mut octets = Vec::new();
    while !output.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 4];
        let filled = output.chunks(&mut slices);
        let taken: Vec<u8> = slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        assert!(
            !taken.is_empty(),
            "an output that is not empty gives octets"
        );
        output.advance(taken.len());
        octets.extend_from_slice(&taken);
    }
    octets
}

pub(super) fn header(channel: u16, body_size: u64) -> Vec<u8> {
    raw(2, channel, &plain_header(body_size))
}

pub(super) fn body(channel: u16, octets: &[u8]) -> Vec<u8> {
    raw(3, channel, octets)
}

pub(super) fn heartbeat() -> Vec<u8> {
    raw(8, 0, &[])
}

/// `basic.publish` alone.
pub(super) fn publish_method(channel: u16, exchange: &str, key: &str) -> Vec<u8> {
    method(
        channel,
        &AMQPClass::Basic(basic::AMQPMethod::Publish(basic::Publish {
            exchange: ShortString::from(exchange),
            routing_key: ShortString::from(key),
            mandatory: false,
            immediate: false,
        })),
    )
}

/// A whole message with the body in one frame, or in none if it is empty.
pub(super) fn publish(channel: u16, exchange: &str, key: &str, octets: &[u8]) -> Vec<u8> {
    let mut frames = publish_method(channel, exchange, key);
    frames.extend(header(channel, octets.len() as u64));
    if !octets.is_empty() {
        frames.extend(body(channel, octets));
    }
    frames
}

pub(super) fn channel_open(channel: u16) -> Vec<u8> {
    method(
        channel,
        &AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})),
    )
}

pub(super) fn channel_close(channel: u16) -> Vec<u8> {
    let close = channel::Close {
        reply_code: 200,
        reply_text: ShortString::from("bye"),
        class_id: 0,
        method_id: 0,
    };
    method(
        channel,
        &AMQPClass::Channel(channel::AMQPMethod::Close(close)),
    )
}

pub(super) fn channel_close_ok(channel: u16) -> Vec<u8> {
    method(
        channel,
        &AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})),
    )
}

pub(super) fn connection_close() -> Vec<u8> {
    let close = connection::Close {
        reply_code: 200,
        reply_text: ShortString::from("bye"),
        class_id: 0,
        method_id: 0,
    };
    connection_method(connection::AMQPMethod::Close(close))
}

pub(super) fn connection_close_ok() -> Vec<u8> {
    connection_method(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
}

pub(super) fn connection_method(connection_method: connection::AMQPMethod) -> Vec<u8> {
    method(0, &AMQPClass::Connection(connection_method))
}

pub(super) fn start_ok(mechanism: &str, response: &[u8], capabilities: &[&str]) -> Vec<u8> {
    let mut announced = FieldTable::default();
    for capability in capabilities {
        announced.insert(ShortString::from(*capability), AMQPValue::Boolean(true));
    }
    let mut client_properties = FieldTable::default();
    client_properties.insert("capabilities".into(), AMQPValue::FieldTable(announced));
    connection_method(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: ShortString::from(mechanism),
        response: response.to_vec().into(),
        locale: ShortString::from("en_US"),
    }))
}

pub(super) fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let tune_ok = connection::TuneOk {
        channel_max,
        frame_max,
        heartbeat,
    };
    connection_method(connection::AMQPMethod::TuneOk(tune_ok))
}

pub(super) fn open(vhost: &str) -> Vec<u8> {
    let open = connection::Open {
        virtual_host: ShortString::from(vhost),
    };
    connection_method(connection::AMQPMethod::Open(open))
}

pub(super) fn update_secret(secret: &[u8]) -> Vec<u8> {
    connection_method(connection::AMQPMethod::UpdateSecret(
        connection::UpdateSecret {
            new_secret: secret.to_vec().into(),
            reason: ShortString::from("it expires"),
        },
    ))
}

pub(super) fn queue_declare(channel: u16, queue: &str) -> Vec<u8> {
    let declare = queue::Declare {
        queue: ShortString::from(queue),
        ..queue::Declare::default()
    };
    method(
        channel,
        &AMQPClass::Queue(queue::AMQPMethod::Declare(declare)),
    )
}

/// `basic.ack` of one delivery.
pub(super) fn ack(channel: u16, delivery_tag: u64) -> Vec<u8> {
    raw_method(
        channel,
        60,
        80,
        &[&delivery_tag.to_be_bytes()[..], &[0]].concat(),
    )
}
