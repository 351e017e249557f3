//! What RabbitMQ adds beyond queues and exchanges; `run.sh` runs this module only with `INTEROP_EXTENSIONS=1`.

use lapin::options::BasicRejectOptions;
use lapin::types::AMQPValue::{Boolean, FieldArray, LongInt};
use lapin::types::{self, AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, ExchangeKind};

use crate::deliveries::{bodies, next, silence, take, text};
use crate::refusal::refused;
use crate::session::{
    NO_ACK, consume, eventually, fetch, long, publish, publish_to, publish_with, ready, scenario, table,
};

fn list(values: &[&str]) -> AMQPValue {
    let mut list = types::FieldArray::default();
    for value in values {
        list.push(long(value));
    }
    FieldArray(list)
}

fn header<'a>(properties: &'a BasicProperties, key: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(&ShortString::from(key))
}

#[tokio::test]
async fn cc_and_bcc_add_routing_keys_and_only_cc_is_shown() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let exchange = s.exchange(&channel, ExchangeKind::Direct).await;
        let mut queues = Vec::new();
        for key in ["to", "cc", "bcc"] {
            let queue = s.queue(&channel).await;
            channel
                .queue_bind(queue.clone(), exchange.clone(), key.into(), Default::default(), Default::default())
                .await
                .unwrap();
            queues.push(queue);
        }
        let headers = table([("CC", list(&["cc"])), ("BCC", list(&["bcc"]))]);
        publish_with(&channel, exchange.as_str(), "to", b"m", BasicProperties::default().with_headers(headers)).await;
        for queue in queues {
            let message = channel.basic_get(queue, Default::default()).await.unwrap().unwrap();
            assert_eq!(message.routing_key.as_str(), "to");
            assert_eq!(header(&message.properties, "CC"), Some(&list(&["cc"])));
            assert_eq!(header(&message.properties, "BCC"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_reply_finds_its_way_over_direct_reply_to() {
    scenario(|s| async move {
        let (client, server) = (s.channel().await, s.connect().await.create_channel().await.unwrap());
        let requests = s.queue(&server).await;
        let reply_to: ShortString = "amq.rabbitmq.reply-to".into();
        let mut replies = consume(&client, &reply_to, NO_ACK).await;
        let properties = BasicProperties::default().with_reply_to(reply_to);
        publish_with(&client, "", requests.as_str(), b"question", properties).await;
        let mut serving = consume(&server, &requests, NO_ACK).await;
        let request = next(&mut serving).await;
        let address = request.properties.reply_to().clone().unwrap();
        publish_to(&server, "", address.as_str(), b"answer").await;
        assert_eq!(bodies(&mut replies, 1).await, ["answer"]);
    })
    .await;
}

#[tokio::test]
async fn direct_reply_to_without_a_consumer_is_refused_with_406() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let properties = BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into());
        let publish = publish_with(&channel, "", queue.as_str(), b"m", properties);
        refused(&*s.connection().await, 406, "fast reply consumer does not exist", publish).await;
    })
    .await;
}

#[tokio::test]
async fn messages_expire_by_queue_or_message() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let by_queue = s.queue_with(&channel, Default::default(), table([("x-message-ttl", LongInt(50))])).await;
        let by_message = s.queue(&channel).await;
        publish(&channel, &by_queue, ["m"]).await;
        let properties = BasicProperties::default().with_expiration("50".into());
        publish_with(&channel, "", by_message.as_str(), b"m", properties).await.await.unwrap();
        for queue in [by_queue, by_message] {
            eventually("the message expires", || async { ready(&channel, &queue).await == 0 }).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_drops_its_oldest_or_rejects_the_newest() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let dropping = s.queue_with(&channel, Default::default(), table([("x-max-length", LongInt(2))])).await;
        publish(&channel, &dropping, 0..4).await;
        assert_eq!(fetch(&channel, &dropping).await.as_deref(), Some("2"));
        let arguments = table([("x-max-length", LongInt(1)), ("x-overflow", long("reject-publish"))]);
        let rejecting = s.queue_with(&channel, Default::default(), arguments).await;
        let sent = |body: &'static [u8]| publish_and_confirm(&channel, &rejecting, body);
        assert!(sent(b"fits").await.is_ack());
        assert!(sent(b"does not").await.is_nack());
    })
    .await;
}

async fn publish_and_confirm(channel: &Channel, queue: &ShortString, body: &[u8]) -> Confirmation {
    publish_to(channel, "", queue.as_str(), body).await.await.unwrap()
}

#[tokio::test]
async fn dead_letters_carry_their_history() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let graveyard = s.queue(&channel).await;
        let arguments =
            table([("x-dead-letter-exchange", long("")), ("x-dead-letter-routing-key", long(graveyard.as_str()))]);
        let queue = s.queue_with(&channel, Default::default(), arguments).await;
        publish(&channel, &queue, ["m"]).await;
        let message = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
        message.reject(BasicRejectOptions::default()).await.unwrap();
        let mut dead = consume(&channel, &graveyard, NO_ACK).await;
        let letter = next(&mut dead).await;
        assert_eq!(text(&letter), "m");
        assert_eq!(header(&letter.properties, "x-first-death-reason"), Some(&long("rejected")));
        let Some(FieldArray(deaths)) = header(&letter.properties, "x-death") else { panic!("no x-death") };
        let Some(AMQPValue::FieldTable(death)) = deaths.as_slice().first() else { panic!("an empty x-death") };
        let field = |key: &str| death.inner().get(&ShortString::from(key)).cloned();
        assert_eq!(field("reason"), Some(long("rejected")));
        assert_eq!(field("queue"), Some(long(queue.as_str())));
        assert_eq!(field("count"), Some(AMQPValue::LongLongInt(1)));
        assert_eq!(field("routing-keys"), Some(list(&[queue.as_str()])));
    })
    .await;
}

#[tokio::test]
async fn messages_of_higher_priority_go_first() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue_with(&channel, Default::default(), table([("x-max-priority", LongInt(5))])).await;
        for priority in [1, 5, 3] {
            let properties = BasicProperties::default().with_priority(priority);
            let body = priority.to_string();
            publish_with(&channel, "", queue.as_str(), body.as_bytes(), properties).await.await.unwrap();
        }
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        assert_eq!(bodies(&mut consumer, 3).await, ["5", "3", "1"]);
    })
    .await;
}

#[tokio::test]
async fn a_single_active_consumer_hands_over_when_it_leaves() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let arguments: FieldTable = table([("x-single-active-consumer", Boolean(true))]);
        let queue = s.queue_with(&channel, Default::default(), arguments).await;
        let mut active = consume(&channel, &queue, NO_ACK).await;
        let mut waiting = consume(&channel, &queue, NO_ACK).await;
        publish(&channel, &queue, 0..3).await;
        take(&mut active, 3).await;
        silence(&mut waiting).await;
        channel.basic_cancel(active.tag(), Default::default()).await.unwrap();
        publish(&channel, &queue, ["3"]).await;
        assert_eq!(bodies(&mut waiting, 1).await, ["3"]);
    })
    .await;
}
