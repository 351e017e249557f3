//! Certificates in files: several of them, and new ones while the broker runs.

use std::fs;

use leveret_tests::program;
use leveret_tests::requests::queue;
use leveret_tests::tls::Authority;
use leveret_tests::{Client, Login, Program, Server};

use super::tls::encrypted;

/// The certificate that a broker shows a client that asks for `host`.
fn shown(address: std::net::SocketAddr, authority: &Authority, host: &str) -> Vec<u8> {
    let config = authority.client_config(None, (true, true));
    let mut client = Client::dial(address).encrypted(&config, host);
    client.handshake_of_tls().unwrap();
    client.certificate_of_broker()
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_is_asked_for() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let first = authority.host(&["a.example", "c.example"]);
    let second = authority.host(&["b.example", "*.b.example"]);
    let server = Server::build(|builder| {
        builder.configure(|config| {
            for (identity, name) in [(&first, "first"), (&second, "second")] {
                let (certificate, key) = identity.write(folder.path(), name);
                config.tls.certificate.push(certificate);
                config.tls.key.push(key);
            }
        })
    });
    let shown = |host| shown(server.encrypted_address(), &authority, host);
    for host in ["a.example", "c.example"] {
        assert_eq!(shown(host), first.der.to_vec());
    }
    for host in ["b.example", "B.example", "x.b.example"] {
        assert_eq!(shown(host), second.der.to_vec(), "{host}");
    }
    // Who asks for neither gets the first, which he will not like.
    let config = authority.client_config(None, (true, true));
    let mut client = Client::dial(server.encrypted_address()).encrypted(&config, "d.example");
    assert!(client.handshake_of_tls().unwrap_err().contains("a.example"));
}

#[test]
fn new_files_are_for_new_connections() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = encrypted(&authority, folder.path(), |_| {});
    let shown = || shown(server.encrypted_address(), &authority, "localhost");
    let before = shown();
    let config = authority.client_config(None, (true, true));
    let mut old = Client::dial(server.encrypted_address()).encrypted(&config, "localhost");
    old.open_connection(&Login::default());
    old.open_channel(1);
    let next = authority.host(&["localhost"]);
    next.write(folder.path(), "host");
    assert!(server.running().reload_certificates().unwrap());
    assert_eq!(shown(), next.der.to_vec());
    assert_ne!(shown(), before);
    old.call(1, queue("q"));
    // Files that can't be used change nothing.
    let key = folder.path().join("host.key");
    for (text, reason) in [
        ("", "no private key in it"),
        ("-----BEGIN PRIVATE KEY-----\n!\n", "not in PEM"),
        (authority.host(&["x"]).key.as_str(), "not the key of"),
    ] {
        fs::write(&key, text).unwrap();
        let error = server
            .running()
            .reload_certificates()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(reason) && error.contains("host.key"),
            "{error}"
        );
        assert_eq!(shown(), next.der.to_vec());
    }
    fs::remove_file(&key).unwrap();
    let error = server.running().reload_certificates().unwrap_err();
    assert!(
        error.to_string().contains("host.key: cannot be read: "),
        "{error}"
    );
    old.call(1, queue("q"));
}

#[test]
fn without_tls_there_is_nothing_to_reload() {
    let server = Server::start();
    assert!(!server.running().reload_certificates().unwrap());
    assert!(server.running().amqps_addresses().is_empty());
}

/// A program with TLS whose files lie in `folder`.
fn serve(folder: &std::path::Path, more: &[&str]) -> Program {
    let name = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (name("host.pem"), name("host.key"));
    let mut arguments = vec!["--tls-listen", "127.0.0.1:0"];
    arguments.extend(["--tls-certificate", &certificate, "--tls-key", &key]);
    arguments.extend(more);
    Program::serve(&folder.join("data"), &arguments)
}

fn encrypted_address(program: &Program) -> std::net::SocketAddr {
    let line = program.wait_for_line(" ready ");
    let (_, after) = line.split_once("amqps=\"").unwrap();
    after.split_once('"').unwrap().0.parse().unwrap()
}

#[test]
fn changed_files_and_a_hangup_are_noticed() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.host(&["localhost"]).write(folder.path(), "host");
    let config = folder.path().join("leveret.toml");
    fs::write(&config, "[tls]\nreload_interval_seconds = 1\n").unwrap();
    let program = serve(folder.path(), &["--config", config.to_str().unwrap()]);
    let address = encrypted_address(&program);
    let shown = || shown(address, &authority, "localhost");
    let mut client = program.client();
    program.signal("HUP");
    program.wait_for_line("TLS certificates reloaded");
    let next = authority.host(&["localhost", "next.example"]);
    fs::write(folder.path().join("host.key"), &next.key).unwrap();
    program.wait_for_line("TLS certificates not reloaded: the old ones stay in use");
    fs::write(folder.path().join("host.pem"), &next.certificate).unwrap();
    program.wait_for_line("TLS certificates reloaded: their files have changed");
    assert_eq!(shown(), next.der.to_vec());
    client.call(1, queue("q"));
}

#[test]
fn what_is_spoken_on_the_wrong_port_is_logged_in_one_line() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.host(&["localhost"]).write(folder.path(), "host");
    let program = serve(folder.path(), &[]);
    let mut client = Client::dial(encrypted_address(&program));
    client.write(b"AMQP\x00\x00\x09\x01");
    client.read_to_end();
    let config = authority.client_config(None, (true, true));
    let mut client = Client::dial(program.address()).encrypted(&config, "localhost");
    client.handshake_of_tls().unwrap_err();
    let stranger = Authority::new().client_config(None, (true, true));
    let mut client = Client::dial(encrypted_address(&program)).encrypted(&stranger, "localhost");
    client.handshake_of_tls().unwrap_err();
    let mut lines = vec![
        program.wait_for_line("plain text on a port for TLS"),
        program.wait_for_line("TLS on a port for plain text"),
        program.wait_for_line("the TLS handshake failed"),
    ];
    lines.sort();
    program.signal("TERM");
    let (_, log) = program.wait();
    let mut warned: Vec<String> = log
        .into_iter()
        .filter(|line| line.contains(" WARN "))
        .collect();
    warned.sort();
    assert_eq!(warned, lines);
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = Authority::new()
        .host(&["localhost"])
        .write(folder.path(), "host");
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let refused = |arguments: &[&str]| {
        let all = [&["check-config"], arguments].concat();
        let output = program::run(&all);
        let line = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), line)
    };
    let (code, line) = refused(&["--tls-certificate", certificate, "--tls-key", certificate]);
    assert_eq!(code, Some(78));
    assert_eq!(
        line,
        format!("leveret: {certificate}: no private key in it\n")
    );
    let (code, line) = refused(&["--tls-certificate", certificate]);
    assert_eq!(code, Some(64));
    assert_eq!(
        line,
        "leveret: --tls-certificate: tls.certificate needs tls.key\n"
    );
    let (code, _) = refused(&["--tls-certificate", certificate, "--tls-key", key]);
    assert_eq!(code, Some(0));
}
