//! Who may log in, and to which vhosts.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A user who has logged in.
#[derive(Debug)]
pub struct User {
    name: Arc<str>,
    tags: Vec<String>,
    vhosts: BTreeSet<String>,
}

impl User {
    /// The login name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// May the user open `vhost`?
    pub fn may_open(&self, vhost: &str) -> bool {
        self.vhosts.contains(vhost)
    }

    /// The tag `impersonator` frees a user from the check of the user-id property
    /// (RabbitMQ: Validated User-ID).
    pub fn is_impersonator(&self) -> bool {
        self.tags.iter().any(|tag| tag == "impersonator")
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

/// A user as the definitions keep it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// RabbitMQ's form: base64 of a 4-octet salt followed by SHA-256(salt, password).
    password_hash: String,
    tags: Vec<String>,
    vhosts: BTreeSet<String>,
}

impl UserRecord {
    pub(crate) fn new(
        password: &str,
        tags: Vec<String>,
        vhosts: BTreeSet<String>,
    ) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 4];
        getrandom::fill(&mut salt)?;
        Ok(Self {
            password_hash: BASE64.encode(salted_hash(salt, password)),
            tags,
            vhosts,
        })
    }

    fn matches(&self, password: &str) -> bool {
        let Ok(stored) = BASE64.decode(&self.password_hash) else {
            return false;
        };
        let Some(salt) = stored.first_chunk::<4>() else {
            return false;
        };
        salted_hash(*salt, password).ct_eq(&stored).into()
    }
}

fn salted_hash(salt: [u8; 4], password: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(password.as_bytes());
    let mut salted = salt.to_vec();
    salted.extend_from_slice(&hash.finalize());
    salted
}

/// All users of the node.
#[derive(Debug, Default)]
pub(crate) struct Users {
    users: FxHashMap<String, UserRecord>,
    loopback_only: BTreeSet<String>,
}

impl Users {
    pub(crate) fn new(loopback_only: impl IntoIterator<Item = String>) -> Self {
        Self {
            users: FxHashMap::default(),
            loopback_only: loopback_only.into_iter().collect(),
        }
    }

    pub(crate) fn insert(&mut self, name: String, record: UserRecord) {
        self.users.insert(name, record);
    }

    /// Check a name and password given by a peer that is, or is not, on the loopback interface.
    pub(crate) fn login(
        &self,
        name: &str,
        password: &str,
        from_loopback: bool,
    ) -> Result<User, LoginRefused> {
        let record = self.users.get(name).ok_or(LoginRefused::UnknownUser)?;
        if !record.matches(password) {
            return Err(LoginRefused::WrongPassword);
        }
        if !from_loopback && self.loopback_only.contains(name) {
            return Err(LoginRefused::NotLoopback);
        }
        Ok(User {
            name: name.into(),
            tags: record.tags.clone(),
            vhosts: record.vhosts.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let mut users = Users::new(["guest".to_owned()]);
        let record = UserRecord::new("secret", vec![], BTreeSet::from(["/".to_owned()])).unwrap();
        users.insert("guest".to_owned(), record.clone());
        users.insert("app".to_owned(), record);
        users
    }

    #[test]
    fn a_login_needs_the_right_password() {
        assert!(users().login("app", "secret", false).unwrap().may_open("/"));
        assert_eq!(
            users().login("app", "Secret", true).unwrap_err(),
            LoginRefused::WrongPassword
        );
        assert_eq!(
            users().login("nobody", "secret", true).unwrap_err(),
            LoginRefused::UnknownUser
        );
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
    fn the_hash_is_salted_and_in_rabbitmqs_form() {
        let a = UserRecord::new("secret", vec![], BTreeSet::new()).unwrap();
        let b = UserRecord::new("secret", vec![], BTreeSet::new()).unwrap();
        assert_ne!(a.password_hash, b.password_hash);
        assert_eq!(BASE64.decode(a.password_hash).unwrap().len(), 36);
        // From RabbitMQ's page "Passwords": the worked example with salt 908DC60A and password test12.
        let known = UserRecord {
            password_hash: "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR".to_owned(),
            tags: vec![],
            vhosts: BTreeSet::new(),
        };
        assert!(known.matches("test12"));
    }
}
