//! The control socket: what operators' commands (`leveret ctl`) ask of a running broker.
//!
//! A client connects to a Unix socket that only the broker's own user and root can use, and writes one
//! [`Request`] as a line of JSON. The answer is any number of [`Reply::Row`] and then either [`Reply::Done`] or
//! [`Reply::Failed`], each a line of JSON too; then the broker closes the connection.
//!
//! Here stand the form of both (`request`, `reply`), the socket and who may use it (`socket`), the serving of one
//! connection (`serve`), and what a request does (`operations`, `lists`, `columns`, `status`). What is printed, and
//! RabbitMQ's names, words and exit codes, are the command line's.

mod columns;
mod lists;
mod operations;
mod reply;
mod request;
mod serve;
mod socket;
mod status;
#[cfg(test)]
mod tests;

pub use self::columns::{
    BINDING_COLUMNS, CHANNEL_COLUMNS, CONNECTION_COLUMNS, CONSUMER_COLUMNS, EXCHANGE_COLUMNS,
    QUEUE_COLUMNS, VHOST_COLUMNS,
};
pub use self::reply::{Problem, Reply};
pub use self::request::Request;
pub(crate) use self::serve::{Listening, Operator, accept};
pub(crate) use self::socket::Socket;
pub use self::socket::SocketError;
