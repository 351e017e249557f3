//! The harness against the real program: it finds nothing where nothing is wrong, and finds a loss
//! that was made for it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "an expectation that does not hold is the failure of the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HARNESS: &str = env!("CARGO_BIN_EXE_leveret-torture");

/// The built broker, which lies beside the harness.
fn broker() -> PathBuf {
    let broker = Path::new(HARNESS).with_file_name("leveret");
    assert!(
        broker.is_file(),
        "{} is missing: build the program first, with `cargo build -p leveret`",
        broker.display()
    );
    broker
}

/// Run it with these options, and a tolerance for a machine on which all stands still at times.
fn torture(folder: &Path, options: &[&str]) -> Output {
    Command::new(HARNESS)
        .arg("--leveret")
        .arg(broker())
        .arg("--data-dir")
        .arg(folder)
        .args(["--seconds-per-round", "0.3", "--ack-tolerance", "5000"])
        .args(options)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The number of breaches of a kind, from the table.
fn row(text: &str, name: &str) -> u64 {
    let name = format!("WRONG: {name} ");
    let row = text.lines().find_map(|line| line.strip_prefix(&name));
    row.unwrap().trim().parse().unwrap()
}

#[test]
fn nothing_is_wrong_after_kills_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let output = torture(
        folder.path(),
        &[
            "--kills",
            "2",
            "--recovery-kills",
            "1",
            "--stops",
            "1",
            "--seed",
            "7",
        ],
    );
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("seed 7: "), "{text}");
    assert!(text.ends_with("seed 7: nothing is wrong\n"), "{text}");
}

#[test]
fn a_deleted_segment_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let output = torture(
        folder.path(),
        &[
            "--kills",
            "3",
            "--recovery-kills",
            "0",
            "--stops",
            "0",
            "--sabotage",
            "--seed",
            "7",
        ],
    );
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let gone = row(&text, "confirmed messages lost")
        + row(&text, "declares, binds, unbinds, deletes undone");
    assert!(gone > 0, "{text}");
    assert!(text.contains("something is wrong"), "{text}");
    assert!(folder.path().join("violations.txt").is_file());
}
