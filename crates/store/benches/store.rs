//! What the store costs: messages per second, and per second of CPU time of the whole process.
//!
//! `cargo bench -p leveret-store`; a number as argument sets the messages per case (default 2,000,000).

use std::collections::VecDeque;
use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use leveret_store::conformance::{Notice, Told, message};
use leveret_store::{EmbeddedStore, FetchLimit, Operation, Options, QueueId, Store, Ticket};
use leveret_wire::Message;

/// Messages handed over in one call.
const RUN: u64 = 256;
/// Messages that may wait for their sync.
const IN_FLIGHT: u64 = 4096;

/// User and system time of this process so far.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the command's name, which may hold anything: state is field 3, utime and stime 14 and 15, in 1/100 s.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    Duration::from_millis(
        ticks
            .filter_map(|field| field.parse::<u64>().ok())
            .sum::<u64>()
            * 10,
    )
}

fn measure(name: &str, messages: u64, run: impl FnOnce()) {
    let (cpu, begun) = (cpu_time(), Instant::now());
    run();
    let (cpu, took) = (
        cpu_time().saturating_sub(cpu).as_secs_f64(),
        begun.elapsed().as_secs_f64(),
    );
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let messages = messages as f64;
    #[expect(clippy::print_stdout, reason = "this is what the bench is for")]
    {
        println!(
            "{name:45} {:>8.0} k msg/s {:>8.0} k msg/CPU-s {:>6.2} us CPU/msg",
            messages / took / 1e3,
            messages / cpu.max(1e-3) / 1e3,
            cpu * 1e6 / messages,
        );
    }
}

/// Waits for tickets as a publisher's confirms do: one waiter a run.
struct Confirms {
    waiting: VecDeque<(Ticket, mpsc::Receiver<Told>)>,
}

impl Confirms {
    fn expect(&mut self, store: &EmbeddedStore, ticket: Ticket) {
        let (waiter, told) = Notice::pair();
        store.on_durable(ticket, waiter);
        self.waiting.push_back((ticket, told));
        while self.waiting.len() as u64 * RUN > IN_FLIGHT {
            self.await_oldest();
        }
    }

    fn await_oldest(&mut self) {
        if let Some((ticket, told)) = self.waiting.pop_front() {
            let outcome = told.recv_timeout(Duration::from_secs(60));
            assert!(
                matches!(outcome, Ok((_, Ok(())))),
                "{ticket:?}: {outcome:?}"
            );
        }
    }
}

fn put(queue: QueueId, seq: u64, message: &Message) -> Operation {
    Operation::Put {
        queue,
        seq,
        message: message.clone(),
        durable: true,
    }
}

/// Append durable messages to `queues` queues; with a `backlog`, settle what is older than that.
fn publish(store: &EmbeddedStore, messages: u64, queues: u64, backlog: Option<u64>, body: usize) {
    let ids: Vec<_> = (0..queues).map(|_| store.next_queue_id()).collect();
    let mut next = vec![0; ids.len()];
    let mut confirms = Confirms {
        waiting: VecDeque::new(),
    };
    let mut operations = Vec::new();
    let body = vec![b'x'; body];
    let per_queue = RUN / queues.min(RUN);
    let mut sent = 0;
    while sent < messages {
        let mut in_run = 0;
        for (queue, next) in ids.iter().zip(&mut next) {
            if in_run >= RUN {
                break;
            }
            // Messages are made anew, as a broker does.
            operations.extend(
                (*next..*next + per_queue).map(|seq| put(*queue, seq, &message("key", &body))),
            );
            *next += per_queue;
            in_run += per_queue;
            if let Some(first) = backlog.and_then(|backlog| next.checked_sub(backlog + per_queue)) {
                operations.push(Operation::Settle {
                    queue: *queue,
                    first,
                    last: first + per_queue - 1,
                    put: None,
                });
            }
        }
        let count = operations.len() as u64;
        match store.append(&mut operations) {
            Ok(first) => confirms.expect(store, Ticket(first.0 + count - 1)),
            Err(error) => panic_with(&error.to_string()),
        }
        sent += in_run;
    }
    while !confirms.waiting.is_empty() {
        confirms.await_oldest();
    }
}

fn panic_with(what: &str) {
    assert!(what.is_empty(), "the store refused: {what}");
}

/// Fetch a whole backlog in order, settling as it goes.
fn drain(store: &EmbeddedStore, queue: QueueId, messages: u64) {
    let limit = FetchLimit {
        messages: 1000,
        bytes: 1 << 20,
    };
    let mut from = 0;
    while from < messages {
        let (done, fetched) = mpsc::channel();
        store.fetch(
            queue,
            from,
            limit,
            Box::new(move |result| drop(done.send(result))),
        );
        let fetched = fetched.recv_timeout(Duration::from_secs(60));
        let Ok(Ok(fetched)) = fetched else {
            panic_with("nothing was fetched");
            return;
        };
        let Some(last) = fetched.last().map(|last| last.seq) else {
            panic_with("the backlog ended early");
            return;
        };
        let settle = Operation::Settle {
            queue,
            first: from,
            last,
            put: None,
        };
        if let Err(error) = store.append(&mut vec![settle]) {
            panic_with(&error.to_string());
        }
        from = last + 1;
    }
}

fn with_store(run: impl FnOnce(&EmbeddedStore, &Options)) {
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return panic_with(&error.to_string()),
    };
    let options = Options::new(folder.path());
    match EmbeddedStore::open(&options) {
        Ok(store) => {
            store.recovered();
            run(&store, &options);
        }
        Err(error) => panic_with(&error.to_string()),
    }
}

fn main() {
    let messages = std::env::args().find_map(|argument| argument.parse().ok());
    let messages: u64 = messages.unwrap_or(2_000_000);
    let cases = [
        ("make and drop messages only", 0, None, 100),
        ("append 100 B, 1 queue", 1, None, 100),
        ("append 100 B, 100 queues", 100, None, 100),
        ("append 1 KiB, 1 queue", 1, None, 1024),
        (
            "append + settle 100 B, backlog 10,000",
            1,
            Some(10_000),
            100,
        ),
    ];
    for (name, queues, backlog, body) in cases {
        if queues == 0 {
            let body = vec![b'x'; body];
            measure(name, messages, || {
                for _ in 0..messages {
                    drop(std::hint::black_box(message("key", &body)));
                }
            });
            continue;
        }
        with_store(|store, _| {
            measure(name, messages, || {
                publish(store, messages, queues, backlog, body);
            });
        });
    }
    with_store(|store, options| {
        publish(store, messages, 1, None, 100);
        let queue = QueueId((1 << 32) + 1);
        store.abandon();
        let mut reopened = None;
        measure("recover 100 B", messages, || {
            if let Ok(store) = EmbeddedStore::open(options) {
                let claimed = store.claim(queue);
                assert!(claimed.is_ok_and(|claimed| claimed.messages >= messages));
                store.recovered();
                reopened = Some(store);
            }
        });
        if let Some(store) = &reopened {
            measure("fetch and settle 100 B", messages, || {
                drain(store, queue, messages);
            });
        }
    });
}
