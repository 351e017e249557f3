use lapin::ExchangeKind::{Direct, Fanout, Headers, Topic};
use lapin::types::AMQPValue::{LongInt, LongLongInt};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};

use crate::refusal::assert_error;
use crate::session::{publish_to, publish_with, ready, scenario, table};

async fn bind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &ShortString,
    key: &str,
    arguments: FieldTable,
) -> lapin::Result<()> {
    channel.queue_bind(queue.clone(), exchange.clone(), key.into(), Default::default(), arguments).await
}

async fn unbind(
    channel: &Channel,
    queue: &ShortString,
    exchange: &ShortString,
    key: &str,
    arguments: FieldTable,
) -> lapin::Result<()> {
    channel.queue_unbind(queue.clone(), exchange.clone(), key.into(), arguments).await
}

#[tokio::test]
async fn binding_twice_is_binding_once() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (exchange, queue) = (s.exchange(&channel, Direct).await, s.queue(&channel).await);
        for _ in 0..2 {
            bind(&channel, &queue, &exchange, "k", FieldTable::default()).await.unwrap();
        }
        publish_to(&channel, exchange.as_str(), "k", b"m").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
        unbind(&channel, &queue, &exchange, "k", FieldTable::default()).await.unwrap();
        publish_to(&channel, exchange.as_str(), "k", b"m").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_queue_gets_one_copy_however_many_bindings_match() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (exchange, queue) = (s.exchange(&channel, Topic).await, s.queue(&channel).await);
        for key in ["#", "a.*", "a.b", "*.b"] {
            bind(&channel, &queue, &exchange, key, FieldTable::default()).await.unwrap();
        }
        publish_to(&channel, exchange.as_str(), "a.b", b"m").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn bindings_that_differ_in_the_type_of_an_argument_are_different() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (exchange, queue) = (s.exchange(&channel, Headers).await, s.queue(&channel).await);
        bind(&channel, &queue, &exchange, "", table([("a", LongInt(1))])).await.unwrap();
        bind(&channel, &queue, &exchange, "", table([("a", LongLongInt(1))])).await.unwrap();
        unbind(&channel, &queue, &exchange, "", table([("a", LongInt(1))])).await.unwrap();
        // Matching is by value, so the other binding still takes either.
        let headers = BasicProperties::default().with_headers(table([("a", LongInt(1))]));
        publish_with(&channel, exchange.as_str(), "", b"m", headers).await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn unbinding_what_is_not_there_is_fine() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (exchange, queue) = (s.exchange(&channel, Direct).await, s.queue(&channel).await);
        unbind(&channel, &queue, &exchange, "never bound", FieldTable::default()).await.unwrap();
        unbind(&channel, &s.queue_name(), &exchange, "k", FieldTable::default()).await.unwrap();
        unbind(&channel, &queue, &s.exchange_name(), "k", FieldTable::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn binding_what_is_missing_or_reserved_is_refused() {
    scenario(|s| async move {
        let queue = s.queue(&s.channel().await).await;
        let attempt = |queue: ShortString, exchange: ShortString| {
            let s = s.clone();
            async move { bind(&s.channel().await, &queue, &exchange, "k", FieldTable::default()).await.unwrap_err() }
        };
        assert_error(&attempt(queue.clone(), s.exchange_name()).await, 404, "no exchange");
        assert_error(&attempt(s.queue_name(), "amq.direct".into()).await, 404, "no queue");
        assert_error(&attempt(queue, "".into()).await, 403, "operation not permitted on the default exchange");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_queue_takes_its_bindings_along() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (exchange, queue) = (s.exchange(&channel, Fanout).await, s.queue(&channel).await);
        bind(&channel, &queue, &exchange, "", FieldTable::default()).await.unwrap();
        channel.queue_delete(queue.clone(), Default::default()).await.unwrap();
        channel.queue_declare(queue.clone(), Default::default(), FieldTable::default()).await.unwrap();
        publish_to(&channel, exchange.as_str(), "", b"m").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 0);
    })
    .await;
}
