//! sled as the store's index on disk: definitions, the next sequence of every queue, the list of segments, and the
//! order by due time.
//!
//! Nothing here is the only copy: the definitions stand in their snapshot file and in the log, the sequences and
//! segments in the log. sled's own `flush` does not make data durable on Linux (it ends in `sync_file_range`), so every
//! flush is followed by an fsync of its file and folder; and after torn writes sled may fail or panic when it opens,
//! so a broken one is moved aside and a fresh one is filled. Once a call of it fails while running it is not used again
//! until the next opening: the store goes on without.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::definitions::{Map, Snapshot};
use crate::octets::Octets;
use crate::{QueueId, Seq};

/// sled's folder in the store's.
pub(crate) const FOLDER: &str = "sled";
/// sled keeps this much in memory at most; what stands in it is small.
const CACHE_BYTES: u64 = 16 << 20;
/// Larger definitions than this stand in the snapshot only: sled keeps large values in files of their own (blobs), and
/// torn ones of those are what it does not survive.
const VALUE_MAX: usize = 2048;
/// How long to wait for a sled that this process is still closing: it lets go of its lock in its own time.
const CLOSING: Duration = Duration::from_secs(3);
/// How long sled may take to open: it holds little.
const OPENING: Duration = Duration::from_secs(60);
const VERSION_KEY: &[u8] = b"version";
const EPOCH_KEY: &[u8] = b"epoch";
/// Set while `definitions` is complete: no value was too large for it.
const COMPLETE_KEY: &[u8] = b"complete";

/// What a broken sled said.
pub(crate) type Broken = String;

pub(crate) struct Catalogue {
    folder: PathBuf,
    db: sled::Db,
    definitions: sled::Tree,
    queues: sled::Tree,
    segments: sled::Tree,
    marks: sled::Tree,
    /// Which messages are due when, as far as that is not kept in memory: see [`crate::embedded`].
    pub(crate) due: sled::Tree,
}

/// A checkpoint: what changed since the last one.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    /// Queues and the lowest sequence never used in them.
    pub(crate) queues: Vec<(QueueId, Seq)>,
    /// Queues that are gone.
    pub(crate) dropped: Vec<QueueId>,
    /// All sealed segments and where their records end.
    pub(crate) segments: BTreeMap<u32, u64>,
}

impl Catalogue {
    /// Open the one in `folder`, or move it aside and begin afresh; the second value says what was wrong then.
    pub(crate) fn open(folder: &Path) -> (Option<Self>, Option<Broken>) {
        let path = folder.join(FOLDER);
        match Self::open_in_time(&path) {
            Ok(catalogue) => (Some(catalogue), None),
            Err(broken) => {
                let fresh = move_aside(folder, &path).and_then(|()| Self::open_in_time(&path));
                match fresh {
                    Ok(catalogue) => (Some(catalogue), Some(broken)),
                    Err(again) => (None, Some(format!("{broken}; then {again}"))),
                }
            }
        }
    }

    /// Open it on a thread of its own: what torn files lead to may take for ever, too.
    fn open_in_time(path: &Path) -> Result<Self, Broken> {
        let (done, opened) = mpsc::channel();
        let path = path.to_owned();
        thread::Builder::new()
            .name("leveret-sled".into())
            .spawn(move || {
                // Nobody waits any more if it took too long.
                let _ = done.send(guarded(|| Self::try_open(&path)));
            })
            .map_err(|error| format!("no thread could be started: {error}"))?;
        opened
            .recv_timeout(OPENING)
            .map_err(|_| format!("it did not open within {} s", OPENING.as_secs()))?
    }

    fn try_open(path: &Path) -> Result<Self, sled::Error> {
        let begun = Instant::now();
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None);
        let db = loop {
            match config.open() {
                Err(sled::Error::Io(error))
                    if error.to_string().contains("acquire lock") && begun.elapsed() < CLOSING =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                opened => break opened?,
            }
        };
        Ok(Self {
            folder: path.to_owned(),
            definitions: db.open_tree("definitions")?,
            queues: db.open_tree("queues")?,
            segments: db.open_tree("segments")?,
            marks: db.open_tree("marks")?,
            due: db.open_tree("due")?,
            db,
        })
    }

    /// The epoch of the store that wrote it; 0 if it is fresh.
    pub(crate) fn epoch(&self) -> Result<u64, Broken> {
        guarded(|| Ok(number(self.marks.get(EPOCH_KEY)?.as_deref())))
    }

    /// The definitions, if all of them are here.
    pub(crate) fn snapshot(&self) -> Result<Option<Snapshot>, Broken> {
        guarded(|| {
            if self.definitions.get(COMPLETE_KEY)?.is_none() {
                return Ok(None);
            }
            let mut map = Map::new();
            for entry in self.definitions.scan_prefix(b"=") {
                let (key, value) = entry?;
                map.insert(key.get(1..).unwrap_or(&[]).into(), value.as_ref().into());
            }
            Ok(Some(Snapshot {
                epoch: number(self.marks.get(EPOCH_KEY)?.as_deref()),
                version: number(self.definitions.get(VERSION_KEY)?.as_deref()),
                map,
            }))
        })
    }

    /// Make the definitions here those of `snapshot`: all of them and its version, or nothing.
    pub(crate) fn store_definitions(&self, snapshot: &Snapshot) -> Result<(), Broken> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            let mut complete = true;
            for entry in self.definitions.scan_prefix(b"=") {
                let (key, value) = entry?;
                match snapshot.map.get(key.get(1..).unwrap_or(&[])) {
                    Some(new) if new.as_ref() == value.as_ref() => {}
                    _ => batch.remove(key),
                }
            }
            for (key, value) in &snapshot.map {
                if key.len() + value.len() > VALUE_MAX {
                    complete = false;
                    continue;
                }
                let key = [b"=", key.as_ref()].concat();
                if self.definitions.get(&key)?.as_deref() != Some(value.as_ref()) {
                    batch.insert(key, value.as_ref());
                }
            }
            batch.insert(VERSION_KEY, &snapshot.version.to_le_bytes());
            if complete {
                batch.insert(COMPLETE_KEY, &[1_u8]);
            } else {
                batch.remove(COMPLETE_KEY);
            }
            self.definitions.apply_batch(batch)?;
            self.marks
                .insert(EPOCH_KEY, &snapshot.epoch.to_le_bytes())?;
            Ok(())
        })
    }

    /// The next sequence of every queue, as of the last checkpoint.
    pub(crate) fn queues(&self) -> Result<Vec<(QueueId, Seq)>, Broken> {
        guarded(|| {
            let mut queues = Vec::new();
            for entry in &self.queues {
                let (key, value) = entry?;
                queues.push((QueueId(number_be(&key)), number(Some(&value))));
            }
            Ok(queues)
        })
    }

    /// Where the records of sealed segments end, as of the last checkpoint.
    pub(crate) fn segments(&self) -> Result<BTreeMap<u32, u64>, Broken> {
        guarded(|| {
            let mut segments = BTreeMap::new();
            for entry in &self.segments {
                let (key, value) = entry?;
                if let Ok(segment) = u32::try_from(number_be(&key)) {
                    segments.insert(segment, number(Some(&value)));
                }
            }
            Ok(segments)
        })
    }

    /// Note a checkpoint.
    pub(crate) fn checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), Broken> {
        guarded(|| {
            let mut batch = sled::Batch::default();
            for (queue, next_seq) in &checkpoint.queues {
                batch.insert(&queue.0.to_be_bytes(), &next_seq.to_le_bytes());
            }
            for queue in &checkpoint.dropped {
                batch.remove(&queue.0.to_be_bytes());
            }
            self.queues.apply_batch(batch)?;
            let mut batch = sled::Batch::default();
            for entry in &self.segments {
                let (key, _) = entry?;
                let number = u32::try_from(number_be(&key)).unwrap_or(u32::MAX);
                if !checkpoint.segments.contains_key(&number) {
                    batch.remove(key);
                }
            }
            for (segment, end) in &checkpoint.segments {
                batch.insert(&u64::from(*segment).to_be_bytes(), &end.to_le_bytes());
            }
            self.segments.apply_batch(batch)
        })
    }

    /// Make everything durable.
    pub(crate) fn sync(&self) -> Result<(), Broken> {
        guarded(|| {
            self.db.flush()?;
            File::open(self.folder.join("db"))?.sync_all()?;
            File::open(&self.folder)?.sync_all()?;
            Ok(())
        })
    }
}

/// Run `with`, which calls sled, and turn its errors and its panics into a description.
pub(crate) fn guarded<T>(with: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Broken> {
    match catch_unwind(AssertUnwindSafe(with)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it panicked".to_owned())),
    }
}

/// Rename sled's folder to the first free `sled.broken-N`.
fn move_aside(folder: &Path, path: &Path) -> Result<(), Broken> {
    let aside = (1..=u32::MAX)
        .map(|number| folder.join(format!("{FOLDER}.broken-{number}")))
        .find(|aside| !aside.exists())
        .ok_or("no name is free to move it to")?;
    fs::rename(path, &aside).map_err(|error| format!("it could not be moved aside: {error}"))
}

fn number(octets: Option<&[u8]>) -> u64 {
    octets
        .and_then(|octets| Octets(octets).take_u64())
        .unwrap_or(0)
}

fn number_be(octets: &[u8]) -> u64 {
    number(Some(octets)).swap_bytes()
}
