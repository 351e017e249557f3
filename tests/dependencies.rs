//! What the project takes from others: from where, under which licences, and that `docs/dependencies.md` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The only place that crates come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that go with the project's own, Apache 2.0, and ask for no more than to be named.
const LICENCES: [&str; 7] = [
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A crate of a lock file.
#[derive(Debug)]
struct Locked {
    name: String,
    version: String,
    /// `None`: it is the project's own.
    source: Option<String>,
}

fn locked(path: &str) -> Vec<Locked> {
    let text = read(path);
    let packages = text.split("[[package]]").skip(1);
    let found: Vec<Locked> = packages
        .map(|package| {
            let value = |key: &str| {
                let line = package
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
                line.map(|value| value.trim_matches('"').to_owned())
            };
            Locked {
                name: value("name").unwrap(),
                version: value("version").unwrap(),
                source: value("source"),
            }
        })
        .collect();
    assert!(found.len() > 20, "{path} has {} crates", found.len());
    found
}

/// The rows of a section's table in `docs/dependencies.md`: the cells of each.
fn rows(section: &str) -> Vec<Vec<String>> {
    let text = read("docs/dependencies.md");
    let (_, body) = text.split_once(&format!("## {section}\n")).expect(section);
    let body = body.split("\n## ").next().unwrap();
    let lines = body.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Vec<String>> = lines
        .skip(1)
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "{section} has no rows");
    rows
}

#[test]
fn crates_come_from_the_registry_alone() {
    for path in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        for found in locked(path) {
            let is_ours = found.name == "leveret" || found.name.starts_with("leveret-");
            let expected = (!is_ours).then_some(REGISTRY);
            assert_eq!(found.source.as_deref(), expected, "{path}: {found:?}");
        }
    }
}

#[test]
fn every_direct_dependency_has_its_line() {
    let known: BTreeSet<String> = ["At run time", "For tests"]
        .into_iter()
        .flat_map(rows)
        .flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let manifest = read("Cargo.toml");
    let (_, entries) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let entries = entries.split("\n[").next().unwrap();
    let entries = entries.lines().filter_map(|line| line.split_once(" = "));
    let entries = entries.map(|(name, _)| name.to_owned());
    let named: BTreeSet<String> = entries
        .filter(|name| !name.starts_with("leveret"))
        .collect();
    assert!(named.len() > 30);
    let without: Vec<&String> = named.difference(&known).collect();
    assert!(
        without.is_empty(),
        "docs/dependencies.md says nothing of {without:?}"
    );
    // And no crate is used past that list.
    for package in metadata()["packages"].as_array().unwrap() {
        if package["source"].is_null() {
            for dependency in package["dependencies"].as_array().unwrap() {
                let name = dependency["name"].as_str().unwrap();
                let is_known = name.starts_with("leveret") || named.contains(name);
                assert!(is_known, "{} depends on {name}", package["name"]);
            }
        }
    }
}

#[test]
fn crates_that_are_there_twice_are_known() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for found in locked("Cargo.lock") {
        versions
            .entry(found.name)
            .or_default()
            .insert(found.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let twice: BTreeSet<&str> = versions.keys().map(String::as_str).collect();
    let rows = rows("There in several versions");
    let known: BTreeSet<&str> = rows.iter().flat_map(|row| row[0].split(", ")).collect();
    assert_eq!(twice, known, "{versions:#?}");
}

#[test]
fn every_licence_goes_with_ours() {
    let mut refused = Vec::new();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence) {
            refused.push(format!("{} is under {licence:?}", package["name"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

/// What cargo knows of all crates that are built for this machine.
fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether one can choose among the licences of an SPDX expression so that all that must hold are allowed.
fn is_allowed(expression: &str) -> bool {
    // Older crates write a stroke where others write OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (allowed, rest) = any_of(&words);
    allowed && rest.is_empty()
}

fn any_of<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    let (mut allowed, mut rest) = all_of(words);
    while let ["OR", more @ ..] = rest {
        let (other, after) = all_of(more);
        (allowed, rest) = (allowed || other, after);
    }
    (allowed, rest)
}

fn all_of<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    let (mut allowed, mut rest) = one(words);
    while let ["AND", more @ ..] = rest {
        let (other, after) = one(more);
        (allowed, rest) = (allowed && other, after);
    }
    (allowed, rest)
}

fn one<'w>(words: &'w [&'w str]) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => {
            let (allowed, rest) = any_of(inner);
            (
                allowed && rest.first() == Some(&")"),
                rest.get(1..).unwrap_or_default(),
            )
        }
        // An exception allows more than its licence.
        [licence, "WITH", _, rest @ ..] | [licence, rest @ ..] => {
            (LICENCES.contains(licence), rest)
        }
        [] => (false, words),
    }
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT OR GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
        ("(MIT", false),
        ("MIT Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
