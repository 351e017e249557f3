//! Queues, exchanges and bindings as they must be.

use std::collections::BTreeMap;

use crate::log::{Binding, ExchangeDefinition, Operation, QueueDefinition};

/// Whether something must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Absent,
    /// A change was asked for and not answered.
    Doubtful,
}

/// Something that can be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Queue(String),
    Exchange(String),
    Binding(Binding),
}

impl Object {
    /// By which its history is found.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Exchange(name) => name,
            Self::Binding(binding) => &binding.key,
        }
    }
}

/// Everything ever defined, with what must be there of it.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    queues: BTreeMap<String, (Presence, QueueDefinition)>,
    exchanges: BTreeMap<String, (Presence, ExchangeDefinition)>,
    bindings: BTreeMap<Binding, Presence>,
}

impl Definitions {
    pub(crate) fn queues(&self) -> impl Iterator<Item = (Presence, &QueueDefinition)> {
        self.queues
            .values()
            .map(|(presence, queue)| (*presence, queue))
    }

    pub(crate) fn exchanges(&self) -> impl Iterator<Item = (Presence, &ExchangeDefinition)> {
        self.exchanges
            .values()
            .map(|(presence, exchange)| (*presence, exchange))
    }

    pub(crate) fn bindings(&self) -> impl Iterator<Item = (Presence, &Binding)> {
        self.bindings
            .iter()
            .map(|(binding, presence)| (*presence, binding))
    }

    /// The newest queue of this name, there or not.
    pub(crate) fn queue(&self, name: &str) -> Option<&QueueDefinition> {
        self.queues.get(name).map(|(_, queue)| queue)
    }

    pub(crate) fn queue_presence(&self, name: &str) -> Presence {
        self.queues
            .get(name)
            .map_or(Presence::Absent, |(presence, _)| *presence)
    }

    pub(crate) fn exchange_presence(&self, name: &str) -> Presence {
        self.exchanges
            .get(name)
            .map_or(Presence::Absent, |(presence, _)| *presence)
    }

    /// A change is asked for: until it is answered, it may be made or not.
    pub(super) fn ask(&mut self, operation: &Operation) {
        let presence = self.presence_of(operation);
        let settled = match operation {
            Operation::Purge(_) => return,
            Operation::DeclareQueue(_) | Operation::DeclareExchange(_) | Operation::Bind(_) => {
                Presence::Present
            }
            _ => Presence::Absent,
        };
        // What is there already stays so if it is declared again.
        if presence != settled {
            self.set(operation, Presence::Doubtful);
        }
    }

    /// It was answered.
    pub(super) fn complete(&mut self, operation: &Operation) {
        match operation {
            Operation::DeclareQueue(_) | Operation::DeclareExchange(_) | Operation::Bind(_) => {
                self.set(operation, Presence::Present);
            }
            Operation::Unbind(_) => self.set(operation, Presence::Absent),
            Operation::Purge(_) => {}
            Operation::DeleteQueue(name) => {
                self.set(operation, Presence::Absent);
                self.unbind_where(|binding| binding.queue == *name);
            }
            Operation::DeleteExchange(name) => {
                self.set(operation, Presence::Absent);
                self.unbind_where(|binding| binding.exchange == *name);
            }
        }
    }

    fn presence_of(&self, operation: &Operation) -> Presence {
        match operation {
            Operation::DeclareQueue(queue) => self.queue_presence(&queue.name),
            Operation::DeleteQueue(name) | Operation::Purge(name) => self.queue_presence(name),
            Operation::DeclareExchange(exchange) => self.exchange_presence(&exchange.name),
            Operation::DeleteExchange(name) => self.exchange_presence(name),
            Operation::Bind(binding) | Operation::Unbind(binding) => self
                .bindings
                .get(binding)
                .copied()
                .unwrap_or(Presence::Absent),
        }
    }

    fn set(&mut self, operation: &Operation, presence: Presence) {
        match operation {
            Operation::DeclareQueue(queue) => {
                self.queues
                    .insert(queue.name.clone(), (presence, queue.clone()));
            }
            Operation::DeleteQueue(name) | Operation::Purge(name) => {
                if let Some(known) = self.queues.get_mut(name) {
                    known.0 = presence;
                }
            }
            Operation::DeclareExchange(exchange) => {
                self.exchanges
                    .insert(exchange.name.clone(), (presence, exchange.clone()));
            }
            Operation::DeleteExchange(name) => {
                if let Some(known) = self.exchanges.get_mut(name) {
                    known.0 = presence;
                }
            }
            Operation::Bind(binding) | Operation::Unbind(binding) => {
                self.bindings.insert(binding.clone(), presence);
            }
        }
    }

    fn unbind_where(&mut self, is_gone: impl Fn(&Binding) -> bool) {
        for (binding, presence) in &mut self.bindings {
            if is_gone(binding) {
                *presence = Presence::Absent;
            }
        }
    }

    /// The broker ended: what is not durable is gone.
    pub(super) fn restart(&mut self) {
        for (presence, queue) in self.queues.values_mut() {
            if !queue.durable {
                *presence = Presence::Absent;
            }
        }
        for (presence, exchange) in self.exchanges.values_mut() {
            if !exchange.durable {
                *presence = Presence::Absent;
            }
        }
        let queues = &self.queues;
        let exchanges = &self.exchanges;
        for (binding, presence) in &mut self.bindings {
            let transient_queue = queues
                .get(&binding.queue)
                .is_some_and(|(_, queue)| !queue.durable);
            let transient_exchange = exchanges
                .get(&binding.exchange)
                .is_some_and(|(_, exchange)| !exchange.durable);
            if transient_queue || transient_exchange {
                *presence = Presence::Absent;
            }
        }
    }

    /// What was found, which from now on must stay. Says what is undone by it.
    pub(super) fn observe(&mut self, object: &Object, present: bool) -> Option<String> {
        let found = if present {
            Presence::Present
        } else {
            Presence::Absent
        };
        let (expected, what) = match object {
            Object::Queue(name) => {
                let known = self.queues.get_mut(name)?;
                let expected = std::mem::replace(&mut known.0, found);
                if !present {
                    self.unbind_where(|binding| binding.queue == *name);
                }
                (expected, format!("queue {name}"))
            }
            Object::Exchange(name) => {
                let known = self.exchanges.get_mut(name)?;
                let expected = std::mem::replace(&mut known.0, found);
                if !present {
                    self.unbind_where(|binding| binding.exchange == *name);
                }
                (expected, format!("exchange {name}"))
            }
            Object::Binding(binding) => {
                let known = self.bindings.get_mut(binding)?;
                let what = format!(
                    "binding of {} to {} by {}",
                    binding.queue, binding.exchange, binding.key
                );
                (std::mem::replace(known, found), what)
            }
        };
        match (expected, found) {
            (Presence::Present, Presence::Absent) => Some(format!("the {what} is gone")),
            (Presence::Absent, Presence::Present) => Some(format!("the {what} is back")),
            _ => None,
        }
    }
}
