//! basic.ack, basic.nack, basic.reject and basic.recover.

use leveret_protocol::ConnectionError;
use leveret_store::Ticket;
use leveret_wire::method::basic;
use leveret_wire::{AMQPClass, Ack, Nack, Reject};
use rustc_hash::FxHashMap;

use super::channel::{Held, Mode, Unacked};
use super::transaction::{Settlement, Transaction};
use super::{Failure, Output, Session};
use crate::dead_letter::Reason;
use crate::effects::push_settle;
use crate::entry::Entry;
use crate::queue::SettledRun;

const BASIC_ACK: (u16, u16) = (60, 80);
const BASIC_REJECT: (u16, u16) = (60, 90);
const BASIC_NACK: (u16, u16) = (60, 120);

impl Session {
    /// Carry out a basic.ack. Queues hear of it with the next [`Session::flush`].
    pub fn ack(
        &mut self,
        number: u16,
        ack: Ack,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        if channel.ending {
            return Ok(());
        }
        if let Mode::Transaction(_) = channel.mode {
            return self.settle_now(
                number,
                ack.delivery_tag,
                ack.multiple,
                Settlement::Ack,
                BASIC_ACK,
                output,
            );
        }
        let (queues, settles, counters) = (&mut self.queues, &mut self.settles, &self.counters);
        let credit = channel.credit.clone();
        let taken = channel.take(ack.delivery_tag, ack.multiple, |unacked| {
            counters.acknowledged.add(1);
            note_settled(queues, settles, &unacked);
            credit.give_back(u32::from(unacked.counted));
        });
        if taken.is_some() {
            return Ok(());
        }
        self.unknown_tag(number, ack.delivery_tag, BASIC_ACK, output)
    }

    /// Carry out a basic.nack.
    pub fn nack(
        &mut self,
        number: u16,
        nack: Nack,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let settlement = if nack.requeue {
            Settlement::Requeue
        } else {
            Settlement::Discard
        };
        self.settle_now(
            number,
            nack.delivery_tag,
            nack.multiple,
            settlement,
            BASIC_NACK,
            output,
        )
    }

    /// Carry out a basic.reject.
    pub fn reject(
        &mut self,
        number: u16,
        reject: Reject,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let settlement = if reject.requeue {
            Settlement::Requeue
        } else {
            Settlement::Discard
        };
        self.settle_now(
            number,
            reject.delivery_tag,
            false,
            settlement,
            BASIC_REJECT,
            output,
        )
    }

    fn settle_now(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        settlement: Settlement,
        method: (u16, u16),
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        if channel.ending {
            return Ok(());
        }
        if let Mode::Transaction(transaction) = &channel.mode
            && transaction.is_committing(self.shared.store.durable())
        {
            return Err(Transaction::in_commit().at(method.0, method.1));
        }
        let mut taken = Vec::new();
        if channel
            .take(tag, multiple, |unacked| taken.push(unacked))
            .is_none()
        {
            return self.unknown_tag(number, tag, method, output);
        }
        if let Mode::Transaction(transaction) = &mut channel.mode {
            transaction.settled.push((settlement, taken));
            return Ok(());
        }
        let done = if settlement == Settlement::Requeue {
            self.flush(output)?;
            self.requeue(number, taken)
        } else {
            self.discard(number, taken);
            Ok(())
        };
        self.fire();
        done.map_err(super::connection_error)
    }

    fn unknown_tag(
        &mut self,
        number: u16,
        tag: u64,
        (class, method): (u16, u16),
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        self.flush(output)?;
        let failure =
            Failure::precondition_failed(format!("unknown delivery tag {tag}")).at(class, method);
        let done = self.settle_failure(number, Err(failure), output);
        self.fire();
        done
    }

    /// basic.recover and basic.recover-async: everything outstanding goes back to its queue.
    pub(super) fn recover(
        &mut self,
        number: u16,
        requeue: bool,
        answer: bool,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        if !requeue {
            return Err(Failure::not_implemented("requeue=false"));
        }
        if answer {
            let ok = AMQPClass::Basic(basic::AMQPMethod::RecoverOk(basic::RecoverOk {}));
            self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        }
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        let outstanding = channel.take_all();
        self.requeue(number, outstanding)
    }

    /// The messages outstanding on a channel that ends go back, those of an uncommitted
    /// transaction too.
    pub(super) fn requeue_outstanding(&mut self, number: u16) -> Result<(), Failure> {
        let mut outstanding = self.take_outstanding(number);
        outstanding.extend(
            self.unsent
                .extract_if(.., |(channel, _)| *channel == number)
                .map(|(_, message)| message),
        );
        self.requeue(number, outstanding)
    }

    /// Take everything outstanding off a channel, what an uncommitted transaction holds too.
    pub(super) fn take_outstanding(&mut self, number: u16) -> Vec<Unacked> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Vec::new();
        };
        if let Mode::Transaction(transaction) = &mut channel.mode {
            let held = std::mem::take(transaction);
            channel.put_back(held.settled.into_iter().flat_map(|(_, taken)| taken));
        }
        channel.take_all()
    }

    /// What could not be sent any more goes back to its queues.
    pub(super) fn requeue_unsent(&mut self) -> Result<(), Failure> {
        let mut unsent = std::mem::take(&mut self.unsent);
        for (number, message) in &mut unsent {
            if std::mem::take(&mut message.counted)
                && let Some(channel) = self.channels.get(number)
            {
                channel.credit.give_back(1);
            }
        }
        self.requeue(0, unsent.into_iter().map(|(_, message)| message).collect())
    }

    /// Give messages that were delivered back to their queues, in their order.
    pub(super) fn requeue(&mut self, number: u16, taken: Vec<Unacked>) -> Result<(), Failure> {
        self.return_credit(number, &taken);
        let mut by_queue: FxHashMap<u32, (Vec<Entry>, Vec<SettledRun>)> = FxHashMap::default();
        for mut unacked in taken {
            unacked.entry.delivery_count += u32::from(unacked.sent);
            let bytes = unacked.entry.message.body().len() as u64;
            let (entries, runs) = by_queue.entry(unacked.queue).or_default();
            match runs.iter_mut().find(|run| run.consumer == unacked.consumer) {
                Some(run) => {
                    run.messages += 1;
                    run.bytes += bytes;
                }
                None => runs.push(SettledRun {
                    consumer: unacked.consumer,
                    messages: 1,
                    bytes,
                }),
            }
            entries.push(unacked.entry);
        }
        let mut done = Ok(());
        for (slot, (mut entries, runs)) in by_queue {
            entries.sort_unstable_by_key(|entry| entry.seq);
            let count = entries.len();
            if let Some(queue) = self.queues.queue(slot).cloned() {
                // What one queue can't tell the store keeps nobody from going back to the others.
                done = done.and(
                    queue
                        .requeue(entries, &runs, &mut self.effects)
                        .map_err(Failure::from),
                );
            }
            for _ in 0..count {
                self.queues.release(slot);
            }
        }
        done
    }

    /// Messages were rejected: they go to the dead-letter exchanges of their queues, or
    /// nowhere.
    pub(super) fn discard(&mut self, number: u16, taken: Vec<Unacked>) {
        self.return_credit(number, &taken);
        for unacked in taken {
            let queue = self.queues.queue(unacked.queue);
            let dead_lettering = queue
                .filter(|queue| queue.has_dead_letter_exchange())
                .cloned();
            let Some(queue) = dead_lettering else {
                if let Some(queue) = queue {
                    queue.count_discarded(Reason::Rejected, 1);
                }
                note_settled(&mut self.queues, &mut self.settles, &unacked);
                continue;
            };
            // The store hears of it when the dead letter is safe.
            self.queues.settle(
                unacked.queue,
                unacked.consumer,
                unacked.entry.message.body().len() as u64,
            );
            queue.discard(unacked.entry, Reason::Rejected, &mut self.effects);
        }
    }

    /// Note messages as done; their queues hear of it with the next flush.
    pub(super) fn note_all_settled(&mut self, number: u16, taken: &[Unacked]) {
        self.return_credit(number, taken);
        for unacked in taken {
            note_settled(&mut self.queues, &mut self.settles, unacked);
        }
    }

    /// Settled messages no longer count against the channel's shared prefetch.
    fn return_credit(&self, number: u16, taken: &[Unacked]) {
        if let Some(channel) = self.channels.get(&number) {
            let counted = taken.iter().filter(|unacked| unacked.counted).count();
            channel
                .credit
                .give_back(u32::try_from(counted).unwrap_or(u32::MAX));
        }
    }

    /// Tell the store, then each queue, what was settled.
    pub(super) fn flush_settled(&mut self) -> Result<(), Failure> {
        if !self.settles.is_empty() {
            let count = self.settles.len() as u64;
            let first = self.shared.store.append(&mut self.settles)?;
            self.last_ticket = self.last_ticket.max(Ticket(first.0 + count - 1));
        }
        while let Some((queue, runs)) = self.queues.take_settled() {
            queue.settle(&runs, &mut self.effects)?;
        }
        self.resume_stalled()
    }
}

#[inline]
fn note_settled(
    queues: &mut super::queues::QueueSlots,
    settles: &mut Vec<leveret_store::Operation>,
    unacked: &Unacked,
) {
    if unacked.entry.stored.is_stored()
        && let Some(queue) = queues.queue(unacked.queue)
    {
        push_settle(settles, queue.id(), unacked.entry.seq, unacked.entry.stored);
    }
    queues.settle(
        unacked.queue,
        unacked.consumer,
        unacked.entry.message.body().len() as u64,
    );
}
