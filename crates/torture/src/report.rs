//! What is said of a run.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use crate::checker::{Checker, Kind, Tally, Violation};
use crate::log::Entry;
use crate::plan::Blow;
use crate::rounds::Blows;

/// Violations that are told with their histories.
const TOLD: usize = 20;
/// Lines of one history.
const LINES: usize = 60;

/// The line of a round.
pub(crate) fn round(
    number: usize,
    rounds: usize,
    blow: Blow,
    took: Duration,
    before: &Tally,
    now: &Tally,
    violations: usize,
) -> String {
    let verdict = if violations == 0 { "ok" } else { "WRONG" };
    format!(
        "{number:>4}/{rounds} {:<18} {:>5} ms  {:>6} published {:>6} confirmed {:>6} delivered {:>6} acked {:>4} definitions {:>3} acks returned  {verdict}",
        blow.word(),
        took.as_millis(),
        now.published - before.published,
        now.confirmed - before.confirmed,
        now.delivered - before.delivered,
        now.acked - before.acked,
        now.definitions - before.definitions,
        now.returned - before.returned,
    )
}

/// The table at the end.
pub(crate) fn table(checker: &Checker, blows: &Blows) -> String {
    let rows = blow_rows(blows)
        .into_iter()
        .chain(work_rows(checker.tally()))
        .chain(verdict_rows(checker));
    let mut text = String::new();
    for (name, value) in rows {
        // A String takes all that is written.
        let _ = writeln!(text, "{name:<50} {value:>12}");
    }
    text
}

type Row = (&'static str, String);

fn blow_rows(blows: &Blows) -> Vec<Row> {
    let under_load = blows.kills + blows.kills_after_answer + blows.recovery_rounds;
    vec![
        ("kills under load", under_load.to_string()),
        ("  right after an -ok", blows.kills_after_answer.to_string()),
        (
            "  followed by kills in recovery",
            blows.recovery_rounds.to_string(),
        ),
        ("kills in recovery", blows.recovery_kills.to_string()),
        (
            "  before clients could connect",
            blows.recovery_kills_before_ready.to_string(),
        ),
        ("orderly stops under load", blows.stops.to_string()),
        ("  slowest stop", duration(blows.slowest_stop)),
        ("  stops over 10 s", blows.stops_over_10_s.to_string()),
        ("slowest start", duration(blows.slowest_start)),
    ]
}

fn work_rows(tally: &Tally) -> Vec<Row> {
    vec![
        ("messages published", tally.published.to_string()),
        ("messages confirmed", tally.confirmed.to_string()),
        (
            "  that must outlive a restart",
            tally.confirmed_lasting.to_string(),
        ),
        ("deliveries", tally.delivered.to_string()),
        ("  marked as redelivered", tally.redelivered.to_string()),
        ("messages acknowledged", tally.acked.to_string()),
        ("messages rejected", tally.rejected.to_string()),
        ("messages given back", tally.requeued.to_string()),
        (
            "declares, binds, unbinds, deletes answered",
            tally.definitions.to_string(),
        ),
        (
            "settled messages back after a kill",
            tally.returned.to_string(),
        ),
        (
            "  oldest, from the writing of the ack",
            millis(tally.returned_oldest),
        ),
        (
            "  known to have reached the broker",
            tally.returned_arrived.to_string(),
        ),
        (
            "  oldest of those, from when it was known",
            millis(tally.returned_oldest_arrived),
        ),
        (
            "back after a stop, the ack on its way",
            tally.returned_after_stop.to_string(),
        ),
    ]
}

fn verdict_rows(checker: &Checker) -> Vec<Row> {
    let of = |kinds: &[Kind]| {
        let violations = checker.violations().iter();
        let count = violations.filter(|one| kinds.contains(&one.kind)).count();
        count.to_string()
    };
    vec![
        ("WRONG: confirmed messages lost", of(&[Kind::Lost])),
        (
            "WRONG: declares, binds, unbinds, deletes undone",
            of(&[Kind::Undone]),
        ),
        ("WRONG: messages out of order", of(&[Kind::Order])),
        (
            "WRONG: acks undone that were too old",
            of(&[Kind::Returned]),
        ),
        (
            "WRONG: deliveries marked or not marked",
            of(&[Kind::Marked, Kind::NotMarked]),
        ),
        ("WRONG: delivery counts", of(&[Kind::DeliveryCount])),
        ("WRONG: delivered twice", of(&[Kind::Twice])),
        ("WRONG: bodies", of(&[Kind::WrongBody])),
        (
            "WRONG: never published, or to another queue",
            of(&[Kind::Unknown, Kind::Misrouted]),
        ),
        (
            "WRONG: transient messages that survived",
            of(&[Kind::Survived]),
        ),
        ("WRONG: message counts", of(&[Kind::Count])),
        (
            "WRONG: refusals, and failures of the broker",
            of(&[Kind::Refused, Kind::Broker]),
        ),
    ]
}

fn duration(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn millis(nanos: u64) -> String {
    format!("{} ms", nanos.div_ceil(1_000_000))
}

/// The first violations with what is known of them, told from the logs of the last lives.
pub(crate) fn violations(
    violations: &[Violation],
    logs: &VecDeque<(String, Vec<Entry>)>,
) -> String {
    let mut text = String::new();
    for violation in violations.iter().take(TOLD) {
        let _ = writeln!(text, "{violation}");
        let mut lines = 0;
        for (what, entries) in logs {
            let concerned: Vec<&Entry> = entries
                .iter()
                .filter(|entry| concerns(entry, violation))
                .collect();
            for entry in concerned {
                if lines < LINES {
                    let _ = writeln!(text, "    {entry}");
                }
                lines += 1;
            }
            if lines > 0 {
                let _ = writeln!(text, "    --- end of: {what}");
            }
        }
    }
    if violations.len() > TOLD {
        let _ = writeln!(text, "... and {} more", violations.len() - TOLD);
    }
    text
}

fn concerns(entry: &Entry, violation: &Violation) -> bool {
    violation
        .message
        .is_some_and(|message| entry.names(message))
        || violation
            .definition
            .as_ref()
            .is_some_and(|name| entry.defines(name))
}
