//! The memory that this process may have, and how much of it is in use (Linux).

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::config::Watermark;

/// Never reached: there is no limit.
const NO_LIMIT: u64 = u64::MAX;

/// From where on resident memory is too much, and how long it then is.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    /// Octets; [`NO_LIMIT`] if there is no limit.
    high: AtomicU64,
    /// Whether it was too much at the last look. Held while the alarm is raised or cleared for it.
    pub(crate) is_low: Mutex<bool>,
}

impl MemoryLimit {
    pub(crate) fn new(watermark: Watermark) -> Self {
        let limit = Self {
            high: AtomicU64::new(NO_LIMIT),
            is_low: Mutex::default(),
        };
        limit.set(watermark);
        limit
    }

    /// From now on, this is the limit.
    pub(crate) fn set(&self, watermark: Watermark) {
        // Where nobody knows how much there is, a part of it is no limit.
        let total = total_memory().unwrap_or(NO_LIMIT);
        let high = watermark.octets(total).unwrap_or(NO_LIMIT);
        self.high.store(high, Ordering::Relaxed);
    }

    /// The limit in octets, if there is one.
    pub(crate) fn octets(&self) -> Option<u64> {
        let high = self.high.load(Ordering::Relaxed);
        (high != NO_LIMIT).then_some(high)
    }

    /// Whether so much memory is too much, where it was or was not before: what has been too much must fall by a tenth
    /// of the limit, so that publishers at the edge don't stop and go.
    pub(crate) fn is_exceeded(&self, resident: u64, before: bool) -> bool {
        let Some(high) = self.octets() else {
            return false;
        };
        if before {
            resident > high.saturating_sub(high / 10)
        } else {
            resident > high
        }
    }
}

/// Resident memory in octets.
pub(crate) fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(&status, "VmRSS:")
}

/// The memory of the machine in octets or, if that is less, what the control groups of the process allow.
pub(crate) fn total_memory() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let machine = kibibytes(&info, "MemTotal:")?;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let allowed = group_limit(&groups, Path::new("/sys/fs/cgroup"));
    Some(allowed.map_or(machine, |allowed| allowed.min(machine)))
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The least that the control groups named in `groups`, or those around them, allow. `root` is where they are mounted.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        // Number, controllers, path. Version 2 has no controllers, and is mounted without a folder for each.
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next(), parts.next());
        let (folder, file) = match controllers {
            Some("") => (root.to_owned(), "memory.max"),
            Some(names) if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        let own = folder.join(path.unwrap_or_default().trim_start_matches('/'));
        own.ancestors()
            .take_while(|group| group.starts_with(&folder))
            .filter_map(|group| {
                // "max" is no number, and no limit.
                let limit = fs::read_to_string(group.join(file)).ok()?;
                limit.trim().parse::<u64>().ok()
            })
            .collect()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_and_some_of_it_is_in_use() {
        let (resident, total) = (resident_memory().unwrap(), total_memory().unwrap());
        assert!(resident > 100_000 && resident < total, "{resident} {total}");
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("pod/broker");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(group_limit("0::/pod/broker\n", root.path()), None);
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(group_limit("0::/pod/broker\n", root.path()), None);
        fs::write(root.path().join("pod/memory.max"), "1000\n").unwrap();
        assert_eq!(group_limit("0::/pod/broker\n", root.path()), Some(1000));
        fs::write(inner.join("memory.max"), "800\n").unwrap();
        assert_eq!(group_limit("0::/pod/broker\n", root.path()), Some(800));
        let first = root.path().join("memory/a");
        fs::create_dir_all(&first).unwrap();
        fs::write(first.join("memory.limit_in_bytes"), "700").unwrap();
        let both = "4:cpu,memory:/a\n1:name=x:/b\n0::/pod/broker\n";
        assert_eq!(group_limit(both, root.path()), Some(700));
    }

    #[test]
    fn what_was_too_much_must_fall_by_a_tenth() {
        let limit = MemoryLimit::new(Watermark::Absolute(1000));
        assert!(!limit.is_exceeded(1000, false) && limit.is_exceeded(1001, false));
        assert!(limit.is_exceeded(901, true) && !limit.is_exceeded(900, true));
        limit.set(Watermark::None);
        assert!(!limit.is_exceeded(u64::MAX, true));
        limit.set(Watermark::Relative(0.0));
        assert!(limit.is_exceeded(1, false));
        limit.set(Watermark::Relative(1.0));
        assert_eq!(limit.octets(), total_memory());
    }
}
