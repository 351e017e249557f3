//! One test's dealings with the broker: the connections it opened and the names it must not leave behind.

use std::env;
use std::panic::resume_unwind;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, PublisherConfirm};

/// A scenario that takes longer hangs.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(30);

/// The broker under test.
pub fn amqp_url() -> String {
    env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2F".into())
}

/// Runs a scenario against the broker under test and cleans up after it, also when it fails.
pub async fn scenario<F, S>(run: S)
where
    S: FnOnce(Arc<Session>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let session = Arc::new(Session::new(amqp_url()));
    // A task of its own, so that its panic ends here and the clean-up still runs.
    let outcome = tokio::time::timeout(SCENARIO_TIMEOUT, tokio::spawn(run(session.clone()))).await;
    let cleaned = tokio::time::timeout(SCENARIO_TIMEOUT, session.end()).await;
    match outcome {
        Ok(Ok(())) => cleaned.expect("the clean-up ends"),
        Ok(Err(failed)) => resume_unwind(failed.into_panic()),
        Err(_) => panic!("the scenario hangs"),
    }
}

pub struct Session {
    url: String,
    connections: Mutex<Vec<Arc<Connection>>>,
    queues: Mutex<Vec<ShortString>>,
    exchanges: Mutex<Vec<ShortString>>,
}

impl Session {
    pub fn new(url: String) -> Self {
        Self { url, connections: Mutex::default(), queues: Mutex::default(), exchanges: Mutex::default() }
    }

    /// A further connection of its own.
    pub async fn connect(&self) -> Arc<Connection> {
        self.connect_with("", ConnectionProperties::default()).await
    }

    /// A further connection with parameters in the address, such as `heartbeat=1`.
    pub async fn connect_with(&self, query: &str, properties: ConnectionProperties) -> Arc<Connection> {
        let url = format!("{}?{query}", self.url);
        let connection = Arc::new(Connection::connect(&url, properties).await.expect("the broker takes connections"));
        self.connections.lock().unwrap().push(connection.clone());
        connection
    }

    /// The first connection, which `channel` uses.
    pub async fn connection(&self) -> Arc<Connection> {
        let first = self.connections.lock().unwrap().first().cloned();
        match first {
            Some(connection) => connection,
            None => self.connect().await,
        }
    }

    pub async fn channel(&self) -> Channel {
        self.connection().await.create_channel().await.unwrap()
    }

    pub async fn confirm_channel(&self) -> Channel {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        channel
    }

    /// A fresh queue name, deleted after the test if a queue of that name exists.
    pub fn queue_name(&self) -> ShortString {
        let name = unique("q");
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// A fresh exchange name, deleted after the test if an exchange of that name exists.
    pub fn exchange_name(&self) -> ShortString {
        let name = unique("x");
        self.exchanges.lock().unwrap().push(name.clone());
        name
    }

    /// Declares a fresh transient queue.
    pub async fn queue(&self, channel: &Channel) -> ShortString {
        self.queue_with(channel, QueueDeclareOptions::default(), FieldTable::default()).await
    }

    pub async fn queue_with(
        &self,
        channel: &Channel,
        options: QueueDeclareOptions,
        arguments: FieldTable,
    ) -> ShortString {
        channel.queue_declare(self.queue_name(), options, arguments).await.unwrap().name().clone()
    }

    /// Declares a fresh transient exchange.
    pub async fn exchange(&self, channel: &Channel, kind: ExchangeKind) -> ShortString {
        self.exchange_with(channel, kind, ExchangeDeclareOptions::default(), FieldTable::default()).await
    }

    pub async fn exchange_with(
        &self,
        channel: &Channel,
        kind: ExchangeKind,
        options: ExchangeDeclareOptions,
        arguments: FieldTable,
    ) -> ShortString {
        let name = self.exchange_name();
        channel.exchange_declare(name.clone(), kind, options, arguments).await.unwrap();
        name
    }

    async fn end(&self) {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        for connection in connections {
            let _ = connection.close(200, "done".into()).await;
        }
        let queues = std::mem::take(&mut *self.queues.lock().unwrap());
        let exchanges = std::mem::take(&mut *self.exchanges.lock().unwrap());
        if queues.is_empty() && exchanges.is_empty() {
            return;
        }
        // A connection of its own: the test's may have ended in the error that it was about.
        let connection = Connection::connect(&self.url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        for queue in queues {
            channel.queue_delete(queue, QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in exchanges {
            channel.exchange_delete(exchange, ExchangeDeleteOptions::default()).await.unwrap();
        }
        connection.close(200, "cleaned".into()).await.unwrap();
    }
}

fn unique(label: &str) -> ShortString {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    format!("interop.lapin.{label}.{since}.{}.{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)).into()
}

/// A field table from pairs.
pub fn table<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

/// A string as a field table value.
pub fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// The options of a passive declare.
pub fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() }
}

pub fn passive_exchange() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() }
}

pub fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

/// Publishes to an exchange. The returned confirm is to be awaited twice: for the sending, done here, and for the ack.
pub async fn publish_to(channel: &Channel, exchange: &str, key: &str, body: &[u8]) -> PublisherConfirm {
    publish_with(channel, exchange, key, body, BasicProperties::default()).await
}

pub async fn publish_with(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> PublisherConfirm {
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key.into(), options, body, properties).await.unwrap()
}

/// Publishes to a queue, by way of the default exchange, and waits for the confirm if the channel has them.
pub async fn publish(channel: &Channel, queue: &ShortString, bodies: impl IntoIterator<Item = impl ToString>) {
    for body in bodies {
        publish_to(channel, "", queue.as_str(), body.to_string().as_bytes()).await;
    }
    channel.wait_for_confirms().await.unwrap();
}

/// The next message, taken for good, as text.
pub async fn fetch(channel: &Channel, queue: &ShortString) -> Option<String> {
    let message = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap();
    message.map(|message| String::from_utf8(message.delivery.data).unwrap())
}

/// How many messages wait in the queue. Only sure about what was confirmed: RabbitMQ answers a declare ahead of
/// publishes that are still on their way to the queue.
pub async fn ready(channel: &Channel, queue: &ShortString) -> u32 {
    channel.queue_declare(queue.clone(), passive(), FieldTable::default()).await.unwrap().message_count()
}

/// One round trip, after which the broker has seen all that was sent before.
pub async fn sync(channel: &Channel) -> lapin::Result<()> {
    channel.exchange_declare("amq.direct".into(), ExchangeKind::Direct, passive_exchange(), FieldTable::default()).await
}

/// Starts a consumer with a tag of the broker's choice. Dropping it cancels it.
pub async fn consume(channel: &Channel, queue: &ShortString, options: BasicConsumeOptions) -> Consumer {
    channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await.unwrap()
}

pub const NO_ACK: BasicConsumeOptions =
    BasicConsumeOptions { no_local: false, no_ack: true, exclusive: false, nowait: false };

/// Polls until `holds` says true: for what the broker does on its own time.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..250 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}
