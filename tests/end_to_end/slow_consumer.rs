//! A consumer that does not read: its connection holds little, and nobody else waits for it.

use std::time::{Duration, Instant};

use leveret_tests::client::encoded;
use leveret_tests::metrics::Scrape;
use leveret_tests::requests::{bind, consume, consume_no_ack, exchange, nack_up_to, queue};
use leveret_tests::{Client, Method, PATIENCE, Publish, Server};
use leveret_wire::method::basic::Get;

const COUNT: usize = 4_096;
const BODY: usize = 16 * 1024;
/// What a connection that is not read may hold: its outbox, and the buffers of two sockets, which
/// the system sizes (10 MiB at most as Linux comes). A quarter of what flows.
const HELD_MAX: u64 = 16 << 20;

fn body(number: usize) -> Vec<u8> {
    let mut body = format!("{number:08}").into_bytes();
    body.resize(BODY, b'.');
    body
}

fn number(body: &[u8]) -> usize {
    std::str::from_utf8(&body[..8]).unwrap().parse().unwrap()
}

/// Wait until the queue has no consumer, and everything that the consumer had is back.
fn wait_until_all_is_back(client: &mut Client, name: &str) {
    let began = Instant::now();
    let all = (u32::try_from(COUNT).unwrap(), 0);
    while client.counts(1, name) != all {
        assert!(began.elapsed() < PATIENCE, "the consumer does not go");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_holds_little_and_holds_up_nobody() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.message_memory_bytes = 4 << 20)
    });
    let mut publisher = server.client();
    publisher.call(1, exchange("x", "fanout"));
    for name in ["slow", "fast"] {
        publisher.call(1, queue(name));
        publisher.call(1, bind(name, "x", ""));
    }
    let mut slow = server.client();
    slow.call(1, consume("slow", "c"));
    let mut fast = server.client();
    fast.call(1, consume_no_ack("fast", "c"));
    let reader = std::thread::spawn(move || {
        for expected in 0..COUNT {
            assert_eq!(number(&fast.expect_delivery(1).content.body), expected);
        }
    });
    for at in 0..COUNT {
        publisher.publish(1, &Publish::to("x", "").body(body(at)));
    }
    reader.join().unwrap();
    publisher.expect_quiet(1);

    let broker = server.running().broker();
    let totals = broker.queue_totals();
    assert_eq!(totals.ready + totals.unacked, COUNT as u64);
    let held = totals.unacked * BODY as u64;
    assert!(
        held < HELD_MAX,
        "{held} octets were handed to a connection that reads nothing"
    );
    let memory = broker.message_memory();
    assert!(
        memory < 32 << 20,
        "{memory} octets of ready messages in memory"
    );

    // It goes, and everything is there for somebody else, in order.
    let handed = usize::try_from(totals.unacked).unwrap();
    drop(slow);
    wait_until_all_is_back(&mut publisher, "slow");
    for expected in 0..COUNT {
        let got = publisher.get(1, "slow", true).unwrap();
        assert_eq!(number(&got.content.body), expected);
        assert_eq!(
            got.redelivered(),
            expected < handed,
            "message {expected} of {handed} handed out"
        );
    }
}

#[test]
fn it_goes_on_when_it_reads_again() {
    let server = Server::start();
    let mut publisher = server.client();
    publisher.call(1, queue("q"));
    let mut slow = server.client();
    slow.call(1, consume_no_ack("q", "c"));
    publisher.publish_all(
        1,
        (0..COUNT).map(|at| Publish::to_queue("q").body(body(at))),
    );
    publisher.expect_quiet(1);
    for expected in 0..COUNT {
        assert_eq!(number(&slow.expect_delivery(1).content.body), expected);
    }
    assert_eq!(publisher.counts(1, "q"), (0, 1));
}

#[test]
fn a_consumer_that_never_reads_is_dropped_in_the_end() {
    let server = Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| config.limits.write_stall_timeout_seconds = 1)
    });
    let mut publisher = server.client();
    publisher.call(1, queue("q"));
    let mut stuck = server.client();
    stuck.call(1, consume("q", "c"));
    publisher.publish_all(
        1,
        (0..COUNT).map(|at| Publish::to_queue("q").body(body(at))),
    );
    wait_until_all_is_back(&mut publisher, "q");
    drop(stuck);
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.limit_met("write_stall_timeout_seconds") >= 1.0);
}

#[test]
fn a_client_that_reads_no_answers_is_not_read() {
    let server = Server::build(|builder| builder.metrics_listen("127.0.0.1:0".parse().unwrap()));
    let mut other = server.client();
    other.call(1, queue("q"));
    other.publish(1, &Publish::to_queue("q").body(vec![0; 100_000]));
    // Each get is answered with 100 kB that nobody reads, and the message goes back: 4 GB in all.
    // The system's buffers take in the questions; the broker must not take in all of them.
    let mut rude = server.client();
    let get = Get {
        queue: "q".into(),
        no_ack: false,
    };
    let mut round = encoded(1, &get.into_class());
    round.extend(encoded(1, &nack_up_to(0, true).into_class()));
    let questions = round.repeat(1_000);
    let writer = std::thread::spawn(move || {
        for _ in 0..40 {
            if !rude.try_write(&questions) {
                break;
            }
        }
        rude
    });
    let broker = server.running().broker();
    let answered = || broker.totals().got_manual_ack;
    let began = Instant::now();
    let mut before = 0;
    // Until no more are answered.
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = answered();
        if now > 0 && now == before {
            break;
        }
        before = now;
        assert!(
            began.elapsed() < PATIENCE,
            "{now} answers, and no end of it"
        );
    }
    assert!(
        before < 1_000,
        "{before} answers of 100 kB for a client that reads none"
    );
    let scrape = Scrape::of(server.metrics_address());
    assert!(scrape.limit_met("outbox_high_bytes") >= 1.0);
    // Others are served meanwhile.
    other.call(1, queue("other"));
    other.publish_text(1, "other", "m");
    assert_eq!(other.drain(1, "other"), ["m"]);
    drop(server);
    drop(writer.join().unwrap());
}
