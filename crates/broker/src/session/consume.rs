//! basic.consume, basic.cancel, basic.qos and basic.get.

use std::sync::Arc;

use leveret_protocol::Limit;
use leveret_store::Ticket;
use leveret_wire::method::basic;
use leveret_wire::{AMQPClass, AMQPValue, FieldTable, type_name};

use super::channel::{Channel, GetAnswer, Held};
use super::{Failure, Output, Session};
use crate::queue::{ConsumeRefused, ConsumerId, GetOutcome, NewConsumer, Queue};
use crate::vhost::{REPLY_TO, generated_name, integer, module_name};

/// Arguments of basic.consume (RabbitMQ pages "Consumer Priorities", "Classic Queue Mirroring", "Streams").
const PRIORITY: &str = "x-priority";
const CANCEL_ON_FAILOVER: &str = "x-cancel-on-ha-failover";
const STREAM_OFFSET: &str = "x-stream-offset";

/// A consumer of this session.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) channel: u16,
    pub(super) tag: Arc<str>,
    /// Slot of its queue.
    pub(super) queue: u32,
    pub(super) id: Option<ConsumerId>,
    pub(super) no_ack: bool,
    /// For whoever lists consumers.
    pub(super) prefetch: u32,
    pub(super) arguments: FieldTable,
}

/// Consumers by the keys that queues give back with every delivery.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    consumers: Vec<Option<Consumer>>,
    free: Vec<u32>,
}

impl Consumers {
    fn insert(&mut self, consumer: Consumer) -> u32 {
        if let Some(key) = self.free.pop() {
            self.consumers[key as usize] = Some(consumer);
            return key;
        }
        self.consumers.push(Some(consumer));
        (self.consumers.len() - 1) as u32
    }

    #[inline]
    pub(super) fn find(&self, key: u32) -> Option<&Consumer> {
        self.consumers.get(key as usize)?.as_ref()
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Consumer> {
        let consumer = self.consumers.get_mut(key as usize)?.take()?;
        self.free.push(key);
        Some(consumer)
    }
}

impl Session {
    pub(super) fn qos(
        &mut self,
        number: u16,
        qos: &basic::Qos,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        // amq-protocol does not tell prefetch_size; the protocol machine has refused any but 0.
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        let count = u32::from(qos.prefetch_count);
        if qos.global {
            // Only what is counted is given back, so count what is outstanding from now on.
            let mut uncounted = 0;
            for unacked in channel.outstanding_mut().filter(|unacked| !unacked.counted) {
                unacked.counted = true;
                uncounted += 1;
            }
            channel.credit.add(uncounted);
            channel.credit.set_limit(count);
        } else {
            // As in RabbitMQ, a limit for each consumer lifts the one that the channel shares.
            channel.credit.set_limit(0);
            channel.prefetch = count;
        }
        let ok = AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {}));
        self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        self.resume_stalled()
    }

    pub(super) fn consume(
        &mut self,
        number: u16,
        consume: &basic::Consume,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, consume.queue.as_str())?;
        let Some(channel) = self.channels.get(&number) else {
            return Ok(());
        };
        let tag = self.new_tag(channel, consume.consumer_tag.as_str())?;
        let is_reply = name == REPLY_TO;
        let queue = if is_reply {
            self.reply_queue(number, consume.no_ack)?
        } else {
            self.authorise_reading(&name)?;
            self.vhost.accessible_queue(&name, self.access)?
        };
        let Some(channel) = self.channels.get(&number) else {
            return Ok(());
        };
        let priority = if is_reply {
            0
        } else {
            self.consumer_priority(&queue, &consume.arguments)?
        };
        if queue.properties().options.is_quorum() && channel.credit.limited() {
            let text = format!(
                "{} does not support global qos",
                self.vhost.queue_text(&name)
            );
            return Err(Failure::not_implemented(&text));
        }
        self.watch_timeouts(&queue);
        let Some(channel) = self.channels.get(&number) else {
            return Ok(());
        };
        let slot = self.queues.hold(&queue);
        let key = self.consumers.insert(Consumer {
            channel: number,
            tag: Arc::clone(&tag),
            queue: slot,
            id: None,
            no_ack: consume.no_ack,
            prefetch: channel.prefetch,
            arguments: consume.arguments.clone(),
        });
        let new = NewConsumer {
            key,
            mailbox: Arc::clone(&self.mailbox),
            credit: Arc::clone(&channel.credit),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: channel.prefetch,
            priority,
        };
        let delivered = match queue.add_consumer(new, &mut self.effects) {
            Ok((id, delivered)) => {
                if let Some(consumer) = self
                    .consumers
                    .consumers
                    .get_mut(key as usize)
                    .and_then(Option::as_mut)
                {
                    consumer.id = Some(id);
                }
                delivered
            }
            Err(refused) => {
                self.consumers.remove(key);
                self.queues.release(slot);
                return Err(match refused {
                    ConsumeRefused::Gone => self.vhost.no_queue(&name),
                    ConsumeRefused::InExclusiveUse => Failure::access_refused(format!(
                        "{} in exclusive use",
                        self.vhost.queue_text(&name)
                    )),
                });
            }
        };
        self.counters.consumers_opened.add(1);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.consumers.insert(Arc::clone(&tag), key);
            if is_reply {
                channel.replies = Some((key, queue));
            }
        }
        // Only now: the end of the connection takes back what the consumer was given.
        delivered?;
        if !consume.nowait {
            let ok = basic::ConsumeOk {
                consumer_tag: short(&tag),
            };
            let ok = AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok));
            self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        }
        Ok(())
    }

    /// The tag of a new consumer of `channel`: the one asked for, or one that is made up.
    fn new_tag(&self, channel: &Channel, asked: &str) -> Result<Arc<str>, Failure> {
        if channel.consumers.contains_key(asked) {
            return Err(Failure::not_allowed(format!(
                "attempt to reuse consumer tag '{asked}'"
            )));
        }
        let limit = self.shared.limits.consumers_per_channel;
        if channel.consumers.len() >= limit {
            return Err(Failure::not_allowed(format!(
                "reached maximum ({limit}) of consumers per channel"
            ))
            .over(Limit::ConsumersPerChannel));
        }
        if asked.is_empty() {
            return Ok(generated_name("amq.ctag-")?.into());
        }
        Ok(asked.into())
    }

    /// The queue behind direct reply-to for a consumer of this channel.
    fn reply_queue(&self, number: u16, no_ack: bool) -> Result<Arc<Queue>, Failure> {
        if !no_ack {
            return Err(Failure::precondition_failed(
                "reply consumer cannot acknowledge".to_owned(),
            ));
        }
        if self
            .channels
            .get(&number)
            .is_some_and(|channel| channel.replies.is_some())
        {
            return Err(Failure::precondition_failed(
                "reply consumer already set".to_owned(),
            ));
        }
        self.vhost.open_reply_queue(self.access)
    }

    /// Check the arguments of a basic.consume, in RabbitMQ's order; gives the priority. What is no
    /// argument of a consumer is passed over.
    fn consumer_priority(&self, queue: &Queue, arguments: &FieldTable) -> Result<i32, Failure> {
        let arguments = arguments.inner();
        let invalid = |key: &str, why: String| {
            let what = self.vhost.queue_text(queue.name());
            Err(Failure::precondition_failed(format!(
                "invalid arg '{key}' for {what}{why}"
            )))
        };
        let foreign = || {
            let kind = module_name(queue.properties().options.queue_type);
            format!(" of queue type {kind}")
        };
        let priority = match arguments.get(PRIORITY).map(|value| (value, integer(value))) {
            None => 0,
            Some((value, None)) => {
                let found = type_name(value);
                return invalid(PRIORITY, format!(": \"expected integer, got {found}\""));
            }
            // Beyond the range of priorities anybody uses, order is all that matters.
            Some((_, Some(priority))) => {
                i32::try_from(priority).unwrap_or(if priority < 0 { i32::MIN } else { i32::MAX })
            }
        };
        match arguments.get(CANCEL_ON_FAILOVER) {
            Some(_) if queue.properties().options.is_quorum() => {
                return invalid(CANCEL_ON_FAILOVER, foreign());
            }
            None | Some(AMQPValue::Boolean(_)) => {}
            Some(other) => {
                let found = type_name(other);
                return invalid(
                    CANCEL_ON_FAILOVER,
                    format!(": {{unacceptable_type,{found}}}"),
                );
            }
        }
        if arguments.contains_key(STREAM_OFFSET) {
            return invalid(STREAM_OFFSET, foreign());
        }
        Ok(priority)
    }

    pub(super) fn cancel(
        &mut self,
        number: u16,
        cancel: &basic::Cancel,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let tag = cancel.consumer_tag.as_str();
        let key = self
            .channels
            .get(&number)
            .and_then(|channel| channel.consumers.get(tag).copied());
        if let Some(key) = key {
            let last_of = self.detach_consumer(key);
            // What the queue has already given it is still delivered before cancel-ok.
            self.process_mailbox(output, None)?;
            self.forget_consumer(key);
            if let Some(queue) = last_of {
                self.delete_unused(&queue)?;
            }
        }
        if !cancel.nowait {
            let ok = basic::CancelOk {
                consumer_tag: short(tag),
            };
            let ok = AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok));
            self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        }
        Ok(())
    }

    /// Take a consumer off its queue. Gives the queue if it is to be deleted with its last consumer.
    pub(super) fn detach_consumer(&mut self, key: u32) -> Option<Arc<Queue>> {
        let consumer = self.consumers.find(key)?;
        let queue = self.queues.queue(consumer.queue)?;
        let last = queue.remove_consumer(consumer.id?);
        if queue.properties().options.single_active_consumer
            && let Err(error) = queue.deliver(&mut self.effects)
        {
            tracing::error!(queue = %queue.name(), %error, "cannot record deliveries");
        }
        last.then(|| Arc::clone(queue))
    }

    /// Forget a consumer that is off its queue, and whose deliveries have been worked off.
    pub(super) fn forget_consumer(&mut self, key: u32) -> Option<Consumer> {
        let consumer = self.consumers.remove(key)?;
        self.queues.release(consumer.queue);
        if let Some(channel) = self.channels.get_mut(&consumer.channel) {
            channel.consumers.remove(&consumer.tag);
            if let Some((_, queue)) = channel.replies.take_if(|(reply, _)| *reply == key) {
                self.vhost.close_reply_queue(&queue, &mut self.effects);
            }
        }
        self.counters.consumers_closed.add(1);
        Some(consumer)
    }

    /// Forget all consumers of a channel that has ended.
    pub(super) fn forget_consumers(&mut self, number: u16) {
        let keys: Vec<u32> = self
            .channels
            .get(&number)
            .map(|channel| channel.consumers.values().copied().collect())
            .unwrap_or_default();
        for key in keys {
            self.forget_consumer(key);
        }
    }

    /// Take all consumers of a channel off their queues, and delete auto-delete queues that
    /// have lost their last one. The keys stay known until the mailbox has been worked off.
    pub(super) fn end_channel_consumers(&mut self, number: u16) -> Result<(), Failure> {
        let Some(channel) = self.channels.get(&number) else {
            return Ok(());
        };
        let keys: Vec<u32> = channel.consumers.values().copied().collect();
        let mut done = Ok(());
        for key in keys {
            if let Some(queue) = self.detach_consumer(key) {
                done = done.and(self.delete_unused(&queue));
            }
        }
        done
    }

    pub(super) fn get(
        &mut self,
        number: u16,
        get: &basic::Get,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, get.queue.as_str())?;
        self.authorise_reading(&name)?;
        let queue = self.vhost.accessible_queue(&name, self.access)?;
        let options = &queue.properties().options;
        if options.is_quorum() && options.single_active_consumer {
            return Err(Failure::resource_locked(format!(
                "cannot obtain access to locked {}. basic.get operations are not supported by quorum queues with single \
                 active consumer",
                self.vhost.queue_text(&name)
            )));
        }
        self.watch_timeouts(&queue);
        self.next_get += 1;
        let request = self.next_get;
        let outcome = queue.get(
            get.no_ack,
            &self.mailbox,
            number,
            request,
            &mut self.effects,
        )?;
        let answer = match outcome {
            GetOutcome::Gone => return Err(self.vhost.no_queue(&name)),
            GetOutcome::Got(got) => GetAnswer::Got(got),
            GetOutcome::Empty => GetAnswer::Empty,
            GetOutcome::Waiting => GetAnswer::Awaited,
        };
        let slot = self.queues.hold(&queue);
        if matches!(answer, GetAnswer::Awaited) {
            self.pending_gets.insert(request, (slot, get.no_ack));
        }
        self.emit(
            number,
            Held::Get {
                request,
                queue: slot,
                no_ack: get.no_ack,
                answer,
            },
            output,
        );
        Ok(())
    }
}

/// A name that came off the wire as a short string, as one again.
pub(super) fn short(name: &str) -> leveret_wire::ShortString {
    leveret_wire::ShortString::try_new(name.to_owned()).unwrap_or_default()
}
