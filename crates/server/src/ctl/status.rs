//! The text of `status`.

use std::fmt::Write;

use serde_json::Value;

/// What the node is and has, for people.
pub(super) fn text(status: &Value) -> String {
    let mut text = String::new();
    let mut section = |title: &str, lines: &[String]| {
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = write!(text, "\u{1b}[1m{title}\u{1b}[0m\n\n");
        for line in lines {
            text += line;
            text.push('\n');
        }
    };
    let at = |pointer: &str| plain(status.pointer(pointer));
    section(
        "Runtime",
        &[
            format!("OS PID: {}", at("/pid")),
            format!("OS: {}", at("/os")),
            format!("Uptime (seconds): {}", at("/uptime")),
            format!("Is under maintenance?: {}", at("/is_under_maintenance")),
            format!("RabbitMQ version: {}", at("/rabbitmq_version")),
            format!(
                "Product: {} {}",
                at("/product_name"),
                at("/product_version")
            ),
            format!("Node name: {}", at("/node")),
        ],
    );
    section(
        "Data directory",
        &[format!("Node data directory: {}", at("/data_directory"))],
    );
    let alarms = items(status, "/alarms");
    let alarms: Vec<_> = alarms.iter().map(|alarm| plain(Some(alarm))).collect();
    section("Alarms", &or_none(alarms));
    let watermark = match status.pointer("/vm_memory_high_watermark_limit") {
        Some(limit) if limit.is_u64() => gigabytes(Some(limit)),
        _ => "none".to_owned(),
    };
    section(
        "Memory",
        &[
            format!(
                "Total memory used: {}",
                gigabytes(status.pointer("/memory/total/rss"))
            ),
            format!(
                "Calculation strategy: {}",
                at("/vm_memory_calculation_strategy")
            ),
            format!("Memory high watermark: {watermark}"),
        ],
    );
    section(
        "File Descriptors",
        &[format!(
            "Total: {}, limit: {}",
            at("/file_descriptors/total_used"),
            at("/file_descriptors/total_limit")
        )],
    );
    section(
        "Free Disk Space",
        &[
            format!(
                "Low free disk space watermark: {}",
                gigabytes(status.pointer("/disk_free_limit"))
            ),
            format!(
                "Free disk space: {}",
                gigabytes(status.pointer("/disk_free"))
            ),
        ],
    );
    section(
        "Totals",
        &[
            format!("Connection count: {}", at("/totals/connection_count")),
            format!("Queue count: {}", at("/totals/queue_count")),
            format!("Virtual host count: {}", at("/totals/virtual_host_count")),
        ],
    );
    let listeners = items(status, "/listeners");
    let listeners: Vec<_> = listeners.iter().map(listener).collect();
    section("Listeners", &or_none(listeners));
    text
}

fn items<'s>(status: &'s Value, pointer: &str) -> &'s [Value] {
    let items = status.pointer(pointer).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() {
        return vec!["(none)".to_owned()];
    }
    lines
}

fn listener(listener: &Value) -> String {
    let of = |name| plain(listener.get(name));
    format!(
        "Interface: {}, port: {}, protocol: {}, purpose: {}",
        of("interface"),
        of("port"),
        of("protocol"),
        of("purpose")
    )
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "unknown".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// Octets as RabbitMQ shows them: in gigabytes, with four digits after the point at most.
fn gigabytes(octets: Option<&Value>) -> String {
    let Some(octets) = octets.and_then(Value::as_f64) else {
        return "unknown".to_owned();
    };
    let rounded = (octets / 1e5).round() / 1e4;
    format!("{rounded:?} gb")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_follow_each_other_as_in_rabbitmq() {
        let text = text(&json!({
            "pid": 7, "alarms": [], "disk_free_limit": 50_000_000,
            "listeners": [{"interface": "[::]", "port": 5672, "protocol": "amqp", "purpose": "AMQP 0-9-1"}],
        }));
        assert!(text.starts_with("\u{1b}[1mRuntime\u{1b}[0m\n\nOS PID: 7\n"));
        assert!(text.contains("\n\n\u{1b}[1mAlarms\u{1b}[0m\n\n(none)\n"));
        assert!(text.contains("Low free disk space watermark: 0.05 gb\n"));
        assert!(
            text.ends_with("Interface: [::], port: 5672, protocol: amqp, purpose: AMQP 0-9-1\n")
        );
    }
}
