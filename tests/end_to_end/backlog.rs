//! Queues that are longer than memory may hold.

use leveret_tests::requests::{
    ack_up_to, consume, consume_no_ack, durable_queue, prefetch, purge, queue,
};
use leveret_tests::{Client, Publish, Server};

const COUNT: u32 = 100_000;
/// What all queues together may keep in memory; the backlog is over ten times as large.
const MEMORY: usize = 1 << 20;

fn body(number: u32) -> String {
    format!("{number:>100}")
}

fn number(body: &str) -> u32 {
    body.trim_start().parse().unwrap()
}

fn small(builder: leveret::BrokerBuilder) -> leveret::BrokerBuilder {
    builder.configure(|config| config.limits.message_memory_bytes = MEMORY)
}

/// A server with `COUNT` transient messages in the queue `q`.
fn with_backlog(
    change: impl FnOnce(leveret::BrokerBuilder) -> leveret::BrokerBuilder,
) -> (Server, Client) {
    let server = Server::build(|builder| change(small(builder)));
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish_all(
        1,
        (0..COUNT).map(|number| Publish::to_queue("q").body(body(number))),
    );
    assert_eq!(client.counts(1, "q"), (COUNT, 0));
    (server, client)
}

/// Ready messages of one queue in memory may not be much over the limit: a window of 512 is always
/// kept, and one read of 4,096 may be under way.
fn assert_bounded(server: &Server) {
    let memory = server.running().broker().message_memory();
    assert!(
        memory < 4 * MEMORY,
        "{memory} octets of ready messages in memory"
    );
}

fn all_come_out_in_order(server: &Server, client: &mut Client) {
    assert_bounded(server);
    client.call(1, consume_no_ack("q", "c"));
    for expected in 0..COUNT {
        let delivery = client.expect_delivery(1);
        assert_eq!(number(delivery.text()), expected);
    }
    assert_eq!(client.counts(1, "q"), (0, 1));
}

#[test]
fn all_messages_come_out_in_order() {
    let (server, mut client) = with_backlog(|builder| builder);
    all_come_out_in_order(&server, &mut client);
}

#[test]
fn all_messages_come_out_in_order_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (server, mut client) = with_backlog(|builder| builder.data_dir(folder.path()));
    all_come_out_in_order(&server, &mut client);
}

#[test]
fn acks_requeues_and_prefetch_work_on_a_backlog() {
    let (server, mut client) = with_backlog(|builder| builder);
    client.call(1, prefetch(500));
    client.call(1, consume("q", "c"));
    let mut next = 0;
    let mut rounds = 0;
    while next < COUNT {
        let deliveries = client.expect_deliveries(1, 500);
        let last = deliveries.last().unwrap().tag();
        for (expected, delivery) in (next..).zip(&deliveries) {
            assert_eq!(number(delivery.text()), expected);
        }
        // Each tenth run goes back once before it is acked.
        if rounds % 10 == 0 {
            client.send(1, leveret_tests::requests::nack_up_to(last, true));
            let again = client.expect_deliveries(1, 500);
            assert!(again.iter().all(leveret_tests::Delivery::redelivered));
            assert_eq!(number(again[0].text()), next);
            client.send(1, ack_up_to(again.last().unwrap().tag()));
        } else {
            client.send(1, ack_up_to(last));
        }
        next += 500;
        rounds += 1;
    }
    assert_eq!(client.counts(1, "q"), (0, 1));
    assert_bounded(&server);
}

#[test]
fn get_takes_from_the_front_and_counts_right() {
    let (server, mut client) = with_backlog(|builder| builder);
    for expected in 0..2_000 {
        let got = client.get(1, "q", true).unwrap();
        assert_eq!(number(got.text()), expected);
        assert_eq!(got.method.message_count, COUNT - 1 - expected);
    }
    assert_bounded(&server);
    // What is got and given back stands at the front again.
    let got = client.get(1, "q", false).unwrap();
    client.send(1, leveret_tests::requests::nack(got.tag(), true));
    assert_eq!(client.counts(1, "q"), (COUNT - 2_000, 0));
    assert_eq!(number(client.get(1, "q", true).unwrap().text()), 2_000);
}

#[test]
fn purge_takes_all_of_it() {
    let (_server, mut client) = with_backlog(|builder| builder);
    let tag = client.get(1, "q", false).unwrap().tag();
    assert_eq!(client.call(1, purge("q")).message_count, COUNT - 1);
    assert_eq!(client.counts(1, "q"), (0, 0));
    client.publish_text(1, "q", "new");
    client.send(1, leveret_tests::requests::nack(tag, true));
    let bodies = client.drain(1, "q");
    assert_eq!(number(&bodies[0]), 0);
    assert_eq!(bodies[1..], ["new"]);
}

#[test]
fn delete_takes_all_of_it() {
    let (server, mut client) = with_backlog(|builder| builder);
    let delete = leveret_tests::requests::delete_queue("q");
    assert_eq!(client.call(1, delete).message_count, COUNT);
    assert_eq!(server.running().broker().message_memory(), 0);
    client.call(1, queue("q"));
    client.publish_text(1, "q", "new");
    assert_eq!(client.drain(1, "q"), ["new"]);
}

#[test]
fn publishing_goes_on_while_a_backlog_is_consumed() {
    let (_server, mut client) = with_backlog(|builder| builder);
    client.call(1, consume_no_ack("q", "c"));
    for expected in 0..2 * COUNT {
        if expected < COUNT && expected % 1_000 == 0 {
            let from = COUNT + expected;
            client.publish_all(
                1,
                (from..from + 1_000).map(|at| Publish::to_queue("q").body(body(at))),
            );
        }
        assert_eq!(number(client.expect_delivery(1).text()), expected);
    }
    assert_eq!(client.counts(1, "q"), (0, 1));
}

#[test]
fn a_persistent_backlog_survives_and_comes_out_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Server::build(|builder| small(builder).data_dir(folder.path()));
    let mut server = start();
    let mut client = server.client();
    client.call(1, durable_queue("d"));
    client.confirm_select(1);
    let count = 20_000;
    client.publish_all(
        1,
        (0..count).map(|at| Publish::to_queue("d").persistent().body(body(at))),
    );
    client.expect_confirms(1, 1, count.into());
    client.close();
    server.shut_down();
    let server = start();
    let mut client = server.client();
    assert_eq!(client.counts(1, "d"), (count, 0));
    client.call(1, consume_no_ack("d", "c"));
    for expected in 0..count {
        assert_eq!(number(client.expect_delivery(1).text()), expected);
    }
    assert_bounded(&server);
}

#[test]
fn large_bodies_count_by_their_size() {
    let server = Server::build(small);
    let mut client = server.client();
    client.call(1, queue("q"));
    // 128 MB for a memory of 1 MiB.
    for number in 0..500 {
        let mut octets = body(number).into_bytes();
        octets.resize(256 * 1024, b' ');
        client.publish(1, &Publish::to_queue("q").body(octets));
    }
    assert_eq!(client.counts(1, "q"), (500, 0));
    let held = server.running().broker().message_memory();
    assert!(
        held < 16 * MEMORY,
        "{held} octets of ready messages in memory before a consumer"
    );
    client.call(1, prefetch(1));
    client.call(1, consume("q", "c"));
    for expected in 0..500 {
        let delivery = client.expect_delivery(1);
        assert_eq!(number(delivery.text().trim_end()), expected);
        let held = server.running().broker().message_memory();
        assert!(
            held < 16 * MEMORY,
            "{held} octets of ready messages in memory at {expected}"
        );
        client.send(1, leveret_tests::requests::ack(delivery.tag()));
    }
}
