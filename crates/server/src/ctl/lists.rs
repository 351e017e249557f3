//! The commands that list what there is.

use leveret::control::{
    BINDING_COLUMNS, CHANNEL_COLUMNS, CONNECTION_COLUMNS, CONSUMER_COLUMNS, EXCHANGE_COLUMNS,
    QUEUE_COLUMNS, Request, VHOST_COLUMNS,
};

use super::arguments::Arguments;
use super::failure::Refusal;
use super::plan::{Planned, Show, plan, whole, words};

/// The columns that are asked for, by words that commas may part too, or those that are shown without asking.
fn columns(arguments: &Arguments, usual: &[&str], known: &[&str]) -> Result<Vec<String>, Refusal> {
    let asked: Vec<String> = arguments
        .rest()
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if asked.is_empty() {
        return Ok(words(usual));
    }
    let mut unknown: Vec<&str> = asked
        .iter()
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(asked);
    }
    unknown.sort_unstable();
    unknown.dedup();
    let unknown = unknown.join(",");
    Err(Refusal::usage(format!(
        "Info key(s) {unknown} are not supported"
    )))
}

pub(super) fn list(name: &str, arguments: &Arguments) -> Planned {
    let vhost = arguments.vhost();
    let streamed = |columns: &[String]| Show::Rows {
        columns: columns.to_vec(),
        streamed: true,
        headed: true,
    };
    match name {
        "list_queues" => {
            let columns = columns(arguments, &["name", "messages"], QUEUE_COLUMNS)?;
            let seconds = arguments.number("timeout").unwrap_or(60);
            let show = streamed(&columns);
            let banner =
                format!("Timeout: {seconds}.0 seconds ...\nListing queues for vhost {vhost} ...");
            plan(banner, Request::ListQueues { vhost, columns }, show)
        }
        "list_exchanges" => {
            let columns = columns(arguments, &["name", "type"], EXCHANGE_COLUMNS)?;
            let show = streamed(&columns);
            let banner = format!("Listing exchanges for vhost {vhost} ...");
            plan(banner, Request::ListExchanges { vhost, columns }, show)
        }
        "list_bindings" => {
            let columns = columns(arguments, BINDING_COLUMNS, BINDING_COLUMNS)?;
            let show = streamed(&columns);
            let banner = format!("Listing bindings for vhost {vhost}...");
            plan(banner, Request::ListBindings { vhost, columns }, show)
        }
        "list_connections" => {
            let usual = ["user", "peer_host", "peer_port", "state"];
            let columns = columns(arguments, &usual, CONNECTION_COLUMNS)?;
            let show = streamed(&columns);
            plan(
                "Listing connections ...",
                Request::ListConnections { columns },
                show,
            )
        }
        "list_channels" => {
            let usual = ["pid", "user", "consumer_count", "messages_unacknowledged"];
            let columns = columns(arguments, &usual, CHANNEL_COLUMNS)?;
            let show = streamed(&columns);
            plan(
                "Listing channels ...",
                Request::ListChannels { columns },
                show,
            )
        }
        "list_consumers" => {
            let usual = CONSUMER_COLUMNS
                .iter()
                .filter(|name| **name != "activity_status");
            let usual: Vec<_> = usual.copied().collect();
            let columns = columns(arguments, &usual, CONSUMER_COLUMNS)?;
            let show = streamed(&columns);
            let banner = format!("Listing consumers in vhost {vhost} ...");
            plan(banner, Request::ListConsumers { vhost, columns }, show)
        }
        "list_vhosts" => {
            let columns = columns(arguments, &["name"], VHOST_COLUMNS)?;
            let show = Show::Rows {
                columns: columns.clone(),
                streamed: false,
                headed: true,
            };
            plan("Listing vhosts ...", Request::ListVhosts { columns }, show)
        }
        _ => list_of_settings(name, arguments),
    }
}

/// Lists that RabbitMQ has all at once.
fn list_of_settings(name: &str, arguments: &Arguments) -> Planned {
    let (user, vhost) = (arguments.word(0), arguments.vhost());
    match name {
        "list_users" => plan(
            "Listing users ...",
            Request::ListUsers,
            whole(&["user", "tags"]),
        ),
        "list_permissions" => plan(
            format!("Listing permissions for vhost \"{vhost}\" ..."),
            Request::ListPermissions { vhost },
            whole(&["user", "configure", "write", "read"]),
        ),
        "list_user_permissions" => plan(
            format!("Listing permissions for user \"{user}\" ..."),
            Request::ListUserPermissions { user },
            whole(&["vhost", "configure", "write", "read"]),
        ),
        "list_topic_permissions" => plan(
            format!("Listing topic permissions for vhost \"{vhost}\" ..."),
            Request::ListTopicPermissions { vhost },
            whole(&["user", "exchange", "write", "read"]),
        ),
        "list_user_topic_permissions" => plan(
            format!("Listing topic permissions for user \"{user}\" ..."),
            Request::ListUserTopicPermissions { user },
            // RabbitMQ forgets the line with the columns.
            Show::Rows {
                columns: words(&["vhost", "exchange", "write", "read"]),
                streamed: false,
                headed: false,
            },
        ),
        "list_policies" | "list_operator_policies" => {
            let operator = name == "list_operator_policies";
            let kind = if operator {
                "operator policy overrides"
            } else {
                "policies"
            };
            plan(
                format!("Listing {kind} for vhost \"{vhost}\" ..."),
                Request::ListPolicies { operator, vhost },
                whole(&[
                    "vhost",
                    "name",
                    "pattern",
                    "apply-to",
                    "definition",
                    "priority",
                ]),
            )
        }
        "list_parameters" => plan(
            format!("Listing runtime parameters for vhost \"{vhost}\" ..."),
            Request::ListParameters { vhost },
            whole(&["component", "name", "value"]),
        ),
        "list_vhost_limits" if arguments.has("global") => plan(
            "Listing limits for all vhosts ...",
            Request::ListVhostLimits { vhost: None },
            whole(&["vhost", "limits"]),
        ),
        "list_vhost_limits" => plan(
            format!("Listing limits for vhost \"{vhost}\" ..."),
            Request::ListVhostLimits { vhost: Some(vhost) },
            Show::SecondValue { otherwise: "" },
        ),
        _ if arguments.has("global") => plan(
            "Listing limits for all users ...",
            Request::ListUserLimits { user: None },
            whole(&["user", "limits"]),
        ),
        _ => {
            let user = arguments.text("user").unwrap_or("guest").to_owned();
            plan(
                format!("Listing limits for user \"{user}\" ..."),
                Request::ListUserLimits { user: Some(user) },
                Show::SecondValue { otherwise: "{}" },
            )
        }
    }
}
