//! What the machine tells its owner.

use leveret_wire::{Ack, Message, Nack, Reject, method::AMQPClass};

use crate::{
    credentials::{Credentials, Secret},
    error::{ChannelError, ConnectionError},
};

/// Something the owner of a [`Connection`](crate::Connection) has to act on. The number in front is
/// the channel.
///
/// [`Event::Closed`] and [`Event::Lost`] are the last: the connection is finished.
/// [`Event::ConnectionFailed`] comes before them, while the peer is still being told.
#[derive(Clone, Debug)]
pub enum Event {
    /// `basic.ack`: deliveries are done.
    Ack(u16, Ack),
    /// The client wants to close the channel: clean up, then
    /// [`accept_channel_close`](crate::Connection::accept_channel_close).
    ChannelClose(u16),
    /// The client confirmed our own `channel.close`: the number is free again.
    ChannelClosed(u16),
    /// The machine raised a soft error by itself and has sent `channel.close`: clean up.
    ChannelFailed(u16, ChannelError),
    /// A channel was opened, to be answered with [`crate::Connection::accept_channel_open`].
    ChannelOpened(u16),
    /// The client wants to close the connection: end all its channels, delete its exclusive queues,
    /// then [`accept_close`](crate::Connection::accept_close).
    Close,
    /// The connection is over in good order: flush the output and drop the socket.
    Closed,
    /// The machine raised a hard error by itself: clean up. `connection.close` has been sent, unless
    /// the handshake was not over; then the peer gets silence and the end of the TCP connection.
    ConnectionFailed(ConnectionError),
    /// The client wants to log in: answer with [`accept_login`](crate::Connection::accept_login) or
    /// [`refuse_login`](crate::Connection::refuse_login). Nothing more is read until then.
    Login(Credentials),
    /// The connection is over without ceremony: drop the socket.
    Lost(LostReason),
    /// A command on an open channel, one that only a client may send: all of `exchange`, `queue`,
    /// `confirm` and `tx`, and of `basic` qos, consume, cancel, get, recover and recover-async.
    Method(u16, AMQPClass),
    /// `basic.nack`: deliveries are refused.
    Nack(u16, Nack),
    /// The client wants to open the virtual host: answer with
    /// [`accept_open`](crate::Connection::accept_open) or [`close`](crate::Connection::close).
    /// Nothing more is read until then.
    Open {
        /// Name of the virtual host.
        vhost: String,
    },
    /// A message, complete.
    Publish(u16, Publish),
    /// `basic.reject`: one delivery is refused.
    Reject(u16, Reject),
    /// The client renews its secret: answer with
    /// [`accept_secret`](crate::Connection::accept_secret) or [`close`](crate::Connection::close).
    /// Nothing more is read until then.
    UpdateSecret {
        /// The new password or token.
        secret: Secret,
        /// What the client says about it.
        reason: String,
    },
}

/// A published message: method, content header and all of the body.
#[derive(Clone, Debug)]
pub struct Publish {
    /// What is to be routed.
    pub message: Message,
    /// It must be returned if no queue takes it.
    pub mandatory: bool,
    /// It wants a consumer at once; RabbitMQ answers this with a hard 540.
    pub immediate: bool,
}

/// Why a connection ended without ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The peer neither confirmed the close nor ended the TCP connection in time.
    CloseTimeout,
    /// The handshake took too long; with `nothing_received`, not an octet came.
    HandshakeTimeout {
        /// Whether the peer stayed silent from the start.
        nothing_received: bool,
    },
    /// Nothing was heard from the peer for two heartbeat intervals.
    HeartbeatMissed,
    /// The peer speaks something else; `AMQP 0 0 9 1` stands in the output, to be flushed.
    UnsupportedProtocol {
        /// What it opened with.
        header: [u8; 8],
    },
}
