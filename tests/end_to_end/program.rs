//! The built program, as an operator runs it (`docs/operations.md`).

use std::fs;
use std::path::Path;
use std::process::Output;

use leveret_tests::program::run;
use leveret_tests::requests::{consume, durable_queue};
use leveret_tests::{Program, Publish, Server};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// It ends with this code, says this one line on standard error, and nothing else.
#[track_caller]
fn refused(arguments: &[&str], code: i32, line: &str) {
    let output = run(arguments);
    assert_eq!(err(&output), format!("leveret: {line}\n"));
    assert_eq!(
        (output.status.code(), out(&output).as_str()),
        (Some(code), "")
    );
}

#[test]
fn version_and_help() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        out(&output),
        format!("leveret {}\n", env!("CARGO_PKG_VERSION"))
    );
    for arguments in [&["--help"][..], &["help"], &["serve", "--help"]] {
        let output = run(arguments);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
        let text = out(&output);
        for option in [
            "--config",
            "--data-dir",
            "--listen",
            "--metrics-listen",
            "--log-level",
            "--addresses-file",
            "--definitions",
        ] {
            assert!(
                text.contains(option),
                "{arguments:?} does not tell {option}:\n{text}"
            );
        }
    }
}

#[test]
fn check_config_says_ok_or_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leveret.toml");
    let path = file.to_str().unwrap();
    fs::write(&file, "listen = \":0\"\n[limits]\nconnections = 5\n").unwrap();
    let output = run(&["check-config", "--config", path]);
    assert_eq!(
        (
            output.status.code(),
            out(&output).as_str(),
            err(&output).as_str()
        ),
        (Some(0), "configuration ok\n", "")
    );
    for (text, line) in [
        (
            "listen = \":0\"\nlisen = \":1\"\n",
            "2: unknown key \"lisen\" (did you mean \"listen\"?)",
        ),
        (
            "\n\nlisten = \"foo\"\n",
            "3: listen: invalid socket address \"foo\"",
        ),
        (
            "[limits]\nconnections = 0\n",
            "2: limits.connections: expected a whole number from 1 to 4294967295, found 0",
        ),
    ] {
        fs::write(&file, text).unwrap();
        refused(
            &["check-config", "--config", path],
            78,
            &format!("{path}:{line}"),
        );
        // Nothing is started with it either.
        refused(&["serve", "--config", path], 78, &format!("{path}:{line}"));
    }
    fs::write(&file, "a = = b\n").unwrap();
    let output = run(&["check-config", "--config", path]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        err(&output).starts_with(&format!("leveret: {path}:1: ")),
        "{}",
        err(&output)
    );
    let missing = folder.path().join("missing.toml");
    let output = run(&["check-config", "--config", missing.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(err(&output).contains("cannot be read"), "{}", err(&output));
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    refused(
        &["--lisen", ":1"],
        64,
        "unexpected argument '--lisen' found (did you mean '--listen'?)",
    );
    refused(
        &["chek-config"],
        64,
        "unrecognized subcommand 'chek-config' (did you mean 'check-config'?)",
    );
    refused(
        &["--listen", "foo"],
        64,
        "--listen: invalid socket address \"foo\"",
    );
}

#[test]
fn a_wrong_variable_ends_with_78() {
    let output = leveret_tests::program::command(&["check-config"])
        .env("LEVERET_THREADS", "two")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(
        err(&output),
        "leveret: LEVERET_THREADS: expected a whole number from 1 to 1024, found \"two\"\n"
    );
}

#[test]
fn an_address_in_use_ends_with_69() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let address = server.address().to_string();
    let data = folder.path().to_str().unwrap();
    let output = run(&[
        "--data-dir",
        data,
        "--listen",
        &address,
        "--metrics-listen",
        "none",
        "--log-level",
        "off",
    ]);
    assert_eq!(output.status.code(), Some(69));
    let line = err(&output);
    assert!(
        line.starts_with(&format!("leveret: cannot listen on {address}: ")),
        "{line}"
    );
}

#[test]
fn a_data_folder_in_use_ends_with_75() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::serve(folder.path(), &[]);
    let (status, log) = Program::start(folder.path(), &[]).wait();
    assert_eq!(status.code(), Some(75), "{log:#?}");
    let line = format!(
        "leveret: data folder {} is in use by another process",
        folder.path().display()
    );
    assert_eq!(log.last(), Some(&line));
    // The first is none the worse for it.
    first.client().call(1, durable_queue("d"));
}

#[test]
fn the_addresses_file_is_there_while_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("addresses.json");
    let data = folder.path().join("data");
    let arguments = [
        "--addresses-file",
        file.to_str().unwrap(),
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    fs::write(&file, "left by a dead broker").unwrap();
    let program = Program::start(&data, &arguments);
    let address = program.address();
    let text = fs::read_to_string(&file).unwrap();
    let line = program.wait_for_line(" ready ");
    let (_, metrics) = line.split_once("metrics=\"").unwrap();
    let (metrics, _) = metrics.split_once('"').unwrap();
    assert_eq!(
        text,
        format!("{{\"amqp\":[\"{address}\"],\"metrics\":[\"{metrics}\"]}}\n")
    );
    let mut client = leveret_tests::Client::connect(address);
    client.open_channel(1);
    client.close();
    program.signal("TERM");
    let (status, log) = program.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(!file.exists());
}

#[test]
fn the_ready_line_says_what_one_needs() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &["--log-format", "text"]);
    let line = program.wait_for_line(" ready ");
    assert!(line.contains(" INFO "), "{line}");
    assert!(
        line.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))),
        "{line}"
    );
    assert!(
        line.contains(&format!("data_dir={}", folder.path().display())),
        "{line}"
    );
    assert!(
        !line.contains('\u{1b}'),
        "colours outside of a terminal: {line}"
    );
}

#[test]
fn log_lines_may_be_json() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &["--log-format", "json"]);
    let line = program.wait_for_line("\"message\":\"ready\"");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    for part in [
        "\"timestamp\":\"",
        "\"level\":\"INFO\"",
        "\"target\":\"",
        "\"amqp\":\"127.0.0.1:",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_signal_drains_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Program::serve(folder.path(), &[]);
        let mut client = program.client();
        client.call(1, durable_queue("d"));
        client.publish(
            1,
            &Publish::to_queue("d")
                .persistent()
                .body("not confirmed yet"),
        );
        client.call(1, consume("d", "c"));
        client.expect_delivery(1);
        program.signal(signal);
        client.expect_hard_error(
            320,
            "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
        );
        drop(client);
        let output = program.output();
        let (status, log) = program.wait();
        assert_eq!((status.code(), output.as_str()), (Some(0), ""), "{log:#?}");
        let said = |part: &str| log.iter().any(|line| line.contains(part));
        assert!(
            said(&format!("stopping signal=\"SIG{signal}\"")) && said(" stopped"),
            "{log:#?}"
        );
        // What was out unacked is there for the next run.
        let program = Program::serve(folder.path(), &[]);
        let got = program.client().get(1, "d", true).unwrap();
        assert_eq!((got.text(), got.redelivered()), ("not confirmed yet", true));
    }
}

fn killed_and_started_again(folder: &Path, program: Program) -> Program {
    program.signal("KILL");
    let (status, _) = program.wait();
    assert_eq!(status.code(), None);
    Program::serve(folder, &[])
}

#[test]
fn kill_loses_nothing_that_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    client.call(1, durable_queue("d"));
    client.confirm_select(1);
    client.publish_all(
        1,
        (0..2_000).map(|number| Publish::to_queue("d").persistent().body(number.to_string())),
    );
    client.expect_confirms(1, 1, 2_000);
    let program = killed_and_started_again(folder.path(), program);
    let mut client = program.client();
    assert_eq!(client.counts(1, "d"), (2_000, 0));
    for number in 0..1_000 {
        let got = client.get(1, "d", true).unwrap();
        assert_eq!(
            (got.text(), got.redelivered()),
            (number.to_string().as_str(), false)
        );
    }
    // Settled messages may come again, never others, and none is lost or out of order.
    let program = killed_and_started_again(folder.path(), program);
    let mut numbers: Vec<u32> = program
        .client()
        .drain(1, "d")
        .iter()
        .map(|body| body.parse().unwrap())
        .collect();
    let first = numbers[0];
    assert!(first <= 1_000, "message 1000 is lost; the first is {first}");
    numbers.dedup();
    assert_eq!(numbers, (first..2_000).collect::<Vec<_>>());
}

#[test]
fn kill_loses_no_definition_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    for number in 0..50 {
        let name = format!("q{number}");
        client.call(1, durable_queue(&name));
        client.call(1, leveret_tests::requests::bind(&name, "amq.topic", &name));
    }
    client.call(1, leveret_tests::requests::delete_queue("q7"));
    let program = killed_and_started_again(folder.path(), program);
    let mut client = program.client();
    for number in (0..50).filter(|number| *number != 7) {
        let name = format!("q{number}");
        client.publish(1, &Publish::to("amq.topic", &name).mandatory().body("m"));
        assert_eq!(client.drain(1, &name), ["m"]);
    }
    client.publish(1, &Publish::to("amq.topic", "q7").mandatory());
    client.expect_return(1);
}

#[test]
fn who_closes_in_order_did_not_go_unexpectedly() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    program.client().close();
    let line = program.wait_for_line("connection closed");
    assert!(line.contains("INFO"), "{line}");
    drop(program.client());
    let line = program.wait_for_line("closed the socket unexpectedly");
    assert!(line.contains("WARN"), "{line}");
}

#[test]
fn a_new_data_folder_and_a_new_backup_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let around = tempfile::tempdir().unwrap();
    let (data, copy) = (around.path().join("data"), around.path().join("copy"));
    let program = Program::serve(&data, &[]);
    let folders = [&data, &copy].map(|folder| folder.to_str().unwrap());
    let backup = run(&["store", "backup", folders[0], folders[1]]);
    assert!(backup.status.success(), "{backup:?}");
    for folder in [&data, &copy] {
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
    drop(program);
}

#[test]
fn names_from_clients_make_no_lines_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    let publish = Publish::to("no\n2026-01-01T00:00:00Z  WARN forged: x", "k");
    client.publish(1, &publish);
    let _: leveret_wire::method::channel::Close = client.expect(1);
    program.wait_for_line(r"no\n2026");
    program.signal("TERM");
    let (_, log) = program.wait();
    assert!(
        !log.iter()
            .any(|line| line.contains("forged") && line.starts_with("2026-01-01T00"))
    );
}
