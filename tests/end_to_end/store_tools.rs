//! `leveret store check`, `dump` and `backup`, as an operator uses them.

use std::fs;
use std::path::Path;

use leveret_tests::requests::durable_queue;
use leveret_tests::{Program, Publish, program};

fn fill(program: &Program, bodies: &[&str]) {
    let mut client = program.client();
    client.call(1, durable_queue("tools"));
    client.confirm_select(1);
    let publish = |body: &&str| Publish::to("", "tools").persistent().body(*body);
    client.publish_all(1, bodies.iter().map(publish).collect::<Vec<_>>());
    client.expect_confirms(1, 1, bodies.len() as u64);
    client.close();
}

fn tool(command: &str, folder: &Path) -> (Option<i32>, String, String) {
    let output = program::run(&["store", command, folder.to_str().unwrap()]);
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_folder_is_checked_and_dumped() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    fill(&program, &["one", "two"]);
    let (code, _, errors) = tool("check", folder.path());
    assert_eq!(code, Some(75));
    assert!(errors.contains("in use by another process"), "{errors}");
    program.signal("TERM");
    program.wait();
    let (code, report, _) = tool("check", folder.path());
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("2 messages, 0 damaged places"), "{report}");
    let (code, lines, _) = tool("dump", folder.path());
    assert_eq!(code, Some(0));
    assert!(
        lines.lines().any(|line| {
            line.contains(r#""queue":"tools""#) && line.contains(r#""routing_key":"tools""#)
        }),
        "{lines}"
    );
    assert!(!lines.contains("password_hash\""), "{lines}");
    let segment = folder.path().join("segments/0000000001.log");
    let mut octets = fs::read(&segment).unwrap();
    let hit = octets.windows(3).position(|three| three == b"one").unwrap();
    octets[hit] ^= 1;
    fs::write(&segment, octets).unwrap();
    let (code, report, _) = tool("check", folder.path());
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("0000000001.log: offset "), "{report}");
}

#[test]
fn a_folder_in_use_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    fill(&program, &["one", "two", "three"]);
    let paths = [folder.path(), target.path()].map(|path| path.to_str().unwrap());
    let output = program::run(&["store", "backup", paths[0], paths[1]]);
    assert!(output.status.success(), "{output:?}");
    let copy = Program::serve(target.path(), &[]);
    assert_eq!(copy.client().drain(1, "tools"), ["one", "two", "three"]);
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("FORMAT"), "something else").unwrap();
    for command in ["check", "dump"] {
        let (code, _, errors) = tool(command, folder.path());
        assert_eq!(code, Some(74));
        assert!(
            errors.contains("does not describe a message store"),
            "{errors}"
        );
    }
}
