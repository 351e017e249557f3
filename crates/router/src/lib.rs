//! Exchanges and bindings as data: a message's key and headers to a set of queues.
//!
//! **Here**: the topology of one virtual host ([`Router`]): its exchanges, its bindings, the names
//! of its queues, what a removal takes with it, and the search that turns one message into the
//! queues that get it. **Not here**: permissions, reserved names, equivalence of a second declare,
//! queues themselves, storage, locks. The caller asks those questions first and locks around us.
//!
//! **How data comes through**: [`Router::bind`] files a [`Binding`] under its identity, its source
//! and its destination, and gives its routing part to the index of the source's type: a hash map of
//! keys (`direct`), a list (`fanout` and the types that pick one binding), a trie of words (`topic`), a
//! table of header values (`headers`), or weighted shares (`x-consistent-hash`). [`Router::route`] looks the exchange up by name, lets its index pour the targets
//! into the caller's buffer, and follows the exchanges among them and the alternate exchanges until
//! none is new. All working memory is in [`RouteScratch`], so that a route allocates nothing once
//! its buffers have grown.
//!
//! **Costs**: every change of one binding is constant time beside the length of its key and
//! arguments, however many bindings the exchange has; a route costs what the message and its
//! matches cost, not what is bound. Two of RabbitMQ's plugin types are exceptions: `x-consistent-hash`
//! draws a number for each destination (a nanosecond or two each), and the types that pick a binding
//! list all of theirs once after a change.

#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "RabbitMQ is a name, not code")]

mod arguments;
mod binding;
mod consistent;
mod dice;
mod direct;
mod erlang;
mod exchange;
mod fanout;
mod hash;
mod headers;
mod identity;
mod index;
mod listed;
mod marks;
mod route;
mod router;
mod slab;
mod targets;
mod topic;

pub use arguments::{ArgumentError, HISTORY_LENGTH_DEFAULT};
pub use binding::{BindError, Binding, Destination, Removed};
pub use consistent::WEIGHT_MAX;
pub use exchange::{DELAYED_TYPE, Exchange, ExchangeKind};
pub use route::{RouteRequest, RouteScratch, Routed};
pub use router::Router;
pub use topic::TOPIC_HASHES_MAX;
