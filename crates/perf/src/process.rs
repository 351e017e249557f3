//! What the broker's process uses, from `/proc` (proc(5)).

use std::collections::BTreeMap;
use std::fs;

use crate::error::{PerfError, Result};

/// `/proc` counts processor time in hundredths of a second on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// What it has used so far, and holds now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// User time in seconds, in steps of 10 ms.
    pub(crate) user: f64,
    /// System time in seconds, in steps of 10 ms.
    pub(crate) system: f64,
    /// Run time of each living thread, in nanoseconds.
    threads: BTreeMap<u32, u64>,
    /// Resident memory in octets.
    pub(crate) resident: u64,
    /// The most resident memory since its start, in octets.
    pub(crate) resident_peak: u64,
    /// Octets sent to the disk, if the process shows that to us.
    pub(crate) written: Option<u64>,
}

impl Process {
    /// Read all of it now.
    pub(crate) fn usage(self) -> Result<Usage> {
        let (user, system) =
            parse_stat(&self.read("stat")?).ok_or_else(|| self.unreadable("stat"))?;
        let status = self.read("status")?;
        let kilobytes = |name| field(&status, name).map_or(0, |count| count * 1024);
        Ok(Usage {
            user,
            system,
            threads: self.threads(),
            resident: kilobytes("VmRSS:"),
            resident_peak: kilobytes("VmHWM:"),
            // Another user's is not for us to see.
            written: self
                .read("io")
                .ok()
                .and_then(|io| field(&io, "write_bytes:")),
        })
    }

    fn threads(self) -> BTreeMap<u32, u64> {
        let Ok(folder) = fs::read_dir(format!("/proc/{}/task", self.0)) else {
            return BTreeMap::new();
        };
        // A thread may end while we look.
        folder
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let id = entry.file_name().to_str()?.parse().ok()?;
                let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
                Some((id, text.split_whitespace().next()?.parse().ok()?))
            })
            .collect()
    }

    fn read(self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.0);
        fs::read_to_string(&path).map_err(|error| PerfError::Unreadable {
            path,
            reason: error.to_string(),
        })
    }

    fn unreadable(self, name: &str) -> PerfError {
        PerfError::Unreadable {
            path: format!("/proc/{}/{name}", self.0),
            reason: "it is not as proc(5) says".to_owned(),
        }
    }
}

impl Usage {
    /// Seconds of processor time since `before`: to the nanosecond while the process keeps its
    /// threads, else to some hundredths.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a process runs for less than 2^53 ns"
    )]
    pub(crate) fn cpu_since(&self, before: &Self) -> f64 {
        let coarse = self.user - before.user + self.system - before.system;
        let kept = before
            .threads
            .keys()
            .all(|id| self.threads.contains_key(id));
        if self.threads.is_empty() || !kept {
            return coarse;
        }
        let sum = |usage: &Self| usage.threads.values().sum::<u64>();
        let fine = sum(self).saturating_sub(sum(before)) as f64 / 1e9;
        // A thread that came and went in between is only in the coarse figure.
        if coarse - fine > 0.05 { coarse } else { fine }
    }
}

/// User and system seconds of `/proc/PID/stat`. The name in parentheses may hold anything.
fn parse_stat(stat: &str) -> Option<(f64, f64)> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some((seconds()?, seconds()?))
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0";
        assert_eq!(parse_stat(stat), Some((1.5, 0.25)));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn fields_are_found_by_name() {
        let text = "VmHWM:\t  30 kB\nVmRSS:\t  20 kB\n";
        assert_eq!(field(text, "VmRSS:"), Some(20));
        assert_eq!(field(text, "VmSwap:"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let process = Process(std::process::id());
        let before = process.usage().unwrap();
        assert!(before.resident > 0 && before.resident_peak >= before.resident);
        assert!(!before.threads.is_empty());
        assert!(process.usage().unwrap().cpu_since(&before) >= 0.0);
    }

    #[test]
    fn threads_that_ended_leave_the_coarse_figure() {
        let usage = |user, threads: &[(u32, u64)]| Usage {
            user,
            threads: threads.iter().copied().collect(),
            ..Usage::default()
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let before = usage(1.0, &[(1, 1_000_000_000)]);
        assert!(near(
            usage(1.5, &[(1, 1_503_000_000)]).cpu_since(&before),
            0.503
        ));
        assert!(near(usage(1.5, &[(2, 9)]).cpu_since(&before), 0.5));
        assert!(near(
            usage(2.0, &[(1, 1_100_000_000)]).cpu_since(&before),
            1.0
        ));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Process(u32::MAX).usage().unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/stat"), "{error}");
    }
}
