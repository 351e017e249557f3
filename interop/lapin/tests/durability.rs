//! What is promised to outlive the process, checked with kill -9 on a broker of the test's own.
//! These scenarios need `LEVERET_BIN`; without it run the suite with `--skip durability::`.

use std::sync::Arc;

use lapin::ExchangeKind::{Direct, Fanout, Topic};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::AMQPValue::LongInt;
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};

use crate::broker_process::BrokerProcess;
use crate::deliveries::{next, text};
use crate::refusal::assert_error;
use crate::session::{
    NO_ACK, Session, consume, fetch, long, passive, persistent, publish_to, publish_with, ready, table,
};

const DURABLE: ExchangeDeclareOptions =
    ExchangeDeclareOptions { passive: false, durable: true, auto_delete: false, internal: false, nowait: false };

/// A session and a confirm channel on the broker as it runs now. The session keeps the connection open.
async fn connected(broker: &BrokerProcess) -> (Arc<Session>, Channel) {
    let session = Arc::new(Session::new(broker.url.clone()));
    let channel = session.confirm_channel().await;
    (session, channel)
}

async fn declare(channel: &Channel, queue: &str, options: QueueDeclareOptions) -> ShortString {
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().name().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durable_exchanges_queues_and_bindings_survive_a_kill() {
    let mut broker = BrokerProcess::start();
    let (_session, before) = connected(&broker).await;
    let alternate = table([("alternate-exchange", long("stray"))]);
    before.exchange_declare("front".into(), Topic, DURABLE, alternate.clone()).await.unwrap();
    before.exchange_declare("back".into(), Direct, DURABLE, FieldTable::default()).await.unwrap();
    before.exchange_declare("stray".into(), Fanout, DURABLE, FieldTable::default()).await.unwrap();
    before
        .exchange_bind("back".into(), "front".into(), "a.#".into(), Default::default(), Default::default())
        .await
        .unwrap();
    let arguments = table([("x-max-length", LongInt(1000))]);
    before.queue_declare("kept".into(), QueueDeclareOptions::durable(), arguments.clone()).await.unwrap();
    before
        .queue_bind("kept".into(), "back".into(), "a.b".into(), Default::default(), Default::default())
        .await
        .unwrap();
    let found = declare(&before, "lost-and-found", QueueDeclareOptions::durable()).await;
    before.queue_bind(found.clone(), "stray".into(), "".into(), Default::default(), Default::default()).await.unwrap();

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    after.exchange_declare("front".into(), Topic, DURABLE, alternate).await.unwrap();
    after.queue_declare("kept".into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    publish_to(&after, "front", "a.b", b"bound").await.await.unwrap();
    publish_to(&after, "front", "x", b"stray").await.await.unwrap();
    assert_eq!(fetch(&after, &"kept".into()).await.as_deref(), Some("bound"));
    assert_eq!(fetch(&after, &found).await.as_deref(), Some("stray"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transient_queues_and_messages_do_not_survive() {
    let mut broker = BrokerProcess::start();
    let (_session, before) = connected(&broker).await;
    declare(&before, "transient", QueueDeclareOptions::default()).await;
    let queue = declare(&before, "durable", QueueDeclareOptions::durable()).await;
    publish_to(&before, "", "durable", b"transient").await.await.unwrap();
    publish_with(&before, "", "durable", b"persistent", persistent()).await.await.unwrap();

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    assert_eq!(fetch(&after, &queue).await.as_deref(), Some("persistent"));
    assert_eq!(fetch(&after, &queue).await, None);
    let error = after.queue_declare("transient".into(), passive(), FieldTable::default()).await.unwrap_err();
    assert_error(&error, 404, "no queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_confirmed_messages_survive_a_kill_in_order() {
    const COUNT: usize = 100_000;
    let mut broker = BrokerProcess::start();
    let (_session, before) = connected(&broker).await;
    let queue = declare(&before, "q", QueueDeclareOptions::durable()).await;
    let mut confirms = Vec::with_capacity(COUNT);
    for i in 0..COUNT {
        let body = i.to_string();
        confirms.push(publish_with(&before, "", "q", body.as_bytes(), persistent()).await);
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    assert_eq!(ready(&after, &queue).await as usize, COUNT);
    let mut consumer = consume(&after, &queue, NO_ACK).await;
    for i in 0..COUNT {
        assert_eq!(text(&next(&mut consumer).await), i.to_string());
    }
    assert_eq!(fetch(&after, &queue).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_and_large_bodies_survive_a_kill() {
    let mut broker = BrokerProcess::start();
    let (_session, before) = connected(&broker).await;
    let queue = declare(&before, "q", QueueDeclareOptions::durable()).await;
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("id".into())
        .with_priority(3)
        .with_timestamp(u64::MAX)
        .with_headers(table([("a", LongInt(1)), ("b", long("two"))]));
    let body = vec![b'x'; 1_000_000];
    publish_with(&before, "", "q", &body, properties.clone()).await.await.unwrap();
    publish_with(&before, "", "q", b"", persistent()).await.await.unwrap();

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    let message = after.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
    assert_eq!(message.properties, properties);
    assert!(message.data == body);
    assert_eq!(fetch(&after, &queue).await.as_deref(), Some(""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_out_is_back_marked_redelivered_and_what_was_acknowledged_is_not() {
    let mut broker = BrokerProcess::start();
    let (_session, before) = connected(&broker).await;
    let queue = declare(&before, "q", QueueDeclareOptions::durable()).await;
    for body in ["0", "1", "2", "3"] {
        publish_with(&before, "", "q", body.as_bytes(), persistent()).await.await.unwrap();
    }
    for _ in 0..3 {
        before.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
    }
    before.basic_ack(2, Default::default()).await.unwrap();
    // Marks are written on the broker's own time; the confirm of a later publish shows that it has written.
    publish_with(&before, "", "q", b"4", persistent()).await.await.unwrap();

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    for (body, was_out) in [("0", true), ("2", true), ("3", false), ("4", false)] {
        let message = after.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        assert_eq!(text(&message.delivery), body);
        // RabbitMQ marks the untouched ones too after a kill, to be on the safe side.
        assert!(message.redelivered || !was_out, "{body} is not marked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_transaction_survives_a_kill() {
    let mut broker = BrokerProcess::start();
    let session = Session::new(broker.url.clone());
    let before = session.channel().await;
    let queue = declare(&before, "q", QueueDeclareOptions::durable()).await;
    before.tx_select().await.unwrap();
    for i in 0..100 {
        publish_with(&before, "", "q", i.to_string().as_bytes(), persistent()).await;
    }
    before.tx_commit().await.unwrap();
    publish_with(&before, "", "q", b"not committed", persistent()).await;

    broker.kill_and_restart();
    let (_session, after) = connected(&broker).await;
    for i in 0..100 {
        assert_eq!(fetch(&after, &queue).await, Some(i.to_string()));
    }
    assert_eq!(fetch(&after, &queue).await, None);
}
