//! What can go wrong, as the broker needs to tell it apart.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A definition was changed by somebody else meanwhile. Only replicated stores say so.
    #[error("the definitions were changed meanwhile")]
    Conflict,
    /// What is stored at `offset` of `file` is not what was written.
    #[error("{} is damaged at offset {offset}: {reason}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Octets from its start.
        offset: u64,
        /// What was found there.
        reason: String,
    },
    /// Another process has taken over what this one had claimed. Only replicated stores say so.
    #[error("another process has taken over")]
    Fenced,
    /// The folder holds something else, or was written by a newer version.
    #[error("{0}")]
    Format(String),
    /// There is no room for more messages. Settles are still taken; puts are, once room was made.
    #[error("the disk is full")]
    Full,
    /// Another process uses the folder.
    #[error("the folder {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// A write or a sync failed: what was in flight may or may not be on disk, and nothing more becomes durable. Ends
    /// only with a restart, which recovers from the log.
    #[error("the store has failed and takes nothing more: {0}")]
    Poisoned(String),
    /// The store cannot be reached, is shut down, or an operation on its files failed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl StoreError {
    /// An operation on `path` failed; `doing` says which (`reading`, `creating`).
    pub(crate) fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        if is_out_of_room(error) {
            return Self::Full;
        }
        Self::Unavailable(format!("{doing} {}: {error}", path.display()))
    }

    /// `path` was written by another version of this program; this one knows `ours`.
    pub(crate) fn version(path: &Path, version: u32, ours: u32) -> Self {
        Self::Format(format!(
            "{} says version {version}, and this broker reads version {ours}: use the broker that wrote it, or a newer one",
            path.display()
        ))
    }
}

/// Whether an operation failed for want of disk space: worth trying again once some is freed.
pub(crate) fn is_out_of_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
