//! What a request does. Everything that is to be durable is when it is answered.

use std::time::Duration;

use std::sync::Arc;

use leveret_broker::{
    AdministrationError, ApplyTo, DefinitionsFile, LoginRefused, Permission, Policy,
    PolicyDefinition, PolicyKind, TopicPermission, Vhost,
};
use leveret_store::Ticket;
use serde_json::{Value, json};

use super::reply::{Failed, Problem};
use super::request::Request;
use super::serve::{Answer, Operator};
use crate::config::Watermark;
use crate::memory::total_memory;
use crate::resources;

/// What a request comes to.
pub(super) type Outcome = Result<Value, Failed>;

/// Do what is asked for; rows go to `answer`.
pub(super) fn run(operator: &Operator, request: Request, answer: &mut Answer) -> Outcome {
    match request {
        Request::Ping | Request::Stop => Ok(Value::Null),
        Request::Status => Ok(operator.status()),
        Request::ListUsers => operator.list_users(answer),
        Request::ListUserLimits { user } => operator.list_user_limits(user.as_deref(), answer),
        Request::ListVhosts { columns } => operator.list_vhosts(&columns, answer),
        Request::ListVhostLimits { vhost } => operator.list_vhost_limits(vhost.as_deref(), answer),
        Request::ListPermissions { vhost } => operator.list_permissions(&vhost, answer),
        Request::ListUserPermissions { user } => operator.list_user_permissions(&user, answer),
        Request::ListTopicPermissions { vhost } => operator.list_topic_permissions(&vhost, answer),
        Request::ListUserTopicPermissions { user } => {
            operator.list_user_topic_permissions(&user, answer)
        }
        Request::ListPolicies {
            operator: by_operator,
            vhost,
        } => operator.list_policies(kind(by_operator), &vhost, answer),
        Request::ListParameters { vhost } => operator.list_parameters(&vhost, answer),
        Request::ListGlobalParameters => operator.list_global_parameters(answer),
        Request::ListQueues { vhost, columns } => operator.list_queues(&vhost, &columns, answer),
        Request::ListExchanges { vhost, columns } => {
            operator.list_exchanges(&vhost, &columns, answer)
        }
        Request::ListBindings { vhost, columns } => {
            operator.list_bindings(&vhost, &columns, answer)
        }
        Request::ListConnections { columns } => operator.list_connections(&columns, answer),
        Request::ListChannels { columns } => operator.list_channels(&columns, answer),
        Request::ListConsumers { vhost, columns } => {
            operator.list_consumers(&vhost, &columns, answer)
        }
        Request::ExportDefinitions => operator.export_definitions(answer),
        other => {
            tracing::info!(request = ?other, "asked by an operator");
            operator.change(other)
        }
    }
}

fn kind(by_operator: bool) -> PolicyKind {
    if by_operator {
        PolicyKind::Operator
    } else {
        PolicyKind::User
    }
}

impl Operator {
    pub(super) fn vhost(&self, name: &str) -> Result<Arc<Vhost>, Failed> {
        let found = self.node.broker.vhost(name);
        found.ok_or_else(|| AdministrationError::NoSuchVhost(name.to_owned()).into())
    }

    /// Block until a change is on the disk.
    fn kept<E>(&self, change: Result<Ticket, E>) -> Outcome
    where
        Failed: From<E>,
    {
        let ticket = change?;
        self.node.broker.wait_durable(ticket)?;
        Ok(Value::Null)
    }

    /// Requests that change something.
    fn change(&self, request: Request) -> Outcome {
        match request {
            Request::AddUser { .. }
            | Request::DeleteUser { .. }
            | Request::ChangePassword { .. }
            | Request::ClearPassword { .. }
            | Request::AuthenticateUser { .. }
            | Request::SetUserTags { .. }
            | Request::SetUserLimits { .. }
            | Request::ClearUserLimits { .. } => self.change_user(request),
            Request::SetPermissions { .. }
            | Request::ClearPermissions { .. }
            | Request::SetTopicPermissions { .. }
            | Request::ClearTopicPermissions { .. } => self.change_permissions(request),
            Request::PurgeQueue { .. }
            | Request::DeleteQueue { .. }
            | Request::CloseConnection { .. }
            | Request::CloseConnections { .. }
            | Request::SetMemoryHighWatermark { .. }
            | Request::SetDiskFreeLimit { .. }
            | Request::SetDiskFreeLimitByMemory { .. } => self.operate(request),
            other => self.change_vhost(other),
        }
    }

    fn change_user(&self, request: Request) -> Outcome {
        let broker = &self.node.broker;
        match request {
            Request::AddUser { name, password } => {
                self.kept(broker.add_user(&name, password.expose(), Vec::new()))
            }
            Request::DeleteUser { name } => self.kept(broker.delete_user(&name)),
            Request::ChangePassword { name, password } => {
                self.kept(broker.change_password(&name, password.expose()))
            }
            Request::ClearPassword { name } => self.kept(broker.clear_password(&name)),
            Request::AuthenticateUser { name, password } => {
                match broker.authenticate_user(&name, password.expose()) {
                    Ok(()) => Ok(Value::Null),
                    Err(refused @ (LoginRefused::UnknownUser | LoginRefused::WrongPassword)) => {
                        tracing::warn!(user = ?name, reason = %refused, "authentication refused");
                        let reason = format!("user '{name}' - invalid credentials");
                        Err(Failed::new(Problem::BadPassword, reason))
                    }
                    Err(refused) => Err(Failed::new(Problem::BadPassword, refused)),
                }
            }
            Request::SetUserTags { name, tags } => self.kept(broker.set_user_tags(&name, tags)),
            Request::SetUserLimits { user, limits } => {
                self.kept(broker.set_user_limits(&user, &limits))
            }
            Request::ClearUserLimits { user, limit } => {
                self.kept(broker.clear_user_limits(&user, limit.as_deref()))
            }
            other => Err(unknown(&other)),
        }
    }

    fn change_permissions(&self, request: Request) -> Outcome {
        let broker = &self.node.broker;
        match request {
            Request::SetPermissions {
                user,
                vhost,
                configure,
                write,
                read,
            } => {
                let permission = Permission {
                    configure,
                    write,
                    read,
                };
                self.kept(broker.set_permission(&user, &vhost, permission))
            }
            Request::ClearPermissions { user, vhost } => {
                self.kept(broker.clear_permission(&user, &vhost))
            }
            Request::SetTopicPermissions {
                user,
                vhost,
                exchange,
                write,
                read,
            } => {
                let permission = TopicPermission { write, read };
                self.kept(broker.set_topic_permission(&user, &vhost, &exchange, permission))
            }
            Request::ClearTopicPermissions {
                user,
                vhost,
                exchange,
            } => self.kept(broker.clear_topic_permissions(&user, &vhost, exchange.as_deref())),
            other => Err(unknown(&other)),
        }
    }

    /// Vhosts, what is set in them, and what is set for all.
    fn change_vhost(&self, request: Request) -> Outcome {
        let broker = &self.node.broker;
        match request {
            Request::AddVhost { name, metadata } => match broker.add_vhost(&name, metadata) {
                Err(AdministrationError::VhostExists(_)) => Ok(Value::Null),
                added => self.kept(added),
            },
            Request::DeleteVhost { name } => self.kept(broker.delete_vhost(&name)),
            Request::SetVhostLimits { vhost, limits } => {
                self.kept(broker.set_vhost_limits(&vhost, &limits))
            }
            Request::ClearVhostLimits { vhost } => {
                self.kept(broker.clear_parameter(&vhost, ("vhost-limits", "limits")))
            }
            Request::SetVhostTags { name, tags } => self.kept(broker.set_vhost_tags(&name, &tags)),
            Request::SetParameter {
                vhost,
                component,
                name,
                value,
            } => self.kept(broker.set_parameter(&vhost, (&component, &name), &value)),
            Request::ClearParameter {
                vhost,
                component,
                name,
            } => self.kept(broker.clear_parameter(&vhost, (&component, &name))),
            Request::SetPolicy { .. } => self.set_policy(request),
            Request::ClearPolicy {
                operator,
                vhost,
                name,
            } => {
                let Some(found) = self.node.broker.vhost(&vhost) else {
                    return Err(AdministrationError::NoSuchParameter.into());
                };
                self.kept(found.delete_policy(kind(operator), &name))
            }
            Request::SetGlobalParameter { name, value } => {
                self.kept(broker.set_global_parameter(&name, value))
            }
            Request::ClearGlobalParameter { name } => {
                self.kept(broker.clear_global_parameter(&name))
            }
            Request::ImportDefinitions { definitions } => {
                let file = DefinitionsFile::parse(definitions.expose().as_bytes())?;
                let report = broker.import_definitions(&file, None)?;
                tracing::info!(%report, "definitions imported");
                Ok(Value::from(report.to_string()))
            }
            Request::StartTracing { vhost } => {
                broker.start_tracing(&vhost)?;
                Ok(Value::Null)
            }
            Request::StopTracing { vhost } => {
                broker.stop_tracing(&vhost)?;
                Ok(Value::Null)
            }
            other => Err(unknown(&other)),
        }
    }

    fn set_policy(&self, request: Request) -> Outcome {
        let Request::SetPolicy {
            operator,
            vhost,
            name,
            pattern,
            definition,
            priority,
            apply_to,
        } = request
        else {
            return Err(unknown(&request));
        };
        let vhost = self.vhost(&vhost)?;
        let invalid = |reason: String| {
            let reason = format!("Validation failed\n\n{reason}\n");
            Failed::new(Problem::BadValue, reason)
        };
        let apply_to = ApplyTo::parse(&apply_to).ok_or_else(|| {
            invalid(format!(
                "apply-to '{apply_to}' unrecognised; should be 'queues', 'exchanges' or 'all'"
            ))
        })?;
        let definition = PolicyDefinition::from_json(&definition)
            .ok_or_else(|| invalid("the definition is no object of settings".to_owned()))?;
        let policy = Policy {
            name,
            pattern,
            apply_to,
            priority,
            definition,
        };
        self.kept(vhost.set_policy(kind(operator), policy))
    }

    /// What is done to queues, connections and the node itself.
    fn operate(&self, request: Request) -> Outcome {
        let broker = &self.node.broker;
        match request {
            Request::PurgeQueue { vhost, queue } => Ok(json!(broker.purge_queue(&vhost, &queue)?)),
            Request::DeleteQueue {
                vhost,
                queue,
                if_unused,
                if_empty,
            } => {
                let (ready, ticket) = broker.delete_queue(&vhost, &queue, if_unused, if_empty)?;
                broker.wait_durable(ticket)?;
                Ok(json!(ready))
            }
            Request::CloseConnection { pid, reason } => {
                let id = self.connection(&pid).ok_or_else(|| {
                    Failed::new(
                        Problem::NoSuchConnection,
                        format!("{pid} is no pid of this node"),
                    )
                })?;
                // One that has just gone is closed, too.
                let was_open = broker.close_connection(id, &reason);
                Ok(json!(was_open))
            }
            Request::CloseConnections {
                vhost,
                user,
                limit,
                delay_milliseconds,
                reason,
            } => {
                let open = broker.list_connections();
                let chosen = open.iter().filter(|open| {
                    vhost.as_ref().is_none_or(|vhost| *open.vhost == **vhost)
                        && user.as_ref().is_none_or(|user| *open.user == **user)
                });
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                let mut closed = 0;
                for connection in chosen.take(limit.unwrap_or(usize::MAX)) {
                    if closed > 0 && delay_milliseconds > 0 {
                        std::thread::sleep(Duration::from_millis(delay_milliseconds));
                    }
                    closed += usize::from(broker.close_connection(connection.id, &reason));
                }
                Ok(json!(closed))
            }
            Request::SetMemoryHighWatermark { watermark } => {
                let watermark: Watermark = watermark
                    .parse()
                    .map_err(|error| Failed::new(Problem::BadValue, error))?;
                resources::set_memory_watermark(&self.node, watermark);
                tracing::info!(%watermark, "memory watermark set");
                Ok(Value::Null)
            }
            Request::SetDiskFreeLimit { octets } => Ok(self.set_disk_free_limit(octets)),
            Request::SetDiskFreeLimitByMemory { part } => {
                let total = total_memory().filter(|_| part >= 0.0 && part.is_finite());
                let octets = total.and_then(|total| Watermark::Relative(part).octets(total));
                let octets = octets.ok_or_else(|| {
                    Failed::new(Problem::BadValue, "the memory of the machine is not known")
                })?;
                Ok(self.set_disk_free_limit(octets))
            }
            other => Err(unknown(&other)),
        }
    }

    fn set_disk_free_limit(&self, octets: u64) -> Value {
        resources::set_disk_free_limit(&self.node, octets);
        tracing::info!(octets, "disk free limit set");
        Value::Null
    }
}

/// A request that came into the wrong hands: a mistake of this module's.
fn unknown(request: &Request) -> Failed {
    Failed::new(
        Problem::BadRequest,
        format!("nobody does this: {request:?}"),
    )
}
