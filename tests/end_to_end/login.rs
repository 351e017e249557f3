//! Mechanisms, credentials and what a failed login hears.

use leveret_tests::login::amqplain;
use leveret_tests::requests::queue;
use leveret_tests::{Client, Login, Server};
use leveret_wire::method::connection::{Close, UpdateSecret};

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
    For details see the broker logfile.";

/// A client that has sent this start-ok.
fn attempt(server: &Server, login: &Login) -> Client {
    let mut client = Client::dial(server.address());
    client.expect_start();
    client.send(0, login.start_ok());
    client
}

#[test]
fn plain_and_amqplain_let_a_user_in() {
    let server = Server::start();
    server.log_in(&Login::plain("guest", "guest")).close();
    server.log_in(&Login::amqplain("guest", "guest")).close();
}

#[test]
fn the_default_user_is_a_setting() {
    let server = Server::build(|builder| {
        builder.configure(|config| {
            config.default_user.name = "alice".to_owned();
            config.default_user.password = "wonder\u{e9}land".to_owned().into();
        })
    });
    let mut client = server.log_in(&Login::plain("alice", "wonder\u{e9}land"));
    client.call(1, queue("q"));
    client.close();
    let mut guest = attempt(&server, &Login::default());
    guest.expect_connection_close(403, REFUSED);
}

#[test]
fn a_bad_password_is_told_to_who_can_take_it() {
    let server = Server::start();
    for login in [
        Login::plain("guest", "wrong"),
        Login::plain("nobody", "guest"),
        Login::plain("guest", ""),
    ] {
        let mut client = attempt(&server, &login);
        let close: Close = client.expect_connection_close(403, REFUSED);
        assert_eq!((close.class_id, close.method_id), (0, 0));
        client.expect_end();
    }
    let wrong = Login::amqplain("guest", "wrong");
    attempt(&server, &wrong).expect_connection_close(403, &REFUSED.replace("PLAIN", "AMQPLAIN"));
}

#[test]
fn without_the_capability_a_bad_password_is_met_with_silence() {
    let server = Server::start();
    let login = Login {
        response: b"\0guest\0wrong".to_vec(),
        ..Login::without_capabilities()
    };
    attempt(&server, &login).expect_end();
}

#[test]
fn what_is_no_login_is_met_with_silence() {
    let server = Server::start();
    let cases: [(&str, &[u8]); 10] = [
        ("PLAIN", b""),
        ("PLAIN", b"guest\0guest"),
        ("PLAIN", b"admin\0guest\0guest"),
        ("PLAIN", b"\0guest\0guest\0"),
        ("PLAIN", b"\0guest"),
        ("plain", b"\0guest\0guest"),
        ("EXTERNAL", b""),
        ("ANONYMOUS", b""),
        ("SCRAM-SHA-1", b"n,,n=guest,r=x"),
        ("AMQPLAIN", b"\xff\xff\xff"),
    ];
    for (mechanism, response) in cases {
        let login = Login {
            mechanism: mechanism.to_owned(),
            response: response.to_vec(),
            ..Login::default()
        };
        let mut client = attempt(&server, &login);
        assert_eq!(client.next_frame(), None, "{mechanism} {response:?}");
    }
    let missing = Login {
        mechanism: "AMQPLAIN".to_owned(),
        response: amqplain(&[("PASSWORD", "guest")]),
        ..Login::default()
    };
    attempt(&server, &missing).expect_end();
}

#[test]
fn the_default_user_may_log_in_from_loopback_only() {
    let server = Server::build(|builder| builder.listen("0.0.0.0:0".parse().unwrap()));
    let port = server.address().port();
    // The address that packets to elsewhere would carry; nothing is sent to find it.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe
        .connect("192.0.2.1:9")
        .and_then(|()| probe.local_addr());
    let mut local = Client::connect((std::net::Ipv4Addr::LOCALHOST, port).into());
    local.open_channel(1);
    // A machine without a network has no other address to come from.
    let Some(own) = own
        .ok()
        .filter(|own| !own.ip().is_loopback() && !own.ip().is_unspecified())
    else {
        return;
    };
    let mut remote = Client::dial((own.ip(), port).into());
    remote.expect_start();
    remote.send(0, Login::default().start_ok());
    remote.expect_connection_close(403, REFUSED);
}

#[test]
fn a_failed_login_waits_before_the_end() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.login_failure_delay_seconds = 1)
    });
    let began = std::time::Instant::now();
    let mut client = attempt(&server, &Login::plain("guest", "wrong"));
    client.expect_connection_close(403, REFUSED);
    client.expect_end();
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
}

#[test]
fn a_new_secret_is_accepted() {
    let server = Server::start();
    let mut client = server.client();
    let update = UpdateSecret {
        new_secret: "new".into(),
        reason: "rotation".into(),
    };
    client.call(0, update);
    client.call(1, queue("q"));
}
