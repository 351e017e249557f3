//! The Unix socket, and who may use it.
//!
//! It is made inside a folder that only the broker's user can enter, narrowed to mode 0600 there, and moved into its
//! place: at no moment could anybody else connect to it, and a socket that a killed broker left is replaced in the
//! same step.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Octets of a Unix socket's path, without the NUL (`sockaddr_un`, Linux).
const PATH_MAX: usize = 107;

const ROOT: u32 = 0;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system has no room for the path.
    #[error(
        "control socket {}: the path has {octets} octets, and the system takes {PATH_MAX}: name a shorter one with \
         control_socket, or none", .path.display()
    )]
    TooLong {
        /// The path of the socket, or of the one it is made from.
        path: PathBuf,
        /// Its octets.
        octets: usize,
    },
    /// Somebody answers there already.
    #[error("control socket {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The system can't make it.
    #[error("control socket {}: {source}", .path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A bound control socket. Its file goes with it, unless another has taken its place.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
    /// The user whose process this is.
    owner: u32,
}

impl Socket {
    /// Make it. Its folder must be there.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: path.to_owned(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Others than us can't have made it, as we could not enter or remove it then.
        let private = folder.join(format!(".{}", std::process::id()));
        let inside = private.join("s");
        for path in [path, &inside] {
            let octets = path.as_os_str().as_bytes().len();
            if octets > PATH_MAX {
                return Err(SocketError::TooLong {
                    path: path.to_owned(),
                    octets,
                });
            }
        }
        check_replaceable(path)?;
        forget(&private);
        let made = DirBuilder::new()
            .mode(0o700)
            .create(&private)
            .and_then(|()| make(&inside, path));
        forget(&private);
        let (listener, file, owner) = made.map_err(failed)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file,
            owner,
        })
    }

    /// The next client that may use it; others are sent away.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.owner || peer.uid() == ROOT => return Ok(stream),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "control socket: refused"),
                Err(error) => tracing::warn!(%error, "control socket: unknown peer refused"),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if identity(&self.path).ok() == Some(self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

type Made = (UnixListener, (u64, u64), u32);

/// Make the socket at `inside` and move it to `path`.
fn make(inside: &Path, path: &Path) -> io::Result<Made> {
    let listener = UnixListener::bind(inside)?;
    fs::set_permissions(inside, Permissions::from_mode(0o600))?;
    let owner = fs::metadata(inside)?.uid();
    let file = identity(inside)?;
    fs::rename(inside, path)?;
    Ok((listener, file, owner))
}

/// Nothing is there, or a socket that nobody listens to.
fn check_replaceable(path: &Path) -> Result<(), SocketError> {
    use std::os::unix::fs::FileTypeExt;
    let failed = |source| SocketError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(there) if !there.file_type().is_socket() => {
            Err(failed(io::ErrorKind::AlreadyExists.into()))
        }
        Ok(_) => match BlockingStream::connect(path) {
            Ok(_) => Err(SocketError::InUse(path.to_owned())),
            Err(_) => Ok(()),
        },
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Remove the folder that a socket is made in, if it is there.
fn forget(private: &Path) {
    let _ = fs::remove_file(private.join("s"));
    let _ = fs::remove_dir(private);
}
