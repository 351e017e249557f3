//! Peers that open and close without end, or tear their sockets: nothing of them stays, and others are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leveret_tests::client::encoded;
use leveret_tests::login::PROTOCOL_HEADER;
use leveret_tests::requests::{cancel, close_channel, consume, delete_queue, nack_up_to, queue};
use leveret_tests::{Client, Method, PATIENCE, Program, Publish, Server};
use leveret_wire::method::channel;

/// Channels of one connection, as the broker offers them.
const CHANNELS: u16 = 2_047;
/// What memory may vary by, in KiB, without anything being kept.
const NOISE: u64 = 16 << 10;

/// Open all channels, consume on each, and close them.
fn storm(client: &mut Client) {
    let mut requests = Vec::new();
    for number in 2..=CHANNELS {
        requests.extend(encoded(number, &channel::Open {}.into_class()));
        requests.extend(encoded(number, &consume("q", "c").into_class()));
    }
    for number in 2..=CHANNELS {
        requests.extend(encoded(number, &close_channel().into_class()));
    }
    client.write(&requests);
    for number in 2..=CHANNELS {
        let _: channel::OpenOk = client.expect(number);
        let _: leveret_wire::method::basic::ConsumeOk = client.expect(number);
    }
    for number in 2..=CHANNELS {
        let _: channel::CloseOk = client.expect(number);
    }
}

#[test]
fn storms_of_channels_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    client.call(1, queue("q"));
    for _ in 0..3 {
        storm(&mut client);
    }
    let before = program.resident_kib();
    for _ in 0..12 {
        storm(&mut client);
    }
    let grown = program.resident_kib().saturating_sub(before);
    assert!(grown < NOISE, "{grown} KiB more after 12 storms");
    assert_eq!(client.counts(1, "q"), (0, 0));
}

#[test]
fn torn_connections_leave_nothing_behind() {
    const CONNECTIONS: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut steady = program.client();
    steady.call(1, queue("q"));
    for number in 0..100 {
        steady.publish_text(1, "q", &number.to_string());
    }
    steady.expect_quiet(1);
    let files = program.open_files();
    for number in 0..CONNECTIONS {
        let mut client = program.client();
        match number % 4 {
            0 => client.close(),
            // With something unread, the system sends a reset in place of an end.
            1 => {
                client.send(1, consume("q", "c"));
                client.socket().peek(&mut [0]).unwrap();
            }
            // In the middle of a message.
            2 => {
                let publish = Publish::to_queue("q").body(vec![0; 100_000]).octets(1);
                client.write(&publish[..50_000]);
            }
            // Before the login.
            _ => {
                let mut torn = Client::dial(program.address());
                torn.write(PROTOCOL_HEADER);
                torn.socket().peek(&mut [0]).unwrap();
            }
        }
    }
    let began = Instant::now();
    while program.open_files() > files || steady.counts(1, "q") != (100, 0) {
        assert!(
            began.elapsed() < PATIENCE,
            "{} files, {files} before; {:?}",
            program.open_files(),
            steady.counts(1, "q")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(steady.drain(1, "q"), all);
}

#[test]
fn a_client_that_undoes_all_it_does_holds_up_nobody() {
    let server = Server::start();
    let stop = Arc::new(AtomicBool::new(false));
    let restless = {
        let mut client = server.client();
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let mut rounds = 0_u32;
            let mut octets = Vec::new();
            for number in 2..=50 {
                octets.extend(encoded(number, &channel::Open {}.into_class()));
                let name = format!("restless {number}");
                octets.extend(encoded(number, &queue(&name).into_class()));
                octets.extend(encoded(number, &consume(&name, "c").into_class()));
                octets.extend(encoded(number, &cancel("c").into_class()));
                octets.extend(encoded(number, &delete_queue(&name).into_class()));
                octets.extend(encoded(number, &close_channel().into_class()));
            }
            while !stop.load(Ordering::Relaxed) {
                client.write(&octets);
                for number in 2..=50 {
                    let _: channel::OpenOk = client.expect(number);
                    let _: leveret_wire::method::queue::DeclareOk = client.expect(number);
                    let _: leveret_wire::method::basic::ConsumeOk = client.expect(number);
                    let _: leveret_wire::method::basic::CancelOk = client.expect(number);
                    let _: leveret_wire::method::queue::DeleteOk = client.expect(number);
                    let _: channel::CloseOk = client.expect(number);
                }
                rounds += 1;
            }
            rounds
        })
    };
    let mut other = server.client();
    other.call(1, queue("q"));
    for number in 0..500 {
        other.publish_text(1, "q", &number.to_string());
        assert_eq!(other.get(1, "q", true).unwrap().text(), number.to_string());
    }
    stop.store(true, Ordering::Relaxed);
    assert!(restless.join().unwrap() > 0);
    assert_eq!(server.running().broker().queue_totals().queues, 1);
}

#[test]
fn many_unacknowledged_messages_go_back_in_their_order() {
    const COUNT: usize = 50_000;
    let server = Server::start();
    let mut publisher = server.client();
    publisher.call(1, queue("q"));
    publisher.publish_all(
        1,
        (0..COUNT).map(|at| Publish::to_queue("q").body(at.to_string())),
    );
    let mut consumer = server.client();
    consumer.call(1, consume("q", "c"));
    for at in 0..COUNT {
        assert_eq!(consumer.expect_delivery(1).text(), at.to_string());
    }
    assert_eq!(publisher.counts(1, "q"), (0, 1));
    consumer.send(1, nack_up_to(0, true));
    for at in 0..COUNT {
        let delivery = consumer.expect_delivery(1);
        assert!(delivery.redelivered());
        assert_eq!(delivery.text(), at.to_string());
    }
    consumer.send(1, cancel("c"));
    let _: leveret_wire::method::basic::CancelOk = consumer.expect(1);
    consumer.send(1, nack_up_to(0, true));
    consumer.close();
    assert_eq!(publisher.counts(1, "q"), (u32::try_from(COUNT).unwrap(), 0));
    assert_eq!(publisher.get(1, "q", true).unwrap().text(), "0");
}
