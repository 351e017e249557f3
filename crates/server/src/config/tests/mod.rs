//! What the tests of a configuration share, and those of the layers: who wins, and what is read.

mod images;
mod mistakes;
mod reference;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder with a file `config.toml` of this text.
fn file(text: impl AsRef<[u8]>) -> (TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    (folder, sources)
}

fn variables(pairs: &[(&str, &str)]) -> Sources {
    let variables = pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    Sources {
        variables,
        ..Sources::default()
    }
}

fn flag(key: &'static str, name: &'static str, value: &str) -> Flag {
    Flag {
        key,
        name,
        value: value.to_owned(),
    }
}

fn load(sources: &Sources) -> Config {
    Config::load(sources).unwrap().config
}

/// The configuration of a file with this text.
fn of_file(text: &str) -> Config {
    let (_folder, sources) = file(text);
    load(&sources)
}

/// The line that refuses a file with this text, without the folder's name.
fn refused(text: impl AsRef<[u8]>) -> String {
    let (folder, sources) = file(text);
    let error = Config::load(&sources).unwrap_err();
    assert!(!error.is_usage());
    without_folder(&error, &folder)
}

fn without_folder(error: &ConfigError, folder: &TempDir) -> String {
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line.replace(&format!("{}/", folder.path().display()), "")
}

fn refused_variable(name: &str, value: &str) -> String {
    Config::load(&variables(&[(name, value)]))
        .unwrap_err()
        .to_string()
}

fn listening(config: &Config) -> Vec<String> {
    config.listen.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_given_is_the_default() {
    let config = load(&Sources::default());
    assert_eq!(config, Config::default());
    config.validate().unwrap();
    assert_eq!(listening(&config), ["127.0.0.1:5672"]);
    assert_eq!(config.data_dir, Path::new("leveret-data"));
    assert_eq!(config.limits.frame_max, 131_072);
    assert_eq!(config.limits.max_message_size, 16_777_216);
    assert_eq!(config.default_user.password.expose(), "guest");
    assert!(config.store.sync && config.threads >= 1);
}

#[test]
fn an_empty_file_is_the_default_too() {
    assert_eq!(of_file(""), Config::default());
    assert_eq!(of_file("# nothing\n[limits]\n"), Config::default());
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let (_folder, mut sources) =
        file("data_dir = 'file'\ncluster_name = 'file'\nlog.level = 'warn'\n");
    let of = |sources: &Sources| {
        let config = load(sources);
        (
            config.data_dir.display().to_string(),
            config.cluster_name,
            config.log.level.as_str().to_owned(),
        )
    };
    let all =
        |dir: &str, name: &str, level: &str| (dir.to_owned(), name.to_owned(), level.to_owned());
    assert_eq!(of(&sources), all("file", "file", "warn"));
    sources.variables = variables(&[
        ("LEVERET_DATA_DIR", "variable"),
        ("LEVERET_LOG_LEVEL", "debug"),
    ])
    .variables;
    assert_eq!(of(&sources), all("variable", "file", "debug"));
    sources.flags = vec![flag("data_dir", "--data-dir", "flag")];
    assert_eq!(of(&sources), all("flag", "file", "debug"));
    sources.file = None;
    sources.variables.clear();
    assert_eq!(of(&sources), all("flag", "leveret@localhost", "info"));
}

#[test]
fn a_variable_names_the_file_unless_a_flag_does() {
    let (folder, named) = file("cluster_name = 'named'");
    let other = folder.path().join("other.toml");
    fs::write(&other, "cluster_name = 'other'").unwrap();
    let mut sources = variables(&[("LEVERET_CONFIG", other.to_str().unwrap())]);
    assert_eq!(load(&sources).cluster_name, "other");
    sources.file = named.file;
    assert_eq!(load(&sources).cluster_name, "named");
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(
        load(&variables(&[
            ("LEVERET_LISTEN", ""),
            ("LEVERET_CONFIG", "")
        ])),
        Config::default()
    );
}

#[test]
fn lists_are_arrays_or_commas_or_none() {
    assert_eq!(
        listening(&of_file("listen = ['127.0.0.1:0', '[::1]:0']")),
        ["127.0.0.1:0", "[::1]:0"]
    );
    assert_eq!(
        listening(&of_file("listen = ':1, localhost:2'")),
        [":1", "localhost:2"]
    );
    assert_eq!(
        listening(&load(&variables(&[("LEVERET_LISTEN", ":1,:2")]))),
        [":1", ":2"]
    );
    for none in [
        "metrics_listen = []\nloopback_users = []",
        "metrics_listen = 'none'\nloopback_users = 'none'",
    ] {
        let config = of_file(none);
        assert!(config.metrics_listen.is_empty() && config.loopback_users.is_empty());
    }
    assert_eq!(
        load(&variables(&[("LEVERET_LOOPBACK_USERS", "a, b")])).loopback_users,
        ["a", "b"]
    );
}

#[test]
fn every_kind_is_read_from_a_file_and_from_variables() {
    let of_file = of_file(
        "addresses_file = 'a.json'\nthreads = 3\ndefault_vhost = 'v'\n[default_user]\nname = 'u'\npassword = 'p'\n\
         [log]\nformat = 'json'\n[server]\nproduct = 'RabbitMQ'\nversion = '3.13.7'\n\
         [limits]\nframe_max = 0x2000\nchannel_max = 1_000\nheartbeat_seconds = 0\nmax_message_size = 536870912\n\
         [store]\nsync = false\n",
    );
    let of_variables = load(&variables(&[
        ("LEVERET_ADDRESSES_FILE", "a.json"),
        ("LEVERET_THREADS", "3"),
        ("LEVERET_DEFAULT_VHOST", "v"),
        ("LEVERET_DEFAULT_USER", "u"),
        ("LEVERET_DEFAULT_PASSWORD", "p"),
        ("LEVERET_LOG_FORMAT", "json"),
        ("LEVERET_SERVER_PRODUCT", "RabbitMQ"),
        ("LEVERET_SERVER_VERSION", "3.13.7"),
        ("LEVERET_LIMITS_FRAME_MAX", "8192"),
        ("LEVERET_LIMITS_CHANNEL_MAX", "1000"),
        ("LEVERET_LIMITS_HEARTBEAT_SECONDS", "0"),
        ("LEVERET_LIMITS_MAX_MESSAGE_SIZE", "536870912"),
        ("LEVERET_STORE_SYNC", "false"),
    ]));
    assert_eq!(of_file, of_variables);
    assert_eq!(of_file.addresses_file.as_deref(), Some(Path::new("a.json")));
    assert_eq!(of_file.log.format, LogFormat::Json);
    assert_eq!(of_file.default_user.password.expose(), "p");
    assert_eq!(
        (of_file.limits.frame_max, of_file.limits.channel_max),
        (8192, 1000)
    );
    assert!(!of_file.store.sync);
}

#[test]
fn a_password_file_holds_the_password_and_a_lines_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let sources = variables(&[("LEVERET_DEFAULT_PASSWORD_FILE", path.to_str().unwrap())]);
    for (text, password) in [
        ("p w\n", "p w"),
        ("p\r\n", "p"),
        ("p\n\n", "p\n"),
        ("p", "p"),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(load(&sources).default_user.password.expose(), password);
    }
    fs::write(&path, "\n").unwrap();
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LEVERET_DEFAULT_PASSWORD_FILE: must not be empty"
    );
    fs::write(&path, b"\xff").unwrap();
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "LEVERET_DEFAULT_PASSWORD_FILE: not valid UTF-8"
    );
    fs::remove_file(&path).unwrap();
    let error = Config::load(&sources).unwrap_err();
    let begin = format!(
        "LEVERET_DEFAULT_PASSWORD_FILE: {}: cannot be read: ",
        path.display()
    );
    assert!(error.to_string().starts_with(&begin), "{error}");
}

#[test]
fn a_password_and_a_password_file_are_one_too_many() {
    let (folder, mut sources) = file("");
    let secret = folder.path().join("secret");
    fs::write(&secret, "from file").unwrap();
    let secret = secret.to_str().unwrap();
    let path = sources.file.clone().unwrap();
    fs::write(
        &path,
        format!("[default_user]\npassword = 'p'\npassword_file = {secret:?}\n"),
    )
    .unwrap();
    let error = Config::load(&sources).unwrap_err();
    assert_eq!(
        without_folder(&error, &folder),
        "config.toml:3: default_user.password and default_user.password_file are both set: set one of them"
    );
    fs::write(&path, "[default_user]\npassword = 'p'\n").unwrap();
    sources.variables = variables(&[("LEVERET_DEFAULT_PASSWORD_FILE", secret)]).variables;
    assert_eq!(load(&sources).default_user.password.expose(), "from file");
    sources
        .variables
        .extend(variables(&[("LEVERET_DEFAULT_PASSWORD", "p")]).variables);
    assert_eq!(
        Config::load(&sources).unwrap_err().to_string(),
        "LEVERET_DEFAULT_PASSWORD_FILE: LEVERET_DEFAULT_PASSWORD and LEVERET_DEFAULT_PASSWORD_FILE are both set: \
         set one of them"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_nearly_ours_is_pointed_out() {
    let mut sources = variables(&[
        ("LEVERET_DATADIR", "x"),
        ("LEVERET_CONFG", "x"),
        ("LEVERET_SERVICE_HOST", "10.0.0.1"),
        ("LEVERET_PORT_5672_TCP", "tcp://10.0.0.1:5672"),
        ("LEVERET_DATA_DIR", "x"),
        ("HOME", "/"),
    ]);
    let texts = |sources: &Sources| -> Vec<String> {
        let unknown = Config::load(sources).unwrap().unknown_variables;
        unknown.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        texts(&sources),
        [
            r#"unknown variable "LEVERET_DATADIR" (did you mean "LEVERET_DATA_DIR"?)"#,
            r#"unknown variable "LEVERET_CONFG" (did you mean "LEVERET_CONFIG"?)"#,
        ]
    );
    sources.variables.clear();
    assert!(texts(&sources).is_empty());
}
