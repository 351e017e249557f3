//! exchange.declare and exchange.delete.

use leveret_protocol::Limit;
use leveret_router::{Exchange, ExchangeKind};
use leveret_store::Ticket;
use leveret_wire::method::exchange::{Declare, Delete};
use leveret_wire::{AMQPValue, FieldTable, type_name};

use super::delayed::DeclaredType;
use super::equivalence::{compare_arguments, compare_flag, inequivalent};
use super::{ALTERNATE_EXCHANGE, Vhost};
use crate::definitions;
use crate::session::Failure;
use crate::users::{Grant, Resource, Right};

const RESERVED_PREFIX: &str = "amq.";

impl Vhost {
    /// Declare an exchange. The answer is due when the ticket is durable.
    pub(crate) fn declare_exchange(
        &self,
        declare: &Declare,
        grant: &Grant,
    ) -> Result<Ticket, Failure> {
        let name = declare.exchange.as_str();
        if declare.passive {
            return self.find_exchange(name, grant).map(|()| Ticket::NONE);
        }
        let declared = DeclaredType::parse(declare.kind.as_str())
            .ok_or_else(|| Failure::command_invalid(unknown_type(declare.kind.as_str())))?;
        refuse_default(name)?;
        grant.authorise(Right::Configure, Resource::Exchange(name))?;
        let what = self.exchange_text(name);
        let mut topology = self.topology.write();
        self.check_alive()?;
        if let Some(current) = topology.router.exchange(name) {
            equivalent(declare, declared, current, &what).map_err(Failure::precondition_failed)?;
            return Ok(if current.durable {
                self.settled_by()
            } else {
                Ticket::NONE
            });
        }
        if name.starts_with(RESERVED_PREFIX) {
            return Err(Failure::access_refused(format!(
                "exchange name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        if let Some(AMQPValue::LongString(alternate)) =
            declare.arguments.inner().get(ALTERNATE_EXCHANGE)
        {
            // What cannot be routed is read from here and published there.
            let alternate = alternate.to_string();
            grant.authorise(Right::Read, Resource::Exchange(name))?;
            grant.authorise(Right::Write, Resource::Exchange(&alternate))?;
        }
        let kind = declared.kind(&declare.arguments)?;
        check_new_exchange(kind, &declare.arguments, &what)
            .map_err(Failure::precondition_failed)?;
        let limit = self.shared.limits.exchanges_per_vhost;
        if topology.router.exchange_count() >= limit {
            let text = format!("cannot declare {what}: exchange limit ({limit}) is reached");
            return Err(Failure::precondition_failed(text).over(Limit::ExchangesPerVhost));
        }
        let exchange = topology.under_policies(Exchange {
            name: name.to_owned(),
            kind,
            delayed: declared == DeclaredType::Delayed,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments: declare.arguments.clone(),
            alternate: None,
        });
        let delayed = if exchange.delayed {
            Some(self.new_delayed(name, exchange.durable)?)
        } else {
            None
        };
        let place = delayed.as_ref().map(|delayed| delayed.id());
        let change = exchange
            .durable
            .then(|| definitions::put_exchange(&self.name, &exchange, place));
        let ticket = self.store_changes(change.into_iter().collect())?;
        topology.add_exchange(exchange, &self.shared.histories);
        if let Some(delayed) = delayed {
            topology.delayed.insert(name.into(), delayed);
        }
        self.changed();
        Ok(ticket)
    }

    /// Delete an exchange, with the bindings from and to it.
    pub(crate) fn delete_exchange(
        &self,
        delete: &Delete,
        grant: &Grant,
    ) -> Result<Ticket, Failure> {
        let name = delete.exchange.as_str();
        refuse_default(name)?;
        if name.starts_with(RESERVED_PREFIX) {
            let text = format!(
                "deletion of system {} not allowed",
                self.exchange_text(name)
            );
            return Err(Failure::access_refused(text));
        }
        grant.authorise(Right::Configure, Resource::Exchange(name))?;
        let mut topology = self.topology.write();
        let Some(exchange) = topology.router.exchange(name) else {
            return Ok(self.settled_by());
        };
        let durable = exchange.durable;
        if delete.if_unused && topology.router.is_used(name) {
            return Err(Failure::precondition_failed(format!(
                "{} in use",
                self.exchange_text(name)
            )));
        }
        let Some(removed) = topology.router.delete_exchange(name) else {
            return Ok(Ticket::NONE);
        };
        topology.histories.remove(name);
        let cascades = !removed.exchanges.is_empty();
        let mut changes = topology.forget(&self.name, &removed);
        if !durable && !cascades {
            // Nothing of a transient exchange is in the store.
            changes.clear();
        }
        if durable {
            changes.push(definitions::delete_exchange(&self.name, name));
        }
        self.changed();
        let ticket = self.store_changes(changes)?;
        let dropped = self.drop_delayed(&mut topology, &removed, Some(name))?;
        Ok(if durable { ticket.max(dropped) } else { ticket })
    }

    fn find_exchange(&self, name: &str, grant: &Grant) -> Result<(), Failure> {
        refuse_default(name)?;
        grant.authorise_look(Resource::Exchange(name))?;
        if self.topology.read().router.exchange(name).is_none() {
            return Err(self.no_exchange(name));
        }
        Ok(())
    }

    /// 404 for an exchange that does not exist.
    pub(crate) fn no_exchange(&self, name: &str) -> Failure {
        Failure::not_found(format!("no {}", self.exchange_text(name)))
    }

    /// `exchange 'x' in vhost '/'`.
    pub(crate) fn exchange_text(&self, name: &str) -> String {
        format!("exchange '{name}' in vhost '{}'", self.name)
    }
}

/// Are these arguments that an exchange may be made with? The explanation of the 406 if not.
pub(crate) fn check_new_exchange(
    kind: ExchangeKind,
    arguments: &FieldTable,
    what: &str,
) -> Result<(), String> {
    if let Some(alternate) = arguments.inner().get(ALTERNATE_EXCHANGE)
        && !matches!(alternate, AMQPValue::LongString(_))
    {
        return Err(format!(
            "invalid type '{}' for arg '{ALTERNATE_EXCHANGE}' in {what}",
            type_name(alternate)
        ));
    }
    kind.check_arguments(arguments)
        .map_err(|error| error.to_string())
}

/// The default exchange can't be declared, deleted or bound.
pub(super) fn refuse_default(name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::access_refused(
            "operation not permitted on the default exchange".to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn unknown_type(kind: &str) -> String {
    if kind.is_empty() {
        "invalid exchange type ''".to_owned()
    } else {
        format!("unknown exchange type '{kind}'")
    }
}

fn equivalent(
    declare: &Declare,
    declared: DeclaredType,
    current: &Exchange,
    what: &str,
) -> Result<(), String> {
    if declared.name() != current.type_name() {
        let (declared, current) = (declared.name(), current.type_name());
        return Err(inequivalent("type", what, declared, current));
    }
    compare_flag("durable", what, declare.durable, current.durable)?;
    compare_flag(
        "auto_delete",
        what,
        declare.auto_delete,
        current.auto_delete,
    )?;
    compare_flag("internal", what, declare.internal, current.internal)?;
    compare_arguments(
        &[ALTERNATE_EXCHANGE],
        what,
        &declare.arguments,
        &current.arguments,
    )
}
