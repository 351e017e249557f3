//! What an import did.

use std::fmt;

/// How many objects an import has made or replaced. What was there already, and may not be
/// replaced, is not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Users, with their permissions as far as the file has them.
    pub users: usize,
    /// Vhosts that were not there.
    pub vhosts: usize,
    /// Permissions.
    pub permissions: usize,
    /// Topic permissions.
    pub topic_permissions: usize,
    /// Parameters of vhosts.
    pub parameters: usize,
    /// Global parameters.
    pub global_parameters: usize,
    /// Policies and operator policies.
    pub policies: usize,
    /// Exchanges that were not there.
    pub exchanges: usize,
    /// Queues that were not there.
    pub queues: usize,
    /// Bindings that were not there.
    pub bindings: usize,
    /// What was left out, and why: one line each.
    pub skipped: Vec<String>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.users, "users"),
            (self.vhosts, "vhosts"),
            (self.permissions, "permissions"),
            (self.topic_permissions, "topic permissions"),
            (self.parameters, "parameters"),
            (self.global_parameters, "global parameters"),
            (self.policies, "policies"),
            (self.exchanges, "exchanges"),
            (self.queues, "queues"),
            (self.bindings, "bindings"),
        ];
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{count} {what}, ")?;
        }
        write!(f, "{} skipped", self.skipped.len())
    }
}
