//! The one task that looks after resources of the node, and raises and clears its alarms.

use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;

/// How often resources are looked at. A refused publish raises its alarm at once.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often while a fast disk could fill up in between.
const INTERVAL_WHEN_SCARCE: Duration = Duration::from_millis(100);

/// Octets free on the disk that no disk takes in one second.
const PLENTY: u64 = 4 << 30;

/// Watch for as long as the node runs.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        let free = node.broker.check_store(node.time.now());
        let scarce = free < PLENTY;
        tokio::time::sleep(if scarce {
            INTERVAL_WHEN_SCARCE
        } else {
            INTERVAL
        })
        .await;
    }
}
