use std::collections::BTreeSet;
use std::fs;

use crate::config::{
    AlternativeName, CertificateLogin, Config, LogFormat, Sources, TlsVerify, TlsVersion, Watermark,
};

use super::*;

/// What a `rabbitmq.conf` of this text gives, or the line that refuses it, without the folder's name.
fn read_file(text: impl AsRef<[u8]>) -> Result<(Config, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rabbitmq.conf");
    fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    let here = format!("{}/", folder.path().display());
    match Config::load(&sources) {
        Ok(loaded) => {
            let ignored = loaded.ignored_keys.iter();
            let ignored = ignored.map(|key| key.to_string().replace(&here, ""));
            Ok((loaded.config, ignored.collect()))
        }
        Err(error) => Err(error.to_string().replace(&here, "")),
    }
}

#[track_caller]
fn config(text: &str) -> Config {
    let (config, ignored) = read_file(text).unwrap();
    assert_eq!(ignored, Vec::<String>::new());
    config
}

fn listening(text: &str) -> Vec<String> {
    config(text)
        .listen
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn listeners_are_ports_and_addresses() {
    assert_eq!(listening("listeners.tcp.default = 5673"), [":5673"]);
    assert_eq!(
        listening(
            "listeners.tcp.local = 127.0.0.1:5672\nlisteners.tcp.6 = ::1:5672\nlisteners.tcp.x = [::1]:7\nlisteners.tcp.h = mq.local:8"
        ),
        ["127.0.0.1:5672", "[::1]:5672", "[::1]:7", "mq.local:8"]
    );
    let encrypted = config(
        "listeners.tcp = none\nlisteners.ssl.default = 5671\nssl_options.certfile = /c.pem\nssl_options.keyfile = /k.pem\n\
         ssl_options.cacertfile = /ca.pem\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
         ssl_options.versions.1 = tlsv1.3\nssl_cert_login_from = common_name\nssl_cert_login_san_type = email\n\
         ssl_cert_login_san_index = 1\nssl_handshake_timeout = 2500\nauth_mechanisms.1 = EXTERNAL\nauth_mechanisms.2 = PLAIN\n",
    );
    assert!(encrypted.listen.is_empty());
    let tls = encrypted.tls;
    assert_eq!(tls.listen[0].to_string(), ":5671");
    assert_eq!(tls.certificate, [Path::new("/c.pem")]);
    assert_eq!(tls.key, [Path::new("/k.pem")]);
    assert_eq!(tls.ca.as_deref(), Some(Path::new("/ca.pem")));
    assert!(tls.verify == TlsVerify::Peer && tls.fail_if_no_peer_cert);
    assert_eq!(tls.versions, [TlsVersion::V1_3]);
    assert_eq!(tls.login_from, CertificateLogin::CommonName);
    assert_eq!(tls.login_san_type, AlternativeName::Email);
    assert_eq!((tls.login_san_index, tls.handshake_timeout_seconds), (1, 3));
    assert_eq!(encrypted.auth_mechanisms, ["EXTERNAL", "PLAIN"]);
}

#[test]
fn users_are_as_rabbitmq_has_them() {
    let users = config(
        "default_user = app\ndefault_pass = 'a#b c' # quoted\ndefault_vhost = orders\n\
         default_user_tags.management = true\ndefault_user_tags.administrator = false\n\
         default_permissions.configure =\ndefault_permissions.read = ^in\\.\ndefault_permissions.write = .*\n\
         loopback_users.guest = false\n",
    );
    assert_eq!(users.default_user.name, "app");
    assert_eq!(users.default_user.password.expose(), "a#b c");
    assert_eq!(users.default_vhost, "orders");
    assert_eq!(users.default_user.tags, ["management"]);
    assert_eq!(users.default_user.configure.as_str(), "");
    assert_eq!(users.default_user.read.as_str(), "^in\\.");
    assert!(users.loopback_users.is_empty());
    assert_eq!(
        config("loopback_users.alice = true\nloopback_users.b\\.c = true").loopback_users,
        ["alice", "b.c"]
    );
    assert!(config("loopback_users = none").loopback_users.is_empty());
}

#[test]
fn limits_take_rabbitmqs_units() {
    let all = config(
        "heartbeat = 30\nframe_max = 0\nchannel_max = 0\nhandshake_timeout = 1500\nmax_message_size = 1000\n\
         consumer_timeout = 900000\nconnection_max = infinity\nvm_memory_high_watermark.relative = 0.5\n\
         vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 1GB\n\
         tcp_listen_options.backlog = 128\ntcp_listen_options.nodelay = false\ntcp_listen_options.keepalive = true\n\
         tcp_listen_options.sndbuf = 196608\ntcp_listen_options.recbuf = 192KiB\nproxy_protocol = true\n",
    );
    let limits = &all.limits;
    assert_eq!(
        (
            limits.heartbeat_seconds,
            limits.frame_max,
            limits.channel_max
        ),
        (30, 16_777_216, 65_535)
    );
    assert_eq!(limits.handshake_timeout_seconds, 2);
    assert_eq!(limits.max_message_size, 1000);
    assert_eq!(limits.consumer_timeout_milliseconds, 900_000);
    assert_eq!(limits.connections, 4_294_967_295);
    assert_eq!(all.memory.high_watermark, Watermark::Relative(0.5));
    assert_eq!(all.store.disk_free_limit, 1_000_000_000);
    assert!(all.tcp.keepalive && !all.tcp.nodelay);
    assert_eq!(
        (
            all.tcp.backlog,
            all.tcp.send_buffer_bytes,
            all.tcp.receive_buffer_bytes
        ),
        (128, 196_608, 196_608)
    );
    assert_eq!(all.proxy_sources.len(), 2);
    let absolute = config("vm_memory_high_watermark.absolute = 512MiB");
    assert_eq!(
        absolute.memory.high_watermark,
        Watermark::Absolute(512 << 20)
    );
    assert!(
        config("disk_free_limit.relative = 1.5")
            .store
            .disk_free_limit
            > 1_000_000
    );
}

#[test]
fn logs_metrics_and_definitions_are_set() {
    let all = config(
        "log.default.level = error\nlog.console.level = warning\nlog.console = true\nlog.file = false\n\
         log.console.formatter = json\nload_definitions = /d.json\ncluster_name = c\nprometheus.tcp.port = 1\n\
         prometheus.tcp.ip = 127.0.0.1\nauth_backends.1 = internal\n",
    );
    assert_eq!(all.log.level.as_str(), "warn");
    assert_eq!(all.log.format, LogFormat::Json);
    assert_eq!(all.load_definitions.as_deref(), Some(Path::new("/d.json")));
    assert_eq!(all.cluster_name, "c");
    assert_eq!(all.metrics_listen[0].to_string(), "127.0.0.1:1");
}

#[test]
fn comments_spaces_and_repetitions_are_no_matter() {
    let all = config(
        "# RabbitMQ\r\n\r\n  heartbeat=10\r\n\theartbeat = 20   # the last counts\r\n  #heartbeat = 30\r\n",
    );
    assert_eq!(all.limits.heartbeat_seconds, 20);
}

#[test]
fn keys_without_a_meaning_here_are_pointed_out() {
    let (all, ignored) = read_file(
        "heartbeat = 10\ncluster_partition_handling = pause_minority\nmqtt.listeners.tcp.default = 1883\n\
         auth_backends.1 = ldap\nlog.file = /var/log/rabbit.log\ndefault_limits.vhosts.1.pattern = ^a\n",
    )
    .unwrap();
    assert_eq!(all.limits.heartbeat_seconds, 10);
    let lines: BTreeSet<String> = ignored.into_iter().collect();
    let expected = [
        (2, "cluster_partition_handling"),
        (3, "mqtt.listeners.tcp.default"),
        (4, "auth_backends.1"),
        (5, "log.file"),
        (6, "default_limits.vhosts.1.pattern"),
    ];
    let expected: BTreeSet<String> = expected
        .iter()
        .map(|(line, key)| {
            format!("rabbitmq.conf:{line}: {key:?} is a key of RabbitMQ that has no effect here")
        })
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn mistakes_are_refused_with_their_line() {
    for (text, error) in [
        (
            "\nheartbeet = 1",
            r#"rabbitmq.conf:2: unknown key "heartbeet" (did you mean "heartbeat"?)"#,
        ),
        (
            "listeners.tpc.default = 1",
            r#"rabbitmq.conf:1: unknown key "listeners.tpc.default" (did you mean "listeners.tcp.$name"?)"#,
        ),
        ("colour = red", r#"rabbitmq.conf:1: unknown key "colour""#),
        ("heartbeat", "rabbitmq.conf:1: expected key = value"),
        ("= 1", "rabbitmq.conf:1: expected key = value"),
        ("a b = 1", "rabbitmq.conf:1: expected key = value"),
        ("default_pass = 'x", "rabbitmq.conf:1: expected a closing '"),
        (
            "\n\nheartbeat = soon",
            r#"rabbitmq.conf:3: heartbeat: expected a whole number from 0 to 65535, found "soon""#,
        ),
        (
            "listeners.tcp.default = here",
            r#"rabbitmq.conf:1: listeners.tcp.default: expected a port, or an address and a port, found "here""#,
        ),
        (
            "ssl_options.verify = maybe",
            r#"rabbitmq.conf:1: ssl_options.verify: expected "none" or "peer", found "maybe""#,
        ),
        (
            "log.console.level = loud",
            r#"rabbitmq.conf:1: log.console.level: expected debug, info, warning, error, critical or none, found "loud""#,
        ),
        (
            "frame_max = 100",
            "rabbitmq.conf:1: frame_max: expected a whole number from 4096 to 16777216, found 100",
        ),
    ] {
        assert_eq!(read_file(text).unwrap_err(), error, "{text:?}");
    }
    assert_eq!(
        read_file(b"heartbeat = \xff").unwrap_err(),
        "rabbitmq.conf:1: not valid UTF-8"
    );
}

#[test]
fn a_password_is_in_no_message() {
    let error = read_file("default_pass = ").unwrap_err();
    assert_eq!(error, "rabbitmq.conf:1: default_pass: must not be empty");
    let error = read_file("default_pass = 'hunter2").unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn every_rule_is_for_a_key_of_rabbitmqs_and_a_setting_of_ours() {
    let mut known: Vec<&str> = known_keys().collect();
    for rule in RULES {
        assert!(known.contains(&rule.key), "{}", rule.key);
        match rule.means {
            Means::Setting(key, _) | Means::Items(key, _) | Means::Members(key) => {
                assert!(by_key(key).is_some(), "{key}");
            }
            Means::Only(_) => {}
        }
    }
    let all = known.len();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), all);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_fail(text in "([a-z.=# '\\\\\n]|heartbeat|listeners\\.tcp\\.x|[0-9]|\\PC){0,60}") {
        let _ = read_file(text);
    }
}
