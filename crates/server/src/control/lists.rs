//! Lists: what there is on the node, row by row.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use leveret_broker::{ChannelListing, PolicyKind, UserLimits, Vhost, VhostLimits};
use serde_json::{Map, Value, json};

use super::columns::{
    BINDING_COLUMNS, CHANNEL_COLUMNS, CONNECTION_COLUMNS, CONSUMER_COLUMNS, EXCHANGE_COLUMNS,
    QUEUE_COLUMNS, VHOST_COLUMNS, binding_cell, exchange_cell,
};
use super::operations::Outcome;
use super::reply::{Failed, Problem};
use super::serve::{Answer, Operator};

/// How long connections have to tell of their channels.
const INQUIRY_TIMEOUT: Duration = Duration::from_secs(15);

/// The argument of a queue that gives one consumer at a time its messages.
const SINGLE_ACTIVE_CONSUMER: &str = "x-single-active-consumer";

/// Octets of one row of exported definitions.
const EXPORT_PIECE: usize = 32 << 10;

/// All rows have been given.
const DONE: Outcome = Ok(Value::Null);

fn check_columns(asked: &[String], known: &[&str]) -> Result<(), Failed> {
    match asked.iter().find(|column| !known.contains(&&***column)) {
        None => Ok(()),
        Some(column) => Err(Failed::new(
            Problem::BadRequest,
            format!("there is no column {column:?}"),
        )),
    }
}

/// One row: `columns` of a thing.
fn cells(columns: &[String], cell: impl Fn(&str) -> Value) -> Vec<Value> {
    columns.iter().map(|column| cell(column)).collect()
}

impl Operator {
    /// As RabbitMQ has it: a vhost that is not there has nothing in it.
    fn vhost_if_there(&self, name: &str) -> Option<Arc<Vhost>> {
        self.node.broker.vhost(name)
    }

    pub(super) fn list_vhosts(&self, columns: &[String], answer: &mut Answer) -> Outcome {
        check_columns(columns, VHOST_COLUMNS)?;
        let mut vhosts = self.node.broker.vhosts();
        vhosts.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        for vhost in vhosts {
            if !answer.row(cells(columns, |column| self.vhost_cell(&vhost, column))) {
                break;
            }
        }
        DONE
    }

    pub(super) fn list_queues(
        &self,
        vhost: &str,
        columns: &[String],
        answer: &mut Answer,
    ) -> Outcome {
        check_columns(columns, QUEUE_COLUMNS)?;
        if let Some(vhost) = self.vhost_if_there(vhost) {
            for queue in vhost.queue_listings() {
                if !answer.row(cells(columns, |column| self.queue_cell(&queue, column))) {
                    break;
                }
            }
        }
        DONE
    }

    pub(super) fn list_exchanges(
        &self,
        vhost: &str,
        columns: &[String],
        answer: &mut Answer,
    ) -> Outcome {
        check_columns(columns, EXCHANGE_COLUMNS)?;
        if let Some(vhost) = self.vhost_if_there(vhost) {
            for exchange in vhost.list_exchanges() {
                if !answer.row(cells(columns, |column| exchange_cell(&exchange, column))) {
                    break;
                }
            }
        }
        DONE
    }

    pub(super) fn list_bindings(
        &self,
        vhost: &str,
        columns: &[String],
        answer: &mut Answer,
    ) -> Outcome {
        check_columns(columns, BINDING_COLUMNS)?;
        if let Some(vhost) = self.vhost_if_there(vhost) {
            for binding in vhost.list_bindings() {
                if !answer.row(cells(columns, |column| binding_cell(&binding, column))) {
                    break;
                }
            }
        }
        DONE
    }

    pub(super) fn list_connections(&self, columns: &[String], answer: &mut Answer) -> Outcome {
        check_columns(columns, CONNECTION_COLUMNS)?;
        for connection in self.node.broker.list_connections() {
            let row = cells(columns, |column| self.connection_cell(&connection, column));
            if !answer.row(row) {
                break;
            }
        }
        DONE
    }

    pub(super) fn list_channels(&self, columns: &[String], answer: &mut Answer) -> Outcome {
        check_columns(columns, CHANNEL_COLUMNS)?;
        for channel in self.channels()? {
            if !answer.row(cells(columns, |column| self.channel_cell(&channel, column))) {
                break;
            }
        }
        DONE
    }

    pub(super) fn list_consumers(
        &self,
        vhost: &str,
        columns: &[String],
        answer: &mut Answer,
    ) -> Outcome {
        check_columns(columns, CONSUMER_COLUMNS)?;
        let Some(there) = self.vhost_if_there(vhost) else {
            return DONE;
        };
        let queues = there.queue_listings();
        let single: BTreeSet<String> = queues
            .filter(|queue| queue.arguments.get(SINGLE_ACTIVE_CONSUMER) == Some(&json!(true)))
            .map(|queue| queue.name)
            .collect();
        let channels = self.channels()?;
        let there = channels.iter().filter(|channel| &*channel.vhost == vhost);
        let consumers =
            there.flat_map(|channel| channel.consumers.iter().map(move |one| (channel, one)));
        for of in consumers {
            let is_single = single.contains(&of.1.queue);
            let row = cells(columns, |column| self.consumer_cell(of, is_single, column));
            if !answer.row(row) {
                break;
            }
        }
        DONE
    }

    /// What all connections have open, oldest connection first.
    fn channels(&self) -> Result<Vec<ChannelListing>, Failed> {
        let answers = self.node.broker.inquire_channels();
        let deadline = Instant::now() + INQUIRY_TIMEOUT;
        let mut channels = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match answers.recv_timeout(left) {
                Ok(of_connection) => channels.extend(of_connection),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let reason = "some connections did not tell of their channels in time";
                    return Err(Failed::new(Problem::Unavailable, reason));
                }
            }
        }
        channels.sort_unstable_by_key(|channel| (channel.connection, channel.number));
        Ok(channels)
    }

    pub(super) fn list_users(&self, answer: &mut Answer) -> Outcome {
        for user in self.node.broker.list_users() {
            answer.row(vec![json!(user.name), json!(user.tags)]);
        }
        DONE
    }

    pub(super) fn list_user_limits(&self, user: Option<&str>, answer: &mut Answer) -> Outcome {
        let users = self.node.broker.list_users();
        if let Some(name) = user
            && users.iter().all(|user| user.name != name)
        {
            let reason = format!("User \"{name}\" does not exist");
            return Err(Failed::new(Problem::NoSuchUser, reason));
        }
        for one in users {
            let is_asked_for = match user {
                Some(name) => one.name == name,
                None => one.limits != UserLimits::default(),
            };
            if is_asked_for {
                answer.row(vec![json!(one.name), one.limits.to_json()]);
            }
        }
        DONE
    }

    pub(super) fn list_vhost_limits(&self, vhost: Option<&str>, answer: &mut Answer) -> Outcome {
        let vhosts = match vhost {
            Some(name) => vec![self.vhost(name)?],
            None => self.node.broker.vhosts(),
        };
        for vhost in vhosts {
            let limits = vhost.limits();
            if limits != VhostLimits::default() {
                answer.row(vec![json!(&**vhost.name()), limits_json(limits)]);
            }
        }
        DONE
    }

    pub(super) fn list_permissions(&self, vhost: &str, answer: &mut Answer) -> Outcome {
        for (user, may) in self.node.broker.list_permissions(vhost)? {
            answer.row(vec![
                json!(user),
                json!(may.configure),
                json!(may.write),
                json!(may.read),
            ]);
        }
        DONE
    }

    pub(super) fn list_user_permissions(&self, user: &str, answer: &mut Answer) -> Outcome {
        for (vhost, may) in self.node.broker.list_user_permissions(user)? {
            answer.row(vec![
                json!(vhost),
                json!(may.configure),
                json!(may.write),
                json!(may.read),
            ]);
        }
        DONE
    }

    pub(super) fn list_topic_permissions(&self, vhost: &str, answer: &mut Answer) -> Outcome {
        for (user, exchange, may) in self.node.broker.list_topic_permissions(vhost)? {
            answer.row(vec![
                json!(user),
                json!(exchange),
                json!(may.write),
                json!(may.read),
            ]);
        }
        DONE
    }

    pub(super) fn list_user_topic_permissions(&self, user: &str, answer: &mut Answer) -> Outcome {
        for (vhost, exchange, may) in self.node.broker.list_user_topic_permissions(user)? {
            answer.row(vec![
                json!(vhost),
                json!(exchange),
                json!(may.write),
                json!(may.read),
            ]);
        }
        DONE
    }

    pub(super) fn list_policies(
        &self,
        kind: PolicyKind,
        vhost: &str,
        answer: &mut Answer,
    ) -> Outcome {
        for policy in self.vhost(vhost)?.policies(kind) {
            answer.row(vec![
                json!(vhost),
                json!(policy.name),
                json!(policy.pattern),
                json!(policy.apply_to.name()),
                Value::Object(policy.definition.as_map().clone()),
                json!(policy.priority),
            ]);
        }
        DONE
    }

    pub(super) fn list_parameters(&self, vhost: &str, answer: &mut Answer) -> Outcome {
        for (component, name, value) in self.vhost(vhost)?.parameters() {
            answer.row(vec![json!(component), json!(name), value]);
        }
        DONE
    }

    pub(super) fn list_global_parameters(&self, answer: &mut Answer) -> Outcome {
        for (name, value) in self.node.broker.list_global_parameters() {
            answer.row(vec![json!(name), value]);
        }
        DONE
    }

    /// The definitions, in pieces of their text.
    pub(super) fn export_definitions(&self, answer: &mut Answer) -> Outcome {
        let text = self.node.broker.export_definitions().to_json();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let mut end = EXPORT_PIECE.min(rest.len());
            while !rest.is_char_boundary(end) {
                end += 1;
            }
            let (piece, after) = rest.split_at(end);
            if !answer.row(vec![json!(piece)]) {
                break;
            }
            rest = after;
        }
        DONE
    }
}

/// Limits of a vhost in the form in which they are set.
fn limits_json(limits: VhostLimits) -> Value {
    let all = [
        ("max-connections", limits.max_connections),
        ("max-queues", limits.max_queues),
    ];
    let set = all
        .into_iter()
        .filter_map(|(name, limit)| Some((name.to_owned(), json!(limit?))));
    Value::Object(set.collect::<Map<_, _>>())
}
