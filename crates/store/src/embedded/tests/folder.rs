//! A folder for a store under test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::embedded::{EmbeddedStore, Options, format};
use crate::{QueueId, Store as _};

pub(super) struct Folder {
    folder: tempfile::TempDir,
    pub(super) segment_bytes: u64,
}

impl Folder {
    pub(super) fn new() -> Self {
        Self::with_segments(256 << 10)
    }

    pub(super) fn with_segments(segment_bytes: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            segment_bytes,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn options(&self) -> Options {
        Options {
            segment_bytes: self.segment_bytes,
            lazy_interval: Duration::from_millis(20),
            ..Options::new(self.path())
        }
    }

    pub(super) fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(&self.options()).unwrap()
    }

    /// Open and claim `queues`.
    pub(super) fn reopen(&self, queues: &[QueueId]) -> EmbeddedStore {
        let store = self.open();
        for queue in queues {
            store.claim(*queue).unwrap();
        }
        store.recovered();
        store
    }

    /// The segment files, oldest first.
    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let folder = self.path().join(format::SEGMENTS);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }
}
