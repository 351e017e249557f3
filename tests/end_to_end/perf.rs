//! The load generator, as the program runs it, against a broker in this process.

use std::process::Output;

use leveret_tests::metrics::Scrape;
use leveret_tests::program::run;
use leveret_tests::requests::queue;
use leveret_tests::{Program, Server};

/// `leveret perf` with these words against the broker, without progress lines.
fn perf(server: &Server, words: &str) -> Output {
    let uri = format!("amqp://guest:guest@{}/%2f", server.address());
    let mut arguments = vec!["perf"];
    arguments.extend(words.split_whitespace());
    arguments.extend(["--quiet", "--uri", &uri]);
    run(&arguments)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// It ends well; its table.
#[track_caller]
fn good(server: &Server, words: &str) -> String {
    let output = perf(server, words);
    let text = (out(&output), err(&output));
    assert_eq!(
        (output.status.code(), text.1.as_str()),
        (Some(0), ""),
        "{}",
        text.0
    );
    text.0
}

/// It ends well and found that many messages, each once and in order.
#[track_caller]
fn verified(server: &Server, words: &str, messages: u64) {
    let table = good(server, &format!("{words} --verify"));
    let line = format!("verified: all {messages} came once and in order");
    assert!(table.contains(&line), "{table}");
}

/// How many queues the broker has, by its metrics.
fn queues(server: &Server) -> f64 {
    Scrape::of(server.metrics_address()).value("rabbitmq_queues")
}

#[test]
fn one_publisher_and_one_consumer() {
    let server = Server::start();
    verified(&server, "throughput -C 2000 -s 16", 2000);
    verified(&server, "throughput -C 50 -s 300000", 50);
}

#[test]
fn confirms_and_acknowledgements() {
    let server = Server::start();
    verified(
        &server,
        "throughput -C 3000 -s 1024 -p -c 100 -a 10 --prefetch 50 --latency",
        3000,
    );
    verified(
        &server,
        "throughput -C 100 -s 16 -c 1 -a 1 --prefetch 1",
        100,
    );
}

#[test]
fn many_of_everything() {
    let server = Server::start();
    verified(
        &server,
        "throughput -C 3001 -s 100 -x 3 -y 2 --queues 5 --channels 3 -c 7 -a 3",
        3001,
    );
    // Competing consumers, each of whom sees a part.
    verified(&server, "throughput -C 1000 -s 100 -x 2 -y 3", 1000);
}

#[test]
fn every_exchange_type() {
    let server = Server::start();
    let load = "throughput -C 600 -s 100 --queues 3 -y 2 --exchange-type";
    verified(&server, &format!("{load} direct --bindings 4"), 600);
    verified(&server, &format!("{load} topic --bindings 4"), 600);
    verified(&server, &format!("{load} headers --bindings 4"), 600);
    verified(&server, &format!("{load} fanout"), 1800);
    verified(
        &server,
        &format!("{load} topic --binding-key a.%q.# --routing-key a.1.%b.c --bindings 2"),
        600,
    );
}

#[test]
fn a_rate_for_a_duration() {
    let server = Server::start();
    let output = perf(
        &server,
        "throughput -s 100 -r 500 -z 0.5 --warm-up 0.1 --latency --verify --json -x 2",
    );
    assert_eq!(err(&output), "");
    let text = out(&output);
    for part in [
        concat!("\"broker\": \"Leveret ", env!("CARGO_PKG_VERSION")),
        "\"p99\":",
        "\"lost\": 0",
        "\"duplicated\": 0",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn filling_and_draining() {
    let server = Server::start();
    let table = good(&server, "fill-drain -C 5000 -s 100 --queues 2 --verify");
    let starts = |name: &str| table.lines().any(|line| line.starts_with(name));
    assert!(starts("| fill ") && starts("| drain "), "{table}");
    assert!(table.contains("verified: all 5000 came"), "{table}");
}

#[test]
fn what_lies_there_meanwhile_goes_in_the_end() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    verified(
        &server,
        "throughput -C 1000 -s 16 --idle-connections 5 --idle-queues 300 --idle-backlog 500",
        1000,
    );
    let table = good(&server, "throughput -C 3000 -s 16 --backlog 2000");
    assert!(table.contains("| throughput "), "{table}");
    assert!(queues(&server) < 0.5);
}

#[test]
fn questions_and_answers() {
    let server = Server::start();
    let table = good(&server, "rpc --reply-to direct -C 300 --clients 2");
    assert!(table.contains("| rpc "), "{table}");
    let table = good(
        &server,
        "rpc --reply-to queue -C 300 --window 5 --servers 2",
    );
    assert!(table.contains("| rpc "), "{table}");
}

#[test]
fn connections_that_come_and_go() {
    let server = Server::start();
    let table = good(&server, "churn -C 20 --clients 3");
    assert!(table.contains("| churn "), "{table}");
}

#[test]
fn idle_things_and_their_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let (uri, pid) = (
        format!("amqp://{}", program.address()),
        program.id().to_string(),
    );
    for mode in ["idle-connections", "idle-queues"] {
        let words = [
            "perf", mode, "-C", "50", "-z", "0", "-q", "--uri", &uri, "--pid", &pid,
        ];
        let output = run(&words);
        let table = out(&output);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
        assert!(table.contains(" each |"), "{table}");
    }
}

#[test]
fn the_process_is_accounted() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let (uri, pid) = (
        format!("amqp://{}", program.address()),
        program.id().to_string(),
    );
    let mut words = vec![
        "perf",
        "throughput",
        "-C",
        "20000",
        "-s",
        "64",
        "-q",
        "--json",
    ];
    words.extend(["--uri", &uri, "--pid", &pid]);
    let text = out(&run(&words));
    let number = |name: &str| {
        let (_, after) = text.split_once(name).unwrap();
        let end = after.find([',', '\n']).unwrap();
        after[..end].parse::<f64>().unwrap()
    };
    assert!(number("\"cpu_seconds\": ") > 0.0, "{text}");
    assert!(number("\"resident\": ") > 0.0, "{text}");
}

#[test]
fn nothing_is_left_behind_but_named_queues() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    good(
        &server,
        "throughput -C 10 -s 16 --exchange-type topic --queues 3",
    );
    good(&server, "idle-queues -C 5 -z 0");
    good(&server, "rpc -C 5");
    assert!(queues(&server) < 0.5);
    good(&server, "throughput -C 10 -s 16 -u mine");
    assert!(queues(&server) > 0.5);
}

#[test]
fn the_brokers_words_are_told() {
    let server = Server::start();
    let uri = format!("amqp://guest:wrong@{}", server.address());
    let output = run(&["perf", "throughput", "--uri", &uri]);
    assert_eq!(output.status.code(), Some(69));
    assert!(
        err(&output).contains("403 ACCESS_REFUSED"),
        "{}",
        err(&output)
    );
    let mut client = server.client();
    client.call(1, queue("differs"));
    let output = perf(&server, "throughput -C 1 -u differs --durable");
    assert_eq!(output.status.code(), Some(69));
    assert!(
        err(&output).contains("406 PRECONDITION_FAILED"),
        "{}",
        err(&output)
    );
    // Nobody listens on the discard port.
    let output = run(&["perf", "churn", "--uri", "amqp://127.0.0.1:9"]);
    assert!(
        err(&output).contains("cannot connect to 127.0.0.1:9"),
        "{}",
        err(&output)
    );
}

#[test]
fn mistakes_of_the_command_line() {
    for (words, part) in [
        (
            &["perf", "throughput", "--colour"][..],
            "unexpected argument '--colour'",
        ),
        (
            &["perf", "throughput", "--verify", "-s", "15"],
            "at least 16 octets",
        ),
        (
            &["perf", "throughput", "-a", "9", "--prefetch", "3"],
            "--prefetch",
        ),
        (
            &["perf", "throughput", "--backlog", "9", "-y", "0"],
            "--backlog needs publishers and consumers",
        ),
        (&["perf", "suite", "--only", "nothing"], "no work is called"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(64), "{words:?}");
        assert!(err(&output).contains(part), "{words:?}: {}", err(&output));
    }
    let help = run(&["perf", "throughput", "--help"]);
    assert!(help.status.success() && out(&help).contains("--exchange-type"));
}

#[test]
fn results_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let mut files = Vec::new();
    for name in ["a.json", "b.json"] {
        let output = perf(&server, "throughput -C 100 -s 16 --json");
        let path = folder.path().join(name);
        std::fs::write(&path, output.stdout).unwrap();
        files.push(path.to_str().unwrap().to_owned());
    }
    let output = run(&["perf", "compare", &files[0], &files[1]]);
    let table = out(&output);
    assert!(
        table.contains("| throughput |") && table.contains("x |"),
        "{table}"
    );
}

#[test]
fn an_interrupt_gives_the_result_so_far() {
    let server = Server::start();
    let uri = format!("amqp://guest:guest@{}/%2f", server.address());
    let words = ["perf", "throughput", "-s", "16", "-z", "600", "--uri", &uri];
    let mut child = leveret_tests::program::command(&words).spawn().unwrap();
    // The first progress line says that the window has begun.
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
    assert!(line.contains("delivered"), "{line}");
    let status = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        out(&output).contains("throughput: interrupted"),
        "{}",
        out(&output)
    );
}
