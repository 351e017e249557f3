//! Rounds of load, blow, restart and inspection.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::broker::{Launcher, Process, Trouble};
use crate::checker::{Checker, End, Kind, Tolerance};
use crate::client::{Client, Failure};
use crate::inspection::{Draining, Inspection};
use crate::load::{DEFINERS, Definer, Load, Numbers, Scene};
use crate::log::{Clock, Entry, Happening};
use crate::plan::{self, Blow};
use crate::random::Random;
use crate::report;
use crate::requests::bind_exchange;
use crate::topology::{FAN, SOURCE, Topology};

/// Lives of which the logs are kept, for the histories of what is wrong.
const LIVES_KEPT: usize = 12;
/// Kills of one recovery.
const RECOVERY_KILLS_MAX: u64 = 3;
/// How long an -ok is waited for to be killed after.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) kills: u32,
    pub(crate) recovery_kills: u32,
    pub(crate) stops: u32,
    pub(crate) seed: u64,
    /// How long the load lasts on average.
    pub(crate) round: Duration,
    /// Messages a second of each publisher.
    pub(crate) rate: u64,
    pub(crate) tolerance: Duration,
    /// Delete a segment of the log before the last start, to see that it is noticed.
    pub(crate) sabotage: bool,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Blows {
    pub(crate) kills: u32,
    pub(crate) kills_after_answer: u32,
    /// Rounds that were killed in recovery.
    pub(crate) recovery_rounds: u32,
    /// The kills in them, without the first one of each.
    pub(crate) recovery_kills: u32,
    /// Of those: before clients could connect.
    pub(crate) recovery_kills_before_ready: u32,
    pub(crate) stops: u32,
    pub(crate) stops_over_10_s: u32,
    pub(crate) slowest_stop: Duration,
    pub(crate) slowest_start: Duration,
}

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Broker(#[from] Trouble),
    #[error("a client: {0}")]
    Client(#[from] Failure),
}

pub(crate) struct Run<'a, W> {
    work: Work,
    out: &'a mut W,
    random: Random,
    launcher: Launcher,
    clock: Clock,
    numbers: Arc<Numbers>,
    topology: Arc<Topology>,
    pub(crate) checker: Checker,
    pub(crate) blows: Blows,
    /// Logs of the last lives, and what was done to the broker between them.
    pub(crate) kept: VecDeque<(String, Vec<Entry>)>,
    last_start: Duration,
}

impl<'a, W: Write> Run<'a, W> {
    pub(crate) fn new(work: Work, program: &Path, folder: &Path, out: &'a mut W) -> Self {
        let ack = u64::try_from(work.tolerance.as_nanos()).unwrap_or(u64::MAX);
        Self {
            work,
            out,
            random: Random::new(work.seed),
            launcher: Launcher::new(program, folder),
            clock: Clock::start(),
            numbers: Arc::new(Numbers::new()),
            topology: Arc::new(Topology::new()),
            checker: Checker::new(Tolerance {
                ack,
                confirms_cover_acks: true,
            }),
            blows: Blows::default(),
            kept: VecDeque::new(),
            last_start: Duration::ZERO,
        }
    }

    /// Do it all, up to the first round in which something is wrong.
    pub(crate) fn run(&mut self) {
        if let Err(halt) = self.try_run() {
            self.checker.report(Kind::Broker, halt.to_string());
        }
    }

    fn try_run(&mut self) -> Result<(), Halt> {
        let plan = plan::blows(
            self.work.kills,
            self.work.recovery_kills,
            self.work.stops,
            &mut self.random,
        );
        let mut process = self.launcher.start()?;
        let mut address = process.ready()?;
        self.declare(address)?;
        let rounds = plan.len();
        for (at, blow) in plan.into_iter().enumerate() {
            let before = *self.checker.tally();
            let began = Instant::now();
            self.one_round(process, address, blow)?;
            if self.work.sabotage && at + 1 == rounds {
                self.delete_a_segment()?;
            }
            (process, address) = self.start()?;
            let draining = if at + 1 == rounds {
                Draining::All
            } else {
                Draining::Some
            };
            self.inspect(address, draining)?;
            let line = report::round(
                at + 1,
                rounds,
                blow,
                began.elapsed(),
                &before,
                self.checker.tally(),
                self.checker.violations().len(),
            );
            writeln!(self.out, "{line}")?;
            self.out.flush()?;
            if !self.checker.violations().is_empty() {
                return Ok(());
            }
        }
        self.look_once_more(process)
    }

    /// All was taken out at the end of the last round: after a restart all must be empty.
    fn look_once_more(&mut self, process: Process) -> Result<(), Halt> {
        let at = self.clock.now();
        process.stop()?;
        self.checker.end_life(End::Stop { at });
        let (process, address) = self.start()?;
        self.inspect(address, Draining::All)?;
        process.stop()?;
        Ok(())
    }

    fn declare(&mut self, address: SocketAddr) -> Result<(), Halt> {
        let mut client = Client::connect(address)?;
        let mut entries = Vec::new();
        for operation in self.topology.operations() {
            client.change(&operation)?;
            let at = self.clock.now();
            let what = Happening::Done(operation);
            entries.push(Entry { at, what });
        }
        client.call(bind_exchange(FAN, SOURCE))?;
        self.checker.absorb(&entries);
        Ok(())
    }

    fn scene(&self, address: SocketAddr) -> Scene {
        Scene {
            address,
            clock: self.clock,
            numbers: Arc::clone(&self.numbers),
            topology: Arc::clone(&self.topology),
            rate: self.work.rate,
        }
    }

    fn start(&mut self) -> Result<(Process, SocketAddr), Halt> {
        self.launcher.settings = plan::settings(&mut self.random);
        let began = Instant::now();
        let mut process = self.launcher.start()?;
        let address = process.ready()?;
        self.last_start = began.elapsed();
        self.blows.slowest_start = self.blows.slowest_start.max(self.last_start);
        Ok((process, address))
    }

    /// Load, and its end. The broker is down afterwards.
    fn one_round(&mut self, process: Process, address: SocketAddr, blow: Blow) -> Result<(), Halt> {
        let scene = self.scene(address);
        let definitions = self.checker.definitions();
        let definers = (0..DEFINERS)
            .map(|number| Definer::new(number, definitions))
            .collect();
        let load = Load::start(&scene, definers, &mut self.random);
        self.wait(blow, &load);
        let at = self.clock.now();
        let end = if blow == Blow::Stop {
            self.count_stop(process.stop()?);
            self.checker.stopping(at);
            End::Stop { at }
        } else {
            process.kill()?;
            let gone = self.clock.now();
            End::Kill { at, gone }
        };
        let seen = load.finish();
        self.checker.absorb(&seen.entries);
        for trouble in seen.troubles {
            self.checker.report(Kind::Refused, trouble);
        }
        self.checker.end_life(end);
        self.keep(
            format!("load, then {} at {at} ns", blow.word()),
            seen.entries,
        );
        match blow {
            Blow::Kill => self.blows.kills += 1,
            Blow::KillAfterAnswer => self.blows.kills_after_answer += 1,
            Blow::KillInRecovery => self.kill_in_recovery()?,
            Blow::Stop => self.blows.stops += 1,
        }
        Ok(())
    }

    /// The load goes on for a while.
    fn wait(&mut self, blow: Blow, load: &Load) {
        let half = self.work.round / 2;
        std::thread::sleep(half / 2 + self.random.time(half * 2 + half));
        if blow == Blow::KillAfterAnswer {
            // Those of the past do not count.
            while load.answers().try_recv().is_ok() {}
            for _ in 0..=self.random.below(8) {
                if load.answers().recv_timeout(ANSWER_PATIENCE).is_err() {
                    return;
                }
            }
            if self.random.chance(70) {
                std::thread::sleep(self.random.time(Duration::from_millis(50)));
            }
        }
    }

    fn count_stop(&mut self, took: Duration) {
        self.blows.slowest_stop = self.blows.slowest_stop.max(took);
        self.blows.stops_over_10_s += u32::from(took > Duration::from_secs(10));
    }

    /// Kill it while it starts, then start and stop it in order.
    fn kill_in_recovery(&mut self) -> Result<(), Halt> {
        self.blows.recovery_rounds += 1;
        for _ in 0..=self.random.below(RECOVERY_KILLS_MAX) {
            self.launcher.settings = plan::settings(&mut self.random);
            let process = self.launcher.start()?;
            std::thread::sleep(plan::time_into_recovery(self.last_start, &mut self.random));
            let was_ready = process.is_ready();
            process.kill()?;
            self.blows.recovery_kills += 1;
            self.blows.recovery_kills_before_ready += u32::from(!was_ready);
        }
        let (process, _) = self.start()?;
        self.count_stop(process.stop()?);
        Ok(())
    }

    fn inspect(&mut self, address: SocketAddr, draining: Draining) -> Result<(), Halt> {
        let scene = self.scene(address);
        let inspection = Inspection::new(&scene, &mut self.checker)?;
        let entries = inspection.run(draining, &mut self.random)?;
        self.keep("inspection".to_owned(), entries);
        Ok(())
    }

    fn keep(&mut self, what: String, entries: Vec<Entry>) {
        self.kept.push_back((what, entries));
        if self.kept.len() > 2 * LIVES_KEPT {
            self.kept.pop_front();
        }
    }

    /// Take away the largest file of the message log.
    fn delete_a_segment(&mut self) -> Result<(), Halt> {
        let mut largest = None;
        for entry in fs::read_dir(self.launcher.data().join("segments"))? {
            let entry = entry?;
            let size = fs::read(entry.path())?
                .iter()
                .filter(|octet| **octet != 0)
                .count();
            if largest.as_ref().is_none_or(|(most, _)| size > *most) {
                largest = Some((size, entry.path()));
            }
        }
        if let Some((_, path)) = largest {
            writeln!(self.out, "sabotage: {} is deleted", path.display())?;
            fs::remove_file(path)?;
        }
        Ok(())
    }
}
