//! Through the broker in memory: publish, route, queue, deliver, confirm, settle.

use leveret_wire::Message;

use crate::count;

#[path = "../../../crates/broker/benches/setup/mod.rs"]
mod setup;
use setup::{Client, message, names, node};

/// Messages of one read of a socket.
const RUN: u64 = 100;
/// Reads that are measured, after as many that are not.
const ROUNDS: u64 = 20;

/// Messages through exchange and queues; without acknowledgements, all in one figure.
fn pass(name: &str, exchange: &str, key: &str, queues: usize, messages: &[Message]) {
    let queues = names(queues);
    let (_broker, mut publisher, mut consumer) = node(&queues, false, exchange, key);
    for queue in &queues {
        consumer.consume(queue, true);
    }
    let run = usize::try_from(RUN).unwrap_or_default();
    let mut next = messages.iter().cycle();
    let mut rounds = |rounds: u64| {
        for _ in 0..rounds {
            publisher.publish_run(next.by_ref().take(run));
            assert_eq!(consumer.take(), RUN * queues.len() as u64);
        }
    };
    // Twice, so that keys beyond what a session remembers have been through once.
    rounds(2 * ROUNDS);
    count(&format!("session: {name}"), ROUNDS * RUN, || rounds(ROUNDS));
}

/// Persistent messages with a confirm each, settled by one multiple ack a read.
fn acknowledged(size: usize, name: &str) {
    let queues = names(1);
    let (_broker, mut publisher, mut consumer) = node(&queues, true, "", "");
    publisher.select_confirms();
    consumer.consume("queue-0", false);
    let messages: Vec<Message> = (0..RUN)
        .map(|_| message("", "queue-0", true, &vec![7; size]))
        .collect();
    let mut sent = 0;
    let publish = |publisher: &mut Client, consumer: &mut Client| {
        publisher.publish_run(messages.iter());
        assert_eq!(consumer.take(), RUN);
        publisher.take();
        sent += RUN;
        assert_eq!(publisher.sink.confirmed, sent);
    };
    let mut publish = publish;
    for _ in 0..ROUNDS {
        publish(&mut publisher, &mut consumer);
        consumer.ack_all();
    }
    for _ in 0..ROUNDS {
        count(
            &format!("session: {name} persistent, confirm and deliver"),
            RUN,
            || publish(&mut publisher, &mut consumer),
        );
        count(
            &format!("session: {name} persistent, settle by one ack of 100"),
            RUN,
            || consumer.ack_all(),
        );
    }
}

/// All ways through.
pub(crate) fn all() {
    let to_queue = |size: usize| message("", "queue-0", false, &vec![7; size]);
    pass("16 B transient, no-ack", "", "", 1, &[to_queue(16)]);
    pass("1 KiB transient, no-ack", "", "", 1, &[to_queue(1024)]);
    acknowledged(16, "16 B");
    acknowledged(1024, "1 KiB");
    let keyed = |exchange: &str, key: &str| message(exchange, key, false, &[7; 100]);
    pass(
        "direct exchange, route remembered",
        "amq.direct",
        "orders",
        1,
        &[keyed("amq.direct", "orders")],
    );
    pass(
        "topic exchange, route remembered",
        "amq.topic",
        "sensor.*.temperature",
        1,
        &[keyed("amq.topic", "sensor.7.temperature")],
    );
    let forgotten: Vec<Message> = (0..50_000)
        .map(|sensor| keyed("amq.topic", &format!("sensor.{sensor}.temperature")))
        .collect();
    pass(
        "topic exchange, route looked up",
        "amq.topic",
        "sensor.*.temperature",
        1,
        &forgotten,
    );
    pass(
        "fanout to 10 queues, per publish",
        "amq.fanout",
        "",
        10,
        &[keyed("amq.fanout", "")],
    );
}
