//! Definitions at the start of the program, and in a running broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use leveret::DefinitionsFile;
use leveret_tests::program::{command, run};
use leveret_tests::requests::{durable_queue, passive_exchange, passive_queue, table, text};
use leveret_tests::{Client, Login, PATIENCE, Program, Publish, Server};
use leveret_wire::AMQPValue::LongLongInt;
use leveret_wire::method::connection::{Open, TuneOk};
use leveret_wire::method::queue::Declare;

/// What RabbitMQ 3.10.8 wrote of a node.
fn exported() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rabbitmq-3.10.8-definitions.json")
}

fn app(program: &Program) -> Client {
    log_in(program, "app", "test12")
}

fn log_in(program: &Program, user: &str, password: &str) -> Client {
    let login = Login {
        vhost: "orders".to_owned(),
        ..Login::plain(user, password)
    };
    let mut client = Client::log_in(program.address(), &login);
    client.open_channel(1);
    client
}

fn with(folder: &Path, file: &Path) -> Program {
    Program::serve(folder, &["--definitions", file.to_str().unwrap()])
}

fn write(folder: &Path, json: &str) -> PathBuf {
    let file = folder.join("definitions.json");
    fs::write(&file, json).unwrap();
    file
}

#[test]
fn a_broker_begins_with_what_rabbitmq_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let program = with(&data, &exported());
    let mut client = app(&program);
    client.call(1, passive_exchange("orders.events"));
    let declare = Declare {
        arguments: table([
            ("x-max-length", LongLongInt(1000)),
            ("x-dead-letter-exchange", text("orders.audit")),
        ]),
        ..durable_queue("orders.new")
    };
    client.expect_refused(
        1,
        declare.clone(),
        403,
        "ACCESS_REFUSED - configure access to queue 'orders.new' in vhost 'orders' refused for user 'app'",
    );
    log_in(&program, "guest", "guest").call(1, declare);
    client.publish(1, &Publish::to("orders.events", "order.new").body("m"));
    assert_eq!(client.drain(1, "orders.new"), ["m"]);
    assert_eq!(client.drain(1, "orders.tmp"), ["m"]);
    drop(program);
    // It was on the disk when the broker was ready.
    let program = Program::serve(&data, &[]);
    let mut client = app(&program);
    client.call(1, passive_queue("orders.new"));
    client.publish(1, &Publish::to("orders.events", "order.new").body("m"));
    assert_eq!(client.drain(1, "orders.new"), ["m"]);
}

#[test]
fn a_changed_file_replaces_policies_and_leaves_queues() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let of = |limit: u32, argument: u32| {
        let json = format!(
            r#"{{"queues": [{{"name": "q", "vhost": "/", "arguments": {{"x-max-length-bytes": {argument}}}}}],
                 "policies": [{{"name": "p", "vhost": "/", "pattern": "^q", "definition": {{"max-length": {limit}}}}}]}}"#
        );
        write(folder.path(), &json)
    };
    let program = with(&data, &of(3, 1_000));
    let mut client = program.client();
    client.confirm_select(1);
    client.publish_all(
        1,
        ["1", "2", "3", "4"].map(|body| Publish::to_queue("q").persistent().body(body)),
    );
    client.expect_confirms(1, 1, 4);
    assert_eq!(client.counts(1, "q"), (3, 0));
    drop(client);
    drop(program);
    let program = with(&data, &of(1, 5));
    let mut client = program.client();
    let as_before = Declare {
        arguments: table([("x-max-length-bytes", LongLongInt(1_000))]),
        ..durable_queue("q")
    };
    client.call(1, as_before);
    // A backlog is read back from the disk before it is trimmed.
    let began = Instant::now();
    while client.counts(1, "q") != (1, 0) {
        assert!(began.elapsed() < PATIENCE, "the queue is not trimmed");
        std::thread::sleep(Duration::from_millis(5));
    }
    client.publish_text(1, "q", "5");
    assert_eq!(client.drain(1, "q"), ["5"]);
    drop(client);
    // In good order: what was trimmed just now may come again after a kill.
    program.signal("TERM");
    program.wait();
    // Without the file everything stays.
    let program = Program::serve(&data, &[]);
    let mut client = program.client();
    client.publish_text(1, "q", "6");
    client.publish_text(1, "q", "7");
    assert_eq!(client.drain(1, "q"), ["7"]);
}

#[test]
fn the_file_is_named_by_flag_variable_or_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), r#"{"queues": [{"name": "q"}]}"#);
    let file = file.to_str().unwrap();
    let line = format!("leveret: {file}: queue 'q': names no vhost\n");
    let config = folder.path().join("leveret.toml");
    fs::write(&config, format!("load_definitions = \"{file}\"\n")).unwrap();
    let by_flag = run(&["check-config", "--definitions", file]);
    let by_key = run(&["check-config", "--config", config.to_str().unwrap()]);
    let by_variable = command(&["check-config"])
        .env("LEVERET_LOAD_DEFINITIONS", file)
        .output()
        .unwrap();
    for output in [by_flag, by_key, by_variable] {
        assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
        assert_eq!(output.status.code(), Some(78));
    }
    let good = exported();
    let output = run(&["check-config", "--definitions", good.to_str().unwrap()]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), &b"configuration ok\n"[..])
    );
}

#[test]
fn a_bad_file_ends_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let cases = [
        (
            "{\n \"queues\": 5}",
            ":2:12: invalid type: integer `5`, expected a sequence",
        ),
        (
            r#"{"policies": [{"name": "p", "vhost": "/", "pattern": "a", "definition": {"nope": 1}}]}"#,
            ": policy 'p' in vhost '/': [{<<\"nope\">>,1}] are not recognised policy settings",
        ),
        (
            r#"{"queues": [{"name": "q", "vhost": "/", "arguments": {"x-max-length": "abc"}}]}"#,
            ": queue 'q' in vhost '/': invalid arg 'x-max-length': \"expected integer, got longstr\"",
        ),
    ];
    for (json, end) in cases {
        let file = write(folder.path(), json);
        let file = file.to_str().unwrap();
        let flags = ["--data-dir", data.to_str().unwrap(), "--definitions", file];
        for command in ["serve", "check-config"] {
            let output = run(&[&[command][..], &flags].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(said, format!("leveret: {file}{end}\n"));
            assert_eq!(output.status.code(), Some(78));
        }
        assert!(!data.exists(), "nothing was begun");
    }
    let output = run(&["check-config", "--definitions", "/nowhere.json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("leveret: /nowhere.json: cannot be read: "),
        "{said}"
    );
    // What only the broker can know is told in the same way.
    let file = write(
        folder.path(),
        r#"{"queues": [{"name": "q", "vhost": "none"}]}"#,
    );
    let file = file.to_str().unwrap();
    let (status, log) = Program::start(&data, &["--definitions", file]).wait();
    assert_eq!(status.code(), Some(78), "{log:#?}");
    let line = format!("leveret: {file}: vhost 'none': does not exist");
    assert_eq!(log.last(), Some(&line));
}

#[test]
fn a_permission_for_the_vhost_decides_who_may_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = with(&folder.path().join("data"), &exported());
    let mut client = Client::dial(program.address());
    let tune = client.expect_tune(&Login::plain("app", "test12"));
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
            virtual_host: "/".into(),
        },
        530,
        "NOT_ALLOWED - access to vhost '/' refused for user 'app'",
    );
    app(&program).call(1, passive_queue("orders.safe"));
}

#[test]
fn definitions_move_from_one_running_broker_to_another() {
    let one = Server::start();
    let mut client = one.client();
    client.call(1, durable_queue("q"));
    let exported = one.running().broker().export_definitions().to_json();
    let other = Server::start();
    let mut publisher = other.client();
    publisher.publish(1, &Publish::to_queue("q").mandatory().body("1"));
    assert_eq!(publisher.expect_return(1).content.text(), "1");
    let read = DefinitionsFile::parse(exported.as_bytes()).unwrap();
    let report = other.running().broker().import_definitions(&read, None);
    assert_eq!(report.unwrap().queues, 1);
    publisher.publish(1, &Publish::to_queue("q").mandatory().body("2"));
    assert_eq!(publisher.drain(1, "q"), ["2"]);
}
