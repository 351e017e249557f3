//! The rules of the house that the compiler does not know (`docs/architecture.md`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Crates that touch no socket, clock or runtime.
const PURE: [&str; 4] = ["wire", "protocol", "router", "broker"];

/// What those never name.
const FORBIDDEN: [&str; 4] = ["tokio", "std::net", "Instant::now", "SystemTime::now"];

/// Whom each crate may depend on.
const ARROWS: [(&str, &[&str]); 8] = [
    ("wire", &[]),
    ("protocol", &["wire"]),
    ("router", &["wire"]),
    ("store", &["wire"]),
    ("broker", &["wire", "protocol", "router", "store"]),
    ("perf", &["wire"]),
    ("server", &["wire", "protocol", "store", "broker", "perf"]),
    ("torture", &["wire"]),
];

const LINES_MAX: usize = 600;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("crates")
}

/// All Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {}", folder.display());
    found
}

/// Whether the file holds tests only.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// Lines of code with their numbers: no comments, and nothing of a test module at the file's end.
fn code(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().collect();
    let end = (0..lines.len()).find(|at| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        lines[*at].trim() == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    });
    lines
        .into_iter()
        .take(end.unwrap_or(usize::MAX))
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line))
        .collect()
}

fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let header = format!("[{section}]");
    let body = manifest.split(&header).nth(1).unwrap_or_default();
    let entries = body
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    entries
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn pure_crates_name_no_socket_clock_or_runtime() {
    let mut found = Vec::new();
    for name in PURE {
        for path in sources(&crates().join(name).join("src")) {
            if is_test(&path) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in code(&text) {
                if FORBIDDEN.iter().any(|word| line.contains(word)) {
                    found.push(format!("{}:{number}: {}", path.display(), line.trim()));
                }
            }
        }
        let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        assert!(
            !dependencies(&manifest, "dependencies").contains("tokio"),
            "{name} depends on tokio"
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn arrows_between_crates_point_one_way() {
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        for section in ["dependencies", "dev-dependencies"] {
            let ours = dependencies(&manifest, section);
            let ours = ours.iter().filter(|other| other.starts_with("leveret"));
            for other in ours {
                let short = other.strip_prefix("leveret-").unwrap_or("server");
                assert!(
                    allowed.contains(&short),
                    "{name} depends on {short} in [{section}]"
                );
            }
        }
    }
    let folders = fs::read_dir(crates()).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(
            ARROWS.iter().any(|(known, _)| *known == name),
            "nothing says what {name} may depend on"
        );
    }
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for (name, _) in ARROWS {
        for path in sources(&crates().join(name).join("src")) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > LINES_MAX && !is_test(&path) {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_left_undone() {
    // In pieces, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
    ];
    let mut found = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in sources(&crates()).into_iter().chain(sources(tests)) {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                found.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_broker_encodes_no_frame() {
    let mut found = Vec::new();
    for path in sources(&crates().join("broker").join("src")) {
        if is_test(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in code(&text) {
            for word in [
                "encode_method",
                "encode_deliver",
                "encode_get_ok",
                "encode_return",
                "OutputBuffer",
            ] {
                if line.contains(word) {
                    found.push(format!("{}:{number}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
