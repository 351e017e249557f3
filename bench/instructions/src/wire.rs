//! Frames to messages and back.

use std::hint::black_box;

use leveret_wire::{OutputBuffer, cut_publish, encode_deliver};

use crate::count;

#[path = "../../../crates/wire/benches/setup/mod.rs"]
mod setup;
use setup::{FRAME_MAX, message, publish_frames};

const ROUNDS: u64 = 2_000;

/// Cut a publish out of a read, and write a delivery, for small and larger bodies.
pub(crate) fn all() {
    for (size, name) in [(16, "16 B"), (1024, "1 KiB")] {
        let frames = publish_frames(&vec![7; size]);
        let parse = || {
            for _ in 0..ROUNDS {
                let publish = cut_publish(black_box(&frames), FRAME_MAX);
                black_box(publish.expect("a whole publish").message());
            }
        };
        parse();
        count(&format!("wire: parse a publish of {name}"), ROUNDS, parse);
        let message = message(size);
        let mut out = OutputBuffer::new();
        let mut encode = || {
            for tag in 0..ROUNDS {
                let consumer_tag = black_box(b"amq.ctag-0123456789abcdefghijkl");
                encode_deliver(&mut out, 1, consumer_tag, tag, false, &message, FRAME_MAX);
            }
            out.clear();
        };
        encode();
        count(
            &format!("wire: encode a delivery of {name}"),
            ROUNDS,
            encode,
        );
    }
}
