//! Export and import of definitions through the control socket.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use leveret::control::Request;
use serde_json::Value;

use super::Call;
use super::client::{Client, Lost};
use super::commands::Command;
use super::failure::{Ending, Refusal};
use crate::exit::Exit;

/// Where a file's name stands for standard input or output.
const STANDARD: &str = "-";

/// Write the node's definitions to a file that only its owner can read, as password hashes are among them.
pub(super) fn export(call: &Call<'_>) -> Result<(), Ending> {
    const NAME: &str = "export_definitions";
    let target = call.arguments.word(0);
    check_format(call, NAME)?;
    if target == STANDARD {
        let mut client = call.connect(NAME)?;
        let mut output = io::stdout().lock();
        let written = write_all(&mut client, &mut output);
        return written.map_err(|lost| call.lost(NAME, lost));
    }
    let path = Path::new(&target);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder
        && !folder.is_dir()
    {
        let folder = folder.display();
        let reason = format!("Bad argument: Directory {folder} does not exist");
        return Err(refused(call, NAME, reason));
    }
    let mut client = call.connect(NAME)?;
    call.say(&format!(
        "Exporting definitions in JSON to a file at {target:?} ..."
    ))?;
    let failed = |error: io::Error| {
        Ending::new(
            Exit::Io,
            format!("Error:\n{target} cannot be written: {error}\n"),
        )
    };
    // Beside it first, so that a broken export leaves the old file.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    let mut output = BufWriter::new(file);
    let written = write_all(&mut client, &mut output);
    let kept = written
        .map_err(|lost| call.lost(NAME, lost))
        .and_then(|()| {
            output
                .into_inner()
                .map_err(|error| failed(error.into_error()))
        })
        .and_then(|file: File| file.sync_all().map_err(failed))
        .and_then(|()| std::fs::rename(&beside, path).map_err(failed));
    if kept.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    kept
}

fn write_all(client: &mut Client, output: &mut impl Write) -> Result<(), Lost> {
    client.ask(&Request::ExportDefinitions, |row| {
        let pieces = row.iter().filter_map(Value::as_str);
        for piece in pieces {
            output.write_all(piece.as_bytes())?;
        }
        Ok(())
    })?;
    let ended = output.write_all(b"\n").and_then(|()| output.flush());
    ended.map_err(Lost::Output)
}

/// Import definitions from a file, or from standard input.
pub(super) fn import(call: &Call<'_>) -> Result<(), Ending> {
    const NAME: &str = "import_definitions";
    let words = call.arguments.rest();
    let source = words.first().filter(|name| *name != STANDARD);
    if let Some(file) = source
        && !Path::new(file).exists()
    {
        let reason = format!("Bad argument: File {file} does not exist");
        return Err(refused(call, NAME, reason));
    }
    check_format(call, NAME)?;
    let mut client = call.connect(NAME)?;
    let mut definitions = String::new();
    let (banner, read) = match source {
        Some(file) => (
            format!("Importing definitions in JSON from a file at {file:?} ..."),
            File::open(file).and_then(|mut file| file.read_to_string(&mut definitions)),
        ),
        None => (
            "Importing definitions in JSON from standard input ...".to_owned(),
            io::stdin().lock().read_to_string(&mut definitions),
        ),
    };
    call.say(&banner)?;
    if let Err(error) = read {
        let text = format!("Error:\nthe definitions cannot be read: {error}\n");
        return Err(Ending::new(Exit::Data, text));
    }
    let request = Request::ImportDefinitions {
        definitions: definitions.into(),
    };
    let report = client
        .ask(&request, |_| Ok(()))
        .map_err(|lost| call.lost(NAME, lost))?;
    let report = report.as_str().unwrap_or_default().to_owned();
    call.say(&format!("Imported: {report}"))
}

/// JSON is the only form.
fn check_format(call: &Call<'_>, name: &str) -> Result<(), Ending> {
    match call.arguments.text("format") {
        None | Some("json") => Ok(()),
        Some(other) => {
            let reason = format!("Bad argument: format {other} is not supported");
            Err(refused(call, name, reason))
        }
    }
}

fn refused(call: &Call<'_>, name: &str, reason: String) -> Ending {
    match Command::find(name) {
        Some(command) => Refusal::bad(reason).ending(command, &call.arguments, call.program),
        None => Ending::new(Exit::Data, reason),
    }
}
