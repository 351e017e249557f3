//! Where every live message stands in the log: in memory, some five octets each, rebuilt from the log at every open.

pub(crate) mod deliveries;
pub(crate) mod place;
pub(crate) mod queue;
pub(crate) mod segments;
