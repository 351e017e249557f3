//! What is due is routed, and settled with the puts that this causes.
//!
//! A message is settled behind its puts, so that a crash leaves it twice rather than not at all; and where it can be in
//! the same call of the store, which writes that call as one piece.

use std::sync::Arc;

use leveret_router::{RouteRequest, RouteScratch};
use leveret_store::moment::{self, Mark};
use leveret_store::{Fetched, Operation, QueueId, Seq, Ticket};
use leveret_wire::{RawTable, RawValue};
use rustc_hash::FxHashMap;

use super::{DelayedExchange, header};
use crate::effects::{Effects, push_settle};
use crate::entry::Stored;
use crate::queue::{Publishing, Queue};

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Routed {
    /// Messages that are done with.
    pub(super) messages: u64,
    /// Octets of their bodies.
    pub(super) bytes: u64,
    /// The last operation that this gave to the store.
    pub(super) ticket: Ticket,
    /// The store refused some, which stay.
    pub(super) kept: bool,
}

/// A message on its way.
struct Underway {
    seq: Seq,
    bytes: u64,
    /// Queues that have it, or have refused it for their length.
    taken: usize,
    /// Queues that could not have it because the store failed.
    failed: usize,
}

impl Underway {
    fn stays(&self) -> bool {
        self.taken == 0 && self.failed > 0
    }
}

type Run = (Arc<Queue>, Vec<Publishing>);

impl DelayedExchange {
    /// Route a batch of messages, in order.
    pub(super) fn route(&self, batch: Vec<(u64, Fetched)>, effects: &mut Effects) -> Routed {
        let (mut underway, mut runs) = self.find_queues(batch);
        let mut routed = Routed::default();
        let last = runs.pop();
        for run in runs {
            publish(run, &mut underway, &mut routed, effects);
        }
        let mut attached = false;
        if let Some((queue, messages)) = last {
            // What the last run decides is taken to go well; if it does not, nothing of this is written.
            if !queue.properties().options.refuses() {
                let wanted: Vec<usize> = messages.iter().filter_map(index_of).collect();
                let stays = |at: usize, one: &Underway| one.stays() && !wanted.contains(&at);
                effects.behind = self.settles(&underway, stays);
                attached = true;
            }
            attached &= publish((queue, messages), &mut underway, &mut routed, effects);
        }
        let mut settles = if attached {
            std::mem::take(&mut effects.behind)
        } else {
            effects.behind.clear();
            self.settles(&underway, |_, one| one.stays())
        };
        if !settles.is_empty()
            && let Err(error) = self.shared.store.append(&mut settles)
        {
            tracing::error!(exchange = %self.name, %error, "routed messages could not be settled");
        }
        for one in &underway {
            if one.stays() {
                routed.kept = true;
            } else {
                routed.messages += 1;
                routed.bytes += one.bytes;
            }
        }
        routed
    }

    /// Where the messages go, by queue.
    fn find_queues(&self, batch: Vec<(u64, Fetched)>) -> (Vec<Underway>, Vec<Run>) {
        let mut underway = Vec::with_capacity(batch.len());
        let mut runs: Vec<Run> = Vec::new();
        let mut run_of: FxHashMap<QueueId, usize> = FxHashMap::default();
        let mut scratch = RouteScratch::new();
        let (mut ids, mut queues) = (Vec::new(), Vec::new());
        let vhost = self.vhost.upgrade();
        for (_, fetched) in batch {
            let stored = fetched.message;
            let message = moment::detach(&stored, Mark::DUE).map_or(stored, |(message, _)| message);
            let out = header::negated(&message);
            let properties = message.properties();
            let extra_keys = extra_keys(properties.headers());
            let request = RouteRequest {
                routing_key: message.routing_key(),
                extra_keys: &extra_keys,
                headers: out.properties().headers(),
                properties: out.properties(),
                delayed: false,
            };
            if let Some(vhost) = &vhost {
                // It is not to be delayed again: no exchange keeps it for later.
                vhost.route_kept(
                    self.name.as_bytes(),
                    &out,
                    &request,
                    &mut scratch,
                    &mut ids,
                    &mut queues,
                );
            }
            underway.push(Underway {
                seq: fetched.seq,
                bytes: message.body().len() as u64,
                taken: 0,
                failed: 0,
            });
            let number = underway.len() as u64;
            for queue in queues.drain(..) {
                let run = *run_of.entry(queue.id()).or_insert_with(|| {
                    runs.push((Arc::clone(&queue), Vec::new()));
                    runs.len() - 1
                });
                if let Some((_, run)) = runs.get_mut(run) {
                    run.push(Publishing {
                        message: out.clone(),
                        channel: 0,
                        confirm: number,
                    });
                }
            }
        }
        (underway, runs)
    }

    /// The settles of all but those that stay.
    fn settles(
        &self,
        underway: &[Underway],
        stays: impl Fn(usize, &Underway) -> bool,
    ) -> Vec<Operation> {
        let done = underway.iter().enumerate();
        let done = done.filter(|(at, one)| !stays(*at, one));
        let mut seqs: Vec<Seq> = done.map(|(_, one)| one.seq).collect();
        seqs.sort_unstable();
        let mut settles = Vec::new();
        for seq in seqs {
            push_settle(&mut settles, self.id, seq, Stored::BEFORE);
        }
        settles
    }
}

/// Give a run to its queue. Returns whether the store took it.
fn publish(
    (queue, mut run): Run,
    underway: &mut [Underway],
    routed: &mut Routed,
    effects: &mut Effects,
) -> bool {
    for publishing in &run {
        if let Some(one) = index_of(publishing).and_then(|at| underway.get_mut(at)) {
            one.taken += 1;
        }
    }
    match queue.publish(&mut run, effects, &mut |_, _, _| {}) {
        Ok(ticket) => {
            routed.ticket = routed.ticket.max(ticket);
            true
        }
        Err(error) => {
            tracing::error!(queue = %queue.name(), %error, "delayed messages could not be stored");
            let is_taken = run.is_empty();
            for publishing in run {
                if let Some(one) = index_of(&publishing).and_then(|at| underway.get_mut(at)) {
                    one.taken -= 1;
                    one.failed += 1;
                }
            }
            is_taken
        }
    }
}

/// Which of the messages it is.
fn index_of(publishing: &Publishing) -> Option<usize> {
    usize::try_from(publishing.confirm).ok()?.checked_sub(1)
}

/// The keys in the headers CC and BCC, which were checked when the message was published.
fn extra_keys(headers: Option<RawTable<'_>>) -> Vec<&[u8]> {
    let Some(headers) = headers else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for name in [b"CC".as_slice(), b"BCC"] {
        if let Some(RawValue::Array(array)) = headers.get(name) {
            keys.extend(array.iter().filter_map(|key| match key {
                RawValue::LongString(key) => Some(key),
                _ => None,
            }));
        }
    }
    keys
}
