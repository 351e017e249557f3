//! Where every live message stands in the log: in memory, some five octets each, rebuilt from the log at every open.

pub(crate) mod deliveries;
mod early_marks;
pub(crate) mod place;
pub(crate) mod queue;
pub(crate) mod segments;
