//! Resource alarms: only a connection that publishes is stopped, and then wholly.

use leveret_wire::method::connection::{AMQPMethod, Blocked, Unblocked};

use super::{
    frames,
    script::{ALL_CAPABILITIES, Script},
};
use crate::Config;

fn blocked(reason: &str) -> AMQPMethod {
    AMQPMethod::Blocked(Blocked {
        reason: reason.into(),
    })
}

#[test]
fn an_alarm_alone_stops_nothing() {
    let mut script = Script::running();
    script.connection.block("low on memory");
    script.flush();
    script
        .opens(2)
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::ack(1, 1));
    assert!(script.event_text().starts_with("channel 1 Queue"));
    assert_eq!(script.event_text(), "channel 1 ack 1 false");
    // A publish without its header is not seen as one yet.
    script
        .sends(&frames::publish_method(1, "", "q"))
        .expect_quiet();
    assert!(!script.connection.is_blocked());
    script.connection.unblock();
    script.flush().expect_quiet();
}

#[test]
fn a_content_header_during_an_alarm_stops_the_reading() {
    let mut script = Script::running();
    script.opens(2);
    script.connection.block("low on memory & low on disk");
    script.sends(&frames::publish(1, "", "q", b"waits"));
    assert_eq!(
        script.next_connection_method(),
        blocked("low on memory & low on disk")
    );
    script.expect_quiet();
    assert!(script.connection.is_blocked() && !script.connection.wants_input());
    // Everything of this connection waits, other channels too.
    script
        .sends(&frames::queue_declare(2, "q"))
        .sends(&frames::connection_close())
        .expect_quiet();
    script.connection.unblock();
    script.poll();
    assert_eq!(
        script.next_connection_method(),
        AMQPMethod::Unblocked(Unblocked {})
    );
    assert!(script.event_text().ends_with("waits"));
    assert!(script.event_text().starts_with("channel 2 Queue"));
    assert_eq!(script.event_text(), "close");
}

#[test]
fn a_message_without_a_body_is_the_last_one_taken() {
    let mut script = Script::running();
    script.connection.block("low on disk");
    script.sends(
        &[
            frames::publish(1, "", "a", b""),
            frames::publish(1, "", "b", b""),
        ]
        .concat(),
    );
    assert!(script.event_text().starts_with("channel 1 publish /a"));
    assert_eq!(script.next_connection_method(), blocked("low on disk"));
    script.expect_quiet();
    script.connection.unblock();
    assert!(
        script
            .poll()
            .event_text()
            .starts_with("channel 1 publish /b")
    );
}

#[test]
fn only_clients_with_the_capability_are_told() {
    let mut script = Script::new();
    script.sends(frames::PROTOCOL_HEADER).expect_start();
    let others: Vec<&str> = ALL_CAPABILITIES
        .iter()
        .copied()
        .filter(|name| *name != "connection.blocked")
        .collect();
    script.sends(&frames::start_ok("PLAIN", b"\0a\0b", &others));
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
    script.connection.block("low on memory");
    script
        .sends(&frames::publish(1, "", "q", b"x"))
        .expect_quiet();
    assert!(script.connection.is_blocked());
    script.connection.unblock();
    assert!(script.poll().event_text().starts_with("channel 1 publish"));
    script.expect_quiet();
}

#[test]
fn a_second_alarm_while_blocked_says_nothing() {
    let mut script = Script::running();
    script.connection.block("low on memory");
    script.sends(&frames::publish(1, "", "q", b"x"));
    assert_eq!(script.next_connection_method(), blocked("low on memory"));
    script.connection.block("low on disk");
    script.poll().expect_quiet();
}

#[test]
fn a_blocked_connection_is_written_to_and_can_be_closed() {
    let mut script = Script::running();
    script.connection.block("low on memory");
    script
        .sends(&frames::publish(1, "", "q", b"x"))
        .next_connection_method();
    script.connection.confirm_ack(1, 1, false);
    script.flush().next_method();
    let forced = crate::ConnectionError::connection_forced("enough");
    script.connection.close(&forced, script.now);
    script
        .poll()
        .expect_close(320, "CONNECTION_FORCED - enough", 0, 0);
    // What waited in the input is ignored now, and read again for the answer.
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn the_peers_silence_is_excused_while_it_is_not_read() {
    let mut script = Script::beating(2);
    script.opens(1);
    script.connection.block("low on memory");
    script
        .sends(&frames::publish(1, "", "q", b"x"))
        .next_connection_method();
    script.advance(100.0);
    // Heartbeats go out all the time, one a second.
    for _ in 0..100 {
        assert_eq!(
            script.next_written().kind,
            leveret_wire::FrameKind::Heartbeat
        );
    }
    script.expect_quiet();
    script.connection.unblock();
    script.flush();
    assert!(matches!(
        script.next_connection_method(),
        AMQPMethod::Unblocked(_)
    ));
    // And the content that was stopped halfway gets its time again.
    script.poll();
    assert!(script.event_text().starts_with("channel 1 publish"));
    script.advance(2.5);
    assert_eq!(script.event_text(), "no event");
}

/// Blocked by the header of a message of so many octets, of which none has come.
fn half_sent(octets: u64) -> Script {
    let mut script = Script::opened(Config::default(), &frames::tune_ok(9, 131_072, 0));
    script.opens(1);
    script.connection.block("low on memory");
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, octets));
    script.next_connection_method();
    script
}

#[test]
fn the_content_clock_stands_still_while_blocked() {
    let mut script = half_sent(3);
    script.advance(1_000.0).expect_quiet();
    script.connection.unblock();
    script.poll().next_connection_method();
    script.advance(59.9).expect_quiet();
    script.advance(0.1);
    assert!(script.event_text().starts_with("failed: 506"));
}

/// Blocked by a publish of "first" on channel 1, whose body is there; read on for settlements. Channel 2 is open.
fn settling(config: Config) -> Script {
    let mut script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    script.opens(1).opens(2);
    script.connection.block("low on memory");
    script.sends(&frames::publish(1, "", "q", b"first"));
    script.next_connection_method();
    script.connection.read_settlements(true);
    script.poll().expect_quiet();
    assert!(script.connection.is_blocked() && script.connection.wants_input());
    script
}

#[test]
fn settlements_go_past_the_publishes_of_a_blocked_connection() {
    let mut script = settling(Config::default());
    script
        .sends(&frames::ack(1, 1))
        .sends(&frames::publish(1, "", "q", b"second"))
        .sends(&frames::raw_method(
            1,
            60,
            120,
            &[0, 0, 0, 0, 0, 0, 0, 2, 0],
        ))
        .sends(&frames::heartbeat())
        .sends(&frames::raw_method(2, 60, 90, &[0, 0, 0, 0, 0, 0, 0, 3, 0]));
    assert_eq!(script.event_text(), "channel 1 ack 1 false");
    assert!(script.event_text().starts_with("channel 1 nack 2"));
    assert!(script.event_text().starts_with("channel 2 reject 3"));
    script.expect_quiet();
    assert!(script.connection.octets_aside() > 0 && !script.connection.has_aside());
    script.connection.unblock();
    assert!(script.connection.has_aside());
    script.poll().next_connection_method();
    assert!(script.event_text().ends_with("first"));
    assert!(script.event_text().ends_with("second"));
    script.expect_quiet();
    assert_eq!(script.connection.octets_aside(), 0);
}

#[test]
fn what_must_keep_its_order_waits() {
    let mut script = settling(Config::default());
    // Within a message it is a mistake, and the answer comes in its place.
    let mut half = frames::publish_method(2, "", "q");
    half.extend(frames::header(2, 5));
    script.sends(&half).sends(&frames::ack(2, 1)).expect_quiet();
    // Behind a command of its channel it may concern another delivery.
    script
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::ack(1, 1))
        .expect_quiet();
    script.connection.unblock();
    script.poll().next_connection_method();
    assert!(script.event_text().ends_with("first"));
    script.expect_hard_error(
        505,
        "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
        60,
        40,
    );
}

#[test]
fn a_command_on_one_channel_holds_up_no_settlement_of_another() {
    let mut script = settling(Config::default());
    script
        .sends(&frames::queue_declare(1, "q"))
        .sends(&frames::channel_open(3))
        .sends(&frames::ack(2, 7));
    assert_eq!(script.event_text(), "channel 2 ack 7 false");
    script.expect_quiet();
    script.connection.unblock();
    script.poll().next_connection_method();
    assert!(script.event_text().ends_with("first"));
    assert!(script.event_text().starts_with("channel 1 Queue"));
    assert_eq!(script.event_text(), "channel 3 opened");
}

#[test]
fn what_is_set_aside_is_bounded_and_nothing_of_it_is_lost() {
    let config = Config {
        blocked_input_max: 2_000,
        ..Config::default()
    };
    let mut script = settling(config);
    for number in 0..50 {
        script.sends(&frames::publish(
            1,
            "",
            "q",
            format!("{number:0100}").as_bytes(),
        ));
    }
    script.sends(&frames::ack(1, 1)).expect_quiet();
    assert!(!script.connection.wants_input());
    assert!((1_000..2_000).contains(&script.connection.octets_aside()));
    script.connection.unblock();
    script.poll().next_connection_method();
    assert!(script.event_text().ends_with("first"));
    for number in 0..50 {
        assert!(script.event_text().ends_with(&format!("{number:0100}")));
    }
    assert_eq!(script.event_text(), "channel 1 ack 1 false");
}

#[test]
fn a_message_that_is_half_set_aside_is_not_held_against_the_peer() {
    let mut script = half_sent(6);
    script.connection.read_settlements(true);
    script
        .sends(&frames::body(1, b"abc"))
        .sends(&frames::ack(1, 1));
    script.advance(1_000.0).expect_quiet();
    script
        .sends(&frames::body(1, b"def"))
        .sends(&frames::ack(1, 1));
    // Behind the whole message it may go ahead; the first, within it, was wrong.
    script.expect_quiet();
    script.connection.unblock();
    script.poll().next_connection_method();
    script.expect_hard_error(
        505,
        "UNEXPECTED_FRAME - expected content body, got non content body frame instead",
        60,
        40,
    );
}

#[test]
fn a_close_of_ours_ends_the_setting_aside() {
    let mut script = settling(Config::default());
    script
        .sends(&frames::publish(1, "", "q", b"second"))
        .sends(&frames::connection_close())
        .expect_quiet();
    assert!(
        !script.connection.wants_input(),
        "the close waits in its place"
    );
    let forced = crate::ConnectionError::connection_forced("enough");
    script.connection.close(&forced, script.now);
    script
        .poll()
        .expect_close(320, "CONNECTION_FORCED - enough", 0, 0);
    // The client's own close is answered.
    assert!(matches!(
        script.next_connection_method(),
        AMQPMethod::CloseOk(_)
    ));
    script.sends(&frames::connection_close_ok());
    assert_eq!(script.event_text(), "closed");
}

#[test]
fn a_second_alarm_sets_aside_anew() {
    let mut script = settling(Config::default());
    script.sends(&frames::publish(1, "", "q", b"second"));
    script.connection.unblock();
    script.connection.block("low on disk");
    script.poll().next_connection_method();
    // Only the header of what came before the second alarm is looked at.
    assert_eq!(script.next_connection_method(), blocked("low on disk"));
    assert!(script.event_text().ends_with("first"));
    script.expect_quiet();
    script.connection.read_settlements(true);
    script.sends(&frames::ack(1, 4));
    assert_eq!(script.event_text(), "channel 1 ack 4 false");
    script.connection.unblock();
    script.poll().next_connection_method();
    assert!(script.event_text().ends_with("second"));
}
