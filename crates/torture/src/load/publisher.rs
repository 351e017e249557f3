//! A publisher with confirms and a window.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::Scene;
use crate::client::{Client, Event, Failure};
use crate::frame::Outgoing;
use crate::log::{Happening, Recorder};
use crate::message::MessageId;
use crate::random::Random;
use crate::requests::select_confirms;
use crate::topology::Way;

/// Publishes that wait for their confirms, in order.
#[derive(Debug, Default)]
pub(super) struct Window {
    waiting: VecDeque<MessageId>,
    /// Delivery tag of the first of them.
    first: u64,
    /// Out of order confirmed or refused ones of those.
    done: Vec<MessageId>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            first: 1,
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, message: MessageId) {
        self.waiting.push_back(message);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() - self.done.len()
    }

    /// Note what a basic.ack or basic.nack tells.
    pub(super) fn confirm(&mut self, tag: u64, multiple: bool, taken: bool, log: &mut Recorder) {
        let last = usize::try_from(tag.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let from = if multiple { 0 } else { last };
        for at in from..=last {
            let Some(message) = self.waiting.get(at).copied() else {
                break;
            };
            if self.done.contains(&message) {
                continue;
            }
            self.done.push(message);
            log.note(if taken {
                Happening::Confirmed { message }
            } else {
                Happening::Refused { message }
            });
        }
        while let Some(at) = self
            .waiting
            .front()
            .and_then(|first| self.done.iter().position(|done| done == first))
        {
            self.done.swap_remove(at);
            self.waiting.pop_front();
            self.first += 1;
        }
    }
}

pub(super) fn work(
    scene: &Scene,
    log: &mut Recorder,
    publisher: u32,
    mut random: Random,
) -> Result<Infallible, Failure> {
    let mut client = Client::connect(scene.address)?;
    client.call(select_confirms())?;
    let mut window = Window::new();
    // Small windows wait for the disk at each step, large ones share its syncs.
    let window_max = random.pick(&[1, 10, 50, 200, 1_000]).copied().unwrap_or(1);
    let persistent_percent = [100, 100, 50, 0]
        .get(usize::try_from(publisher).unwrap_or(usize::MAX))
        .copied()
        .unwrap_or(100);
    let began = Instant::now();
    let mut sent = 0_u64;
    loop {
        let batch = 1 + random.index(20).min(window_max - 1);
        for _ in 0..batch {
            let Some(way) = pick(&scene.topology.ways, &mut random) else {
                return Err(Failure::Unexpected("no way to publish".to_owned()));
            };
            let message = scene.numbers.message(publisher);
            let persistent = random.chance(persistent_percent);
            log.note(Happening::Published {
                message,
                persistent,
                queues: way.queues.as_slice().into(),
            });
            let body = message.body(size(&mut random));
            client.publish(&Outgoing {
                exchange: way.exchange,
                key: way.key,
                mandatory: true,
                persistent,
                id: &message.to_string(),
                body: &body,
            });
            window.push(message);
            sent += 1;
        }
        client.flush()?;
        let due = Duration::from_micros(sent.saturating_mul(1_000_000) / scene.rate.max(1));
        loop {
            let early = due.saturating_sub(began.elapsed());
            if window.len() + 20 <= window_max.max(20) && early.is_zero() {
                break;
            }
            let patience = early.max(Duration::from_millis(1));
            take(&mut client, &mut window, patience, log)?;
        }
    }
}

/// Take what comes, if anything does.
pub(super) fn take(
    client: &mut Client,
    window: &mut Window,
    patience: Duration,
    log: &mut Recorder,
) -> Result<(), Failure> {
    match client.next(patience)? {
        None => {}
        Some(Event::Confirm {
            tag,
            multiple,
            taken,
        }) => window.confirm(tag, multiple, taken, log),
        Some(Event::Returned(Ok(message))) => log.note(Happening::Refused { message }),
        Some(other) => return Err(Failure::Unexpected(format!("{other:?}"))),
    }
    Ok(())
}

/// A way, by weight.
fn pick<'a>(ways: &'a [Way], random: &mut Random) -> Option<&'a Way> {
    let total = ways.iter().map(|way| way.weight).sum();
    let mut at = random.below(total);
    ways.iter().find(|way| {
        let here = at < way.weight;
        at = at.saturating_sub(way.weight);
        here
    })
}

/// Octets of a body: mostly small, at times more than a frame.
fn size(random: &mut Random) -> usize {
    let end = match random.below(100) {
        0..70 => 200,
        70..95 => 2_000,
        95..99 => 20_000,
        _ => 200_000,
    };
    random.index(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Clock;

    fn window() -> Window {
        let mut window = Window::new();
        for number in 1..=5 {
            window.push(MessageId {
                publisher: 0,
                number,
            });
        }
        window
    }

    /// Numbers of the confirmed, and negative ones of the refused.
    fn told(log: &mut Recorder) -> Vec<i64> {
        let number = |message: MessageId| i64::try_from(message.number).unwrap();
        log.take()
            .into_iter()
            .filter_map(|entry| match entry.what {
                Happening::Confirmed { message } => Some(number(message)),
                Happening::Refused { message } => Some(-number(message)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn confirms_come_one_by_one_in_runs_and_out_of_order() {
        let mut window = window();
        let mut log = Recorder::new(Clock::start());
        window.confirm(2, false, true, &mut log);
        assert_eq!((told(&mut log), window.len()), (vec![2], 4));
        window.confirm(3, true, true, &mut log);
        assert_eq!((told(&mut log), window.len()), (vec![1, 3], 2));
        window.confirm(4, false, false, &mut log);
        window.confirm(5, false, true, &mut log);
        assert_eq!((told(&mut log), window.len()), (vec![-4, 5], 0));
    }

    #[test]
    fn a_confirm_of_what_was_not_published_tells_nothing() {
        let mut window = window();
        let mut log = Recorder::new(Clock::start());
        window.confirm(9, false, true, &mut log);
        assert_eq!((told(&mut log), window.len()), (vec![], 5));
    }
}
