//! Checkpoints: the definitions as a plain file, and sled's copy of them with what else it keeps.

use std::time::{Duration, Instant};

use crate::catalogue::{Broken, Catalogue, Checkpoint};
use crate::definitions::{SECOND, SNAPSHOT};
use crate::embedded::upkeep::Upkeep;

/// sled is brought up to date at most this often while the store runs: nothing depends on it being recent.
const CATALOGUE_INTERVAL: Duration = Duration::from_secs(5);

/// A change of the definitions reaches their file within about this time.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(5);
/// Writing it takes no more than one part in so many of the time.
const SNAPSHOT_SHARE: u32 = 50;

impl Upkeep {
    /// The log went on to another segment: write down what changed, so that the old one can go.
    pub(super) fn checkpoint(&mut self) {
        if self.snapshot.version > self.stored_version {
            self.store_snapshot();
        }
        let recent = self
            .checkpointed
            .is_some_and(|when| when.elapsed() < CATALOGUE_INTERVAL);
        if !recent {
            self.checkpoint_catalogue();
        }
    }

    /// Write the definitions to the older of their two files.
    pub(super) fn store_snapshot(&mut self) -> bool {
        let begun = Instant::now();
        let stored = self
            .snapshot
            .store(&**self.disk(), self.folder(), self.older_file);
        self.snapshot_due = Instant::now() + SNAPSHOT_INTERVAL + begun.elapsed() * SNAPSHOT_SHARE;
        match &stored {
            Ok(()) => {
                self.older_file = other_file(self.older_file);
                self.kept_version = self.stored_version;
                self.stored_version = self.snapshot.version;
            }
            Err(error) => {
                tracing::error!(%error, "the definitions cannot be written to their file");
            }
        }
        stored.is_ok()
    }

    /// Write the definitions to their file if they have changed for some time, so that a change does not stand in the
    /// log alone for long: one damaged record there would undo it.
    pub(super) fn refresh_snapshot(&mut self) {
        if self.snapshot.version > self.stored_version && Instant::now() >= self.snapshot_due {
            self.store_snapshot();
        }
    }

    /// Bring sled up to date. If it fails it is not used any more: everything in it stands elsewhere too.
    pub(super) fn checkpoint_catalogue(&mut self) {
        self.checkpointed = Some(Instant::now());
        let Some(catalogue) = &self.catalogue else {
            return;
        };
        if let Err(broken) = self.write_catalogue(catalogue) {
            tracing::error!(broken, "sled has failed; the store goes on without it");
            self.catalogue = None;
        }
    }

    fn write_catalogue(&self, catalogue: &Catalogue) -> Result<(), Broken> {
        let mut checkpoint = Checkpoint::default();
        {
            let mut index = self.shared().index.lock();
            checkpoint.dropped = std::mem::take(&mut index.dropped);
            for (id, queue) in &mut index.queues {
                if queue.next_seq != queue.checkpointed {
                    queue.checkpointed = queue.next_seq;
                    checkpoint.queues.push((*id, queue.next_seq));
                }
            }
            let sealed = index.segments.iter().filter(|(_, state)| state.sealed);
            checkpoint.segments = sealed.map(|(number, state)| (*number, state.end)).collect();
        }
        catalogue.store_definitions(&self.snapshot)?;
        catalogue.checkpoint(&checkpoint)?;
        catalogue.sync()
    }
}

/// The other of the two files with definitions.
pub(super) fn other_file(name: &str) -> &'static str {
    if name == SNAPSHOT { SECOND } else { SNAPSHOT }
}
