//! The import of definitions into the running node: all of them or, if any is refused, none.
//!
//! Everything is planned first, with the topologies of all vhosts concerned locked; then the
//! store takes all changes as one, and only then does anything take effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leveret_store::{Change, Ticket};
use serde_json::Value;

use super::parts::{People, permission_text};
use super::{DefinitionsError, DefinitionsFile, ImportReport, VhostPart};
use crate::broker::Broker;
use crate::definitions::{self, VhostRecord};
use crate::effects::Effects;
use crate::users::UserRecord;
use crate::vhost::Vhost;

/// Lines about what was left out that are logged one by one.
const SKIPPED_LOGGED: usize = 20;

/// What is told of a vhost that its parameters tell too.
const LIMITS_OF_VHOST: &str = "limits";

/// Users and permissions that the node is to have.
#[derive(Default)]
struct NewPeople {
    people: People,
    records: Vec<(String, UserRecord)>,
}

impl Broker {
    /// Import definitions, as RabbitMQ does: users, permissions, parameters and policies are
    /// replaced; vhosts, exchanges, queues and bindings that are there stay as they are. Of
    /// `vhost` alone, whatever the objects name, if that is given; users and vhosts of the file
    /// are not looked at then.
    ///
    /// All of it is done, or nothing. Blocks until it is on the disk.
    pub fn import_definitions(
        &self,
        file: &DefinitionsFile,
        vhost: Option<&str>,
    ) -> Result<ImportReport, DefinitionsError> {
        let (report, ticket) = self.import(file, vhost)?;
        self.wait_durable(ticket)?;
        for line in report.skipped.iter().take(SKIPPED_LOGGED) {
            tracing::warn!("not imported: {line}");
        }
        Ok(report)
    }

    /// As [`Broker::import_definitions`], without waiting: it is on the disk when the ticket is.
    pub(crate) fn import(
        &self,
        file: &DefinitionsFile,
        vhost: Option<&str>,
    ) -> Result<(ImportReport, Ticket), DefinitionsError> {
        let _turn = self.administration.lock();
        let mut report = ImportReport::default();
        let mut changes = Vec::new();
        let parts = file.parts(vhost)?;
        let mut new_vhosts = BTreeMap::new();
        let mut new_people = NewPeople::default();
        let mut global = Vec::new();
        if vhost.is_none() {
            new_vhosts = self.plan_vhosts(file, &mut changes, &mut report);
            new_people = self.plan_people(file, &new_vhosts, &mut changes, &mut report)?;
            global = self.plan_global(file, &mut changes, &mut report);
        }
        let ticket = self.define(parts, &new_vhosts, changes, &mut report)?;
        self.vhosts.write().extend(
            new_vhosts
                .into_values()
                .map(|vhost| (vhost.name().to_string(), vhost)),
        );
        self.admit(new_people);
        self.global_parameters.write().extend(global);
        Ok((report, ticket))
    }

    /// Users and permissions take effect, also for whoever is connected.
    fn admit(&self, new: NewPeople) {
        let People {
            permissions,
            topic_permissions,
            ..
        } = new.people;
        let places = permissions.iter().map(|((_, vhost), _)| vhost.clone());
        let topics = topic_permissions.iter().map(|((_, vhost, _), _)| vhost);
        let vhosts: BTreeSet<String> = places.chain(topics.cloned()).collect();
        let mut users = self.shared.users.write();
        for (name, record) in new.records {
            users.set_record(name, record);
        }
        for (place, permission) in permissions {
            users.set_permission(place, permission);
        }
        for (place, permission) in topic_permissions {
            users.set_topic_permission(place, permission);
        }
        drop(users);
        for vhost in vhosts {
            self.permissions_changed(&vhost);
        }
    }

    /// Make what is in vhosts, and give the store all changes.
    fn define(
        &self,
        parts: BTreeMap<String, VhostPart>,
        new_vhosts: &BTreeMap<String, Arc<Vhost>>,
        mut changes: Vec<Change>,
        report: &mut ImportReport,
    ) -> Result<Ticket, DefinitionsError> {
        let mut vhosts = Vec::with_capacity(parts.len());
        for (name, part) in parts {
            let vhost = new_vhosts.get(&name).cloned().or_else(|| self.vhost(&name));
            let Some(vhost) = vhost else {
                let what = format!("vhost '{name}'");
                return Err(DefinitionsError::refused(what, "does not exist"));
            };
            vhosts.push((vhost, part));
        }
        let mut plans = Vec::with_capacity(vhosts.len());
        // In the order of their names, so that two who lock several never wait for each other.
        for (vhost, part) in &mut vhosts {
            let topology = vhost.lock_topology();
            let part = std::mem::take(part);
            let plan = vhost.plan_import(&topology, part, &mut changes)?;
            plans.push((&*vhost, topology, plan));
        }
        let ticket = if changes.is_empty() {
            Ticket::NONE
        } else {
            self.shared.store.change(changes)?
        };
        let mut effects = Effects::default();
        let mut done = Ok(());
        for (vhost, topology, plan) in &mut plans {
            done = done.and(vhost.carry_out(topology, plan, &mut effects));
            plan.add_to(report);
        }
        drop(plans);
        effects.finish();
        done?;
        Ok(ticket)
    }

    fn plan_vhosts(
        &self,
        file: &DefinitionsFile,
        changes: &mut Vec<Change>,
        report: &mut ImportReport,
    ) -> BTreeMap<String, Arc<Vhost>> {
        let mut new = BTreeMap::new();
        for vhost in &file.vhosts {
            if self.vhost(&vhost.name).is_some() || new.contains_key(&vhost.name) {
                continue;
            }
            let mut metadata = vhost.metadata.clone();
            metadata.remove(LIMITS_OF_VHOST);
            let record = VhostRecord { metadata };
            changes.push(definitions::put_vhost(&vhost.name, &record));
            report.vhosts += 1;
            let made = Vhost::new(vhost.name.as_str().into(), Arc::clone(&self.shared));
            made.set_metadata(record.metadata);
            new.insert(vhost.name.clone(), made);
        }
        new
    }

    fn plan_people(
        &self,
        file: &DefinitionsFile,
        new_vhosts: &BTreeMap<String, Arc<Vhost>>,
        changes: &mut Vec<Change>,
        report: &mut ImportReport,
    ) -> Result<NewPeople, DefinitionsError> {
        let mut people = file.people()?;
        let users = self.shared.users.read();
        let mut records = Vec::new();
        for (name, part) in people.users.drain(..) {
            let mut record = part.record;
            if let Some(password) = part.password {
                let known = users.record(&name);
                record = match known.filter(|known| known.matches(password.expose())) {
                    // The same password: keep its salt, so that nothing changes.
                    Some(known) => record.hashed_as(known),
                    None => record
                        .hashed(password.expose())
                        .map_err(|error| DefinitionsError::Random(error.to_string()))?,
                };
            }
            report.users += 1;
            if users.record(&name) != Some(&record) {
                changes.push(definitions::put_user(&name, &record));
            }
            records.push((name, record));
        }
        let known: BTreeSet<&str> = records.iter().map(|(name, _)| name.as_str()).collect();
        let check = |user: &str, vhost: &str| {
            let reason = if !known.contains(user) && users.record(user).is_none() {
                format!("no_such_user '{user}'")
            } else if !new_vhosts.contains_key(vhost) && self.vhost(vhost).is_none() {
                format!("vhost '{vhost}' does not exist")
            } else {
                return Ok(());
            };
            Err(DefinitionsError::refused(
                permission_text(user, vhost),
                reason,
            ))
        };
        for ((user, vhost), permission) in &people.permissions {
            check(user, vhost)?;
            let place = (user.clone(), vhost.clone());
            if users.permissions().get(&place) != Some(permission) {
                changes.push(definitions::put_permission(user, vhost, permission));
            }
        }
        for (place, permission) in &people.topic_permissions {
            let (user, vhost, exchange) = place;
            check(user, vhost)?;
            if users.topic_permissions().get(place) != Some(permission) {
                let names = (user.as_str(), vhost.as_str(), exchange.as_str());
                changes.push(definitions::put_topic_permission(names, permission));
            }
        }
        report.permissions += people.permissions.len();
        report.topic_permissions += people.topic_permissions.len();
        Ok(NewPeople { people, records })
    }

    fn plan_global(
        &self,
        file: &DefinitionsFile,
        changes: &mut Vec<Change>,
        report: &mut ImportReport,
    ) -> Vec<(String, Value)> {
        let known = self.global_parameters.read();
        let mut planned = Vec::new();
        for parameter in &file.global_parameters {
            let (name, value) = (&parameter.name, &parameter.value);
            if known.get(name) != Some(value) {
                changes.push(definitions::put_global_parameter(name, value));
            }
            planned.push((name.clone(), value.clone()));
        }
        report.global_parameters += planned.len();
        planned
    }
}
