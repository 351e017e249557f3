//! What slow, silent and restless peers cost a broker and its other clients, in full size: `bench/peers.sh`.
//!
//!     leveret-peers [--seconds N] [NAME...]
//!
//! Each measurement has a fresh broker, the program that `LEVERET_BIN` names, and prints one line of a table. The
//! tests have the same in small, without clocks.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that goes wrong ends the program"
)]

mod amplification;
mod floods;
mod login;
mod pulse;

use std::path::PathBuf;
use std::time::Duration;

use leveret_tests::Program;

/// One measurement: its name, and what makes its lines.
type Measurement = (&'static str, fn(&Scene) -> Vec<Line>);

const MEASUREMENTS: &[Measurement] = &[
    ("before-login", login::worst_before_login),
    ("silent", login::silent_sockets),
    ("slow-consumer", floods::slow_consumer),
    ("unacked", floods::unacked),
    ("channels", floods::channel_storms),
    ("torn", floods::torn_connections),
    ("undo", floods::undo),
    ("exclusive", floods::exclusive_queues),
    ("topic", amplification::topic),
    ("headers", amplification::headers),
    ("fanout", amplification::fanout),
];

/// What a measurement is given.
struct Scene {
    /// How long a flood lasts.
    seconds: u64,
    folder: PathBuf,
}

impl Scene {
    fn flood(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// A fresh broker with these lines of settings.
    fn broker(&self, settings: &str) -> Program {
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir_all(&self.folder).unwrap();
        let file = self.folder.join("leveret.toml");
        std::fs::write(&file, settings).unwrap();
        let file = file.to_str().unwrap();
        let arguments = ["--config", file, "--log-level", "info"];
        Program::serve(&self.folder.join("data"), &arguments)
    }
}

/// One line of the table.
struct Line {
    what: String,
    figure: String,
    promise: &'static str,
}

impl Line {
    fn new(what: impl Into<String>, figure: impl Into<String>, promise: &'static str) -> Self {
        Self {
            what: what.into(),
            figure: figure.into(),
            promise,
        }
    }
}

fn main() {
    let mut seconds = 60;
    let mut wanted = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            seconds = number.expect("--seconds takes a number");
        } else {
            let known = MEASUREMENTS.iter().any(|(name, _)| *name == argument);
            assert!(known, "there is no measurement {argument}");
            wanted.push(argument);
        }
    }
    let folder = std::env::temp_dir().join(format!("leveret-peers-{}", std::process::id()));
    let scene = Scene { seconds, folder };
    println!("| measured | figure | promise |\n|---|---|---|");
    for (name, measure) in MEASUREMENTS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("== {name}");
        for line in measure(&scene) {
            println!("| {} | {} | {} |", line.what, line.figure, line.promise);
        }
    }
    let _ = std::fs::remove_dir_all(&scene.folder);
}
