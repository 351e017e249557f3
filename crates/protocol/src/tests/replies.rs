//! What the owner sends.

use leveret_wire::{
    BodyPart, FrameKind, Message,
    method::{AMQPClass, basic},
};

use super::{
    frames,
    script::{Script, Written},
};
use crate::Config;

fn message(body: &[u8]) -> Message {
    let header = frames::plain_header(body.len() as u64);
    Message::new(b"\x02ex\x03key", &header, BodyPart::Slice(body))
}

#[test]
fn a_delivery_is_cut_for_the_clients_frame_max() {
    // Trap 9: the body is cut by the frame_max of whoever consumes it.
    let body = vec![b'x'; 10_000];
    let mut script = Script::opened(Config::default(), &frames::tune_ok(9, 4_096, 0));
    script.opens(1);
    script
        .connection
        .deliver(1, "tag", 7, true, &message(&body));
    script.flush();
    let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
        consumer_tag: "tag".into(),
        delivery_tag: 7,
        redelivered: true,
        exchange: "ex".into(),
        routing_key: "key".into(),
    });
    script.expect_method(1, &AMQPClass::Basic(deliver));
    assert_eq!(script.next_written().payload, frames::plain_header(10_000));
    for size in [4_088, 4_088, 1_824] {
        let Written {
            kind,
            channel,
            payload,
        } = script.next_written();
        assert_eq!((kind, channel, payload.len()), (FrameKind::Body, 1, size));
    }
    script.expect_quiet();
}

#[test]
fn an_empty_body_has_no_frame() {
    let mut script = Script::running();
    script.connection.get_ok(1, 3, false, 12, &message(b""));
    script.flush();
    let get_ok = basic::AMQPMethod::GetOk(basic::GetOk {
        delivery_tag: 3,
        redelivered: false,
        exchange: "ex".into(),
        routing_key: "key".into(),
        message_count: 12,
    });
    script.expect_method(1, &AMQPClass::Basic(get_ok));
    assert_eq!(script.next_written().kind, FrameKind::Header);
    script.expect_quiet();
}

#[test]
fn a_returned_message_says_why() {
    let mut script = Script::running();
    script
        .connection
        .return_message(1, 312, "NO_ROUTE", &message(b"abc"));
    script.flush();
    let returned = basic::AMQPMethod::Return(basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "ex".into(),
        routing_key: "key".into(),
    });
    script.expect_method(1, &AMQPClass::Basic(returned));
    assert_eq!(script.next_written().kind, FrameKind::Header);
    assert_eq!(script.next_written().payload, b"abc");
    script.expect_quiet();
}

#[test]
fn confirms_are_acks_and_nacks() {
    let mut script = Script::running();
    script.connection.confirm_ack(1, 5, true);
    script.connection.confirm_nack(1, 6, false);
    script.flush();
    let ack = basic::Ack {
        delivery_tag: 5,
        multiple: true,
    };
    script.expect_method(1, &AMQPClass::Basic(basic::AMQPMethod::Ack(ack)));
    // RabbitMQ leaves the requeue bit set.
    let nack = basic::Nack {
        delivery_tag: 6,
        multiple: false,
        requeue: true,
    };
    script.expect_method(1, &AMQPClass::Basic(basic::AMQPMethod::Nack(nack)));
}

#[test]
fn nothing_is_delivered_to_a_channel_that_is_not_open() {
    let mut script = Script::running();
    script
        .connection
        .deliver(2, "tag", 1, false, &message(b"x"));
    script.connection.get_ok(2, 1, false, 0, &message(b"x"));
    script
        .connection
        .return_message(2, 312, "NO_ROUTE", &message(b"x"));
    script.connection.confirm_ack(0, 1, false);
    script.flush().expect_quiet();
}

#[test]
fn consumers_are_cancelled_only_for_clients_that_know_of_it() {
    // Rule 9.4 and trap 20.
    let cancel = AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: "tag".into(),
        nowait: true,
    }));
    let mut script = Script::running();
    script.connection.reply(1, &cancel);
    script.flush().expect_method(1, &cancel);

    let mut script = Script::started();
    script.sends(&frames::start_ok("PLAIN", b"\0a\0b", &["basic.nack"]));
    script.event();
    script.connection.accept_login(script.now);
    script.flush().next_connection_method();
    script
        .sends(&frames::tune_ok(9, 131_072, 0))
        .sends(&frames::open("/"));
    script.event();
    script.connection.accept_open();
    script.flush().next_connection_method();
    script.opens(1);
    script.connection.reply(1, &cancel);
    script.flush().expect_quiet();
}
