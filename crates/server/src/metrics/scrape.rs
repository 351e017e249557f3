//! One scrape: RabbitMQ's names for what this node counts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_broker::{Alarm, DiscardGroup, QueueTotals, Totals};

use super::families::Families;
use super::{Source, limits, process};
use crate::memory::resident_memory;
use crate::node::Churn;

/// Labels by which dashboards tell nodes apart.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) node: String,
    pub(crate) cluster: String,
    pub(crate) product: String,
    /// The RabbitMQ version that is matched.
    pub(crate) rabbitmq_version: String,
    /// The folder whose disk is watched; none for a store in memory.
    pub(crate) data_dir: Option<PathBuf>,
}

const PROTOCOL: (&str, &str) = ("protocol", "amqp091");
const QUEUE_TYPE: (&str, &str) = ("queue_type", "rabbit_classic_queue");

pub(super) type Written = Result<(), prometheus::Error>;

/// The text of a scrape.
pub(super) fn text(source: &Source) -> Result<String, prometheus::Error> {
    let node = &source.node;
    let totals = node.broker.totals();
    let queues = node.broker.queue_totals();
    let mut families = Families::default();
    identity(&mut families, &source.identity)?;
    sums(
        &mut families,
        count_of(node.broker.connections()),
        &totals,
        &queues,
    )?;
    churn(&mut families, &node.churn, &totals)?;
    publishing(&mut families, &totals)?;
    consuming(&mut families, &totals, &queues)?;
    dead_letters(&mut families, &node.broker.discard_totals().groups)?;
    alarms(&mut families, &node.broker)?;
    system(&mut families, source)?;
    store(&mut families, source)?;
    limits::write(&mut families, source)?;
    families.text()
}

fn identity(families: &mut Families, identity: &Identity) -> Written {
    let labels = [
        ("rabbitmq_node", identity.node.as_str()),
        ("rabbitmq_cluster", &identity.cluster),
        ("rabbitmq_cluster_permanent_id", &identity.cluster),
        ("rabbitmq_endpoint", "aggregated"),
    ];
    families.gauge(
        "rabbitmq_identity_info",
        "RabbitMQ node & cluster identity info",
        &labels,
        1,
    )?;
    let labels = [
        ("rabbitmq_version", identity.rabbitmq_version.as_str()),
        ("erlang_version", "none"),
        ("product_name", &identity.product),
        ("product_version", env!("CARGO_PKG_VERSION")),
        ("prometheus_client_version", "none"),
        ("prometheus_plugin_version", env!("CARGO_PKG_VERSION")),
    ];
    families.gauge(
        "rabbitmq_build_info",
        "RabbitMQ & Erlang/OTP version info",
        &labels,
        1,
    )
}

fn sums(
    families: &mut Families,
    connections: u64,
    totals: &Totals,
    queues: &QueueTotals,
) -> Written {
    let channels = totals
        .channels_opened
        .saturating_sub(totals.channels_closed);
    for (name, help, value) in [
        (
            "rabbitmq_connections",
            "Connections currently open",
            connections,
        ),
        ("rabbitmq_channels", "Channels currently open", channels),
        (
            "rabbitmq_consumers",
            "Consumers currently connected",
            queues.consumers,
        ),
        ("rabbitmq_queues", "Queues available", queues.queues),
        (
            "rabbitmq_exchanges",
            "Exchanges available",
            queues.exchanges,
        ),
        ("rabbitmq_bindings", "Bindings available", queues.bindings),
        (
            "rabbitmq_exchange_messages_delayed",
            "Messages that delayed exchanges keep",
            queues.delayed,
        ),
        (
            "rabbitmq_exchange_messages_delayed_bytes",
            "Size of their bodies",
            queues.delayed_bytes,
        ),
        (
            "rabbitmq_queue_messages",
            "Sum of ready and unacknowledged messages",
            queues.ready + queues.unacked,
        ),
        (
            "rabbitmq_queue_messages_ready",
            "Messages ready to be delivered to consumers",
            queues.ready,
        ),
        (
            "rabbitmq_queue_messages_unacked",
            "Messages delivered to consumers but not yet acknowledged",
            queues.unacked,
        ),
        (
            "rabbitmq_queue_messages_bytes",
            "Size in bytes of ready and unacknowledged messages",
            queues.bytes,
        ),
    ] {
        families.gauge(name, help, &[], value)?;
    }
    Ok(())
}

fn churn(families: &mut Families, churn: &Churn, totals: &Totals) -> Written {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (succeeded, failed) = (read(&churn.logins_succeeded), read(&churn.logins_failed));
    for (name, help, value) in [
        (
            "rabbitmq_connections_opened_total",
            "Total number of connections opened",
            read(&churn.connections_opened),
        ),
        (
            "rabbitmq_connections_closed_total",
            "Total number of connections closed or terminated",
            read(&churn.connections_closed),
        ),
        (
            "rabbitmq_channels_opened_total",
            "Total number of channels opened",
            totals.channels_opened,
        ),
        (
            "rabbitmq_channels_closed_total",
            "Total number of channels closed",
            totals.channels_closed,
        ),
        (
            "rabbitmq_queues_declared_total",
            "Total number of queues declared",
            totals.queues_declared,
        ),
        (
            "rabbitmq_queues_created_total",
            "Total number of queues created",
            totals.queues_created,
        ),
        (
            "rabbitmq_queues_deleted_total",
            "Total number of queues deleted",
            totals.queues_deleted,
        ),
        (
            "rabbitmq_auth_attempts_total",
            "Total number of authorization attempts",
            succeeded + failed,
        ),
        (
            "rabbitmq_auth_attempts_succeeded_total",
            "Total number of successful authentication attempts",
            succeeded,
        ),
        (
            "rabbitmq_auth_attempts_failed_total",
            "Total number of failed authentication attempts",
            failed,
        ),
        (
            "leveret_logins_throttled_total",
            "Logins refused unseen, as too many from their address had failed",
            read(&churn.logins_throttled),
        ),
        (
            "leveret_tls_handshakes_failed_total",
            "Connections to a TLS listener that ended before TLS was agreed upon",
            read(&churn.tls_failed),
        ),
        (
            "leveret_proxy_headers_refused_total",
            "Connections from a trusted proxy that sent no PROXY protocol header that could be read",
            read(&churn.proxy_refused),
        ),
    ] {
        families.counter(name, help, &[], value)?;
    }
    Ok(())
}

fn publishing(families: &mut Families, totals: &Totals) -> Written {
    let publishers = totals
        .publishers_opened
        .saturating_sub(totals.publishers_closed);
    families.gauge(
        "rabbitmq_global_publishers",
        "Publishers currently connected",
        &[PROTOCOL],
        publishers,
    )?;
    for (name, help, value) in [
        (
            "rabbitmq_global_messages_received_total",
            "Total number of messages received from publishers",
            totals.received,
        ),
        (
            "rabbitmq_global_messages_received_confirm_total",
            "Total number of messages received from publishers expecting confirmations",
            totals.received_confirm,
        ),
        (
            "rabbitmq_global_messages_confirmed_total",
            "Total number of messages confirmed to publishers",
            totals.confirmed,
        ),
        (
            "rabbitmq_global_messages_routed_total",
            "Total number of messages routed to queues or streams",
            totals.routed,
        ),
        (
            "rabbitmq_global_messages_unroutable_dropped_total",
            "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
            totals.unroutable_dropped,
        ),
        (
            "rabbitmq_global_messages_unroutable_returned_total",
            "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
            totals.unroutable_returned,
        ),
    ] {
        families.counter(name, help, &[PROTOCOL], value)?;
    }
    Ok(())
}

fn consuming(families: &mut Families, totals: &Totals, queues: &QueueTotals) -> Written {
    let labels = [PROTOCOL, QUEUE_TYPE];
    families.gauge(
        "rabbitmq_global_consumers",
        "Consumers currently connected",
        &labels,
        queues.consumers,
    )?;
    let consumed = totals.delivered_auto_ack + totals.delivered_manual_ack;
    let got = totals.got_auto_ack + totals.got_manual_ack;
    for (name, help, value) in [
        (
            "rabbitmq_global_messages_delivered_total",
            "Total number of messages delivered to consumers",
            consumed + got,
        ),
        (
            "rabbitmq_global_messages_delivered_consume_auto_ack_total",
            "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
            totals.delivered_auto_ack,
        ),
        (
            "rabbitmq_global_messages_delivered_consume_manual_ack_total",
            "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
            totals.delivered_manual_ack,
        ),
        (
            "rabbitmq_global_messages_delivered_get_auto_ack_total",
            "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
            totals.got_auto_ack,
        ),
        (
            "rabbitmq_global_messages_delivered_get_manual_ack_total",
            "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
            totals.got_manual_ack,
        ),
        (
            "rabbitmq_global_messages_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            totals.get_empty,
        ),
        (
            "rabbitmq_global_messages_redelivered_total",
            "Total number of messages redelivered to consumers",
            totals.redelivered,
        ),
        (
            "rabbitmq_global_messages_acknowledged_total",
            "Total number of messages acknowledged by consumers",
            totals.acknowledged,
        ),
    ] {
        families.counter(name, help, &labels, value)?;
    }
    Ok(())
}

/// RabbitMQ counts for each type of queue and strategy what can happen there: a queue that keeps its
/// dead letters until they are taken refuses publishes rather than dropping its head.
fn dead_letters(families: &mut Families, groups: &[DiscardGroup]) -> Written {
    type Count = fn(&DiscardGroup) -> Option<u64>;
    let counts: [(&str, &str, Count); 5] = [
        (
            "rabbitmq_global_messages_dead_lettered_confirmed_total",
            "Total number of messages dead-lettered and confirmed by target queues",
            |group| keeps(group).then_some(group.confirmed),
        ),
        (
            "rabbitmq_global_messages_dead_lettered_delivery_limit_total",
            "Total number of messages dead-lettered due to delivery-limit exceeded",
            |group| is_quorum(group).then_some(group.delivery_limit),
        ),
        (
            "rabbitmq_global_messages_dead_lettered_expired_total",
            "Total number of messages dead-lettered due to message TTL exceeded",
            |group| Some(group.expired),
        ),
        (
            "rabbitmq_global_messages_dead_lettered_maxlen_total",
            "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx",
            |group| (!keeps(group)).then_some(group.max_length),
        ),
        (
            "rabbitmq_global_messages_dead_lettered_rejected_total",
            "Total number of messages dead-lettered due to basic.reject or basic.nack",
            |group| Some(group.rejected),
        ),
    ];
    for (name, help, count) in counts {
        let samples: Vec<_> = groups
            .iter()
            .filter_map(|group| {
                let labels = [
                    ("queue_type", group.queue_type),
                    ("dead_letter_strategy", group.strategy),
                ];
                Some((labels, count(group)?))
            })
            .collect();
        families.counters(name, help, &samples)?;
    }
    Ok(())
}

fn is_quorum(group: &DiscardGroup) -> bool {
    group.queue_type == "rabbit_quorum_queue"
}

fn keeps(group: &DiscardGroup) -> bool {
    group.strategy == "at_least_once"
}

fn alarms(families: &mut Families, broker: &leveret_broker::Broker) -> Written {
    let disk = broker.is_low_on_disk();
    families.gauge(
        "rabbitmq_alarms_memory_used_watermark",
        "is 1 if VM memory watermark is in effect",
        &[],
        broker.is_raised(Alarm::Memory).into(),
    )?;
    families.gauge(
        "rabbitmq_alarms_free_disk_space_watermark",
        "is 1 if free disk space watermark is in effect",
        &[],
        disk.into(),
    )
}

fn system(families: &mut Families, source: &Source) -> Written {
    let disk = source
        .identity
        .data_dir
        .as_ref()
        .and_then(|folder| fs4::available_space(folder).ok());
    let uptime = source.node.clock.now().as_secs();
    for (name, help, value) in [
        (
            "rabbitmq_process_open_fds",
            "Open file descriptors",
            process::open_fds(),
        ),
        (
            "rabbitmq_process_max_fds",
            "Open file descriptors limit",
            process::max_fds(),
        ),
        (
            "rabbitmq_process_resident_memory_bytes",
            "Memory used in bytes",
            resident_memory(),
        ),
        (
            "rabbitmq_resident_memory_limit_bytes",
            "Memory high watermark in bytes",
            source.node.memory_limit.octets(),
        ),
        (
            "rabbitmq_disk_space_available_bytes",
            "Disk space available in bytes",
            disk,
        ),
        (
            "rabbitmq_erlang_uptime_seconds",
            "Node uptime",
            Some(uptime),
        ),
    ] {
        if let Some(value) = value {
            families.gauge(name, help, &[], value)?;
        }
    }
    Ok(())
}

fn store(families: &mut Families, source: &Source) -> Written {
    let usage = source.node.broker.store().usage();
    families.counter(
        "rabbitmq_io_sync_ops_total",
        "Total number of I/O sync operations",
        &[],
        usage.syncs,
    )?;
    families.amount(
        "rabbitmq_io_sync_time_seconds_total",
        "Total I/O sync time",
        &[],
        usage.sync_time.as_secs_f64(),
    )?;
    families.counter(
        "rabbitmq_io_write_bytes_total",
        "Total number of I/O bytes written",
        &[],
        usage.written_bytes,
    )?;
    families.counter(
        "rabbitmq_io_write_ops_total",
        "Total number of I/O write operations",
        &[],
        usage.batches,
    )?;
    families.counter(
        "leveret_store_cancelled_puts_total",
        "Persistent messages acknowledged before they had to be written",
        &[],
        usage.cancelled_puts,
    )?;
    families.counter(
        "leveret_store_damaged_records_total",
        "Damaged records met in the message log",
        &[],
        usage.damaged_records,
    )?;
    for (name, help, value) in [
        (
            "leveret_store_segments",
            "Segment files of the message log",
            usage.segments,
        ),
        (
            "leveret_store_disk_bytes",
            "Octets of records in the message log",
            usage.disk_bytes,
        ),
        (
            "leveret_store_live_messages",
            "Messages in the message log that are not settled",
            usage.live_messages,
        ),
        (
            "leveret_store_backlog_bytes",
            "Octets accepted and not written yet",
            usage.backlog_bytes,
        ),
        (
            "leveret_store_poisoned",
            "1 when a write or sync failed and nothing becomes durable any more",
            usage.poisoned.into(),
        ),
        (
            "leveret_message_memory_bytes",
            "Octets of ready messages kept in memory",
            count_of(source.node.broker.message_memory()),
        ),
    ] {
        families.gauge(name, help, &[], value)?;
    }
    Ok(())
}

/// A count of this process, which has no more than 64 bits of anything.
pub(super) fn count_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
