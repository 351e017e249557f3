//! The domain of the broker: vhosts, exchanges, queues, consumers, users, and one
//! [`Session`] per connection that turns a client's commands into calls on them.
//!
//! What does not live here: sockets, tokio, clocks (time is an argument), and the
//! encoding of frames (a session speaks to its peer through the [`Output`] trait).
//!
//! The way of a message: [`Session::publish`] finds the target queues (cached by exchange and
//! routing key) and collects the messages of one socket read by queue; [`Session::flush`]
//! takes each queue's lock once, numbers the messages, hands the durable ones to the store,
//! and gives whatever a consumer has credit for to that consumer's [`Mailbox`]. The
//! consumer's own task empties its mailbox ([`Session::poll`]), assigns delivery tags
//! and has them encoded. Acknowledgements come back through [`Session::ack`] in the same way.

#![expect(
    clippy::cast_possible_truncation,
    reason = "slots of consumers, queues and routes, and sums of octets in memory: bounded by limits far below 2^32 and \
              by the address space"
)]

mod administration;
mod alarms;
mod broker;
mod connections;
mod counters;
mod dead_letter;
mod deadlines;
mod definitions;
mod definitions_file;
mod delay;
mod effects;
mod entry;
mod limits;
mod listing;
mod mailbox;
mod policies;
mod queue;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod scenario;
mod secret;
mod session;
mod stored;
mod stored_form;
mod time;
mod users;
mod vhost;

pub use administration::{AdministrationError, UserSummary};
pub use alarms::Alarm;
pub use broker::{Broker, BrokerError, BrokerOptions};
pub use connections::{ConnectionDetails, ConnectionId, ConnectionSummary, PackedTable};
pub use counters::{Counters, DiscardGroup, DiscardTotals, QueueTotals, Totals};
pub use definitions_file::{DefinitionsError, DefinitionsFile, ImportReport};
pub use delay::{
    BadDelayedId, CancelDone, DelayedExchange, DelayedId, DelayedMessage, DelayedPage, PageDone,
};
pub use effects::Wakes;
pub use limits::Limits;
pub use listing::{
    BindingListing, ChannelListing, ChannelMode, ConnectionListing, ConsumerListing,
    ExchangeListing, QueueListing,
};
pub use mailbox::{CloseReason, Mailbox};
pub use policies::{ApplyTo, EffectivePolicy, Policy, PolicyDefinition, PolicyError, PolicyKind};
pub use queue::Queue;
pub use secret::Secret;
pub use session::{Failure, Output, Peer, Session};
pub use stored::{StoredDefinition, stored_message};
pub use time::{Clock, ManualClock, Time};
pub use users::{
    AccessRefused, BadPattern, LoginRefused, Permission, Resource, Right, TopicPermission, User,
    UserLimits,
};
pub use vhost::{OpenRefused, Vhost, VhostLimits};
