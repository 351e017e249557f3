//! What was broken.

use std::fmt;

use crate::message::MessageId;

/// Which part of the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A confirmed message that must survive is not there.
    Lost,
    /// A declare, bind, unbind or delete that was answered is undone.
    Undone,
    /// Messages of one publisher came out of a queue in another order.
    Order,
    /// An acknowledged message came back that was settled too long ago.
    Returned,
    /// A transient message survived a restart.
    Survived,
    /// It came a second time, and nothing had given it back.
    Twice,
    /// It came a second time and is not marked as redelivered.
    NotMarked,
    /// It is marked as redelivered, and nobody can have had it.
    Marked,
    /// `x-delivery-count` can't be true.
    DeliveryCount,
    /// The body is not what was published.
    WrongBody,
    /// Nobody published it.
    Unknown,
    /// It came out of a queue that it was not published to.
    Misrouted,
    /// A queue's message count can't be true.
    Count,
    /// A client was refused something that it may do.
    Refused,
    /// The broker ended by itself, did not end, or did not start.
    Broker,
}

/// One breach, in words.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) message: Option<MessageId>,
    pub(crate) definition: Option<String>,
}

impl Violation {
    pub(crate) fn new(kind: Kind, text: String) -> Self {
        Self {
            kind,
            text,
            message: None,
            definition: None,
        }
    }

    /// Whose history tells more.
    pub(crate) fn of_message(mut self, message: MessageId) -> Self {
        self.message = Some(message);
        self
    }

    pub(crate) fn of_definition(mut self, name: &str) -> Self {
        self.definition = Some(name.to_owned());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.kind, self.text)
    }
}
