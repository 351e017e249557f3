//! Carries steps out on a real queue, and tells the oracle what went in and what came out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};

use leveret_store::{FetchLimit, MemoryStore, Store as _};

use super::oracle::{Channel, Consumer, Given, Known, Oracle};
use super::{CONNECTIONS, Settlement, Step};
use crate::entry::Entry;
use crate::mailbox::{Delivery, Got, Notice};
use crate::queue::tests::rig::{Options, Reader, Rig, message, number, properties, run_of};
use crate::queue::{ConsumerId, GetOutcome, QueueCounts};

/// Marks of the connections: one is soon full, one later, one never.
const MARKS: [(usize, usize); CONNECTIONS] = [(600, 200), (5_000, 5_000), (1 << 30, 1 << 30)];

pub(super) struct Player {
    rig: Rig,
    durable: bool,
    /// Two channels of each connection.
    channels: Vec<Reader>,
    /// The connection that uses basic.get.
    getter: Reader,
    consumers: BTreeMap<u32, ConsumerId>,
    /// Consumers that were cancelled, for late settles.
    cancelled: BTreeMap<u32, ConsumerId>,
    given: Vec<Given>,
    /// basic.get requests that wait, with their `no_ack`.
    waiting_gets: BTreeMap<u64, bool>,
    next_key: u32,
    next_request: u64,
    next_number: u64,
    oracle: Oracle,
}

/// Something that left the queue, before it is known what came first.
enum Taken {
    Got {
        request: u64,
        remaining: u64,
        entry: Entry,
    },
    Delivered {
        consumer: u32,
        counted: bool,
        entry: Entry,
    },
}

impl Taken {
    fn entry(&self) -> &Entry {
        match self {
            Self::Got { entry, .. } | Self::Delivered { entry, .. } => entry,
        }
    }
}

impl Player {
    pub(super) fn new(durable: bool, memory_limit: usize) -> Self {
        let channels: Vec<Reader> = MARKS
            .iter()
            .flat_map(|(high, low)| {
                let first = Reader::with_marks(*high, *low);
                let second = first.channel();
                [first, second]
            })
            .collect();
        let oracle = Oracle {
            channels: vec![Channel::default(); channels.len()],
            outstanding: vec![0; CONNECTIONS],
            high: MARKS.iter().map(|(high, _)| *high).collect(),
            ..Oracle::default()
        };
        Self {
            rig: Rig::on(
                MemoryStore::manual(),
                properties(durable, false),
                memory_limit,
            ),
            durable,
            channels,
            getter: Reader::new(),
            consumers: BTreeMap::new(),
            cancelled: BTreeMap::new(),
            given: Vec::new(),
            waiting_gets: BTreeMap::new(),
            next_key: 0,
            next_request: 0,
            next_number: 0,
            oracle,
        }
    }

    pub(super) fn play(&mut self, step: &Step) {
        match *step {
            Step::Publish {
                count,
                persistent,
                large,
            } => self.publish(count, persistent, large),
            Step::Consume {
                channel,
                no_ack,
                prefetch,
                priority,
            } => {
                self.consume(
                    Options {
                        no_ack,
                        prefetch,
                        priority,
                        ..Options::default()
                    },
                    channel,
                );
            }
            Step::Cancel { consumer } => {
                if !self.consumers.is_empty() {
                    let key = *consumer.get(&self.consumers.keys().copied().collect::<Vec<_>>());
                    self.cancel(key);
                }
            }
            Step::Settle { first, count, how } => {
                if !self.given.is_empty() {
                    let first = first.index(self.given.len());
                    let last = (first + count).min(self.given.len());
                    let some = self.given.drain(first..last).collect();
                    self.settle(some, how);
                }
            }
            Step::Get { no_ack } => self.get(no_ack),
            Step::Purge => {
                assert_eq!(self.rig.purge(), self.oracle.ready.len() as u64);
                let purged = std::mem::take(&mut self.oracle.ready);
                self.oracle.gone.extend(purged.keys());
                self.observe();
            }
            Step::Drain { connection } => self.drain(connection),
            Step::Limit { channel, limit } => self.limit(channel, limit),
            Step::Answer => {
                self.rig.store.answer();
                self.observe();
            }
        }
        self.check();
    }

    fn publish(&mut self, count: u64, persistent: u8, large: bool) {
        let mut run = Vec::new();
        let mut durable = 0;
        for at in 0..count {
            let known = Known {
                number: self.next_number,
                bytes: if large && at == 0 { 140_000 } else { 7 },
                persistent: self.durable && (persistent >> (at % 8)) & 1 == 1,
                returns: 0,
            };
            let persistent = (persistent >> (at % 8)) & 1 == 1;
            run.push(message(
                known.number,
                persistent,
                usize::try_from(known.bytes).unwrap(),
            ));
            durable += usize::from(known.persistent);
            self.next_number += 1;
            self.oracle.publish(known);
        }
        let confirms = self.rig.publish(run);
        assert_eq!(
            confirms.len(),
            durable,
            "each message that lasts waits for the disk"
        );
        assert!(confirms.is_sorted_by_key(|(_, ticket)| *ticket));
        self.observe();
    }

    fn consume(&mut self, options: Options, channel: usize) {
        let key = self.next_key;
        self.next_key += 1;
        let consumer = Consumer {
            channel,
            no_ack: options.no_ack,
            prefetch: options.prefetch,
            priority: options.priority,
            unacked: 0,
            maybe_stalled: false,
            joined: None,
        };
        self.oracle.consumer_joins(key, consumer);
        let id = self
            .rig
            .consume(&self.channels[channel], Options { key, ..options });
        self.consumers.insert(key, id);
        self.observe();
    }

    fn cancel(&mut self, key: u32) {
        let id = self.consumers.remove(&key).unwrap();
        self.rig.queue.remove_consumer(id);
        self.oracle.consumers.remove(&key);
        self.cancelled.insert(key, id);
        self.observe();
    }

    /// Settle messages of one or more consumers in one go, as a command with `multiple` does.
    fn settle(&mut self, some: Vec<Given>, how: Settlement) {
        let requeued = how == Settlement::Requeue;
        let mut connections = BTreeSet::new();
        let mut by_consumer: BTreeMap<Option<u32>, Vec<Entry>> = BTreeMap::new();
        for given in some {
            self.oracle.settles(given.entry.seq, requeued);
            if given.counted {
                self.channels[given.channel].credit.give_back(1);
                self.oracle.channels[given.channel].counted -= 1;
            }
            connections.insert(given.channel / 2);
            by_consumer
                .entry(given.consumer)
                .or_default()
                .push(given.entry);
        }
        let mut runs = Vec::new();
        for (key, entries) in &by_consumer {
            let id = key.and_then(|key| {
                self.consumers
                    .get(&key)
                    .or_else(|| self.cancelled.get(&key))
                    .copied()
            });
            runs.push(run_of(id, entries));
            if let Some(key) = key {
                self.oracle
                    .consumer_settles(*key, u32::try_from(entries.len()).unwrap());
            }
        }
        let mut entries: Vec<Entry> = by_consumer.into_values().flatten().collect();
        if requeued {
            self.rig.requeue_runs(&runs, entries);
        } else {
            entries.sort_by_key(|entry| entry.seq);
            self.rig.settle(&runs, &entries);
        }
        self.observe();
        for connection in connections {
            self.resume(connection);
        }
    }

    fn get(&mut self, no_ack: bool) {
        self.next_request += 1;
        let request = self.next_request;
        self.waiting_gets.insert(request, no_ack);
        match self.rig.get(no_ack, &self.getter, request) {
            GetOutcome::Got(Got { entry, remaining }) => {
                self.observe_with(vec![Taken::Got {
                    request,
                    remaining,
                    entry,
                }]);
            }
            GetOutcome::Empty => {
                self.waiting_gets.remove(&request);
                assert!(
                    self.oracle.ready.is_empty(),
                    "get-empty while {} are ready",
                    self.oracle.ready.len()
                );
                self.observe();
            }
            GetOutcome::Waiting => {
                assert!(!self.oracle.ready.is_empty());
                self.observe();
            }
            GetOutcome::Gone => panic!("nobody deletes the queue"),
        }
    }

    fn drain(&mut self, connection: usize) {
        let written = std::mem::take(&mut self.oracle.outstanding[connection]);
        self.channels[2 * connection].mailbox.release(written);
        self.resume(connection);
    }

    fn limit(&mut self, channel: usize, limit: u32) {
        let mut uncounted = 0;
        for given in self
            .given
            .iter_mut()
            .filter(|given| given.channel == channel && !given.counted)
        {
            given.counted = true;
            uncounted += 1;
        }
        let credit = &self.channels[channel].credit;
        credit.add(uncounted);
        credit.set_limit(limit);
        self.oracle.channels[channel].limit = limit;
        self.oracle.channels[channel].counted += uncounted;
        self.resume(channel / 2);
    }

    /// Serve consumers of a connection that were passed over, as a session does after every
    /// command that may have made room.
    fn resume(&mut self, connection: usize) {
        let stalled = self.channels[2 * connection].mailbox.take_stalled();
        if self.oracle.outstanding[connection] <= MARKS[connection].1 {
            // All who were passed over have been told; nobody else was.
            let stalled: BTreeSet<u32> = stalled
                .iter()
                .filter_map(|(_, id)| self.key_of(*id))
                .collect();
            for (key, consumer) in &mut self.oracle.consumers {
                if consumer.channel / 2 == connection && !stalled.contains(key) {
                    consumer.maybe_stalled = false;
                }
            }
        } else {
            assert!(
                stalled.is_empty(),
                "over the low mark nobody is served again"
            );
        }
        for (queue, id) in stalled {
            if let Some(key) = self.key_of(id) {
                self.oracle.consumer_resumes(key);
            }
            queue.resume(id, &mut self.rig.effects).unwrap();
            self.observe();
        }
    }

    fn key_of(&self, id: ConsumerId) -> Option<u32> {
        self.consumers
            .iter()
            .find(|(_, known)| **known == id)
            .map(|(key, _)| *key)
    }

    fn observe(&mut self) {
        self.observe_with(Vec::new());
    }

    /// Tell the oracle what has left the queue, in the order of the messages.
    fn observe_with(&mut self, mut taken: Vec<Taken>) {
        for notice in self.getter.notices() {
            match notice {
                Notice::Got {
                    request,
                    got: Some(Got { entry, remaining }),
                    ..
                } => {
                    taken.push(Taken::Got {
                        request,
                        remaining,
                        entry,
                    });
                }
                Notice::Got {
                    request, got: None, ..
                } => {
                    assert!(self.waiting_gets.remove(&request).is_some());
                    assert!(
                        self.oracle.ready.is_empty(),
                        "get-empty while messages are ready"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        for connection in 0..CONNECTIONS {
            for delivery in self.channels[2 * connection].deliveries() {
                let Delivery {
                    entry,
                    consumer,
                    counted,
                } = delivery;
                taken.push(Taken::Delivered {
                    consumer,
                    counted,
                    entry,
                });
            }
        }
        taken.sort_by_key(|taken| taken.entry().seq);
        for taken in taken {
            let entry = taken.entry();
            let (seq, what) = (entry.seq, (number(&entry.message), entry.delivery_count));
            match taken {
                Taken::Got {
                    request,
                    remaining,
                    entry,
                } => self.note_got(request, remaining, what, entry),
                Taken::Delivered {
                    consumer,
                    counted,
                    entry,
                } => {
                    assert!(
                        self.waiting_gets.is_empty(),
                        "somebody asked for {seq} before consumer {consumer}'s turn"
                    );
                    self.oracle
                        .delivered(consumer, seq, what, entry.cost(), counted);
                    let to = &self.oracle.consumers[&consumer];
                    if !to.no_ack {
                        let channel = to.channel;
                        self.given.push(Given {
                            entry,
                            consumer: Some(consumer),
                            channel,
                            counted,
                        });
                    }
                }
            }
        }
        self.oracle.step_ends();
    }

    fn note_got(
        &mut self,
        request: u64,
        remaining: u64,
        (number, returns): (u64, u32),
        entry: Entry,
    ) {
        let (oldest, no_ack) = self.waiting_gets.pop_first().expect("somebody asked");
        assert_eq!(oldest, request, "gets are answered in their order");
        self.oracle.got(entry.seq, number, returns, no_ack);
        assert_eq!(remaining, self.oracle.ready.len() as u64);
        if !no_ack {
            // Gets come in on a channel without a limit of its own.
            self.given.push(Given {
                entry,
                consumer: None,
                channel: 2 * CONNECTIONS - 1,
                counted: false,
            });
        }
    }

    /// What must be true between any two steps.
    fn check(&self) {
        let known = self
            .oracle
            .ready
            .values()
            .chain(self.oracle.unacked.values());
        let counts = QueueCounts {
            ready: self.oracle.ready.len() as u64,
            unacked: self.oracle.unacked.len() as u64,
            bytes: known.map(|known| known.bytes).sum(),
            consumers: self.consumers.len(),
        };
        assert_eq!(self.rig.counts(), counts);
        let (has_next, memory) = {
            let state = self.rig.queue.state.lock();
            (state.ready.has_next(), state.ready.memory())
        };
        assert_eq!(self.rig.memory.used(), memory);
        if has_next {
            assert_eq!(
                self.oracle.idle(),
                None,
                "a message waits although this consumer has credit"
            );
            assert!(
                self.waiting_gets.is_empty(),
                "a message waits although somebody wants to get it"
            );
        }
        let credits: Vec<_> = self
            .channels
            .iter()
            .map(|channel| Arc::clone(&channel.credit))
            .collect();
        self.oracle.check_credit(&credits);
    }

    /// Everything that is left comes out, and the store keeps nothing of it.
    pub(super) fn finish(mut self) {
        self.play(&Step::Answer);
        let alive = |oracle: &Oracle| -> BTreeMap<u64, bool> {
            oracle
                .ready
                .iter()
                .chain(&oracle.unacked)
                .map(|(seq, known)| (*seq, known.persistent))
                .collect()
        };
        let expected = alive(&self.oracle);
        let stored = self.stored();
        for (seq, persistent) in &expected {
            assert!(
                !persistent || stored.get(seq) == Some(&true),
                "the store has lost {seq}"
            );
        }
        for seq in stored.keys() {
            assert!(expected.contains_key(seq), "the store still has {seq}");
        }
        for key in self.consumers.keys().copied().collect::<Vec<_>>() {
            self.cancel(key);
        }
        let roomy = 2 * CONNECTIONS - 1;
        self.limit(roomy, 0);
        self.consume(Options::default(), roomy);
        self.play(&Step::Answer);
        assert!(
            self.oracle.ready.is_empty(),
            "{} messages never come",
            self.oracle.ready.len()
        );
        assert!(
            self.waiting_gets.is_empty(),
            "{} gets are never answered",
            self.waiting_gets.len()
        );
        let given = std::mem::take(&mut self.given);
        self.settle(given, Settlement::Done);
        self.check();
        assert_eq!(
            self.oracle.gone.len() as u64,
            self.next_number,
            "every message went out for good once"
        );
        assert!(self.stored().is_empty(), "what is settled leaves the store");
    }

    /// What the store has of the queue: sequences, and whether they survive a restart.
    fn stored(&mut self) -> BTreeMap<u64, bool> {
        let limit = FetchLimit {
            messages: usize::MAX,
            bytes: usize::MAX,
        };
        let (sender, receiver) = mpsc::channel();
        let done = move |fetched| drop(sender.send(fetched));
        self.rig
            .store
            .fetch(self.rig.queue.id(), 0, limit, Box::new(done));
        self.play(&Step::Answer);
        let fetched = receiver.recv().unwrap().unwrap();
        fetched
            .iter()
            .map(|fetched| (fetched.seq, fetched.persistent))
            .collect()
    }
}
