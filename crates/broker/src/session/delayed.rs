//! Publishes that delayed exchanges keep.

use std::sync::Arc;

use leveret_wire::Message;

use super::channel::Mode;
use super::routes::Targets;
use super::{Failure, Session};
use crate::delay::{DelayedExchange, Held};
use crate::time::Time;
use crate::vhost::DelayedExchanges;

/// A route that leads to delayed exchanges, and perhaps to queues besides.
pub(super) struct Holding {
    pub(super) exchanges: DelayedExchanges,
    pub(super) targets: Targets,
    /// Milliseconds.
    pub(super) delay: u64,
}

impl Session {
    /// Let the delayed exchanges of a route have a message with the next flush.
    pub(super) fn hold(&mut self, number: u16, holding: &Holding, message: &Message, confirm: u64) {
        // No moment is as late as never.
        let latest = Time(Time::NEVER.0 - 1);
        let due = self.shared.clock.now().after(holding.delay).min(latest);
        for exchange in &holding.exchanges {
            let held = Held {
                message: message.clone(),
                due,
                channel: number,
                confirm,
            };
            self.held.push((Arc::clone(exchange), held));
        }
    }

    /// Hand on what was held since the last call, in order.
    pub(super) fn flush_held(&mut self) -> Result<(), Failure> {
        let mut held = std::mem::take(&mut self.held).into_iter().peekable();
        let mut run = Vec::new();
        while let Some((exchange, first)) = held.next() {
            run.push(first);
            let is_same = |next: &(Arc<DelayedExchange>, Held)| Arc::ptr_eq(&next.0, &exchange);
            while let Some((_, next)) = held.next_if(is_same) {
                run.push(next);
            }
            let channels = &mut self.channels;
            let taken = exchange.hold(
                &mut run,
                &mut self.effects,
                &mut |number, confirm, ticket| match channels
                    .get_mut(&number)
                    .map(|channel| &mut channel.mode)
                {
                    Some(Mode::Confirm(confirms)) => confirms.wait_for(confirm, ticket),
                    Some(Mode::Transaction(transaction)) => transaction.wait_for(ticket),
                    Some(Mode::Plain) | None => {}
                },
            );
            let ticket = taken.inspect_err(|error| self.shared.note_refusal(error))?;
            self.last_ticket = self.last_ticket.max(ticket);
        }
        Ok(())
    }
}
