//! Peers that do not log in.

use std::time::{Duration, Instant};

use leveret_tests::Client;
use leveret_tests::login::PROTOCOL_HEADER;

use crate::pulse::milliseconds;
use crate::{Line, Scene};

/// 1,000 sockets, each with the most that is kept before a login: a start-ok of the largest size, but for its end.
pub(crate) fn worst_before_login(scene: &Scene) -> Vec<Line> {
    const PEERS: u64 = 1_000;
    let broker = scene.broker("[limits]\nhandshake_timeout_seconds = 600\n");
    broker.client().close();
    let before = broker.resident_kib();
    let mut hello = PROTOCOL_HEADER.to_vec();
    hello.extend([1, 0, 0, 0, 0, 0x20, 0]);
    hello.resize(8 + 7 + 8_191, b'x');
    let peers: Vec<Client> = (0..PEERS)
        .map(|_| {
            let mut peer = Client::dial(broker.address());
            peer.write(&hello);
            peer
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let each = (broker.resident_kib() - before).div_ceil(PEERS);
    drop(peers);
    vec![Line::new(
        "1,000 peers with the most that is kept before a login",
        format!("{each} KiB each"),
        "64 KiB each",
    )]
}

/// 2,000 sockets that say nothing: how long others take to log in, and when the last is gone.
pub(crate) fn silent_sockets(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    let files = broker.open_files();
    let began = Instant::now();
    let silent: Vec<Client> = (0..2_000).map(|_| Client::dial(broker.address())).collect();
    let logging_in = Instant::now();
    broker.client().close();
    let login = logging_in.elapsed();
    while broker.open_files() > files {
        assert!(began.elapsed() < Duration::from_secs(60), "they stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    let gone = began.elapsed();
    drop(silent);
    vec![
        Line::new(
            "login beside 2,000 silent sockets",
            format!("{} ms", milliseconds(login)),
            "1 s",
        ),
        Line::new(
            "until the last of them is closed",
            format!("{:.1} s", gone.as_secs_f64()),
            "10 s and what dialling takes",
        ),
    ]
}
