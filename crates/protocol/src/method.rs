//! The methods of AMQP 0-9-1 with RabbitMQ's extensions, sorted by what the machine does with them,
//! and the small repairs made to their arguments.

use leveret_wire::{
    ShortString,
    method::{AMQPClass, exchange, queue},
};

/// Class id of `connection`.
pub(crate) const CONNECTION: u16 = 10;
/// Class id of `basic`, the only class with content.
pub(crate) const BASIC: u16 = 60;
/// Method id of `basic.publish`.
pub(crate) const PUBLISH: u16 = 40;
/// Method id of `basic.ack`.
pub(crate) const ACK: u16 = 80;
/// Method id of `basic.reject`.
pub(crate) const REJECT: u16 = 90;
/// Method id of `basic.nack`.
pub(crate) const NACK: u16 = 120;

/// Method id of `basic.qos`.
pub(crate) const QOS: u16 = 10;

/// What the machine does with a method on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `access.request`: answered by the machine.
    AccessRequest,
    /// `channel.close`.
    ChannelClose,
    /// `channel.close-ok`.
    ChannelCloseOk,
    /// `channel.flow`: answered by the machine.
    ChannelFlow,
    /// `channel.open`.
    ChannelOpen,
    /// A client's command, for the owner.
    Command,
    /// Class `connection`: never legal on a channel.
    Connection,
    /// `basic.publish`: read without amq-protocol; content follows.
    Publish,
    /// Only a server may send it.
    ServerOnly {
        /// Whether content follows.
        content: bool,
    },
    /// `basic.ack`, `basic.nack`, `basic.reject`: read without amq-protocol.
    Settlement,
}

impl Kind {
    /// The kind of a class and method id; `None` if there is no such method.
    #[inline]
    pub(crate) fn of(class: u16, method: u16) -> Option<Self> {
        match class {
            BASIC => Self::of_basic(method),
            CONNECTION => Self::of_connection(method),
            20 => Self::of_channel(method),
            30 => Self::of_access(method),
            // exchange: declare, delete, bind, unbind; unbind-ok is 51, not 41
            40 => Self::of_commands(method, &[10, 20, 30, 40], &[11, 21, 31, 51]),
            // queue: declare, bind, purge, delete, unbind
            50 => Self::of_commands(method, &[10, 20, 30, 40, 50], &[11, 21, 31, 41, 51]),
            // confirm: select
            85 => Self::of_commands(method, &[10], &[11]),
            // tx: select, commit, rollback
            90 => Self::of_commands(method, &[10, 20, 30], &[11, 21, 31]),
            _ => None,
        }
    }

    #[inline]
    fn of_basic(method: u16) -> Option<Self> {
        Some(match method {
            PUBLISH => Self::Publish,
            ACK | NACK | REJECT => Self::Settlement,
            // qos, consume, cancel, get, recover-async, recover
            10 | 20 | 30 | 70 | 100 | 110 => Self::Command,
            // their -ok, and get-empty
            11 | 21 | 31 | 72 | 111 => Self::ServerOnly { content: false },
            // return, deliver, get-ok
            50 | 60 | 71 => Self::ServerOnly { content: true },
            _ => return None,
        })
    }

    fn of_connection(method: u16) -> Option<Self> {
        // start, secure, tune, open, close and update-secret with their -ok, blocked, unblocked
        let known = matches!(
            method,
            10 | 11 | 20 | 21 | 30 | 31 | 40 | 41 | 50 | 51 | 60 | 61 | 70 | 71
        );
        known.then_some(Self::Connection)
    }

    fn of_channel(method: u16) -> Option<Self> {
        Some(match method {
            10 => Self::ChannelOpen,
            20 => Self::ChannelFlow,
            40 => Self::ChannelClose,
            41 => Self::ChannelCloseOk,
            // The server never sends flow, so a client has no flow-ok to send either.
            11 | 21 => Self::ServerOnly { content: false },
            _ => return None,
        })
    }

    fn of_access(method: u16) -> Option<Self> {
        match method {
            10 => Some(Self::AccessRequest),
            11 => Some(Self::ServerOnly { content: false }),
            _ => None,
        }
    }

    /// A class of plain commands and their answers.
    fn of_commands(method: u16, commands: &[u16], answers: &[u16]) -> Option<Self> {
        if commands.contains(&method) {
            Some(Self::Command)
        } else {
            answers
                .contains(&method)
                .then_some(Self::ServerOnly { content: false })
        }
    }

    /// Whether a content header must follow on the channel.
    pub(crate) fn carries_content(self) -> bool {
        matches!(self, Self::Publish | Self::ServerOnly { content: true })
    }
}

/// Takes CR and LF out of exchange and queue names in declare, delete, bind and unbind, as RabbitMQ
/// does without a word. Names elsewhere and routing keys stay as they are.
pub(crate) fn strip_line_breaks(method: &mut AMQPClass) {
    match method {
        AMQPClass::Exchange(exchange::AMQPMethod::Bind(bind)) => {
            strip(&mut bind.destination);
            strip(&mut bind.source);
        }
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)) => strip(&mut declare.exchange),
        AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)) => strip(&mut delete.exchange),
        AMQPClass::Exchange(exchange::AMQPMethod::Unbind(unbind)) => {
            strip(&mut unbind.destination);
            strip(&mut unbind.source);
        }
        AMQPClass::Queue(queue::AMQPMethod::Bind(bind)) => {
            strip(&mut bind.exchange);
            strip(&mut bind.queue);
        }
        AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) => strip(&mut declare.queue),
        AMQPClass::Queue(queue::AMQPMethod::Delete(delete)) => strip(&mut delete.queue),
        AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind)) => {
            strip(&mut unbind.exchange);
            strip(&mut unbind.queue);
        }
        _ => {}
    }
}

fn strip(name: &mut ShortString) {
    const LINE_BREAKS: [char; 2] = ['\r', '\n'];
    if name.as_str().contains(LINE_BREAKS) {
        // Shorter than before, so it is a short string still.
        *name = ShortString::try_new(name.as_str().replace(LINE_BREAKS, "")).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_wire::{MethodError, parse_method};

    #[test]
    fn exactly_the_methods_that_the_codec_knows_have_a_kind() {
        for class in 0..=100 {
            for method in 0..=130 {
                let mut payload = Vec::new();
                payload.extend_from_slice(&u16::to_be_bytes(class));
                payload.extend_from_slice(&u16::to_be_bytes(method));
                let unknown = matches!(
                    parse_method(&payload),
                    Err(MethodError::UnknownMethod { .. })
                );
                assert_eq!(
                    Kind::of(class, method).is_none(),
                    unknown,
                    "{class}/{method}"
                );
            }
        }
    }

    #[test]
    fn only_four_methods_carry_content() {
        let with_content: Vec<(u16, u16)> = (0..=100)
            .flat_map(|class| (0..=130).map(move |method| (class, method)))
            .filter(|(class, method)| Kind::of(*class, *method).is_some_and(Kind::carries_content))
            .collect();
        assert_eq!(with_content, [(60, 40), (60, 50), (60, 60), (60, 71)]);
    }
}
