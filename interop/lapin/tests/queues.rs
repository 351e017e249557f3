use lapin::Channel;
use lapin::options::{
    BasicConsumeOptions, BasicNackOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::AMQPValue::{Boolean, LongInt, LongLongInt, LongUInt, ShortInt, ShortUInt};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::deliveries::take;
use crate::refusal::assert_error;
use crate::session::{consume, eventually, fetch, long, passive, publish, publish_to, ready, scenario, table};

async fn declare(channel: &Channel, queue: &ShortString, options: QueueDeclareOptions) -> lapin::Result<lapin::Queue> {
    channel.queue_declare(queue.clone(), options, FieldTable::default()).await
}

const EXCLUSIVE: QueueDeclareOptions =
    QueueDeclareOptions { passive: false, durable: false, exclusive: true, auto_delete: false, nowait: false };

#[tokio::test]
async fn the_server_names_queues_that_the_client_does_not() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let first = declare(&channel, &"".into(), EXCLUSIVE).await.unwrap();
        let second = declare(&channel, &"".into(), EXCLUSIVE).await.unwrap();
        assert!(first.name().as_str().starts_with("amq.gen-"));
        assert_eq!(first.name().as_str().len(), "amq.gen-".len() + 22);
        assert_ne!(first.name(), second.name());
    })
    .await;
}

#[tokio::test]
async fn declare_ok_counts_ready_messages_and_consumers() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..5).await;
        channel.basic_qos(2, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        take(&mut consumer, 2).await; // unacknowledged, so no longer counted
        let declared = declare(&channel, &queue, passive()).await.unwrap();
        assert_eq!((declared.message_count(), declared.consumer_count()), (3, 1));
    })
    .await;
}

#[tokio::test]
async fn missing_and_reserved_names_are_refused() {
    scenario(|s| async move {
        let (channel, queue) = (s.channel().await, s.queue_name());
        let error = declare(&channel, &queue, passive()).await.unwrap_err();
        assert_error(&error, 404, &format!("NOT_FOUND - no queue '{queue}' in vhost '/'"));
        let channel = s.channel().await;
        let error = declare(&channel, &"amq.mine".into(), QueueDeclareOptions::default()).await.unwrap_err();
        assert_error(&error, 403, "queue name 'amq.mine' contains reserved prefix 'amq.*'");
    })
    .await;
}

#[tokio::test]
async fn declaring_a_queue_otherwise_is_refused_with_406() {
    scenario(|s| async move {
        let same = QueueDeclareOptions::default();
        let ten = || table([("x-max-length", LongInt(10))]);
        for (argument, options, arguments) in [
            ("durable", QueueDeclareOptions { durable: true, ..same }, ten()),
            ("auto_delete", QueueDeclareOptions { auto_delete: true, ..same }, ten()),
            ("x-max-length", same, table([("x-max-length", LongInt(20))])),
            ("x-max-length", same, FieldTable::default()),
            ("x-expires", same, table([("x-max-length", LongInt(10)), ("x-expires", LongInt(60_000))])),
        ] {
            let channel = s.channel().await;
            let queue = s.queue_with(&channel, same, ten()).await;
            let error = channel.queue_declare(queue.clone(), options, arguments).await.unwrap_err();
            assert_error(&error, 406, &format!("inequivalent arg '{argument}' for queue '{queue}' in vhost '/'"));
        }
    })
    .await;
}

#[tokio::test]
async fn integer_arguments_are_compared_by_value_whatever_their_width() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue_with(&channel, Default::default(), table([("x-max-length", LongInt(1000))])).await;
        for value in [LongLongInt(1000), ShortInt(1000), ShortUInt(1000), LongUInt(1000)] {
            let arguments = table([("x-max-length", value)]);
            channel.queue_declare(queue.clone(), Default::default(), arguments).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn bad_arguments_are_refused_with_406() {
    scenario(|s| async move {
        for (key, value) in [
            ("x-message-ttl", long("1000")),
            ("x-message-ttl", LongInt(-1)),
            ("x-expires", LongInt(0)),
            ("x-max-length", AMQPValue::Double(1.0)),
            ("x-max-priority", LongInt(256)),
            ("x-single-active-consumer", LongInt(1)),
            ("x-dead-letter-exchange", Boolean(true)),
            ("x-queue-type", long("no-such-type")),
        ] {
            let channel = s.channel().await;
            let arguments = table([(key, value)]);
            let error = channel.queue_declare(s.queue_name(), Default::default(), arguments).await.unwrap_err();
            assert_error(&error, 406, key);
        }
    })
    .await;
}

#[tokio::test]
async fn an_exclusive_queue_is_locked_to_its_connection() {
    scenario(|s| async move {
        let owner = s.channel().await;
        let queue = s.queue_with(&owner, EXCLUSIVE, FieldTable::default()).await;
        let stranger = s.connect().await;
        let locked = |result: lapin::Result<()>| {
            assert_error(&result.unwrap_err(), 405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue");
        };
        let channel = || async { stranger.create_channel().await.unwrap() };
        locked(declare(&channel().await, &queue, EXCLUSIVE).await.map(drop));
        locked(declare(&channel().await, &queue, passive()).await.map(drop));
        locked(channel().await.basic_get(queue.clone(), Default::default()).await.map(drop));
        locked(channel().await.queue_purge(queue.clone(), Default::default()).await.map(drop));
        locked(channel().await.queue_delete(queue.clone(), Default::default()).await.map(drop));
        let bind = QueueBindOptions::default();
        locked(
            channel().await.queue_bind(queue.clone(), "amq.direct".into(), "k".into(), bind, Default::default()).await,
        );
        let consuming = channel().await;
        let consume = consuming.basic_consume(queue.clone(), "".into(), Default::default(), Default::default());
        locked(consume.await.map(drop));
        declare(&owner, &queue, EXCLUSIVE).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn anyone_may_publish_to_an_exclusive_queue() {
    scenario(|s| async move {
        let owner = s.channel().await;
        let queue = s.queue_with(&owner, EXCLUSIVE, FieldTable::default()).await;
        let stranger = s.connect().await.create_channel().await.unwrap();
        stranger.confirm_select(Default::default()).await.unwrap();
        publish(&stranger, &queue, ["from outside"]).await;
        assert_eq!(fetch(&owner, &queue).await.as_deref(), Some("from outside"));
    })
    .await;
}

#[tokio::test]
async fn an_exclusive_queue_is_gone_before_its_connection_is_closed() {
    scenario(|s| async move {
        let other = s.channel().await;
        for _ in 0..10 {
            let owner = s.connect().await;
            let channel = owner.create_channel().await.unwrap();
            let queue = s.queue_with(&channel, EXCLUSIVE, FieldTable::default()).await;
            owner.close(200, "bye".into()).await.unwrap();
            declare(&other, &queue, Default::default()).await.unwrap(); // 405 if the broker was late
        }
    })
    .await;
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumer() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
        let queue = s.queue_with(&channel, options, FieldTable::default()).await;
        fetch(&channel, &queue).await; // a get is no consumer
        let first = consume(&channel, &queue, Default::default()).await;
        let second = consume(&channel, &queue, Default::default()).await;
        channel.basic_cancel(first.tag(), Default::default()).await.unwrap();
        declare(&channel, &queue, passive()).await.unwrap();
        channel.basic_cancel(second.tag(), Default::default()).await.unwrap();
        assert_error(&declare(&channel, &queue, passive()).await.unwrap_err(), 404, "no queue");
    })
    .await;
}

#[tokio::test]
async fn an_auto_delete_queue_goes_with_its_last_consumers_channel() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let options = QueueDeclareOptions { auto_delete: true, ..Default::default() };
        let queue = s.queue_with(&channel, options, FieldTable::default()).await;
        let _consumer = consume(&channel, &queue, Default::default()).await;
        channel.close(200, "bye".into()).await.unwrap();
        eventually("the queue goes", || async { declare(&s.channel().await, &queue, passive()).await.is_err() }).await;
    })
    .await;
}

#[tokio::test]
async fn delete_tells_how_many_messages_went_along() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..3).await;
        assert_eq!(channel.queue_delete(queue.clone(), Default::default()).await.unwrap(), 3);
        assert_eq!(channel.queue_delete(queue, Default::default()).await.unwrap(), 0); // already gone: still fine
    })
    .await;
}

#[tokio::test]
async fn delete_refuses_what_its_conditions_forbid() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["m"]).await;
        let if_empty = QueueDeleteOptions { if_empty: true, ..Default::default() };
        assert_error(&channel.queue_delete(queue.clone(), if_empty).await.unwrap_err(), 406, "not empty");
        let channel = s.channel().await;
        let _consumer = consume(&channel, &queue, Default::default()).await;
        let if_unused = QueueDeleteOptions { if_unused: true, ..Default::default() };
        let other = s.channel().await;
        assert_error(&other.queue_delete(queue, if_unused).await.unwrap_err(), 406, "in use");
    })
    .await;
}

#[tokio::test]
async fn purge_removes_what_is_ready_and_counts_it() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..4).await;
        let held = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        assert_eq!(channel.queue_purge(queue.clone(), QueuePurgeOptions::default()).await.unwrap(), 3);
        held.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
        assert_eq!(fetch(&channel, &queue).await.as_deref(), Some("0")); // unacknowledged messages are not purged
        assert_eq!(fetch(&channel, &queue).await, None);
        let error = channel.queue_purge(s.queue_name(), Default::default()).await.unwrap_err();
        assert_error(&error, 404, "no queue");
    })
    .await;
}

#[tokio::test]
async fn an_empty_name_means_the_queue_declared_last() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = declare(&channel, &"".into(), EXCLUSIVE).await.unwrap().name().clone();
        let last: ShortString = "".into();
        channel
            .queue_bind(last.clone(), "amq.direct".into(), queue.clone(), Default::default(), Default::default())
            .await
            .unwrap();
        publish_to(&channel, "amq.direct", queue.as_str(), b"bound").await;
        assert_eq!(fetch(&channel, &last).await.as_deref(), Some("bound"));
        let consumer = consume(&channel, &last, BasicConsumeOptions::default()).await;
        assert_eq!(declare(&channel, &queue, passive()).await.unwrap().consumer_count(), 1);
        drop(consumer);
        channel.queue_purge(last.clone(), Default::default()).await.unwrap();
        channel.queue_delete(last, Default::default()).await.unwrap();
        assert_error(&declare(&channel, &queue, passive()).await.unwrap_err(), 404, "no queue");
        let error = s.channel().await.queue_purge("".into(), Default::default()).await.unwrap_err();
        assert_error(&error, 404, "NOT_FOUND - no previously declared queue");
    })
    .await;
}

#[tokio::test]
async fn no_wait_forms_act_in_silence() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue_name();
        let options = QueueDeclareOptions { nowait: true, ..Default::default() };
        channel.queue_declare(queue.clone(), options, FieldTable::default()).await.unwrap();
        let options = QueueBindOptions { nowait: true };
        channel
            .queue_bind(queue.clone(), "amq.direct".into(), queue.clone(), options, FieldTable::default())
            .await
            .unwrap();
        publish_to(&channel, "amq.direct", queue.as_str(), b"m").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
        // No purge here: lapin 4.12 waits for an answer even after a no-wait one.
        channel.queue_delete(queue.clone(), QueueDeleteOptions { nowait: true, ..Default::default() }).await.unwrap();
        assert_error(&declare(&channel, &queue, passive()).await.unwrap_err(), 404, "no queue");
    })
    .await;
}
