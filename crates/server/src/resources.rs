//! The one task that looks after resources of the node, and raises and clears its alarms.

use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;

/// How often resources are looked at. A refused publish raises its alarm at once.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watch for as long as the node runs.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        node.broker.check_store(node.time.now());
        tokio::time::sleep(INTERVAL).await;
    }
}
