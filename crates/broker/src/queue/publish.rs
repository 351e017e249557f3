//! Messages enter a queue.

use std::sync::Arc;

use leveret_store::{Operation, StoreError, Ticket};
use leveret_wire::{Message, RawValue, TableBuilder, rewrite_headers};

use super::expiration::expiration_of;
use super::state::QueueState;
use super::{Overflow, Pass, Publishing, Queue, QueueOptions};
use crate::dead_letter::Reason;
use crate::effects::Effects;
use crate::entry::{Entry, Stored};
use crate::stored_form;
use crate::time::Time;

/// Header in which a quorum queue tells how often a message has come back.
const DELIVERY_COUNT: &[u8] = b"x-delivery-count";

impl Queue {
    /// Append a run of messages. `confirmed_by` learns, for each message that asks for a
    /// confirm and must reach the disk first, its channel, confirm number and ticket.
    ///
    /// Gives the ticket of the last operation for the store. What the queue refuses for its
    /// length is left in `run`; all else is taken.
    pub(crate) fn publish(
        self: &Arc<Self>,
        run: &mut Vec<Publishing>,
        effects: &mut Effects,
        confirmed_by: &mut impl FnMut(u16, u64, Ticket),
    ) -> Result<Ticket, StoreError> {
        let mut state = self.state.lock();
        if state.deleted {
            run.clear();
            return Ok(Ticket::NONE);
        }
        if self.properties.options.is_quorum() {
            forget_delivery_counts(run);
        }
        let is_timed = state.options.is_timed()
            || state.expiring
            || run
                .iter()
                .any(|publishing| publishing.message.has_expiration());
        let now = if is_timed {
            self.clock().now()
        } else {
            Time::default()
        };
        // One with no time to live is given to a consumer that is free, or to nobody.
        let expired_by = Time(now.0.saturating_sub(1));
        let pass = Pass {
            memory_before: state.ready.memory(),
            now,
            expired_by,
            reads_on: true,
        };
        let last = if state.options.refuses() {
            self.enqueue_what_fits(&mut state, run, pass, effects, confirmed_by)?
        } else {
            self.enqueue(
                &mut state,
                run,
                is_timed.then_some(now),
                effects,
                confirmed_by,
            )?
        };
        self.finish(state, pass, effects)?;
        Ok(last)
    }

    /// Append all of `run`, leaving it empty. `now` is known if any of them may expire.
    fn enqueue(
        &self,
        state: &mut QueueState,
        run: &mut Vec<Publishing>,
        now: Option<Time>,
        effects: &mut Effects,
        confirmed_by: &mut impl FnMut(u16, u64, Ticket),
    ) -> Result<Ticket, StoreError> {
        let lasting = self.properties.is_lasting();
        // Quorum queues keep whatever they are given.
        let whatever = self.properties.options.is_quorum();
        let lasts = |message: &Message| lasting && (whatever || message.is_persistent());
        let first_seq = state.next_seq;
        let over_budget = self.memory.is_over_for(state.ready.memory());
        let page_from = state.ready.page_from(run.len(), over_budget);
        for (at, publishing) in run.iter().enumerate() {
            let durable = lasts(&publishing.message);
            if durable || at >= page_from {
                effects.operations.push(Operation::Put {
                    queue: self.id,
                    seq: first_seq + at as u64,
                    message: stored_form::write(
                        &publishing.message,
                        deadline(&state.options, &publishing.message, now),
                    ),
                    durable,
                });
            }
        }
        let puts = effects.operations.len() as u64;
        let mut ticket = if puts > 0 {
            if !effects.behind.is_empty() {
                effects.operations.append(&mut effects.behind);
            }
            self.hand_over(effects)?
        } else {
            Ticket::NONE
        };
        let last = if puts > 0 {
            Ticket(ticket.0 + puts - 1)
        } else {
            Ticket::NONE
        };
        state.next_seq = first_seq + run.len() as u64;
        if puts == 0 && now.is_none() {
            // The usual run of transient messages: nothing for the store, nothing that expires.
            for (seq, publishing) in (first_seq..).zip(run.drain(..)) {
                state.ready.push(Entry {
                    seq,
                    message: publishing.message,
                    stored: Stored::NO,
                    delivery_count: 0,
                    deadline: Time::NEVER,
                });
            }
            return Ok(last);
        }
        let mut expiring = false;
        for (at, publishing) in run.drain(..).enumerate() {
            let seq = first_seq + at as u64;
            let durable = lasts(&publishing.message);
            let mut stored = Stored::NO;
            if durable || at >= page_from {
                stored = Stored::by(ticket);
                if durable && publishing.confirm != 0 {
                    confirmed_by(publishing.channel, publishing.confirm, ticket);
                }
                ticket.0 += 1;
            }
            let deadline = deadline(&state.options, &publishing.message, now);
            expiring |= deadline != Time::NEVER;
            if at >= page_from {
                state.ready.push_paged(seq, publishing.message.body().len());
            } else {
                let message = publishing.message;
                state.ready.push(Entry {
                    seq,
                    message,
                    stored,
                    delivery_count: 0,
                    deadline,
                });
            }
        }
        state.expiring |= expiring;
        Ok(last)
    }

    /// Append what there is room for, and give consumers what they have credit for in between,
    /// as if the messages came one by one. The refused stay in `run`.
    fn enqueue_what_fits(
        self: &Arc<Self>,
        state: &mut QueueState,
        run: &mut Vec<Publishing>,
        pass: Pass,
        effects: &mut Effects,
        confirmed_by: &mut impl FnMut(u16, u64, Ticket),
    ) -> Result<Ticket, StoreError> {
        let options = state.options.clone();
        let mut last = Ticket::NONE;
        let mut coming = std::mem::take(run).into_iter().peekable();
        let mut fitting = Vec::new();
        while coming.peek().is_some() {
            // What is kept for a dead-letter exchange still takes room.
            let mut messages = state.ready.len() + state.kept.len() as u64;
            let mut bytes = state.ready.bytes();
            while let Some(next) = coming.next_if(|next| {
                let length = next.message.body().len() as u64;
                !options.is_over(messages + 1, bytes + length)
            }) {
                messages += 1;
                bytes += next.message.body().len() as u64;
                fitting.push(next);
            }
            if fitting.is_empty() {
                run.extend(coming.next());
                continue;
            }
            last = self
                .enqueue(state, &mut fitting, Some(pass.now), effects, confirmed_by)?
                .max(last);
            state.deliver(self, pass.expired_by, effects);
            // Deliveries before the puts that follow.
            if !effects.operations.is_empty() {
                self.hand_over(effects)?;
            }
        }
        if options.overflow == Overflow::RejectPublishDlx {
            for refused in run.iter() {
                self.discard(
                    unqueued(refused.message.clone()),
                    Reason::MaxLength,
                    effects,
                );
            }
        }
        Ok(last)
    }

    /// A message that has come back, as a quorum queue shows it: with how often it has.
    pub(crate) fn counted_message(&self, entry: &Entry) -> Option<Message> {
        if !self.properties.options.is_quorum() {
            return None;
        }
        let mut headers = TableBuilder::new();
        headers.put_all_but(
            entry.message.properties().headers().unwrap_or_default(),
            &[DELIVERY_COUNT],
        );
        headers.put(DELIVERY_COUNT, &RawValue::I64(entry.delivery_count.into()));
        headers.sort();
        let header = rewrite_headers(entry.message.header(), Some(&headers.into_content())).ok()?;
        Some(entry.message.with_header(&header))
    }
}

/// When a message that enters a queue with `options` now expires.
#[inline]
fn deadline(options: &QueueOptions, message: &Message, now: Option<Time>) -> Time {
    match now {
        None => Time::NEVER,
        Some(now) => options.deadline(now, expiration_of(message)),
    }
}

/// A message that never got into the queue, for its dead-letter exchange.
fn unqueued(message: Message) -> Entry {
    Entry {
        seq: 0,
        message,
        stored: Stored::NO,
        delivery_count: 0,
        deadline: Time::NEVER,
    }
}

/// The delivery count of a message is its queue's to tell, not its publisher's.
fn forget_delivery_counts(run: &mut [Publishing]) {
    for publishing in run
        .iter_mut()
        .filter(|publishing| publishing.message.has_headers())
    {
        let Some(headers) = publishing.message.properties().headers() else {
            continue;
        };
        if headers.get(DELIVERY_COUNT).is_none() {
            continue;
        }
        let mut kept = TableBuilder::new();
        kept.put_all_but(headers, &[DELIVERY_COUNT]);
        if let Ok(header) = rewrite_headers(publishing.message.header(), Some(&kept.into_content()))
        {
            publishing.message = publishing.message.with_header(&header);
        }
    }
}
