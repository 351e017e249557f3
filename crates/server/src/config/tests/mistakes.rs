//! Each mistake: its text and its place.

use super::*;
use crate::config::setting::SETTINGS;
use crate::config::value::Given;

#[test]
fn an_unknown_key_is_told_with_its_line() {
    let cases = [
        (
            "\nlisen = ':1'",
            r#"config.toml:2: unknown key "lisen" (did you mean "listen"?)"#,
        ),
        (
            "[limits]\nframe_mx = 1",
            r#"config.toml:2: unknown key "limits.frame_mx" (did you mean "limits.frame_max"?)"#,
        ),
        (
            "frame_max = 5000",
            r#"config.toml:1: unknown key "frame_max" (did you mean "limits.frame_max"?)"#,
        ),
        (
            "[limit]\nframe_max = 1",
            r#"config.toml:1: unknown key "limit" (did you mean "limits"?)"#,
        ),
        (
            "zebra = 1\napple = 2",
            r#"config.toml:1: unknown key "zebra""#,
        ),
        ("\"a\\nb\" = 1", r#"config.toml:1: unknown key "a\nb""#),
    ];
    for (text, line) in cases {
        assert_eq!(refused(text), line, "{text}");
    }
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line() {
    let cases = [
        (
            "# 1\n\nlisten = ['foo']",
            r#"config.toml:3: listen: invalid socket address "foo""#,
        ),
        (
            "listen = [\n  ':1',\n  'foo',\n]",
            r#"config.toml:3: listen: invalid socket address "foo""#,
        ),
        (
            "listen = ':1,foo'",
            r#"config.toml:1: listen: invalid socket address "foo""#,
        ),
        (
            "listen = [5672]",
            "config.toml:1: listen: expected a string, found 5672",
        ),
        (
            "listen = 5672",
            "config.toml:1: listen: expected an array of addresses, found 5672",
        ),
        ("\nlisten = []", "config.toml:2: listen: must not be empty"),
        (
            "loopback_users = ['a', '']",
            "config.toml:1: loopback_users: must not be empty",
        ),
        (
            "log = 'info'",
            "config.toml:1: log: expected a table, found a string",
        ),
        (
            "[data_dir]",
            "config.toml:1: data_dir: expected a path, found a table",
        ),
        (
            "data_dir = ''",
            "config.toml:1: data_dir: must not be empty",
        ),
        (
            "addresses_file = ''",
            "config.toml:1: addresses_file: must not be empty",
        ),
        (
            "cluster_name = \"a\\u0000\"",
            "config.toml:1: cluster_name: must not hold control characters",
        ),
        (
            "threads = 0",
            "config.toml:1: threads: expected a whole number from 1 to 1024, found 0",
        ),
        (
            "threads = 1.5",
            "config.toml:1: threads: expected a whole number from 1 to 1024, found 1.5",
        ),
        (
            "threads = '2'",
            r#"config.toml:1: threads: expected a whole number from 1 to 1024, found "2""#,
        ),
        (
            "[log]\nlevel = 'inof'",
            r#"config.toml:2: log.level: unknown level "inof" (did you mean "info"?)"#,
        ),
        (
            "[log]\nformat = 'xml'",
            r#"config.toml:2: log.format: expected "text" or "json", found "xml""#,
        ),
        (
            "[store]\nsync = 'no'",
            r#"config.toml:2: store.sync: expected true or false, found "no""#,
        ),
        (
            "[server]\nversion = '4.1'",
            r#"config.toml:2: server.version: expected three numbers as in 4.1.0, found "4.1""#,
        ),
        (
            "[server]\nproduct = 2020-01-01",
            "config.toml:2: server.product: expected a string, found a date",
        ),
    ];
    for (text, line) in cases {
        assert_eq!(refused(text), line, "{text}");
    }
    let long = format!("default_vhost = '{}'", "v".repeat(256));
    assert_eq!(
        refused(long),
        "config.toml:1: default_vhost: must not be longer than 255 octets"
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for (text, begin) in [
        ("a = 1\nb = \n", "config.toml:2: "),
        (
            "listen = ':1'\nlisten = ':2'",
            "config.toml:2: duplicate key",
        ),
        ("listen = [\n':1',\n", "config.toml:"),
        ("[log\n", "config.toml:1: "),
    ] {
        let line = refused(text);
        assert!(line.starts_with(begin), "{line}");
    }
    assert_eq!(
        refused(b"a = 1\n# \xff\n"),
        "config.toml:2: not valid UTF-8"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let sources = Sources {
        file: Some(PathBuf::from("no/such/file.toml")),
        ..Sources::default()
    };
    let error = Config::load(&sources).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no/such/file.toml: cannot be read: No such file"),
        "{error}"
    );
    assert!(!error.is_usage());
}

#[test]
fn numbers_are_held_to_their_bounds() {
    for setting in SETTINGS
        .iter()
        .filter(|setting| *setting.allowed.end() != u64::MAX)
    {
        let (least, most) = (
            i128::from(*setting.allowed.start()),
            i128::from(*setting.allowed.end()),
        );
        let expected = format!(
            "{}: expected a whole number from {least} to {most}, found ",
            setting.key
        );
        for wrong in [least - 1, most + 1] {
            let text = format!("\n{} = {wrong}", setting.key);
            assert_eq!(refused(text), format!("config.toml:2: {expected}{wrong}"));
        }
        let mut config = Config::default();
        let bounds = [least, most].map(Given::Integer);
        for bound in &bounds {
            (setting.field)(&mut config)
                .read(bound, &setting.allowed)
                .unwrap();
            (setting.field)(&mut config)
                .check(&setting.allowed)
                .unwrap();
        }
    }
    let huge = refused("threads = 99999999999999999999999999999999999999999999");
    assert!(huge.starts_with("config.toml:1: "), "{huge}");
}

#[test]
fn a_mistake_in_a_variable_is_told_with_its_name() {
    assert_eq!(
        refused_variable("LEVERET_LISTEN", "foo"),
        r#"LEVERET_LISTEN: invalid socket address "foo""#
    );
    assert_eq!(
        refused_variable("LEVERET_LISTEN", "none"),
        "LEVERET_LISTEN: must not be empty"
    );
    assert_eq!(
        refused_variable("LEVERET_THREADS", "two"),
        r#"LEVERET_THREADS: expected a whole number from 1 to 1024, found "two""#
    );
    assert_eq!(
        refused_variable("LEVERET_STORE_SYNC", "no"),
        r#"LEVERET_STORE_SYNC: expected true or false, found "no""#
    );
}

#[test]
fn a_variable_that_is_no_text_is_told() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let sources = Sources {
        variables: vec![("LEVERET_DATA_DIR".into(), value)],
        ..Sources::default()
    };
    assert_eq!(
        Config::load(&sources).unwrap_err().to_string(),
        "LEVERET_DATA_DIR: not valid UTF-8"
    );
}

#[test]
fn a_mistake_in_a_flag_is_one_of_usage() {
    let flags = vec![flag("listen", "--listen", "foo")];
    let error = Config::load(&Sources {
        flags,
        ..Sources::default()
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"--listen: invalid socket address "foo""#
    );
    assert!(error.is_usage());
}

#[test]
fn values_must_go_together() {
    assert_eq!(
        refused("\nlimits.outbox_low_bytes = 1048576"),
        "config.toml:2: limits.outbox_low_bytes (1048576) must be less than limits.outbox_high_bytes (1048576)"
    );
    assert_eq!(
        refused_variable("LEVERET_LIMITS_OUTBOX_HIGH_BYTES", "2"),
        "LEVERET_LIMITS_OUTBOX_HIGH_BYTES: limits.outbox_low_bytes (262144) must be less than \
         limits.outbox_high_bytes (2)"
    );
    assert_eq!(
        refused("listen = ':1'\nmetrics_listen = ':1'"),
        r#"config.toml:2: listen and metrics_listen name the same address ":1""#
    );
    assert_eq!(
        refused("listen = [':1', ':1']"),
        r#"config.toml:1: listen and listen name the same address ":1""#
    );
    assert_eq!(
        listening(&of_file(
            "listen = ['[::1]:0', '[::1]:0']\nmetrics_listen = '[::1]:0'"
        ))
        .len(),
        2
    );
}

#[test]
fn a_configuration_from_code_is_checked_alike() {
    let changed = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    };
    assert_eq!(
        changed(|config| config.limits.frame_max = 4095),
        "limits.frame_max: expected a whole number from 4096 to 16777216, found 4095"
    );
    assert_eq!(
        changed(|config| config.listen.clear()),
        "listen: must not be empty"
    );
    assert_eq!(
        changed(|config| config.default_user.password = Secret::from(String::new())),
        "default_user.password: must not be empty"
    );
    assert_eq!(
        changed(|config| config.limits.outbox_low_bytes = 2 << 20),
        "limits.outbox_low_bytes (2097152) must be less than limits.outbox_high_bytes (1048576)"
    );
}

#[test]
fn no_password_shows_in_a_message_or_in_debug_output() {
    assert_eq!(
        refused("[default_user]\npassword = 31337"),
        "config.toml:2: default_user.password: expected a string, found an integer"
    );
    let line = refused("[default_user]\npassword = 'hunter2\n");
    assert!(!line.contains("hunter2"), "{line}");
    let config = of_file("default_user.password = 'hunter2'");
    assert!(!format!("{config:?}").contains("hunter2"));
}
