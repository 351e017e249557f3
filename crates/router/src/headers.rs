//! The headers exchange: tables of values in place of keys.
//!
//! A binding's arguments are a *rule*: its *terms* (a header that must be there, or must have a
//! value), all or any of which a message has to meet (`x-match`). Equal rules are kept once,
//! whatever number of destinations they have, and so are equal terms. A message first finds the
//! terms it meets, one or two hash lookups a header. Then it looks only at rules listed under
//! those: a rule for *any* is listed under each of its terms and fires at the first; a rule for
//! *all* is listed under one term only, the one that had the fewest rules when it came, and is
//! checked against the set of met terms.
//!
//! RabbitMQ walks all bindings of the exchange for every message, sorted table against sorted
//! table; the results are the same (AMQP 0-9-1 section 3.1.3.4 leaves most of it open).

mod rule;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use value::write_header;

use crate::binding::BindError;
use crate::hash::SecretState;
use crate::marks::Marks;
use crate::slab::Slab;
use crate::targets::{Collector, Target, Targets};
use leveret_wire::{FieldTable, RawTable, RawValue};
use rule::{Criterion, Mode, criteria};
use rustc_hash::FxHashMap;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Check the `x-match` of a binding's arguments.
pub(crate) fn check_arguments(arguments: &FieldTable) -> Result<(), BindError> {
    rule::matching(arguments).map(|_| ())
}

/// Buffers of a search, kept for the next one.
#[derive(Default)]
pub(crate) struct HeadersScratch {
    /// Keys of the message that were looked at: of duplicates only the first counts.
    keys: Marks,
    /// Terms that the message meets.
    met: Marks,
    /// Rules for any that fired.
    fired: Marks,
    /// The value being looked up, in its canonical form.
    value: Vec<u8>,
}

/// All bindings of one headers exchange.
pub(crate) struct HeadersIndex<Q> {
    /// The terms of each header that any rule asks for.
    keys: HashMap<Arc<[u8]>, KeyTerms, SecretState>,
    /// The marks given out to keys.
    key_marks: Slab<()>,
    terms: Slab<Term>,
    rules: Slab<Rule<Q>>,
    /// Rules by what they ask for.
    rule_numbers: FxHashMap<(Mode, Arc<[u32]>), u32>,
    /// Where rules for all lead to that have no terms: they match every message.
    always: Targets<Q>,
    secret: SecretState,
}

/// The terms about one header.
struct KeyTerms {
    /// Tells that the message's first header of this name was seen.
    mark: u32,
    /// The term that the header is there at all.
    presence: Option<u32>,
    /// The terms that it has a value, by the value's canonical form.
    values: HashMap<Box<[u8]>, u32, SecretState>,
    /// How many of `values` are tables or arrays. Without any, those of a message need not be
    /// looked into.
    nested: usize,
}

/// Something that rules ask of one header.
struct Term {
    key: Arc<[u8]>,
    /// The canonical form of the value; `None` if any value does.
    value: Option<Box<[u8]>>,
    /// The rules that have this term.
    uses: usize,
    /// The rules to look at when a message meets this term.
    rules: Vec<u32>,
}

/// What one or more bindings ask for.
struct Rule<Q> {
    mode: Mode,
    /// Its terms, in ascending order.
    terms: Arc<[u32]>,
    /// The terms that list it, in ascending order, each with the place in that list.
    listed: Box<[(u32, usize)]>,
    targets: Targets<Q>,
}

impl<Q: Copy + Eq + Hash> HeadersIndex<Q> {
    pub(crate) fn new(secret: SecretState) -> Self {
        Self {
            keys: HashMap::with_hasher(secret.clone()),
            key_marks: Slab::default(),
            terms: Slab::default(),
            rules: Slab::default(),
            rule_numbers: FxHashMap::default(),
            always: Targets::None,
            secret,
        }
    }

    /// Add a binding with `arguments` to `target`. The arguments were checked.
    pub(crate) fn insert(&mut self, arguments: &FieldTable, target: Target<Q>) {
        let (mode, criteria) = criteria(arguments);
        if criteria.is_empty() {
            // No term is met by every message for all, and by none for any.
            if mode == Mode::All {
                self.always.insert(target);
            }
            return;
        }
        let mut terms: Vec<u32> = criteria
            .into_iter()
            .map(|criterion| self.term_or_new(criterion))
            .collect();
        terms.sort_unstable();
        let terms: Arc<[u32]> = terms.into();
        let number = match self.rule_numbers.get(&(mode, Arc::clone(&terms))) {
            Some(number) => *number,
            None => self.insert_rule(mode, terms),
        };
        if let Some(rule) = self.rules.get_mut(number) {
            rule.targets.insert(target);
        }
    }

    /// Take away a binding with `arguments` to `target`.
    pub(crate) fn remove(&mut self, arguments: &FieldTable, target: Target<Q>) {
        let (mode, criteria) = criteria(arguments);
        if criteria.is_empty() {
            if mode == Mode::All {
                self.always.remove(target);
            }
            return;
        }
        let terms: Option<Vec<u32>> = criteria
            .iter()
            .map(|criterion| self.find_term(criterion))
            .collect();
        let Some(mut terms) = terms else { return };
        terms.sort_unstable();
        let Some(number) = self.rule_numbers.get(&(mode, terms.into())).copied() else {
            return;
        };
        let Some(rule) = self.rules.get_mut(number) else {
            return;
        };
        rule.targets.remove(target);
        if rule.targets.is_empty() {
            self.remove_rule(number);
        }
    }

    /// Pour the targets of all rules that `headers` meet into `collector`.
    pub(crate) fn collect(
        &self,
        headers: Option<RawTable<'_>>,
        scratch: &mut HeadersScratch,
        collector: &mut Collector<'_, Q>,
    ) {
        collector.take(&self.always);
        if self.keys.is_empty() {
            return;
        }
        for (key, value) in headers.iter().flatten() {
            let Some(terms) = self.keys.get(key) else {
                continue;
            };
            if !scratch.keys.insert(terms.mark) {
                continue;
            }
            if let Some(term) = terms.presence {
                scratch.met.insert(term);
            }
            if let Some(term) = terms.find_value(&value, &mut scratch.value) {
                scratch.met.insert(term);
            }
        }
        for rule in scratch
            .met
            .iter()
            .filter_map(|term| self.terms.get(term))
            .flat_map(|term| &term.rules)
        {
            if let Some(found) = self.rules.get(*rule)
                && match found.mode {
                    Mode::All => found.terms.iter().all(|term| scratch.met.contains(*term)),
                    Mode::Any => scratch.fired.insert(*rule),
                }
            {
                collector.take(&found.targets);
            }
        }
        scratch.keys.clear();
        scratch.met.clear();
        scratch.fired.clear();
    }

    fn find_term(&self, criterion: &Criterion<'_>) -> Option<u32> {
        let terms = self.keys.get(criterion.key)?;
        match &criterion.value {
            None => terms.presence,
            Some(value) => terms.values.get(value.as_slice()).copied(),
        }
    }

    fn term_or_new(&mut self, criterion: Criterion<'_>) -> u32 {
        if let Some(term) = self.find_term(&criterion) {
            return term;
        }
        let key = match self.keys.get_key_value(criterion.key) {
            Some((key, _)) => Arc::clone(key),
            None => criterion.key.into(),
        };
        let terms = self
            .keys
            .entry(Arc::clone(&key))
            .or_insert_with(|| KeyTerms {
                mark: self.key_marks.insert(()),
                presence: None,
                values: HashMap::with_hasher(self.secret.clone()),
                nested: 0,
            });
        let value = criterion.value.map(Vec::into_boxed_slice);
        let term = self.terms.insert(Term {
            key,
            value: value.clone(),
            uses: 0,
            rules: Vec::new(),
        });
        match value {
            None => terms.presence = Some(term),
            Some(value) => {
                terms.nested += usize::from(value::is_nested(&value));
                terms.values.insert(value, term);
            }
        }
        term
    }

    fn insert_rule(&mut self, mode: Mode, terms: Arc<[u32]>) -> u32 {
        for term in terms.iter() {
            if let Some(term) = self.terms.get_mut(*term) {
                term.uses += 1;
            }
        }
        let listed_under: Vec<u32> = match mode {
            Mode::All => {
                let rules_listed =
                    |term: &&u32| self.terms.get(**term).map_or(0, |term| term.rules.len());
                terms
                    .iter()
                    .min_by_key(rules_listed)
                    .copied()
                    .into_iter()
                    .collect()
            }
            Mode::Any => terms.to_vec(),
        };
        let number = self.rules.insert(Rule {
            mode,
            terms: Arc::clone(&terms),
            listed: Box::default(),
            targets: Targets::None,
        });
        let list = |term: u32| {
            let rules = &mut self.terms.get_mut(term)?.rules;
            rules.push(number);
            Some((term, rules.len() - 1))
        };
        let listed = listed_under.into_iter().filter_map(list).collect();
        if let Some(rule) = self.rules.get_mut(number) {
            rule.listed = listed;
        }
        self.rule_numbers.insert((mode, terms), number);
        number
    }

    fn remove_rule(&mut self, number: u32) {
        let Some(rule) = self.rules.remove(number) else {
            return;
        };
        for (term, place) in &rule.listed {
            self.unlist(*term, *place);
        }
        for term in rule.terms.iter() {
            self.release_term(*term);
        }
        self.rule_numbers.remove(&(rule.mode, rule.terms));
    }

    /// Take the rule at `place` out of a term's list, and tell the one that moves there.
    fn unlist(&mut self, term: u32, place: usize) {
        let Some(rules) = self.terms.get_mut(term).map(|term| &mut term.rules) else {
            return;
        };
        rules.swap_remove(place);
        if rules.len() * 4 < rules.capacity() {
            rules.shrink_to(rules.len() * 2);
        }
        let Some(moved) = rules.get(place).copied() else {
            return;
        };
        if let Some(moved) = self.rules.get_mut(moved)
            && let Ok(entry) = moved.listed.binary_search_by_key(&term, |listed| listed.0)
        {
            moved.listed[entry].1 = place;
        }
    }

    /// One rule less has the term.
    fn release_term(&mut self, number: u32) {
        let Some(term) = self.terms.get_mut(number) else {
            return;
        };
        term.uses -= 1;
        if term.uses > 0 {
            return;
        }
        let Some(term) = self.terms.remove(number) else {
            return;
        };
        let Some(terms) = self.keys.get_mut(&term.key) else {
            return;
        };
        match term.value {
            None => terms.presence = None,
            Some(value) => {
                terms.nested -= usize::from(value::is_nested(&value));
                terms.values.remove(&value);
            }
        }
        if terms.presence.is_none() && terms.values.is_empty() {
            self.key_marks.remove(terms.mark);
            self.keys.remove(&term.key);
        }
    }
}

impl KeyTerms {
    /// The term that `value` meets.
    fn find_value(&self, value: &RawValue<'_>, canonical: &mut Vec<u8>) -> Option<u32> {
        if self.values.is_empty()
            || (self.nested == 0 && matches!(value, RawValue::Array(_) | RawValue::Table(_)))
        {
            return None;
        }
        canonical.clear();
        write_header(value, canonical);
        self.values.get(canonical.as_slice()).copied()
    }
}
