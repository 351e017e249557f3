//! Reading messages back: one thread, so that neither callers nor commits wait for the disk.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use leveret_wire::{INLINE_BODY_MAX, Message};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;

use crate::disk::{Disk, LogFile};
use crate::embedded::pending::Stop;
use crate::embedded::shared::{Shared, closed};
use crate::index::queue::Located;
use crate::log::record::{RECORD_HEADER, Record, Seal, announced_len};
use crate::log::segment;
use crate::octets::{index, wide};
use crate::{FetchDone, FetchLimit, Fetched, QueueId, Seq, StoreError};

/// Octets read in one go at most, when the records of a fetch stand near each other.
const WINDOW_MAX: u64 = 1 << 20;
/// Octets read at least: a neighbour's record is often wanted too.
const WINDOW_MIN: u64 = 16 << 10;
/// Open segments kept. Others are closed, so that a large backlog does not use up the process's files.
const FILES_MAX: usize = 64;
/// How often a fetch is looked up again because compaction moved what it was to read.
const ATTEMPTS: usize = 50;

/// A fetch.
pub(super) struct Request {
    pub(super) queue: QueueId,
    pub(super) from: Seq,
    pub(super) limit: FetchLimit,
    /// Something was appended before it that is not in the index yet. What is there may be enough all the same: the
    /// reads of a long backlog do not wait for batches.
    pub(super) ahead: bool,
    pub(super) done: FetchDone,
}

/// The fetches that wait for the reader.
#[derive(Default)]
pub(super) struct Reading {
    state: Mutex<Mail>,
    work: Condvar,
}

#[derive(Default)]
struct Mail {
    requests: VecDeque<Request>,
    /// Segments were deleted: files that are kept open would keep their room taken.
    forget: bool,
    stop: Stop,
}

/// What the reader is to do next.
enum Task {
    Serve(Request),
    Forget,
}

impl Reading {
    pub(super) fn push(&self, request: Request) {
        self.push_all(std::iter::once(request));
    }

    pub(super) fn push_all(&self, requests: impl IntoIterator<Item = Request>) {
        let mut state = self.state.lock();
        if state.stop == Stop::No {
            state.requests.extend(requests);
            drop(state);
            self.work.notify_one();
            return;
        }
        drop(state);
        for request in requests {
            (request.done)(Err(closed()));
        }
    }

    /// Close files of segments that were deleted.
    pub(super) fn forget(&self) {
        self.state.lock().forget = true;
        self.work.notify_one();
    }

    pub(super) fn close(&self, how: Stop) {
        let mut state = self.state.lock();
        state.stop = how;
        if how == Stop::Abandoned {
            state.requests.clear();
        }
        drop(state);
        self.work.notify_one();
    }

    fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if std::mem::take(&mut state.forget) {
                return Some(Task::Forget);
            }
            if let Some(request) = state.requests.pop_front() {
                return Some(Task::Serve(request));
            }
            if state.stop != Stop::No {
                return None;
            }
            self.work.wait(&mut state);
        }
    }
}

/// Serve fetches until the store stops.
pub(super) fn run(shared: &Arc<Shared>, disk: &dyn Disk, folder: &Path) {
    let mut reader = Reader::new(shared, disk, folder);
    while let Some(task) = shared.reading.next() {
        let Task::Serve(request) = task else {
            reader.close_files();
            continue;
        };
        let fetched = match reader.fetch(&request) {
            Ok(Some(fetched)) => Ok(fetched),
            Ok(None) => {
                shared.fetch_when_applied(request);
                continue;
            }
            Err(error) => Err(error),
        };
        // Whoever asked must not take the reader with it.
        let done = request.done;
        if catch_unwind(AssertUnwindSafe(|| done(fetched))).is_err() {
            tracing::error!("the receiver of a fetch has panicked");
        }
        reader.rest();
    }
}

/// Reads messages where the index says they are. Keeps what it has read and opened.
pub(super) struct Reader<'a> {
    shared: &'a Shared,
    disk: &'a dyn Disk,
    folder: &'a Path,
    files: FxHashMap<u32, (Seal, Box<dyn LogFile>)>,
    /// What was read last.
    window: Window,
}

/// A piece of a segment.
#[derive(Default)]
struct Window {
    segment: u32,
    start: u64,
    octets: Bytes,
}

impl Window {
    /// The octets from `offset` on, if the window has any there.
    fn at(&self, segment: u32, offset: u64) -> Option<Bytes> {
        let skip = index(offset.checked_sub(self.start)?);
        (self.segment == segment && skip < self.octets.len()).then(|| self.octets.slice(skip..))
    }
}

/// What reading one message came to.
pub(super) enum Read {
    Message(Message),
    /// The segment is gone: the message is elsewhere now, or settled.
    Moved,
    Damaged(String),
    Failed(io::Error),
}

impl<'a> Reader<'a> {
    pub(super) fn new(shared: &'a Shared, disk: &'a dyn Disk, folder: &'a Path) -> Self {
        Self {
            shared,
            disk,
            folder,
            files: FxHashMap::default(),
            window: Window::default(),
        }
    }

    /// The folder of the segments.
    pub(super) fn folder(&self) -> &Path {
        self.folder
    }

    /// Forget what was read: it may be written on before the next read.
    pub(super) fn rest(&mut self) {
        self.window = Window::default();
    }

    pub(super) fn close_files(&mut self) {
        self.files.clear();
    }

    /// Nothing if there may be more that is not in the index yet.
    fn fetch(&mut self, request: &Request) -> Result<Option<Vec<Fetched>>, StoreError> {
        let (queue, limit) = (request.queue, request.limit);
        let mut fetched = Vec::new();
        let mut bytes = 0_usize;
        let mut next = request.from;
        let mut attempts = 0;
        loop {
            // What was read before may have been written on since.
            self.rest();
            let (wanted, complete) = self.locate(queue, next, limit, (fetched.len(), bytes));
            if complete && request.ahead {
                return Ok(None);
            }
            let mut moved = false;
            for (at, located) in wanted.iter().enumerate() {
                let ahead = wanted.get(at..).unwrap_or(&[]);
                match self.read(queue, located, ahead) {
                    Read::Message(message) => {
                        bytes += message.encoded_len();
                        if bytes > limit.bytes && !fetched.is_empty() {
                            return Ok(Some(fetched));
                        }
                        fetched.push(Fetched {
                            seq: located.seq,
                            message,
                            delivery_count: located.delivery_count,
                            persistent: !located.transient,
                        });
                    }
                    Read::Moved if attempts < ATTEMPTS => {
                        moved = true;
                        break;
                    }
                    Read::Moved => self.lose(queue, located, "its segment is gone"),
                    Read::Damaged(reason) => self.lose(queue, located, &reason),
                    Read::Failed(error) => {
                        let path = segment::path(self.folder, located.segment);
                        return Err(StoreError::io("reading", &path, &error));
                    }
                }
                next = located.seq.saturating_add(1);
            }
            if moved {
                attempts += 1;
                continue;
            }
            let enough = fetched.len() >= limit.messages.max(1) || bytes >= limit.bytes;
            if complete || (enough && !fetched.is_empty()) {
                return Ok(Some(fetched));
            }
        }
    }

    /// Find what is to be read next, and whether that is all there is. Sizes in the index are coarse, so this stops
    /// somewhat after the limit and the exact sizes decide.
    fn locate(
        &self,
        queue: QueueId,
        from: Seq,
        limit: FetchLimit,
        (have, bytes): (usize, usize),
    ) -> (Vec<Located>, bool) {
        let messages = limit.messages.max(1).saturating_sub(have);
        let room = wide(limit.bytes.saturating_sub(bytes));
        let (mut count, mut size) = (0_usize, 0_u64);
        let mut complete = true;
        let wanted = self.shared.index.lock().locate(queue, from, |located| {
            let more = count == 0 || (count < messages && size <= room);
            count += 1;
            size += located.place.size();
            complete &= more;
            more
        });
        (wanted, complete)
    }

    /// A message cannot be read, and never will be.
    pub(super) fn lose(&self, queue: QueueId, located: &Located, reason: &str) {
        let counters = &self.shared.counters;
        counters.damaged_records.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            file = %segment::path(self.folder, located.segment).display(),
            offset = located.place.offset(),
            queue = queue.0,
            seq = located.seq,
            reason,
            "a message cannot be read and is left out"
        );
    }

    /// Read one message; `ahead` are those that will be wanted next, itself included.
    pub(super) fn read(&mut self, queue: QueueId, located: &Located, ahead: &[Located]) -> Read {
        let octets = match self.octets(located, ahead) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Read::Moved,
            Err(error) => return Read::Failed(error),
        };
        let Some((seal, _)) = self.files.get(&located.segment) else {
            return Read::Moved;
        };
        let record = match Record::parse(&octets, *seal, located.place.offset()) {
            Ok(record) => record,
            Err(bad) => return Read::Damaged(bad.to_string()),
        };
        if !record.places().any(|place| place == (queue, located.seq)) {
            return Read::Damaged("another message stands there".into());
        }
        let stored = record.message();
        // A large body keeps the octets it is decoded from alive: give it its own rather than the whole window.
        let stored = if stored.len() > INLINE_BODY_MAX {
            Bytes::copy_from_slice(stored)
        } else {
            octets.slice_ref(stored)
        };
        match Message::decode(stored) {
            Ok(message) => Read::Message(message),
            Err(error) => Read::Damaged(error.to_string()),
        }
    }

    /// The octets of a record, and perhaps more. Reads ahead over the records that are wanted next.
    fn octets(&mut self, located: &Located, ahead: &[Located]) -> io::Result<Bytes> {
        let (segment, offset) = (located.segment, located.place.offset());
        let found = match self.window.at(segment, offset) {
            Some(found) if found.len() >= RECORD_HEADER => found,
            _ => {
                let len = span(located, ahead).clamp(WINDOW_MIN, WINDOW_MAX);
                self.read_window(segment, offset, index(len))?
            }
        };
        match announced_len(&found) {
            Some(len) if len > found.len() => self.read_window(segment, offset, len),
            _ => Ok(found),
        }
    }

    fn read_window(&mut self, segment: u32, start: u64, len: usize) -> io::Result<Bytes> {
        let file = self.file(segment)?;
        // A damaged length must not make up memory.
        let rest = file.len()?.saturating_sub(start);
        let mut octets = vec![0; len.min(index(rest))];
        let read = file.read_at(&mut octets, start)?;
        octets.truncate(read);
        self.window = Window {
            segment,
            start,
            octets: octets.into(),
        };
        Ok(self.window.octets.clone())
    }

    fn file(&mut self, number: u32) -> io::Result<&dyn LogFile> {
        if self.files.len() >= FILES_MAX && !self.files.contains_key(&number) {
            self.files.clear();
        }
        let (_, file) = match self.files.entry(number) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let file = self.disk.open(&segment::path(self.folder, number), false)?;
                let seal = Seal {
                    salt: self.shared.salt,
                    segment: number,
                };
                vacant.insert((seal, file))
            }
        };
        Ok(&**file)
    }
}

/// Octets from a record to the last one of `ahead` that stands near behind it.
fn span(located: &Located, ahead: &[Located]) -> u64 {
    let start = located.place.offset();
    let mut end = start;
    for next in ahead {
        let offset = next.place.offset();
        if next.segment != located.segment || offset < start || offset > end + WINDOW_MIN {
            break;
        }
        end = offset + next.place.size();
        if end - start > WINDOW_MAX {
            break;
        }
    }
    // Sizes are coarse: a little more, so that the last record is in it.
    end - start + (end - start) / 8 + 512
}
