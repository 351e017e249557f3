//! A message broker that speaks AMQP 0-9-1: what listens, serves and reports.
//!
//! The library gives a running broker inside any process:
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = leveret::Broker::builder().start().await?;
//! println!("amqp://guest:guest@{}/%2f", broker.address());
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The program `leveret` is the same with a configuration in front of it. Here live the sockets,
//! tasks, timers, clocks, configuration and metrics; what a command means is the broker crate's
//! business, which frame may come when the protocol crate's.

#![forbid(unsafe_code)]

pub mod config;
pub mod control;

mod broker;
mod clock;
mod connection;
mod definitions;
mod folder;
#[doc(hidden)]
pub mod fuzz;
mod listener;
mod logins;
mod memory;
mod metrics;
mod node;
mod offers;
mod proxy;
mod resources;
mod timers;
mod tls;
mod wakes;

pub use broker::{Broker, BrokerBuilder, StartError};
pub use config::Config;
pub use definitions::LoadError;
pub use leveret_broker::{
    AdministrationError, Alarm, ApplyTo, DefinitionsError, DefinitionsFile, EffectivePolicy,
    ImportReport, Permission, Policy, PolicyDefinition, PolicyError, PolicyKind, TopicPermission,
    UserLimits, UserSummary,
};
pub use tls::TlsError;
