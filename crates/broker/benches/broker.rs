//! What a message costs in the domain, between the protocol machine and the socket: through one
//! session into queues, and out through another.

#![allow(
    clippy::expect_used,
    reason = "a bench that can't go on has nothing to measure"
)]

mod setup;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use leveret_wire::Message;
use leveret_wire::method::queue;
use setup::{names, node};

/// Messages of one socket read.
const RUN: u64 = 100;
/// Octets of a body.
const BODY: [u8; 100] = [7; 100];

fn message(exchange: &str, routing_key: &str, persistent: bool) -> Message {
    setup::message(exchange, routing_key, persistent, &BODY)
}

/// Enqueue and deliver a run, without and with acknowledgements, transient and persistent.
fn through_one_queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("through_one_queue");
    group.throughput(Throughput::Elements(RUN));
    for (name, persistent, no_ack) in [
        ("transient, no ack", false, true),
        ("transient, ack multiple", false, false),
        ("persistent, no ack", true, true),
        ("persistent, ack multiple", true, false),
    ] {
        let queues = names(1);
        let (_broker, mut publisher, mut consumer) = node(&queues, true, "", "");
        consumer.consume(&queues[0], no_ack);
        let run: Vec<Message> = (0..RUN)
            .map(|_| message("", &queues[0], persistent))
            .collect();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                publisher.publish_run(run.iter());
                assert_eq!(consumer.take(), RUN);
                if !no_ack {
                    consumer.ack_all();
                }
            });
        });
    }
    group.finish();
}

/// Publish persistent messages that nobody consumes; the queue is purged out of the measurement.
fn publish_persistent(criterion: &mut Criterion) {
    let queues = names(1);
    let (_broker, mut publisher, mut purger) = node(&queues, true, "", "");
    let run: Vec<Message> = (0..RUN).map(|_| message("", &queues[0], true)).collect();
    let mut group = criterion.benchmark_group("publish");
    group.throughput(Throughput::Elements(RUN));
    group.bench_function("persistent, to a queue without consumers", |bencher| {
        bencher.iter_batched(
            || {
                let purge = queue::Purge {
                    queue: queues[0].as_str().into(),
                    nowait: true,
                };
                purger.queue(queue::AMQPMethod::Purge(purge));
            },
            |()| publisher.publish_run(run.iter()),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// One message into ten queues.
fn fan_out(criterion: &mut Criterion) {
    const QUEUES: usize = 10;
    let queues = names(QUEUES);
    let (_broker, mut publisher, mut consumer) = node(&queues, false, "amq.fanout", "");
    for queue in &queues {
        consumer.consume(queue, true);
    }
    let run: Vec<Message> = (0..RUN).map(|_| message("amq.fanout", "", false)).collect();
    let deliveries = RUN * QUEUES as u64;
    let mut group = criterion.benchmark_group("fan_out");
    group.throughput(Throughput::Elements(deliveries));
    group.bench_function("1 to 10", |bencher| {
        bencher.iter(|| {
            publisher.publish_run(run.iter());
            assert_eq!(consumer.take(), deliveries);
        });
    });
    group.finish();
}

/// A route that is remembered, among few and many, and one that has to be found.
fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routes");
    group.throughput(Throughput::Elements(RUN));
    // More keys than a session remembers make every publish look its route up.
    for (name, keys) in [
        ("one key", 1),
        ("1000 keys in turn", 1_000),
        ("never the same key", 50_000),
    ] {
        let queues = names(1);
        let (_broker, mut publisher, mut consumer) =
            node(&queues, false, "amq.topic", "sensor.*.temperature");
        consumer.consume(&queues[0], true);
        let messages: Vec<Message> = (0..keys)
            .map(|key| message("amq.topic", &format!("sensor.{key}.temperature"), false))
            .collect();
        let mut next = messages.iter().cycle();
        let run = usize::try_from(RUN).expect("small");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                publisher.publish_run(next.by_ref().take(run));
                assert_eq!(consumer.take(), RUN);
            });
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    through_one_queue,
    publish_persistent,
    fan_out,
    routes
);
criterion_main!(benches);
