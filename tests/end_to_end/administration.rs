//! Users, vhosts and limits changed under connections that are open.

use leveret::Permission;
use leveret_tests::requests::{durable_queue, passive_queue, queue};
use leveret_tests::{Client, Login, Program, Server};
use leveret_wire::method::channel;
use leveret_wire::method::connection::{Open, TuneOk};
use serde_json::{Map, json};

/// A broker with a vhost `v1` and a user `bob` who may do everything there.
fn server() -> Server {
    let server = Server::start();
    let broker = server.running().broker();
    broker.add_vhost("v1", Map::new()).unwrap();
    broker.add_user("bob", "builder", vec![]).unwrap();
    for user in ["bob", "guest"] {
        broker
            .set_permission(user, "v1", Permission::all())
            .unwrap();
    }
    server
}

fn login(user: &str, password: &str) -> Login {
    Login {
        vhost: "v1".to_owned(),
        ..Login::plain(user, password)
    }
}

fn bob(server: &Server) -> Client {
    server.log_in(&login("bob", "builder"))
}

/// connection.open of `v1` is refused.
fn expect_refused(server: &Server, login: &Login, text: &str) {
    let mut client = Client::dial(server.address());
    let tune = client.expect_tune(login);
    client.send(
        0,
        TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        },
    );
    let open = Open {
        virtual_host: "v1".into(),
    };
    client.expect_fatal(0, open, 530, text);
}

#[test]
fn a_deleted_user_is_shown_the_door() {
    let server = server();
    let mut bob = bob(&server);
    let mut guest = server.log_in(&login("guest", "guest"));
    bob.call(1, queue("q"));
    server.running().broker().delete_user("bob").unwrap();
    bob.expect_hard_error(320, "CONNECTION_FORCED - user 'bob' is deleted");
    guest.call(1, passive_queue("q"));
    let mut again = Client::dial(server.address());
    again.expect_start();
    again.send(0, Login::plain("bob", "builder").start_ok());
    again.expect_hard_error(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
    );
}

#[test]
fn a_deleted_vhost_shows_everybody_the_door_and_comes_back_empty() {
    let server = server();
    let mut clients = [bob(&server), server.log_in(&login("guest", "guest"))];
    let mut elsewhere = server.client();
    clients[0].call(1, durable_queue("q"));
    clients[0].call(1, leveret_tests::requests::consume("q", "c"));
    clients[0].publish_text(1, "q", "m");
    clients[0].expect_delivery(1);
    let broker = server.running().broker();
    broker.delete_vhost("v1").unwrap();
    for client in &mut clients {
        client.expect_hard_error(320, "CONNECTION_FORCED - vhost 'v1' is deleted");
    }
    elsewhere.call(1, queue("q"));
    let text = "NOT_ALLOWED - vhost v1 not found";
    expect_refused(&server, &login("bob", "builder"), text);
    broker.add_vhost("v1", Map::new()).unwrap();
    let text = "NOT_ALLOWED - access to vhost 'v1' refused for user 'bob'";
    expect_refused(&server, &login("bob", "builder"), text);
    broker
        .set_permission("bob", "v1", Permission::all())
        .unwrap();
    bob(&server).expect_refused(
        1,
        passive_queue("q"),
        404,
        "NOT_FOUND - no queue 'q' in vhost 'v1'",
    );
}

#[test]
fn connections_of_vhosts_and_users_have_limits() {
    let server = server();
    let broker = server.running().broker();
    broker
        .set_vhost_limits("v1", &json!({"max-connections": 1}))
        .unwrap();
    let first = bob(&server);
    expect_refused(
        &server,
        &login("bob", "builder"),
        "NOT_ALLOWED - access to vhost 'v1' refused for user 'bob': connection limit (1) is reached",
    );
    broker.clear_vhost_limits("v1").unwrap();
    broker
        .set_user_limits("bob", &json!({"max-connections": 1}))
        .unwrap();
    expect_refused(
        &server,
        &login("bob", "builder"),
        "NOT_ALLOWED - connection refused for user 'bob': user connection limit (1) is reached",
    );
    server.log_in(&login("guest", "guest")).close();
    first.close();
    bob(&server).close();
}

#[test]
fn channels_of_a_user_have_a_limit_over_all_connections() {
    let server = server();
    let broker = server.running().broker();
    broker
        .set_user_limits("bob", &json!({"max-channels": 2}))
        .unwrap();
    let first = bob(&server);
    let mut second = bob(&server);
    second.send(2, channel::Open {});
    // No open-ok comes first.
    second.expect_hard_error(
        530,
        "NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum allowed user limit of (2)",
    );
    let mut third = bob(&server);
    first.close();
    third.open_channel(2);
    third.call(2, queue("q"));
}

#[test]
fn a_new_password_counts_for_the_next_login() {
    let server = server();
    let mut bob_before = bob(&server);
    let broker = server.running().broker();
    broker.change_password("bob", "other").unwrap();
    bob_before.call(1, queue("q"));
    server.log_in(&login("bob", "other")).close();
    assert!(broker.authenticate_user("bob", "builder").is_err());
}

#[test]
fn users_of_a_data_folder_outlive_the_process_that_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    client.call(1, durable_queue("q"));
    client.close();
    program.signal("TERM");
    program.wait();
    let broker = leveret::Broker::builder();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime
        .block_on(
            broker
                .data_dir(folder.path())
                .listen("127.0.0.1:0".parse().unwrap())
                .start(),
        )
        .unwrap();
    let node = broker.broker();
    node.add_user("bob", "builder", vec![]).unwrap();
    node.add_vhost("v1", Map::new()).unwrap();
    let last = node.set_permission("bob", "v1", Permission::all()).unwrap();
    node.wait_durable(last).unwrap();
    runtime.block_on(broker.shutdown());
    let program = Program::serve(folder.path(), &[]);
    let mut client = Client::log_in(program.address(), &login("bob", "builder"));
    client.open_channel(1);
    client.call(1, queue("q"));
}
