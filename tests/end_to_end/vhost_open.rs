//! connection.open.

use leveret_tests::{Client, Login, Server};
use leveret_wire::method::connection::{Open, TuneOk};

/// Open a vhost and be refused.
fn refused(server: &Server, vhost: &str, text: &str) {
    let mut client = Client::dial(server.address());
    let tune = client.expect_tune(&Login::default());
    client.send(
        0,
        TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        },
    );
    client.expect_fatal(
        0,
        Open {
            virtual_host: vhost.into(),
        },
        530,
        text,
    );
}

#[test]
fn a_vhost_that_is_not_there_is_refused() {
    let server = Server::start();
    refused(&server, "nope", "NOT_ALLOWED - vhost nope not found");
    refused(&server, "", "NOT_ALLOWED - vhost  not found");
    refused(&server, "//", "NOT_ALLOWED - vhost // not found");
}

#[test]
fn the_default_vhost_is_a_setting() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.default_vhost = "warren".to_owned())
    });
    refused(&server, "/", "NOT_ALLOWED - vhost / not found");
    let login = Login {
        vhost: "warren".to_owned(),
        ..Login::default()
    };
    let mut client = server.log_in(&login);
    client.expect_refused(
        1,
        leveret_tests::requests::passive_queue("q"),
        404,
        "NOT_FOUND - no queue 'q' in vhost 'warren'",
    );
}
