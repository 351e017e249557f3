//! The methods that a load is made of, other than publish and ack.

use leveret_wire::method::{basic, channel, confirm, connection, exchange, queue};
use leveret_wire::{AMQPClass, AMQPValue, FieldTable, LongString};

use crate::uri::Uri;

/// connection.start-ok by PLAIN.
pub(crate) fn start_ok(uri: &Uri) -> AMQPClass {
    let mut capabilities = FieldTable::default();
    for name in [
        "authentication_failure_close",
        "basic.nack",
        "consumer_cancel_notify",
        "publisher_confirms",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut client_properties = FieldTable::default();
    client_properties.insert(
        "product".into(),
        AMQPValue::LongString("leveret perf".into()),
    );
    client_properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let response = format!("\0{}\0{}", uri.user, uri.password);
    AMQPClass::Connection(connection::AMQPMethod::StartOk(connection::StartOk {
        client_properties,
        mechanism: "PLAIN".into(),
        response: LongString::from(response.into_bytes()),
        locale: "en_US".into(),
    }))
}

/// connection.tune-ok without heartbeats: a busy generator must not be taken for dead.
pub(crate) fn tune_ok(channel_max: u16, frame_max: u32) -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::TuneOk(connection::TuneOk {
        channel_max,
        frame_max,
        heartbeat: 0,
    }))
}

/// connection.open.
pub(crate) fn open(vhost: &str) -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Open(connection::Open {
        virtual_host: vhost.into(),
    }))
}

/// connection.close in good order.
pub(crate) fn close() -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
        reply_code: 200,
        reply_text: "done".into(),
        class_id: 0,
        method_id: 0,
    }))
}

/// channel.open.
pub(crate) fn open_channel() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))
}

/// confirm.select.
pub(crate) fn confirm_select() -> AMQPClass {
    AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
        nowait: false,
    }))
}

/// basic.qos for each consumer.
pub(crate) fn qos(prefetch_count: u16) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos {
        prefetch_count,
        global: false,
    }))
}

/// basic.consume.
pub(crate) fn consume(queue: &str, consumer_tag: &str, no_ack: bool) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Consume(basic::Consume {
        queue: queue.into(),
        consumer_tag: consumer_tag.into(),
        no_ack,
        ..basic::Consume::default()
    }))
}

/// basic.get without acknowledgement.
pub(crate) fn pull(queue: &str) -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Get(basic::Get {
        queue: queue.into(),
        no_ack: true,
    }))
}

/// queue.declare of a queue that is there for all.
pub(crate) fn declare_queue(queue: &str, durable: bool, arguments: &FieldTable) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: queue.into(),
        durable,
        arguments: arguments.clone(),
        ..queue::Declare::default()
    }))
}

/// queue.declare of an exclusive queue; the broker names it if `queue` is empty.
pub(crate) fn declare_exclusive(queue: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: queue.into(),
        exclusive: true,
        ..queue::Declare::default()
    }))
}

/// queue.declare that only looks.
pub(crate) fn look_at_queue(queue: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: queue.into(),
        passive: true,
        ..queue::Declare::default()
    }))
}

/// queue.delete without conditions.
pub(crate) fn delete_queue(queue: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Delete(queue::Delete {
        queue: queue.into(),
        ..queue::Delete::default()
    }))
}

/// queue.bind.
pub(crate) fn bind(queue: &str, exchange: &str, key: &str, arguments: &FieldTable) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        arguments: arguments.clone(),
        ..queue::Bind::default()
    }))
}

/// exchange.declare.
pub(crate) fn declare_exchange(exchange: &str, kind: &str, durable: bool) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: exchange.into(),
        kind: kind.into(),
        durable,
        ..exchange::Declare::default()
    }))
}

/// exchange.delete without conditions.
pub(crate) fn delete_exchange(exchange: &str) -> AMQPClass {
    AMQPClass::Exchange(exchange::AMQPMethod::Delete(exchange::Delete {
        exchange: exchange.into(),
        ..exchange::Delete::default()
    }))
}
