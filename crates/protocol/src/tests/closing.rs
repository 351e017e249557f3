//! The end of a connection, from both sides.

use leveret_wire::method::connection::{AMQPMethod, CloseOk};

use super::{frames, script::Script};
use crate::{Config, ConnectionError};

fn forced() -> ConnectionError {
    ConnectionError::connection_forced("broker forced connection closure with reason 'shutdown'")
}

#[test]
fn the_clients_close_waits_for_the_owner() {
    let mut script = Script::running();
    script.sends(&frames::connection_close());
    assert_eq!(script.event_text(), "close");
    script.expect_quiet();
    // Channels are being ended; nothing on them counts any more.
    script
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::publish(1, "", "q", b"x"));
    script.sends(&frames::body(7, b"x")).expect_quiet();
    script.connection.accept_close(script.now);
    script.flush();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
    assert_eq!(script.connection.channels(), 0);
    assert!(
        !script.connection.is_finished(),
        "the client ends the TCP connection"
    );
    script.advance(29.9).expect_quiet();
    script.advance(0.1);
    assert_eq!(script.event_text(), "lost: CloseTimeout");
    assert!(script.connection.is_finished());
}

#[test]
fn each_close_gets_its_close_ok() {
    let mut script = Script::running();
    script.sends(&[frames::connection_close(), frames::connection_close()].concat());
    assert_eq!(script.event_text(), "close");
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
    script.connection.accept_close(script.now);
    script.flush();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
    script.expect_quiet();
}

#[test]
fn our_close_waits_for_close_ok_alone() {
    let mut script = Script::running();
    script.connection.close(&forced(), script.now);
    script.poll();
    let text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";
    script.expect_close(320, text, 0, 0);
    assert_eq!(script.connection.channels(), 0);
    // Everything is ignored, even what would be an error.
    script
        .sends(&frames::publish(1, "", "q", b"x"))
        .sends(&frames::channel_open(0));
    script
        .sends(&frames::raw(9, 3, b"x"))
        .sends(&frames::raw_method(0, 99, 99, &[]));
    script
        .sends(&frames::raw_method(0, 10, 50, &[]))
        .sends(&frames::heartbeat());
    script.expect_quiet();
    // Both sides closed at once: the client gets its answer.
    script.sends(&frames::connection_close());
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
    script.expect_quiet();
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
    assert!(script.connection.is_finished() && script.connection.may_linger());
}

#[test]
fn close_is_sent_once() {
    let mut script = Script::running();
    script.connection.close(&forced(), script.now);
    script.connection.close(&forced(), script.now);
    script.poll();
    script.next_connection_method();
    script.expect_quiet();
}

#[test]
fn without_close_ok_the_wait_is_thirty_seconds_or_a_shorter_heartbeat() {
    for (heartbeat, wait) in [(0, 30.0), (7, 7.0), (60, 30.0)] {
        let mut script = Script::beating(heartbeat);
        script.connection.close(&forced(), script.now);
        script.poll();
        script.next_connection_method();
        script.advance(wait - 0.1).expect_quiet();
        script.advance(0.1);
        assert_eq!(script.event_text(), "lost: CloseTimeout");
        assert!(script.connection.may_linger());
    }
}

#[test]
fn octets_without_sense_after_our_close_shorten_the_wait() {
    let mut script = Script::running();
    script.connection.close(&forced(), script.now);
    script.poll();
    script.next_connection_method();
    script
        .sends(&[1, 0, 0, 0xff, 0xff, 0xff, 0xff])
        .sends(&frames::connection_close_ok());
    script.expect_quiet();
    script.advance(3.0);
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn octets_without_sense_after_the_clients_close_do_not_stop_close_ok() {
    let mut script = Script::running();
    script.sends(&frames::connection_close()).sends(&[9; 40]);
    assert_eq!(script.event_text(), "close");
    script.expect_quiet();
    assert!(script.input.is_empty());
    script.connection.accept_close(script.now);
    script.flush();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
    script.advance(3.0);
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn a_forced_end_during_the_handshake() {
    for mut script in [Script::new(), Script::started()] {
        script.connection.close(&forced(), script.now);
        script.poll().expect_quiet();
        assert!(script.connection.is_finished());
    }
    let mut script = Script::tuning(Config::default());
    script.connection.close(&forced(), script.now);
    script.poll();
    assert!(matches!(
        script.next_connection_method(),
        AMQPMethod::Close(_)
    ));
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn an_owners_error_does_not_overtake_the_clients_close() {
    let mut script = Script::running();
    script.sends(&frames::connection_close());
    assert_eq!(script.event_text(), "close");
    script.connection.close(&forced(), script.now);
    script.poll().expect_quiet();
    script.connection.accept_close(script.now);
    script.flush();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(CloseOk {})
    );
}

#[test]
fn a_method_of_channel_0_at_the_wrong_time_is_a_channel_error() {
    let wrong = [
        (frames::open("/"), 10, 40),
        (frames::start_ok("PLAIN", b"\0a\0b", &[]), 10, 11),
        (frames::tune_ok(1, 4_096, 0), 10, 31),
        (frames::connection_close_ok(), 10, 51),
        (frames::channel_open(0), 20, 10),
        (frames::queue_declare(0, "q"), 50, 10),
        (frames::publish_method(0, "", "q"), 60, 40),
        (frames::raw_method(0, 10, 60, &[0]), 10, 60),
        (frames::raw_method(0, 10, 61, &[]), 10, 61),
    ];
    for (frame, class, method) in wrong {
        let mut script = Script::running();
        script.sends(&frame);
        let text = "CHANNEL_ERROR - unexpected method in connection state running";
        script.expect_hard_error(504, text, class, method);
    }
}

#[test]
fn content_frames_on_channel_0_are_unexpected() {
    let mut script = Script::running();
    script.sends(&frames::body(0, &[1, 2, 3]));
    script.expect_hard_error(
        505,
        "UNEXPECTED_FRAME - type 3, all octets = <<1,2,3>>",
        0,
        0,
    );
    let mut script = Script::running();
    script.sends(&frames::header(0, 5));
    let shown = "<<0,60,0,0,0,0,0,0,0,0,0,5,0,0>>";
    script.expect_hard_error(
        505,
        &format!("UNEXPECTED_FRAME - type 2, all octets = {shown}"),
        0,
        0,
    );
}
