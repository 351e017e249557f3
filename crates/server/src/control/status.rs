//! What the node is and how it does, in the form of RabbitMQ's `status --formatter json`, as far as it applies.

use leveret_broker::Alarm;
use serde_json::{Value, json};

use super::serve::Operator;
use crate::memory::{resident_memory, total_memory};
use crate::metrics::{max_fds, open_fds};

/// Alarms, by the words that RabbitMQ's `status` has for them.
const ALARMS: [(Alarm, &str); 3] = [
    (Alarm::Memory, "Memory alarm"),
    (Alarm::StoreLow, "Free disk space alarm"),
    (Alarm::StoreFull, "Disk full alarm"),
];

impl Operator {
    pub(super) fn status(&self) -> Value {
        let broker = &self.node.broker;
        let usage = broker.store().usage();
        let raised = ALARMS.iter().filter(|(alarm, _)| broker.is_raised(*alarm));
        let now = self.node.time.now().0;
        json!({
            "node": self.name,
            "pid": std::process::id(),
            "os": std::env::consts::OS,
            "uptime": now.saturating_sub(self.started) / 1000,
            "is_under_maintenance": false,
            "product_name": self.product,
            "product_version": env!("CARGO_PKG_VERSION"),
            "rabbitmq_version": self.rabbitmq_version,
            "data_directory": self.data_dir.as_ref().map(|folder| folder.display().to_string()),
            "alarms": raised.map(|(_, words)| words).collect::<Vec<_>>(),
            "memory": { "total": { "rss": resident_memory() } },
            "total_memory": total_memory(),
            "vm_memory_calculation_strategy": "rss",
            "vm_memory_high_watermark_limit": self.node.memory_limit.octets(),
            "file_descriptors": { "total_used": open_fds(), "total_limit": max_fds() },
            "disk_free": (usage.free_bytes != u64::MAX).then_some(usage.free_bytes),
            "disk_free_limit": broker.store().disk_free_limit(),
            "totals": {
                "connection_count": broker.connections(),
                "queue_count": broker.queue_totals().queues,
                "virtual_host_count": broker.vhosts().len(),
            },
            "listeners": self.listeners.iter().map(|listening| json!({
                "node": self.name,
                "interface": match listening.address.ip() {
                    std::net::IpAddr::V6(ip) => format!("[{ip}]"),
                    std::net::IpAddr::V4(ip) => ip.to_string(),
                },
                "port": listening.address.port(),
                "protocol": listening.protocol,
                "purpose": listening.purpose,
            })).collect::<Vec<_>>(),
        })
    }
}
