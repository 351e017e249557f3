//! What the fuzzers have kept, asked the same questions again.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leveret_fuzz_checks::CHECKS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Says of which file a panic is, as the panic itself cannot.
struct Named<'f>(&'f Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0.display());
        }
    }
}

#[track_caller]
fn check_all(target: &str) {
    let (_, check) = CHECKS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = files(&corpus().join(target));
    assert!(inputs.len() >= 5, "{target} has {} inputs", inputs.len());
    for input in inputs {
        let named = Named(&input);
        check(&fs::read(&input).unwrap());
        drop(named);
    }
}

macro_rules! corpora {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            check_all(stringify!($target));
        })*

        #[test]
        fn every_target_has_a_corpus_a_fuzzer_and_a_test() {
            let tested: BTreeSet<&str> = [$(stringify!($target)),*].into();
            let checks: BTreeSet<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
            assert_eq!(tested, checks);
            let folder = corpus();
            let corpora = files(&folder);
            let corpora = corpora.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
            assert_eq!(corpora.collect::<BTreeSet<&str>>(), checks);
            let fuzzers = files(&folder.join("../fuzz_targets"));
            let fuzzers = fuzzers.iter().map(|path| path.file_stem().unwrap().to_str().unwrap());
            assert_eq!(fuzzers.collect::<BTreeSet<&str>>(), checks);
            let manifest = fs::read_to_string(folder.join("../Cargo.toml")).unwrap();
            assert!(checks.iter().all(|name| manifest.contains(&format!("fuzz_targets/{name}.rs"))));
        }
    };
}

corpora! {
    config
    connection
    content_header
    definitions
    frame
    log_records
    method
    patterns
    proxy
    table
}

/// All of it is in the project's history for good.
#[test]
fn the_corpora_stay_small() {
    let mut total = 0;
    for (target, _) in CHECKS {
        for input in files(&corpus().join(target)) {
            let len = fs::metadata(&input).unwrap().len();
            assert!(len <= 8 << 10, "{} has {len} octets", input.display());
            total += len;
        }
    }
    assert!(total <= 512 << 10, "{total} octets in all");
}
