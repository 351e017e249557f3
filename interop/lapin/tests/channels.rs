use lapin::options::{AccessRequestOptions, ChannelFlowOptions};
use lapin::types::FieldTable;

use crate::deliveries::{take, text};
use crate::refusal::{assert_error, refused};
use crate::session::{consume, passive, publish, publish_to, ready, scenario, sync};

#[tokio::test]
async fn a_closed_channel_number_can_be_opened_again() {
    scenario(|s| async move {
        for _ in 0..5 {
            let channel = s.channel().await;
            sync(&channel).await.unwrap();
            channel.close(200, "bye".into()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_soft_error_closes_its_channel_and_leaves_the_others_alive() {
    scenario(|s| async move {
        let (healthy, failing) = (s.channel().await, s.channel().await);
        let error = failing.queue_declare(s.queue_name(), passive(), FieldTable::default()).await.unwrap_err();
        assert_error(&error, 404, "NOT_FOUND - no queue");
        assert!(sync(&failing).await.is_err());
        sync(&healthy).await.unwrap();
        sync(&s.channel().await).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_published_after_the_failing_command_is_ignored() {
    scenario(|s| async move {
        let (failing, other) = (s.channel().await, s.channel().await);
        let queue = s.queue(&other).await;
        refused(&*s.connection().await, 404, "no exchange", async {
            publish_to(&failing, s.exchange_name().as_str(), "k", b"into nowhere").await;
            for _ in 0..20 {
                let _ = failing
                    .basic_publish("".into(), queue.clone(), Default::default(), b"too late", Default::default())
                    .await;
            }
        })
        .await;
        sync(&other).await.unwrap();
        assert_eq!(ready(&other, &queue).await, 0);
    })
    .await;
}

#[tokio::test]
async fn flow_true_is_answered_with_true() {
    scenario(|s| async move {
        assert!(s.channel().await.channel_flow(ChannelFlowOptions { active: true }).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn access_request_is_answered_for_clients_of_old() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let options = AccessRequestOptions { active: true, write: true, read: true, ..Default::default() };
        channel.access_request("/data".into(), options).await.unwrap();
        sync(&channel).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn commands_of_many_channels_interleave() {
    scenario(|s| async move {
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let s = s.clone();
            let channel = s.channel().await;
            tasks.push(tokio::spawn(async move {
                let queue = s.queue(&channel).await;
                publish(&channel, &queue, 0..50).await;
                let mut consumer = consume(&channel, &queue, Default::default()).await;
                let bodies: Vec<String> = take(&mut consumer, 50).await.iter().map(text).collect();
                assert_eq!(bodies, (0..50).map(|i| i.to_string()).collect::<Vec<_>>());
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn closing_a_channel_returns_its_messages_marked_redelivered() {
    scenario(|s| async move {
        let (holder, next) = (s.channel().await, s.channel().await);
        let queue = s.queue(&holder).await;
        publish(&holder, &queue, ["a", "b", "c"]).await;
        let mut consumer = consume(&holder, &queue, Default::default()).await;
        take(&mut consumer, 3).await;
        holder.close(200, "bye".into()).await.unwrap();
        let mut consumer = consume(&next, &queue, Default::default()).await;
        let deliveries = take(&mut consumer, 3).await;
        assert_eq!(deliveries.iter().map(text).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(deliveries.iter().all(|delivery| delivery.redelivered));
    })
    .await;
}
