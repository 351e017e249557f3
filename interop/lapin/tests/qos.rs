use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::ShortString;

use crate::deliveries::{bodies, next, silence, take};
use crate::session::{NO_ACK, Session, consume, publish, scenario};

const GLOBAL: BasicQosOptions = BasicQosOptions { global: true };

/// A channel, and a queue with ten numbered messages.
async fn backlog(s: &Session) -> (Channel, ShortString) {
    let channel = s.channel().await;
    let queue = s.queue(&channel).await;
    publish(&channel, &queue, 0..10).await;
    (channel, queue)
}

#[tokio::test]
async fn prefetch_bounds_what_is_out_and_each_settlement_lets_one_more_through() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(2, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        let out = take(&mut consumer, 2).await;
        silence(&mut consumer).await;
        out[0].ack(Default::default()).await.unwrap();
        assert_eq!(bodies(&mut consumer, 1).await, ["2"]);
        out[1].nack(BasicNackOptions::default()).await.unwrap();
        assert_eq!(bodies(&mut consumer, 1).await, ["3"]);
        silence(&mut consumer).await;
    })
    .await;
}

#[tokio::test]
async fn an_ack_of_several_lets_as_many_through() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(4, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        take(&mut consumer, 4).await[2].ack(BasicAckOptions { multiple: true }).await.unwrap();
        assert_eq!(bodies(&mut consumer, 3).await, ["4", "5", "6"]);
        silence(&mut consumer).await;
    })
    .await;
}

#[tokio::test]
async fn without_global_the_limit_is_for_each_consumer_started_later() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(1, Default::default()).await.unwrap();
        let mut before = consume(&channel, &queue, Default::default()).await;
        channel.basic_qos(3, Default::default()).await.unwrap();
        let mut after = consume(&channel, &queue, Default::default()).await;
        take(&mut before, 1).await;
        take(&mut after, 3).await;
        silence(&mut before).await;
        silence(&mut after).await;
    })
    .await;
}

#[tokio::test]
async fn a_global_limit_is_shared_by_the_channel_and_counts_at_once() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(2, GLOBAL).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        take(&mut consumer, 2).await;
        let mut other = consume(&channel, &queue, Default::default()).await;
        silence(&mut other).await;
        silence(&mut consumer).await;
        channel.basic_qos(5, GLOBAL).await.unwrap();
        for _ in 0..3 {
            // Which of the two gets it is the broker's affair.
            tokio::select! {
                _ = next(&mut consumer) => {}
                _ = next(&mut other) => {}
            }
        }
        silence(&mut consumer).await;
        silence(&mut other).await;
    })
    .await;
}

#[tokio::test]
async fn both_limits_hold_at_once() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(2, Default::default()).await.unwrap();
        channel.basic_qos(3, GLOBAL).await.unwrap(); // in this order: a later global=false would end it in RabbitMQ
        let mut first = consume(&channel, &queue, Default::default()).await;
        take(&mut first, 2).await; // its own limit
        silence(&mut first).await;
        let mut second = consume(&channel, &queue, Default::default()).await;
        take(&mut second, 1).await; // what the channel's limit leaves
        silence(&mut second).await;
    })
    .await;
}

#[tokio::test]
async fn prefetch_0_means_no_limit_and_no_ack_consumers_know_none() {
    scenario(|s| async move {
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(1, Default::default()).await.unwrap();
        let mut unacknowledging = consume(&channel, &queue, NO_ACK).await;
        take(&mut unacknowledging, 10).await;
        drop(unacknowledging);
        let (channel, queue) = backlog(&s).await;
        channel.basic_qos(1, Default::default()).await.unwrap();
        channel.basic_qos(0, Default::default()).await.unwrap();
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        take(&mut consumer, 10).await;
    })
    .await;
}
