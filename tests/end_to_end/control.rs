//! The control command: the socket, users, vhosts and what is set for them, and the forms of output.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use leveret_tests::control::{Control, Said};
use leveret_tests::program::{binary, command, run};
use leveret_tests::{Client, Login, PATIENCE, Program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A broker of its own, and the control command for it.
fn broker() -> (TempDir, Program, Control) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let control = Control::of(folder.path());
    (folder, program, control)
}

#[test]
fn the_socket_is_for_the_owner_alone_and_goes_with_the_broker() {
    let (folder, program, control) = broker();
    let socket = folder.path().join("control.sock");
    let there = fs::metadata(&socket).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o600);
    let told = control.output(&["ping"]);
    assert_eq!(
        told,
        "Will ping leveret@localhost. This only checks if the broker answers. Timeout: 60000 ms.\nPing succeeded\n"
    );
    // Nothing else of its making is left.
    let hidden = fs::read_dir(folder.path()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
    program.signal("TERM");
    assert!(program.wait().0.success());
    assert!(!socket.exists());
}

#[test]
fn without_a_broker_it_ends_with_69() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::of(folder.path());
    let said = control.run(&["list_queues"]);
    assert_eq!((said.code, said.output.as_str()), (69, ""));
    let begins = "Error: unable to perform an operation on node 'leveret@localhost'.";
    assert!(said.errors.starts_with(begins), "{}", said.errors);
    assert!(said.errors.contains("control.sock"));
    let late = control.run(&["await_startup", "-t", "0"]);
    assert_eq!(late.code, 75);
    assert!(late.errors.contains("timed out"), "{}", late.errors);
}

#[test]
fn the_socket_of_a_killed_broker_is_replaced() {
    let (folder, program, control) = broker();
    program.signal("KILL");
    program.wait();
    assert!(folder.path().join("control.sock").exists());
    assert_eq!(control.run(&["ping"]).code, 69);
    let _program = Program::serve(folder.path(), &[]);
    control.output(&["ping"]);
}

#[test]
fn await_startup_waits_for_a_broker_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::of(folder.path());
    let waiting = std::thread::spawn(move || control.run(&["await_startup"]));
    let _program = Program::serve(folder.path(), &[]);
    let said = waiting.join().unwrap();
    assert_eq!((said.code, said.output.as_str()), (0, ""));
}

#[test]
fn stop_ends_the_broker_and_waits_for_its_end() {
    let (_folder, program, control) = broker();
    let mut client = program.client();
    let stopping = {
        let control = control.clone();
        std::thread::spawn(move || control.run(&["stop"]))
    };
    client.expect_hard_error(
        320,
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
    );
    let said = stopping.join().unwrap();
    assert_eq!(said.code, 0);
    assert_eq!(
        said.output,
        "Stopping and halting node leveret@localhost ...\n"
    );
    let (status, log) = program.wait();
    assert!(status.success());
    assert!(log.iter().any(|line| line.contains("leveret ctl stop")));
    assert_eq!(control.run(&["ping"]).code, 69);
}

#[test]
fn a_place_for_the_socket_can_be_chosen_or_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let socket = folder.path().join("s");
    let variables = |command: &mut std::process::Command| {
        command.env("LEVERET_CONTROL_SOCKET", &socket);
    };
    let mut serve = command(&[
        "serve",
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    serve.args(["--metrics-listen", "none"]);
    variables(&mut serve);
    let mut child = serve.spawn().unwrap();
    let mut ask = command(&["ctl", "await_startup"]);
    variables(&mut ask);
    assert!(ask.output().unwrap().status.success());
    assert!(!data.join("control.sock").exists());
    let named = run(&["ctl", "--socket", socket.to_str().unwrap(), "ping", "-q"]);
    assert_eq!(named.stdout, b"Ping succeeded\n");
    // Another broker does not take it away.
    let other = folder.path().join("other");
    let mut second = command(&[
        "serve",
        "--data-dir",
        other.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    second.args(["--metrics-listen", "none"]);
    variables(&mut second);
    let refused = Said::from(second.output().unwrap());
    assert_eq!(refused.code, 75);
    assert!(
        refused.errors.contains("is in use by another process"),
        "{}",
        refused.errors
    );
    child.kill().unwrap();
    child.wait().unwrap();

    let mut none = command(&["ctl", "ping"]);
    none.env("LEVERET_CONTROL_SOCKET", "none");
    let none = Said::from(none.output().unwrap());
    assert_eq!(none.code, 69);
    assert!(none.errors.contains("control_socket is none"));
}

#[test]
fn a_path_that_is_too_long_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(100));
    let output = run(&[
        "serve",
        "--data-dir",
        deep.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "none",
    ]);
    let said = Said::from(output);
    assert_eq!(said.code, 78);
    assert!(
        said.errors.contains("and the system takes 107"),
        "{}",
        said.errors
    );
}

#[test]
fn what_is_no_request_is_answered_and_nothing_worse() {
    let (folder, _program, control) = broker();
    let ask = |line: &str| -> Value {
        let mut stream = UnixStream::connect(folder.path().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    for line in [
        "\n",
        "{}\n",
        "what?\n",
        "{\"operation\":\"fly\"}\n",
        "{\"operation\":\"list_queues\",\"vhost\":\"/\",\"columns\":[\"colour\"]}\n",
    ] {
        assert_eq!(ask(line)["failed"]["problem"], "bad_request", "{line:?}");
    }
    assert_eq!(ask("{\"operation\":\"ping\"}\n"), json!({"done": null}));
    control.output(&["ping"]);
}

#[test]
fn users_come_and_go() {
    let (_folder, program, control) = broker();
    let added = "Adding user \"bob\" ...\nDone. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.\n";
    assert_eq!(control.output(&["add_user", "bob", "secret"]), added);
    control.expect_failure(
        &["add_user", "bob", "secret"],
        70,
        "Error:\nUser \"bob\" already exists\n",
    );
    control.output(&["set_user_tags", "bob", "monitoring", "management"]);
    assert_eq!(
        control.output(&["list_users"]),
        "Listing users ...\nuser\ttags\nbob\t[monitoring, management]\nguest\t[administrator]\n"
    );
    control.output(&["set_permissions", "bob", ".*", ".*", "^a"]);
    let log_in = |password: &str| Client::log_in(program.address(), &Login::plain("bob", password));
    log_in("secret").close();
    assert_eq!(
        control.output(&["authenticate_user", "bob", "secret", "-q"]),
        "Success\n"
    );
    control.output(&["change_password", "bob", "other"]);
    log_in("other").close();
    control.expect_failure(
        &["authenticate_user", "bob", "secret"],
        65,
        "Error:\nError: failed to authenticate user \"bob\"\nuser 'bob' - invalid credentials\n",
    );
    control.output(&["clear_password", "bob"]);
    assert_eq!(control.run(&["authenticate_user", "bob", "other"]).code, 65);
    assert_eq!(control.output(&["delete_user", "bob", "-q"]), "");
    let missing = "Error:\nUser \"bob\" does not exist\n";
    control.expect_failure(&["delete_user", "bob"], 67, missing);
    control.expect_failure(&["change_password", "bob", "x"], 67, missing);
    control.expect_failure(
        &["list_user_permissions", "bob"],
        69,
        "Error:\n{:no_such_user, \"bob\"}\n",
    );
}

#[test]
fn a_password_may_come_from_standard_input_and_is_told_to_nobody() {
    let (_folder, program, control) = broker();
    let said = control.run_with(&["add_user", "bob"], "hunter2\nmore\n");
    assert_eq!(said.code, 0, "{}", said.errors);
    assert!(said.output.contains("Password: \n"), "{}", said.output);
    assert_eq!(
        control.output(&["authenticate_user", "bob", "hunter2", "-q"]),
        "Success\n"
    );
    let none = control.run_with(&["change_password", "bob"], "");
    assert_eq!(none.code, 70);
    assert!(
        none.errors
            .contains("Password is not provided via argument or stdin")
    );
    let misused = control.run(&["add_user", "bob", "hunter2", "more"]);
    assert_eq!(misused.code, 64);
    control.run(&["authenticate_user", "bob", "hunter3"]);
    program.signal("TERM");
    let (_, log) = program.wait();
    let all = [log.join("\n"), said.output, said.errors, misused.errors].join("\n");
    assert!(!all.contains("hunter"), "{all}");
}

#[test]
fn vhosts_permissions_and_limits_are_set_without_a_restart() {
    let (folder, program, control) = broker();
    control.output(&["add_vhost", "v1", "--description", "first", "--tags", "a,b"]);
    control.output(&["add_vhost", "v1"]);
    assert_eq!(
        control.output(&[
            "list_vhosts",
            "name",
            "description",
            "tags",
            "tracing",
            "-q"
        ]),
        "name\tdescription\ttags\ttracing\n/\t\t[]\tfalse\nv1\tfirst\t[a, b]\tfalse\n"
    );
    let in_v1 = Login {
        vhost: "v1".to_owned(),
        ..Login::default()
    };
    control.output(&["set_permissions", "-p", "v1", "guest", "^a", "", ".*"]);
    Client::log_in(program.address(), &in_v1).close();
    assert_eq!(
        control.output(&["list_permissions", "-p", "v1"]),
        "Listing permissions for vhost \"v1\" ...\nuser\tconfigure\twrite\tread\nguest\t^a\t\t.*\n"
    );
    let nobody = "Error:\nUser nobody does not exist\n";
    control.expect_failure(&["set_permissions", "nobody", "", "", ""], 67, nobody);
    control.expect_failure(
        &["list_permissions", "-p", "nov"],
        65,
        "Virtual host 'nov' does not exist\n",
    );
    control.output(&[
        "set_topic_permissions",
        "-p",
        "v1",
        "guest",
        "amq.topic",
        "^w",
        "^r",
    ]);
    assert_eq!(
        control.output(&["list_topic_permissions", "-p", "v1", "-s"]),
        "guest\tamq.topic\t^w\t^r\n"
    );
    control.output(&["set_vhost_limits", "-p", "v1", "{\"max-queues\": 3}"]);
    assert_eq!(
        control.output(&["list_vhost_limits", "-p", "v1", "-q"]),
        "{\"max-queues\":3}\n"
    );
    control.expect_failure(
        &["set_vhost_limits", "-p", "v1", "{\"max-foo\":1}"],
        69,
        "Error:\nValidation failed\n\nUnrecognised terms [{<<\"max-foo\">>,1}] in limits\n\n",
    );
    control.expect_failure(
        &["set_user_limits", "guest", "{bad"],
        69,
        "Error:\nJSON decoding error. Reason: badarg\n",
    );
    control.output(&["set_user_limits", "guest", "{\"max-channels\": 7}"]);
    control.output(&["clear_topic_permissions", "-p", "v1", "guest"]);
    // What was answered is on the disk.
    program.signal("KILL");
    program.wait();
    let _program = Program::serve(folder.path(), &[]);
    assert_eq!(
        control.output(&["list_user_limits", "-q"]),
        "{\"max-channels\":7}\n"
    );
    assert_eq!(
        control.output(&["list_topic_permissions", "-p", "v1", "-q"]),
        "\n"
    );
    control.output(&["clear_vhost_limits", "-p", "v1"]);
    let nothing = "Error:\nParameter does not exist\n";
    control.expect_failure(&["clear_vhost_limits", "-p", "v1"], 69, nothing);
    control.output(&["set_vhost_tags", "v1", "c"]);
    assert_eq!(
        control.output(&["list_vhosts", "-s", "name", "description", "tags"]),
        "/\t\t[]\nv1\tfirst\t[c]\n"
    );
    control.output(&["delete_vhost", "v1"]);
    assert_eq!(control.run(&["delete_vhost", "v1"]).code, 65);
    control.expect_failure(
        &["set_vhost_tags", "v1", "c"],
        65,
        "Error:\nVirtual host \"v1\" does not exist\n",
    );
}

#[test]
fn policies_and_parameters_are_set_and_cleared() {
    let (_folder, _program, control) = broker();
    let definition = "{\"max-length\":10}";
    control.output(&[
        "set_policy",
        "p",
        "^a",
        definition,
        "--apply-to",
        "queues",
        "--priority",
        "3",
    ]);
    assert_eq!(
        control.output(&["list_policies", "--formatter", "json"]),
        "[\n{\"vhost\":\"/\",\"name\":\"p\",\"pattern\":\"^a\",\"apply-to\":\"queues\",\"definition\":\"{\\\"max-length\\\":10}\",\"priority\":3}\n]\n"
    );
    control.expect_failure(
        &["set_policy", "p", "^a", "{\"max-lengt\":10}"],
        69,
        "Error:\nValidation failed\n\n[{<<\"max-lengt\">>,10}] are not recognised policy settings\n\n",
    );
    control.output(&["clear_policy", "p"]);
    let nothing = "Error:\nParameter does not exist\n";
    control.expect_failure(&["clear_policy", "p"], 69, nothing);
    control.output(&["set_operator_policy", "o", "", definition]);
    assert!(
        control
            .output(&["list_operator_policies", "-s"])
            .starts_with("/\to\t")
    );
    control.expect_failure(
        &["set_parameter", "federation", "x", "{}"],
        69,
        "Error:\nValidation failed\n\ncomponent federation not found\n\n",
    );
    control.output(&[
        "set_parameter",
        "vhost-limits",
        "limits",
        "{\"max-queues\":5}",
    ]);
    assert_eq!(
        control.output(&["list_parameters", "-s"]),
        "vhost-limits\tlimits\t{\"max-queues\":5}\n"
    );
    control.output(&["clear_parameter", "vhost-limits", "limits"]);
    control.output(&["set_global_parameter", "a", "{\"b\":[1]}"]);
    assert_eq!(
        control.output(&["list_global_parameters", "-s"]),
        "a\t{\"b\":[1]}\n"
    );
    control.output(&["clear_global_parameter", "a"]);
    control.expect_failure(&["clear_global_parameter", "a"], 69, nothing);
}

#[test]
fn definitions_go_out_and_come_in() {
    let (folder, _program, control) = broker();
    control.output(&["add_user", "bob", "secret"]);
    control.output(&["add_vhost", "v1"]);
    let file = folder.path().join("exported.json");
    let data = folder.path().to_str().unwrap();
    let exported = run(&[
        "definitions",
        "export",
        file.to_str().unwrap(),
        "--data-dir",
        data,
    ]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&file).unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_ok() && text.contains("\"bob\""));
    assert_eq!(control.output(&["export_definitions", "-"]), text);

    let (_other_folder, _other_program, other) = broker();
    let said = other.run_with(&["import_definitions", "-"], &text);
    assert_eq!(said.code, 0, "{}", said.errors);
    assert_eq!(
        other.output(&["authenticate_user", "bob", "secret", "-q"]),
        "Success\n"
    );
    assert_eq!(other.output(&["list_vhosts", "-s"]), "/\nv1\n");

    let wrong = other.run_with(&["import_definitions"], "{\"users\": 1}");
    assert_eq!(wrong.code, 65);
    assert!(
        wrong.errors.starts_with("Error:\nline 1, column "),
        "{}",
        wrong.errors
    );
    let missing = other.run(&["import_definitions", "/nonexistent"]);
    assert_eq!(missing.code, 65);
    assert!(
        missing
            .errors
            .starts_with("Error (argument validation): Bad argument: File")
    );
}

#[test]
fn called_as_rabbitmqctl_it_is_rabbitmqctl() {
    let (folder, _program, control) = broker();
    let link = folder.path().join("rabbitmqctl");
    symlink(binary(), &link).unwrap();
    let mut called = std::process::Command::new(&link);
    called.env_clear().env("LEVERET_DATA_DIR", folder.path());
    let said = Said::from(called.args(["list_users", "extra"]).output().unwrap());
    assert_eq!(said.code, 64);
    assert_eq!(
        said.errors,
        "Error (argument validation): too many arguments.\nArguments given:\n\tlist_users extra\n\n\u{1b}[1mUsage\u{1b}[0m\n\nrabbitmqctl [--node <node>] [--longnames] [--quiet] list_users [--no-table-headers] [--timeout <timeout>]\n"
    );
    let mut called = std::process::Command::new(&link);
    called.env_clear().env("LEVERET_DATA_DIR", folder.path());
    let said = Said::from(called.args(["list_users", "-q"]).output().unwrap());
    assert_eq!(said.output, control.output(&["list_users", "-q"]));
}

#[test]
fn mistakes_on_the_command_line_are_told_as_rabbitmqctl_does() {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::of(folder.path());
    let begins = |words: &[&str], code: i32, errors: &str| {
        let said = control.run(words);
        assert_eq!(said.code, code, "{words:?}");
        assert!(
            said.errors.starts_with(errors),
            "{words:?}: {}",
            said.errors
        );
    };
    begins(
        &["lst_users"],
        64,
        "\nCommand 'lst_users' not found. \nDid you mean 'list_users'? \n",
    );
    begins(
        &["nonsense"],
        64,
        "\nCommand 'nonsense' not found. \n\n\u{1b}[1mUsage",
    );
    begins(&[], 64, "\n\u{1b}[1mUsage");
    begins(
        &["add_user"],
        64,
        "Error (argument validation): not enough arguments.\n",
    );
    begins(
        &["list_users", "--foo"],
        64,
        "Error (argument validation): Invalid options for this command:\n--foo : \n",
    );
    begins(
        &["list_queues", "foo", "bar"],
        64,
        "Error (argument validation): Info key(s) bar,foo are not supported\n",
    );
    begins(
        &["add_user", "", "x"],
        65,
        "Error (argument validation): Bad argument: user cannot be an empty string\n",
    );
    begins(
        &["list_users", "--formatter", "x"],
        64,
        "Error (argument validation): formatter x is not supported\n",
    );
    assert!(control.output(&["help"]).contains("list_queues"));
    assert!(
        control
            .output(&["help", "purge_queue"])
            .contains("purge_queue <queue>")
    );
    assert_eq!(
        control.output(&["version"]),
        format!("{}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn watermarks_are_moved_and_status_tells_of_alarms() {
    let (_folder, program, control) = broker();
    let status = || -> Value {
        serde_json::from_str(&control.output(&["status", "--formatter", "json"])).unwrap()
    };
    let wait_for_alarms = |alarms: &[&str]| {
        let began = Instant::now();
        while status()["alarms"] != json!(alarms) {
            assert!(began.elapsed() < PATIENCE, "{}", status());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let first = status();
    assert_eq!(first["pid"], program.id());
    assert_eq!(first["alarms"], json!([]));
    assert_eq!(first["totals"]["virtual_host_count"], 1);
    assert_eq!(first["listeners"][0]["port"], program.address().port());
    control.output(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    wait_for_alarms(&["Memory alarm"]);
    assert!(control.output(&["status"]).contains("\n\nMemory alarm\n"));
    control.output(&["set_vm_memory_high_watermark", "0.9"]);
    control.output(&["set_disk_free_limit", "1000TB"]);
    wait_for_alarms(&["Free disk space alarm"]);
    assert_eq!(status()["disk_free_limit"], 1_000_000_000_000_000_u64);
    control.output(&["set_disk_free_limit", "1000"]);
    wait_for_alarms(&[]);
    for (words, reason) in [
        (&["set_vm_memory_high_watermark", "x"][..], "Bad argument."),
        (
            &["set_vm_memory_high_watermark", "1.5"],
            "Bad argument: The threshold should be a fraction between 0.0 and 1.0",
        ),
        (
            &["set_vm_memory_high_watermark", "absolute", "1GX"],
            "Bad argument: Invalid units.",
        ),
        (&["set_disk_free_limit", "x"], "Bad argument."),
    ] {
        let said = control.run(words);
        assert_eq!(said.code, 65);
        let begins = format!("Error (argument validation): {reason}\n");
        assert!(said.errors.starts_with(&begins), "{}", said.errors);
    }
}
