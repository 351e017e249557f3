//! Publishers and consumers: at the same time, or one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::batch::Batch;
use crate::burden::Burden;
use crate::cli::Throughput;
use crate::connection::Connection;
use crate::consumer::{self, Consumed, Consumer};
use crate::error::{PerfError, Result};
use crate::process::Process;
use crate::publisher::{self, Published, Publisher};
use crate::rate::Rate;
use crate::report::{Latency, Measurement};
use crate::shared::{Counts, Shared};
use crate::stamp::{STAMP_LEN, STREAMS_MAX};
use crate::topology::{Topology, share};
use crate::verify::{Verdict, Witness};
use crate::watch::{Watch, Window};

/// Without a delivery for so long, what is missing is lost.
const LAST_DELIVERY: Duration = Duration::from_secs(15);
/// Seconds that publishers and consumers get to come to their end.
const GRACE: u32 = 30;
/// Messages of a fill without a count.
const FILL: u64 = 1_000_000;

type Threads<T> = Vec<JoinHandle<Option<T>>>;

/// A load whose queues are declared.
#[derive(Debug)]
pub(crate) struct Load {
    options: Throughput,
    interrupt: Arc<AtomicBool>,
    topology: Topology,
    control: Connection,
    /// The routes of each publisher.
    routes: Vec<Vec<usize>>,
}

/// Publish and consume at the same time.
pub(crate) fn throughput(
    options: &Throughput,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    check(options)?;
    let burden = Burden::lay(options, interrupt)?;
    let outcome = Load::declare(options, interrupt)?.run(|load| Ok(vec![load.both()?]));
    burden.lift();
    outcome
}

/// Publish everything, then consume everything.
pub(crate) fn fill_drain(
    options: &Throughput,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    check(options)?;
    if options.publishers == 0 || options.consumers == 0 {
        return Err(PerfError::Arguments(
            "filling needs a publisher, and draining a consumer".to_owned(),
        ));
    }
    let mut options = options.clone();
    options.count.get_or_insert(FILL);
    let burden = Burden::lay(&options, interrupt)?;
    let outcome = Load::declare(&options, interrupt)?.run(Load::fill_then_drain);
    burden.lift();
    outcome
}

/// What the grammar cannot say.
fn check(options: &Throughput) -> Result<()> {
    let refuse = |text: &str| Err(PerfError::Arguments(text.to_owned()));
    if options.publishers == 0 && options.consumers == 0 {
        return refuse("without publishers and consumers there is nothing to do");
    }
    if (options.verify || options.latency) && options.size < STAMP_LEN {
        return refuse("--verify and --latency need bodies of at least 16 octets (--size)");
    }
    if options.verify && (options.publishers == 0 || options.consumers == 0) {
        return refuse("--verify needs publishers and consumers");
    }
    if options.publishers * usize::from(options.channels) > STREAMS_MAX {
        return refuse("all publishers together can have 65,536 channels");
    }
    if options.burden.backlog > 0 {
        if options.verify || options.latency {
            return refuse(
                "a --backlog is not stamped: it goes with neither --verify nor --latency",
            );
        }
        if options.publishers == 0 || options.consumers == 0 {
            return refuse("--backlog needs publishers and consumers");
        }
        if options.places.exchange_type.is_some() {
            return refuse("--backlog goes through the default exchange");
        }
    }
    match options.ack {
        Some(every) if options.prefetch > 0 && every > u32::from(options.prefetch) => {
            refuse("--ack beyond --prefetch never comes to an acknowledgement")
        }
        _ => Ok(()),
    }
}

impl Load {
    /// Declare what the options say.
    pub(crate) fn declare(options: &Throughput, interrupt: &Arc<AtomicBool>) -> Result<Self> {
        let topology = Topology::plan(options.places.wanted(options.persistent))?;
        let mut control = Connection::open(&options.target.uri)?;
        control.open_channel(1)?;
        let publishers = options.publishers;
        let routes = (0..publishers)
            .map(|number| share(number, publishers, topology.routes.len()))
            .collect();
        let mut this = Self {
            options: options.clone(),
            interrupt: Arc::clone(interrupt),
            topology,
            control,
            routes,
        };
        match this.topology.declare(&mut this.control) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.delete();
                Err(error)
            }
        }
    }

    /// Measure, and leave nothing behind, whatever comes of it.
    fn run(
        mut self,
        measure: impl FnOnce(&mut Self) -> Result<Vec<Measurement>>,
    ) -> Result<(String, Vec<Measurement>)> {
        let outcome = measure(&mut self);
        self.delete();
        let broker = std::mem::take(&mut self.control.product);
        // The result is there, whatever becomes of this.
        let _ = self.control.close();
        Ok((broker, outcome?))
    }

    /// Put messages into the queues that nobody waits for.
    pub(crate) fn lay_backlog(&mut self, count: u64) -> Result<()> {
        self.fill(&Shared::new(&self.interrupt), count, true)
            .map(drop)
    }

    /// Delete what was declared, and close.
    pub(crate) fn end(mut self) {
        self.delete();
        // All that counts is there.
        let _ = self.control.close();
    }

    fn delete(&mut self) {
        if self.topology.delete(&mut self.control).is_err() {
            // The channel or connection may have been closed by what failed before.
            if let Ok(mut control) = Connection::open(&self.options.target.uri)
                && control.open_channel(1).is_ok()
            {
                let _ = self.topology.delete(&mut control);
            }
        }
    }

    fn watch<'s>(&self, shared: &'s Shared) -> Watch<'s> {
        Watch {
            shared,
            process: self.options.target.pid.map(Process),
            quiet: self.options.target.quiet,
        }
    }

    fn both(&mut self) -> Result<Measurement> {
        let backlog = self.options.burden.backlog;
        if backlog > 0 {
            self.lay_backlog(backlog)?;
        }
        let shared = Shared::new(&self.interrupt);
        let consumers = self.consumers(&shared, false)?;
        let publishers = self.publishers(&shared, |number| self.plan(number))?;
        let consumers = spawn(&shared, consumers, Consumer::run)?;
        let publishers = spawn(&shared, publishers, Publisher::run)?;
        let window = self.measure_both(&shared)?;
        shared.stop_publishing.store(true, Ordering::Relaxed);
        let published = shared.join(publishers, GRACE);
        shared.check()?;
        if self.options.verify {
            wait_for_deliveries(&shared, self.expected(&published));
        }
        let count = match (self.options.consumers, self.options.confirm) {
            (0, None) => window.counts.published,
            (0, Some(_)) => window.counts.confirmed,
            _ => window.counts.delivered,
        };
        let mut result = window.measurement(&self.name("throughput"), "messages", count);
        self.finish(&shared, &mut result, published, consumers)?;
        Ok(result)
    }

    /// The measured window: of the duration, or until everything has been published and delivered.
    fn measure_both(&self, shared: &Shared) -> Result<Window> {
        let watch = self.watch(shared);
        if self.options.count.is_none() {
            watch.warm_up(Duration::from_secs_f64(self.options.length.warm_up));
            let duration = Duration::from_secs_f64(self.options.length.duration);
            return watch.measure(|_, elapsed| elapsed >= duration);
        }
        let expected = self.expected_of(self.options.count.unwrap_or_default());
        let publishers = self.options.publishers as u64;
        let mut quiet = Quiet::new(shared.counts());
        watch.measure(|_, _| {
            // From the start on: some may have been sent before the window.
            let counts = shared.counts();
            let published = counts.done == publishers
                && (self.options.confirm.is_none()
                    || counts.confirmed + counts.nacked >= counts.published);
            let delivered = self.options.consumers == 0 || counts.delivered >= expected;
            let slow = self.options.rate.is_some() && counts.done < publishers;
            (published && delivered) || (quiet.lasts(counts) && !slow)
        })
    }

    fn fill_then_drain(&mut self) -> Result<Vec<Measurement>> {
        let shared = Shared::new(&self.interrupt);
        let count = self.options.count.unwrap_or_default();
        let expected = self.expected_of(count);
        let (window, published) = self.fill(&shared, count, false)?;
        let mut fill = window.measurement(&self.name("fill"), "messages", window.counts.published);
        fill.confirm_latency = merged(published.iter().map(|done| done.latency.as_ref()))?;
        if shared.interrupted() {
            return Ok(vec![fill]);
        }
        shared.gate.store(false, Ordering::Relaxed);
        let consumers = spawn(&shared, self.consumers(&shared, true)?, Consumer::run)?;
        let mut quiet = Quiet::new(shared.counts());
        let window = self.watch(&shared).measure(|_, _| {
            let counts = shared.counts();
            counts.delivered >= expected || quiet.lasts(counts)
        })?;
        let mut drain =
            window.measurement(&self.name("drain"), "messages", window.counts.delivered);
        self.finish(&shared, &mut drain, published, consumers)?;
        drain.confirm_latency = None;
        Ok(vec![fill, drain])
    }

    /// Publish `count` messages, all publishers together, until the queues have them; as a `backlog`
    /// without rate, confirms and stamps.
    fn fill(
        &mut self,
        shared: &Arc<Shared>,
        count: u64,
        backlog: bool,
    ) -> Result<(Window, Vec<Published>)> {
        let publishers = self.publishers(shared, |number| {
            let plan = publisher::Plan {
                limit: Some(portion(count, number, self.options.publishers)),
                ..self.plan(number)
            };
            if !backlog {
                return plan;
            }
            publisher::Plan {
                rate: None,
                window: None,
                stamped: false,
                ..plan
            }
        })?;
        let publishers = spawn(shared, publishers, Publisher::run)?;
        let expected = self.expected_of(count);
        let publishing = self.options.publishers as u64;
        let mut quiet = Quiet::new(shared.counts());
        let (control, queues) = (&mut self.control, &self.topology.queues);
        let mut failure = None;
        let watch = Watch {
            shared,
            process: self.options.target.pid.map(Process),
            quiet: self.options.target.quiet,
        };
        let window = watch.measure(|_, _| {
            let counts = shared.counts();
            if counts.done < publishing {
                return quiet.lasts(counts);
            }
            // All is written; the broker has it when its queues say so.
            match ready(control, queues) {
                Ok(messages) => {
                    let counts = Counts {
                        delivered: messages,
                        ..counts
                    };
                    messages >= expected || quiet.lasts(counts)
                }
                Err(error) => {
                    failure = Some(error);
                    true
                }
            }
        })?;
        failure.map_or(Ok(()), Err)?;
        shared.stop_publishing.store(true, Ordering::Relaxed);
        let published = shared.join(publishers, GRACE);
        shared.check()?;
        Ok((window, published))
    }

    /// End the consumers, and add what the threads measured.
    fn finish(
        &self,
        shared: &Shared,
        result: &mut Measurement,
        published: Vec<Published>,
        consumers: Threads<Consumed>,
    ) -> Result<()> {
        shared.stop.store(true, Ordering::Relaxed);
        let consumed = shared.join(consumers, GRACE);
        shared.check()?;
        result.latency = merged(consumed.iter().map(|done| done.latency.as_ref()))?;
        result.confirm_latency = merged(published.iter().map(|done| done.latency.as_ref()))?;
        // What was interrupted is not expected to be whole.
        if self.options.verify && !shared.interrupted() {
            result.verdict = Some(self.judge(&published, &consumed));
        }
        let connections = published.into_iter().filter_map(|done| done.connection);
        for connection in connections.chain(consumed.into_iter().map(|done| done.connection)) {
            // The result is there, whatever becomes of this.
            let _ = connection.close();
        }
        Ok(())
    }

    fn name(&self, otherwise: &str) -> String {
        match &self.options.target.name {
            // A fill and its drain have one name between them.
            Some(name) if otherwise == "throughput" => name.clone(),
            Some(name) => format!("{otherwise} {name}"),
            None => otherwise.to_owned(),
        }
    }

    fn consumers(&self, shared: &Shared, at_gate: bool) -> Result<Vec<Consumer>> {
        let options = &self.options;
        let plan = consumer::Plan {
            channels: options.channels,
            ack_every: options.ack.map(u64::from),
            prefetch: options.prefetch,
            latency: options.latency,
            verify: options.verify,
            at_gate,
            in_step: options.burden.backlog > 0,
        };
        let start = |number| {
            let connection = Connection::open(&options.target.uri)?;
            let queues = share(number, options.consumers, self.topology.queues.len());
            let named = queues
                .into_iter()
                .filter_map(|queue| Some((queue, self.topology.queues.get(queue)?.as_str())));
            Consumer::start(connection, named, plan, shared)
        };
        (0..options.consumers).map(start).collect()
    }

    fn publishers(
        &self,
        shared: &Shared,
        plan: impl Fn(usize) -> publisher::Plan,
    ) -> Result<Vec<Publisher>> {
        let body = vec![b'x'; self.options.size];
        let start = |(number, routes): (usize, &Vec<usize>)| {
            let connection = Connection::open(&self.options.target.uri)?;
            let envelopes: Vec<_> = routes
                .iter()
                .filter_map(|route| self.topology.routes.get(*route))
                .map(|route| self.topology.envelope(route, self.options.persistent))
                .collect();
            let channels = self.options.channels;
            let batch = Batch::new(&envelopes, channels, &body, connection.frame_max)
                .map_err(|error| PerfError::Arguments(error.to_string()))?;
            Publisher::start(connection, batch, plan(number), shared)
        };
        self.routes.iter().enumerate().map(start).collect()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "there are less than 2^53 publishers"
    )]
    fn plan(&self, number: usize) -> publisher::Plan {
        let options = &self.options;
        let all = options.publishers as f64;
        publisher::Plan {
            limit: options
                .count
                .map(|count| portion(count, number, options.publishers)),
            rate: options
                .rate
                .map(|rate| Rate::new(rate / all, number as f64 / all)),
            window: options.confirm.map(|window| window as usize),
            stamped: options.latency || options.verify,
            first_stream: u16::try_from(number * usize::from(options.channels)).unwrap_or_default(),
            channels: options.channels,
        }
    }

    /// Deliveries that so many messages of each publisher bring.
    fn deliveries(&self, count: impl Fn(usize) -> u64) -> u64 {
        let queues = self.topology.queues.len();
        let of = |(number, routes): (usize, &Vec<usize>)| {
            let (count, cycle) = (count(number), routes.len().max(1) as u64);
            let each = routes.iter().zip(0..).map(|(route, position)| {
                let reach = self.topology.routes.get(*route);
                let reach = reach.map_or(0, |route| route.reach.len(queues)) as u64;
                reach * ((count + cycle - 1 - position) / cycle)
            });
            each.sum::<u64>()
        };
        self.routes.iter().enumerate().map(of).sum()
    }

    /// Deliveries of a run with that count.
    fn expected_of(&self, count: u64) -> u64 {
        self.deliveries(|number| portion(count, number, self.options.publishers))
    }

    fn expected(&self, published: &[Published]) -> u64 {
        self.deliveries(|number| published.get(number).map_or(0, total))
    }

    fn judge(&self, published: &[Published], consumed: &[Consumed]) -> Verdict {
        let mut all = Witness::default();
        for witness in consumed.iter().filter_map(|done| done.witness.as_ref()) {
            all.join(witness.clone());
        }
        let streams: Vec<(u16, u64)> = published
            .iter()
            .flat_map(|done| done.streams.iter().copied())
            .collect();
        let channels = u64::from(self.options.channels);
        all.judge(
            self.topology.queues.len(),
            &streams,
            |queue, stream, sequence| {
                let (number, channel) =
                    (u64::from(stream) / channels, u64::from(stream) % channels);
                let routes = usize::try_from(number)
                    .ok()
                    .and_then(|number| self.routes.get(number));
                let reach = routes.and_then(|routes| {
                    let position = (sequence * channels + channel) % routes.len().max(1) as u64;
                    let route = routes.get(usize::try_from(position).ok()?)?;
                    Some(&self.topology.routes.get(*route)?.reach)
                });
                reach.is_some_and(|reach| reach.has(queue))
            },
        )
    }
}

/// Until everything has come, or nothing has come for long.
fn wait_for_deliveries(shared: &Shared, expected: u64) {
    let mut quiet = Quiet::new(shared.counts());
    while !shared.stopped() && !shared.interrupted() {
        let counts = shared.counts();
        if counts.delivered >= expected || quiet.lasts(counts) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Looks whether anything still happens.
#[derive(Debug)]
struct Quiet {
    counts: Counts,
    since: Instant,
}

impl Quiet {
    fn new(counts: Counts) -> Self {
        Self {
            counts,
            since: Instant::now(),
        }
    }

    /// Nothing has changed for long.
    fn lasts(&mut self, counts: Counts) -> bool {
        if counts != self.counts {
            *self = Self::new(counts);
        }
        self.since.elapsed() >= LAST_DELIVERY
    }
}

/// What the `number`th of `parts` does of a whole.
pub(crate) fn portion(whole: u64, number: usize, parts: usize) -> u64 {
    let (number, parts) = (number as u64, parts.max(1) as u64);
    whole / parts + u64::from(number < whole % parts)
}

fn total(published: &Published) -> u64 {
    published.streams.iter().map(|(_, count)| count).sum()
}

/// Messages that are ready in all of the queues.
fn ready(control: &mut Connection, queues: &[String]) -> Result<u64> {
    queues
        .iter()
        .map(|queue| control.ready_messages(queue))
        .sum()
}

fn spawn<W: Send + 'static, T: Send + 'static>(
    shared: &Arc<Shared>,
    workers: Vec<W>,
    run: fn(W, &Shared) -> Result<T>,
) -> Result<Threads<T>> {
    let start = |worker| shared.spawn(move |shared| run(worker, shared));
    workers.into_iter().map(start).collect()
}

/// All of them as one.
pub(crate) fn merged<'h>(
    parts: impl Iterator<Item = Option<&'h Histogram<u64>>>,
) -> Result<Option<Latency>> {
    let mut all = publisher::histogram()?;
    for part in parts.flatten() {
        // Both have the same bounds.
        let _ = all.add(part);
    }
    Ok(Latency::of(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_make_the_whole() {
        assert_eq!([0, 1, 2].map(|number| portion(8, number, 3)), [3, 3, 2]);
        assert_eq!([0, 1].map(|number| portion(1, number, 2)), [1, 0]);
    }
}
