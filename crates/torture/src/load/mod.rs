//! Clients that work until the broker is gone.

mod consumer;
mod definer;
mod getter;
mod publisher;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::client::Failure;
use crate::log::{Clock, ConsumerId, Entry, QueueDefinition, QueueId, Recorder};
use crate::message::MessageId;
use crate::random::Random;
use crate::topology::{FIRST_PASSING_QUEUE, Topology, WORKED};

pub(crate) use consumer::{note_delivery, note_settled};
pub(crate) use definer::Definer;

/// Publishers of the load; those of the definers and of the inspection come behind.
const PUBLISHERS: u32 = 4;
/// Clients that declare and delete.
pub(crate) const DEFINERS: u32 = 2;
/// The publisher number of the inspection.
pub(crate) const PROBER: u32 = PUBLISHERS + DEFINERS;

/// Numbers that are never given twice.
#[derive(Debug)]
pub(crate) struct Numbers {
    publishers: Vec<AtomicU64>,
    consumers: AtomicU32,
    queues: AtomicU32,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Self {
            publishers: (0..=PROBER).map(|_| AtomicU64::new(1)).collect(),
            consumers: AtomicU32::new(0),
            queues: AtomicU32::new(FIRST_PASSING_QUEUE),
        }
    }

    pub(crate) fn message(&self, publisher: u32) -> MessageId {
        let numbers = usize::try_from(publisher)
            .ok()
            .and_then(|at| self.publishers.get(at));
        MessageId {
            publisher,
            number: numbers.map_or(0, |next| next.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn consumer(&self) -> ConsumerId {
        ConsumerId(self.consumers.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn queue(&self) -> QueueId {
        QueueId(self.queues.fetch_add(1, Ordering::Relaxed))
    }
}

/// What all clients of a life share.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) numbers: Arc<Numbers>,
    pub(crate) topology: Arc<Topology>,
    /// Messages a second of each publisher.
    pub(crate) rate: u64,
}

/// A client's log, and why it ended.
#[derive(Debug)]
struct Ended {
    entries: Vec<Entry>,
    why: Failure,
}

/// The clients of one life.
#[derive(Debug)]
pub(crate) struct Load {
    threads: Vec<(String, JoinHandle<Ended>)>,
    /// Hears of each -ok.
    answers: mpsc::Receiver<()>,
}

/// What the clients of one life saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// In order of time.
    pub(crate) entries: Vec<Entry>,
    /// Clients that ended for another reason than the broker's end.
    pub(crate) troubles: Vec<String>,
}

impl Load {
    /// Start all of them.
    pub(crate) fn start(scene: &Scene, definers: Vec<Definer>, random: &mut Random) -> Self {
        let (answered, answers) = mpsc::channel();
        let mut load = Self {
            threads: Vec::new(),
            answers,
        };
        for publisher in 0..PUBLISHERS {
            let (scene, random) = (scene.clone(), random.fork());
            load.spawn(
                format!("publisher {publisher}"),
                scene,
                move |scene, log| publisher::work(scene, log, publisher, random),
            );
        }
        for queue in scene.topology.queues.iter().take(WORKED) {
            // Some queues have none, so that their backlogs grow.
            for _ in 0..random.below(3) {
                load.add_consumer(scene, queue, random.fork());
            }
        }
        let (getting, queue_at) = (random.fork(), random.index(WORKED));
        if let Some(queue) = scene.topology.queues.get(queue_at).cloned() {
            load.spawn("getter".to_owned(), scene.clone(), move |scene, log| {
                getter::work(scene, log, &queue, getting)
            });
        }
        for definer in definers {
            let (random, answered) = (random.fork(), answered.clone());
            let name = format!("definer {}", definer.number());
            load.spawn(name, scene.clone(), move |scene, log| {
                definer.work(scene, log, random, &answered)
            });
        }
        load
    }

    fn add_consumer(&mut self, scene: &Scene, queue: &QueueDefinition, random: Random) {
        let queue = queue.clone();
        let name = format!("consumer of {}", queue.name);
        self.spawn(name, scene.clone(), move |scene, log| {
            consumer::work(scene, log, &queue, random)
        });
    }

    fn spawn(
        &mut self,
        name: String,
        scene: Scene,
        work: impl FnOnce(&Scene, &mut Recorder) -> Result<std::convert::Infallible, Failure>
        + Send
        + 'static,
    ) {
        let thread = std::thread::spawn(move || {
            let mut log = Recorder::new(scene.clock);
            let Err(why) = work(&scene, &mut log);
            Ended {
                entries: log.take(),
                why,
            }
        });
        self.threads.push((name, thread));
    }

    /// Where each -ok is told.
    pub(crate) fn answers(&self) -> &mpsc::Receiver<()> {
        &self.answers
    }

    /// The broker is gone: gather what was seen.
    pub(crate) fn finish(self) -> Seen {
        let mut seen = Seen::default();
        for (name, thread) in self.threads {
            match thread.join() {
                Ok(ended) => {
                    seen.entries.extend(ended.entries);
                    if !ended.why.is_end() {
                        seen.troubles.push(format!("{name}: {}", ended.why));
                    }
                }
                Err(_) => seen.troubles.push(format!("{name} has panicked")),
            }
        }
        seen.entries.sort_by_key(|entry| entry.at);
        seen
    }
}
