//! Which policies apply to an exchange or queue, and what they come to together.

use std::collections::BTreeMap;

use super::pattern::Pattern;
use super::{ApplyTo, EffectivePolicy, Policy, PolicyDefinition, PolicyKind};
use crate::queue::QueueType;

/// Something that policies apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    Exchange(&'a str),
    Queue(&'a str, QueueType),
}

/// A policy that was accepted, with its pattern compiled.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) policy: Policy,
    pub(super) pattern: Pattern,
}

/// The policies of one vhost.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    user: BTreeMap<String, Checked>,
    operator: BTreeMap<String, Checked>,
}

/// Settings that classic queues do not know: a policy with one of them is not for them at all.
const NOT_CLASSIC: &[&str] = &[
    "dead-letter-strategy",
    "delivery-limit",
    "initial-cluster-size",
    "max-age",
    "queue-leader-locator",
    "stream-filter-size-bytes",
    "stream-max-segment-size-bytes",
    "target-group-size",
];

/// Settings that quorum queues do not know.
const NOT_QUORUM: &[&str] = &[
    "ha-mode",
    "ha-params",
    "ha-promote-on-failure",
    "ha-promote-on-shutdown",
    "ha-sync-mode",
    "initial-cluster-size",
    "max-age",
    "queue-master-locator",
    "queue-mode",
    "stream-filter-size-bytes",
    "stream-max-segment-size-bytes",
];

impl Checked {
    /// Does the policy apply to `object`?
    pub(super) fn applies(&self, object: Object<'_>) -> bool {
        let is_for = matches!(
            (object, self.policy.apply_to),
            (_, ApplyTo::All)
                | (Object::Exchange(_), ApplyTo::Exchanges)
                | (Object::Queue(..), ApplyTo::Queues)
                | (Object::Queue(_, QueueType::Classic), ApplyTo::ClassicQueues)
                | (Object::Queue(_, QueueType::Quorum), ApplyTo::QuorumQueues)
        );
        let (name, unknown): (_, &[&str]) = match object {
            Object::Exchange(name) => (name, &[]),
            Object::Queue(name, QueueType::Classic) => (name, NOT_CLASSIC),
            Object::Queue(name, QueueType::Quorum) => (name, NOT_QUORUM),
        };
        is_for
            && unknown
                .iter()
                .all(|key| self.policy.definition.value(key).is_none())
            && self.pattern.matches(name)
    }
}

impl Policies {
    pub(crate) fn is_empty(&self) -> bool {
        self.user.is_empty() && self.operator.is_empty()
    }

    /// Add a policy, in place of one of the same kind and name.
    pub(crate) fn set(&mut self, kind: PolicyKind, policy: Checked) {
        self.of_mut(kind).insert(policy.policy.name.clone(), policy);
    }

    /// Take a policy away; `false` if there was none of that name.
    pub(crate) fn remove(&mut self, kind: PolicyKind, name: &str) -> bool {
        self.of_mut(kind).remove(name).is_some()
    }

    /// The policy of that kind and name.
    pub(crate) fn find(&self, kind: PolicyKind, name: &str) -> Option<&Policy> {
        self.of(kind).get(name).map(|checked| &checked.policy)
    }

    /// All policies of a kind, in the order of their names.
    pub(crate) fn list(&self, kind: PolicyKind) -> impl Iterator<Item = &Policy> {
        self.of(kind).values().map(|checked| &checked.policy)
    }

    /// What the policies say of `object`.
    pub(crate) fn effective(&self, object: Object<'_>) -> EffectivePolicy {
        let policy = best(&self.user, object);
        let operator = best(&self.operator, object);
        let definition = match (policy, operator) {
            (None, None) => PolicyDefinition::default(),
            (Some(only), None) | (None, Some(only)) => only.definition.clone(),
            (Some(policy), Some(operator)) => policy.definition.bounded_by(&operator.definition),
        };
        EffectivePolicy {
            policy: policy.map(|policy| policy.name.clone()),
            operator_policy: operator.map(|policy| policy.name.clone()),
            definition,
        }
    }

    fn of(&self, kind: PolicyKind) -> &BTreeMap<String, Checked> {
        match kind {
            PolicyKind::User => &self.user,
            PolicyKind::Operator => &self.operator,
        }
    }

    fn of_mut(&mut self, kind: PolicyKind) -> &mut BTreeMap<String, Checked> {
        match kind {
            PolicyKind::User => &mut self.user,
            PolicyKind::Operator => &mut self.operator,
        }
    }
}

/// Of those that apply, the one with the highest priority; of equal ones the first by name.
fn best<'p>(policies: &'p BTreeMap<String, Checked>, object: Object<'_>) -> Option<&'p Policy> {
    let applying = policies.values().filter(|policy| policy.applies(object));
    applying
        .map(|checked| &checked.policy)
        .reduce(|best, next| {
            if next.priority > best.priority {
                next
            } else {
                best
            }
        })
}
