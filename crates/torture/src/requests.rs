//! The methods that the clients send.

use leveret_wire::method::{basic, confirm, exchange, queue};
use leveret_wire::{AMQPClass, AMQPValue, FieldTable};

use crate::client::{Client, Failure};
use crate::log::{Binding, ConsumerId, ExchangeDefinition, Operation, QueueDefinition};

/// The exchange through which dead letters of `queue` go: a fanout of its own.
pub(crate) fn dead_letter_exchange(queue: &str) -> String {
    format!("dead.{queue}")
}

fn declare_queue(queue: &QueueDefinition) -> queue::AMQPMethod {
    let mut arguments = FieldTable::default();
    if queue.quorum {
        let kind = AMQPValue::LongString("quorum".into());
        arguments.insert("x-queue-type".into(), kind);
        // None: each kill brings back what was out.
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000_000));
    }
    if queue.dead_letters.is_some() {
        let exchange = dead_letter_exchange(&queue.name);
        arguments.insert(
            "x-dead-letter-exchange".into(),
            AMQPValue::LongString(exchange.into()),
        );
    }
    queue::AMQPMethod::Declare(queue::Declare {
        queue: queue.name.as_str().into(),
        durable: queue.durable,
        arguments,
        ..queue::Declare::default()
    })
}

fn declare_exchange(exchange: &ExchangeDefinition) -> exchange::AMQPMethod {
    exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: exchange.name.as_str().into(),
        kind: exchange.kind.into(),
        durable: exchange.durable,
        ..exchange::Declare::default()
    })
}

fn bind(binding: &Binding) -> queue::AMQPMethod {
    queue::AMQPMethod::Bind(queue::Bind {
        queue: binding.queue.as_str().into(),
        exchange: binding.exchange.as_str().into(),
        routing_key: binding.key.as_str().into(),
        ..queue::Bind::default()
    })
}

fn unbind(binding: &Binding) -> queue::AMQPMethod {
    queue::AMQPMethod::Unbind(queue::Unbind {
        queue: binding.queue.as_str().into(),
        exchange: binding.exchange.as_str().into(),
        routing_key: binding.key.as_str().into(),
        ..queue::Unbind::default()
    })
}

pub(crate) fn passive_queue(name: &str) -> queue::AMQPMethod {
    queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        passive: true,
        ..queue::Declare::default()
    })
}

pub(crate) fn passive_exchange(name: &str) -> exchange::AMQPMethod {
    exchange::AMQPMethod::Declare(exchange::Declare {
        exchange: name.into(),
        passive: true,
        ..exchange::Declare::default()
    })
}

pub(crate) fn consume(queue: &str, consumer: ConsumerId) -> basic::AMQPMethod {
    basic::AMQPMethod::Consume(basic::Consume {
        queue: queue.into(),
        consumer_tag: format!("c{}", consumer.0).as_str().into(),
        ..basic::Consume::default()
    })
}

pub(crate) fn cancel(consumer: ConsumerId) -> basic::AMQPMethod {
    basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: format!("c{}", consumer.0).as_str().into(),
        nowait: false,
    })
}

pub(crate) fn get(queue: &str) -> basic::AMQPMethod {
    basic::AMQPMethod::Get(basic::Get {
        queue: queue.into(),
        no_ack: false,
    })
}

pub(crate) fn prefetch(count: u16) -> basic::AMQPMethod {
    basic::AMQPMethod::Qos(basic::Qos {
        prefetch_count: count,
        global: false,
    })
}

pub(crate) fn ack(tag: u64, multiple: bool) -> basic::AMQPMethod {
    basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag: tag,
        multiple,
    })
}

pub(crate) fn nack(tag: u64, requeue: bool) -> basic::AMQPMethod {
    basic::AMQPMethod::Nack(basic::Nack {
        delivery_tag: tag,
        multiple: false,
        requeue,
    })
}

pub(crate) fn reject(tag: u64, requeue: bool) -> basic::AMQPMethod {
    basic::AMQPMethod::Reject(basic::Reject {
        delivery_tag: tag,
        requeue,
    })
}

pub(crate) fn select_confirms() -> confirm::AMQPMethod {
    confirm::AMQPMethod::Select(confirm::Select { nowait: false })
}

pub(crate) fn bind_exchange(destination: &str, source: &str) -> exchange::AMQPMethod {
    exchange::AMQPMethod::Bind(exchange::Bind {
        destination: destination.into(),
        source: source.into(),
        ..exchange::Bind::default()
    })
}

impl Client {
    /// Ask for a change of the definitions, and wait for its -ok.
    pub(crate) fn change(&mut self, operation: &Operation) -> Result<AMQPClass, Failure> {
        match operation {
            Operation::DeclareQueue(queue) => self.call(declare_queue(queue)),
            Operation::DeleteQueue(name) => self.call(queue::AMQPMethod::Delete(queue::Delete {
                queue: name.as_str().into(),
                ..queue::Delete::default()
            })),
            Operation::DeclareExchange(exchange) => self.call(declare_exchange(exchange)),
            Operation::DeleteExchange(name) => {
                self.call(exchange::AMQPMethod::Delete(exchange::Delete {
                    exchange: name.as_str().into(),
                    ..exchange::Delete::default()
                }))
            }
            Operation::Bind(binding) => self.call(bind(binding)),
            Operation::Unbind(binding) => self.call(unbind(binding)),
            Operation::Purge(name) => self.call(queue::AMQPMethod::Purge(queue::Purge {
                queue: name.as_str().into(),
                nowait: false,
            })),
        }
    }

    /// The ready messages of a queue; `None` if there is no such queue.
    pub(crate) fn count(&mut self, queue: &str) -> Result<Option<u64>, Failure> {
        match self.call(passive_queue(queue)) {
            Ok(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))) => {
                Ok(Some(u64::from(ok.message_count)))
            }
            Ok(other) => Err(Failure::Unexpected(format!("{other:?}"))),
            Err(error) if error.code() == Some(404) => {
                self.open_channel()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether there is such an exchange.
    pub(crate) fn has_exchange(&mut self, exchange: &str) -> Result<bool, Failure> {
        match self.call(passive_exchange(exchange)) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(404) => {
                self.open_channel()?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
