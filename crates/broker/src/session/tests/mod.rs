//! Sessions without sockets: scripts of what clients send and what they must be told, in order.

mod alarms;
mod close;
mod confirms;
mod consume;
mod declare;
mod exchange_types;
mod failures;
mod gets;
mod held;
mod model;
mod permissions;
mod properties;
mod qos;
mod recovery;
mod rig;
mod routing;
mod settle;
mod transactions;
