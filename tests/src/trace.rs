//! A trace of everything that the brokers of a test run log, to be searched afterwards.
//!
//! `LEVERET_TEST_TRACE` names the file. Then every broker of the tests logs all there is to log, and it is appended
//! there, whether it runs inside the test process or as a program.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, OnceLock};

/// The file, if there is to be one.
fn file() -> Option<&'static Mutex<File>> {
    static TRACE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let trace = TRACE.get_or_init(|| {
        let path = std::env::var_os("LEVERET_TEST_TRACE").filter(|path| !path.is_empty())?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.expect("the file for the trace can be written");
        let writer = file.try_clone().expect("a file has several handles");
        // A test process has no other log.
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(Mutex::new(writer))
            .init();
        Some(Mutex::new(file))
    });
    trace.as_ref()
}

/// Log what happens in this process from now on, if that is wanted.
pub(crate) fn start() -> bool {
    file().is_some()
}

/// Append a line of a program's log, if that is wanted.
pub(crate) fn line(line: &str) {
    if let Some(file) = file() {
        writeln!(file.lock().unwrap(), "{line}").expect("the trace can be written");
    }
}
