//! What the machine costs a message: one read's worth of publishes, acks and deliveries.

mod setup;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use leveret_wire::{BodyPart, Message};
use setup::{MESSAGES, acks, content_header, drain, publishes, running};

fn poll(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("poll_event");
    group.throughput(Throughput::Elements(MESSAGES));
    let inputs = [
        ("publish 16 octets", publishes(&[b'x'; 16])),
        ("publish 1 KiB", publishes(&[b'x'; 1_024])),
        ("ack", acks()),
    ];
    for (name, input) in inputs {
        let mut machine = running();
        assert_eq!(drain(&mut machine, input.clone()), MESSAGES);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || input.clone(),
                |input| drain(&mut machine, input),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver");
    group.throughput(Throughput::Elements(MESSAGES));
    let body = [b'x'; 16];
    let routing = b"\x06orders\x0eeu.germany.new";
    let message = Message::new(routing, &content_header(16), BodyPart::Slice(&body));
    let mut machine = running();
    group.bench_function("16 octets", |bencher| {
        bencher.iter(|| {
            for delivery_tag in 1..=MESSAGES {
                machine.deliver(1, "amq.ctag-1234567890", delivery_tag, false, &message);
            }
            black_box(machine.output().len());
            machine.output().clear();
        });
    });
    group.finish();
}

criterion_group!(benches, poll, deliver);
criterion_main!(benches);
