//! The command line: its grammar, and its way into the layers of the configuration.
//!
//! Values stay text here; the configuration reads and checks them, so that a value is refused in
//! the same words wherever it was given.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use leveret::config::{Flag, Sources};

/// A message broker that speaks AMQP 0-9-1.
#[derive(Debug, Parser)]
#[command(
    name = "leveret",
    version,
    propagate_version = true,
    after_help = "Every setting, these and the others, can also stand in the file or in an environment \
        variable.\nA flag wins over a variable, a variable over the file. See docs/operations.md."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Run the broker; what happens without a command too
    #[default]
    Serve,
    /// Check the configuration without starting: prints `configuration ok`, or what is wrong
    CheckConfig,
    /// Look into the folder of a store, or copy it
    #[command(subcommand)]
    Store(StoreCommand),
    /// Ask a running broker, or change it, as rabbitmqctl does; `leveret ctl help` tells more
    // Its grammar is RabbitMQ's.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Ctl {
        /// What follows
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Definitions of a running broker, as RabbitMQ writes them
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Put load on any AMQP 0-9-1 broker and measure it; `leveret perf --help` tells more
    // Its grammar is a crate's of its own, and none of the broker's options is in it.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Perf {
        /// What follows
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// What to do with the definitions of a running broker.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum DefinitionsCommand {
    /// Write users, vhosts, permissions, policies, exchanges, queues and bindings as JSON
    Export {
        /// Where to: a file that its owner alone can read, or - for standard output
        #[arg(value_name = "FILE")]
        file: String,
    },
    /// Import them: all, or nothing if something is refused
    Import {
        /// Where from, or - for standard input
        #[arg(value_name = "FILE")]
        file: String,
    },
}

impl DefinitionsCommand {
    /// The words of the control command that does it.
    pub(crate) fn words(self) -> Vec<String> {
        let (name, file) = match self {
            Self::Export { file } => ("export_definitions", file),
            Self::Import { file } => ("import_definitions", file),
        };
        vec![name.to_owned(), "--".to_owned(), file]
    }
}

/// What to do with the folder of a store.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum StoreCommand {
    /// Verify every record of a folder that no broker uses: a line for each file, then a summary;
    /// ends with code 1 if anything is damaged
    Check {
        /// The data folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print definitions and messages of a folder that no broker uses, a JSON object on each line
    Dump {
        /// The data folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Copy a folder, whether a broker uses it or not
    Backup {
        /// The data folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where to: an empty folder, or one that is made
        #[arg(value_name = "TARGET")]
        target: PathBuf,
    },
}

// No doc comment: clap would print it as what the program is.
#[derive(Args, Debug)]
#[expect(clippy::doc_markdown, reason = "the comments are the text of --help")]
struct Options {
    /// File with settings: TOML, or RabbitMQ's own form if its name ends with .conf
    /// [env: LEVERET_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of everything that outlives the process [default: leveret-data]
    /// [env: LEVERET_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where to listen for AMQP: host:port, [ipv6]:port or :port for every interface; port 0 lets
    /// the system choose; repeat it or use commas for several [default: 127.0.0.1:5672]
    /// [env: LEVERET_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Where to listen for AMQP over TLS, once there is a certificate, in the same forms
    /// [default: 127.0.0.1:5671] [env: LEVERET_TLS_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    tls_listen: Vec<String>,
    /// Certificate with its chain, in PEM; repeat it, with as many keys, to choose one by the name
    /// that the client asks for [env: LEVERET_TLS_CERTIFICATE]
    #[arg(long, global = true, value_name = "FILE")]
    tls_certificate: Vec<String>,
    /// Key of the certificate, in PEM [env: LEVERET_TLS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    tls_key: Vec<String>,
    /// Authorities of client certificates, in PEM [env: LEVERET_TLS_CA]
    #[arg(long, global = true, value_name = "FILE")]
    tls_ca: Option<String>,
    /// Ask clients for certificates: none or peer [default: none] [env: LEVERET_TLS_VERIFY]
    #[arg(long, global = true, value_name = "WHICH")]
    tls_verify: Option<String>,
    /// Where to serve metrics, in the same forms, or none [default: 127.0.0.1:15692]
    /// [env: LEVERET_METRICS_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS")]
    metrics_listen: Vec<String>,
    /// What to log: error, warn, info, debug, trace, off, or directives as in
    /// info,leveret_store=debug [default: info] [env: LEVERET_LOG_LEVEL]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look: text or json [default: text] [env: LEVERET_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Write the bound addresses to this file as JSON while the broker is ready
    /// [env: LEVERET_ADDRESSES_FILE]
    #[arg(long, global = true, value_name = "PATH")]
    addresses_file: Option<String>,
    /// Import these definitions, as RabbitMQ exports them, before the broker is ready
    /// [env: LEVERET_LOAD_DEFINITIONS]
    #[arg(long, global = true, value_name = "FILE")]
    definitions: Option<String>,
}

impl Options {
    /// The flags that were given, by the keys of their settings.
    fn flags(self) -> Vec<Flag> {
        let list = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
        [
            ("data_dir", "--data-dir", self.data_dir),
            ("listen", "--listen", list(self.listen)),
            ("tls.listen", "--tls-listen", list(self.tls_listen)),
            (
                "tls.certificate",
                "--tls-certificate",
                list(self.tls_certificate),
            ),
            ("tls.key", "--tls-key", list(self.tls_key)),
            ("tls.ca", "--tls-ca", self.tls_ca),
            ("tls.verify", "--tls-verify", self.tls_verify),
            (
                "metrics_listen",
                "--metrics-listen",
                list(self.metrics_listen),
            ),
            ("log.level", "--log-level", self.log_level),
            ("log.format", "--log-format", self.log_format),
            ("addresses_file", "--addresses-file", self.addresses_file),
            ("load_definitions", "--definitions", self.definitions),
        ]
        .into_iter()
        .filter_map(|(key, name, value)| {
            Some(Flag {
                key,
                name,
                value: value?,
            })
        })
        .collect()
    }
}

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    /// Without the environment yet.
    pub(crate) sources: Sources,
}

/// A command line that says nothing to run.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// Help or the version was asked for: text for standard output.
    Told(String),
    /// A mistake, in one line.
    Usage(String),
}

/// Reads the command line, the program's name first.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, NotRun> {
    let cli = Cli::try_parse_from(arguments).map_err(|error| not_run(&error, "leveret"))?;
    Ok(Invocation {
        command: cli.command.unwrap_or_default(),
        sources: Sources {
            file: cli.options.config.clone(),
            variables: Vec::new(),
            flags: cli.options.flags(),
        },
    })
}

/// Reads the command line of the load generator, without `leveret perf`.
pub(crate) fn parse_perf(arguments: Vec<OsString>) -> Result<leveret_perf::cli::Cli, NotRun> {
    let all = std::iter::once(OsString::from("leveret perf")).chain(arguments);
    leveret_perf::cli::Cli::try_parse_from(all).map_err(|error| not_run(&error, "leveret perf"))
}

/// `program` is whose --help tells more.
fn not_run(error: &clap::Error, program: &str) -> NotRun {
    let text = without_password(&error.render().to_string());
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayVersion
    ) {
        return NotRun::Told(text);
    }
    // The text goes on with tips and usage after an empty line.
    let sentence: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let sentence = sentence.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    let tip = suggestion(error).map_or_else(
        || format!(" (see {program} --help)"),
        |word| format!(" (did you mean '{word}'?)"),
    );
    NotRun::Usage(format!("{sentence}{tip}"))
}

/// The flag or command that was meant, perhaps.
fn suggestion(error: &clap::Error) -> Option<&str> {
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    match suggested.into_iter().find_map(|kind| error.get(kind))? {
        ContextValue::String(word) => Some(word),
        ContextValue::Strings(words) => words.first().map(String::as_str),
        _ => None,
    }
}

/// `text` without what stands between `://` and `@` in it: a URI that is refused is shown, and its password must not be.
fn without_password(text: &str) -> String {
    let hidden = text.split_once("://").and_then(|(scheme, rest)| {
        let (uri, _) = rest.split_once(['\'', '\n']).unwrap_or((rest, ""));
        let (_, behind) = rest.split_at_checked(uri.rfind('@')?)?;
        Some(format!("{scheme}://..{behind}"))
    });
    hidden.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_uri_is_shown_without_its_password() {
        for (text, shown) in [
            (
                "invalid value 'amqps://u:p@ss@h/v' for",
                "invalid value 'amqps://..@h/v' for",
            ),
            (
                "invalid value 'amqps://h/v' for 'a@b'",
                "invalid value 'amqps://h/v' for 'a@b'",
            ),
            ("amqp://u:p@h:x", "amqp://..@h:x"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }

    fn parsed(arguments: &str) -> Result<Invocation, NotRun> {
        parse(
            ["leveret"]
                .into_iter()
                .chain(arguments.split_whitespace())
                .map(OsString::from),
        )
    }

    fn flags(arguments: &str) -> Vec<(&'static str, &'static str, String)> {
        let flags = parsed(arguments).unwrap().sources.flags;
        flags
            .into_iter()
            .map(|flag| (flag.key, flag.name, flag.value))
            .collect()
    }

    fn usage(arguments: &str) -> String {
        match parsed(arguments) {
            Err(NotRun::Usage(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_grammar_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert_eq!(parsed("").unwrap().command, Command::Serve);
        assert_eq!(parsed("serve").unwrap().command, Command::Serve);
        assert_eq!(
            parsed("check-config").unwrap().command,
            Command::CheckConfig
        );
    }

    #[test]
    fn a_store_is_checked_dumped_or_copied() {
        let command = |arguments| parsed(arguments).unwrap().command;
        let folder = PathBuf::from("d");
        assert_eq!(
            command("store check d"),
            Command::Store(StoreCommand::Check {
                folder: folder.clone()
            })
        );
        assert_eq!(
            command("store backup d t"),
            Command::Store(StoreCommand::Backup {
                folder,
                target: PathBuf::from("t")
            })
        );
        assert!(usage("store check").contains("<DIR>"));
        assert!(usage("store chek d").contains("'check'"));
    }

    #[test]
    fn the_load_generator_has_a_grammar_of_its_own() {
        let Command::Perf { arguments } = parsed("perf throughput --help -z 1").unwrap().command
        else {
            panic!("another command");
        };
        assert_eq!(arguments, ["throughput", "--help", "-z", "1"]);
        assert!(matches!(parse_perf(arguments), Err(NotRun::Told(_))));
        assert!(matches!(parse_perf(Vec::new()), Err(NotRun::Told(_))));
        let perf = parse_perf(["throughput", "--sise", "1"].map(OsString::from).to_vec());
        match perf {
            Err(NotRun::Usage(line)) => assert_eq!(
                line,
                "unexpected argument '--sise' found (did you mean '--size'?)"
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_control_command_has_a_grammar_of_its_own() {
        let parsed = parsed("--data-dir d ctl -q list_queues --help -p v1 --no-such").unwrap();
        let Command::Ctl { arguments } = parsed.command else {
            panic!("another command");
        };
        let words = ["-q", "list_queues", "--help", "-p", "v1", "--no-such"];
        assert_eq!(arguments, words);
        assert_eq!(parsed.sources.flags.len(), 1);
    }

    #[test]
    fn definitions_go_to_a_file_and_come_from_one() {
        let words = |line: &str| match parsed(line).unwrap().command {
            Command::Definitions(command) => command.words(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            words("definitions export f"),
            ["export_definitions", "--", "f"]
        );
        assert_eq!(
            words("definitions import -"),
            ["import_definitions", "--", "-"]
        );
        assert!(usage("definitions export").contains("<FILE>"));
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        let file = Some(PathBuf::from("a.toml"));
        assert_eq!(parsed("--config a.toml").unwrap().sources.file, file);
        assert_eq!(
            parsed("check-config --config a.toml").unwrap().sources.file,
            file
        );
        assert_eq!(
            parsed("--config=a.toml check-config").unwrap().sources.file,
            file
        );
    }

    #[test]
    fn every_flag_names_its_setting() {
        assert_eq!(flags("serve"), []);
        assert_eq!(
            flags(
                "--data-dir d --listen :1,[::1]:2 --listen h:3 --tls-listen :4 --tls-certificate c --tls-key k --tls-ca a --tls-verify peer --metrics-listen none --log-level warn --log-format json --addresses-file a --definitions d.json"
            ),
            [
                ("data_dir", "--data-dir", "d".to_owned()),
                ("listen", "--listen", ":1,[::1]:2,h:3".to_owned()),
                ("tls.listen", "--tls-listen", ":4".to_owned()),
                ("tls.certificate", "--tls-certificate", "c".to_owned()),
                ("tls.key", "--tls-key", "k".to_owned()),
                ("tls.ca", "--tls-ca", "a".to_owned()),
                ("tls.verify", "--tls-verify", "peer".to_owned()),
                ("metrics_listen", "--metrics-listen", "none".to_owned()),
                ("log.level", "--log-level", "warn".to_owned()),
                ("log.format", "--log-format", "json".to_owned()),
                ("addresses_file", "--addresses-file", "a".to_owned()),
                ("load_definitions", "--definitions", "d.json".to_owned()),
            ]
        );
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        assert_eq!(
            usage("--lisen :1"),
            "unexpected argument '--lisen' found (did you mean '--listen'?)"
        );
        assert_eq!(
            usage("--colour"),
            "unexpected argument '--colour' found (see leveret --help)"
        );
        assert_eq!(
            usage("chek-config"),
            "unrecognized subcommand 'chek-config' (did you mean 'check-config'?)"
        );
        assert_eq!(
            usage("--config"),
            "a value is required for '--config <FILE>' but none was supplied (see leveret --help)"
        );
        assert_eq!(
            usage("--data-dir a --data-dir b"),
            "the argument '--data-dir <DIR>' cannot be used multiple times (see leveret --help)"
        );
    }

    #[test]
    fn help_and_version_are_told() {
        for arguments in [
            "--help",
            "help",
            "serve --help",
            "--version",
            "check-config --version",
        ] {
            assert!(
                matches!(parsed(arguments), Err(NotRun::Told(_))),
                "{arguments}"
            );
        }
        match parsed("--version") {
            Err(NotRun::Told(text)) => {
                assert_eq!(text, format!("leveret {}\n", env!("CARGO_PKG_VERSION")));
            }
            other => panic!("{other:?}"),
        }
    }
}
