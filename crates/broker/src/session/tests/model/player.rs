//! Carries the steps out, and keeps what each client knows and what must be where.

use std::collections::{BTreeMap, BTreeSet};

use leveret_wire::method::{basic, tx};

use super::{CLIENTS, Place, QUEUES, Settlement, Step};
use crate::Limits;
use crate::session::tests::rig::{
    Client, Node, cancel, consume, consume_no_ack, declare, declare_durable, get, persistent, to,
};

/// The channel that is transactional.
const TRANSACTIONAL: Place = Place {
    client: 0,
    channel: 2,
};

/// A message by its number, which is also its body. The remainder by [`QUEUES`] is its queue.
type Number = u64;

/// What a client knows of one channel.
#[derive(Default)]
struct Channel {
    /// What it was told and has not settled, by delivery tag.
    outstanding: BTreeMap<u64, Number>,
    consumers: Vec<String>,
    /// It has sent channel.close and waits.
    closing: bool,
    /// Of an open transaction.
    published: Vec<(Number, bool)>,
    settled: Vec<(Settlement, BTreeMap<u64, Number>)>,
}

pub(super) struct Player {
    node: Node,
    clients: Vec<Client>,
    channels: BTreeMap<Place, Channel>,
    /// Messages that some queue is responsible for, and whether they survive a restart.
    alive: BTreeMap<Number, bool>,
    /// Every message, in the order in which they entered their queues.
    arrived: Vec<Number>,
    /// Messages that some client was told of at least once.
    told: BTreeSet<Number>,
    published: Vec<u64>,
    names: u64,
}

fn queue_name(queue: usize) -> String {
    format!("q{queue}")
}

fn queue_of(number: Number) -> usize {
    usize::try_from(number % QUEUES as u64).unwrap()
}

impl Player {
    pub(super) fn new((outbox_high_bytes, outbox_low_bytes): (usize, usize)) -> Self {
        let limits = Limits {
            outbox_high_bytes,
            outbox_low_bytes,
            message_memory_bytes: 1_000,
            ..Limits::default()
        };
        let node = Node::with_limits(limits);
        let mut first = node.client();
        first.call(1, declare_durable(&queue_name(0)));
        for queue in 1..QUEUES {
            first.call(1, declare(&queue_name(queue)));
        }
        node.sync();
        first.close();
        let mut player = Self {
            clients: (0..CLIENTS).map(|_| node.client()).collect(),
            node,
            channels: BTreeMap::new(),
            alive: BTreeMap::new(),
            arrived: Vec::new(),
            told: BTreeSet::new(),
            published: vec![0; QUEUES],
            names: 0,
        };
        for client in 0..CLIENTS {
            for channel in 1..3 {
                player.opened(Place { client, channel });
            }
        }
        player
    }

    /// Let `count` messages wait in each queue.
    pub(super) fn fill(&mut self, count: usize) {
        for queue in 0..QUEUES {
            for run in [1, count.saturating_sub(1)] {
                if count > 0 {
                    self.publish(
                        Place {
                            client: 1,
                            channel: 1,
                        },
                        queue,
                        run % 2 == 0,
                        run,
                    );
                    self.clients[1].flush();
                }
            }
        }
    }

    pub(super) fn play(&mut self, step: &Step) {
        match *step {
            Step::Publish {
                at,
                queue,
                persistent,
                count,
            } => self.publish(at, queue, persistent, count),
            Step::Consume { at, queue } => self.consume(at, queue),
            Step::Cancel { at, consumer } => self.cancel(at, consumer),
            Step::Get { at, queue } => {
                if self.is_open(at) {
                    self.clients[at.client].call(at.channel, get(&queue_name(queue)));
                }
            }
            Step::Settle {
                at,
                which,
                how,
                multiple,
            } => self.settle(at, which, how, multiple),
            Step::Recover { at } => self.recover(at),
            Step::Qos { at, count, global } => {
                if self.is_open(at) {
                    self.clients[at.client].call(
                        at.channel,
                        basic::Qos {
                            prefetch_count: count,
                            global,
                        },
                    );
                }
            }
            Step::Hold { at } => {
                if self.is_open(at) {
                    self.names += 1;
                    self.clients[at.client]
                        .call(at.channel, declare_durable(&format!("hold-{}", self.names)));
                }
            }
            Step::End { commit } => self.end_transaction(commit),
            Step::CloseChannel { at } => {
                if self.is_open(at) {
                    self.listen(at.client);
                    self.clients[at.client].close_channel(at.channel);
                    let channel = Channel {
                        closing: true,
                        ..Channel::default()
                    };
                    self.channels.insert(at, channel);
                }
            }
            Step::FailChannel { at } => {
                if self.is_open(at) {
                    self.clients[at.client].channel_failed(at.channel);
                    self.listen(at.client);
                    self.clients[at.client].open(at.channel);
                    self.opened(at);
                }
            }
            Step::CloseConnection { client } => self.reconnect(client),
            Step::Flush { client } => self.clients[client].flush(),
            Step::Poll { client } => self.clients[client].poll_unwritten().unwrap(),
            Step::Run { client } => self.clients[client].settle().unwrap(),
            Step::Sync => self.node.sync(),
            Step::Answer => {
                self.node.store.answer();
            }
        }
        for client in 0..CLIENTS {
            self.listen(client);
        }
    }

    fn is_open(&self, at: Place) -> bool {
        self.channels
            .get(&at)
            .is_some_and(|channel| !channel.closing)
    }

    fn opened(&mut self, at: Place) {
        self.channels.insert(at, Channel::default());
        if at == TRANSACTIONAL {
            self.clients[at.client].call(at.channel, tx::Select {});
        }
    }

    fn reconnect(&mut self, client: usize) {
        let new = self.node.client();
        std::mem::replace(&mut self.clients[client], new).close();
        for channel in 1..3 {
            self.opened(Place { client, channel });
        }
    }

    fn publish(&mut self, at: Place, queue: usize, lasting: bool, count: usize) {
        if !self.is_open(at) {
            return;
        }
        for _ in 0..count {
            let number = self.published[queue] * QUEUES as u64 + queue as u64;
            self.published[queue] += 1;
            let body = number.to_string();
            let message = if lasting {
                persistent(&queue_name(queue), &body)
            } else {
                to(&queue_name(queue), &body)
            };
            self.clients[at.client].publish(at.channel, message);
            let lasts = lasting && queue == 0;
            if at == TRANSACTIONAL {
                self.channels
                    .get_mut(&at)
                    .unwrap()
                    .published
                    .push((number, lasts));
            } else {
                self.alive.insert(number, lasts);
                self.arrived.push(number);
            }
        }
        // Messages of two connections are numbered in the order in which their queue takes them.
        if at != TRANSACTIONAL {
            self.clients[at.client].flush();
        }
    }

    fn consume(&mut self, at: Place, queue: usize) {
        if self.is_open(at) {
            self.names += 1;
            let tag = format!("t{}", self.names);
            self.clients[at.client].call(at.channel, consume(&queue_name(queue), &tag));
            self.channels.get_mut(&at).unwrap().consumers.push(tag);
        }
    }

    fn cancel(&mut self, at: Place, consumer: proptest::sample::Index) {
        let channel = self.channels.get_mut(&at).unwrap();
        if channel.closing || channel.consumers.is_empty() {
            return;
        }
        let tag = channel
            .consumers
            .remove(consumer.index(channel.consumers.len()));
        self.clients[at.client].call(at.channel, cancel(&tag));
    }

    fn settle(
        &mut self,
        at: Place,
        which: proptest::sample::Index,
        how: Settlement,
        multiple: bool,
    ) {
        let channel = self.channels.get_mut(&at).unwrap();
        if channel.closing || channel.outstanding.is_empty() {
            return;
        }
        let tags: Vec<u64> = channel.outstanding.keys().copied().collect();
        let tag = *which.get(&tags);
        let first = if multiple { 0 } else { tag };
        let (settled, left) = std::mem::take(&mut channel.outstanding)
            .into_iter()
            .partition(|(known, _)| (first..=tag).contains(known));
        channel.outstanding = left;
        if at == TRANSACTIONAL {
            channel.settled.push((how, settled));
        } else if how != Settlement::Requeue {
            self.alive
                .retain(|number, _| !settled.values().any(|settled| settled == number));
        }
        let client = &mut self.clients[at.client];
        match (how, multiple) {
            (Settlement::Ack, _) => client.ack(at.channel, tag, multiple),
            (Settlement::Discard, false) => client.reject(at.channel, tag, false),
            _ => client.nack(at.channel, tag, multiple, how == Settlement::Requeue),
        }
    }

    fn recover(&mut self, at: Place) {
        if self.is_open(at) {
            // What comes again has new tags, which are heard of later.
            self.channels.get_mut(&at).unwrap().outstanding.clear();
            self.clients[at.client].call(at.channel, basic::Recover { requeue: true });
        }
    }

    fn end_transaction(&mut self, commit: bool) {
        let at = TRANSACTIONAL;
        if !self.is_open(at) {
            return;
        }
        let channel = self.channels.get_mut(&at).unwrap();
        let (published, settled) = (
            std::mem::take(&mut channel.published),
            std::mem::take(&mut channel.settled),
        );
        if commit {
            let waits = published.iter().any(|(_, lasts)| *lasts);
            self.arrived
                .extend(published.iter().map(|(number, _)| *number));
            self.alive.extend(published);
            for (how, settled) in settled {
                if how != Settlement::Requeue {
                    self.alive
                        .retain(|number, _| !settled.values().any(|settled| settled == number));
                }
            }
            self.clients[at.client].call(at.channel, tx::Commit {});
            if waits {
                // Nothing may come on the channel before.
                self.node.sync();
            }
        } else {
            for (_, settled) in settled {
                channel.outstanding.extend(settled);
            }
            self.clients[at.client].call(at.channel, tx::Rollback {});
        }
    }

    /// Learn what a client was told.
    fn listen(&mut self, client: usize) {
        for line in self.clients[client].lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let at = Place {
                client,
                channel: words[0].parse().unwrap(),
            };
            match words[1..] {
                // `deliver <consumer> <tag> <body>` and `get-ok <tag> left <count> <body>`.
                ["deliver", _, tag, body, ref mark @ ..]
                | ["get-ok", tag, "left", _, body, ref mark @ ..] => {
                    self.heard_message(
                        at,
                        tag.parse().unwrap(),
                        body.parse().unwrap(),
                        !mark.is_empty(),
                        &line,
                    );
                }
                ["close-ok"] => {
                    assert!(self.channels[&at].closing, "{line}");
                    self.clients[client].open(at.channel);
                    self.opened(at);
                }
                ["close", ..] => panic!("client {client} did nothing wrong: {line}"),
                _ => {}
            }
        }
    }

    fn heard_message(
        &mut self,
        at: Place,
        tag: u64,
        number: Number,
        redelivered: bool,
        line: &str,
    ) {
        assert!(
            self.alive.contains_key(&number),
            "{line}: it was settled for good, or never published"
        );
        for (place, channel) in &self.channels {
            let held = channel
                .settled
                .iter()
                .flat_map(|(_, settled)| settled.values());
            let twice = channel
                .outstanding
                .values()
                .chain(held)
                .any(|known| *known == number);
            assert!(!twice, "{line}: {place:?} has it already");
        }
        assert_eq!(
            redelivered,
            !self.told.insert(number),
            "{line}: told before or not"
        );
        let channel = self.channels.get_mut(&at).unwrap();
        assert!(
            !channel.outstanding.contains_key(&tag),
            "{line}: a tag is used once"
        );
        if !channel.closing {
            channel.outstanding.insert(tag, number);
        }
    }

    /// Everybody leaves; what is left must be in its queue, in its order, once.
    pub(super) fn finish(mut self) {
        self.node.sync();
        for client in 0..CLIENTS {
            self.clients[client].settle().unwrap();
            self.listen(client);
        }
        for client in std::mem::take(&mut self.clients) {
            client.close();
        }
        self.node.store.answer();
        assert_eq!(
            self.node.counts(),
            (self.alive.len() as u64, 0, 0),
            "ready, unacknowledged, consumers"
        );
        self.node.sync();
        let restarted = Node::on(self.node.store.reopen(), Limits::default());
        let lasting: BTreeSet<Number> = self
            .alive
            .iter()
            .filter(|(_, lasts)| **lasts)
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(
            drained(&restarted, 0)
                .into_iter()
                .map(|(number, _)| number)
                .collect::<BTreeSet<_>>(),
            lasting
        );
        for queue in 0..QUEUES {
            let left = drained(&self.node, queue);
            let expected: Vec<Number> = self
                .arrived
                .iter()
                .copied()
                .filter(|number| queue_of(*number) == queue && self.alive.contains_key(number))
                .collect();
            assert_eq!(
                left.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
                expected
            );
            for (number, redelivered) in left {
                assert_eq!(
                    redelivered,
                    self.told.contains(&number),
                    "{number} was told before or not"
                );
            }
        }
    }
}

/// Everything in a queue, oldest first, with its redelivered mark.
fn drained(node: &Node, queue: usize) -> Vec<(Number, bool)> {
    let mut client = node.client();
    client.call(1, consume_no_ack(&queue_name(queue), "t"));
    let mut lines = client.heard();
    while node.store.answer() > 0 {
        lines.extend(client.heard());
    }
    lines
        .iter()
        .filter_map(|line| {
            let mut words = line.strip_prefix("1 deliver t ")?.split(' ').skip(1);
            Some((words.next()?.parse().unwrap(), words.next().is_some()))
        })
        .collect()
}
