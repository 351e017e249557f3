//! Deliveries handed out under one hold of the queue's lock, gathered by connection.
//!
//! Consumers of one connection share a stage, so that what they get arrives in the order of the
//! queue (AMQP 0-9-1 section 4.7), and each mailbox is locked once for a run.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::effects::Effects;
use crate::mailbox::{Delivery, Mailbox};

/// Octets given to one connection before they are pushed to its mailbox, so that its task can
/// begin to write while the rest is still being handed out.
const STAGED_BYTES_MAX: usize = 128 << 10;

#[derive(Debug)]
struct Stage {
    mailbox: Arc<Mailbox>,
    /// Consumers that use it.
    consumers: usize,
    deliveries: Vec<Delivery>,
    bytes: usize,
}

impl Stage {
    fn flush(&mut self, effects: &mut Effects) {
        if !self.deliveries.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            effects
                .wakes
                .add(self.mailbox.push_deliveries(&mut self.deliveries, bytes));
        }
    }
}

/// One stage for each connection that consumes from the queue.
#[derive(Debug, Default)]
pub(super) struct Stages {
    stages: Vec<Option<Stage>>,
    /// Stages with something in them.
    touched: SmallVec<[u32; 4]>,
}

impl Stages {
    /// The stage for a consumer of the connection with this mailbox.
    pub(super) fn join(&mut self, mailbox: &Arc<Mailbox>) -> u32 {
        let mut free = None;
        for (at, stage) in (0..).zip(&mut self.stages) {
            match stage {
                Some(stage) if Arc::ptr_eq(&stage.mailbox, mailbox) => {
                    stage.consumers += 1;
                    return at;
                }
                Some(_) => {}
                None => free = Some(at),
            }
        }
        let stage = Stage {
            mailbox: Arc::clone(mailbox),
            consumers: 1,
            deliveries: Vec::new(),
            bytes: 0,
        };
        if let Some(free) = free
            && let Some(place) = self.stages.get_mut(free as usize)
        {
            *place = Some(stage);
            return free;
        }
        self.stages.push(Some(stage));
        (self.stages.len() - 1) as u32
    }

    /// A consumer is gone; the last one of a connection takes the stage with it.
    pub(super) fn leave(&mut self, stage: u32) {
        if let Some(place) = self.stages.get_mut(stage as usize)
            && let Some(left) = place
        {
            left.consumers -= 1;
            if left.consumers == 0 {
                *place = None;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.stages.clear();
        self.touched.clear();
    }

    /// Octets handed out and not pushed yet.
    #[inline]
    pub(super) fn bytes(&self, stage: u32) -> usize {
        self.stages
            .get(stage as usize)
            .and_then(Option::as_ref)
            .map_or(0, |stage| stage.bytes)
    }

    #[inline]
    pub(super) fn push(&mut self, at: u32, delivery: Delivery, effects: &mut Effects) {
        let Some(stage) = self.stages.get_mut(at as usize).and_then(Option::as_mut) else {
            return;
        };
        if stage.deliveries.is_empty() {
            self.touched.push(at);
        }
        stage.bytes += delivery.entry.cost();
        stage.deliveries.push(delivery);
        if stage.bytes >= STAGED_BYTES_MAX {
            stage.flush(effects);
        }
    }

    /// Push what was handed out to the mailboxes.
    pub(super) fn flush(&mut self, effects: &mut Effects) {
        while let Some(at) = self.touched.pop() {
            if let Some(stage) = self.stages.get_mut(at as usize).and_then(Option::as_mut) {
                stage.flush(effects);
            }
        }
    }
}
