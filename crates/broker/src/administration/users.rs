//! Users, their passwords and tags.

use leveret_store::Ticket;

use super::{AdministrationError, check_name};
use crate::broker::Broker;
use crate::definitions;
use crate::mailbox::CloseReason;
use crate::users::{LoginRefused, UserLimits, UserRecord};

/// A user, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    /// The login name.
    pub name: String,
    /// What the user is: `administrator`, `impersonator` and others.
    pub tags: Vec<String>,
    /// The bounds of the user.
    pub limits: UserLimits,
}

impl Broker {
    /// Add a user, with no permission anywhere. One with an empty password cannot log in.
    pub fn add_user(
        &self,
        name: &str,
        password: &str,
        tags: Vec<String>,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        check_name(name)?;
        if self.shared.users.read().record(name).is_some() {
            return Err(AdministrationError::UserExists(name.to_owned()));
        }
        let record = UserRecord::new(password, tags)
            .map_err(|error| AdministrationError::Random(error.to_string()))?;
        self.keep_user(name, record)
    }

    /// Delete a user with all its permissions, and close its connections with 320
    /// `CONNECTION_FORCED`.
    pub fn delete_user(&self, name: &str) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        let mut changes = Vec::new();
        {
            let users = self.shared.users.read();
            if users.record(name).is_none() {
                return Err(AdministrationError::NoSuchUser(name.to_owned()));
            }
            let permissions = users.permissions().keys();
            for (user, vhost) in permissions.filter(|(user, _)| user == name) {
                changes.push(definitions::delete_permission(user, vhost));
            }
            let topics = users.topic_permissions().keys();
            for place in topics.filter(|(user, ..)| user == name) {
                changes.push(definitions::delete_topic_permission(place));
            }
        }
        changes.push(definitions::delete_user(name));
        let ticket = self.shared.store.change(changes)?;
        self.shared.users.write().remove_user(name);
        for vhost in self.vhosts() {
            vhost.changed();
        }
        let reason = CloseReason::Forced(format!("user '{name}' is deleted"));
        let is_theirs = |open: &crate::ConnectionListing| &*open.user == name;
        self.shared.connections.close_where(is_theirs, &reason);
        Ok(ticket)
    }

    /// Give a user another password. Its connections stay.
    pub fn change_password(
        &self,
        name: &str,
        password: &str,
    ) -> Result<Ticket, AdministrationError> {
        self.change_user(name, |record| {
            record
                .hashed(password)
                .map_err(|error| AdministrationError::Random(error.to_string()))
        })
    }

    /// Take a user's password away: none logs it in. Its connections stay.
    pub fn clear_password(&self, name: &str) -> Result<Ticket, AdministrationError> {
        self.change_user(name, |record| Ok(record.without_password()))
    }

    /// Would this name and password log in, wherever from?
    pub fn authenticate_user(&self, name: &str, password: &str) -> Result<(), LoginRefused> {
        let users = self.shared.users.read();
        users.login(name, password, true).map(drop)
    }

    /// Replace a user's tags.
    pub fn set_user_tags(
        &self,
        name: &str,
        tags: Vec<String>,
    ) -> Result<Ticket, AdministrationError> {
        self.change_user(name, |mut record| {
            record.tags = tags;
            Ok(record)
        })
    }

    /// All users, in the order of their names.
    pub fn list_users(&self) -> Vec<UserSummary> {
        let users = self.shared.users.read();
        let records = users.records().iter();
        records
            .map(|(name, record)| UserSummary {
                name: name.clone(),
                tags: record.tags.clone(),
                limits: record.bounds(),
            })
            .collect()
    }

    /// Put what `change` makes of a user in its place.
    pub(super) fn change_user(
        &self,
        name: &str,
        change: impl FnOnce(UserRecord) -> Result<UserRecord, AdministrationError>,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        let record = self.shared.users.read().record(name).cloned();
        let record = record.ok_or_else(|| AdministrationError::NoSuchUser(name.to_owned()))?;
        self.keep_user(name, change(record)?)
    }

    fn keep_user(&self, name: &str, record: UserRecord) -> Result<Ticket, AdministrationError> {
        let change = definitions::put_user(name, &record);
        let ticket = self.shared.store.change(vec![change])?;
        let mut users = self.shared.users.write();
        users.set_record(name.to_owned(), record);
        Ok(ticket)
    }
}
