//! Signs of life, both ways.

use leveret_wire::FrameKind;

use super::{frames, script::Script};

/// Heartbeats written since the last look; nothing else may have been.
fn heartbeats(script: &mut Script) -> usize {
    let (events, written, octets) = script.transcript();
    assert_eq!((events, octets), (Vec::<String>::new(), Vec::new()));
    for frame in &written {
        assert_eq!(
            (frame.kind, frame.channel, frame.payload.len()),
            (FrameKind::Heartbeat, 0, 0)
        );
    }
    written.len()
}

#[test]
fn interval_0_means_none() {
    let mut script = Script::beating(0);
    assert_eq!(script.connection.poll_timeout(), None);
    script.advance(1_000_000.0).expect_quiet();
}

#[test]
fn one_goes_out_after_each_half_interval_of_silence() {
    let mut script = Script::beating(10);
    for _ in 0..20 {
        script.sends(&frames::heartbeat());
        script.advance(4.9);
        assert_eq!(heartbeats(&mut script), 0);
        script.advance(0.1);
        assert_eq!(heartbeats(&mut script), 1);
    }
}

#[test]
fn whatever_is_written_counts() {
    let mut script = Script::beating(10);
    for _ in 0..20 {
        script.advance(4.0).sends(&frames::heartbeat());
        script.connection.note_written(script.now);
        assert_eq!(heartbeats(&mut script), 0);
    }
    script.advance(5.0);
    assert_eq!(heartbeats(&mut script), 1);
}

#[test]
fn a_peer_that_does_not_read_gathers_no_heartbeats() {
    let mut script = Script::beating(2);
    script.opens(1);
    script.connection.confirm_ack(1, 1, false);
    let waiting = script.connection.output().len();
    for _ in 0..100 {
        script.input.extend_from_slice(&frames::heartbeat());
        assert!(
            script
                .connection
                .poll_event(&mut script.input, script.now)
                .is_none()
        );
        script.now += std::time::Duration::from_secs(1);
        assert!(script.connection.handle_timeout(script.now).is_none());
    }
    assert_eq!(script.connection.output().len(), waiting);
}

#[test]
fn the_peer_is_lost_two_to_three_intervals_after_its_last_octet() {
    for (last_octet_after, silence) in [(0.1, 2.95), (1.0, 2.5), (1.9, 2.05)] {
        let mut script = Script::beating(2);
        // The handshake's octets are found at the first check.
        script
            .advance(2.0 + last_octet_after)
            .sends(&frames::heartbeat());
        heartbeats(&mut script);
        script.advance(silence - 0.5);
        heartbeats(&mut script);
        script.advance(3.0 * 2.0 - silence + 0.5);
        let (events, _, _) = script.transcript();
        assert_eq!(events, ["lost: HeartbeatMissed"], "{last_octet_after}");
        assert!(script.connection.is_finished() && !script.connection.may_linger());
    }
}

#[test]
fn from_the_handshake_on_silence_lasts_three_intervals() {
    // Measured on RabbitMQ: 6.0 s with an interval of 2 s.
    let mut script = Script::beating(2);
    script.advance(5.9);
    assert_eq!(heartbeats(&mut script), 5);
    script.advance(0.1);
    assert_eq!(script.event_text(), "lost: HeartbeatMissed");
}

#[test]
fn any_octet_is_a_sign_of_life_even_within_a_frame() {
    let mut script = Script::beating(2);
    let frame = frames::queue_declare(1, &"q".repeat(100));
    for octet in &frame[..frame.len() - 1] {
        script.advance(1.9).sends(&[*octet]);
    }
    assert!(heartbeats(&mut script) > 100);
}

#[test]
fn a_peer_that_only_receives_must_send_heartbeats() {
    // Trap 16: what we write says nothing about the peer.
    let mut script = Script::beating(4);
    for _ in 0..11 {
        script.advance(1.0);
        script.connection.note_written(script.now);
    }
    assert_eq!(heartbeats(&mut script), 0);
    script.advance(1.0);
    assert_eq!(script.event_text(), "lost: HeartbeatMissed");
}

#[test]
fn silence_is_excused_while_the_owner_does_not_read() {
    let mut script = Script::beating(2);
    script.connection.pause_reading();
    script.advance(100.0);
    assert_eq!(heartbeats(&mut script), 100);
    script.connection.resume_reading();
    script.advance(3.9);
    heartbeats(&mut script);
    script.advance(2.1);
    let (events, _, _) = script.transcript();
    assert_eq!(events, ["lost: HeartbeatMissed"]);
}

#[test]
fn a_clock_that_jumps_does_not_lose_the_peer_at_once() {
    let mut script = Script::beating(2);
    script.now += std::time::Duration::from_secs(3_600);
    let now = script.now;
    assert!(script.connection.handle_timeout(now).is_none());
    assert!(script.connection.handle_timeout(now).is_none());
    script.flush();
    assert_eq!(heartbeats(&mut script), 1);
}

#[test]
fn heartbeats_go_on_while_the_client_closes() {
    let mut script = Script::beating(10);
    script.sends(&frames::connection_close());
    assert_eq!(script.event_text(), "close");
    script.advance(5.0);
    assert_eq!(heartbeats(&mut script), 1);
}
