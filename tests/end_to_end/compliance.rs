//! `docs/compliance.md` says of each behaviour which test shows it. Here it is checked that it says so
//! everywhere, and that the tests are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the document may say of a behaviour, each with words of its own behind it.
const STATES: [&str; 3] = ["done", "differs", "not yet"];

/// Stands in the place of a test where there is none.
const UNTESTED: &str = "untested";

/// A module and a test in it.
type Test = (String, String);

/// The tests of a folder, read once.
#[derive(Default)]
struct Tests(BTreeMap<String, BTreeSet<Test>>);

impl Tests {
    /// What is wrong with a reference like `crates/protocol: channels::a_second_open`.
    fn check(&mut self, reference: &str) -> Result<(), String> {
        let (folder, path) = reference
            .split_once(": ")
            .ok_or("a test is named without its folder")?;
        let (module, name) = path
            .rsplit_once("::")
            .ok_or("a test is named without its module")?;
        if !self.0.contains_key(folder) {
            let found = tests_of(folder)?;
            self.0.insert(folder.to_owned(), found);
        }
        let found = &self.0[folder];
        if found.contains(&(module.to_owned(), name.to_owned())) {
            return Ok(());
        }
        Err(format!("{folder} has no test {name} in module {module}"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn document() -> String {
    page("docs/compliance.md")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Every test below a folder.
fn tests_of(folder: &str) -> Result<BTreeSet<Test>, String> {
    let start = root().join(folder);
    // A crate has its tests in two places.
    let places = [start.join("src"), start.join("tests")];
    let mut places: Vec<PathBuf> = places.into_iter().filter(|place| place.is_dir()).collect();
    if places.is_empty() {
        places.push(start);
    }
    let mut found = BTreeSet::new();
    for place in places {
        for file in files(&place).map_err(|error| format!("{folder}: {error}"))? {
            let text = fs::read_to_string(&file).unwrap();
            let file = file.strip_prefix(&place).unwrap();
            let module = module(file);
            found.extend(
                names(file, &text)
                    .into_iter()
                    .map(|name| (module.clone(), name)),
            );
        }
    }
    if found.is_empty() {
        Err(format!("{folder} has no tests"))
    } else {
        Ok(found)
    }
}

/// Sources below a folder, those of packages that were installed there apart.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir()
            && !name.starts_with('.')
            && !["node_modules", "target"].contains(&name.as_str())
        {
            found.extend(files(&path)?);
        } else if [".rs", ".py", ".js"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The module of a file, without the `tests` in its path: `session/tests/qos.rs` is `session::qos`.
fn module(file: &Path) -> String {
    let path = file.to_string_lossy();
    let path = [".rs", ".py", ".test.js", ".js"]
        .iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap();
    let parts = path
        .split('/')
        .filter(|part| !["tests", "mod", "lib", "main", "test"].contains(part));
    parts.collect::<Vec<_>>().join("::")
}

fn names(file: &Path, text: &str) -> Vec<String> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => rust_names(text),
        Some("py") => text.lines().filter_map(python_name).collect(),
        _ => text.lines().filter_map(javascript_title).collect(),
    }
}

fn rust_names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test
            && let Some(rest) = line
                .strip_prefix("async fn ")
                .or_else(|| line.strip_prefix("fn "))
        {
            is_test = false;
            found.extend(rest.split('(').next().map(str::to_owned));
        }
    }
    found
}

fn python_name(line: &str) -> Option<String> {
    let name = line.strip_prefix("def ")?.split('(').next()?;
    name.starts_with("test_").then(|| name.to_owned())
}

/// The title in `test('title', ..`.
fn javascript_title(line: &str) -> Option<String> {
    let call = line.trim_start().strip_prefix("test(")?;
    let quote = call.chars().next()?;
    let title = call.get(quote.len_utf8()..)?.split(quote).next()?;
    Some(title.to_owned())
}

/// The tests that a line names: pieces of code with a path.
fn references(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| code.contains("::"))
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let cells = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(cells.split('|').map(str::trim).collect())
}

/// What is wrong with a line between others of its table, whose second column is headed `second`.
fn check_row(second: &str, row: &[&str]) -> Result<(), String> {
    let [_, state, test] = row else {
        return Err(format!("{} cells for three columns", row.len()));
    };
    let is_state = |word: &&&str| {
        let rest = state.strip_prefix(**word);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ',', ';']))
    };
    let known = STATES.iter().find(is_state);
    if second == "state" && known.is_none() {
        return Err(format!("no such state: {state}"));
    }
    if known == Some(&"not yet") || *test == UNTESTED || references(test).next().is_some() {
        return Ok(());
    }
    Err(format!(
        "no test is named; where there is none it says {UNTESTED}"
    ))
}

/// The lines that are wrong, with what is wrong.
fn faults(document: &str) -> Vec<String> {
    let mut tests = Tests::default();
    let mut faults = Vec::new();
    let mut second: Option<&str> = None;
    for (number, line) in document.lines().enumerate() {
        let mut fault = |what: String| {
            faults.push(format!(
                "docs/compliance.md:{}: {what}\n    {line}",
                number + 1
            ));
        };
        for reference in references(line) {
            tests.check(reference).unwrap_or_else(&mut fault);
        }
        let Some(row) = cells(line) else {
            second = None;
            continue;
        };
        match second {
            // The first line of a table names its columns; the next one is a rule.
            None => second = row.get(1).copied(),
            Some(_) if row.iter().all(|cell| cell.starts_with("---")) => {}
            Some(second) => check_row(second, &row).unwrap_or_else(&mut fault),
        }
    }
    faults
}

#[test]
fn every_behaviour_has_a_state_and_a_test_that_exists() {
    let faults = faults(&document());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_tests_that_the_page_on_security_names_exist() {
    let mut tests = Tests::default();
    let mut named = 0;
    for (number, line) in page("docs/security.md").lines().enumerate() {
        for reference in references(line) {
            named += 1;
            let checked = tests.check(reference);
            assert_eq!(checked, Ok(()), "docs/security.md:{}", number + 1);
        }
    }
    assert!(named > 50, "only {named} tests are named");
}

#[test]
fn it_needs_no_file_but_those_of_the_repository() {
    for (number, line) in document().lines().enumerate() {
        for target in line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let is_there = target.is_empty() || root().join("docs").join(target).exists();
            assert!(
                is_there,
                "docs/compliance.md:{}: there is no {target}",
                number + 1
            );
        }
    }
}

#[test]
fn a_line_that_is_wrong_is_found() {
    let existing = "tests/end_to_end: compliance::a_line_that_is_wrong_is_found";
    let table = |row: &str| format!("| behaviour | state | test |\n|---|---|---|\n{row}\n");
    assert_eq!(
        faults(&table(&format!("| b | done | `{existing}` |"))),
        [""; 0]
    );
    assert_eq!(faults(&table("| b | not yet: no such thing | |")), [""; 0]);
    assert_eq!(faults(&table("| b | differs: less | untested |")), [""; 0]);
    let wrong = [
        ("| b | done | |", "no test is named"),
        ("| b | doneish | untested |", "no such state"),
        ("| b | done |", "2 cells"),
        (
            "| b | done | `tests/end_to_end: compliance::no_such_test` |",
            "no test no_such_test in module compliance",
        ),
        (
            "| b | done | `tests/end_to_end: nowhere::a_line_that_is_wrong_is_found` |",
            "in module nowhere",
        ),
        (
            "| b | done | `tests/nowhere: compliance::x` |",
            "tests/nowhere",
        ),
        ("| b | done | `compliance::x` |", "without its folder"),
        (
            "| b | done | `interop/pika: test_consume::test_nothing` |",
            "no test test_nothing",
        ),
        (
            "| b | done | `interop/amqplib: consume::no such title` |",
            "no test no such title",
        ),
    ];
    for (row, what) in wrong {
        let found = faults(&table(row));
        assert!(
            matches!(found.as_slice(), [fault] if fault.contains(what)),
            "{row}: {found:?}"
        );
        assert!(found[0].starts_with("docs/compliance.md:3: "), "{found:?}");
    }
}
