//! Exchanges of type x-delayed-message.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use leveret_tests::metrics::Scrape;
use leveret_tests::program::Program;
use leveret_tests::requests::{
    bind, bind_exchange, consume_no_ack, delete_exchange, durable_queue, exchange, queue, table,
    text,
};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::exchange::Declare;

fn delayed(name: &str, kind: &str) -> Declare {
    Declare {
        durable: true,
        arguments: table([("x-delayed-type", text(kind))]),
        ..exchange(name, "x-delayed-message")
    }
}

/// A persistent message with a delay.
fn later(key: &str, body: &str, milliseconds: i64) -> Publish {
    let headers = table([("x-delay", AMQPValue::LongLongInt(milliseconds))]);
    let properties = Properties::persistent().headers(&headers);
    Publish::to("d", key).properties(&properties).body(body)
}

/// A durable queue `q` behind the delayed exchange `d`.
fn set_up(client: &mut Client) {
    client.call(1, delayed("d", "direct"));
    client.call(1, durable_queue("q"));
    client.call(1, bind("q", "d", "q"));
}

fn publish_confirmed(client: &mut Client, publishes: Vec<Publish>) {
    let count = publishes.len() as u64;
    client.open_channel(9);
    client.confirm_select(9);
    client.publish_all(9, publishes);
    client.expect_confirms(9, 1, count);
    client.close_channel(9);
}

/// Milliseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[test]
fn messages_come_in_order_of_their_due_times() {
    let server = Server::start();
    let mut client = server.client();
    set_up(&mut client);
    let begun = Instant::now();
    let delays = [1500, 300, 900, 600, 300, 1200];
    let publishes = delays
        .iter()
        .map(|delay| later("q", &delay.to_string(), *delay));
    publish_confirmed(&mut client, publishes.collect());
    client.call(1, consume_no_ack("q", "c"));
    let deliveries = client.expect_bodies(1, &["300", "300", "600", "900", "1200", "1500"]);
    assert!(
        begun.elapsed() >= Duration::from_millis(1500),
        "none comes early"
    );
    for (delivery, delay) in deliveries.iter().zip([300, 300, 600, 900, 1200, 1500]) {
        let headers = delivery.content.properties().headers().unwrap();
        assert_eq!(headers.get(b"x-delay").unwrap().as_integer(), Some(-delay));
        assert_eq!(delivery.method.exchange.as_str(), "d");
    }
}

#[test]
fn declarations_are_checked() {
    let server = Server::start();
    let mut client = server.client();
    let invalid = "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type";
    client.expect_refused(1, exchange("d", "x-delayed-message"), 406, invalid);
    client.expect_refused(
        1,
        delayed("d", "x-delayed-message"),
        406,
        "PRECONDITION_FAILED - Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
    );
    for kind in ["direct", "fanout", "topic", "headers"] {
        client.call(1, delayed(kind, kind));
    }
    client.expect_refused(
        1,
        Declare { durable: true, ..exchange("fanout", "fanout") },
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'fanout' in vhost '/': received 'fanout' but \
         current is 'x-delayed-message'",
    );
    client.expect_fatal(
        1,
        delayed("d", "bogus"),
        503,
        "COMMAND_INVALID - unknown exchange type 'bogus'",
    );
}

#[test]
fn a_delayed_mandatory_message_is_not_returned() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, delayed("d", "direct"));
    client.confirm_select(1);
    client.publish(1, &later("nowhere", "m", 1).mandatory());
    client.expect_confirms(1, 1, 1);
    client.expect_quiet(1);
    client.publish(1, &later("nowhere", "m", 0).mandatory());
    assert_eq!(client.expect_return(1).content.text(), "m");
    client.expect_confirms(1, 2, 2);
}

#[test]
fn messages_pass_through_bindings_between_exchanges() {
    let server = Server::start();
    let mut client = server.client();
    set_up(&mut client);
    client.call(1, exchange("in", "fanout"));
    client.call(1, exchange("out", "fanout"));
    client.call(1, queue("out"));
    client.call(1, bind("out", "out", ""));
    client.call(1, bind_exchange("d", "in", ""));
    client.call(1, bind_exchange("out", "d", "k"));
    let headers = table([("x-delay", text("50"))]);
    let properties = Properties::new().headers(&headers);
    client.call(1, consume_no_ack("out", "c"));
    client.publish(1, &Publish::to("in", "k").properties(&properties).body("m"));
    client.expect_bodies(1, &["m"]);
}

#[test]
fn deleting_the_exchange_drops_what_it_keeps() {
    let server = Server::start();
    let mut client = server.client();
    set_up(&mut client);
    publish_confirmed(&mut client, vec![later("q", "lost", 150)]);
    client.call(1, delete_exchange("d"));
    set_up(&mut client);
    publish_confirmed(&mut client, vec![later("q", "kept", 200)]);
    client.call(1, consume_no_ack("q", "c"));
    client.expect_bodies(1, &["kept"]);
    client.expect_quiet(1);
}

#[test]
fn metrics_count_what_is_delayed() {
    let server = with_metrics();
    let mut client = server.client();
    set_up(&mut client);
    publish_confirmed(
        &mut client,
        (0..5).map(|_| later("q", "body", 3_600_000)).collect(),
    );
    let metrics = Scrape::of(server.metrics_address());
    for (name, value) in [
        ("rabbitmq_exchange_messages_delayed", 5.0),
        ("rabbitmq_exchange_messages_delayed_bytes", 20.0),
    ] {
        assert!((metrics.value(name) - value).abs() < f64::EPSILON, "{name}");
    }
}

fn with_metrics() -> Server {
    Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()))
}

/// Kill it with no warning and, if it is to lose that, take sled away; then serve the folder again.
fn killed_and_started_again(folder: &Path, program: Program, without_sled: bool) -> Program {
    program.signal("KILL");
    program.wait();
    if without_sled {
        std::fs::remove_dir_all(folder.join("sled")).unwrap();
    }
    Program::serve(folder, &[])
}

/// Messages due while the broker is dead come when it lives again, those due later in their time, and none twice.
fn survive_kills(without_sled: bool) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    set_up(&mut client);
    let due = now() + 1500;
    let mut publishes: Vec<Publish> = (0..2000)
        .map(|number| later("q", &number.to_string(), due - now() + number % 7))
        .collect();
    publishes.push(later("q", "in an hour", 3_600_000));
    publish_confirmed(&mut client, publishes);
    let program = killed_and_started_again(folder.path(), program, without_sled);
    let program = killed_and_started_again(folder.path(), program, without_sled);
    let mut client = program.client();
    client.call(1, consume_no_ack("q", "c"));
    let deliveries = client.expect_deliveries(1, 2000);
    assert!(now() >= due, "none comes early");
    let mut bodies: Vec<u64> = deliveries
        .iter()
        .map(|one| one.text().parse().unwrap())
        .collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..2000).collect::<Vec<_>>());
    client.expect_quiet(1);
    drop(client);
    // Once what was routed is settled on disk too, nothing of it comes again.
    let mut client = program.client();
    publish_confirmed(&mut client, vec![later("q", "last", 1)]);
    client.call(1, consume_no_ack("q", "c"));
    client.expect_bodies(1, &["last"]);
    client.expect_quiet(1);
}

#[test]
fn kill_loses_nothing_that_was_delayed() {
    survive_kills(false);
}

#[test]
fn a_missing_sled_folder_loses_nothing_that_was_delayed() {
    survive_kills(true);
}

#[test]
fn a_restart_in_good_order_keeps_what_is_delayed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    set_up(&mut client);
    publish_confirmed(
        &mut client,
        vec![later("q", "2", 900), later("q", "1", 300)],
    );
    client.publish(1, &Publish::to("d", "q").body("not delayed").persistent());
    client.close();
    program.signal("TERM");
    program.wait();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    client.call(1, consume_no_ack("q", "c"));
    client.expect_bodies(1, &["not delayed", "1", "2"]);
}
