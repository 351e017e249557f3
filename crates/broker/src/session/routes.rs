//! Routes found before, by exchange and routing key, and the messages of this socket read
//! collected by queue.

use std::sync::Arc;

use leveret_router::RouteScratch;
use leveret_store::QueueId;
use leveret_wire::Message;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::publish::Target;
use crate::queue::{Publishing, Queue};

/// Routes remembered at most. An application that uses more keys than this (reply queues, say)
/// finds its routes anew, which is what every publish would cost without the cache.
const ROUTES_MAX: usize = 4_096;

/// A queue and the messages on their way into it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) queue: Arc<Queue>,
    pub(super) messages: Vec<Publishing>,
}

/// Indexes into the runs.
pub(super) type Targets = SmallVec<[u32; 4]>;

/// Cached routes, runs, and buffers used again for every route that has to be found.
#[derive(Default)]
pub(super) struct Routes {
    generation: u64,
    cached: FxHashMap<Box<[u8]>, u32>,
    targets: Vec<Targets>,
    /// The route used last, which is usually the next one too.
    last: Option<(Box<[u8]>, u32)>,
    pub(super) runs: Vec<Run>,
    run_of: FxHashMap<QueueId, u32>,
    /// What the user may publish, by exchange and routing key, where no route can be remembered.
    allowed: FxHashSet<Box<[u8]>>,
    /// Runs that are not empty.
    pub(super) dirty: Vec<u32>,
    pub(super) scratch: RouteScratch,
    pub(super) ids: Vec<QueueId>,
    pub(super) queues: Vec<Arc<Queue>>,
}

impl Routes {
    /// Are routes of an older topology remembered? Then they must be forgotten, after what is
    /// in the runs has been flushed.
    #[inline]
    pub(super) fn is_old(&self, generation: u64) -> bool {
        self.generation != generation
    }

    /// Forget everything. The runs must be empty.
    pub(super) fn forget(&mut self, generation: u64) {
        debug_assert!(
            self.dirty.is_empty(),
            "messages of an older topology are flushed first"
        );
        self.generation = generation;
        self.cached.clear();
        self.targets.clear();
        self.last = None;
        self.runs.clear();
        self.run_of.clear();
        self.allowed.clear();
    }

    /// Was the user found to be allowed to publish to `routing`, since anything changed?
    pub(super) fn is_allowed(&self, routing: &[u8]) -> bool {
        self.allowed.contains(routing)
    }

    /// The user may publish to `routing`.
    pub(super) fn allow(&mut self, routing: &[u8]) {
        if self.allowed.contains(routing) {
            return;
        }
        if self.allowed.len() >= ROUTES_MAX {
            self.allowed.clear();
        }
        self.allowed.insert(routing.into());
    }

    /// The remembered route for `routing` (exchange and routing key as on the wire).
    #[inline]
    pub(super) fn find(&mut self, routing: &[u8]) -> Option<u32> {
        if let Some((last, route)) = &self.last
            && **last == *routing
        {
            return Some(*route);
        }
        let route = *self.cached.get(routing)?;
        match &mut self.last {
            // The same length is common where keys differ in a number: no new allocation.
            Some((last, last_route)) if last.len() == routing.len() => {
                last.copy_from_slice(routing);
                *last_route = route;
            }
            last => *last = Some((routing.into(), route)),
        }
        Some(route)
    }

    /// Remember the route to `self.queues`, if it may be; gives its targets' index.
    pub(super) fn remember(&mut self, routing: &[u8]) -> u32 {
        if self.cached.len() >= ROUTES_MAX {
            self.cached.clear();
            self.targets.clear();
            self.last = None;
        }
        let targets = self.targets();
        self.targets.push(targets);
        let route = (self.targets.len() - 1) as u32;
        self.cached.insert(routing.into(), route);
        route
    }

    /// Runs for `self.queues`.
    pub(super) fn targets(&mut self) -> Targets {
        let mut targets = Targets::new();
        for queue in self.queues.drain(..) {
            let run = *self.run_of.entry(queue.id()).or_insert_with(|| {
                self.runs.push(Run {
                    queue: Arc::clone(&queue),
                    messages: Vec::new(),
                });
                (self.runs.len() - 1) as u32
            });
            targets.push(run);
        }
        targets
    }

    /// The names of the queues that a target leads to.
    pub(super) fn queue_names(&self, target: &Target) -> Vec<Arc<str>> {
        let none = Targets::new();
        let runs = match target {
            Target::Cached(route) => self.targets.get(*route as usize).unwrap_or(&none),
            Target::Once(runs) => runs,
            Target::Kept | Target::Held(_) => &none,
        };
        self.names_of(runs)
    }

    /// The names of the queues of `targets`.
    pub(super) fn names_of(&self, targets: &Targets) -> Vec<Arc<str>> {
        let runs = targets
            .iter()
            .filter_map(|run| self.runs.get(*run as usize));
        runs.map(|run| Arc::clone(run.queue.name())).collect()
    }

    /// Put a message into the runs of a remembered route; `false` if that leads nowhere.
    #[inline]
    pub(super) fn push(
        &mut self,
        route: u32,
        message: Message,
        channel: u16,
        confirm: u64,
    ) -> bool {
        let Some(targets) = self.targets.get(route as usize) else {
            return false;
        };
        distribute(
            &mut self.runs,
            &mut self.dirty,
            targets,
            message,
            channel,
            confirm,
        )
    }

    /// Put a message into the runs `targets`.
    pub(super) fn push_to(
        &mut self,
        targets: &Targets,
        message: Message,
        channel: u16,
        confirm: u64,
    ) -> bool {
        distribute(
            &mut self.runs,
            &mut self.dirty,
            targets,
            message,
            channel,
            confirm,
        )
    }
}

#[inline]
fn distribute(
    runs: &mut [Run],
    dirty: &mut Vec<u32>,
    targets: &Targets,
    message: Message,
    channel: u16,
    confirm: u64,
) -> bool {
    let Some((last, others)) = targets.split_last() else {
        return false;
    };
    for target in others {
        push(
            runs,
            dirty,
            *target,
            Publishing {
                message: message.clone(),
                channel,
                confirm,
            },
        );
    }
    push(
        runs,
        dirty,
        *last,
        Publishing {
            message,
            channel,
            confirm,
        },
    );
    true
}

#[inline]
fn push(runs: &mut [Run], dirty: &mut Vec<u32>, target: u32, publishing: Publishing) {
    if let Some(run) = runs.get_mut(target as usize) {
        if run.messages.is_empty() {
            dirty.push(target);
        }
        run.messages.push(publishing);
    }
}
