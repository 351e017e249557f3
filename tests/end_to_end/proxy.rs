//! The PROXY protocol: whose address counts.

use leveret_tests::metrics::Scrape;
use leveret_tests::tls::Authority;
use leveret_tests::{Client, Login, Server};

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
    For details see the broker logfile.";

const AMQP_ONLY: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A broker to which proxies at these addresses may speak for others.
fn behind(sources: &[&str]) -> Server {
    Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| {
                config.proxy_sources = sources
                    .iter()
                    .map(|source| source.parse().unwrap())
                    .collect();
                config.limits.handshake_timeout_seconds = 3;
            })
    })
}

/// A client for whom a proxy has said this.
fn dial(server: &Server, header: &[u8]) -> Client {
    let mut client = Client::dial(server.address());
    client.write(header);
    client
}

fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    header.extend(addresses);
    header
}

#[test]
fn the_announced_address_is_the_clients() {
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.proxy_sources = vec!["127.0.0.0/8".parse().unwrap()];
            config.loopback_users.clear();
        })
    });
    let names = || -> Vec<String> {
        let connections = server.running().broker().connection_summaries();
        connections.into_iter().map(|one| one.name).collect()
    };
    let mut line = dial(
        &server,
        b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 5672\r\n",
    );
    line.open_connection(&Login::default());
    assert_eq!(names(), ["203.0.113.7:40000 -> 198.51.100.1:5672"]);
    line.close();
    let addresses = [203, 0, 113, 8, 198, 51, 100, 1, 0x9c, 0x41, 0x16, 0x28];
    let mut octets = dial(&server, &binary(0x21, 0x11, &addresses));
    octets.open_connection(&Login::default());
    assert!(names().contains(&"203.0.113.8:40001 -> 198.51.100.1:5672".to_owned()));
    octets.close();
    // The proxy itself looks whether anybody is there: its own address counts.
    let mut local = dial(&server, &binary(0x20, 0, &[]));
    local.open_connection(&Login::default());
    let own = local.address();
    assert!(names().contains(&format!("{own} -> {}", server.address())));
}

#[test]
fn who_may_log_in_from_loopback_only_is_told_by_the_announced_address() {
    let server = behind(&["127.0.0.1"]);
    let mut from_far = [0; 36];
    from_far[..16].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    for header in [
        b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5672\r\n".to_vec(),
        b"PROXY TCP6 ::ffff:203.0.113.7 ::1 40000 5672\r\n".to_vec(),
        binary(0x21, 0x21, &from_far),
    ] {
        let mut client = dial(&server, &header);
        client.expect_start();
        client.send(0, Login::default().start_ok());
        client.expect_connection_close(403, REFUSED);
    }
    for header in [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 5672\r\n".as_slice(),
        b"PROXY TCP6 ::1 ::1 40000 5672\r\n",
        b"PROXY TCP6 ::ffff:127.0.0.1 ::1 40000 5672\r\n",
        b"PROXY UNKNOWN\r\n",
    ] {
        dial(&server, header).open_connection(&Login::default());
    }
}

#[test]
fn a_header_may_come_octet_by_octet() {
    let server = behind(&["127.0.0.1"]);
    for header in [
        b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 5672\r\n".to_vec(),
        binary(
            0x21,
            0x11,
            &[127, 0, 0, 1, 127, 0, 0, 1, 0, 1, 0, 2, 4, 0, 0],
        ),
    ] {
        let mut client = Client::dial(server.address());
        for octet in header {
            client.write(&[octet]);
        }
        client.open_connection(&Login::default());
    }
}

#[test]
fn from_others_it_is_no_amqp() {
    for server in [Server::start(), behind(&["10.0.0.0/8", "::1"])] {
        let mut client = dial(&server, b"PROXY TCP4 127.0.0.1 127.0.0.1 40000 5672\r\n");
        assert_eq!(client.read_to_end(), AMQP_ONLY);
        server.client().close();
    }
}

#[test]
fn a_proxy_that_says_nothing_of_its_client_is_not_served() {
    let server = behind(&["127.0.0.1"]);
    for octets in [
        AMQP_ONLY,
        b"PROXY TCP5 127.0.0.1 127.0.0.1 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00",
    ] {
        let mut client = dial(&server, octets);
        assert_eq!(client.read_to_end(), b"");
    }
    // Half of it, and no more: the time for the handshake counts.
    assert_eq!(dial(&server, b"PROXY TCP4 127.0").read_to_end(), b"");
    let mut cut = dial(&server, b"PROXY");
    cut.finish_writing();
    assert_eq!(cut.read_to_end(), b"");
    let scrape = Scrape::of(server.metrics_address());
    let refused = scrape.value("leveret_proxy_headers_refused_total");
    assert_eq!(refused.to_string(), "4");
}

#[test]
fn tls_comes_behind_the_header() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.host(&["localhost"]).write(folder.path(), "host");
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.proxy_sources = vec!["127.0.0.1".parse().unwrap()];
            config.loopback_users.clear();
            config.tls.certificate = vec![certificate];
            config.tls.key = vec![key];
        })
    });
    let mut client = Client::dial(server.encrypted_address());
    client.write(b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 5671\r\n");
    let config = authority.client_config(None, (true, true));
    let mut client = client.encrypted(&config, "localhost");
    client.open_connection(&Login::default());
    let connections = server.running().broker().connection_summaries();
    assert_eq!(
        connections[0].name,
        "203.0.113.7:40000 -> 198.51.100.1:5671"
    );
}
