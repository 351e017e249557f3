use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::ShortString;

use crate::deliveries::{next, text};
use crate::refusal::refused;
use crate::session::{Session, consume, fetch, publish, scenario, sync};

const MULTIPLE: BasicAckOptions = BasicAckOptions { multiple: true };
const REQUEUE: BasicNackOptions = BasicNackOptions { multiple: false, requeue: true };

/// A channel that holds messages 0, 1, 2.. fetched and not yet settled; their tags are 1, 2, 3..
struct Held {
    channel: Channel,
    observer: Channel,
    queue: ShortString,
}

impl Held {
    /// Fetches `count` of `published` messages.
    async fn new(s: &Session, count: usize, published: usize) -> Self {
        let (channel, observer) = (s.channel().await, s.channel().await);
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..published).await;
        let held = Self { channel, observer, queue };
        for _ in 0..count {
            held.fetch().await;
        }
        held
    }

    async fn fetch(&self) -> (String, bool) {
        let message = self.channel.basic_get(self.queue.clone(), Default::default()).await.unwrap().unwrap();
        (text(&message.delivery), message.redelivered)
    }

    async fn left_after_close(self) -> Vec<String> {
        self.channel.close(200, "bye".into()).await.unwrap();
        let mut left = Vec::new();
        while let Some(body) = fetch(&self.observer, &self.queue).await {
            left.push(body);
        }
        left
    }
}

#[tokio::test]
async fn ack_settles_one_message() {
    scenario(|s| async move {
        let held = Held::new(&s, 3, 3).await;
        held.channel.basic_ack(2, Default::default()).await.unwrap();
        assert_eq!(held.left_after_close().await, ["0", "2"]);
    })
    .await;
}

#[tokio::test]
async fn ack_multiple_settles_all_up_to_the_tag_also_after_acks_out_of_order() {
    scenario(|s| async move {
        let held = Held::new(&s, 5, 5).await;
        held.channel.basic_ack(4, Default::default()).await.unwrap();
        held.channel.basic_ack(2, Default::default()).await.unwrap();
        held.channel.basic_ack(3, MULTIPLE).await.unwrap();
        assert_eq!(held.left_after_close().await, ["4"]);
    })
    .await;
}

#[tokio::test]
async fn tag_0_with_multiple_settles_everything_and_may_find_nothing() {
    scenario(|s| async move {
        let held = Held::new(&s, 3, 3).await;
        held.channel.basic_ack(0, MULTIPLE).await.unwrap();
        held.channel.basic_ack(0, MULTIPLE).await.unwrap();
        held.channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
        assert!(held.left_after_close().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_unknown_tag_is_refused_with_406() {
    scenario(|s| async move {
        let connection = s.connection().await;
        let text = |tag: u64| format!("PRECONDITION_FAILED - unknown delivery tag {tag}");
        for (tag, options) in [(99, BasicAckOptions::default()), (99, MULTIPLE), (0, BasicAckOptions::default())] {
            let channel = Held::new(&s, 1, 1).await.channel;
            refused(&connection, 406, &text(tag), channel.basic_ack(tag, options)).await;
        }
        let channel = Held::new(&s, 1, 1).await.channel;
        refused(&connection, 406, &text(99), channel.basic_nack(99, REQUEUE)).await;
        let channel = Held::new(&s, 1, 1).await.channel;
        refused(&connection, 406, &text(99), channel.basic_reject(99, Default::default())).await;
    })
    .await;
}

#[tokio::test]
async fn a_tag_is_settled_once_and_only_on_its_channel() {
    scenario(|s| async move {
        let connection = s.connection().await;
        let held = Held::new(&s, 1, 1).await;
        refused(&connection, 406, "unknown delivery tag 1", held.observer.basic_ack(1, Default::default())).await;
        held.channel.basic_ack(1, Default::default()).await.unwrap();
        refused(&connection, 406, "unknown delivery tag 1", held.channel.basic_ack(1, Default::default())).await;
    })
    .await;
}

#[tokio::test]
async fn requeued_messages_go_where_they_were() {
    scenario(|s| async move {
        let held = Held::new(&s, 4, 6).await;
        held.channel.basic_nack(3, REQUEUE).await.unwrap();
        held.channel.basic_reject(1, BasicRejectOptions { requeue: true }).await.unwrap();
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(held.fetch().await);
        }
        let expected = [("0", true), ("2", true), ("4", false), ("5", false)];
        assert_eq!(order, expected.map(|(body, redelivered)| (body.to_string(), redelivered)));
    })
    .await;
}

#[tokio::test]
async fn nack_multiple_returns_all_up_to_the_tag_in_order() {
    scenario(|s| async move {
        let held = Held::new(&s, 4, 4).await;
        held.channel.basic_nack(3, BasicNackOptions { multiple: true, requeue: true }).await.unwrap();
        for i in 0..3 {
            assert_eq!(held.fetch().await, (i.to_string(), true));
        }
    })
    .await;
}

#[tokio::test]
async fn without_requeue_nack_and_reject_drop() {
    scenario(|s| async move {
        let held = Held::new(&s, 5, 5).await;
        held.channel.basic_nack(2, BasicNackOptions { multiple: true, requeue: false }).await.unwrap();
        held.channel.basic_nack(4, BasicNackOptions::default()).await.unwrap();
        held.channel.basic_reject(5, BasicRejectOptions::default()).await.unwrap();
        assert_eq!(held.left_after_close().await, ["2"]);
    })
    .await;
}

#[tokio::test]
async fn a_rejected_message_comes_again_with_a_new_tag() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["again and again"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        for round in 0..5 {
            let delivery = next(&mut consumer).await;
            assert_eq!((delivery.delivery_tag, delivery.redelivered), (round + 1, round > 0));
            delivery.reject(BasicRejectOptions { requeue: true }).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn acknowledging_after_the_queue_was_deleted_is_fine() {
    scenario(|s| async move {
        let held = Held::new(&s, 1, 1).await;
        held.channel.queue_delete(held.queue.clone(), Default::default()).await.unwrap();
        held.channel.basic_ack(1, Default::default()).await.unwrap();
        sync(&held.channel).await.unwrap();
    })
    .await;
}
