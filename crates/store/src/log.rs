//! The message log: append-only segment files shared by all queues.
//!
//! [`record`] says what a record looks like, [`segment`] what a segment file is, [`writer`] appends, [`scan`] reads a
//! segment from end to end when the store opens. What the records mean for a queue stands in `crate::index`.

pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod writer;
