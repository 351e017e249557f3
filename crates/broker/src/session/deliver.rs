//! The way to the client: what came through the mailbox, and what was held back behind the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use leveret_protocol::ConnectionError;
use leveret_wire::AMQPClass;
use leveret_wire::method::basic;

use super::channel::{GetAnswer, Held, HeldDelivery, Unacked};
use super::consume::{Consumer, short};
use super::{Failure, Output, Session};
use crate::mailbox::{CloseReason, Delivery, Got, Notice};

impl Session {
    /// Work off what other tasks have for this connection: ready when there was something.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        output: &mut impl Output,
    ) -> Poll<Result<(), ConnectionError>> {
        let mut notices = std::mem::take(&mut self.notices);
        let polled = self.mailbox.poll(context, &mut notices);
        self.notices = notices;
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(store_news) => Poll::Ready(self.work_off(store_news, output)),
        }
    }

    fn work_off(
        &mut self,
        store_news: bool,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let mut done = self.handle_notices(output, None);
        if store_news {
            self.release_held(output);
            self.advance_confirms(output);
        }
        if self.is_traced {
            done = done.and(self.flush_work());
        }
        self.fire();
        done.map_err(super::connection_error)
    }

    /// `waiting` octets of output have not been written yet. When little is left, what was
    /// encoded counts as gone, and consumers that were passed over are served again.
    pub fn note_output(&mut self, waiting: usize) -> Result<(), ConnectionError> {
        if self.encoded_bytes > 0 && waiting <= self.shared.limits.outbox_low_bytes {
            self.mailbox
                .release(std::mem::take(&mut self.encoded_bytes));
        }
        let done = self.resume_stalled();
        self.fire();
        done.map_err(super::connection_error)
    }

    /// Serve consumers that were passed over for want of room or shared prefetch.
    pub(super) fn resume_stalled(&mut self) -> Result<(), Failure> {
        for (queue, consumer) in self.mailbox.take_stalled() {
            queue.resume(consumer, &mut self.effects)?;
        }
        Ok(())
    }

    /// Work off the mailbox now. Deliveries for the channel `ending` go back to their queues.
    pub(super) fn process_mailbox(
        &mut self,
        output: &mut impl Output,
        ending: Option<u16>,
    ) -> Result<(), Failure> {
        let mut notices = std::mem::take(&mut self.notices);
        let store_news = self.mailbox.take(&mut notices);
        self.notices = notices;
        let done = self.handle_notices(output, ending);
        if store_news {
            self.release_held(output);
            self.advance_confirms(output);
        }
        done
    }

    fn handle_notices(
        &mut self,
        output: &mut impl Output,
        ending: Option<u16>,
    ) -> Result<(), Failure> {
        if self.is_traced {
            self.handle_traced(output, ending)
        } else {
            self.handle_untraced(output, ending)
        }
    }

    pub(super) fn handle_untraced(
        &mut self,
        output: &mut impl Output,
        ending: Option<u16>,
    ) -> Result<(), Failure> {
        let mut notices = std::mem::take(&mut self.notices);
        let mut done = Ok(());
        for notice in notices.drain(..) {
            let result = match notice {
                Notice::Delivery(delivery) => {
                    self.handle_delivery(delivery, output, ending);
                    Ok(())
                }
                // A connection that is to end, with its vhost say, hears why and nothing else.
                Notice::Cancelled { .. } if done.is_err() => Ok(()),
                Notice::Cancelled { consumer } => {
                    self.consumer_cancelled(consumer, output);
                    Ok(())
                }
                Notice::Got {
                    channel,
                    request,
                    got,
                } => {
                    self.answer_get(channel, request, got, output);
                    Ok(())
                }
                Notice::CheckTimeouts => self.check_timeouts(output),
                Notice::Tracing => {
                    self.note_tracing();
                    Ok(())
                }
                Notice::Alarms => {
                    match self.shared.alarms.reason() {
                        Some(reason) => output.block(reason),
                        None => output.unblock(),
                    }
                    Ok(())
                }
                Notice::Inquiry(inquiry) => {
                    self.answer_inquiry(&inquiry);
                    Ok(())
                }
                Notice::Close(reason) => Err(Failure::Connection(close_error(&reason))),
            };
            if result.is_err() && done.is_ok() {
                done = result;
            }
        }
        // Those of a channel that ends go back together with what was outstanding on it.
        if ending.is_none() && !self.unsent.is_empty() {
            done = done.and(self.requeue_unsent());
        }
        // Keep the capacity for the next run.
        if self.notices.is_empty() {
            self.notices = notices;
        }
        done
    }

    #[inline]
    fn handle_delivery(
        &mut self,
        delivery: Delivery,
        output: &mut impl Output,
        ending: Option<u16>,
    ) {
        self.encoded_bytes += delivery.entry.cost();
        let Some(consumer) = self.consumers.find(delivery.consumer) else {
            return;
        };
        let number = consumer.channel;
        let channel = self.channels.get_mut(&number);
        match channel {
            Some(channel) if !channel.ending && ending != Some(number) => {
                if channel.held.is_empty() {
                    self.send_delivery(number, delivery, output);
                    return;
                }
                // It takes room until it is said, so that no more of them come than there is room for.
                self.encoded_bytes -= delivery.entry.cost();
                let consumer_tag = Arc::clone(&consumer.tag);
                let no_ack = consumer.no_ack;
                let message = unsent(consumer, delivery);
                self.queues.hold_again(message.queue);
                channel.held.push_back(Held::Delivery(HeldDelivery {
                    consumer_tag,
                    no_ack,
                    message,
                }));
            }
            // A consumer that need not acknowledge had it settled when it was given.
            _ if consumer.no_ack => {}
            _ => {
                let message = unsent(consumer, delivery);
                self.queues.hold_again(message.queue);
                self.unsent.push((number, message));
            }
        }
    }

    #[inline]
    fn send_delivery(&mut self, number: u16, delivery: Delivery, output: &mut impl Output) {
        let Some(consumer) = self.consumers.find(delivery.consumer) else {
            return;
        };
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        let tag = channel.next_tag();
        let entry = delivery.entry;
        let redelivered = entry.redelivered();
        if redelivered {
            let queue = self.queues.queue(consumer.queue);
            let message = queue.and_then(|queue| queue.counted_message(&entry));
            output.deliver(
                number,
                &consumer.tag,
                tag,
                redelivered,
                message.as_ref().unwrap_or(&entry.message),
            );
            self.counters.redelivered.add(1);
        } else {
            output.deliver(number, &consumer.tag, tag, redelivered, &entry.message);
        }
        if consumer.no_ack {
            self.counters.delivered_auto_ack.add(1);
            return;
        }
        self.counters.delivered_manual_ack.add(1);
        self.queues.hold_again(consumer.queue);
        channel.push_unacked(Unacked {
            tag,
            queue: consumer.queue,
            consumer: consumer.id,
            counted: delivery.counted,
            sent: true,
            entry,
        });
    }

    /// Send a delivery that was held back.
    fn send_held(&mut self, number: u16, held: HeldDelivery, output: &mut impl Output) {
        let mut message = held.message;
        self.encoded_bytes += message.entry.cost();
        if self.is_traced && !self.is_deaf(number) {
            let entry = &message.entry;
            let (redelivered, copied) = (entry.redelivered(), entry.message.clone());
            self.trace_given(number, message.queue, redelivered, &copied);
        }
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        if channel.ending {
            self.take_back(number, held.no_ack, message);
            return;
        }
        let tag = channel.next_tag();
        let redelivered = message.entry.redelivered();
        let queue = self.queues.queue(message.queue);
        let counted = queue.and_then(|queue| queue.counted_message(&message.entry));
        let content = counted.as_ref().unwrap_or(&message.entry.message);
        output.deliver(number, &held.consumer_tag, tag, redelivered, content);
        self.counters.redelivered.add(u64::from(redelivered));
        if held.no_ack {
            self.counters.delivered_auto_ack.add(1);
            self.queues.release(message.queue);
            return;
        }
        self.counters.delivered_manual_ack.add(1);
        message.tag = tag;
        message.sent = true;
        channel.push_unacked(message);
    }

    /// A message that can't be sent any more is to go back to its queue.
    fn take_back(&mut self, number: u16, no_ack: bool, message: Unacked) {
        if no_ack {
            self.queues.release(message.queue);
        } else {
            self.unsent.push((number, message));
        }
    }

    /// A queue is gone, and with it a consumer.
    fn consumer_cancelled(&mut self, key: u32, output: &mut impl Output) {
        let Some(consumer) = self.forget_consumer(key) else {
            return;
        };
        if self.peer.consumer_cancel_notify {
            let cancel = basic::Cancel {
                consumer_tag: short(&consumer.tag),
                nowait: true,
            };
            let cancel = AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel));
            self.emit(
                consumer.channel,
                Held::Reply(self.cancels_after, cancel),
                output,
            );
        }
    }

    fn answer_get(
        &mut self,
        number: u16,
        request: u64,
        got: Option<Got>,
        output: &mut impl Output,
    ) {
        let Some((queue, no_ack)) = self.pending_gets.remove(&request) else {
            return;
        };
        let held = self.channels.get_mut(&number).and_then(|channel| {
            channel.held.iter_mut().find_map(|held| match held {
                Held::Get {
                    request: held_request,
                    answer,
                    ..
                } if *held_request == request => Some(answer),
                _ => None,
            })
        });
        match (held, got) {
            (Some(answer), got) => *answer = got.map_or(GetAnswer::Empty, GetAnswer::Got),
            // Its channel has ended meanwhile.
            (None, Some(got)) => self.take_back(number, no_ack, unsent_get(queue, got)),
            (None, None) => self.queues.release(queue),
        }
        self.release_held(output);
        self.advance_confirms(output);
    }

    /// Say something on a channel, in its order: at once, or behind what is held back.
    pub(super) fn emit(&mut self, number: u16, item: Held, output: &mut impl Output) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        let durable = self.shared.store.durable();
        if channel.held.is_empty() && item.is_due(durable) {
            self.say(number, item, output);
            return;
        }
        if let Held::Reply(ticket, _) = &item {
            let ticket = *ticket;
            channel.held.push_back(item);
            self.watch(ticket);
        } else {
            channel.held.push_back(item);
        }
        if !self.holding.contains(&number) {
            self.holding.push(number);
        }
    }

    /// Say what was held back and is due now.
    pub(super) fn release_held(&mut self, output: &mut impl Output) {
        let durable = self.shared.store.durable();
        let holding = std::mem::take(&mut self.holding);
        for number in holding {
            while let Some(channel) = self.channels.get_mut(&number) {
                let Some(next) = channel.held.front() else {
                    break;
                };
                if !next.is_due(durable) {
                    if let Held::Reply(ticket, _) = next {
                        let ticket = *ticket;
                        self.watch(ticket);
                    }
                    self.holding.push(number);
                    break;
                }
                if let Some(item) = channel.held.pop_front() {
                    self.say(number, item, output);
                }
            }
        }
    }

    fn say(&mut self, number: u16, item: Held, output: &mut impl Output) {
        match item {
            Held::Reply(_, method) => output.reply(number, &method),
            Held::Delivery(held) => self.send_held(number, held, output),
            Held::Return(message) => output.return_unroutable(number, &message),
            Held::Get {
                queue,
                no_ack,
                answer,
                ..
            } => self.say_get(number, queue, no_ack, answer, output),
            Held::End(error) => {
                let Some(channel) = self.channels.remove(&number) else {
                    return;
                };
                self.counters.channels_closed.add(1);
                match error {
                    Some(error) if !channel.client_closed => output.close_channel(number, &error),
                    _ => output.accept_channel_close(number),
                }
            }
        }
    }

    fn say_get(
        &mut self,
        number: u16,
        queue: u32,
        no_ack: bool,
        answer: GetAnswer,
        output: &mut impl Output,
    ) {
        let GetAnswer::Got(got) = answer else {
            self.queues.release(queue);
            self.counters.get_empty.add(1);
            output.reply(
                number,
                &AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {})),
            );
            return;
        };
        if self.is_traced && !self.is_deaf(number) {
            let (redelivered, copied) = (got.entry.redelivered(), got.entry.message.clone());
            self.trace_given(number, queue, redelivered, &copied);
        }
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        if channel.ending {
            self.take_back(number, no_ack, unsent_get(queue, got));
            return;
        }
        let tag = channel.next_tag();
        let redelivered = got.entry.redelivered();
        let remaining = u32::try_from(got.remaining).unwrap_or(u32::MAX);
        let counted = if redelivered {
            self.queues
                .queue(queue)
                .and_then(|queue| queue.counted_message(&got.entry))
        } else {
            None
        };
        let message = counted.as_ref().unwrap_or(&got.entry.message);
        output.get_ok(number, tag, redelivered, remaining, message);
        if redelivered {
            self.counters.redelivered.add(1);
        }
        if no_ack {
            self.counters.got_auto_ack.add(1);
            self.queues.release(queue);
            return;
        }
        self.counters.got_manual_ack.add(1);
        let counted = channel.credit.limited();
        if counted {
            channel.credit.add(1);
        }
        channel.push_unacked(Unacked {
            tag,
            queue,
            consumer: None,
            counted,
            sent: true,
            entry: got.entry,
        });
    }

    /// What is held back on a channel that ends, and is a message, is to go back to its queue.
    pub(super) fn take_back_held(&mut self, number: u16) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        let held = std::mem::take(&mut channel.held);
        let mut others = VecDeque::with_capacity(held.len());
        for item in held {
            match item {
                Held::Delivery(held) => {
                    self.encoded_bytes += held.message.entry.cost();
                    self.take_back(number, held.no_ack, held.message);
                }
                Held::Get {
                    queue,
                    no_ack,
                    answer: GetAnswer::Got(got),
                    ..
                } => {
                    self.take_back(number, no_ack, unsent_get(queue, got));
                }
                Held::Get {
                    queue,
                    answer: GetAnswer::Empty,
                    ..
                } => self.queues.release(queue),
                // Its answer finds the channel gone.
                Held::Get {
                    answer: GetAnswer::Awaited,
                    ..
                } => {}
                other => others.push_back(other),
            }
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.held = others;
        }
    }

    /// What comes to a connection that has ended is to go back to its queue.
    pub(super) fn take_back_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Delivery(delivery) => {
                let Some(consumer) = self.consumers.find(delivery.consumer) else {
                    return;
                };
                let (number, no_ack) = (consumer.channel, consumer.no_ack);
                if !no_ack {
                    let message = unsent(consumer, delivery);
                    self.queues.hold_again(message.queue);
                    self.unsent.push((number, message));
                }
            }
            Notice::Got {
                channel,
                request,
                got: Some(got),
            } => {
                if let Some((queue, no_ack)) = self.pending_gets.remove(&request) {
                    self.take_back(channel, no_ack, unsent_get(queue, got));
                }
            }
            Notice::Got { .. }
            | Notice::Cancelled { .. }
            | Notice::Alarms
            | Notice::Tracing
            | Notice::CheckTimeouts
            | Notice::Inquiry(_)
            | Notice::Close(_) => {}
        }
    }
}

/// A delivery that has not been sent.
fn unsent(consumer: &Consumer, delivery: Delivery) -> Unacked {
    Unacked {
        tag: 0,
        queue: consumer.queue,
        consumer: consumer.id,
        counted: delivery.counted,
        sent: false,
        entry: delivery.entry,
    }
}

/// The message of a basic.get that has not been sent.
fn unsent_get(queue: u32, got: Got) -> Unacked {
    Unacked {
        tag: 0,
        queue,
        consumer: None,
        counted: false,
        sent: false,
        entry: got.entry,
    }
}

impl Held {
    /// Does it wait for nothing any more?
    fn is_due(&self, durable: leveret_store::Ticket) -> bool {
        match self {
            Self::Reply(ticket, _) => *ticket <= durable,
            Self::Get { answer, .. } => !matches!(answer, GetAnswer::Awaited),
            Self::Delivery(_) | Self::Return(_) | Self::End(_) => true,
        }
    }
}

fn close_error(reason: &CloseReason) -> ConnectionError {
    match reason {
        CloseReason::Shutdown => ConnectionError::connection_forced(
            "broker forced connection closure with reason 'shutdown'",
        ),
        CloseReason::Forced(text) => ConnectionError::connection_forced(text),
        CloseReason::StoreFailed(text) => {
            ConnectionError::internal_error(format!("the store failed: {text}"))
        }
    }
}
