//! `leveret store`: looking into the folder of a store, and copying it.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use leveret_broker::{StoredDefinition, Time, stored_message};
use leveret_store::{Inspection, StoreError, StoredMessage, back_up};
use serde_json::{Value, json};

use crate::cli::StoreCommand;
use crate::exit::{Exit, Failure};
use crate::folder::make_private;

/// Names of queues, by their numbers in the store: vhost and name.
type Queues = BTreeMap<u64, (String, String)>;

/// Why a tool ends early.
enum Ended {
    /// The store cannot be read.
    Store(StoreError),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Do what was asked.
pub(crate) fn run(command: &StoreCommand) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = match command {
        StoreCommand::Check { folder } => check(folder, &mut out),
        StoreCommand::Dump { folder } => dump(folder, &mut out),
        StoreCommand::Backup { folder, target } => backup(folder, target, &mut out),
    };
    match ended.and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Ok(exit) => Ok(exit),
        // The reader has seen enough.
        Err(Ended::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(Ended::Output(error)) => Err(Failure::new(
            Exit::Io,
            format!("standard output cannot be written: {error}"),
        )),
        Err(Ended::Store(error)) => Err(failure(&error)),
    }
}

fn failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Locked(_) => Exit::TryAgain,
        StoreError::Corrupt { .. } => Exit::Damaged,
        _ => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}

fn check(folder: &Path, out: &mut impl Write) -> Result<Exit, Ended> {
    let inspection = Inspection::open(folder)?;
    for file in inspection.files() {
        let state = match (file.damaged, file.unfinished) {
            (0, 0) => "ok".to_owned(),
            (0, octets) => format!("ok, ends in an unfinished write of {octets} octets"),
            (places, _) => format!("DAMAGED in {places} places"),
        };
        writeln!(
            out,
            "{}: {} octets, {} records: {state}",
            file.file.display(),
            file.bytes,
            file.records
        )?;
    }
    for damage in inspection.damage() {
        writeln!(
            out,
            "{}: offset {}: {}",
            damage.file.display(),
            damage.offset,
            damage.reason
        )?;
    }
    writeln!(
        out,
        "{} definitions, {} messages, {} damaged places",
        inspection.definitions().len(),
        inspection.live_messages(),
        inspection.damaged()
    )?;
    Ok(if inspection.damaged() == 0 {
        Exit::Success
    } else {
        Exit::Damaged
    })
}

fn dump(folder: &Path, out: &mut impl Write) -> Result<Exit, Ended> {
    let inspection = Inspection::open(folder)?;
    let mut queues = Queues::new();
    for (key, value) in inspection.definitions() {
        let line = match StoredDefinition::read(&key, &value) {
            Some(definition) => {
                note_queue(&definition, &mut queues);
                json!({
                    "type": "definition",
                    "kind": definition.kind,
                    "names": definition.names,
                    "value": definition.value,
                })
            }
            None => json!({"type": "definition", "key": String::from_utf8_lossy(&key)}),
        };
        writeln!(out, "{line}")?;
    }
    inspection.messages(|stored| -> Result<(), Ended> {
        writeln!(out, "{}", message_line(stored, &queues))?;
        Ok(())
    })?;
    Ok(Exit::Success)
}

fn note_queue(definition: &StoredDefinition, queues: &mut Queues) {
    let number = definition.value.get("id").and_then(Value::as_u64);
    if let (Some(number), "queue", [vhost, name]) =
        (number, definition.kind.as_str(), &definition.names[..])
    {
        queues.insert(number, (vhost.clone(), name.clone()));
    }
}

/// A message without its body.
fn message_line(stored: StoredMessage, queues: &Queues) -> Value {
    let (message, deadline) = stored_message(stored.message);
    let queue = queues.get(&stored.queue.0);
    json!({
        "type": "message",
        "vhost": queue.map(|(vhost, _)| vhost),
        "queue": queue.map(|(_, name)| name),
        "queue_id": stored.queue.0,
        "seq": stored.seq,
        "size": message.body().len(),
        "exchange": String::from_utf8_lossy(message.exchange()),
        "routing_key": String::from_utf8_lossy(message.routing_key()),
        "deadline": (deadline != Time::NEVER).then_some(deadline.0),
        "delivery_count": stored.delivery_count,
        "persistent": stored.persistent,
        "settled": stored.settled,
        "segment": stored.file.file_name().map(|name| name.to_string_lossy().into_owned()),
        "offset": stored.offset,
    })
}

fn backup(folder: &Path, target: &Path, out: &mut impl Write) -> Result<Exit, Ended> {
    // What stands in the way, the copying says.
    make_private(target).ok();
    let copied = back_up(folder, target)?;
    writeln!(
        out,
        "copied {} segments, {} octets, to {}",
        copied.segments,
        copied.bytes,
        target.display()
    )?;
    Ok(Exit::Success)
}
