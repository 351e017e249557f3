use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Confirmation, ExchangeKind};

use crate::deliveries::bodies;
use crate::refusal::{assert_error, refused};
use crate::session::{NO_ACK, consume, persistent, publish_to, publish_with, ready, scenario};

#[tokio::test]
async fn a_channel_without_confirms_gets_none() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let confirmation = publish_to(&channel, "", queue.as_str(), b"m").await.await.unwrap();
        assert_eq!(confirmation, Confirmation::NotRequested);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_persistent_messages_are_confirmed_and_kept_in_order() {
    const COUNT: usize = 10_000;
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue_with(&channel, QueueDeclareOptions::durable(), FieldTable::default()).await;
        let mut confirms = Vec::new();
        for i in 0..COUNT {
            let body = i.to_string();
            confirms.push(publish_with(&channel, "", queue.as_str(), body.as_bytes(), persistent()).await);
        }
        for confirm in confirms {
            assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
        }
        assert_eq!(ready(&channel, &queue).await as usize, COUNT);
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        let expected: Vec<String> = (0..COUNT).map(|i| i.to_string()).collect();
        assert_eq!(bodies(&mut consumer, COUNT).await, expected);
    })
    .await;
}

#[tokio::test]
async fn confirms_may_come_out_of_order_but_all_come() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let slow = s.queue_with(&channel, QueueDeclareOptions::durable(), FieldTable::default()).await;
        let quick = s.queue(&channel).await;
        let mut confirms = Vec::new();
        for i in 0..1000 {
            let queue = if i % 2 == 0 { &slow } else { &quick };
            confirms.push(publish_with(&channel, "", queue.as_str(), b"m", persistent()).await);
        }
        // lapin fails the channel on an ack for a number that it does not await.
        for confirm in confirms.into_iter().rev() {
            assert!(confirm.await.unwrap().is_ack());
        }
    })
    .await;
}

#[tokio::test]
async fn numbers_start_at_the_select() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        publish_to(&channel, "", queue.as_str(), b"before").await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        assert!(publish_to(&channel, "", queue.as_str(), b"after").await.await.unwrap().is_ack());
    })
    .await;
}

#[tokio::test]
async fn select_may_be_repeated() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        assert!(publish_to(&channel, "", queue.as_str(), b"m").await.await.unwrap().is_ack());
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        assert!(publish_to(&channel, "", queue.as_str(), b"m").await.await.unwrap().is_ack());
    })
    .await;
}

#[tokio::test]
async fn a_message_to_several_queues_is_confirmed_once() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let exchange = s.exchange(&channel, ExchangeKind::Fanout).await;
        for durable in [true, false, true] {
            let options = QueueDeclareOptions { durable, ..Default::default() };
            let queue = s.queue_with(&channel, options, FieldTable::default()).await;
            channel
                .queue_bind(queue, exchange.clone(), "".into(), Default::default(), Default::default())
                .await
                .unwrap();
        }
        for _ in 0..20 {
            let confirm = publish_with(&channel, exchange.as_str(), "", b"m", persistent()).await;
            assert_eq!(confirm.await.unwrap(), Confirmation::Ack(None));
        }
    })
    .await;
}

#[tokio::test]
async fn a_channel_error_fails_the_confirms_still_open() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let confirm = publish_to(&channel, s.exchange_name().as_str(), "k", b"m").await;
        assert_error(&confirm.await.unwrap_err(), 404, "no exchange");
    })
    .await;
}

#[tokio::test]
async fn a_transactional_channel_cannot_confirm() {
    scenario(|s| async move {
        let channel = s.channel().await;
        channel.tx_select().await.unwrap();
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        refused(&*s.connection().await, 406, "cannot switch from tx to confirm mode", select).await;
    })
    .await;
}
