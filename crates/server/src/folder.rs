//! Folders that hold what nobody else is to read.

use std::fs::DirBuilder;
use std::io;
use std::path::Path;

/// Make a folder, and what it lies in, open to its owner alone. One that is there stays as it is.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_its_owners_alone_and_one_that_is_there_stays() {
        let around = tempfile::tempdir().unwrap();
        let inner = around.path().join("a/b");
        make_private(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&around.path().join("a")), 0o700);
        fs::set_permissions(&inner, Permissions::from_mode(0o750)).unwrap();
        make_private(&inner).unwrap();
        assert_eq!(mode(&inner), 0o750);
    }
}
