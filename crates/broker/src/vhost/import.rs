//! What an import of definitions changes in one vhost: planned first, then carried out, both
//! with the topology locked.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use leveret_router::{Binding, Destination, Exchange, Router};
use leveret_store::{Change, QueueId, StoreError};
use parking_lot::RwLockWriteGuard;
use serde_json::Value;

use super::{Topology, Vhost};
use crate::definitions;
use crate::definitions_file::{DefinitionsError, ImportReport, VhostPart, binding_text};
use crate::delay::DelayedExchange;
use crate::effects::Effects;
use crate::policies::{Checked, PolicyKind};
use crate::queue::{Queue, QueueOptions, QueueProperties};

/// A vhost's topology, for as long as an import needs it to stay as it is.
pub(crate) type LockedTopology<'v> = RwLockWriteGuard<'v, Topology>;

/// What is to be made.
#[derive(Default)]
pub(crate) struct Plan {
    policies: Vec<(PolicyKind, Checked)>,
    parameters: Vec<(String, String, Value)>,
    exchanges: Vec<Exchange>,
    /// What those of them that are delayed keep.
    delayed: Vec<Arc<DelayedExchange>>,
    queues: Vec<(QueueId, QueueProperties)>,
    bindings: Vec<Binding>,
    skipped: Vec<String>,
    counts: ImportReport,
}

/// What is defined in a vhost and can be written down.
pub(crate) struct Defined {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) queues: Vec<Arc<Queue>>,
    pub(crate) bindings: Vec<Binding>,
}

impl Plan {
    /// Count what it makes.
    pub(crate) fn add_to(&mut self, report: &mut ImportReport) {
        report.policies += self.counts.policies;
        report.parameters += self.counts.parameters;
        report.exchanges += self.counts.exchanges;
        report.queues += self.counts.queues;
        report.bindings += self.counts.bindings;
        report.skipped.append(&mut self.skipped);
    }
}

impl Vhost {
    /// Keep the topology as it is.
    pub(crate) fn lock_topology(&self) -> LockedTopology<'_> {
        self.topology.write()
    }

    /// What `part` changes, or why it can't; `changes` gets what the store is to learn.
    pub(crate) fn plan_import(
        &self,
        topology: &Topology,
        part: VhostPart,
        changes: &mut Vec<Change>,
    ) -> Result<Plan, DefinitionsError> {
        let mut plan = Plan {
            skipped: part.skipped,
            ..Plan::default()
        };
        for (kind, checked) in part.policies {
            if topology.policies.find(kind, &checked.policy.name) != Some(&checked.policy) {
                changes.push(definitions::put_policy(&self.name, kind, &checked.policy));
            }
            plan.policies.push((kind, checked));
        }
        for (component, name, value) in part.parameters {
            let key = (component, name);
            if topology.parameters.get(&key) != Some(&value) {
                changes.push(definitions::put_parameter(
                    &self.name, &key.0, &key.1, &value,
                ));
            }
            plan.parameters.push((key.0, key.1, value));
        }
        self.plan_exchanges(topology, part.exchanges, &mut plan, changes)?;
        self.plan_queues(topology, part.queues, &mut plan, changes)?;
        self.plan_bindings(topology, part.bindings, &mut plan, changes)?;
        plan.counts = ImportReport {
            policies: plan.policies.len(),
            parameters: plan.parameters.len(),
            exchanges: plan.exchanges.len(),
            queues: plan.queues.len(),
            bindings: plan.bindings.len(),
            ..ImportReport::default()
        };
        Ok(plan)
    }

    fn plan_exchanges(
        &self,
        topology: &Topology,
        exchanges: Vec<Exchange>,
        plan: &mut Plan,
        changes: &mut Vec<Change>,
    ) -> Result<(), DefinitionsError> {
        let mut names = HashSet::new();
        for exchange in exchanges {
            if topology.router.exchange(&exchange.name).is_some()
                || !names.insert(exchange.name.clone())
            {
                continue;
            }
            let place = if exchange.delayed {
                let delayed = self.new_delayed(&exchange.name, exchange.durable)?;
                let id = delayed.id();
                plan.delayed.push(delayed);
                Some(id)
            } else {
                None
            };
            if exchange.durable {
                changes.push(definitions::put_exchange(&self.name, &exchange, place));
            }
            plan.exchanges.push(exchange);
        }
        let count = topology.router.exchange_count() + plan.exchanges.len();
        self.check_limit(count, self.shared.limits.exchanges_per_vhost, "exchange")
    }

    fn plan_queues(
        &self,
        topology: &Topology,
        queues: Vec<leveret_wire::method::queue::Declare>,
        plan: &mut Plan,
        changes: &mut Vec<Change>,
    ) -> Result<(), DefinitionsError> {
        let mut names = HashSet::new();
        for declare in queues {
            let name = declare.queue.as_str();
            if topology.router.queue(name.as_bytes()).is_some() || !names.insert(name.to_owned()) {
                continue;
            }
            let id = self.shared.store.next_queue_id();
            let properties = QueueProperties {
                name: name.into(),
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                owner: None,
                arguments: declare.arguments,
                // What the policies make of it is known when they are set.
                options: QueueOptions::default(),
            };
            if properties.is_lasting() {
                changes.push(definitions::put_queue(&self.name, id, &properties));
            }
            plan.queues.push((id, properties));
        }
        if plan.queues.is_empty() {
            return Ok(());
        }
        let count = topology.queues.len() + plan.queues.len();
        let limit = topology.queue_limit(self.shared.limits.queues_per_vhost);
        self.check_limit(count, limit, "queue")
    }

    fn plan_bindings(
        &self,
        topology: &Topology,
        bindings: Vec<Binding>,
        plan: &mut Plan,
        changes: &mut Vec<Change>,
    ) -> Result<(), DefinitionsError> {
        let ends = Ends::of(topology, plan);
        // Binds what is to be bound, to see that it can be.
        let mut trial: Router<QueueId> = Router::new();
        let mut planned = Vec::new();
        let mut skipped = Vec::new();
        for binding in bindings {
            if topology.router.has_binding(&binding) {
                continue;
            }
            let what = || format!("{} in vhost '{}'", binding_text(&binding), self.name);
            let (Some(source), Some(is_durable)) =
                (ends.exchange(&binding.source), ends.destination(&binding))
            else {
                // As RabbitMQ: its exports name bindings whose ends they leave out.
                skipped.push(format!("{}: one of its ends does not exist", what()));
                continue;
            };
            trial.declare_exchange(source.clone());
            match &binding.destination {
                Destination::Queue(name) => trial.add_queue(name, QueueId(0)),
                Destination::Exchange(name) => {
                    if let Some(exchange) = ends.exchange(name) {
                        trial.declare_exchange(exchange.clone());
                    }
                }
            }
            let is_new = trial
                .bind(binding.clone())
                .map_err(|error| DefinitionsError::refused(what(), error.to_string()))?;
            if !is_new {
                continue;
            }
            if source.durable && is_durable {
                changes.push(definitions::put_binding(&self.name, &binding));
            }
            planned.push(binding);
        }
        plan.bindings = planned;
        plan.skipped.extend(skipped);
        let count = topology.bindings + plan.bindings.len();
        self.check_limit(count, self.shared.limits.bindings_per_vhost, "binding")
    }

    fn check_limit(&self, count: usize, limit: usize, what: &str) -> Result<(), DefinitionsError> {
        if count <= limit {
            return Ok(());
        }
        let reason = format!("would have {count} {what}s, and its {what} limit is {limit}");
        Err(DefinitionsError::refused(
            format!("vhost '{}'", self.name),
            reason,
        ))
    }

    /// Make what was planned. What the store could not be told of a queue that was there is the
    /// only thing that can go wrong; all else is done then.
    pub(crate) fn carry_out(
        &self,
        topology: &mut Topology,
        plan: &mut Plan,
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        for (kind, checked) in plan.policies.drain(..) {
            topology.policies.set(kind, checked);
        }
        for (component, name, value) in plan.parameters.drain(..) {
            topology.keep_parameter(component, name, value);
        }
        let applied = topology.apply_policies(effects);
        for exchange in plan.exchanges.drain(..) {
            let exchange = topology.under_policies(exchange);
            topology.add_exchange(exchange, &self.shared.histories);
        }
        for delayed in plan.delayed.drain(..) {
            let name = delayed.name().as_ref().into();
            topology.delayed.insert(name, delayed);
        }
        for (id, mut properties) in plan.queues.drain(..) {
            properties.options = topology.options_for(&properties.name, &properties.arguments);
            let (shared, vhost) = (Arc::clone(&self.shared), Weak::clone(&self.this));
            let queue = Arc::new(Queue::new(id, properties, shared, vhost));
            queue.touch();
            topology.router.add_queue(queue.name(), id);
            topology.queues.insert(id, queue);
        }
        for binding in plan.bindings.drain(..) {
            let what = binding_text(&binding);
            match topology.router.bind(binding) {
                Ok(true) => topology.bindings += 1,
                Ok(false) => {}
                // The trial let it through.
                Err(error) => tracing::error!(vhost = %self.name, %error, "{what} not imported"),
            }
        }
        self.changed();
        applied
    }

    /// What is defined here and outlives the connections: exchanges that not every vhost has,
    /// queues that are not exclusive, and bindings between what is left; each in the order of
    /// their names.
    pub(crate) fn defined(&self) -> Defined {
        let topology = self.topology.read();
        let own = |exchange: &&Exchange| !exchange.name.starts_with("amq.");
        let mut exchanges: Vec<_> = topology.router.exchanges().filter(own).cloned().collect();
        exchanges.sort_by(|a, b| a.name.cmp(&b.name));
        let lasting = |queue: &&Arc<Queue>| queue.properties().owner.is_none();
        let mut queues: Vec<_> = topology.queues.values().filter(lasting).cloned().collect();
        queues.sort_by(|a, b| a.name().cmp(b.name()));
        let is_left = |binding: &&Binding| match &binding.destination {
            Destination::Exchange(_) => true,
            Destination::Queue(name) => topology
                .router
                .queue(name.as_bytes())
                .and_then(|id| topology.queues.get(&id))
                .is_some_and(|queue| queue.properties().owner.is_none()),
        };
        let mut bindings: Vec<_> = topology
            .router
            .bindings()
            .filter(is_left)
            .cloned()
            .collect();
        bindings.sort_by(|a, b| {
            let by_source = a.source.cmp(&b.source);
            by_source
                .then_with(|| a.destination.name().cmp(b.destination.name()))
                .then_with(|| a.routing_key.cmp(&b.routing_key))
        });
        Defined {
            exchanges,
            queues,
            bindings,
        }
    }
}

/// Exchanges and queues that bindings may lead from and to: there already, or planned.
struct Ends<'t> {
    topology: &'t Topology,
    exchanges: HashMap<&'t str, &'t Exchange>,
    queues: HashMap<&'t str, bool>,
}

impl<'t> Ends<'t> {
    fn of(topology: &'t Topology, plan: &'t Plan) -> Self {
        let exchanges = plan.exchanges.iter();
        let queues = plan.queues.iter();
        Self {
            topology,
            exchanges: exchanges
                .map(|exchange| (exchange.name.as_str(), exchange))
                .collect(),
            queues: queues
                .map(|(_, properties)| (&*properties.name, properties.is_lasting()))
                .collect(),
        }
    }

    fn exchange(&self, name: &str) -> Option<&'t Exchange> {
        let planned = self.exchanges.get(name).copied();
        planned.or_else(|| self.topology.router.exchange(name))
    }

    /// Does the destination outlive the process? `None` if it does not exist.
    fn destination(&self, binding: &Binding) -> Option<bool> {
        match &binding.destination {
            Destination::Exchange(name) => Some(self.exchange(name)?.durable),
            Destination::Queue(name) => self.queues.get(name.as_str()).copied().or_else(|| {
                let id = self.topology.router.queue(name.as_bytes())?;
                let queue = self.topology.queues.get(&id)?;
                Some(queue.properties().is_lasting())
            }),
        }
    }
}
