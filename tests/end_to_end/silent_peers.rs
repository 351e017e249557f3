//! Peers that say nothing, or too little, before they have logged in: they hold little, and keep nobody out.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use leveret_tests::login::PROTOCOL_HEADER;
use leveret_tests::tls::Authority;
use leveret_tests::{Client, PATIENCE, Program, Server};

/// Wait until so much is true.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn silent_sockets_all_go_and_keep_nobody_out() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.host(&["localhost"]).write(folder.path(), "host");
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.limits.unauthenticated_connections = 50;
            config.limits.handshake_timeout_seconds = 2;
            config.tls.certificate = vec![certificate];
            config.tls.key = vec![key];
        })
    });
    let mut silent: Vec<Client> = Vec::new();
    for number in 0..200 {
        let encrypted = number % 2 == 0;
        let address = if encrypted {
            server.encrypted_address()
        } else {
            server.address()
        };
        let mut client = Client::dial(address);
        // Some say the beginning of something.
        if number % 3 == 0 {
            let beginning: &[u8] = if encrypted {
                b"\x16\x03\x01\x02\x00\x01"
            } else {
                PROTOCOL_HEADER
            };
            client.try_write(beginning);
        }
        silent.push(client);
    }
    server.client().close();
    // Each ends, with or without a word.
    for mut client in silent {
        client.read_to_end();
    }
    server.client().close();
}

#[test]
fn a_handshake_of_one_octet_now_and_then_has_its_end() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.handshake_timeout_seconds = 1)
    });
    let mut octets = PROTOCOL_HEADER.to_vec();
    // A start-ok of the largest size that is read, which would take half an hour.
    octets.extend([1, 0, 0, 0, 0, 0x20, 0]);
    octets.resize(8_192, 0);
    let mut slow = TcpStream::connect(server.address()).unwrap();
    let began = Instant::now();
    let mut sent = 0;
    for octet in octets {
        if slow.write_all(&[octet]).is_err() {
            break;
        }
        sent += 1;
        assert!(
            began.elapsed() < PATIENCE,
            "after {sent} octets it is still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(sent > 8, "it was not even listened to");
    server.client().close();
}

#[test]
fn what_has_not_logged_in_holds_little() {
    const PEERS: u64 = 400;
    /// Octets of a start-ok that never ends: all that is read before the login.
    const FRAME: u64 = 8_192;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let before = program.resident_kib();
    let mut hello = PROTOCOL_HEADER.to_vec();
    hello.extend([1, 0, 0, 0, 0, 0x20, 0]);
    hello.resize(8 + 7 + 8_191, b'x');
    let peers: Vec<Client> = (0..PEERS)
        .map(|_| {
            let mut peer = Client::dial(program.address());
            peer.write(&hello);
            peer
        })
        .collect();
    // What they have sent is read, and kept until it is whole.
    let grown = || program.resident_kib().saturating_sub(before);
    wait_until("nothing is read", || grown() > PEERS * FRAME / 1024 * 3 / 4);
    let held = grown();
    assert!(held < PEERS * 64, "{held} KiB for {PEERS} peers");
    program.client().close();
    drop(peers);
}
