//! Questions and answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use leveret_wire::method::queue::AMQPMethod;
use leveret_wire::{AMQPClass, FieldTable, parse_content_header};

use crate::batch::Batch;
use crate::cli::{ReplyTo, Rpc};
use crate::connection::{Connection, check_close, unexpected};
use crate::error::{PerfError, Result};
use crate::frames::{Envelope, put_publish};
use crate::inbox::{BODY, HEADER, Inbox};
use crate::process::Process;
use crate::publisher::histogram;
use crate::report::Measurement;
use crate::requests;
use crate::shared::{Shared, Tally};
use crate::stamp::Stamp;
use crate::throughput::{merged, portion};
use crate::topology::unique_name;
use crate::watch::Watch;

/// RabbitMQ's pseudo-queue ("Direct Reply-to").
const DIRECT: &str = "amq.rabbitmq.reply-to";
/// Octets read at once.
const READ_MAX: usize = 128 * 1024;
/// Seconds that the threads get to come to their end.
const GRACE: u32 = 10;

/// Ask and answer for the duration or the count.
pub(crate) fn run(
    options: &Rpc,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let mut control = Connection::open(&options.target.uri)?;
    control.open_channel(1)?;
    let queue = unique_name();
    let declare = requests::declare_queue(&queue, false, &FieldTable::default());
    control.call(1, &declare, "queue.declare")?;
    let outcome = measure(options, &queue, interrupt);
    // The result is there, whatever becomes of this.
    let _ = control.call(1, &requests::delete_queue(&queue), "queue.delete");
    let broker = std::mem::take(&mut control.product);
    let _ = control.close();
    Ok((broker, vec![outcome?]))
}

fn measure(options: &Rpc, queue: &str, interrupt: &Arc<AtomicBool>) -> Result<Measurement> {
    let shared = Shared::new(interrupt);
    let mut servers = Vec::new();
    for _ in 0..options.servers {
        let server = Server::start(options, queue)?;
        servers.push(shared.spawn(move |shared| server.run(shared))?);
    }
    let mut clients = Vec::new();
    for number in 0..options.clients {
        let client = Client::start(options, queue, number, &shared)?;
        clients.push(shared.spawn(move |shared| client.run(shared))?);
    }
    let watch = Watch {
        shared: &shared,
        process: options.target.pid.map(Process),
        quiet: options.target.quiet,
    };
    let duration = Duration::from_secs_f64(options.length.duration);
    let all = u64::from(options.clients);
    let window = if options.count.is_some() {
        watch.measure(|counts, _| counts.done >= all)?
    } else {
        watch.warm_up(Duration::from_secs_f64(options.length.warm_up));
        watch.measure(|_, elapsed| elapsed >= duration)?
    };
    shared.stop.store(true, Ordering::Relaxed);
    let asked = shared.join(clients, GRACE);
    shared.join(servers, GRACE);
    shared.check()?;
    let name = options
        .target
        .name
        .clone()
        .unwrap_or_else(|| "rpc".to_owned());
    let mut result = window.measurement(&name, "round trips", window.counts.delivered);
    result.latency = merged(asked.iter().map(Some))?;
    Ok(result)
}

/// Asks, and measures the time to the answer.
struct Client {
    connection: Connection,
    batch: Batch,
    tally: Arc<Tally>,
    limit: Option<u64>,
    window: u64,
    latency: Histogram<u64>,
}

impl Client {
    fn start(options: &Rpc, queue: &str, number: u32, shared: &Shared) -> Result<Self> {
        let mut connection = Connection::open(&options.target.uri)?;
        connection.open_channel(1)?;
        let reply_to = match options.reply_to {
            ReplyTo::Direct => DIRECT.to_owned(),
            ReplyTo::Queue => exclusive_queue(&mut connection)?,
        };
        connection.call(1, &requests::consume(&reply_to, "", true), "basic.consume")?;
        connection.inbox = Inbox::new(READ_MAX, false);
        let envelope = Envelope {
            routing_key: queue.to_owned(),
            reply_to: Some(reply_to),
            ..Envelope::default()
        };
        let body = vec![b'x'; options.size as usize];
        let batch = Batch::new(&[envelope], 1, &body, connection.frame_max)
            .map_err(|error| PerfError::Arguments(error.to_string()))?;
        let (number, parts) = (number as usize, options.clients as usize);
        Ok(Self {
            connection,
            batch,
            tally: shared.tally(),
            limit: options.count.map(|count| portion(count, number, parts)),
            window: u64::from(options.window),
            latency: histogram()?,
        })
    }

    fn run(mut self, shared: &Shared) -> Result<Histogram<u64>> {
        shared.wait_at_gate();
        let (mut asked, mut answered) = (0, 0);
        while !shared.stopped() && self.limit.is_none_or(|limit| answered < limit) {
            let left = self.limit.map_or(u64::MAX, |limit| limit - asked);
            let room = left.min(self.window - (asked - answered));
            if room > 0 {
                asked += self.ask(room, shared)?;
            }
            if self.window > asked - answered && left > room {
                continue;
            }
            if self.connection.receive("waiting for answers")? {
                answered += self.take_answers(shared)?;
            }
        }
        self.tally.done.store(1, Ordering::Relaxed);
        // An exclusive reply queue goes with the connection.
        let _ = self.connection.close();
        Ok(self.latency)
    }

    fn ask(&mut self, most: u64, shared: &Shared) -> Result<u64> {
        let nanos = shared.clock.nanos();
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let stamp = Stamp {
            nanos,
            stream: 0,
            sequence: 0,
        };
        let (count, octets) = self.batch.take(most, |_| Some(stamp));
        self.connection.send_unless(octets, &shared.stop)?;
        self.tally
            .published
            .fetch_add(count as u64, Ordering::Relaxed);
        Ok(count as u64)
    }

    fn take_answers(&mut self, shared: &Shared) -> Result<u64> {
        let now = shared.clock.nanos();
        let mut answers = 0;
        while let Some(frame) = self.connection.inbox.next_frame() {
            if frame.kind != BODY {
                check_close(&frame)?;
                continue;
            }
            answers += 1;
            if let (Some(stamp), true) = (
                Stamp::parse(frame.payload),
                shared.recording.load(Ordering::Relaxed),
            ) {
                self.latency
                    .saturating_record(now.saturating_sub(stamp.nanos));
            }
        }
        self.tally.delivered.fetch_add(answers, Ordering::Relaxed);
        Ok(answers)
    }
}

fn exclusive_queue(connection: &mut Connection) -> Result<String> {
    match connection.call(1, &requests::declare_exclusive(""), "queue.declare")? {
        AMQPClass::Queue(AMQPMethod::DeclareOk(ok)) => Ok(ok.queue.to_string()),
        other => Err(unexpected("queue.declare", &other)),
    }
}

/// Answers with the question.
struct Server {
    connection: Connection,
    /// The last answer's frames, and where its body is: most go to the same asker.
    frames: Vec<u8>,
    body_at: usize,
    reply_to: Vec<u8>,
}

impl Server {
    fn start(options: &Rpc, queue: &str) -> Result<Self> {
        let mut connection = Connection::open(&options.target.uri)?;
        connection.open_channel(1)?;
        connection.inbox = Inbox::new(READ_MAX, true);
        connection.call(1, &requests::consume(queue, "", true), "basic.consume")?;
        Ok(Self {
            connection,
            frames: Vec::new(),
            body_at: 0,
            reply_to: Vec::new(),
        })
    }

    fn run(mut self, shared: &Shared) -> Result<()> {
        let mut answers = Vec::new();
        while !shared.stopped() {
            if !self.connection.receive("waiting for questions")? {
                continue;
            }
            self.take_questions(&mut answers)?;
            self.connection.send_unless(&answers, &shared.stop)?;
            answers.clear();
        }
        let _ = self.connection.close();
        Ok(())
    }

    fn take_questions(&mut self, answers: &mut Vec<u8>) -> Result<()> {
        let frame_max = self.connection.frame_max;
        while let Some(frame) = self.connection.inbox.next_frame() {
            match frame.kind {
                HEADER => {
                    let header = parse_content_header(frame.payload).ok();
                    let properties = header.map(|header| header.properties());
                    let reply_to = properties.and_then(|properties| properties.reply_to());
                    let reply_to = reply_to.unwrap_or_default();
                    if self.reply_to != reply_to {
                        self.reply_to = reply_to.to_vec();
                        self.frames.clear();
                    }
                }
                BODY => {
                    let octets = frame.payload;
                    if self.frames.is_empty() {
                        let envelope = Envelope {
                            routing_key: String::from_utf8_lossy(&self.reply_to).into_owned(),
                            ..Envelope::default()
                        };
                        self.body_at =
                            put_publish(&mut self.frames, 1, &envelope, octets, frame_max)
                                .map_err(|error| PerfError::Arguments(error.to_string()))?;
                    }
                    let place = self
                        .frames
                        .get_mut(self.body_at..self.body_at + octets.len());
                    if let Some(place) = place {
                        place.copy_from_slice(octets);
                    }
                    answers.extend_from_slice(&self.frames);
                }
                _ => check_close(&frame)?,
            }
        }
        Ok(())
    }
}
