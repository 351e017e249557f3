//! The control command: queues, exchanges, bindings, connections, channels and consumers.

use leveret_tests::control::Control;
use leveret_tests::requests::{
    bind, consume, consume_no_ack, durable_queue, exchange, prefetch, queue, table, text,
};
use leveret_tests::{Client, Program};
use leveret_wire::method::queue::Declare;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A broker of its own with a client, and the control command for it.
fn broker() -> (TempDir, Program, Control, Client) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let client = program.client();
    let control = Control::of(folder.path());
    (folder, program, control, client)
}

fn rows(control: &Control, words: &[&str]) -> Value {
    let text = control.output(&[words, &["--formatter", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn queues_are_listed_with_the_columns_that_are_asked_for() {
    let (_folder, _program, control, mut client) = broker();
    let arguments = table([("x-s", text("str"))]);
    client.call(
        1,
        Declare {
            arguments,
            ..durable_queue("a")
        },
    );
    client.call(
        1,
        Declare {
            exclusive: true,
            ..queue("own")
        },
    );
    client.call(1, prefetch(1));
    client.confirm_select(1);
    for body in ["one", "two"] {
        client.publish_text(1, "a", body);
    }
    client.expect_confirms(1, 1, 2);
    client.call(1, consume("a", "tag"));
    client.expect_delivery(1);
    assert_eq!(
        control.output(&["list_queues"]),
        "Timeout: 60.0 seconds ...\nListing queues for vhost / ...\nname\tmessages\na\t2\nown\t0\n"
    );
    assert_eq!(
        rows(
            &control,
            &[
                "list_queues",
                "name,durable",
                "exclusive",
                "arguments",
                "messages_ready",
                "messages_unacknowledged",
                "message_bytes",
                "message_bytes_ready",
                "consumers",
                "state",
                "type",
            ]
        ),
        json!([
            {"name": "a", "durable": true, "exclusive": false, "arguments": [["x-s", "longstr", "str"]],
             "messages_ready": 1, "messages_unacknowledged": 1, "message_bytes": 6, "message_bytes_ready": 3,
             "consumers": 1, "state": "running", "type": "classic"},
            {"name": "own", "durable": false, "exclusive": true, "arguments": [],
             "messages_ready": 0, "messages_unacknowledged": 0, "message_bytes": 0, "message_bytes_ready": 0,
             "consumers": 0, "state": "running", "type": "classic"},
        ])
    );
    let owner = control.output(&["list_queues", "-s", "owner_pid"]);
    assert_eq!(
        owner,
        format!("\n{}", control.output(&["list_connections", "-s", "pid"]))
    );
    assert_eq!(control.output(&["list_queues", "-p", "nov", "-q"]), "");
}

#[test]
fn many_queues_are_listed_whole() {
    let (folder, _program, control, mut client) = broker();
    let names: Vec<String> = (0..3000)
        .map(|number| format!("queue-{number:05}-{}", "x".repeat(40)))
        .collect();
    for name in &names {
        client.call(1, queue(name));
    }
    let listed = control.output(&["list_queues", "-s", "name", "arguments"]);
    let expected: Vec<String> = names.iter().map(|name| format!("{name}\t[]\n")).collect();
    assert!(listed == expected.concat());
    // One who does not want to see all of it harms nobody.
    let mut command = leveret_tests::program::command(&["ctl", "--data-dir"]);
    command.arg(folder.path()).args(["list_queues", "-q"]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    control.output(&["ping"]);
}

#[test]
fn exchanges_and_bindings_are_listed() {
    let (_folder, _program, control, mut client) = broker();
    client.call(1, exchange("e", "topic"));
    client.call(1, durable_queue("q"));
    client.call(1, bind("q", "e", "k.#"));
    let listed = control.output(&["list_exchanges", "-q", "name", "type", "internal"]);
    for line in [
        "name\ttype\tinternal\n",
        "\n\tdirect\tfalse\n",
        "\ne\ttopic\tfalse\n",
        "\namq.rabbitmq.trace\ttopic\ttrue\n",
    ] {
        assert!(listed.contains(line), "{line:?} in {listed}");
    }
    assert_eq!(
        control.output(&["list_bindings"]),
        "Listing bindings for vhost /...\nsource_name\tsource_kind\tdestination_name\tdestination_kind\trouting_key\targuments\n\
         \texchange\tq\tqueue\tq\t[]\ne\texchange\tq\tqueue\tk.#\t[]\n"
    );
}

#[test]
fn connections_channels_and_consumers_are_listed_and_connections_closed() {
    let (_folder, program, control, mut client) = broker();
    let mut other = program.client();
    client.open_channel(2);
    client.confirm_select(2);
    client.call(1, queue("q"));
    client.call(1, prefetch(7));
    client.call(1, consume("q", "tag"));
    let connections = rows(
        &control,
        &[
            "list_connections",
            "pid",
            "user",
            "vhost",
            "state",
            "channels",
            "protocol",
            "peer_host",
            "ssl",
            "auth_mechanism",
            "timeout",
        ],
    );
    let first = &connections[0];
    let pid = first["pid"].as_str().unwrap().to_owned();
    assert_eq!(connections.as_array().unwrap().len(), 2);
    for (column, value) in [
        ("user", json!("guest")),
        ("vhost", json!("/")),
        ("state", json!("running")),
        ("channels", json!(2)),
        ("protocol", json!([0, 9, 1])),
        ("peer_host", json!([127, 0, 0, 1])),
        ("ssl", json!(false)),
        ("auth_mechanism", json!("PLAIN")),
    ] {
        assert_eq!(first[column], value, "{column}");
    }
    let channel = pid.replace(".0>", ".1>");
    assert_eq!(
        rows(
            &control,
            &[
                "list_channels",
                "pid",
                "connection",
                "number",
                "confirm",
                "consumer_count",
                "prefetch_count"
            ]
        )[0],
        json!({"pid": channel, "connection": pid, "number": 1, "confirm": false, "consumer_count": 1, "prefetch_count": 7})
    );
    assert_eq!(
        control.output(&["list_consumers"]),
        format!(
            "Listing consumers in vhost / ...\nqueue_name\tchannel_pid\tconsumer_tag\tack_required\tprefetch_count\tactive\targuments\nq\t{channel}\ttag\ttrue\t7\ttrue\t[]\n"
        )
    );
    assert_eq!(
        control.output(&["close_connection", &pid, "bye"]),
        format!("Closing connection {pid}, reason: bye...\n")
    );
    client.expect_hard_error(320, "CONNECTION_FORCED - bye");
    other.call(1, queue("q"));
    control.output(&["close_connection", &pid, "bye"]);
    control.expect_failure(
        &["close_connection", "<1.2.3>", "bye"],
        69,
        "Error:\nError:\n{:invalid_pid_syntax, \"<1.2.3>\"}\n",
    );
    assert_eq!(
        control.output(&["close_all_connections", "-q", "-p", "nov", "done"]),
        "Closed 0 connections\n"
    );
    assert_eq!(
        control.output(&["close_all_connections", "-q", "done"]),
        "Closed 1 connections\n"
    );
    other.expect_hard_error(320, "CONNECTION_FORCED - done");
}

#[test]
fn queues_are_purged_and_deleted() {
    let (_folder, _program, control, mut client) = broker();
    client.call(1, durable_queue("q"));
    client.confirm_select(1);
    for body in ["1", "2", "3"] {
        client.publish_text(1, "q", body);
    }
    client.expect_confirms(1, 1, 3);
    control.expect_failure(
        &["delete_queue", "q", "--if-empty"],
        64,
        "Error:\nQueue is not empty\n",
    );
    assert_eq!(
        control.output(&["purge_queue", "q"]),
        "Purging queue 'q' in vhost '/' ...\n"
    );
    assert_eq!(client.counts(1, "q"), (0, 0));
    client.call(1, consume("q", "tag"));
    control.expect_failure(
        &["delete_queue", "q", "--if-unused"],
        64,
        "Error:\nQueue is in use\n",
    );
    assert_eq!(
        control.output(&["delete_queue", "q"]),
        "Deleting queue 'q' on vhost '/' ...\nQueue was successfully deleted with 0 ready messages\n"
    );
    control.expect_failure(&["delete_queue", "q"], 64, "Error:\nQueue not found\n");
    control.expect_failure(&["purge_queue", "q"], 69, "Error:\nnot_found\n");
}

#[test]
fn a_vhost_is_traced_from_trace_on_to_trace_off() {
    let (_folder, _program, control, mut client) = broker();
    client.call(1, queue("copies"));
    client.call(1, bind("copies", "amq.rabbitmq.trace", "publish.#"));
    client.call(1, consume_no_ack("copies", "watcher"));
    client.call(1, queue("q"));
    assert_eq!(
        control.output(&["trace_on"]),
        "Starting tracing for vhost \"/\" ...\nTrace enabled for vhost /\n"
    );
    assert_eq!(control.output(&["list_vhosts", "-s", "tracing"]), "true\n");
    client.publish_text(1, "q", "seen");
    assert_eq!(client.expect_delivery(1).text(), "seen");
    control.output(&["trace_off"]);
    assert_eq!(control.output(&["list_vhosts", "-s", "tracing"]), "false\n");
    assert_eq!(control.run(&["trace_on", "-p", "nov"]).code, 65);
}
