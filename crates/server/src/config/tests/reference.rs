//! That the reference of settings in `docs/operations.md` is true.

use super::*;
use crate::config::setting::{PASSWORD_FILE, SETTINGS};

/// The cells of the reference's row for `key`.
fn row(reference: &str, key: &str) -> Vec<String> {
    let begin = format!("| `{key}` |");
    let row = reference.lines().find(|line| line.starts_with(&begin));
    let row = row.unwrap_or_else(|| panic!("docs/operations.md has no row for {key}"));
    row.trim_matches('|')
        .split('|')
        .map(|cell| cell.trim().trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_reference_names_every_setting_with_its_default_and_bounds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let reference = fs::read_to_string(path).unwrap();
    let mut defaults = Vec::new();
    for setting in SETTINGS {
        let cells = row(&reference, setting.key);
        assert_eq!(cells[1], setting.variable);
        if *setting.allowed.end() != u64::MAX {
            assert_eq!(
                cells[3],
                format!("{} to {}", setting.allowed.start(), setting.allowed.end())
            );
        }
        // These have no default that could be written down.
        if ![
            "threads",
            "addresses_file",
            "control_socket",
            "load_definitions",
            "tls.ca",
            "tls.crl",
            PASSWORD_FILE,
        ]
        .contains(&setting.key)
        {
            defaults.push((setting.variable, cells[2].clone()));
        }
    }
    // Loaded as variables, the defaults that it names must change nothing.
    let pairs: Vec<(&str, &str)> = defaults
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert!(pairs.iter().all(|(_, value)| !value.is_empty()));
    assert_eq!(load(&variables(&pairs)), Config::default());
    let rows = reference
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("| `LEVERET_"))
        .count();
    assert_eq!(rows, SETTINGS.len());
}
