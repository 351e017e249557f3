//! What the operating system says of this process (Linux: `/proc/self`). A figure that can't be
//! had is left out of the scrape.

use std::fs;

/// Open file descriptors.
pub(crate) fn open_fds() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    // One of them reads the folder.
    u64::try_from(entries.count())
        .ok()
        .map(|count| count.saturating_sub(1))
}

/// File descriptors that may be open.
pub(crate) fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_files() {
        let open = super::open_fds().unwrap();
        assert!(open >= 3 && open <= super::max_fds().unwrap());
    }
}
