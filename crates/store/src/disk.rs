//! The seam between the store and the file system: every operation on a log segment, a snapshot or the format file
//! goes through [`Disk`] and [`LogFile`], so that a simulated disk can drop, reorder and tear what was not synced, fill
//! up, or fail a sync. sled and the lock file have their own ways and do not come through here.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs4::fs_std::FileExt as _;

/// An open file, read and written at given offsets.
pub trait LogFile: Send + Sync + 'static {
    /// Write all of `octets` at `offset`.
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()>;
    /// Fill `buffer` from `offset` on, as far as the file goes. Returns the octets read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Reserve room up to `len` octets and make the file at least as long (the new part reads as zeros).
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cut or extend the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Octets of the file.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no octets.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Make the contents durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Make the contents and the length durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
}

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Make a folder and those above it, unless it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// The names of the files in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Open a file for reading and writing; empty if `create`, which may replace one that is there.
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn LogFile>>;
    /// Give a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Remove a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Make creations, renames and removals in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Octets that files in a folder may still take.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

struct OsFile(File);

impl OsDisk {
    /// Open a file that may not be writable.
    pub(crate) fn open_to_read(path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(OsFile(File::open(path)?)))
    }
}

impl LogFile for OsFile {
    fn write_all_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(octets, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..)
            && !rest.is_empty()
        {
            let at = offset.saturating_add(filled as u64);
            match self.0.read_at(rest, at) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Disk for OsDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(PathBuf::from(entry?.file_name()));
        }
        Ok(names)
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(create)
            .open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }
}

/// The whole of a file; `None` if there is none.
pub(crate) fn read_whole(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut octets = Vec::new();
    read_into(&*file, &mut octets)?;
    Ok(Some(octets))
}

/// Replace the contents of `octets` by those of the file.
pub(crate) fn read_into(file: &dyn LogFile, octets: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::try_from(file.len()?)
        .map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "the file exceeds memory"))?;
    octets.resize(len, 0);
    let read = file.read_at(octets, 0)?;
    octets.truncate(read);
    Ok(())
}

/// Replace a file so that after a crash either the old or the new one is there, whole: write aside, sync, rename, sync
/// the folder.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, octets: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let file = disk.open(&aside, true)?;
    file.write_all_at(octets, 0)?;
    file.sync_all()?;
    drop(file);
    disk.rename(&aside, path)?;
    match path.parent() {
        Some(folder) => disk.sync_folder(folder),
        None => Ok(()),
    }
}
