//! `leveret ctl`: the control command, with rabbitmqctl's names, output and exit codes (RabbitMQ's page
//! "rabbitmqctl"), so that operators' scripts go on working.
//!
//! Here are the words of the command line (`arguments`), the commands and their help (`commands`, `table`), what each asks of
//! the broker and how its answer is shown (`plan`, `lists`, `password`), the connection to the broker (`client`), the
//! forms of output (`printer`, `cell`, `status`), and the words and codes of failures (`failure`). What a request does
//! is the broker's (`leveret::control`).

mod arguments;
mod cell;
mod client;
mod commands;
mod definitions;
mod failure;
mod lists;
mod password;
mod plan;
mod printer;
mod status;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use leveret::config::{Config, Flag, Sources, nearest};
use leveret::control::Request;
use serde_json::{Value, json};

use self::arguments::Arguments;
use self::client::{Client, Lost};
use self::commands::{COMMANDS, Command};
use self::failure::{Ending, Refusal};
use self::plan::{Asked, Plan, Show};
use self::printer::{Format, Layout, Printer};
use crate::exit::{Exit, Failure};

/// The name of RabbitMQ's tool: a program that is called so is this command.
pub(crate) const RABBITMQCTL: &str = "rabbitmqctl";

/// What it is called as otherwise.
const PROGRAM: &str = "leveret ctl";

/// How long `await_startup` waits.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(300);

/// One call of the command.
struct Call<'a> {
    program: &'a str,
    arguments: Arguments,
    format: Format,
    /// The broker's control socket, and where it comes from, for messages.
    socket: PathBuf,
    /// The node's name.
    node: String,
}

/// Carry out a command line without the program's name. `sources` are those of the broker's configuration, which says
/// where the control socket is.
pub(crate) fn run(
    words: Vec<String>,
    mut sources: Sources,
    as_rabbitmqctl: bool,
) -> Result<Exit, Failure> {
    let program = if as_rabbitmqctl { RABBITMQCTL } else { PROGRAM };
    let arguments = Arguments::read(words);
    let command = match choose(&arguments, program) {
        Ok(Chosen::Run(command)) => command,
        Ok(Chosen::Tell(text)) => return crate::tell(&text),
        Err(ending) => return end(&ending),
    };
    let refused = |refusal: Refusal| end(&refusal.ending(command, &arguments, program));
    if let Err(refusal) = check(command, &arguments) {
        return refused(refusal);
    }
    let format = match arguments.text("formatter").map(Format::parse) {
        None => Format::default(),
        Some(Some(format)) => format,
        Some(None) => {
            let formatter = arguments.text("formatter").unwrap_or_default();
            let reason = format!("formatter {formatter} is not supported");
            return refused(Refusal::usage(reason));
        }
    };
    if command.name == "version" {
        return crate::tell(concat!(env!("CARGO_PKG_VERSION"), "\n"));
    }
    take_flags(&arguments, &mut sources);
    let config = Config::load(&sources)?.config;
    let node = arguments.text("node").unwrap_or(&config.cluster_name);
    let call = Call {
        program,
        format,
        node: node.to_owned(),
        socket: socket(&config, &arguments)?,
        arguments: arguments.clone(),
    };
    let outcome = match command.name {
        "export_definitions" => definitions::export(&call),
        "import_definitions" => definitions::import(&call),
        name => match plan::of(name, &arguments, &call.node) {
            Ok(plan) => call.carry_out(name, plan),
            Err(refusal) => return refused(refusal),
        },
    };
    match outcome {
        Ok(()) => Ok(Exit::Success),
        Err(ending) => end(&ending),
    }
}

/// Say why it failed, in the words of RabbitMQ's tool, and end with its code.
#[expect(clippy::unnecessary_wraps, reason = "as every run of the program ends")]
fn end(ending: &Ending) -> Result<Exit, Failure> {
    // With standard error gone, the exit code still tells.
    let _ = io::stderr().write_all(ending.text.as_bytes());
    Ok(ending.exit)
}

/// What the words ask for.
enum Chosen {
    Run(&'static Command),
    Tell(String),
}

fn choose(arguments: &Arguments, program: &str) -> Result<Chosen, Ending> {
    let Some(name) = arguments.command() else {
        return match (arguments.has("help"), arguments.has("version")) {
            (true, _) => Ok(Chosen::Tell(commands::overview(program))),
            (false, true) => Ok(Chosen::Tell(
                concat!(env!("CARGO_PKG_VERSION"), "\n").into(),
            )),
            (false, false) => Err(Ending::new(Exit::Usage, commands::overview(program))),
        };
    };
    if name == "help" {
        return match arguments.rest().first() {
            None => Ok(Chosen::Tell(commands::overview(program))),
            Some(name) => match Command::find(name) {
                Some(command) => Ok(Chosen::Tell(command.help(program))),
                None => Err(Ending::new(
                    Exit::Usage,
                    format!("Error:\n\nCommand '{name}' not found.\n"),
                )),
            },
        };
    }
    match Command::find(name) {
        Some(command) if arguments.has("help") => Ok(Chosen::Tell(command.help(program))),
        Some(command) => Ok(Chosen::Run(command)),
        None => {
            let known = COMMANDS.iter().map(|command| command.name);
            let text = match nearest(name, known) {
                Some(nearest) => {
                    format!("\nCommand '{name}' not found. \nDid you mean '{nearest}'? \n\n")
                }
                None => format!(
                    "\nCommand '{name}' not found. \n{}",
                    commands::overview(program)
                ),
            };
            Err(Ending::new(Exit::Usage, text))
        }
    }
}

fn check(command: &Command, arguments: &Arguments) -> Result<(), Refusal> {
    if !arguments.invalid.is_empty() {
        let invalid = arguments.invalid.iter();
        let lines: Vec<_> = invalid
            .map(|(name, value)| format!("{name} : {value}"))
            .collect();
        let lines = lines.join("\n");
        return Err(Refusal::usage(format!(
            "Invalid options for this command:\n{lines}"
        )));
    }
    let count = arguments.rest().len();
    if count < command.fewest {
        return Err(Refusal::too_few());
    }
    if command.most.is_some_and(|most| count > most) {
        return Err(Refusal::too_many());
    }
    Ok(())
}

/// The options that say where the broker is.
fn take_flags(arguments: &Arguments, sources: &mut Sources) {
    if let Some(file) = arguments.path("config") {
        sources.file = Some(file);
    }
    for (option, key, name) in [
        ("data-dir", "data_dir", "--data-dir"),
        ("socket", "control_socket", "--socket"),
    ] {
        if let Some(value) = arguments.text(option) {
            let value = value.to_owned();
            sources.flags.push(Flag { key, name, value });
        }
    }
}

fn socket(config: &Config, arguments: &Arguments) -> Result<PathBuf, Failure> {
    // Asked for a folder, whatever the environment says of the socket.
    let chosen = if arguments.has("data-dir") && !arguments.has("socket") {
        leveret::config::ControlSocket::default().path(&config.data_dir)
    } else {
        config.control_socket.path(&config.data_dir)
    };
    chosen.ok_or_else(|| {
        let reason = "the broker has no control socket: control_socket is none";
        Failure::new(Exit::Unavailable, reason.to_owned())
    })
}

impl Call<'_> {
    fn carry_out(&self, name: &str, plan: Plan) -> Result<(), Ending> {
        let mut client = self.connect(name)?;
        if let Some(banner) = &plan.banner {
            self.say(banner)?;
        }
        let text = plan::json_argument(name).map(|index| self.arguments.word(index));
        if text.is_some_and(|text| serde_json::from_str::<Value>(&text).is_err()) {
            return Err(failure::not_json());
        }
        let request = match plan.request {
            Asked::Now(request) => request,
            Asked::WithPassword(request, user) => match password::read() {
                Ok(Some(password)) => request(user, password),
                Ok(None) => return Err(failure::no_password()),
                Err(error) => return Err(self.lost(name, Lost::Broken(error))),
            },
        };
        self.show(name, &mut client, &request, &plan.show)
            .map_err(|lost| self.lost(name, lost))?;
        if plan.show == Show::Ended {
            client
                .wait_for_end()
                .map_err(|lost| self.lost(name, lost))?;
        }
        Ok(())
    }

    fn connect(&self, name: &str) -> Result<Client, Ending> {
        let timeout = self.timeout();
        let connected = if name == "await_startup" {
            Client::wait_for(&self.socket, timeout.unwrap_or(STARTUP_TIMEOUT))
        } else {
            Client::connect(&self.socket, timeout)
        };
        connected.map_err(|lost| self.lost(name, lost))
    }

    fn timeout(&self) -> Option<Duration> {
        let seconds = self.arguments.number("timeout")?;
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// A line of what is done, for people.
    fn say(&self, banner: &str) -> Result<(), Ending> {
        if self.arguments.is_quiet() || self.format.is_for_programs() {
            return Ok(());
        }
        print(&format!("{banner}\n")).map_err(|lost| self.lost("", lost))
    }

    fn show(
        &self,
        name: &str,
        client: &mut Client,
        request: &Request,
        show: &Show,
    ) -> Result<(), Lost> {
        let no_rows = |_| Ok(());
        match show {
            Show::Done | Show::Ended => {
                client.ask(request, no_rows)?;
                if self.format == Format::Json && name != "await_startup" {
                    self.object(&json!({"node": self.node, "result": "ok"}))?;
                }
            }
            Show::Message(words) => {
                let value = client.ask(request, no_rows)?;
                let text = match &value {
                    Value::Null => words.to_string(),
                    value => words.replace("{}", &value.to_string()),
                };
                match self.format {
                    Format::Json if name == "add_user" => {
                        let told = json!({"message": text, "node": self.node, "status": "ok"});
                        self.object(&told)?;
                    }
                    Format::Json => self.object(&json!({"message": text}))?,
                    // RabbitMQ has this one for people only.
                    _ if name == "add_user" && self.arguments.is_quiet() => {}
                    _ => print(&format!("{text}\n"))?,
                }
            }
            Show::Rows {
                columns,
                streamed,
                headed,
            } => {
                let silent = self.arguments.has("silent") || self.arguments.has("no-table-headers");
                let layout = Layout {
                    format: self.format,
                    columns: columns.clone(),
                    headed: *headed && !silent,
                    streamed: *streamed,
                };
                let mut printer = Printer::new(BufWriter::new(io::stdout().lock()), layout);
                client.ask(request, |mut row| {
                    for (column, value) in columns.iter().zip(&mut row) {
                        if is_json_text(column) {
                            *value = Value::from(value.to_string());
                        }
                    }
                    printer.row(&row)
                })?;
                printer.finish().map_err(Lost::Output)?;
            }
            Show::SecondValue { otherwise } => {
                self.show_second(name, client, request, otherwise)?;
            }
            Show::Status => {
                let status = client.ask(request, no_rows)?;
                match self.format {
                    Format::Json => self.object(&status)?,
                    _ => print(&status::text(&status))?,
                }
            }
        }
        Ok(())
    }

    fn show_second(
        &self,
        name: &str,
        client: &mut Client,
        request: &Request,
        otherwise: &str,
    ) -> Result<(), Lost> {
        let mut second = None;
        client.ask(request, |row| {
            second = row.get(1).map(Value::to_string);
            Ok(())
        })?;
        if self.format != Format::Json {
            let text = second.as_deref().unwrap_or(otherwise);
            return print(&format!("{text}\n"));
        }
        match second {
            Some(value) if name == "list_vhost_limits" => {
                self.object(&json!({"node": self.node, "result": "ok", "value": value}))
            }
            None if name == "list_vhost_limits" => self.object(&json!([])),
            value => {
                let value = value.unwrap_or_else(|| otherwise.to_owned());
                self.object(&json!({"message": value}))
            }
        }
    }

    #[expect(clippy::unused_self, reason = "one of the ways in which a call writes")]
    fn object(&self, object: &Value) -> Result<(), Lost> {
        print(&format!("{object}\n"))
    }

    /// The end of a command that could not be carried out.
    fn lost(&self, name: &str, lost: Lost) -> Ending {
        let node = &self.node;
        match lost {
            Lost::Failed(problem, message) => {
                failure::ending(name, &self.arguments, problem, &message)
            }
            Lost::Late => {
                let value = self.arguments.number("timeout").unwrap_or(300);
                let value = value.saturating_mul(1000);
                let text = format!(
                    "Error: operation {name} on node {node} timed out. Timeout value used: {value}\n"
                );
                Ending::new(Exit::TryAgain, text)
            }
            Lost::Unreachable(error) => Ending::new(Exit::Unavailable, self.unreachable(&error)),
            // Whoever read the output has seen enough.
            Lost::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ending::new(Exit::Success, "")
            }
            Lost::Output(error) => {
                let text = format!("Error:\nthe output cannot be written: {error}\n");
                Ending::new(Exit::Io, text)
            }
            Lost::Broken(error) => Ending::new(
                Exit::Software,
                format!("Error:\nthe connection to the broker was lost: {error}\n"),
            ),
        }
    }

    fn unreachable(&self, error: &io::Error) -> String {
        let (node, socket, program) = (&self.node, self.socket.display(), self.program);
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "no broker runs there, or its data folder is another",
            io::ErrorKind::ConnectionRefused => "the broker that made it does not run any more",
            io::ErrorKind::PermissionDenied => "only the broker's own user, and root, may use it",
            _ => "see the broker's log",
        };
        format!(
            "Error: unable to perform an operation on node '{node}'. Please see diagnostics information and suggestions below.\n\n\
             DIAGNOSTICS\n===========\n\n\
             attempted to contact: the control socket {socket}\n\n\
             \u{20}* {error}\n\
             \u{20}* {hint}\n\
             \u{20}* suggestion: start the broker, or name its data folder with {program} --data-dir DIR (or the variable \
             LEVERET_DATA_DIR), or its socket with --socket PATH\n\n"
        )
    }
}

/// Columns that hold JSON: shown as text of it.
fn is_json_text(column: &str) -> bool {
    matches!(column, "definition" | "limits" | "value")
}

fn print(text: &str) -> Result<(), Lost> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    written.and_then(|()| output.flush()).map_err(Lost::Output)
}
