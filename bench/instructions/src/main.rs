//! The hot paths of each layer, some thousand times each, for callgrind to count.
//!
//! `bench/instructions.sh` runs this under callgrind, which collects inside of [`measured`] alone and
//! writes one profile each time that ends. Each line of standard output belongs to one of them: the
//! name of what was measured, and how many units. Cases with the same name add up.
//!
//! `leveret-instructions store MESSAGES` appends that many messages to a store in a folder instead,
//! for whole runs to be compared: a store works on threads of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench that can't go on has nothing to measure, and its lines are for a script"
)]

mod protocol;
mod router;
mod session;
mod store;
mod wire;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        None => all(),
        Some("store") => {
            let messages = words.next().and_then(|word| word.parse().ok());
            store::append(messages.expect("a number of messages"));
        }
        Some(word) => panic!("{word} is not known"),
    }
}

fn all() {
    wire::all();
    protocol::all();
    router::all();
    session::all();
}

/// Count the instructions of `work`, which is `units` times what `name` says.
fn count(name: &str, units: u64, mut work: impl FnMut()) {
    measured(&mut work);
    println!("{name}\t{units}");
}

/// The script knows this by name; it must not be inlined.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_can_be_run() {
        super::all();
        super::store::append(1_000);
    }
}
