//! Who may do what where.

use leveret_store::Ticket;

use super::AdministrationError;
use crate::broker::Broker;
use crate::definitions;
use crate::users::{Permission, TopicPermission};

impl Broker {
    /// Give a user a permission in a vhost, in place of the one it has. It counts from the next
    /// command of the user's connections on.
    pub fn set_permission(
        &self,
        user: &str,
        vhost: &str,
        permission: Permission,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        permission.check()?;
        self.check_place(user, vhost)?;
        let change = definitions::put_permission(user, vhost, &permission);
        let ticket = self.shared.store.change(vec![change])?;
        let place = (user.to_owned(), vhost.to_owned());
        self.shared.users.write().set_permission(place, permission);
        self.permissions_changed(vhost);
        Ok(ticket)
    }

    /// Take a user's permission in a vhost away. Who is connected there stays, and may do nothing.
    pub fn clear_permission(&self, user: &str, vhost: &str) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        self.check_place(user, vhost)?;
        let change = definitions::delete_permission(user, vhost);
        let ticket = self.shared.store.change(vec![change])?;
        self.shared.users.write().clear_permission(user, vhost);
        self.permissions_changed(vhost);
        Ok(ticket)
    }

    /// The permissions in a vhost, by user.
    pub fn list_permissions(
        &self,
        vhost: &str,
    ) -> Result<Vec<(String, Permission)>, AdministrationError> {
        self.check_vhost(vhost)?;
        let users = self.shared.users.read();
        let all = users.permissions().iter();
        let there = all.filter(|((_, of_vhost), _)| of_vhost == vhost);
        Ok(there
            .map(|((user, _), permission)| (user.clone(), permission.clone()))
            .collect())
    }

    /// The permissions of a user, by vhost.
    pub fn list_user_permissions(
        &self,
        user: &str,
    ) -> Result<Vec<(String, Permission)>, AdministrationError> {
        self.check_user(user)?;
        let users = self.shared.users.read();
        let all = users.permissions().iter();
        let theirs = all.filter(|((of_user, _), _)| of_user == user);
        Ok(theirs
            .map(|((_, vhost), permission)| (vhost.clone(), permission.clone()))
            .collect())
    }

    /// Bound the routing keys that a user may publish to and bind from a topic exchange with,
    /// whether that exists or not. Counts as [`Broker::set_permission`] does.
    pub fn set_topic_permission(
        &self,
        user: &str,
        vhost: &str,
        exchange: &str,
        permission: TopicPermission,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        permission.check()?;
        self.check_place(user, vhost)?;
        let change = definitions::put_topic_permission((user, vhost, exchange), &permission);
        let ticket = self.shared.store.change(vec![change])?;
        let place = (user.to_owned(), vhost.to_owned(), exchange.to_owned());
        let mut users = self.shared.users.write();
        users.set_topic_permission(place, permission);
        drop(users);
        self.permissions_changed(vhost);
        Ok(ticket)
    }

    /// Lift a user's bounds in a vhost: of one exchange, or of all.
    pub fn clear_topic_permissions(
        &self,
        user: &str,
        vhost: &str,
        exchange: Option<&str>,
    ) -> Result<Ticket, AdministrationError> {
        let _turn = self.administration.lock();
        self.check_place(user, vhost)?;
        let places: Vec<_> = {
            let users = self.shared.users.read();
            let all = users.topic_permissions().keys();
            let theirs = all.filter(|(of_user, of_vhost, of_exchange)| {
                let is_chosen = exchange.is_none_or(|exchange| of_exchange == exchange);
                of_user == user && of_vhost == vhost && is_chosen
            });
            theirs.cloned().collect()
        };
        if places.is_empty() {
            return Ok(Ticket::NONE);
        }
        let changes = places.iter().map(definitions::delete_topic_permission);
        let ticket = self.shared.store.change(changes.collect())?;
        let mut users = self.shared.users.write();
        for place in &places {
            users.clear_topic_permission(place);
        }
        drop(users);
        self.permissions_changed(vhost);
        Ok(ticket)
    }

    /// The topic permissions in a vhost, by user and exchange.
    pub fn list_topic_permissions(
        &self,
        vhost: &str,
    ) -> Result<Vec<(String, String, TopicPermission)>, AdministrationError> {
        self.check_vhost(vhost)?;
        let users = self.shared.users.read();
        let all = users.topic_permissions().iter();
        let there = all.filter(|((_, of_vhost, _), _)| of_vhost == vhost);
        Ok(there
            .map(|((user, _, exchange), permission)| {
                (user.clone(), exchange.clone(), permission.clone())
            })
            .collect())
    }

    /// The topic permissions of a user, by vhost and exchange.
    pub fn list_user_topic_permissions(
        &self,
        user: &str,
    ) -> Result<Vec<(String, String, TopicPermission)>, AdministrationError> {
        self.check_user(user)?;
        let users = self.shared.users.read();
        let all = users.topic_permissions().iter();
        let theirs = all.filter(|((of_user, ..), _)| of_user == user);
        Ok(theirs
            .map(|((_, vhost, exchange), permission)| {
                (vhost.clone(), exchange.clone(), permission.clone())
            })
            .collect())
    }

    pub(super) fn check_user(&self, name: &str) -> Result<(), AdministrationError> {
        match self.shared.users.read().record(name) {
            Some(_) => Ok(()),
            None => Err(AdministrationError::NoSuchUser(name.to_owned())),
        }
    }

    pub(super) fn check_vhost(&self, name: &str) -> Result<(), AdministrationError> {
        match self.vhost(name) {
            Some(_) => Ok(()),
            None => Err(AdministrationError::NoSuchVhost(name.to_owned())),
        }
    }

    /// Are there such a user and such a vhost? RabbitMQ asks for the vhost first.
    fn check_place(&self, user: &str, vhost: &str) -> Result<(), AdministrationError> {
        self.check_vhost(vhost)?;
        self.check_user(user)
    }
}
