//! Time to live, limits, priorities, and what else a queue does by itself, through a whole node.

mod expiry;
mod limits;
mod model;
mod options;
mod priorities;
