use lapin::options::{BasicRecoverAsyncOptions, BasicRecoverOptions};

use crate::deliveries::{bodies, next, take, text};
use crate::refusal::refused;
use crate::session::{consume, publish, scenario};

#[tokio::test]
async fn recover_delivers_again_with_new_tags() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["a", "b", "c"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        let out = take(&mut consumer, 3).await;
        out[1].ack(Default::default()).await.unwrap();
        channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
        for (body, tag) in [("a", 4), ("c", 5)] {
            let again = next(&mut consumer).await;
            assert_eq!((text(&again).as_str(), again.delivery_tag, again.redelivered), (body, tag, true));
        }
    })
    .await;
}

#[tokio::test]
async fn recover_async_does_the_same_without_an_answer() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["a", "b"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        take(&mut consumer, 2).await;
        channel.basic_recover_async(BasicRecoverAsyncOptions { requeue: true }).await.unwrap();
        assert_eq!(bodies(&mut consumer, 2).await, ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn without_a_consumer_recovered_messages_go_back_to_the_queue() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["a"]).await;
        channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        channel.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
        let again = channel.basic_get(queue, Default::default()).await.unwrap().unwrap();
        assert_eq!((again.delivery_tag, again.redelivered), (2, true));
        refused(&*s.connection().await, 406, "unknown delivery tag 1", channel.basic_ack(1, Default::default())).await;
    })
    .await;
}

#[tokio::test]
async fn recover_without_requeue_is_refused_with_540() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let recover = channel.basic_recover(BasicRecoverOptions { requeue: false });
        refused(&*s.connection().await, 540, "NOT_IMPLEMENTED - requeue=false", recover).await;
    })
    .await;
}
