//! A consuming thread: one connection, one or more channels, one or more queues.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use leveret_wire::split_method;

use crate::connection::{Connection, check_close};
use crate::error::Result;
use crate::frames::{put_ack, put_method};
use crate::inbox::{BODY, HEADER, Inbox, METHOD};
use crate::publisher::histogram;
use crate::requests;
use crate::shared::{Shared, Tally};
use crate::stamp::Stamp;
use crate::verify::Witness;

/// Octets read at once.
const READ_MAX: usize = 256 * 1024;
/// How long a consumer that has taken what was published waits for more.
const STEP: Duration = Duration::from_micros(100);

/// What a consumer does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Channels; the queues are spread over them.
    pub(crate) channels: u16,
    /// Acknowledge each time so many are unacknowledged on a channel; none for no acknowledgements.
    pub(crate) ack_every: Option<u64>,
    /// Unacknowledged messages that each consumer may hold; 0 for no limit.
    pub(crate) prefetch: u16,
    /// Measure the time from the stamp.
    pub(crate) latency: bool,
    /// Look whether all is there.
    pub(crate) verify: bool,
    /// Begin with the run and not before.
    pub(crate) at_gate: bool,
    /// Take no more than was published.
    pub(crate) in_step: bool,
}

/// A consumer that gets messages already, or is ready to.
#[derive(Debug)]
pub(crate) struct Consumer {
    connection: Connection,
    plan: Plan,
    tally: Arc<Tally>,
    /// The frames that begin it, until they are sent.
    consumes: Vec<u8>,
    /// From channel 1 on.
    channels: Vec<Channel>,
    latency: Option<Histogram<u64>>,
    witness: Option<Witness>,
}

/// The state of a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    /// Octets of the current message's body that are to come.
    body_left: u64,
    /// Whether the body began.
    begun: bool,
    /// The current message's delivery tag.
    tag: u64,
    /// The current message's queue.
    queue: usize,
    /// Whole messages since the last acknowledgement.
    unacked: u64,
}

/// What a consumer saw.
#[derive(Debug)]
pub(crate) struct Consumed {
    /// Its connection, still open.
    pub(crate) connection: Connection,
    /// Times from the stamp in nanoseconds.
    pub(crate) latency: Option<Histogram<u64>>,
    /// With verification.
    pub(crate) witness: Option<Witness>,
}

impl Consumer {
    /// Consume from `queues`: numbers and names.
    pub(crate) fn start<'q>(
        mut connection: Connection,
        queues: impl Iterator<Item = (usize, &'q str)>,
        plan: Plan,
        shared: &Shared,
    ) -> Result<Self> {
        for channel in 1..=plan.channels {
            connection.open_channel(channel)?;
            if plan.prefetch > 0 {
                connection.call(channel, &requests::qos(plan.prefetch), "basic.qos")?;
            }
        }
        // Before the first consumer, as its messages may come with the answer.
        connection.inbox = Inbox::new(READ_MAX, false);
        let channels = vec![Channel::default(); usize::from(plan.channels)];
        let mut this = Self {
            connection,
            plan,
            tally: shared.tally(),
            consumes: Vec::new(),
            channels,
            latency: plan.latency.then(histogram).transpose()?,
            witness: plan.verify.then(Witness::default),
        };
        let numbers = 1..=plan.channels;
        for ((number, queue), channel) in queues.zip(numbers.cycle()) {
            let consume = requests::consume(queue, &number.to_string(), plan.ack_every.is_none());
            put_method(&mut this.consumes, channel, &consume);
        }
        if !plan.at_gate {
            this.consume()?;
        }
        Ok(this)
    }

    /// The answers come among the messages of other queues, and only a refusal is of interest.
    fn consume(&mut self) -> Result<()> {
        let octets = std::mem::take(&mut self.consumes);
        self.connection.send(&octets)
    }

    /// Receive until the run ends; what is unacknowledged then is acknowledged.
    pub(crate) fn run(mut self, shared: &Shared) -> Result<Consumed> {
        if self.plan.at_gate {
            shared.wait_at_gate();
            self.consume()?;
        }
        let mut acks = Vec::new();
        while !shared.stopped() {
            if self.plan.in_step && shared.caught_up() {
                thread::sleep(STEP);
                continue;
            }
            if self.connection.receive("consuming")? {
                self.take_frames(shared, &mut acks)?;
                self.send(&mut acks, shared)?;
            }
        }
        for (number, channel) in (1..).zip(&self.channels) {
            if channel.unacked > 0 {
                put_ack(&mut acks, number, channel.tag);
            }
        }
        self.send(&mut acks, shared)?;
        Ok(Consumed {
            connection: self.connection,
            latency: self.latency,
            witness: self.witness,
        })
    }

    fn send(&mut self, octets: &mut Vec<u8>, shared: &Shared) -> Result<()> {
        if !octets.is_empty() {
            self.connection.send_unless(octets, &shared.stop)?;
            octets.clear();
        }
        Ok(())
    }

    fn take_frames(&mut self, shared: &Shared, acks: &mut Vec<u8>) -> Result<()> {
        let measured = self.plan.latency && shared.recording.load(Ordering::Relaxed);
        let now = if measured { shared.clock.nanos() } else { 0 };
        let mut delivered = 0;
        while let Some(frame) = self.connection.inbox.next_frame() {
            let index = usize::from(frame.channel).wrapping_sub(1);
            let Some(channel) = self.channels.get_mut(index) else {
                check_close(&frame)?;
                continue;
            };
            let whole = match frame.kind {
                METHOD => {
                    match delivery(frame.payload) {
                        Some((tag, consumer)) => {
                            channel.tag = tag;
                            if self.witness.is_some() {
                                channel.queue = number(consumer);
                            }
                        }
                        None => check_close(&frame)?,
                    }
                    false
                }
                HEADER => {
                    let size = frame.payload.get(4..).and_then(|rest| rest.first_chunk());
                    channel.body_left = size.map_or(0, |size| u64::from_be_bytes(*size));
                    channel.begun = false;
                    if channel.body_left == 0
                        && let Some(witness) = &mut self.witness
                    {
                        witness.see(channel.queue, None);
                    }
                    channel.body_left == 0
                }
                BODY => {
                    if !channel.begun {
                        channel.begun = true;
                        let stamp = Stamp::parse(frame.payload);
                        if let (Some(latency), Some(stamp), true) =
                            (&mut self.latency, stamp, measured)
                        {
                            latency.saturating_record(now.saturating_sub(stamp.nanos));
                        }
                        if let Some(witness) = &mut self.witness {
                            witness.see(channel.queue, stamp);
                        }
                    }
                    channel.body_left = channel.body_left.saturating_sub(frame.size as u64);
                    channel.body_left == 0
                }
                _ => false,
            };
            if whole {
                delivered += 1;
                if let Some(every) = self.plan.ack_every {
                    channel.unacked += 1;
                    if channel.unacked >= every {
                        put_ack(acks, frame.channel, channel.tag);
                        channel.unacked = 0;
                    }
                }
            }
        }
        self.tally.delivered.fetch_add(delivered, Ordering::Relaxed);
        Ok(())
    }
}

/// Delivery tag and consumer tag of `basic.deliver`; `None` for another method.
#[inline]
pub(crate) fn delivery(payload: &[u8]) -> Option<(u64, &[u8])> {
    let Some((60, 60, arguments)) = split_method(payload) else {
        return None;
    };
    let (&len, rest) = arguments.split_first()?;
    let (consumer, rest) = rest.split_at_checked(usize::from(len))?;
    Some((u64::from_be_bytes(*rest.first_chunk()?), consumer))
}

/// The number of the queue, which is the consumer tag.
fn number(consumer: &[u8]) -> usize {
    consumer.iter().fold(0, |number: usize, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(usize::from(digit.wrapping_sub(b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_read_in_place() {
        let payload = b"\x00\x3c\x00\x3c\x02\x31\x37\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x01k";
        assert_eq!(delivery(payload), Some((258, &b"17"[..])));
        assert_eq!(number(b"17"), 17);
        assert_eq!(delivery(b"\x00\x3c\x00\x15\x01c"), None);
    }
}
