//! The delayed exchanges of a vhost.

use std::sync::{Arc, Weak};

use leveret_router::{DELAYED_TYPE, ExchangeKind, Removed};
use leveret_store::{QueueId, StoreError, Ticket};
use leveret_wire::{AMQPValue, FieldTable};

use super::exchanges::unknown_type;
use super::{Topology, Vhost};
use crate::delay::DelayedExchange;
use crate::session::Failure;

/// The argument that says as what type a delayed exchange routes in the end.
const DELAYED_KIND: &str = "x-delayed-type";

fn name_in(arguments: &FieldTable) -> Option<String> {
    match arguments.inner().get(DELAYED_KIND)? {
        AMQPValue::LongString(name) => Some(name.to_string()),
        AMQPValue::ByteArray(name) => Some(String::from_utf8_lossy(name.as_slice()).into_owned()),
        _ => None,
    }
}

/// What a declared type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeclaredType {
    Routing(ExchangeKind),
    Delayed,
}

/// Why an exchange cannot route as its arguments ask, in the plugin's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DelayedTypeRefused {
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    Missing,
    #[error("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")]
    Itself,
    #[error("{}", unknown_type(_0))]
    Unknown(String),
}

impl From<DelayedTypeRefused> for Failure {
    fn from(refused: DelayedTypeRefused) -> Self {
        match refused {
            DelayedTypeRefused::Missing | DelayedTypeRefused::Itself => {
                Self::precondition_failed(refused.to_string())
            }
            DelayedTypeRefused::Unknown(_) => Self::command_invalid(refused.to_string()),
        }
    }
}

impl DeclaredType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
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

    pub(crate) fn is_delayed(self) -> bool {
        self == Self::Delayed
    }

    /// How an exchange of this type and with these arguments routes.
    pub(crate) fn kind(self, arguments: &FieldTable) -> Result<ExchangeKind, DelayedTypeRefused> {
        if let Self::Routing(kind) = self {
            return Ok(kind);
        }
        let name = name_in(arguments).ok_or(DelayedTypeRefused::Missing)?;
        if name == DELAYED_TYPE {
            return Err(DelayedTypeRefused::Itself);
        }
        ExchangeKind::parse(&name).ok_or(DelayedTypeRefused::Unknown(name))
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
                ticket = ticket.max(self.drop_kept(&exchange)?);
            }
        }
        Ok(ticket)
    }

    /// Drop what a delayed exchange keeps.
    pub(super) fn drop_kept(&self, exchange: &DelayedExchange) -> Result<Ticket, StoreError> {
        exchange.delete();
        self.shared.store.drop_queue(exchange.id())
    }
}
