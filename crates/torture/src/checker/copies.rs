//! The messages of one queue as they must be, or may be.

use std::collections::HashMap;

use super::violation::Kind;
use super::{End, Letters, Tally};
use crate::log::{ConsumerId, Nanos, QueueDefinition, Settlement};
use crate::message::MessageId;

/// A delivery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: Nanos,
    pub(super) consumer: ConsumerId,
    pub(super) redelivered: bool,
    pub(super) count: Option<i64>,
}

/// What a delivery tells.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) wrong: Vec<(Kind, String)>,
    /// It was never out before, as far as anybody knows.
    pub(super) is_first_delivery: bool,
}

/// How a life ended, and what was certain at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) tolerance: Nanos,
    /// Whatever the broker had before is on the disk.
    pub(super) covered: Nanos,
    pub(super) life: u32,
}

impl Ended {
    /// Whether what the broker had at `at` is on the disk.
    fn is_certain(&self, at: Nanos) -> bool {
        match self.end {
            End::Stop { .. } => true,
            End::Kill { at: kill, .. } => {
                at < self.covered || kill.saturating_sub(at) > self.tolerance
            }
        }
    }

    fn at(&self) -> Nanos {
        match self.end {
            End::Kill { at, .. } | End::Stop { at } => at,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Settle {
    how: Settlement,
    /// When it was written.
    at: Nanos,
    life: u32,
    /// When the broker was known to have it.
    arrived: Option<Nanos>,
    /// When the life ended in which it was written, and whether in order.
    ended: Option<(Nanos, bool)>,
}

/// Why a message is never to be seen again.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Settled {
        at: Nanos,
        arrived: Option<Nanos>,
        end: Nanos,
    },
    /// It was transient, and the broker ended.
    Transient,
    /// It was not there when the queue was emptied.
    Missing,
}

/// A message in the queue.
#[derive(Clone, Debug)]
struct Copy {
    persistent: bool,
    confirmed: bool,
    /// It was seen after a restart: so it is on the disk, confirmed or not.
    recovered: bool,
    /// When it was published.
    life: u32,
    at: Nanos,
    /// Deliveries that were seen.
    deliveries: u32,
    /// Of those: the ones of earlier lives that are known to be marked on the disk.
    marked: u32,
    /// Deliveries in this life.
    fresh: Vec<Nanos>,
    /// Consumers that had ended when it was published.
    stops: u32,
    out: Option<ConsumerId>,
    settle: Option<Settle>,
    /// It is a dead letter that may still be in its queue of before.
    doubtful: bool,
    /// A dead letter that was handed on so many times more.
    extra: u32,
}

/// A rejected message, for the queue of dead letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    persistent: bool,
    confirmed: bool,
}

/// What a queue owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It must be there.
    Must,
    /// It may be there.
    May,
    /// It is settled, in this life.
    No,
}

/// The messages of one queue.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(super) definition: QueueDefinition,
    pub(super) is_for_letters: bool,
    /// When its last consumer ended: until then any message may have been sent to one.
    pub(super) consumed_until: Nanos,
    /// Consumers that are there.
    consumers: u32,
    /// Consumers that have ended.
    stops: u32,
    /// How many had, when this life began.
    stops_before: u32,
    live: HashMap<MessageId, Copy>,
    gone: HashMap<MessageId, Gone>,
}

impl Copies {
    pub(super) fn new(definition: QueueDefinition) -> Self {
        Self {
            definition,
            is_for_letters: false,
            consumed_until: 0,
            consumers: 0,
            stops: 0,
            stops_before: 0,
            live: HashMap::new(),
            gone: HashMap::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    /// Whether it keeps such a message over a restart.
    pub(super) fn is_lasting(&self, persistent: bool) -> bool {
        self.definition.durable && (persistent || self.definition.quorum)
    }

    pub(super) fn publish(&mut self, message: MessageId, persistent: bool, life: u32, at: Nanos) {
        let copy = self.new_copy(persistent, life, at);
        self.live.insert(message, copy);
    }

    fn new_copy(&self, persistent: bool, life: u32, at: Nanos) -> Copy {
        Copy {
            persistent,
            confirmed: false,
            recovered: false,
            life,
            at,
            deliveries: 0,
            marked: 0,
            fresh: Vec::new(),
            stops: self.stops,
            out: None,
            settle: None,
            doubtful: false,
            extra: 0,
        }
    }

    pub(super) fn confirm(&mut self, message: MessageId) {
        if let Some(copy) = self.live.get_mut(&message) {
            copy.confirmed = true;
        }
    }

    /// Its deletion was asked for: whatever it holds may be gone.
    pub(super) fn owe_nothing(&mut self) {
        for copy in self.live.values_mut() {
            copy.confirmed = false;
            copy.recovered = false;
        }
    }

    /// It was emptied, while nothing of it was out: as if all were acknowledged.
    pub(super) fn purge(&mut self, at: Nanos, life: u32) {
        for copy in self.live.values_mut() {
            copy.settle.get_or_insert(Settle {
                how: Settlement::Ack,
                at,
                life,
                arrived: Some(at),
                ended: None,
            });
        }
    }

    pub(super) fn letter(&self, message: MessageId) -> Option<Letter> {
        self.live.get(&message).map(|copy| Letter {
            persistent: copy.persistent,
            confirmed: copy.confirmed || copy.recovered,
        })
    }

    /// A message was rejected elsewhere and comes here, if the rejection arrives.
    pub(super) fn expect_letter(
        &mut self,
        message: MessageId,
        letter: Letter,
        life: u32,
        at: Nanos,
    ) {
        self.gone.remove(&message);
        let mut copy = self.new_copy(letter.persistent, life, at);
        copy.confirmed = letter.confirmed;
        copy.doubtful = true;
        self.live
            .entry(message)
            .and_modify(|copy| copy.extra += 1)
            .or_insert(copy);
    }

    /// These rejected messages are no longer where they were.
    pub(super) fn make_sure(&mut self, letters: Letters) {
        for (message, letter) in letters {
            if let Some(copy) = self.live.get_mut(&message) {
                copy.doubtful = false;
                copy.confirmed |= letter.confirmed;
            }
        }
    }

    /// A consumer begins.
    pub(super) fn consume(&mut self) {
        self.consumers += 1;
        self.consumed_until = Nanos::MAX;
    }

    /// A consumer ends: what it had is back.
    pub(super) fn give_back(&mut self, consumer: ConsumerId, at: Nanos) {
        self.stops += 1;
        self.consumers = self.consumers.saturating_sub(1);
        if self.consumers == 0 {
            self.consumed_until = at;
        }
        for copy in self.live.values_mut() {
            if copy.out == Some(consumer) {
                copy.out = None;
            }
        }
    }

    /// A delivery at a time when connections are closed one after the other.
    pub(super) fn deliver_while_stopping(&mut self, message: MessageId, at: Nanos) {
        if let Some(copy) = self.live.get_mut(&message) {
            copy.deliveries += 1;
            copy.fresh.push(at);
        }
    }

    pub(super) fn deliver(
        &mut self,
        message: MessageId,
        seen: Seen,
        life: u32,
        tally: &mut Tally,
    ) -> Found {
        let mut found = Found::default();
        if let Some(gone) = self.gone.get(&message) {
            found.wrong.push(returned(*gone));
            return found;
        }
        let consumed_until = self.consumed_until;
        let (quorum, stops) = (self.definition.quorum, self.stops);
        let Some(copy) = self.live.get_mut(&message) else {
            let text = "it was not published to this queue".to_owned();
            found.wrong.push((Kind::Misrouted, text));
            return found;
        };
        // What a consumer that ended had not been sent yet comes late, and is not redelivered.
        found.is_first_delivery =
            !seen.redelivered && copy.deliveries == 0 && stops == self.stops_before;
        copy.come_back(life, tally, &mut found);
        copy.check_marks(seen, consumed_until, &mut found);
        if quorum {
            copy.check_count(seen, life, stops, &mut found);
        }
        copy.recovered |= copy.life < life;
        copy.deliveries += 1;
        copy.fresh.push(seen.at);
        copy.out = Some(seen.consumer);
        found
    }

    pub(super) fn settle(&mut self, message: MessageId, at: Nanos, life: u32, how: Settlement) {
        let Some(copy) = self.live.get_mut(&message) else {
            return;
        };
        copy.out = None;
        if how != Settlement::Requeue {
            copy.settle = Some(Settle {
                how,
                at,
                life,
                arrived: None,
                ended: None,
            });
        }
    }

    /// The broker has the message's acknowledgement.
    pub(super) fn arrived(&mut self, message: MessageId, at: Nanos) {
        if let Some(settle) = self
            .live
            .get_mut(&message)
            .and_then(|copy| copy.settle.as_mut())
        {
            settle.arrived.get_or_insert(at);
        }
    }

    /// The broker is gone. Gives the rejected messages that are certainly handed on.
    pub(super) fn end_life(&mut self, ended: &Ended) -> Letters {
        let mut letters = Letters::new();
        let mut leaving = Vec::new();
        self.stops_before = self.stops;
        self.consumers = 0;
        if self.consumed_until == Nanos::MAX {
            self.consumed_until = match ended.end {
                End::Kill { gone, .. } => gone,
                End::Stop { at } => at,
            };
        }
        let (durable, quorum) = (self.definition.durable, self.definition.quorum);
        for (message, copy) in &mut self.live {
            copy.out = None;
            if !(durable && (quorum || copy.persistent)) {
                leaving.push((*message, Gone::Transient));
                continue;
            }
            copy.end_life(ended);
            if let Some(settle) = copy.settle.filter(|settle| settle.is_done(ended)) {
                if settle.how == Settlement::Reject {
                    letters.push((*message, copy.as_letter()));
                }
                leaving.push((*message, settle.gone(ended.at())));
            }
        }
        self.leave(leaving);
        letters
    }

    /// The queue is empty. Gives what is lost, and the rejected messages that are not here.
    pub(super) fn drained(&mut self, life: u32) -> (Vec<MessageId>, Letters) {
        let mut lost = Vec::new();
        let mut letters = Letters::new();
        let mut leaving = Vec::new();
        for (message, copy) in &self.live {
            match copy.standing(life) {
                Standing::No => {}
                Standing::Must => {
                    lost.push(*message);
                    leaving.push((*message, Gone::Missing));
                }
                Standing::May => {
                    if copy
                        .settle
                        .is_some_and(|settle| settle.how == Settlement::Reject)
                    {
                        letters.push((*message, copy.as_letter()));
                    }
                    // A letter may still come.
                    if !copy.doubtful {
                        leaving.push((*message, Gone::Missing));
                    }
                }
            }
        }
        self.leave(leaving);
        lost.sort_unstable();
        (lost, letters)
    }

    fn leave(&mut self, leaving: Vec<(MessageId, Gone)>) {
        for (message, why) in leaving {
            self.live.remove(&message);
            self.gone.insert(message, why);
        }
    }

    /// The least and the most messages that it can hold ready.
    pub(super) fn bounds(&self, life: u32) -> (u64, u64) {
        let mut bounds = (0, 0);
        for copy in self.live.values() {
            match copy.standing(life) {
                Standing::Must => bounds = (bounds.0 + 1, bounds.1 + 1 + u64::from(copy.extra)),
                Standing::May => bounds.1 += 1 + u64::from(copy.extra),
                Standing::No => {}
            }
        }
        bounds
    }
}

impl Copy {
    fn standing(&self, life: u32) -> Standing {
        match self.settle {
            Some(settle) if settle.life == life => Standing::No,
            None if !self.doubtful && (self.confirmed || self.recovered) => Standing::Must,
            _ => Standing::May,
        }
    }

    fn as_letter(&self) -> Letter {
        Letter {
            persistent: self.persistent,
            confirmed: self.confirmed || self.recovered,
        }
    }

    /// It was settled, or is out, and is delivered all the same.
    fn come_back(&mut self, life: u32, tally: &mut Tally, found: &mut Found) {
        if self.extra > 0 && self.settle.is_some_and(|settle| settle.life == life) {
            // Another letter of the same message.
            self.extra -= 1;
            self.settle = None;
            self.out = None;
            self.forget_deliveries();
        }
        if let Some(consumer) = self.out {
            let text = format!("it is with consumer {} still", consumer.0);
            found.wrong.push((Kind::Twice, text));
        }
        let Some(settle) = self.settle.take() else {
            return;
        };
        let Some((end, in_order)) = settle.ended else {
            let text = "it was settled in this life of the broker".to_owned();
            found.wrong.push((Kind::Twice, text));
            return;
        };
        if in_order {
            tally.returned_after_stop += 1;
            return;
        }
        tally.returned += 1;
        tally.returned_oldest = tally.returned_oldest.max(end.saturating_sub(settle.at));
        if let Some(arrived) = settle.arrived {
            tally.returned_arrived += 1;
            let age = end.saturating_sub(arrived);
            tally.returned_oldest_arrived = tally.returned_oldest_arrived.max(age);
        }
    }

    fn forget_deliveries(&mut self) {
        self.deliveries = 0;
        self.marked = 0;
        self.fresh.clear();
    }

    fn check_marks(&self, seen: Seen, consumed_until: Nanos, found: &mut Found) {
        if !seen.redelivered && (self.marked > 0 || !self.fresh.is_empty()) {
            let text = format!(
                "not marked as redelivered after {} deliveries",
                self.deliveries
            );
            found.wrong.push((Kind::NotMarked, text));
        }
        if seen.redelivered && self.deliveries == 0 && consumed_until < self.at {
            let text = "marked as redelivered, and there was no consumer".to_owned();
            found.wrong.push((Kind::Marked, text));
        }
    }

    /// The header counts deliveries that came back. One of each life and of each consumer's end may
    /// have been lost on its way here.
    fn check_count(&self, seen: Seen, life: u32, stops: u32, found: &mut Found) {
        let least = i64::from(self.marked) + i64::try_from(self.fresh.len()).unwrap_or(i64::MAX);
        let unseen = (life - self.life) + (stops - self.stops);
        let most = i64::from(self.deliveries) + i64::from(unseen);
        let is_possible = match seen.count {
            None => !seen.redelivered,
            Some(count) => seen.redelivered && count >= least.max(1) && count <= most,
        };
        if !is_possible {
            let text = format!(
                "x-delivery-count is {:?}, redelivered is {}, and {least} to {most} deliveries came back",
                seen.count, seen.redelivered
            );
            found.wrong.push((Kind::DeliveryCount, text));
        }
    }

    fn end_life(&mut self, ended: &Ended) {
        let marked = self.fresh.iter().filter(|at| ended.is_certain(**at));
        self.marked += u32::try_from(marked.count()).unwrap_or(u32::MAX);
        self.fresh.clear();
        let Some(settle) = self.settle.as_mut() else {
            return;
        };
        if settle.life < ended.life {
            return;
        }
        match ended.end {
            // It was written to a socket whose other end was gone.
            End::Kill { gone, .. } if settle.at > gone => self.settle = None,
            End::Kill { at, .. } => settle.ended = Some((at, false)),
            End::Stop { at } => settle.ended = Some((at, true)),
        }
    }
}

impl Settle {
    /// It can't be undone.
    fn is_done(&self, ended: &Ended) -> bool {
        self.life == ended.life && self.arrived.is_some_and(|at| ended.is_certain(at))
    }

    fn gone(&self, end: Nanos) -> Gone {
        Gone::Settled {
            at: self.at,
            arrived: self.arrived,
            end,
        }
    }
}

fn returned(gone: Gone) -> (Kind, String) {
    match gone {
        Gone::Transient => (
            Kind::Survived,
            "it was transient, and the broker was started anew since".to_owned(),
        ),
        Gone::Missing => (
            Kind::Returned,
            "it was not there when the queue was emptied before".to_owned(),
        ),
        Gone::Settled { at, arrived, end } => {
            let millis = |from: Nanos| end.saturating_sub(from) / 1_000_000;
            let text = format!(
                "settled {} ms before the end of that life of the broker, which had it {} ms before its end",
                millis(at),
                arrived.map_or_else(|| "some".to_owned(), |at| millis(at).to_string()),
            );
            (Kind::Returned, text)
        }
    }
}
