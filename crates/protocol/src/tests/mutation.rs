//! Whatever a peer sends, and whatever the owner does meanwhile: no panic, and a legal state.

use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::{
    frames,
    script::{Script, Written, describe},
};
use crate::{ChannelError, ConnectionError, Event};

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    Advance(u16),
    Block,
    Close,
    CloseChannel(u16),
    Deliver(u16),
    /// A frame, with one octet changed.
    Mutated(Vec<u8>, usize, u8),
    Pause(bool),
    Send(Vec<u8>),
    Unblock,
}

fn legal_frame() -> impl Strategy<Value = Vec<u8>> {
    let channel = prop_oneof![4 => 1..4_u16, 1 => Just(0), 1 => any::<u16>()];
    let octets = prop::collection::vec(any::<u8>(), 0..60);
    (0..22_usize, channel, octets, any::<u64>()).prop_map(|(pick, channel, octets, number)| {
        match pick {
            0 | 1 => frames::channel_open(channel),
            2 | 3 => frames::publish(channel, "", "key", &octets),
            4 => frames::publish_method(channel, "ex", "key"),
            5 => frames::header(channel, octets.len() as u64),
            6 => frames::header(channel, number),
            7 | 8 => frames::body(channel, &octets),
            9 => frames::channel_close(channel),
            10 => frames::channel_close_ok(channel),
            11 => frames::queue_declare(channel, "q"),
            12 => frames::ack(channel, number),
            13 => frames::connection_close(),
            14 => frames::connection_close_ok(),
            15 => frames::heartbeat(),
            16 => frames::update_secret(&octets),
            17 => frames::start_ok("PLAIN", b"\0a\0b", &["connection.blocked"]),
            18 => frames::tune_ok(channel, 131_072, 5),
            19 => frames::open("/"),
            20 => frames::raw(number.to_be_bytes()[0], channel, &octets),
            _ => octets,
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => legal_frame().prop_map(Action::Send),
        4 => (legal_frame(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
            |(frame, index, octet)| {
                let at = index.index(frame.len().max(1));
                Action::Mutated(frame, at, octet)
            }
        ),
        1 => (0..90_u16).prop_map(Action::Advance),
        1 => (0..5_u16).prop_map(Action::CloseChannel),
        1 => (0..5_u16).prop_map(Action::Deliver),
        1 => Just(Action::Close),
        1 => Just(Action::Block),
        2 => Just(Action::Unblock),
        1 => any::<bool>().prop_map(Action::Pause),
    ]
}

/// The owner does what an event asks for.
fn answer(script: &mut Script, event: &Event) {
    let connection = &mut script.connection;
    match event {
        Event::Login(credentials) => {
            let is_welcome = describe(event).contains("login a");
            if is_welcome {
                connection.accept_login(script.now);
            } else {
                connection.refuse_login(credentials.mechanism(), script.now);
            }
        }
        Event::Open { .. } => connection.accept_open(),
        Event::UpdateSecret { .. } => connection.accept_secret(),
        Event::ChannelClose(channel) => connection.accept_channel_close(*channel),
        Event::ChannelOpened(channel) => connection.accept_channel_open(*channel),
        Event::Close => connection.accept_close(script.now),
        _ => {}
    }
}

/// Feeds the input and checks what must hold in every state.
fn turn(script: &mut Script, events: &mut Vec<Event>, written: &mut Vec<Written>) {
    // What timeouts have brought.
    events.extend(script.take_events());
    while let Some(event) = script.connection.poll_event(&mut script.input, script.now) {
        answer(script, &event);
        events.push(event);
    }
    script.flush();
    let (_, frames, octets) = script.transcript();
    assert_eq!(octets, b"", "only whole frames are written");
    written.extend(frames);
    let connection = &script.connection;
    if connection.is_finished() {
        assert_eq!(connection.poll_timeout(), None);
        assert!(!connection.wants_input() && script.input.is_empty());
    }
    if !connection.wants_input() && connection.is_running() {
        assert!(
            connection.is_blocked(),
            "every question of the machine's was answered"
        );
    }
}

fn act(script: &mut Script, action: Action) {
    match action {
        Action::Advance(secs) => {
            script.advance(f64::from(secs));
        }
        Action::Block => script.connection.block("low on memory"),
        Action::Close => {
            script
                .connection
                .close(&ConnectionError::connection_forced("test"), script.now);
        }
        Action::CloseChannel(channel) => {
            script
                .connection
                .close_channel(channel, &ChannelError::not_found("test"));
        }
        Action::Deliver(channel) => script.connection.confirm_ack(channel, 1, true),
        Action::Mutated(mut frame, at, octet) => {
            if let Some(target) = frame.get_mut(at) {
                *target = octet;
            }
            script.input.extend_from_slice(&frame);
        }
        Action::Pause(true) => script.connection.pause_reading(),
        Action::Pause(false) => script.connection.resume_reading(),
        Action::Send(frame) => script.input.extend_from_slice(&frame),
        Action::Unblock => script.connection.unblock(),
    }
}

/// After our `connection.close` nothing goes out but the answer to the peer's own.
fn check_nothing_follows_close(written: &[Written]) {
    let is_method =
        |frame: &Written, id: [u8; 4]| frame.channel == 0 && frame.payload.starts_with(&id);
    let mut closed = false;
    for frame in written {
        let close = is_method(frame, [0, 10, 0, 50]);
        let close_ok = is_method(frame, [0, 10, 0, 51]);
        assert!(!closed || close_ok, "{frame:?} after close");
        closed |= close;
    }
}

/// A message comes only on a channel that was opened and has not been closed since.
fn check_channels(events: &[Event], already_open: &[u16]) {
    let mut open: HashSet<u16> = already_open.iter().copied().collect();
    for event in events {
        match event {
            Event::ChannelOpened(channel) => assert!(open.insert(*channel), "opened twice"),
            Event::ChannelClose(channel) | Event::ChannelFailed(channel, _) => {
                assert!(
                    open.remove(channel),
                    "{event:?} of a channel that is not open"
                );
            }
            Event::Publish(channel, _)
            | Event::Method(channel, _)
            | Event::Ack(channel, _)
            | Event::Nack(channel, _)
            | Event::Reject(channel, _) => {
                assert!(
                    open.contains(channel),
                    "{event:?} on a channel that is not open"
                );
            }
            // The owner's own soft errors are not in the events; its end is.
            Event::ChannelClosed(channel) => {
                open.remove(channel);
            }
            _ => {}
        }
    }
}

/// Whoever began it, the end comes, once.
fn check_end(script: &mut Script, events: &mut Vec<Event>) {
    let was_finished = script.connection.is_finished();
    script.input.clear();
    script
        .connection
        .close(&ConnectionError::connection_forced("end"), script.now);
    script.connection.accept_close(script.now);
    if !was_finished && script.connection.is_finished() {
        // Nobody to talk to yet: it is over without an event.
        return;
    }
    script.now += Duration::from_secs(31);
    events.extend(script.connection.handle_timeout(script.now));
    assert!(
        script.connection.is_finished(),
        "a machine that is closed finishes"
    );
    let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    assert!(
        count(|event| matches!(event, Event::Closed | Event::Lost(_))) <= 1,
        "{events:?}"
    );
    assert!(
        count(|event| matches!(event, Event::ConnectionFailed(_))) <= 1,
        "{events:?}"
    );
    assert!(
        count(|event| matches!(event, Event::Close)) <= 1,
        "{events:?}"
    );
}

fn play(mut script: Script, actions: Vec<Action>, already_open: &[u16]) {
    let (mut events, mut written) = (Vec::new(), Vec::new());
    for action in actions {
        act(&mut script, action);
        turn(&mut script, &mut events, &mut written);
    }
    check_nothing_follows_close(&written);
    check_channels(&events, already_open);
    check_end(&mut script, &mut events);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_connection_in_use_survives_anything(actions in prop::collection::vec(action(), 1..60)) {
        play(Script::running(), actions, &[1]);
    }

    #[test]
    fn a_handshake_survives_anything(actions in prop::collection::vec(action(), 1..20)) {
        play(Script::started(), actions, &[]);
    }

    #[test]
    fn a_new_connection_survives_any_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut script = Script::new();
        script.sends(&octets);
        script.advance(60.0);
        prop_assert!(script.connection.is_finished());
    }
}
