//! However the network cuts the octets, the same things happen.

use proptest::prelude::*;

use super::{
    frames,
    script::{Script, Written},
};

type Transcript = (Vec<String>, Vec<Written>, Vec<u8>);

/// A session with something of everything, from the channels on.
fn session() -> Vec<Vec<u8>> {
    vec![
        frames::channel_open(1),
        frames::channel_open(300),
        frames::queue_declare(1, "q\r\n"),
        frames::publish(1, "", "q", b"small"),
        frames::publish(300, "ex", "key", b""),
        frames::publish_method(1, "", "split"),
        frames::heartbeat(),
        frames::header(1, 10),
        frames::body(1, b"01234"),
        frames::publish(300, "ex", "between", b"x"),
        frames::ack(300, 4),
        frames::body(1, b""),
        frames::body(1, b"56789"),
        frames::publish(1, "", "large", &[b'L'; 20_000]),
        frames::raw_method(1, 20, 20, &[1]),
        frames::publish(1, "", "too large", &[b'T'; 40_000]),
        frames::publish(1, "", "ignored", b"ignored"),
        frames::channel_close_ok(1),
        frames::channel_close(300),
    ]
}

/// Ends for a session, each with another way out.
fn ends() -> Vec<Vec<u8>> {
    vec![
        frames::connection_close(),
        frames::raw_method(0, 77, 1, b"odd"),
        frames::raw(9, 1, b"unknown"),
        frames::body(5, b"x"),
        vec![1, 0, 1, 0, 0, 0, 1, 0, 0],
        vec![3, 0, 1, 0x7f, 0, 0, 0, 1],
    ]
}

fn run(octets: &[u8], cuts: &[usize]) -> Transcript {
    let config = crate::Config {
        max_message_size: 30_000,
        ..crate::Config::default()
    };
    let mut script = Script::opened(config, &frames::tune_ok(2_047, 131_072, 0));
    let mut from = 0;
    for cut in cuts.iter().copied().chain([octets.len()]) {
        let to = cut.clamp(from, octets.len());
        script.sends(&octets[from..to]);
        from = to;
    }
    script.transcript()
}

#[test]
fn every_single_cut_gives_the_same() {
    for end in ends() {
        let octets: Vec<u8> = [session().concat(), end, frames::connection_close_ok()].concat();
        let whole = run(&octets, &[]);
        assert!(whole.0.len() > 10, "{:?}", whole.0);
        for cut in
            (0..octets.len()).filter(|at| *at < 700 || at % 501 == 0 || at + 400 > octets.len())
        {
            assert_eq!(run(&octets, &[cut]), whole, "cut at {cut}");
        }
    }
}

#[test]
fn octet_by_octet_gives_the_same() {
    let mut session = session();
    // The two large bodies would only take time.
    session.retain(|frames| frames.len() < 10_000);
    for end in ends() {
        let octets = [session.concat(), end].concat();
        let cuts: Vec<usize> = (0..octets.len()).collect();
        assert_eq!(run(&octets, &cuts), run(&octets, &[]));
    }
}

#[test]
fn the_handshake_may_come_octet_by_octet() {
    let mut script = Script::new();
    let mut events = Vec::new();
    let octets = [
        frames::PROTOCOL_HEADER,
        &frames::start_ok("PLAIN", b"\0guest\0guest", &[]),
        &frames::tune_ok(9, 4_096, 5),
        &frames::open("/"),
        &frames::channel_open(1),
    ]
    .concat();
    for octet in octets {
        script.sends(&[octet]);
        let (new, _, _) = script.transcript();
        for event in &new {
            if event.starts_with("login") {
                script.connection.accept_login(script.now);
            } else if event.starts_with("open") {
                script.connection.accept_open();
            }
        }
        events.extend(new);
    }
    assert_eq!(
        events,
        ["login guest by PLAIN", "open /", "channel 1 opened"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_chunking_gives_the_same(
        end in 0..6_usize,
        order in Just(session()).prop_shuffle(),
        shuffled in any::<bool>(),
        cuts in prop::collection::vec(0..70_000_usize, 0..40),
    ) {
        let body = if shuffled { order } else { session() };
        let octets = [body.concat(), ends().swap_remove(end), frames::connection_close_ok()].concat();
        let mut cuts = cuts;
        cuts.sort_unstable();
        prop_assert_eq!(run(&octets, &cuts), run(&octets, &[]));
    }
}
