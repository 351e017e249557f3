//! Connections and queues that do nothing, and what they hold of memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_wire::FieldTable;

use crate::cli::Idle;
use crate::connection::Connection;
use crate::error::Result;
use crate::inbox::Inbox;
use crate::process::Process;
use crate::report::Measurement;
use crate::requests;
use crate::shared::{Counts, Shared, Tally};
use crate::topology::unique_name;
use crate::uri::Uri;
use crate::watch::{Watch, Window};

/// Things made before the measurement, so that what a broker allocates once is there.
const FIRST: u32 = 20;
/// Seconds that the thread gets to come to its end.
const GRACE: u32 = 10;
/// Queues declared in one go.
const RUN: u32 = 200;

/// Open connections with a channel each, and hold them.
pub(crate) fn connections(
    options: &Idle,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let target = options.target.clone();
    let open =
        move |count: u32, shared: &Shared, tally: &Tally| open(&target.uri, count, shared, tally);
    let (broker, mut result, held) = hold(options, "idle connections", interrupt, open)?;
    for connection in held {
        // The result is there, whatever becomes of this.
        let _ = connection.close();
    }
    "connections".clone_into(&mut result.unit);
    Ok((broker, vec![result]))
}

/// Declare queues, hold them, delete them.
pub(crate) fn queues(
    options: &Idle,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let mut control = Connection::open(&options.target.uri)?;
    control.open_channel(1)?;
    let target = options.target.clone();
    let declare = move |count: u32, shared: &Shared, tally: &Tally| {
        declare(&target.uri, count, shared, tally)
    };
    let outcome = hold(options, "idle queues", interrupt, declare);
    let names = outcome
        .as_ref()
        .map(|(_, _, names)| names.as_slice())
        .unwrap_or_default();
    delete(&mut control, names)?;
    let _ = control.close();
    let (broker, mut result, _) = outcome?;
    "queues".clone_into(&mut result.unit);
    Ok((broker, vec![result]))
}

/// Open connections with a channel each, as many as `count` or until the run ends, and read from them
/// no more.
pub(crate) fn open(
    uri: &Uri,
    count: u32,
    shared: &Shared,
    tally: &Tally,
) -> Result<Vec<Connection>> {
    let mut open = Vec::new();
    for _ in 0..count {
        if shared.stopped() || shared.interrupted() {
            break;
        }
        let mut connection = Connection::open(uri)?;
        connection.open_channel(1)?;
        connection.inbox = Inbox::new(0, false);
        open.push(connection);
        tally.delivered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(open)
}

/// Declare queues, as many as `count` or until the run ends: their names.
pub(crate) fn declare(
    uri: &Uri,
    count: u32,
    shared: &Shared,
    tally: &Tally,
) -> Result<Vec<String>> {
    let prefix = unique_name();
    let mut connection = Connection::open(uri)?;
    connection.open_channel(1)?;
    let mut names = Vec::new();
    for first in (0..count).step_by(RUN as usize) {
        if shared.stopped() || shared.interrupted() {
            break;
        }
        let run: Vec<String> = (first..count.min(first + RUN))
            .map(|number| format!("{prefix}-{number}"))
            .collect();
        let arguments = FieldTable::default();
        let declares = run
            .iter()
            .map(|name| requests::declare_queue(name, false, &arguments));
        connection.call_all(declares, "queue.declare")?;
        tally
            .delivered
            .fetch_add(run.len() as u64, Ordering::Relaxed);
        names.extend(run);
    }
    connection.close()?;
    Ok(names)
}

/// Delete the queues, on channel 1.
pub(crate) fn delete(control: &mut Connection, names: &[String]) -> Result<()> {
    control.call_all(
        names.iter().map(|name| requests::delete_queue(name)),
        "queue.delete",
    )
}

/// Make many with `make`, hold them, and see how much memory each takes. Gives them back.
fn hold<T: Send + 'static>(
    options: &Idle,
    name: &str,
    interrupt: &Arc<AtomicBool>,
    make: impl Fn(u32, &Shared, &Tally) -> Result<Vec<T>> + Send + 'static,
) -> Result<(String, Measurement, Vec<T>)> {
    let mut first = Connection::open(&options.target.uri)?;
    let broker = std::mem::take(&mut first.product);
    let shared = Shared::new(interrupt);
    let tally = shared.tally();
    let made_before = make(FIRST, &shared, &tally)?;
    let worker_tally = shared.tally();
    let count = options.count;
    let worker = shared.spawn(move |shared| {
        shared.wait_at_gate();
        let outcome = make(count, shared, &worker_tally);
        worker_tally.done.store(1, Ordering::Relaxed);
        outcome
    })?;
    let watch = Watch {
        shared: &shared,
        process: options.target.pid.map(Process),
        quiet: options.target.quiet,
    };
    let mut made_in = None;
    let hold = Duration::from_secs_f64(options.duration);
    let window = watch.measure(|counts: Counts, elapsed| {
        if counts.done == 0 {
            return false;
        }
        elapsed >= *made_in.get_or_insert(elapsed) + hold
    });
    shared.stop.store(true, Ordering::Relaxed);
    let mut things = made_before;
    things.extend(shared.join(vec![worker], GRACE).into_iter().flatten());
    let window = window?;
    let _ = first.close();
    let name = options
        .target
        .name
        .clone()
        .unwrap_or_else(|| name.to_owned());
    Ok((broker, judged(&window, &name, made_in), things))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are less than 2^53 of them"
)]
fn judged(window: &Window, name: &str, made_in: Option<Duration>) -> Measurement {
    let count = window.counts.delivered;
    let mut result = window.measurement(name, "", count);
    let making = made_in.map_or(window.seconds, |time| time.as_secs_f64());
    result.per_second = count as f64 / making.max(f64::MIN_POSITIVE);
    result.octets_each = window.growth().map(|growth| growth / count.max(1) as f64);
    result
}
