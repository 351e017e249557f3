//! Looks now and then at what the node may run out of, and raises and clears alarms.

use std::sync::Arc;
use std::time::Duration;

use leveret_broker::Alarm;

use crate::config::Watermark;
use crate::memory::resident_memory;
use crate::node::Node;

/// How often resources are looked at. A refused publish raises its alarm at once.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often while a fast disk could fill up in between, or fast publishers the memory.
const INTERVAL_WHEN_SCARCE: Duration = Duration::from_millis(100);

/// Octets free on the disk, or left in memory, that nobody takes in one second.
const PLENTY: u64 = 4 << 30;

/// Watch for as long as the node runs.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        let free = node.broker.check_store(node.time.now());
        let left = look_at_memory(&node);
        tokio::time::sleep(if free.min(left) < PLENTY {
            INTERVAL_WHEN_SCARCE
        } else {
            INTERVAL
        })
        .await;
    }
}

/// From now on memory is low from this watermark: whether it is so is known when this returns.
pub(crate) fn set_memory_watermark(node: &Node, watermark: Watermark) {
    node.memory_limit.set(watermark);
    look_at_memory(node);
}

/// From now on the disk is low below so many octets: whether it is so is known when this returns.
pub(crate) fn set_disk_free_limit(node: &Node, octets: u64) {
    node.broker.store().set_disk_free_limit(octets);
    node.broker.check_store(node.time.now());
}

/// Raises or clears the alarm of memory, if it is not as it was at the last look: others may raise that alarm too.
/// Returns the octets that are left.
fn look_at_memory(node: &Node) -> u64 {
    let mut is_low = node.memory_limit.is_low.lock();
    let is_low = &mut *is_low;
    let Some(high) = node.memory_limit.octets() else {
        if std::mem::take(is_low) {
            node.broker.clear_alarm(Alarm::Memory);
        }
        return u64::MAX;
    };
    let resident = resident_memory().unwrap_or(0);
    let exceeded = node.memory_limit.is_exceeded(resident, *is_low);
    if exceeded != *is_low {
        *is_low = exceeded;
        tracing::warn!(resident, high, low = exceeded, "memory watermark");
        if exceeded {
            node.broker.raise_alarm(Alarm::Memory);
        } else {
            node.broker.clear_alarm(Alarm::Memory);
        }
    }
    high.saturating_sub(resident)
}
