//! Users, vhosts, permissions and limits, changed while the node runs (RabbitMQ's pages "Access
//! Control", "Virtual Hosts", "Per-User Resource Limits"): what an operator asks for, by whatever
//! door.
//!
//! Every change is with the store before it takes effect, and takes effect at once, also for
//! whoever is connected. It outlives the process once its ticket is durable
//! ([`Broker::wait_durable`]).

mod limits;
mod operations;
mod parameters;
mod permissions;
#[cfg(test)]
mod tests;
mod users;
mod vhosts;

use leveret_store::StoreError;

use crate::broker::Broker;
use crate::users::BadPattern;

pub use self::users::UserSummary;

/// Octets of the name of a user or a vhost (AMQP short string).
const NAME_MAX: usize = 255;

/// Why a change is not made. Nothing of it is then. The texts are those of RabbitMQ's command line
/// where it has some.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// No user may be called so.
    #[error("a name must have 1 to {NAME_MAX} octets")]
    BadName,
    /// A regular expression of a permission is refused.
    #[error(transparent)]
    BadPattern(#[from] BadPattern),
    /// Limits are refused.
    #[error("{0}")]
    BadLimits(String),
    /// A parameter is refused.
    #[error("{0}")]
    BadParameter(String),
    /// There is no parameter of that name.
    #[error("Parameter does not exist")]
    NoSuchParameter,
    /// There is no queue of that name.
    #[error("no queue '{name}' in vhost '{vhost}'")]
    NoSuchQueue {
        /// The name asked for.
        name: String,
        /// The vhost asked.
        vhost: String,
    },
    /// There is no user of that name.
    #[error("User \"{0}\" does not exist")]
    NoSuchUser(String),
    /// There is no vhost of that name.
    #[error("Virtual host '{0}' does not exist")]
    NoSuchVhost(String),
    /// The system gives no random octets for a salt.
    #[error("no random octets: {0}")]
    Random(String),
    /// Something that is in use, or not empty, stays. The text is that of the method's refusal.
    #[error("{0}")]
    Refused(String),
    /// The store takes no changes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a user of that name.
    #[error("User \"{0}\" already exists")]
    UserExists(String),
    /// There is a vhost of that name.
    #[error("Virtual host '{0}' already exists")]
    VhostExists(String),
}

impl Broker {
    /// What users may do in the vhost has changed: what sessions know of it is old.
    pub(crate) fn permissions_changed(&self, vhost: &str) {
        if let Some(vhost) = self.vhost(vhost) {
            vhost.changed();
        }
    }
}

fn check_name(name: &str) -> Result<(), AdministrationError> {
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(AdministrationError::BadName);
    }
    Ok(())
}
