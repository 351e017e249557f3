//! The orderly end of a broker.

use std::net::TcpStream;
use std::time::Duration;

use leveret_tests::requests::{consume, durable_queue, queue};
use leveret_tests::{Client, Publish, Server};

const FORCED: &str = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'";

#[test]
fn clients_are_told_and_the_port_is_closed() {
    let mut server = Server::start();
    let address = server.address();
    let mut idle = server.client();
    let mut consumer = server.client();
    consumer.call(1, queue("q"));
    consumer.call(1, consume("q", "c"));
    let clients = std::thread::spawn(move || {
        for client in [&mut idle, &mut consumer] {
            let close = client.expect_hard_error(320, FORCED);
            assert_eq!((close.class_id, close.method_id), (0, 0));
        }
    });
    server.shut_down();
    clients.join().unwrap();
    assert!(
        TcpStream::connect(address).is_err(),
        "somebody still listens"
    );
}

#[test]
fn a_client_that_does_not_answer_does_not_hold_it_up_for_ever() {
    let mut server = Server::build(|builder| {
        builder.configure(|config| config.limits.close_timeout_seconds = 1)
    });
    let mut client = server.client();
    server.shut_down();
    client.expect_connection_close(320, FORCED);
    client.expect_end();
}

#[test]
fn a_client_that_has_not_logged_in_is_dropped() {
    // The handshake's own end would come much later.
    let mut server = Server::build(|builder| {
        builder.configure(|config| config.limits.handshake_timeout_seconds = 3_600)
    });
    let mut silent = Client::dial(server.address());
    let mut started = Client::dial(server.address());
    started.expect_start();
    server.shut_down();
    silent.expect_end();
    started.expect_end();
}

#[test]
fn a_publisher_in_full_flow_is_told_too() {
    let mut server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let socket = client.socket();
    let writer = std::thread::spawn(move || {
        let run = Publish::to_queue("q")
            .body(vec![0; 1_000])
            .octets(1)
            .repeat(50);
        let mut socket = socket;
        while std::io::Write::write_all(&mut socket, &run).is_ok() {}
    });
    std::thread::sleep(Duration::from_millis(100));
    let reader = std::thread::spawn(move || {
        client.expect_connection_close(320, FORCED);
        client.answer_close();
        drop(client);
    });
    server.shut_down();
    reader.join().unwrap();
    drop(server);
    writer.join().unwrap();
}

#[test]
fn what_was_confirmed_is_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::build(|builder| builder.data_dir(folder.path()));
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.confirm_select(1);
    client.publish_all(
        1,
        (0..100).map(|number| Publish::to_queue("d").persistent().body(number.to_string())),
    );
    client.expect_confirms(1, 1, 100);
    drop(client);
    server.shut_down();
    drop(server);
    let server = Server::build(|builder| builder.data_dir(folder.path()));
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(server.client().drain(1, "d"), expected);
}
