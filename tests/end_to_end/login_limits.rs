//! How fast passwords may be guessed, and who is there at first.

use std::time::Instant;

use leveret_tests::metrics::Scrape;
use leveret_tests::{Client, Login, PATIENCE, Server};
use leveret_wire::AMQPClass;
use leveret_wire::method::connection;

const REFUSED: &str = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
    For details see the broker logfile.";

/// Whether a password lets the default user in.
fn is_let_in(server: &Server, password: &str) -> bool {
    let mut client = Client::dial(server.address());
    client.expect_start();
    client.send(0, Login::plain("guest", password).start_ok());
    match client.next_event() {
        leveret_tests::Event::Method(0, AMQPClass::Connection(connection::AMQPMethod::Tune(_))) => {
            true
        }
        leveret_tests::Event::Method(
            0,
            AMQPClass::Connection(connection::AMQPMethod::Close(close)),
        ) => {
            assert_eq!(
                (close.reply_code, close.reply_text.as_str()),
                (403, REFUSED)
            );
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_too_many_failures_no_password_is_looked_at_for_a_while() {
    let server = Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| config.limits.login_failures_per_second = 1)
    });
    let began = Instant::now();
    // On a busy machine the second may be over before the right password comes.
    loop {
        is_let_in(&server, "wrong");
        if !is_let_in(&server, "guest") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it is never refused");
    }
    let throttled = |server: &Server| {
        Scrape::of(server.metrics_address()).value("leveret_logins_throttled_total")
    };
    assert!(throttled(&server) >= 1.0);
    // What is not looked at is no failure, so that trying again and again gets in.
    while !is_let_in(&server, "guest") {
        assert!(began.elapsed() < PATIENCE, "it is refused for ever");
    }
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("rabbitmq_auth_attempts_failed_total") >= 2.0);
}

#[test]
fn without_a_bound_every_password_is_looked_at() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.login_failures_per_second = 0)
    });
    for _ in 0..30 {
        assert!(!is_let_in(&server, "wrong"));
    }
    assert!(is_let_in(&server, "guest"));
}

#[test]
fn waiting_after_a_failure_holds_up_nobody_else() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.login_failure_delay_seconds = 60)
    });
    let waiting: Vec<Client> = (0..9)
        .map(|_| {
            let mut client = Client::dial(server.address());
            client.expect_start();
            client.send(0, Login::plain("guest", "wrong").start_ok());
            client.expect_connection_close(403, REFUSED);
            client
        })
        .collect();
    server.client().close();
    drop(waiting);
}

/// What an administrator would see of users, as JSON.
fn exported(server: &Server) -> String {
    server.running().broker().export_definitions().to_json()
}

#[test]
fn the_default_users_tags_and_permissions_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let start = |tag: &str, read: &str| {
        Server::build(|builder| {
            builder.data_dir(folder.path()).configure(|config| {
                config.default_user.tags = vec![tag.to_owned()];
                config.default_user.configure = String::new().into();
                config.default_user.read = read.to_owned().into();
                config.default_vhost = "orders".to_owned();
            })
        })
    };
    let mut server = start("monitoring", "^in");
    let first = exported(&server);
    for part in [
        "\"monitoring\"",
        "\"^in\"",
        "\"configure\":\"\"",
        "\"orders\"",
    ] {
        assert!(first.replace(": ", ":").contains(part), "{part} in {first}");
    }
    let login = Login {
        vhost: "orders".to_owned(),
        ..Login::default()
    };
    server.log_in(&login).close();
    server.shut_down();
    drop(server);
    // It is what a new folder begins with: what is there stays as it is.
    let server = start("management", "^out");
    let again = exported(&server);
    assert!(again.contains("monitoring") && !again.contains("management"));
    assert!(again.contains("^in") && !again.contains("^out"));
}

#[test]
fn a_default_user_of_few_rights_gets_them_in_the_vhosts_of_the_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    std::fs::write(&file, r#"{"vhosts":[{"name":"a"},{"name":"b"}]}"#).unwrap();
    let server = Server::build(|builder| {
        builder.temporary().configure(|config| {
            config.load_definitions = Some(file);
            config.default_user.tags.clear();
        })
    });
    for vhost in ["a", "b"] {
        let login = Login {
            vhost: vhost.to_owned(),
            ..Login::default()
        };
        server.log_in(&login).close();
    }
    assert!(!exported(&server).contains("administrator"));
}
