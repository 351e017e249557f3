//! How many connections there may be.

use leveret_tests::requests::queue;
use leveret_tests::{Client, Login, Server};
use leveret_wire::method::connection::{Close, Open, TuneOk};

#[test]
fn the_oldest_that_has_not_logged_in_makes_room() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.unauthenticated_connections = 3)
    });
    let mut logged_in = server.client();
    // Each is known to the broker before the next comes.
    let mut waiting: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = Client::dial(server.address());
            client.expect_start();
            client
        })
        .collect();
    let mut newest = Client::dial(server.address());
    newest.open_connection(&Login::default());
    waiting.remove(0).expect_end();
    for mut client in waiting {
        client.send(0, Login::default().start_ok());
        let _: leveret_wire::method::connection::Tune = client.expect(0);
    }
    logged_in.call(1, queue("q"));
    newest.open_channel(1);
}

#[test]
fn silent_sockets_do_not_keep_clients_out() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.unauthenticated_connections = 5)
    });
    let silent: Vec<Client> = (0..50).map(|_| Client::dial(server.address())).collect();
    for _ in 0..5 {
        server.client().close();
    }
    drop(silent);
}

#[test]
fn over_the_limit_open_is_refused() {
    let server = Server::build(|builder| builder.configure(|config| config.limits.connections = 2));
    let first = server.client();
    let mut second = server.client();
    let mut third = Client::dial(server.address());
    let tune = third.expect_tune(&Login::default());
    let tune_ok = TuneOk {
        channel_max: tune.channel_max,
        frame_max: tune.frame_max,
        heartbeat: 0,
    };
    third.send(0, tune_ok);
    third.send(
        0,
        Open {
            virtual_host: "/".into(),
        },
    );
    let close: Close = third.expect(0);
    assert_eq!(
        (close.reply_code, close.class_id, close.method_id),
        (530, 10, 40)
    );
    assert!(
        close.reply_text.as_str().starts_with("NOT_ALLOWED - "),
        "{close:?}"
    );
    third.answer_close();
    second.call(1, queue("q"));
    first.close();
    server.client().call(1, queue("q"));
}
