//! Channels: numbers, states, soft errors, and who may send what.

use leveret_wire::method::{
    AMQPClass, access, basic,
    channel::{AMQPMethod, CloseOk, FlowOk, OpenOk},
    queue,
};

use super::{
    frames::{self, raw_method},
    script::{IntoClass, Script},
};
use crate::{ChannelError, Config, Event};

fn not_found() -> ChannelError {
    ChannelError::not_found("no queue 'q' in vhost '/'").at(50, 10)
}

/// Channel 1 has had a soft error, `channel.close` is out.
fn with_soft_error() -> Script {
    let mut script = Script::running();
    script.connection.close_channel(1, &not_found());
    script.flush();
    script.expect_channel_close(1, 404, "NOT_FOUND - no queue 'q' in vhost '/'", 50, 10);
    script
}

#[test]
fn a_channel_must_be_opened_first() {
    let frames = [
        (frames::queue_declare(5, "q"), 50, 10),
        (frames::channel_close(5), 20, 40),
        (frames::channel_close_ok(5), 20, 41),
        (frames::ack(5, 1), 60, 80),
        (frames::publish_method(5, "", "q"), 60, 40),
        (raw_method(5, 10, 51, &[]), 10, 51),
        (raw_method(5, 60, 11, &[]), 60, 11),
    ];
    for (frame, class, method) in frames {
        let mut script = Script::running();
        script.sends(&frame);
        let text = "CHANNEL_ERROR - expected 'channel.open'";
        script.expect_hard_error(504, text, class, method);
    }
}

#[test]
fn content_on_a_free_number_is_unexpected() {
    for frame in [frames::header(5, 1), frames::body(5, b"x")] {
        let mut script = Script::running();
        script.sends(&frame);
        let text = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
        script.expect_hard_error(505, text, 0, 0);
    }
}

#[test]
fn a_second_open_is_a_hard_error_in_every_state() {
    let text = "CHANNEL_ERROR - second 'channel.open' seen";
    let mut script = Script::running();
    script
        .sends(&frames::channel_open(1))
        .expect_hard_error(504, text, 20, 10);
    let mut script = with_soft_error();
    script
        .sends(&frames::channel_open(1))
        .expect_hard_error(504, text, 20, 10);
    let mut script = Script::running();
    script.sends(&frames::channel_close(1));
    assert_eq!(script.event_text(), "channel 1 close");
    script
        .sends(&frames::channel_open(1))
        .expect_hard_error(504, text, 20, 10);
}

#[test]
fn channel_max_bounds_the_count_and_not_the_number() {
    let mut script = Script::opened(Config::default(), &frames::tune_ok(2, 131_072, 0));
    script.opens(65_535).opens(300);
    assert_eq!(script.connection.channels(), 2);
    assert!(script.connection.is_open(65_535));
    script.sends(&frames::channel_open(1));
    let text =
        "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)";
    script.expect_hard_error(530, text, 0, 0);
}

#[test]
fn channels_that_are_closing_count_too() {
    let mut script = Script::opened(Config::default(), &frames::tune_ok(1, 131_072, 0));
    script.opens(1);
    script.connection.close_channel(1, &not_found());
    script.flush().next_method();
    script.sends(&frames::channel_close_ok(1));
    assert_eq!(script.event_text(), "channel 1 closed");
    script.opens(2);
    script.connection.close_channel(2, &not_found());
    script.flush().next_method();
    script.sends(&frames::queue_declare(3, "q"));
    let text =
        "NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)";
    script.expect_hard_error(530, text, 0, 0);
}

#[test]
fn the_clients_close_waits_for_the_owner() {
    let mut script = Script::running();
    script.sends(&frames::channel_close(1));
    assert_eq!(script.event_text(), "channel 1 close");
    script.expect_quiet();
    assert!(!script.connection.is_open(1));
    // Late commands and whole messages vanish.
    script
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::publish(1, "", "q", b"late"));
    script
        .sends(&frames::ack(1, 1))
        .sends(&frames::channel_close(1))
        .expect_quiet();
    script.connection.accept_channel_close(1);
    script.flush();
    script.expect_method(1, &AMQPMethod::CloseOk(CloseOk {}).into_class());
    assert_eq!(script.connection.channels(), 0);
    script.opens(1);
}

#[test]
fn after_a_soft_error_everything_is_ignored_until_close_ok() {
    let mut script = with_soft_error();
    script
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::ack(1, 1));
    script
        .sends(&frames::publish(1, "", "q", b"lost"))
        .sends(&frames::publish(1, "", "q", b""));
    // A server's method with its content, a command of class connection, flow that would be refused.
    script.sends(&raw_method(
        1,
        60,
        71,
        &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ));
    script
        .sends(&frames::header(1, 3))
        .sends(&frames::body(1, b"abc"));
    script
        .sends(&raw_method(1, 10, 51, &[]))
        .sends(&raw_method(1, 20, 20, &[0]));
    script.expect_quiet();
    // Other channels go on.
    script.opens(2).sends(&frames::ack(2, 9));
    assert_eq!(script.event_text(), "channel 2 ack 9 false");
    script.sends(&frames::channel_close_ok(1));
    assert_eq!(script.event_text(), "channel 1 closed");
    script.expect_quiet();
    script.opens(1);
}

#[test]
fn a_soft_error_is_sent_once() {
    let mut script = with_soft_error();
    script.connection.close_channel(1, &not_found());
    script.connection.close_channel(9, &not_found());
    script.poll().expect_quiet();
}

#[test]
fn when_both_sides_close_a_channel_each_gets_its_close_ok() {
    let mut script = with_soft_error();
    script.sends(&frames::channel_close(1));
    script.expect_method(1, &AMQPMethod::CloseOk(CloseOk {}).into_class());
    script.expect_quiet();
    assert_eq!(
        script.connection.channels(),
        1,
        "our own close-ok is still to come"
    );
    script.sends(&frames::channel_close_ok(1));
    assert_eq!(script.event_text(), "channel 1 closed");
    assert_eq!(script.connection.channels(), 0);
}

#[test]
fn a_soft_error_after_the_clients_close_says_nothing() {
    let mut script = Script::running();
    script.sends(&frames::channel_close(1));
    assert_eq!(script.event_text(), "channel 1 close");
    script.connection.close_channel(1, &not_found());
    script.flush().expect_quiet();
    script.connection.accept_channel_close(1);
    script.flush();
    script.expect_method(1, &AMQPMethod::CloseOk(CloseOk {}).into_class());
}

#[test]
fn what_does_not_decode_is_hard_on_a_closing_channel_too() {
    let mut script = with_soft_error();
    script.sends(&raw_method(1, 60, 80, &[1]));
    script.expect_hard_error(501, "FRAME_ERROR - cannot decode <<1>>", 60, 80);
    let mut script = with_soft_error();
    script.sends(&raw_method(1, 77, 1, &[]));
    script.expect_hard_error(540, "NOT_IMPLEMENTED - unknown class/method 77/1", 77, 1);
}

#[test]
fn methods_of_the_server_and_of_the_connection_are_not_for_clients() {
    let wrong: [(u16, u16, &[u8]); 14] = [
        (60, 11, &[]),
        (60, 21, &[1, b't']),
        (60, 31, &[0]),
        (60, 50, &[1, 56, 0, 0, 0]),
        (60, 60, &[1, b't', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
        (60, 71, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        (60, 72, &[0]),
        (20, 11, &[0, 0, 0, 0]),
        (20, 21, &[1]),
        (20, 41, &[]),
        (40, 51, &[]),
        (85, 11, &[]),
        (10, 51, &[]),
        (10, 40, &[1, b'/', 0, 0]),
    ];
    for (class, method, arguments) in wrong {
        let mut script = Script::running();
        script.sends(&raw_method(1, class, method, arguments));
        let text = "COMMAND_INVALID - unimplemented method";
        script.expect_hard_error(503, text, class, method);
    }
}

#[test]
fn the_commands_of_a_client_reach_the_owner() {
    let commands: [(u16, u16, &[u8]); 22] = [
        (
            40,
            10,
            &[
                0, 0, 1, b'x', 6, b'd', b'i', b'r', b'e', b'c', b't', 0, 0, 0, 0, 0,
            ],
        ),
        (40, 20, &[0, 0, 1, b'x', 0]),
        (40, 30, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (40, 40, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (50, 10, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (50, 20, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (50, 30, &[0, 0, 0, 0]),
        (50, 40, &[0, 0, 0, 0]),
        (50, 50, &[0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (60, 10, &[0, 0, 0, 0, 0, 9, 0]),
        (60, 20, &[0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (60, 30, &[0, 0]),
        (60, 70, &[0, 0, 0, 0]),
        (60, 100, &[1]),
        (60, 110, &[1]),
        (85, 10, &[0]),
        (90, 10, &[]),
        (90, 20, &[]),
        (90, 30, &[]),
        (60, 80, &[0, 0, 0, 0, 0, 0, 0, 7, 1]),
        (60, 90, &[0, 0, 0, 0, 0, 0, 0, 7, 1]),
        (60, 120, &[0, 0, 0, 0, 0, 0, 0, 7, 3]),
    ];
    let mut script = Script::running();
    for (class, method, arguments) in commands {
        script.sends(&raw_method(1, class, method, arguments));
        match script.event() {
            Event::Method(1, command) => {
                assert_eq!(command.get_amqp_class_id(), class);
                assert_eq!(command.get_amqp_method_id(), method);
            }
            Event::Ack(1, ack) => {
                assert_eq!((method, ack.delivery_tag, ack.multiple), (80, 7, true));
            }
            Event::Reject(1, reject) => {
                assert_eq!((method, reject.delivery_tag, reject.requeue), (90, 7, true));
            }
            Event::Nack(1, nack) => {
                assert_eq!((method, nack.delivery_tag), (120, 7));
                assert!(nack.multiple && nack.requeue);
            }
            other => panic!("{other:?} for {class}/{method}"),
        }
    }
    script.expect_quiet();
}

#[test]
fn flow_can_only_be_switched_on() {
    let mut script = Script::running();
    script.sends(&raw_method(1, 20, 20, &[1]));
    script.expect_method(1, &AMQPMethod::FlowOk(FlowOk { active: true }).into_class());
    script.expect_quiet();
    script.sends(&raw_method(1, 20, 20, &[0]));
    script.expect_hard_error(540, "NOT_IMPLEMENTED - active=false", 20, 20);
}

#[test]
fn access_request_gets_ticket_1() {
    let mut script = Script::running();
    script.sends(&raw_method(
        1,
        30,
        10,
        &[5, b'/', b'd', b'a', b't', b'a', 0b1_1111],
    ));
    let written = script.next_written();
    assert_eq!(written.payload, [0, 30, 0, 11, 0, 1]);
    let request_ok = access::AMQPMethod::RequestOk(access::RequestOk {});
    assert_eq!(
        leveret_wire::parse_method(&written.payload),
        Ok(AMQPClass::Access(request_ok))
    );
    script.expect_quiet();
}

#[test]
fn open_ok_carries_an_empty_long_string() {
    let mut script = Script::running();
    script.sends(&frames::channel_open(2));
    assert_eq!(script.event_text(), "channel 2 opened");
    let written = script.next_written();
    assert_eq!(
        (written.channel, written.payload.as_slice()),
        (2, &[0, 20, 0, 11, 0, 0, 0, 0][..])
    );
    assert!(matches!(
        AMQPMethod::OpenOk(OpenOk {}).into_class(),
        AMQPClass::Channel(_)
    ));
}

/// The names in a command, as the owner sees them.
fn names_after(class: u16, method: u16, arguments: &[u8]) -> String {
    let mut script = Script::running();
    script.sends(&raw_method(1, class, method, arguments));
    script.event_text()
}

#[test]
fn line_breaks_are_taken_out_of_names() {
    // Rule 1.8: declare, delete, bind and unbind, of exchanges and queues; `a\r\nb` becomes `ab`.
    let name: &[u8] = b"\x04a\r\nb";
    let cases: [(u16, u16, Vec<&[u8]>, &str); 8] = [
        (
            40,
            10,
            vec![&[0, 0], name, b"\x06direct", &[0, 0, 0, 0, 0]],
            "exchange",
        ),
        (40, 20, vec![&[0, 0], name, &[0]], "exchange"),
        (
            40,
            30,
            vec![&[0, 0], name, name, name, &[0, 0, 0, 0, 0]],
            "destination source",
        ),
        (
            40,
            40,
            vec![&[0, 0], name, name, name, &[0, 0, 0, 0, 0]],
            "destination source",
        ),
        (50, 10, vec![&[0, 0], name, &[0, 0, 0, 0, 0]], "queue"),
        (
            50,
            20,
            vec![&[0, 0], name, name, name, &[0, 0, 0, 0, 0]],
            "queue exchange",
        ),
        (50, 40, vec![&[0, 0], name, &[0]], "queue"),
        (
            50,
            50,
            vec![&[0, 0], name, name, name, &[0, 0, 0, 0]],
            "queue exchange",
        ),
    ];
    for (class, method, arguments, fields) in cases {
        let event = names_after(class, method, &arguments.concat());
        for field in fields.split(' ') {
            let expected = format!("{field}: ShortString(\"ab\")");
            assert!(event.contains(&expected), "{class}/{method}: {event}");
        }
        // The routing key of a binding is no name.
        assert_eq!(
            event.contains("a\\r\\nb"),
            event.contains("routing_key"),
            "{event}"
        );
    }
}

#[test]
fn names_elsewhere_keep_their_line_breaks() {
    let name: &[u8] = b"\x04a\r\nb";
    for (class, method, rest) in [(50, 30, &[0][..]), (60, 70, &[0])] {
        let event = names_after(class, method, &[&[0, 0], name, rest].concat());
        assert!(event.contains("a\\r\\nb"), "{event}");
    }
}

#[test]
fn names_may_hold_nul() {
    let event = names_after(50, 40, &[0, 0, 3, b'a', 0, b'b', 0]);
    assert!(event.contains("queue: ShortString(\"a\\0b\")"), "{event}");
}

#[test]
fn a_channel_that_is_not_open_gets_no_replies() {
    let declare_ok = AMQPClass::Queue(queue::AMQPMethod::DeclareOk(queue::DeclareOk {
        queue: "q".into(),
        message_count: 0,
        consumer_count: 0,
    }));
    let qos_ok = AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {}));
    let mut script = with_soft_error();
    script.connection.reply(1, &declare_ok);
    script.connection.reply(2, &qos_ok);
    script.connection.confirm_ack(1, 1, false);
    script.connection.confirm_nack(1, 1, false);
    script.flush().expect_quiet();
    let mut script = Script::running();
    script.connection.reply(1, &qos_ok);
    script.flush().expect_method(1, &qos_ok);
    script.sends(&frames::connection_close());
    script.connection.reply(1, &qos_ok);
    assert_eq!(script.flush().event_text(), "close");
    script.expect_quiet();
}

#[test]
fn a_prefetch_in_octets_is_not_implemented() {
    let mut script = Script::running();
    script.sends(&raw_method(1, 60, 10, &[0, 0, 0, 5, 0, 1, 0]));
    script.expect_hard_error(540, "NOT_IMPLEMENTED - prefetch_size!=0 (5)", 60, 10);
}
