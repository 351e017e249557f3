//! The protocol machine: a read full of publishes, or of acks.

use crate::count;

#[path = "../../../crates/protocol/benches/setup/mod.rs"]
mod setup;
use setup::{MESSAGES, acks, drain, publishes, running};

/// What the machine makes of a read.
pub(crate) fn all() {
    for (name, read) in [
        ("a publish of 16 B", publishes(&[b'x'; 16])),
        ("a publish of 1 KiB", publishes(&[b'x'; 1_024])),
        ("an ack", acks()),
    ] {
        let mut machine = running();
        assert_eq!(drain(&mut machine, read.clone()), MESSAGES);
        let mut reads = vec![read.clone()];
        count(&format!("protocol: event of {name}"), MESSAGES, || {
            for read in reads.drain(..) {
                drain(&mut machine, read);
            }
        });
    }
}
