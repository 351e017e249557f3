//! Random histories of queues with limits, times to live, priorities and dead-letter exchanges
//! that may lead in circles, and of a single active consumer, against models as plain as can be.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use leveret_wire::{AMQPValue, Message, PropertiesBuilder};

use crate::scenario::{Client, Scenario, body, deaths, int, message, text, to};

const QUEUES: usize = 3;
const PRIORITY_MAX: u8 = 2;

/// x-overflow.
const OVERFLOWS: [&str; 3] = ["drop-head", "reject-publish", "reject-publish-dlx"];

#[derive(Clone, Debug)]
struct Options {
    max_length: Option<usize>,
    overflow: usize,
    ttl: Option<u64>,
    priorities: bool,
    dead_letter: Option<usize>,
}

impl Options {
    fn arguments(&self) -> Vec<(&'static str, AMQPValue)> {
        let mut arguments = vec![("x-overflow", text(OVERFLOWS[self.overflow]))];
        if let Some(length) = self.max_length {
            arguments.push(("x-max-length", int(i32::try_from(length).unwrap())));
        }
        if let Some(ttl) = self.ttl {
            arguments.push(("x-message-ttl", int(i32::try_from(ttl).unwrap())));
        }
        if self.priorities {
            arguments.push(("x-max-priority", int(PRIORITY_MAX.into())));
        }
        if let Some(target) = self.dead_letter {
            arguments.push(("x-dead-letter-exchange", text("")));
            arguments.push(("x-dead-letter-routing-key", text(&name(target))));
        }
        arguments
    }
}

fn name(queue: usize) -> String {
    format!("q{queue}")
}

fn options() -> impl Strategy<Value = Options> {
    (
        prop::option::of(1..5_usize),
        0..OVERFLOWS.len(),
        prop::option::weighted(0.4, 1..30_u64),
        any::<bool>(),
        prop::option::weighted(0.8, 0..QUEUES),
    )
        .prop_map(
            |(max_length, overflow, ttl, priorities, dead_letter)| Options {
                max_length,
                overflow,
                ttl,
                priorities,
                dead_letter,
            },
        )
}

#[derive(Clone, Debug)]
enum Step {
    Publish {
        queue: usize,
        priority: u8,
        expiration: Option<u64>,
    },
    Get {
        queue: usize,
    },
    Settle {
        which: Index,
        how: How,
    },
    Purge {
        queue: usize,
    },
    Wait {
        milliseconds: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Ack,
    Reject,
    Requeue,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![1 => Just(How::Ack), 2 => Just(How::Reject), 2 => Just(How::Requeue)];
    prop_oneof![
        8 => (0..QUEUES, 0..5_u8, prop::option::weighted(0.4, 1..30_u64))
            .prop_map(|(queue, priority, expiration)| Step::Publish { queue, priority, expiration }),
        4 => (0..QUEUES).prop_map(|queue| Step::Get { queue }),
        3 => (any::<Index>(), how).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => (0..QUEUES).prop_map(|queue| Step::Purge { queue }),
        3 => (1..20_u64).prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

/// Reason, queue and count of each entry in x-death.
type Deaths = Vec<(String, String, i64)>;

#[derive(Clone, Debug)]
struct Known {
    body: String,
    priority: u8,
    deaths: Deaths,
    seq: u64,
    deadline: u64,
}

/// A queue: its messages in the order in which they go.
#[derive(Debug)]
struct Line {
    options: Options,
    ready: Vec<Known>,
    next: u64,
}

impl Line {
    fn level(&self, known: &Known) -> u8 {
        if self.options.priorities {
            known.priority.min(PRIORITY_MAX)
        } else {
            0
        }
    }

    fn insert(&mut self, known: Known) {
        let place = |line: &Self, known: &Known| (u8::MAX - line.level(known), known.seq);
        let here = place(self, &known);
        let at = self
            .ready
            .partition_point(|other| place(self, other) < here);
        self.ready.insert(at, known);
    }

    fn enter(&mut self, mut known: Known, now: u64, expiration: Option<u64>) {
        known.seq = self.next;
        self.next += 1;
        let ttl = [expiration, self.options.ttl].into_iter().flatten().min();
        known.deadline = ttl.map_or(u64::MAX, |ttl| now + ttl);
        self.insert(known);
    }

    /// The messages that are first in their level and too old, one after the other, lowest level first.
    fn expire(&mut self, now: u64, dead: &mut Vec<(Known, &'static str)>) {
        while let Some(at) = (0..self.ready.len()).rev().find(|&at| {
            let is_first =
                at == 0 || self.level(&self.ready[at - 1]) != self.level(&self.ready[at]);
            is_first && self.ready[at].deadline <= now
        }) {
            dead.push((self.ready.remove(at), "expired"));
        }
    }

    fn trim(&mut self, dead: &mut Vec<(Known, &'static str)>) {
        let is_over = |line: &Self| {
            line.options
                .max_length
                .is_some_and(|length| line.ready.len() > length)
        };
        while self.options.overflow == 0 && is_over(self) {
            dead.push((self.ready.remove(0), "maxlen"));
        }
    }

    fn is_full(&self) -> bool {
        let length = self.options.max_length;
        self.options.overflow > 0 && length.is_some_and(|length| self.ready.len() >= length)
    }
}

/// All that is known to be in the queues.
struct World {
    now: u64,
    lines: Vec<Line>,
    /// Messages that are out: delivery tag and queue.
    out: Vec<(u64, usize, Known)>,
    last_tag: u64,
}

impl World {
    fn publish(
        &mut self,
        queue: usize,
        run: Vec<Known>,
        expiration: Option<u64>,
    ) -> Vec<(usize, Known, &'static str)> {
        let line = &mut self.lines[queue];
        let mut dead = Vec::new();
        let mut refused = Vec::new();
        for known in run {
            if line.is_full() {
                refused.push((known, "maxlen"));
            } else {
                line.enter(known, self.now, expiration);
            }
        }
        if line.options.overflow == 2 {
            dead.append(&mut refused);
        }
        // What expires in this very moment still counts, as a free consumer could have had it.
        line.expire(self.now.saturating_sub(1), &mut dead);
        line.trim(&mut dead);
        line.expire(self.now, &mut dead);
        from(queue, dead)
    }

    /// Dead letters go on in rounds: all of one round, by the queue they go to, then what dies of it.
    fn bury(&mut self, mut letters: Vec<(usize, Known, &'static str)>) {
        while !letters.is_empty() {
            let mut runs: Vec<(usize, Vec<Known>)> = Vec::new();
            for (source, mut known, reason) in std::mem::take(&mut letters) {
                let Some(target) = self.lines[source].options.dead_letter else {
                    continue;
                };
                known.deaths = died(&known.deaths, reason, &name(source));
                if reason != "rejected" && is_cycle(&known.deaths, &name(target)) {
                    continue;
                }
                match runs.iter_mut().find(|(queue, _)| *queue == target) {
                    Some((_, run)) => run.push(known),
                    None => runs.push((target, vec![known])),
                }
            }
            for (target, run) in runs {
                letters.extend(self.publish(target, run, None));
            }
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now += 1;
            for queue in 0..QUEUES {
                let mut dead = Vec::new();
                self.lines[queue].expire(self.now, &mut dead);
                self.bury(from(queue, dead));
            }
        }
    }

    fn get(&mut self, queue: usize) -> Option<Known> {
        let line = &mut self.lines[queue];
        if line.ready.is_empty() {
            return None;
        }
        let known = line.ready.remove(0);
        let mut dead = Vec::new();
        line.expire(self.now, &mut dead);
        self.bury(from(queue, dead));
        self.last_tag += 1;
        Some(known)
    }

    fn settle(&mut self, queue: usize, known: Known, how: How) {
        let mut dead = Vec::new();
        match how {
            How::Ack => {}
            How::Reject => dead.push((known, "rejected")),
            How::Requeue => {
                let line = &mut self.lines[queue];
                line.insert(known);
                line.trim(&mut dead);
                line.expire(self.now, &mut dead);
                line.trim(&mut dead);
                line.expire(self.now, &mut dead);
            }
        }
        self.bury(from(queue, dead));
    }
}

fn from(queue: usize, dead: Vec<(Known, &'static str)>) -> Vec<(usize, Known, &'static str)> {
    dead.into_iter()
        .map(|(known, reason)| (queue, known, reason))
        .collect()
}

fn died(deaths: &Deaths, reason: &str, queue: &str) -> Deaths {
    let is_same = |death: &(String, String, i64)| death.0 == reason && death.1 == queue;
    let before = deaths.iter().find(|death| is_same(death));
    let count = before.map_or(1, |(_, _, count)| count + 1);
    let others = deaths.iter().filter(|death| !is_same(death)).cloned();
    std::iter::once((reason.to_owned(), queue.to_owned(), count))
        .chain(others)
        .collect()
}

fn is_cycle(deaths: &Deaths, target: &str) -> bool {
    deaths
        .iter()
        .take_while(|(reason, _, _)| reason != "rejected")
        .any(|(_, queue, _)| queue == target)
}

/// Play a step on the node and in the model, and see that a message that comes out is the same.
fn play(step: &Step, number: usize, node: &Scenario, client: &mut Client<'_>, world: &mut World) {
    match *step {
        Step::Publish {
            queue,
            priority,
            expiration,
        } => {
            let text = number.to_string();
            client.publish(published(&name(queue), &text, priority, expiration));
            client.told();
            let known = Known {
                body: text,
                priority,
                deaths: Deaths::new(),
                seq: 0,
                deadline: 0,
            };
            let dead = world.publish(queue, vec![known], expiration);
            world.bury(dead);
        }
        Step::Get { queue } => {
            let got = client.get(&name(queue), false);
            let known = world.get(queue);
            same(got.as_ref(), known.as_ref());
            if let Some(known) = known {
                world.out.push((world.last_tag, queue, known));
            }
        }
        Step::Settle { which, how } => {
            if world.out.is_empty() {
                return;
            }
            let (tag, queue, known) = world.out.remove(which.index(world.out.len()));
            match how {
                How::Ack => client.ack(tag),
                How::Reject => client.nack(tag, false),
                How::Requeue => client.nack(tag, true),
            }
            client.told();
            world.settle(queue, known, how);
        }
        Step::Purge { queue } => {
            client.purge(&name(queue));
            world.lines[queue].ready.clear();
        }
        Step::Wait { milliseconds } => {
            node.wait(milliseconds);
            world.wait(milliseconds);
        }
    }
}

fn published(queue: &str, text: &str, priority: u8, expiration: Option<u64>) -> Message {
    let expiration = expiration.map(|milliseconds| milliseconds.to_string());
    let mut properties = PropertiesBuilder::new();
    properties
        .priority(Some(priority))
        .expiration(expiration.as_ref().map(String::as_bytes));
    message("", queue, text, &properties)
}

fn same(got: Option<&Message>, known: Option<&Known>) {
    let got = got.map(|message| (body(message), deaths(message)));
    let known = known.map(|known| (known.body.clone(), known.deaths.clone()));
    assert_eq!(got, known);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn queues_drop_and_dead_letter_what_the_model_does(
        queues in vec(options(), QUEUES),
        steps in vec(step(), 1..80),
    ) {
        let node = Scenario::new();
        let mut client = node.client();
        for (queue, options) in queues.iter().enumerate() {
            client.declare(&name(queue), &options.arguments());
        }
        let line = |options| Line { options, ready: Vec::new(), next: 0 };
        let mut world = World {
            now: 0,
            lines: queues.into_iter().map(line).collect(),
            out: Vec::new(),
            last_tag: 0,
        };
        for (number, step) in steps.iter().enumerate() {
            play(step, number, &node, &mut client, &mut world);
            let ready: usize = world.lines.iter().map(|line| line.ready.len()).sum();
            prop_assert_eq!(node.counts(), (ready as u64, world.out.len() as u64), "after {:?}", step);
        }
        for queue in 0..QUEUES {
            loop {
                let known = world.get(queue);
                same(client.get(&name(queue), true).as_ref(), known.as_ref());
                if known.is_none() {
                    break;
                }
            }
        }
    }

    #[test]
    fn one_consumer_at_a_time_gets_what_the_model_gives_it(steps in vec(turn(), 1..60)) {
        let node = Scenario::new();
        let mut publisher = node.client();
        publisher.declare("s", &[("x-single-active-consumer", AMQPValue::Boolean(true))]);
        let mut clients: Vec<Option<Client<'_>>> = Vec::new();
        let mut single = Single::default();
        for step in &steps {
            take_turn(step, &node, &mut publisher, &mut clients, &mut single);
            for (client, holder) in clients.iter_mut().zip(&mut single.holders) {
                let came = client.as_mut().map(Client::bodies).unwrap_or_default();
                prop_assert_eq!(came, std::mem::take(&mut holder.given), "after {:?}", step);
            }
        }
    }
}

/// What happens to a queue with a single active consumer.
#[derive(Clone, Debug)]
enum Turn {
    Join { priority: i32, prefetch: u16 },
    Cancel { who: Index },
    Close { who: Index },
    Publish { count: u64 },
    Settle { who: Index, requeue: bool },
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => (-1..2_i32, 0..4_u16).prop_map(|(priority, prefetch)| Turn::Join { priority, prefetch }),
        1 => any::<Index>().prop_map(|who| Turn::Cancel { who }),
        1 => any::<Index>().prop_map(|who| Turn::Close { who }),
        3 => (1..6_u64).prop_map(|count| Turn::Publish { count }),
        4 => (any::<Index>(), any::<bool>()).prop_map(|(who, requeue)| Turn::Settle { who, requeue }),
    ]
}

/// A connection that has consumed, in the order of arrival.
#[derive(Debug, Default)]
struct Holder {
    priority: i32,
    prefetch: usize,
    consumes: bool,
    /// Delivery tags and messages that are out.
    out: Vec<(u64, u64)>,
    last_tag: u64,
    /// What it was given in this step.
    given: Vec<String>,
}

#[derive(Debug, Default)]
struct Single {
    holders: Vec<Holder>,
    active: Option<usize>,
    ready: std::collections::BTreeSet<u64>,
    next: u64,
}

impl Single {
    fn deliver(&mut self) {
        let Some(active) = self.active else { return };
        let holder = &mut self.holders[active];
        while holder.prefetch == 0 || holder.out.len() < holder.prefetch {
            let Some(seq) = self.ready.pop_first() else {
                break;
            };
            holder.last_tag += 1;
            holder.out.push((holder.last_tag, seq));
            holder.given.push(seq.to_string());
        }
    }

    fn leave(&mut self, who: usize) {
        self.holders[who].consumes = false;
        if self.active == Some(who) {
            self.active = (0..self.holders.len())
                .filter(|who| self.holders[*who].consumes)
                .max_by_key(|who| (self.holders[*who].priority, std::cmp::Reverse(*who)));
        }
        self.deliver();
    }
}

fn take_turn<'n>(
    turn: &Turn,
    node: &'n Scenario,
    publisher: &mut Client<'n>,
    clients: &mut Vec<Option<Client<'n>>>,
    single: &mut Single,
) {
    let chosen = |who: &Index, clients: &[Option<Client<'n>>]| {
        let open: Vec<usize> = (0..clients.len())
            .filter(|at| clients[*at].is_some())
            .collect();
        (!open.is_empty()).then(|| *who.get(&open))
    };
    match turn {
        Turn::Join { priority, prefetch } => {
            let mut client = node.client();
            client.qos(*prefetch);
            client.consume("s", "c", *priority);
            clients.push(Some(client));
            single.holders.push(Holder {
                priority: *priority,
                prefetch: usize::from(*prefetch),
                consumes: true,
                ..Holder::default()
            });
            single.active.get_or_insert(clients.len() - 1);
            single.deliver();
        }
        Turn::Cancel { who } => {
            let Some(who) = chosen(who, clients) else {
                return;
            };
            clients[who].as_mut().unwrap().cancel("c");
            single.leave(who);
        }
        Turn::Close { who } => {
            let Some(who) = chosen(who, clients) else {
                return;
            };
            clients[who].take().unwrap().close();
            single.leave(who);
            let out = std::mem::take(&mut single.holders[who].out);
            single.ready.extend(out.into_iter().map(|(_, seq)| seq));
            single.deliver();
        }
        Turn::Publish { count } => {
            for _ in 0..*count {
                publisher.publish(to("s", &single.next.to_string()));
                single.ready.insert(single.next);
                single.next += 1;
            }
            publisher.told();
            single.deliver();
        }
        Turn::Settle { who, requeue } => {
            let Some(who) = chosen(who, clients) else {
                return;
            };
            if single.holders[who].out.is_empty() {
                return;
            }
            let (tag, seq) = single.holders[who].out.remove(0);
            let client = clients[who].as_mut().unwrap();
            if *requeue {
                client.nack(tag, true);
                single.ready.insert(seq);
            } else {
                client.ack(tag);
            }
            single.deliver();
        }
    }
}
