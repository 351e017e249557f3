use lapin::ExchangeKind::{Custom, Direct, Fanout, Headers, Topic};
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions};
use lapin::types::FieldTable;

use crate::refusal::{assert_error, refused};
use crate::session::{fetch, long, passive_exchange, publish_to, ready, scenario, sync, table};

#[tokio::test]
async fn every_type_is_declared_again_checked_and_deleted() {
    scenario(|s| async move {
        for kind in [Direct, Fanout, Topic, Headers] {
            let channel = s.channel().await;
            let exchange = s.exchange(&channel, kind.clone()).await;
            let declare =
                |options| channel.exchange_declare(exchange.clone(), kind.clone(), options, FieldTable::default());
            declare(ExchangeDeclareOptions::default()).await.unwrap();
            declare(passive_exchange()).await.unwrap();
            channel.exchange_delete(exchange.clone(), ExchangeDeleteOptions::default()).await.unwrap();
            assert_error(&declare(passive_exchange()).await.unwrap_err(), 404, "NOT_FOUND - no exchange");
        }
    })
    .await;
}

#[tokio::test]
async fn the_standard_exchanges_are_there() {
    scenario(|s| async move {
        let channel = s.channel().await;
        for name in ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"] {
            // The type is ignored by a passive declare.
            channel.exchange_declare(name.into(), Fanout, passive_exchange(), FieldTable::default()).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn declaring_an_exchange_otherwise_is_refused_with_406() {
    scenario(|s| async move {
        let same = ExchangeDeclareOptions::default();
        let alternate = table([("alternate-exchange", long("amq.fanout"))]);
        for (argument, kind, options, arguments) in [
            ("type", Fanout, same, FieldTable::default()),
            ("durable", Direct, ExchangeDeclareOptions { durable: true, ..same }, FieldTable::default()),
            ("auto_delete", Direct, ExchangeDeclareOptions { auto_delete: true, ..same }, FieldTable::default()),
            ("internal", Direct, ExchangeDeclareOptions { internal: true, ..same }, FieldTable::default()),
            ("alternate-exchange", Direct, same, alternate),
        ] {
            let channel = s.channel().await;
            let exchange = s.exchange(&channel, Direct).await;
            let error = channel.exchange_declare(exchange.clone(), kind, options, arguments).await.unwrap_err();
            assert_error(&error, 406, &format!("inequivalent arg '{argument}' for exchange '{exchange}' in vhost '/'"));
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_type_ends_the_connection_with_503() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let declare =
            channel.exchange_declare(s.exchange_name(), Custom("bogus".into()), Default::default(), Default::default());
        refused(&*s.connection().await, 503, "exchange type 'bogus'", declare).await;
    })
    .await;
}

#[tokio::test]
async fn reserved_names_are_refused_with_403() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let declare = channel.exchange_declare("amq.mine".into(), Direct, Default::default(), Default::default());
        assert_error(&declare.await.unwrap_err(), 403, "exchange name 'amq.mine' contains reserved prefix 'amq.*'");
        let channel = s.channel().await;
        let declare = channel.exchange_declare("".into(), Direct, Default::default(), Default::default());
        assert_error(&declare.await.unwrap_err(), 403, "operation not permitted on the default exchange");
        let channel = s.channel().await;
        let delete = channel.exchange_delete("amq.direct".into(), Default::default());
        assert_error(&delete.await.unwrap_err(), 403, "deletion of system exchange 'amq.direct'");
    })
    .await;
}

#[tokio::test]
async fn deleting_a_missing_exchange_is_fine() {
    scenario(|s| async move {
        s.channel().await.exchange_delete(s.exchange_name(), Default::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn delete_if_unused_refuses_while_bound() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (exchange, queue) = (s.exchange(&channel, Fanout).await, s.queue(&channel).await);
        channel.queue_bind(queue, exchange.clone(), "".into(), Default::default(), Default::default()).await.unwrap();
        let options = ExchangeDeleteOptions { if_unused: true, ..Default::default() };
        assert_error(&channel.exchange_delete(exchange, options).await.unwrap_err(), 406, "in use");
    })
    .await;
}

#[tokio::test]
async fn an_auto_delete_exchange_goes_with_its_last_binding() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        let exchange = s.exchange_with(&channel, Direct, options, FieldTable::default()).await;
        let queue = s.queue(&channel).await;
        let check = || channel.exchange_declare(exchange.clone(), Direct, passive_exchange(), FieldTable::default());
        for key in ["a", "b"] {
            let (queue, exchange) = (queue.clone(), exchange.clone());
            channel.queue_bind(queue, exchange, key.into(), Default::default(), Default::default()).await.unwrap();
        }
        for key in ["a", "b"] {
            check().await.unwrap();
            channel.queue_unbind(queue.clone(), exchange.clone(), key.into(), Default::default()).await.unwrap();
        }
        assert_error(&check().await.unwrap_err(), 404, "no exchange");
    })
    .await;
}

#[tokio::test]
async fn an_internal_exchange_takes_nothing_from_clients() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let options = ExchangeDeclareOptions { internal: true, ..Default::default() };
        let exchange = s.exchange_with(&channel, Fanout, options, FieldTable::default()).await;
        let publish = publish_to(&channel, exchange.as_str(), "", b"no");
        refused(&*s.connection().await, 403, "cannot publish to internal exchange", publish).await;
    })
    .await;
}

#[tokio::test]
async fn the_alternate_exchange_gets_what_is_unroutable() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let alternate = s.exchange(&channel, Fanout).await;
        let arguments = table([("alternate-exchange", long(alternate.as_str()))]);
        let exchange = s.exchange_with(&channel, Direct, Default::default(), arguments).await;
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let publish = |body: &'static [u8]| {
            let (channel, exchange) = (channel.clone(), exchange.clone());
            async move {
                let sent =
                    channel.basic_publish(exchange, "k".into(), options, body, Default::default()).await.unwrap();
                sent.await.unwrap()
            }
        };
        assert!(publish(b"nobody yet").await.take_message().is_some());
        let queue = s.queue(&channel).await;
        channel.queue_bind(queue.clone(), alternate, "".into(), Default::default(), Default::default()).await.unwrap();
        assert!(publish(b"stray").await.take_message().is_none());
        assert_eq!(fetch(&channel, &queue).await.as_deref(), Some("stray"));
    })
    .await;
}

#[tokio::test]
async fn a_message_flows_from_exchange_to_exchange_until_they_are_unbound() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (source, middle) = (s.exchange(&channel, Topic).await, s.exchange(&channel, Fanout).await);
        let (last, queue) = (s.exchange(&channel, Direct).await, s.queue(&channel).await);
        let bind = |to: &lapin::types::ShortString, from: &lapin::types::ShortString, key: &str| {
            channel.exchange_bind(to.clone(), from.clone(), key.into(), Default::default(), Default::default())
        };
        bind(&middle, &source, "a.*").await.unwrap();
        bind(&last, &middle, "").await.unwrap();
        channel.queue_bind(queue.clone(), last, "a.b".into(), Default::default(), Default::default()).await.unwrap();
        for key in ["a.b", "a.c", "b"] {
            publish_to(&channel, source.as_str(), key, key.as_bytes()).await.await.unwrap();
        }
        assert_eq!(ready(&channel, &queue).await, 1);
        channel
            .exchange_unbind(middle, source.clone(), "a.*".into(), Default::default(), Default::default())
            .await
            .unwrap();
        publish_to(&channel, source.as_str(), "a.b", b"unbound").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_cycle_of_exchanges_delivers_one_copy() {
    scenario(|s| async move {
        let channel = s.confirm_channel().await;
        let (a, b) = (s.exchange(&channel, Fanout).await, s.exchange(&channel, Fanout).await);
        let queue = s.queue(&channel).await;
        for (to, from) in [(&a, &b), (&b, &a), (&a, &a)] {
            channel
                .exchange_bind(to.clone(), from.clone(), "".into(), Default::default(), Default::default())
                .await
                .unwrap();
        }
        for exchange in [&a, &b] {
            let (queue, exchange) = (queue.clone(), exchange.clone());
            channel.queue_bind(queue, exchange, "".into(), Default::default(), Default::default()).await.unwrap();
        }
        publish_to(&channel, a.as_str(), "", b"round").await.await.unwrap();
        assert_eq!(ready(&channel, &queue).await, 1);
    })
    .await;
}

#[tokio::test]
async fn exchanges_are_unbound_freely_and_bound_only_when_they_exist() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let exchange = s.exchange(&channel, Fanout).await;
        let (missing, key) = (s.exchange_name(), "k");
        channel
            .exchange_unbind(missing.clone(), exchange.clone(), key.into(), Default::default(), Default::default())
            .await
            .unwrap();
        let bind = channel.exchange_bind(missing, exchange.clone(), key.into(), Default::default(), Default::default());
        assert_error(&bind.await.unwrap_err(), 404, "no exchange");
        let channel = s.channel().await;
        let bind = channel.exchange_bind(exchange, "".into(), key.into(), Default::default(), Default::default());
        assert_error(&bind.await.unwrap_err(), 403, "operation not permitted on the default exchange");
    })
    .await;
}

#[tokio::test]
async fn no_wait_forms_act_in_silence() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (source, destination) = (s.exchange_name(), s.exchange_name());
        let options = ExchangeDeclareOptions { nowait: true, ..Default::default() };
        for exchange in [&source, &destination] {
            channel.exchange_declare(exchange.clone(), Fanout, options, FieldTable::default()).await.unwrap();
        }
        let nowait = lapin::options::ExchangeBindOptions { nowait: true };
        channel
            .exchange_bind(destination.clone(), source.clone(), "".into(), nowait, FieldTable::default())
            .await
            .unwrap();
        let queue = s.queue(&channel).await;
        channel
            .queue_bind(queue.clone(), destination.clone(), "".into(), Default::default(), Default::default())
            .await
            .unwrap();
        publish_to(&channel, source.as_str(), "", b"through").await;
        assert_eq!(fetch(&channel, &queue).await.as_deref(), Some("through"));
        let nowait = lapin::options::ExchangeUnbindOptions { nowait: true };
        channel.exchange_unbind(destination, source.clone(), "".into(), nowait, FieldTable::default()).await.unwrap();
        publish_to(&channel, source.as_str(), "", b"unbound").await;
        assert_eq!(fetch(&channel, &queue).await, None);
        let nowait = ExchangeDeleteOptions { nowait: true, ..Default::default() };
        channel.exchange_delete(source.clone(), nowait).await.unwrap();
        let check = channel.exchange_declare(source, Fanout, passive_exchange(), FieldTable::default());
        assert_error(&check.await.unwrap_err(), 404, "no exchange");
    })
    .await;
}

#[tokio::test]
async fn no_wait_does_not_hide_errors() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let exchange = s.exchange(&channel, Direct).await;
        let options = ExchangeDeclareOptions { nowait: true, ..Default::default() };
        let declare = channel.exchange_declare(exchange, Topic, options, FieldTable::default());
        refused(&*s.connection().await, 406, "inequivalent arg 'type'", declare).await;
        assert!(sync(&channel).await.is_err());
    })
    .await;
}
