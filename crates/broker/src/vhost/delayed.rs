//! The delayed exchanges of a vhost.

use std::sync::{Arc, Weak};

use leveret_router::{DELAYED_TYPE, ExchangeKind, Removed};
use leveret_store::{QueueId, StoreError, Ticket};
use leveret_wire::method::exchange::Declare;
use leveret_wire::{AMQPValue, FieldTable};

use super::exchanges::unknown_type;
use super::{Topology, Vhost};
use crate::delay::DelayedExchange;
use crate::session::Failure;

/// The argument that says as what type a delayed exchange routes in the end.
const DELAYED_KIND: &str = "x-delayed-type";

/// As what type an exchange with these arguments routes in the end.
pub(crate) fn delayed_kind(arguments: &FieldTable) -> Option<ExchangeKind> {
    ExchangeKind::parse(&name_in(arguments)?)
}

fn name_in(arguments: &FieldTable) -> Option<String> {
    match arguments.inner().get(DELAYED_KIND)? {
        AMQPValue::LongString(name) => Some(name.to_string()),
        AMQPValue::ByteArray(name) => Some(String::from_utf8_lossy(name.as_slice()).into_owned()),
        _ => None,
    }
}

/// What a declared type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeclaredType {
    Routing(ExchangeKind),
    Delayed,
}

impl DeclaredType {
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == DELAYED_TYPE {
            return Some(Self::Delayed);
        }
        ExchangeKind::parse(name).map(Self::Routing)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Routing(kind) => kind.name(),
            Self::Delayed => DELAYED_TYPE,
        }
    }

    /// How a new exchange of this type routes; the plugin's refusals.
    pub(super) fn kind(self, declare: &Declare) -> Result<ExchangeKind, Failure> {
        if let Self::Routing(kind) = self {
            return Ok(kind);
        }
        let invalid =
            |what: &str| Failure::precondition_failed(format!("Invalid argument, {what}"));
        let name = name_in(&declare.arguments)
            .ok_or_else(|| invalid("'x-delayed-type' must be an existing exchange type"))?;
        if name == DELAYED_TYPE {
            return Err(invalid(
                "'x-delayed-message' can't be used for 'x-delayed-type'",
            ));
        }
        ExchangeKind::parse(&name).ok_or_else(|| Failure::command_invalid(unknown_type(&name)))
    }
}

impl Vhost {
    /// What the delayed exchange of that name keeps.
    pub fn delayed_exchange(&self, name: &str) -> Option<Arc<DelayedExchange>> {
        self.topology.read().delayed.get(name).cloned()
    }

    /// All delayed exchanges, in no order.
    pub fn delayed_exchanges(&self) -> Vec<Arc<DelayedExchange>> {
        self.topology.read().delayed.values().cloned().collect()
    }

    /// A place for what a new delayed exchange keeps.
    pub(super) fn new_delayed(
        &self,
        name: &str,
        durable: bool,
    ) -> Result<Arc<DelayedExchange>, StoreError> {
        let id = self.shared.store.next_queue_id();
        self.shared.store.order_by_due(id)?;
        Ok(Arc::new(DelayedExchange::new(
            id,
            name.into(),
            durable,
            None,
            Arc::clone(&self.shared),
            Weak::clone(&self.this),
        )))
    }

    /// A delayed exchange is there again after a restart.
    pub(crate) fn recover_delayed(&self, name: &str, id: QueueId) -> Result<(), StoreError> {
        // In this order: what the order by due time knows counts as used.
        self.shared.store.order_by_due(id)?;
        let claimed = self.shared.store.claim(id)?;
        let exchange = Arc::new(DelayedExchange::new(
            id,
            name.into(),
            true,
            Some(claimed),
            Arc::clone(&self.shared),
            Weak::clone(&self.this),
        ));
        self.topology.write().delayed.insert(name.into(), exchange);
        Ok(())
    }

    /// Exchanges are gone: drop what those of them that are delayed keep. The definitions have been changed already.
    pub(super) fn drop_delayed<'a>(
        &self,
        topology: &mut Topology,
        removed: &'a Removed,
        name: Option<&'a str>,
    ) -> Result<Ticket, StoreError> {
        let mut ticket = Ticket::NONE;
        if topology.delayed.is_empty() {
            return Ok(ticket);
        }
        let names = removed.exchanges.iter().map(String::as_str).chain(name);
        for name in names {
            if let Some(exchange) = topology.delayed.remove(name) {
                exchange.delete();
                ticket = ticket.max(self.shared.store.drop_queue(exchange.id())?);
            }
        }
        Ok(ticket)
    }
}
