//! What becomes of messages that a queue gives up: rejected, expired, over a length limit, or
//! come back too often.
//!
//! A queue collects its dead letters in [`Effects`] while it is locked. They are carried out
//! here after it is released, so two queues are never locked at once; and what happens to the
//! target is given to the store before the source's settle, so that a crash between the two
//! leaves a message twice rather than not at all.

mod history;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use leveret_router::{RouteRequest, RouteScratch};
use leveret_store::{Operation, QueueId};
use leveret_wire::{BodyPart, INLINE_BODY_MAX, Message, PropertiesBuilder, RawTable, RawValue};

use self::history::Death;
use crate::delay::{Delay, DelayedExchange, Held};
use crate::effects::{Effects, push_settle};
use crate::entry::Entry;
use crate::queue::{DeadLetterTarget, Publishing, Queue};

/// Letters that one operation may cause by other letters that die at once. A set of queues
/// that are all too short for anything and all dead-letter to each other makes a letter of
/// every order in which they can be visited; this many of them are enough.
const DERIVED_MAX: usize = 65_536;

/// Why a queue gave a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It came back more often than the queue allows.
    DeliveryLimit,
    /// Its time to live was over.
    Expired,
    /// The queue was too long.
    MaxLength,
    /// A consumer did not want it.
    Rejected,
}

impl Reason {
    /// The word in x-death.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::DeliveryLimit => "delivery_limit",
            Self::Expired => "expired",
            Self::MaxLength => "maxlen",
            Self::Rejected => "rejected",
        }
    }
}

/// A message that `queue`, which has a dead-letter exchange, has given up.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) queue: Arc<Queue>,
    pub(crate) entry: Entry,
    pub(crate) reason: Reason,
}

/// A letter on its way.
struct Underway {
    letter: DeadLetter,
    /// Queues that have taken it, or have been asked to.
    taken: usize,
    /// It went in a circle, or caused too many others, and is dropped whatever the strategy.
    cycled: bool,
}

/// One round of letters, collected by the queue they go to.
#[derive(Default)]
struct Burial {
    underway: Vec<Underway>,
    runs: Vec<(Arc<Queue>, Vec<Publishing>)>,
    /// Letters for delayed exchanges, by their place.
    held: Vec<(usize, Arc<DelayedExchange>, Held)>,
    scratch: RouteScratch,
    ids: Vec<QueueId>,
    queues: Vec<Arc<Queue>>,
}

/// Hand on all dead letters in `effects`, and those that this causes in turn. No queue may be
/// locked.
pub(crate) fn carry_out(effects: &mut Effects) {
    let mut round = 0_usize;
    let mut derived = 0_usize;
    while !effects.dead_letters.is_empty() {
        let mut burial = Burial::default();
        for letter in std::mem::take(&mut effects.dead_letters) {
            if round > 0 {
                derived += 1;
            }
            burial.address(letter, derived <= DERIVED_MAX);
        }
        round += 1;
        burial.publish(effects);
        burial.settle(effects);
    }
}

impl Burial {
    /// Find the queues of one letter, or drop it if it `goes_on` no further.
    fn address(&mut self, letter: DeadLetter, goes_on: bool) {
        let mut underway = Underway {
            letter,
            taken: 0,
            cycled: !goes_on,
        };
        self.queues.clear();
        if goes_on {
            self.find_targets(&mut underway);
        }
        // Letters are known by their place, to see which of them were refused.
        self.underway.push(underway);
    }

    fn find_targets(&mut self, underway: &mut Underway) {
        let source = &underway.letter.queue;
        // A queue that is gone takes its messages with it: nothing of it is dead-lettered.
        let Some(target) = source.dead_letter_target() else {
            return;
        };
        let Some(vhost) = source.vhost() else { return };
        let Some(message) = dead_message(&underway.letter, &target) else {
            return;
        };
        let headers = message.properties().headers();
        let extra_keys = if target.routing_key.is_some() {
            Vec::new()
        } else {
            carbon_copies(headers)
        };
        let delay = Delay::of(headers);
        let request = RouteRequest {
            routing_key: message.routing_key(),
            extra_keys: &extra_keys,
            headers,
            properties: message.properties(),
            delayed: matches!(delay, Delay::For(_)),
        };
        self.ids.clear();
        let held = vhost.route_kept(
            message.exchange(),
            &message,
            &request,
            &mut self.scratch,
            &mut self.ids,
            &mut self.queues,
        );
        if let Delay::For(delay) = delay {
            let due = source.clock().now().after(delay);
            for exchange in held {
                underway.taken += 1;
                let held = Held {
                    message: message.clone(),
                    due,
                    channel: 0,
                    confirm: 0,
                };
                self.held.push((self.underway.len(), exchange, held));
            }
        }
        let number = self.underway.len() as u64 + 1;
        for queue in self.queues.drain(..) {
            if underway.letter.reason != Reason::Rejected
                && history::is_cycle(queue.name(), headers)
            {
                tracing::warn!(source = %source.name(), target = %queue.name(), "a dead letter went in a circle; dropped");
                underway.cycled = true;
                continue;
            }
            underway.taken += 1;
            let publishing = Publishing {
                message: message.clone(),
                channel: 0,
                confirm: number,
            };
            match self
                .runs
                .iter_mut()
                .find(|(target, _)| target.id() == queue.id())
            {
                Some((_, run)) => run.push(publishing),
                None => self.runs.push((queue, vec![publishing])),
            }
        }
    }

    fn publish(&mut self, effects: &mut Effects) {
        for (at, exchange, held) in self.held.drain(..) {
            if let Err(error) = exchange.hold(&mut vec![held], effects, &mut |_, _, _| {}) {
                tracing::error!(exchange = %exchange.name(), %error, "dead letters could not be stored");
                if let Some(underway) = self.underway.get_mut(at) {
                    underway.taken -= 1;
                }
            }
        }
        for (queue, mut run) in self.runs.drain(..) {
            if let Err(error) = queue.publish(&mut run, effects, &mut |_, _, _| {}) {
                tracing::error!(queue = %queue.name(), %error, "dead letters could not be stored");
            }
            // What is left was refused, or not stored.
            for refused in run {
                let at = usize::try_from(refused.confirm)
                    .ok()
                    .and_then(|number| number.checked_sub(1));
                if let Some(underway) = at.and_then(|at| self.underway.get_mut(at)) {
                    underway.taken -= 1;
                }
            }
        }
    }

    /// Tell the store that the sources are done with what was handed on or dropped.
    fn settle(self, effects: &mut Effects) {
        let mut settles: Vec<Operation> = Vec::new();
        let mut store = None;
        for Underway {
            letter,
            taken,
            cycled,
        } in self.underway
        {
            let DeadLetter {
                queue,
                entry,
                reason,
            } = letter;
            queue.count_dead_letter(taken > 0);
            if taken == 0 && !cycled && queue.keeps_dead_letters() {
                effects.wakes.add(queue.keep_dead_letter(entry, reason));
                continue;
            }
            if entry.stored.is_stored() {
                push_settle(&mut settles, queue.id(), entry.seq, entry.stored);
                store.get_or_insert_with(|| Arc::clone(queue.store()));
            }
        }
        if let Some(store) = store
            && let Err(error) = store.append(&mut settles)
        {
            tracing::error!(%error, "dead letters could not be settled");
        }
    }
}

/// The message as it leaves the queue: another exchange and key, its history in the headers,
/// no expiration. `None` if the names don't fit into a message, which no exchange has then.
fn dead_message(letter: &DeadLetter, target: &DeadLetterTarget) -> Option<Message> {
    let message = &letter.entry.message;
    let properties = message.properties();
    let headers = properties.headers().unwrap_or_default();
    let mut routing_keys = vec![message.routing_key()];
    routing_keys.extend(carbon_copies(Some(headers)));
    let death = Death {
        reason: letter.reason,
        queue: letter.queue.name(),
        time_secs: letter.queue.clock().now().0 / 1000,
        exchange: message.exchange(),
        routing_keys: &routing_keys,
        expiration: properties.expiration(),
    };
    let headers = history::record(&death, headers, target.routing_key.is_some());
    let body = message.body();
    let header = PropertiesBuilder::from_properties(properties)
        .headers(Some(&headers))
        .expiration(None)
        .build(body.len() as u64)
        .ok()?;
    let routing_key = target
        .routing_key
        .as_deref()
        .map_or(message.routing_key(), str::as_bytes);
    let body = if body.len() > INLINE_BODY_MAX {
        BodyPart::Bytes(message.body_bytes())
    } else {
        BodyPart::Slice(body)
    };
    Message::from_parts(target.exchange.as_bytes(), routing_key, &header, body).ok()
}

/// The keys in the CC header. Those of BCC were known to the publisher's own routing alone.
pub(crate) fn carbon_copies(headers: Option<RawTable<'_>>) -> Vec<&[u8]> {
    let Some(RawValue::Array(keys)) = headers.and_then(|headers| headers.get(b"CC")) else {
        return Vec::new();
    };
    let keys = keys.iter().filter_map(|key| match key {
        RawValue::LongString(key) => Some(key),
        _ => None,
    });
    keys.collect()
}
