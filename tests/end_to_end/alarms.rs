//! Resource alarms: who publishes is told and not read, everybody else goes on.

use std::time::{Duration, Instant};

use leveret::Alarm;
use leveret_tests::frame::HEARTBEAT;
use leveret_tests::metrics::Scrape;
use leveret_tests::requests::{ack, consume, consume_no_ack, durable_queue, prefetch, queue};
use leveret_tests::{Client, Login, PATIENCE, Publish, Server};
use leveret_wire::method::{connection, queue as queues};

/// A client that has heard of an alarm raised before: what it asks for comes behind it.
fn heard(client: &mut Client) {
    client.call(1, queue("q"));
}

#[track_caller]
fn expect_blocked(client: &mut Client, reason: &str) {
    let blocked: connection::Blocked = client.expect(0);
    assert_eq!(blocked.reason.as_str(), reason);
}

#[track_caller]
fn expect_unblocked(client: &mut Client) {
    let _: connection::Unblocked = client.expect(0);
}

#[test]
fn a_publisher_is_told_and_all_it_sent_is_done_afterwards_in_order() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_all(
        1,
        (0..1000).map(|number| Publish::to_queue("q").body(number.to_string())),
    );
    client.send(2, queue("after"));
    expect_blocked(&mut client, "low on memory");
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "q"), (0, 0));
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut client);
    let declared: queues::DeclareOk = client.expect(2);
    assert_eq!(declared.queue.as_str(), "after");
    let numbers: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(watcher.drain(1, "q"), numbers);
}

#[test]
fn what_was_read_with_the_first_publish_waits_for_no_more_octets() {
    let server = Server::start();
    let mut client = server.client();
    server.running().broker().raise_alarm(Alarm::FreeDisk);
    heard(&mut client);
    // All in one write, so that most of it stands in the buffer when the reading stops.
    let mut octets = Publish::to_queue("q").body("a").octets(1);
    octets.extend(Publish::to_queue("q").body("b").octets(1));
    octets.extend(leveret_tests::client::encoded(
        1,
        &leveret_tests::Method::into_class(queue("q")),
    ));
    client.write(&octets);
    expect_blocked(&mut client, "low on disk");
    server.running().broker().clear_alarm(Alarm::FreeDisk);
    expect_unblocked(&mut client);
    let declared: queues::DeclareOk = client.expect(1);
    assert_eq!(declared.message_count, 2);
}

#[test]
fn who_does_not_publish_goes_on() {
    let server = Server::start();
    let mut consumer = server.client();
    consumer.call(1, queue("q"));
    consumer.publish_text(1, "q", "before");
    consumer.expect_quiet(1);
    server.running().broker().raise_alarm(Alarm::Memory);
    consumer.call(1, consume_no_ack("q", "c"));
    consumer.expect_bodies(1, &["before"]);
    let mut other = server.client();
    other.call(1, queue("new"));
    assert_eq!(other.counts(1, "q"), (0, 1));
    server.running().broker().clear_alarm(Alarm::Memory);
    // Nobody who was not blocked is told. What comes after an answer comes behind the end of the alarm.
    other.expect_quiet(1);
    other.publish_text(1, "q", "after");
    other.expect_quiet(1);
    consumer.expect_bodies(1, &["after"]);
}

#[test]
fn a_connection_opened_during_an_alarm_is_held_when_it_publishes() {
    let server = Server::start();
    server.running().broker().raise_alarm(Alarm::Memory);
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish_text(1, "q", "m");
    expect_blocked(&mut client, "low on memory");
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut client);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn a_blocked_connection_gets_its_confirms() {
    let server = Server::build(leveret::BrokerBuilder::temporary);
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.confirm_select(1);
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    // Without a body it is complete with its header, which is the last thing that is read.
    client.publish(1, &Publish::to_queue("d").persistent().body(""));
    expect_blocked(&mut client, "low on memory");
    client.expect_confirms(1, 1, 1);
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut client);
}

#[test]
fn a_blocked_connection_gets_deliveries() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let mut holder = server.client();
    holder.publish_text(1, "q", "a");
    holder.publish_text(1, "q", "b");
    for _ in 0..2 {
        assert!(holder.get(1, "q", false).is_some());
    }
    client.open_channel(2);
    client.call(2, consume_no_ack("q", "c"));
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_text(1, "q", "waits");
    expect_blocked(&mut client, "low on memory");
    holder.close_channel(1);
    client.expect_bodies(2, &["a", "b"]);
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut client);
    client.expect_bodies(2, &["waits"]);
}

/// A worker on one connection: it has as many messages of `work` as its prefetch allows, publishes to `done` on the
/// same channel, and hears that it is blocked.
fn blocked_worker(server: &Server) -> Client {
    let mut worker = server.client();
    worker.call(1, queue("work"));
    worker.call(1, queue("done"));
    for number in 0..10 {
        worker.publish_text(1, "work", &number.to_string());
    }
    worker.call(1, prefetch(2));
    worker.call(1, consume("work", "c"));
    worker.expect_bodies(1, &["0", "1"]);
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut worker);
    worker.publish_text(1, "done", "result 0");
    expect_blocked(&mut worker, "low on memory");
    worker
}

#[test]
fn a_blocked_worker_goes_on_consuming_and_its_results_wait() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    let mut worker = blocked_worker(&server);
    // Each ack stands behind a publish of its channel.
    worker.send(1, ack(1));
    for number in 1..9 {
        worker.publish_text(1, "done", &format!("result {number}"));
        worker.send(1, ack(number + 1));
        worker.expect_bodies(1, &[&(number + 1).to_string()]);
    }
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "work"), (0, 1));
    assert_eq!(watcher.counts(1, "done"), (0, 0));
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("leveret_blocked_input_bytes") > 0.0);
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut worker);
    worker.expect_quiet(1);
    let results: Vec<String> = (0..9).map(|number| format!("result {number}")).collect();
    assert_eq!(watcher.drain(1, "done"), results);
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("leveret_blocked_input_bytes") < 1.0);
}

#[test]
fn what_a_blocked_worker_sends_is_set_aside_up_to_a_limit() {
    let server = Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| config.limits.blocked_input_bytes = 64 * 10_000)
    });
    let mut worker = blocked_worker(&server);
    for _ in 0..3 {
        worker.publish(1, &Publish::to_queue("done").body(vec![b'x'; 5_000]));
    }
    worker.send(1, ack(1));
    let began = Instant::now();
    let met = || Scrape::of(server.metrics_address()).limit_met("blocked_input_bytes");
    while met() < 1.0 {
        assert!(began.elapsed() < PATIENCE, "the limit is not met");
        std::thread::sleep(Duration::from_millis(10));
    }
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.value("leveret_blocked_input_bytes") <= 10_000.0);
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "work"), (8, 1));
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut worker);
    worker.expect_bodies(1, &["2"]);
    assert_eq!(watcher.counts(1, "done"), (4, 0));
}

#[test]
fn acks_wait_like_everything_else_where_nothing_may_be_set_aside() {
    let server =
        Server::build(|builder| builder.configure(|config| config.limits.blocked_input_bytes = 0));
    let mut worker = blocked_worker(&server);
    worker.send(1, ack(1));
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "work"), (8, 1));
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut worker);
    worker.expect_bodies(1, &["2"]);
    assert_eq!(watcher.counts(1, "done"), (1, 0));
}

#[test]
fn a_blocked_worker_that_goes_away_leaves_nothing_set_aside() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    let mut worker = blocked_worker(&server);
    worker.publish_text(1, "done", "lost with its connection");
    worker.send(1, ack(1));
    worker.expect_bodies(1, &["2"]);
    drop(worker);
    let began = Instant::now();
    let aside = || Scrape::of(server.metrics_address()).value("leveret_blocked_input_bytes");
    while aside() > 0.0 {
        assert!(began.elapsed() < PATIENCE, "something is still set aside");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "work"), (9, 0));
    assert_eq!(watcher.counts(1, "done"), (0, 0));
}

#[test]
fn who_lacks_the_capability_is_held_in_silence() {
    let server = Server::start();
    let mut client = server.log_in(&Login::without_capabilities());
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_text(1, "q", "m");
    client.send(1, queue("q"));
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "q"), (0, 0));
    server.running().broker().clear_alarm(Alarm::Memory);
    let declared: queues::DeclareOk = client.expect(1);
    assert_eq!(declared.message_count, 1);
}

#[test]
fn the_last_alarm_counts_and_metrics_show_each() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    let gauges = || {
        let scrape = Scrape::of(server.metrics_address());
        (
            scrape.value("rabbitmq_alarms_memory_used_watermark"),
            scrape.value("rabbitmq_alarms_free_disk_space_watermark"),
        )
    };
    assert_eq!(gauges(), (0.0, 0.0));
    let mut client = server.client();
    server.running().broker().raise_alarm(Alarm::Memory);
    assert_eq!(gauges(), (1.0, 0.0));
    server.running().broker().raise_alarm(Alarm::FreeDisk);
    assert_eq!(gauges(), (1.0, 1.0));
    heard(&mut client);
    client.publish_text(1, "q", "m");
    expect_blocked(&mut client, "low on disk & memory");
    server.running().broker().clear_alarm(Alarm::Memory);
    let mut watcher = server.client();
    assert_eq!(watcher.counts(1, "q"), (0, 0));
    server.running().broker().clear_alarm(Alarm::FreeDisk);
    expect_unblocked(&mut client);
    assert_eq!(client.counts(1, "q"), (1, 0));
    assert_eq!(gauges(), (0.0, 0.0));
}

#[test]
fn a_disk_with_less_room_than_it_should_have_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::build(|builder| {
        builder
            .data_dir(folder.path())
            .configure(|config| config.store.disk_free_limit = 1 << 60)
    });
    let begun = Instant::now();
    while !server.running().broker().is_raised(Alarm::StoreLow) {
        assert!(begun.elapsed() < PATIENCE, "nobody looks at the disk");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut client = server.client();
    heard(&mut client);
    client.publish_text(1, "q", "m");
    expect_blocked(&mut client, "low on disk");
}

#[test]
fn a_blocked_client_may_be_silent_and_gets_heartbeats() {
    let server = Server::start();
    let mut client = server.log_in(&Login {
        heartbeat: 1,
        ..Login::default()
    });
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_text(1, "q", "m");
    expect_blocked(&mut client, "low on memory");
    // Two a second: more than the three seconds after which a silent client is dropped.
    for _ in 0..8 {
        assert_eq!(client.next_frame().map(|frame| frame.kind), Some(HEARTBEAT));
    }
    server.running().broker().clear_alarm(Alarm::Memory);
    expect_unblocked(&mut client);
    assert_eq!(client.counts(1, "q"), (1, 0));
}

#[test]
fn a_blocked_client_that_goes_away_is_found_out_by_a_heartbeat() {
    let server = Server::start();
    let mut client = server.log_in(&Login {
        heartbeat: 1,
        ..Login::default()
    });
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_text(1, "q", "m");
    expect_blocked(&mut client, "low on memory");
    drop(client);
    let began = Instant::now();
    while server.running().broker().connections() > 0 {
        assert!(began.elapsed() < PATIENCE, "the connection is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(server.running().broker().is_raised(Alarm::Memory));
}

#[test]
fn a_blocked_client_is_told_of_a_shutdown() {
    let mut server = Server::start();
    let mut client = server.client();
    server.running().broker().raise_alarm(Alarm::Memory);
    heard(&mut client);
    client.publish_text(1, "q", "m");
    client.send(1, queue("never"));
    expect_blocked(&mut client, "low on memory");
    let reader = std::thread::spawn(move || {
        client.expect_hard_error(
            320,
            "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
        );
    });
    server.shut_down();
    reader.join().unwrap();
}
