//! Where operators' commands come in.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::error::Invalid;
use super::value::{Given, Misread, Value};

/// The name of the control socket in the data folder.
const IN_DATA_DIR: &str = "control.sock";

/// The word that stands for no control socket.
const NONE: &str = "none";

/// The Unix socket that `leveret ctl` speaks to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ControlSocket {
    /// `control.sock` in the data folder.
    #[default]
    InDataDir,
    /// This path.
    At(PathBuf),
    /// There is none.
    None,
}

impl ControlSocket {
    /// Its path, if there is one.
    pub fn path(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::InDataDir => Some(data_dir.join(IN_DATA_DIR)),
            Self::At(path) => Some(path.clone()),
            Self::None => None,
        }
    }
}

impl Value for ControlSocket {
    fn read(&mut self, given: &Given<'_>, _allowed: &RangeInclusive<u64>) -> Result<(), Misread> {
        let text = given.text().ok_or_else(|| given.instead_of("a path"))?;
        *self = if text == NONE {
            Self::None
        } else {
            Self::At(PathBuf::from(text))
        };
        Ok(())
    }

    fn check(&self, _allowed: &RangeInclusive<u64>) -> Result<(), Invalid> {
        match self {
            Self::At(path) if path.as_os_str().is_empty() => Err(Invalid::Empty),
            _ => Ok(()),
        }
    }
}
