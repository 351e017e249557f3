use lapin::options::BasicGetOptions;

use crate::deliveries::next;
use crate::refusal::assert_error;
use crate::session::{consume, fetch, publish, scenario};

#[tokio::test]
async fn get_tells_how_many_messages_are_left() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["a", "b"]).await;
        for (left, body) in [(1, b"a"), (0, b"b")] {
            let message = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
            assert_eq!((message.message_count, message.data.as_slice()), (left, body.as_slice()));
            assert_eq!((message.exchange.as_str(), &message.routing_key), ("", &queue));
        }
        assert!(channel.basic_get(queue, Default::default()).await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn get_on_a_missing_queue_is_refused_with_404() {
    scenario(|s| async move {
        let channel = s.channel().await;
        assert_error(&channel.basic_get(s.queue_name(), Default::default()).await.unwrap_err(), 404, "no queue");
    })
    .await;
}

#[tokio::test]
async fn what_was_fetched_comes_back_when_the_channel_closes_unless_no_ack() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["for good", "on loan"]).await;
        assert_eq!(fetch(&channel, &queue).await.as_deref(), Some("for good"));
        channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        channel.close(200, "bye".into()).await.unwrap();
        let channel = s.channel().await;
        let back = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
        assert_eq!((back.data.as_slice(), back.redelivered), (b"on loan".as_slice(), true));
        assert_eq!(fetch(&channel, &queue).await, None);
    })
    .await;
}

#[tokio::test]
async fn gets_and_deliveries_share_one_run_of_tags_and_get_knows_no_prefetch() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, 0..3).await;
        channel.basic_qos(1, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        assert_eq!(next(&mut consumer).await.delivery_tag, 1);
        for (tag, no_ack) in [(2, false), (3, true)] {
            let message = channel.basic_get(queue.clone(), BasicGetOptions { no_ack }).await.unwrap().unwrap();
            assert_eq!(message.delivery_tag, tag);
        }
    })
    .await;
}
