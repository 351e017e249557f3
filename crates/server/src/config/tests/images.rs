//! What the environment of RabbitMQ's images sets.

use super::*;

#[test]
fn the_variables_of_rabbitmqs_images_are_understood() {
    let config = load(&variables(&[
        ("RABBITMQ_DEFAULT_USER", "app"),
        ("RABBITMQ_DEFAULT_PASS", "p w"),
        ("RABBITMQ_DEFAULT_VHOST", "orders"),
        ("RABBITMQ_NODENAME", "rabbit@here"),
    ]));
    assert_eq!(config.default_user.name, "app");
    assert_eq!(config.default_user.password.expose(), "p w");
    assert_eq!(config.default_vhost, "orders");
    // Ours win.
    let config = load(&variables(&[
        ("RABBITMQ_DEFAULT_USER", "app"),
        ("RABBITMQ_DEFAULT_PASS", "theirs"),
        ("LEVERET_DEFAULT_PASSWORD", "ours"),
    ]));
    assert_eq!(config.default_user.name, "app");
    assert_eq!(config.default_user.password.expose(), "ours");
}

#[test]
fn each_may_name_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (user, pass, vhost) = (
        path("u", "app\n"),
        path("p", "p w\r\n"),
        path("v", "orders"),
    );
    let config = load(&variables(&[
        ("RABBITMQ_DEFAULT_USER_FILE", &user),
        ("RABBITMQ_DEFAULT_PASS_FILE", &pass),
        ("RABBITMQ_DEFAULT_VHOST_FILE", &vhost),
    ]));
    assert_eq!(config.default_user.name, "app");
    assert_eq!(config.default_user.password.expose(), "p w");
    assert_eq!(config.default_vhost, "orders");
    let both = [
        ("RABBITMQ_DEFAULT_PASS", "p"),
        ("RABBITMQ_DEFAULT_PASS_FILE", pass.as_str()),
    ];
    assert_eq!(
        Config::load(&variables(&both)).unwrap_err().to_string(),
        "RABBITMQ_DEFAULT_PASS_FILE: RABBITMQ_DEFAULT_PASS and RABBITMQ_DEFAULT_PASS_FILE are both set: \
         set one of them"
    );
    let gone = folder.path().join("gone");
    let error = refused_variable("RABBITMQ_DEFAULT_PASS_FILE", gone.to_str().unwrap());
    let begin = format!(
        "RABBITMQ_DEFAULT_PASS_FILE: {}: cannot be read: ",
        gone.display()
    );
    assert!(error.starts_with(&begin), "{error}");
}

#[test]
fn a_file_in_rabbitmqs_form_may_be_named_with_or_without_its_ending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rabbitmq.conf");
    fs::write(&path, "heartbeat = 7\ndefault_user = file").unwrap();
    let whole = path.to_str().unwrap();
    for name in [whole, whole.strip_suffix(".conf").unwrap()] {
        let config = load(&variables(&[
            ("RABBITMQ_CONFIG_FILE", name),
            ("RABBITMQ_DEFAULT_USER", "variable"),
        ]));
        assert_eq!(config.limits.heartbeat_seconds, 7);
        assert_eq!(config.default_user.name, "variable");
    }
    // Ours wins.
    let (_folder, mut sources) = file("limits.heartbeat_seconds = 8");
    sources.variables = variables(&[("RABBITMQ_CONFIG_FILE", whole)]).variables;
    assert_eq!(load(&sources).limits.heartbeat_seconds, 8);
}

#[test]
fn tls_needs_all_of_its_parts() {
    for (text, line) in [
        (
            "[tls]\ncertificate = 'c'\n",
            "config.toml:2: tls.certificate needs tls.key",
        ),
        (
            "[tls]\nkey = 'c'\n",
            "config.toml:2: tls.key needs tls.certificate",
        ),
        (
            "[tls]\ncertificate = 'c'\nkey = ['k', 'l']\n",
            "config.toml:3: tls.key needs tls.certificate",
        ),
        (
            "[tls]\nlisten = ':5671'\n",
            "config.toml:2: tls.listen needs tls.certificate",
        ),
        (
            "[tls]\ncertificate = 'c'\nkey = 'k'\nverify = 'peer'\n",
            "config.toml:4: tls.verify needs tls.ca",
        ),
        (
            "[tls]\ncertificate = 'c'\nkey = 'k'\nca = 'a'\nfail_if_no_peer_cert = true\n",
            "config.toml:5: tls.fail_if_no_peer_cert needs tls.verify",
        ),
        (
            "[tls]\nversions = ['tlsv1.1']\n",
            r#"config.toml:2: tls.versions: expected "tlsv1.2" or "tlsv1.3", found "tlsv1.1""#,
        ),
        ("listen = []\n", "config.toml:1: listen: must not be empty"),
        (
            "proxy_sources = ['10.0.0.0/99']\n",
            r#"config.toml:1: proxy_sources: invalid address or network "10.0.0.0/99""#,
        ),
        (
            "auth_mechanisms = ['PLAIN', 'ANONYMOUS']\n",
            r#"config.toml:1: auth_mechanisms: expected "PLAIN", "AMQPLAIN" or "EXTERNAL", found "ANONYMOUS""#,
        ),
        (
            "[memory]\nhigh_watermark = 1.5\n",
            "config.toml:2: memory.high_watermark: expected a part from 0.0 to 1.0, a size such as 2GB, or none, found 1.5",
        ),
    ] {
        assert_eq!(refused(text), line);
    }
    let config = of_file(
        "listen = 'none'\n[tls]\ncertificate = ['c', 'd']\nkey = ['k', 'l']\nca = 'a'\nverify = 'peer'\n[memory]\nhigh_watermark = 0.25\n",
    );
    assert!(config.listen.is_empty() && config.tls.is_on());
    assert_eq!(config.memory.high_watermark, Watermark::Relative(0.25));
    assert_eq!(
        of_file("memory.high_watermark = '2GiB'")
            .memory
            .high_watermark,
        Watermark::Absolute(2 << 30)
    );
    assert_eq!(
        of_file("memory.high_watermark = 5_000")
            .memory
            .high_watermark,
        Watermark::Absolute(5000)
    );
}
