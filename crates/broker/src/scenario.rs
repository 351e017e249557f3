//! A whole node for tests of what queues do by themselves: over a store in memory, with a clock
//! that the test moves, and clients that write down what they are told.

mod messages;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use leveret_protocol::{ConnectionError, Publish};
use leveret_store::{MemoryStore, Store as _, Ticket};
use leveret_wire::method::{basic, confirm, exchange, queue, tx};
use leveret_wire::{AMQPClass, AMQPValue, Ack, FieldTable, Message, Nack};

pub(crate) use self::messages::{
    body, deaths, expiring, int, message, persistent, string, table, text, to, with_priority,
};
use crate::recorder::Recorder;
use crate::time::{Clock as _, ManualClock, Time};
use crate::{Broker, BrokerOptions, Limits, OpenRefused, Peer, Session};

/// When every scenario begins.
const START: Time = Time(1_700_000_000_000);

/// A node, its store and its clock.
pub(crate) struct Scenario {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    pub(crate) broker: Broker,
}

impl Scenario {
    pub(crate) fn new() -> Self {
        Self::on(
            MemoryStore::manual(),
            ManualClock::at(START),
            Limits::default(),
        )
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::on(MemoryStore::manual(), ManualClock::at(START), limits)
    }

    fn on(store: MemoryStore, clock: ManualClock, limits: Limits) -> Self {
        let (store, clock) = (Arc::new(store), Arc::new(clock));
        let options = BrokerOptions {
            clock: Arc::clone(&clock) as _,
            limits,
            ..BrokerOptions::default()
        };
        let broker = Broker::open(options, Arc::clone(&store) as _).unwrap();
        let node = Self {
            store,
            clock,
            broker,
        };
        node.sync();
        node
    }

    /// A node over another store; `store` is only looked at for answers.
    pub(crate) fn from_parts(
        store: Arc<MemoryStore>,
        clock: Arc<ManualClock>,
        broker: Broker,
    ) -> Self {
        Self {
            store,
            clock,
            broker,
        }
    }

    /// What a crash at this moment would leave, opened again `milliseconds` later.
    pub(crate) fn restart(&self, milliseconds: u64) -> Self {
        self.sync();
        let now = self.clock.now().after(milliseconds);
        let node = Self::on(self.store.reopen(), ManualClock::at(now), Limits::default());
        node.wait(0);
        node
    }

    /// What crashes would leave at every point between now and when all is durable, opened again.
    pub(crate) fn crash_at_each_point(&self) -> Vec<Self> {
        let points = self.store.durable().0..=self.store.newest().0;
        let crash = |point| {
            self.store.make_durable(Ticket(point));
            let clock = ManualClock::at(self.clock.now());
            let node = Self::on(self.store.reopen(), clock, Limits::default());
            node.wait(0);
            node
        };
        points.map(crash).collect()
    }

    /// Do what is due, and let the store answer; nothing more becomes durable.
    pub(crate) fn run_unsynced(&self) {
        self.broker.run_deadlines(self.clock.now());
        while self.store.answer() > 0 {}
    }

    /// Everything is durable, and the store has answered everything.
    pub(crate) fn sync(&self) {
        loop {
            self.store.make_durable(self.store.newest());
            if self.store.answer() == 0 {
                return;
            }
        }
    }

    /// Let time pass, with a timer that calls whenever a deadline comes.
    pub(crate) fn wait(&self, milliseconds: u64) {
        let end = self.clock.now().after(milliseconds);
        while let Some(next) = self.broker.next_deadline().filter(|next| *next <= end) {
            let now = self.clock.now();
            self.clock.advance(next.since(now));
            self.broker.run_deadlines(self.clock.now());
            self.sync();
        }
        self.clock.advance(end.since(self.clock.now()));
        self.sync();
    }

    /// Let time pass, with a timer that is late.
    pub(crate) fn stand_still(&self, milliseconds: u64) {
        self.clock.advance(milliseconds);
    }

    /// A client with channel 1 open.
    pub(crate) fn client(&self) -> Client<'_> {
        self.client_of("guest", "guest", "/")
    }

    /// As [`Scenario::client`], for some user in some vhost.
    pub(crate) fn client_of(&self, user: &str, password: &str, vhost: &str) -> Client<'_> {
        let mut client = self.try_client_of(user, password, vhost).unwrap();
        client.open(1);
        client
    }

    /// A client without channels, if it is let in.
    pub(crate) fn try_client_of(
        &self,
        user: &str,
        password: &str,
        vhost: &str,
    ) -> Result<Client<'_>, OpenRefused> {
        let user = Arc::new(self.broker.login(user, password, true).unwrap());
        let peer = Peer {
            name: "test".to_owned(),
            consumer_cancel_notify: true,
            details: Arc::default(),
        };
        let session = self.broker.open_session(user, vhost, peer)?;
        Ok(Client {
            node: self,
            session,
            told: Recorder::default(),
        })
    }

    /// Ready and unacknowledged messages of all queues.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let totals = self.broker.queue_totals();
        (totals.ready, totals.unacked)
    }
}

/// One connection.
pub(crate) struct Client<'a> {
    node: &'a Scenario,
    session: Session,
    told: Recorder,
}

impl Client<'_> {
    pub(crate) fn open(&mut self, channel: u16) {
        self.try_open(channel).unwrap();
    }

    pub(crate) fn try_open(&mut self, channel: u16) -> Result<(), ConnectionError> {
        self.session.open_channel(channel, &mut self.told)
    }

    /// Everything the client was told since the last time, once nothing moves any more.
    pub(crate) fn told(&mut self) -> Vec<String> {
        self.try_told().unwrap()
    }

    /// As [`Client::told`], unless the broker ends the connection.
    pub(crate) fn try_told(&mut self) -> Result<Vec<String>, ConnectionError> {
        self.session.flush(&mut self.told)?;
        let mut context = Context::from_waker(Waker::noop());
        loop {
            self.node.sync();
            self.session.note_output(0)?;
            match self.session.poll(&mut context, &mut self.told) {
                Poll::Ready(done) => done?,
                Poll::Pending => return Ok(std::mem::take(&mut self.told.lines)),
            }
        }
    }

    /// The messages that came since the last time.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.told();
        std::mem::take(&mut self.told.messages)
    }

    /// Their bodies.
    pub(crate) fn bodies(&mut self) -> Vec<String> {
        self.messages().iter().map(body).collect()
    }

    pub(crate) fn call(&mut self, method: AMQPClass) -> Vec<String> {
        self.try_call(method).unwrap();
        self.told()
    }

    pub(crate) fn try_call(&mut self, method: AMQPClass) -> Result<(), ConnectionError> {
        self.session.execute(1, method, &mut self.told)
    }

    /// Declare a transient queue.
    pub(crate) fn declare(&mut self, queue: &str, arguments: &[(&str, AMQPValue)]) -> Vec<String> {
        self.declare_as(queue::Declare {
            queue: queue.into(),
            arguments: table(arguments),
            ..queue::Declare::default()
        })
    }

    pub(crate) fn declare_durable(
        &mut self,
        queue: &str,
        arguments: &[(&str, AMQPValue)],
    ) -> Vec<String> {
        let arguments = table(arguments);
        self.declare_as(queue::Declare {
            queue: queue.into(),
            durable: true,
            arguments,
            ..queue::Declare::default()
        })
    }

    pub(crate) fn declare_as(&mut self, declare: queue::Declare) -> Vec<String> {
        self.call(AMQPClass::Queue(queue::AMQPMethod::Declare(declare)))
    }

    pub(crate) fn exists(&mut self, queue: &str) -> bool {
        self.open(9);
        let passive = queue::Declare {
            queue: queue.into(),
            passive: true,
            ..queue::Declare::default()
        };
        self.session
            .execute(
                9,
                AMQPClass::Queue(queue::AMQPMethod::Declare(passive)),
                &mut self.told,
            )
            .unwrap();
        let exists = self
            .told()
            .iter()
            .any(|line| line.starts_with("9 declare-ok"));
        self.session.close_channel(9, &mut self.told).unwrap();
        self.told();
        exists
    }

    pub(crate) fn purge(&mut self, queue: &str) -> Vec<String> {
        let purge = queue::Purge {
            queue: queue.into(),
            nowait: false,
        };
        self.call(AMQPClass::Queue(queue::AMQPMethod::Purge(purge)))
    }

    pub(crate) fn delete(&mut self, queue: &str) -> Vec<String> {
        let delete = queue::Delete {
            queue: queue.into(),
            ..queue::Delete::default()
        };
        self.call(AMQPClass::Queue(queue::AMQPMethod::Delete(delete)))
    }

    pub(crate) fn fanout(&mut self, exchange: &str, queues: &[&str]) {
        let declare = exchange::Declare {
            exchange: exchange.into(),
            kind: "fanout".into(),
            ..exchange::Declare::default()
        };
        self.call(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)));
        for queue in queues {
            let bind = queue::Bind {
                queue: (*queue).into(),
                exchange: exchange.into(),
                routing_key: "".into(),
                nowait: false,
                arguments: FieldTable::default(),
            };
            self.call(AMQPClass::Queue(queue::AMQPMethod::Bind(bind)));
        }
    }

    /// Publish a message; it reaches its queue with the next call.
    pub(crate) fn publish(&mut self, message: Message) {
        let publish = Publish {
            message,
            mandatory: false,
            immediate: false,
        };
        self.session.publish(1, publish, &mut self.told).unwrap();
    }

    /// As [`Client::publish`], to be returned if no queue takes it.
    pub(crate) fn publish_mandatory(&mut self, message: Message) {
        let publish = Publish {
            message,
            mandatory: true,
            immediate: false,
        };
        self.session.publish(1, publish, &mut self.told).unwrap();
    }

    /// What the client is told before the disk has done anything.
    pub(crate) fn told_unsynced(&mut self) -> Vec<String> {
        self.session.flush(&mut self.told).unwrap();
        std::mem::take(&mut self.told.lines)
    }

    pub(crate) fn publish_all<'b>(
        &mut self,
        queue: &str,
        bodies: impl IntoIterator<Item = &'b str>,
    ) {
        for body in bodies {
            self.publish(to(queue, body));
        }
        self.told();
    }

    pub(crate) fn confirm_select(&mut self) {
        self.call(AMQPClass::Confirm(confirm::AMQPMethod::Select(
            confirm::Select { nowait: false },
        )));
    }

    pub(crate) fn tx_select(&mut self) {
        self.call(AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})));
    }

    pub(crate) fn tx_commit(&mut self) -> Vec<String> {
        self.call(AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})))
    }

    /// basic.get; `None` for get-empty.
    pub(crate) fn get(&mut self, queue: &str, no_ack: bool) -> Option<Message> {
        self.told.messages.clear();
        let get = basic::Get {
            queue: queue.into(),
            no_ack,
        };
        self.call(AMQPClass::Basic(basic::AMQPMethod::Get(get)));
        self.told.messages.pop()
    }

    /// basic.get without an ack, and what is told for it.
    pub(crate) fn get_told(&mut self, queue: &str) -> Vec<String> {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: true,
        };
        self.call(AMQPClass::Basic(basic::AMQPMethod::Get(get)))
    }

    /// The bodies of all messages of a queue, taken out.
    pub(crate) fn drain(&mut self, queue: &str) -> Vec<String> {
        std::iter::from_fn(|| self.get(queue, true))
            .map(|message| body(&message))
            .collect()
    }

    pub(crate) fn qos(&mut self, prefetch_count: u16) {
        self.call(AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
            prefetch_count,
            global: false,
        })));
    }

    pub(crate) fn consume(&mut self, queue: &str, tag: &str, priority: i32) -> Vec<String> {
        let arguments = table(&[("x-priority", AMQPValue::LongInt(priority))]);
        let consume = basic::Consume {
            queue: queue.into(),
            consumer_tag: tag.into(),
            arguments,
            ..basic::Consume::default()
        };
        self.call(AMQPClass::Basic(basic::AMQPMethod::Consume(consume)))
    }

    pub(crate) fn cancel(&mut self, tag: &str) -> Vec<String> {
        let cancel = basic::Cancel {
            consumer_tag: tag.into(),
            nowait: false,
        };
        self.call(AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)))
    }

    pub(crate) fn ack(&mut self, delivery_tag: u64) {
        self.session
            .ack(
                1,
                Ack {
                    delivery_tag,
                    multiple: false,
                },
                &mut self.told,
            )
            .unwrap();
        self.session.flush(&mut self.told).unwrap();
    }

    pub(crate) fn nack(&mut self, delivery_tag: u64, requeue: bool) {
        self.nack_all(delivery_tag, false, requeue);
    }

    pub(crate) fn nack_all(&mut self, delivery_tag: u64, multiple: bool, requeue: bool) {
        self.session
            .nack(
                1,
                Nack {
                    delivery_tag,
                    multiple,
                    requeue,
                },
                &mut self.told,
            )
            .unwrap();
        self.session.flush(&mut self.told).unwrap();
    }

    pub(crate) fn close(self) {
        self.session.close();
    }
}
