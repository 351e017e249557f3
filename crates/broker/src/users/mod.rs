//! Who may log in, to which vhosts, and what they may do there.
//!
//! Passwords stand in `password`, permissions and the decision over them in `permission`, bounds
//! of a user in `limits`. They are changed by `administration` and by imports of definitions.

mod limits;
mod password;
mod permission;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use self::limits::UserLimits;
pub(crate) use self::password::{HashingAlgorithm, UserRecord};
pub(crate) use self::permission::Grant;
pub use self::permission::{
    AccessRefused, BadPattern, Permission, Resource, Right, TopicPermission,
};

/// A user who has logged in.
#[derive(Debug)]
pub struct User {
    name: Arc<str>,
    tags: Vec<String>,
}

impl User {
    /// The login name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The tags that the user had at login.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// Why a login is refused. The peer learns only that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefused {
    /// No such user.
    #[error("unknown user")]
    UnknownUser,
    /// The password does not match.
    #[error("wrong password")]
    WrongPassword,
    /// The user may only connect from the loopback interface, and the peer is not there.
    #[error("user may only connect via localhost")]
    NotLoopback,
}

/// A user frees itself with this tag from the check of the user-id property (RabbitMQ's page
/// "Validated User-ID").
const IMPERSONATOR: &str = "impersonator";

/// Permissions by user and vhost.
type Permissions = BTreeMap<(String, String), Permission>;

/// Topic permissions by user, vhost and exchange.
type TopicPermissions = BTreeMap<(String, String, String), TopicPermission>;

/// All users of the node, and what they may do.
#[derive(Debug, Default)]
pub(crate) struct Users {
    records: BTreeMap<String, UserRecord>,
    permissions: Permissions,
    topic_permissions: TopicPermissions,
    /// What follows from the permissions of a user in a vhost, from when it was first asked until
    /// they change: by user, then by vhost.
    grants: FxHashMap<String, FxHashMap<String, Arc<Grant>>>,
    loopback_only: BTreeSet<String>,
}

impl Users {
    pub(crate) fn new(loopback_only: impl IntoIterator<Item = String>) -> Self {
        Self {
            loopback_only: loopback_only.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Check a name and password given by a peer that is, or is not, on the loopback interface.
    pub(crate) fn login(
        &self,
        name: &str,
        password: &str,
        from_loopback: bool,
    ) -> Result<User, LoginRefused> {
        let record = self.record(name).ok_or(LoginRefused::UnknownUser)?;
        // As RabbitMQ: a user may have an empty password, and does not log in with it.
        if password.is_empty() || !record.matches(password) {
            return Err(LoginRefused::WrongPassword);
        }
        self.login_external(name, from_loopback)
    }

    /// Let in somebody whose identity was proved elsewhere, as by a certificate: a password is not needed.
    pub(crate) fn login_external(
        &self,
        name: &str,
        from_loopback: bool,
    ) -> Result<User, LoginRefused> {
        let record = self.record(name).ok_or(LoginRefused::UnknownUser)?;
        if !from_loopback && self.loopback_only.contains(name) {
            return Err(LoginRefused::NotLoopback);
        }
        Ok(User {
            name: name.into(),
            tags: record.tags.clone(),
        })
    }

    pub(crate) fn record(&self, name: &str) -> Option<&UserRecord> {
        self.records.get(name)
    }

    /// All users, in the order of their names.
    pub(crate) fn records(&self) -> &BTreeMap<String, UserRecord> {
        &self.records
    }

    pub(crate) fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    pub(crate) fn topic_permissions(&self) -> &TopicPermissions {
        &self.topic_permissions
    }

    /// The bounds of a user; none for one who is gone.
    pub(crate) fn limits(&self, name: &str) -> UserLimits {
        self.record(name)
            .map(UserRecord::bounds)
            .unwrap_or_default()
    }

    /// May the user set any user-id on its messages?
    pub(crate) fn is_impersonator(&self, name: &str) -> bool {
        self.record(name)
            .is_some_and(|record| record.tags.iter().any(|tag| tag == IMPERSONATOR))
    }

    /// What a user may do in a vhost, if that has been asked since it last changed.
    pub(crate) fn known_grant(&self, user: &str, vhost: &str) -> Option<Arc<Grant>> {
        self.grants.get(user)?.get(vhost).cloned()
    }

    /// What a user may do in a vhost.
    pub(crate) fn grant(&mut self, user: &str, vhost: &str) -> Arc<Grant> {
        if let Some(known) = self.known_grant(user, vhost) {
            return known;
        }
        let place = (user.to_owned(), vhost.to_owned());
        let of_place = (place.0.clone(), place.1.clone(), String::new());
        let topics = self
            .topic_permissions
            .range(of_place..)
            .take_while(|((of_user, in_vhost, _), _)| of_user == user && in_vhost == vhost)
            .map(|((_, _, exchange), permission)| (exchange.as_str(), permission));
        let permission = self.permissions.get(&place);
        let grant = Arc::new(Grant::new((user, vhost), permission, topics));
        // Of a user without permission nothing is kept: names that peers make up would fill it.
        if grant.opens() {
            let of_user = self.grants.entry(place.0).or_default();
            of_user.insert(place.1, Arc::clone(&grant));
        }
        grant
    }

    fn forget_grant(&mut self, user: &str, vhost: &str) {
        if let Some(of_user) = self.grants.get_mut(user) {
            of_user.remove(vhost);
        }
    }

    pub(crate) fn set_record(&mut self, name: String, record: UserRecord) {
        self.records.insert(name, record);
    }

    pub(crate) fn set_permission(&mut self, place: (String, String), permission: Permission) {
        self.forget_grant(&place.0, &place.1);
        self.permissions.insert(place, permission);
    }

    pub(crate) fn clear_permission(&mut self, user: &str, vhost: &str) {
        self.forget_grant(user, vhost);
        self.permissions
            .remove(&(user.to_owned(), vhost.to_owned()));
    }

    pub(crate) fn set_topic_permission(
        &mut self,
        place: (String, String, String),
        permission: TopicPermission,
    ) {
        self.forget_grant(&place.0, &place.1);
        self.topic_permissions.insert(place, permission);
    }

    pub(crate) fn clear_topic_permission(&mut self, place: &(String, String, String)) {
        self.forget_grant(&place.0, &place.1);
        self.topic_permissions.remove(place);
    }

    /// Forget a user and all its permissions.
    pub(crate) fn remove_user(&mut self, name: &str) {
        self.records.remove(name);
        self.grants.remove(name);
        self.permissions.retain(|(user, _), _| user != name);
        self.topic_permissions.retain(|(user, ..), _| user != name);
    }

    /// Forget all permissions in a vhost.
    pub(crate) fn remove_vhost(&mut self, name: &str) {
        for of_user in self.grants.values_mut() {
            of_user.remove(name);
        }
        self.permissions.retain(|(_, vhost), _| vhost != name);
        self.topic_permissions
            .retain(|(_, vhost, _), _| vhost != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let mut users = Users::new(["guest".to_owned()]);
        let record = UserRecord::new("secret", vec![]).unwrap();
        for name in ["guest", "app"] {
            users.set_record(name.to_owned(), record.clone());
            let place = (name.to_owned(), "/".to_owned());
            users.set_permission(place, Permission::all());
        }
        users
    }

    #[test]
    fn a_login_needs_the_right_password() {
        let mut users = users();
        let user = users.login("app", "secret", false).unwrap();
        assert_eq!(&**user.name(), "app");
        assert!(users.grant("app", "/").opens() && !users.grant("app", "orders").opens());
        assert_eq!(
            users.login("app", "Secret", true).unwrap_err(),
            LoginRefused::WrongPassword
        );
        assert_eq!(
            users.login("nobody", "secret", true).unwrap_err(),
            LoginRefused::UnknownUser
        );
    }

    #[test]
    fn an_empty_password_logs_nobody_in() {
        let mut users = users();
        let record = UserRecord::new("", vec![]).unwrap();
        users.set_record("app".to_owned(), record);
        let refused = users.login("app", "", true).unwrap_err();
        assert_eq!(refused, LoginRefused::WrongPassword);
    }

    #[test]
    fn guest_logs_in_from_loopback_only() {
        assert!(users().login("guest", "secret", true).is_ok());
        assert_eq!(
            users().login("guest", "secret", false).unwrap_err(),
            LoginRefused::NotLoopback
        );
    }

    #[test]
    fn who_is_known_from_elsewhere_needs_no_password() {
        let users = users();
        assert_eq!(&**users.login_external("app", false).unwrap().name(), "app");
        let stranger = users.login_external("nobody", true).unwrap_err();
        assert_eq!(stranger, LoginRefused::UnknownUser);
        let remote = users.login_external("guest", false).unwrap_err();
        assert_eq!(remote, LoginRefused::NotLoopback);
    }

    #[test]
    fn what_a_user_may_do_is_known_until_it_changes() {
        let mut users = users();
        let first = users.grant("app", "/");
        assert!(Arc::ptr_eq(&first, &users.known_grant("app", "/").unwrap()));
        users.set_topic_permission(
            ("app".to_owned(), "/".to_owned(), "t".to_owned()),
            TopicPermission {
                write: "^a".to_owned(),
                read: String::new(),
            },
        );
        assert!(users.known_grant("app", "/").is_none());
        assert!(first.writes_everything() && !users.grant("app", "/").writes_everything());
        users.clear_permission("app", "/");
        assert!(!users.grant("app", "/").opens());
        assert!(users.known_grant("app", "/").is_none());
        users.remove_user("app");
        assert!(users.record("app").is_none() && users.topic_permissions().is_empty());
    }

    #[test]
    fn what_goes_with_a_vhost_are_its_permissions_alone() {
        let mut users = users();
        let place = ("app".to_owned(), "orders".to_owned());
        users.set_permission(place, Permission::all());
        users.grant("app", "/");
        users.grant("app", "orders");
        users.remove_vhost("/");
        assert!(!users.grant("app", "/").opens() && users.grant("app", "orders").opens());
        assert!(users.record("guest").is_some() && users.permissions().len() == 1);
    }
}
