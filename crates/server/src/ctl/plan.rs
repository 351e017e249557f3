//! From a command's arguments to what is asked of the broker, and how the answer is shown.

use std::borrow::Cow;

use leveret::control::Request;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::failure::Refusal;
use super::{lists, password};

/// How the answer is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Show {
    /// That it is done.
    Done,
    /// In these words; the value that came stands for `{}`.
    Message(Cow<'static, str>),
    /// Rows of these columns. RabbitMQ has some lists row by row, others at once.
    Rows {
        columns: Vec<String>,
        streamed: bool,
        headed: bool,
    },
    /// The second value of the only row.
    SecondValue {
        /// What is shown where there is none.
        otherwise: &'static str,
    },
    /// What the node is and has.
    Status,
    /// Nothing, once the process has ended.
    Ended,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The line before everything else.
    pub(crate) banner: Option<String>,
    pub(crate) request: Asked,
    pub(crate) show: Show,
}

/// What is asked, perhaps with something that is read only when the broker is there.
#[derive(Debug)]
pub(crate) enum Asked {
    Now(Request),
    /// With the password that the user types.
    WithPassword(fn(String, String) -> Request, String),
}

pub(super) type Planned = Result<Plan, Refusal>;

#[expect(clippy::unnecessary_wraps, reason = "as every plan is had")]
pub(super) fn plan(banner: impl Into<String>, request: Request, show: Show) -> Planned {
    Ok(Plan {
        banner: Some(banner.into()),
        request: Asked::Now(request),
        show,
    })
}

pub(super) fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A list that RabbitMQ has all at once.
pub(super) fn whole(columns: &[&str]) -> Show {
    Show::Rows {
        columns: words(columns),
        streamed: false,
        headed: true,
    }
}

/// The plan for a command whose arguments are as many as they should be. `node` is the node's name.
pub(crate) fn of(name: &str, arguments: &Arguments, node: &str) -> Planned {
    let first = || arguments.word(0);
    match name {
        "ping" => {
            let seconds = arguments.number("timeout").unwrap_or(60);
            plan(
                format!(
                    "Will ping {node}. This only checks if the broker answers. Timeout: {} ms.",
                    seconds.saturating_mul(1000)
                ),
                Request::Ping,
                Show::Message("Ping succeeded".into()),
            )
        }
        "await_startup" => Ok(Plan {
            banner: None,
            request: Asked::Now(Request::Ping),
            show: Show::Done,
        }),
        "status" => plan(
            format!("Status of node {node} ..."),
            Request::Status,
            Show::Status,
        ),
        "stop" => plan(
            format!("Stopping and halting node {node} ..."),
            Request::Stop,
            Show::Ended,
        ),
        "trace_on" => trace("Starting", "enabled", arguments.vhost(), |vhost| {
            Request::StartTracing { vhost }
        }),
        "trace_off" => trace("Stopping", "disabled", arguments.vhost(), |vhost| {
            Request::StopTracing { vhost }
        }),
        "set_vm_memory_high_watermark" => set_memory_high_watermark(arguments, node),
        "set_disk_free_limit" => set_disk_free_limit(arguments, node),
        "set_parameter" | "clear_parameter" => parameter(name, arguments),
        "set_global_parameter" => Ok(Plan {
            banner: Some(format!(
                "Setting global runtime parameter \"{}\" to \"{}\" ...",
                first(),
                arguments.word(1)
            )),
            request: Asked::Now(Request::SetGlobalParameter {
                name: first(),
                value: json_of(&arguments.word(1)),
            }),
            show: Show::Done,
        }),
        "clear_global_parameter" => plan(
            format!("Clearing global runtime parameter \"{}\" ...", first()),
            Request::ClearGlobalParameter { name: first() },
            Show::Done,
        ),
        "list_global_parameters" => plan(
            "Listing global runtime parameters ...",
            Request::ListGlobalParameters,
            whole(&["name", "value"]),
        ),
        _ if name.ends_with("_queue") || name.starts_with("close_") => operation(name, arguments),
        _ if name.starts_with("list_") => lists::list(name, arguments),
        _ if name.contains("polic") => policy(name, arguments),
        _ if name.contains("vhost") => vhost(name, arguments),
        _ if name.contains("permissions") => permissions(name, arguments),
        _ => user(name, arguments),
    }
}

fn trace(doing: &str, done: &str, vhost: String, request: fn(String) -> Request) -> Planned {
    let banner = format!("{doing} tracing for vhost \"{vhost}\" ...");
    let told = format!("Trace {done} for vhost {vhost}");
    plan(banner, request(vhost), Show::Message(told.into()))
}

/// JSON as it was given. What is none is told once the banner is out, as a broker would.
fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The argument of a command that must be JSON, if it has one: its index.
pub(crate) fn json_argument(name: &str) -> Option<usize> {
    match name {
        "set_vhost_limits" => Some(0),
        "set_user_limits" | "set_global_parameter" => Some(1),
        "set_policy" | "set_operator_policy" | "set_parameter" => Some(2),
        _ => None,
    }
}

/// What is done to queues and connections.
fn operation(name: &str, arguments: &Arguments) -> Planned {
    let first = || arguments.word(0);
    match name {
        "purge_queue" => plan(
            format!(
                "Purging queue '{}' in vhost '{}' ...",
                first(),
                arguments.vhost()
            ),
            Request::PurgeQueue {
                vhost: arguments.vhost(),
                queue: first(),
            },
            Show::Done,
        ),
        "delete_queue" => delete_queue(arguments),
        "close_connection" => plan(
            format!(
                "Closing connection {}, reason: {}...",
                first(),
                arguments.word(1)
            ),
            Request::CloseConnection {
                pid: first(),
                reason: arguments.word(1),
            },
            Show::Done,
        ),
        "close_all_connections" => close_all_connections(arguments),
        _ => plan(
            format!(
                "Closing connections of user {}, reason: {}...",
                first(),
                arguments.word(1)
            ),
            Request::CloseConnections {
                vhost: None,
                user: Some(first()),
                limit: None,
                delay_milliseconds: 0,
                reason: arguments.word(1),
            },
            Show::Done,
        ),
    }
}

fn delete_queue(arguments: &Arguments) -> Planned {
    let (if_empty, if_unused) = (arguments.has("if-empty"), arguments.has("if-unused"));
    let conditions = match (if_empty, if_unused) {
        (true, true) => " if queue is empty and if queue is unused",
        (true, false) => " if queue is empty",
        (false, true) => " if queue is unused",
        (false, false) => "",
    };
    let (queue, vhost) = (arguments.word(0), arguments.vhost());
    plan(
        format!("Deleting queue '{queue}' on vhost '{vhost}'{conditions} ..."),
        Request::DeleteQueue {
            vhost,
            queue,
            if_unused,
            if_empty,
        },
        Show::Message("Queue was successfully deleted with {} ready messages".into()),
    )
}

fn close_all_connections(arguments: &Arguments) -> Planned {
    let (vhost, reason) = (arguments.vhost(), arguments.word(0));
    let is_global = arguments.has("global");
    let banner = if is_global {
        format!("Closing all connections to node, reason: {reason}...")
    } else {
        format!("Closing all connections in vhost {vhost}, reason: {reason}...")
    };
    // RabbitMQ takes 0 for no limit.
    let limit = arguments.number("limit").filter(|limit| *limit > 0);
    let delay = arguments.number("per-connection-delay").unwrap_or(0);
    plan(
        banner,
        Request::CloseConnections {
            vhost: (!is_global).then_some(vhost),
            user: None,
            limit: limit.and_then(|limit| u64::try_from(limit).ok()),
            delay_milliseconds: u64::try_from(delay).unwrap_or(0),
            reason,
        },
        Show::Message("Closed {} connections".into()),
    )
}

fn set_memory_high_watermark(arguments: &Arguments, node: &str) -> Planned {
    let (kind, value) = (arguments.word(0), arguments.rest().get(1));
    let (shown, watermark) = match (kind.as_str(), value) {
        ("absolute", Some(size)) => {
            // A whole number here is no part, as it is in the setting.
            let digits = size.bytes().all(|octet| octet.is_ascii_digit());
            let octets = if digits {
                format!("{size}b")
            } else {
                size.clone()
            };
            (format!("{size} bytes"), octets)
        }
        (_, Some(_)) => return Err(Refusal::too_many()),
        (part, None) => match part.parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => (part.to_owned(), format!("{number:?}")),
            Ok(_) => {
                return Err(Refusal::bad(
                    "Bad argument: The threshold should be a fraction between 0.0 and 1.0",
                ));
            }
            Err(_) => return Err(Refusal::bad("Bad argument.")),
        },
    };
    if !is_watermark(&watermark) {
        return Err(Refusal::bad("Bad argument: Invalid units."));
    }
    plan(
        format!("Setting memory threshold on {node} to {shown} ..."),
        Request::SetMemoryHighWatermark { watermark },
        Show::Done,
    )
}

fn is_watermark(text: &str) -> bool {
    text.parse::<leveret::config::Watermark>().is_ok()
}

fn set_disk_free_limit(arguments: &Arguments, node: &str) -> Planned {
    use leveret::config::Watermark;
    let (kind, value) = (arguments.word(0), arguments.rest().get(1));
    match (kind.as_str(), value) {
        ("mem_relative", Some(part)) => match part.parse::<f64>() {
            Ok(part) if part >= 0.0 && part.is_finite() => plan(
                format!("Setting disk free limit on {node} to {part:?} times the total RAM ..."),
                Request::SetDiskFreeLimitByMemory { part },
                Show::Done,
            ),
            _ => Err(Refusal::bad("Bad argument.")),
        },
        (_, Some(_)) => Err(Refusal::too_many()),
        (size, None) => {
            let digits = size.bytes().all(|octet| octet.is_ascii_digit()) && !size.is_empty();
            let text = if digits {
                format!("{size}b")
            } else {
                size.to_owned()
            };
            let Ok(Watermark::Absolute(octets)) = text.parse() else {
                return Err(Refusal::bad("Bad argument."));
            };
            plan(
                format!("Setting disk free limit on {node} to {size} bytes ..."),
                Request::SetDiskFreeLimit { octets },
                Show::Done,
            )
        }
    }
}

fn parameter(command: &str, arguments: &Arguments) -> Planned {
    let (component, name) = (arguments.word(0), arguments.word(1));
    let (text, vhost) = (arguments.word(2), arguments.vhost());
    if command == "clear_parameter" {
        return plan(
            format!(
                "Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ..."
            ),
            Request::ClearParameter {
                vhost,
                component,
                name,
            },
            Show::Done,
        );
    }
    plan(
        format!(
            "Setting runtime parameter \"{name}\" for component \"{component}\" to \"{text}\" in vhost \"{vhost}\" ..."
        ),
        Request::SetParameter {
            vhost,
            component,
            name,
            value: json_of(&text),
        },
        Show::Done,
    )
}

fn user(name: &str, arguments: &Arguments) -> Planned {
    let first = arguments.word(0);
    match name {
        "add_user" if first.is_empty() => {
            Err(Refusal::bad("Bad argument: user cannot be an empty string"))
        }
        "add_user" => password::plan(
            format!("Adding user \"{first}\" ..."),
            arguments,
            |name, password| Request::AddUser {
                name,
                password: password.into(),
            },
            Show::Message(
                "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.".into(),
            ),
        ),
        "change_password" => password::plan(
            format!("Changing password for user \"{first}\" ..."),
            arguments,
            |name, password| Request::ChangePassword {
                name,
                password: password.into(),
            },
            Show::Done,
        ),
        "authenticate_user" => password::plan(
            format!("Authenticating user \"{first}\" ..."),
            arguments,
            |name, password| Request::AuthenticateUser {
                name,
                password: password.into(),
            },
            Show::Message("Success".into()),
        ),
        "delete_user" => plan(
            format!("Deleting user \"{first}\" ..."),
            Request::DeleteUser { name: first },
            Show::Done,
        ),
        "clear_password" => plan(
            format!("Clearing password for user \"{first}\" ..."),
            Request::ClearPassword { name: first },
            Show::Done,
        ),
        "set_user_tags" => {
            let tags = arguments.rest().get(1..).unwrap_or_default().to_vec();
            plan(
                format!(
                    "Setting tags for user \"{first}\" to [{}] ...",
                    tags.join(", ")
                ),
                Request::SetUserTags { name: first, tags },
                Show::Done,
            )
        }
        "set_user_limits" => plan(
            format!(
                "Setting user limits to \"{}\" for user \"{first}\" ...",
                arguments.word(1)
            ),
            Request::SetUserLimits {
                user: first,
                limits: json_of(&arguments.word(1)),
            },
            Show::Done,
        ),
        "clear_user_limits" => {
            let limit = arguments.word(1);
            let banner = if limit == "all" {
                format!("Clearing all limits for user \"{first}\" ...")
            } else {
                format!("Clearing \"{limit}\" limit for user \"{first}\" ...")
            };
            let limit = (limit != "all").then_some(limit);
            plan(
                banner,
                Request::ClearUserLimits { user: first, limit },
                Show::Done,
            )
        }
        _ => Err(Refusal::bad("Bad argument.")),
    }
}

fn vhost(name: &str, arguments: &Arguments) -> Planned {
    let (first, vhost) = (arguments.word(0), arguments.vhost());
    match name {
        "add_vhost" => {
            let mut metadata = Map::new();
            let tags = arguments.text("tags").unwrap_or_default();
            let tags: Vec<_> = tags.split(',').filter(|tag| !tag.is_empty()).collect();
            if !tags.is_empty() {
                metadata.insert("tags".to_owned(), json!(tags));
            }
            for (option, key) in [
                ("description", "description"),
                ("default-queue-type", "default_queue_type"),
            ] {
                if let Some(text) = arguments.text(option) {
                    metadata.insert(key.to_owned(), json!(text));
                }
            }
            plan(
                format!("Adding vhost \"{first}\" ..."),
                Request::AddVhost {
                    name: first,
                    metadata,
                },
                Show::Done,
            )
        }
        "set_vhost_tags" => {
            let tags = arguments.rest().get(1..).unwrap_or_default().to_vec();
            let shown = tags.join(", ");
            plan(
                format!("Setting tags for virtual host \"{first}\" to [{shown}] ..."),
                Request::SetVhostTags { name: first, tags },
                Show::Done,
            )
        }
        "delete_vhost" => plan(
            format!("Deleting vhost \"{first}\" ..."),
            Request::DeleteVhost { name: first },
            Show::Done,
        ),
        "set_vhost_limits" => plan(
            format!("Setting vhost limits to \"{first}\" for vhost \"{vhost}\" ..."),
            Request::SetVhostLimits {
                vhost,
                limits: json_of(&first),
            },
            Show::Done,
        ),
        _ => plan(
            format!("Clearing vhost \"{vhost}\" limits ..."),
            Request::ClearVhostLimits { vhost },
            Show::Done,
        ),
    }
}

fn policy(name: &str, arguments: &Arguments) -> Planned {
    let operator = name.contains("operator");
    let (first, vhost) = (arguments.word(0), arguments.vhost());
    if name.starts_with("clear") {
        let kind = if operator {
            "operator policy"
        } else {
            "policy"
        };
        return plan(
            format!("Clearing {kind} \"{first}\" on vhost \"{vhost}\" ..."),
            Request::ClearPolicy {
                operator,
                vhost,
                name: first,
            },
            Show::Done,
        );
    }
    let kind = if operator {
        "operator policy override"
    } else {
        "policy"
    };
    let (pattern, definition) = (arguments.word(1), arguments.word(2));
    let priority = arguments.number("priority").unwrap_or(0);
    plan(
        format!(
            "Setting {kind} \"{first}\" for pattern \"{pattern}\" to \"{definition}\" with priority \"{priority}\" for vhost \"{vhost}\" ..."
        ),
        Request::SetPolicy {
            operator,
            vhost,
            name: first,
            pattern,
            definition: json_of(&definition),
            priority,
            apply_to: arguments.text("apply-to").unwrap_or("all").to_owned(),
        },
        Show::Done,
    )
}

fn permissions(name: &str, arguments: &Arguments) -> Planned {
    let (user, vhost) = (arguments.word(0), arguments.vhost());
    let exchange = arguments.word(1);
    match name {
        "set_permissions" => plan(
            format!("Setting permissions for user \"{user}\" in vhost \"{vhost}\" ..."),
            Request::SetPermissions {
                user,
                vhost,
                configure: arguments.word(1),
                write: arguments.word(2),
                read: arguments.word(3),
            },
            Show::Done,
        ),
        "clear_permissions" => plan(
            format!("Clearing permissions for user \"{user}\" in vhost \"{vhost}\" ..."),
            Request::ClearPermissions { user, vhost },
            Show::Done,
        ),
        "set_topic_permissions" => plan(
            format!(
                "Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ..."
            ),
            Request::SetTopicPermissions {
                user,
                vhost,
                exchange,
                write: arguments.word(2),
                read: arguments.word(3),
            },
            Show::Done,
        ),
        _ => {
            let exchange = arguments.rest().get(1).cloned();
            let of = exchange.as_ref().map(|name| format!(" on \"{name}\""));
            let of = of.unwrap_or_default();
            plan(
                format!(
                    "Clearing topic permissions{of} for user \"{user}\" in vhost \"{vhost}\" ..."
                ),
                Request::ClearTopicPermissions {
                    user,
                    vhost,
                    exchange,
                },
                Show::Done,
            )
        }
    }
}
