//! The hot path of this crate: frames cut, publishes read, messages made, deliveries written.

#![allow(
    clippy::unwrap_used,
    reason = "a bench measures valid input; anything else must stop it"
)]

mod setup;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use leveret_wire::{
    BodyPart, Message, OutputBuffer, cut, cut_publish, encode_deliver, parse_content_header,
    parse_publish,
};
use setup::{FRAME_MAX, header, message, publish_frames};

const BODY_SIZES: [usize; 3] = [16, 1024, 256 * 1024];

fn cut_frame(criterion: &mut Criterion) {
    let frames = publish_frames(&[7; 1024]);
    criterion.bench_function("cut one frame", |bencher| {
        bencher.iter(|| cut(black_box(&frames), FRAME_MAX).unwrap().unwrap().channel);
    });
}

/// Frame by frame: three cuts, the method's arguments, the content header.
fn parse_frames(criterion: &mut Criterion) {
    let frames = publish_frames(&[7; 1024]);
    criterion.bench_function("publish of 1 KiB: parse three frames", |bencher| {
        bencher.iter(|| {
            let input: &[u8] = black_box(&frames);
            let method = cut(input, FRAME_MAX).unwrap().unwrap();
            let publish = parse_publish(&method.payload[4..]).unwrap();
            let input = &input[method.encoded_len()..];
            let header = cut(input, FRAME_MAX).unwrap().unwrap();
            let content = parse_content_header(header.payload).unwrap();
            let body = cut(&input[header.encoded_len()..], FRAME_MAX)
                .unwrap()
                .unwrap();
            (publish.routing.len(), content.flags, body.payload.len())
        });
    });
}

/// From the read buffer to the message, all in one.
fn whole_publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole publish to message");
    for body_len in [16, 1024, 64 * 1024] {
        let frames = publish_frames(&vec![7; body_len]);
        group.throughput(Throughput::Bytes(body_len as u64));
        group.bench_function(BenchmarkId::from_parameter(body_len), |bencher| {
            bencher.iter(|| {
                cut_publish(black_box(&frames), FRAME_MAX)
                    .unwrap()
                    .message()
            });
        });
    }
    group.finish();
}

/// From parts, as the assembler of split content does.
fn message_from_parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message from parts");
    for body_len in BODY_SIZES {
        let routing = b"\x0aamq.direct\x0corders.fresh";
        let header = header(body_len);
        let body = Bytes::from(vec![7; body_len]);
        group.throughput(Throughput::Bytes(body_len as u64));
        group.bench_function(BenchmarkId::from_parameter(body_len), |bencher| {
            bencher.iter(|| {
                Message::new(
                    black_box(routing),
                    black_box(&header),
                    BodyPart::Bytes(black_box(&body).clone()),
                )
            });
        });
    }
    group.finish();
}

fn deliver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode deliver");
    for body_len in BODY_SIZES {
        let message = message(body_len);
        let mut out = OutputBuffer::new();
        group.throughput(Throughput::Bytes(body_len as u64));
        group.bench_function(BenchmarkId::from_parameter(body_len), |bencher| {
            bencher.iter(|| {
                encode_deliver(
                    &mut out,
                    1,
                    black_box(b"amq.ctag-0123456789abcdefghijkl"),
                    black_box(77),
                    false,
                    &message,
                    FRAME_MAX,
                );
                // As a writer does: many deliveries to one write.
                if out.len() > 128 * 1024 {
                    out.clear();
                }
            });
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    cut_frame,
    parse_frames,
    whole_publish,
    message_from_parts,
    deliver
);
criterion_main!(benches);
