//! Waiting for a consumer's next message, or for silence.

use std::time::Duration;

use lapin::Consumer;
use lapin::message::Delivery;
use tokio::time::timeout;
use tokio_stream::StreamExt;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Long enough for a wrong delivery to arrive over loopback, short enough to be paid in many tests.
const SILENCE: Duration = Duration::from_millis(150);

pub async fn next(consumer: &mut Consumer) -> Delivery {
    let delivery = timeout(TIMEOUT, consumer.next()).await.expect("a delivery comes in time");
    delivery.expect("the consumer is not cancelled").expect("the channel is alive")
}

pub async fn take(consumer: &mut Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        taken.push(next(consumer).await);
    }
    taken
}

pub async fn bodies(consumer: &mut Consumer, count: usize) -> Vec<String> {
    take(consumer, count).await.iter().map(text).collect()
}

pub async fn silence(consumer: &mut Consumer) {
    if let Ok(Some(Ok(delivery))) = timeout(SILENCE, consumer.next()).await {
        panic!("expected no further delivery, got {:?}", text(&delivery));
    }
}

/// Waits until the broker has cancelled the consumer.
pub async fn cancelled(consumer: &mut Consumer) {
    let end = timeout(TIMEOUT, consumer.next()).await.expect("a cancel comes in time");
    assert!(end.is_none(), "expected a cancel, got {end:?}");
}

pub fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.data.clone()).unwrap()
}
