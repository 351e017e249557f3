//! Certificates of clients: who is let in by one, and as whom.

use std::fs;

use leveret::config::{AlternativeName, CertificateLogin, Tls, TlsVerify};
use leveret_tests::requests::queue;
use leveret_tests::tls::{Authority, Identity};
use leveret_tests::{Client, Login, Server};
use rcgen::string::Ia5String;
use rcgen::{SanType, SerialNumber, date_time_ymd};

/// A broker that asks clients for certificates of `clients`, and whose default user has this name.
fn asking(clients: &Authority, user: &str, change: impl FnOnce(&mut Tls)) -> (Server, Authority) {
    let hosts = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = hosts.host(&["localhost"]).write(folder.path(), "host");
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &clients.pem).unwrap();
    let server = Server::build(|builder| {
        builder.configure(|config| {
            user.clone_into(&mut config.default_user.name);
            config.tls.certificate = vec![certificate];
            config.tls.key = vec![key];
            config.tls.ca = Some(ca);
            config.tls.verify = TlsVerify::Peer;
            // What they need stands in the folder only while the broker starts.
            config.tls.reload_interval_seconds = 0;
            change(&mut config.tls);
        })
    });
    (server, hosts)
}

fn dial(server: &Server, hosts: &Authority, identity: Option<&Identity>) -> Client {
    let config = hosts.client_config(identity, (true, true));
    Client::dial(server.encrypted_address()).encrypted(&config, "localhost")
}

fn external() -> Login {
    Login {
        mechanism: "EXTERNAL".to_owned(),
        response: Vec::new(),
        ..Login::default()
    }
}

#[test]
fn external_is_offered_to_who_has_shown_a_certificate() {
    let clients = Authority::new();
    let (server, hosts) = asking(&clients, "CN=hare,O=Burrow", |_| {});
    let hare = clients.client("hare", |_| {});
    let mut client = dial(&server, &hosts, Some(&hare));
    client.open_connection(&external());
    assert_eq!(client.mechanisms, "PLAIN AMQPLAIN EXTERNAL");
    client.open_channel(1);
    client.call(1, queue("q"));
    // A password does as well.
    let mut client = dial(&server, &hosts, Some(&hare));
    client.open_connection(&Login::plain("CN=hare,O=Burrow", "guest"));
    // Who has shown none can't use it.
    let mut client = dial(&server, &hosts, None);
    client.expect_start();
    client.send(0, external().start_ok());
    client.expect_end();
    let mut client = dial(&server, &hosts, None);
    client.open_connection(&Login::plain("CN=hare,O=Burrow", "guest"));
    assert_eq!(client.mechanisms, "PLAIN AMQPLAIN");
    // Nor is it offered without TLS.
    let mut client = Client::dial(server.address());
    client.open_connection(&Login::plain("CN=hare,O=Burrow", "guest"));
    assert_eq!(client.mechanisms, "PLAIN AMQPLAIN");
}

#[test]
fn a_certificate_of_a_stranger_lets_nobody_in() {
    let clients = Authority::new();
    let (server, hosts) = asking(&clients, "CN=hare,O=Burrow", |_| {});
    let fox = clients.client("fox", |_| {});
    let mut client = dial(&server, &hosts, Some(&fox));
    client.expect_start();
    client.send(0, external().start_ok());
    client.expect_connection_close(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. \
         For details see the broker logfile.",
    );
}

#[test]
fn the_name_may_come_from_elsewhere_in_the_certificate() {
    let clients = Authority::new();
    let ia5 = |text: &str| Ia5String::try_from(text).unwrap();
    let hare = clients.client("hare", |params| {
        params.subject_alt_names = vec![
            SanType::DnsName(ia5("first.example")),
            SanType::Rfc822Name(ia5("hare@burrow.example")),
            SanType::DnsName(ia5("second.example")),
        ];
    });
    let san = CertificateLogin::SubjectAlternativeName;
    for (user, from, kind, index) in [
        (
            "hare",
            CertificateLogin::CommonName,
            AlternativeName::Dns,
            0,
        ),
        ("first.example", san, AlternativeName::Dns, 0),
        ("second.example", san, AlternativeName::Dns, 1),
        ("hare@burrow.example", san, AlternativeName::Email, 0),
    ] {
        let (server, hosts) = asking(&clients, user, |tls| {
            tls.login_from = from;
            tls.login_san_type = kind;
            tls.login_san_index = index;
        });
        let mut client = dial(&server, &hosts, Some(&hare));
        client.open_connection(&external());
        let connections = server.running().broker().connection_summaries();
        assert_eq!(&*connections[0].user, user);
    }
    // A name that is not there: the mechanism could be of no use.
    let (server, hosts) = asking(&clients, "hare", |tls| {
        tls.login_from = san;
        tls.login_san_type = AlternativeName::Uri;
    });
    let mut client = dial(&server, &hosts, Some(&hare));
    client.open_connection(&Login::plain("hare", "guest"));
    assert_eq!(client.mechanisms, "PLAIN AMQPLAIN");
}

#[test]
fn only_good_certificates_are_taken() {
    let clients = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let crl = folder.path().join("crl.pem");
    fs::write(&crl, clients.revoke(&[77])).unwrap();
    let (server, hosts) = asking(&clients, "CN=hare,O=Burrow", |tls| {
        tls.fail_if_no_peer_cert = true;
        tls.crl = Some(crl);
    });
    let good = clients.client("hare", |_| {});
    let stranger = Authority::new().client("hare", |_| {});
    let expired = clients.client("hare", |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let early = clients.client("hare", |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
    });
    let revoked = clients.client("hare", |params| {
        params.serial_number = Some(SerialNumber::from(77));
    });
    for (case, identity) in [
        ("none", None),
        ("another authority's", Some(&stranger)),
        ("expired", Some(&expired)),
        ("not valid yet", Some(&early)),
        ("revoked", Some(&revoked)),
    ] {
        for versions in [(true, false), (false, true)] {
            let config = hosts.client_config(identity, versions);
            let mut client =
                Client::dial(server.encrypted_address()).encrypted(&config, "localhost");
            assert!(client.handshake_of_tls().is_err(), "{case}");
        }
    }
    let mut client = dial(&server, &hosts, Some(&good));
    client.open_connection(&external());
    client.open_channel(1);
}
