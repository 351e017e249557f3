//! Connections that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leveret_wire::AMQPClass;
use leveret_wire::method::{basic, queue};

use crate::cli::Churn;
use crate::connection::{Connection, unexpected};
use crate::error::{PerfError, Result};
use crate::frames::{Envelope, put_method, put_publish};
use crate::process::Process;
use crate::report::Measurement;
use crate::requests;
use crate::shared::{Shared, Tally};
use crate::throughput::portion;
use crate::watch::Watch;

/// How often a message that was published before is asked for.
const GETS: u32 = 1000;
/// Seconds that the threads get to come to their end.
const GRACE: u32 = 10;

/// Cycles for the duration or the count.
pub(crate) fn run(
    options: &Churn,
    interrupt: &Arc<AtomicBool>,
) -> Result<(String, Vec<Measurement>)> {
    let mut first = Connection::open(&options.target.uri)?;
    let broker = std::mem::take(&mut first.product);
    first.close()?;
    let shared = Shared::new(interrupt);
    let mut clients = Vec::new();
    for number in 0..options.clients as usize {
        let (options, tally) = (options.clone(), shared.tally());
        let limit = options
            .count
            .map(|count| portion(count, number, options.clients as usize));
        clients.push(shared.spawn(move |shared| cycles(&options, limit, shared, &tally))?);
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
    shared.stop_publishing.store(true, Ordering::Relaxed);
    shared.join(clients, GRACE);
    shared.check()?;
    let name = options
        .target
        .name
        .clone()
        .unwrap_or_else(|| "churn".to_owned());
    Ok((
        broker,
        vec![window.measurement(&name, "cycles", window.counts.delivered)],
    ))
}

fn cycles(options: &Churn, limit: Option<u64>, shared: &Shared, tally: &Tally) -> Result<()> {
    let body = vec![b'x'; options.size];
    shared.wait_at_gate();
    let mut done = 0;
    while !shared.publishing_ended() && limit.is_none_or(|limit| done < limit) {
        cycle(options, &body)?;
        done += 1;
        tally.delivered.store(done, Ordering::Relaxed);
    }
    tally.done.store(1, Ordering::Relaxed);
    Ok(())
}

/// Connect, declare, publish, get, close.
fn cycle(options: &Churn, body: &[u8]) -> Result<()> {
    let mut connection = Connection::open(&options.target.uri)?;
    connection.open_channel(1)?;
    let name = match connection.call(1, &requests::declare_exclusive(""), "queue.declare")? {
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => ok.queue.to_string(),
        other => return Err(unexpected("queue.declare", &other)),
    };
    let envelope = Envelope {
        routing_key: name.clone(),
        ..Envelope::default()
    };
    let mut octets = Vec::new();
    put_publish(&mut octets, 1, &envelope, body, connection.frame_max)
        .map_err(|error| PerfError::Arguments(error.to_string()))?;
    put_method(&mut octets, 1, &requests::pull(&name));
    connection.send(&octets)?;
    for _ in 0..GETS {
        match connection.answer("basic.get")? {
            AMQPClass::Basic(basic::AMQPMethod::GetOk(_)) => return connection.close(),
            AMQPClass::Basic(basic::AMQPMethod::GetEmpty(_)) => {
                octets.clear();
                put_method(&mut octets, 1, &requests::pull(&name));
                connection.send(&octets)?;
            }
            other => return Err(unexpected("basic.get", &other)),
        }
    }
    Err(PerfError::Unexpected {
        asked: "basic.get",
        got: "the queue stays empty after a publish".to_owned(),
    })
}
