//! Set-up of the benches: an open connection, and reads full of publishes and acks.

#![allow(unreachable_pub, reason = "other programs include this")]

use std::{hint::black_box, sync::Arc, time::Duration};

use bytes::BytesMut;
use leveret_protocol::{Config, Connection, Event};
use leveret_wire::{
    FRAME_END, LongString, OutputBuffer, ShortString, encode_method,
    method::{AMQPClass, basic, channel, connection},
};

/// Messages in one buffer.
pub const MESSAGES: u64 = 1_000;
/// The time.
pub const NOW: Duration = Duration::from_secs(1);

fn method_frame(output: &mut OutputBuffer, channel: u16, method: &AMQPClass) {
    encode_method(output, channel, method);
}

fn octets(mut output: OutputBuffer) -> BytesMut {
    let mut octets = BytesMut::new();
    while !output.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let filled = output.chunks(&mut slices);
        let mut taken = 0;
        for slice in slices.iter().take(filled) {
            octets.extend_from_slice(slice);
            taken += slice.len();
        }
        output.advance(taken);
    }
    octets
}

/// A machine with channel 1 open.
pub fn running() -> Connection {
    let mut machine = Connection::new(Arc::new(Config::default()), NOW);
    let mut client = OutputBuffer::new();
    client.put_slice(b"AMQP\0\0\x09\x01");
    let start_ok = connection::StartOk {
        mechanism: ShortString::from("PLAIN"),
        response: LongString::from("\0guest\0guest"),
        ..connection::StartOk::default()
    };
    let tune_ok = connection::TuneOk {
        channel_max: 2_047,
        frame_max: 131_072,
        heartbeat: 60,
    };
    let open = connection::Open {
        virtual_host: ShortString::from("/"),
    };
    for method in [
        connection::AMQPMethod::StartOk(start_ok),
        connection::AMQPMethod::TuneOk(tune_ok),
        connection::AMQPMethod::Open(open),
    ] {
        method_frame(&mut client, 0, &AMQPClass::Connection(method));
    }
    let open = channel::AMQPMethod::Open(channel::Open {});
    method_frame(&mut client, 1, &AMQPClass::Channel(open));
    let mut input = octets(client);
    while let Some(event) = machine.poll_event(&mut input, NOW) {
        match event {
            Event::Login(_) => machine.accept_login(NOW),
            Event::Open { .. } => machine.accept_open(),
            _ => {}
        }
    }
    machine.output().clear();
    assert!(machine.is_open(1));
    machine
}

/// The content header of a persistent message.
pub fn content_header(body_size: u64) -> Vec<u8> {
    // Class 60, weight 0, the size, delivery mode 2.
    [&[0, 60, 0, 0][..], &body_size.to_be_bytes(), &[0x10, 0, 2]].concat()
}

fn put_frame(output: &mut OutputBuffer, kind: u8, payload: &[u8]) {
    output.put_u8(kind);
    output.put_u16(1);
    output.put_u32(u32::try_from(payload.len()).unwrap_or_default());
    output.put_slice(payload);
    output.put_u8(FRAME_END);
}

/// As many publishes with that body.
pub fn publishes(body: &[u8]) -> BytesMut {
    let mut client = OutputBuffer::new();
    for _ in 0..MESSAGES {
        let publish = basic::Publish {
            exchange: ShortString::from("orders"),
            routing_key: ShortString::from("eu.germany.new"),
            mandatory: false,
            immediate: false,
        };
        method_frame(
            &mut client,
            1,
            &AMQPClass::Basic(basic::AMQPMethod::Publish(publish)),
        );
        put_frame(&mut client, 2, &content_header(body.len() as u64));
        put_frame(&mut client, 3, body);
    }
    octets(client)
}

/// As many acks.
pub fn acks() -> BytesMut {
    let mut client = OutputBuffer::new();
    for delivery_tag in 1..=MESSAGES {
        let ack = basic::Ack {
            delivery_tag,
            multiple: false,
        };
        method_frame(
            &mut client,
            1,
            &AMQPClass::Basic(basic::AMQPMethod::Ack(ack)),
        );
    }
    octets(client)
}

/// Let the machine have all of it: how many events came.
pub fn drain(machine: &mut Connection, mut input: BytesMut) -> u64 {
    let mut events = 0;
    while let Some(event) = machine.poll_event(&mut input, NOW) {
        black_box(&event);
        events += 1;
    }
    events
}
