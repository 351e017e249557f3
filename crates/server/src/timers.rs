//! The one task that waits for the broker's deadlines: messages and queues that expire,
//! consumers that keep messages for too long.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use leveret_broker::Time;

use crate::node::Node;

/// Added to every wait: the broker counts whole milliseconds, so that a wait which ends within
/// the last one of them would find nothing due.
const ROUNDING: Duration = Duration::from_millis(1);

/// Work off deadlines as they come, for as long as the node runs.
pub(crate) async fn run(node: Arc<Node>) {
    let mut next = node.broker.next_deadline();
    loop {
        let now = node.time.now();
        if next.is_some_and(|next| next <= now) {
            node.broker.run_deadlines(now);
            next = node.broker.next_deadline();
            // However much is due, connections have their turns in between.
            tokio::task::yield_now().await;
            continue;
        }
        let changed = poll_fn(|context| node.broker.poll_next_deadline(context, next));
        tokio::select! {
            changed = changed => next = changed,
            () = wait(next, now) => {}
        }
    }
}

async fn wait(next: Option<Time>, now: Time) {
    match next {
        None => std::future::pending().await,
        Some(next) => tokio::time::sleep(Duration::from_millis(next.since(now)) + ROUNDING).await,
    }
}
