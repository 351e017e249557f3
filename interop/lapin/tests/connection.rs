use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use tokio::time::sleep;

use crate::deliveries::{bodies, next};
use crate::refusal::{assert_error, refused};
use crate::session::{NO_ACK, amqp_url, consume, fetch, publish, publish_to, ready, scenario, sync};

async fn connect_error(url: &str) -> lapin::Error {
    Connection::connect(url, ConnectionProperties::default()).await.expect_err("the broker refuses")
}

#[tokio::test]
async fn a_wrong_password_is_answered_with_403() {
    let error = connect_error(&amqp_url().replace("guest:guest@", "guest:wrong@")).await;
    assert_error(&error, 403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN");
}

#[tokio::test]
async fn an_unknown_vhost_is_answered_with_530() {
    let error = connect_error(&amqp_url().replace("/%2F", "/no-such-vhost").replace("/%2f", "/no-such-vhost")).await;
    assert_error(&error, 530, "no-such-vhost");
}

#[tokio::test]
async fn amqplain_logs_in_as_well_as_plain() {
    scenario(|s| async move {
        let connection = s.connect_with("auth_mechanism=amqplain", ConnectionProperties::default()).await;
        sync(&connection.create_channel().await.unwrap()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_limits_are_negotiated_down() {
    scenario(|s| async move {
        let query = "channel_max=7&frame_max=8192&heartbeat=5";
        let connection = s.connect_with(query, ConnectionProperties::default()).await;
        let configuration = connection.configuration();
        assert_eq!(configuration.channel_max(), 7);
        assert_eq!(configuration.frame_max(), 8192);
        assert_eq!(configuration.heartbeat(), 5);
        sync(&connection.create_channel().await.unwrap()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn frame_max_4096_splits_bodies_in_both_directions() {
    scenario(|s| async move {
        let connection = s.connect_with("frame_max=4096", ConnectionProperties::default()).await;
        let channel = connection.create_channel().await.unwrap();
        let queue = s.queue(&channel).await;
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        let body: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
        publish_to(&channel, "", queue.as_str(), &body).await;
        assert!(next(&mut consumer).await.data == body);
    })
    .await;
}

#[tokio::test]
async fn a_body_is_split_by_the_consumers_frame_max() {
    scenario(|s| async move {
        let wide = s.channel().await;
        let connection = s.connect_with("frame_max=4096", ConnectionProperties::default()).await;
        let narrow = connection.create_channel().await.unwrap();
        let queue = s.queue(&wide).await;
        let mut consumer = consume(&narrow, &queue, NO_ACK).await;
        let body = vec![b'x'; 300_000];
        publish_to(&wide, "", queue.as_str(), &body).await;
        assert!(next(&mut consumer).await.data == body);
    })
    .await;
}

#[tokio::test]
async fn heartbeats_keep_an_idle_consumer_alive() {
    scenario(|s| async move {
        let idle = s.connect_with("heartbeat=1", ConnectionProperties::default()).await;
        let channel = idle.create_channel().await.unwrap();
        let queue = s.queue(&channel).await;
        let mut consumer = consume(&channel, &queue, NO_ACK).await;
        sleep(Duration::from_millis(4500)).await; // both sides would have given up by now without the other's
        let other = s.connect().await.create_channel().await.unwrap();
        publish(&other, &queue, ["awake?"]).await;
        assert_eq!(bodies(&mut consumer, 1).await, ["awake?"]);
    })
    .await;
}

#[tokio::test]
async fn the_secret_can_be_updated() {
    scenario(|s| async move {
        let connection = s.connect().await;
        connection.update_secret("guest".into(), "rotation".into()).await.unwrap();
        sync(&connection.create_channel().await.unwrap()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_may_call_itself_what_it_likes() {
    scenario(|s| async move {
        let properties = ConnectionProperties::default()
            .with_connection_name("interop".into())
            .with_client_property("anything".into(), "goes".into())
            .with_locale("de_DE".into());
        let connection = s.connect_with("", properties).await;
        sync(&connection.create_channel().await.unwrap()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_hard_error_ends_its_connection_and_no_other() {
    scenario(|s| async move {
        let bystander = s.channel().await;
        let culprit = s.connect().await;
        let channel = culprit.create_channel().await.unwrap();
        refused(&culprit, 540, "NOT_IMPLEMENTED - active=false", channel.channel_flow(Default::default())).await;
        assert!(!culprit.status().connected());
        sync(&bystander).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn closing_a_connection_returns_what_its_consumers_held() {
    scenario(|s| async move {
        let connection = s.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let queue = s.queue(&channel).await;
        publish(&channel, &queue, ["a", "b"]).await;
        let mut consumer = consume(&channel, &queue, Default::default()).await;
        bodies(&mut consumer, 2).await;
        connection.close(200, "bye".into()).await.unwrap();
        let other = s.connect().await.create_channel().await.unwrap();
        assert_eq!(ready(&other, &queue).await, 2);
        assert_eq!(fetch(&other, &queue).await.as_deref(), Some("a"));
    })
    .await;
}

#[tokio::test]
async fn thirty_connections_with_ten_channels_each_live_side_by_side() {
    scenario(|s| async move {
        let mut channels = Vec::new();
        for _ in 0..30 {
            let connection = s.connect().await;
            for _ in 0..10 {
                channels.push(connection.create_channel().await.unwrap());
            }
        }
        for channel in &channels {
            sync(channel).await.unwrap();
        }
    })
    .await;
}
