//! Reads by due time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BATCH, Orderer, Request};
use crate::embedded::reader::Read;
use crate::index::queue::Located;
use crate::log::segment;
use crate::moment::{self, Mark};
use crate::{DueBatch, DueKey, Fetched, QueueId, StoreError};

/// Messages that one answer has at most.
const MESSAGES_MAX: usize = 4096;
/// How often a message is looked up again because compaction moved it.
const ATTEMPTS: usize = 50;

impl Orderer<'_> {
    pub(super) fn serve(&mut self, request: Request) {
        let batch = self.fetch(&request);
        self.refill(request.queue);
        // Whoever asked must not take the thread with it.
        let done = request.done;
        if catch_unwind(AssertUnwindSafe(|| done(batch))).is_err() {
            tracing::error!("the receiver of a read by due time has panicked");
        }
    }

    fn fetch(&mut self, request: &Request) -> Result<DueBatch, StoreError> {
        let queue = request.queue;
        let limit = request.limit.messages.clamp(1, MESSAGES_MAX);
        let mut batch = DueBatch::default();
        let mut bytes = 0;
        let mut from = request.from;
        self.spill();
        loop {
            let wanted = limit - batch.messages.len();
            // One more, to know what comes next.
            let keys = self.keys(queue, from, wanted + 1);
            let complete = keys.len() <= wanted;
            let due = keys.iter().take_while(|key| key.due <= request.until);
            let due: Vec<DueKey> = due.take(wanted).copied().collect();
            let mut read = self.read_all(queue, &due)?.into_iter();
            for key in &due {
                let Some((_, fetched)) = read.next_if_key(*key) else {
                    continue;
                };
                bytes += fetched.message.encoded_len();
                if bytes > request.limit.bytes && !batch.messages.is_empty() {
                    batch.next = Some(*key);
                    return Ok(batch);
                }
                batch.messages.push((key.due, fetched));
            }
            let after = keys.get(due.len()).copied();
            let reached = after.is_some_and(|key| key.due > request.until);
            if complete || reached || batch.messages.len() >= limit {
                batch.next = after;
                return Ok(batch);
            }
            // Some were not live any more: go on where these ended.
            from = due.last().map_or(from, |last| last.next());
        }
    }

    /// The first keys from `from` on, at most `count`.
    fn keys(&mut self, queue: QueueId, from: DueKey, count: usize) -> Vec<DueKey> {
        let (mut keys, horizon, spilled) = {
            let state = self.shared.timed.state.lock();
            let Some(line) = state.lines.get(&queue) else {
                return Vec::new();
            };
            let near: Vec<DueKey> = line.from(from).take(count).collect();
            (near, line.horizon(), line.spilled_from(from))
        };
        if let Some(horizon) = horizon
            && keys.len() < count
        {
            match self.far.range(queue, from.max(horizon), count - keys.len()) {
                Ok(far) => keys.extend(far),
                Err(broken) => {
                    self.leave_tree(&broken);
                    return self.keys(queue, from, count);
                }
            }
            // Near keys may have gone away just now.
            keys.extend(spilled);
            keys.sort_unstable();
            keys.dedup();
            keys.truncate(count);
        }
        keys
    }

    /// Read the messages of `keys`, in that order. Those that are not live, or cannot be read, are left out and
    /// forgotten.
    fn read_all(&mut self, queue: QueueId, keys: &[DueKey]) -> Result<Found, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        let mut gone = Vec::new();
        let mut wanted = keys.to_vec();
        let mut attempts = 0;
        while !wanted.is_empty() {
            self.reader.rest();
            let mut located = self.locate(queue, &wanted, &mut gone);
            // In the order in which they stand in the log; they are put in order of due time at the end.
            located.sort_unstable_by_key(|(_, place)| (place.segment, place.place.offset()));
            let places: Vec<Located> = located.iter().map(|(_, place)| *place).collect();
            wanted.clear();
            for (at, (key, place)) in located.iter().enumerate() {
                let ahead = places.get(at..).unwrap_or(&[]);
                match self.reader.read(queue, place, ahead) {
                    Read::Message(message) => {
                        let due = moment::of(&message, Mark::DUE).unwrap_or(0);
                        if due != key.due {
                            // The tree was wrong: the message knows better.
                            gone.push(*key);
                            let seq = key.seq;
                            drop(self.shared.timed.add([(queue, DueKey { due, seq })]));
                            continue;
                        }
                        found.push((
                            *key,
                            Fetched {
                                seq: key.seq,
                                message,
                                delivery_count: place.delivery_count,
                                persistent: !place.transient,
                            },
                        ));
                    }
                    Read::Moved if attempts < ATTEMPTS => wanted.push(*key),
                    Read::Moved => {
                        self.reader.lose(queue, place, "its segment is gone");
                        gone.push(*key);
                    }
                    Read::Damaged(reason) => {
                        self.reader.lose(queue, place, &reason);
                        gone.push(*key);
                    }
                    Read::Failed(error) => {
                        let path = segment::path(self.reader.folder(), place.segment);
                        return Err(StoreError::io("reading", &path, &error));
                    }
                }
            }
            attempts += 1;
        }
        self.remove(queue, &gone);
        found.sort_unstable_by_key(|(key, _)| *key);
        Ok(Found(found))
    }

    /// Where the live ones of `keys` stand; the others are `gone`.
    fn locate(
        &self,
        queue: QueueId,
        keys: &[DueKey],
        gone: &mut Vec<DueKey>,
    ) -> Vec<(DueKey, Located)> {
        let index = self.shared.index.lock();
        let mut located = Vec::with_capacity(keys.len());
        for key in keys {
            match index.find(queue, key.seq) {
                Some(place) => located.push((*key, place)),
                None => gone.push(*key),
            }
        }
        located
    }

    /// Forget keys.
    fn remove(&mut self, queue: QueueId, keys: &[DueKey]) {
        if keys.is_empty() {
            return;
        }
        let far: Vec<DueKey> = {
            let mut state = self.shared.timed.state.lock();
            let Some(line) = state.lines.get_mut(&queue) else {
                return;
            };
            for key in keys {
                line.remove(*key);
            }
            let horizon = line.horizon();
            let far = keys.iter().copied();
            far.filter(|key| horizon.is_some_and(|horizon| *key >= horizon))
                .collect()
        };
        if !far.is_empty()
            && let Err(broken) = self.far.remove(queue, &far)
        {
            self.leave_tree(&broken);
        }
    }

    /// Let far keys come near when few are left there.
    fn refill(&mut self, queue: QueueId) {
        let timed = &self.shared.timed;
        let horizon = {
            let state = timed.state.lock();
            let low = timed.near_max(state.lines.len()) / 4;
            let line = state.lines.get(&queue);
            line.filter(|line| line.near_len() <= low)
                .and_then(super::line::Line::horizon)
        };
        let Some(horizon) = horizon else {
            return;
        };
        let batch = timed.near_max.map_or(BATCH, |near_max| near_max / 2 + 1);
        let pulled = self.far.range(queue, horizon, batch + 1);
        let pulled = pulled.and_then(|keys| {
            let near = keys.get(..batch.min(keys.len())).unwrap_or(&[]).to_vec();
            self.far.remove(queue, &near)?;
            Ok((near, keys.get(batch).copied()))
        });
        match pulled {
            Ok((near, next)) => {
                let mut state = timed.state.lock();
                let landed = state
                    .lines
                    .get_mut(&queue)
                    .map_or(0, |line| line.approach(&near, next));
                state.spilled -= landed.min(state.spilled);
            }
            Err(broken) => self.leave_tree(&broken),
        }
    }

    /// Bring keys to the tree if there are many of them.
    pub(super) fn spill_if_much(&mut self) {
        let spilled = self.shared.timed.state.lock().spilled;
        if spilled >= BATCH {
            self.spill();
        }
    }

    /// Bring keys to the tree.
    pub(super) fn spill(&mut self) {
        let timed = &self.shared.timed;
        loop {
            let taken = {
                let mut state = timed.state.lock();
                let found = state.lines.iter_mut().find(|(_, line)| line.spilled() > 0);
                found.map(|(queue, line)| (*queue, line.take_spill()))
            };
            let Some((queue, mut keys)) = taken else {
                return;
            };
            // Neighbours in the tree one after the other.
            keys.sort_unstable();
            for part in keys.chunks(BATCH) {
                if let Err(broken) = self.far.insert(queue, part) {
                    self.leave_tree(&broken);
                    break;
                }
            }
            let mut state = timed.state.lock();
            state.spilled -= keys.len().min(state.spilled);
            drop(state);
            timed.room.notify_all();
        }
    }
}

/// Messages read, in order of their keys.
struct Found(Vec<(DueKey, Fetched)>);

impl Found {
    fn into_iter(self) -> FoundIter {
        FoundIter(self.0.into_iter().peekable())
    }
}

struct FoundIter(std::iter::Peekable<std::vec::IntoIter<(DueKey, Fetched)>>);

impl FoundIter {
    /// The next one, if it is that of `key`.
    fn next_if_key(&mut self, key: DueKey) -> Option<(DueKey, Fetched)> {
        self.0.next_if(|(found, _)| *found == key)
    }
}
