//! Passwords, tokens and keys: nothing that the broker says or shows holds one, however much it logs.

use std::fs;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use leveret::DefinitionsFile;
use leveret_tests::client::encoded;
use leveret_tests::frame::METHOD;
use leveret_tests::program::{command, run};
use leveret_tests::requests::{durable_queue, queue};
use leveret_tests::tls::Authority;
use leveret_tests::{Client, Frame, Login, Program, Publish, Server, metrics};
use leveret_wire::AMQPClass;
use leveret_wire::method::connection::{AMQPMethod, UpdateSecret};
use tempfile::TempDir;

/// Of the default user, by its variable.
const OF_VARIABLE: &str = "Xq7-of-the-variable";
/// Of the default user, by a file.
const OF_FILE: &str = "Xq7-of-the-file";
/// Of a user of definitions.
const OF_DEFINITIONS: &str = "Xq7-of-definitions";
/// Of nobody: a login that fails.
const WRONG: &str = "Xq7-wrong-password";
/// What a client renews its password with.
const RENEWED: &str = "Xq7-renewed";
/// Where text was wanted: a password of digits alone.
const DIGITS: &str = "7351902846";
/// The digest of a password, as definitions have it.
const HASH: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

/// Every form in which a secret may have got into a text.
fn forms(secret: &str) -> Vec<String> {
    let octets = secret.as_bytes();
    let listed = |separator: &str| {
        let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
        // Of a list that was cut, half is too much.
        numbers[..numbers.len() / 2].join(separator)
    };
    let hex: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let hex = hex.concat();
    vec![
        secret.to_owned(),
        BASE64.encode(octets),
        hex.to_uppercase(),
        hex,
        listed(","),
        listed(", "),
    ]
}

/// Nothing of `secrets` is in `text`, which came from `source`.
#[track_caller]
fn assert_clean(source: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{source} shows {form:?}: {text}");
        }
    }
}

/// What a program that ends by itself says.
fn said(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .concat()
}

fn frame(channel: u16, method: AMQPMethod) -> Vec<u8> {
    encoded(channel, &AMQPClass::Connection(method))
}

/// A method's frame with one octet more among the arguments: it does not decode.
fn too_long(method: AMQPMethod) -> Vec<u8> {
    let octets = frame(0, method);
    let payload = &octets[7..octets.len() - 1];
    Frame::new(METHOD, 0, [payload, &[0]].concat()).octets()
}

/// Log in, well and badly, and send what cannot be understood.
fn play(program: &Program, password: &str) {
    let address = program.address();
    let mut client = Client::log_in(address, &Login::plain("owner", password));
    client.open_channel(1);
    client.call(1, durable_queue("q"));
    client.publish(1, &Publish::to_queue("q").body("body"));
    client.call(1, queue("other"));
    let update = |secret: &str| UpdateSecret {
        new_secret: secret.into(),
        reason: "rotation".into(),
    };
    client.call(0, update(RENEWED));
    client.write(&too_long(AMQPMethod::UpdateSecret(update(RENEWED))));
    client.expect_connection_close(501, "FRAME_ERROR - cannot decode <<..>>");
    client.answer_close();
    Client::log_in(address, &Login::amqplain("owner", password)).close();
    for login in [
        Login::plain("owner", WRONG),
        Login::plain("stranger", WRONG),
        Login::amqplain("owner", WRONG),
        Login {
            // No response of this mechanism.
            response: format!("{WRONG}\0\0").into_bytes(),
            ..Login::default()
        },
        Login {
            mechanism: "SCRAM".to_owned(),
            ..Login::plain("owner", WRONG)
        },
        Login {
            mechanism: "EXTERNAL".to_owned(),
            ..Login::plain("owner", WRONG)
        },
    ] {
        let mut client = Client::dial(address);
        client.expect_start();
        client.send(0, login.start_ok());
        client.read_to_end();
    }
    let start_ok = || Login::plain("owner", password).start_ok();
    let early = frame(1, AMQPMethod::UpdateSecret(update(password)));
    let mut badly_ended = early.clone();
    badly_ended.pop();
    badly_ended.push(0);
    for octets in [
        too_long(AMQPMethod::StartOk(start_ok())),
        frame(1, AMQPMethod::StartOk(start_ok())),
        early,
        badly_ended,
    ] {
        let mut client = Client::dial(address);
        client.expect_start();
        client.write(&octets);
        client.read_to_end();
    }
}

/// A broker that logs all there is to log, with TLS and metrics, and what there is to find of its key.
struct Traced {
    folder: TempDir,
    program: Program,
    key: String,
}

impl Traced {
    fn serve(format: &str, config: &str, definitions: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let limits = "[limits]\nlogin_failure_delay_seconds = 0\nlogin_failures_per_second = 0\n";
        fs::write(path("leveret.toml"), format!("{config}{limits}")).unwrap();
        fs::write(path("definitions.json"), definitions).unwrap();
        let host = Authority::new().host(&["localhost"]);
        host.write(folder.path(), "host");
        let files = ["leveret.toml", "definitions.json", "host.pem", "host.key"].map(path);
        let [config, definitions, certificate, key] = files.each_ref().map(String::as_str);
        let arguments = [
            ["--config", config],
            ["--definitions", definitions],
            ["--metrics-listen", "127.0.0.1:0"],
            ["--tls-listen", "127.0.0.1:0"],
            ["--tls-certificate", certificate],
            ["--tls-key", key],
            ["--log-level", "trace"],
            ["--log-format", format],
        ];
        let data = folder.path().join("data");
        Self {
            program: Program::start_with(&data, &arguments.concat(), variables),
            key: host.key,
            folder,
        }
    }

    /// Everything that it has shown, and what its tools show of its folder, is searched.
    #[track_caller]
    fn search(mut self, secrets: &[&str]) {
        let key = self.folder.path().join("host.key");
        // A key that has lost its line ends, as in a variable, and one that has lost the first.
        for (damaged, reason) in [
            (self.key.replace('\n', "") + "\n", "an END line is missing"),
            (
                self.key.replace("KEY-----\n", "KEY-----"),
                "a BEGIN line does not end",
            ),
        ] {
            fs::write(&key, damaged).unwrap();
            self.program.signal("HUP");
            self.program.wait_for_line(reason);
        }
        let of_key = self.key.lines().nth(1).unwrap();
        let secrets = [secrets, &[of_key]].concat();
        let metrics = self.program.named_address("metrics");
        let page = metrics::get(metrics, "/metrics").body;
        assert!(page.contains("rabbitmq_"), "{page}");
        assert_clean("the metrics page", &page, &secrets);
        self.program.signal("TERM");
        let output = self.program.output();
        assert_clean("standard output", &output, &secrets);
        let (status, log) = self.program.wait();
        assert!(status.success());
        let refused = log.iter().filter(|line| line.contains("login refused"));
        assert!(refused.count() >= 3, "{log:#?}");
        assert_clean("the log", &log.join("\n"), &secrets);
        let data = self.folder.path().join("data");
        for tool in ["check", "dump"] {
            let output = run(&["store", tool, data.to_str().unwrap()]);
            assert!(output.status.success());
            assert_clean(tool, &said(&output), &secrets);
        }
    }
}

#[test]
fn a_log_of_everything_holds_no_password_of_a_variable() {
    let config = "[default_user]\nname = \"owner\"\n";
    let variables = [("LEVERET_DEFAULT_PASSWORD", OF_VARIABLE)];
    let traced = Traced::serve("text", config, "{}", &variables);
    play(&traced.program, OF_VARIABLE);
    traced.search(&[OF_VARIABLE, WRONG, RENEWED]);
}

#[test]
fn a_log_of_everything_holds_no_password_of_a_file() {
    let config = format!(
        "[default_user]\nname = \"owner\"\npassword = \"{OF_FILE}\"\nwrite = \"^[a-z]*\"\n"
    );
    let traced = Traced::serve("json", &config, "{}", &[]);
    play(&traced.program, OF_FILE);
    traced.search(&[OF_FILE, WRONG, RENEWED]);
}

#[test]
fn a_log_of_everything_holds_no_password_of_definitions() {
    let definitions = format!(
        r#"{{"vhosts":[{{"name":"/"}}],
        "users":[{{"name":"owner","password":"{OF_DEFINITIONS}","tags":"administrator"}},
                 {{"name":"hashed","password_hash":"{HASH}","tags":""}}],
        "permissions":[{{"user":"owner","vhost":"/","configure":".*","write":".*","read":".*"}}],
        "bindings":[{{"vhost":"/","source":"amq.topic","destination":"nowhere","destination_type":"queue"}}]}}"#
    );
    let traced = Traced::serve("text", "", &definitions, &[]);
    play(&traced.program, OF_DEFINITIONS);
    traced.search(&[OF_DEFINITIONS, HASH, WRONG, RENEWED]);
}

#[test]
fn definitions_are_exported_with_hashes_alone() {
    let server = Server::start();
    let broker = server.running().broker();
    let json = format!(r#"{{"users":[{{"name":"u","password":"{OF_DEFINITIONS}","tags":""}}]}}"#);
    let file = DefinitionsFile::parse(json.as_bytes()).unwrap();
    assert_clean("the file in a log", &format!("{file:?}"), &[OF_DEFINITIONS]);
    broker.import_definitions(&file, None).unwrap();
    broker.add_user("v", RENEWED, Vec::new()).unwrap();
    broker.change_password("v", OF_FILE).unwrap();
    let exported = broker.export_definitions();
    let text = exported.to_json();
    assert!(text.contains("password_hash"));
    assert_clean("the export", &text, &[OF_DEFINITIONS, RENEWED, OF_FILE]);
    let shown = format!("{exported:?}");
    for user in ["\"u\"", "\"v\""] {
        assert!(shown.contains(user));
    }
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for user in json["users"].as_array().unwrap() {
        let hash = user["password_hash"].as_str().unwrap();
        assert_clean("the export in a log", &shown, &[hash]);
    }
}

/// What is refused before anything starts is said without its value.
#[test]
fn mistakes_do_not_show_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ours, theirs) = (path("leveret.toml"), path("rabbitmq.conf"));
    let definitions = path("definitions.json");
    for (file, text) in [
        (&ours, format!("default_user.password = {DIGITS}\n")),
        (&ours, format!("default_user.password = [\"{OF_FILE}\"]\n")),
        (&ours, format!("default_user.password = \"{OF_FILE}\n")),
        (&ours, format!("default_user.password = {OF_FILE}\n")),
        (&ours, format!("default_user.pasword = \"{OF_FILE}\"\n")),
        (&ours, format!("default_user = \"{OF_FILE}\"\n")),
        (
            &ours,
            format!("threads = 0\ndefault_user.password = \"{OF_FILE}\"\n"),
        ),
        (&theirs, format!("default_pass = '{OF_FILE}\n")),
        (&theirs, format!("default_pas = {OF_FILE}\n")),
        (&theirs, format!("default_pass {OF_FILE}\n")),
        (
            &definitions,
            format!(r#"{{"users":[{{"name":"u","password":{DIGITS},"tags":""}}]}}"#),
        ),
        (
            &definitions,
            format!(r#"{{"users":[{{"name":"u","password_hash":{DIGITS},"tags":""}}]}}"#),
        ),
        (
            &definitions,
            format!(r#"{{"users":[{{"name":"u","password":"{OF_FILE}"}}]}}"#),
        ),
        (
            &definitions,
            format!(r#"{{"users":[{{"name":"u","password":"{OF_FILE}"#),
        ),
        (
            &definitions,
            format!(r#"{{"users":[{{"name":"u","password_hash":"{OF_FILE}","tags":""}}]}}"#),
        ),
    ] {
        fs::write(file, &text).unwrap();
        let option = if *file == definitions {
            "--definitions"
        } else {
            "--config"
        };
        let output = run(&["check-config", option, file]);
        let said = said(&output);
        assert!(!output.status.success(), "{text}: {said}");
        assert_clean(
            &text.replace(OF_FILE, "*").replace(DIGITS, "*"),
            &said,
            &[OF_FILE, DIGITS],
        );
    }
    let mut unreadable = command(&["check-config"]);
    unreadable
        .env("LEVERET_DEFAULT_PASSWORD", OF_VARIABLE)
        .env("LEVERET_THREADS", "none");
    let said_of_variable = said(&unreadable.output().unwrap());
    assert!(said_of_variable.contains("LEVERET_THREADS"));
    assert_clean("check-config", &said_of_variable, &[OF_VARIABLE]);
    for uri in [
        format!("amqps://u:{WRONG}@h"),
        format!("amqp://u:{WRONG}@h:port"),
    ] {
        let said = said(&run(&["perf", "throughput", "--uri", &uri]));
        assert!(said.contains("--uri"), "{said}");
        assert_clean("perf", &said, &[WRONG]);
    }
}
