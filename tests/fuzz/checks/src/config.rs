//! Configuration files: ours, and RabbitMQ's.

use std::path::Path;

use leveret::Config;
use leveret::config::{ConfigError, Loaded};

use crate::allocation::bounded;
use crate::input::Input;

/// Octets that one of the file's may come to: a list of addresses of one letter each, all read before one is refused.
const PER_OCTET: u64 = 512;

/// What every reading allocates: the table of RabbitMQ's keys where one is mistyped.
const TABLES: usize = 2048;

/// The input: which form, then the file.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    let file = Path::new(if choices.bool() {
        "fuzz.conf"
    } else {
        "fuzz.toml"
    });
    let octets = choices.rest();
    let text = String::from_utf8_lossy(octets);
    if text.contains("password_file") {
        // It names a file that is read: of this machine's.
        return;
    }
    let read = bounded(octets.len() + TABLES, PER_OCTET, || {
        Config::parse(file, octets)
    });
    // A comment before it moves the lines and changes nothing else.
    let moved = Config::parse(file, &[b"# moved\n\n", octets].concat());
    match (read, moved) {
        (Ok(read), Ok(moved)) => check_read(&read, &moved),
        (Err(read), Err(moved)) => check_refused(octets, &read.to_string(), &moved.to_string()),
        (read, moved) => {
            let (read, moved) = (result_text(read), result_text(moved));
            panic!("{read}, and behind a comment {moved}");
        }
    }
}

fn result_text(read: Result<Loaded, ConfigError>) -> String {
    read.map_or_else(|error| error.to_string(), |_| "read".to_owned())
}

fn check_read(read: &Loaded, moved: &Loaded) {
    assert_eq!(read.config, moved.config);
    assert_eq!(read.ignored_keys.len(), moved.ignored_keys.len());
    let valid = read.config.validate();
    assert!(valid.is_ok(), "{valid:?}");
    let password = read.config.default_user.password.expose();
    if password.len() > 8 {
        assert!(!format!("{:?}", read.config.default_user.password).contains(password));
    }
}

/// The message is one line, and says the right line of the file.
fn check_refused(octets: &[u8], read: &str, moved: &str) {
    assert!(!read.contains('\n'), "{read:?}");
    let lines = octets.split(|octet| *octet == b'\n').count();
    if let (Some((line, rest)), Some((moved_line, moved_rest))) = (place(read), place(moved)) {
        assert!((1..=lines).contains(&line), "{read}");
        assert_eq!((line + 2, rest), (moved_line, moved_rest));
    } else {
        assert_eq!(read, moved);
    }
}

/// Line, and what stands behind it.
fn place(message: &str) -> Option<(usize, &str)> {
    let behind = message.split_once("fuzz.")?.1.split_once(':')?.1;
    let (line, rest) = behind.split_once(':')?;
    Some((line.parse().ok()?, rest))
}
