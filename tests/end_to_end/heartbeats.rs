//! Heartbeats. Nothing here is measured but that things come at all: a broker that
//! is late fails no test.

use std::time::{Duration, Instant};

use leveret_tests::frame::HEARTBEAT;
use leveret_tests::requests::queue;
use leveret_tests::{Frame, Login, Server};

fn every_second() -> Login {
    Login {
        heartbeat: 1,
        ..Login::default()
    }
}

#[test]
fn a_silent_client_gets_heartbeats_and_is_dropped_without_a_close() {
    let server = Server::start();
    let mut client = server.log_in(&every_second());
    let mut heartbeats = 0;
    while let Some(frame) = client.next_frame() {
        assert_eq!(frame, Frame::new(HEARTBEAT, 0, []));
        heartbeats += 1;
    }
    assert!(
        heartbeats >= 2,
        "{heartbeats} heartbeats in two seconds and more"
    );
}

#[test]
fn a_client_that_says_so_lives() {
    let server = Server::start();
    let mut client = server.log_in(&every_second());
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        client.send_frame(&Frame::new(HEARTBEAT, 0, []));
        std::thread::sleep(Duration::from_millis(200));
    }
    client.call(1, queue("q"));
    client.close();
}

#[test]
fn any_octet_is_a_sign_of_life() {
    let server = Server::start();
    let mut client = server.log_in(&every_second());
    let declare =
        leveret_tests::client::encoded(1, &leveret_tests::Method::into_class(queue("queue")));
    // A method that takes four seconds to come.
    for octet in &declare {
        client.write(&[*octet]);
        std::thread::sleep(Duration::from_millis(4_000 / declare.len() as u64));
    }
    let _: leveret_wire::method::queue::DeclareOk = client.expect(1);
}

#[test]
fn without_heartbeats_silence_is_fine() {
    let server = Server::start();
    let mut client = server.log_in(&Login {
        heartbeat: 0,
        ..Login::default()
    });
    std::thread::sleep(Duration::from_secs(4));
    client.send(1, queue("q"));
    let frame = client.next_frame().unwrap();
    assert_ne!(frame.kind, HEARTBEAT);
}

#[test]
fn a_silent_clients_messages_come_back() {
    let server = Server::start();
    let mut watcher = server.client();
    watcher.call(1, queue("q"));
    watcher.publish_text(1, "q", "m");
    let mut client = server.log_in(&every_second());
    client.get(1, "q", false).unwrap();
    watcher.call(1, leveret_tests::requests::consume("q", "c"));
    // The client is not read from and says nothing; the broker gives its message to the watcher.
    let deliveries = watcher.expect_bodies(1, &["m"]);
    assert!(deliveries[0].redelivered());
}
