use lapin::ExchangeKind;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions};
use lapin::types::AMQPValue::LongInt;

use crate::deliveries::{bodies, cancelled, next, silence, take, text};
use crate::refusal::{assert_error, refused};
use crate::session::{NO_ACK, consume, fetch, long, publish, publish_to, ready, scenario, sync, table};

const EXCLUSIVE: BasicConsumeOptions =
    BasicConsumeOptions { no_local: false, no_ack: false, exclusive: true, nowait: false };

#[tokio::test]
async fn the_server_names_consumers_that_the_client_does_not() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let consumer = consume(&channel, &queue, Default::default()).await;
        assert!(consumer.tag().as_str().starts_with("amq.ctag-"));
    })
    .await;
}

#[tokio::test]
async fn a_delivery_says_where_it_came_from() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (exchange, queue) = (s.exchange(&channel, ExchangeKind::Topic).await, s.queue(&channel).await);
        channel
            .queue_bind(queue.clone(), exchange.clone(), "#".into(), Default::default(), Default::default())
            .await
            .unwrap();
        let consume = channel.basic_consume(queue, "mine".into(), Default::default(), Default::default());
        let mut consumer = consume.await.unwrap();
        assert_eq!(consumer.tag().as_str(), "mine");
        publish_to(&channel, exchange.as_str(), "a.b", b"m").await;
        let delivery = next(&mut consumer).await;
        assert_eq!((delivery.delivery_tag, delivery.redelivered), (1, false));
        assert_eq!((&delivery.exchange, delivery.routing_key.as_str()), (&exchange, "a.b"));
    })
    .await;
}

#[tokio::test]
async fn a_backlog_is_delivered_in_order() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..5000).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        for (i, delivery) in take(&mut consumer, 5000).await.iter().enumerate() {
            assert_eq!((text(delivery), delivery.delivery_tag), (i.to_string(), i as u64 + 1));
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_delivered_after_cancel_ok() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        channel.basic_cancel(consumer.tag(), Default::default()).await.unwrap();
        cancelled(&mut consumer).await;
        publish(&channel, &queue, ["stays"]).await;
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_was_delivered_before_the_cancel_can_be_acknowledged_after_it() {
    scenario(|s| async move {
        let (channel, observer) = (s.channel().await, s.channel().await);
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["m"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        let delivery = next(&mut consumer).await;
        channel.basic_cancel(consumer.tag(), Default::default()).await.unwrap();
        assert_eq!(ready(&observer, &queue).await, 0); // still out, not requeued
        delivery.ack(Default::default()).await.unwrap();
        channel.close(200, "bye".into()).await.unwrap();
        assert_eq!(ready(&observer, &queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn cancelling_an_unknown_consumer_is_fine() {
    scenario(|s| async move {
        let channel = s.channel().await;
        channel.basic_cancel("nobody".into(), Default::default()).await.unwrap();
        sync(&channel).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_consumer_tag_used_twice_ends_the_connection_with_530() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let consume = || channel.basic_consume(queue.clone(), "twice".into(), Default::default(), Default::default());
        let _first = consume().await.unwrap();
        refused(&*s.connection().await, 530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'", consume()).await;
    })
    .await;
}

#[tokio::test]
async fn the_same_tag_may_be_used_on_another_channel() {
    scenario(|s| async move {
        let (first, second) = (s.channel().await, s.channel().await);
        let queue = s.queue(&first).await;
        let mut consumers = Vec::new();
        for channel in [&first, &second] {
            let consume = channel.basic_consume(queue.clone(), "tag".into(), NO_ACK, Default::default());
            consumers.push(consume.await.unwrap());
        }
        publish(&first, &queue, ["a", "b"]).await;
        for consumer in &mut consumers {
            bodies(consumer, 1).await; // each its own
        }
    })
    .await;
}

#[tokio::test]
async fn deleting_the_queue_cancels_its_consumers() {
    scenario(|s| async move {
        let (channel, other) = (s.channel().await, s.channel().await);
        let queue = s.queue(&channel).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        other.queue_delete(queue, Default::default()).await.unwrap();
        cancelled(&mut consumer).await;
        sync(&channel).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_exclusive_consumer_shuts_out_every_other() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        let exclusive = consume(&channel, &queue, EXCLUSIVE).await;
        let attempt = s.channel().await;
        let error =
            attempt.basic_consume(queue.clone(), "".into(), Default::default(), Default::default()).await.unwrap_err();
        assert_error(&error, 403, "in exclusive use");
        channel.basic_cancel(exclusive.tag(), Default::default()).await.unwrap();
        let other = s.channel().await;
        let _shared = consume(&other, &queue, Default::default()).await;
        let error = channel.basic_consume(queue.clone(), "".into(), EXCLUSIVE, Default::default()).await.unwrap_err();
        assert_error(&error, 403, "in exclusive use");
    })
    .await;
}

#[tokio::test]
async fn a_get_works_beside_an_exclusive_consumer() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        channel.basic_qos(1, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, EXCLUSIVE).await;
        publish(&channel, &queue, ["a", "b"]).await;
        next(&mut consumer).await;
        assert_eq!(fetch(&s.channel().await, &queue).await.as_deref(), Some("b"));
    })
    .await;
}

#[tokio::test]
async fn consumers_of_equal_priority_take_turns() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let mut consumers = Vec::new();
        for _ in 0..3 {
            consumers.push(consume(&channel, &queue, NO_ACK).await);
        }
        publish(&channel, &queue, 0..300).await;
        for consumer in &mut consumers {
            let share: Vec<u32> = bodies(consumer, 100).await.iter().map(|body| body.parse().unwrap()).collect();
            assert!(share.windows(2).all(|pair| pair[1] - pair[0] == 3), "not every third: {share:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_consumer_of_higher_priority_goes_first_while_it_has_credit() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        channel.basic_qos(2, Default::default()).await.unwrap();
        let with_priority = |priority| {
            let arguments = table([("x-priority", LongInt(priority))]);
            channel.basic_consume(queue.clone(), "".into(), Default::default(), arguments)
        };
        let mut low = with_priority(-1).await.unwrap();
        let mut high = with_priority(10).await.unwrap();
        publish(&channel, &queue, 0..3).await;
        assert_eq!(bodies(&mut high, 2).await, ["0", "1"]);
        assert_eq!(bodies(&mut low, 1).await, ["2"]);
    })
    .await;
}

#[tokio::test]
async fn consuming_what_is_missing_or_asked_for_badly_is_refused() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let missing = channel.basic_consume(s.queue_name(), "".into(), Default::default(), Default::default());
        assert_error(&missing.await.unwrap_err(), 404, "no queue");
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let bad = channel.basic_consume(queue, "".into(), Default::default(), table([("x-priority", long("high"))]));
        assert_error(&bad.await.unwrap_err(), 406, "x-priority");
    })
    .await;
}

#[tokio::test]
async fn no_ack_deliveries_are_settled_as_they_leave() {
    scenario(|s| async move {
        let (channel, observer) = (s.channel().await, s.channel().await);
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["m"]).await;
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        let delivery = next(&mut consumer).await;
        let ack = channel.basic_ack(delivery.delivery_tag, Default::default());
        refused(&*s.connection().await, 406, "unknown delivery tag 1", ack).await;
        assert_eq!(ready(&observer, &queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn no_local_is_accepted_and_means_nothing() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let options = BasicConsumeOptions { no_local: true, ..NO_ACK };
        let mut consumer = consume(&channel, &queue, options).await;
        publish(&channel, &queue, ["from myself"]).await;
        assert_eq!(bodies(&mut consumer, 1).await, ["from myself"]);
    })
    .await;
}

#[tokio::test]
async fn a_no_wait_consume_delivers_and_a_no_wait_cancel_stops() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        let options = BasicConsumeOptions { nowait: true, ..NO_ACK };
        let consume = channel.basic_consume(queue.clone(), "quiet".into(), options, Default::default());
        let mut consumer = consume.await.unwrap();
        publish(&channel, &queue, ["m"]).await;
        assert_eq!(bodies(&mut consumer, 1).await, ["m"]);
        channel.basic_cancel("quiet".into(), BasicCancelOptions { nowait: true }).await.unwrap();
        publish(&channel, &queue, ["late"]).await;
        silence(&mut consumer).await;
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}
