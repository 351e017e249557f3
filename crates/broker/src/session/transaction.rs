//! tx.select, tx.commit and tx.rollback, and what a transactional channel holds in between.

use std::sync::Arc;

use leveret_protocol::{ConnectionError, Limit, Publish};
use leveret_store::Ticket;
use leveret_wire::method::tx;
use leveret_wire::{AMQPClass, Message};

use super::channel::{Held, Mode, Unacked};
use super::publish::{Target, extra_keys, without_bcc};
use super::{Failure, Output, Session};

/// Confirm number of all publishes of a commit: the queue tells what of them must reach the disk.
const COMMITTED: u64 = 1;

/// How a message is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// basic.ack.
    Ack,
    /// basic.reject or basic.nack without requeue.
    Discard,
    /// basic.reject or basic.nack with requeue.
    Requeue,
}

/// A publish that waits for the commit.
#[derive(Debug)]
pub(super) struct HeldPublish {
    message: Message,
    mandatory: bool,
    /// The queues it was routed to, by their names as in RabbitMQ: one that is deleted meanwhile gets
    /// nothing, one declared anew does. `None` for the default exchange, whose keys are such
    /// names, and for exchanges that keep or delay what is committed: that is found at the commit.
    queues: Option<Vec<Arc<str>>>,
}

/// Publishes and acknowledgements of an open transaction, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) publishes: Vec<HeldPublish>,
    /// Octets of the publishes.
    pub(super) bytes: usize,
    pub(super) settled: Vec<(Settlement, Vec<Unacked>)>,
    /// The last durable publish of the commit before this transaction: until it is on the disk that
    /// commit is not over.
    committing: Option<Ticket>,
}

impl Transaction {
    /// A publish of the commit is durable with this ticket.
    pub(super) fn wait_for(&mut self, ticket: Ticket) {
        self.committing = self.committing.max(Some(ticket));
    }

    /// Does the commit before this transaction wait for the disk?
    pub(super) fn is_committing(&self, durable: Ticket) -> bool {
        self.committing > Some(durable)
    }

    /// The error for whatever but channel.close comes meanwhile.
    pub(super) fn in_commit() -> ConnectionError {
        ConnectionError::channel_error("unexpected command while processing 'tx.commit'")
    }
}

impl Session {
    pub(super) fn tx_select(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        match channel.mode {
            Mode::Confirm(_) => {
                return Err(Failure::precondition_failed(
                    "cannot switch from confirm to tx mode".to_owned(),
                ));
            }
            Mode::Plain => channel.mode = Mode::Transaction(Transaction::default()),
            Mode::Transaction(_) => {}
        }
        let ok = AMQPClass::Tx(tx::AMQPMethod::SelectOk(tx::SelectOk {}));
        self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        Ok(())
    }

    /// Keep a publish for the commit. What can be refused is refused now, and the queues it goes to
    /// are those that its exchange leads to now.
    pub(super) fn hold_publish(&mut self, number: u16, publish: Publish) -> Result<(), Failure> {
        self.refuse_during_commit(number)?;
        self.flush_work()?;
        let generation = self.vhost.generation();
        if self.routes.is_old(generation) {
            self.renew_routes(generation)?;
        }
        let message = publish.message;
        let target = self.find_checked(number, &message, extra_keys(&message))?;
        let queues =
            if message.exchange().is_empty() || matches!(target, Target::Kept | Target::Held(_)) {
                None
            } else {
                Some(self.routes.queue_names(&target))
            };
        let message = self.with_reply_address(number, message)?;
        let limit = self.shared.limits.transaction_bytes;
        let Some(Mode::Transaction(transaction)) = self
            .channels
            .get_mut(&number)
            .map(|channel| &mut channel.mode)
        else {
            return Ok(());
        };
        let names = queues.as_ref().map_or(0, Vec::len) * size_of::<Arc<str>>();
        transaction.bytes += message.memory() + names;
        if transaction.bytes > limit {
            return Err(Failure::precondition_failed(format!(
                "transaction is larger than configured max size {limit}"
            ))
            .over(Limit::TransactionBytes));
        }
        transaction.publishes.push(HeldPublish {
            message,
            mandatory: publish.mandatory,
            queues,
        });
        Ok(())
    }

    /// While a commit waits for the disk, RabbitMQ takes nothing on its channel but channel.close.
    pub(super) fn refuse_during_commit(&self, number: u16) -> Result<(), Failure> {
        match self.channels.get(&number).map(|channel| &channel.mode) {
            Some(Mode::Transaction(transaction))
                if transaction.is_committing(self.shared.store.durable()) =>
            {
                Err(Transaction::in_commit().into())
            }
            _ => Ok(()),
        }
    }

    /// Give a publish of a committed transaction to the queues found for it that are still there.
    fn publish_held(
        &mut self,
        number: u16,
        held: HeldPublish,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let HeldPublish {
            message,
            mandatory,
            queues,
        } = held;
        let Some(names) = queues else {
            let publish = Publish {
                message,
                mandatory,
                immediate: false,
            };
            return self.route(number, publish, COMMITTED, output);
        };
        let generation = self.vhost.generation();
        if self.routes.is_old(generation) {
            self.renew_routes(generation)?;
        }
        self.routes.queues.clear();
        let queues = names.iter().filter_map(|name| self.vhost.queue(name));
        self.routes.queues.extend(queues);
        let target = Target::Once(self.routes.targets());
        self.deliver_to(
            number,
            &target,
            without_bcc(message),
            COMMITTED,
            mandatory,
            output,
        );
        Ok(())
    }

    pub(super) fn tx_commit(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let transaction = std::mem::take(self.transaction(number)?);
        self.refused = 0;
        // What waits for the disk on other channels is not the commit's to wait for.
        let earlier = std::mem::replace(&mut self.last_ticket, Ticket::NONE);
        let mut published = Ok(());
        for held in transaction.publishes {
            published = published.and_then(|()| self.publish_held(number, held, output));
        }
        let mut done = published.and_then(|()| self.flush_work());
        for (settlement, taken) in transaction.settled {
            if done.is_ok() {
                done = self.settle_all(number, settlement, taken);
            } else if let Some(channel) = self.channels.get_mut(&number) {
                // Not settled after all: they go back when the channel ends.
                channel.put_back(taken);
            }
        }
        let done = done.and_then(|()| self.flush_work());
        let own = self.last_ticket;
        self.last_ticket = own.max(earlier);
        done?;
        if self.refused > 0 {
            return Err(Failure::precondition_failed(
                "partial tx completion".to_owned(),
            ));
        }
        let ok = AMQPClass::Tx(tx::AMQPMethod::CommitOk(tx::CommitOk {}));
        self.emit(number, Held::Reply(own, ok), output);
        Ok(())
    }

    pub(super) fn tx_rollback(
        &mut self,
        number: u16,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let transaction = std::mem::take(self.transaction(number)?);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.put_back(transaction.settled.into_iter().flat_map(|(_, taken)| taken));
        }
        let ok = AMQPClass::Tx(tx::AMQPMethod::RollbackOk(tx::RollbackOk {}));
        self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        Ok(())
    }

    fn transaction(&mut self, number: u16) -> Result<&mut Transaction, Failure> {
        match self
            .channels
            .get_mut(&number)
            .map(|channel| &mut channel.mode)
        {
            Some(Mode::Transaction(transaction)) => Ok(transaction),
            _ => Err(Failure::precondition_failed(
                "channel is not transactional".to_owned(),
            )),
        }
    }

    /// Settle messages as a committed transaction asks.
    fn settle_all(
        &mut self,
        number: u16,
        settlement: Settlement,
        taken: Vec<Unacked>,
    ) -> Result<(), Failure> {
        match settlement {
            Settlement::Requeue => self.requeue(number, taken),
            Settlement::Discard => {
                self.discard(number, taken);
                Ok(())
            }
            Settlement::Ack => {
                self.counters.acknowledged.add(taken.len() as u64);
                self.note_all_settled(number, &taken);
                Ok(())
            }
        }
    }
}
