//! What users may do, and what they are told if they may not.

use leveret::{Permission, TopicPermission};
use leveret_tests::requests::{
    bind, delete_queue, exchange, passive_queue, purge, queue, table, text,
};
use leveret_tests::{Client, Login, Publish, Server};
use leveret_wire::method::queue::Declare;

fn permission(configure: &str, write: &str, read: &str) -> Permission {
    Permission {
        configure: configure.to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    }
}

fn set(server: &Server, permission: Permission) {
    let broker = server.running().broker();
    broker.set_permission("bob", "v1", permission).unwrap();
}

/// A broker with a vhost `v1` and a user `bob`, who has this permission there.
fn server(permission: Permission) -> Server {
    let server = Server::start();
    let broker = server.running().broker();
    broker.add_vhost("v1", serde_json::Map::new()).unwrap();
    broker.add_user("bob", "builder", vec![]).unwrap();
    broker
        .set_permission("guest", "v1", Permission::all())
        .unwrap();
    set(&server, permission);
    server
}

fn log_in(server: &Server, user: &str, password: &str) -> Client {
    let login = Login {
        vhost: "v1".to_owned(),
        ..Login::plain(user, password)
    };
    server.log_in(&login)
}

fn bob(server: &Server) -> Client {
    log_in(server, "bob", "builder")
}

/// The refusal of access to something in `v1`.
fn access(what: &str) -> String {
    let (before, after) = what.split_once(", ").unwrap_or((what, ""));
    let place = if after.is_empty() {
        format!("{before} in vhost 'v1'")
    } else {
        format!("{before} in {after} in vhost 'v1'")
    };
    format!("ACCESS_REFUSED - {place} refused for user 'bob'")
}

#[test]
fn refusals_name_the_right_the_thing_the_vhost_and_the_user() {
    let server = server(permission("^bob", "^(bob|w)", "^(bob|r)"));
    let mut guest = log_in(&server, "guest", "guest");
    guest.call(1, queue("q2"));
    let mut bob = bob(&server);
    let refused = [
        ("configure access to queue 'q2'", queue("q2")),
        // Whether it is there is nobody's business.
        ("configure access to queue 'q3'", queue("q3")),
        ("configure access to queue 'q2'", passive_queue("q2")),
        ("configure access to queue 'q3'", passive_queue("q3")),
        (
            "write access to exchange 'rx'",
            Declare {
                arguments: table([("x-dead-letter-exchange", text("rx"))]),
                ..queue("bob-dead")
            },
        ),
    ];
    for (what, declare) in refused {
        bob.expect_refused(1, declare, 403, &access(what));
    }
    bob.expect_refused(
        1,
        delete_queue("q2"),
        403,
        &access("configure access to queue 'q2'"),
    );
    bob.expect_refused(1, purge("q2"), 403, &access("read access to queue 'q2'"));
    bob.expect_refused(
        1,
        exchange("x", "fanout"),
        403,
        &access("configure access to exchange 'x'"),
    );
    bob.call(1, queue("bob-q"));
    bob.expect_refused(
        1,
        bind("bob-q", "amq.topic", "k"),
        403,
        &access("read access to exchange 'amq.topic'"),
    );
    bob.publish_text(1, "bob-q", "m");
    bob.expect_channel_close(1, 403, &access("write access to exchange 'amq.default'"));
    bob.reopen_channel(1);
    // The connection has seen nothing of it.
    assert_eq!(bob.counts(1, "bob-q"), (0, 0));
}

#[test]
fn a_server_named_queue_must_be_allowed_by_its_name() {
    let server = server(permission("^amq\\.gen-", "", "^amq\\.gen-"));
    let mut bob = bob(&server);
    let name = bob.call(1, queue("")).queue;
    assert_eq!(bob.counts(1, name.as_str()), (0, 0));
    set(&server, permission("^q", "", ""));
    bob.send(1, queue(""));
    let close: leveret_wire::method::channel::Close = bob.expect(1);
    let told = close.reply_text.to_string();
    assert!(
        told.starts_with("ACCESS_REFUSED - configure access to queue 'amq.gen-"),
        "{told}"
    );
}

#[test]
fn a_change_counts_at_once_on_channels_that_are_open() {
    let server = server(Permission::all());
    let mut bob = bob(&server);
    bob.open_channel(2);
    bob.call(1, queue("q"));
    for _ in 0..10 {
        bob.publish_text(2, "q", "m");
    }
    assert_eq!(bob.counts(1, "q"), (10, 0));
    set(&server, permission(".*", "^nothing$", ".*"));
    bob.publish_text(2, "q", "m");
    bob.expect_channel_close(2, 403, &access("write access to exchange 'amq.default'"));
    bob.reopen_channel(2);
    assert_eq!(bob.counts(1, "q"), (10, 0));
    set(&server, Permission::all());
    bob.publish_text(2, "q", "m");
    // Another channel's command may overtake nothing of this connection.
    assert_eq!(bob.counts(1, "q"), (11, 0));
    let broker = server.running().broker();
    broker.clear_permission("bob", "v1").unwrap();
    bob.expect_refused(
        1,
        passive_queue("q"),
        403,
        &access("configure access to queue 'q'"),
    );
}

#[test]
fn topic_permissions_refuse_keys_of_publishes_and_bindings() {
    let server = server(Permission::all());
    let keys = TopicPermission {
        write: "^{username}\\.".to_owned(),
        read: "^{username}\\.|^news\\.".to_owned(),
    };
    let broker = server.running().broker();
    broker
        .set_topic_permission("bob", "v1", "amq.topic", keys)
        .unwrap();
    let mut bob = bob(&server);
    bob.call(1, queue("q"));
    bob.call(1, bind("q", "amq.topic", "bob.#"));
    bob.publish(1, &Publish::to("amq.topic", "bob.a").body("m"));
    assert_eq!(bob.counts(1, "q"), (1, 0));
    bob.publish(1, &Publish::to("amq.topic", "news.a").body("m"));
    let text = access("access to topic 'news.a', exchange 'amq.topic'");
    bob.expect_channel_close(1, 403, &text);
    bob.reopen_channel(1);
    let text = access("access to topic '#', exchange 'amq.topic'");
    bob.expect_refused(1, bind("q", "amq.topic", "#"), 403, &text);
    bob.call(1, bind("q", "amq.topic", "news.#"));
}
