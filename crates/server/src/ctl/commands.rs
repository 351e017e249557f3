//! The commands there are, with rabbitmqctl's names and usages, and the texts of their help.

use std::fmt::Write;

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

const fn command(
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

const HELP: &str = "Help";
const NODES: &str = "Nodes";
const USERS: &str = "Users";
const ACCESS: &str = "Access Control";
const MONITORING: &str = "Monitoring, observability and health checks";
const PARAMETERS: &str = "Parameters";
const POLICIES: &str = "Policies";
const VHOSTS: &str = "Virtual hosts";
const CONFIGURATION: &str = "Configuration and Environment";
const DEFINITIONS: &str = "Definitions";
const OPERATIONS: &str = "Operations";
const QUEUES: &str = "Queues";

/// Every command, in the order of the help.
pub(crate) const COMMANDS: &[Command] = &[
    command(
        HELP,
        "help",
        "[<command>]",
        "Displays usage information for a command",
        0,
        Some(1),
    ),
    command(HELP, "version", "", "Displays the version", 0, Some(0)),
    command(
        NODES,
        "await_startup",
        "",
        "Waits for the node to be ready",
        0,
        Some(0),
    ),
    command(
        NODES,
        "stop",
        "[--idempotent] [<pidfile>]",
        "Stops the node",
        0,
        Some(1),
    ),
    command(
        USERS,
        "add_user",
        "<username> <password>",
        "Creates a new user in the internal database. This user will have no permissions for any virtual hosts by default",
        1,
        Some(2),
    ),
    command(
        USERS,
        "authenticate_user",
        "<username> <password>",
        "Attempts to authenticate a user. Exits with a non-zero code if authentication fails",
        1,
        Some(2),
    ),
    command(
        USERS,
        "change_password",
        "<username> <password>",
        "Changes the user password",
        1,
        Some(2),
    ),
    command(
        USERS,
        "clear_password",
        "<username>",
        "Clears (resets) password and disables password login for a user",
        1,
        Some(1),
    ),
    command(
        USERS,
        "clear_user_limits",
        "<username> <limit_type> | all",
        "Clears user connection/channel limits",
        2,
        Some(2),
    ),
    command(
        USERS,
        "delete_user",
        "<username>",
        "Removes a user from the internal database. Has no effect on users provided by external backends such as LDAP",
        1,
        Some(1),
    ),
    command(
        USERS,
        "list_user_limits",
        "[--user <username>] [--global]",
        "Displays configured user limits",
        0,
        Some(0),
    ),
    command(
        USERS,
        "list_users",
        "[--no-table-headers] [--timeout <timeout>]",
        "List user names and tags",
        0,
        Some(0),
    ),
    command(
        USERS,
        "set_user_limits",
        "<username> <definition>",
        "Sets user limits",
        2,
        Some(2),
    ),
    command(
        USERS,
        "set_user_tags",
        "<username> <tag> [...]",
        "Sets user tags",
        1,
        None,
    ),
    command(
        ACCESS,
        "clear_permissions",
        "[--vhost <vhost>] <username>",
        "Revokes user permissions for a vhost",
        1,
        Some(1),
    ),
    command(
        ACCESS,
        "clear_topic_permissions",
        "[--vhost <vhost>] <username> [<exchange>]",
        "Clears user topic permissions for a vhost or exchange",
        1,
        Some(2),
    ),
    command(
        ACCESS,
        "list_permissions",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists user permissions in a virtual host",
        0,
        Some(0),
    ),
    command(
        ACCESS,
        "list_topic_permissions",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists topic permissions in a virtual host",
        0,
        Some(0),
    ),
    command(
        ACCESS,
        "list_user_permissions",
        "[--no-table-headers] <username> [--timeout <timeout>]",
        "Lists permissions of a user across all virtual hosts",
        1,
        Some(1),
    ),
    command(
        ACCESS,
        "list_user_topic_permissions",
        "[--no-table-headers] <username> [--timeout <timeout>]",
        "Lists user topic permissions",
        1,
        Some(1),
    ),
    command(
        ACCESS,
        "list_vhosts",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists virtual hosts",
        0,
        None,
    ),
    command(
        ACCESS,
        "set_permissions",
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        "Sets user permissions for a vhost",
        4,
        Some(4),
    ),
    command(
        ACCESS,
        "set_topic_permissions",
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        "Sets user topic permissions for an exchange",
        4,
        Some(4),
    ),
    command(
        MONITORING,
        "list_bindings",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists all bindings on a vhost",
        0,
        None,
    ),
    command(
        MONITORING,
        "list_channels",
        "[--no-table-headers] [<column> ...]",
        "Lists all channels in the node",
        0,
        None,
    ),
    command(
        MONITORING,
        "list_connections",
        "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists AMQP 0.9.1 connections for the node",
        0,
        None,
    ),
    command(
        MONITORING,
        "list_consumers",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists all consumers for a vhost",
        0,
        None,
    ),
    command(
        MONITORING,
        "list_exchanges",
        "[--vhost <vhost>] [--no-table-headers] [<column> ...] [--timeout <timeout>]",
        "Lists exchanges",
        0,
        None,
    ),
    command(
        MONITORING,
        "list_queues",
        "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] [<column>, ...] [--timeout <timeout>]",
        "Lists queues and their properties",
        0,
        None,
    ),
    command(
        MONITORING,
        "ping",
        "[--timeout <timeout>]",
        "Checks that the node answers",
        0,
        Some(0),
    ),
    command(
        MONITORING,
        "status",
        "[--unit <unit>] [--timeout <timeout>]",
        "Displays status of a node",
        0,
        Some(0),
    ),
    command(
        PARAMETERS,
        "clear_global_parameter",
        "<name>",
        "Clears a global runtime parameter",
        1,
        Some(1),
    ),
    command(
        PARAMETERS,
        "clear_parameter",
        "[--vhost <vhost>] <component_name> <name>",
        "Clears a runtime parameter of a virtual host",
        2,
        Some(2),
    ),
    command(
        PARAMETERS,
        "set_parameter",
        "[--vhost <vhost>] <component_name> <name> <value>",
        "Sets a runtime parameter of a virtual host",
        3,
        Some(3),
    ),
    command(
        PARAMETERS,
        "list_global_parameters",
        "[--no-table-headers] [--timeout <timeout>]",
        "Lists global runtime parameters",
        0,
        Some(0),
    ),
    command(
        PARAMETERS,
        "list_parameters",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists runtime parameters for a virtual host",
        0,
        Some(0),
    ),
    command(
        PARAMETERS,
        "set_global_parameter",
        "<name> <value>",
        "Sets a runtime parameter",
        2,
        Some(2),
    ),
    command(
        POLICIES,
        "clear_operator_policy",
        "[--vhost <vhost>] <name>",
        "Clears an operator policy",
        1,
        Some(1),
    ),
    command(
        POLICIES,
        "clear_policy",
        "[--vhost <vhost>] <name>",
        "Clears (removes) a policy",
        1,
        Some(1),
    ),
    command(
        POLICIES,
        "list_operator_policies",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists operator policy overrides for a virtual host",
        0,
        Some(0),
    ),
    command(
        POLICIES,
        "list_policies",
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists all policies in a virtual host",
        0,
        Some(0),
    ),
    command(
        POLICIES,
        "set_operator_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        "Sets an operator policy that overrides a subset of arguments in user policies",
        3,
        Some(3),
    ),
    command(
        POLICIES,
        "set_policy",
        "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>",
        "Sets or updates a policy",
        3,
        Some(3),
    ),
    command(
        VHOSTS,
        "add_vhost",
        "<vhost> [--description <description> --tags \"<tag1>,<tag2>,<...>\" --default-queue-type <quorum|classic|stream>]",
        "Creates a virtual host",
        1,
        Some(1),
    ),
    command(
        VHOSTS,
        "clear_vhost_limits",
        "[--vhost <vhost>]",
        "Clears virtual host limits",
        0,
        Some(0),
    ),
    command(
        VHOSTS,
        "delete_vhost",
        "<vhost>",
        "Deletes a virtual host",
        1,
        Some(1),
    ),
    command(
        VHOSTS,
        "list_vhost_limits",
        "[--vhost <vhost>] [--global] [--no-table-headers]",
        "Displays configured virtual host limits",
        0,
        Some(0),
    ),
    command(
        VHOSTS,
        "set_vhost_limits",
        "[--vhost <vhost>] <definition>",
        "Sets virtual host limits",
        1,
        Some(1),
    ),
    command(
        VHOSTS,
        "set_vhost_tags",
        "<vhost> <tag> [...]",
        "Sets virtual host tags",
        1,
        None,
    ),
    command(
        VHOSTS,
        "trace_off",
        "[--vhost <vhost>]",
        "Stops the copying of messages to amq.rabbitmq.trace",
        0,
        Some(0),
    ),
    command(
        VHOSTS,
        "trace_on",
        "[--vhost <vhost>]",
        "Starts the copying of messages to amq.rabbitmq.trace",
        0,
        Some(0),
    ),
    command(
        CONFIGURATION,
        "set_disk_free_limit",
        "<disk_limit> | mem_relative <fraction>",
        "Sets the disk_free_limit setting",
        1,
        Some(2),
    ),
    command(
        CONFIGURATION,
        "set_vm_memory_high_watermark",
        "<fraction> | absolute <value>",
        "Sets the vm_memory_high_watermark setting",
        1,
        Some(2),
    ),
    command(
        DEFINITIONS,
        "export_definitions",
        "<file_path | \"-\"> [--format <json | erlang>] [--timeout <timeout>]",
        "Exports definitions in JSON",
        1,
        Some(1),
    ),
    command(
        DEFINITIONS,
        "import_definitions",
        "<file_path | \"-\"> [--format <json | erlang>] [--skip-if-unchanged] [--timeout <timeout>]",
        "Imports definitions in JSON",
        0,
        Some(1),
    ),
    command(
        OPERATIONS,
        "close_all_connections",
        "[--vhost <vhost> --limit <limit>] [-n <node> --global] [--per-connection-delay <delay>] <explanation>",
        "Instructs the broker to close all connections for the specified vhost or entire RabbitMQ node",
        1,
        Some(1),
    ),
    command(
        OPERATIONS,
        "close_all_user_connections",
        "<username> <explanation>",
        "Instructs the broker to close all connections of the specified user",
        2,
        Some(2),
    ),
    command(
        OPERATIONS,
        "close_connection",
        "<connection pid> <explanation>",
        "Instructs the broker to close the connection with the pid that list_connections shows",
        2,
        Some(2),
    ),
    command(
        QUEUES,
        "delete_queue",
        "<queue_name> [--if-empty|-e] [--if-unused|-u] [--timeout <timeout>]",
        "Deletes a queue",
        1,
        Some(1),
    ),
    command(
        QUEUES,
        "purge_queue",
        "<queue> [--timeout <timeout>]",
        "Purges a queue (removes all messages in it)",
        1,
        Some(1),
    ),
];

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
