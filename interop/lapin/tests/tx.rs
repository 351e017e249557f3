use lapin::Channel;
use lapin::options::{BasicPublishOptions, BasicRejectOptions};
use lapin::types::ShortString;

use crate::deliveries::{next, text};
use crate::refusal::{assert_error, refused};
use crate::session::{Session, consume, fetch, publish, publish_to, scenario, sync};

/// A transactional channel, a channel outside the transaction, and a queue.
async fn transaction(s: &Session) -> (Channel, Channel, ShortString) {
    let (channel, outside) = (s.channel().await, s.channel().await);
    channel.tx_select().await.unwrap();
    let queue = s.queue(&channel).await;
    (channel, outside, queue)
}

async fn fetch_tag(channel: &Channel, queue: &ShortString) -> u64 {
    channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap().delivery.delivery_tag
}

#[tokio::test]
async fn publishes_are_held_until_the_commit_then_arrive_in_order() {
    scenario(|s| async move {
        let (channel, outside, queue) = transaction(&s).await;
        publish(&channel, &queue, 0..100).await;
        assert_eq!(fetch(&outside, &queue).await, None);
        channel.tx_commit().await.unwrap();
        for i in 0..100 {
            assert_eq!(fetch(&outside, &queue).await, Some(i.to_string()));
        }
    })
    .await;
}

#[tokio::test]
async fn rollback_drops_the_publishes() {
    scenario(|s| async move {
        let (channel, outside, queue) = transaction(&s).await;
        publish(&channel, &queue, ["dropped"]).await;
        channel.tx_rollback().await.unwrap();
        publish(&channel, &queue, ["kept"]).await;
        channel.tx_commit().await.unwrap();
        assert_eq!(fetch(&outside, &queue).await.as_deref(), Some("kept"));
        assert_eq!(fetch(&outside, &queue).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_committed_ack_is_final() {
    scenario(|s| async move {
        let (channel, outside, queue) = transaction(&s).await;
        publish(&outside, &queue, ["m"]).await;
        sync(&outside).await.unwrap();
        let tag = fetch_tag(&channel, &queue).await;
        channel.basic_ack(tag, Default::default()).await.unwrap();
        channel.tx_commit().await.unwrap();
        channel.close(200, "bye".into()).await.unwrap();
        assert_eq!(fetch(&outside, &queue).await, None);
    })
    .await;
}

#[tokio::test]
async fn a_rolled_back_ack_leaves_the_message_out_to_be_settled_again() {
    scenario(|s| async move {
        let (channel, outside, queue) = transaction(&s).await;
        publish(&outside, &queue, ["m"]).await;
        sync(&outside).await.unwrap();
        let tag = fetch_tag(&channel, &queue).await;
        channel.basic_ack(tag, Default::default()).await.unwrap();
        channel.tx_rollback().await.unwrap();
        assert_eq!(fetch(&outside, &queue).await, None); // not requeued
        channel.basic_reject(tag, BasicRejectOptions { requeue: true }).await.unwrap();
        channel.tx_commit().await.unwrap();
        assert_eq!(fetch(&outside, &queue).await.as_deref(), Some("m"));
    })
    .await;
}

#[tokio::test]
async fn closing_the_channel_undoes_everything() {
    scenario(|s| async move {
        let (channel, outside, queue) = transaction(&s).await;
        publish(&outside, &queue, ["out"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        next(&mut consumer).await.ack(Default::default()).await.unwrap();
        publish(&channel, &queue, ["never"]).await;
        channel.close(200, "bye".into()).await.unwrap();
        let mut consumer = consume(&outside, &queue, Default::default()).await;
        let back = next(&mut consumer).await;
        assert_eq!((text(&back).as_str(), back.redelivered), ("out", true));
        assert_eq!(fetch(&outside, &queue).await, None);
    })
    .await;
}

#[tokio::test]
async fn returns_come_with_the_commit() {
    scenario(|s| async move {
        let (channel, outside, _) = transaction(&s).await;
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        channel.basic_publish("".into(), s.queue_name(), options, b"nobody", Default::default()).await.unwrap();
        sync(&outside).await.unwrap();
        assert!(channel.wait_for_confirms().await.unwrap().is_empty()); // drains the returns so far
        channel.tx_commit().await.unwrap();
        let returned = channel.wait_for_confirms().await.unwrap();
        assert_eq!(returned.iter().map(|message| message.data.as_slice()).collect::<Vec<_>>(), [b"nobody"]);
    })
    .await;
}

#[tokio::test]
async fn select_may_be_repeated_and_nothing_may_be_committed() {
    scenario(|s| async move {
        let (channel, _, _) = transaction(&s).await;
        channel.tx_select().await.unwrap();
        channel.tx_commit().await.unwrap();
        channel.tx_rollback().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_a_select_it_is_refused_with_406() {
    scenario(|s| async move {
        let text = "PRECONDITION_FAILED - channel is not transactional";
        assert_error(&s.channel().await.tx_commit().await.unwrap_err(), 406, text);
        assert_error(&s.channel().await.tx_rollback().await.unwrap_err(), 406, text);
        let confirming = s.confirm_channel().await;
        assert_error(&confirming.tx_select().await.unwrap_err(), 406, "cannot switch from confirm to tx mode");
    })
    .await;
}

#[tokio::test]
async fn errors_come_at_once_not_at_the_commit() {
    scenario(|s| async move {
        let connection = s.connection().await;
        let (channel, _, _) = transaction(&s).await;
        refused(&connection, 404, "no exchange", publish_to(&channel, s.exchange_name().as_str(), "k", b"m")).await;
        let (channel, _, _) = transaction(&s).await;
        refused(&connection, 406, "unknown delivery tag 7", channel.basic_ack(7, Default::default())).await;
    })
    .await;
}
