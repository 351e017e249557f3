//! A publishing thread: one connection, one or more channels.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use leveret_wire::{parse_ack, parse_nack, split_method};

use crate::batch::Batch;
use crate::connection::{Connection, check_close};
use crate::error::{PerfError, Result};
use crate::inbox::METHOD;
use crate::outstanding::Outstanding;
use crate::rate::Rate;
use crate::requests;
use crate::shared::{Shared, Tally};
use crate::stamp::Stamp;

/// Writes without a confirm or a rate between two looks at what the broker sent.
const WRITES_PER_LOOK: u32 = 16;
/// How long the last confirms are waited for, in ticks.
const LAST_CONFIRMS: u32 = 300;

/// What a publisher does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Messages in all; none for no end.
    pub(crate) limit: Option<u64>,
    /// When each is due; none for as fast as it goes.
    pub(crate) rate: Option<Rate>,
    /// Most messages that wait for their confirms; none for no confirms.
    pub(crate) window: Option<usize>,
    /// Stamp the bodies, and measure the time to the confirm.
    pub(crate) stamped: bool,
    /// The stream of channel 1; the others follow.
    pub(crate) first_stream: u16,
    /// Channels.
    pub(crate) channels: u16,
}

/// A publisher that is ready to begin.
#[derive(Debug)]
pub(crate) struct Publisher {
    connection: Connection,
    batch: Batch,
    plan: Plan,
    tally: Arc<Tally>,
    /// By channel.
    outstanding: Vec<Outstanding>,
    in_flight: usize,
    /// When the run of this thread began, on the run's clock.
    began: u64,
    sent: u64,
    /// The end came in the middle of a frame.
    cut: bool,
    latency: Option<Histogram<u64>>,
}

/// What a publisher did.
#[derive(Debug)]
pub(crate) struct Published {
    /// Its connection, still open, unless the end came in the middle of a frame.
    pub(crate) connection: Option<Connection>,
    /// Messages by stream.
    pub(crate) streams: Vec<(u16, u64)>,
    /// Times to the confirm in nanoseconds.
    pub(crate) latency: Option<Histogram<u64>>,
}

/// The longest time that is told apart, in nanoseconds: ten minutes.
const LONGEST: u64 = 600_000_000_000;

/// A histogram of nanoseconds with three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST, 3)
        .map_err(|error| PerfError::Arguments(error.to_string()))
}

impl Publisher {
    /// Open the channels of `connection`. `batch` must be for as many channels as the plan.
    pub(crate) fn start(
        mut connection: Connection,
        batch: Batch,
        plan: Plan,
        shared: &Shared,
    ) -> Result<Self> {
        for channel in 1..=plan.channels {
            connection.open_channel(channel)?;
            if plan.window.is_some() {
                connection.call(channel, &requests::confirm_select(), "confirm.select")?;
            }
        }
        let outstanding = (0..plan.channels).map(|_| Outstanding::default()).collect();
        Ok(Self {
            connection,
            batch,
            plan,
            tally: shared.tally(),
            outstanding,
            in_flight: 0,
            began: 0,
            sent: 0,
            cut: false,
            latency: (plan.stamped && plan.window.is_some())
                .then(histogram)
                .transpose()?,
        })
    }

    /// Publish until the plan or the run ends, and wait for the last confirms.
    pub(crate) fn run(mut self, shared: &Shared) -> Result<Published> {
        if self.plan.rate.is_some() {
            // Waking up is part of the latency: without slack. Refused, it is some 50 µs coarser.
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        }
        shared.wait_at_gate();
        self.began = shared.clock.nanos();
        let outcome = self.publish(shared);
        self.tally.done.store(1, Ordering::Relaxed);
        outcome?;
        let mut patience = LAST_CONFIRMS;
        while self.in_flight > 0 && patience > 0 && !shared.stopped() {
            if self.connection.receive("waiting for confirms")? {
                self.take_frames(shared)?;
            } else {
                patience -= 1;
            }
        }
        let channels = u64::from(self.plan.channels);
        let streams = (0..self.plan.channels)
            .map(|channel| {
                let count = (self.sent + channels - 1 - u64::from(channel)) / channels;
                (self.plan.first_stream + channel, count)
            })
            .collect();
        Ok(Published {
            connection: (!self.cut).then_some(self.connection),
            streams,
            latency: self.latency,
        })
    }

    fn publish(&mut self, shared: &Shared) -> Result<()> {
        let mut writes = 0;
        while !shared.publishing_ended() {
            let left = self.plan.limit.map_or(u64::MAX, |limit| limit - self.sent);
            if left == 0 {
                return Ok(());
            }
            let room = self
                .plan
                .window
                .map_or(usize::MAX, |window| window - self.in_flight);
            if room == 0 {
                if self.connection.receive("waiting for confirms")? {
                    self.take_frames(shared)?;
                }
                continue;
            }
            let mut most = usize::try_from(left).unwrap_or(usize::MAX).min(room);
            if let Some(rate) = self.plan.rate {
                let now = shared.clock.nanos() - self.began;
                let due = rate.due_until(now) - self.sent.min(rate.due_until(now));
                if due == 0 {
                    if self.connection.wait(rate.wait(self.sent, now)) {
                        self.look(shared)?;
                    }
                    continue;
                }
                most = most.min(usize::try_from(due).unwrap_or(usize::MAX));
            }
            if !self.write(most, shared)? {
                return Ok(());
            }
            writes += 1;
            if writes % WRITES_PER_LOOK == 0 {
                self.look(shared)?;
            }
        }
        Ok(())
    }

    /// Write at most `most` messages at once: whether they were written whole.
    fn write(&mut self, most: usize, shared: &Shared) -> Result<bool> {
        let Plan {
            stamped,
            rate,
            channels,
            first_stream,
            window,
            ..
        } = self.plan;
        let (sent, began) = (self.sent, self.began);
        let now = if stamped { shared.clock.nanos() } else { 0 };
        let intended = |number: u64| rate.map_or(now, |rate| began + rate.due(number));
        let (count, octets) = self.batch.take(most, |index| {
            let number = sent + index as u64;
            let channel = u16::try_from(number % u64::from(channels)).unwrap_or_default();
            stamped.then(|| Stamp {
                nanos: intended(number),
                stream: first_stream + channel,
                sequence: number / u64::from(channels),
            })
        });
        if !self.connection.send_unless(octets, &shared.stop)? {
            self.cut = true;
            return Ok(false);
        }
        let written = count as u64;
        if window.is_some() {
            for number in sent..sent + written {
                let channel = usize::try_from(number % u64::from(channels)).unwrap_or_default();
                if let Some(outstanding) = self.outstanding.get_mut(channel) {
                    outstanding.publish(intended(number));
                }
            }
            self.in_flight += count;
        }
        self.sent += written;
        self.tally.published.fetch_add(written, Ordering::Relaxed);
        Ok(true)
    }

    /// Take what the broker sent, if anything is there.
    fn look(&mut self, shared: &Shared) -> Result<()> {
        if self.connection.receive_now("publishing")? {
            self.take_frames(shared)?;
        }
        Ok(())
    }

    fn take_frames(&mut self, shared: &Shared) -> Result<()> {
        let measured = self.latency.is_some() && shared.recording.load(Ordering::Relaxed);
        let now = if measured { shared.clock.nanos() } else { 0 };
        let latency = &mut self.latency;
        let (mut confirmed, mut nacked) = (0, 0);
        while let Some(frame) = self.connection.inbox.next_frame() {
            if frame.kind != METHOD {
                continue;
            }
            let index = usize::from(frame.channel).wrapping_sub(1);
            let outstanding = self.outstanding.get_mut(index);
            match (split_method(frame.payload), outstanding) {
                (Some((60, 80, arguments)), Some(outstanding)) => {
                    let ack = parse_ack(arguments)?;
                    confirmed += outstanding.settle(ack.delivery_tag, ack.multiple, |nanos| {
                        if let (Some(latency), true) = (latency.as_mut(), measured) {
                            latency.saturating_record(now.saturating_sub(nanos));
                        }
                    });
                }
                (Some((60, 120, arguments)), Some(outstanding)) => {
                    let nack = parse_nack(arguments)?;
                    nacked += outstanding.settle(nack.delivery_tag, nack.multiple, |_| {});
                }
                _ => check_close(&frame)?,
            }
        }
        self.in_flight -= confirmed + nacked;
        self.tally
            .confirmed
            .fetch_add(confirmed as u64, Ordering::Relaxed);
        self.tally
            .nacked
            .fetch_add(nacked as u64, Ordering::Relaxed);
        Ok(())
    }
}
