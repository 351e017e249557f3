//! What the operating system says of this process (Linux: `/proc/self`). A figure that can't be
//! had is left out of the scrape.

use std::fs;

/// Resident memory in octets.
pub(super) fn resident_bytes() -> Option<u64> {
    status_kibibytes("VmRSS:")
}

/// Open file descriptors.
pub(super) fn open_fds() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    // One of them reads the folder.
    u64::try_from(entries.count())
        .ok()
        .map(|count| count.saturating_sub(1))
}

/// File descriptors that may be open.
pub(super) fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn status_kibibytes(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_and_files() {
        assert!(super::resident_bytes().unwrap() > 100_000);
        let open = super::open_fds().unwrap();
        assert!(open >= 3 && open <= super::max_fds().unwrap());
    }
}
