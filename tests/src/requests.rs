//! The requests that most tests make, and the tables they carry.

use leveret_wire::method::{basic, channel, confirm, exchange, queue};
use leveret_wire::{AMQPValue, FieldTable};

use crate::client::Event;
use crate::content::{Got, Publish};
use crate::{Client, Method};

/// A table of these entries.
pub fn table<'k>(entries: impl IntoIterator<Item = (&'k str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

/// A long string.
pub fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// queue.declare of a queue that is neither durable nor exclusive nor auto-delete.
pub fn queue(name: &str) -> queue::Declare {
    queue::Declare {
        queue: name.into(),
        ..queue::Declare::default()
    }
}

/// queue.declare of a durable queue.
pub fn durable_queue(name: &str) -> queue::Declare {
    queue::Declare {
        durable: true,
        ..queue(name)
    }
}

/// queue.declare that only looks.
pub fn passive_queue(name: &str) -> queue::Declare {
    queue::Declare {
        passive: true,
        ..queue(name)
    }
}

/// queue.delete without conditions.
pub fn delete_queue(name: &str) -> queue::Delete {
    queue::Delete {
        queue: name.into(),
        ..queue::Delete::default()
    }
}

/// queue.purge.
pub fn purge(name: &str) -> queue::Purge {
    queue::Purge {
        queue: name.into(),
        ..queue::Purge::default()
    }
}

/// exchange.declare of an exchange that is neither durable nor auto-delete nor internal.
pub fn exchange(name: &str, kind: &str) -> exchange::Declare {
    exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        ..exchange::Declare::default()
    }
}

/// exchange.declare that only looks.
pub fn passive_exchange(name: &str) -> exchange::Declare {
    exchange::Declare {
        passive: true,
        ..exchange(name, "")
    }
}

/// exchange.delete without conditions.
pub fn delete_exchange(name: &str) -> exchange::Delete {
    exchange::Delete {
        exchange: name.into(),
        ..exchange::Delete::default()
    }
}

/// queue.bind without arguments.
pub fn bind(queue: &str, exchange: &str, routing_key: &str) -> queue::Bind {
    queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        ..queue::Bind::default()
    }
}

/// queue.unbind without arguments.
pub fn unbind(queue: &str, exchange: &str, routing_key: &str) -> queue::Unbind {
    queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        ..queue::Unbind::default()
    }
}

/// exchange.bind without arguments: messages go from source to destination.
pub fn bind_exchange(destination: &str, source: &str, routing_key: &str) -> exchange::Bind {
    exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        routing_key: routing_key.into(),
        ..exchange::Bind::default()
    }
}

/// exchange.unbind without arguments.
pub fn unbind_exchange(destination: &str, source: &str, routing_key: &str) -> exchange::Unbind {
    exchange::Unbind {
        destination: destination.into(),
        source: source.into(),
        routing_key: routing_key.into(),
        ..exchange::Unbind::default()
    }
}

/// basic.consume that acknowledges, under a tag.
pub fn consume(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        ..basic::Consume::default()
    }
}

/// basic.consume without acknowledgements, under a tag.
pub fn consume_no_ack(queue: &str, tag: &str) -> basic::Consume {
    basic::Consume {
        no_ack: true,
        ..consume(queue, tag)
    }
}

/// basic.cancel.
pub fn cancel(tag: &str) -> basic::Cancel {
    basic::Cancel {
        consumer_tag: tag.into(),
        nowait: false,
    }
}

/// basic.qos for consumers started later.
pub fn prefetch(count: u16) -> basic::Qos {
    basic::Qos {
        prefetch_count: count,
        global: false,
    }
}

/// basic.qos for the whole channel.
pub fn channel_prefetch(count: u16) -> basic::Qos {
    basic::Qos {
        prefetch_count: count,
        global: true,
    }
}

/// basic.ack of one message.
pub fn ack(tag: u64) -> basic::Ack {
    basic::Ack {
        delivery_tag: tag,
        multiple: false,
    }
}

/// basic.ack of all messages up to one.
pub fn ack_up_to(tag: u64) -> basic::Ack {
    basic::Ack {
        delivery_tag: tag,
        multiple: true,
    }
}

/// basic.nack of one message.
pub fn nack(tag: u64, requeue: bool) -> basic::Nack {
    basic::Nack {
        delivery_tag: tag,
        multiple: false,
        requeue,
    }
}

/// basic.nack of all messages up to one.
pub fn nack_up_to(tag: u64, requeue: bool) -> basic::Nack {
    basic::Nack {
        delivery_tag: tag,
        multiple: true,
        requeue,
    }
}

/// basic.reject.
pub fn reject(tag: u64, requeue: bool) -> basic::Reject {
    basic::Reject {
        delivery_tag: tag,
        requeue,
    }
}

/// channel.close, in good order.
pub fn close_channel() -> channel::Close {
    channel::Close {
        reply_code: 200,
        ..channel::Close::default()
    }
}

impl Client {
    /// Open a channel.
    #[track_caller]
    pub fn open_channel(&mut self, channel: u16) {
        self.call(channel, channel::Open {});
    }

    /// Close a channel.
    #[track_caller]
    pub fn close_channel(&mut self, channel: u16) {
        self.call(channel, close_channel());
    }

    /// Close the connection, and see TCP end.
    #[track_caller]
    pub fn close(mut self) {
        self.call(
            0,
            leveret_wire::method::connection::Close {
                reply_code: 200,
                ..Default::default()
            },
        );
    }

    /// Publish text to a queue through the default exchange.
    #[track_caller]
    pub fn publish_text(&mut self, channel: u16, queue: &str, body: &str) {
        self.publish(channel, &Publish::to_queue(queue).body(body));
    }

    /// Turn confirms on.
    #[track_caller]
    pub fn confirm_select(&mut self, channel: u16) {
        self.call(channel, confirm::Select { nowait: false });
    }

    /// basic.get: a message, or none.
    #[track_caller]
    pub fn get(&mut self, channel: u16, queue: &str, no_ack: bool) -> Option<Got> {
        self.send(
            channel,
            basic::Get {
                queue: queue.into(),
                no_ack,
            },
        );
        match self.next_event() {
            Event::Got(number, got) if number == channel => Some(got),
            Event::Method(number, method) if number == channel => {
                let empty = basic::GetEmpty::from_class(method.clone());
                assert!(
                    empty.is_some(),
                    "expected get-ok or get-empty, got {method:?}"
                );
                None
            }
            other => panic!("expected get-ok or get-empty, got {other:?}"),
        }
    }

    /// Bodies of all messages of a queue, taken out by basic.get.
    #[track_caller]
    pub fn drain(&mut self, channel: u16, queue: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        while let Some(got) = self.get(channel, queue, true) {
            bodies.push(got.text().to_owned());
        }
        bodies
    }

    /// Ready messages and consumers of a queue.
    #[track_caller]
    pub fn counts(&mut self, channel: u16, queue: &str) -> (u32, u32) {
        let ok = self.call(channel, passive_queue(queue));
        (ok.message_count, ok.consumer_count)
    }
}
