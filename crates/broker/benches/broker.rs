//! What a message costs in the domain, between the protocol machine and the socket: through one
//! session into queues, and out through another.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on has nothing to measure"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use leveret_broker::{Broker, BrokerOptions, Output, Peer, Session};
use leveret_protocol::{ChannelError, Publish};
use leveret_store::MemoryStore;
use leveret_wire::method::{basic, queue};
use leveret_wire::{AMQPClass, Ack, BodyPart, FieldTable, Message, PropertiesBuilder};

/// Messages of one socket read.
const RUN: u64 = 100;
/// Octets of a body.
const BODY: [u8; 100] = [7; 100];

/// Takes what a session says, and counts deliveries.
#[derive(Default)]
struct Sink {
    last_tag: u64,
    delivered: u64,
}

impl Output for Sink {
    fn accept_channel_open(&mut self, _channel: u16) {}

    fn reply(&mut self, _channel: u16, method: &AMQPClass) {
        black_box(method);
    }

    fn deliver(
        &mut self,
        _channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        _redelivered: bool,
        message: &Message,
    ) {
        black_box((consumer_tag, message));
        self.last_tag = delivery_tag;
        self.delivered += 1;
    }

    fn get_ok(
        &mut self,
        _channel: u16,
        _delivery_tag: u64,
        _redelivered: bool,
        _count: u32,
        message: &Message,
    ) {
        black_box(message);
    }

    fn return_unroutable(&mut self, _channel: u16, message: &Message) {
        black_box(message);
    }

    fn confirm(&mut self, _channel: u16, delivery_tag: u64, _multiple: bool) {
        black_box(delivery_tag);
    }

    fn refuse(&mut self, _channel: u16, delivery_tag: u64) {
        panic!("no queue of this bench refuses {delivery_tag}");
    }

    fn close_channel(&mut self, _channel: u16, error: &ChannelError) {
        panic!("{error}");
    }

    fn accept_channel_close(&mut self, channel: u16) {
        black_box(channel);
    }

    fn block(&mut self, reason: &str) {
        panic!("{reason}");
    }

    fn unblock(&mut self) {}
}

/// One connection.
struct Client {
    session: Session,
    sink: Sink,
}

impl Client {
    fn new(broker: &Broker) -> Self {
        let user = Arc::new(
            broker
                .login("guest", "guest", true)
                .expect("the default user"),
        );
        let peer = Peer {
            name: "bench".to_owned(),
            consumer_cancel_notify: true,
        };
        let mut session = broker
            .open_session(user, "/", peer)
            .expect("the default vhost");
        let mut sink = Sink::default();
        session.open_channel(1, &mut sink).expect("a channel");
        Self { session, sink }
    }

    fn queue(&mut self, method: queue::AMQPMethod) {
        self.session
            .execute(1, AMQPClass::Queue(method), &mut self.sink)
            .expect("no hard error");
    }

    fn basic(&mut self, method: basic::AMQPMethod) {
        self.session
            .execute(1, AMQPClass::Basic(method), &mut self.sink)
            .expect("no hard error");
    }

    fn consume(&mut self, queue: &str, no_ack: bool) {
        let consume = basic::Consume {
            queue: queue.into(),
            no_ack,
            nowait: true,
            ..basic::Consume::default()
        };
        self.basic(basic::AMQPMethod::Consume(consume));
    }

    /// Publish as if all came with one socket read.
    fn publish_run<'a>(&mut self, messages: impl Iterator<Item = &'a Message>) {
        for message in messages {
            let publish = Publish {
                message: message.clone(),
                mandatory: false,
                immediate: false,
            };
            self.session
                .publish(1, publish, &mut self.sink)
                .expect("no hard error");
        }
        self.session.flush(&mut self.sink).expect("the store works");
    }

    /// Take everything out of the mailbox; the socket takes everything at once.
    fn take(&mut self) -> u64 {
        let before = self.sink.delivered;
        let mut context = Context::from_waker(Waker::noop());
        while self.session.poll(&mut context, &mut self.sink).is_ready() {
            self.session.note_output(0).expect("the store works");
        }
        self.sink.delivered - before
    }

    fn ack_all(&mut self) {
        let ack = Ack {
            delivery_tag: self.sink.last_tag,
            multiple: true,
        };
        self.session
            .ack(1, ack, &mut self.sink)
            .expect("the tag is outstanding");
        self.session.flush(&mut self.sink).expect("the store works");
    }
}

fn message(exchange: &str, routing_key: &str, persistent: bool) -> Message {
    let mode = if persistent { 2 } else { 1 };
    let header = PropertiesBuilder::new()
        .delivery_mode(Some(mode))
        .build(BODY.len() as u64)
        .expect("short");
    Message::from_parts(
        exchange.as_bytes(),
        routing_key.as_bytes(),
        &header,
        BodyPart::Slice(&BODY),
    )
    .expect("short names")
}

/// A node with these queues, each bound to `exchange` with its own name unless that is empty.
fn node(
    queues: &[String],
    durable: bool,
    exchange: &str,
    routing_key: &str,
) -> (Broker, Client, Client) {
    let broker = Broker::open(BrokerOptions::default(), Arc::new(MemoryStore::new()))
        .expect("an empty store opens");
    let (mut publisher, consumer) = (Client::new(&broker), Client::new(&broker));
    for name in queues {
        let declare = queue::Declare {
            queue: name.as_str().into(),
            durable,
            nowait: true,
            ..queue::Declare::default()
        };
        publisher.queue(queue::AMQPMethod::Declare(declare));
        if !exchange.is_empty() {
            publisher.queue(queue::AMQPMethod::Bind(queue::Bind {
                queue: name.as_str().into(),
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                nowait: true,
                arguments: FieldTable::default(),
            }));
        }
    }
    (broker, publisher, consumer)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("queue-{number}")).collect()
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
