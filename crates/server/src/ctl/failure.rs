//! What is said when a command fails, and with which code it ends: those of rabbitmqctl.

use leveret::control::Problem;

use super::arguments::Arguments;
use super::commands::Command;
use crate::exit::Exit;

/// A command line that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    reason: String,
    exit: Exit,
}

impl Refusal {
    /// The command is not used like that.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            exit: Exit::Usage,
        }
    }

    /// An argument is nothing that the command could work with.
    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            exit: Exit::Data,
        }
    }

    pub(crate) fn too_many() -> Self {
        Self::usage("too many arguments.")
    }

    pub(crate) fn too_few() -> Self {
        Self::usage("not enough arguments.")
    }

    /// With what was given, and how the command is used.
    pub(crate) fn ending(self, command: &Command, arguments: &Arguments, program: &str) -> Ending {
        let (reason, usage) = (&self.reason, command.usage(program));
        let given = without_secrets(command, arguments);
        Ending {
            text: format!(
                "Error (argument validation): {reason}\nArguments given:\n\t{given}\n{usage}"
            ),
            exit: self.exit,
        }
    }
}

/// The arguments as they were given, but for passwords: standard error may end up in a log.
fn without_secrets(command: &Command, arguments: &Arguments) -> String {
    let takes_password = matches!(
        command.name,
        "add_user" | "authenticate_user" | "change_password"
    );
    let secrets = match arguments.rest() {
        [_, secrets @ ..] if takes_password => secrets,
        _ => &[],
    };
    let shown = arguments.given.iter().map(|word| {
        if secrets.contains(word) {
            "[hidden]"
        } else {
            word
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// How a command that failed ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// For standard error.
    pub(crate) text: String,
    pub(crate) exit: Exit,
}

impl Ending {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            exit,
        }
    }

    fn error(exit: Exit, reason: &str) -> Self {
        Self::new(exit, format!("Error:\n{reason}\n"))
    }
}

/// Text that is no JSON where JSON must be.
pub(crate) fn not_json() -> Ending {
    Ending::error(Exit::Unavailable, "JSON decoding error. Reason: badarg")
}

/// Nobody typed a password.
pub(crate) fn no_password() -> Ending {
    Ending::error(
        Exit::Software,
        "Password is not provided via argument or stdin",
    )
}

/// The end of a command that the broker did not carry out. RabbitMQ's words and codes differ from command to command.
pub(crate) fn ending(
    command: &str,
    arguments: &Arguments,
    problem: Problem,
    message: &str,
) -> Ending {
    let (first, vhost) = (arguments.word(0), arguments.vhost());
    let is_permission = command.ends_with("permissions");
    let changes = command.starts_with("set_") || command.starts_with("clear_");
    match problem {
        Problem::UserExists => Ending::error(Exit::Software, message),
        Problem::NoSuchUser if is_permission && changes => {
            Ending::error(Exit::NoUser, &format!("User {first} does not exist"))
        }
        Problem::NoSuchUser
            if matches!(command, "delete_user" | "change_password" | "set_user_tags") =>
        {
            Ending::error(Exit::NoUser, message)
        }
        Problem::NoSuchUser => {
            let user = arguments.text("user").unwrap_or(&first);
            Ending::error(Exit::Unavailable, &format!("{{:no_such_user, {user:?}}}"))
        }
        Problem::NoSuchVhost if is_permission && changes => Ending::error(
            Exit::Unavailable,
            &format!("Virtual host {vhost} does not exist"),
        ),
        Problem::NoSuchVhost if command == "set_vhost_tags" => Ending::error(
            Exit::Data,
            &format!("Virtual host \"{first}\" does not exist"),
        ),
        Problem::NoSuchVhost | Problem::NoSuchQueue if command == "delete_queue" => {
            Ending::error(Exit::Usage, "Queue not found")
        }
        Problem::NoSuchVhost | Problem::NoSuchQueue if command == "purge_queue" => {
            Ending::error(Exit::Unavailable, "not_found")
        }
        Problem::NoSuchVhost => Ending::new(Exit::Data, format!("{message}\n")),
        Problem::NoSuchParameter => Ending::error(Exit::Unavailable, "Parameter does not exist"),
        Problem::NoSuchConnection => {
            let reason = format!("Error:\n{{:invalid_pid_syntax, {first:?}}}");
            Ending::error(Exit::Unavailable, &reason)
        }
        Problem::InUse => Ending::error(Exit::Usage, "Queue is in use"),
        Problem::NotEmpty => Ending::error(Exit::Usage, "Queue is not empty"),
        Problem::BadPassword => {
            let reason = format!("Error: failed to authenticate user \"{first}\"\n{message}");
            Ending::error(Exit::Data, &reason)
        }
        Problem::BadValue if matches!(command, "set_vhost_limits" | "set_parameter") => {
            Ending::error(
                Exit::Unavailable,
                &format!("Validation failed\n\n{message}\n"),
            )
        }
        Problem::BadValue if command == "import_definitions" => Ending::error(Exit::Data, message),
        Problem::NoSuchQueue
        | Problem::BadPattern
        | Problem::BadValue
        | Problem::BadRequest
        | Problem::Unavailable => Ending::error(Exit::Unavailable, message),
    }
}
