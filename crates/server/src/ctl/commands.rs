//! The commands there are, with rabbitmqctl's names and usages, and the texts of their help.

use std::fmt::Write;

pub(crate) use super::table::COMMANDS;

/// A command, as its help tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// The section of the list of commands.
    section: &'static str,
    pub(crate) name: &'static str,
    /// Its options and arguments.
    usage: &'static str,
    /// What it does.
    about: &'static str,
    pub(crate) fewest: usize,
    /// Arguments at most; `None`: any number.
    pub(crate) most: Option<usize>,
}

pub(super) const fn command(
    section: &'static str,
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    fewest: usize,
    most: Option<usize>,
) -> Command {
    Command {
        section,
        name,
        usage,
        about,
        fewest,
        most,
    }
}

/// Words in capitals of the help, in bold as RabbitMQ has them, wherever they go.
fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

/// What is accepted by all commands.
const GENERAL_OPTIONS: &str = "The following options are accepted by most or all commands.

short            | long            | description
-----------------|-----------------|--------------------------------
-?               | --help          | displays command help
                 | --data-dir DIR  | data folder of the broker
                 | --socket PATH   | control socket of the broker
                 | --config FILE   | configuration file of the broker
-n <node>        | --node <node>   | name of the node, for messages
-t               | --timeout <n>   | operation timeout in seconds
-q               | --quiet         | suppress informational messages
-s               | --silent        | suppress informational messages
                                   | and table header row
-p               | --vhost         | for commands that are scoped to a virtual host,
                 |                 | virtual host to use
                 | --formatter     | alternative result formatter to use:
                                   | json, pretty_table, table, csv, erlang
";

impl Command {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }

    /// `program` is what it was called as.
    pub(crate) fn usage(&self, program: &str) -> String {
        let (name, usage) = (self.name, self.usage);
        let space = if usage.is_empty() { "" } else { " " };
        let title = bold("Usage");
        format!(
            "\n{title}\n\n{program} [--node <node>] [--longnames] [--quiet] {name}{space}{usage}\n"
        )
    }

    /// All that there is to tell of it.
    pub(crate) fn help(&self, program: &str) -> String {
        let (usage, about) = (self.usage(program), self.about);
        let title = bold("General Options");
        format!("{usage}\n{about}.\n\n\n{title}\n\n{GENERAL_OPTIONS}")
    }
}

/// What commands there are.
pub(crate) fn overview(program: &str) -> String {
    let title = bold("Usage");
    let mut text = format!(
        "\n{title}\n\n{program} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command options>]\n\nAvailable commands:\n"
    );
    let mut section = "";
    for command in COMMANDS {
        if command.section != section {
            section = command.section;
            let _ = write!(text, "\n{}:\n\n", bold(section));
        }
        let _ = writeln!(text, "   {:<29} {}", command.name, command.about);
    }
    let _ = writeln!(
        text,
        "\nUse '{program} help <command>' to learn more about a specific command"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sections_hang_together() {
        let mut names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COMMANDS.len());
        let mut sections: Vec<_> = COMMANDS.iter().map(|command| command.section).collect();
        sections.dedup();
        let runs = sections.len();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), runs);
    }

    #[test]
    fn the_help_names_every_command() {
        let overview = overview("rabbitmqctl");
        for command in COMMANDS {
            assert!(overview.contains(&format!("\n   {} ", command.name)));
            assert!(command.help("rabbitmqctl").contains(command.about));
        }
    }

    #[test]
    fn a_usage_is_rabbitmqs() {
        assert_eq!(
            Command::find("purge_queue").unwrap().usage("rabbitmqctl"),
            "\n\u{1b}[1mUsage\u{1b}[0m\n\nrabbitmqctl [--node <node>] [--longnames] [--quiet] purge_queue <queue> [--timeout <timeout>]\n"
        );
    }
}
