use lapin::options::BasicPublishOptions;
use lapin::types::AMQPValue::{
    Boolean, ByteArray, DecimalValue, Double, FieldArray, FieldTable, Float, LongInt, LongLongInt, LongUInt, ShortInt,
    ShortShortInt, ShortShortUInt, ShortUInt, Timestamp, Void,
};
use lapin::types::{self, ShortString};
use lapin::{BasicProperties, Channel, ExchangeKind};

use crate::refusal::refused;
use crate::session::{Session, fetch, long, publish_to, publish_with, ready, scenario, table};

const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

/// Publishes one message and fetches it back.
async fn relayed(s: &Session, body: &[u8], properties: BasicProperties) -> lapin::message::Delivery {
    let channel = s.channel().await;
    let queue = s.queue(&channel).await;
    publish_with(&channel, "", queue.as_str(), body, properties).await;
    let options = lapin::options::BasicGetOptions { no_ack: true };
    channel.basic_get(queue, options).await.unwrap().unwrap().delivery
}

#[tokio::test]
async fn bodies_of_every_size_arrive_whole() {
    scenario(|s| async move {
        for size in [0, 1, 4096, 131_064, 131_065, 300_000, 2_000_000] {
            let body: Vec<u8> = (0..size).map(|i| (i % 256) as u8).collect();
            assert!(relayed(&s, &body, BasicProperties::default()).await.data == body, "{size} bytes");
        }
    })
    .await;
}

#[tokio::test]
async fn every_property_is_relayed() {
    scenario(|s| async move {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(table([("a", LongInt(1))]))
            .with_delivery_mode(2)
            .with_priority(7)
            .with_correlation_id("correlation".into())
            .with_reply_to("somewhere".into())
            .with_expiration("3600000".into())
            .with_message_id("message".into())
            .with_timestamp(u64::MAX)
            .with_type("greeting".into())
            .with_user_id("guest".into())
            .with_app_id("interop".into())
            .with_cluster_id("cluster".into());
        assert_eq!(relayed(&s, b"m", properties.clone()).await.properties, properties);
    })
    .await;
}

#[tokio::test]
async fn a_message_without_properties_gets_none_on_the_way() {
    scenario(|s| async move {
        assert_eq!(relayed(&s, b"m", BasicProperties::default()).await.properties, BasicProperties::default());
    })
    .await;
}

#[tokio::test]
async fn header_values_keep_their_types() {
    scenario(|s| async move {
        let mut list = types::FieldArray::default();
        for value in [LongInt(1), long("two"), Void, FieldTable(table([("three", ShortInt(3))]))] {
            list.push(value);
        }
        let headers = table([
            ("bool", Boolean(true)),
            ("i8", ShortShortInt(-1)),
            ("u8", ShortShortUInt(255)),
            ("i16", ShortInt(-300)),
            ("u16", ShortUInt(60_000)),
            ("i32", LongInt(-70_000)),
            ("u32", LongUInt(4_000_000_000)),
            ("i64", LongLongInt(i64::MIN)),
            ("f32", Float(0.5)),
            ("f64", Double(-2.5)),
            ("decimal", DecimalValue(types::DecimalValue { scale: 2, value: 314 })),
            ("string", long("grüße")),
            ("bytes", ByteArray(vec![0, 255, 206].into())),
            ("timestamp", Timestamp(1_700_000_000)),
            ("list", FieldArray(list)),
            ("table", FieldTable(table([("a", FieldTable(table([("b", long("deep"))])))]))),
            ("void", Void),
        ]);
        let properties = BasicProperties::default().with_headers(headers);
        assert_eq!(relayed(&s, b"m", properties.clone()).await.properties, properties);
    })
    .await;
}

#[tokio::test]
async fn a_routing_key_may_be_255_bytes_long_and_need_not_be_ascii() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (exchange, queue) = (s.exchange(&channel, ExchangeKind::Direct).await, s.queue(&channel).await);
        for key in ["k".repeat(255), "schlüssel.鍵".into()] {
            let key: ShortString = key.into();
            channel
                .queue_bind(queue.clone(), exchange.clone(), key.clone(), Default::default(), Default::default())
                .await
                .unwrap();
            publish_to(&channel, exchange.as_str(), key.as_str(), b"m").await;
            let message = channel.basic_get(queue.clone(), Default::default()).await.unwrap().unwrap();
            assert_eq!(message.routing_key, key);
        }
    })
    .await;
}

async fn publish_mandatory(channel: &Channel, queue: ShortString, body: &[u8]) -> lapin::Confirmation {
    let properties = BasicProperties::default().with_message_id("42".into());
    let sent = channel.basic_publish("".into(), queue, MANDATORY, body, properties).await.unwrap();
    sent.await.unwrap()
}

#[tokio::test]
async fn a_mandatory_message_is_returned_as_it_was_sent_before_its_confirm() {
    scenario(|s| async move {
        let (channel, nowhere) = (s.confirm_channel().await, s.queue_name());
        // lapin hands a return over with the confirm that follows it.
        let confirmation = publish_mandatory(&channel, nowhere.clone(), b"back").await;
        assert!(confirmation.is_ack());
        let returned = confirmation.take_message().expect("a return came before the confirm");
        assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
        assert_eq!((returned.exchange.as_str(), &returned.routing_key), ("", &nowhere));
        assert_eq!(returned.data, b"back");
        assert_eq!(returned.properties.message_id().as_ref().unwrap().as_str(), "42");
    })
    .await;
}

#[tokio::test]
async fn a_mandatory_message_that_a_queue_takes_is_not_returned() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let queue = s.queue(&channel).await;
        assert!(publish_mandatory(&channel, queue, b"m").await.take_message().is_none());
    })
    .await;
}

#[tokio::test]
async fn an_unroutable_message_without_mandatory_vanishes_and_is_confirmed() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let confirmation = publish_to(&channel, "amq.topic", "no.such.binding", b"m").await.await.unwrap();
        assert!(confirmation.is_ack());
        assert!(confirmation.take_message().is_none());
    })
    .await;
}

#[tokio::test]
async fn immediate_is_refused_with_540() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let queue = s.queue(&channel).await;
        let immediate = BasicPublishOptions { immediate: true, ..Default::default() };
        let publish = channel.basic_publish("".into(), queue, immediate, b"m", Default::default());
        refused(&*s.connection().await, 540, "NOT_IMPLEMENTED - immediate=true", publish).await;
    })
    .await;
}

#[tokio::test]
async fn publishing_to_a_missing_exchange_closes_the_channel_with_404() {
    scenario(|s| async move {
        let (channel, exchange) = (s.channel().await, s.exchange_name());
        let text = format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'");
        refused(&*s.connection().await, 404, &text, publish_to(&channel, exchange.as_str(), "k", b"m")).await;
    })
    .await;
}

#[tokio::test]
async fn bad_properties_are_refused_with_406() {
    scenario(|s| async move {
        let connection = s.connection().await;
        let plain = BasicProperties::default;
        for (text, properties) in [
            (
                "user_id property set to 'someone' but authenticated user was 'guest'",
                plain().with_user_id("someone".into()),
            ),
            ("invalid message", plain().with_delivery_mode(7)),
            ("invalid expiration 'soon'", plain().with_expiration("soon".into())),
            ("invalid expiration '-1'", plain().with_expiration("-1".into())),
        ] {
            let channel = s.channel().await;
            let queue = s.queue(&channel).await;
            let publish = publish_with(&channel, "", queue.as_str(), b"m", properties);
            refused(&connection, 406, text, publish).await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_publish_reaches_many_queues() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let exchange = s.exchange(&channel, ExchangeKind::Fanout).await;
        let mut queues = Vec::new();
        for _ in 0..20 {
            let queue = s.queue(&channel).await;
            channel
                .queue_bind(queue.clone(), exchange.clone(), "".into(), Default::default(), Default::default())
                .await
                .unwrap();
            queues.push(queue);
        }
        publish_to(&channel, exchange.as_str(), "", b"all").await.await.unwrap();
        for queue in &queues {
            assert_eq!(ready(&channel, queue).await, 1);
            assert_eq!(fetch(&channel, queue).await.as_deref(), Some("all"));
        }
    })
    .await;
}
