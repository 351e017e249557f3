//! AMQP over TLS: what goes over it, and what is no TLS.

use std::path::Path;

use leveret::config::{Tls, TlsVersion};
use leveret_tests::metrics::Scrape;
use leveret_tests::requests::{consume_no_ack, queue};
use leveret_tests::tls::Authority;
use leveret_tests::{Client, Login, Publish, Server};

/// A broker with a certificate for `localhost`, set up further by `change`.
pub(crate) fn encrypted(
    authority: &Authority,
    folder: &Path,
    change: impl FnOnce(&mut Tls),
) -> Server {
    let (certificate, key) = authority.host(&["localhost"]).write(folder, "host");
    Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| {
                config.tls.certificate = vec![certificate];
                config.tls.key = vec![key];
                change(&mut config.tls);
            })
    })
}

#[test]
fn messages_go_over_both_versions() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = encrypted(&authority, folder.path(), |_| {});
    for versions in [(true, false), (false, true)] {
        let config = authority.client_config(None, versions);
        let mut client = Client::dial(server.encrypted_address()).encrypted(&config, "localhost");
        client.open_connection(&Login::default());
        assert_eq!(client.mechanisms, "PLAIN AMQPLAIN");
        client.open_channel(1);
        client.call(1, queue("q"));
        client.call(1, consume_no_ack("q", "c"));
        // Many records each way, and more than one socket's buffer.
        let large = vec![7; 3 << 20];
        for _ in 0..3 {
            client.publish(1, &Publish::to_queue("q").body(large.clone()));
        }
        for _ in 0..3 {
            assert_eq!(client.expect_delivery(1).content.body, large);
        }
        client.publish_all(
            1,
            (0..2000).map(|number| Publish::to_queue("q").body(number.to_string())),
        );
        let numbers: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
        let deliveries = client.expect_deliveries(1, 2000);
        assert!(
            deliveries
                .iter()
                .map(leveret_tests::Delivery::text)
                .eq(&numbers)
        );
        client.close();
    }
}

#[test]
fn the_plain_listener_is_as_before() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = encrypted(&authority, folder.path(), |_| {});
    server.client().call(1, queue("q"));
}

#[test]
fn only_the_versions_that_are_set_are_spoken() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    for (version, old, new) in [
        (TlsVersion::V1_2, true, false),
        (TlsVersion::V1_3, false, true),
    ] {
        let server = encrypted(&authority, folder.path(), |tls| {
            tls.versions = vec![version];
        });
        let answered = |versions| {
            let config = authority.client_config(None, versions);
            Client::dial(server.encrypted_address())
                .encrypted(&config, "localhost")
                .handshake_of_tls()
                .is_ok()
        };
        assert_eq!(
            (answered((true, false)), answered((false, true))),
            (old, new)
        );
        assert!(answered((true, true)));
    }
}

#[test]
fn plain_text_on_the_tls_port_ends_at_once() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = encrypted(&authority, folder.path(), |_| {});
    for octets in [
        b"AMQP\x00\x00\x09\x01".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut client = Client::dial(server.encrypted_address());
        client.write(octets);
        assert_eq!(client.read_to_end(), b"");
    }
    let mut client = Client::dial(server.encrypted_address());
    // A record of a handshake with nonsense in it.
    client.write(b"\x16\x03\x01\x00\x05hello");
    client.read_to_end();
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("leveret_tls_handshakes_failed_total") >= 3.0);
}

#[test]
fn tls_on_the_plain_port_ends_at_once() {
    let authority = Authority::new();
    let server = Server::start();
    let config = authority.client_config(None, (true, true));
    let mut client = Client::dial(server.address()).encrypted(&config, "localhost");
    assert!(client.handshake_of_tls().is_err());
}

#[test]
fn a_handshake_that_stands_still_has_an_end() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = encrypted(&authority, folder.path(), |tls| {
        tls.handshake_timeout_seconds = 1;
    });
    let mut silent = Client::dial(server.encrypted_address());
    let mut slow = Client::dial(server.encrypted_address());
    slow.write(b"\x16\x03\x01");
    silent.read_to_end();
    slow.read_to_end();
}

#[test]
fn handshakes_are_among_those_who_have_not_logged_in() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.host(&["localhost"]).write(folder.path(), "host");
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.limits.unauthenticated_connections = 3;
            config.tls.certificate = vec![certificate];
            config.tls.key = vec![key];
        })
    });
    let mut silent: Vec<Client> = (0..20)
        .map(|_| Client::dial(server.encrypted_address()))
        .collect();
    let config = authority.client_config(None, (true, true));
    let mut client = Client::dial(server.encrypted_address()).encrypted(&config, "localhost");
    client.open_connection(&Login::default());
    // The oldest made room.
    silent.remove(0).read_to_end();
    client.open_channel(1);
}

#[test]
fn a_client_that_reads_nothing_over_tls_is_dropped() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.host(&["localhost"]).write(folder.path(), "host");
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.limits.write_stall_timeout_seconds = 1;
            config.tls.certificate = vec![certificate];
            config.tls.key = vec![key];
        })
    });
    let config = authority.client_config(None, (true, true));
    let mut deaf = Client::dial(server.encrypted_address()).encrypted(&config, "localhost");
    deaf.open_connection(&Login::default());
    deaf.open_channel(1);
    deaf.call(1, queue("q"));
    deaf.call(1, consume_no_ack("q", "c"));
    let mut publisher = server.client();
    for _ in 0..40 {
        publisher.publish(1, &Publish::to_queue("q").body(vec![0; 1 << 20]));
    }
    let began = std::time::Instant::now();
    while server.running().broker().connections() > 1 {
        assert!(
            began.elapsed() < leveret_tests::PATIENCE,
            "it is still there"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    publisher.expect_quiet(1);
}
