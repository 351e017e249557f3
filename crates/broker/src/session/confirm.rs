//! Publisher confirms: which publishes of a channel are confirmed, and when.

use std::collections::VecDeque;

use leveret_store::Ticket;

/// The publishes of one channel in confirm mode that are not confirmed yet.
///
/// A publish is confirmed when every queue has taken responsibility: at once for what needs
/// no disk, else when the last of its tickets is durable. Confirms go out in order of the
/// publishes, as one ack that covers a run.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The number of the last publish.
    last: u64,
    /// One for each publish not confirmed: the last ticket it waits for.
    pending: VecDeque<Ticket>,
}

/// In place of the ticket of a publish that some queue refused.
const REFUSED: Ticket = Ticket(u64::MAX);

/// A confirm to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// The last publish covered.
    pub(super) tag: u64,
    /// How many it covers.
    pub(super) count: u64,
}

impl Confirms {
    /// Number a publish.
    #[inline]
    pub(super) fn publish(&mut self) -> u64 {
        self.last += 1;
        self.pending.push_back(Ticket::NONE);
        self.last
    }

    /// The last publish failed: it is never confirmed.
    pub(super) fn withdraw(&mut self) {
        if self.pending.pop_back().is_some() {
            self.last -= 1;
        }
    }

    /// Publish `number` waits for `ticket`, besides what it waits for already.
    #[inline]
    pub(super) fn wait_for(&mut self, number: u64, ticket: Ticket) {
        let confirmed = self.last - self.pending.len() as u64;
        let at = number
            .checked_sub(confirmed + 1)
            .and_then(|at| usize::try_from(at).ok());
        if let Some(pending) = at.and_then(|at| self.pending.get_mut(at)) {
            *pending = (*pending).max(ticket);
        }
    }

    /// A queue refused publish `number`, whatever other queues do with it.
    pub(super) fn refuse(&mut self, number: u64) {
        self.wait_for(number, REFUSED);
    }

    /// The number of the oldest publish, if that was refused and everything before it is
    /// confirmed: the nack keeps its place among the acks, so that none of them covers it.
    pub(super) fn take_refused(&mut self) -> Option<u64> {
        if *self.pending.front()? != REFUSED {
            return None;
        }
        self.pending.pop_front();
        Some(self.last - self.pending.len() as u64)
    }

    /// Confirm what waits for nothing later than `durable`.
    pub(super) fn advance(&mut self, durable: Ticket) -> Option<Confirmed> {
        let count = self
            .pending
            .iter()
            .take_while(|ticket| **ticket <= durable)
            .count();
        if count == 0 {
            return None;
        }
        self.pending.drain(..count);
        Some(Confirmed {
            tag: self.last - self.pending.len() as u64,
            count: count as u64,
        })
    }

    /// The last ticket that some publish waits for.
    pub(super) fn waits_for(&self) -> Option<Ticket> {
        self.pending
            .iter()
            .copied()
            .filter(|ticket| *ticket != REFUSED)
            .max()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_disk_is_confirmed_at_once() {
        let mut confirms = Confirms::default();
        confirms.publish();
        confirms.publish();
        assert_eq!(
            confirms.advance(Ticket::NONE),
            Some(Confirmed { tag: 2, count: 2 })
        );
        assert_eq!(confirms.advance(Ticket::NONE), None);
    }

    #[test]
    fn a_publish_that_failed_is_not_confirmed() {
        let mut confirms = Confirms::default();
        confirms.publish();
        confirms.publish();
        confirms.withdraw();
        assert_eq!(
            confirms.advance(Ticket::NONE),
            Some(Confirmed { tag: 1, count: 1 })
        );
    }

    #[test]
    fn a_refused_publish_is_never_covered_by_an_ack() {
        let mut confirms = Confirms::default();
        for _ in 0..4 {
            confirms.publish();
        }
        confirms.wait_for(1, Ticket(3));
        confirms.refuse(2);
        confirms.wait_for(2, Ticket(4));
        assert_eq!(confirms.advance(Ticket(2)), None);
        assert_eq!(confirms.take_refused(), None, "not before its turn");
        assert_eq!(confirms.waits_for(), Some(Ticket(3)));
        assert_eq!(
            confirms.advance(Ticket(9)),
            Some(Confirmed { tag: 1, count: 1 })
        );
        assert_eq!(confirms.take_refused(), Some(2));
        assert_eq!(confirms.take_refused(), None);
        assert_eq!(
            confirms.advance(Ticket(9)),
            Some(Confirmed { tag: 4, count: 2 })
        );
    }

    #[test]
    fn a_publish_waits_for_its_last_ticket() {
        let mut confirms = Confirms::default();
        let first = confirms.publish();
        let second = confirms.publish();
        confirms.wait_for(first, Ticket(5));
        confirms.wait_for(first, Ticket(9));
        confirms.wait_for(second, Ticket(6));
        assert_eq!(confirms.advance(Ticket(8)), None);
        assert_eq!(confirms.waits_for(), Some(Ticket(9)));
        assert_eq!(
            confirms.advance(Ticket(9)),
            Some(Confirmed { tag: 2, count: 2 })
        );
        assert!(confirms.is_settled());
        let third = confirms.publish();
        confirms.wait_for(third, Ticket(12));
        assert_eq!(confirms.advance(Ticket(11)), None);
        assert_eq!(
            confirms.advance(Ticket(12)),
            Some(Confirmed { tag: 3, count: 1 })
        );
    }
}
