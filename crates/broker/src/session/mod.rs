//! One connection's dealings with the broker: its channels, consumers and what is
//! outstanding on them.
//!
//! A session belongs to one task and has no locks of its own. The server feeds it what the
//! protocol machine recognised, calls [`Session::flush`] when a socket read is worked off and
//! [`Session::poll`] when its mailbox has something; the session answers through [`Output`].

mod authorise;
mod channel;
mod confirm;
mod consume;
mod declare;
mod delayed;
mod deliver;
mod failure;
mod firehose;
mod listing;
mod output;
mod publish;
mod queues;
mod reply_to;
mod routes;
mod settle;
#[cfg(test)]
mod tests;
mod timeouts;
mod transaction;

use std::sync::Arc;

use leveret_protocol::{ChannelError, ConnectionError, Limit};
use leveret_store::{Operation, Ticket};
use leveret_wire::{AMQPClass, Message, method};
use rustc_hash::FxHashMap;

pub use self::failure::Failure;
pub(crate) use self::listing::{SessionChannel, SessionConsumer};

use self::channel::{Channel, Held, Mode, Unacked};
use self::consume::Consumers;
use self::queues::QueueSlots;
use self::routes::Routes;
use self::timeouts::Timeouts;
use crate::broker::{Broker, Shared};
use crate::connections::{Bounds, ConnectionDetails, ConnectionId, ConnectionSummary, Full};
use crate::counters::Counters;
use crate::deadlines::Party;
use crate::delay::{DelayedExchange, Held as HeldBack};
use crate::effects::Effects;
use crate::mailbox::{Mailbox, Notice};
use crate::queue::Queue;
use crate::users::{Grant, User};
use crate::vhost::{OpenRefused, QueueAccess, Vhost};

/// What a session says to its peer. The protocol machine implements it.
pub trait Output {
    /// channel.open-ok.
    fn accept_channel_open(&mut self, channel: u16);
    /// A method without content.
    fn reply(&mut self, channel: u16, method: &AMQPClass);
    /// basic.deliver.
    fn deliver(
        &mut self,
        channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        redelivered: bool,
        message: &Message,
    );
    /// basic.get-ok.
    fn get_ok(
        &mut self,
        channel: u16,
        delivery_tag: u64,
        redelivered: bool,
        message_count: u32,
        message: &Message,
    );
    /// basic.return with 312 NO_ROUTE.
    fn return_unroutable(&mut self, channel: u16, message: &Message);
    /// basic.ack to a publisher.
    fn confirm(&mut self, channel: u16, delivery_tag: u64, multiple: bool);
    /// basic.nack to a publisher: a queue refused the message.
    fn refuse(&mut self, channel: u16, delivery_tag: u64);
    /// channel.close: a soft error ended the channel.
    fn close_channel(&mut self, channel: u16, error: &ChannelError);
    /// channel.close-ok.
    fn accept_channel_close(&mut self, channel: u16);
    /// There is a resource alarm with this reason: what publishes from now on is held back.
    fn block(&mut self, reason: &str);
    /// There is no resource alarm any more.
    fn unblock(&mut self);
}

/// What a connection says of itself.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `peer address:port -> own address:port`.
    pub name: String,
    /// It understands basic.cancel from the server (capability `consumer_cancel_notify`).
    pub consumer_cancel_notify: bool,
    /// What an operator is told of it.
    pub details: Arc<ConnectionDetails>,
}

/// One connection's dealings with the broker.
pub struct Session {
    shared: Arc<Shared>,
    vhost: Arc<Vhost>,
    user: Arc<User>,
    /// What the user may do, as it was at this generation of the vhost.
    grant: Arc<Grant>,
    granted_at: u64,
    access: QueueAccess,
    peer: Peer,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    channels: FxHashMap<u16, Channel>,
    consumers: Consumers,
    queues: QueueSlots,
    routes: Routes,
    /// Messages of this socket read for delayed exchanges.
    held: Vec<(Arc<DelayedExchange>, HeldBack)>,
    /// Exclusive queues of this connection; they go with it.
    exclusive: Vec<Arc<Queue>>,
    /// Settles of this socket read, for the store.
    settles: Vec<Operation>,
    effects: Effects,
    /// Channels that published in confirm mode and have unconfirmed publishes.
    confirming: Vec<u16>,
    /// Channels with held output.
    holding: Vec<u16>,
    /// Publishes of an uncommitted transaction that some queue refused.
    refused: usize,
    /// The vhost is traced: clients' messages are copied to [`firehose::TRACE`].
    is_traced: bool,
    timeouts: Timeouts,
    /// The last operation this session gave to the store.
    last_ticket: Ticket,
    /// The ticket of which the mailbox will hear from the store.
    watched: Ticket,
    /// What the cancellations at hand wait for.
    cancels_after: Ticket,
    next_get: u64,
    /// Queue slot and `no_ack` of each basic.get whose message the store is reading.
    pending_gets: FxHashMap<u64, (u32, bool)>,
    /// Messages, with their channels, that could not be sent and are to go back.
    unsent: Vec<(u16, Unacked)>,
    /// Octets of deliveries that were encoded and may still wait for the socket.
    encoded_bytes: usize,
    notices: Vec<Notice>,
}

impl Broker {
    /// Open `vhost` for a user who has logged in (connection.open).
    pub fn open_session(
        &self,
        user: Arc<User>,
        vhost: &str,
        peer: Peer,
    ) -> Result<Session, OpenRefused> {
        let found = self
            .vhost(vhost)
            .ok_or_else(|| OpenRefused::NoVhost(vhost.to_owned()))?;
        let limits = &self.shared.limits;
        let mailbox = Arc::new(Mailbox::new(
            limits.outbox_high_bytes,
            limits.outbox_low_bytes,
        ));
        let counters = Arc::new(Counters::default());
        let bounds = Bounds {
            node: limits.connections,
            vhost: found.limits().max_connections,
            user: self.shared.users.read().limits(user.name()).max_connections,
        };
        let describe = |id| ConnectionSummary {
            id,
            name: peer.name.clone(),
            user: Arc::clone(user.name()),
            vhost: Arc::clone(found.name()),
            details: Arc::clone(&peer.details),
        };
        let connection = self
            .shared
            .connections
            .open(bounds, describe, &mailbox, &counters)
            .map_err(|full| refused_for(full, vhost, &user))?;
        let granted_at = found.generation();
        let grant = self.shared.grant(user.name(), vhost);
        // Who comes after the connections of a deleted vhost were told to go is not let in.
        if found.is_deleted() {
            self.shared.connections.close(connection);
            return Err(OpenRefused::NoVhost(vhost.to_owned()));
        }
        if !grant.opens() {
            self.shared.connections.close(connection);
            return Err(OpenRefused::NoAccess {
                vhost: vhost.to_owned(),
                user: user.name().to_string(),
            });
        }
        // An alarm that is raised from here on is announced to the connection.
        if self.shared.alarms.reason().is_some() {
            let _ = mailbox.push(Notice::Alarms);
        }
        Ok(Session {
            is_traced: found.is_traced(),
            shared: Arc::clone(&self.shared),
            vhost: found,
            grant,
            granted_at,
            user,
            access: QueueAccess { connection },
            peer,
            mailbox,
            counters,
            channels: FxHashMap::default(),
            consumers: Consumers::default(),
            queues: QueueSlots::default(),
            routes: Routes::default(),
            held: Vec::new(),
            exclusive: Vec::new(),
            settles: Vec::new(),
            effects: Effects::default(),
            confirming: Vec::new(),
            holding: Vec::new(),
            refused: 0,
            timeouts: Timeouts::default(),
            last_ticket: Ticket::NONE,
            watched: Ticket::NONE,
            cancels_after: Ticket::NONE,
            next_get: 0,
            pending_gets: FxHashMap::default(),
            unsent: Vec::new(),
            encoded_bytes: 0,
            notices: Vec::new(),
        })
    }
}

impl Session {
    /// This connection's id in the node.
    pub fn id(&self) -> ConnectionId {
        self.access.connection
    }

    /// The vhost that is open.
    pub fn vhost(&self) -> &Arc<Vhost> {
        &self.vhost
    }

    /// The user who is logged in.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// Whether the client has deliveries that it has not settled.
    pub fn has_outstanding(&self) -> bool {
        self.channels
            .values()
            .any(|channel| channel.outstanding() > 0)
    }

    /// How many deliveries the client may have to settle on a channel, or on all: an upper bound.
    pub fn outstanding(&self, number: Option<u16>) -> usize {
        match number {
            Some(number) => self.channels.get(&number).map_or(0, Channel::outstanding),
            None => self.channels.values().map(Channel::outstanding).sum(),
        }
    }

    /// The client opens a channel: answered, or refused with 530 if its user has as many open as
    /// it may.
    pub fn open_channel(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let user = self.user.name();
        let limits = self.shared.users.read().limits(user);
        if let Some(limit) = limits.max_channels
            && self.shared.connections.channels_of(user) >= limit
        {
            let text = format!(
                "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({limit})"
            );
            return Err(ConnectionError::not_allowed(text).over(Limit::UserChannels));
        }
        self.channels.insert(number, Channel::default());
        self.counters.channels_opened.add(1);
        output.accept_channel_open(number);
        Ok(())
    }

    /// The client sent channel.close: the channel is cleaned up, and
    /// [`Output::accept_channel_close`] called once all earlier replies are out.
    pub fn close_channel(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        self.flush(output)?;
        let Some(channel) = self.channels.get_mut(&number) else {
            output.accept_channel_close(number);
            return Ok(());
        };
        channel.client_closed = true;
        if !channel.ending {
            self.end_channel(number, output).map_err(connection_error)?;
            self.emit(number, Held::End(None), output);
        }
        self.fire();
        Ok(())
    }

    /// The protocol machine has closed a channel for a soft error of its own.
    pub fn channel_failed(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        self.flush(output)?;
        self.end_channel(number, output).map_err(connection_error)?;
        if self.channels.remove(&number).is_some() {
            self.counters.channels_closed.add(1);
        }
        self.fire();
        Ok(())
    }

    /// Carry out a method of an open channel (all but publish, ack, nack and reject).
    pub fn execute(
        &mut self,
        number: u16,
        method: AMQPClass,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        if self.is_deaf(number) {
            return Ok(());
        }
        self.flush(output)?;
        let (class, id) = (method.get_amqp_class_id(), method.get_amqp_method_id());
        let done = self
            .refuse_during_commit(number)
            .and_then(|()| self.dispatch(number, method, output));
        let done = self.settle_failure(
            number,
            done.map_err(|failure| failure.at(class, id)),
            output,
        );
        self.fire();
        done
    }

    fn dispatch(
        &mut self,
        number: u16,
        method: AMQPClass,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        use method::{basic, confirm, exchange, queue, tx};
        match method {
            AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)) => {
                self.exchange_declare(number, &declare, output)
            }
            AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)) => {
                self.exchange_delete(number, &delete, output)
            }
            AMQPClass::Exchange(exchange::AMQPMethod::Bind(bind)) => {
                self.exchange_bind(number, bind, output)
            }
            AMQPClass::Exchange(exchange::AMQPMethod::Unbind(unbind)) => {
                self.exchange_unbind(number, unbind, output)
            }
            AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) => {
                self.queue_declare(number, &declare, output)
            }
            AMQPClass::Queue(queue::AMQPMethod::Bind(bind)) => {
                self.queue_bind(number, bind, output)
            }
            AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind)) => {
                self.queue_unbind(number, unbind, output)
            }
            AMQPClass::Queue(queue::AMQPMethod::Purge(purge)) => {
                self.queue_purge(number, &purge, output)
            }
            AMQPClass::Queue(queue::AMQPMethod::Delete(delete)) => {
                self.queue_delete(number, &delete, output)
            }
            AMQPClass::Basic(basic::AMQPMethod::Qos(qos)) => self.qos(number, &qos, output),
            AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => {
                self.consume(number, &consume, output)
            }
            AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)) => {
                self.cancel(number, &cancel, output)
            }
            AMQPClass::Basic(basic::AMQPMethod::Get(get)) => self.get(number, &get, output),
            AMQPClass::Basic(basic::AMQPMethod::Recover(recover)) => {
                self.recover(number, recover.requeue, true, output)
            }
            AMQPClass::Basic(basic::AMQPMethod::RecoverAsync(recover)) => {
                self.recover(number, recover.requeue, false, output)
            }
            AMQPClass::Confirm(confirm::AMQPMethod::Select(select)) => {
                self.confirm_select(number, &select, output)
            }
            AMQPClass::Tx(tx::AMQPMethod::Select(_)) => self.tx_select(number, output),
            AMQPClass::Tx(tx::AMQPMethod::Commit(_)) => self.tx_commit(number, output),
            AMQPClass::Tx(tx::AMQPMethod::Rollback(_)) => self.tx_rollback(number, output),
            other => Err(Failure::command_invalid(format!(
                "unimplemented method {other:?}"
            ))),
        }
    }

    /// The connection ends, whoever ended it: consumers are cancelled, unacknowledged messages
    /// go back, exclusive queues are deleted. Nothing is sent any more.
    pub fn close(mut self) {
        if let Err(error) = self.clean_up() {
            tracing::error!(connection = %self.peer.name, %error, "a connection could not be cleaned up");
        }
        self.fire();
        self.shared.connections.close(self.access.connection);
    }

    fn clean_up(&mut self) -> Result<(), Failure> {
        // Each step is taken though an earlier one failed: what can go back goes back.
        let mut done = self.flush_work();
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        for number in &numbers {
            done = done.and(self.end_channel_consumers(*number));
        }
        self.shared
            .deadlines
            .remove(Party::Connection(self.access.connection));
        for notice in self.mailbox.shut() {
            self.take_back_notice(notice);
        }
        for number in &numbers {
            self.take_back_held(*number);
            let outstanding = self.take_outstanding(*number);
            self.unsent
                .extend(outstanding.into_iter().map(|message| (*number, message)));
        }
        done = done.and(self.requeue_unsent());
        for number in numbers {
            self.forget_consumers(number);
        }
        for queue in std::mem::take(&mut self.exclusive) {
            done = done.and(self.delete_owned(&queue));
        }
        self.counters
            .channels_closed
            .add(self.channels.len() as u64);
        let publishers = self
            .channels
            .values()
            .filter(|channel| channel.is_publisher)
            .count();
        self.counters.publishers_closed.add(publishers as u64);
        done
    }

    /// May the socket be read? Not while too much of what this connection published waits for
    /// the disk; the mailbox is woken when that has changed.
    pub fn wants_input(&mut self) -> bool {
        let store = &self.shared.store;
        let wanted = self.last_ticket <= store.durable()
            || store.backlog_bytes() <= self.shared.limits.unsynced_bytes;
        if !wanted {
            self.watch(self.last_ticket);
        }
        wanted
    }

    /// Is there output that still waits for the store? A client's connection.close is answered
    /// after it.
    pub fn is_settled(&self) -> bool {
        self.holding.is_empty()
    }

    /// A soft error ends the channel here; a hard one is the caller's to send.
    fn settle_failure(
        &mut self,
        number: u16,
        done: Result<(), Failure>,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        match done {
            Ok(()) => Ok(()),
            Err(Failure::Connection(error)) => Err(error),
            Err(Failure::Channel(error)) => {
                tracing::warn!(
                    connection = %self.peer.name,
                    user = %self.user.name(),
                    vhost = %self.vhost.name(),
                    channel = number,
                    "channel error: {error}"
                );
                self.end_channel(number, output).map_err(connection_error)?;
                self.emit(number, Held::End(Some(error)), output);
                Ok(())
            }
        }
    }

    /// Clean a channel up. It stays in the map until its held output is out.
    fn end_channel(&mut self, number: u16, output: &mut impl Output) -> Result<(), Failure> {
        self.end_channel_consumers(number)?;
        // What queues have already given it goes back untouched.
        self.process_mailbox(output, Some(number))?;
        self.take_back_held(number);
        let requeued = self.requeue_outstanding(number);
        self.forget_consumers(number);
        requeued?;
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.ending = true;
            channel.mode = Mode::Plain;
            if channel.is_publisher {
                self.counters.publishers_closed.add(1);
            }
        }
        Ok(())
    }

    /// Is the channel gone or ending, so that its commands mean nothing any more?
    #[inline]
    fn is_deaf(&self, number: u16) -> bool {
        self.channels
            .get(&number)
            .is_none_or(|channel| channel.ending)
    }

    fn fire(&mut self) {
        self.effects.finish();
    }

    /// Hear from the store once everything given to it so far is durable.
    fn watch(&mut self, ticket: Ticket) {
        // Also when it became durable this moment: what waits for it has looked before.
        if ticket > self.watched {
            self.watched = ticket;
            self.shared
                .store
                .on_durable(ticket, Arc::clone(&self.mailbox) as _);
        }
    }
}

/// The refusal of a connection for which there is no room.
fn refused_for(full: Full, vhost: &str, user: &User) -> OpenRefused {
    let user = user.name().to_string();
    match full {
        Full::Node(limit) => OpenRefused::TooManyConnections(limit),
        Full::User(limit) => OpenRefused::UserFull { user, limit },
        Full::Vhost(limit) => OpenRefused::VhostFull {
            vhost: vhost.to_owned(),
            user,
            limit,
        },
    }
}

/// A failure where no channel can be blamed.
fn connection_error(failure: Failure) -> ConnectionError {
    match failure {
        Failure::Connection(error) => error,
        Failure::Channel(error) => ConnectionError::internal_error(error.text),
    }
}
