//! Consumers that keep messages for too long.
//!
//! No delivery is stamped with its time. Instead each channel notes now and then which was its
//! last delivery tag: what is outstanding from before such a mark is at least as old as the
//! mark. Only connections that use a queue with a timeout do this, four times per timeout, so
//! a channel is closed between one and one and a half timeouts after the delivery.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_protocol::{ChannelError, Limit};

use super::channel::{Channel, Held};
use super::{Failure, Output, Session};
use crate::deadlines::{Due, Party};
use crate::queue::Queue;
use crate::time::Time;

/// Looks per timeout.
const LOOKS: u64 = 4;
/// Milliseconds between looks, at least and at most.
const INTERVAL: std::ops::RangeInclusive<u64> = 50..=60_000;

/// When this connection looks.
#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// Milliseconds between looks; 0 when no queue in use has a timeout.
    interval: u64,
}

/// The last delivery tags of a channel at past moments, oldest first.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<(Time, u64)>);

impl Marks {
    /// Note that `tag` was the last at `now`.
    fn note(&mut self, now: Time, tag: u64) {
        if self.0.back().is_none_or(|(_, last)| *last < tag) {
            self.0.push_back((now, tag));
        }
    }

    /// Forget marks that only settled messages are older than.
    fn forget_before(&mut self, oldest: Option<u64>) {
        let Some(oldest) = oldest else {
            return self.0.clear();
        };
        while self.0.front().is_some_and(|(_, tag)| *tag < oldest) {
            self.0.pop_front();
        }
    }

    /// The moment at which the delivery `tag` was certainly out.
    fn out_since(&self, tag: u64) -> Option<Time> {
        let at = self.0.partition_point(|(_, last)| *last < tag);
        self.0.get(at).map(|(time, _)| *time)
    }
}

impl Session {
    /// Messages of `queue` come to this connection: see that none is kept for too long.
    pub(super) fn watch_timeouts(&mut self, queue: &Queue) {
        if let Some(timeout) = self.timeout_of(queue) {
            self.look_within(timeout);
        }
    }

    fn look_within(&mut self, timeout: u64) {
        let interval = (timeout / LOOKS).clamp(*INTERVAL.start(), *INTERVAL.end());
        if self.timeouts.interval == 0 || interval < self.timeouts.interval {
            self.timeouts.interval = interval;
            self.look_later();
        }
    }

    fn look_later(&mut self) {
        if self.timeouts.interval == 0 {
            return;
        }
        let next = self.shared.clock.now().after(self.timeouts.interval);
        let party = Party::Connection(self.access.connection);
        let due = Due::Connection(Arc::downgrade(&self.mailbox));
        self.effects
            .wakes
            .add(self.shared.deadlines.set(party, next, due));
    }

    /// Milliseconds that a message of `queue` may be out. Classic queues have a timeout only
    /// if they are declared with one (RabbitMQ 4.3).
    fn timeout_of(&self, queue: &Queue) -> Option<u64> {
        let default = self.shared.limits.consumer_timeout_milliseconds;
        let is_quorum = queue.properties().options.is_quorum();
        queue
            .consumer_timeout()
            .or_else(|| (is_quorum && default > 0).then_some(default))
    }

    /// Close channels whose consumers have kept a message for too long.
    pub(super) fn check_timeouts(&mut self, output: &mut impl Output) -> Result<(), Failure> {
        // A policy may have changed what the queues in use say.
        let in_use = self.queues.in_use();
        if let Some(shortest) = in_use.filter_map(|queue| self.timeout_of(queue)).min() {
            self.look_within(shortest);
        }
        let now = self.shared.clock.now();
        let mut late = Vec::new();
        for (number, channel) in &self.channels {
            if !channel.ending
                && let Some(timeout) = self.overdue(channel, now)
            {
                late.push((*number, timeout));
            }
        }
        for (number, timeout) in late {
            let text = format!(
                "delivery acknowledgement on channel {number} timed out. Timeout value used: {timeout} ms. This timeout \
                 value can be configured, see consumers doc guide to learn more"
            );
            self.end_channel(number, output)?;
            self.emit(
                number,
                Held::End(Some(
                    ChannelError::precondition_failed(text).over(Limit::ConsumerTimeout),
                )),
                output,
            );
        }
        for channel in self.channels.values_mut() {
            let oldest = channel.unacked_mut().next().map(|unacked| unacked.tag);
            let last = channel.last_tag();
            channel.marks.forget_before(oldest);
            if oldest.is_some() {
                channel.marks.note(now, last);
            }
        }
        self.look_later();
        Ok(())
    }

    /// The timeout that some message on `channel` has exceeded.
    fn overdue(&self, channel: &Channel, now: Time) -> Option<u64> {
        channel.unacked().find_map(|unacked| {
            let timeout = self.timeout_of(self.queues.queue(unacked.queue)?)?;
            let since = channel.marks.out_since(unacked.tag)?;
            (now.since(since) >= timeout).then_some(timeout)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_as_old_as_the_first_mark_after_it() {
        let mut marks = Marks::default();
        marks.note(Time(10), 3);
        marks.note(Time(20), 3);
        marks.note(Time(30), 7);
        assert_eq!(marks.out_since(1), Some(Time(10)));
        assert_eq!(marks.out_since(3), Some(Time(10)));
        assert_eq!(marks.out_since(4), Some(Time(30)));
        assert_eq!(marks.out_since(8), None, "not marked yet");
        marks.forget_before(Some(4));
        assert_eq!(marks.out_since(3), Some(Time(30)));
        marks.forget_before(None);
        assert_eq!(marks.out_since(4), None);
    }
}
