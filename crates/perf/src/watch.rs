//! The measured window: its counts, its processor time, and a line a second about it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::process::{Process, Usage};
use crate::report::{Consumption, Measurement, number, octets_text};
use crate::shared::{Counts, Shared};

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(2);
/// Time between two progress lines.
const LINE: Duration = Duration::from_secs(1);

/// Watches a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a> {
    /// The run.
    pub(crate) shared: &'a Shared,
    /// The broker's process, if it is known.
    pub(crate) process: Option<Process>,
    /// Say nothing meanwhile.
    pub(crate) quiet: bool,
}

/// A measured window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Its length.
    pub(crate) seconds: f64,
    /// What was counted in it.
    pub(crate) counts: Counts,
    /// The process before and after.
    usage: Option<(Usage, Usage)>,
    /// It ended by ctrl-c.
    interrupted: bool,
}

impl Watch<'_> {
    /// Let the threads begin and the time go by, unless the run ends.
    pub(crate) fn warm_up(&self, time: Duration) {
        self.shared.gate.store(true, Ordering::Release);
        let began = Instant::now();
        while began.elapsed() < time && !self.ended() {
            thread::sleep(LOOK.min(time));
        }
    }

    fn ended(&self) -> bool {
        self.shared.stopped() || self.shared.interrupted()
    }

    /// Let the threads begin, and measure until `done` says so by the counts since the beginning of the window, the run ends, or
    /// ctrl-c is pressed. The error is a thread's.
    pub(crate) fn measure(&self, done: impl FnMut(Counts, Duration) -> bool) -> Result<Window> {
        let window = self.observe(done);
        self.shared.check()?;
        window
    }

    fn observe(&self, mut done: impl FnMut(Counts, Duration) -> bool) -> Result<Window> {
        let usage = || self.process.map(Process::usage).transpose();
        self.shared.recording.store(true, Ordering::Relaxed);
        let used = usage()?;
        let (began, before) = (Instant::now(), self.shared.counts());
        self.shared.gate.store(true, Ordering::Release);
        let mut last = (began, before, used.clone());
        loop {
            thread::sleep(LOOK);
            let (now, counts) = (Instant::now(), self.shared.counts());
            let since = counts.since(before);
            if self.ended() || done(since, now - began) {
                self.shared.recording.store(false, Ordering::Relaxed);
                return Ok(Window {
                    seconds: (now - began).as_secs_f64(),
                    counts: since,
                    usage: used.zip(usage()?),
                    interrupted: self.shared.interrupted(),
                });
            }
            if now - last.0 >= LINE && !self.quiet {
                let used = usage()?;
                let process = last.2.as_ref().zip(used.as_ref());
                let text = line(now - began, now - last.0, counts.since(last.1), process);
                // With standard error gone, the result still counts.
                let _ = writeln!(io::stderr(), "{text}");
                last = (now, counts, used);
            }
        }
    }
}

/// A progress line.
fn line(at: Duration, time: Duration, counts: Counts, usage: Option<(&Usage, &Usage)>) -> String {
    let seconds = time.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
    let per_second = |count: u64| number(count as f64 / seconds);
    let mut text = format!("{:>4} s", at.as_secs());
    for (name, count) in [
        ("published", counts.published),
        ("confirmed", counts.confirmed),
        ("refused", counts.nacked),
        ("delivered", counts.delivered),
    ] {
        if count > 0 {
            let _ = write!(text, "  {name} {}/s", per_second(count));
        }
    }
    if let Some((before, after)) = usage {
        let share = after.cpu_since(before) / seconds * 100.0;
        #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
        let resident = octets_text(after.resident as f64);
        let _ = write!(text, "  broker {share:.0} % CPU, {resident}");
    }
    text
}

impl Window {
    /// What the process used, for so many units.
    pub(crate) fn consumption(&self, count: u64) -> Option<Consumption> {
        let (before, after) = self.usage.as_ref()?;
        let cpu_seconds = after.cpu_since(before);
        Some(Consumption {
            cpu_seconds,
            user_seconds: after.user - before.user,
            system_seconds: after.system - before.system,
            per_cpu_second: if cpu_seconds > 0.0 {
                float(count) / cpu_seconds
            } else {
                0.0
            },
            resident: after.resident,
            resident_peak: after.resident_peak,
            written: after
                .written
                .zip(before.written)
                .map(|(after, before)| after.saturating_sub(before)),
        })
    }

    /// The growth of resident memory in octets.
    pub(crate) fn growth(&self) -> Option<f64> {
        let (before, after) = self.usage.as_ref()?;
        Some(float(after.resident) - float(before.resident))
    }

    /// The measurement of `count` units.
    pub(crate) fn measurement(&self, name: &str, unit: &str, count: u64) -> Measurement {
        Measurement {
            name: name.to_owned(),
            unit: unit.to_owned(),
            count,
            seconds: self.seconds,
            per_second: float(count) / self.seconds,
            published: self.counts.published,
            confirmed: self.counts.confirmed,
            nacked: self.counts.nacked,
            delivered: self.counts.delivered,
            process: self.consumption(count),
            interrupted: self.interrupted,
            ..Measurement::default()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn float(count: u64) -> f64 {
    count as f64
}
