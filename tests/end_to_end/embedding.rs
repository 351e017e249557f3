//! Brokers inside a program of somebody else's.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use leveret::{Broker, StartError};
use leveret_tests::requests::{durable_queue, passive_queue, queue};
use leveret_tests::{Client, PATIENCE, Publish, Server};

#[test]
fn two_brokers_know_nothing_of_each_other() {
    let one = Server::start();
    let other = Server::start();
    assert_ne!(one.address(), other.address());
    let mut client = one.client();
    client.call(1, queue("q"));
    client.publish_text(1, "q", "m");
    other.client().expect_refused(
        1,
        passive_queue("q"),
        404,
        "NOT_FOUND - no queue 'q' in vhost '/'",
    );
    drop(other);
    assert_eq!(client.drain(1, "q"), ["m"]);
}

#[test]
fn a_temporary_store_does_all_that_a_store_does() {
    let server = Server::build(leveret::BrokerBuilder::temporary);
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.confirm_select(1);
    client.publish_all(
        1,
        (0..100).map(|_| Publish::to_queue("d").persistent().body("m")),
    );
    client.expect_confirms(1, 1, 100);
    assert_eq!(client.counts(1, "d"), (100, 0));
}

#[test]
fn it_listens_where_it_is_told() {
    let server = Server::build(|builder| {
        builder
            .listen("127.0.0.1:0".parse().unwrap())
            .listen("127.0.0.1:0".parse().unwrap())
    });
    let addresses = server.running().amqp_addresses();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], server.address());
    for address in addresses {
        let mut client = Client::connect(address);
        client.open_channel(1);
        client.call(1, queue("q"));
    }
    assert_eq!(server.running().broker().queue_totals().queues, 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_dropped_broker_listens_no_more() {
    let runtime = runtime();
    let broker = runtime.block_on(Broker::builder().start()).unwrap();
    let address = broker.address();
    Client::connect(address).close();
    drop(broker);
    let began = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(began.elapsed() < PATIENCE, "somebody still listens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_address_in_use_is_told() {
    let server = Server::start();
    let started = runtime().block_on(Broker::builder().listen(server.address()).start());
    let Err(StartError::Listen { address, .. }) = started else {
        panic!("it started")
    };
    assert_eq!(address.to_string(), server.address().to_string());
}

#[test]
fn a_wrong_setting_is_told() {
    let builder = Broker::builder().configure(|config| config.limits.frame_max = 100);
    let Err(StartError::Config(error)) = runtime().block_on(builder.start()) else {
        panic!("it started");
    };
    assert!(
        error.to_string().starts_with("limits.frame_max: expected"),
        "{error}"
    );
}

#[test]
fn a_folder_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::build(|builder| builder.data_dir(folder.path()));
    let started = runtime().block_on(Broker::builder().data_dir(folder.path()).start());
    let Err(StartError::Locked(locked)) = started else {
        panic!("it started")
    };
    assert_eq!(locked, folder.path());
}
