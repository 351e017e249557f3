//! What a peer can make the machine hold, and for how long.

use super::{frames, script::Script};
use crate::Config;

const STALLED: &str = "RESOURCE_ERROR - content on channel 1 made no progress for 60 s";

#[test]
fn content_that_stands_still_ends_the_connection() {
    let frames = [
        frames::publish_method(1, "", "q"),
        frames::header(1, 9),
        frames::body(1, b"abc"),
    ];
    for count in 1..=frames.len() {
        let mut script = Script::running();
        script.sends(&frames[..count].concat());
        script.advance(59.9).expect_quiet();
        script.advance(0.1);
        script.expect_hard_error(506, STALLED, 60, 40);
    }
}

#[test]
fn every_frame_of_the_content_is_progress() {
    let mut script = Script::running();
    script.sends(&frames::publish_method(1, "", "q"));
    script
        .advance(59.0)
        .sends(&frames::header(1, 9))
        .advance(59.0);
    for octet in b"abcdefgh" {
        script
            .sends(&frames::body(1, &[*octet]))
            .advance(59.0)
            .expect_quiet();
    }
    script.sends(&frames::body(1, b"i"));
    assert!(script.event_text().ends_with("abcdefghi"));
    assert_eq!(script.connection.poll_timeout(), None);
}

#[test]
fn octets_of_an_incomplete_frame_are_progress_of_their_channel() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 9));
    for octet in &frames::body(1, b"abcdefghi")[..16] {
        script.sends(&[*octet]).advance(55.0);
        // The first seven octets don't say yet whose frame it is.
        if script.input.len() < 7 {
            script.now -= std::time::Duration::from_secs(55);
        }
    }
    script.expect_quiet();
    script.advance(5.0).expect_hard_error(506, STALLED, 60, 40);
}

#[test]
fn other_channels_are_no_progress() {
    let mut script = Script::running();
    script.opens(2).sends(&frames::publish_method(1, "", "q"));
    script
        .advance(30.0)
        .sends(&frames::publish_method(2, "", "q"));
    for _ in 0..5 {
        script.advance(5.0).sends(&frames::heartbeat());
    }
    script.sends(&frames::header(2, 0));
    assert!(script.event_text().starts_with("channel 2 publish"));
    script.advance(5.0).expect_hard_error(506, STALLED, 60, 40);
}

#[test]
fn discarded_content_may_take_its_time() {
    let mut script = Script::running();
    script
        .sends(&frames::publish_method(1, "", "q"))
        .sends(&frames::header(1, 9));
    script
        .connection
        .close_channel(1, &crate::ChannelError::not_found("x"));
    script.flush().next_method();
    assert_eq!(script.connection.poll_timeout(), None);
    script.advance(1_000.0).expect_quiet();
}

#[test]
fn a_clock_that_stood_still_is_started_anew_after_a_pause() {
    let mut script = Script::running();
    script.sends(&frames::publish_method(1, "", "q"));
    script.connection.pause_reading();
    script.advance(1_000.0).expect_quiet();
    script.connection.resume_reading();
    script.advance(59.0).expect_quiet();
    script.sends(&frames::header(1, 0));
    assert!(script.event_text().starts_with("channel 1 publish"));
}

#[test]
fn half_received_content_is_bounded_over_all_channels() {
    let config = Config {
        content_in_progress_max: 10_000,
        max_message_size: 9_000,
        ..Config::default()
    };
    let mut script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    script.opens(1).opens(2).opens(300);
    for (channel, octets) in [(1, 5_000), (2, 4_000), (300, 900)] {
        script.sends(&frames::publish_method(channel, "", "q"));
        script.sends(&frames::header(channel, 9_000));
        script
            .sends(&frames::body(channel, &vec![0; octets]))
            .expect_quiet();
    }
    script.sends(&frames::body(300, &[0; 900]));
    let text = "RESOURCE_ERROR - half-received content on this connection exceeds 10000 octets";
    script.expect_hard_error(506, text, 60, 40);
}

#[test]
fn content_that_ends_makes_room() {
    let config = Config {
        content_in_progress_max: 10_000,
        ..Config::default()
    };
    let mut script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    script.opens(1).opens(2);
    for round in 0..20 {
        // One message is finished, the other is discarded by a soft error.
        script
            .sends(&frames::publish_method(1, "", "q"))
            .sends(&frames::header(1, 6_000));
        script.sends(&frames::body(1, &[0; 5_000])).expect_quiet();
        script
            .sends(&frames::publish_method(2, "", "q"))
            .sends(&frames::header(2, 4_000));
        script.sends(&frames::body(2, &[0; 3_000])).expect_quiet();
        script
            .connection
            .close_channel(2, &crate::ChannelError::not_found("x"));
        script.flush().next_method();
        script
            .sends(&frames::body(1, &[0; 1_000]))
            .sends(&frames::body(2, &[0; 1_000]));
        assert!(
            script.event_text().starts_with("channel 1 publish"),
            "round {round}"
        );
        script.sends(&frames::channel_close_ok(2));
        assert_eq!(script.event_text(), "channel 2 closed");
        script.opens(2);
    }
}

#[test]
fn an_announced_size_allocates_nothing() {
    // 256 channels announce 16 MiB each and send one octet: a reservation would take 4 GiB.
    let mut script = Script::opened(Config::default(), &frames::tune_ok(2_047, 131_072, 0));
    for channel in 1..=256 {
        script.opens(channel);
        script.sends(&frames::publish_method(channel, "", "q"));
        script.sends(&frames::header(channel, 16 * 1024 * 1024));
        script.sends(&frames::body(channel, b"x")).expect_quiet();
    }
    assert!(script.connection.is_running());
}

#[test]
fn frame_max_0_in_the_configuration_is_the_default() {
    let config = Config {
        frame_max: 0,
        ..Config::default()
    };
    let script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    assert_eq!(script.connection.frame_max(), 131_072);
}

#[test]
fn a_message_keeps_no_more_of_the_read_buffer_than_it_is_worth() {
    const BUFFER: usize = 128 * 1024;
    for (len, keeps) in [
        (1_000, false),
        (16_384, false),
        (60_000, false),
        (100_000, true),
    ] {
        for split in [false, true] {
            let mut script = Script::running();
            script.input = bytes::BytesMut::with_capacity(BUFFER);
            let body = vec![b'b'; len];
            let mut octets = frames::publish_method(1, "", "q");
            octets.extend(frames::header(1, len as u64));
            if split {
                // The header comes alone: the body is not taken whole with its method.
                script.sends(&octets);
                octets.clear();
            }
            octets.extend(frames::body(1, &body));
            script.sends(&octets);
            let message = script.event();
            assert_eq!(
                script.input.try_reclaim(BUFFER),
                !keeps,
                "{len} octets, {split}"
            );
            drop(message);
        }
    }
}
