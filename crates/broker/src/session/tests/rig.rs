//! A node over a store that the test moves on, and clients whose sessions speak to a recorder:
//! what a client is told stands there as one line each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use leveret_protocol::{ConnectionError, Publish};
use leveret_store::{MemoryStore, Store};
use leveret_wire::method::{basic, confirm, exchange, queue, tx};
use leveret_wire::{
    AMQPClass, Ack, BodyPart, FieldTable, Message, Nack, PropertiesBuilder, Reject,
};

use crate::recorder::Recorder;
use crate::{Broker, BrokerOptions, Limits, Peer, Session};

/// The default user's name.
pub(super) const USER: &str = "guest";

/// A node, and the store under it.
pub(super) struct Node<S: Store = MemoryStore> {
    pub(super) store: Arc<S>,
    pub(super) broker: Broker,
}

impl Node {
    /// A node whose store makes nothing durable by itself.
    pub(super) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(super) fn with_limits(limits: Limits) -> Self {
        let node = Self::on(MemoryStore::manual(), limits);
        node.sync();
        node
    }

    /// Make everything durable, and give the answers that are due.
    pub(super) fn sync(&self) {
        self.store.make_durable(self.store.newest());
    }

    /// What a crash would leave, opened again.
    pub(super) fn crash(self) -> Self {
        let node = Self::on(self.store.reopen(), Limits::default());
        node.sync();
        node
    }
}

impl<S: Store> Node<S> {
    pub(super) fn on(store: S, limits: Limits) -> Self {
        let store = Arc::new(store);
        let options = BrokerOptions {
            limits,
            ..BrokerOptions::default()
        };
        let broker = Broker::open(options, Arc::clone(&store) as _).unwrap();
        Self { store, broker }
    }

    /// A client with no channel open, which understands basic.cancel.
    pub(super) fn connect(&self) -> Client {
        self.connect_as(USER, true)
    }

    pub(super) fn connect_as(&self, user: &str, consumer_cancel_notify: bool) -> Client {
        self.connect_to("/", user, consumer_cancel_notify)
    }

    pub(super) fn connect_to(
        &self,
        vhost: &str,
        user: &str,
        consumer_cancel_notify: bool,
    ) -> Client {
        let user = Arc::new(self.broker.login(user, USER, true).unwrap());
        let peer = Peer {
            name: "test".to_owned(),
            consumer_cancel_notify,
            details: Arc::default(),
        };
        let session = self.broker.open_session(user, vhost, peer).unwrap();
        Client {
            session,
            recorder: Recorder::default(),
            woken: Arc::default(),
        }
    }

    /// A client with channels 1 and 2 open.
    pub(super) fn client(&self) -> Client {
        let mut client = self.connect();
        client.open(1);
        client.open(2);
        client
    }

    /// Ready, unacknowledged, consumers: over all queues of the node.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let totals = self.broker.queue_totals();
        (totals.ready, totals.unacked, totals.consumers)
    }
}

/// Set when the session's task would be woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One connection.
pub(super) struct Client {
    session: Session,
    recorder: Recorder,
    woken: Arc<Woken>,
}

impl Client {
    pub(super) fn open(&mut self, channel: u16) {
        self.try_open(channel).unwrap();
    }

    pub(super) fn try_open(&mut self, channel: u16) -> Result<(), ConnectionError> {
        self.session.open_channel(channel, &mut self.recorder)
    }

    /// Send a method that does not end the connection.
    pub(super) fn call(&mut self, channel: u16, method: impl Method) {
        self.try_call(channel, method).unwrap();
    }

    pub(super) fn try_call(
        &mut self,
        channel: u16,
        method: impl Method,
    ) -> Result<(), ConnectionError> {
        self.session
            .execute(channel, method.into_class(), &mut self.recorder)
    }

    pub(super) fn publish(&mut self, channel: u16, message: Message) {
        self.try_publish(channel, message, false).unwrap();
    }

    pub(super) fn publish_mandatory(&mut self, channel: u16, message: Message) {
        self.try_publish(channel, message, true).unwrap();
    }

    pub(super) fn try_publish(
        &mut self,
        channel: u16,
        message: Message,
        mandatory: bool,
    ) -> Result<(), ConnectionError> {
        self.session.publish(
            channel,
            Publish {
                message,
                mandatory,
                immediate: false,
            },
            &mut self.recorder,
        )
    }

    pub(super) fn publish_immediate(
        &mut self,
        channel: u16,
        message: Message,
    ) -> Result<(), ConnectionError> {
        self.session.publish(
            channel,
            Publish {
                message,
                mandatory: false,
                immediate: true,
            },
            &mut self.recorder,
        )
    }

    pub(super) fn ack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        self.session
            .ack(
                channel,
                Ack {
                    delivery_tag,
                    multiple,
                },
                &mut self.recorder,
            )
            .unwrap();
    }

    pub(super) fn nack(&mut self, channel: u16, delivery_tag: u64, multiple: bool, requeue: bool) {
        self.session
            .nack(
                channel,
                Nack {
                    delivery_tag,
                    multiple,
                    requeue,
                },
                &mut self.recorder,
            )
            .unwrap();
    }

    pub(super) fn reject(&mut self, channel: u16, delivery_tag: u64, requeue: bool) {
        self.session
            .reject(
                channel,
                Reject {
                    delivery_tag,
                    requeue,
                },
                &mut self.recorder,
            )
            .unwrap();
    }

    pub(super) fn try_reject(
        &mut self,
        channel: u16,
        delivery_tag: u64,
    ) -> Result<(), ConnectionError> {
        let reject = Reject {
            delivery_tag,
            requeue: false,
        };
        self.session.reject(channel, reject, &mut self.recorder)
    }

    pub(super) fn close_channel(&mut self, channel: u16) {
        self.session
            .close_channel(channel, &mut self.recorder)
            .unwrap();
    }

    /// The protocol machine has refused something and closed the channel.
    pub(super) fn channel_failed(&mut self, channel: u16) {
        self.session
            .channel_failed(channel, &mut self.recorder)
            .unwrap();
    }

    pub(super) fn close(self) {
        self.session.close();
    }

    /// The end of a socket read.
    pub(super) fn flush(&mut self) {
        self.try_flush().unwrap();
    }

    pub(super) fn try_flush(&mut self) -> Result<(), ConnectionError> {
        self.session.flush(&mut self.recorder)
    }

    /// Work off the mailbox; the socket takes nothing.
    pub(super) fn poll_unwritten(&mut self) -> Result<(), ConnectionError> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        self.woken.0.store(false, Ordering::Relaxed);
        while let Poll::Ready(done) = self.session.poll(&mut context, &mut self.recorder) {
            done?;
        }
        Ok(())
    }

    /// The socket takes all but `waiting` octets.
    pub(super) fn written(&mut self, waiting: usize) {
        self.session.note_output(waiting).unwrap();
    }

    /// Flush, and let socket and mailbox run until nothing moves.
    pub(super) fn settle(&mut self) -> Result<(), ConnectionError> {
        self.try_flush()?;
        loop {
            self.poll_unwritten()?;
            self.session.note_output(0)?;
            if !self.is_woken() {
                return Ok(());
            }
        }
    }

    /// Everything the client has been told since the last time, when nothing moves any more.
    pub(super) fn heard(&mut self) -> Vec<String> {
        self.settle().unwrap();
        self.lines()
    }

    /// What the client has been told so far; nothing is moved on.
    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.recorder.lines)
    }

    /// Do not look at what was said until here.
    pub(super) fn skip(&mut self) {
        self.heard();
        self.recorder.messages.clear();
    }

    /// The messages that came since the last [`Client::skip`].
    pub(super) fn messages(&self) -> &[Message] {
        &self.recorder.messages
    }

    /// Was the task woken since it last found nothing?
    pub(super) fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    pub(super) fn wants_input(&mut self) -> bool {
        self.session.wants_input()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.session.is_settled()
    }
}

/// A method that a client sends.
pub(super) trait Method {
    fn into_class(self) -> AMQPClass;
}

macro_rules! methods {
    ($($class:ident $module:ident: $($method:ident)+;)+) => {
        $($(impl Method for $module::$method {
            fn into_class(self) -> AMQPClass {
                AMQPClass::$class($module::AMQPMethod::$method(self))
            }
        })+)+
    };
}

methods! {
    Basic basic: Cancel Consume Get Qos Recover RecoverAsync;
    Confirm confirm: Select;
    Exchange exchange: Bind Declare Delete Unbind;
    Queue queue: Bind Declare Delete Purge Unbind;
    Tx tx: Commit Rollback Select;
}

/// A transient message to the queue `queue`, by way of the default exchange.
pub(super) fn to(queue: &str, body: &str) -> Message {
    routed("", queue, body)
}

/// As [`to`], persistent.
pub(super) fn persistent(queue: &str, body: &str) -> Message {
    let mut properties = PropertiesBuilder::new();
    properties.delivery_mode(Some(2));
    with_properties("", queue, body, &properties)
}

/// A transient message.
pub(super) fn routed(exchange: &str, routing_key: &str, body: &str) -> Message {
    with_properties(exchange, routing_key, body, &PropertiesBuilder::new())
}

pub(super) fn with_properties(
    exchange: &str,
    routing_key: &str,
    body: &str,
    properties: &PropertiesBuilder<'_>,
) -> Message {
    let header = properties.build(body.len() as u64).unwrap();
    let body = BodyPart::Slice(body.as_bytes());
    Message::from_parts(exchange.as_bytes(), routing_key.as_bytes(), &header, body).unwrap()
}

/// queue.declare of a transient queue.
pub(super) fn declare(queue: &str) -> queue::Declare {
    queue::Declare {
        queue: queue.into(),
        ..queue::Declare::default()
    }
}

/// queue.declare of a durable queue.
pub(super) fn declare_durable(queue: &str) -> queue::Declare {
    queue::Declare {
        durable: true,
        ..declare(queue)
    }
}

/// exchange.declare of a transient exchange.
pub(super) fn declare_exchange(exchange: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        exchange: exchange.into(),
        kind: kind.into(),
        ..exchange::Declare::default()
    }
}

pub(super) fn bind(queue: &str, exchange: &str, routing_key: &str) -> queue::Bind {
    queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    }
}

pub(super) fn delete(queue: &str) -> queue::Delete {
    queue::Delete {
        queue: queue.into(),
        ..queue::Delete::default()
    }
}

/// basic.consume whose consumer must acknowledge.
pub(super) fn consume(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        ..basic::Consume::default()
    }
}

pub(super) fn consume_no_ack(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume {
        no_ack: true,
        ..consume(queue, tag)
    }
}

pub(super) fn cancel(tag: &str) -> basic::Cancel {
    basic::Cancel {
        consumer_tag: tag.into(),
        nowait: false,
    }
}

/// basic.get whose message must be acknowledged.
pub(super) fn get(queue: &str) -> basic::Get {
    basic::Get {
        queue: queue.into(),
        no_ack: false,
    }
}

pub(super) fn qos(prefetch_count: u16) -> basic::Qos {
    basic::Qos {
        prefetch_count,
        global: false,
    }
}

pub(super) fn qos_global(prefetch_count: u16) -> basic::Qos {
    basic::Qos {
        prefetch_count,
        global: true,
    }
}

pub(super) fn confirm_select() -> confirm::Select {
    confirm::Select::default()
}
