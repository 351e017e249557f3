//! Set-up of the benches: a node in memory, its clients without sockets, messages.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on has nothing to measure"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each program that includes this uses its part of it"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};

use leveret_broker::{Broker, BrokerOptions, Output, Peer, Session};
use leveret_protocol::{ChannelError, Publish};
use leveret_store::MemoryStore;
use leveret_wire::method::{basic, confirm, queue};
use leveret_wire::{AMQPClass, Ack, BodyPart, FieldTable, Message, PropertiesBuilder};

/// Takes what a session says, and counts deliveries.
#[derive(Default)]
pub struct Sink {
    last_tag: u64,
    delivered: u64,
    /// The newest confirmed publish.
    pub confirmed: u64,
}

impl Output for Sink {
    fn accept_channel_open(&mut self, _channel: u16) {}

    fn reply(&mut self, _channel: u16, method: &AMQPClass) {
        black_box(method);
    }

    fn deliver(
        &mut self,
        _channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        _redelivered: bool,
        message: &Message,
    ) {
        black_box((consumer_tag, message));
        self.last_tag = delivery_tag;
        self.delivered += 1;
    }

    fn get_ok(
        &mut self,
        _channel: u16,
        _delivery_tag: u64,
        _redelivered: bool,
        _count: u32,
        message: &Message,
    ) {
        black_box(message);
    }

    fn return_unroutable(&mut self, _channel: u16, message: &Message) {
        black_box(message);
    }

    fn confirm(&mut self, _channel: u16, delivery_tag: u64, _multiple: bool) {
        self.confirmed = self.confirmed.max(delivery_tag);
    }

    fn refuse(&mut self, _channel: u16, delivery_tag: u64) {
        panic!("no queue of this bench refuses {delivery_tag}");
    }

    fn close_channel(&mut self, _channel: u16, error: &ChannelError) {
        panic!("{error}");
    }

    fn accept_channel_close(&mut self, channel: u16) {
        black_box(channel);
    }

    fn block(&mut self, reason: &str) {
        panic!("{reason}");
    }

    fn unblock(&mut self) {}
}

/// One connection.
pub struct Client {
    session: Session,
    /// What the session said.
    pub sink: Sink,
}

impl Client {
    pub fn new(broker: &Broker) -> Self {
        let user = Arc::new(
            broker
                .login("guest", "guest", true)
                .expect("the default user"),
        );
        let peer = Peer {
            name: "bench".to_owned(),
            consumer_cancel_notify: true,
            details: Arc::default(),
        };
        let mut session = broker
            .open_session(user, "/", peer)
            .expect("the default vhost");
        session
            .open_channel(1, &mut Sink::default())
            .expect("a first channel");
        Self {
            session,
            sink: Sink::default(),
        }
    }

    pub fn queue(&mut self, method: queue::AMQPMethod) {
        self.session
            .execute(1, AMQPClass::Queue(method), &mut self.sink)
            .expect("no hard error");
    }

    pub fn basic(&mut self, method: basic::AMQPMethod) {
        self.session
            .execute(1, AMQPClass::Basic(method), &mut self.sink)
            .expect("no hard error");
    }

    pub fn select_confirms(&mut self) {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
        self.session
            .execute(1, AMQPClass::Confirm(select), &mut self.sink)
            .expect("no hard error");
    }

    pub fn consume(&mut self, queue: &str, no_ack: bool) {
        let consume = basic::Consume {
            queue: queue.into(),
            no_ack,
            nowait: true,
            ..basic::Consume::default()
        };
        self.basic(basic::AMQPMethod::Consume(consume));
    }

    /// Publish as if all came with one socket read.
    pub fn publish_run<'a>(&mut self, messages: impl Iterator<Item = &'a Message>) {
        for message in messages {
            let publish = Publish {
                message: message.clone(),
                mandatory: false,
                immediate: false,
            };
            self.session
                .publish(1, publish, &mut self.sink)
                .expect("no hard error");
        }
        self.session.flush(&mut self.sink).expect("the store works");
    }

    /// Take everything out of the mailbox; the socket takes everything at once.
    pub fn take(&mut self) -> u64 {
        let before = self.sink.delivered;
        let mut context = Context::from_waker(Waker::noop());
        while self.session.poll(&mut context, &mut self.sink).is_ready() {
            self.session.note_output(0).expect("the store works");
        }
        self.sink.delivered - before
    }

    pub fn ack_all(&mut self) {
        let ack = Ack {
            delivery_tag: self.sink.last_tag,
            multiple: true,
        };
        self.session
            .ack(1, ack, &mut self.sink)
            .expect("the tag is outstanding");
        self.session.flush(&mut self.sink).expect("the store works");
    }
}

/// A message as a client publishes it.
pub fn message(exchange: &str, routing_key: &str, persistent: bool, body: &[u8]) -> Message {
    let mode = if persistent { 2 } else { 1 };
    let header = PropertiesBuilder::new()
        .delivery_mode(Some(mode))
        .build(body.len() as u64)
        .expect("short");
    Message::from_parts(
        exchange.as_bytes(),
        routing_key.as_bytes(),
        &header,
        BodyPart::Slice(body),
    )
    .expect("short names")
}

/// A node with these queues, each bound to `exchange` with its own name unless that is empty.
pub fn node(
    queues: &[String],
    durable: bool,
    exchange: &str,
    routing_key: &str,
) -> (Broker, Client, Client) {
    let broker = Broker::open(BrokerOptions::default(), Arc::new(MemoryStore::new()))
        .expect("an empty store opens");
    let (mut publisher, consumer) = (Client::new(&broker), Client::new(&broker));
    for name in queues {
        let declare = queue::Declare {
            queue: name.as_str().into(),
            durable,
            nowait: true,
            ..queue::Declare::default()
        };
        publisher.queue(queue::AMQPMethod::Declare(declare));
        if !exchange.is_empty() {
            publisher.queue(queue::AMQPMethod::Bind(queue::Bind {
                queue: name.as_str().into(),
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                nowait: true,
                arguments: FieldTable::default(),
            }));
        }
    }
    (broker, publisher, consumer)
}

/// `queue-0` and so on.
pub fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("queue-{number}")).collect()
}
