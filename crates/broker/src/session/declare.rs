//! The exchange and queue classes: what a command names, and the answer to it.

use std::sync::Arc;

use leveret_router::{Binding, Destination};
use leveret_store::Ticket;
use leveret_wire::AMQPClass;
use leveret_wire::method::{exchange, queue};

use super::channel::Held;
use super::consume::short;
use super::{Failure, Output, Session};
use crate::queue::Queue;
use crate::users::{Resource, Right};
use crate::vhost::{REPLY_TO, Vhost};

impl Session {
    pub(super) fn exchange_declare(
        &mut self,
        number: u16,
        declare: &exchange::Declare,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let grant = self.grant();
        let ticket = self.vhost.declare_exchange(declare, &grant)?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::DeclareOk(exchange::DeclareOk {}));
        self.answer(number, declare.nowait, ticket, ok, output);
        Ok(())
    }

    pub(super) fn exchange_delete(
        &mut self,
        number: u16,
        delete: &exchange::Delete,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let grant = self.grant();
        let ticket = self.vhost.delete_exchange(delete, &grant)?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::DeleteOk(exchange::DeleteOk {}));
        self.answer(number, delete.nowait, ticket, ok, output);
        Ok(())
    }

    pub(super) fn exchange_bind(
        &mut self,
        number: u16,
        bind: exchange::Bind,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let binding = Binding {
            source: bind.source.to_string(),
            destination: Destination::Exchange(bind.destination.to_string()),
            routing_key: bind.routing_key.to_string(),
            arguments: bind.arguments,
        };
        let grant = self.grant();
        let ticket = self
            .vhost
            .bind(&binding, self.access, &grant, &mut self.effects)?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::BindOk(exchange::BindOk {}));
        self.answer(number, bind.nowait, ticket, ok, output);
        Ok(())
    }

    pub(super) fn exchange_unbind(
        &mut self,
        number: u16,
        unbind: exchange::Unbind,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let binding = Binding {
            source: unbind.source.to_string(),
            destination: Destination::Exchange(unbind.destination.to_string()),
            routing_key: unbind.routing_key.to_string(),
            arguments: unbind.arguments,
        };
        let grant = self.grant();
        let ticket = self.vhost.unbind(&binding, self.access, &grant)?;
        let ok = AMQPClass::Exchange(exchange::AMQPMethod::UnbindOk(exchange::UnbindOk {}));
        self.answer(number, unbind.nowait, ticket, ok, output);
        Ok(())
    }

    pub(super) fn queue_declare(
        &mut self,
        number: u16,
        declare: &queue::Declare,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        if self.is_reply_queue(declare.queue.as_str())? {
            let ok = queue::DeclareOk {
                queue: declare.queue.clone(),
                message_count: 0,
                consumer_count: 1,
            };
            let ok = AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok));
            self.answer(number, declare.nowait, Ticket::NONE, ok, output);
            return Ok(());
        }
        let grant = self.grant();
        let declared = self.vhost.declare_queue(declare, self.access, &grant)?;
        let name = Arc::clone(declared.queue.name());
        self.counters.queues_declared.add(1);
        if declared.created {
            self.counters.queues_created.add(1);
            if declare.exclusive {
                self.exclusive.push(Arc::clone(&declared.queue));
            }
        }
        let counts = declared.queue.counts();
        let ok = queue::DeclareOk {
            queue: short(&name),
            message_count: clamp(counts.ready),
            consumer_count: clamp(counts.consumers as u64),
        };
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.last_queue = Some(name);
        }
        let ok = AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok));
        self.answer(number, declare.nowait, declared.ticket, ok, output);
        Ok(())
    }

    /// Does a declare ask for the pseudo-queue of direct reply-to, or for a reply queue? That one
    /// is there as long as its requester is (a replier can find out): else 404.
    fn is_reply_queue(&self, name: &str) -> Result<bool, Failure> {
        if name == REPLY_TO {
            return Ok(true);
        }
        if !Vhost::is_reply_key(name.as_bytes()) {
            return Ok(false);
        }
        self.vhost
            .reply_queue(name.as_bytes())
            .map(|_| true)
            .ok_or_else(|| self.vhost.no_queue(name))
    }

    pub(super) fn queue_bind(
        &mut self,
        number: u16,
        bind: queue::Bind,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let (queue, routing_key) =
            self.bound_queue(number, bind.queue.as_str(), bind.routing_key.as_str())?;
        let binding = Binding {
            source: bind.exchange.to_string(),
            destination: Destination::Queue(queue),
            routing_key,
            arguments: bind.arguments,
        };
        let grant = self.grant();
        let ticket = self
            .vhost
            .bind(&binding, self.access, &grant, &mut self.effects)?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {}));
        self.answer(number, bind.nowait, ticket, ok, output);
        Ok(())
    }

    pub(super) fn queue_unbind(
        &mut self,
        number: u16,
        unbind: queue::Unbind,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let (queue, routing_key) =
            self.bound_queue(number, unbind.queue.as_str(), unbind.routing_key.as_str())?;
        let binding = Binding {
            source: unbind.exchange.to_string(),
            destination: Destination::Queue(queue),
            routing_key,
            arguments: unbind.arguments,
        };
        let grant = self.grant();
        let ticket = self.vhost.unbind(&binding, self.access, &grant)?;
        let ok = AMQPClass::Queue(queue::AMQPMethod::UnbindOk(queue::UnbindOk {}));
        self.answer(number, false, ticket, ok, output);
        Ok(())
    }

    pub(super) fn queue_purge(
        &mut self,
        number: u16,
        purge: &queue::Purge,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, purge.queue.as_str())?;
        self.authorise_reading(&name)?;
        let queue = self.vhost.accessible_queue(&name, self.access)?;
        let message_count = clamp(queue.purge(&mut self.effects)?);
        let ok = AMQPClass::Queue(queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count }));
        self.answer(number, purge.nowait, Ticket::NONE, ok, output);
        Ok(())
    }

    pub(super) fn queue_delete(
        &mut self,
        number: u16,
        delete: &queue::Delete,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let name = self.queue_name(number, delete.queue.as_str())?;
        let grant = self.grant();
        grant.authorise(Right::Configure, Resource::Queue(&name))?;
        let (messages, ticket) = match self.vhost.queue(&name) {
            None => (0, self.vhost.settled_by()),
            Some(queue) => {
                self.vhost.check_owner(&queue, self.access)?;
                if queue.properties().options.is_quorum() {
                    self.check_unconditional(delete, &name)?;
                }
                // What it has delivered already stays before the answer.
                self.process_mailbox(output, None)?;
                let deleted = self.vhost.delete_queue(
                    &queue,
                    delete.if_unused,
                    delete.if_empty,
                    &mut self.effects,
                )?;
                self.counters.queues_deleted.add(1);
                self.exclusive.retain(|owned| owned.id() != queue.id());
                deleted
            }
        };
        let ok = queue::DeleteOk {
            message_count: clamp(messages),
        };
        let ok = AMQPClass::Queue(queue::AMQPMethod::DeleteOk(ok));
        self.answer(number, delete.nowait, ticket, ok, output);
        // Its consumers on this connection hear of it after delete-ok, as from RabbitMQ: who hears
        // of the cancellation takes the deletion for done, and may close the connection then.
        self.cancels_after = ticket;
        let told = self.process_mailbox(output, None);
        self.cancels_after = Ticket::NONE;
        told
    }

    /// Quorum queues are deleted whatever they hold and whoever uses them.
    fn check_unconditional(&self, delete: &queue::Delete, name: &str) -> Result<(), Failure> {
        let flags = [
            ("if-unused", delete.if_unused),
            ("if-empty", delete.if_empty),
        ];
        let Some((flag, _)) = flags.iter().find(|(_, is_set)| *is_set) else {
            return Ok(());
        };
        let what = self.vhost.queue_text(name);
        Err(Failure::not_implemented(&format!(
            "cannot delete {what}. queue.delete operations with {flag} flag set are not supported by quorum queues"
        )))
    }

    /// Delete an auto-delete queue that has lost its last consumer, unless it got a new one.
    pub(super) fn delete_unused(&mut self, queue: &Arc<Queue>) -> Result<(), Failure> {
        match self
            .vhost
            .delete_queue(queue, true, false, &mut self.effects)
        {
            Ok(_) => {
                self.counters.queues_deleted.add(1);
                self.exclusive.retain(|owned| owned.id() != queue.id());
                Ok(())
            }
            // It is in use again.
            Err(Failure::Channel(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Delete an exclusive queue with its connection.
    pub(super) fn delete_owned(&mut self, queue: &Arc<Queue>) -> Result<(), Failure> {
        self.vhost
            .delete_queue(queue, false, false, &mut self.effects)?;
        self.counters.queues_deleted.add(1);
        Ok(())
    }

    /// What a queue name stands for: itself, or if empty the last queue declared on the channel
    ///.
    pub(super) fn queue_name(&self, number: u16, name: &str) -> Result<String, Failure> {
        if !name.is_empty() {
            return Ok(name.to_owned());
        }
        self.channels
            .get(&number)
            .and_then(|channel| channel.last_queue.as_deref())
            .map(str::to_owned)
            .ok_or_else(|| Failure::not_found("no previously declared queue".to_owned()))
    }

    /// Queue and routing key of a bind or unbind: with an empty queue name, an empty routing
    /// key stands for the queue's name too.
    fn bound_queue(
        &self,
        number: u16,
        name: &str,
        routing_key: &str,
    ) -> Result<(String, String), Failure> {
        let queue = self.queue_name(number, name)?;
        let routing_key = if name.is_empty() && routing_key.is_empty() {
            queue.clone()
        } else {
            routing_key.to_owned()
        };
        Ok((queue, routing_key))
    }

    fn answer(
        &mut self,
        number: u16,
        nowait: bool,
        ticket: Ticket,
        ok: AMQPClass,
        output: &mut impl Output,
    ) {
        if !nowait {
            self.emit(number, Held::Reply(ticket, ok), output);
        }
    }
}

/// A count as the protocol's 32 bits can tell it.
fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
