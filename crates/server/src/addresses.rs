//! The addresses file: what a program reads that let the system choose the broker's ports.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// What stands in the file.
#[derive(Debug, Serialize)]
pub(crate) struct Addresses {
    /// Where AMQP clients are listened for.
    pub(crate) amqp: Vec<SocketAddr>,
    /// Where AMQP clients are listened for over TLS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) amqps: Vec<SocketAddr>,
    /// Where metrics are served.
    pub(crate) metrics: Vec<SocketAddr>,
}

/// The file while the program runs: there as long as the broker is ready, never half written, and
/// gone when this value is.
///
/// The open file is locked. A file that a killed process left is not locked any more, and is removed
/// before the start, so that whoever waits for the file does not read the addresses of a dead broker.
#[derive(Debug)]
pub(crate) struct AddressesFile {
    path: PathBuf,
    /// Beside `path`, to be renamed to it.
    draft_path: PathBuf,
    draft: File,
    published: bool,
}

/// Why there is no addresses file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressesError {
    /// The file is another living broker's.
    #[error("the addresses file {0:?} is in use by another process")]
    InUse(PathBuf),
    /// It cannot be written.
    #[error("the addresses file {path:?} cannot be written: {source}")]
    Unwritable { path: PathBuf, source: io::Error },
}

impl AddressesFile {
    /// Makes sure that the file can be written once there is something to write, and that none is
    /// there until then.
    pub(crate) fn prepare(path: &Path) -> Result<Self, AddressesError> {
        let unwritable = |source| AddressesError::Unwritable {
            path: path.to_owned(),
            source,
        };
        remove_stale(path)?;
        let draft_path = draft_path(path).map_err(unwritable)?;
        // Left by a process that was killed at its start and had the same id.
        match fs::remove_file(&draft_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
        let draft = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&draft_path)
            .map_err(unwritable)?;
        let file = Self {
            path: path.to_owned(),
            draft_path,
            draft,
            published: false,
        };
        match file.draft.try_lock() {
            // Where there are no locks, a stale file cannot be told and stays until it is replaced.
            Err(TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
                Err(unwritable(error))
            }
            _ => Ok(file),
        }
    }

    /// Puts the file in place, whole at once.
    pub(crate) fn publish(&mut self, addresses: &Addresses) -> Result<(), AddressesError> {
        self.write(addresses)
            .map_err(|source| AddressesError::Unwritable {
                path: self.path.clone(),
                source,
            })
    }

    fn write(&mut self, addresses: &Addresses) -> io::Result<()> {
        let mut line = serde_json::to_vec(addresses)?;
        line.push(b'\n');
        self.draft.write_all(&line)?;
        fs::rename(&self.draft_path, &self.path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for AddressesFile {
    fn drop(&mut self) {
        let path = if self.published {
            &self.path
        } else {
            &self.draft_path
        };
        if let Err(error) = fs::remove_file(path) {
            tracing::warn!(?path, %error, "addresses file not removed");
        }
    }
}

/// Removes the file that a dead process left, if there is one.
fn remove_stale(path: &Path) -> Result<(), AddressesError> {
    let unwritable = |source| AddressesError::Unwritable {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unwritable(error)),
    };
    match file.try_lock() {
        Ok(()) => fs::remove_file(path).map_err(unwritable),
        Err(TryLockError::WouldBlock) => Err(AddressesError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

/// `.NAME.PROCESS-ID.draft` in the same folder, since a rename must not cross file systems.
fn draft_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.draft", std::process::id()));
    Ok(path.with_file_name(draft))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses {
            amqps: Vec::new(),
            amqp: vec![
                "127.0.0.1:41234".parse().unwrap(),
                "[::1]:2".parse().unwrap(),
            ],
            metrics: Vec::new(),
        }
    }

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn it_is_there_from_publish_to_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("addresses.json");
        let mut file = AddressesFile::prepare(&path).unwrap();
        assert!(!path.exists());
        file.publish(&addresses()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\"amqp\":[\"127.0.0.1:41234\",\"[::1]:2\"],\"metrics\":[]}\n"
        );
        assert_eq!(names(folder.path()), ["addresses.json"]);
        drop(file);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_start_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(AddressesFile::prepare(&folder.path().join("a")).unwrap());
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_dead_brokers_file_is_removed_before_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "{}").unwrap();
        let _file = AddressesFile::prepare(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_living_brokers_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut first = AddressesFile::prepare(&path).unwrap();
        first.publish(&addresses()).unwrap();
        let error = AddressesFile::prepare(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the addresses file {path:?} is in use by another process")
        );
        assert!(path.exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_at_once() {
        let path = Path::new("/nowhere/at/all/addresses.json");
        let error = AddressesFile::prepare(path).unwrap_err();
        assert!(error.to_string().starts_with(
            "the addresses file \"/nowhere/at/all/addresses.json\" cannot be written: "
        ));
        assert!(AddressesFile::prepare(Path::new("..")).is_err());
    }
}
