//! Wakes from threads that are not the runtime's.
//!
//! The store's threads wake connections when something is durable or read. If they woke the tasks themselves, the
//! runtime would choose any sleeping worker for them, and that one would wake another to look for more work: two
//! sleepers roused for one confirm. Instead they write an octet into a pipe that the I/O driver watches, as it watches the
//! sockets; the worker that waits there anyway takes the wakes in and runs the connections itself.

use std::cell::Cell;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use parking_lot::Mutex;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

thread_local! {
    /// This thread is polling a connection: it belongs to the runtime.
    static POLLING: Cell<bool> = const { Cell::new(false) };
}

/// Where foreign threads leave the tasks that they want to wake.
#[derive(Debug)]
pub(crate) struct Wakes {
    bell: PipeWriter,
    left: Mutex<Vec<Waker>>,
}

/// The end that the driver watches.
#[derive(Debug)]
pub(crate) struct Bell(PipeReader);

impl Wakes {
    pub(crate) fn new() -> io::Result<(Self, Bell)> {
        let (heard, bell) = io::pipe()?;
        let wakes = Self {
            bell,
            left: Mutex::default(),
        };
        Ok((wakes, Bell(heard)))
    }

    /// Leave a task to be woken.
    fn leave(&self, task: Waker) {
        let first = {
            let mut left = self.left.lock();
            left.push(task);
            left.len() == 1
        };
        // Whoever leaves the first of several rings for them all, so the pipe never holds more than a few octets.
        if first && let Err(error) = (&self.bell).write_all(&[1]) {
            tracing::debug!(%error, "nobody watches the pipe for wakes any more");
            self.deliver(&mut Vec::new());
        }
    }

    fn deliver(&self, room: &mut Vec<Waker>) {
        std::mem::swap(room, &mut *self.left.lock());
        for task in room.drain(..) {
            task.wake();
        }
    }

    /// Wake whatever was left, for ever.
    pub(crate) async fn run(self: Arc<Self>, bell: Bell) {
        let mut heard = match Receiver::from_owned_fd(OwnedFd::from(bell.0)) {
            Ok(heard) => heard,
            Err(error) => {
                tracing::error!(%error, "the pipe for wakes cannot be watched");
                return;
            }
        };
        let (mut octets, mut room) = ([0; 16], Vec::new());
        while heard.read(&mut octets).await.is_ok() {
            self.deliver(&mut room);
        }
    }
}

/// A task of the runtime as others wake it.
#[derive(Debug)]
struct Sleeper {
    task: Waker,
    wakes: Arc<Wakes>,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if POLLING.get() {
            self.task.wake_by_ref();
        } else {
            self.wakes.leave(self.task.clone());
        }
    }
}

/// What a connection gives to those who may wake it from anywhere.
#[derive(Debug)]
pub(crate) struct RemoteWaker {
    /// The task that `waker` wakes.
    task: Option<Waker>,
    waker: Waker,
}

impl RemoteWaker {
    pub(crate) fn new() -> Self {
        Self {
            task: None,
            waker: Waker::noop().clone(),
        }
    }

    /// The waker that wakes the task of `context` from any thread.
    pub(crate) fn of(&mut self, context: &Context<'_>, wakes: &Arc<Wakes>) -> &Waker {
        let same = self.task.as_ref();
        if !same.is_some_and(|task| task.will_wake(context.waker())) {
            let task = context.waker().clone();
            self.task = Some(task.clone());
            let wakes = Arc::clone(wakes);
            self.waker = Waker::from(Arc::new(Sleeper { task, wakes }));
        }
        &self.waker
    }
}

/// A connection is being polled in this thread as long as this lives: what wakes another meanwhile is of the runtime.
pub(crate) struct Polling {
    before: bool,
}

impl Polling {
    pub(crate) fn begin() -> Self {
        Self {
            before: POLLING.replace(true),
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLLING.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_thread_outside_wakes_a_task_as_often_as_it_likes() {
        let (wakes, bell) = Wakes::new().unwrap();
        let wakes = Arc::new(wakes);
        let runs = tokio::spawn(Arc::clone(&wakes).run(bell));
        let (give, take) = mpsc::channel::<Waker>();
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for waker in take {
                told.send(()).unwrap();
                waker.wake();
            }
        });
        let mut remote = RemoteWaker::new();
        for _ in 0..1000 {
            let mut asked = false;
            poll_fn(|context| {
                if asked {
                    return tells.try_recv().map_or(Poll::Pending, Poll::Ready);
                }
                asked = true;
                give.send(remote.of(context, &wakes).clone()).unwrap();
                Poll::Pending
            })
            .await;
        }
        runs.abort();
    }

    #[test]
    fn a_thread_of_the_runtime_wakes_at_once() {
        let (wakes, _bell) = Wakes::new().unwrap();
        let wakes = Arc::new(wakes);
        let (task, woken) = {
            struct Flag(Mutex<u32>);
            impl Wake for Flag {
                fn wake(self: Arc<Self>) {
                    *self.0.lock() += 1;
                }
            }
            let flag = Arc::new(Flag(Mutex::new(0)));
            let read = Arc::clone(&flag);
            (Waker::from(flag), move || *read.0.lock())
        };
        let mut remote = RemoteWaker::new();
        let given = remote.of(&Context::from_waker(&task), &wakes).clone();
        let polling = Polling::begin();
        given.wake_by_ref();
        drop(polling);
        assert_eq!(woken(), 1);
        given.wake_by_ref();
        assert_eq!((woken(), wakes.left.lock().len()), (1, 1));
        wakes.deliver(&mut Vec::new());
        assert_eq!(woken(), 2);
    }
}
